//! What happened, in sentences.

use evenkeel::api::server_status::OperationKind;
use evenkeel::planner::model::ServerState;

use crate::mind::{Does, Seen};
use crate::steps::{Action, World};
use crate::world::{Call, Mark, State};

const NAMES: [&str; 2] = ["A", "B"];

/// The steps of a path as numbered sentences. Time that passes is told once.
pub(crate) fn tell(world: &World, path: &[(State, Option<Action>)]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut ticks = 0;
    for step in path.windows(2) {
        let ((before, action), (after, _)) = (&step[0], &step[1]);
        let Some(action) = action else {
            continue;
        };
        if *action == Action::Tick {
            ticks += 1;
            continue;
        }
        if ticks > 0 {
            told.push(passes(ticks));
            ticks = 0;
        }
        told.extend(sentence(world, before, after, *action));
    }
    if ticks > 0 {
        told.push(passes(ticks));
    }
    if let Some(broken) = path.last().and_then(|(s, _)| s.broken) {
        told.push(format!("So {}.", broken.how));
    }
    told.iter()
        .enumerate()
        .map(|(n, text)| format!("{:2}. {text}", n + 1))
        .collect()
}

fn passes(ticks: i64) -> String {
    format!("{} seconds pass.", ticks * crate::clock::TICK)
}

fn sentence(world: &World, before: &State, after: &State, action: Action) -> Option<String> {
    Some(match action {
        Action::Turn {
            process,
            lists,
            loses_reply,
        } => turn(world, before, after, process, lists, loses_reply)?,
        Action::Watch(p) => format!(
            "{} sees the object as it is now: {}.",
            NAMES[p],
            object(world, after.object)
        ),
        Action::Send(p) => {
            let pending = before.processes[p].pending?;
            let what = call(pending.call);
            if after.wire.len() == before.wire.len() {
                format!("{} is too late to {what}, and does not.", NAMES[p])
            } else if pending.age > 0 {
                format!("{}, held up until now, sends the call to {what}.", NAMES[p])
            } else {
                format!("{} sends the call to {what}.", NAMES[p])
            }
        }
        Action::Crash(p) => {
            let lost = match before.processes[p].pending {
                Some(pending) => format!(" before it could {}", call(pending.call)),
                None => String::new(),
            };
            format!(
                "{} dies{lost}, and is started again with nothing remembered.",
                NAMES[p]
            )
        }
        Action::Arrive(at) | Action::ArriveUnlisted(at) | Action::ArriveNoRoom(at) => {
            let message = before.wire[at];
            let who = match message.from {
                Some(p) => format!("{} hears of it", NAMES[usize::from(p)]),
                None => "nobody hears of it".to_owned(),
            };
            let made = after.made > before.made;
            let outcome = match (made, action) {
                (true, Action::ArriveNoRoom(_)) => {
                    format!("accepts server s{}, for which it has no room", after.made)
                }
                (true, Action::ArriveUnlisted(_)) => {
                    format!("makes server s{}, which no list has yet", after.made)
                }
                (true, _) => format!("makes server s{}", after.made),
                _ if after.cloud == before.cloud && after.broken.is_none() => {
                    format!("refuses to {}", call(message.call))
                }
                _ => format!("begins to {}", call(message.call)),
            };
            format!("The cloud {outcome}; {who}.")
        }
        Action::Refuse(at) => format!(
            "The cloud refuses to {} for a passing reason.",
            call(before.wire[at].call)
        ),
        Action::TimeOut(at) => {
            let message = before.wire[at];
            let name = NAMES[usize::from(message.from?)];
            format!("{name} gets no answer to its call to {}.", call(message.call))
        }
        Action::Lose(at) => format!("The call to {} is lost.", call(before.wire[at].call)),
        Action::Progress(at) => {
            let machine = before.cloud[at];
            match machine.then? {
                ServerState::Absent => format!("Server {} is gone.", machine.id()),
                state => format!("Server {} is {state}.", machine.id()),
            }
        }
        Action::List(at) => format!("Lists have server {} from now on.", before.cloud[at].id()),
        Action::Deny(at) => format!(
            "The cloud denies server {}, in lists and by its id.",
            before.cloud[at].id()
        ),
        Action::Admit(at) => format!("The cloud has server {} again.", before.cloud[at].id()),
        Action::FlipOutside(at) => {
            let now = if before.cloud[at].state == ServerState::Running {
                "stops"
            } else {
                "starts"
            };
            format!("Somebody else {now} server {}.", before.cloud[at].id())
        }
        Action::DeleteOutside(at) => format!("Somebody else deletes server {}.", before.cloud[at].id()),
        Action::ResizeOutside(at) => format!(
            "Somebody else resizes server {}; it waits for a word.",
            before.cloud[at].id()
        ),
        Action::BecomeUnknown(at) => format!(
            "Server {} reads in a word that nobody knows.",
            before.cloud[at].id()
        ),
        Action::EditPower => format!("The user edits the power state: {}.", object(world, after.object)),
        Action::EditSize => format!("The user edits the size: {}.", object(world, after.object)),
        Action::Delete => "The user deletes the object.".to_owned(),
        Action::Force => "The user takes the finalizer away by force; the object is gone.".to_owned(),
        Action::Recreate => "The user makes an object of the same name again.".to_owned(),
        Action::Ask => "The user asks for an image of the server.".to_owned(),
        Action::Tick => return None,
    })
}

fn turn(world: &World, before: &State, after: &State, p: usize, lists: bool, loses: bool) -> Option<String> {
    let name = NAMES[p];
    let process = before.processes[p];
    let list = if lists {
        Some(world.list(before, p))
    } else {
        process.list
    };
    let known = match (lists, list.map(|n| world.mind.seen(n))) {
        (true, Some(seen)) => format!("lists ({}) and plans", servers(&seen)),
        (false, Some(seen)) => format!("plans on its last list ({})", servers(&seen)),
        (_, None) => "plans without a list".to_owned(),
    };
    let thought = world
        .mind
        .think(process.view?, process.memory, list, p, process.born, before.asked);
    let calls = matches!(thought.does, Does::Call(..));
    let acts = thought.writes || calls || matches!(thought.does, Does::AddFinalizer | Does::RemoveFinalizer);
    let outdated = acts && !process.fresh && after.object == before.object;
    let does = match thought.does {
        _ if outdated => "would write, but the object has changed: it reads it again".to_owned(),
        Does::Nothing if thought.writes => format!("writes down \"{}\"", thought.says),
        Does::Nothing => "sees nothing to do".to_owned(),
        Does::AddFinalizer => "puts the finalizer on the object".to_owned(),
        Does::RemoveFinalizer => "takes the finalizer away: the object is gone".to_owned(),
        Does::Look(n) => {
            let found = after.cloud.iter().any(|m| m.n == n && m.denied == 0);
            format!(
                "asks for server s{n} by its id: {}",
                if found { "it is there" } else { "404" }
            )
        }
        Does::Call(_, c) => format!("writes the record, and is about to {}", call(c)),
    };
    let lost = if loses {
        "; the reply to its write is lost"
    } else {
        ""
    };
    Some(format!("{name} {known}: it {does}{lost}."))
}

fn servers(seen: &Seen) -> String {
    let words = seen.machines.iter().map(|m| {
        let whose = match m.mark {
            Mark::None => ", without a mark".to_owned(),
            Mark::Of(1) => String::new(),
            Mark::Of(n) => format!(", of object {n}"),
            Mark::Elsewhere => ", of another installation".to_owned(),
        };
        format!("{} {}{whose}", m.id(), m.state)
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "nothing there".to_owned()
    } else {
        words.join("; ")
    }
}

fn object(world: &World, number: Option<u32>) -> String {
    let Some(object) = number.map(|n| world.mind.object(n)) else {
        return "it is gone".to_owned();
    };
    let spec = &object.server.spec;
    let power = spec.power_state.map_or("nothing", |p| p.as_str());
    let size = spec
        .size
        .as_ref()
        .and_then(|s| s.name.clone())
        .unwrap_or_default();
    let goes = if object.deleting() { ", being deleted" } else { "" };
    format!("{power} and {size} are wished for{goes}")
}

fn call(call: Call) -> String {
    match call {
        Call::Create { .. } => "create a server".to_owned(),
        Call::Operate { n, kind, size, .. } => match kind {
            OperationKind::Resize => format!("resize server s{n} to size-{size}"),
            OperationKind::ConfirmResize => format!("confirm the resize of server s{n}"),
            OperationKind::RevertResize => format!("revert the resize of server s{n}"),
            OperationKind::CreateImage => format!("make an image of server s{n}"),
            OperationKind::DeleteFailed => format!("delete server s{n}, which never ran"),
            kind => format!("{} server s{n}", kind.as_str().to_lowercase()),
        },
    }
}
