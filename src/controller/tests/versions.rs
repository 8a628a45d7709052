//! Objects in which a newer version of the controller has written, as after a release that was taken back.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{MINUTE, WEB, World};

#[tokio::test(start_paused = true)]
async fn an_operation_of_a_newer_version_stays_as_it_was_written() {
    let world = World::with_config();
    world.server("web");
    let running = world.start("p1");
    world.ready(WEB).await;
    running.stop.cancel();
    running.task.await.unwrap();
    let deadline = world.kube.now() + Duration::from_secs(3600);
    let operation = json!({"id": "teleport-1", "kind": "Teleport", "startedAt": world.kube.now().to_string(),
        "deadline": deadline.to_string(), "attempt": 1, "beam": {"width": 3}});
    world
        .kube
        .edit_status(WEB, |status| status["operation"] = operation.clone())
        .unwrap();
    world
        .kube
        .edit(WEB, |o: &mut Value| o["spec"]["powerState"] = json!("Stopped"))
        .unwrap();
    let before = world.kube.get(WEB).unwrap();
    let _next = world.start("p2");
    tokio::time::sleep(10 * MINUTE).await;
    let after = world.kube.get(WEB).unwrap();
    assert_eq!(after["status"], before["status"]);
    assert_eq!(world.cloud.live_servers()[0].asked, ["create"]);
    world.kube.delete(WEB).unwrap();
    world
        .kube
        .wait_for(WEB, 5 * MINUTE, |o| o.is_none())
        .await
        .unwrap();
    assert!(world.cloud.live_servers().is_empty());
}
