//! Sizes.

use serde_json::json;

use super::cloud::PLAIN;
use super::clouds::{STOPPED_ONLY, calls, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{ErrorClass, ServerState as S};

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

/// The cloud takes the confirmation and nothing comes of it: after its deadline it is asked for again, and who sets the
/// size back is heard.
#[test]
fn a_confirmation_without_effect_is_asked_for_again() {
    for (wish, then) in [("large", "ConfirmResize"), ("small", "RevertResize")] {
        let mut w = World::settled(json!({"size": {"name": "small"}, "resize": {"when": "StopIfNeeded"}}));
        w.fates.push(("ConfirmResize", Fate::NoEffect));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(60, "confirmed", |w| w.calls.len() == 2);
        w.edit(json!({"size": {"name": wish}}));
        w.until(4 * 3600, "ended", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls, ["Resize", "ConfirmResize", then]);
        assert_eq!(w.server.status.as_ref().unwrap().size.as_deref(), Some(wish));
    }
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
    assert_eq!(w.calls, ["Create", "Stop/SoftThenHard", "Resize", "Start"]);
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
    w.until(60, "held", |w| w.ready() == "False/ErrorStillRunning");
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
fn a_size_that_does_not_start_is_given_back_or_held() {
    let spec = |failure| json!({"resize": {"when": "StopIfNeeded", "onFailure": failure}});
    for fate in [Fate::Refuse(ErrorClass::Capacity), Fate::NoEffect] {
        let mut w = settled(&STOPPED_ONLY, spec("Revert"));
        w.fates.push(("Resize", Fate::Refuse(ErrorClass::NeedsStop)));
        w.fates.push(("Start", fate.clone()));
        w.fates.push(("Start", fate.clone()));
        w.edit(json!({"size": {"name": "huge"}}));
        w.until(300, "given back", |w| {
            w.ready() == "False/ResizeFailed" && w.state() == S::Running
        });
        assert_eq!(w.knobs.hows.last().unwrap(), "small", "{fate:?}");
        assert_eq!(w.the().seen.size.name.as_deref(), Some("small"));
        let sent = w.calls.len();
        w.restart_process();
        w.run(600);
        assert_eq!(w.calls.len(), sent, "{:?}", w.calls);
        w.edit(json!({"size": {"name": "small"}}));
        w.until(60, "as declared", |w| w.ready() == "True/AsDeclared");
    }
    let mut w = settled(&STOPPED_ONLY, spec("Hold"));
    w.fates.push(("Resize", Fate::Refuse(ErrorClass::NeedsStop)));
    w.fates.push(("Start", Fate::Refuse(ErrorClass::Capacity)));
    w.edit(json!({"size": {"name": "huge"}}));
    w.until(300, "held", |w| w.ready() == "True/AsDeclared");
    assert_eq!(calls(&w), ["Resize", "Stop", "Resize", "Start", "Start"]);
}

#[test]
fn a_start_that_never_arrived_says_nothing_of_room() {
    for fate in [Fate::LoseRequest, Fate::LoseReply, Fate::ApplyLate] {
        let mut w = settled(&STOPPED_ONLY, json!({"resize": {"when": "StopIfNeeded"}}));
        w.fates.push(("Resize", Fate::Refuse(ErrorClass::NeedsStop)));
        for _ in 0..3 {
            w.fates.push(("Start", fate.clone()));
        }
        w.edit(json!({"size": {"name": "huge"}}));
        w.until(900, "resized", |w| {
            w.state() == S::Running && w.ready() == "True/AsDeclared"
        });
        assert_eq!(w.the().seen.size.name.as_deref(), Some("huge"), "{fate:?}");
    }
}
