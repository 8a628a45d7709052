//! Imports, faults, outages, and the end.

use serde_json::json;

use super::world::{Fate, World, marks};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{ErrorClass, ServerState as S};

#[test]
fn an_unknown_state_is_not_touched_but_can_be_deleted() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = S::Unknown;
    w.the().seen.raw = "FROBNICATED".into();
    w.run(60);
    assert_eq!(w.ready(), "False/UnknownState");
    assert!(w.message().contains("FROBNICATED") && w.calls.is_empty());
    w.delete();
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn a_missing_server_is_shown_or_made_again() {
    let mut w = World::settled(json!({}));
    w.cloud.clear();
    w.run(10);
    assert_ne!(
        w.condition(C::Stalled),
        "True/Missing",
        "one empty list proves nothing"
    );
    w.until(60, "missing", |w| w.condition(C::Stalled) == "True/Missing");
    w.run(300);
    assert!(w.calls.is_empty());
    w.edit(json!({"onMissing": "Recreate"}));
    w.until(60, "again", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn deletes_gracefully() {
    let mut w = World::settled(json!({}));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.calls, ["Stop", "Delete"]);
    assert!(w.cloud.is_empty());
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.calls, ["Delete"]);
    assert!(w.writes.len() <= 1, "{:?}", w.writes);
}

#[test]
fn a_guest_that_does_not_stop_is_deleted_all_the_same() {
    let mut w = World::settled(json!({"deletion": {"timeout": "20s"}}));
    w.delete();
    w.tick();
    w.the().until = None;
    w.until(60, "gone", |w| w.gone);
    assert!(w.events.contains(&"DeletedWithoutPowerOff".to_owned()));
}

#[test]
fn protection_and_locks_block_deletion() {
    let mut w = World::settled(json!({"deletionProtection": true}));
    w.delete();
    w.run(60);
    assert_eq!(
        (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
        ("True/DeletionProtected", 0)
    );
    w.the().seen.locked = Some("audit".into());
    w.edit(json!({"deletionProtection": false}));
    w.run(60);
    assert_eq!(
        (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
        ("True/Locked", 0)
    );
    w.the().seen.locked = None;
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn an_orphan_loses_its_marks_and_stays() {
    let mut w = World::settled(json!({"deletionPolicy": "Orphan"}));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!((w.state(), w.the().seen.marks.clone()), (S::Running, None));
}

#[test]
fn marks_that_came_off_half_way_come_off_in_the_end() {
    let mut w = World::settled(json!({"deletionPolicy": "Orphan"}));
    w.the().seen.marks = marks("uid-1", "", "");
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!((w.state(), w.the().seen.marks.clone()), (S::Running, None));
}

#[test]
fn abandon_releases_without_the_cloud() {
    let mut w = World::settled(json!({}));
    w.down_since = Some(w.now);
    w.delete();
    w.annotate(keys::ABANDON, "id-1");
    let made = w.plan();
    assert_eq!(made.step, crate::planner::Step::RemoveFinalizer);
}

#[test]
fn what_may_still_come_of_an_attempt_is_abandoned_by_the_objects_own_uid_alone() {
    let lets_go = |w: &mut World, word: &str| {
        w.annotate(keys::ABANDON, word);
        w.plan().step == crate::planner::Step::RemoveFinalizer
    };
    let mut w = World::new(json!({}));
    w.fates.push(("Create", Fate::ApplyLate));
    w.until(20, "asked", |w| !w.calls.is_empty());
    w.delete();
    for word in ["", "id-1", "whatever"] {
        assert!(!lets_go(&mut w, word), "{word:?}");
    }
    w.run(3);
    assert!(w.message().contains("uid-1"), "{}", w.message());
    assert!(lets_go(&mut w, "uid-1"));
    // Where nothing was ever asked for, any word will do, but an empty one.
    assert!(super::super::delete::names_it("x", None, false, "uid-1"));
    assert!(!super::super::delete::names_it("", None, false, "uid-1"));
}

#[test]
fn imports_by_id_and_marks() {
    let mut w =
        World::new(json!({"import": {"id": "x"}, "powerState": "Stopped", "deletionPolicy": "Orphan"}));
    w.put("x", S::Running, None);
    w.until(60, "taken", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Stop", "Mark"]);
    assert_eq!(w.the().seen.marks, marks("uid-1", "inst", "ns/web"));
}

#[test]
fn a_living_owner_keeps_its_server() {
    for (uid, installation, refused) in [
        ("living", "inst", true),
        ("dead", "inst", false),
        ("x", "other", true),
    ] {
        let mut w =
            World::new(json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan"}));
        w.put("x", S::Running, marks(uid, installation, "ns/other"));
        w.run(60);
        assert_eq!(
            w.ready() == "False/OwnedByOther",
            refused,
            "{uid} {installation}: {}",
            w.ready()
        );
    }
}

#[test]
fn observe_never_writes_to_the_cloud() {
    let mut w =
        World::new(json!({"import": {"id": "x"}, "managementPolicy": "Observe", "deletionPolicy": "Orphan"}));
    w.put("x", S::Stopped, None);
    w.run(60);
    assert!(w.ready().starts_with("True"), "{}", w.ready());
    w.delete();
    w.until(10, "gone", |w| w.gone);
    assert!(w.calls.is_empty());
}

#[test]
fn a_pause_reads_and_does_not_write() {
    let mut w = World::settled(json!({}));
    w.annotate(keys::PAUSED, "true");
    w.edit(json!({"powerState": "Stopped"}));
    w.run(60);
    assert_eq!(
        (w.ready().as_str(), w.condition(C::Paused).as_str()),
        ("False/Paused", "True/Paused")
    );
    assert!(w.calls.is_empty());
    w.annotate(keys::PAUSED, "false");
    w.until(30, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.condition(C::Paused) == "-"
    });
}

#[test]
fn an_outage_shows_late_and_goes() {
    let mut w = World::settled(json!({}));
    w.down_since = Some(w.now);
    w.run(290);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.run(20);
    assert_eq!(w.ready(), "Unknown/Unreachable");
    let writes = w.writes.len();
    w.run(600);
    assert_eq!(w.writes.len(), writes);
    w.down_since = None;
    w.run(2);
    assert_eq!(
        (w.ready().as_str(), w.condition(C::ProviderReachable).as_str()),
        ("True/AsDeclared", "-")
    );
}

/// What was true of the former wish is not said of a new one that nobody can compare.
#[test]
fn a_wish_that_is_changed_in_an_outage_is_not_called_fulfilled() {
    let mut w = World::settled(json!({}));
    w.down_since = Some(w.now);
    w.run(10);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.edit(json!({"powerState": "Stopped"}));
    w.run(2);
    assert_eq!(w.ready(), "False/WaitingForObservation");
    assert_eq!(w.condition(C::PowerSynced), "False/WaitingForObservation");
    let status = w.server.status.clone().unwrap();
    assert_eq!(status.observed_generation, w.server.metadata.generation);
    assert_eq!(status.power.unwrap().desired.as_deref(), Some("Stopped"));
    let writes = w.writes.len();
    w.run(200);
    assert_eq!(w.writes.len(), writes, "written while nothing happened");
    w.run(120);
    assert_eq!(w.ready(), "Unknown/Unreachable");
    w.down_since = None;
    w.until(60, "stopped", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.state(), S::Stopped);
}

#[test]
fn the_server_of_another_id_of_this_installation_is_told_from_a_strangers() {
    let mut w = World::settled(json!({}));
    w.the().seen.marks = marks("uid-1", "former", "ns/web");
    w.run(5);
    assert_eq!(w.ready(), "False/OwnedByOther");
    assert!(
        w.message().contains("--installation-id") && w.message().contains("former"),
        "{}",
        w.message()
    );
    w.the().seen.marks = marks("uid-2", "former", "ns/web");
    w.run(5);
    assert!(!w.message().contains("--installation-id"), "{}", w.message());
}

#[test]
fn a_crash_between_record_and_call_loses_nothing() {
    for edit in [
        json!({"powerState": "Stopped"}),
        json!({"size": {"name": "large"}}),
    ] {
        let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
        w.edit(edit.clone());
        let made = w.plan();
        assert!(matches!(made.step, crate::planner::Step::Call { .. }));
        w.server.status = Some(made.status);
        w.restart_process();
        w.until(120, "converged", |w| {
            w.ready() == "True/AsDeclared" && !w.calls.is_empty()
        });
        assert_eq!(w.most_alive, 1);
    }
}

#[test]
fn an_error_is_shown_or_rebooted_once() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = S::Error;
    w.run(60);
    assert_eq!(w.ready(), "False/ServerError");
    assert!(w.calls.is_empty());
    w.edit(json!({"onError": "HardReboot"}));
    w.until(60, "rebooted", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Restart"]);
}

#[test]
fn a_refused_mark_leaves_a_healthy_server_ready() {
    let mut w =
        World::new(json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan"}));
    w.put("x", S::Running, None);
    for _ in 0..50 {
        w.fates.push(("Mark", Fate::Refuse(ErrorClass::Forbidden)));
    }
    w.run(120);
    let writes = w.writes.len();
    w.run(50);
    assert_eq!((w.ready().as_str(), w.writes.len()), ("True/AsDeclared", writes));
    assert!(w.calls.len() <= 4, "{:?}", w.calls);
}

#[test]
fn a_delete_that_never_ends_says_so_and_stays_so() {
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    for _ in 0..50 {
        w.fates.push(("Delete", Fate::NoEffect));
    }
    w.delete();
    w.run(700);
    assert_eq!(w.condition(C::DeletionBlocked), "True/OperationTimeout");
    for _ in 0..300 {
        w.tick();
        assert_eq!(w.condition(C::DeletionBlocked), "True/OperationTimeout");
    }
}

#[test]
fn another_account_behind_the_same_name_loses_nothing() {
    let mut w = World::settled(json!({"onMissing": "Recreate"}));
    let theirs = std::mem::take(&mut w.cloud);
    w.account = "project-2".to_owned();
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/AccountChanged", 0));
    w.delete();
    w.run(60);
    assert!(!w.gone, "an absence in another account is none");
    assert_eq!(w.condition(C::DeletionBlocked), "True/AccountChanged");
    (w.account, w.cloud) = ("project-1".to_owned(), theirs);
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn another_region_of_the_same_project_is_another_account() {
    let mut w = World::new(json!({"onMissing": "Recreate"}));
    w.account = "project-1/north".to_owned();
    w.until(60, "created", |w| w.ready() == "True/AsDeclared");
    let theirs = std::mem::take(&mut w.cloud);
    w.calls.clear();
    w.account = "project-1/south".to_owned();
    w.run(900);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/AccountChanged", 0));
    assert!(w.message().contains("project-1/south"), "{}", w.message());
    w.delete();
    w.run(900);
    assert!(!w.gone, "an absence in another region is none");
    (w.account, w.cloud) = ("project-1/north".to_owned(), theirs);
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn a_record_without_a_region_gets_the_one_that_is_asked_now() {
    let mut w = World::settled(json!({}));
    let recorded = |w: &World| w.server.status.as_ref().unwrap().account.clone();
    assert_eq!(recorded(&w).as_deref(), Some("project-1"));
    w.account = "project-1/north".to_owned();
    w.run(60);
    assert_eq!(
        (w.ready().as_str(), recorded(&w).as_deref(), w.writes.len()),
        ("True/AsDeclared", Some("project-1/north"), 1)
    );
    for other in ["project-1/south", "project-1", "project-10/north"] {
        w.account = other.to_owned();
        w.run(10);
        assert_eq!(w.ready(), "False/AccountChanged", "{other}");
    }
}

#[test]
fn any_value_but_false_pauses() {
    for value in ["True", "yes", ""] {
        let mut w = World::settled(json!({}));
        w.annotate(keys::PAUSED, value);
        w.edit(json!({"powerState": "Stopped"}));
        w.run(30);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("False/Paused", 0),
            "{value:?}"
        );
    }
}

#[test]
fn one_that_was_taken_over_is_made_again_too_where_that_is_asked_for() {
    for policy in ["Delete", "Orphan"] {
        let mut w = World::new(
            json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": policy,
            "onMissing": "Recreate"}),
        );
        w.put("x", S::Running, None);
        w.until(60, "taken over", |w| w.ready() == "True/AsDeclared");
        w.cloud.clear();
        w.until(120, "made again", |w| {
            w.ready() == "True/AsDeclared" && w.id() == Some("id-1") && w.state() == S::Running
        });
        assert_eq!(w.calls, ["Mark", "Create"], "{policy}");
        w.restart_process();
        w.run(300);
        assert_eq!(
            (w.calls.len(), w.ready().as_str()),
            (2, "True/AsDeclared"),
            "{policy}"
        );
        // It is ours as any other.
        w.the().seen.state = S::Stopped;
        w.until(60, "started", |w| {
            w.state() == S::Running && w.ready() == "True/AsDeclared"
        });
        w.cloud.clear();
        w.until(120, "once more", |w| {
            w.ready() == "True/AsDeclared" && w.id() == Some("id-2")
        });
        w.delete();
        w.until(120, "let go", |w| w.gone);
        assert_eq!(w.cloud.is_empty(), policy == "Delete");
    }
    // What was never seen is not made in its place.
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "onMissing": "Recreate"}),
    );
    w.run(300);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/NotFound", 0));
}
