//! The cloud denies a server for a while, in its list and by its id, while it is to be deleted.

use serde_json::json;

use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::planner::memory::Outcome;
use crate::planner::model::{ErrorClass, ServerState as S};

/// For so many seconds: less than three questions ten seconds apart take.
const DENIED: i64 = 15;

/// A server that is to be deleted, once the call that does it was recorded.
fn asked(fate: Option<Fate>) -> World {
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    w.fates.extend(fate.map(|fate| ("Delete", fate)));
    w.delete();
    w.until(10, "asked", |w| !w.calls.is_empty());
    w
}

/// The cloud denies it, and finds it again.
fn denied(w: &mut World, seconds: i64) {
    let hidden = w.cloud.remove("id-1").unwrap();
    w.run(seconds);
    w.cloud.insert("id-1".into(), hidden);
}

#[test]
fn a_deletion_that_was_not_accepted_is_not_done_because_the_cloud_denies_the_server() {
    let fates = [
        Fate::Refuse(ErrorClass::Busy),
        Fate::Refuse(ErrorClass::RateLimited),
        Fate::Refuse(ErrorClass::NotFound),
        Fate::LoseRequest,
    ];
    for fate in fates {
        for restarts in [false, true] {
            let mut w = asked(Some(fate.clone()));
            if restarts {
                w.restart_process();
            }
            denied(&mut w, DENIED);
            assert!(!w.gone, "{fate:?} {restarts}");
            w.until(300, "gone", |w| w.gone && w.cloud.is_empty());
        }
    }
}

#[test]
fn nothing_is_decided_while_the_call_is_under_way() {
    let mut w = asked(Some(Fate::LoseRequest));
    w.memory.sent.as_mut().unwrap().outcome = Outcome::InFlight;
    denied(&mut w, 100);
    assert!(!w.gone);
    let refusal = crate::planner::model::CloudError::new(ErrorClass::Busy, "a task runs");
    w.memory.sent.as_mut().unwrap().outcome = Outcome::Refused(w.now, refusal);
    w.until(300, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn a_failed_creation_is_not_made_again_because_the_cloud_denies_it() {
    for restarts in [false, true] {
        let mut w = World::new(json!({}));
        w.fates = vec![("Create", Fate::Break), ("DeleteFailed", Fate::LoseRequest)];
        w.until(60, "asked", |w| w.calls.contains(&"DeleteFailed".to_owned()));
        if restarts {
            w.restart_process();
        }
        denied(&mut w, DENIED);
        assert_eq!(w.made, 1, "{restarts}: {:?}", w.calls);
        w.until(600, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.most_alive, 1);
    }
}

#[test]
fn one_denial_is_enough_of_what_the_cloud_is_deleting() {
    // It has said so, or it was seen.
    for restarts in [false, true] {
        let mut w = asked(None);
        assert_eq!(w.state(), S::Deleting);
        if restarts {
            w.restart_process();
            w.run(1);
        }
        w.until(20, "gone", |w| w.gone);
        assert_eq!(w.knobs.looks, 1, "{restarts}");
    }
}

#[test]
fn many_absences_at_once_are_doubted_beside_a_deletion_that_was_not_accepted() {
    let mut w = asked(Some(Fate::LoseRequest));
    w.mass_absence = true;
    denied(&mut w, 120);
    assert!(!w.gone);
    assert_eq!(w.condition(C::DeletionBlocked), "True/MassAbsence");
    w.mass_absence = false;
    w.until(300, "gone", |w| w.gone && w.cloud.is_empty());
}
