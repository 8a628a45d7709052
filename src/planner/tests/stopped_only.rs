//! Clouds that delete only stopped servers, keep disks, or offer to try a step again.

use serde_json::json;

use super::clouds::{METAL, STOPPED_ONLY, calls, forget, on, part, settled};
use super::world::{Fate, World};
use crate::api::{ConditionType as C, Reason};
use crate::planner::draft::later;
use crate::planner::model::{ErrorClass, FailedStep, Part, PartKind, ServerState as S};

#[test]
fn a_running_server_is_stopped_before_it_is_deleted() {
    for (deletion, stops) in [
        (json!({}), vec!["SoftThenHard 60"]),
        (json!({"powerOff": "Hard"}), vec!["Hard 60"]),
        (json!({"powerOff": "None"}), vec!["Hard 60"]),
        (json!({"force": true}), vec!["Hard 60"]),
    ] {
        let mut w = settled(&STOPPED_ONLY, json!({"deletion": deletion}));
        w.delete();
        w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
        assert_eq!(
            (calls(&w), w.knobs.hows.clone()),
            (
                vec!["Stop", "Delete"],
                stops.iter().map(|s| s.to_string()).collect()
            )
        );
    }
    let mut w = settled(&STOPPED_ONLY, json!({"powerState": "Stopped"}));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!(calls(&w), ["Delete"]);
}

/// Two processes that delete the same server, each by its own list, would else stop and delete it in turns.
#[test]
fn nothing_is_done_by_a_list_from_before_the_last_record() {
    let mut w = settled(&STOPPED_ONLY, json!({}));
    let running = w.view();
    w.delete();
    w.until(60, "stopped", |w| {
        w.cloud.values().all(|f| f.seen.state == S::Stopped)
    });
    let stopped = w.view();
    w.fates.push(("Delete", Fate::Refuse(ErrorClass::NotFound)));
    w.until(5, "asked to be deleted", |w| calls(w).ends_with(&["Delete"]));
    let asked = calls(&w).len();
    for old in [running, stopped] {
        w.knobs.old = Some(old);
        for _ in 0..3 {
            w.rival();
            assert_eq!(calls(&w).len(), asked, "{:?}", calls(&w));
        }
    }
    w.knobs.old = None;
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn a_guest_that_does_not_stop_has_its_power_cut() {
    let mut w = settled(&STOPPED_ONLY, json!({"deletion": {"timeout": "20s"}}));
    w.fates.push(("Stop", Fate::NoEffect));
    w.delete();
    w.run(15);
    assert_eq!(calls(&w), ["Stop"]);
    w.until(120, "gone", |w| w.gone);
    assert_eq!(w.knobs.hows.last().unwrap(), "Hard 20");
    assert!(w.events.contains(&"StopTimeout".to_owned()) && calls(&w).ends_with(&["Delete"]));
}

#[test]
fn a_stop_before_a_deletion_that_is_refused_or_lost_is_made_again() {
    for fate in [
        Fate::Refuse(ErrorClass::Busy),
        Fate::Refuse(ErrorClass::Transient),
        Fate::LoseRequest,
        Fate::LoseReply,
    ] {
        let mut w = settled(&STOPPED_ONLY, json!({}));
        w.fates.push(("Stop", fate.clone()));
        w.delete();
        w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
        let stops = calls(&w).iter().filter(|c| **c == "Stop").count();
        assert_eq!(
            stops,
            if matches!(fate, Fate::LoseReply) { 1 } else { 2 },
            "{fate:?}"
        );
    }
}

#[test]
fn power_that_cannot_be_cut_is_shown_and_tried_again() {
    let mut w = settled(&STOPPED_ONLY, json!({"deletion": {"powerOff": "Hard"}}));
    for _ in 0..3 {
        w.fates.push(("Stop", Fate::NoEffect));
    }
    w.delete();
    w.until(200, "shown", |w| {
        w.condition(C::DeletionBlocked) == "True/StopTimeout"
    });
    w.until(3600, "gone", |w| w.gone);
}

#[test]
fn an_error_that_cannot_be_deleted_is_said_and_looked_at_again() {
    let mut w = settled(&STOPPED_ONLY, json!({}));
    w.the().seen.state = S::Error;
    w.delete();
    w.run(120);
    assert_eq!(
        (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
        ("True/DeletionWaits", 0)
    );
    let writes = w.writes.len();
    w.run(300);
    assert_eq!(w.writes.len(), writes, "said once");
    w.the().seen.state = S::Stopped;
    w.until(120, "gone", |w| w.gone);
}

#[test]
fn a_creation_is_cancelled_where_the_cloud_can_and_waited_for_where_not() {
    let mut w = World::new(json!({}));
    w.can = &STOPPED_ONLY;
    w.until(30, "asked", |w| w.state() == S::Provisioning);
    w.the().until = None;
    w.delete();
    w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
    assert_eq!(calls(&w), ["Create", "Cancel", "Delete"]);
    let mut w = on(&METAL, json!({}));
    w.until(30, "asked", |w| w.state() == S::Provisioning);
    let ends = w.the().until.take();
    w.delete();
    w.run(60);
    assert_eq!(
        (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
        ("True/DeletionWaits", 1)
    );
    w.the().until = ends;
    w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
    assert_eq!(calls(&w), ["Create", "Stop", "Delete"]);
}

#[test]
fn somebody_else_s_creation_is_never_cancelled() {
    let mut w =
        World::new(json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Delete"}));
    w.can = &STOPPED_ONLY;
    w.put("x", S::Running, None);
    w.until(60, "taken", |w| w.ready() == "True/AsDeclared");
    forget(&mut w);
    w.the().seen.state = S::Provisioning;
    w.delete();
    w.run(120);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
}

fn parts() -> Vec<Part> {
    let backup = |id: &str, of: &str, at: i64| Part {
        made_at: Some(super::world::time(at)),
        of: Some(of.to_owned()),
        ..part(PartKind::Backup, id, true)
    };
    vec![
        part(PartKind::Disk, "d1", true),
        part(PartKind::Disk, "theirs", false),
        backup("b1", "d1", 1),
        backup("b2", "d1", 2),
        backup("b3", "d2", 1),
        part(PartKind::Address, "a1", true),
        part(PartKind::Address, "floating", false),
    ]
}

#[test]
fn parts_go_as_the_spec_says_and_only_ours() {
    for (deletion, gone) in [
        (json!({}), vec!["Address a1"]),
        (json!({"addresses": "Keep"}), vec![]),
        (
            json!({"addresses": "Keep", "disks": "DeleteOwned"}),
            vec!["Disk d1"],
        ),
        (
            json!({"addresses": "Keep", "backups": "KeepLatest"}),
            vec!["Backup b1"],
        ),
        (
            json!({"disks": "DeleteOwned", "backups": "Delete"}),
            vec!["Disk d1", "Backup b1", "Backup b2", "Backup b3", "Address a1"],
        ),
    ] {
        for (sparse, crash) in [(false, false), (true, false), (true, true)] {
            let mut w = settled(
                &STOPPED_ONLY,
                json!({"powerState": "Stopped", "deletion": deletion}),
            );
            w.knobs.sparse = sparse;
            w.the().seen.parts = parts();
            w.delete();
            if crash {
                w.until(60, "server gone", |w| w.cloud.is_empty());
                w.restart_process();
            }
            w.until(300, "gone", |w| w.gone && w.cloud.is_empty());
            let mut heard = w.knobs.hows.clone();
            heard.dedup();
            assert_eq!(heard, gone, "{deletion} {sparse} {crash}");
            assert_eq!(
                w.events.iter().filter(|e| *e == "PartsKept").count(),
                1,
                "{:?}",
                w.events
            );
            assert_eq!(w.events.iter().filter(|e| *e == "Deleted").count(), 1);
            assert!(!sparse || crash || w.knobs.looks <= 3, "{}", w.knobs.looks);
        }
    }
}

#[test]
fn a_part_that_is_not_ours_any_more_is_spared_and_named() {
    let mut w = settled(
        &STOPPED_ONLY,
        json!({"powerState": "Stopped", "deletion": {"disks": "DeleteOwned"}}),
    );
    w.the().seen.parts = vec![part(PartKind::Disk, "d1", true), part(PartKind::Disk, "d2", true)];
    w.fates.push(("DeletePart", Fate::Spare));
    w.delete();
    w.until(120, "gone", |w| w.gone);
    assert_eq!(w.knobs.hows, ["Disk d1", "Disk d2"]);
    let told = |reason| {
        w.told_of(reason)
            .iter()
            .map(|(_, note)| (*note).to_owned())
            .collect::<String>()
    };
    let (deleted, kept) = (told(Reason::PartDeleted), told(Reason::PartsKept));
    assert!(deleted.contains("d2") && !deleted.contains("d1"), "{deleted}");
    assert!(kept.contains("d1") && !kept.contains("d2"), "{kept}");
}

#[test]
fn a_part_that_is_refused_holds_the_object_until_the_spec_lets_it_stay() {
    let mut w = settled(
        &STOPPED_ONLY,
        json!({"powerState": "Stopped", "deletion": {"disks": "DeleteOwned"}}),
    );
    w.the().seen.parts = vec![part(PartKind::Disk, "d1", true), part(PartKind::Disk, "d2", true)];
    w.fates.push(("DeletePart", Fate::Refuse(ErrorClass::NotFound)));
    for _ in 0..50 {
        w.fates.push(("DeletePart", Fate::Refuse(ErrorClass::Forbidden)));
    }
    w.delete();
    w.run(200);
    assert!(!w.gone && w.cloud.is_empty());
    assert_eq!(w.condition(C::DeletionBlocked), "True/Recovering");
    assert_eq!(
        w.server.status.as_ref().unwrap().parts.len(),
        1,
        "one was gone already"
    );
    w.edit(json!({"deletion": {"disks": "Keep"}}));
    w.until(60, "gone", |w| w.gone);
    assert!(w.events.contains(&"PartsKept".to_owned()));
}

fn failed(step: FailedStep, spec: serde_json::Value) -> World {
    let mut w = on(&METAL, spec);
    w.fates.push(("Create", Fate::Break));
    w.until(60, "failed", |w| w.state() == S::Error);
    w.the().seen.failed_step = Some(step);
    w
}

#[test]
fn a_failed_creation_is_tried_again_a_few_times_and_then_made_anew() {
    let mut w = failed(FailedStep::Create, json!({}));
    w.until(120, "ready", |w| w.ready() == "True/AsDeclared");
    assert_eq!(calls(&w), ["Create", "Retry"]);
    let mut w = failed(FailedStep::Create, json!({}));
    for _ in 0..9 {
        w.fates.push(("Retry", Fate::NoEffect));
    }
    w.until(60, "tried", |w| w.calls.contains(&"Retry".to_owned()));
    w.restart_process();
    w.until(1200, "made anew", |w| w.ready() == "True/AsDeclared");
    assert_eq!(
        calls(&w),
        ["Create", "Retry", "Retry", "Retry", "DeleteFailed", "Create"]
    );
    let mut w = failed(FailedStep::Create, json!({}));
    for _ in 0..9 {
        w.fates.push(("Retry", Fate::Refuse(ErrorClass::Busy)));
    }
    w.until(1200, "made anew", |w| w.ready() == "True/AsDeclared");
    assert_eq!(
        calls(&w),
        ["Create", "Retry", "Retry", "Retry", "DeleteFailed", "Create"],
        "a try that the cloud does not take is one"
    );
    let mut w = failed(FailedStep::Create, json!({"onCreateError": "Hold"}));
    w.run(300);
    assert_eq!(
        (w.ready().as_str(), calls(&w)),
        ("False/CreateHeld", vec!["Create"])
    );
}

#[test]
fn no_other_error_is_tried_again() {
    for step in [
        FailedStep::Create,
        FailedStep::Reinstall,
        FailedStep::Other,
        FailedStep::Delete,
    ] {
        let mut w = settled(&METAL, json!({}));
        w.the().seen.state = S::Error;
        w.the().seen.failed_step = Some(step);
        w.run(300);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("False/ServerError", 0),
            "{step:?}"
        );
    }
}

#[test]
fn a_failed_deletion_is_tried_again() {
    let mut w = settled(&METAL, json!({"powerState": "Stopped"}));
    w.fates.push(("Delete", Fate::Break));
    w.delete();
    w.until(60, "failed", |w| w.state() == S::Error);
    w.the().seen.failed_step = Some(FailedStep::Delete);
    for _ in 0..4 {
        w.fates.push(("Delete", Fate::NoEffect));
    }
    w.until(60, "told", |w| {
        w.condition(C::DeletionBlocked) == "True/Recovering"
    });
    let words = w.message_of(C::DeletionBlocked);
    assert!(words.contains("the deletion ended in an error"), "{words}");
    let begun = w.now;
    w.until(600, "gone", |w| w.gone && w.cloud.is_empty());
    assert_eq!(
        calls(&w),
        ["Delete"; 6],
        "a step that is tried again could install the system anew"
    );
    assert!(w.now > later(begun, 60), "ever more seldom");
}

#[test]
fn marks_that_cannot_be_changed_hinder_nobody() {
    let mut w = on(
        &METAL,
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan"}),
    );
    w.put("x", S::Running, None);
    w.run(120);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    w.delete();
    w.until(30, "let go", |w| w.gone);
    assert_eq!((w.state(), w.calls.len()), (S::Running, 0));
    let mut w = settled(&METAL, json!({"deletionPolicy": "Orphan"}));
    w.delete();
    w.until(30, "let go", |w| w.gone);
    assert!(w.calls.is_empty() && w.the().seen.marks.is_some());
    assert!(w.events.contains(&"Orphaned".to_owned()));
}

#[test]
fn a_reboot_that_passes_through_stopped_is_no_drift() {
    for crash in [false, true] {
        let mut w = settled(&METAL, json!({}));
        w.edit(json!({"restart": {"token": "a"}}));
        w.until(10, "restarts", |w| !w.calls.is_empty());
        let up = later(w.now, 60);
        let fake = w.the();
        (fake.seen.state, fake.seen.busy, fake.until) = (S::Stopped, false, Some((up, S::Running)));
        if crash {
            w.restart_process();
        }
        w.run(50);
        assert_eq!(calls(&w), ["Restart"], "the stop of our own restart is no drift");
        w.until(60, "up", |w| w.ready() == "True/AsDeclared");
        assert_eq!(
            (calls(&w), w.condition(C::DriftDetected).starts_with("True")),
            (vec!["Restart"], false)
        );
        // A guest that stays down after all is started.
        w.edit(json!({"restart": {"token": "b"}}));
        w.until(10, "restarts", |w| w.calls.len() == 2);
        let fake = w.the();
        (fake.seen.state, fake.seen.busy, fake.until) = (S::Stopped, false, None);
        w.until(900, "started", |w| calls(w).ends_with(&["Start"]));
    }
}
