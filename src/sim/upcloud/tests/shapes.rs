//! Keys, JSON types and presence: what the real service was seen to send, and what its documentation shows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{CDROM, Client, NATIVE, NETWORK, create, wait};
use crate::sim::upcloud::Choices;

const RECORDED: &str = include_str!("../../../../tests/fixtures/upcloud-shapes.json");
const DOCUMENTED: &str = include_str!("../../../../tests/fixtures/upcloud-documented.json");
const SERVER: &str = "reply GET /server/{uuid} 200";

/// Where the documentation contradicts what was recorded, and the simulator follows the recording.
const CONTRADICTED: &[(&str, &str)] = &[
    ("plan_ivp4_bytes", "a slip for plan_ipv4_bytes"),
    ("plart_of_plan", "a slip for part_of_plan"),
    ("server.ip_addresses", "a bare list in the reply to a stop"),
    (
        "ip_addresses[]",
        "the reply to a stop shows a bare list; all recorded ones are wrapped",
    ),
    (
        "storage_size",
        "the replies to actions show a string; all recorded ones are numbers",
    ),
];
/// Keys that the simulator sends and that this kind of reply was not recorded or documented with.
const MORE: &[(&str, &str)] = &[
    (
        "server_group",
        "a uuid where the server is in a group, as documented; the recorded ones were in none",
    ),
    ("labels", "newer replies have them wherever storages are shown"),
    (
        "part_of_plan",
        "documented, and recorded for no server: those had no plan",
    ),
    (
        "remote_access_host",
        "documented for a server that has remote access",
    ),
    ("remote_access_port", "the same"),
    ("encrypted", "recorded with newer storages"),
    ("template_type", "only templates have it"),
    ("floating", "newer addresses"),
    (
        "dhcp_provided",
        "recorded with the interfaces of a server, and of one alone",
    ),
    ("tag", "recorded for servers without any"),
    ("origin", "only backups have it"),
];

/// Path to types, and to whether there is always one.
fn flatten(value: &Value, path: &str, out: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(s) if !s.is_empty() && s.parse::<f64>().is_ok() => "string(number)",
        Value::String(_) => "string",
        Value::Array(list) if list.is_empty() => "array(empty)",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        out.entry(path.into()).or_default().insert(kind);
    }
    match value {
        Value::Array(list) => list.iter().for_each(|v| flatten(v, &format!("{path}[]"), out)),
        Value::Object(map) => map.iter().for_each(|(k, v)| {
            let inner = if path.is_empty() {
                k.clone()
            } else {
                format!("{path}.{k}")
            };
            flatten(v, &inner, out);
        }),
        _ => {}
    }
}

fn fits(kind: &str, known: &str) -> bool {
    let known = known.split(" (").next().unwrap_or_default();
    known.split('|').any(|k| {
        k == kind
            || matches!(
                (kind, k),
                ("string(number)", "string") | ("array(empty)", "array") | ("array", "array(empty)")
            )
    })
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

fn excused(path: &str, table: &[(&str, &str)]) -> bool {
    table.iter().any(|(key, _)| {
        path == *key
            || last(path) == *key
            || path.contains(&format!(".{key}[]"))
            || path.contains(&format!(".{key}."))
    })
}

struct Shapes(Value);

impl Shapes {
    fn keys(&self, what: &str) -> BTreeMap<String, String> {
        serde_json::from_value(self.0[what]["keys"].clone()).unwrap_or_default()
    }
}

/// What is wrong with a reply.
fn faults(what: &str, replies: &[Value], recorded: &Shapes, documented: &Shapes) -> Vec<String> {
    let (seen, shown) = (recorded.keys(what), documented.keys(what));
    assert!(
        !seen.is_empty() || !shown.is_empty(),
        "nothing is known of {what}"
    );
    let servers = recorded.keys(SERVER);
    let mut faults = Vec::new();
    let mut ours: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for reply in replies {
        let mut one = BTreeMap::new();
        flatten(reply, "", &mut one);
        // What was always there is always there, as long as that which it is part of is.
        for (path, kind) in &seen {
            let parent = path.rsplit_once('.').map_or("", |(p, _)| p);
            let owed = parent.is_empty() || one.contains_key(parent);
            if owed
                && !kind.ends_with(')') | kind.ends_with("(number)") | kind.ends_with("(empty)")
                && !path.ends_with("[]")
                && !one.contains_key(path)
            {
                faults.push(format!("{what}: {path} is missing"));
            }
        }
        for (path, kinds) in one {
            ours.entry(path).or_default().extend(kinds);
        }
    }
    for (path, kinds) in &ours {
        let known: Vec<&String> = [seen.get(path), shown.get(path), servers.get(path)]
            .into_iter()
            .flatten()
            .collect();
        for kind in kinds {
            if !known.iter().any(|known| fits(kind, known)) && !excused(path, MORE) {
                faults.push(format!("{what}: {path} is {kind}, known is {known:?}"));
            }
        }
    }
    for (path, kind) in &shown {
        let fine = ours.get(path).is_some_and(|kinds| {
            kinds
                .iter()
                .any(|k| fits(k, kind) || (*k == "string(number)" && kind.contains("string")))
        });
        let absent_parent = path
            .rsplit_once('.')
            .is_some_and(|(parent, _)| !ours.contains_key(parent));
        if !fine && !absent_parent && !excused(path, CONTRADICTED) {
            faults.push(format!(
                "{what}: documented as {kind} and not so: {path} ({:?})",
                ours.get(path)
            ));
        }
    }
    faults
}

/// A creation with everything in it that the documentation shows.
fn everything() -> Value {
    let ip = |family: &str| json!({"ip_address": [{"family": family}]});
    let label = json!([{"key": "foo", "value": "bar"}]);
    let mut body = create("web");
    let server = &mut body["server"];
    server["remote_access_enabled"] = json!("yes");
    server["simple_backup"] = json!("0430,monthlies");
    server["avoid_host"] = json!(7_653_311_107_u64);
    server["core_number"] = json!("1");
    server["memory_amount"] = json!("2048");
    server["login_user"] = json!({"username": "ops", "ssh_keys": {"ssh_key": ["ssh-ed25519 AAAA a"]}});
    server["storage_devices"]["storage_device"] = json!([
        {"action": "clone", "labels": label, "storage": NATIVE, "title": "os", "size": 50, "tier": "maxiops"},
        {"action": "attach", "storage": CDROM, "type": "cdrom"}]);
    server["networking"]["interfaces"]["interface"] = json!([
        {"type": "public", "ip_addresses": ip("IPv4")}, {"type": "utility", "ip_addresses": ip("IPv4")},
        {"type": "public", "ip_addresses": ip("IPv6")},
        {"type": "private", "network": NETWORK, "ip_addresses": {"ip_address": [
            {"family": "IPv4", "address": "10.0.0.50", "dhcp_provided": "yes"}, {"family": "IPv4", "address": "10.0.0.60"}]}}]);
    body
}

#[tokio::test(start_paused = true)]
async fn replies_have_the_keys_and_types_of_the_real_service() {
    let client = Client::new();
    let none = Value::Null;
    let mut replies: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let mut keep = |what, reply: Value| replies.entry(what).or_default().push(reply);

    for what in ["/server_size", "/plan", "/zone"] {
        let reply = client.ok(&format!("GET {what}"), &none).await;
        let name: &'static str = match what {
            "/plan" => "reply GET /plan 200",
            "/zone" => "reply GET /zone 200",
            _ => "reply GET /server_size 200",
        };
        keep(name, reply);
    }
    // With a password, then with keys and everything else.
    let with_password = client.ok("POST /server", &create("plain")).await;
    keep("reply POST /server 202", with_password);
    wait(40).await;
    let made = client.ok("POST /server", &everything()).await;
    assert!(made["server"]["password"].is_null());
    let id = made["server"]["uuid"].as_str().unwrap().to_owned();
    let path = format!("/server/{id}");
    client.0.oob_tag(&id, "DEV").unwrap();
    keep(SERVER, client.ok(&format!("GET {path}"), &none).await);
    wait(40).await;
    let group = json!({"server_group": {"title": "g", "anti_affinity": "strict", "servers": {"server": [id]},
                       "labels": {"label": [{"key": "foo", "value": "bar"}]}}});
    let group = client.ok("POST /server-group", &group).await;
    let group_path = format!(
        "/server-group/{}",
        group["server_group"]["uuid"].as_str().unwrap()
    );
    keep("reply POST /server-group 200", group);
    keep(
        "reply GET /server-group 200",
        client.ok("GET /server-group", &none).await,
    );
    keep(
        "reply GET /server-group/{uuid} 200",
        client.ok(&format!("GET {group_path}"), &none).await,
    );
    keep(
        "reply GET /server-group/{uuid}/servers 200",
        client.ok(&format!("GET {group_path}/servers"), &none).await,
    );
    let patch = json!({"server_group": {"anti_affinity": "yes"}});
    keep(
        "reply PATCH /server-group/{uuid} 200",
        client.ok(&format!("PATCH {group_path}"), &patch).await,
    );

    keep(SERVER, client.ok(&format!("GET {path}"), &none).await);
    keep("reply GET /server 200", client.ok("GET /server", &none).await);
    keep(
        "reply PUT /server/{uuid} 202",
        client
            .ok(&format!("PUT {path}"), &json!({"server": {"title": "x"}}))
            .await,
    );
    let restart = json!({"restart_server": {"stop_type": "hard"}});
    keep(
        "reply POST /server/{uuid}/restart 200",
        client.ok(&format!("POST {path}/restart"), &restart).await,
    );
    wait(30).await;
    keep(
        "reply POST /server/{uuid}/stop 200",
        client.ok(&format!("POST {path}/stop"), &none).await,
    );
    wait(20).await;
    keep(SERVER, client.ok(&format!("GET {path}"), &none).await);
    keep(
        "reply POST /server/{uuid}/start 200",
        client.ok(&format!("POST {path}/start"), &none).await,
    );
    keep(
        "reply GET /ip_address 200",
        client.ok("GET /ip_address", &none).await,
    );
    let disk = json!({"storage": {"zone": "fi-hel1", "title": "d", "size": 10, "labels": [{"key": "a", "value": "b"}]}});
    let disk = client.ok("POST /storage", &disk).await;
    let disk_path = format!("/storage/{}", disk["storage"]["uuid"].as_str().unwrap());
    keep("reply POST /storage 201", disk);
    keep(
        "reply GET /storage/{uuid} 200",
        client.ok(&format!("GET {disk_path}"), &none).await,
    );
    keep(
        "reply GET /storage 200",
        client.ok("GET /storage/private", &none).await,
    );
    let renamed = client
        .ok(&format!("PUT {disk_path}"), &json!({"storage": {"title": "e"}}))
        .await;
    keep("reply PUT /storage/{uuid} 202", renamed);
    keep(
        "reply POST /storage/{uuid}/backup 201",
        client
            .ok(
                &format!("POST {disk_path}/backup"),
                &json!({"storage": {"title": "b"}}),
            )
            .await,
    );
    client.0.set_choices(Choices {
        hot_interfaces: true,
        ..Choices::default()
    });
    let nic = json!({"interface": {"type": "private", "network": NETWORK, "ip_addresses": {"ip_address": [{"family": "IPv4"}]}}});
    keep(
        "reply POST /server/{uuid}/networking/interface 201",
        client
            .ok(&format!("POST {path}/networking/interface"), &nic)
            .await,
    );
    keep(
        "reply GET /server/{uuid}/networking 200",
        client.ok(&format!("GET {path}/networking"), &none).await,
    );
    keep(
        "reply POST /server/invalid/start 400",
        client
            .ask("POST /server/invalid/start", &json!({"server": {}}))
            .await
            .1,
    );
    keep(
        "reply GET /storage/{uuid} 404",
        client
            .ask("GET /storage/01999999-0000-4000-8000-000000000000", &none)
            .await
            .1,
    );

    let recorded = Shapes(serde_json::from_str(RECORDED).unwrap());
    let documented = Shapes(serde_json::from_str(DOCUMENTED).unwrap());
    let wrong: Vec<String> = replies
        .iter()
        .flat_map(|(what, all)| faults(what, all, &recorded, &documented))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Every documented reply was looked at.
    for (what, _) in documented
        .0
        .as_object()
        .unwrap()
        .iter()
        .filter(|(k, _)| k.starts_with("reply "))
    {
        assert!(replies.contains_key(what.as_str()), "{what} was not compared");
    }
}

#[test]
fn a_wrong_reply_is_seen() {
    let recorded = Shapes(serde_json::from_str(RECORDED).unwrap());
    let documented = Shapes(serde_json::from_str(DOCUMENTED).unwrap());
    let reply = json!({"zones": {"zone": [{"id": 1, "description": "x", "colour": "red"}]}});
    let wrong = faults("reply GET /zone 200", &[reply], &recorded, &documented);
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

/// Whoever sends what the documentation shows is understood.
#[test]
fn the_creation_of_these_tests_has_every_documented_key() {
    let documented = Shapes(serde_json::from_str(DOCUMENTED).unwrap());
    let mut ours = BTreeMap::new();
    flatten(&everything(), "", &mut ours);
    let missing: Vec<String> = documented
        .keys("request POST /server")
        .into_keys()
        .filter(|key| !ours.contains_key(key))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
