//! Deeds that only some clouds have: cancelling, backups of disks and VNC on UpCloud, the password and the console of a
//! machine on CloudDC.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::server_action::ServerAction;
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::clouddc::CloudDcSim;
use evenkeel::sim::upcloud::{Choices, FaultEffect, FaultRule, HypervisorOrder, StorageView, UpCloudSim};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::clouds::{clouddc, upcloud};
use super::field::Field;
use crate::scenarios::cluster::id_of;
use crate::scenarios::deeds::{ask, ended, stands};

async fn up() -> (Field, Arc<UpCloudSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = upcloud::open(&api);
    (Field::new(cloud, api).await, sim)
}

async fn machines() -> (Field, Arc<CloudDcSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = clouddc::open(&api);
    (Field::new(cloud, api).await, sim)
}

/// Asks for it, and waits for its end: the reason, the words and the result.
async fn done(f: &Field, name: &str, deed: Value) -> (String, String, Option<String>) {
    ask(f, name, "web", deed).await;
    let action = ended(f, name).await;
    let (reason, words) = stands(&action);
    (reason, words, action.status.unwrap().result)
}

fn backups(sim: &UpCloudSim) -> Vec<StorageView> {
    let mut all = sim.storages();
    all.retain(|s| s.kind == "backup");
    all
}

/// What a Secret holds.
async fn text(f: &Field, name: &str, key: &str) -> String {
    let data = f.api::<Secret>().get(name).await.unwrap().data.unwrap();
    String::from_utf8(data[key].0.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_disk_is_backed_up_and_seen_to_its_end() {
    let (f, sim) = up().await;
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    let disk = sim
        .server(id_of(&server))
        .unwrap()
        .storages
        .into_values()
        .next()
        .unwrap();
    let deed = json!({"backupDisk": {"name": "nightly"}});
    ask(&f, "nightly", "web", deed).await;
    f.wait_for("nightly", "its id is told", |a: &ServerAction| {
        a.status.as_ref().is_some_and(|s| s.result.is_some())
    })
    .await;
    // It is there, and not whole: nobody calls it done.
    let made = backups(&sim);
    assert_eq!((made.len(), made[0].state.as_str()), (1, "maintenance"));
    let (reason, _) = stands(&f.api::<ServerAction>().get("nightly").await.unwrap());
    assert_eq!(reason, "Acting");
    let action = ended(&f, "nightly").await;
    assert_eq!(stands(&action).0, "Succeeded", "{}", stands(&action).1);
    let made = backups(&sim).remove(0);
    assert_eq!(
        (made.state.as_str(), made.title.as_str(), Some(made.id)),
        ("online", "nightly", action.status.unwrap().result)
    );
    // One that is named, and one of somebody else.
    let (reason, words, _) = done(&f, "named", json!({"backupDisk": {"name": "a", "diskID": disk}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    let other = sim.oob_create("other").unwrap();
    let theirs = sim.server(&other).unwrap().storages.into_values().next().unwrap();
    let (reason, words, _) = done(
        &f,
        "theirs",
        json!({"backupDisk": {"name": "b", "diskID": theirs}}),
    )
    .await;
    assert_eq!(reason, "DeedRefused", "{words}");
    assert!(words.contains("is no disk of the server"), "{words}");
    assert_eq!(backups(&sim).len(), 2);
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_whose_reply_is_lost_is_unknown_and_one_that_vanishes_has_failed() {
    let (f, sim) = up().await;
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    let rule = FaultRule::new(FaultEffect::LostReply).on("POST /storage/{id}/backup");
    sim.inject(rule.times(1));
    let (reason, words, _) = done(&f, "lost", json!({"backupDisk": {"name": "a"}})).await;
    assert_eq!(
        (reason.as_str(), backups(&sim).len()),
        ("OutcomeUnknown", 1),
        "{words}"
    );
    ask(&f, "vanishes", "web", json!({"backupDisk": {"name": "b"}})).await;
    let told = f.wait_for("vanishes", "its id is told", |a: &ServerAction| {
        a.status.as_ref().is_some_and(|s| s.result.is_some())
    });
    sim.oob_delete_storage(&told.await.status.unwrap().result.unwrap());
    let (reason, words) = stands(&ended(&f, "vanishes").await);
    assert_eq!(reason, "DeedFailed", "{words}");
    assert!(words.contains("gone again"), "{words}");
    f.judge().await;
}

/// A server whose creation takes an hour, as a Server and in the cloud.
async fn slow(f: &Field, sim: &UpCloudSim) -> String {
    sim.order(HypervisorOrder {
        call: "create".to_owned(),
        server: None,
        delay_ms: Some(3_600_000),
        fault: None,
    });
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f
        .wait("web", "its id is recorded", |s| !id_of(s).is_empty())
        .await;
    sim.clear_faults();
    sleep(Duration::from_secs(60)).await;
    id_of(&server).to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_cancelled() {
    let (f, sim) = up().await;
    let id = slow(&f, &sim).await;
    let (reason, words, _) = done(&f, "it", json!({"cancel": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    f.ready_in("web", "Stopped").await;
    assert_eq!(f.seen(&id).unwrap().power, "Stopped");
    // There is nothing to cancel any more.
    let (reason, words, _) = done(&f, "again", json!({"cancel": {}})).await;
    assert_eq!(reason, "NotAllowed", "{words}");
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_creation_may_leave_nothing() {
    let (f, sim) = up().await;
    sim.set_choices(Choices {
        cancelled_is_gone: true,
        ..Choices::default()
    });
    slow(&f, &sim).await;
    let (reason, words, _) = done(&f, "it", json!({"cancel": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    assert!(words.contains("gone from the cloud"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_does_not_cancel_ends_by_itself() {
    let (f, sim) = up().await;
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    sim.oob_maintenance(id_of(&server), 300).unwrap();
    ask(&f, "it", "web", json!({"cancel": {}})).await;
    f.wait_for("it", "that it waits", |a: &ServerAction| {
        stands(a).0 == "WaitingForServer"
    })
    .await;
    let asked = |f: &Field| {
        f.cloud
            .counts()
            .get("POST /server/{id}/cancel")
            .copied()
            .unwrap_or(0)
    };
    assert!(asked(&f) > 0, "{:?}", f.cloud.counts());
    let (reason, words) = stands(&ended(&f, "it").await);
    assert_eq!(reason, "NotAllowed", "{words}");
    f.ready_in("web", "Running").await;
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn the_way_to_vnc_is_in_its_secret_alone() {
    let (mut f, sim) = up().await;
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    let (reason, words, _) = done(&f, "off", json!({"remoteConsole": {}})).await;
    assert_eq!(reason, "DeedRefused", "{words}");
    assert!(words.contains("spec.upcloud.remoteAccessEnabled"), "{words}");
    f.edit("web", json!({"upcloud": {"remoteAccessEnabled": true}}))
        .await;
    f.ready_in("web", "Running").await;
    let (reason, words, result) = done(&f, "on", json!({"remoteConsole": {"type": "VNC"}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    let name = result.unwrap();
    let password = sim
        .attribute_of(id_of(&server), "remote_access_password")
        .unwrap();
    assert_eq!(text(&f, &name, "password").await, password);
    assert_eq!(text(&f, &name, "url").await, "vnc://fi-hel1.vnc.upcloud.com:3000");
    let (reason, words, _) = done(&f, "spice", json!({"remoteConsole": {"type": "SPICE"}})).await;
    assert_eq!(reason, "Unsupported", "{words}");
    f.plant(password);
    f.plant("fi-hel1.vnc.upcloud.com".to_owned());
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_gets_another_password_and_shows_its_console() {
    let (f, _) = machines().await;
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    let id = id_of(&server).to_owned();
    let (_, second) = f.cloud.passwords();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "root",
        "labels": {"evenkeel.dev/allow": "password"}}, "stringData": {"password": second, "weak": "w3ak", "empty": ""}});
    f.make::<Secret>(&secret).await;
    let set =
        |key: &str| json!({"changePassword": {"secretRef": {"name": "root", "key": key}}, "deadline": "10m"});
    let (reason, words, _) = done(&f, "good", set("password")).await;
    assert_eq!(reason, "Succeeded", "{words}");
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(second));
    // What is no password, and what the cloud's rules forbid, is not sent, and waits to be corrected.
    for (key, says) in [
        ("empty", "is empty: that is no password"),
        ("weak", "8 to 26 characters"),
    ] {
        ask(&f, key, "web", set(key)).await;
        f.wait_for(key, "the refusal", |a: &ServerAction| {
            let (reason, words) = stands(a);
            reason == "SecretRefused" && words.contains(says) && words.contains(key)
        })
        .await;
        let (reason, words) = stands(&ended(&f, key).await);
        assert_eq!(reason, "DeadlineExceeded", "{words}");
        assert!(words.contains(says), "{words}");
    }
    assert_eq!(f.cloud.password_of(&id).as_deref(), Some(second));
    let (reason, words, result) = done(&f, "console", json!({"remoteConsole": {}})).await;
    assert_eq!(reason, "Succeeded", "{words}");
    assert!(text(&f, &result.unwrap(), "url").await.contains("/console/"));
    // A machine that runs keeps its password until it is stopped.
    f.edit("web", json!({"powerState": "Running"})).await;
    f.ready_in("web", "Running").await;
    let (reason, words, _) = done(&f, "running", set("password")).await;
    assert_eq!(reason, "NotAllowed", "{words}");
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_or_a_cancellation_whose_controller_is_killed_is_done_once_or_unknown() {
    let mut ends = Vec::new();
    for ms in [0, 30, 60, 90, 120, 200, 500, 2000, 8000] {
        let (mut f, sim) = up().await;
        f.create("web", json!({})).await;
        f.ready_in("web", "Running").await;
        ask(&f, "nightly", "web", json!({"backupDisk": {"name": "nightly"}})).await;
        sleep(Duration::from_millis(ms)).await;
        f.kill().await;
        f.run();
        let (reason, words) = stands(&ended(&f, "nightly").await);
        let made = backups(&sim).len();
        let honest = (reason == "Succeeded" && made == 1) || (reason == "OutcomeUnknown" && made <= 1);
        assert!(honest, "{ms} ms, {made} backups: {reason}: {words}");
        ends.push(reason);
        f.ready_in("web", "Running").await;

        let (mut f, sim) = up().await;
        let id = slow(&f, &sim).await;
        ask(&f, "it", "web", json!({"cancel": {}})).await;
        sleep(Duration::from_millis(ms)).await;
        f.kill().await;
        f.run();
        let (reason, words) = stands(&ended(&f, "it").await);
        let cancelled = f.seen(&id).unwrap().power == "Stopped";
        let honest = (reason == "Succeeded" && cancelled) || reason == "OutcomeUnknown";
        assert!(honest, "{ms} ms, cancelled {cancelled}: {reason}: {words}");
        ends.push(reason);
    }
    // Both happen, or the moments were badly chosen.
    for reason in ["Succeeded", "OutcomeUnknown"] {
        assert!(ends.iter().any(|e| e == reason), "{ends:?}");
    }
}
