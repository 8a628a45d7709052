//! Sizes: a stop for a resize is not forgotten, and not remembered for too long.

use serde_json::json;

use super::super::cloud::PLAIN;
use super::super::clouds::settled;
use super::super::world::{Fate, World};
use super::{at_rest, count};
use crate::api::ConditionType as C;
use crate::planner::model::{ErrorClass, ServerState as S};

fn resizing(fates: &[Fate]) -> World {
    let mut w = settled(&PLAIN, json!({"resize": {"when": "StopIfNeeded"}}));
    for fate in fates {
        w.fates.push(("Resize", fate.clone()));
    }
    w.edit(json!({"size": {"name": "large"}}));
    w
}

#[test]
fn a_resize_that_fails_after_our_stop_leaves_the_server_running() {
    for fate in [
        Fate::Refuse(ErrorClass::InvalidSpec),
        Fate::Refuse(ErrorClass::Capacity),
        Fate::Refuse(ErrorClass::Quota),
        Fate::NoEffect,
    ] {
        for crash in [false, true] {
            let mut w = resizing(&vec![fate.clone(); 3]);
            w.until(60, "asked", |w| count(w, "Resize") == 1);
            if crash {
                w.restart_process();
            }
            w.until(900, "it runs again", |w| w.state() == S::Running);
            assert_eq!(count(&w, "Start"), 1, "{fate:?} {crash}: {:?}", w.calls);
            w.until(60, "and the failure is told", |w| {
                w.condition(C::SizeSynced) == "False/ResizeFailed"
            });
            w.run(600);
            assert_eq!(
                (w.state(), w.the().seen.size.name.as_deref()),
                (S::Running, Some("small"))
            );
        }
    }
}

#[test]
fn who_wants_it_stopped_meanwhile_finds_it_stopped_afterwards() {
    for seconds in [1, 3, 5, 7, 9] {
        let mut w = resizing(&[]);
        w.until(60, "begun", |w| !w.calls.is_empty());
        w.run(seconds);
        w.edit(json!({"powerState": "Stopped"}));
        w.until(120, "stopped, in the new size", |w| {
            at_rest(w) && w.state() == S::Stopped && w.condition(C::SizeSynced) == "True/Synced"
        });
        w.restart_process();
        w.run(600);
        assert_eq!(w.state(), S::Stopped, "{seconds}: {:?}", w.calls);
    }
}

#[test]
fn who_stops_it_after_a_resize_is_not_overruled_by_it() {
    let mut w = settled(
        &PLAIN,
        json!({"resize": {"when": "StopIfNeeded"}, "driftPolicy": "RespectStop"}),
    );
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "resized", |w| {
        at_rest(w) && w.condition(C::SizeSynced) == "True/Synced"
    });
    w.run(30);
    let sent = w.calls.len();
    w.the().seen.state = S::Stopped;
    w.restart_process();
    w.run(600);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/StopRespected", sent));
}
