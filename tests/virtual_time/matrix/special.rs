//! Scenarios of what only some clouds have.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::time::sleep;

use super::field::Field;
use crate::scenarios::cluster::{condition, id_of, ready};

/// Requests that change something, log-ins not.
fn changes(f: &Field) -> Vec<String> {
    let mut all = f.cloud.counts();
    all.retain(|key, _| !key.starts_with("GET ") && !key.contains("auth"));
    all.into_iter().map(|(key, n)| format!("{n} {key}")).collect()
}

pub async fn a_restart_is_one_request_and_no_drift(f: &mut Field) {
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    f.cloud.reset_requests();
    f.edit("web", json!({"restart": {"token": "1"}})).await;
    f.wait("web", "the restart is done", |x| {
        let restart = x.status.as_ref().and_then(|s| s.restart.as_ref());
        ready(x) && restart.is_some_and(|r| r.token == "1" && r.outcome != "Restarting")
    })
    .await;
    sleep(Duration::from_secs(600)).await;
    let asked = changes(f);
    assert!(asked.len() == 1 && asked[0].starts_with("1 "), "{asked:?}");
    let events = f.api.list("events");
    let drift = |e: &&serde_json::Value| e["reason"].as_str().is_some_and(|r| r.contains("Drift"));
    assert!(
        !events.is_empty() && !events.iter().any(|e| drift(&e)),
        "{events:#?}"
    );
}

pub async fn a_running_server_grows_without_a_stop(f: &mut Field) {
    let (_, big) = f.cloud.sizes().unwrap();
    f.create("web", json!({"resize": {"when": "StopIfNeeded"}})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.reset_requests();
    f.edit("web", json!({"size": {"name": big}})).await;
    f.wait("web", "the new size", |x| {
        ready(x) && x.status.as_ref().unwrap().size.as_deref() == Some(big)
    })
    .await;
    let real = f.only(&server);
    assert_eq!((real.size.as_str(), real.power.as_str()), (big, "Running"));
    assert_eq!(changes(f).len(), 1, "{:?}", changes(f));
}

/// Makes a server whose provisioning fails, and lets the next one succeed.
async fn half_made(f: &Field) -> Server {
    f.cloud.provisioning_fails(true);
    f.create("web", json!({})).await;
    let failed = f
        .wait("web", "the failure is shown", |x| {
            !ready(x) && x.status.as_ref().is_some_and(|s| s.failure.is_some())
        })
        .await;
    f.cloud.provisioning_fails(false);
    failed
}

pub async fn a_provisioning_that_failed_is_tried_again(f: &mut Field) {
    let failed = half_made(f).await;
    let server = f.ready_in("web", "Running").await;
    assert_eq!(id_of(&server), id_of(&failed), "it is the same one");
    let status = server.status.as_ref().unwrap();
    assert_eq!((status.create_attempts, &status.failure), (Some(1), &None));
    f.only(&server);
}

pub async fn a_try_that_is_refused_makes_way_for_a_new_server(f: &mut Field) {
    f.cloud.refuse_to_try_again();
    let failed = half_made(f).await;
    f.cloud.refuse_to_try_again();
    let server = f.ready_in("web", "Running").await;
    assert_ne!(id_of(&server), id_of(&failed));
    assert_eq!(f.cloud.servers().len(), 1, "the failed one is gone");
}

pub async fn a_changed_name_is_applied(f: &mut Field) {
    f.create("web", json!({"cloudName": "first"})).await;
    let server = f.ready_in("web", "Running").await;
    assert_eq!(f.only(&server).name, "first");
    f.edit("web", json!({"cloudName": "second"})).await;
    f.wait("web", "the settings are as declared", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        ready(x) && synced.is_some_and(|c| c.status == "True")
    })
    .await;
    let real = f.only(&server);
    assert_eq!((real.name.as_str(), real.id.as_str()), ("second", id_of(&server)));
}

pub async fn disks_stay_and_are_named(f: &mut Field) {
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    let before = f.cloud.disks();
    f.remove("web").await;
    assert!(before > 0 && f.cloud.disks() == before);
    // Events are published beside the work.
    sleep(Duration::from_secs(10)).await;
    let events = f.api.list("events");
    assert!(events.iter().any(|e| e["reason"] == "PartsKept"), "{events:#?}");
}

pub async fn disks_of_ours_go_when_asked_for(f: &mut Field) {
    f.cloud.by_hand("legacy");
    let before = f.cloud.disks();
    let wish = json!({"deletion": {"disks": "DeleteOwned"}});
    f.create("web", wish).await;
    f.ready_in("web", "Running").await;
    assert!(f.cloud.disks() > before);
    f.remove("web").await;
    assert_eq!(f.cloud.disks(), before, "ours are gone, and no other");
}

pub async fn a_password_that_is_told_lands_in_its_secret(f: &mut Field) {
    let mut spec = f.cloud.tells().unwrap();
    spec["credentialsSecretName"] = json!("web-login");
    f.create("web", spec).await;
    let server = f.ready_in("web", "Running").await;
    let secret = f.api::<Secret>().get("web-login").await.unwrap();
    let owner = &secret.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(Some(&owner.uid), server.metadata.uid.as_ref());
    let data = secret.data.unwrap();
    let password = String::from_utf8(data["password"].0.clone()).unwrap();
    assert!(data.contains_key("username") && password.len() >= 8);
    f.plant(password);
}
