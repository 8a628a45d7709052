//! What a user sees, story by story.

use serde_json::json;

use super::world::{Fate, PLAIN, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{Accepted, ErrorClass, Marks, ServerState as S};

fn marks(uid: &str, installation: &str, object: &str) -> Option<Marks> {
    Some(Marks {
        uid: uid.into(),
        installation: installation.into(),
        object: object.into(),
    })
}

#[test]
fn creates_once_with_four_writes_at_most() {
    let mut w = World::new(json!({}));
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Create"]);
    assert!(w.writes.len() <= 3, "the finalizer and {:?}", w.writes);
    let before = w.server.status.clone();
    w.run(600);
    assert_eq!(w.server.status, before, "status changed while nothing happened");
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn created_stopped_is_healthy() {
    let mut w = World::new(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    assert_eq!(w.calls, ["Create", "Stop"]);
}

#[test]
fn stops_and_starts_on_a_wish() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.until(30, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    w.edit(json!({"powerState": "Running"}));
    w.until(30, "running", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Running
    });
    assert_eq!(w.calls, ["Stop", "Start"]);
    assert!(w.writes.len() <= 6, "three writes an operation: {:?}", w.writes);
}

#[test]
fn a_lost_reply_never_makes_two() {
    for fate in [Fate::LoseReply, Fate::ApplyLate, Fate::LoseRequest] {
        let applied = !matches!(fate, Fate::LoseRequest);
        let mut w = World::new(json!({}));
        w.fates.push(("Create", fate));
        w.until(300, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.most_alive, 1);
        assert_eq!(w.calls.len(), if applied { 1 } else { 2 });
    }
}

#[test]
fn nothing_else_is_called_before_the_reply_to_the_create_is_there() {
    let mut w = World::settled(json!({}));
    let sent = |outcome| {
        let key = "create-1".to_owned();
        Some(crate::planner::memory::Sent { key, outcome })
    };
    // The list has shown the server already.
    w.memory.sent = sent(crate::planner::memory::Outcome::InFlight);
    w.run(5);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.edit(json!({"powerState": "Stopped"}));
    w.run(10);
    assert!(w.calls.is_empty());
    let id = w.id().map(str::to_owned);
    let accepted = Accepted { id, request_id: None };
    w.memory.sent = sent(crate::planner::memory::Outcome::Accepted(w.now, accepted));
    w.until(30, "stopped", |w| w.state() == S::Stopped);
    assert_eq!(w.calls, ["Stop"]);
}

#[test]
fn a_new_process_waits_out_the_attempt_of_the_old_one() {
    let mut w = World::new(json!({}));
    w.fates.push(("Create", Fate::LoseRequest));
    w.until(30, "asked", |w| w.calls.len() == 1);
    w.restart_process();
    w.run(25);
    assert_eq!(w.calls.len(), 1, "the old call could still arrive");
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls.len(), 2);
}

#[test]
fn an_object_deleted_while_an_attempt_is_open_leaves_nothing() {
    for fate in [Fate::LoseReply, Fate::ApplyLate, Fate::LoseRequest] {
        let mut w = World::new(json!({}));
        w.fates.push(("Create", fate));
        w.until(30, "asked", |w| w.calls.len() == 1);
        w.delete();
        w.until(300, "gone", |w| w.gone);
        w.run(60);
        assert!(w.cloud.is_empty());
    }
}

#[test]
fn never_takes_a_server_by_its_name() {
    let mut w = World::new(json!({}));
    w.put("stranger", S::Running, None);
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_ne!(w.id(), Some("stranger"));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.cloud.keys().collect::<Vec<_>>(), ["stranger"]);
}

#[test]
fn two_with_our_mark_are_left_alone() {
    let mut w = World::new(json!({}));
    w.put("a", S::Running, marks("uid-1", "inst", "ns/web"));
    w.put("b", S::Running, marks("uid-1", "inst", "ns/web"));
    w.run(60);
    assert_eq!(w.ready(), "False/AmbiguousCreate");
    assert!(w.calls.is_empty());
    w.edit(json!({"import": {"id": "a"}, "powerState": "Running", "deletionPolicy": "Delete"}));
    w.until(30, "took a", |w| {
        w.id() == Some("a") && w.ready() == "True/AsDeclared"
    });
}

#[test]
fn a_previous_incarnation_is_named() {
    let mut w = World::new(json!({}));
    w.put("old", S::Running, marks("uid-0", "inst", "ns/web"));
    w.run(30);
    assert_eq!(w.ready(), "False/PreviousIncarnation");
    assert!(w.message().contains("old"));
    w.annotate(keys::CREATE_ANYWAY, "uid-1");
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.cloud.len(), 2);
}

#[test]
fn quota_is_shown_and_cured_without_an_edit() {
    let mut w = World::new(json!({}));
    w.fates.push(("Create", Fate::Refuse(ErrorClass::Quota)));
    w.fates.push(("Create", Fate::Refuse(ErrorClass::Quota)));
    w.until(30, "shown", |w| w.ready() == "False/QuotaExceeded");
    assert!(w.message().contains("Quota for Create"));
    w.until(300, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls.len(), 3);
}

#[test]
fn a_failed_build_is_replaced_or_held() {
    let mut w = World::new(json!({}));
    w.fates.push(("Create", Fate::Break));
    w.fates.push(("Create", Fate::Break));
    w.until(60, "shown", |w| w.ready() == "False/NoCapacity");
    assert!(w.message().contains("No valid host"));
    w.until(400, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.most_alive, 1);
    assert_eq!(w.server.status.as_ref().unwrap().previous_ids, ["id-1", "id-2"]);

    let mut w = World::new(json!({"onCreateError": "Hold"}));
    w.fates.push(("Create", Fate::Break));
    w.until(60, "held", |w| w.ready() == "False/CreateHeld");
    w.run(600);
    assert_eq!(w.calls, ["Create"]);
    w.edit(json!({"onCreateError": "Retry"}));
    w.until(120, "ready", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn resizes_a_running_server_and_confirms() {
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "resized", |w| {
        w.ready() == "True/AsDeclared" && w.condition(C::SizeSynced) == "True/Synced"
    });
    assert_eq!(w.calls, ["Resize", "ConfirmResize"]);
    assert_eq!(w.server.status.as_ref().unwrap().size.as_deref(), Some("large"));
    w.run(30);
    assert_eq!(w.calls.len(), 2);
}

#[test]
fn waits_for_a_stop_by_default() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    assert_eq!(w.condition(C::SizeSynced), "False/PendingPowerOff");
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "resized", |w| w.condition(C::SizeSynced) == "True/Synced");
    assert_eq!((w.state(), w.ready().as_str()), (S::Stopped, "True/AsDeclared"));
}

#[test]
fn stops_for_a_resize_where_the_cloud_wants_it() {
    let mut w = World::new(json!({"resize": {"when": "StopIfNeeded"}, "driftPolicy": "RespectStop"}));
    w.can = &PLAIN;
    w.until(60, "created", |w| w.ready() == "True/AsDeclared");
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "resized", |w| {
        w.ready() == "True/AsDeclared" && w.condition(C::SizeSynced) == "True/Synced"
    });
    assert_eq!(w.calls, ["Create", "Stop", "Resize", "Start"]);
}

#[test]
fn a_resize_without_effect_is_not_repeated() {
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
    w.fates.push(("Resize", Fate::NoEffect));
    w.edit(json!({"size": {"name": "huge"}}));
    w.until(60, "given up", |w| w.ready() == "False/ResizeFailed");
    w.run(600);
    assert_eq!(w.calls, ["Resize"]);
    w.annotate(keys::RETRY, "again");
    w.until(60, "resized", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_resize_that_never_arrived_is_asked_for_again() {
    for lost in ["Resize", "ConfirmResize"] {
        let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
        w.fates.push((lost, Fate::LoseRequest));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(120, "resized", |w| {
            w.ready() == "True/AsDeclared" && w.condition(C::SizeSynced) == "True/Synced"
        });
        assert_eq!(w.calls.iter().filter(|c| *c == lost).count(), 2, "{lost}");
    }
}

#[test]
fn a_crash_before_a_resize_or_its_confirmation_was_sent_loses_nothing() {
    for lost in ["Resize", "ConfirmResize"] {
        let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
        w.fates.push((lost, Fate::LoseRequest));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(60, "sent", |w| w.calls.iter().any(|c| c == lost));
        w.restart_process();
        w.until(120, "resized", |w| {
            w.ready() == "True/AsDeclared" && w.condition(C::SizeSynced) == "True/Synced"
        });
    }
}

#[test]
fn a_resize_that_breaks_is_brought_back() {
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
    w.fates.push(("Resize", Fate::Break));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "brought back", |w| {
        w.calls == ["Resize", "Restart"] && w.state() == S::Running
    });
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded", "onFailure": "Hold"}}));
    w.fates.push(("Resize", Fate::Break));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "held", |w| w.ready() == "False/ServerError");
    w.run(60);
    assert_eq!(w.calls, ["Resize"]);
}

#[test]
fn a_confirmation_waits_for_a_person_and_can_be_taken_back() {
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded", "confirm": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "asks", |w| {
        w.condition(C::SizeSynced) == "False/AwaitingConfirm"
    });
    w.run(60);
    assert_eq!(w.calls, ["Resize"]);
    w.edit(json!({"size": {"name": "small"}}));
    w.until(60, "back", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Resize", "RevertResize"]);
}

#[test]
fn a_soak_is_watched() {
    let mut w =
        World::settled(json!({"resize": {"when": "StopIfNeeded", "confirm": "AfterSoak", "soak": "2m"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "soaks", |w| w.ready() == "False/Soaking");
    w.restart_process();
    w.run(100);
    assert_eq!(w.calls, ["Resize"]);
    w.until(60, "confirmed", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_stranger_s_resize_is_not_confirmed() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = S::AwaitingResizeConfirmation;
    w.run(60);
    assert_eq!(w.condition(C::DriftDetected), "True/AwaitingConfirm");
    assert!(w.calls.is_empty());
}

#[test]
fn restarts_once_for_each_token() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"restart": {"token": "a"}}));
    w.until(60, "done", |w| {
        w.events.contains(&"Restarted".to_owned()) && w.ready() == "True/AsDeclared"
    });
    w.restart_process();
    w.run(120);
    assert_eq!(w.calls, ["Restart"]);
    w.fates.push(("Restart", Fate::Refuse(ErrorClass::Busy)));
    w.edit(json!({"restart": {"token": "b"}}));
    w.until(60, "done", |w| {
        w.calls.len() == 3 && w.ready() == "True/AsDeclared"
    });
}

#[test]
fn a_restart_of_which_nothing_is_known_is_not_repeated() {
    let mut w = World::settled(json!({}));
    w.fates.push(("Restart", Fate::LoseRequest));
    w.edit(json!({"restart": {"token": "a"}}));
    w.until(60, "unverified", |w| {
        w.events.contains(&"RestartUnverified".to_owned())
    });
    w.run(300);
    assert_eq!(w.calls, ["Restart"]);
}

#[test]
fn a_token_given_at_creation_does_not_restart() {
    let mut w = World::settled(json!({"restart": {"token": "a"}}));
    w.run(60);
    assert!(w.calls.is_empty());
}

#[test]
fn drift_follows_the_policy() {
    for (policy, stopped, ready, calls) in [
        ("Enforce", S::Stopped, "True/AsDeclared", vec!["Start"]),
        ("RespectStop", S::Stopped, "True/StopRespected", vec![]),
        ("Observe", S::Stopped, "True/PowerDrift", vec![]),
        ("Enforce", S::Paused, "True/PowerDrift", vec![]),
        ("EnforceAll", S::Paused, "True/AsDeclared", vec!["Unpause"]),
    ] {
        let mut w = World::settled(json!({"driftPolicy": policy}));
        w.the().seen.state = stopped;
        w.run(120);
        assert_eq!(
            (w.ready().as_str(), w.calls.clone()),
            (ready, calls.iter().map(|s| s.to_string()).collect()),
            "{policy} {stopped}"
        );
        let drift = if ready == "True/AsDeclared" {
            "False/NoDrift"
        } else {
            &ready.replace("True/", "True/")
        };
        assert_eq!(w.condition(C::DriftDetected), *drift, "{policy} {stopped}");
    }
}

#[test]
fn a_respected_stop_ends_with_a_new_wish() {
    let mut w = World::settled(json!({"driftPolicy": "RespectStop"}));
    w.the().seen.state = S::Stopped;
    w.run(60);
    w.edit(json!({"powerState": "Stopped"}));
    w.until(10, "agrees", |w| w.ready() == "True/AsDeclared");
    w.edit(json!({"powerState": "Running"}));
    w.until(30, "runs", |w| {
        w.state() == S::Running && w.ready() == "True/AsDeclared"
    });
}

#[test]
fn a_fight_ends() {
    let mut w = World::settled(json!({}));
    for second in 0..400 {
        if second % 10 == 0 && w.state() == S::Running && w.the().until.is_none() {
            w.the().seen.state = S::Stopped;
        }
        w.tick();
    }
    assert_eq!(w.ready(), "False/Flapping");
    assert_eq!(w.calls.len(), 4);
    w.annotate(keys::RETRY, "x");
    w.until(30, "runs", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_stop_that_never_ends_says_so() {
    let mut w = World::settled(json!({"powerOff": {"timeout": "2m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.tick();
    w.the().until = None;
    w.run(60);
    w.restart_process();
    w.run(55);
    assert_eq!(w.ready(), "False/Stopping");
    w.run(15);
    assert_eq!(w.ready(), "False/StopTimeout", "the deadline survives a restart");
    let now = w.now;
    w.the().until = Some((now, S::Stopped));
    w.until(30, "stopped after all", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_stop_without_effect_is_tried_again_until_its_deadline() {
    let mut w = World::settled(json!({"powerOff": {"timeout": "2m"}}));
    for _ in 0..20 {
        w.fates.push(("Stop", Fate::NoEffect));
    }
    w.edit(json!({"powerState": "Stopped"}));
    w.run(180);
    assert_eq!(w.ready(), "False/StopTimeout");
    assert!((3..8).contains(&w.calls.len()), "{:?}", w.calls);
    w.fates.clear();
    w.until(600, "stopped", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn what_the_cloud_cannot_do_is_said_and_not_done() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Suspended"}));
    w.run(30);
    assert_eq!(w.ready(), "False/Unsupported");
    w.edit(json!({"powerState": "Stopped", "powerOff": {"mode": "Hard"}}));
    w.run(30);
    assert_eq!(w.ready(), "False/Unsupported");
    assert!(w.calls.is_empty());
}

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
fn abandon_releases_without_the_cloud() {
    let mut w = World::settled(json!({}));
    w.down_since = Some(w.now);
    w.delete();
    w.annotate(keys::ABANDON, "id-1");
    let made = w.plan();
    assert_eq!(made.step, crate::planner::Step::RemoveFinalizer);
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
