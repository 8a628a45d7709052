//! Instances as the service writes them, in the planner's words.

use serde_json::{Value, json};

use super::*;
use crate::planner::model::{ErrorClass, FailedStep};

fn instance(change: impl FnOnce(&mut Value)) -> Instance {
    let mut value = json!({
        "id": "i-1", "name": "node-0", "vpc_id": "v-1", "tags": [], "description": "",
        "network_interfaces": [{"subnet_id": "s-2", "ipv4_address": "10.0.1.9"}, {"subnet_id": "s-1", "ipv4_address": "10.0.0.9"}],
        "image": {"id": "im-1", "name": "ubuntu", "os_type": "Linux"}, "state": "running", "operation_state": "install-succeed",
        "metadata": {"team": "a", "evenkeel-uid": "u1", "evenkeel-installation": "i1", "evenkeel-object": "ns/web"},
        "user_data": "", "server_id": "srv-1", "created_at": "2026-11-22T04:00:00Z",
        "updated_at": "2026-11-22T05:00:00Z", "launched_at": "2026-11-22T04:30:00Z", "new_field": {"x": 1}
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn machine(change: impl FnOnce(&mut Value)) -> PhysicalServer {
    let mut value = json!({
        "id": "srv-1", "name": "m1", "manage_state": "in-use", "frozen_state": 0, "power_state": "on",
        "operation_state": "power-on-succeed", "health_state": "OK",
        "location": {"dc": "dc-1", "rack": "r1", "unit": "U1"}, "hardware_attributes": {"model": "S1"}, "tags": []
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

#[test]
fn reads_a_whole_instance() {
    let server = machine(|_| {});
    let seen = observed(instance(|_| {}), Some(&server), None);
    assert_eq!((seen.id.as_str(), seen.name.as_str()), ("i-1", "node-0"));
    assert_eq!(seen.provider_id, "huaweicloud://i-1");
    assert_eq!((seen.state, seen.busy), (ServerState::Running, false));
    assert_eq!(seen.raw, "running/install-succeed/on/power-on-succeed/in-use");
    assert_eq!(
        (seen.zone.as_deref(), seen.host.as_deref()),
        (Some("dc-1"), Some("srv-1"))
    );
    assert_eq!((seen.image_id.as_deref(), seen.launched), (Some("im-1"), true));
    assert_eq!((seen.fault.clone(), seen.failed_step), (None, None));
    assert_eq!(seen.size, ObservedSize::default());
    let addresses: Vec<_> = seen
        .addresses
        .iter()
        .map(|a| (a.address.as_str(), a.network.as_deref()))
        .collect();
    assert_eq!(addresses, [("10.0.0.9", Some("s-1")), ("10.0.1.9", Some("s-2"))]);
    let marks = seen.marks.unwrap();
    assert_eq!(
        (
            marks.uid.as_str(),
            marks.installation.as_str(),
            marks.object.as_str()
        ),
        ("u1", "i1", "ns/web")
    );
}

#[test]
fn an_error_has_its_words_and_its_step() {
    let failed = |kind: Option<&str>| {
        instance(|i| {
            i["state"] = json!("error");
            i["operation_state"] = json!("install-failed");
            i["launched_at"] = json!(null);
            i["error"] =
                json!({"error_code": "iMetal.0299", "error_msg": "no available server", "error_type": kind});
        })
    };
    let seen = observed(failed(Some("create_instance_error")), None, None);
    assert_eq!(
        (seen.state, seen.launched, seen.failed_step),
        (ServerState::Error, false, Some(FailedStep::Create))
    );
    let fault = seen.fault.unwrap();
    assert_eq!(
        (fault.class, fault.code.as_deref(), fault.message.as_str()),
        (
            ErrorClass::Capacity,
            Some("iMetal.0299"),
            "create_instance_error: no available server"
        )
    );
    assert_eq!(
        observed(failed(None), None, None).fault.unwrap().message,
        "no available server"
    );
    for server in [json!(null), json!("")] {
        let mut homeless = failed(None);
        homeless.server_id = serde_json::from_value(server).unwrap();
        let seen = observed(homeless, None, None);
        assert_eq!(seen.failed_step, Some(FailedStep::Other), "nothing to install on");
    }
}

/// The error of a power call stands beside `running` and `stopped`.
#[test]
fn an_error_of_power_does_not_change_the_state() {
    for (state, kind, step) in [
        ("stopped", "power_on_error", None),
        ("running", "power_off_error", Some(FailedStep::Stop)),
        ("running", "reboot_failed_error", Some(FailedStep::Restart)),
    ] {
        let seen = observed(
            instance(|i| {
                i["state"] = json!(state);
                i["error"] = json!({"error_code": "x", "error_msg": "BMC is silent", "error_type": kind});
            }),
            Some(&machine(|_| {})),
            None,
        );
        assert!(matches!(seen.state, ServerState::Running | ServerState::Stopped));
        assert_eq!(
            seen.failed_step, step,
            "its server was powered on last, with success"
        );
        assert_eq!(seen.fault.unwrap().message, format!("{kind}: BMC is silent"));
    }
    for (word, step) in [
        ("power-on-failed", FailedStep::Start),
        ("power-off-failed", FailedStep::Stop),
        ("reboot-failed", FailedStep::Restart),
    ] {
        let server = machine(|m| m["operation_state"] = json!(word));
        let seen = observed(instance(|_| {}), Some(&server), None);
        assert_eq!((seen.state, seen.failed_step), (ServerState::Running, Some(step)));
        let broken = observed(instance(|i| i["state"] = json!("error")), Some(&server), None);
        assert_eq!(broken.failed_step, Some(FailedStep::Other), "that is worse");
    }
}

#[test]
fn little_is_enough_and_strange_things_are_survived() {
    let bare: Instance = serde_json::from_value(json!({"id": "i-2"})).unwrap();
    let seen = observed(bare, None, None);
    assert_eq!(
        (seen.state, seen.raw.as_str(), seen.marks),
        (ServerState::Unknown, "-/-/-/-/-", None)
    );
    let strange = instance(|i| {
        i["state"] = json!({});
        i["operation_state"] = json!(["x"]);
        i["metadata"] = json!([{"evenkeel-uid": "u9"}, {"n": 5}]);
        i["network_interfaces"] = json!(null);
        i["error"] = json!({});
        i["image"] = json!(null);
        i["server_id"] = json!("");
    });
    let server = machine(|m| {
        m["frozen_state"] = json!("3");
        m["power_state"] = json!({});
        m["location"] = json!(null);
    });
    let seen = observed(strange, Some(&server), None);
    assert_eq!(
        (seen.state, seen.fault, seen.host),
        (ServerState::Maintenance, None, None)
    );
    assert_eq!(seen.marks.unwrap().uid, "u9");
    let unknown = observed(instance(|i| i["state"] = json!("hibernated")), None, None);
    assert_eq!(unknown.state, ServerState::Unknown);
    assert!(unknown.raw.starts_with("hibernated/"));
}

#[test]
fn a_machine_that_is_away_makes_its_instance_busy() {
    for (key, value) in [
        ("manage_state", json!("maintain")),
        ("manage_state", json!("frozen")),
        ("frozen_state", json!(4)),
    ] {
        let server = machine(|m| m[key] = value);
        let seen = observed(instance(|_| {}), Some(&server), None);
        assert_eq!((seen.state, seen.busy), (ServerState::Maintenance, true));
    }
}

#[test]
fn marks_survive_metadata_whatever_their_length() {
    for name in ["web".to_owned(), "x".repeat(253)] {
        let marks = Marks {
            uid: "u".into(),
            installation: "i".into(),
            object: format!("{}/{name}", "n".repeat(63)),
        };
        let metadata = metadata_of(&marks);
        assert!(metadata.values().all(|v| v.len() <= VALUE_LIMIT));
        let fits = |k: &String| {
            k.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_: .".contains(c))
        };
        assert!(metadata.keys().all(fits));
        assert_eq!(marks_of(&metadata), Some(marks));
    }
}
