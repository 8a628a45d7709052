//! Soft, then hard, by the planner's own clock where the cloud keeps none.

use serde_json::json;

use super::cloud::{BARE, PLAIN};
use super::world::{Fate, World};
use crate::api::{ConditionType as C, Reason};
use crate::planner::model::{Capabilities, ErrorClass, ServerState as S};

fn on(can: &'static Capabilities, spec: serde_json::Value) -> World {
    let mut w = World::new(spec);
    w.can = can;
    w.until(60, "created", |w| w.ready().starts_with("True"));
    w.calls.clear();
    w.writes.clear();
    w
}

#[test]
fn a_guest_that_does_not_stop_is_cut_off_once_by_our_own_clock() {
    let mut w = on(&BARE, json!({"powerOff": {"timeout": "2m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::Ignore));
    w.run(100);
    assert_eq!(w.calls, ["Stop/Soft"], "the guest has its time");
    assert_eq!(w.ready(), "False/Stopping");
    assert!(w.server.status.as_ref().unwrap().failure.is_none());
    let writes = w.writes.len();
    w.run(15);
    assert_eq!(w.writes.len(), writes, "nothing happens, and nothing is written");
    w.until(20, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard"]);
    assert_eq!(w.told_of(Reason::StopTimeout).len(), 1, "{:?}", w.told);
}

#[test]
fn a_guest_that_stops_in_time_is_not_cut_off() {
    let mut w = on(&BARE, json!({"powerOff": {"timeout": "2m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::Ignore));
    w.run(30);
    w.the().seen.state = S::Stopped;
    w.until(5, "stopped", |w| w.ready() == "True/AsDeclared");
    w.run(200);
    assert_eq!(w.calls, ["Stop/Soft"]);
}

#[test]
fn the_time_of_the_harder_stop_survives_a_new_process() {
    let mut w = on(&BARE, json!({"powerOff": {"timeout": "2m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    for _ in 0..20 {
        w.fates.push(("Stop", Fate::Ignore));
    }
    w.run(60);
    let at = w
        .server
        .status
        .as_ref()
        .unwrap()
        .operation
        .as_ref()
        .unwrap()
        .escalate_at;
    w.restart_process();
    w.run(55);
    assert!(w.calls.iter().all(|c| c == "Stop/Soft"), "{:?}", w.calls);
    let now = w
        .server
        .status
        .as_ref()
        .unwrap()
        .operation
        .as_ref()
        .unwrap()
        .escalate_at;
    assert!(at.is_some() && at == now);
    w.until(20, "stopped", |w| w.state() == S::Stopped);
    assert_eq!(w.calls.iter().filter(|c| *c == "Stop/Hard").count(), 1);
}

#[test]
fn a_harder_stop_that_is_refused_stays_the_harder_one() {
    let mut w = on(&BARE, json!({"powerOff": {"timeout": "1m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::Ignore));
    w.fates.push(("Stop", Fate::Refuse(ErrorClass::Transient)));
    w.until(90, "stopped", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard", "Stop/Hard"]);
}

#[test]
fn the_wish_may_change_while_the_guest_has_its_time() {
    let mut w = on(&BARE, json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::Ignore));
    w.run(30);
    w.edit(json!({"powerState": "Running"}));
    w.until(10, "as declared", |w| w.ready() == "True/AsDeclared");
    w.run(600);
    assert_eq!(w.calls, ["Stop/Soft"]);
}

#[test]
fn a_cloud_that_keeps_the_time_is_left_to_it_up_to_its_limit() {
    let mut w = on(&PLAIN, json!({"powerOff": {"timeout": "10m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::NoEffect));
    w.run(590);
    assert_eq!(
        (w.calls.clone(), w.ready()),
        (vec!["Stop/SoftThenHard".into()], "False/Stopping".into())
    );
    let mut w = on(&PLAIN, json!({"powerOff": {"timeout": "11m"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.fates.push(("Stop", Fate::Ignore));
    w.until(700, "stopped", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard"]);
}

#[test]
fn a_resize_waits_for_the_harder_stop() {
    let mut w = on(
        &BARE,
        json!({"resize": {"when": "StopIfNeeded"}, "powerOff": {"timeout": "1m"}}),
    );
    w.fates.push(("Stop", Fate::Ignore));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(120, "resized", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard", "Resize", "Start"]);
}

#[test]
fn where_only_stopped_servers_are_deleted_the_power_is_cut_first() {
    let mut w = on(&BARE, json!({"deletion": {"timeout": "30s"}}));
    w.fates.push(("Stop", Fate::Ignore));
    w.delete();
    w.run(25);
    assert_eq!(w.calls, ["Stop/Soft"]);
    w.until(60, "gone", |w| w.gone);
    assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard", "Delete"]);
    // Refusals, and stops without effect, only put it off.
    let mut w = on(&BARE, json!({"deletion": {"timeout": "30s"}}));
    w.fates.push(("Stop", Fate::Refuse(ErrorClass::Forbidden)));
    w.delete();
    w.run(10);
    assert_eq!(w.condition(C::DeletionBlocked), "True/Forbidden");
    for _ in 0..3 {
        w.fates.push(("Stop", Fate::NoEffect));
    }
    w.until(900, "gone", |w| w.gone);
    assert!(w.calls.len() < 12, "{:?}", w.calls);
}
