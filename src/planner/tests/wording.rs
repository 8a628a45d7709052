//! Words and columns beside the verdict: what they offer is there, and what they claim still holds.

use serde_json::json;

use super::clouds::{METAL, STOPPED_ONLY, address, settled};
use super::world::Fate;
use crate::api::ConditionType as C;
use crate::planner::model::{ErrorClass, ServerState as S};

#[test]
fn a_mode_that_cannot_be_had_is_answered_with_those_that_can() {
    let mut w = settled(&METAL, json!({"powerOff": {"mode": "Hard"}}));
    w.edit(json!({"powerState": "Stopped"}));
    w.until(30, "said", |w| w.ready() == "False/Unsupported");
    assert!(w.message().ends_with("it has SoftThenHard"), "{}", w.message());
}

#[test]
fn an_image_that_was_refused_is_no_drift() {
    let mut w = settled(
        &METAL,
        json!({"powerState": "Stopped", "rebuild": {"when": "OnImageChange"}}),
    );
    w.fates.push(("Rebuild", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"image": {"name": "other"}}));
    w.until(60, "refused", |w| w.ready() == "False/RebuildFailed");
    assert!(!w.condition(C::DriftDetected).starts_with("True"));
    w.edit(json!({"rebuild": {"when": "Never"}}));
    w.until(60, "only shown", |w| {
        w.condition(C::DriftDetected) == "True/ImageDrift"
    });
}

#[test]
fn nothing_is_as_declared_of_what_is_broken_or_gone() {
    for (state, told) in [(S::Error, "ServerError"), (S::Absent, "Missing")] {
        let mut w = settled(&STOPPED_ONLY, json!({"cloudName": "a"}));
        w.the().seen.attributes.insert("title".into(), "b".into());
        w.run(5);
        w.the().seen.attributes.insert("title".into(), "c".into());
        w.until(10, "drift", |w| {
            w.condition(C::DriftDetected) == "True/SettingsDrift"
        });
        // An operation is open as it happens.
        w.fates.push(("Modify", Fate::LoseReply));
        w.edit(json!({"cloudName": "d"}));
        w.until(10, "asked", |w| !w.calls.is_empty());
        w.the().seen.state = state;
        w.until(300, "told", |w| w.condition(C::Stalled) == format!("True/{told}"));
        for kind in [C::PowerSynced, C::SettingsSynced] {
            assert!(
                !w.condition(kind).starts_with("True"),
                "{kind} {told}: {}",
                w.condition(kind)
            );
        }
        if state == S::Absent {
            assert_eq!(w.condition(C::DriftDetected), "-", "that went with it");
            assert!(w.server.status.as_ref().unwrap().addresses.is_empty());
        }
    }
}

#[test]
fn the_first_address_is_one_that_everybody_can_use() {
    let mut w = settled(&METAL, json!({}));
    w.the().seen.addresses = ["2001:db8::1", "fd00::1", "10.0.0.1", "203.0.113.7"]
        .map(address)
        .to_vec();
    w.run(5);
    let all = &w.server.status.as_ref().unwrap().addresses;
    let all: Vec<_> = all.iter().map(|a| a.address.as_str()).collect();
    assert_eq!(all, ["10.0.0.1", "203.0.113.7", "2001:db8::1", "fd00::1"]);
}
