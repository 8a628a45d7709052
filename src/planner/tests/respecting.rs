//! What somebody else did to a server is theirs to end: it is shown and held, whatever we were at ourselves.

use serde_json::json;

use super::clouds::forget;
use super::world::{Fate, World, marks};
use crate::api::ConditionType as C;
use crate::planner::model::{ErrorClass, ServerState as S};

/// Neither running nor stopped, and at rest.
const EXOTIC: [S; 4] = [S::Rescued, S::Paused, S::Suspended, S::Shelved];

#[test]
fn the_resize_of_somebody_else_is_neither_confirmed_nor_reverted_where_ours_was_not_taken() {
    for fate in [
        Fate::Refuse(ErrorClass::Busy),
        Fate::Refuse(ErrorClass::Transient),
        Fate::LoseRequest,
    ] {
        for dies in [false, true] {
            let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
            w.fates.push(("Resize", fate.clone()));
            w.edit(json!({"size": {"name": "large"}}));
            w.until(20, "sent", |w| w.calls == ["Resize"]);
            // A migration: at the size that it had.
            let seen = &mut w.the().seen;
            (seen.state, seen.guest_running) = (S::AwaitingResizeConfirmation, Some(true));
            w.run(1);
            if dies {
                w.restart_process();
            }
            w.run(90);
            assert_eq!(w.calls, ["Resize"], "{fate:?} {dies}");
            assert_eq!(w.condition(C::DriftDetected), "True/AwaitingConfirm", "{fate:?}");
            assert_eq!(w.ready(), "True/AwaitingConfirm", "{fate:?}");
            // When it is over, ours is made.
            w.the().seen.state = S::Running;
            w.until(200, "resized", |w| {
                w.ready() == "True/AsDeclared" && w.cloud["id-1"].seen.size.name.as_deref() == Some("large")
            });
            assert_eq!(w.calls, ["Resize", "Resize", "ConfirmResize"], "{fate:?} {dies}");
        }
    }
}

#[test]
fn a_size_that_was_refused_does_not_make_an_error_from_elsewhere_ours() {
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
    w.fates.push(("Resize", Fate::Refuse(ErrorClass::Busy)));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(20, "sent", |w| w.calls == ["Resize"]);
    w.the().seen.state = S::Error;
    w.run(120);
    assert_eq!(
        (w.calls.len(), w.ready().as_str()),
        (1, "False/ServerError"),
        "nothing was resized that a reboot could bring back"
    );
}

#[test]
fn a_state_from_outside_is_held_although_the_wish_was_never_reached() {
    for state in EXOTIC {
        for fate in [Fate::Refuse(ErrorClass::Transient), Fate::NoEffect] {
            let mut w = World::settled(json!({"powerState": "Stopped"}));
            w.until(60, "stopped", |w| {
                w.ready() == "True/AsDeclared" && w.state() == S::Stopped
            });
            forget(&mut w);
            for _ in 0..100 {
                w.fates.push(("Start", fate.clone()));
            }
            w.edit(json!({"powerState": "Running"}));
            w.run(40);
            w.the().seen.state = state;
            w.run(200);
            w.restart_process();
            w.run(200);
            assert!(
                w.calls.iter().all(|c| c == "Start"),
                "{state} {fate:?}: {:?}",
                w.calls
            );
            assert_eq!(
                (w.ready().as_str(), w.condition(C::DriftDetected).as_str()),
                ("True/PowerDrift", "True/PowerDrift"),
                "{state} {fate:?}"
            );
            w.fates.clear();
            w.the().seen.state = S::Stopped;
            w.until(60, "started", |w| {
                w.ready() == "True/AsDeclared" && w.state() == S::Running
            });
        }
    }
}

#[test]
fn what_is_found_by_our_mark_after_the_status_was_lost_is_what_the_policy_says_of_drift() {
    for (policy, held) in [
        ("Enforce", &EXOTIC[..]),
        ("EnforceAll", &[]),
        (
            "RespectStop",
            &[S::Rescued, S::Paused, S::Suspended, S::Shelved, S::Stopped],
        ),
        (
            "Observe",
            &[S::Rescued, S::Paused, S::Suspended, S::Shelved, S::Stopped],
        ),
    ] {
        for state in EXOTIC.iter().copied().chain([S::Stopped]) {
            let mut w = World::new(json!({"driftPolicy": policy}));
            w.put("x", state, marks("uid-1", "inst", "ns/web"));
            w.run(300);
            assert_eq!(
                (w.calls.is_empty(), w.state() == state),
                (held.contains(&state), held.contains(&state)),
                "{policy} {state}: {:?} {}",
                w.calls,
                w.ready()
            );
            let drift = w.condition(C::DriftDetected).starts_with("True");
            assert_eq!(drift, held.contains(&state), "{policy} {state}");
            if !held.contains(&state) {
                assert_eq!((w.ready().as_str(), w.state()), ("True/AsDeclared", S::Running));
            }
        }
    }
}

#[test]
fn what_we_made_ourselves_is_undone_for_another_wish_whatever_it_passed_through() {
    for (wish, state) in [
        ("Paused", S::Paused),
        ("Suspended", S::Suspended),
        ("Shelved", S::Shelved),
    ] {
        for passing in [false, true] {
            let mut w = World::settled(json!({"powerState": wish}));
            w.until(60, "as wished", |w| {
                w.ready() == "True/AsDeclared" && w.state() == state
            });
            w.restart_process();
            if passing {
                // An administrator migrates it.
                let seen = &mut w.the().seen;
                (seen.state, seen.busy) = (S::Maintenance, true);
                w.run(10);
            }
            w.edit(json!({"powerState": "Running"}));
            if passing {
                w.run(10);
                let seen = &mut w.the().seen;
                (seen.state, seen.busy) = (state, false);
            }
            w.until(60, "running", |w| {
                w.ready() == "True/AsDeclared" && w.state() == S::Running
            });
            // What somebody does to it afterwards is theirs again.
            forget(&mut w);
            w.the().seen.state = state;
            w.run(60);
            assert_eq!(
                (w.ready().as_str(), w.calls.len()),
                ("True/PowerDrift", 0),
                "{wish}"
            );
            // Until the wish changes.
            w.edit(json!({"powerState": "Stopped"}));
            w.until(90, "stopped", |w| {
                w.ready() == "True/AsDeclared" && w.state() == S::Stopped
            });
        }
    }
}

#[test]
fn a_rescue_that_somebody_else_entered_while_ours_was_refused_stays_theirs() {
    for class in [ErrorClass::Busy, ErrorClass::Transient] {
        for dies in [false, true] {
            let mut w = World::settled(json!({}));
            for _ in 0..50 {
                w.fates.push(("Rescue", Fate::Refuse(class)));
            }
            w.edit(json!({"rescue": {}}));
            w.until(20, "sent", |w| w.calls == ["Rescue"]);
            w.run(1);
            if dies {
                w.restart_process();
            }
            w.the().seen.state = S::Rescued;
            w.until(90, "as declared", |w| w.ready() == "True/AsDeclared");
            forget(&mut w);
            w.edit(json!({"rescue": null}));
            w.run(120);
            assert_eq!(
                (w.calls.len(), w.state(), w.condition(C::DriftDetected).as_str()),
                (0, S::Rescued, "True/PowerDrift"),
                "{class} {dies}"
            );
        }
    }
}
