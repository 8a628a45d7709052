//! Deeds of ServerActions, on every cloud that has them.

use evenkeel::api::server_status::OperationKind;
use serde_json::json;

use super::field::Field;
use crate::scenarios::cluster::id_of;
use crate::scenarios::deeds::{ask, ended, stands};

/// How often a deed of this name was begun, as the Server remembers it.
async fn begun(f: &Field, name: &str) -> usize {
    let server = f.get("web").await;
    let all = server.status.unwrap().actions;
    all.iter()
        .filter(|r| r.name == name && r.started_at.is_some())
        .count()
}

pub async fn a_deed_restarts_once(f: &mut Field) {
    f.create("web", json!({})).await;
    let server = f.ready_in("web", "Running").await;
    ask(f, "now", "web", json!({"reboot": {"mode": "SoftThenHard"}})).await;
    let (reason, words) = stands(&ended(f, "now").await);
    assert_eq!(reason, "Succeeded", "{words}");
    f.ready_in("web", "Running").await;
    assert_eq!(
        (f.only(&server).power.as_str(), begun(f, "now").await),
        ("Running", 1)
    );
    // A stopped server is not restarted by being asked.
    f.edit("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
    ask(f, "then", "web", json!({"reboot": {"mode": "SoftThenHard"}})).await;
    let (reason, words) = stands(&ended(f, "then").await);
    assert_eq!(reason, "NotAllowed", "{words}");
    assert!(words.contains("Running") && words.contains("Stopped"), "{words}");
}

pub async fn a_deed_waits_for_the_operation_that_is_under_way(f: &mut Field) {
    f.create("web", json!({"powerState": "Stopped"})).await;
    f.ready_in("web", "Stopped").await;
    f.edit("web", json!({"powerState": "Running"})).await;
    f.wait("web", "it is being started", |s| {
        let operation = s.status.as_ref().and_then(|s| s.operation.as_ref());
        operation.is_some_and(|o| o.kind == OperationKind::Start)
    })
    .await;
    ask(f, "now", "web", json!({"reboot": {"mode": "SoftThenHard"}})).await;
    let (reason, words) = stands(&ended(f, "now").await);
    assert_eq!(reason, "Succeeded", "{words}");
    f.ready_in("web", "Running").await;
    assert_eq!(begun(f, "now").await, 1);
}

pub async fn a_deed_installs_anew_once(f: &mut Field) {
    f.create("web", json!({"powerState": "Stopped"})).await;
    let server = f.ready_in("web", "Stopped").await;
    let id = id_of(&server).to_owned();
    let before = f.cloud.installations(&id);
    ask(f, "again", "web", json!({"reinstall": {}})).await;
    let (reason, words) = stands(&ended(f, "again").await);
    assert_eq!(reason, "Succeeded", "{words}");
    f.ready_in("web", "Stopped").await;
    assert_eq!(f.cloud.installations(&id) - before, 1);
    assert_eq!(begun(f, "again").await, 1);
}

pub async fn a_deed_that_the_cloud_lacks_is_unsupported(f: &mut Field) {
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    ask(f, "image", "web", json!({"createImage": {"name": "before"}})).await;
    let (reason, words) = stands(&ended(f, "image").await);
    assert_eq!(reason, "Unsupported", "{words}");
    f.ready_in("web", "Running").await;
}
