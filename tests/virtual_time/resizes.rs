//! Resizes that wait for somebody, are taken back, begun by a stranger, or break half way.

use std::time::Duration;

use evenkeel::api::ConditionType;
use serde_json::json;

use crate::scenarios::stage::{Order, Stage, condition, id_of, power_of, ready};
use crate::world::Virtual;

async fn awaits_confirmation(s: &Stage, power: &str) {
    s.create(
        "web",
        json!({"powerState": power, "resize": {"when": "StopIfNeeded", "confirm": "Manual"}}),
    )
    .await;
    s.ready_in("web", power).await;
    s.edit("web", json!({"size": {"name": "m1.small"}})).await;
    s.reason("web", ConditionType::SizeSynced, "False", "AwaitingConfirm")
        .await;
}

#[tokio::test(start_paused = true)]
async fn setting_the_size_back_reverts() {
    for (power, status) in [("Running", "ACTIVE"), ("Stopped", "SHUTOFF")] {
        let (world, s) = Virtual::new().await;
        awaits_confirmation(&s, power).await;
        world.judge().await;
        assert_eq!(
            world.sim.live_servers()[0].vm_state,
            "resized",
            "nobody confirmed"
        );
        s.edit("web", json!({"size": {"name": "m1.tiny"}})).await;
        s.wait("web", "the old size", |x| {
            ready(x)
                && power_of(x) == power
                && condition(x, ConditionType::SizeSynced).is_some_and(|c| c.status == "True")
        })
        .await;
        let server = &world.sim.live_servers()[0];
        assert_eq!(
            (server.flavor.as_str(), server.status.as_str()),
            ("m1.tiny", status)
        );
        assert_eq!(
            world.sim.counts().get("POST /servers/{id}/action confirmResize"),
            None
        );
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_confirms_in_the_cloud() {
    let (world, s) = Virtual::new().await;
    awaits_confirmation(&s, "Running").await;
    s.nova.plain(id_of(&s.get("web").await), "confirmResize").await;
    s.reason("web", ConditionType::SizeSynced, "True", "Synced").await;
    s.ready_in("web", "Running").await;
    assert_eq!(world.sim.live_servers()[0].flavor, "m1.small");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_soak_is_waited_out_across_a_restart() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let first = world.start();
    let resize = json!({"when": "StopIfNeeded", "confirm": "AfterSoak", "soak": "10m"});
    s.create("web", json!({ "resize": resize })).await;
    s.ready("web").await;
    s.edit("web", json!({"size": {"name": "m1.small"}})).await;
    s.reason("web", ConditionType::SizeSynced, "False", "Soaking")
        .await;
    let since = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(300)).await;
    first.kill().await;
    world.run();
    s.reason("web", ConditionType::SizeSynced, "True", "Synced").await;
    let soaked = since.elapsed();
    let wanted = Duration::from_secs(595)..Duration::from_secs(630);
    assert!(wanted.contains(&soaked), "{soaked:?}");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_s_resize_is_shown_and_left_alone() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"resize": {"when": "StopIfNeeded"}})).await;
    s.ready("web").await;
    world.sim.oob_resize("web", "m1.small").unwrap();
    s.reason("web", ConditionType::DriftDetected, "True", "AwaitingConfirm")
        .await;
    world.judge().await;
    assert_eq!(world.sim.live_servers()[0].vm_state, "resized");
    s.nova.plain(id_of(&s.get("web").await), "confirmResize").await;
    s.reason("web", ConditionType::DriftDetected, "True", "SizeDrift")
        .await;
    assert!(ready(&s.get("web").await));
    world.judge().await;
}

/// Ours is refused, since the cloud is busy with it; the question that follows is not about ours.
#[tokio::test(start_paused = true)]
async fn a_stranger_s_resize_that_came_before_ours_is_left_alone() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"resize": {"when": "StopIfNeeded"}})).await;
    let id = id_of(&s.ready("web").await).to_owned();
    // In no list yet as the size is changed.
    world.sim.oob_resize(&id, "m1.medium").unwrap();
    s.edit("web", json!({"size": {"name": "m1.small"}})).await;
    s.reason("web", ConditionType::DriftDetected, "True", "AwaitingConfirm")
        .await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let server = &world.sim.live_servers()[0];
    assert_eq!(
        (server.vm_state.as_str(), server.flavor.as_str()),
        ("resized", "m1.medium")
    );
    s.nova.plain(&id, "revertResize").await;
    s.reason("web", ConditionType::SizeSynced, "True", "Synced").await;
    s.ready_in("web", "Running").await;
    assert_eq!(world.sim.live_servers()[0].flavor, "m1.small");
    world.judge().await;
}

/// Each call of the hypervisor that belongs to a resize breaks. Whatever Nova is left with: one server, it runs,
/// and what is not as declared is said.
#[tokio::test(start_paused = true)]
async fn a_resize_breaks_at_every_step() {
    for call in ["migrate", "finish_migration", "confirm_migration"] {
        for power in ["Running", "Stopped"] {
            println!("{call} {power}");
            // A guest that runs all the same is not restarted unasked: the cloud's word stays, and both cures are named.
            let ends = match (call, power) {
                ("confirm_migration", "Running") => "Error",
                _ => power,
            };
            let (world, s) = Virtual::new().await;
            s.create(
                "web",
                json!({"powerState": power, "resize": {"when": "StopIfNeeded"}}),
            )
            .await;
            s.ready_in("web", power).await;
            s.world.hypervisor(&[Order {
                call,
                server: "web".to_owned(),
                delay: None,
                fault: Some(("error", "it broke")),
            }]);
            s.edit("web", json!({"size": {"name": "m1.small"}})).await;
            s.wait("web", "settled, and said", |x| {
                let said = condition(x, ConditionType::Stalled)
                    .is_some_and(|c| c.status == "True" && c.message.contains("it broke"));
                power_of(x) == ends
                    && (said || ready(x))
                    && x.status.as_ref().unwrap().operation.is_none()
                    && condition(x, ConditionType::SizeSynced).is_some_and(|c| c.reason != "Resizing")
            })
            .await;
            s.world.hypervisor(&[]);
            world.judge().await;
            assert_eq!(world.sim.live_servers().len(), 1);
        }
    }
}
