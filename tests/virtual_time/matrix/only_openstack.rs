//! What only OpenStack has: interfaces and volumes that come and go after creation.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::openstack::{FaultEffect, FaultRule, OpenStackSim, SimConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::clouds::openstack::{open, open_with};
use super::field::{Field, settled, unanswered};
use crate::scenarios::cluster::{condition, id_of, ready};

async fn field() -> (Field, Arc<OpenStackSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = open(&api);
    (Field::new(cloud, api).await, sim)
}

fn networks(all: &[&str]) -> Value {
    let entry = |(n, network): (usize, &&str)| match network.strip_prefix("port ") {
        Some(port) => json!({"name": format!("n{n}"), "port": port}),
        None => json!({"name": format!("n{n}"), "network": network}),
    };
    json!({"openstack": {"networks": all.iter().enumerate().map(entry).collect::<Vec<_>>()}})
}

fn volumes(all: &[&String]) -> Value {
    let entry = |(n, volume): (usize, &&String)| json!({"name": format!("v{n}"), "volume": volume});
    json!({"openstack": {"volumes": all.iter().enumerate().map(entry).collect::<Vec<_>>()}})
}

/// The networks of its interfaces, sorted.
fn on(sim: &OpenStackSim, id: &str) -> Vec<String> {
    let all = sim.server(id).unwrap().networks;
    let mut all: Vec<_> = all.into_iter().map(|(_, network)| network).collect();
    all.sort();
    all
}

fn asked(sim: &OpenStackSim, id: &str, what: &str) -> usize {
    sim.server(id)
        .unwrap()
        .asked
        .iter()
        .filter(|a| **a == what)
        .count()
}

#[tokio::test(start_paused = true)]
async fn interfaces_come_and_go_and_those_of_others_stay() {
    let (f, sim) = field().await;
    sim.add_network("b");
    let by_id = sim.add_network("c");
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    let first = sim.server(&id).unwrap().networks.remove(0);
    let port = sim.add_port("b").unwrap();
    let named = format!("port {port}");
    f.edit("web", networks(&["demo-net", "b", &by_id, &named])).await;
    let server = settled(&f).await;
    assert_eq!(on(&sim, &id), ["b", "b", "c", "demo-net"]);
    assert_eq!(server.status.as_ref().unwrap().addresses.len(), 4);
    // Others attach beside ours, also on the same network.
    let theirs = sim.oob_attach(&id, "b").unwrap();
    sleep(Duration::from_secs(60)).await;
    f.edit("web", networks(&["b"])).await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["b", "b"]);
    let left: Vec<String> = sim
        .server(&id)
        .unwrap()
        .networks
        .into_iter()
        .map(|(p, _)| p)
        .collect();
    assert!(left.contains(&theirs) && !left.contains(&first.0) && !left.contains(&port));
    f.edit("web", json!({"openstack": {"networks": null}})).await;
    settled(&f).await;
    assert_eq!(sim.server(&id).unwrap().networks, [(theirs, "b".to_owned())]);
    assert_eq!(asked(&sim, &id, "attach_interface"), 3);
    assert_eq!(asked(&sim, &id, "detach_interface"), 4);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_a_late_one_attaches_one_interface() {
    for effect in unanswered() {
        for killed in [false, true] {
            let (mut f, sim) = field().await;
            let by_id = sim.add_network("b");
            f.create("web", json!({})).await;
            let id = id_of(&f.ready_in("web", "Running").await).to_owned();
            let rule = FaultRule::new(effect.clone()).on("POST /servers/{id}/os-interface");
            sim.inject(rule.times(1));
            f.edit("web", networks(&["demo-net", &by_id])).await;
            if killed {
                sleep(Duration::from_secs(2)).await;
                f.kill().await;
                f.run();
            }
            settled(&f).await;
            sleep(Duration::from_secs(600)).await;
            assert_eq!(on(&sim, &id), ["b", "demo-net"], "{effect:?} {killed}");
            f.edit("web", networks(&["demo-net"])).await;
            settled(&f).await;
            assert_eq!(on(&sim, &id), ["demo-net"], "{effect:?} {killed}");
            f.judge().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_is_taken_back_while_nothing_is_known_leaves_no_interface() {
    let (f, sim) = field().await;
    sim.add_network("b");
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    let late = FaultEffect::LateApply {
        delay_ms: 30_000,
        wait_ms: 2_000,
    };
    sim.inject(
        FaultRule::new(late)
            .on("POST /servers/{id}/os-interface")
            .times(1),
    );
    f.edit("web", networks(&["demo-net", "b"])).await;
    sleep(Duration::from_secs(5)).await;
    f.edit("web", networks(&["demo-net"])).await;
    sleep(Duration::from_secs(600)).await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["demo-net"]);
    assert_eq!(asked(&sim, &id, "attach_interface"), 1);
    assert_eq!(asked(&sim, &id, "detach_interface"), 1);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn interfaces_wait_for_a_state_in_which_nova_changes_them() {
    let (f, sim) = field().await;
    sim.add_network("b");
    f.create("web", json!({"powerState": "Suspended"})).await;
    let id = id_of(&f.ready_in("web", "Suspended").await).to_owned();
    sim.reset_requests();
    f.edit("web", networks(&["demo-net", "b"])).await;
    f.reason("web", ConditionType::SettingsSynced, "False", "Unsupported")
        .await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(on(&sim, &id), ["demo-net"]);
    assert_eq!(f.cloud.counts().get("POST /servers/{id}/os-interface"), None);
    f.edit("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["b", "demo-net"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_detached_by_hand_is_shown_and_what_is_refused_is_said() {
    let (f, sim) = field().await;
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    f.edit("web", networks(&["demo-net", "nope"])).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert!(words.contains("nope"), "{words}");
    f.edit("web", networks(&["demo-net"])).await;
    settled(&f).await;
    let (port, _) = sim.server(&id).unwrap().networks.remove(0);
    sim.oob_detach(&port);
    f.reason("web", ConditionType::DriftDetected, "True", "SettingsDrift")
        .await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(asked(&sim, &id, "attach_interface"), 0);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn volumes_come_and_go_and_outlive_the_server() {
    let (mut f, sim) = field().await;
    let all: Vec<String> = (0..4).map(|_| sim.add_volume()).collect();
    f.create("web", volumes(&[&all[0]])).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    assert_eq!(sim.server(&id).unwrap().volumes, [all[0].clone()]);
    sim.oob_attach_volume(&id, &all[3]).unwrap();
    let lost = FaultRule::new(FaultEffect::LostReply);
    sim.inject(lost.on("POST /servers/{id}/os-volume_attachments").times(1));
    f.edit("web", volumes(&[&all[1], &all[2]])).await;
    sleep(Duration::from_secs(2)).await;
    f.kill().await;
    f.run();
    settled(&f).await;
    let mut wanted = all[1..].to_vec();
    wanted.sort();
    assert_eq!(sim.server(&id).unwrap().volumes, wanted);
    assert_eq!(
        (
            asked(&sim, &id, "attach_volume"),
            asked(&sim, &id, "detach_volume")
        ),
        (2, 1)
    );
    // One that does not exist is refused in the cloud's words, and nothing is lost.
    let nobody = "0b7f9a5e-6a3c-4a53-9d8b-0c9d35e1a9d1".to_owned();
    f.edit("web", volumes(&[&all[1], &all[2], &nobody])).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert!(words.contains(&nobody), "{words}");
    assert_eq!(sim.server(&id).unwrap().volumes, wanted);
    f.edit("web", json!({"openstack": {"volumes": null}})).await;
    settled(&f).await;
    assert_eq!(sim.server(&id).unwrap().volumes, [all[3].clone()]);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_waits_while_a_server_is_suspended_and_comes_to_one_that_is_shelved() {
    let (f, sim) = field().await;
    let all: Vec<String> = (0..2).map(|_| sim.add_volume()).collect();
    f.create("web", json!({"powerState": "Suspended"})).await;
    let id = id_of(&f.ready_in("web", "Suspended").await).to_owned();
    f.edit("web", volumes(&[&all[0]])).await;
    let said = f
        .reason("web", ConditionType::SettingsSynced, "False", "Unsupported")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert_eq!(words, "volumes cannot be changed while the server is Suspended");
    // Nobody is asked in vain, and nothing is refused for good.
    sleep(Duration::from_secs(900)).await;
    f.ready_in("web", "Suspended").await;
    assert_eq!(asked(&sim, &id, "attach_volume"), 0);
    f.edit("web", json!({"powerState": "Running"})).await;
    settled(&f).await;
    assert_eq!(sim.server(&id).unwrap().volumes, [all[0].clone()]);
    f.edit("web", json!({"powerState": "Shelved"})).await;
    f.ready_in("web", "Shelved").await;
    f.edit("web", volumes(&[&all[1]])).await;
    settled(&f).await;
    assert_eq!(sim.server(&id).unwrap().volumes, [all[1].clone()]);
    f.ready_in("web", "Shelved").await;
    f.judge().await;
}

fn floating(address: Option<&str>) -> Value {
    json!({"openstack": {"networks": [{"name": "n0", "network": "demo-net", "floatingIP": address}]}})
}

#[tokio::test(start_paused = true)]
async fn floating_addresses_come_and_go_and_are_taken_from_nobody() {
    let (mut f, sim) = field().await;
    for address in ["203.0.113.7", "203.0.113.8", "203.0.113.9"] {
        sim.add_floating(address);
    }
    f.create("web", floating(Some("203.0.113.7"))).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    settled(&f).await;
    let (port, _) = sim.server(&id).unwrap().networks.remove(0);
    assert_eq!(sim.floating_port("203.0.113.7"), Some(port.clone()));
    // Another one comes before the first one goes; the reply is lost and the process with it.
    let lost = FaultRule::new(FaultEffect::LostReply);
    sim.inject(lost.on("PUT /v2.0/floatingips/{id}").times(1));
    sim.oob_floating("203.0.113.9", &port);
    f.edit("web", floating(Some("203.0.113.8"))).await;
    sleep(Duration::from_secs(2)).await;
    f.kill().await;
    f.run();
    settled(&f).await;
    let led = |address: &str| sim.floating_port(address);
    assert_eq!(
        (led("203.0.113.7"), led("203.0.113.8")),
        (None, Some(port.clone()))
    );
    assert_eq!(led("203.0.113.9"), Some(port.clone()), "somebody else's stays");
    // One that another port has is not taken from it.
    sim.oob_floating("203.0.113.7", "somebody");
    f.edit("web", floating(Some("203.0.113.7"))).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert!(words.contains("in use by another port"), "{words}");
    assert_eq!(led("203.0.113.7").as_deref(), Some("somebody"));
    f.edit("web", floating(None)).await;
    settled(&f).await;
    assert_eq!((led("203.0.113.8"), led("203.0.113.9")), (None, Some(port)));
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_floating_addresses_is_said() {
    let (f, _sim) = field().await;
    f.create("web", floating(Some("203.0.113.7"))).await;
    let said = f
        .reason("web", ConditionType::SettingsSynced, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert!(words.contains("no floating addresses"), "{words}");
    f.judge().await;
}

/// The security groups of the ports, in the order of their coming.
fn groups(sim: &OpenStackSim, id: &str) -> Vec<String> {
    let all = sim.server(id).unwrap().port_groups;
    all.iter().map(|g| g.join("+")).collect()
}

fn with_groups(nets: &[&str], groups: &[&str]) -> Value {
    let mut spec = networks(nets);
    spec["openstack"]["securityGroups"] = json!(groups);
    spec
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_comes_later_is_in_the_groups_of_the_spec() {
    let lost = FaultEffect::LostReply;
    let busy = FaultEffect::Status {
        code: 503,
        body: None,
    };
    let (attach, put) = ("POST /servers/{id}/os-interface", "PUT /v2.0/ports/{id}");
    for (effect, at) in [
        (None, ""),
        (Some(lost.clone()), attach),
        (Some(lost), put),
        (Some(busy), put),
    ] {
        for killed in [false, true] {
            let (mut f, sim) = field().await;
            sim.add_network("b");
            let port = sim.add_port("b").unwrap();
            f.create("web", with_groups(&["demo-net"], &["web"])).await;
            let id = id_of(&f.ready_in("web", "Running").await).to_owned();
            assert_eq!(groups(&sim, &id), ["web"]);
            if let Some(effect) = &effect {
                sim.inject(FaultRule::new(effect.clone()).on(at).times(1));
            }
            f.edit("web", networks(&["demo-net", "b"])).await;
            if killed {
                sleep(Duration::from_secs(2)).await;
                f.kill().await;
                f.run();
            }
            settled(&f).await;
            sleep(Duration::from_secs(600)).await;
            assert_eq!(groups(&sim, &id), ["web", "web"], "{effect:?} at {at}, {killed}");
            // A port that is named keeps its own.
            f.edit("web", networks(&["demo-net", "b", &format!("port {port}")]))
                .await;
            settled(&f).await;
            assert_eq!(groups(&sim, &id), ["web", "web", "default"]);
            f.edit("web", networks(&["demo-net"])).await;
            settled(&f).await;
            assert_eq!(
                (on(&sim, &id), asked(&sim, &id, "attach_interface")),
                (vec!["demo-net".to_owned()], 2)
            );
            f.judge().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_neutron_refuses_for_an_interface_are_said() {
    let (f, sim) = field().await;
    sim.add_network("b");
    f.create("web", with_groups(&["demo-net"], &["web"])).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    let body = json!({"NeutronError": {"type": "PolicyNotAuthorized", "message": "rule:update_port is disallowed by policy", "detail": ""}});
    let refused = FaultEffect::Status {
        code: 403,
        body: Some(body),
    };
    sim.inject(FaultRule::new(refused).on("PUT /v2.0/ports/{id}").times(1));
    f.edit("web", networks(&["demo-net", "b"])).await;
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    let words = &condition(&said, ConditionType::SettingsSynced).unwrap().message;
    assert!(
        words.contains("the interface is attached, its security groups were refused"),
        "{words}"
    );
    assert_eq!(groups(&sim, &id), ["web", "default"]);
    // It is ours all the same.
    f.edit("web", networks(&["demo-net"])).await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["demo-net"]);
    // With the right for it nothing is left of that.
    f.edit("web", networks(&["demo-net", "b"])).await;
    settled(&f).await;
    assert_eq!(groups(&sim, &id), ["web", "web"]);
    f.judge().await;
}

/// A cloud whose Nova is of this microversion.
async fn field_of(microversion: u16) -> (Field, Arc<OpenStackSim>) {
    let api = ApiServer::new().unwrap();
    let config = SimConfig {
        microversion,
        ..SimConfig::default()
    };
    let (cloud, sim) = open_with(&api, config);
    (Field::new(cloud, api).await, sim)
}

#[tokio::test(start_paused = true)]
async fn a_host_name_is_changed_in_place_or_said_not_to_be() {
    let (f, sim) = field_of(104).await;
    f.create("web", json!({"hostname": "one"})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    f.edit("web", json!({"hostname": "two"})).await;
    settled(&f).await;
    assert_eq!(sim.server(&id).unwrap().hostname, "two");
    // Somebody else's is shown and left alone.
    sim.oob_hostname(&id, "theirs").unwrap();
    let drift = "hostname is \"theirs\", \"two\" is declared";
    f.wait("web", "the drift is shown", |x| {
        let drifts = condition(x, ConditionType::DriftDetected);
        ready(x) && drifts.is_some_and(|c| c.status == "True" && c.message.starts_with(drift))
    })
    .await;
    sleep(Duration::from_secs(600)).await;
    let server = sim.server(&id).unwrap();
    assert_eq!(
        (server.hostname.as_str(), server.asked),
        ("theirs", vec!["create"])
    );
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_name_that_nova_is_too_old_for_is_never_called_applied() {
    let too_old = "this Nova speaks microversion 2.89 at most; spec.hostname needs 2.90";
    let (f, sim) = field_of(89).await;
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    f.edit("web", json!({"hostname": "two"})).await;
    f.wait("web", "it is said", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        let stalled = condition(x, ConditionType::Stalled);
        let says = |c: &Condition| c.reason == "SettingsRefused" && c.message.contains(too_old);
        synced.is_some_and(|c| c.status == "False" && says(c)) && stalled.is_some_and(says)
    })
    .await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(
        sim.server(&id).unwrap().asked,
        ["create"],
        "neither rebuilt nor stopped"
    );
    f.edit("web", json!({"hostname": null})).await;
    settled(&f).await;
    // One that is to be made with it is not made without.
    f.create("other", json!({"hostname": "other"})).await;
    f.wait("other", "it is said", |x| {
        condition(x, ConditionType::Stalled)
            .is_some_and(|c| c.status == "True" && c.reason == "InvalidSpec" && c.message.contains(too_old))
    })
    .await;
    assert_eq!(sim.live_servers().len(), 1);
    // Of an imported one nobody can tell: that is said.
    let found = sim.oob_create("found").unwrap();
    let import = json!({"import": {"id": found}, "powerState": "Running", "deletionPolicy": "Orphan", "hostname": "mine"});
    f.create("adopted", import).await;
    f.wait("adopted", "it is said", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        synced.is_some_and(|c| c.message.ends_with("nobody can compare: hostname."))
    })
    .await;
    f.delete("other").await;
    f.judge().await;
}
