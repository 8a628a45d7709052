//! What only CloudDC does: switches that fail in the machine, deletions that end in an error, installations that break.

use std::sync::Arc;

use evenkeel::api::{ConditionType, Server};
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::clouddc::{CloudDcSim, HypervisorOrder};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::clouds::clouddc::open;
use super::field::Field;
use crate::scenarios::cluster::{condition, id_of, ready};

const WORDS: &str = "BMC is silent";

async fn field() -> (Field, Arc<CloudDcSim>) {
    let api = ApiServer::new().unwrap();
    let (cloud, sim) = open(&api);
    (Field::new(cloud, api).await, sim)
}

/// These jobs fail from now on.
fn fails(sim: &CloudDcSim, call: &str) {
    sim.order(HypervisorOrder {
        call: call.to_owned(),
        server: None,
        delay_ms: None,
        fault: Some(format!("error:{WORDS}")),
    });
}

fn says(server: &Server, kind: ConditionType) -> bool {
    condition(server, kind).is_some_and(|c| c.message.contains(WORDS))
}

fn outcome(server: &Server) -> &str {
    let restart = server.status.as_ref().and_then(|s| s.restart.as_ref());
    restart.map_or("", |r| r.outcome.as_str())
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_fails_is_told_in_the_cloud_s_words_and_tried_again() {
    let (f, sim) = field().await;
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    for (call, wish) in [("power_off", "Stopped"), ("power_on", "Running")] {
        fails(&sim, call);
        f.edit("web", json!({"powerState": wish})).await;
        f.wait("web", "its failure is told", |s| says(s, ConditionType::Ready))
            .await;
        sim.clear_faults();
        f.ready_in("web", wish).await;
    }
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_fails_is_no_restart() {
    let (f, sim) = field().await;
    f.create("web", json!({})).await;
    f.ready_in("web", "Running").await;
    fails(&sim, "reboot");
    let asked = tokio::time::Instant::now();
    f.edit("web", json!({"restart": {"token": "a"}})).await;
    f.reason("web", ConditionType::Ready, "False", "RestartFailed")
        .await;
    let server = f.wait("web", "told", |s| says(s, ConditionType::Ready)).await;
    assert_eq!(outcome(&server), "Failed");
    assert!(asked.elapsed().as_secs() < 600, "{:?}", asked.elapsed());
    sim.clear_faults();
    f.edit("web", json!({"restart": {"token": "b"}})).await;
    f.wait("web", "restarted", |s| ready(s) && outcome(s) == "Done")
        .await;
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_asked_for_again_without_any_secret() {
    let (f, sim) = field().await;
    f.create("web", json!({})).await;
    let id = id_of(&f.ready_in("web", "Running").await).to_owned();
    let secrets = f.api::<Secret>();
    secrets.delete("cloud-admin", &Default::default()).await.unwrap();
    fails(&sim, "delete");
    f.delete("web").await;
    f.wait("web", "the failure is told", |s| {
        says(s, ConditionType::DeletionBlocked)
    })
    .await;
    sim.clear_faults();
    f.gone("web").await;
    assert!(f.seen(&id).is_none());
    let counts = f.cloud.counts();
    assert!(counts.keys().all(|k| !k.contains("reinstall")), "{counts:?}");
    f.judge().await;
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_breaks_makes_way_for_a_new_server() {
    let (f, sim) = field().await;
    f.create("web", json!({})).await;
    f.until("it is being installed", |all| !all.is_empty()).await;
    let broken = f.cloud.servers().remove(0).id;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    sim.set_error(&broken, "reinstall-failed", None, WORDS).unwrap();
    f.wait("web", "the failure is told", |s| says(s, ConditionType::Ready))
        .await;
    let server = f.ready_in("web", "Running").await;
    assert!(id_of(&server) != broken && f.seen(&broken).is_none());
    f.judge().await;
}
