//! Refusals: who is asked again, how soon, and that nothing is final.

use serde_json::json;

use super::super::world::{Fate, World};
use super::{at_rest, count};
use crate::api::ConditionType as C;
use crate::planner::model::{ErrorClass, ServerState as S};

#[test]
fn no_refusal_of_a_creation_outlives_its_cause() {
    for class in [
        ErrorClass::InvalidSpec,
        ErrorClass::Forbidden,
        ErrorClass::Quota,
        ErrorClass::Capacity,
        ErrorClass::Unauthorized,
        ErrorClass::Unsupported,
        ErrorClass::NotFound,
        ErrorClass::Locked,
    ] {
        let mut w = World::new(json!({}));
        for _ in 0..10_000 {
            w.fates.push(("Create", Fate::Refuse(class)));
        }
        w.run(6 * 3600);
        assert!(
            (5..100).contains(&w.calls.len()),
            "{class}: {} times",
            w.calls.len()
        );
        assert!(
            w.cloud.is_empty() && w.message().contains(&format!("{class} for Create")),
            "{}",
            w.message()
        );
        // Nobody edits anything.
        w.fates.clear();
        w.until(2400, "made", at_rest);
        assert!(w.server.status.as_ref().unwrap().failure.is_none());
    }
}

#[test]
fn what_one_call_is_forbidden_hides_nothing_else() {
    let mut w = World::settled(json!({}));
    for _ in 0..1000 {
        w.fates.push(("Stop", Fate::Refuse(ErrorClass::Forbidden)));
    }
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "said", |w| w.condition(C::Stalled) == "True/Forbidden");
    assert!(w.condition(C::PowerSynced).starts_with("False"));
    let observed = |w: &World| {
        w.server
            .status
            .as_ref()
            .unwrap()
            .power
            .clone()
            .unwrap()
            .observed
            .unwrap()
    };
    assert_eq!(observed(&w), "Running");
    // It is still looked at: somebody else stops it.
    w.the().seen.state = S::Stopped;
    w.until(30, "as declared", at_rest);
    assert_eq!(
        (observed(&w).as_str(), count(&w, "Stop")),
        ("Stopped", w.calls.len())
    );
}

#[test]
fn a_lock_of_somebody_else_is_named_and_never_opened() {
    let mut w = World::settled(json!({}));
    w.the().seen.locked = Some("audit until Friday".into());
    w.edit(json!({"powerState": "Stopped"}));
    w.until(30, "said", |w| w.condition(C::Stalled) == "True/Locked");
    assert!(w.message().contains("audit until Friday"), "{}", w.message());
    w.run(3600);
    assert!(
        w.calls.is_empty() && w.the().seen.locked.is_some(),
        "{:?}",
        w.calls
    );
    w.the().seen.locked = None;
    w.until(60, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
}
