//! Everything that can happen next to a group, its members and their controllers.

use std::sync::Arc;

use stateright::{Model, Property};

use evenkeel::api::server_group::PlacementPolicy;
use evenkeel::planner::bugs::Bug;
use evenkeel::planner::memory::Memory;
use evenkeel::planner::model::{ErrorClass, ObservedGroup};

use super::cloud::{arrive, progress};
use super::laws;
use super::mind::{Does, Mind, Object, Reply, Thought};
use super::world::{Bounds, Group, Message, Process, State, View, World, Wrong};
use crate::calm::Calm;
use crate::clock;
use crate::laws::ONE_CALL;
use crate::world::Left;

/// A wire carries a call for so many ticks at most.
const LATE: u8 = 2;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A process lists, plans for an object, and carries the plan out. The reply to its write may be lost.
    Turn(usize, usize, bool),
    /// A watch shows a process an object as it is.
    Watch(usize, usize),
    /// A process dies and is started again.
    Crash(usize),
    /// A call arrives, and who sent it hears of it.
    Arrive(usize),
    /// A call is refused.
    Refuse(usize),
    /// Who sent a call hears nothing of it.
    TimeOut(usize),
    /// A call that nobody waits for is lost.
    Lose(usize),
    /// What was under way with a server is done.
    Progress(usize),
    /// Somebody else deletes the group.
    DeleteOutside(usize),
    /// The user deletes an object.
    Delete(usize),
    /// The user takes a member out of the group, or puts it back.
    Move(usize),
    /// Time passes.
    Tick,
}

impl World {
    pub(crate) fn new(bounds: Bounds, bug: Option<Bug>) -> Self {
        let mind = Arc::new(Mind::new(bounds.can, bug));
        let memory = mind.keep_memory(Memory::default());
        let objects: Vec<Option<u32>> = (0..=bounds.members).map(|n| Some(mind.new_object(n))).collect();
        let view = |object: &Option<u32>| View {
            object: *object,
            fresh: true,
            memory,
        };
        let process = Process {
            born: 1,
            views: objects.iter().map(view).collect(),
        };
        let mut first = State {
            objects,
            processes: vec![process; bounds.controllers],
            wire: Vec::new(),
            groups: Vec::new(),
            servers: Vec::new(),
            made: 0,
            left: Left::default(),
            let_go: 0,
            broken: None,
        };
        if bounds.stranger {
            let theirs = ObservedGroup {
                name: "g".to_owned(),
                policy: Some(PlacementPolicy::SoftAntiAffinity),
                raw_policy: "SoftAntiAffinity".to_owned(),
                ..ObservedGroup::default()
            };
            first.groups.push(Group {
                n: 9,
                ours: false,
                shape: mind.keep_shape(theirs),
                members: Vec::new(),
            });
        }
        let calm = Arc::new(Calm::default());
        let mut world = Self {
            bounds,
            mind,
            calm,
            first,
        };
        if world.bounds.settled {
            world.first = world.at_rest(&world.first).expect("a group comes to rest");
        }
        world.first.left = world.bounds.left;
        world
    }

    /// A process plans for an object, and carries it out.
    pub(crate) fn turn(&self, s: &mut State, p: usize, about: usize, loses: bool) -> Option<Thought> {
        let thought = self.mind.think(s, p, about)?;
        let (from, object) = (Some(p as u8), about as u8);
        let calls = matches!(thought.does, Does::Call(..));
        if calls && s.wire.iter().any(|m| (m.from, m.about) == (from, object)) {
            let how = "a second call while one is under way";
            s.broken = Some(Wrong { law: ONE_CALL, how });
            return Some(thought);
        }
        let edits = matches!(thought.does, Does::AddFinalizer | Does::RemoveFinalizer);
        let mut fresh = s.processes[p].views[about].fresh;
        if calls || thought.writes || edits {
            if !fresh {
                self.watch(s, p, about);
                return Some(thought);
            }
            if loses && (thought.writes || edits) {
                s.left.lost_writes -= 1;
                fresh = false;
            }
        }
        if loses && fresh {
            return None;
        }
        if thought.writes {
            write(s, p, about, Some(thought.object), fresh);
        }
        if loses && thought.writes {
            return Some(thought);
        }
        s.processes[p].views[about].memory = thought.memory;
        match thought.does {
            Does::Nothing => {}
            Does::AddFinalizer | Does::RemoveFinalizer => {
                let adds = thought.does == Does::AddFinalizer;
                let current = s.processes[p].views[about].object?;
                let new = self.mind.edit(current, |object| {
                    let finalizer = object.finalizer();
                    let all = object.meta_mut().finalizers.get_or_insert_default();
                    all.retain(|f| f != finalizer);
                    if adds {
                        all.push(finalizer.to_owned());
                    }
                });
                let gone = !adds && self.mind.object(new).deleting();
                if gone {
                    s.let_go |= 1 << about;
                }
                write(s, p, about, Some(new).filter(|_| !gone), fresh);
                if gone && fresh {
                    s.processes[p].views[about].memory = self.mind.keep_memory(Memory::default());
                }
            }
            Does::Look(n) => {
                let found = s.servers.iter().find(|m| m.n == n).copied();
                let memory = self.mind.look(thought.memory, p, n, found);
                s.processes[p].views[about].memory = memory;
            }
            Does::Call(key, call) => {
                let memory = self.mind.hear(thought.memory, p, key, Reply::UnderWay);
                s.processes[p].views[about].memory = memory;
                s.broken = s.broken.or(thought.broken);
                s.wire.push(Message {
                    from,
                    about: object,
                    key,
                    call,
                    age: 0,
                });
            }
        }
        Some(thought)
    }

    /// A process learns what the API server has.
    pub(crate) fn watch(&self, s: &mut State, p: usize, about: usize) {
        let object = s.objects[about];
        let view = &mut s.processes[p].views[about];
        if object.is_none() {
            view.memory = self.mind.keep_memory(Memory::default());
        }
        (view.object, view.fresh) = (object, true);
    }

    fn tell(&self, s: &mut State, message: Message, reply: Reply) {
        let Some(p) = message.from.map(usize::from) else {
            return;
        };
        let view = &mut s.processes[p].views[usize::from(message.about)];
        if view.object.is_some() {
            view.memory = self.mind.hear(view.memory, p, message.key, reply);
        }
    }

    /// A call arrives.
    pub(crate) fn arrive(&self, s: &mut State, at: usize) {
        let message = s.wire.remove(at);
        let call = self.mind.call(message.call);
        let reply = match arrive(s, &self.mind, usize::from(message.about), &call) {
            Ok(id) => Reply::Accepted(id),
            Err(class) => Reply::Refused(class),
        };
        self.tell(s, message, reply);
    }

    /// Everything is one tick older.
    pub(crate) fn older(&self, s: &mut State) {
        let older = |n: Option<u32>| n.map(|n| self.mind.older_object(n));
        s.objects.iter_mut().for_each(|n| *n = older(*n));
        for view in s.processes.iter_mut().flat_map(|p| &mut p.views) {
            view.object = older(view.object);
            view.memory = self.mind.older_memory(view.memory);
        }
        for message in &mut s.wire {
            message.age += 1;
            message.key = self.mind.older_key(message.key);
        }
        for machine in &mut s.servers {
            machine.age = if machine.then.is_some() {
                machine.age + 1
            } else {
                0
            };
        }
    }

    fn user_edits(&self, s: &mut State, about: usize, change: impl FnOnce(&mut Object)) -> Option<()> {
        let new = self.mind.edit(s.objects[about]?, |object| {
            change(object);
            if let Some(generation) = &mut object.meta_mut().generation {
                *generation += 1;
            }
        });
        replace(s, about, Some(new));
        Some(())
    }
}

/// A process writes an object; `hears`: it gets the reply.
fn write(s: &mut State, p: usize, about: usize, object: Option<u32>, hears: bool) {
    replace(s, about, object);
    if hears {
        let view = &mut s.processes[p].views[about];
        (view.object, view.fresh) = (object, true);
    }
}

/// Somebody writes an object: nobody knows the new version yet.
fn replace(s: &mut State, about: usize, object: Option<u32>) {
    s.objects[about] = object;
    s.processes.iter_mut().for_each(|p| p.views[about].fresh = false);
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
        for (p, process) in s.processes.iter().enumerate() {
            for (about, view) in process.views.iter().enumerate() {
                if view.object.is_some() {
                    actions.push(Action::Turn(p, about, false));
                    if left.lost_writes > 0 {
                        actions.push(Action::Turn(p, about, true));
                    }
                }
                if !view.fresh {
                    actions.push(Action::Watch(p, about));
                }
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(p));
            }
        }
        for (at, message) in s.wire.iter().enumerate() {
            actions.push(Action::Arrive(at));
            if message.from.is_none() {
                actions.push(Action::Lose(at));
                continue;
            }
            if left.timeouts > 0 {
                actions.push(Action::TimeOut(at));
            }
            if left.refusals > 0 {
                actions.push(Action::Refuse(at));
            }
        }
        let under_way = s.servers.iter().enumerate().filter(|(_, m)| m.then.is_some());
        actions.extend(under_way.map(|(at, _)| Action::Progress(at)));
        if left.outside > 0 {
            let ours = s.groups.iter().enumerate().filter(|(_, g)| g.ours);
            actions.extend(ours.map(|(at, _)| Action::DeleteOutside(at)));
        }
        for (about, object) in s.objects.iter().enumerate() {
            let Some(object) = object.map(|n| self.mind.object(n)).filter(|o| !o.deleting()) else {
                continue;
            };
            if left.deletes > 0 {
                actions.push(Action::Delete(about));
            }
            if left.edits > 0 && matches!(&*object, Object::Server(_)) {
                actions.push(Action::Move(about));
            }
        }
        actions.push(Action::Tick);
    }

    fn next_state(&self, old: &State, action: Action) -> Option<State> {
        let mut s = old.clone();
        match action {
            Action::Turn(p, about, loses) => {
                self.turn(&mut s, p, about, loses)?;
            }
            Action::Watch(p, about) => self.watch(&mut s, p, about),
            Action::Crash(p) => {
                s.left.crashes -= 1;
                let process = &mut s.processes[p];
                process.born += 1;
                let memory = self.mind.keep_memory(Memory::default());
                process.views.iter_mut().for_each(|v| v.memory = memory);
                let theirs = s.wire.iter_mut().filter(|m| m.from == Some(p as u8));
                theirs.for_each(|m| m.from = None);
            }
            Action::Arrive(at) => self.arrive(&mut s, at),
            Action::Refuse(at) => {
                s.left.refusals -= 1;
                let message = s.wire.remove(at);
                self.tell(&mut s, message, Reply::Refused(ErrorClass::Transient));
            }
            Action::TimeOut(at) => {
                s.left.timeouts -= 1;
                let message = s.wire[at];
                s.wire[at].from = None;
                self.tell(&mut s, message, Reply::Lost);
            }
            Action::Lose(at) => drop(s.wire.remove(at)),
            Action::Progress(at) => progress(&mut s, at),
            Action::DeleteOutside(at) => {
                s.left.outside -= 1;
                s.groups.remove(at);
            }
            Action::Delete(about) => {
                s.left.deletes -= 1;
                if self.mind.object(s.objects[about]?).has_finalizer() {
                    self.user_edits(&mut s, about, |object| {
                        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(clock::now(0));
                        object.meta_mut().deletion_timestamp = Some(time);
                    })?;
                } else {
                    s.let_go |= 1 << about;
                    replace(&mut s, about, None);
                }
            }
            Action::Move(about) => {
                s.left.edits -= 1;
                self.user_edits(&mut s, about, |object| {
                    if let Object::Server(server) = object {
                        server.spec.group_ref = match server.spec.group_ref {
                            Some(_) => None,
                            None => serde_json::from_value(serde_json::json!({"name": "g"})).ok(),
                        };
                    }
                })?;
            }
            Action::Tick => {
                let waits = old.wire.iter().any(|m| m.age >= LATE)
                    || old.servers.iter().any(|m| m.then.is_some() && m.age >= 1);
                // A watch is never a tick behind; what is older than that, crashes and lost replies show.
                let behind = old.processes.iter().flat_map(|p| &p.views).any(|v| !v.fresh);
                if waits || behind {
                    return None;
                }
                if old.wire.iter().any(|m| m.from.is_some() && m.age == 0) {
                    s.left.slow = s.left.slow.checked_sub(1)?;
                }
                self.older(&mut s);
            }
        }
        tidy(&mut s);
        (s != *old).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties()
    }
}

/// In an order that says nothing.
pub(crate) fn tidy(s: &mut State) {
    s.wire.sort_unstable();
    s.servers.sort_unstable();
    s.groups.sort_unstable();
}
