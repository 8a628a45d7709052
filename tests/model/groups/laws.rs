//! What must hold of every state of a group and its members, and what becomes of it when nothing goes wrong any more.

use stateright::Property;

use super::cloud::progress;
use super::mind::{Does, Object};
use super::steps::tidy;
use super::world::{GROUP, State, World};
use crate::laws::{
    COMES_TO_REST, DELETES, MEMBERS_FIRST, NO_STRANGER, NOTHING_LEFT, ONE_CALL, ONE_GROUP, ONE_SERVER,
    PRECONDITION, one_of,
};
use crate::world::{Left, Mark};

fn servers_of(s: &State, about: usize) -> usize {
    s.servers
        .iter()
        .filter(|m| m.mark == Mark::Of(about as u8))
        .count()
}

fn groups_of_ours(s: &State) -> usize {
    s.groups.iter().filter(|g| g.ours).count()
}

fn holds(s: &State, law: &str) -> bool {
    s.broken.is_none_or(|b| b.law != law)
}

fn gone(s: &State, about: usize) -> bool {
    s.let_go & (1 << about) != 0
}

pub(crate) fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(ONE_GROUP, |_, s: &State| groups_of_ours(s) <= 1),
        Property::always(ONE_SERVER, |_, s: &State| {
            (1..s.objects.len()).all(|about| servers_of(s, about) <= 1)
        }),
        Property::always(NOTHING_LEFT, |_, s: &State| {
            let members = (1..s.objects.len()).filter(|about| gone(s, *about));
            holds(s, NOTHING_LEFT)
                && members.map(|about| servers_of(s, about)).sum::<usize>() == 0
                && (!gone(s, GROUP) || groups_of_ours(s) == 0)
        }),
        Property::always(NO_STRANGER, |_, s: &State| holds(s, NO_STRANGER)),
        Property::always(PRECONDITION, |_, s: &State| holds(s, PRECONDITION)),
        Property::always(DELETES, |_, s: &State| holds(s, DELETES)),
        Property::always(MEMBERS_FIRST, |_, s: &State| holds(s, MEMBERS_FIRST)),
        Property::always(ONE_CALL, |_, s: &State| holds(s, ONE_CALL)),
        Property::always(COMES_TO_REST, |w: &World, s: &State| {
            let one_in = w.bounds.calm_one_in;
            one_in == 0 || s.broken.is_some() || !one_of(s, one_in) || w.at_rest(s).is_ok()
        }),
    ]
}

impl World {
    /// Where a state comes to rest. `Err`: why it does not.
    pub(crate) fn at_rest(&self, from: &State) -> Result<State, String> {
        let mut s = from.clone();
        s.left = Left::default();
        let known = self.bounds.calm_one_in > 0 && from.left != Left::default();
        self.calm
            .follow(s, known, |s| self.round(s), |s| self.judge_rest(s))
    }

    /// One round in which everything goes well.
    fn round(&self, s: &mut State) -> Result<(), String> {
        self.settle(s);
        for p in 0..s.processes.len() {
            for about in 0..s.objects.len() {
                self.watch(s, p, about);
                let thought = self.turn(s, p, about, false);
                // A step of its own is followed by the next at once.
                if thought.is_some_and(|t| matches!(t.does, Does::AddFinalizer | Does::Look(_))) {
                    self.turn(s, p, about, false);
                }
            }
        }
        self.settle(s);
        self.older(s);
        tidy(s);
        s.broken.map_or(Ok(()), |broken| Err(broken.how.to_owned()))
    }

    /// What is on its way arrives, and what is under way is done.
    fn settle(&self, s: &mut State) {
        while !s.wire.is_empty() {
            self.arrive(s, 0);
        }
        for at in (0..s.servers.len()).rev() {
            progress(s, at);
        }
    }

    /// Whether it is as wished.
    fn judge_rest(&self, s: &State) -> Result<(), String> {
        let objects: Vec<_> = s.objects.iter().map(|n| n.map(|n| self.mind.object(n))).collect();
        let is_wished = |o: &Option<std::sync::Arc<Object>>| o.as_ref().is_some_and(|o| !o.deleting());
        let wished = is_wished(&objects[GROUP]);
        for (about, object) in objects.iter().enumerate() {
            let Some(object) = object else { continue };
            let (ready, reason, words) = object.ready();
            let said = format!("{reason}: {words}");
            if !object.current() {
                return Err("the last wish was not looked at".to_owned());
            }
            if about == GROUP {
                let kept = objects[1..]
                    .iter()
                    .flatten()
                    .any(|o| o.names_the_group() && o.exists());
                match (object.deleting(), ready.as_str(), groups_of_ours(s)) {
                    (true, ..) if kept => {}
                    (true, ..) => return Err(format!("the deletion of the group does not end: {said}")),
                    (false, "True", 1) => {}
                    // Somebody deleted it: it is never made again by itself.
                    (false, _, 0) if reason == "Missing" => {}
                    (false, _, n) => {
                        return Err(format!("at rest with {n} groups, and not as wished: {said}"));
                    }
                }
                continue;
            }
            if object.deleting() {
                return Err(format!("the deletion of a member does not end: {said}"));
            }
            let number = s
                .servers
                .iter()
                .find(|m| m.mark == Mark::Of(about as u8))
                .map(|m| m.n);
            let placed = s
                .groups
                .iter()
                .any(|g| g.ours && number.is_some_and(|n| g.members.contains(&n)));
            let has_group = wished && groups_of_ours(s) == 1;
            let named = object.names_the_group();
            // Where members are placed only as they are made, one that was made elsewhere stays there, and says so.
            let movable = self.mind.can.groups.is_some_and(|can| can.members_mutable);
            match (ready.as_str(), number.is_some()) {
                ("True", true) if !named || placed || !has_group => {}
                (_, true) if !movable && reason == "Immutable" && placed != (named && has_group) => {}
                // Without its group it is not made, and where it is it waits for it.
                (_, _) if named && !has_group => {}
                _ => return Err(format!("at rest, and a member is not as wished: {said}")),
            }
        }
        Ok(())
    }
}
