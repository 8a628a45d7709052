//! A server that the cloud deleted and keeps for a while, and that its lists hide.

use serde_json::{Value, json};

use super::clouds::forget;
use super::sleep::Sleep;
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::planner::model::{ErrorClass, ServerState as S};

fn settled(spec: Value) -> World {
    let mut w = World::settled(spec);
    w.knobs.keeps = true;
    forget(&mut w);
    w
}

/// Somebody deleted it in the cloud.
fn deleted(spec: Value) -> World {
    let mut w = settled(spec);
    w.the().seen.state = S::SoftDeleted;
    w.the().seen.guest_running = Some(false);
    w
}

fn at_rest(w: &World) -> bool {
    w.ready() == "True/AsDeclared"
}

#[test]
fn after_a_deletion_of_ours_it_counts_as_gone() {
    for sleeps in [false, true] {
        let mut w = settled(json!({}));
        w.sleep = sleeps.then(Sleep::default);
        w.delete();
        w.until(120, "gone", |w| w.gone);
        assert_eq!(w.calls, ["Stop", "Delete"]);
        assert_eq!(w.state(), S::SoftDeleted, "it is not deleted twice");
        let told = w.told_of(Reason::ReclaimPending);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].1.contains("id-1") && told[0].1.contains("reclaim pending"),
            "{told:?}"
        );
        assert!(w.told_of(Reason::Deleted).is_empty(), "it is not gone yet");
        assert!(w.knobs.looks <= 5, "{}", w.knobs.looks);
    }
}

#[test]
fn a_deletion_by_force_leaves_nothing_that_is_kept() {
    let force = json!({"deletion": {"force": true}});
    let mut w = settled(force.clone());
    w.delete();
    w.until(120, "gone", |w| w.gone);
    assert_eq!(
        (w.calls.as_slice(), w.knobs.hows.as_slice()),
        (&["Delete".to_owned()][..], &["by force".to_owned()][..])
    );
    assert!(w.cloud.is_empty());
    assert_eq!(w.told_of(Reason::Deleted).len(), 1);
    // Also what somebody else deleted.
    let mut w = deleted(force.clone());
    w.until(120, "shown", |w| w.condition(C::Stalled) == "True/SoftDeleted");
    w.delete();
    w.until(120, "gone", |w| w.gone);
    assert_eq!(w.knobs.hows, ["by force"]);
    assert!(w.cloud.is_empty());
    // Refused: it says so, and it is tried again.
    let mut w = deleted(force);
    w.fates.push(("Delete", Fate::Refuse(ErrorClass::Forbidden)));
    w.delete();
    w.until(120, "refused", |w| {
        w.condition(C::DeletionBlocked) == "True/Forbidden"
    });
    assert!(!w.gone);
    w.until(900, "gone", |w| w.gone);
    assert!(w.cloud.is_empty());
}

#[test]
fn deleted_by_somebody_else_it_is_shown_and_looked_at_slowly() {
    for sleeps in [false, true] {
        let mut w = deleted(json!({}));
        w.sleep = sleeps.then(Sleep::default);
        w.until(60, "shown", |w| w.condition(C::Stalled) == "True/SoftDeleted");
        let (said, power) = (w.message(), w.condition(C::PowerSynced));
        assert!(
            said.contains("id-1") && said.contains("spec.onMissing") && said.contains("Restore it"),
            "{said}"
        );
        assert_eq!(power, "False/SoftDeleted");
        forget(&mut w);
        w.run(3600);
        assert!(w.writes.is_empty() && w.events.is_empty() && w.calls.is_empty());
        assert!(
            (50..=61).contains(&w.knobs.looks),
            "once a minute: {}",
            w.knobs.looks
        );
        // Somebody brings it back.
        w.the().seen.state = S::Running;
        w.until(60, "as declared", at_rest);
        assert!(w.calls.is_empty());
        // The cloud reclaims another one.
        w.the().seen.state = S::SoftDeleted;
        w.until(60, "shown", |w| w.condition(C::Stalled) == "True/SoftDeleted");
        w.cloud.clear();
        w.until(180, "gone", |w| w.condition(C::Stalled) == "True/Missing");
        assert!(w.calls.is_empty());
    }
}

#[test]
fn it_is_restored_rather_than_made_anew() {
    for (wish, policy, calls) in [
        ("Running", "Enforce", &["Restore"][..]),
        ("Stopped", "Enforce", &["Restore", "Stop"]),
        ("Stopped", "Observe", &["Restore", "Stop"]),
        ("Shelved", "RespectStop", &["Restore", "Shelve"]),
    ] {
        for sleeps in [false, true] {
            let mut w = settled(json!({"powerState": wish, "driftPolicy": policy, "onMissing": "Recreate"}));
            w.sleep = sleeps.then(Sleep::default);
            w.the().seen.state = S::SoftDeleted;
            w.until(180, "restored", |w| w.state() != S::SoftDeleted);
            w.until(180, "as declared", at_rest);
            assert_eq!(
                (w.calls.as_slice(), w.id()),
                (
                    &calls.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()[..],
                    Some("id-1")
                )
            );
            assert_eq!(w.told_of(Reason::Restored).len(), 1);
            assert_eq!(w.made, 1);
        }
    }
}

#[test]
fn a_restoration_survives_whatever_the_wire_does_and_a_death() {
    for fate in [
        Some(Fate::LoseReply),
        Some(Fate::LoseRequest),
        Some(Fate::NoEffect),
        Some(Fate::Refuse(ErrorClass::Busy)),
        Some(Fate::Refuse(ErrorClass::Transient)),
        None,
    ] {
        let mut w = deleted(json!({"onMissing": "Recreate"}));
        let dies = fate.is_none();
        w.fates.extend(fate.clone().map(|f| ("Restore", f)));
        w.until(180, "asked", |w| !w.calls.is_empty());
        if dies {
            w.restart_process();
        }
        w.until(300, "restored", at_rest);
        assert_eq!((w.made, w.id()), (1, Some("id-1")), "{fate:?}");
        assert!(
            w.calls.len() <= 2 && w.calls.iter().all(|c| c == "Restore"),
            "{fate:?} {:?}",
            w.calls
        );
        assert!(w.knobs.looks < 60, "{fate:?} {}", w.knobs.looks);
    }
}

#[test]
fn where_it_cannot_be_restored_it_is_made_anew_once_it_is_gone() {
    for class in [ErrorClass::Forbidden, ErrorClass::Quota] {
        let mut w = deleted(json!({"onMissing": "Recreate"}));
        for _ in 0..1000 {
            w.fates.push(("Restore", Fate::Refuse(class)));
        }
        w.run(600);
        let reason = if class == ErrorClass::Quota {
            "True/QuotaExceeded"
        } else {
            "True/Forbidden"
        };
        assert_eq!(w.condition(C::Stalled), reason);
        assert_eq!(w.made, 1, "it is still there");
        assert!(w.knobs.looks < 40, "{}", w.knobs.looks);
        w.cloud.clear();
        w.until(1200, "made anew", at_rest);
        assert_eq!((w.made, w.id()), (2, Some("id-2")));
        assert_eq!(w.server.status.as_ref().unwrap().previous_ids, ["id-1"]);
    }
}

#[test]
fn only_what_is_ours_to_make_is_restored() {
    for policy in ["PowerOnly", "Observe"] {
        let mut w = settled(json!({}));
        w.edit(json!({"managementPolicy": policy, "onMissing": "Recreate"}));
        w.run(60);
        forget(&mut w);
        w.the().seen.state = S::SoftDeleted;
        w.run(600);
        assert_eq!(w.condition(C::Stalled), "True/SoftDeleted", "{policy}");
        assert!(w.calls.is_empty(), "{policy}");
    }
    let mut w = deleted(json!({"onMissing": "Recreate"}));
    w.annotate(crate::api::keys::PAUSED, "true");
    w.run(600);
    assert!(w.calls.is_empty());
    assert_eq!(w.condition(C::Ready), "False/Paused");
}

/// The last look may be a minute old when the object goes.
#[test]
fn what_was_brought_back_since_the_last_look_is_not_forgotten() {
    let mut w = deleted(json!({}));
    w.sleep = Some(Sleep::default());
    w.until(60, "shown", |w| w.condition(C::Stalled) == "True/SoftDeleted");
    w.run(20);
    w.knobs.keeps = false;
    w.the().seen.state = S::Running;
    w.delete();
    w.until(180, "gone", |w| w.gone);
    assert!(w.cloud.is_empty(), "{:?}", w.calls);
}
