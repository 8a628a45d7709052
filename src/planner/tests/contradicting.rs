//! Two processes that both act: what one has written is not contradicted by an older list of the other.

use serde_json::json;

use super::group_world::{self, MUTABLE};
use super::world::{Fate, World};
use crate::api::{ConditionType, Reason, conditions};
use crate::planner::draft::later;
use crate::planner::model::{ErrorClass, ServerState};
use crate::planner::{STANDS, Step};

#[test]
fn what_was_seen_before_another_one_wrote_says_nothing() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = ServerState::Stopped;
    w.memory.rewritten_at = Some(w.now);
    let before = w.server.status.clone();
    let made = w.plan();
    assert_eq!((Some(&made.status), made.step), (before.as_ref(), Step::Wait));
    assert_eq!(made.list_after, Some(w.now), "a newer list is asked for");
    w.memory = made.memory;
    w.tick();
    w.tick();
    assert_eq!(w.calls, ["Start"], "the newer one is believed");
}

#[test]
fn a_look_that_is_newer_is_believed_as_well() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = ServerState::Stopped;
    let seen = std::sync::Arc::new(w.the().seen.clone());
    let id = w.id().unwrap().to_owned();
    w.memory.rewritten_at = Some(w.now);
    let after = crate::planner::draft::later(w.now, 1);
    w.memory.see(id, after, Ok(seen), None);
    w.once();
    assert_eq!(w.calls, ["Start"]);
}

/// What stands in the way of the deletion, if anything does.
fn blocked(status: &crate::api::ServerStatus) -> Option<String> {
    conditions::get(&status.conditions, ConditionType::DeletionBlocked).map(|c| c.status.clone())
}

#[test]
fn who_cannot_ask_the_account_leaves_the_word_of_another_one_alone_for_a_while() {
    for (rewritten, said) in [
        (None, true),
        (Some(0), false),
        (Some(-STANDS + 1), false),
        (Some(-STANDS), true),
    ] {
        let mut w = World::settled(json!({}));
        w.delete();
        // The other one has spoken of the deletion.
        w.server.status.as_mut().unwrap().observed_generation = w.server.metadata.generation;
        w.memory.rewritten_at = rewritten.map(|seconds| later(w.now, seconds));
        w.unusable = Some((Reason::Unreachable, "no route"));
        let plan = w.plan();
        assert_eq!(blocked(&plan.status).is_some(), said, "{rewritten:?}");
        if !said {
            let until = later(w.memory.rewritten_at.unwrap(), STANDS);
            assert_eq!(plan.again_at, Some(until), "it is said then");
            assert_eq!(Some(plan.status), w.server.status);
        }
    }
}

#[test]
fn the_same_in_other_words_is_not_written_over_the_words_of_another_one() {
    let mut w = World::settled(json!({}));
    let conditions = &mut w.server.status.as_mut().unwrap().conditions;
    for condition in conditions.iter_mut().filter(|c| c.type_ == "Ready") {
        "another one's words".clone_into(&mut condition.message);
    }
    let ready = |w: &mut World| {
        let plan = w.plan();
        let ready = conditions::get(&plan.status.conditions, ConditionType::Ready).cloned();
        (ready.unwrap().message, plan.again_at)
    };
    w.memory.rewritten_at = Some(later(w.now, -1));
    let theirs = ("another one's words".to_owned(), Some(later(w.now, STANDS - 1)));
    assert_eq!(ready(&mut w), theirs);
    w.memory.rewritten_at = Some(later(w.now, -STANDS));
    assert_ne!(ready(&mut w).0, theirs.0);
}

#[test]
fn a_try_that_another_one_has_begun_is_waited_out_like_any_call_of_which_nothing_is_known() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    let refused = || Fate::Refuse(ErrorClass::Transient);
    w.fates.push(("Stop", refused()));
    w.until(10, "refused", |w| w.memory.backoff.is_some());
    assert_eq!(w.calls, ["Stop"]);
    // The other one tries before this one does, and is not refused.
    w.now = w.memory.backoff.as_ref().unwrap().until;
    let operation = w.server.status.as_mut().unwrap().operation.as_mut().unwrap();
    operation.attempt += 1;
    operation.started_at = conditions::to_seconds(w.now);
    w.memory.rewritten_at = Some(w.now);
    for _ in 0..14 {
        w.tick();
        assert_eq!(w.calls, ["Stop"], "it may be on its way");
    }
    w.until(30, "stopped", |w| w.state() == ServerState::Stopped);
    assert_eq!(w.calls, ["Stop", "Stop"]);
}

#[test]
fn an_older_list_says_nothing_of_a_group_that_another_one_has_written_since() {
    let mut w = group_world::World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    w.member("a", "web");
    w.ready();
    w.until(30, "met", |w| {
        w.is(ConditionType::PlacementSatisfied) == "True/PlacementMet"
    });
    w.cloud.get_mut("grp-1").unwrap().members[0].met = Some(false);
    w.memory.rewritten_at = Some(later(w.now, 3));
    for _ in 0..3 {
        w.tick();
        assert_eq!(w.is(ConditionType::PlacementSatisfied), "True/PlacementMet");
    }
    w.until(5, "unmet", |w| {
        w.is(ConditionType::PlacementSatisfied) == "False/PlacementUnmet"
    });
}
