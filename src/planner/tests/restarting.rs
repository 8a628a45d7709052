//! Restarts that give a guest longer than the cloud does: on our own clock, by a stop and a start.

use serde_json::{Value, json};

use super::clouds::{METAL, STOPPED_ONLY, calls, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::planner::model::{ErrorClass, FailedStep, Fault, ServerState as S};

/// A restart for which a guest is given so many seconds.
fn asked(seconds: u32, more: Value) -> World {
    let mut spec = json!({"powerOff": {"timeout": format!("{seconds}s")}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let mut w = settled(&STOPPED_ONLY, spec);
    w.edit(json!({"restart": {"token": "1"}}));
    w
}

fn outcome(w: &World) -> &str {
    &w.server
        .status
        .as_ref()
        .unwrap()
        .restart
        .as_ref()
        .unwrap()
        .outcome
}

fn done(w: &mut World, seconds: i64) {
    w.until(seconds, "done", |w| {
        outcome(w) == "Done" && w.ready() == "True/AsDeclared"
    });
    assert_eq!((w.state(), w.told_of(Reason::Restarted).len()), (S::Running, 1));
    assert!(w.told_of(Reason::DriftCorrected).is_empty());
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
    let before = w.calls.len();
    w.run(100);
    assert_eq!(w.calls.len(), before, "one restart for one token");
}

#[test]
fn a_guest_is_given_the_time_that_the_cloud_has_not() {
    let mut w = asked(600, json!({}));
    done(&mut w, 60);
    assert_eq!(calls(&w), ["Restart"]);
    for policy in ["Enforce", "RespectStop", "Observe"] {
        let mut w = asked(601, json!({"driftPolicy": policy}));
        done(&mut w, 60);
        assert_eq!(
            (calls(&w), w.knobs.hows.as_slice()),
            (vec!["Stop", "Start"], ["Soft 601".to_owned()].as_slice())
        );
    }
    let mut w = asked(900, json!({"powerState": "Unmanaged"}));
    done(&mut w, 60);
    assert_eq!(calls(&w), ["Stop", "Start"]);
}

#[test]
fn a_guest_that_does_not_heed_it_has_its_power_cut_after_that_time() {
    for mode in ["SoftThenHard", "Soft", "Hard"] {
        for crash in [false, true] {
            let mut w = asked(900, json!({"powerOff": {"timeout": "900s", "mode": mode}}));
            w.fates.push(("Stop", Fate::Ignore));
            w.run(600);
            let mut hows = vec!["Soft 900"];
            if crash {
                // Whether the guest was asked is not known any more: it is asked again, and has no more time for it.
                w.fates.push(("Stop", Fate::Ignore));
                w.restart_process();
                hows.push("Soft 900");
            }
            w.run(250);
            assert_eq!(outcome(&w), "Stopping", "{mode} {crash}");
            assert_eq!(w.knobs.hows, hows, "{mode} {crash}");
            hows.push("Hard 900");
            done(&mut w, 200);
            assert_eq!(w.knobs.hows, hows, "{mode} {crash}");
            assert!(calls(&w).ends_with(&["Stop", "Start"]));
        }
    }
}

#[test]
fn a_crash_or_a_refusal_on_the_way_makes_no_second_restart() {
    for kind in ["Stop", "Start"] {
        for fate in [
            Fate::Refuse(ErrorClass::Busy),
            Fate::Refuse(ErrorClass::Transient),
            Fate::LoseReply,
        ] {
            let mut w = asked(900, json!({}));
            w.fates.push((kind, fate));
            w.until(60, "begun", |w| calls(w).contains(&kind));
            w.restart_process();
            done(&mut w, 200);
        }
    }
}

#[test]
fn a_wish_that_changes_meanwhile_is_fulfilled() {
    let mut w = asked(900, json!({}));
    w.until(60, "begun", |w| !w.calls.is_empty());
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| w.ready() == "True/AsDeclared");
    w.run(60);
    assert_eq!((w.state(), calls(&w)), (S::Stopped, vec!["Stop"]));
    w.edit(json!({"powerState": "Running"}));
    done(&mut w, 60);
}

/// A cloud that shows what it failed to do on a server that is as it was.
fn says_failed(w: &mut World, step: FailedStep, state: S) {
    let seen = &mut w.the().seen;
    seen.state = state;
    seen.failed_step = Some(step);
    seen.fault = Some(Fault {
        class: ErrorClass::Transient,
        code: None,
        message: "BMC is silent".to_owned(),
    });
}

#[test]
fn a_restart_that_fails_is_told_as_failed_and_not_repeated() {
    for (left, more) in [(S::Running, 0), (S::Stopped, 1)] {
        let mut w = settled(&METAL, json!({}));
        w.fates.push(("Restart", Fate::NoEffect));
        w.edit(json!({"restart": {"token": "a"}}));
        w.until(10, "asked", |w| !w.calls.is_empty());
        says_failed(&mut w, FailedStep::Restart, left);
        w.until(30, "told", |w| outcome(w) == "Failed");
        w.until(60, "up", |w| {
            w.ready() == "False/RestartFailed" && w.state() == S::Running
        });
        assert!(w.message().contains("BMC is silent"), "{}", w.message());
        w.run(600);
        assert_eq!((calls(&w).len(), outcome(&w)), (1 + more, "Failed"));
        assert_eq!(w.told_of(Reason::RestartFailed).len(), 1);
        assert!(w.told_of(Reason::Restarted).is_empty());
        w.the().seen.failed_step = None;
        w.edit(json!({"restart": {"token": "b"}}));
        w.until(60, "done", |w| {
            outcome(w) == "Done" && w.ready() == "True/AsDeclared"
        });
    }
}

#[test]
fn what_the_cloud_says_of_a_switch_that_failed_is_said() {
    for (kind, step, from, wish) in [
        ("Start", FailedStep::Start, S::Stopped, "Running"),
        ("Stop", FailedStep::Stop, S::Running, "Stopped"),
    ] {
        let was = if wish == "Running" { "Stopped" } else { "Running" };
        let mut w = settled(&METAL, json!({"powerState": was}));
        for _ in 0..2 {
            w.fates.push((kind, Fate::NoEffect));
        }
        w.edit(json!({"powerState": wish}));
        w.until(10, "asked", |w| !w.calls.is_empty());
        says_failed(&mut w, step, from);
        w.until(30, "told", |w| w.ready() == "False/Recovering");
        assert!(
            w.message()
                .contains(&format!("{kind} failed in the cloud: BMC is silent")),
            "{}",
            w.message()
        );
        w.until(300, "at last", |w| w.ready() == "True/AsDeclared");
    }
}
