//! Power, restarts and drift.

use serde_json::json;

use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{Accepted, ErrorClass, ServerState as S};

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
fn a_restart_that_passes_through_stopped_is_no_drift() {
    for lost in [false, true] {
        let mut w = World::settled(json!({}));
        if lost {
            w.fates.push(("Restart", Fate::LoseReply));
        }
        w.edit(json!({"restart": {"token": "a"}}));
        w.until(30, "asked", |w| w.calls == ["Restart"]);
        let fake = w.the();
        (fake.seen.state, fake.seen.busy, fake.until) = (S::Stopped, false, None);
        w.run(300);
        assert_eq!(w.calls, ["Restart"], "{lost}");
        assert!(!w.events.contains(&"DriftCorrected".to_owned()), "{:?}", w.events);
        w.the().seen.state = S::Running;
        w.until(30, "ended", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls, ["Restart"], "{lost}");
    }
}

#[test]
fn a_server_that_does_not_come_up_from_its_restart_is_started() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"restart": {"token": "a"}}));
    w.until(30, "asked", |w| w.calls == ["Restart"]);
    let fake = w.the();
    (fake.seen.state, fake.seen.busy, fake.until) = (S::Stopped, false, None);
    w.until(900, "started", |w| w.calls == ["Restart", "Start"]);
    w.until(30, "runs", |w| w.ready() == "True/AsDeclared");
}

#[test]
fn a_token_given_at_creation_does_not_restart() {
    let mut w = World::settled(json!({"restart": {"token": "a"}}));
    w.run(60);
    assert!(w.calls.is_empty());
}

#[test]
fn a_restart_waits_for_what_somebody_else_has_begun_and_is_said_where_it_cannot_be() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = S::Paused;
    w.run(20);
    w.edit(json!({"restart": {"token": "a"}}));
    w.run(60);
    assert_eq!((w.calls.len(), w.ready().as_str()), (0, "True/PowerDrift"));
    assert!(w.message().contains("token \"a\""), "{}", w.message());
    w.the().seen.state = S::Running;
    w.until(60, "restarted", |w| w.events.contains(&"Restarted".to_owned()));
    w.run(60);
    assert_eq!(w.calls, ["Restart"]);
    // One that is stopped on purpose is not restarted, now or later.
    let mut w = World::settled(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    w.edit(json!({"restart": {"token": "a"}}));
    w.run(20);
    let told = w.told_of(crate::api::Reason::RestartUnverified);
    assert!(told.len() == 1 && told[0].0, "a warning: {told:?}");
}

#[test]
fn what_is_said_of_a_state_from_outside_offers_what_is_not_set_already() {
    for policy in ["Enforce", "RespectStop", "Observe"] {
        for state in [S::Paused, S::Suspended, S::Shelved, S::Rescued, S::Stopped] {
            let mut w = World::settled(json!({"driftPolicy": policy}));
            w.the().seen.state = state;
            w.run(60);
            if w.state() == S::Running {
                continue;
            }
            let said = w.message();
            let way = if state == S::Stopped {
                "Enforce "
            } else {
                "EnforceAll"
            };
            let respected = policy == "RespectStop" && state == S::Stopped;
            assert_eq!(said.contains(way), !respected, "{policy} {state}: {said}");
            assert!(
                !said.contains(&format!("driftPolicy {policy} ")),
                "{policy} {state}: {said}"
            );
            let stop = w.ready() == "True/StopRespected";
            assert_eq!(stop, respected, "{policy} {state}: {}", w.ready());
        }
    }
    assert!(!crate::api::Reason::WaitingForCloud.advice().is_empty());
}

#[test]
fn of_what_is_shelved_the_word_of_the_cloud_is_said() {
    let mut w = World::settled(json!({"powerState": "Shelved"}));
    for word in ["SHELVED", "SHELVED_OFFLOADED"] {
        w.until(60, "shelved", |w| {
            w.state() == S::Shelved && w.ready() == "True/AsDeclared"
        });
        w.the().seen.raw = word.to_owned();
        w.run(5);
        assert!(w.message().contains(&format!("({word})")), "{}", w.message());
    }
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
            ready
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
fn a_stop_that_the_cloud_has_not_is_said_and_not_done() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Stopped", "powerOff": {"mode": "Hard"}}));
    w.run(30);
    assert_eq!(w.ready(), "False/Unsupported");
    assert!(w.calls.is_empty());
}

/// What the power condition says is about the cloud that is there: the state that it has not, and those that it has.
#[test]
fn a_state_that_the_cloud_has_not_is_said_in_every_condition() {
    let mut w = super::clouds::settled(&super::clouds::STOPPED_ONLY, json!({}));
    w.edit(json!({"powerState": "Paused"}));
    w.run(30);
    for kind in [C::Ready, C::PowerSynced] {
        assert_eq!(w.condition(kind), "False/Unsupported");
        let said = w.message_of(kind);
        assert!(
            said.contains("powerState Paused cannot be had") && said.contains("Running, Stopped"),
            "{said}"
        );
    }
    assert!(w.calls.is_empty());
}

#[test]
fn a_refused_call_is_tried_again_by_itself() {
    for class in [
        ErrorClass::Forbidden,
        ErrorClass::RateLimited,
        ErrorClass::Locked,
        ErrorClass::Transient,
    ] {
        let mut w = World::settled(json!({}));
        w.edit(json!({"powerState": "Stopped"}));
        w.fates.push(("Stop", Fate::Refuse(class)));
        w.once();
        let made = w.plan();
        assert!(made.again_at.is_some(), "{class}: nobody looks again");
        w.until(600, "stopped", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls, ["Stop", "Stop"], "{class}");
    }
}

#[test]
fn a_stop_that_is_always_refused_runs_into_its_deadline() {
    for class in [ErrorClass::Busy, ErrorClass::Transient] {
        let mut w = World::settled(json!({"powerOff": {"timeout": "2m"}}));
        for _ in 0..100 {
            w.fates.push(("Stop", Fate::Refuse(class)));
        }
        w.edit(json!({"powerState": "Stopped"}));
        w.run(200);
        assert_eq!(w.ready(), "False/StopTimeout", "{class}");
        w.fates.clear();
        w.until(400, "stopped", |w| w.ready() == "True/AsDeclared");
    }
}

/// Found by the model: another process did what the call of this one, which still has no answer, was for.
#[test]
fn nothing_is_called_while_a_call_has_no_answer_although_its_purpose_is_reached() {
    use crate::planner::memory::{Outcome, Sent, Told};
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.run(1);
    let key = w.memory.sent.as_ref().unwrap().key.clone();
    let sent = |outcome| {
        let (key, told) = (key.clone(), Told::Nothing);
        Some(Sent { key, outcome, told })
    };
    w.memory.sent = sent(Outcome::InFlight);
    // The other one recorded it anew, and sent it.
    w.server
        .status
        .as_mut()
        .unwrap()
        .operation
        .as_mut()
        .unwrap()
        .attempt = 2;
    w.run(10);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.edit(json!({"powerState": "Running"}));
    w.run(20);
    assert_eq!(w.calls, ["Stop"], "the answer is still out");
    w.memory.sent = sent(Outcome::Accepted(w.now, Accepted::default()));
    w.until(20, "running", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Stop", "Start"]);
}
