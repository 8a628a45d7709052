//! What a real API server makes of the definitions: which objects it takes, what it says of those that it does
//! not, its defaults, columns and explanations.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::kube::{Namespace, cluster};

/// What the API server said of one object: nothing when it took it.
type Verdicts = BTreeMap<String, Option<String>>;

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Lays a JSON merge patch over a value: null takes a field away.
fn merged(base: &Value, patch: &Value) -> Value {
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
fn send(ns: &Namespace<'_>, verb: &[&str], objects: &[Value]) -> Verdicts {
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
fn at_create(test: &str, kind: &str, base: &Value, cases: &[(&'static str, Value, &'static str)]) {
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
fn at_update(test: &str, kind: &str, base: &Value, cases: &[(&'static str, Value, Value, &'static str)]) {
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
    compare(&send(&ns, &["replace", "--dry-run=server"], &after), &expected);
}

/// The least that a server needs.
fn server() -> Value {
    json!({"providerConfigRef": {"name": "helsinki"}, "size": {"name": "m1.small"}, "image": {"name": "cirros"}})
}

/// Every field, each with a valid value.
fn full_server() -> Value {
    merged(
        &server(),
        &json!({
            "providerConfigRef": {"kind": "ProviderConfig"},
            "managementPolicy": "Full", "powerState": "Running",
            "powerOff": {"mode": "Soft", "timeout": "1h30m"},
            "driftPolicy": "RespectStop",
            "restart": {"token": "1", "mode": "Hard", "notBefore": "2026-12-24T18:00:00Z"},
            "resize": {"when": "StopIfNeeded", "confirm": "AfterSoak", "soak": "10m", "onFailure": "Hold"},
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

fn account() -> Value {
    json!({"openstack": {"secretRef": {"name": "clouds"}, "cloud": "demo"}})
}

fn full_account() -> Value {
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

fn networks(item: Value) -> Value {
    json!({"openstack": {"networks": [item]}})
}

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
    assert_eq!(ours.len(), 2);
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
fn servers_at_create() {
    let import = json!({"import": {"id": "4711"}, "powerState": "Running", "deletionPolicy": "Orphan"});
    let with = |patch: Value| merged(&import, &patch);
    let bare = json!({"size": null, "image": null});
    let many: serde_json::Map<String, Value> = (0..65).map(|i| (format!("k{i}"), json!("v"))).collect();
    at_create(
        "server-create",
        "Server",
        &server(),
        &[
            ("the least", json!({}), ""),
            ("every field", full_server(), ""),
            ("stopped", json!({"powerState": "Stopped"}), ""),
            // To create, or to take over.
            (
                "no size",
                json!({"size": null}),
                "size and image are needed to create a server",
            ),
            (
                "no image",
                json!({"image": null}),
                "size and image are needed to create a server",
            ),
            ("import needs neither", merged(&bare, &import), ""),
            (
                "import without powerState",
                with(json!({"powerState": null})),
                "import needs powerState to be given",
            ),
            (
                "import without deletionPolicy",
                with(json!({"deletionPolicy": null})),
                "import needs deletionPolicy to be given",
            ),
            (
                "Observe without import",
                json!({"managementPolicy": "Observe"}),
                "PowerOnly and Observe need import.id",
            ),
            (
                "PowerOnly without import",
                json!({"managementPolicy": "PowerOnly"}),
                "PowerOnly and Observe need import.id",
            ),
            ("PowerOnly", with(json!({"managementPolicy": "PowerOnly"})), ""),
            (
                "Observe needs no powerState",
                with(json!({"managementPolicy": "Observe", "powerState": null})),
                "",
            ),
            (
                "PowerOnly needs powerState",
                with(json!({"managementPolicy": "PowerOnly", "powerState": null})),
                "import needs powerState",
            ),
            (
                "import with an odd id",
                with(json!({"import": {"id": "a b"}})),
                "spec.import.id",
            ),
            ("Recreate", json!({"onMissing": "Recreate"}), ""),
            (
                "Recreate of an imported one",
                with(json!({"onMissing": "Recreate"})),
                "",
            ),
            (
                "Recreate without image",
                merged(&with(json!({"onMissing": "Recreate"})), &bare),
                "onMissing: Recreate needs",
            ),
            (
                "Recreate under PowerOnly",
                with(json!({"onMissing": "Recreate", "managementPolicy": "PowerOnly"})),
                "onMissing: Recreate needs managementPolicy Full",
            ),
            // Sizes and images.
            (
                "size by numbers",
                json!({"size": {"name": null, "cores": 2, "memoryMiB": 2048}}),
                "",
            ),
            (
                "size by both",
                json!({"size": {"cores": 2, "memoryMiB": 2048}}),
                "a size is either a name, or cores and memoryMiB together",
            ),
            (
                "half a size",
                json!({"size": {"name": null, "cores": 2}}),
                "a size is either a name, or cores and memoryMiB together",
            ),
            (
                "the other half",
                json!({"size": {"name": null, "memoryMiB": 2}}),
                "a size is either a name, or cores and memoryMiB together",
            ),
            (
                "an empty size",
                json!({"size": {"name": null}}),
                "a size is either a name, or cores and memoryMiB together",
            ),
            ("image by id", json!({"image": {"name": null, "id": "x"}}), ""),
            (
                "image by both",
                json!({"image": {"id": "x"}}),
                "an image has either a name or an id",
            ),
            (
                "an empty image",
                json!({"image": {"name": null}}),
                "an image has either a name or an id",
            ),
            // Durations.
            ("the longest stop", json!({"powerOff": {"timeout": "24h"}}), ""),
            (
                "too long a stop",
                json!({"powerOff": {"timeout": "24h1s"}}),
                "powerOff.timeout must be between 1s and 24h",
            ),
            (
                "too short a stop",
                json!({"powerOff": {"timeout": "0s"}}),
                "powerOff.timeout must be between 1s and 24h",
            ),
            (
                "no unit",
                json!({"powerOff": {"timeout": "90"}}),
                "spec.powerOff.timeout",
            ),
            (
                "too short a soak",
                json!({"resize": {"confirm": "AfterSoak", "soak": "0s"}}),
                "resize.soak must be between 1s and 168h",
            ),
            (
                "too long a soak",
                json!({"resize": {"confirm": "AfterSoak", "soak": "169h"}}),
                "resize.soak must be between 1s and 168h",
            ),
            (
                "too short a deletion",
                json!({"deletion": {"timeout": "0s"}}),
                "deletion.timeout must be between 1s and 24h",
            ),
            (
                "too long a deletion",
                json!({"deletion": {"timeout": "25h"}}),
                "deletion.timeout must be between 1s and 24h",
            ),
            // What goes together.
            (
                "AfterSoak without soak",
                json!({"resize": {"confirm": "AfterSoak"}}),
                "resize.soak is given with confirm: AfterSoak, and only then",
            ),
            (
                "soak without AfterSoak",
                json!({"resize": {"soak": "5m"}}),
                "resize.soak is given with confirm: AfterSoak, and only then",
            ),
            (
                "AfterSoak with soak",
                json!({"resize": {"confirm": "AfterSoak", "soak": "5m"}}),
                "",
            ),
            (
                "a timeout for no power-off",
                json!({"deletion": {"powerOff": "None", "timeout": "5m"}}),
                "deletion.timeout has no meaning with deletion.powerOff: None",
            ),
            ("no power-off", json!({"deletion": {"powerOff": "None"}}), ""),
            // Labels and tags.
            (
                "a reserved label",
                json!({"labels": {"evenkeel-uid": "x"}}),
                "do not begin with evenkeel",
            ),
            (
                "an empty label key",
                json!({"labels": {"": "x"}}),
                "label keys have 1 to 200 characters",
            ),
            (
                "a long label key",
                json!({"labels": {"k".repeat(201): "x"}}),
                "label keys have 1 to 200 characters",
            ),
            (
                "the longest label key",
                json!({"labels": {"k".repeat(200): "x"}}),
                "",
            ),
            (
                "a long label",
                json!({"labels": {"k": "v".repeat(256)}}),
                "spec.labels.k",
            ),
            ("too many labels", json!({"labels": many}), "spec.labels"),
            (
                "a reserved tag",
                json!({"openstack": {"tags": ["evenkeel-1"]}}),
                "tags that begin with evenkeel are reserved",
            ),
            (
                "a tag with a comma",
                json!({"openstack": {"tags": ["a,b"]}}),
                "spec.openstack.tags[0]",
            ),
            (
                "a tag twice",
                json!({"openstack": {"tags": ["a", "a"]}}),
                "Duplicate value",
            ),
            // Networks.
            (
                "a network and a port",
                networks(json!({"name": "a", "network": "n", "port": "p"})),
                "an interface names either a network or a port",
            ),
            (
                "neither",
                networks(json!({"name": "a"})),
                "an interface names either a network or a port",
            ),
            (
                "a fixed address on a port",
                networks(json!({"name": "a", "port": "p", "fixedIP": "10.0.0.1"})),
                "fixedIP goes with network",
            ),
            (
                "no address",
                networks(json!({"name": "a", "network": "n", "fixedIP": "10.0.0"})),
                "fixedIP must be an IPv4 or IPv6 address",
            ),
            (
                "an IPv6 address",
                networks(json!({"name": "a", "network": "n", "fixedIP": "2001:db8::1"})),
                "",
            ),
            (
                "an interface without a name",
                networks(json!({"network": "n"})),
                "spec.openstack.networks[0].name",
            ),
            (
                "two of one name",
                json!({"openstack": {"networks": [{"name": "a", "network": "n"}, {"name": "a", "network": "m"}]}}),
                "Duplicate value",
            ),
            // Formats.
            (
                "no time",
                json!({"restart": {"token": "1", "notBefore": "tomorrow"}}),
                "spec.restart.notBefore",
            ),
            (
                "a restart without token",
                json!({"restart": {"mode": "Hard"}}),
                "spec.restart.token",
            ),
            (
                "another kind of account",
                json!({"providerConfigRef": {"kind": "Account"}}),
                "spec.providerConfigRef.kind",
            ),
            (
                "no account",
                json!({"providerConfigRef": null}),
                "spec.providerConfigRef",
            ),
            (
                "a hostname with a dot",
                json!({"hostname": "a.b"}),
                "spec.hostname",
            ),
            ("a name of blanks", json!({"cloudName": "  "}), "spec.cloudName"),
        ],
    );
}

#[test]
fn servers_at_update() {
    let imported = json!({"import": {"id": "1"}, "powerState": "Running", "deletionPolicy": "Orphan"});
    let net = networks(json!({"name": "a", "network": "n"}));
    at_update(
        "server-update",
        "Server",
        &server(),
        &[
            ("nothing", full_server(), full_server(), ""),
            ("a power wish", json!({}), json!({"powerState": "Stopped"}), ""),
            (
                "a power wish taken back",
                json!({"powerState": "Stopped"}),
                json!({}),
                "",
            ),
            ("a size", json!({}), json!({"size": {"name": "m1.large"}}), ""),
            ("an image", json!({}), json!({"image": {"name": "other"}}), ""),
            (
                "no image any more",
                json!({}),
                json!({"image": null}),
                "size and image are needed",
            ),
            (
                "another account",
                json!({}),
                json!({"providerConfigRef": {"name": "other"}}),
                "providerConfigRef is immutable",
            ),
            (
                "the kind of the same account",
                json!({}),
                json!({"providerConfigRef": {"kind": "ProviderConfig"}}),
                "",
            ),
            (
                "the same kind left out",
                json!({"providerConfigRef": {"kind": "ProviderConfig"}}),
                json!({}),
                "",
            ),
            (
                "cloudName added",
                json!({}),
                json!({"cloudName": "a"}),
                "cloudName is immutable",
            ),
            (
                "cloudName removed",
                json!({"cloudName": "a"}),
                json!({}),
                "cloudName is immutable",
            ),
            (
                "cloudName changed",
                json!({"cloudName": "a"}),
                json!({"cloudName": "b"}),
                "cloudName is immutable",
            ),
            (
                "hostname added",
                json!({}),
                json!({"hostname": "a"}),
                "hostname is immutable",
            ),
            (
                "hostname removed",
                json!({"hostname": "a"}),
                json!({}),
                "hostname is immutable",
            ),
            (
                "hostname changed",
                json!({"hostname": "a"}),
                json!({"hostname": "b"}),
                "hostname is immutable",
            ),
            (
                "labels added",
                json!({}),
                json!({"labels": {"a": "1"}}),
                "labels are immutable",
            ),
            (
                "labels removed",
                json!({"labels": {"a": "1"}}),
                json!({}),
                "labels are immutable",
            ),
            (
                "a label added",
                json!({"labels": {"a": "1"}}),
                json!({"labels": {"a": "1", "b": "2"}}),
                "labels are immutable",
            ),
            (
                "user data added",
                json!({}),
                json!({"userDataSecretRef": {"name": "a", "key": "k"}}),
                "userDataSecretRef is immutable",
            ),
            (
                "user data removed",
                json!({"userDataSecretRef": {"name": "a", "key": "k"}}),
                json!({}),
                "userDataSecretRef is immutable",
            ),
            (
                "user data changed",
                json!({"userDataSecretRef": {"name": "a", "key": "k"}}),
                json!({"userDataSecretRef": {"name": "a", "key": "l"}}),
                "userDataSecretRef is immutable",
            ),
            (
                "openstack added",
                json!({}),
                net.clone(),
                "openstack is immutable",
            ),
            (
                "openstack removed",
                net.clone(),
                json!({}),
                "openstack is immutable",
            ),
            (
                "openstack changed",
                net.clone(),
                networks(json!({"name": "a", "network": "m"})),
                "openstack is immutable",
            ),
            ("import added", json!({}), imported.clone(), ""),
            (
                "import added alone",
                json!({}),
                json!({"import": {"id": "1"}}),
                "import needs powerState",
            ),
            (
                "import removed",
                imported.clone(),
                merged(&imported, &json!({"import": null})),
                "import is immutable once set",
            ),
            (
                "import changed",
                imported.clone(),
                merged(&imported, &json!({"import": {"id": "2"}})),
                "import is immutable once set",
            ),
            (
                "PowerOnly later",
                imported.clone(),
                merged(&imported, &json!({"managementPolicy": "PowerOnly"})),
                "",
            ),
            (
                "Observe without import, later",
                json!({}),
                json!({"managementPolicy": "Observe"}),
                "PowerOnly and Observe need import.id",
            ),
            ("protection", json!({}), json!({"deletionProtection": true}), ""),
            ("a restart", json!({}), json!({"restart": {"token": "1"}}), ""),
            (
                "a soak removed",
                json!({"resize": {"confirm": "AfterSoak", "soak": "5m"}}),
                json!({"resize": {"confirm": "AfterSoak"}}),
                "resize.soak is given with",
            ),
        ],
    );
}

#[test]
fn accounts_at_create() {
    at_create(
        "account-create",
        "ProviderConfig",
        &account(),
        &[
            ("the least", json!({}), ""),
            ("every field", full_account(), ""),
            (
                "no cloud",
                json!({"openstack": null}),
                "a ProviderConfig names its cloud: give openstack",
            ),
            (
                "no Secret",
                json!({"openstack": {"secretRef": null}}),
                "spec.openstack.secretRef",
            ),
            (
                "no entry",
                json!({"openstack": {"cloud": null}}),
                "spec.openstack.cloud",
            ),
            (
                "too slow",
                json!({"observe": {"interval": "1h1s"}}),
                "observe.interval must be between 1s and 1h",
            ),
            (
                "too fast",
                json!({"observe": {"interval": "0s"}}),
                "observe.interval must be between 1s and 1h",
            ),
            (
                "too fast when busy",
                json!({"observe": {"busyInterval": "0s"}}),
                "observe.busyInterval must be between 1s and 1h",
            ),
            (
                "too slow when busy",
                json!({"observe": {"interval": "1h", "busyInterval": "2h"}}),
                "observe.busyInterval must be between 1s and 1h",
            ),
            (
                "slower when busy",
                json!({"observe": {"interval": "5s", "busyInterval": "6s"}}),
                "observe.busyInterval must not be longer than observe.interval",
            ),
            (
                "as slow when busy",
                json!({"observe": {"interval": "5s", "busyInterval": "5s"}}),
                "",
            ),
            (
                "slower than the default",
                json!({"observe": {"busyInterval": "16s"}}),
                "observe.busyInterval must not be longer than observe.interval",
            ),
        ],
    );
}

#[test]
fn accounts_at_update() {
    at_update(
        "account-update",
        "ProviderConfig",
        &account(),
        &[
            ("nothing", full_account(), full_account(), ""),
            ("suspend", json!({}), json!({"suspend": true}), ""),
            (
                "another Secret",
                json!({}),
                json!({"openstack": {"secretRef": {"name": "other"}}}),
                "",
            ),
            (
                "a CA added",
                json!({}),
                json!({"caSecretRef": {"name": "ca"}}),
                "",
            ),
            (
                "a CA removed",
                json!({"caSecretRef": {"name": "ca"}}),
                json!({}),
                "",
            ),
            (
                "the cloud removed",
                json!({}),
                json!({"openstack": null}),
                "a ProviderConfig names its cloud",
            ),
            (
                "a slow pace",
                json!({}),
                json!({"observe": {"interval": "2h"}}),
                "observe.interval must be between",
            ),
            (
                "no burst",
                json!({}),
                json!({"requests": {"burst": 0}}),
                "spec.requests.burst",
            ),
        ],
    );
}

/// For every bound in the schema an object that breaks it, and it alone: (path, spec).
fn breaches(path: &[&str], schema: &Value, base: &Value, found: &mut Vec<(String, Value)>) {
    let mut add = |value: Value| {
        // The path may lead through the first item of a list.
        let spec = path.iter().rev().fold(value, |inner, step| match *step {
            "[]" => json!([inner]),
            name => json!({ name: inner }),
        });
        found.push((path.join(".").replace(".[]", "[0]"), placed(base, &spec)));
    };
    let number = |key: &str| schema.get(key).and_then(Value::as_f64).map(|n| n as i64);
    if let Some(n) = number("maxLength").filter(|_| schema.get("x-kubernetes-validations").is_none()) {
        add(json!("a".repeat(n as usize + 1)));
    }
    if number("minLength").is_some() {
        add(json!(""));
    }
    if let Some(n) = number("minimum") {
        add(json!(n - 1));
    }
    if let Some(n) = number("maximum") {
        add(json!(n + 1));
    }
    if schema.get("pattern").is_some() {
        add(json!(" ,"));
    }
    if schema.get("enum").is_some() {
        add(json!("Nonsense"));
    }
    if let Some(n) = number("maxItems") {
        let objects = schema["items"]["type"] == "object";
        add((0..=n)
            .map(|i| {
                if objects {
                    json!({"name": format!("n{i}"), "network": "x"})
                } else {
                    json!(format!("t{i}"))
                }
            })
            .collect());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        breaches(&[path, &[name.as_str()]].concat(), field, base, found);
    }
    if let Some(items) = schema.get("items") {
        breaches(&[path, &["[]"]].concat(), items, base, found);
    }
}

/// Like `merged`, but into the first item of lists of objects.
fn placed(base: &Value, patch: &Value) -> Value {
    match (base, patch) {
        (Value::Array(old), Value::Array(new)) if new.len() == 1 && new[0].is_object() => {
            json!([old.first().map_or(new[0].clone(), |first| placed(first, &new[0]))])
        }
        (Value::Object(old), Value::Object(new)) => {
            let mut out = old.clone();
            for (key, value) in new {
                let before = old.get(key).unwrap_or(&Value::Null);
                out.insert(key.clone(), placed(before, value));
            }
            Value::Object(out)
        }
        _ => patch.clone(),
    }
}

#[test]
fn every_bound_of_every_field_holds_and_names_its_field() {
    let ns = cluster().namespace("bounds");
    for (kind, base, least) in [
        ("Server", full_server(), 70),
        ("ProviderConfig", full_account(), 20),
    ] {
        let crds = evenkeel::api::crds::all().unwrap();
        let (_, crd) = crds.iter().find(|(_, c)| c.spec.names.kind == kind).unwrap();
        let schema = serde_json::to_value(crd).unwrap();
        let spec = schema
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
            .unwrap();
        let mut found = Vec::new();
        breaches(&[], spec, &base, &mut found);
        assert!(found.len() >= least, "only {} bounds of {kind}", found.len());
        let names: Vec<String> = (0..found.len())
            .map(|i| format!("{}-{i}", kind.to_lowercase()))
            .collect();
        let objects: Vec<Value> = names
            .iter()
            .zip(&found)
            .map(|(n, (_, spec))| object(kind, n, spec))
            .collect();
        let said = send(&ns, &["create", "--dry-run=server"], &objects);
        let quiet: Vec<_> = names
            .iter()
            .zip(&found)
            .filter(|(name, (path, _))| {
                !said[*name]
                    .as_ref()
                    .is_some_and(|t| t.contains(&format!("spec.{path}")))
            })
            .map(|(name, (path, _))| format!("{path}: {:?}", said[name]))
            .collect();
        assert!(quiet.is_empty(), "{}", quiet.join("\n"));
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
    assert_eq!(wide[0][8..], ["DESIREDFROM", "ID", "PROVIDER"]);
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
    // A second entry is merged in beside the first, and only then refused: by the rule, not as a conflict.
    let two = merged(
        &json!({"providerConfigRef": {"name": "helsinki"}}),
        &networks(json!({"name": "data", "network": "d"})),
    );
    let out = apply("platform", two);
    assert!(
        !out.ok && out.err.contains("openstack is immutable"),
        "{}",
        out.err
    );
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
