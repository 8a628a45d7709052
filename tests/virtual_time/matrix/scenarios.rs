//! The scenarios of the matrix, in words that fit every cloud.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server};
use evenkeel::planner::model::ServerState;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::time::sleep;

pub use super::changes::*;
use super::clouds::Mishap;
pub use super::contract::*;
pub use super::deeds::*;
use super::field::Field;
pub use super::grouped::*;
pub use super::members::*;
pub use super::placement::*;
pub use super::special::*;
pub use super::turns::*;
use crate::scenarios::cluster::{condition, id_of, power_of, ready, words};
use crate::world::NAMESPACE;

pub async fn create_to_ready(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    let real = f.only(&server);
    assert_eq!(
        (real.id.as_str(), real.power.as_str()),
        (id_of(&server), "Running")
    );
    let status = server.status.as_ref().unwrap();
    assert_eq!(status.create_attempts, Some(1));
    assert!(status.create_attempt.is_none() && status.operation.is_none());
    assert!(!status.addresses.is_empty(), "no address in status");
}

pub async fn created_stopped(f: &mut Field) {
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    assert_eq!(f.only(&server).power, "Stopped");
    let addressed = |x: &Server| ready(x) && !x.status.as_ref().unwrap().addresses.is_empty();
    f.wait("web", "an address in status", addressed).await;
    // What it still costs is said of the server, and of the account.
    let cost = f.cloud.capabilities().idle_cost(ServerState::Stopped).unwrap();
    let said = condition(&server, ConditionType::Ready).unwrap();
    assert!(said.message.ends_with(cost.holds), "{}", said.message);
    let shows = |x: &ProviderConfig| {
        let can = x.status.as_ref().and_then(|s| s.capabilities.as_ref());
        can.is_some_and(|can| {
            let mut all = can.idle_costs.iter();
            can.stopped_cost == cost.cost.as_str()
                && all.any(|c| c.state == "Stopped" && c.holds == cost.holds)
        })
    };
    f.wait_for("cloud", "what it costs", shows).await;
}

pub async fn stop_and_start(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
    assert_eq!(f.only(&server).power, "Stopped");
    f.edit("web", json!({"powerState": "Running"})).await;
    f.ready_in("web", "Running").await;
    assert_eq!(f.only(&server).power, "Running");
}

pub async fn restart_by_token(f: &mut Field) {
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    f.edit("web", json!({"restart": {"token": "1"}})).await;
    let done = f
        .wait("web", "the restart is done", |x| {
            let restart = x.status.as_ref().and_then(|s| s.restart.as_ref());
            ready(x) && restart.is_some_and(|r| r.token == "1" && r.outcome != "Restarting")
        })
        .await;
    let restart = done.status.as_ref().unwrap().restart.as_ref().unwrap();
    assert!(
        ["Done", "Unverified"].contains(&restart.outcome.as_str()),
        "{restart:?}"
    );
    assert_eq!(f.only(&done).power, "Running");
}

pub async fn a_stop_that_never_ends_is_a_stop_timeout(f: &mut Field) {
    f.create("web", json!({"powerOff": {"timeout": "30s"}})).await;
    f.ready_in("web", "Running").await;
    f.cloud.stops_hang(true);
    f.edit("web", json!({"powerState": "Stopped"})).await;
    let stuck = f
        .reason("web", ConditionType::Stalled, "True", "StopTimeout")
        .await;
    assert!(!ready(&stuck));
    f.cloud.stops_hang(false);
    f.ready_in("web", "Stopped").await;
}

pub async fn resize_while_running(f: &mut Field) {
    let (_, big) = f.cloud.sizes().unwrap();
    f.create("web", json!({"resize": {"when": "StopIfNeeded"}})).await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"size": {"name": big}})).await;
    sized(f, big).await;
    f.ready_in("web", "Running").await;
    assert_eq!(f.only(&server).size, big);
}

pub async fn resize_while_stopped(f: &mut Field) {
    let (small, big) = f.cloud.sizes().unwrap();
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    for size in [big, small] {
        f.edit("web", json!({"size": {"name": size}})).await;
        sized(f, size).await;
        f.ready_in("web", "Stopped").await;
        assert_eq!(f.only(&server).size, size);
    }
}

pub async fn a_smaller_size_waits_for_the_stop(f: &mut Field) {
    let (small, big) = f.cloud.sizes().unwrap();
    f.create("web", json!({"size": {"name": big}})).await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"size": {"name": small}})).await;
    let waiting = f
        .reason("web", ConditionType::SizeSynced, "False", "PendingPowerOff")
        .await;
    assert!(ready(&waiting));
    assert_eq!(f.only(&server).size, big);
    f.edit("web", json!({"powerState": "Stopped"})).await;
    sized(f, small).await;
    f.edit("web", json!({"powerState": "Running"})).await;
    f.ready_in("web", "Running").await;
    assert_eq!(f.only(&server).size, small);
}

async fn sized(f: &Field, size: &str) {
    f.wait("web", &format!("size {size}"), |x| {
        ready(x)
            && x.status.as_ref().unwrap().size.as_deref() == Some(size)
            && condition(x, ConditionType::SizeSynced).is_some_and(|c| c.status == "True")
    })
    .await;
}

pub async fn a_stop_from_outside_is_put_back(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.stop(id_of(&server));
    f.wait("web", "the stop is seen", |x| power_of(x) != "Running")
        .await;
    f.ready_in("web", "Running").await;
    assert_eq!(f.only(&server).power, "Running");
}

pub async fn a_start_from_outside_is_put_back(f: &mut Field) {
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    f.cloud.start(id_of(&server));
    f.wait("web", "the start is seen", |x| power_of(x) != "Stopped")
        .await;
    f.ready_in("web", "Stopped").await;
    assert_eq!(f.only(&server).power, "Stopped");
}

pub async fn a_stop_from_outside_is_respected(f: &mut Field) {
    f.create("web", json!({"driftPolicy": "RespectStop"})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.stop(id_of(&server));
    f.wait("web", "the stop is respected", |x| {
        condition(x, ConditionType::PowerSynced).is_some_and(|c| c.reason == "StopRespected")
    })
    .await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(f.only(&server).power, "Stopped");
}

pub async fn a_stop_from_outside_is_only_shown(f: &mut Field) {
    f.create("web", json!({"driftPolicy": "Observe"})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.stop(id_of(&server));
    f.reason("web", ConditionType::DriftDetected, "True", "PowerDrift")
        .await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(f.only(&server).power, "Stopped");
}

pub async fn a_deletion_from_outside_is_missing(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.cloud.delete(id_of(&server));
    f.reason("web", ConditionType::Stalled, "True", "Missing").await;
    assert!(f.cloud.servers().is_empty(), "nothing is made by itself");
}

pub async fn a_deletion_from_outside_is_made_good(f: &mut Field) {
    f.create("web", json!({"onMissing": "Recreate"})).await;
    let first = f.ready_in("web", "Running").await;
    f.cloud.delete(id_of(&first));
    let second = f
        .wait("web", "another server", |x| ready(x) && id_of(x) != id_of(&first))
        .await;
    assert_eq!(f.only(&second).id, id_of(&second));
    assert_eq!(second.status.unwrap().previous_ids, [id_of(&first)]);
}

pub async fn deletion_takes_the_server_along(f: &mut Field) {
    f.create("web", json!({"deletionProtection": true})).await;
    let server = f.ready_in("web", "Running").await;
    f.delete("web").await;
    f.wait("web", "DeletionProtected", |x| {
        condition(x, ConditionType::DeletionBlocked)
            .is_some_and(|c| c.status == "True" && c.reason == "DeletionProtected")
    })
    .await;
    assert_eq!(f.only(&server).power, "Running");
    f.edit("web", json!({"deletionProtection": false})).await;
    f.gone("web").await;
    assert!(f.cloud.servers().is_empty());
}

pub async fn deletion_while_it_is_made(f: &mut Field) {
    f.create("web", json!({})).await;
    f.until("it is being made", |all| !all.is_empty()).await;
    f.remove("web").await;
    assert!(f.cloud.servers().is_empty());
}

pub async fn an_orphan_stays(f: &mut Field) {
    f.create("web", json!({"deletionPolicy": "Orphan"})).await;
    let server = f.ready_in("web", "Running").await;
    f.remove("web").await;
    let left = f.seen(id_of(&server)).expect("it stays");
    assert_eq!(left.power, "Running");
    if f.cloud.capabilities().marks_mutable {
        assert_eq!(left.uid, None, "our marks are off");
    }
}

pub async fn an_existing_server_is_imported(f: &mut Field) {
    let id = f.cloud.by_hand("legacy");
    f.until("it runs", |all| all.iter().all(|s| s.power == "Running"))
        .await;
    let import = json!({"import": {"id": id}, "powerState": "Running", "deletionPolicy": "Orphan"});
    f.create("adopted", import).await;
    let server = f.ready_in("adopted", "Running").await;
    assert_eq!(id_of(&server), id);
    f.edit("adopted", json!({"powerState": "Stopped"})).await;
    f.ready_in("adopted", "Stopped").await;
    f.remove("adopted").await;
    let left = f.seen(&id).expect("it stays");
    assert_eq!((left.power.as_str(), left.uid), ("Stopped", None));
}

pub async fn two_imports_of_one_server_have_one_owner(f: &mut Field) {
    let id = f.cloud.by_hand("legacy");
    f.until("it runs", |all| all.iter().all(|s| s.power == "Running"))
        .await;
    let import = |power: &str| json!({"import": {"id": id}, "powerState": power, "deletionPolicy": "Delete"});
    f.create("first", import("Running")).await;
    f.ready_in("first", "Running").await;
    f.create("second", import("Stopped")).await;
    f.reason("second", ConditionType::Ready, "False", "OwnedByOther")
        .await;
    // Neither the wish of the second one nor its end does anything to it.
    f.edit("second", json!({"powerState": "Unmanaged"})).await;
    f.remove("second").await;
    assert_eq!(f.seen(&id).unwrap().power, "Running");
    f.edit("first", json!({"powerState": "Stopped"})).await;
    f.ready_in("first", "Stopped").await;
}

pub async fn names_that_contain_each_other_are_two_servers(f: &mut Field) {
    f.create("web", json!({})).await;
    f.create("web-1", json!({})).await;
    let (a, b) = (f.ready("web").await, f.ready("web-1").await);
    assert_ne!(id_of(&a), id_of(&b));
    f.remove("web").await;
    assert!(f.seen(id_of(&a)).is_none());
    assert_eq!(f.only(&b).power, "Running");
}

pub async fn a_stranger_of_the_same_name_is_never_touched(f: &mut Field) {
    let stranger = f.cloud.by_hand("web");
    f.until("it runs", |all| all.iter().all(|s| s.power == "Running"))
        .await;
    let before = f.seen(&stranger).unwrap();
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    assert_ne!(id_of(&server), stranger);
    f.remove("web").await;
    assert_eq!(f.seen(&stranger), Some(before));
}

pub async fn an_earlier_incarnation_is_named_and_left_alone(f: &mut Field) {
    f.create("web", json!({})).await;
    let first = f.ready_in("web", "Running").await;
    let before = f.only(&first);
    f.api.force_delete(("servers", NAMESPACE, "web")).unwrap();
    f.create("web", json!({})).await;
    let stalled = f
        .reason("web", ConditionType::Stalled, "True", "PreviousIncarnation")
        .await;
    assert!(words(&stalled, ConditionType::Stalled).contains(&before.id));
    assert_eq!(f.cloud.servers(), [before]);
}

pub async fn no_room_is_shown_and_cured_without_an_edit(f: &mut Field) {
    f.cloud.no_room(true);
    f.create("web", json!({})).await;
    let failed = f
        .wait("web", "the failure is shown", |x| {
            !ready(x) && x.status.as_ref().is_some_and(|s| s.failure.is_some())
        })
        .await;
    let said = failed.status.as_ref().unwrap().failure.as_ref().unwrap();
    assert!(
        words(&failed, ConditionType::Ready).contains(&said.message),
        "{failed:#?}"
    );
    f.cloud.no_room(false);
    let server = f.ready_in("web", "Running").await;
    assert_eq!(f.cloud.servers().len(), 1, "the failed one is gone");
    assert!(server.status.unwrap().failure.is_none());
}

pub async fn what_the_cloud_refuses_is_an_invalid_spec(f: &mut Field) {
    let (spec, named) = f.cloud.refused();
    f.create("web", spec).await;
    let refused = f
        .reason("web", ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    let said = words(&refused, ConditionType::Stalled);
    assert!(said.contains(named), "{said}");
    f.edit("web", f.cloud.spec()).await;
    f.ready_in("web", "Running").await;
}

pub async fn wrong_credentials_are_shown_and_cured_by_the_secret(f: &mut Field) {
    f.account("other", false).await;
    f.create("web", json!({"providerConfigRef": {"name": "other"}}))
        .await;
    f.reason("web", ConditionType::Stalled, "True", "CredentialsInvalid")
        .await;
    f.patch::<Secret>("other", json!({"stringData": f.cloud.secret(true)}))
        .await;
    f.ready_in("web", "Running").await;
}

pub async fn a_lost_reply_makes_no_second_server(f: &mut Field) {
    f.cloud.next_create(Mishap::LostReply);
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.only(&server);
    assert_eq!(server.status.unwrap().create_attempts, Some(1));
    assert_eq!(f.went_wrong(), 1);
}

pub async fn a_creation_that_comes_late_makes_no_second_server(f: &mut Field) {
    f.cloud.next_create(Mishap::LateApply);
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.only(&server);
    assert_eq!(f.went_wrong(), 1);
}

pub async fn a_creation_that_is_not_answered_is_tried_again(f: &mut Field) {
    f.cloud.next_create(Mishap::Unavailable);
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    f.only(&server);
    assert_eq!(f.went_wrong(), 1);
}

pub async fn the_cloud_away_for_a_minute_in_every_operation(f: &mut Field) {
    f.create("web", json!({})).await;
    f.until("it is being made", |all| !all.is_empty()).await;
    away(f).await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"powerState": "Stopped"})).await;
    away(f).await;
    f.ready_in("web", "Stopped").await;
    f.edit("web", json!({"powerState": "Running"})).await;
    away(f).await;
    f.ready_in("web", "Running").await;
    f.only(&server);
    f.delete("web").await;
    away(f).await;
    f.gone("web").await;
    assert!(f.cloud.servers().is_empty());
}

async fn away(f: &Field) {
    f.cloud.reset_requests();
    f.cloud.outage(true);
    sleep(Duration::from_secs(60)).await;
    f.cloud.outage(false);
    assert!(f.went_wrong() > 0, "nobody saw it");
}

pub async fn killed_in_every_operation(f: &mut Field) {
    f.create("web", json!({})).await;
    f.until("it is being made", |all| !all.is_empty()).await;
    again(f).await;
    let server = f.ready_in("web", "Running").await;
    f.edit("web", json!({"powerState": "Stopped"})).await;
    under_way(f, "Stop").await;
    again(f).await;
    f.ready_in("web", "Stopped").await;
    f.edit("web", json!({"powerState": "Running"})).await;
    under_way(f, "Start").await;
    again(f).await;
    f.ready_in("web", "Running").await;
    f.only(&server);
    f.delete("web").await;
    f.wait("web", "the deletion is recorded", |x| {
        x.status.as_ref().is_some_and(|s| s.operation.is_some())
    })
    .await;
    again(f).await;
    f.gone("web").await;
    assert!(f.cloud.servers().is_empty());
}

async fn under_way(f: &Field, kind: &str) {
    f.wait("web", kind, |x: &Server| {
        let operation = x.status.as_ref().and_then(|s| s.operation.as_ref());
        operation.is_some_and(|o| o.kind.as_str() == kind)
    })
    .await;
}

async fn again(f: &mut Field) {
    f.kill().await;
    sleep(Duration::from_secs(5)).await;
    f.run();
}
