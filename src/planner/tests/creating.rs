//! Creating: once, and never by name.

use serde_json::json;

use super::cloud::MACHINES;
use super::world::{Fate, World, marks};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{Accepted, ErrorClass, ServerState as S};

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
        let told = crate::planner::memory::Told::Nothing;
        Some(crate::planner::memory::Sent { key, outcome, told })
    };
    // The list has shown the server already.
    w.memory.sent = sent(crate::planner::memory::Outcome::InFlight);
    w.run(5);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.edit(json!({"powerState": "Stopped"}));
    w.run(10);
    assert!(w.calls.is_empty());
    let id = w.id().map(str::to_owned);
    let accepted = Accepted {
        id,
        ..Accepted::default()
    };
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
fn the_same_uid_of_another_installation_is_a_stranger() {
    let mut w = World::new(json!({}));
    w.put("theirs", S::Running, marks("uid-1", "other", "ns/web"));
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
    assert_ne!(w.id(), Some("theirs"));
    w.delete();
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.cloud.keys().collect::<Vec<_>>(), ["theirs"]);
}

#[test]
fn nothing_is_made_while_the_list_has_servers_that_nobody_can_read() {
    let mut w = World::new(json!({}));
    w.put("dark", S::Unknown, None);
    w.cloud.get_mut("dark").unwrap().seen.unreadable = true;
    w.run(300);
    assert_eq!(
        (w.ready().as_str(), w.calls.len()),
        ("False/WaitingForObservation", 0)
    );
    w.cloud.clear();
    w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn what_is_edited_while_it_is_made_is_carried_out_afterwards() {
    let mut w = World::new(json!({"size": {"name": "small"}, "resize": {"when": "StopIfNeeded"}}));
    w.fates.push(("Create", Fate::LoseReply));
    w.until(30, "asked", |w| !w.calls.is_empty());
    w.edit(json!({"size": {"name": "big"}}));
    w.until(300, "resized", |w| {
        w.ready() == "True/AsDeclared" && w.calls.iter().any(|c| c == "Resize")
    });
    assert_eq!(w.most_alive, 1);
}

#[test]
fn a_cloud_without_sizes_is_asked_for_none() {
    let mut w = World::new(json!({}));
    w.can = &MACHINES;
    w.until(30, "refused", |w| w.ready() == "False/Unsupported");
    w.run(120);
    assert!(w.calls.is_empty(), "{:?}", w.calls);
    w.edit(json!({"size": null}));
    w.until(60, "created", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Create"]);
    // A size that is written down later is shown, and nothing is sent.
    w.edit(json!({"size": {"name": "large"}}));
    w.run(60);
    assert_eq!(w.condition(C::SizeSynced), "False/Unsupported");
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn a_machine_may_take_an_hour_to_be_installed() {
    let mut w = World::new(json!({"size": null}));
    w.can = &MACHINES;
    w.until(60, "asked", |w| w.calls == ["Create"]);
    w.the().until = None;
    w.run(3300);
    assert_eq!(w.ready(), "False/Creating");
    w.run(400);
    assert_eq!(w.ready(), "False/OperationTimeout");
}

/// Found by the model: another process gives an attempt up while the call of this one still has no answer.
#[test]
fn no_create_follows_a_call_that_has_no_answer_yet() {
    use crate::api::server_status::CreateAttempt;
    use crate::planner::memory::{Outcome, Sent, Told};
    for others in [false, true] {
        let mut w = World::new(json!({}));
        w.run(1);
        let sent = |outcome| {
            let key = "create-1".to_owned();
            let told = Told::Nothing;
            Some(Sent { key, outcome, told })
        };
        w.memory.sent = sent(Outcome::InFlight);
        let status = w.server.status.as_mut().unwrap();
        status.create_attempts = Some(2);
        status.create_attempt = others.then(|| CreateAttempt {
            n: 2,
            holder: "other".to_owned(),
            started_at: w.now,
            deadline: crate::planner::draft::later(w.now, 30),
        });
        w.run(100);
        let attempt = w.server.status.as_ref().unwrap().create_attempt.as_ref();
        assert!(
            w.calls.is_empty() && attempt.is_none(),
            "{:?} {attempt:?}",
            w.calls
        );
        let error = crate::planner::model::CloudError::new(ErrorClass::Transient, "not sent");
        w.memory.sent = sent(Outcome::Refused(w.now, error));
        w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!((w.calls.len(), w.most_alive), (1, 1));
    }
}
