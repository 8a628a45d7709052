//! Where a server is to run: hints, which are no settings, and count from the next start on.

use serde_json::json;

use super::clouds::{STOPPED_ONLY, calls, settled};
use super::world::Fate;
use crate::planner::model::{ErrorClass, ServerState as S};

fn place(name: &str) -> serde_json::Value {
    json!({"labels": {"place": name}})
}

#[test]
fn a_hint_changes_nothing_until_the_next_start_or_restart() {
    let mut w = settled(&STOPPED_ONLY, place("a"));
    w.edit(place("b"));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "runs", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.knobs.hows.pop().as_deref(), Some("place=b"));
    w.edit(json!({"restart": {"token": "1"}, "labels": {"place": "c"}}));
    w.until(60, "restarted", |w| {
        w.ready() == "True/AsDeclared" && calls(w).ends_with(&["Restart"])
    });
    assert_eq!(w.knobs.hows.pop().as_deref(), Some(r#"[("place", "c")]"#));
}

#[test]
fn a_start_after_a_resize_or_a_stop_from_outside_heeds_it_too() {
    let spec =
        json!({"labels": {"place": "a"}, "powerState": "Unmanaged", "resize": {"when": "StopIfNeeded"}});
    let mut w = settled(&STOPPED_ONLY, spec);
    w.fates.push(("Resize", Fate::Refuse(ErrorClass::NeedsStop)));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(120, "resized", |w| {
        w.calls.len() == 4 && w.ready() == "True/AsDeclared"
    });
    assert_eq!(calls(&w), ["Resize", "Stop", "Resize", "Start"]);
    assert_eq!(w.knobs.hows.last().unwrap(), "place=a");
    let mut w = settled(&STOPPED_ONLY, place("a"));
    w.the().seen.state = S::Stopped;
    w.until(60, "started", |w| {
        w.state() == S::Running && w.ready() == "True/AsDeclared"
    });
    assert_eq!(w.knobs.hows, ["place=a"]);
}

#[test]
fn a_hint_that_is_refused_is_cured_by_an_edit() {
    let mut w = settled(
        &STOPPED_ONLY,
        json!({"powerState": "Stopped", "labels": {"place": "nowhere"}}),
    );
    w.fates.push(("Start", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "shown", |w| w.ready() == "False/InvalidSpec");
    w.edit(place("b"));
    w.until(20, "started", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.knobs.hows, ["place=nowhere", "place=b"]);
}
