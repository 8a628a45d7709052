//! What a server is found with is recorded and not acted on: only a wish that changes afterwards is carried out.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use serde_json::json;
use tokio::time::sleep;

use crate::scenarios::stage::{id_of, words};
use crate::world::{NAMESPACE, Virtual};

const HOUR: Duration = Duration::from_secs(3600);

/// What was done to the only server.
fn done(world: &Virtual) -> Vec<&'static str> {
    let all = world.sim.live_servers();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].asked.clone()
}

#[tokio::test(start_paused = true)]
async fn an_image_whose_name_points_elsewhere_installs_nothing() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let first = world.start();
    let spec = json!({"rebuild": {"when": "OnImageChange"}, "resize": {"when": "StopIfNeeded"}});
    s.create("web", spec).await;
    s.ready_in("web", "Running").await;
    let new = world.sim.repoint_image("cirros").unwrap();
    sleep(HOUR).await;
    // Neither for another process, nor for one that finds no status and knows it by its mark.
    first.kill().await;
    let second = world.start();
    sleep(HOUR).await;
    second.kill().await;
    let place = ("servers", NAMESPACE, "web");
    world
        .api
        .edit_status(place, |status| *status = json!({"observedGeneration": -1}))
        .unwrap();
    world.run();
    s.ready_in("web", "Running").await;
    sleep(HOUR).await;
    s.edit("web", json!({"labels": {"a": "b"}})).await;
    s.ready_in("web", "Running").await;
    assert_eq!(done(&world), ["create"]);
    // Another text is another wish.
    s.edit("web", json!({"image": {"id": new, "name": null}})).await;
    let installed = |x: &Server| {
        x.status
            .as_ref()
            .is_some_and(|s| s.image.as_ref().is_some_and(|i| i.id.as_deref() == Some(&new)))
    };
    s.wait("web", "it is installed", installed).await;
    assert_eq!(done(&world), ["create", "rebuild"]);
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn an_import_with_other_wishes_disturbs_nothing() {
    let (world, s) = Virtual::new().await;
    let id = world.sim.oob_create("legacy").unwrap();
    s.nova.until(&id, "ACTIVE").await;
    let wishes = json!({"import": {"id": id}, "powerState": "Running", "deletionPolicy": "Orphan",
        "size": {"name": "m1.large"}, "resize": {"when": "StopIfNeeded"},
        "image": {"name": "cirros-new"}, "rebuild": {"when": "OnImageChange"},
        "restart": {"token": "long ago", "mode": "Hard"}, "hostname": "other", "cloudName": "other",
        "labels": {"tier": "web"}, "openstack": {"securityGroups": ["other"], "tags": ["red"], "networks": null}});
    s.create("adopted", wishes).await;
    let server = s.ready_in("adopted", "Running").await;
    assert_eq!(id_of(&server), id);
    sleep(HOUR).await;
    let is = world.sim.server(&id).unwrap();
    assert_eq!(is.asked, ["create"]);
    assert_eq!(
        (is.name.as_str(), is.hostname.as_str(), is.flavor.as_str()),
        ("legacy", "legacy", "m1.tiny")
    );
    // What is not as declared is said.
    let server = s.get("adopted").await;
    let drift = words(&server, ConditionType::DriftDetected);
    for word in [
        "name is \"legacy\"",
        "hostname is \"legacy\"",
        "m1.large is declared",
    ] {
        assert!(drift.contains(word), "{word}: {drift}");
    }
    // What changes from now on is carried out.
    s.edit("adopted", json!({"restart": {"token": "now"}})).await;
    s.wait("adopted", "it is restarted", |x| {
        let restart = x.status.as_ref().and_then(|s| s.restart.as_ref());
        restart.is_some_and(|r| (r.token.as_str(), r.outcome.as_str()) == ("now", "Done"))
    })
    .await;
    assert_eq!(done(&world), ["create", "reboot"]);
    world.judge().await;
}
