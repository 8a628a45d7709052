//! Which ServerGroups are taken.

use serde_json::{Value, json};

use crate::cases::{at_create, at_update, merged};

fn group() -> Value {
    json!({"providerConfigRef": {"name": "helsinki"}})
}

fn full() -> Value {
    json!({
        "managementPolicy": "Full", "placement": {"policy": "AntiAffinity", "maxServersPerHost": 2},
        "powerState": "Stopped", "disruption": {"maxUnavailable": 3}, "cloudName": "Web 1", "labels": {"team": "a"},
        "import": {"id": "4711"}, "deletionPolicy": "Orphan"
    })
}

#[test]
#[rustfmt::skip] // One case a line.
fn groups_at_create() {
    let with = |patch: Value| merged(&full(), &patch);
    let many: serde_json::Map<String, Value> = (0..33).map(|i| (format!("k{i}"), json!("v"))).collect();
    at_create(
        "group-create",
        "ServerGroup",
        &group(),
        &[
            ("the least", json!({}), ""),
            ("every field", full(), ""),
            ("no account", json!({"providerConfigRef": null}), "spec.providerConfigRef"),
            ("a soft policy", json!({"placement": {"policy": "SoftAffinity"}}), ""),
            ("no such policy", json!({"placement": {"policy": "Near"}}), "spec.placement.policy"),
            ("most on a host", json!({"placement": {"policy": "AntiAffinity", "maxServersPerHost": 1}}), ""),
            ("none on a host", json!({"placement": {"policy": "AntiAffinity", "maxServersPerHost": 0}}), "spec.placement.maxServersPerHost"),
            ("most on a host, softly", json!({"placement": {"policy": "SoftAntiAffinity", "maxServersPerHost": 2}}), "maxServersPerHost goes with policy AntiAffinity alone"),
            ("most on a host, anywhere", json!({"placement": {"maxServersPerHost": 2}}), "maxServersPerHost goes with policy AntiAffinity alone"),
            ("import without deletionPolicy", with(json!({"deletionPolicy": null})), "import needs deletionPolicy to be given"),
            ("import with an odd id", with(json!({"import": {"id": "a b"}})), "spec.import.id"),
            ("Observe", with(json!({"managementPolicy": "Observe"})), ""),
            ("Observe without import", json!({"managementPolicy": "Observe"}), "PowerOnly and Observe need import.id"),
            ("PowerOnly without import", json!({"managementPolicy": "PowerOnly"}), "PowerOnly and Observe need import.id"),
            ("nobody down", json!({"disruption": {"maxUnavailable": 0}}), "spec.disruption.maxUnavailable"),
            ("too many labels", json!({"labels": many}), "spec.labels"),
            ("our own label", json!({"labels": {"evenkeel-uid": "x"}}), "label keys have 2 to 32 characters"),
            ("a blank name", json!({"cloudName": " "}), "spec.cloudName"),
        ],
    );
}

#[test]
#[rustfmt::skip] // One case a line.
fn groups_at_update() {
    let import = json!({"import": {"id": "1"}, "deletionPolicy": "Orphan"});
    at_update(
        "group-update",
        "ServerGroup",
        &group(),
        &[
            ("nothing", full(), full(), ""),
            ("a policy", json!({}), json!({"placement": {"policy": "Affinity"}}), ""),
            ("a power wish", json!({}), json!({"powerState": "Stopped"}), ""),
            ("another account", json!({}), json!({"providerConfigRef": {"name": "other"}}), "providerConfigRef is immutable"),
            ("cloudName added", json!({}), json!({"cloudName": "a"}), ""),
            ("cloudName removed", json!({"cloudName": "a"}), json!({}), ""),
            ("cloudName changed", json!({"cloudName": "a"}), json!({"cloudName": "b"}), ""),
            ("labels", json!({}), json!({"labels": {"team": "b"}}), ""),
            ("import added", json!({}), import.clone(), ""),
            ("import removed", import.clone(), json!({"deletionPolicy": "Orphan"}), "import is immutable once set"),
            ("import changed", import.clone(), merged(&import, &json!({"import": {"id": "2"}})), "import is immutable once set"),
        ],
    );
}
