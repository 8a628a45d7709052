//! What is changed in place on an existing server: its labels, tags, names and security groups. What others added stays.

use evenkeel::api::{ConditionType, Server};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::stage::{Stage, condition, id_of, ready, words};

const NETWORKS: &str = "demo-net";

fn is_synced(server: &Server) -> bool {
    let settled = server.status.as_ref().is_some_and(|s| s.operation.is_none());
    let synced = condition(server, ConditionType::SettingsSynced);
    settled && ready(server) && synced.is_none_or(|c| c.status == "True")
}

/// Waits until the wish is carried out, and gives the server as Nova shows it.
async fn synced(s: &Stage, name: &str) -> Value {
    let server = s.wait(name, "settings as declared", is_synced).await;
    s.only(&server).await
}

/// The keys of its metadata that are not our marks.
fn labels(server: &Value) -> Vec<(String, String)> {
    let all = server["metadata"].as_object().unwrap().iter();
    let theirs = all.filter(|(key, _)| !key.starts_with("evenkeel"));
    theirs
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn tags(server: &Value) -> Vec<&str> {
    let all = server["tags"].as_array().unwrap().iter();
    let all = all.map(|t| t.as_str().unwrap());
    let mut theirs: Vec<_> = all.filter(|t| !t.starts_with("evenkeel")).collect();
    theirs.sort_unstable();
    theirs
}

fn groups(server: &Value) -> Vec<&str> {
    let all = server["security_groups"].as_array().unwrap().iter();
    let mut all: Vec<_> = all.map(|g| g["name"].as_str().unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub async fn settings_are_changed_in_place(s: &Stage) {
    let name = s.name("web");
    let first = json!({"labels": {"team": "blue", "tier": "1"}, "openstack": {"tags": ["red", "round"]}});
    s.create(&name, first).await;
    let id = id_of(&s.ready_in(&name, "Running").await).to_owned();
    s.nova.write_beside(&id, &json!({"theirs": "1"}), "by-hand").await;
    s.edit(
        &name,
        json!({"labels": {"team": "red", "tier": null, "a b:c": "x"}, "cloudName": format!("{name} two"),
            "hostname": "renamed", "openstack": {"tags": ["round", "a b"]}}),
    )
    .await;
    let real = synced(s, &name).await;
    assert_eq!(real["id"], id.as_str());
    assert_eq!(
        labels(&real),
        pairs(&[("a b:c", "x"), ("team", "red"), ("theirs", "1")])
    );
    assert_eq!(tags(&real), ["a b", "by-hand", "round"]);
    assert_eq!(real["name"], format!("{name} two"));
    assert_eq!(real["OS-EXT-SRV-ATTR:hostname"], "renamed");
    assert_eq!(real["status"], "ACTIVE");
    // A key that Nova does not take is refused in its words, and nothing is lost.
    s.edit(&name, json!({"labels": {"a/b": "x"}})).await;
    let said = s
        .reason(&name, ConditionType::Ready, "False", "SettingsRefused")
        .await;
    assert!(words(&said, ConditionType::SettingsSynced).contains("a/b"));
    assert_eq!(labels(&s.only(&said).await), labels(&real));
    // What is taken out of the wish altogether goes, and nothing else.
    s.edit(&name, json!({"labels": null, "openstack": {"tags": null}}))
        .await;
    let real = synced(s, &name).await;
    assert_eq!(
        (labels(&real), tags(&real)),
        (pairs(&[("theirs", "1")]), vec!["by-hand"])
    );
    s.remove(&name).await;
}

pub async fn security_groups_come_and_go_one_by_one(s: &Stage) {
    let name = s.name("web");
    let own: Vec<String> = ["a", "b", "theirs"].iter().map(|g| s.name(g)).collect();
    let mut ids = Vec::new();
    for group in &own {
        ids.push(s.nova.security_group(group).await);
    }
    let networks = json!([{"name": "primary", "network": NETWORKS}]);
    s.create(
        &name,
        json!({"openstack": {"networks": networks, "securityGroups": ["default", own[0]]}}),
    )
    .await;
    let id = id_of(&s.ready_in(&name, "Running").await).to_owned();
    s.nova
        .act(&id, &json!({"addSecurityGroup": {"name": own[2]}}))
        .await;
    s.edit(&name, json!({"openstack": {"securityGroups": [own[1]]}}))
        .await;
    let real = synced(s, &name).await;
    assert_eq!(groups(&real), [own[1].as_str(), own[2].as_str()]);
    // One that does not exist is refused in the cloud's words, and nothing is lost.
    s.edit(
        &name,
        json!({"openstack": {"securityGroups": [own[1], "zz-nope"]}}),
    )
    .await;
    let said = s
        .reason(&name, ConditionType::Ready, "False", "SettingsRefused")
        .await;
    assert!(words(&said, ConditionType::SettingsSynced).contains("zz-nope"));
    assert_eq!(groups(&s.only(&said).await), [own[1].as_str(), own[2].as_str()]);
    // By its id.
    s.edit(&name, json!({"openstack": {"securityGroups": [own[1], ids[0]]}}))
        .await;
    let real = synced(s, &name).await;
    assert_eq!(groups(&real), own.iter().map(String::as_str).collect::<Vec<_>>());
    s.edit(&name, json!({"openstack": {"securityGroups": null}}))
        .await;
    let real = synced(s, &name).await;
    assert_eq!(groups(&real), [own[2].as_str()]);
    s.remove(&name).await;
    for id in ids {
        let (status, reply) = s
            .nova
            .network("DELETE", &format!("/security-groups/{id}"), &Value::Null)
            .await;
        assert_eq!(status, 204, "{reply}");
    }
}

fn networks(all: &[(&str, &str)]) -> Value {
    let all = all
        .iter()
        .map(|(name, network)| json!({"name": name, "network": network}));
    json!({"openstack": {"networks": all.collect::<Vec<_>>()}})
}

pub async fn interfaces_come_and_go(s: &Stage) {
    let name = s.name("web");
    let (by_name, by_id) = (s.name("second"), s.name("third"));
    let second = s.nova.new_network(&by_name).await;
    let third = s.nova.new_network(&by_id).await;
    s.create(&name, networks(&[("primary", NETWORKS)])).await;
    let id = id_of(&s.ready_in(&name, "Running").await).to_owned();
    let first = s.nova.interfaces(&id).await;
    assert_eq!(first.len(), 1);
    let of = async |network: &str| {
        let all = s.nova.interfaces(&id).await;
        all.iter().filter(|(_, net)| net == network).count()
    };
    // One by its name and one by its id; the first one stays what it is.
    s.edit(
        &name,
        networks(&[("primary", NETWORKS), ("b", &by_name), ("c", &third)]),
    )
    .await;
    synced(s, &name).await;
    assert_eq!((of(&second).await, of(&third).await), (1, 1));
    assert!(s.nova.interfaces(&id).await.contains(&first[0]));
    // Somebody attaches another one on the same network: it is not ours.
    let theirs = s.nova.attach(&id, &second).await;
    s.edit(&name, networks(&[("primary", NETWORKS)])).await;
    synced(s, &name).await;
    let mut left = s.nova.interfaces(&id).await;
    left.sort();
    let mut wanted = vec![first[0].clone(), (theirs.clone(), second.clone())];
    wanted.sort();
    assert_eq!(left, wanted);
    // While it is stopped; the one that it was made with goes.
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    s.ready_in(&name, "Stopped").await;
    s.edit(&name, networks(&[("c", &by_id)])).await;
    synced(s, &name).await;
    assert_eq!((of(&third).await, of(&second).await), (1, 1));
    assert_eq!(s.nova.interfaces(&id).await.len(), 2);
    // What does not exist is refused in words, and nothing is lost.
    s.edit(&name, networks(&[("c", &by_id), ("d", "zz-nope")])).await;
    let said = s
        .reason(&name, ConditionType::Ready, "False", "SettingsRefused")
        .await;
    assert!(words(&said, ConditionType::SettingsSynced).contains("zz-nope"));
    assert_eq!(s.nova.interfaces(&id).await.len(), 2);
    let actions = s.nova.actions(&id).await;
    let count = |word: &str| actions.iter().filter(|a| *a == word).count();
    assert_eq!(
        (count("attach_interface"), count("detach_interface")),
        (4, 3),
        "{actions:?}"
    );
    s.remove(&name).await;
    for network in [second, third] {
        let (status, reply) = s
            .nova
            .network("DELETE", &format!("/networks/{network}"), &Value::Null)
            .await;
        assert_eq!(status, 204, "{reply}");
    }
}

/// The real stage has no Cinder, the other one no such volume.
pub async fn a_volume_that_is_not_to_be_had_is_said(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let before = s.only(&s.ready_in(&name, "Running").await).await;
    let volume = "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1";
    s.edit(
        &name,
        json!({"openstack": {"volumes": [{"name": "data", "volume": volume}]}}),
    )
    .await;
    let said = s
        .reason(&name, ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let text = words(&said, ConditionType::SettingsSynced);
    assert!(
        text.contains(volume) || text.contains("EndpointNotFound"),
        "{text}"
    );
    assert_eq!(s.only(&said).await["status"], before["status"]);
    s.edit(&name, json!({"openstack": {"volumes": null}})).await;
    synced(s, &name).await;
    s.remove(&name).await;
}

pub async fn what_counts_only_at_first_is_shown(s: &Stage) {
    let name = s.name("web");
    for secret in ["one", "two"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": secret, "labels": {"evenkeel.dev/allow": "user-data"}},
            "stringData": {"script": "#!/bin/sh"}});
        s.make::<Secret>(&secret).await;
    }
    let user_data = |secret: &str| json!({"userDataSecretRef": {"name": secret, "key": "script"}});
    let mut first = user_data("one");
    first["openstack"] = json!({});
    s.create(&name, first).await;
    let before = s.only(&s.ready_in(&name, "Running").await).await;
    let mut edit = user_data("two");
    edit["openstack"] = json!({"keyName": "another"});
    s.edit(&name, edit).await;
    let said = s
        .reason(&name, ConditionType::SettingsSynced, "False", "NotApplied")
        .await;
    let text = words(&said, ConditionType::SettingsSynced);
    assert!(text.contains("two/script") && text.contains("another"), "{text}");
    assert!(ready(&said));
    let real = s.only(&said).await;
    assert_eq!(
        (&real["id"], &real["updated"]),
        (&before["id"], &before["updated"])
    );
    s.remove(&name).await;
}
