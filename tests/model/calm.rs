//! What becomes of a state when nothing goes wrong any more and nobody does anything: it has to come to rest, as wished.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use evenkeel::api::conditions::ConditionType;
use evenkeel::planner::model::ServerState::{AwaitingResizeConfirmation, Running, Stopped, Unknown};

use crate::cloud::progress;
use crate::mind::{Does, Object};
use crate::steps::World;
use crate::tables::Quick;
use crate::world::{Left, Mark, State};

/// So many rounds it may take: each is a tick in which both processes list and plan.
pub(crate) const ROUNDS: usize = 60;

/// States of which it is known that they come to rest.
#[derive(Default)]
pub(crate) struct Calm {
    good: RwLock<HashSet<u64, BuildHasherDefault<Quick>>>,
    pub(crate) looked_at: AtomicU64,
    pub(crate) longest: AtomicUsize,
}

/// What names a state.
fn hashed<T: Hash>(s: &T) -> u64 {
    BuildHasherDefault::<Quick>::default().hash_one(s)
}

impl Calm {
    /// Whether it is known of a state that it comes to rest.
    fn knows(&self, state: u64) -> bool {
        let good = self.good.read().unwrap_or_else(PoisonError::into_inner);
        good.contains(&state)
    }

    /// Follows a state until it does not change any more. `known`: states that were followed before are known to rest.
    pub(crate) fn follow<S: Clone + Eq + Hash>(
        &self,
        mut s: S,
        known: bool,
        round: impl Fn(&mut S) -> Result<(), String>,
        judge: impl Fn(&S) -> Result<(), String>,
    ) -> Result<S, String> {
        let mut passed = Vec::new();
        for n in 0..ROUNDS {
            let name = hashed(&s);
            if known && self.knows(name) {
                break;
            }
            passed.push(name);
            let before = s.clone();
            round(&mut s)?;
            if s == before {
                judge(&s)?;
                self.longest.fetch_max(n, Ordering::Relaxed);
                break;
            }
            if n == ROUNDS - 1 {
                return Err(format!("still at it after {ROUNDS} rounds"));
            }
        }
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        let mut good = self.good.write().unwrap_or_else(PoisonError::into_inner);
        good.extend(passed);
        Ok(s)
    }
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
        for p in [0, 1] {
            self.send(s, p);
        }
        while !s.wire.is_empty() {
            self.arrive(s, 0, false, false);
        }
        for at in (0..s.cloud.len()).rev() {
            let machine = &mut s.cloud[at];
            (machine.unlisted, machine.denied) = (0, 0);
            if machine.state == Unknown {
                machine.state = Running;
            }
            progress(s, at);
        }
        for p in [0, 1] {
            self.watch(s, p);
            let thought = self.turn(s, p, true, false);
            // A step of its own is followed by the next at once.
            if thought.is_some_and(|t| matches!(t.does, Does::AddFinalizer | Does::Look(_))) {
                self.turn(s, p, true, false);
            }
        }
        if let Some(broken) = s.broken {
            return Err(broken.how.to_owned());
        }
        if let Some(pending) = s.processes.iter_mut().find_map(|p| p.pending.as_mut()) {
            debug_assert_eq!(pending.age, 0);
        }
        for p in [0, 1] {
            self.send(s, p);
        }
        while !s.wire.is_empty() {
            self.arrive(s, 0, false, false);
        }
        self.older(s);
        s.wire.sort_unstable();
        s.cloud.sort_unstable();
        match s.broken {
            Some(broken) => Err(broken.how.to_owned()),
            None => Ok(()),
        }
    }

    /// Whether it is as wished.
    fn judge_rest(&self, s: &State) -> Result<(), String> {
        let Some(object) = s.object.map(|n| self.mind.object(n)) else {
            return Ok(());
        };
        if object.deleting() {
            return Err(format!("the deletion does not end: {}", said(&object)));
        }
        let status = object.server.status.as_ref();
        if status.and_then(|s| s.observed_generation) != object.server.metadata.generation {
            return Err("the last wish was not looked at".to_owned());
        }
        let mine: Vec<_> = s
            .cloud
            .iter()
            .filter(|m| m.mark == Mark::Of(object.uid))
            .collect();
        let (ready, reason, _) = object.condition(ConditionType::Ready).unwrap_or_default();
        let excused = match reason {
            // A server is gone past us, and spec.onMissing leaves it at that.
            "Missing" => mine.is_empty(),
            // The first object was taken away by force, and its server is still there.
            "PreviousIncarnation" => s.cloud.iter().any(|m| m.mark == Mark::Of(1)) && object.uid == 2,
            // Somebody else began a resize, and has the last word; a call of ours that arrives after its wish was taken back
            // cannot be told from that.
            "AwaitingConfirm" => mine.iter().any(|m| m.state == AwaitingResizeConfirmation),
            _ => false,
        };
        if excused {
            return Ok(());
        }
        if ready != "True" {
            return Err(format!("at rest, and not ready: {}", said(&object)));
        }
        let [server] = mine.as_slice() else {
            return Err(format!("ready with {} servers", mine.len()));
        };
        let wished = if object.stopped() { Stopped } else { Running };
        if server.state != wished {
            return Err(format!(
                "ready, {wished} is wished for, and the server is {}",
                server.state
            ));
        }
        let size = object.condition(ConditionType::SizeSynced);
        if server.size != object.size() && size.is_none_or(|(status, ..)| status != "False") {
            return Err(format!(
                "ready, size {} is wished for, and it is {}",
                object.size(),
                server.size
            ));
        }
        if s.asked && server.images == 0 {
            let records = status.map_or(&[][..], |s| &s.actions);
            let told = records.iter().any(|r| r.outcome.is_over());
            if !told {
                return Err("the deed is neither done nor given up".to_owned());
            }
        }
        Ok(())
    }
}

fn said(object: &Object) -> String {
    let (_, reason, message) = object.condition(ConditionType::Ready).unwrap_or_default();
    format!("{reason}: {message}")
}
