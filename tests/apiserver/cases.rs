//! Objects to try, and how many of them are tried in one go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::kube::{Namespace, cluster};

/// What the API server said of one object: nothing when it took it.
pub(crate) type Verdicts = BTreeMap<String, Option<String>>;

pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Lays a JSON merge patch over a value: null takes a field away.
pub(crate) fn merged(base: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut out = base.as_object().cloned().unwrap_or_default();
    for (key, change) in changes {
        if change.is_null() {
            out.remove(key);
        } else {
            let old = out.get(key).cloned().unwrap_or(Value::Null);
            out.insert(key.clone(), merged(&old, change));
        }
    }
    Value::Object(out)
}

/// Sends many objects in one go and sorts out what was said of each.
pub(crate) fn send(ns: &Namespace<'_>, verb: &[&str], objects: &[Value]) -> Verdicts {
    let text: String = objects.iter().map(|o| format!("---\n{o}\n")).collect();
    let mut args = verb.to_vec();
    args.extend(["-f", "-"]);
    let out = ns.kubectl_text(&args, &text);
    let mut verdicts: Verdicts = BTreeMap::new();
    for line in out.out.lines() {
        if let Some(name) = line.split_whitespace().next().and_then(|w| w.split('/').nth(1)) {
            verdicts.insert(name.to_owned(), None);
        }
    }
    // One fault is told as `The Server "x" is invalid`, several as `Error from server ... Server "x" is invalid`.
    let parts = out.err.split("Error from server").flat_map(|p| p.split("\nThe "));
    for part in parts {
        if let Some((before, _)) = part.split_once("\" is invalid") {
            let name = before.rsplit('"').next().unwrap_or_default();
            verdicts.insert(name.to_owned(), Some(part.trim().to_owned()));
        }
    }
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(
            verdicts.contains_key(name),
            "nothing was said of {name}: {}{}",
            out.out,
            out.err
        );
    }
    verdicts
}

/// Compares what was said with what was expected (nothing: taken); names what differs.
fn compare(said: &Verdicts, expected: &[(String, String, &str)]) {
    let mut wrong = Vec::new();
    for (name, what, message) in expected {
        match (&said[name], *message) {
            (None, "") => {}
            (None, _) => wrong.push(format!("{what}: was taken, expected {message:?}")),
            (Some(text), "") => wrong.push(format!("{what}: was refused: {text}")),
            (Some(text), _) if !text.contains(message) => {
                wrong.push(format!("{what}: expected {message:?}, said: {text}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// (what, patch on the base, message or "" when it is taken)
pub(crate) fn at_create(test: &str, kind: &str, base: &Value, cases: &[(&'static str, Value, &'static str)]) {
    let ns = cluster().namespace(test);
    let mut objects = Vec::new();
    let mut expected = Vec::new();
    for (i, (what, patch, message)) in cases.iter().enumerate() {
        let name = format!("case-{i}");
        objects.push(object(kind, &name, &merged(base, patch)));
        expected.push((name, (*what).to_owned(), *message));
    }
    compare(&send(&ns, &["create", "--dry-run=server"], &objects), &expected);
}

/// (what, patch before, patch after, message or "" when the change is taken)
pub(crate) fn at_update(
    test: &str,
    kind: &str,
    base: &Value,
    cases: &[(&'static str, Value, Value, &'static str)],
) {
    at_update_of(test, kind, base, None, cases);
}

/// The same on objects that were given a status after they were made. Both writes of a status, with and without
/// a server in it, have to be taken as well.
pub(crate) fn at_update_of(
    test: &str,
    kind: &str,
    base: &Value,
    status: Option<&Value>,
    cases: &[(&'static str, Value, Value, &'static str)],
) {
    let ns = cluster().namespace(test);
    let (mut before, mut after, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (what, from, to, message)) in cases.iter().enumerate() {
        let name = format!("case-{i}");
        before.push(object(kind, &name, &merged(base, from)));
        after.push(object(kind, &name, &merged(base, to)));
        expected.push((name, (*what).to_owned(), *message));
    }
    let made = send(&ns, &["create"], &before);
    assert!(
        made.values().all(Option::is_none),
        "the objects to change must be valid: {made:?}"
    );
    for object in before.iter().filter(|_| status.is_some()) {
        let name = object["metadata"]["name"].as_str().unwrap();
        ns.set_status(&kind.to_lowercase(), name, status.unwrap_or(&Value::Null));
    }
    compare(&send(&ns, &["replace", "--dry-run=server"], &after), &expected);
    for object in before.iter().filter(|_| status.is_some()).take(1) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let none = json!({"id": null, "createAttempt": null, "observedGeneration": 2});
        ns.set_status(&kind.to_lowercase(), name, &none);
    }
}

/// The least that a server needs.
pub(crate) fn server() -> Value {
    json!({"providerConfigRef": {"name": "helsinki"}, "size": {"name": "m1.small"}, "image": {"name": "cirros"}})
}

/// Every field, each with a valid value.
pub(crate) fn full_server() -> Value {
    merged(
        &server(),
        &json!({
            "providerConfigRef": {"kind": "ProviderConfig"},
            "managementPolicy": "Full", "powerState": "Running",
            "powerOff": {"mode": "Soft", "timeout": "1h30m"},
            "driftPolicy": "RespectStop",
            "restart": {"token": "1", "mode": "Hard", "notBefore": "2026-12-24T18:00:00Z"},
            "resize": {"when": "StopIfNeeded", "confirm": "AfterSoak", "soak": "10m", "onFailure": "Hold"},
            "rebuild": {"when": "OnImageChange"},
            "cloudName": "Web 1", "hostname": "web-1", "labels": {"team": "a"},
            "userDataSecretRef": {"name": "cloud-init", "key": "user-data"},
            "openstack": {
                "availabilityZone": "nova", "keyName": "ops", "securityGroups": ["web"], "configDrive": true,
                "networks": [{"name": "primary", "network": "net", "fixedIP": "10.0.0.7"}, {"name": "data", "port": "p"}],
                "tags": ["blue"]},
            "import": {"id": "4711"},
            "onCreateError": "Hold", "onError": "HardReboot", "onMissing": "Recreate",
            "deletionPolicy": "Orphan", "deletionProtection": true,
            "deletion": {"powerOff": "Hard", "timeout": "90s"}
        }),
    )
}

pub(crate) fn account() -> Value {
    json!({"openstack": {"secretRef": {"name": "clouds"}, "cloud": "demo"}})
}

pub(crate) fn full_account() -> Value {
    merged(
        &account(),
        &json!({
            "openstack": {"region": "RegionOne", "interface": "Internal"},
            "caSecretRef": {"name": "ca"},
            "requests": {"perSecond": 5, "burst": 10, "inFlight": 3},
            "observe": {"interval": "30s", "busyInterval": "2s"},
            "maxConcurrentDisruptions": 1, "maxCreatesInFlight": 1, "suspend": true
        }),
    )
}

pub(crate) fn networks(item: Value) -> Value {
    json!({"openstack": {"networks": [item]}})
}
