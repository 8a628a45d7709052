//! A server that is deleted and kept for a while, as `nova/compute/api.py` `soft_delete`, `restore`, `force_delete` and
//! the `not_soft_deleted` filter of the lists have it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, SimConfig, message};
use crate::sim::openstack::OpenStackSim;

const ACTIVE: &str = "ACTIVE/active/-/1";
const KEPT: &str = "SOFT_DELETED/soft-delete/-/4";

fn keeping(seconds: u64) -> Arc<OpenStackSim> {
    OpenStackSim::new(SimConfig {
        reclaim: Some(Duration::from_secs(seconds)),
        ..SimConfig::default()
    })
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    let (_, body) = client
        .compute("GET", &format!("/servers/detail{query}"), &Value::Null)
        .await;
    let all = body["servers"].as_array().unwrap();
    all.iter()
        .map(|s| s["status"].as_str().unwrap().to_owned())
        .collect()
}

async fn delete(client: &Client, id: &str) -> u16 {
    client
        .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
        .await
        .0
}

#[tokio::test(start_paused = true)]
async fn it_is_shown_by_its_id_hidden_from_lists_and_goes_in_its_time() {
    let sim = keeping(100);
    let client = Client::log_in(&sim, "demo").await;
    let id = client.active("a", json!({})).await;
    assert_eq!(delete(&client, &id).await, 204);
    let states = client.watch(&id, 10).await;
    assert_eq!(states, ["ACTIVE/active/soft-deleting/1", KEPT]);
    assert!(listed(&client, "").await.is_empty());
    let admin = Client::log_in(&sim, "admin").await;
    assert!(listed(&admin, "?all_tenants=1").await.is_empty());
    assert_eq!(
        listed(&admin, "?all_tenants=1&deleted=true").await,
        ["SOFT_DELETED"]
    );
    for action in ["os-start", "os-stop", "pause", "unshelve"] {
        let (status, body) = client.act(&id, json!({ action: null })).await;
        assert_eq!(status, 409, "{body}");
        assert!(message(&body).contains("vm_state soft-delete"), "{body}");
    }
    // A second delete begins its time anew.
    tokio::time::sleep(Duration::from_secs(80)).await;
    assert_eq!(delete(&client, &id).await, 204);
    tokio::time::sleep(Duration::from_secs(80)).await;
    assert_eq!(client.watch(&id, 1).await, [KEPT]);
    assert_eq!(client.watch(&id, 60).await.last().unwrap(), "404");
    assert!(sim.live_servers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_is_restored_or_deleted_at_once() {
    let sim = keeping(100);
    let client = Client::log_in(&sim, "demo").await;
    let id = client.active("a", json!({})).await;
    let (status, body) = client.act(&id, json!({ "restore": null })).await;
    assert_eq!(status, 409, "{body}");
    delete(&client, &id).await;
    client.settle().await;
    assert_eq!(client.act(&id, json!({ "restore": null })).await.0, 202);
    assert_eq!(
        client.watch(&id, 5).await,
        ["SOFT_DELETED/soft-delete/restoring/4", ACTIVE]
    );
    assert_eq!(listed(&client, "").await, ["ACTIVE"]);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(client.watch(&id, 1).await, [ACTIVE], "its day was struck out");
    delete(&client, &id).await;
    client.settle().await;
    sim.oob_lock(&id, "audit").unwrap();
    for action in ["restore", "forceDelete"] {
        assert_eq!(client.act(&id, json!({ action: null })).await.0, 409, "{action}");
    }
    sim.oob_unlock(&id).unwrap();
    assert_eq!(client.act(&id, json!({ "forceDelete": null })).await.0, 202);
    assert_eq!(client.watch(&id, 10).await.last().unwrap(), "404");
}

#[tokio::test(start_paused = true)]
async fn what_never_ran_or_is_on_no_host_is_not_kept() {
    let sim = keeping(100);
    let client = Client::log_in(&sim, "demo").await;
    let new = client.create("a", json!({})).await;
    assert_eq!(delete(&client, &new).await, 204);
    assert_eq!(client.watch(&new, 15).await.last().unwrap(), "404");
    let shelved = client.active("b", json!({})).await;
    assert_eq!(client.act(&shelved, json!({ "shelve": null })).await.0, 202);
    client.settle().await;
    delete(&client, &shelved).await;
    assert_eq!(client.watch(&shelved, 15).await.last().unwrap(), "404");
    // And what runs is deleted at once where that is asked for.
    let forced = client.active("c", json!({})).await;
    assert_eq!(client.act(&forced, json!({ "forceDelete": null })).await.0, 202);
    let states = client.watch(&forced, 15).await;
    assert!(!states.contains(&KEPT.to_owned()), "{states:?}");
    assert_eq!(states.last().unwrap(), "404");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_was_used_up_meanwhile_refuses_a_restoration() {
    let sim = keeping(1000);
    let client = Client::log_in(&sim, "quota").await;
    let first = client.active("a", json!({})).await;
    delete(&client, &first).await;
    client.settle().await;
    client.active("b", json!({})).await;
    let (status, body) = client.act(&first, json!({ "restore": null })).await;
    assert_eq!(status, 403, "{body}");
    assert!(message(&body).contains("Quota exceeded"), "{body}");
    assert_eq!(client.watch(&first, 1).await, [KEPT]);
}
