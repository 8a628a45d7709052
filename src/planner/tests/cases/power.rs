//! Stops, starts and restarts that are lost, late or refused.

use serde_json::json;

use super::super::cloud::{BARE, CAPABILITIES, PLAIN};
use super::super::clouds::{METAL, STOPPED_ONLY, on, settled};
use super::super::world::{Fate, World};
use super::{at_rest, count};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::planner::model::{ErrorClass, ServerState as S};

#[test]
fn a_guest_that_was_still_booting_is_asked_again() {
    // Only asking is allowed, and the first time nobody listened.
    for can in [&BARE, &PLAIN, &STOPPED_ONLY] {
        let mut w = settled(can, json!({"powerOff": {"mode": "Soft", "timeout": "2m"}}));
        w.fates.push(("Stop", Fate::Ignore));
        w.edit(json!({"powerState": "Stopped"}));
        w.until(600, "stopped after all", |w| {
            at_rest(w) && w.state() == S::Stopped
        });
        assert_eq!(w.calls, ["Stop/Soft", "Stop/Soft"]);
    }
}

#[test]
fn a_cloud_that_is_busy_with_the_soft_stop_is_asked_for_the_hard_one_until_it_takes_it() {
    let mut w = settled(&BARE, json!({"powerOff": {"timeout": "1m"}}));
    w.fates.push(("Stop", Fate::Ignore));
    for _ in 0..4 {
        w.fates.push(("Stop", Fate::Refuse(ErrorClass::Busy)));
    }
    w.edit(json!({"powerState": "Stopped"}));
    for _ in 0..300 {
        w.tick();
        let status = w.server.status.as_ref().unwrap();
        assert!(
            status.failure.is_none(),
            "a busy cloud is no failure: {:?}",
            status.failure
        );
    }
    assert!(at_rest(&w) && w.state() == S::Stopped, "{}", w.message());
    assert_eq!(w.calls[0], "Stop/Soft");
    assert!(
        w.calls[1..].iter().all(|c| c == "Stop/Hard") && w.calls.len() == 6,
        "{:?}",
        w.calls
    );
    assert_eq!(w.told_of(Reason::StopTimeout).len(), 1);
}

#[test]
fn a_soft_stop_that_is_not_to_be_had_gives_way_to_the_hard_one() {
    for class in [ErrorClass::Unsupported, ErrorClass::InvalidSpec] {
        let mut w = settled(&BARE, json!({"powerOff": {"timeout": "1m"}}));
        w.fates.push(("Stop", Fate::Refuse(class)));
        w.edit(json!({"powerState": "Stopped"}));
        w.until(600, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
        assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard"], "{class}");
    }
}

#[test]
fn a_busy_cloud_is_asked_again_soon_and_it_is_no_failure() {
    for (wish, call) in [("Stopped", "Stop"), ("Running", "Start")] {
        let from = if wish == "Stopped" { "Running" } else { "Stopped" };
        let mut w = World::settled(json!({"powerState": from}));
        for _ in 0..8 {
            w.fates.push((call, Fate::Refuse(ErrorClass::Busy)));
        }
        w.edit(json!({"powerState": wish}));
        let mut seconds = 0;
        while !at_rest(&w) {
            w.tick();
            seconds += 1;
            assert!(seconds < 240, "asked ever more seldom: {:?}", w.calls);
            let status = w.server.status.as_ref().unwrap();
            assert!(status.failure.is_none() && !w.condition(C::Stalled).starts_with("True"));
        }
        assert_eq!((w.calls.len(), w.told_of(Reason::Refused).len()), (9, 0));
    }
}

#[test]
fn a_refusal_because_it_is_so_already_is_a_success() {
    for (wish, to, call) in [("Stopped", S::Stopped, "Stop"), ("Running", S::Running, "Start")] {
        let from = if wish == "Stopped" { "Running" } else { "Stopped" };
        for class in [ErrorClass::Busy, ErrorClass::InvalidSpec, ErrorClass::Transient] {
            let mut w = World::settled(json!({"powerState": from}));
            w.edit(json!({"powerState": wish}));
            w.fates.push((call, Fate::Refuse(class)));
            w.once();
            assert_eq!(w.calls, [call]);
            // Somebody was faster than the call.
            w.the().seen.state = to;
            w.until(10, "as declared", at_rest);
            let status = w.server.status.as_ref().unwrap();
            assert!(status.failure.is_none() && status.operation.is_none(), "{class}");
            w.run(300);
            assert_eq!(w.calls, [call], "{class}");
        }
    }
}

#[test]
fn a_shutdown_of_ours_that_lands_after_the_wish_changed_is_no_stop_from_outside() {
    for policy in ["Enforce", "RespectStop", "Observe"] {
        let mut w = settled(&BARE, json!({"driftPolicy": policy}));
        w.fates.push(("Stop", Fate::Ignore));
        w.edit(json!({"powerState": "Stopped"}));
        w.run(30);
        assert_eq!(w.calls, ["Stop/Soft"]);
        w.edit(json!({"powerState": "Running"}));
        w.run(20);
        // The guest has heard it after all.
        w.the().seen.state = S::Stopped;
        w.until(60, policy, |w| at_rest(w) && w.state() == S::Running);
        assert_eq!(w.calls, ["Stop/Soft", "Start"], "{policy}");
        assert!(
            w.told_of(Reason::DriftCorrected).is_empty(),
            "{policy}: it was our own"
        );
    }
}

#[test]
fn what_cannot_be_stopped_is_said_and_never_deleted_instead() {
    for class in [
        ErrorClass::InvalidSpec,
        ErrorClass::Unsupported,
        ErrorClass::Forbidden,
    ] {
        let mut w = World::settled(json!({}));
        for _ in 0..1000 {
            w.fates.push(("Stop", Fate::Refuse(class)));
        }
        w.edit(json!({"powerState": "Stopped"}));
        w.until(60, "said", |w| w.condition(C::PowerSynced).starts_with("False"));
        w.run(2 * 3600);
        assert_eq!(
            w.condition(C::Stalled).split('/').next(),
            Some("True"),
            "{class}: {}",
            w.ready()
        );
        assert!(
            w.message().contains(&format!("{class} for Stop")),
            "{class}: {}",
            w.message()
        );
        assert_eq!(
            (w.state(), count(&w, "Stop")),
            (S::Running, w.calls.len()),
            "{class}"
        );
        assert!(
            (2..30).contains(&w.calls.len()),
            "{class}: {} times",
            w.calls.len()
        );
    }
}

#[test]
fn a_start_without_room_is_tried_ever_more_seldom_and_in_the_same_size() {
    let mut w = World::settled(json!({"powerState": "Stopped"}));
    for _ in 0..12 {
        w.fates.push(("Start", Fate::Refuse(ErrorClass::Capacity)));
    }
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "said", |w| w.message().contains("Capacity for Start"));
    let first = w
        .server
        .status
        .as_ref()
        .unwrap()
        .failure
        .clone()
        .unwrap()
        .first_at;
    w.run(3600);
    assert!((5..14).contains(&w.calls.len()), "{:?}", w.calls);
    assert!(w.calls.iter().all(|c| c == "Start"), "{:?}", w.calls);
    let status = w.server.status.as_ref().unwrap();
    assert_eq!(
        status.failure.as_ref().map(|f| f.first_at),
        Some(first),
        "since when it lasts"
    );
    w.fates.clear();
    w.until(900, "runs", |w| at_rest(w) && w.state() == S::Running);
    assert_eq!(w.the().seen.size.name.as_deref(), Some("small"));
}

#[test]
fn a_restart_of_a_stopped_server_starts_nothing() {
    // Stopped on purpose, or told to stop in the same edit.
    let mut w = World::settled(json!({"powerState": "Stopped"}));
    w.edit(json!({"restart": {"token": "a"}}));
    w.run(120);
    let outcome = |w: &World| w.server.status.as_ref().unwrap().restart.clone().unwrap().outcome;
    assert_eq!(
        (outcome(&w).as_str(), w.state(), w.calls.len()),
        ("NotApplicable", S::Stopped, 0)
    );
    assert!(at_rest(&w));
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "runs", |w| at_rest(w) && w.state() == S::Running);
    w.run(60);
    assert_eq!(w.calls, ["Start"], "the token was used up");
}

#[test]
fn a_token_that_comes_with_an_imported_server_restarts_nothing() {
    for can in [&METAL, &STOPPED_ONLY, &CAPABILITIES] {
        let spec = json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
            "restart": {"token": "a"}});
        let mut w = on(can, spec);
        w.put("x", S::Running, None);
        w.until(60, "taken over", at_rest);
        w.run(300);
        assert_eq!(count(&w, "Restart") + count(&w, "Stop"), 0, "{:?}", w.calls);
        w.edit(json!({"restart": {"token": "b"}}));
        w.until(120, "restarted", |w| count(w, "Restart") == 1 && at_rest(w));
    }
}

#[test]
fn a_state_that_lags_behind_an_accepted_call_makes_few_more() {
    for (from, wish, call, to) in [
        ("Running", "Stopped", "Stop", S::Stopped),
        ("Stopped", "Running", "Start", S::Running),
    ] {
        for (seconds, most) in [(2, 1), (20, 3), (60, 5), (240, 8)] {
            let mut w = World::settled(json!({"powerState": from, "driftPolicy": "EnforceAll"}));
            for _ in 0..100 {
                w.fates.push((call, Fate::NoEffect));
            }
            w.edit(json!({"powerState": wish}));
            w.until(10, "asked", |w| w.calls == [call]);
            w.run(seconds);
            w.the().seen.state = to;
            w.until(60, "seen", at_rest);
            w.run(300);
            assert_eq!(count(&w, call), w.calls.len(), "no way back: {:?}", w.calls);
            assert!(
                w.calls.len() <= most,
                "{seconds} s behind: {} calls",
                w.calls.len()
            );
            assert!(w.told_of(Reason::DriftCorrected).is_empty());
        }
    }
}
