//! What is seen is odd: servers that are missing from lists alone, hang, are broken, or were replaced.

use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::json;
use tokio::time::sleep;

use super::{LIST, asked};
use crate::scenarios::nova::essence;
use crate::scenarios::stage::{condition, id_of, ready, words};
use crate::world::Virtual;

#[tokio::test(start_paused = true)]
async fn a_list_without_a_server_that_exists_is_not_believed_however_long() {
    for effect in [
        FaultEffect::PartialList {
            omit: 0,
            keep: None,
            server: Some("web".to_owned()),
        },
        FaultEffect::DownCell {
            server: "web".to_owned(),
        },
    ] {
        let (world, s) = Virtual::new().await;
        s.create("web", json!({"onMissing": "Recreate"})).await;
        s.create("other", json!({})).await;
        let server = s.ready("web").await;
        s.ready("other").await;
        world.sim.inject(FaultRule::new(effect.clone()).on(LIST));
        world.sim.reset_requests();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(asked(&world, "POST /servers"), 0, "{effect:?}: made again");
        let now = s.get("web").await;
        assert_eq!(id_of(&now), id_of(&server));
        let stalled = condition(&now, ConditionType::Stalled);
        assert!(
            stalled.is_none_or(|c| c.reason != "Missing"),
            "{effect:?}: {stalled:?}"
        );
        assert!(ready(&s.get("other").await), "{effect:?}");
        world.sim.clear_faults();
        s.ready("web").await;
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_in_the_cloud_needs_a_person_in_the_end() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let server = s.ready("web").await;
    s.nova
        .act(id_of(&server), &json!({"reboot": {"type": "SOFT"}}))
        .await;
    world
        .sim
        .stall(id_of(&server), Duration::from_secs(2 * 3600))
        .unwrap();
    let since = tokio::time::Instant::now();
    let stuck = s
        .reason("web", ConditionType::Stalled, "True", "OperationTimeout")
        .await;
    assert!(
        since.elapsed() > Duration::from_secs(900),
        "{:?}",
        since.elapsed()
    );
    let said = words(&stuck, ConditionType::Stalled);
    assert!(said.contains("REBOOT"), "{said}");
    let mut s = s;
    s.cluster.patience = Duration::from_secs(3 * 3600);
    s.ready_in("web", "Running").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_server_goes_when_it_is_deleted_and_runs_again_only_on_demand() {
    for on_error in ["Hold", "HardReboot"] {
        let (world, s) = Virtual::new().await;
        s.create("web", json!({"onError": on_error})).await;
        let server = s.ready("web").await;
        world.sim.set_error(id_of(&server), "the host burns").unwrap();
        if on_error == "HardReboot" {
            s.wait("web", "the error is seen", |x| !ready(x)).await;
            s.ready_in("web", "Running").await;
        } else {
            let broken = s
                .reason("web", ConditionType::Stalled, "True", "ErrorStillRunning")
                .await;
            assert!(words(&broken, ConditionType::Stalled).contains("the host burns"));
            let began = tokio::time::Instant::now();
            s.remove("web").await;
            assert!(
                began.elapsed() < Duration::from_secs(180),
                "{:?}",
                began.elapsed()
            );
            assert!(world.sim.live_servers().is_empty());
        }
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_the_same_name_does_not_take_the_place_of_one_that_is_gone() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"powerState": "Stopped"})).await;
    let server = s.ready_in("web", "Stopped").await;
    s.nova.delete(id_of(&server)).await;
    let other = s.nova.create("web").await;
    let before = essence(&s.nova.show(&other).await.unwrap());
    let missing = s.reason("web", ConditionType::Stalled, "True", "Missing").await;
    assert_eq!(id_of(&missing), id_of(&server));
    let said = words(&missing, ConditionType::Stalled);
    assert!(said.contains(&other), "the look-alike is named: {said}");
    world.judge().await;
    assert_eq!(essence(&s.nova.show(&other).await.unwrap()), before);
    s.remove("web").await;
    assert_eq!(essence(&s.nova.show(&other).await.unwrap()), before);
}
