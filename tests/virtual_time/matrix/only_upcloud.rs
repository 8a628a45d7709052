//! What only UpCloud has, from the manifest to the cloud itself: the three ways to create a server, every attribute
//! that can be changed later, hot resizes and long stops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::upcloud::{HotResize, ServerView, UpCloudSim};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::clouds::upcloud::open;
use super::field::Field;
use crate::scenarios::cluster::{condition, id_of, ready};

const NET: &str = "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9";
const CDROM: &str = "01000000-0000-4000-8000-000020010301";

async fn field() -> (Field, Arc<UpCloudSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = open(&api);
    (Field::new(cloud, api).await, sim)
}

fn view(sim: &UpCloudSim, server: &Server) -> ServerView {
    sim.server(id_of(server)).expect("it is there")
}

/// A part of the settings, as they are to be.
fn says(view: &ServerView, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        assert_eq!(
            view.settings.get(*name).map(String::as_str),
            Some(*value),
            "{name}"
        );
    }
}

/// A server with this spec alone.
async fn create(f: &Field, mut spec: Value) {
    spec["providerConfigRef"] = json!({"name": "cloud"});
    let object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": "web"},
        "spec": spec});
    f.make::<Server>(&object).await;
}

/// How often the cloud was asked so.
fn asked(f: &Field, method_and_end: &str) -> usize {
    let (method, end) = method_and_end.split_once(' ').unwrap();
    let counts = f.cloud.counts();
    let fits = |key: &str| key.starts_with(method) && key.ends_with(end);
    counts.iter().filter(|(key, _)| fits(key)).map(|(_, n)| n).sum()
}

async fn settled(f: &Field) -> Server {
    f.wait("web", "the settings are as declared", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        let seen = x.status.as_ref().and_then(|s| s.observed_generation);
        ready(x) && seen == x.metadata.generation && synced.is_some_and(|c| c.status == "True")
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn every_attribute_is_made_and_those_that_can_be_are_changed_without_a_stop() {
    let (f, sim) = field().await;
    let script = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "script",
        "labels": {"evenkeel.dev/allow": "user-data"}}, "stringData": {"run": "#!/bin/sh\necho planted-script\n"}});
    f.make::<Secret>(&script).await;
    create(&f, json!({"size": {"cores": 4, "memoryMiB": 8192}, "image": {"name": "Ubuntu Server 24.04 LTS (Noble Numbat)"},
            "sshKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyOfATest test"], "hostname": "web-1",
        "cloudName": "first", "labels": {"team": "blue"}, "userDataSecretRef": {"name": "script", "key": "run"},
        "upcloud": {"zone": "fi-hel1", "domain": "example.com", "firewall": true, "metadata": true,
            "timezone": "Europe/Helsinki", "bootOrder": ["Disk", "Network"], "simpleBackup": "0430,monthlies",
            "nicModel": "E1000", "videoModel": "Vga", "remoteAccessEnabled": true, "remoteAccessType": "Vnc",
            "avoidHost": 7653311107_i64, "loginUser": {"username": "ops"},
            "disks": [
                {"name": "root", "action": "Clone", "size": 50, "tier": "MaxIops", "title": "system", "address": "scsi", "bootDisk": true},
                {"name": "data", "action": "Create", "size": 20, "tier": "Hdd", "labels": {"use": "db"}}],
            "cdrom": {"storage": CDROM, "address": "ide:1:0"},
            "interfaces": [
                {"name": "a", "type": "Public", "addresses": [{"name": "6", "family": "IPv6"}], "bootable": true},
                {"name": "b", "type": "Utility"},
                {"name": "c", "type": "Private", "network": NET, "index": 5, "sourceIPFiltering": false, "addresses": [
                    {"name": "1", "address": "10.0.0.50", "dhcpProvided": true}, {"name": "2", "address": "10.0.0.60"}]}]}}))
        .await;
    let server = f.ready_in("web", "Running").await;
    let made = view(&sim, &server);
    assert_eq!(
        (
            made.title.as_str(),
            made.hostname.as_str(),
            made.cores,
            made.memory
        ),
        ("first", "web-1.example.com", 4, 8192)
    );
    assert_ne!(made.host, Some(7653311107));
    assert_eq!(made.labels["team"], "blue");
    says(
        &made,
        &[
            ("firewall", "on"),
            ("metadata", "yes"),
            ("timezone", "Europe/Helsinki"),
            ("boot_order", "disk,network"),
            ("simple_backup", "0430,monthlies"),
            ("nic_model", "e1000"),
            ("video_model", "vga"),
            ("remote_access_enabled", "yes"),
            ("remote_access_type", "vnc"),
        ],
    );
    let at: Vec<&str> = made.storages.keys().map(String::as_str).collect();
    assert_eq!(at, ["ide:1:0", "scsi:0:0", "virtio:0"]);
    let disks: BTreeMap<String, _> = sim.storages().into_iter().map(|s| (s.id.clone(), s)).collect();
    let (root, data) = (
        &disks[&made.storages["scsi:0:0"]],
        &disks[&made.storages["virtio:0"]],
    );
    assert_eq!(
        (
            root.title.as_str(),
            root.size,
            data.size,
            data.labels["use"].as_str()
        ),
        ("system", 50, 20, "db")
    );
    assert!(
        made.interfaces[0].starts_with("1 public true true"),
        "{:?}",
        made.interfaces
    );
    assert!(
        made.interfaces[1].starts_with("2 utility true false"),
        "{:?}",
        made.interfaces
    );
    assert_eq!(made.interfaces[2], "5 private false false 10.0.0.50 10.0.0.60");
    settled(&f).await;

    f.cloud.reset_requests();
    f.edit("web", json!({"cloudName": "second", "hostname": "web-2", "labels": {"team": null, "tier": "1"},
        "upcloud": {"firewall": false, "metadata": false, "timezone": "UTC", "bootOrder": ["Network", "Disk"],
            "simpleBackup": "no", "nicModel": "Virtio", "videoModel": "Cirrus", "remoteAccessEnabled": false}}))
        .await;
    let server = settled(&f).await;
    let changed = view(&sim, &server);
    assert_eq!(
        (changed.title.as_str(), changed.hostname.as_str()),
        ("second", "web-2.example.com")
    );
    assert_eq!(
        (changed.labels.get("team"), changed.labels["tier"].as_str()),
        (None, "1")
    );
    assert_eq!(changed.uid, server.metadata.uid);
    says(
        &changed,
        &[
            ("firewall", "off"),
            ("metadata", "no"),
            ("timezone", "UTC"),
            ("boot_order", "network,disk"),
            ("simple_backup", "no"),
            ("nic_model", "virtio"),
            ("video_model", "cirrus"),
            ("remote_access_enabled", "no"),
        ],
    );
    assert_eq!(
        (
            asked(&f, "PUT /server/{id}"),
            asked(&f, "POST /stop"),
            changed.state.as_str()
        ),
        (1, 0, "started")
    );
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_is_cloned_from_the_disk_of_another_and_only_the_copy_is_ours() {
    let (f, sim) = field().await;
    sim.oob_create("golden").unwrap();
    sleep(Duration::from_secs(120)).await;
    let golden = sim
        .server("golden")
        .unwrap()
        .storages
        .into_values()
        .next()
        .unwrap();
    let before = sim.storages();
    create(
        &f,
        json!({"size": {"name": "1xCPU-1GB"}, "deletion": {"disks": "DeleteOwned"},
        "upcloud": {"zone": "fi-hel1", "disks": [{"name": "root", "action": "Clone", "storage": golden}]}}),
    )
    .await;
    f.ready_in("web", "Running").await;
    assert_eq!(
        (sim.storages().len(), f.cloud.marked_disks()),
        (before.len() + 1, 1)
    );
    f.remove("web").await;
    assert_eq!(sim.storages(), before, "the original is as it was");
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_is_installed_from_scratch_with_a_cdrom() {
    let (f, sim) = field().await;
    create(
        &f,
        json!({"size": {"name": "1xCPU-1GB"}, "deletion": {"disks": "DeleteOwned"},
        "upcloud": {"zone": "fi-hel1", "disks": [{"name": "root", "action": "Create", "size": 20, "tier": "MaxIops"}],
            "cdrom": {"storage": CDROM}, "bootOrder": ["Cdrom", "Disk"], "remoteAccessEnabled": true}}),
    )
    .await;
    let server = f.ready_in("web", "Running").await;
    let made = view(&sim, &server);
    says(
        &made,
        &[("boot_order", "cdrom,disk"), ("remote_access_enabled", "yes")],
    );
    assert!(made.storages.values().any(|s| s == CDROM), "{made:?}");
    let parts = &server.status.as_ref().unwrap().parts;
    assert!(
        parts.len() == 1 && parts[0].ours,
        "the CD-ROM is no part of it: {parts:?}"
    );
    f.remove("web").await;
    assert!(sim.storages().is_empty());
    f.judge().await;
}

/// Waits for a size that is in use, and for all to be as declared.
async fn sized(f: &Field, size: Value) -> Server {
    f.edit("web", json!({"size": size})).await;
    f.wait("web", "the new size", |x| {
        let synced = condition(x, ConditionType::SizeSynced);
        let seen = x.status.as_ref().and_then(|s| s.observed_generation);
        ready(x) && seen == x.metadata.generation && synced.is_some_and(|c| c.status == "True")
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_plan_becomes_a_size_of_one_s_own_hot_or_by_a_stop_as_the_account_allows() {
    for (answer, stops) in [
        (HotResize::Allowed, 0),
        (HotResize::NotEnabled, 1),
        (HotResize::Unavailable, 1),
        (HotResize::NoMemorySlots, 1),
        (HotResize::FailedToAddMemory, 1),
    ] {
        let (f, sim) = field().await;
        sim.set_hot_resize(answer);
        f.create("web", json!({"resize": {"when": "StopIfNeeded"}})).await;
        f.ready_in("web", "Running").await;
        f.cloud.reset_requests();
        let server = sized(&f, json!({"name": null, "cores": 2, "memoryMiB": 4096})).await;
        let grown = view(&sim, &server);
        assert_eq!(
            (grown.plan.as_str(), grown.cores, grown.memory),
            ("custom", 2, 4096)
        );
        assert_eq!(
            (grown.state.as_str(), asked(&f, "POST /stop")),
            ("started", stops),
            "{answer:?}"
        );
        // Smaller is never hot.
        let server = sized(&f, json!({"name": null, "cores": 1, "memoryMiB": 2048})).await;
        assert_eq!(
            (view(&sim, &server).cores, asked(&f, "POST /stop")),
            (1, stops + 1)
        );
        f.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_guest_is_given_its_time_and_cut_off_however_long_that_is() {
    for seconds in [60, 900] {
        let (f, sim) = field().await;
        f.create("web", json!({"powerOff": {"timeout": format!("{seconds}s")}}))
            .await;
        let server = f.ready_in("web", "Running").await;
        sim.set_deaf(id_of(&server), true).unwrap();
        for (what, edit) in [
            ("restart", json!({"restart": {"token": "1"}})),
            ("stop", json!({"powerState": "Stopped"})),
        ] {
            f.edit("web", edit).await;
            sleep(Duration::from_secs(seconds - 10)).await;
            assert_eq!(
                view(&sim, &server).state,
                "started",
                "{what} {seconds}: it has its time"
            );
            sleep(Duration::from_secs(25)).await;
            assert_ne!(
                view(&sim, &server).state,
                "started",
                "{what} {seconds}: that is over"
            );
            f.wait("web", what, ready).await;
            sleep(Duration::from_secs(60)).await;
            sim.set_deaf(id_of(&server), true).unwrap();
        }
        assert_eq!(f.only(&server).power, "Stopped");
        f.judge().await;
    }
}
