//! Deeds of ServerActions: each once, in their order, and honestly told.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

pub(super) use super::deeds_cloud::{LOGGED, MUTE, done};
use super::world::{Fate, World};
use crate::api::server_action::{ActionRecord, Deed, ServerAction};
use crate::api::{ConditionType, keys};
use crate::planner::deeds::object::plan_action;
use crate::planner::draft::later;
use crate::planner::model::*;

use ServerState::*;

pub(super) fn server(spec: serde_json::Value) -> World {
    let mut w = World::new(spec);
    w.can = &LOGGED;
    w.until(60, "created", |w| w.ready().starts_with("True"));
    w.calls.clear();
    w.writes.clear();
    w.events.clear();
    w
}

/// Hands in a ServerAction that the controller has taken.
pub(super) fn ask(w: &mut World, name: &str, deed: serde_json::Value) {
    let mut spec = json!({"serverRef": {"name": "web"}});
    for (k, v) in deed.as_object().unwrap() {
        spec[k] = v.clone();
    }
    let action: ServerAction = serde_json::from_value(json!({
        "apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction",
        "metadata": {"name": name, "namespace": "ns", "uid": format!("{name}@{}", w.now), "generation": 1,
            "creationTimestamp": Time(w.now), "finalizers": [keys::ACTION_FINALIZER]},
        "spec": spec,
    }))
    .unwrap();
    w.actions.push(Arc::new(action));
}

pub(super) fn record<'w>(w: &'w World, name: &str) -> Option<&'w ActionRecord> {
    let status = w.server.status.as_ref().unwrap();
    status.actions.iter().rev().find(|r| r.name == name)
}

pub(super) fn outcome(w: &World, name: &str) -> String {
    record(w, name).map_or("-".into(), |r| format!("{}/{}", r.outcome, r.reason))
}

pub(super) fn over(w: &World, name: &str) -> bool {
    record(w, name).is_some_and(|r| r.outcome.is_over())
}

/// What the ServerAction says of itself.
pub(super) fn says(w: &World, n: usize) -> String {
    let plan = plan_action(&w.actions[n], Some(&w.server), w.now);
    let get = |kind| {
        crate::api::conditions::get(&plan.status.conditions, kind)
            .map_or("-".to_owned(), |c| c.status.clone())
    };
    let ready = crate::api::conditions::get(&plan.status.conditions, ConditionType::Ready).unwrap();
    format!(
        "Complete={} Failed={} Reconciling={} Stalled={} {}",
        get(ConditionType::Complete),
        get(ConditionType::Failed),
        get(ConditionType::Reconciling),
        get(ConditionType::Stalled),
        ready.reason
    )
}

#[test]
fn an_image_is_made_once_and_its_id_is_told() {
    let mut w = server(json!({}));
    ask(&mut w, "snap", json!({"createImage": {"name": "web-before"}}));
    assert_eq!(
        says(&w, 0),
        "Complete=False Failed=False Reconciling=True Stalled=False WaitingForObservation"
    );
    w.until(60, "under way", |w| w.ready() == "False/Acting");
    assert_eq!(
        says(&w, 0),
        "Complete=False Failed=False Reconciling=True Stalled=False Acting"
    );
    w.until(60, "done", |w| over(w, "snap"));
    assert_eq!(outcome(&w, "snap"), "Succeeded/Succeeded");
    assert_eq!(record(&w, "snap").unwrap().result.as_deref(), Some("image-1"));
    assert_eq!(
        says(&w, 0),
        "Complete=True Failed=False Reconciling=False Stalled=False Succeeded"
    );
    w.run(100);
    assert_eq!(w.calls, ["CreateImage"]);
    assert_eq!(w.ready(), "True/AsDeclared");
    assert!(w.server.status.as_ref().unwrap().operation.is_none());
}

#[test]
fn deeds_come_one_after_the_other_in_the_order_of_their_making_and_before_wishes() {
    let mut w = server(json!({}));
    ask(&mut w, "first", json!({"createImage": {"name": "a"}}));
    w.run(1);
    ask(&mut w, "second", json!({"reboot": {"mode": "Hard"}}));
    ask(
        &mut w,
        "third",
        json!({"createBackup": {"name": "b", "type": "daily", "rotation": 2}}),
    );
    w.edit(json!({"powerState": "Stopped"}));
    assert!(says(&w, 1).ends_with("WaitingForAction"), "{}", says(&w, 1));
    w.until(200, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == Stopped
    });
    assert_eq!(w.calls, ["CreateImage", "Restart", "CreateBackup", "Stop"]);
    for name in ["first", "second", "third"] {
        assert_eq!(outcome(&w, name), "Succeeded/Succeeded", "{name}");
    }
}

/// Every deed, with something to do.
pub(super) fn every_deed() -> Vec<(Deed, serde_json::Value)> {
    vec![
        (Deed::Reboot, json!({"reboot": {"mode": "SoftThenHard"}})),
        (Deed::ConfirmResize, json!({"confirmResize": {}})),
        (Deed::RevertResize, json!({"revertResize": {}})),
        (Deed::CreateImage, json!({"createImage": {"name": "a"}})),
        (
            Deed::CreateBackup,
            json!({"createBackup": {"name": "a", "type": "t", "rotation": 1}}),
        ),
        (Deed::Rebuild, json!({"rebuild": {"image": {"name": "new"}}})),
        (Deed::Reinstall, json!({"reinstall": {}})),
        (
            Deed::ChangePassword,
            json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
        ),
        (Deed::CrashDump, json!({"crashDump": {}})),
        (Deed::ColdMigrate, json!({"coldMigrate": {}})),
        (Deed::LiveMigrate, json!({"liveMigrate": {}})),
        (Deed::Evacuate, json!({"evacuate": {"hostFenced": true}})),
        (Deed::ResetState, json!({"resetState": {}})),
        (Deed::ConsoleOutput, json!({"consoleOutput": {}})),
        (Deed::RemoteConsole, json!({"remoteConsole": {"type": "Serial"}})),
        (Deed::Cancel, json!({"cancel": {}})),
        (Deed::BackupDisk, json!({"backupDisk": {"name": "a"}})),
    ]
}

#[test]
fn a_deed_is_sent_exactly_where_the_cloud_accepts_it() {
    let deeds = every_deed();
    let all: Vec<Deed> = deeds.iter().map(|(deed, _)| *deed).collect();
    for deed in Deed::ALL
        .iter()
        .filter(|d| super::super::deeds::call(**d).is_some())
    {
        assert!(all.contains(deed), "{deed} has no row");
    }
    let rests = [
        Running,
        Stopped,
        Paused,
        Suspended,
        Shelved,
        Rescued,
        AwaitingResizeConfirmation,
        Error,
    ];
    for (deed, spec) in deeds {
        for state in rests {
            let mut w = server(json!({"powerState": "Unmanaged"}));
            w.the().seen.state = state;
            w.the().seen.raw = state.as_str().to_uppercase();
            ask(&mut w, "it", spec.clone());
            w.until(100, "over", |w| over(w, "it"));
            let kind = super::super::deeds::call(deed).unwrap();
            let row = super::super::deeds::accepted_in(&LOGGED, kind, false);
            let sent = w.calls.iter().any(|c| c == kind.as_str());
            assert_eq!(sent, row.contains(&state), "{deed} in {state}: {:?}", w.calls);
            if !sent {
                assert_eq!(outcome(&w, "it"), "Failed/NotAllowed", "{deed} in {state}");
                let words = &record(&w, "it").unwrap().message;
                assert!(
                    words.contains(row[0].as_str()) && words.contains(state.as_str()),
                    "{words}"
                );
            }
        }
    }
}

#[test]
fn a_hard_reboot_is_accepted_where_a_soft_one_is_not() {
    for (mode, sent) in [("Hard", true), ("Soft", false)] {
        let mut w = server(json!({"powerState": "Unmanaged"}));
        w.the().seen.state = Paused;
        ask(&mut w, "it", json!({"reboot": {"mode": mode}}));
        w.until(100, "over", |w| over(w, "it"));
        assert_eq!(w.calls == ["Restart"], sent, "{mode}: {:?}", w.calls);
    }
}

#[test]
fn policies_pauses_and_locks_hold_deeds_back() {
    let mut w = server(json!({}));
    w.annotate(keys::PAUSED, "true");
    ask(&mut w, "it", json!({"reboot": {"mode": "Hard"}}));
    w.run(60);
    assert_eq!(outcome(&w, "it"), "Waiting/Paused");
    w.annotate(keys::PAUSED, "false");
    w.the().seen.locked = Some("hands off".into());
    w.run(60);
    assert_eq!(outcome(&w, "it"), "Waiting/Locked");
    assert_eq!(w.calls, Vec::<String>::new());
    w.the().seen.locked = None;
    w.until(100, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
    for (policy, deed, expected) in [
        (
            "PowerOnly",
            json!({"reboot": {"mode": "Hard"}}),
            "Succeeded/Succeeded",
        ),
        (
            "PowerOnly",
            json!({"createImage": {"name": "a"}}),
            "Failed/NotAllowed",
        ),
        (
            "Observe",
            json!({"reboot": {"mode": "Hard"}}),
            "Failed/NotAllowed",
        ),
    ] {
        let mut w = World::new(
            json!({"import": {"id": "old"}, "managementPolicy": policy, "powerState": "Running",
            "deletionPolicy": "Orphan"}),
        );
        w.can = &LOGGED;
        w.put("old", Running, None);
        w.until(60, "taken over", |w| w.ready().starts_with("True"));
        ask(&mut w, "it", deed);
        w.until(100, "over", |w| over(w, "it"));
        assert_eq!(outcome(&w, "it"), expected, "{policy}");
    }
}

#[test]
fn what_is_not_begun_by_its_deadline_is_given_up() {
    let mut w = server(json!({}));
    w.annotate(keys::PAUSED, "true");
    ask(&mut w, "it", json!({"reboot": {}, "deadline": "1m"}));
    w.run(55);
    assert_eq!(outcome(&w, "it"), "Waiting/Paused");
    w.until(20, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Failed/DeadlineExceeded");
    w.annotate(keys::PAUSED, "false");
    w.run(60);
    assert_eq!(w.calls, Vec::<String>::new());
}

#[test]
fn a_resize_that_waits_for_a_word_gets_it() {
    let mut w = server(json!({"resize": {"when": "Manual", "confirm": "Manual"}}));
    ask(&mut w, "early", json!({"resize": {}}));
    w.until(50, "over", |w| over(w, "early"));
    assert_eq!(outcome(&w, "early"), "Succeeded/Succeeded", "it has that size");
    w.edit(json!({"size": {"name": "large"}}));
    w.run(30);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/PendingApproval");
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(100, "resized", |w| over(w, "go"));
    assert_eq!(outcome(&w, "go"), "Succeeded/Succeeded");
    assert_eq!(w.state(), AwaitingResizeConfirmation);
    ask(&mut w, "yes", json!({"confirmResize": {}}));
    w.until(100, "confirmed", |w| over(w, "yes"));
    w.until(100, "at rest", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.condition(ConditionType::SizeSynced), "True/Synced");
    assert_eq!(w.calls, ["Resize", "ConfirmResize"]);
    // And back.
    w.edit(json!({"size": {"name": "huge"}}));
    ask(&mut w, "go2", json!({"resize": {}}));
    w.until(100, "resized", |w| over(w, "go2"));
    ask(&mut w, "no", json!({"revertResize": {}}));
    w.until(100, "reverted", |w| over(w, "no"));
    w.run(100);
    assert_eq!(w.calls, ["Resize", "ConfirmResize", "Resize", "RevertResize"]);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/ResizeFailed");
    // What is to be done now is said: to the one who wanted it back, that nothing failed.
    for kind in [ConditionType::SizeSynced, ConditionType::Ready] {
        let said = w.message_of(kind);
        for words in [
            "size huge was taken back",
            "large is kept",
            "Set spec.size back to large",
            keys::RETRY,
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "as declared", |w| w.ready() == "True/AsDeclared");
}

/// The wish has moved on when the size is reached: that resize is over, and the next deed has its turn.
#[test]
fn a_resize_that_is_overtaken_by_another_wish_holds_nothing_up() {
    let mut w = server(json!({"resize": {"when": "WhenStopped"}}));
    w.edit(json!({"size": {"name": "large"}}));
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(60, "under way", |w| w.calls == ["Resize"]);
    w.edit(json!({"size": {"name": "huge"}}));
    ask(&mut w, "next", json!({"reboot": {"mode": "Hard"}}));
    w.until(300, "rebooted", |w| over(w, "next"));
    assert_eq!(outcome(&w, "next"), "Succeeded/Succeeded");
    assert_eq!(w.calls, ["Resize", "ConfirmResize", "Restart"]);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/PendingPowerOff");
    assert!(w.server.status.as_ref().unwrap().resize.is_none());
}

/// The cloud takes the confirmation and nothing comes of it: nobody can say more, and the next deed is free.
#[test]
fn a_confirmation_without_effect_ends_as_unknown() {
    for log in [None, Some(Ended::UnderWay)] {
        let mut w = server(json!({"resize": {"when": "StopIfNeeded", "confirm": "Manual"}}));
        w.knobs.log = log;
        w.fates.push(("ConfirmResize", Fate::NoEffect));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(120, "resized", |w| w.state() == AwaitingResizeConfirmation);
        ask(&mut w, "yes", json!({"confirmResize": {}}));
        w.until(3600, "given up", |w| over(w, "yes"));
        assert_eq!(outcome(&w, "yes"), "Unknown/OutcomeUnknown");
        w.knobs.log = None;
        ask(&mut w, "again", json!({"confirmResize": {}}));
        w.until(600, "confirmed", |w| over(w, "again"));
        assert_eq!(outcome(&w, "again"), "Succeeded/Succeeded");
    }
}

#[test]
fn a_migration_is_confirmed_as_a_resize_is() {
    for (confirm, calls) in [
        ("Auto", vec!["ColdMigrate", "ConfirmResize"]),
        ("Manual", vec!["ColdMigrate"]),
    ] {
        let mut w = server(json!({"resize": {"confirm": confirm}}));
        ask(&mut w, "move", json!({"coldMigrate": {}}));
        w.until(100, "over", |w| over(w, "move"));
        w.run(60);
        assert_eq!(w.calls, calls, "{confirm}");
        assert_eq!(outcome(&w, "move"), "Succeeded/Succeeded");
        assert!(!w.events.contains(&"Resized".to_owned()), "{:?}", w.events);
        if confirm == "Manual" {
            ask(&mut w, "yes", json!({"confirmResize": {}}));
            w.until(100, "over", |w| over(w, "yes"));
        }
        w.until(60, "at rest", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.state(), Running);
    }
}

#[test]
fn a_rebuild_follows_the_spec_where_the_server_does() {
    let mut w = server(json!({"rebuild": {"when": "OnImageChange"}}));
    ask(&mut w, "other", json!({"rebuild": {"image": {"name": "new"}}}));
    w.until(50, "over", |w| over(w, "other"));
    assert_eq!(outcome(&w, "other"), "Failed/NotAllowed");
    ask(&mut w, "same", json!({"rebuild": {"image": {"name": "img"}}}));
    w.until(100, "over", |w| over(w, "same"));
    assert_eq!(
        (outcome(&w, "same"), w.calls.clone()),
        ("Succeeded/Succeeded".into(), vec!["Rebuild".into()])
    );
    let mut w = server(json!({}));
    ask(&mut w, "other", json!({"rebuild": {"image": {"name": "new"}}}));
    w.until(100, "over", |w| over(w, "other"));
    w.run(30);
    assert_eq!(
        w.server
            .status
            .as_ref()
            .unwrap()
            .image
            .as_ref()
            .unwrap()
            .requested
            .as_deref(),
        Some("new")
    );
    assert_eq!(w.condition(ConditionType::DriftDetected), "True/ImageDrift");
    assert_eq!(w.calls, ["Rebuild"]);
}

#[test]
fn a_person_sets_the_state_of_what_is_stuck() {
    let mut w = server(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::NoEffect));
    w.until(30, "asked", |w| w.calls == ["Stop"]);
    let now = w.now;
    let stuck = w.the();
    stuck.seen.state = Stopping;
    stuck.seen.busy = true;
    stuck.until = Some((later(now, 100_000), Stopped));
    ask(&mut w, "reset", json!({"resetState": {}, "deadline": "24h"}));
    w.run(60);
    assert_eq!(w.calls, ["Stop"], "while the operation has its time");
    w.until(1200, "over", |w| over(w, "reset"));
    assert_eq!(outcome(&w, "reset"), "Succeeded/Succeeded");
    w.until(100, "stopped", |w| w.state() == Stopped);
}

#[test]
fn a_deletion_comes_before_deeds() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.delete();
    w.until(200, "gone", |w| w.gone);
    assert!(!w.calls.contains(&"CreateImage".to_owned()), "{:?}", w.calls);
    assert!(says(&w, 0).ends_with("ServerDeleted"), "{}", says(&w, 0));
}
