//! Everything that can happen next.

use std::sync::Arc;

use serde_json::Value;
use stateright::{Model, Property};

use evenkeel::api::server::PowerWish;
use evenkeel::api::{Server, keys};
use evenkeel::planner::bugs::Bug;
use evenkeel::planner::memory::Memory;
use evenkeel::planner::model::ServerState::{Absent, AwaitingResizeConfirmation, Running, Stopped, Unknown};
use evenkeel::planner::model::{Capabilities, ErrorClass};

use crate::calm::Calm;
use crate::clock;
use crate::cloud::{arrive, progress, settled};
use crate::laws;
use crate::mind::{Does, Mind, Reply, Seen, Thought, older_key};
use crate::world::{Broken, Call, Law, Left, Machine, Mark, Message, Pending, Process, State};

/// A wire carries a call for so many ticks at most, and so long a new server is in no list: an effect of a create shows
/// within `create_settle_seconds` and the five seconds until it is sent.
const LATE: u8 = 2;
/// For so many ticks a cloud denies a server: less than three questions ten seconds apart take.
const DENIES: u8 = 1;
/// So many processes.
const BOTH: [usize; 2] = [0, 1];

/// A bug of the shell around the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShellBug {
    DropTheCas,
    SendLate,
    RepeatTheCreate,
    CallBeforeTheRecord,
}

impl ShellBug {
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::DropTheCas => "A record is written over whatever is there.",
            Self::SendLate => "A call is sent however long ago it was recorded.",
            Self::RepeatTheCreate => "The way to the cloud repeats a create that had no answer.",
            Self::CallBeforeTheRecord => "A call is sent before its record is written.",
        }
    }
}

/// What is explored, and how far.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) can: &'static Capabilities,
    /// Beside providerConfigRef, powerState, size and image.
    pub(crate) spec: Value,
    /// Begins with a server at rest; else with an object that was just made.
    pub(crate) settled: bool,
    /// A server of the same name that somebody made by hand, and one of another installation.
    pub(crate) strangers: bool,
    pub(crate) left: Left,
    /// Of so many states one is looked at for what becomes of it when everything goes well from then on; none: 0.
    pub(crate) calm_one_in: u64,
    /// So many steps at most; else all there are.
    pub(crate) depth: Option<usize>,
}

/// The model.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) mind: Arc<Mind>,
    pub(crate) shell_bug: Option<ShellBug>,
    pub(crate) calm: Arc<Calm>,
    pub(crate) first: State,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A process plans, and carries the plan out; before that it may list. The reply to its write may be lost.
    Turn {
        process: usize,
        lists: bool,
        loses_reply: bool,
    },
    /// A watch shows a process the object as it is.
    Watch(usize),
    /// A process sends the call that it recorded.
    Send(usize),
    /// A process dies and is started again.
    Crash(usize),
    /// A call arrives, and who sent it hears of it.
    Arrive(usize),
    /// A create arrives, and the new server is not in lists at first.
    ArriveUnlisted(usize),
    /// A create arrives, is accepted, and there is no room for it.
    ArriveNoRoom(usize),
    /// A call is refused.
    Refuse(usize),
    /// Who sent a call hears nothing of it.
    TimeOut(usize),
    /// A call that nobody waits for is lost.
    Lose(usize),
    /// What was under way with a server is done.
    Progress(usize),
    /// Lists have a new server.
    List(usize),
    /// The cloud denies a server.
    Deny(usize),
    /// It does not deny it any more.
    Admit(usize),
    /// Somebody else flips its power.
    FlipOutside(usize),
    /// Somebody else deletes a server.
    DeleteOutside(usize),
    /// Somebody else begins a resize.
    ResizeOutside(usize),
    /// A server reads in a word that nobody knows.
    BecomeUnknown(usize),
    /// The user edits the power state.
    EditPower,
    /// The user edits the size.
    EditSize,
    /// The user deletes the object.
    Delete,
    /// The user takes the finalizer away.
    Force,
    /// The user makes the object again.
    Recreate,
    /// The user asks for an image.
    Ask,
    /// Time passes.
    Tick,
}

impl World {
    pub(crate) fn new(bounds: Bounds, bug: Option<Bug>, shell_bug: Option<ShellBug>) -> Self {
        let mind = Arc::new(Mind::new(bounds.can, bounds.spec.clone(), bug));
        let memory = mind.keep_memory(Memory::default());
        let object = Some(mind.new_object(1));
        let process = Process {
            born: 1,
            view: object,
            fresh: true,
            memory,
            list: None,
            pending: None,
        };
        let mut first = State {
            object,
            processes: [process; 2],
            wire: Vec::new(),
            cloud: Vec::new(),
            made: 0,
            left: Left::default(),
            let_go: 0,
            asked: false,
            broken: None,
        };
        if bounds.strangers {
            first.cloud = vec![
                settled(8),
                Machine {
                    mark: Mark::Elsewhere,
                    ..settled(9)
                },
            ];
        }
        let calm = Arc::new(Calm::default());
        let mut world = Self {
            bounds,
            mind,
            shell_bug: None,
            calm,
            first,
        };
        if world.bounds.settled {
            world.first = world.at_rest(&world.first).expect("a server comes to rest");
        }
        world.first.left = world.bounds.left;
        world.shell_bug = shell_bug;
        world
    }

    /// A process plans, and carries it out.
    ///
    /// It lists first, but for the worlds that may see it plan on an old list. A list that nobody will plan on again is
    /// forgotten.
    pub(crate) fn turn(&self, s: &mut State, p: usize, lists: bool, loses_reply: bool) -> Option<Thought> {
        let new = self.list(s, p);
        if lists {
            s.processes[p].list = Some(new);
        } else if s.processes[p].list.is_none_or(|old| old == new) {
            return None;
        } else {
            s.left.old_lists -= 1;
        }
        let process = s.processes[p];
        if s.left.old_lists == 0 {
            s.processes.iter_mut().for_each(|process| process.list = None);
        }
        let view = process.view?;
        let thought = self
            .mind
            .think(view, process.memory, process.list, p, process.born, s.asked);
        let calls = matches!(thought.does, Does::Call(..));
        let waits = process.pending.is_some() || s.wire.iter().any(|m| m.from == Some(p as u8));
        if calls && waits {
            s.broken = Some(Broken::new(Law::OneCall, "a second call while one is under way"));
            return Some(thought);
        }
        if self.shell_bug == Some(ShellBug::CallBeforeTheRecord)
            && let Does::Call(key, call) = thought.does
        {
            let from = Some(p as u8);
            s.wire.push(Message {
                from,
                key,
                call,
                age: 0,
            });
        }
        let forced = self.shell_bug == Some(ShellBug::DropTheCas) && calls && s.object.is_some();
        let mut fresh = process.fresh || forced;
        let edits = matches!(thought.does, Does::AddFinalizer | Does::RemoveFinalizer);
        if calls || thought.writes || edits {
            if !fresh {
                self.watch(s, p);
                return Some(thought);
            }
            if loses_reply && (thought.writes || edits) {
                s.left.lost_writes -= 1;
                fresh = false;
            }
        } else if loses_reply {
            return None;
        }
        if thought.writes {
            write(s, p, Some(thought.object), fresh);
        }
        if loses_reply && thought.writes {
            return Some(thought);
        }
        s.processes[p].memory = thought.memory;
        match thought.does {
            Does::Nothing => {}
            Does::AddFinalizer | Does::RemoveFinalizer => {
                let adds = thought.does == Does::AddFinalizer;
                let current = s.processes[p].view.unwrap_or(view);
                let new = self.mind.edit(current, |server| {
                    let all = server.metadata.finalizers.get_or_insert_default();
                    all.retain(|f| f != keys::FINALIZER);
                    if adds {
                        all.push(keys::FINALIZER.to_owned());
                    }
                });
                let object = self.mind.object(new);
                let gone = object.deleting() && !adds;
                if gone {
                    s.let_go |= object.uid;
                }
                write(s, p, Some(new).filter(|_| !gone), fresh);
                if gone && fresh {
                    s.processes[p].memory = self.mind.keep_memory(Memory::default());
                }
            }
            Does::Look(n) => {
                let found = s.cloud.iter().find(|m| m.n == n && m.denied == 0).map(shown);
                s.processes[p].memory = self.mind.look(thought.memory, p, n, found);
            }
            Does::Call(key, call) => {
                s.processes[p].memory = self.mind.hear(thought.memory, p, key, Reply::UnderWay);
                s.processes[p].pending = Some(Pending { key, call, age: 0 });
                s.broken = s.broken.or(thought.broken);
                if self.shell_bug == Some(ShellBug::CallBeforeTheRecord) {
                    s.processes[p].pending = None;
                }
                // What can come between is a crash or a pause. Anything else can as well come before it arrives.
                if s.left.crashes == 0 && s.left.pauses == 0 {
                    self.send(s, p);
                }
            }
        }
        Some(thought)
    }

    pub(crate) fn list(&self, s: &State, p: usize) -> u32 {
        let listed = s.cloud.iter().filter(|m| m.unlisted == 0 && m.denied == 0);
        self.mind.keep_list(Seen {
            asked: clock::offset(clock::now(p)),
            machines: listed.map(shown).collect(),
        })
    }

    /// A process learns what the API server has.
    pub(crate) fn watch(&self, s: &mut State, p: usize) {
        let uid = |n: Option<u32>| n.map(|n| self.mind.object(n).uid);
        let object = s.object;
        let process = &mut s.processes[p];
        if uid(process.view) != uid(object) {
            process.memory = self.mind.keep_memory(Memory::default());
        }
        (process.view, process.fresh) = (object, true);
    }

    /// A process sends what it recorded, unless that was too long ago.
    pub(crate) fn send(&self, s: &mut State, p: usize) {
        let Some(pending) = s.processes[p].pending.take() else {
            return;
        };
        let ticks = i64::from(pending.age) * clock::TICK;
        let late = ticks >= evenkeel::planner::SEND_WITHIN.as_secs().cast_signed();
        if late && self.shell_bug != Some(ShellBug::SendLate) {
            self.tell(s, p, pending.key, pending.call, Reply::NotSent);
            return;
        }
        s.wire.push(Message {
            from: Some(p as u8),
            key: pending.key,
            call: pending.call,
            age: 0,
        });
    }

    fn tell(&self, s: &mut State, p: usize, key: crate::world::Key, call: Call, reply: Reply) {
        let (Call::Create { uid, .. } | Call::Operate { uid, .. }) = call;
        let knows = s.processes[p].view.map(|n| self.mind.object(n).uid) == Some(uid);
        if knows {
            s.processes[p].memory = self.mind.hear(s.processes[p].memory, p, key, reply);
        }
    }

    /// A call arrives.
    pub(crate) fn arrive(&self, s: &mut State, at: usize, no_room: bool, unlisted: bool) {
        let message = s.wire.remove(at);
        let answer = arrive(s, self.bounds.can, message.call, no_room);
        if let (Ok(Some(n)), true) = (&answer, unlisted)
            && let Some(machine) = s.cloud.iter_mut().find(|m| m.n == *n)
        {
            // The later it arrives, the sooner it shows.
            machine.unlisted = 1 + message.age;
        }
        let Some(p) = message.from else {
            return;
        };
        let reply = match answer {
            Ok(n) => Reply::Accepted(n),
            Err(class) => Reply::Refused(class),
        };
        self.tell(s, usize::from(p), message.key, message.call, reply);
    }

    /// Time passes. `None`: something has to happen before.
    pub(crate) fn tick(&self, old: &State) -> Option<State> {
        let waits = old.wire.iter().any(|m| m.age >= LATE)
            || old.cloud.iter().any(|m| m.then.is_some() && m.age >= 1)
            || old.cloud.iter().any(|m| m.unlisted > LATE || m.denied > DENIES);
        if waits {
            return None;
        }
        let mut s = old.clone();
        if old.wire.iter().any(|m| m.from.is_some() && m.age == 0) {
            s.left.slow = s.left.slow.checked_sub(1)?;
        }
        for p in BOTH {
            if let Some(pending) = &mut s.processes[p].pending {
                if pending.age == 0 {
                    s.left.pauses = s.left.pauses.checked_sub(1)?;
                }
                pending.age = (pending.age + 1).min(4);
            }
        }
        self.older(&mut s);
        Some(s)
    }

    /// Everything is one tick older.
    pub(crate) fn older(&self, s: &mut State) {
        s.object = s.object.map(|n| self.mind.older_object(n));
        for process in &mut s.processes {
            process.view = process.view.map(|n| self.mind.older_object(n));
            process.memory = self.mind.older_memory(process.memory);
            process.list = process.list.map(|n| self.mind.older_list(n));
            if let Some(pending) = &mut process.pending {
                pending.key = older_key(pending.key);
            }
        }
        for message in &mut s.wire {
            message.age += 1;
            message.key = older_key(message.key);
        }
        for machine in &mut s.cloud {
            machine.age = if machine.then.is_some() {
                machine.age + 1
            } else {
                0
            };
            machine.unlisted += u8::from(machine.unlisted > 0);
            machine.denied += u8::from(machine.denied > 0);
        }
    }

    fn user_edits(&self, s: &mut State, change: impl FnOnce(&mut Server)) -> Option<()> {
        let new = self.mind.edit(s.object?, |server| {
            change(server);
            if let Some(generation) = &mut server.metadata.generation {
                *generation += 1;
            }
        });
        replace(s, Some(new));
        Some(())
    }
}

/// What a list or a look shows of a server.
fn shown(m: &Machine) -> Machine {
    Machine {
        age: 0,
        old_size: 0,
        unlisted: 0,
        denied: 0,
        theirs: false,
        images: 0,
        ..*m
    }
}

/// A process writes the object; `hears`: it gets the reply.
fn write(s: &mut State, p: usize, object: Option<u32>, hears: bool) {
    replace(s, object);
    if hears {
        (s.processes[p].view, s.processes[p].fresh) = (object, true);
    }
}

/// Somebody writes the object: nobody knows the new version yet.
fn replace(s: &mut State, object: Option<u32>) {
    s.object = object;
    for process in &mut s.processes {
        process.fresh = false;
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first.clone()]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        if s.broken.is_some() {
            return;
        }
        let left = &s.left;
        for p in BOTH {
            let process = &s.processes[p];
            if process.view.is_some() {
                actions.push(Action::Turn {
                    process: p,
                    lists: true,
                    loses_reply: false,
                });
                if left.old_lists > 0 {
                    actions.push(Action::Turn {
                        process: p,
                        lists: false,
                        loses_reply: false,
                    });
                }
                if left.lost_writes > 0 {
                    actions.push(Action::Turn {
                        process: p,
                        lists: true,
                        loses_reply: true,
                    });
                }
            }
            if !process.fresh {
                actions.push(Action::Watch(p));
            }
            if process.pending.is_some() {
                actions.push(Action::Send(p));
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(p));
            }
        }
        for (at, message) in s.wire.iter().enumerate() {
            actions.push(Action::Arrive(at));
            if matches!(message.call, Call::Create { .. }) {
                if left.lags > 0 {
                    actions.push(Action::ArriveUnlisted(at));
                }
                if left.no_room > 0 {
                    actions.push(Action::ArriveNoRoom(at));
                }
            }
            if message.from.is_none() {
                actions.push(Action::Lose(at));
            } else {
                if left.timeouts > 0 {
                    actions.push(Action::TimeOut(at));
                }
                if left.refusals > 0 {
                    actions.push(Action::Refuse(at));
                }
            }
        }
        for (at, machine) in s.cloud.iter().enumerate() {
            if machine.then.is_some() {
                actions.push(Action::Progress(at));
            }
            if machine.unlisted > 0 {
                actions.push(Action::List(at));
            }
            if machine.denied > 0 {
                actions.push(Action::Admit(at));
            }
            let ours = matches!(machine.mark, Mark::Of(_));
            // One that was made just now is denied by no cloud: that is the lag of lists.
            let known = || {
                s.object
                    .is_some_and(|n| self.mind.object(n).id() == Some(machine.n))
            };
            // Nor is it wrong to deny one that is being deleted.
            let going = machine.then == Some(Absent);
            if ours && left.denials > 0 && machine.denied == 0 && !going && known() {
                actions.push(Action::Deny(at));
            }
            if ours && left.outside > 0 && machine.then.is_none() {
                actions.push(Action::DeleteOutside(at));
                if matches!(machine.state, Running | Stopped) {
                    actions.push(Action::FlipOutside(at));
                    actions.push(Action::BecomeUnknown(at));
                    if self.bounds.can.resize_confirm {
                        actions.push(Action::ResizeOutside(at));
                    }
                }
            }
        }
        match s.object {
            Some(n) => {
                let deleting = self.mind.object(n).deleting();
                if left.edits > 0 && !deleting {
                    actions.push(Action::EditPower);
                    actions.push(Action::EditSize);
                }
                if left.deletes > 0 && !deleting {
                    actions.push(Action::Delete);
                }
                if left.forces > 0 && deleting {
                    actions.push(Action::Force);
                }
                if left.deeds > 0 && !s.asked {
                    actions.push(Action::Ask);
                }
            }
            None if left.recreations > 0 => actions.push(Action::Recreate),
            None => {}
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, old: &State, action: Action) -> Option<State> {
        let mut s = old.clone();
        match action {
            Action::Turn {
                process,
                lists,
                loses_reply,
            } => {
                self.turn(&mut s, process, lists, loses_reply)?;
            }
            Action::Watch(p) => self.watch(&mut s, p),
            Action::Send(p) => self.send(&mut s, p),
            Action::Crash(p) => {
                s.left.crashes -= 1;
                let process = &mut s.processes[p];
                process.born += 1;
                process.memory = self.mind.keep_memory(Memory::default());
                (process.list, process.pending) = (None, None);
                orphan(&mut s, |m| m.from == Some(p as u8));
            }
            Action::Arrive(at) => self.arrive(&mut s, at, false, false),
            Action::ArriveUnlisted(at) => {
                s.left.lags -= 1;
                self.arrive(&mut s, at, false, true);
            }
            Action::ArriveNoRoom(at) => {
                s.left.no_room -= 1;
                self.arrive(&mut s, at, true, false);
            }
            Action::Refuse(at) => {
                s.left.refusals -= 1;
                let message = s.wire.remove(at);
                let p = usize::from(message.from?);
                self.tell(
                    &mut s,
                    p,
                    message.key,
                    message.call,
                    Reply::Refused(ErrorClass::Transient),
                );
            }
            Action::TimeOut(at) => {
                s.left.timeouts -= 1;
                let message = s.wire[at];
                let p = usize::from(message.from?);
                s.wire[at].from = None;
                self.tell(&mut s, p, message.key, message.call, Reply::Lost);
                if self.shell_bug == Some(ShellBug::RepeatTheCreate)
                    && matches!(message.call, Call::Create { .. })
                {
                    s.wire.push(Message { age: 0, ..s.wire[at] });
                }
            }
            Action::Lose(at) => {
                s.wire.remove(at);
            }
            Action::Progress(at) => progress(&mut s, at),
            Action::List(at) => s.cloud[at].unlisted = 0,
            Action::Deny(at) => {
                s.left.denials -= 1;
                s.cloud[at].denied = 1;
            }
            Action::Admit(at) => s.cloud[at].denied = 0,
            Action::FlipOutside(at) => {
                s.left.outside -= 1;
                let flipped = if s.cloud[at].state == Running {
                    Stopped
                } else {
                    Running
                };
                s.cloud[at].state = flipped;
            }
            Action::DeleteOutside(at) => {
                s.left.outside -= 1;
                s.cloud.remove(at);
            }
            Action::ResizeOutside(at) => {
                s.left.outside -= 1;
                let machine = &mut s.cloud[at];
                machine.guest = machine.state == Running;
                machine.old_size = machine.size;
                machine.size = 3;
                machine.theirs = true;
                machine.state = AwaitingResizeConfirmation;
            }
            Action::BecomeUnknown(at) => {
                s.left.outside -= 1;
                s.cloud[at].state = Unknown;
            }
            Action::EditPower => {
                s.left.edits -= 1;
                self.user_edits(&mut s, |server| {
                    let stops = server.spec.power_state == Some(PowerWish::Running);
                    server.spec.power_state = Some(if stops {
                        PowerWish::Stopped
                    } else {
                        PowerWish::Running
                    });
                })?;
            }
            Action::EditSize => {
                s.left.edits -= 1;
                self.user_edits(&mut s, |server| {
                    if let Some(name) = server.spec.size.as_mut().and_then(|size| size.name.as_mut()) {
                        *name = if name == "size-1" { "size-2" } else { "size-1" }.to_owned();
                    }
                })?;
            }
            Action::Delete => {
                s.left.deletes -= 1;
                if self.mind.object(s.object?).has_finalizer() {
                    self.user_edits(&mut s, |server| {
                        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(clock::now(0));
                        server.metadata.deletion_timestamp = Some(time);
                    })?;
                } else {
                    s.let_go |= self.mind.object(s.object?).uid;
                    replace(&mut s, None);
                }
            }
            Action::Force => {
                s.left.forces -= 1;
                replace(&mut s, None);
            }
            Action::Recreate => {
                s.left.recreations -= 1;
                replace(&mut s, Some(self.mind.new_object(2)));
            }
            Action::Ask => {
                s.left.deeds -= 1;
                s.asked = true;
            }
            Action::Tick => s = self.tick(old)?,
        }
        s.wire.sort_unstable();
        s.cloud.sort_unstable();
        (s != *old).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties()
    }
}

/// Nobody waits for these calls any more.
fn orphan(s: &mut State, whose: impl Fn(&Message) -> bool) {
    s.wire.iter_mut().filter(|m| whose(m)).for_each(|m| m.from = None);
}
