//! Scenarios of what only some clouds have.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use evenkeel::sim::apiserver::{Fault, Rule, Verb};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::time::sleep;

use super::clouds::Mishap;
use super::field::Field;
use crate::scenarios::cluster::{condition, id_of, ready};

/// Requests that change something, log-ins not.
pub(super) fn changes(f: &Field) -> Vec<String> {
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

pub async fn a_size_that_does_not_start_goes_back(f: &mut Field) {
    let (small, big) = f.cloud.sizes().unwrap();
    f.create(
        "web",
        json!({"size": {"name": big}, "resize": {"when": "StopIfNeeded"}}),
    )
    .await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"size": {"name": small}})).await;
    f.until("it is stopped for it", |all| all[0].power == "Stopped")
        .await;
    f.cloud.no_room(true);
    f.reason("web", ConditionType::SizeSynced, "False", "ResizeFailed")
        .await;
    f.until("the old size", |all| all[0].size == big).await;
    f.cloud.no_room(false);
    f.until("it runs again", |all| all[0].power == "Running").await;
    f.reason("web", ConditionType::Stalled, "True", "ResizeFailed")
        .await;
    assert_eq!(f.only(&server).size, big);
    f.edit("web", json!({"size": {"name": big}})).await;
    f.ready_in("web", "Running").await;
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

async fn labelled(f: &Field) {
    f.wait("web", "the labels are as declared", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        ready(x) && synced.is_none_or(|c| c.status == "True")
    })
    .await;
}

/// The labels a, b, c and theirs of a server, `-` where there is none.
fn labels_of(f: &Field, id: &str) -> String {
    let one = |key| f.cloud.label_of(id, key).unwrap_or_else(|| "-".to_owned());
    ["a", "b", "c", "theirs"].map(one).join(" ")
}

pub async fn changed_labels_are_applied_and_others_survive(f: &mut Field) {
    f.create("web", json!({"labels": {"a": "1", "b": "1"}})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    f.cloud.label(&id, "theirs", "1");
    f.edit("web", json!({"labels": {"a": "2", "b": null, "c": "1"}}))
        .await;
    labelled(f).await;
    assert_eq!(labels_of(f, &id), "2 - 1 1");
    // At rest it costs what rest costs.
    sleep(Duration::from_secs(60)).await;
    f.cloud.reset_requests();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(changes(f), Vec::<String>::new());
    let asked = f.cloud.counts();
    let more: Vec<_> = asked
        .keys()
        .filter(|k| !f.cloud.at_rest().contains(&k.as_str()))
        .collect();
    assert!(more.is_empty(), "{more:?}");
    f.edit("web", json!({"labels": null})).await;
    labelled(f).await;
    assert_eq!(labels_of(f, &id), "- - - 1");
}

pub async fn a_change_of_labels_gone_wrong_is_made_good(f: &mut Field) {
    f.create("web", json!({"labels": {"a": "0"}})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    f.cloud.label(&id, "theirs", "1");
    for (n, mishap) in [Mishap::LostReply, Mishap::LateApply, Mishap::Unavailable]
        .into_iter()
        .enumerate()
    {
        for kill in [false, true] {
            let value = format!("{n}{kill}");
            f.cloud.next_label(mishap);
            f.edit("web", json!({"labels": {"a": value, "b": null}})).await;
            if kill {
                sleep(Duration::from_secs(2)).await;
                f.kill().await;
                f.run();
            }
            labelled(f).await;
            sleep(Duration::from_secs(60)).await;
            assert_eq!(labels_of(f, &id), format!("{value} - - 1"));
            // What comes and goes while nobody knows leaves nothing behind.
            f.cloud.next_label(mishap);
            f.edit("web", json!({"labels": {"b": "1"}})).await;
            sleep(Duration::from_secs(1)).await;
            f.edit("web", json!({"labels": {"b": null}})).await;
            labelled(f).await;
            sleep(Duration::from_secs(60)).await;
            assert_eq!(labels_of(f, &id), format!("{value} - - 1"));
        }
    }
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

pub async fn disks_of_an_orphan_lose_their_marks(f: &mut Field) {
    f.create(
        "web",
        json!({"deletionPolicy": "Orphan", "deletion": {"disks": "DeleteOwned"}}),
    )
    .await;
    let server = f.ready_in("web", "Running").await;
    let disks = f.cloud.disks();
    assert!(f.cloud.marked_disks() > 0);
    f.remove("web").await;
    assert_eq!((f.cloud.disks(), f.cloud.marked_disks()), (disks, 0));
    assert_eq!(f.seen(id_of(&server)).expect("it stays").uid, None);
}

pub async fn what_a_vanished_server_had_is_named(f: &mut Field) {
    f.create(
        "web",
        json!({"onMissing": "Recreate", "deletion": {"disks": "DeleteOwned"}}),
    )
    .await;
    let first = f.ready_in("web", "Running").await;
    let parts = first.status.as_ref().unwrap().parts.clone();
    assert!(!parts.is_empty(), "{first:#?}");
    let disks = f.cloud.disks();
    f.cloud.delete(id_of(&first));
    f.wait("web", "another server", |x| ready(x) && id_of(x) != id_of(&first))
        .await;
    assert!(f.cloud.disks() > disks, "nothing of the first one is deleted");
    sleep(Duration::from_secs(10)).await;
    let events = f.api.list("events");
    let named = |e: &serde_json::Value| {
        e["reason"] == "PartsKept" && e["note"].as_str().is_some_and(|n| n.contains(&parts[0].id))
    };
    assert!(events.iter().any(named), "{events:#?}");
}

pub async fn a_host_to_avoid_counts_at_the_next_start(f: &mut Field) {
    f.create("web", json!({})).await;
    let host = |x: &Server| x.status.as_ref()?.placement.as_ref()?.host.clone();
    let server = f.ready_in("web", "Running").await;
    let first = host(&server).expect("a host");
    f.edit("web", f.cloud.avoid(&first).unwrap()).await;
    f.edit("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
    f.edit("web", json!({"powerState": "Running"})).await;
    let moved = f
        .wait("web", "it runs elsewhere", |x| {
            ready(x) && host(x).is_some_and(|h| h != first)
        })
        .await;
    assert_eq!(f.only(&moved).power, "Running");
}

/// A server for which the cloud tells a password.
async fn telling(f: &Field) {
    let mut spec = f.cloud.tells().unwrap();
    spec["credentialsSecretName"] = json!("web-login");
    f.create("web", spec).await;
}

fn stored(server: &Server) -> String {
    let found = condition(server, ConditionType::CredentialsStored);
    found.map_or_else(String::new, |c| format!("{}/{}", c.status, c.reason))
}

/// Lost, and still so for the next controller.
async fn stays_lost(f: &mut Field) {
    // A server can run before the last try to write its Secret is over.
    let server = f
        .wait("web", "it runs, and its password is lost", |x| {
            ready(x) && stored(x) == "False/CredentialsLost"
        })
        .await;
    f.only(&server);
    assert!(f.api::<Secret>().get_opt("web-login").await.unwrap().is_none());
    f.kill().await;
    f.run();
    f.edit("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    assert_eq!(stored(&server), "False/CredentialsLost");
    let events = f.api.list("events");
    let lost = events.iter().filter(|e| e["reason"] == "CredentialsLost").count();
    assert_eq!(lost, 1, "{events:#?}");
}

pub async fn a_password_whose_reply_was_lost_is_lost(f: &mut Field) {
    f.cloud.next_create(Mishap::LostReply);
    telling(f).await;
    stays_lost(f).await;
}

pub async fn a_password_whose_secret_cannot_be_written_is_lost(f: &mut Field) {
    let broken = Rule::new(Fault::Status(500)).verb(Verb::Create).on("secrets");
    // The first is the question whether it may be written.
    f.api.fault(broken.nth(2).times(99));
    telling(f).await;
    // Told by the log too, as a fault of ours to look at.
    f.expected_fault("credentials are lost");
    stays_lost(f).await;
}

pub async fn a_password_that_is_told_lands_in_its_secret(f: &mut Field) {
    telling(f).await;
    let server = f.ready_in("web", "Running").await;
    assert_eq!(stored(&server), "True/CredentialsSaved");
    let secret = f.api::<Secret>().get("web-login").await.unwrap();
    let owner = &secret.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(Some(&owner.uid), server.metadata.uid.as_ref());
    let data = secret.data.unwrap();
    let password = String::from_utf8(data["password"].0.clone()).unwrap();
    // Nova's password is that of whatever user the image has.
    assert_eq!(data.contains_key("username"), f.cloud.name() != "openstack");
    assert!(password.len() >= 8);
    f.plant(password);
}
