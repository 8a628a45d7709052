//! A path, as a story.

use evenkeel::planner::model::{CloudCall, GroupChange};

use super::mind::Does;
use super::steps::Action;
use super::world::{GROUP, State, World};

const NAMES: [&str; 2] = ["A", "B"];

/// Every step in a sentence.
pub(crate) fn tell(world: &World, path: &[(State, Option<Action>)]) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    let mut seconds = 0;
    for pair in path.windows(2) {
        let ((before, action), after) = (&pair[0], &pair[1].0);
        let Some(action) = action else { continue };
        if *action == Action::Tick {
            seconds += crate::clock::TICK;
            continue;
        }
        if seconds > 0 {
            sentences.push(format!("{seconds} seconds pass."));
            seconds = 0;
        }
        sentences.push(sentence(world, before, *action, after));
    }
    if seconds > 0 {
        sentences.push(format!("{seconds} seconds pass."));
    }
    if let Some((last, _)) = path.last()
        && let Some(broken) = last.broken
    {
        sentences.push(format!("So {}.", broken.how));
    }
    let number = |(n, text): (usize, String)| format!("{:>2}. {text}", n + 1);
    sentences.into_iter().enumerate().map(number).collect()
}

fn object(about: usize) -> String {
    match about {
        GROUP => "the group".to_owned(),
        n => format!("member {n}"),
    }
}

fn sentence(world: &World, before: &State, action: Action, after: &State) -> String {
    let call = |at: usize| {
        let message = before.wire[at];
        let from = message.from.map_or("nobody", |p| NAMES[usize::from(p)]);
        (words(&world.mind.call(message.call)), from)
    };
    match action {
        Action::Turn(p, about, loses) => turn(world, before, p, about, loses, after),
        Action::Watch(p, about) => format!("{} learns how {} is now.", NAMES[p], object(about)),
        Action::Crash(p) => format!("{} dies and is started again; it remembers nothing.", NAMES[p]),
        Action::Arrive(at) => match call(at) {
            (what, "nobody") => format!("The cloud is asked to {what}; nobody hears of it."),
            (what, who) => format!("The cloud is asked to {what}, and {who} hears of it."),
        },
        Action::Refuse(at) => format!(
            "The cloud refuses to {}, and {} hears of it.",
            call(at).0,
            call(at).1
        ),
        Action::TimeOut(at) => format!("{} gets no answer to its call to {}.", call(at).1, call(at).0),
        Action::Lose(at) => format!("The call to {} is lost.", call(at).0),
        Action::Progress(at) => format!("Server s{} is done with what it did.", before.servers[at].n),
        Action::DeleteOutside(at) => format!("Somebody deletes group g{} past us.", before.groups[at].n),
        Action::Delete(about) => format!("The user deletes {}.", object(about)),
        Action::Move(about) => format!(
            "The user takes {} out of the group, or puts it back.",
            object(about)
        ),
        Action::Tick => format!("{} seconds pass.", crate::clock::TICK),
    }
}

fn turn(world: &World, before: &State, p: usize, about: usize, loses: bool, after: &State) -> String {
    let there: Vec<String> = before
        .groups
        .iter()
        .map(|g| format!("g{}{}", g.n, if g.ours { "" } else { ", of somebody else" }))
        .chain(before.servers.iter().map(|m| format!("s{} {}", m.n, m.state)))
        .collect();
    let there = if there.is_empty() {
        "nothing there".to_owned()
    } else {
        there.join("; ")
    };
    let Some(thought) = world.mind.think(before, p, about) else {
        return format!("{} does not know {}.", NAMES[p], object(about));
    };
    let view = before.processes[p].views[about];
    let acts = thought.writes || !matches!(thought.does, Does::Nothing | Does::Look(_));
    let does = match thought.does {
        _ if acts && !view.fresh && before.objects == after.objects => {
            "would write, but the object has changed: it reads it again".to_owned()
        }
        Does::Nothing if thought.writes => format!("writes down \"{}\"", thought.says),
        Does::Nothing => "sees nothing to do".to_owned(),
        Does::AddFinalizer => "puts the finalizer on it".to_owned(),
        Does::RemoveFinalizer => "takes the finalizer away: the object is gone".to_owned(),
        Does::Look(n) => format!("asks for server s{n} by its id"),
        Does::Call(_, call) => format!("writes the record, and asks to {}", words(&world.mind.call(call))),
    };
    let lost = if loses {
        "; the reply to its write is lost"
    } else {
        ""
    };
    format!(
        "{} lists ({there}) and plans for {}: it {does}{lost}.",
        NAMES[p],
        object(about)
    )
}

/// A call in words.
fn words(call: &CloudCall) -> String {
    match call {
        CloudCall::CreateGroup(_) => "create a group".to_owned(),
        CloudCall::Create(request) => match &request.group {
            Some(group) => format!("create a server in group {group}"),
            None => "create a server".to_owned(),
        },
        CloudCall::Operate { id, kind, .. } => format!("{} server {id}", kind.as_str().to_lowercase()),
        CloudCall::ChangeGroup { id, change } => match change {
            GroupChange::Modify { .. } => format!("change group {id}"),
            GroupChange::Unmark => format!("take our marks off group {id}"),
            GroupChange::Add { server } => format!("put server {server} into group {id}"),
            GroupChange::Remove { server } => format!("take server {server} out of group {id}"),
            GroupChange::Delete => format!("delete group {id}"),
        },
    }
}
