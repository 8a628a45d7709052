//! What comes and goes at a server of UpCloud after its creation: disks, interfaces, floating addresses.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use evenkeel::sim::upcloud::{Choices, UpCloudSim};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::clouds::upcloud::open;
use super::field::{Field, settled, unanswered};
use crate::scenarios::cluster::{condition, id_of};

const NET: &str = "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9";

async fn field() -> (Field, Arc<UpCloudSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = open(&api);
    (Field::new(cloud, api).await, sim)
}

fn disks(all: &[&String]) -> Value {
    let entry = |(n, storage): (usize, &&String)| json!({"name": format!("d{n}"), "action": "Attach", "storage": storage});
    json!({"upcloud": {"disks": all.iter().enumerate().map(entry).collect::<Vec<_>>()}})
}

/// Entries by name: `pub`, `util`, or `net` and an address or nothing.
fn interfaces(all: &[&str]) -> Value {
    let entry = |text: &&str| {
        let (name, address) = text.split_once(' ').unwrap_or((*text, ""));
        match (name, address) {
            ("pub", _) => json!({"name": "pub", "type": "Public"}),
            ("util", _) => json!({"name": "util", "type": "Utility"}),
            (name, "") => json!({"name": name, "type": "Private", "network": NET}),
            (name, fixed) => json!({"name": format!("{name}-{}", fixed.replace('.', "-")), "type": "Private",
                "network": NET, "addresses": [{"name": "a", "address": fixed}]}),
        }
    };
    json!({"upcloud": {"interfaces": all.iter().map(entry).collect::<Vec<_>>()}})
}

/// The storages at the server beside the one that it was made with.
fn storages(sim: &UpCloudSim, id: &str, root: &str) -> Vec<String> {
    let mut all: Vec<String> = sim.server(id).unwrap().storages.into_values().collect();
    all.retain(|s| s != root);
    all.sort();
    all
}

fn root(sim: &UpCloudSim, id: &str) -> String {
    sim.server(id).unwrap().storages.into_values().next().unwrap()
}

/// How many interfaces of each kind it has.
fn on(sim: &UpCloudSim, id: &str) -> Vec<String> {
    let all = sim.server(id).unwrap().interfaces;
    let mut all: Vec<String> = all
        .iter()
        .map(|i| i.split(' ').nth(1).unwrap().to_owned())
        .collect();
    all.sort();
    all
}

fn asked(f: &Field, method_and_end: &str) -> usize {
    let (method, end) = method_and_end.split_once(' ').unwrap();
    let counts = f.cloud.counts();
    let fits = |key: &str| key.starts_with(method) && key.ends_with(end);
    counts.iter().filter(|(key, _)| fits(key)).map(|(_, n)| n).sum()
}

async fn refused(f: &Field) -> String {
    let said = f
        .reason("web", ConditionType::Ready, "False", "SettingsRefused")
        .await;
    condition(&said, ConditionType::SettingsSynced)
        .unwrap()
        .message
        .clone()
}

#[tokio::test(start_paused = true)]
async fn disks_come_and_go_while_the_server_runs_and_outlive_it() {
    let (mut f, sim) = field().await;
    let mut all: Vec<String> = (0..5).map(|_| sim.add_storage("fi-hel1")).collect();
    all.sort();
    f.create("web", disks(&[&all[0]])).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    let made: Vec<String> = sim.server(&id).unwrap().storages.into_values().collect();
    let root = made.into_iter().find(|s| !all.contains(s)).unwrap();
    assert_eq!(storages(&sim, &id, &root), [all[0].clone()]);
    sim.oob_attach(&id, &all[3]).unwrap();
    sleep(Duration::from_secs(60)).await;
    f.cloud.reset_requests();
    // The reply is lost, and the process with it.
    let lost = FaultRule::new(FaultEffect::LostReply);
    sim.inject(lost.on("POST /server/{id}/storage/attach").times(1));
    f.edit("web", disks(&[&all[1], &all[2]])).await;
    sleep(Duration::from_secs(2)).await;
    f.kill().await;
    f.run();
    settled(&f).await;
    assert_eq!(storages(&sim, &id, &root), all[1..4]);
    assert_eq!(
        (
            asked(&f, "POST /storage/attach"),
            asked(&f, "POST /storage/detach"),
            asked(&f, "POST /stop")
        ),
        (2, 1, 0)
    );
    // One that another server has is not taken from it, and one that is not there is said.
    sim.oob_create("other").unwrap();
    sleep(Duration::from_secs(120)).await;
    sim.oob_attach("other", &all[4]).unwrap();
    f.edit("web", disks(&[&all[1], &all[2], &all[4]])).await;
    let words = refused(&f).await;
    assert!(words.contains("not taken from it"), "{words}");
    let nobody = "01999999-0000-4000-8000-000000000000".to_owned();
    f.edit("web", disks(&[&all[1], &all[2], &nobody])).await;
    f.wait("web", "the words", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        synced.is_some_and(|c| c.message.contains(&nobody))
    })
    .await;
    assert_eq!(storages(&sim, &id, &root), all[1..4]);
    assert_eq!(sim.server("other").unwrap().storages.len(), 2);
    f.edit("web", json!({"upcloud": {"disks": null}})).await;
    settled(&f).await;
    assert_eq!(
        storages(&sim, &id, &root),
        [all[3].clone()],
        "somebody else's stays"
    );
    // At rest nothing is asked for.
    sleep(Duration::from_secs(120)).await;
    f.cloud.reset_requests();
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(asked(&f, "GET /server/{id}"), 0, "{:?}", f.cloud.counts());
    f.judge().await;
    f.remove("web").await;
    let left: Vec<String> = sim.storages().into_iter().map(|s| s.id).collect();
    assert!(all.iter().all(|s| left.contains(s)), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_on_a_bus_that_needs_a_stop_waits_for_one_or_has_it() {
    for (when, stops) in [("WhenStopped", 0), ("StopIfNeeded", 1)] {
        let (f, sim) = field().await;
        let disk = sim.add_storage("fi-hel1");
        f.create("web", json!({"resize": {"when": when}})).await;
        let id = id_of(&f.ready_in("web", "Running").await).to_owned();
        let root = root(&sim, &id);
        f.cloud.reset_requests();
        let entry = json!({"name": "d", "action": "Attach", "storage": disk, "address": "ide"});
        f.edit("web", json!({"upcloud": {"disks": [entry]}})).await;
        if stops == 0 {
            f.reason("web", ConditionType::SettingsSynced, "False", "PendingPowerOff")
                .await;
            sleep(Duration::from_secs(600)).await;
            assert!(storages(&sim, &id, &root).is_empty());
            assert_eq!(asked(&f, "POST /stop"), 0);
            f.edit("web", json!({"powerState": "Stopped"})).await;
            f.ready_in("web", "Stopped").await;
        }
        settled(&f).await;
        let server = sim.server(&id).unwrap();
        assert_eq!(server.storages.get("ide:0:0"), Some(&disk), "{when}");
        assert_eq!(server.state == "started", stops == 1);
        f.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn interfaces_come_and_go_with_one_stop_and_those_of_others_stay() {
    let (f, sim) = field().await;
    let mut spec = interfaces(&["pub", "util"]);
    spec["resize"] = json!({"when": "StopIfNeeded"});
    f.create("web", spec).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    assert_eq!(on(&sim, &id), ["public", "utility"]);
    f.cloud.reset_requests();
    f.edit("web", interfaces(&["pub", "util", "a", "b 10.0.0.77"]))
        .await;
    let server = settled(&f).await;
    assert_eq!(on(&sim, &id), ["private", "private", "public", "utility"]);
    assert_eq!(sim.server(&id).unwrap().state, "started");
    assert_eq!(asked(&f, "POST /stop"), 1, "{:?}", f.cloud.counts());
    let addresses = &server.status.as_ref().unwrap().addresses;
    assert!(
        addresses.iter().any(|a| a.address == "10.0.0.77"),
        "{addresses:?}"
    );
    // Another one like it, by somebody else.
    let theirs = sim.oob_interface(&id, NET).unwrap();
    sleep(Duration::from_secs(60)).await;
    f.edit("web", interfaces(&["pub"])).await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["private", "public"]);
    assert!(sim.macs(&id).iter().any(|(mac, _)| *mac == theirs));
    // Without the list nothing is taken off.
    f.edit("web", json!({"upcloud": {"interfaces": null}})).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(on(&sim, &id), ["private", "public"]);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_a_late_one_attaches_one_interface() {
    for effect in unanswered() {
        for killed in [false, true] {
            let (mut f, sim) = field().await;
            sim.set_choices(Choices {
                hot_interfaces: true,
                ..Choices::default()
            });
            f.create("web", interfaces(&["pub"])).await;
            let id = id_of(&f.ready_in("web", "Running").await).to_owned();
            let rule = FaultRule::new(effect.clone()).on("POST /server/{id}/networking/interface");
            sim.inject(rule.times(1));
            f.edit("web", interfaces(&["pub", "a"])).await;
            if killed {
                sleep(Duration::from_secs(3)).await;
                f.kill().await;
                f.run();
            }
            settled(&f).await;
            sleep(Duration::from_secs(600)).await;
            assert_eq!(on(&sim, &id), ["private", "public"], "{effect:?} {killed}");
            f.edit("web", interfaces(&["pub"])).await;
            settled(&f).await;
            assert_eq!(on(&sim, &id), ["public"], "{effect:?} {killed}");
            assert_eq!(asked(&f, "POST /stop"), 0, "this account needs none");
            f.judge().await;
        }
    }
}

fn floating(address: Option<&str>) -> Value {
    json!({"upcloud": {"interfaces": [{"name": "six", "type": "Public", "addresses": [{"name": "6", "family": "IPv6"}]},
        {"name": "pub", "type": "Public", "floatingIP": address}]}})
}

#[tokio::test(start_paused = true)]
async fn floating_addresses_come_and_go_and_are_taken_from_nobody() {
    let (mut f, sim) = field().await;
    for address in ["203.0.113.7", "203.0.113.8", "203.0.113.9"] {
        sim.add_floating(address, "fi-hel1");
    }
    f.create("web", floating(Some("203.0.113.7"))).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    settled(&f).await;
    let four = sim.server(&id).unwrap().interfaces[1].clone();
    assert!(four.starts_with("2 public"), "{four}");
    let (mac, _) = sim.macs(&id).remove(1);
    assert_eq!(sim.floating_mac("203.0.113.7"), Some(mac.clone()));
    // Another one comes before the first one goes; the reply is lost and the process with it.
    let lost = FaultRule::new(FaultEffect::LostReply);
    sim.inject(lost.on("PATCH /ip_address/{id}").times(1));
    sim.oob_floating("203.0.113.9", &mac);
    f.edit("web", floating(Some("203.0.113.8"))).await;
    sleep(Duration::from_secs(3)).await;
    f.kill().await;
    f.run();
    settled(&f).await;
    let led = |address: &str| sim.floating_mac(address);
    assert_eq!(
        (led("203.0.113.7"), led("203.0.113.8")),
        (None, Some(mac.clone()))
    );
    assert_eq!(led("203.0.113.9"), Some(mac.clone()), "somebody else's stays");
    assert_eq!(asked(&f, "POST /stop"), 0);
    // One that another server has is not taken from it; one that is not the account's is said.
    sim.oob_create("other").unwrap();
    let (other, _) = sim.macs("other").remove(0);
    sim.oob_floating("203.0.113.7", &other);
    f.edit("web", floating(Some("203.0.113.7"))).await;
    let words = refused(&f).await;
    assert!(words.contains("in use by server"), "{words}");
    assert_eq!(led("203.0.113.7"), Some(other));
    f.edit("web", floating(Some("198.51.100.1"))).await;
    f.wait("web", "the words", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        synced.is_some_and(|c| c.message.contains("is not one of this account"))
    })
    .await;
    f.edit("web", floating(None)).await;
    settled(&f).await;
    assert_eq!((led("203.0.113.8"), led("203.0.113.9")), (None, Some(mac)));
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn the_usual_interfaces_go_when_a_list_is_declared_and_those_of_others_stay() {
    let (f, sim) = field().await;
    sim.set_choices(Choices {
        hot_interfaces: true,
        ..Choices::default()
    });
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    assert_eq!(on(&sim, &id), ["public", "public", "utility"]);
    sleep(Duration::from_secs(60)).await;
    let theirs = sim.oob_interface(&id, NET).unwrap();
    sleep(Duration::from_secs(600)).await;
    f.edit("web", interfaces(&["pub"])).await;
    settled(&f).await;
    assert_eq!(on(&sim, &id), ["private", "public"]);
    assert!(sim.macs(&id).iter().any(|(mac, _)| *mac == theirs));
    f.judge().await;
}
