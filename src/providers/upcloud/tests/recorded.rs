//! What the real service sent and took, key by key and type by type: shapes of recorded exchanges.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::*;

const SHAPES: &str = include_str!("../../../../tests/fixtures/upcloud/recorded-shapes.json");

/// Keys that the real service sends and nothing here needs, or shows.
const IGNORED: &[&str] = &[
    "access", // of a storage
    "backup_rule.interval",
    "backup_rule.retention",
    "backup_rule.time",
    "boot_disk",
    "bootable",
    "created", // of a server
    "description",
    "dhcp_provided",
    "encrypted",
    "family",
    "index",
    "license",
    "mac",
    "origin",
    "password", // read, and never shown
    "plan_ipv4_bytes",
    "plan_ipv6_bytes",
    "progress", // of a storage
    "remote_access_host",
    "remote_access_password",
    "remote_access_port",
    "servers.server[]", // of a storage
    "size",
    "source_ip_filtering",
    "storage_device[].address",
    "storage_encrypted",
    "storage_size",
    "storage_tier",
    "tier",
    "storage.type",
    "storage[].type",
];

type Keys = BTreeMap<String, String>;

fn keys(shape: &str) -> Keys {
    let all: Value = serde_json::from_str(SHAPES).unwrap();
    let keys = &all.get(shape).unwrap_or_else(|| panic!("no {shape}"))["keys"];
    serde_json::from_value(keys.clone()).unwrap()
}

/// The place of a path in a document, made if its parent is there.
fn place<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut node = root;
    for segment in parent.split('.').filter(|s| !s.is_empty()) {
        node = node.get_mut(segment.trim_end_matches("[]"))?;
        if segment.ends_with("[]") {
            node = node.get_mut(0)?;
        }
    }
    match last.strip_suffix("[]") {
        Some(key) => {
            let list = node.get_mut(key)?.as_array_mut()?;
            list.push(Value::Null);
            list.last_mut()
        }
        None => Some(node.as_object_mut()?.entry(last).or_insert(Value::Null)),
    }
}

/// A document of a shape, each of its values another one; `pick` chooses among the types of a key, `None` leaves it
/// out. The values by their paths.
fn document(keys: &Keys, pick: impl Fn(&[&str], bool) -> Option<usize>) -> (Value, Vec<(String, String)>) {
    let (mut root, mut values, mut closed) = (json!({}), Vec::new(), Vec::<String>::new());
    for (n, (path, spec)) in keys.iter().enumerate() {
        if closed.iter().any(|c| path.starts_with(c)) {
            continue;
        }
        let optional = spec.contains('/');
        let types: Vec<&str> = spec.split(" (").next().unwrap().split('|').collect();
        let kind = pick(&types, optional).map(|n| types[n.min(types.len() - 1)]);
        let unique = 7_000_000 + n;
        let value = match kind {
            None | Some("null") | Some("array(empty)") => {
                closed.push(format!("{path}."));
                closed.push(format!("{path}[]"));
                match kind {
                    None => continue,
                    Some("null") => Value::Null,
                    _ => json!([]),
                }
            }
            Some("object") => json!({}),
            Some("array") => json!([]),
            Some("string") => json!(format!("text-{unique}")),
            Some("string(number)") => json!(unique.to_string()),
            Some("number") => json!(unique),
            Some(other) => panic!("{path}: {other}"),
        };
        let node = place(&mut root, path).unwrap_or_else(|| panic!("{path}"));
        if !value.is_object() && !value.is_array() && !value.is_null() {
            values.push((path.clone(), unique.to_string()));
        }
        *node = value;
    }
    (root, values)
}

/// Reads a shape in all its forms; the keys that do not arrive.
fn lost_keys<T: DeserializeOwned + std::fmt::Debug>(shape: &str) -> BTreeSet<String> {
    let keys = keys(shape);
    let whole = document(&keys, |_, _| Some(0));
    let other = document(&keys, |types, _| Some(types.len() - 1));
    let least = document(&keys, |_, optional| (!optional).then_some(0));
    let mut lost = BTreeSet::new();
    for (body, values) in [whole, other, least] {
        let text = body.to_string();
        let read: T = serde_json::from_value(body).unwrap_or_else(|e| panic!("{shape}: {e}: {text}"));
        let read = format!("{read:?}");
        lost.extend(
            values
                .into_iter()
                .filter(|(_, v)| !read.contains(v))
                .map(|(path, _)| path),
        );
    }
    lost
}

#[test]
fn every_recorded_reply_is_read_whole() {
    let servers = [
        "reply GET /server/{uuid} 200",
        "reply POST /server 202",
        "reply POST /server/{uuid}/start 200",
        "reply POST /server/{uuid}/stop 200",
        "reply POST /server/{uuid}/restart 200",
        "reply PUT /server/{uuid} 202",
        "reply POST /server/{uuid}/relocate 200",
        "reply POST /server/{uuid}/cdrom/load 200",
        "reply POST /server/{uuid}/storage/attach 200",
    ];
    let mut lost = BTreeSet::new();
    for shape in servers {
        lost.extend(lost_keys::<wire::ServerDoc>(shape));
    }
    lost.extend(lost_keys::<wire::ServerList>("reply GET /server 200"));
    lost.extend(lost_keys::<wire::GroupList>("reply GET /server-group 200"));
    for shape in [
        "reply GET /server-group/{uuid} 200",
        "reply POST /server-group 200",
        "reply PATCH /server-group/{uuid} 200",
    ] {
        lost.extend(lost_keys::<wire::GroupDoc>(shape));
    }
    for shape in ["reply GET /storage 200", "reply GET /storage/{type} 200"] {
        lost.extend(lost_keys::<wire::StorageList>(shape));
    }
    lost.extend(lost_keys::<wire::StorageDoc>("reply GET /storage/{uuid} 200"));
    let unexpected: Vec<&String> = lost
        .iter()
        .filter(|path| {
            !IGNORED
                .iter()
                .any(|i| path.as_str() == *i || path.ends_with(&format!(".{i}")))
        })
        .collect();
    assert!(unexpected.is_empty(), "not read: {unexpected:?}");
}

#[test]
fn recorded_refusals_are_understood() {
    for (shape, code) in [
        ("reply GET /storage/{uuid} 404", "STORAGE_NOT_FOUND"),
        ("reply POST /server/invalid/start 400", "SERVER_INVALID"),
    ] {
        let found: Vec<String> = keys(shape).into_keys().collect();
        assert_eq!(found, ["error", "error.error_code", "error.error_message"]);
        assert!(errors::known(code, Asked::Change).is_some());
    }
}

/// The paths of a body and their types.
fn shape_of(value: &Value, at: &str, into: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    if !at.is_empty() {
        into.entry(at.to_owned()).or_default().insert(kind);
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let at = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                shape_of(inner, &at, into);
            }
        }
        Value::Array(list) => list.iter().for_each(|v| shape_of(v, &format!("{at}[]"), into)),
        _ => {}
    }
}

/// Keys that we send, the page lists among its attributes, and neither a recording nor an example of the page has.
const ON_THE_PAGE: &[&str] = &[
    "server.boot_order",
    "server.firewall",
    "server.host",
    "server.login_user.create_password",
    "server.networking.interfaces.interface[].bootable",
    "server.networking.interfaces.interface[].index",
    "server.networking.interfaces.interface[].source_ip_filtering",
    "server.nic_model",
    "server.remote_access_password",
    "server.remote_access_type",
    "server.server_group",
    "server.simple_backup",
    "server.start_type",
    "server.storage_devices.storage_device[].address",
    "server.storage_devices.storage_device[].boot_disk",
    "server.timezone",
    "server.hostname",
    "server.user_data",
    "server.video_model",
];

async fn body_of(call: CloudCall, method: &str) -> Value {
    let (user_data, console) = (SecretString::from("#!/bin/sh\n"), SecretString::from("aabbccdd"));
    let with = CallWith {
        user_data: Some(&user_data),
        admin_password: Some(&console),
        ..bare()
    };
    let fake = Fake::new(|seen, _| {
        let made = json!({"server_group": {"uuid": ID, "labels": {"label": []}}});
        seen.line.contains("server-group").then(|| ok(made))
    });
    provider(&fake).call(&call, with).await.unwrap();
    fake.last(method).body
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_has_the_recorded_keys_and_types() {
    use OperationKind as Kind;
    let group = || {
        Box::new(crate::planner::model::CreateGroup {
            name: "web".into(),
            policy: crate::api::server_group::PlacementPolicy::AntiAffinity,
            max_per_host: None,
            labels: BTreeMap::new(),
            marks: marks(),
        })
    };
    let wish = spec(
        json!({"cloudName": "a", "labels": {"a": "b"}, "upcloud": {"firewall": true, "metadata": true,
        "timezone": "UTC", "bootOrder": ["Disk"], "simpleBackup": "no", "nicModel": "E1000", "videoModel": "Vga",
        "remoteAccessEnabled": true, "remoteAccessType": "Vnc"}}),
    );
    let list = (CAPABILITIES.attributes)(&wish)
        .into_iter()
        .filter(|a| a.items.is_none())
        .map(|a| (a.name, a.value))
        .collect();
    let restart = Operate::Restart {
        mode: PowerOffMode::Soft,
        seconds: 5,
        hints: Vec::new(),
    };
    let hints = Operate::Attributes(vec![("avoid_host", "1".into()), ("host", "2".into())]);
    let modify = crate::planner::model::GroupChange::Modify {
        wanted: group(),
        gone: vec![],
    };
    let cases = [
        ("POST /server", creates::everything(), "POST"),
        ("POST /server/{uuid}/start", operate(Kind::Start, hints), "POST"),
        (
            "POST /server/{uuid}/stop",
            operate(Kind::Stop, Operate::Stop(StopKind::SoftThenHard, 5)),
            "POST",
        ),
        (
            "POST /server/{uuid}/restart",
            operate(Kind::Restart, restart),
            "POST",
        ),
        (
            "PUT /server/{uuid}",
            operate(Kind::Modify, Operate::Attributes(list)),
            "PUT",
        ),
        ("POST /server-group", CloudCall::CreateGroup(group()), "POST"),
        (
            "PATCH /server-group/{uuid}",
            CloudCall::ChangeGroup {
                id: ID.into(),
                change: modify,
            },
            "PATCH",
        ),
    ];
    let mut of_the_page = BTreeMap::new();
    for example in page::examples().iter().filter(|e| e.get("request").is_some()) {
        shape_of(&example["body"], "", &mut of_the_page);
    }
    for (name, call, method) in cases {
        let recorded = keys(&format!("request {name}"));
        let mut ours = BTreeMap::new();
        shape_of(&body_of(call, method).await, "", &mut ours);
        for (path, kinds) in &ours {
            let of_recording = recorded
                .get(path)
                .map(|s| s.split([' ', '|', '(']).next().unwrap());
            match (of_recording, of_the_page.get(path)) {
                (Some(kind), _) => assert!(kinds.iter().all(|k| *k == kind), "{name} {path}: {kinds:?}"),
                (None, Some(page)) => assert!(kinds.is_subset(page), "{name} {path}: {kinds:?}"),
                (None, None) => assert!(ON_THE_PAGE.contains(&path.as_str()), "{name} {path} is invented"),
            }
        }
        // Members join one by one.
        let left_out = |path: &str| path.starts_with("server_group.servers");
        let unsent: Vec<&String> = recorded
            .keys()
            .filter(|p| !ours.contains_key(*p) && !left_out(p))
            .collect();
        assert!(unsent.is_empty(), "{name}: {unsent:?}");
    }
}
