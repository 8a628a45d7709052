//! Objects that were deleted by force and made again.

use evenkeel::api::{ConditionType, Server};
use serde_json::json;

use crate::scenarios::nova::essence;
use crate::scenarios::stage::{id_of, words};
use crate::world::{NAMESPACE, Virtual};

#[tokio::test(start_paused = true)]
async fn a_server_of_an_earlier_object_is_named_and_left_alone() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let first = s.ready("web").await;
    let before = essence(&s.only(&first).await);
    world.api.force_delete(("servers", NAMESPACE, "web")).unwrap();
    let second = s.create("web", json!({})).await;
    let stalled = s
        .reason("web", ConditionType::Stalled, "True", "PreviousIncarnation")
        .await;
    let said = words(&stalled, ConditionType::Stalled);
    assert!(said.contains(id_of(&first)), "{said}");
    world.judge().await;
    assert_eq!(world.sim.live_servers().len(), 1);
    // Allowed: now there are two, each of its own object, and the first one is as it was.
    let uid = second.metadata.uid.clone().unwrap();
    let allow = json!({"metadata": {"annotations": {"evenkeel.dev/create-anyway": uid}}});
    s.patch::<Server>("web", allow).await;
    let ready = s.ready("web").await;
    assert_ne!(id_of(&ready), id_of(&first));
    assert_eq!(essence(&s.nova.show(id_of(&first)).await.unwrap()), before);
    s.remove("web").await;
    assert_eq!(world.sim.live_servers().len(), 1);
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn it_can_be_taken_over_by_its_id() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let first = s.ready("web").await;
    world.api.force_delete(("servers", NAMESPACE, "web")).unwrap();
    let import =
        json!({"import": {"id": id_of(&first)}, "powerState": "Running", "deletionPolicy": "Delete"});
    s.create("web", import).await;
    let second = s.ready("web").await;
    assert_eq!(id_of(&second), id_of(&first));
    s.only(&second).await;
    s.remove("web").await;
    assert!(world.sim.live_servers().is_empty());
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_has_one_living_owner() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let owner = s.ready("web").await;
    let import =
        json!({"import": {"id": id_of(&owner)}, "powerState": "Stopped", "deletionPolicy": "Delete"});
    s.create("thief", import).await;
    let stalled = s
        .reason("thief", ConditionType::Stalled, "True", "OwnedByOther")
        .await;
    assert!(words(&stalled, ConditionType::Stalled).contains("shop/web"));
    s.remove("thief").await;
    assert_eq!(s.only(&owner).await["status"], "ACTIVE");
    world.judge().await;
}
