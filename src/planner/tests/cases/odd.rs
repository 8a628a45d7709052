//! Objects that no admission has seen, and clocks that jump.

use serde_json::{Value, json};

use super::super::clouds::{METAL, STOPPED_ONLY, on};
use super::super::world::{Fate, World, merge};
use super::{at_rest, count};
use crate::api::server::ServerSpec;
use crate::planner::draft::later;
use crate::planner::model::{Capabilities, ServerState as S};

/// Specs that the rules of the definition refuse, as an object has that is older than its rules.
fn impossible() -> Vec<Value> {
    let long = "x".repeat(10_000);
    vec![
        json!({"size": null, "image": null}),
        json!({"size": {"name": ""}}),
        json!({"size": {"name": null, "cores": -1, "memoryMiB": 0}}),
        json!({"size": {"name": "a", "cores": 1, "memoryMiB": 1}}),
        json!({"image": {"name": "a", "id": "b"}}),
        json!({"image": {"name": null}}),
        json!({"import": {"id": ""}}),
        json!({"import": {"id": "x"}}),
        json!({"managementPolicy": "Observe"}),
        json!({"managementPolicy": "PowerOnly", "size": null}),
        json!({"cloudName": long, "hostname": long}),
        json!({"powerOff": {"timeout": "0s"}}),
        json!({"powerOff": {"timeout": "9999999h"}}),
        json!({"deletion": {"timeout": "9999999h"}}),
        json!({"resize": {"confirm": "AfterSoak"}}),
        json!({"restart": {"token": ""}}),
        json!({"restart": {"token": long}}),
        json!({"openstack": {}, "upcloud": {"zone": "a"}, "cloudDC": {}}),
        json!({"groupRef": {"name": ""}}),
        json!({"providerConfigRef": {"name": ""}}),
    ]
}

#[test]
fn a_spec_that_cannot_be_is_survived_and_its_object_can_be_deleted() {
    let clouds: [&'static Capabilities; 3] = [&STOPPED_ONLY, &METAL, &super::super::cloud::CAPABILITIES];
    let mut played = 0;
    for spec in impossible() {
        let mut whole =
            json!({"providerConfigRef": {"name": "p"}, "size": {"name": "small"}, "image": {"name": "img"}});
        merge(&mut whole, spec.clone());
        // What cannot even be read is left out by the store.
        if serde_json::from_value::<ServerSpec>(whole).is_err() {
            continue;
        }
        played += 1;
        for can in clouds {
            let mut w = on(can, json!({}));
            w.edit(spec.clone());
            w.run(30);
            w.edit(json!({"powerState": "Stopped"}));
            w.run(30);
            assert!(w.most_alive <= 1);
            w.delete();
            w.edit(json!({"deletion": {"timeout": "10s"}, "powerOff": null}));
            w.until(900, &spec.to_string(), |w| w.gone);
        }
    }
    assert!(played > 12, "only {played} can be read");
}

#[test]
fn times_of_a_clock_that_was_a_day_ahead_hold_nobody_up_for_a_day() {
    for (edit, call) in [
        (json!({"powerState": "Stopped"}), "Stop"),
        (json!({"size": {"name": "large"}}), "Resize"),
        (json!({"restart": {"token": "1"}}), "Restart"),
    ] {
        for fate in [None, Some(Fate::LoseRequest), Some(Fate::LoseReply)] {
            let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
            w.now = later(w.now, 86_400);
            w.fates.extend(fate.clone().map(|f| (call, f)));
            w.edit(edit.clone());
            w.until(10, "asked", |w| w.calls == [call]);
            w.now = later(w.now, -86_400);
            w.the().until = w.the().until.map(|(t, s)| (later(t, -86_400), s));
            w.restart_process();
            w.until(900, &format!("{edit} {fate:?}"), at_rest);
            assert!(count(&w, call) <= 2, "{:?}", w.calls);
        }
    }
    // The same of a creation: its attempt is waited out by the clock of who waits.
    for fate in [Fate::LoseRequest, Fate::LoseReply] {
        let mut w = World::new(json!({}));
        w.now = later(w.now, 86_400);
        w.fates.push(("Create", fate));
        w.until(10, "asked", |w| !w.calls.is_empty());
        w.now = later(w.now, -86_400);
        for fake in w.cloud.values_mut() {
            fake.until = fake.until.map(|(t, s)| (later(t, -86_400), s));
        }
        w.restart_process();
        w.until(300, "made", at_rest);
        assert_eq!(w.most_alive, 1);
    }
}

#[test]
fn a_power_state_that_is_taken_out_again_means_the_default() {
    let mut w = World::settled(json!({"powerState": "Stopped"}));
    w.edit(json!({"powerState": null}));
    w.until(30, "runs", |w| at_rest(w) && w.state() == S::Running);
    // What was taken over is nobody's business any more.
    let spec = json!({"import": {"id": "x"}, "powerState": "Stopped", "deletionPolicy": "Orphan"});
    let mut w = World::new(spec);
    w.put("x", S::Running, None);
    w.until(60, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
    let sent = w.calls.len();
    w.edit(json!({"powerState": null}));
    w.run(120);
    assert_eq!(
        (w.ready().as_str(), w.state(), w.calls.len()),
        ("True/AsDeclared", S::Stopped, sent)
    );
}

#[test]
fn words_of_a_newer_version_in_a_status_are_no_end() {
    for status in [
        json!({"power": {"observed": "Levitating", "raw": "x", "desired": "Orbiting", "desiredFrom": "Moon"}}),
        json!({"failure": {"class": "Cosmic", "message": "m", "firstAt": "2030-01-01T00:00:00Z"}}),
        json!({"restart": {"token": "a", "outcome": "Beamed"}}),
        json!({"conditions": [{"type": "Teleported", "status": "True", "reason": "New", "message": "m",
            "lastTransitionTime": "2030-01-01T00:00:00Z"}]}),
        json!({"whatever": {"comes": 1}}),
    ] {
        let mut w = World::settled(json!({}));
        let mut value = serde_json::to_value(&w.server.status).unwrap();
        merge(&mut value, status.clone());
        w.server.status = Some(serde_json::from_value(value).unwrap_or_else(|e| panic!("{status}: {e}")));
        w.restart_process();
        w.until(60, &status.to_string(), at_rest);
        assert!(w.calls.is_empty(), "{status}: {:?}", w.calls);
        w.edit(json!({"powerState": "Stopped"}));
        w.until(60, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
    }
}

/// A status with an operation that no version here knows; its deadline is in two minutes.
fn teleporting() -> World {
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    let mut value = serde_json::to_value(&w.server.status).unwrap();
    let operation = json!({"id": "teleport-1", "kind": "Teleport", "startedAt": w.now.to_string(),
        "deadline": later(w.now, 120).to_string(), "attempt": 1});
    merge(&mut value, json!({"operation": operation}));
    w.server.status = Some(serde_json::from_value(value).unwrap());
    w.restart_process();
    w
}

#[test]
fn an_operation_of_a_newer_version_is_left_to_it_until_its_deadline() {
    let mut w = teleporting();
    w.edit(json!({"powerState": "Stopped"}));
    w.run(100);
    assert_eq!((w.calls.len(), w.writes.len()), (0, 0), "{:?}", w.calls);
    let told = w.events.iter().filter(|e| *e == "UnknownOperation").count();
    assert_eq!(told, 1, "{:?}", w.events);
    w.until(60, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
    assert_eq!(w.calls, ["Stop"]);
}

#[test]
fn an_operation_of_a_newer_version_does_not_hold_up_a_deletion() {
    let mut w = teleporting();
    w.delete();
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
    assert_eq!(w.calls, ["Delete"]);
}
