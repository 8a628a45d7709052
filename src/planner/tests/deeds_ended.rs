//! How deeds end: honestly, and never twice.

use serde_json::json;

use super::deeds::{LOGGED, MUTE, ask, outcome, over, record, says, server};
use super::world::{Fate, World, time};
use crate::api::server_action::{DeedOutcome, ServerAction};
use crate::api::{ConditionType, Reason, keys};
use crate::planner::deeds::object::{ActionStep, plan_action};
use crate::planner::draft::later;
use crate::planner::model::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use ServerState::*;

#[test]
fn a_process_that_dies_does_not_do_it_again() {
    // Before the call left, after it, and with its answer written down.
    for seconds in 0..6 {
        for written in [false, true] {
            let mut w = server(json!({}));
            ask(&mut w, "it", json!({"reboot": {"mode": "Hard"}}));
            if written {
                w.until(10, "accepted", |w| {
                    let op = w.server.status.as_ref().unwrap().operation.as_ref();
                    op.is_some_and(|o| o.request_id.is_some())
                });
            } else {
                let made = w.plan();
                if matches!(made.step, crate::planner::Step::Call { .. }) {
                    w.server.status = Some(made.status);
                }
            }
            w.run(if written { seconds } else { 0 });
            w.restart_process();
            w.until(200, "over", |w| over(w, "it"));
            let restarts = w.calls.iter().filter(|c| *c == "Restart").count();
            let expected = if written {
                "Succeeded/Succeeded"
            } else {
                "Unknown/OutcomeUnknown"
            };
            assert_eq!(outcome(&w, "it"), expected, "{seconds}");
            assert!(restarts <= 1, "{restarts} restarts");
            w.run(50);
            assert_eq!(w.calls.iter().filter(|c| *c == "Restart").count(), restarts);
        }
    }
}

#[test]
fn what_is_only_read_is_done_with_its_answer() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"consoleOutput": {"lines": 5}}));
    w.until(20, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
    w.run(60);
    assert_eq!(
        (w.calls.clone(), w.ready()),
        (vec!["ConsoleOutput".to_owned()], "True/AsDeclared".to_owned())
    );
    // Its process dies before the answer is written down: nobody knows, and it is not asked for again.
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"consoleOutput": {}}));
    let made = w.plan();
    assert!(matches!(made.step, crate::planner::Step::Call { .. }));
    w.server.status = Some(made.status);
    w.restart_process();
    w.until(200, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Unknown/OutcomeUnknown");
    assert_eq!(w.calls, Vec::<String>::new());
}

/// Somebody in the cloud does something that takes long.
fn busy(w: &mut World, seconds: i64) {
    let now = w.now;
    let server = w.the();
    (server.seen.state, server.seen.busy) = (Maintenance, true);
    server.until = Some((later(now, seconds), Running));
}

#[test]
fn what_the_cloud_is_busy_with_is_cancelled() {
    for can in [&LOGGED, &MUTE] {
        let mut w = server(json!({"powerState": "Unmanaged"}));
        w.can = can;
        busy(&mut w, 100_000);
        // It comes before what waits for the server.
        ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
        w.run(30);
        assert_eq!(outcome(&w, "image"), "Waiting/WaitingForServer");
        ask(&mut w, "it", json!({"cancel": {}}));
        w.until(200, "both over", |w| over(w, "image"));
        assert_eq!(w.calls, ["Cancel", "CreateImage"]);
        assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
    }
    // An operation of ours has its time first.
    let mut w = server(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::NoEffect));
    w.until(30, "asked", |w| w.calls == ["Stop"]);
    busy(&mut w, 100_000);
    ask(&mut w, "it", json!({"cancel": {}, "deadline": "24h"}));
    w.run(60);
    assert_eq!(w.calls, ["Stop"]);
    w.until(1200, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
}

#[test]
fn a_cancelled_server_that_is_gone_was_cancelled() {
    for (accepted, expected) in [(true, "Succeeded/Succeeded"), (false, "Unknown/OutcomeUnknown")] {
        let mut w = server(json!({"powerState": "Unmanaged"}));
        busy(&mut w, 100_000);
        if !accepted {
            w.fates.push(("Cancel", Fate::LoseReply));
        }
        ask(&mut w, "it", json!({"cancel": {}}));
        w.until(30, "asked", |w| w.calls == ["Cancel"]);
        w.run(1);
        w.cloud.clear();
        w.until(300, "over", |w| over(w, "it"));
        assert_eq!(outcome(&w, "it"), expected);
        assert_eq!(w.calls, ["Cancel"]);
    }
}

#[test]
fn what_the_installation_does_not_do_is_said_at_once() {
    let mut w = server(json!({}));
    w.fates.push(("ConsoleOutput", Fate::RefuseOff));
    ask(&mut w, "it", json!({"consoleOutput": {}}));
    w.until(20, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Failed/SwitchedOff");
    assert_eq!(record(&w, "it").unwrap().started_at, None);
}

#[test]
fn a_lost_reply_is_unknown_and_never_repeated() {
    for fate in [Fate::LoseReply, Fate::LoseRequest] {
        let mut w = server(json!({}));
        w.fates.push(("CreateImage", fate.clone()));
        ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
        w.until(200, "over", |w| over(w, "it"));
        assert_eq!(outcome(&w, "it"), "Unknown/OutcomeUnknown", "{fate:?}");
        assert!(
            says(&w, 0).starts_with("Complete=False Failed=True"),
            "{}",
            says(&w, 0)
        );
        w.run(100);
        assert_eq!(w.calls, ["CreateImage"]);
    }
}

#[test]
fn what_was_refused_for_good_ends_and_what_was_not_taken_is_asked_again() {
    for (class, expected) in [
        (ErrorClass::Forbidden, "Failed/Forbidden"),
        (ErrorClass::Quota, "Failed/QuotaExceeded"),
        (ErrorClass::InvalidSpec, "Failed/DeedRefused"),
        (ErrorClass::Unsupported, "Failed/Unsupported"),
        (ErrorClass::Busy, "Succeeded/Succeeded"),
        (ErrorClass::RateLimited, "Succeeded/Succeeded"),
        (ErrorClass::Transient, "Succeeded/Succeeded"),
    ] {
        let mut w = server(json!({}));
        w.fates.push(("CreateImage", Fate::Refuse(class)));
        ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
        w.until(400, "over", |w| over(w, "it"));
        assert_eq!(outcome(&w, "it"), expected, "{class}");
        let calls = if expected.starts_with("Failed") { 1 } else { 2 };
        assert_eq!(w.calls.len(), calls, "{class}");
        w.until(400, "at rest", |w| w.ready() == "True/AsDeclared");
        assert!(w.server.status.as_ref().unwrap().failure.is_none(), "{class}");
    }
}

#[test]
fn what_the_log_calls_an_error_failed_in_its_words() {
    let mut w = server(json!({}));
    w.knobs.log = Some(Ended::Failed("disk on fire".into()));
    ask(&mut w, "it", json!({"reboot": {}}));
    w.until(100, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Failed/DeedFailed");
    assert_eq!(record(&w, "it").unwrap().message, "disk on fire");
    assert_eq!(
        w.told_of(Reason::DeedFailed),
        [(true, "ServerAction it: Reboot: disk on fire")]
    );
}

#[test]
fn a_request_that_the_log_calls_unfinished_is_waited_for() {
    let mut w = server(json!({}));
    w.knobs.log = Some(Ended::UnderWay);
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.run(60);
    assert_eq!(outcome(&w, "it"), "Running/Acting");
    assert!(w.knobs.looks < 40, "asked {} times", w.knobs.looks);
    w.knobs.log = None;
    w.until(20, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
}

#[test]
fn a_cloud_without_a_log_is_believed_by_what_it_shows() {
    let mut w = server(json!({}));
    w.can = &MUTE;
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.until(100, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
    assert_eq!(w.knobs.looks, 0);
}

#[test]
fn the_same_name_and_spec_again_is_not_done_again() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.until(100, "over", |w| over(w, "it"));
    // Deleted, and made again from a repository.
    w.actions.remove(0);
    ask(&mut w, "other", json!({"resetState": {"to": "Active"}}));
    w.actions.clear();
    ask(&mut w, "filler", json!({"crashDump": {}}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.run(60);
    assert_eq!(w.calls, ["CreateImage", "CrashDump"]);
    assert_eq!(
        says(&w, 1),
        "Complete=False Failed=True Reconciling=False Stalled=True AlreadyRun"
    );
    // Another spec under the same name is another deed.
    w.actions.clear();
    ask(&mut w, "x", json!({"crashDump": {}}));
    ask(&mut w, "y", json!({"crashDump": {}}));
    ask(&mut w, "it", json!({"createImage": {"name": "b"}}));
    w.until(100, "over", |w| w.calls.len() == 3 + 2);
}

#[test]
fn a_deed_that_was_refused_without_a_call_may_be_asked_for_again() {
    let mut w = server(json!({"powerState": "Stopped"}));
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.until(100, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Failed/NotAllowed");
    w.edit(json!({"powerState": "Running"}));
    w.until(100, "running", |w| w.ready() == "True/AsDeclared");
    w.actions.clear();
    ask(&mut w, "filler", json!({"crashDump": {}}));
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.until(100, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
}

#[test]
fn a_server_action_is_taken_told_and_let_go() {
    let mut w = server(json!({}));
    ask(
        &mut w,
        "it",
        json!({"createImage": {"name": "a"}, "ttlAfterFinished": "1h"}),
    );
    let mut fresh = (*w.actions[0]).clone();
    fresh.metadata.finalizers = None;
    // No Server: it waits, and is given up a while after its deadline.
    let plan = plan_action(&fresh, None, w.now);
    assert_eq!(plan.step, ActionStep::Wait);
    let said = |status: &crate::api::ServerActionStatus| {
        crate::api::conditions::get(&status.conditions, ConditionType::Ready)
            .unwrap()
            .reason
            .clone()
    };
    assert_eq!(said(&plan.status), "WaitingForServer");
    let late = plan_action(&fresh, None, later(w.now, 3700));
    assert_eq!(said(&late.status), "DeadlineExceeded");
    // A Server: it is taken, with the Server as its owner.
    w.server.metadata.uid = Some("uid-1".into());
    let plan = plan_action(&fresh, Some(&w.server), w.now);
    assert_eq!(plan.step, ActionStep::Take("web".into(), "uid-1".into()));
    let mut other = fresh.clone();
    other.spec.server_ref.uid = Some("uid-2".into());
    assert_eq!(
        said(&plan_action(&other, Some(&w.server), w.now).status),
        "ServerMismatch"
    );
    // Deleted before it was begun: let go at once. Begun: kept until it is over.
    let deleted = |action: &ServerAction| {
        let mut action = action.clone();
        action.metadata.deletion_timestamp = Some(Time(time(0)));
        action
    };
    assert_eq!(
        plan_action(&deleted(&w.actions[0]), Some(&w.server), w.now).step,
        ActionStep::Release
    );
    w.until(10, "begun", |w| w.calls == ["CreateImage"]);
    assert_eq!(
        plan_action(&deleted(&w.actions[0]), Some(&w.server), w.now).step,
        ActionStep::Wait
    );
    // Its Server goes, and with it the record.
    let begun = plan_action(&w.actions[0], Some(&w.server), w.now);
    let mut begun_action = (*w.actions[0]).clone();
    begun_action.status = Some(begun.status);
    let gone = plan_action(&begun_action, None, w.now);
    assert_eq!(said(&gone.status), "ServerDeleted");
    w.until(60, "over", |w| over(w, "it"));
    let over = plan_action(&w.actions[0], Some(&w.server), w.now);
    let mut ended = (*w.actions[0]).clone();
    ended.status = Some(over.status.clone());
    assert_eq!(
        plan_action(&ended, Some(&w.server), w.now).step,
        ActionStep::Release
    );
    ended.metadata.finalizers = None;
    let waits = plan_action(&ended, Some(&w.server), w.now);
    let end = over.status.finished_at.unwrap();
    assert_eq!(
        (waits.step, waits.again_at),
        (ActionStep::Wait, Some(later(end, 3600)))
    );
    assert_eq!(
        plan_action(&ended, Some(&w.server), later(end, 3600)).step,
        ActionStep::Delete
    );
    assert_eq!(waits.status, over.status, "what is over says nothing new");
}

#[test]
fn a_deed_that_nobody_asks_for_any_more_is_forgotten_unless_it_was_done() {
    let mut w = server(json!({}));
    w.annotate(keys::PAUSED, "true");
    ask(&mut w, "it", json!({"reboot": {}}));
    w.run(5);
    assert_eq!(outcome(&w, "it"), "Waiting/Paused");
    w.actions.clear();
    w.annotate(keys::PAUSED, "false");
    w.run(20);
    assert_eq!(outcome(&w, "it"), "-");
    for n in 0..40 {
        ask(&mut w, &format!("n{n}"), json!({"crashDump": {}}));
    }
    w.run(400);
    let kept = &w.server.status.as_ref().unwrap().actions;
    assert!(kept.iter().all(|r| r.outcome == DeedOutcome::Succeeded));
    assert_eq!(
        (w.calls.len(), kept.len()),
        (23, 23),
        "what nobody told yet is not forgotten"
    );
    for _ in 0..2 {
        for action in &mut w.actions {
            let status = plan_action(action, Some(&w.server), w.now).status;
            std::sync::Arc::make_mut(action).status = Some(status);
        }
        w.run(400);
    }
    assert_eq!(w.calls.len(), 40);
    w.actions.clear();
    w.run(20);
    w.edit(json!({"powerState": "Stopped"}));
    w.run(20);
    assert_eq!(w.server.status.as_ref().unwrap().actions.len(), 20);
}

/// What ended without being taken up belongs to its Server too, and goes along with it.
#[test]
fn what_was_run_before_belongs_to_its_server() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.until(100, "over", |w| over(w, "it"));
    w.actions.clear();
    ask(
        &mut w,
        "it",
        json!({"createImage": {"name": "a"}, "ttlAfterFinished": "1m"}),
    );
    let mut again = (*w.actions[0]).clone();
    again.metadata.finalizers = None;
    let plan = plan_action(&again, Some(&w.server), w.now);
    assert_eq!(plan.step, ActionStep::Wait);
    again.status = Some(plan.status);
    let plan = plan_action(&again, Some(&w.server), w.now);
    assert_eq!(plan.step, ActionStep::Own("web".into(), "uid-1".into()));
    let mut another = again.clone();
    another.spec.server_ref.uid = Some("another".into());
    assert_eq!(
        plan_action(&another, Some(&w.server), w.now).step,
        ActionStep::Wait
    );
    // Without its Server there is nothing to belong to, and once it belongs to it, its time counts.
    assert_eq!(plan_action(&again, None, w.now).step, ActionStep::Wait);
    let owner =
        json!([{"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "name": "web", "uid": "uid-1"}]);
    again.metadata.owner_references = serde_json::from_value(owner).unwrap();
    assert_eq!(plan_action(&again, Some(&w.server), w.now).step, ActionStep::Wait);
    let later = later(w.now, 61);
    assert_eq!(
        plan_action(&again, Some(&w.server), later).step,
        ActionStep::Delete
    );
}
