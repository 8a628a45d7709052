//! The examples of the vendor's page: every reply is read, every request is made.

use super::*;
use crate::api::server::Size;
use crate::api::server_group::PlacementPolicy;
use crate::planner::model::{CreateGroup, GroupChange};

const EXAMPLES: &str = include_str!("../../../../tests/fixtures/upcloud/page-examples.json");
const GROUP: &str = "0b3d85b4-b3be-46ca-a1e2-3b5d30d60ab0";
const MEMBER: &str = "00235adf-add4-66f1-ef34-e331516bb6a1";
const TEMPLATE: &str = "Creating from a template";
const CLONE: &str = "Cloning another server";
const SCRATCH: &str = "Installing a server from scratch";

pub(super) fn examples() -> Vec<Value> {
    serde_json::from_str(EXAMPLES).unwrap()
}

/// The body of the reply that a section of the page shows.
pub(super) fn reply(section: &str) -> Value {
    let found = examples()
        .into_iter()
        .find(|e| e["section"] == section && e.get("reply").is_some() && e.get("body").is_some());
    found.unwrap_or_else(|| panic!("{section} shows no reply"))["body"].clone()
}

#[test]
fn every_reply_is_read() {
    let all = examples().into_iter().filter(|e| e.get("reply").is_some());
    let (mut read, mut unasked) = (0, Vec::new());
    for example in all {
        let Some(body) = example.get("body").cloned() else {
            continue;
        };
        let section = example["section"].as_str().unwrap();
        let fine = match section {
            "List servers" => {
                serde_json::from_value::<wire::ServerList>(body).map(|l| l.servers.0.len() == 2)
            }
            "List all server groups" => {
                serde_json::from_value::<wire::GroupList>(body).map(|l| l.server_groups.0.len() == 2)
            }
            "Show server group details" => {
                serde_json::from_value::<wire::GroupDoc>(body).map(|g| g.server_group.servers.0.len() == 2)
            }
            // The catalog of free sizes and the bare list of members are not asked for.
            "List server configurations" | "List servers in a group" => {
                unasked.push(section.to_owned());
                continue;
            }
            _ => serde_json::from_value::<wire::ServerDoc>(body).map(|d| {
                let server = observed(d.server);
                // The stop's reply has its addresses bare.
                server.detailed && !server.parts.is_empty() && server.addresses.len() == 3
            }),
        };
        assert!(fine.unwrap(), "{section}");
        read += 1;
    }
    assert_eq!((read, unasked.len()), (9, 2));
}

/// Whether a body says all that an example says. Numbers are the same as text, labels may be more.
fn says(ours: &Value, example: &Value, at: &str) {
    match (ours, example) {
        (Value::Object(ours), Value::Object(example)) => {
            for (key, value) in example {
                let at = format!("{at}.{key}");
                says(
                    ours.get(key).unwrap_or_else(|| panic!("{at} is not sent")),
                    value,
                    &at,
                );
            }
        }
        (Value::Array(ours), Value::Array(example)) if example.iter().all(|l| l.get("key").is_some()) => {
            assert!(example.iter().all(|l| ours.contains(l)), "{at}: {ours:?}");
        }
        (Value::Array(ours), Value::Array(example)) => {
            assert_eq!(ours.len(), example.len(), "{at}");
            for (n, (ours, example)) in ours.iter().zip(example).enumerate() {
                says(ours, example, &format!("{at}[{n}]"));
            }
        }
        _ => {
            let text = |v: &Value| v.as_str().map_or(v.to_string(), str::to_owned);
            assert_eq!(text(ours), text(example), "{at}");
        }
    }
}

fn interfaces(dhcp: bool) -> Value {
    let mut second = json!([{"name": "1", "family": "IPv4", "address": "10.0.0.50"}]);
    if dhcp {
        second = json!([{"name": "1", "family": "IPv4", "address": "10.0.0.50", "dhcpProvided": true},
            {"name": "2", "address": "10.0.0.60"}]);
    }
    json!([{"name": "a", "type": "Public"}, {"name": "b", "type": "Utility"},
        {"name": "c", "type": "Public", "addresses": [{"name": "1", "family": "IPv6"}]},
        {"name": "d", "type": "Private", "network": "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9", "addresses": second}])
}

fn made(name: &str, value: Value) -> CloudCall {
    let CloudCall::Create(request) = create(value) else {
        unreachable!()
    };
    CloudCall::Create(Box::new(CreateRequest {
        name: name.into(),
        ..*request
    }))
}

fn creation(section: &str) -> CloudCall {
    let custom = json!({"cores": 4, "memoryMiB": 8192});
    match section {
        TEMPLATE => {
            let example = examples()
                .into_iter()
                .find(|e| e["section"] == TEMPLATE && e.get("body").is_some())
                .unwrap();
            made(
                "My Debian server",
                json!({"hostname": "debian", "labels": {"test": ""}, "image": {"id": DEBIAN},
                    "sshKeys": example["body"]["server"]["login_user"]["ssh_keys"]["ssh_key"],
                    "upcloud": {"domain": "example.com", "interfaces": interfaces(true), "loginUser": {"username": "upclouduser"},
                        "disks": [{"name": "root", "action": "Clone", "size": 50, "tier": "MaxIops",
                            "title": "Debian from a template", "labels": {"foo": "bar"}}]}}),
            )
        }
        CLONE => made(
            "Another Debian server",
            json!({"hostname": "debian2", "size": custom, "image": null, "sshKeys": null,
                "upcloud": {"domain": "example.com", "interfaces": interfaces(false), "disks": [{"name": "root",
                    "action": "Clone", "storage": "0169b4f8-051c-4a86-9484-f5b798249949",
                    "title": "Storage for another Debian server"}]}}),
        ),
        _ => made(
            "My Debian server",
            json!({"hostname": "debian", "size": custom, "image": null, "sshKeys": null,
                "upcloud": {"domain": "example.com", "interfaces": interfaces(false), "avoidHost": 7653311107_i64,
                    "simpleBackup": "0430,monthlies", "cdrom": {"storage": "01000000-0000-4000-8000-000020010301"},
                    "disks": [{"name": "root", "action": "Create", "size": 20, "tier": "MaxIops", "title": "Debian from scratch"}]}}),
        ),
    }
}

/// The call that makes a request of the page; nothing for those that are not asked for.
fn call_for(section: &str) -> Option<CloudCall> {
    use OperationKind as Kind;
    let group = |title: &str, policy, labels: &[(&str, &str)]| CreateGroup {
        name: title.into(),
        policy,
        max_per_host: None,
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        marks: marks(),
    };
    let change = |change| CloudCall::ChangeGroup {
        id: GROUP.into(),
        change,
    };
    let custom = Size {
        name: None,
        cores: Some(8),
        memory_mib: Some(16384),
    };
    let restart = Operate::Restart {
        mode: PowerOffMode::SoftThenHard,
        seconds: 60,
        hints: Vec::new(),
    };
    Some(match section {
        TEMPLATE | CLONE | SCRATCH => creation(section),
        "Start server" => operate(
            Kind::Start,
            Operate::Attributes(vec![("host", "8055964291".into())]),
        ),
        "Stop server" => operate(Kind::Stop, Operate::Stop(StopKind::SoftThenHard, 60)),
        "Restart server" => operate(Kind::Restart, restart),
        "Modify server" => operate(Kind::Resize, Operate::Size(custom)),
        "Cancel server operation" => operate(Kind::Cancel, Operate::Plain),
        "Delete server" => operate(Kind::Delete, Operate::Plain),
        "Create a new server group" => CloudCall::CreateGroup(Box::new(group(
            "My brand new server group",
            PlacementPolicy::SoftAntiAffinity,
            &[("foo", "bar")],
        ))),
        "Modify server group" => change(GroupChange::Modify {
            gone: vec![],
            wanted: Box::new(group("New fancy title for the group", PlacementPolicy::None, &[])),
        }),
        "Delete server group" => change(GroupChange::Delete),
        "Add a new server to a server group" => change(GroupChange::Add {
            server: MEMBER.into(),
        }),
        "Remove server from a server group" => change(GroupChange::Remove {
            server: MEMBER.into(),
        }),
        _ => return None,
    })
}

#[tokio::test(start_paused = true)]
async fn every_request_is_made() {
    let (mut produced, mut reads) = (0, Vec::new());
    for example in examples() {
        let Some(line) = example.get("request").and_then(Value::as_str) else {
            continue;
        };
        let section = example["section"].as_str().unwrap();
        if line.starts_with("GET") {
            reads.push(line.to_owned());
            continue;
        }
        let call = call_for(section).unwrap_or_else(|| panic!("{section}"));
        let fake = Fake::new(|seen, _| {
            let made = json!({"server_group": {"uuid": GROUP, "labels": {"label": []}}});
            seen.line.contains("server-group").then(|| ok(made))
        });
        provider(&fake).call(&call, bare()).await.unwrap();
        let line = line
            .replace("{uuid}", ID)
            .replace("{storages}", "0")
            .replace("{backups}", "keep");
        let seen = fake.last(line.split(' ').next().unwrap());
        assert_eq!(seen.line, line, "{section}");
        let mut body = example.get("body").cloned().unwrap_or(Value::Null);
        // Members join one by one, so that nobody else's is put in or out.
        if let Some(group) = body.get_mut("server_group") {
            group.as_object_mut().unwrap().remove("servers");
        }
        says(&seen.body, &body, section);
        produced += 1;
    }
    assert_eq!(produced, 14);
    let asked = |line: &str| reads.iter().any(|r| r == line);
    assert!(asked("GET /1.3/server") && asked("GET /1.3/server/{uuid}") && asked("GET /1.3/server-group"));
}
