//! What the API server does with the objects that it takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cases::{account, merged, networks, object, server};
use crate::support::kube::cluster;

#[test]
fn the_api_server_takes_the_definitions() {
    let text = cluster().kubectl(&["get", "crd", "-o", "json"]).ok().unwrap();
    let crds: Value = serde_json::from_str(&text).unwrap();
    let ours: Vec<&Value> = crds["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["spec"]["group"] == "evenkeel.dev")
        .collect();
    assert_eq!(ours.len(), evenkeel::api::crds::all().unwrap().len());
    for crd in ours {
        let conditions: BTreeMap<&str, &str> = crd["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap()))
            .collect();
        assert_eq!(conditions.get("Established"), Some(&"True"), "{conditions:?}");
        assert_eq!(conditions.get("NonStructuralSchema"), None, "{conditions:?}");
    }
}

#[test]
fn unknown_fields_are_refused_by_name() {
    let ns = cluster().namespace("unknown");
    let out = ns.create(&object(
        "Server",
        "a",
        &merged(&server(), &json!({"powerstate": "Running"})),
    ));
    assert!(
        !out.ok && out.err.contains("unknown field \"spec.powerstate\""),
        "{}",
        out.err
    );
}

#[test]
fn defaults_are_filled_in_and_a_fresh_object_is_not_done() {
    let ns = cluster().namespace("defaults");
    ns.create(&object("Server", "a", &server())).ok().unwrap();
    let got = ns.get("server", "a");
    assert_eq!(got["status"], json!({"observedGeneration": -1}));
    let expected = merged(
        &server(),
        &json!({
            "managementPolicy": "Full", "powerOff": {"mode": "SoftThenHard", "timeout": "5m"}, "driftPolicy": "Enforce",
            "resize": {"when": "WhenStopped", "confirm": "Auto", "onFailure": "Revert"},
            "onCreateError": "Retry", "onError": "Hold", "onMissing": "Fail", "deletionProtection": false
        }),
    );
    assert_eq!(got["spec"], expected);
    ns.create(&object("ProviderConfig", "a", &account()))
        .ok()
        .unwrap();
    let got = ns.get("providerconfig", "a");
    assert_eq!(got["status"], json!({"observedGeneration": -1}));
    let expected = merged(
        &account(),
        &json!({
            "requests": {"perSecond": 10, "burst": 20, "inFlight": 10},
            "observe": {"interval": "15s", "busyInterval": "1s"},
            "maxConcurrentDisruptions": 10, "maxCreatesInFlight": 10, "suspend": false
        }),
    );
    assert_eq!(got["spec"], expected);
    // What the API server stores is what the types read.
    let typed: evenkeel::api::Server = serde_json::from_value(ns.get("server", "a")).unwrap();
    assert_eq!(typed.spec.power_off.timeout.as_secs(), 300);
    assert_eq!(typed.status.unwrap().observed_generation, Some(-1));
}

#[test]
fn columns_show_what_matters() {
    let ns = cluster().namespace("columns");
    ns.create(&object("Server", "web-1", &server())).ok().unwrap();
    let condition = json!({"type": "Ready", "status": "True", "reason": "AsDeclared", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    ns.set_status(
        "server",
        "web-1",
        &json!({
        "observedGeneration": 1, "id": "4711", "size": "m1.small",
        "power": {"desired": "Stopped", "observed": "Running", "desiredFrom": "Spec"},
        "addresses": [{"type": "fixed", "address": "10.0.0.7"}], "conditions": [condition]}),
    );
    let rows = |args: &[&str]| -> Vec<Vec<String>> {
        let text = ns.kubectl(args).ok().unwrap();
        text.lines()
            .map(|l| l.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let narrow = rows(&["get", "servers"]);
    assert_eq!(
        narrow[0],
        [
            "NAME", "DESIRED", "POWER", "SIZE", "READY", "REASON", "ADDRESS", "AGE"
        ]
    );
    assert_eq!(
        narrow[1][..7],
        [
            "web-1",
            "Stopped",
            "Running",
            "m1.small",
            "True",
            "AsDeclared",
            "10.0.0.7"
        ]
    );
    let wide = rows(&["get", "servers", "-o", "wide"]);
    assert_eq!(wide[0][8..], ["DESIREDFROM", "ID", "PROVIDER", "GROUP"]);
    assert_eq!(wide[1][8..], ["Spec", "4711", "helsinki"]);
    ns.create(&object("ProviderConfig", "helsinki", &account()))
        .ok()
        .unwrap();
    assert_eq!(
        rows(&["get", "providerconfigs"])[0],
        ["NAME", "READY", "REASON", "ACCOUNT", "MANAGED", "AGE"]
    );
    // One word for everything of ours.
    let all = ns.kubectl(&["get", "evenkeel", "-o", "name"]).ok().unwrap();
    assert_eq!(all.lines().count(), 2, "{all}");
}

#[test]
fn status_and_spec_are_written_apart() {
    let ns = cluster().namespace("status");
    let mut made = object("Server", "a", &server());
    made["status"] = json!({"id": "forged"});
    ns.create(&made).ok().unwrap();
    assert_eq!(ns.get("server", "a")["status"].get("id"), None);
    ns.set_status("server", "a", &json!({"id": "4711", "observedGeneration": 1}));
    let got = ns.get("server", "a");
    assert_eq!(
        (&got["status"]["id"], &got["metadata"]["generation"]),
        (&json!("4711"), &json!(1))
    );
    let patch = json!({"status": {"id": "x".repeat(129)}}).to_string();
    let out = ns.kubectl(&[
        "patch",
        "server",
        "a",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ]);
    assert!(
        !out.ok && out.err.contains("status.id"),
        "a status is bounded too: {}",
        out.err
    );
}

#[test]
fn explain_reads_well() {
    let explain = |args: &[&str]| cluster().kubectl(&[&["explain"], args].concat()).ok().unwrap();
    let all = explain(&["server.spec", "--recursive"]);
    for field in [
        "providerConfigRef",
        "powerState",
        "timeout",
        "fixedIP",
        "deletionProtection",
    ] {
        assert!(all.contains(field), "{field} is missing in {all}");
    }
    let text = explain(&["server.spec.driftPolicy"]);
    assert!(
        text.contains("- RespectStop: A stop from outside is left alone"),
        "{text}"
    );
    let text = explain(&["server.spec.powerOff.timeout"]);
    assert!(text.contains("like 90s, 5m or 1h30m"), "{text}");
    let text = explain(&["server.status.operation"]);
    assert!(text.contains("recorded before the cloud is called"), "{text}");
    assert!(explain(&["providerconfig.spec", "--recursive"]).contains("busyInterval"));
}

#[test]
fn two_managers_own_entries_of_one_list() {
    let ns = cluster().namespace("apply");
    let apply = |manager: &str, spec: Value| {
        let manager = format!("--field-manager={manager}");
        ns.kubectl_with(
            &["apply", "--server-side", &manager, "-f", "-"],
            Some(&object("Server", "a", &spec)),
        )
    };
    let own = networks(json!({"name": "primary", "network": "net"}));
    apply("git", merged(&server(), &own)).ok().unwrap();
    // Another manager names the same entry by its key: it is shared, not a second one and no conflict.
    let shared = merged(&json!({"providerConfigRef": {"name": "helsinki"}}), &own);
    apply("platform", shared).ok().unwrap();
    let got = ns.get("server", "a");
    assert_eq!(got["spec"]["openstack"]["networks"].as_array().unwrap().len(), 1);
    assert!(
        got["spec"]["size"].is_object(),
        "what the first one owns stays: {got}"
    );
    // A second entry is merged in beside the first.
    ns.set_status("server", "a", &json!({"id": "4711"}));
    let two = merged(
        &json!({"providerConfigRef": {"name": "helsinki"}}),
        &networks(json!({"name": "data", "network": "d"})),
    );
    let out = apply("platform", two);
    out.ok().unwrap();
    let got = ns.get("server", "a");
    assert_eq!(got["spec"]["openstack"]["networks"].as_array().unwrap().len(), 2);
    // Fields of one object likewise.
    apply(
        "platform",
        json!({"providerConfigRef": {"name": "helsinki"}, "powerOff": {"timeout": "10m"}}),
    )
    .ok()
    .unwrap();
    apply(
        "git",
        merged(&merged(&server(), &own), &json!({"powerOff": {"mode": "Hard"}})),
    )
    .ok()
    .unwrap();
    assert_eq!(
        ns.get("server", "a")["spec"]["powerOff"],
        json!({"mode": "Hard", "timeout": "10m"})
    );
    // A value that another manager owns is a conflict that says whose it is.
    let out = apply(
        "git",
        merged(&merged(&server(), &own), &json!({"powerOff": {"timeout": "1m"}})),
    );
    assert!(
        !out.ok && out.err.contains("conflict with \"platform\""),
        "{}",
        out.err
    );
}
