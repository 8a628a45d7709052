//! Whatever the cloud says and however often: a status stays small.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use evenkeel::sim::openstack::{FaultEffect, FaultRule, SimConfig};
use serde_json::json;

use crate::scenarios::stage::{Order, words};
use crate::world::Virtual;

/// Far below what etcd takes (1.5 MiB), and what anybody wants to read.
const SMALL: usize = 16 << 10;

fn size(server: &Server) -> usize {
    serde_json::to_vec(&server.status).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_talks_for_a_mebibyte_is_cut_short() {
    let (world, s) = Virtual::new().await;
    let long = "the berth is taken ".repeat((1 << 20) / 19);
    let body = json!({"badRequest": {"code": 400, "message": long}});
    let effect = FaultEffect::Status {
        code: 400,
        body: Some(body),
    };
    world.sim.inject(FaultRule::new(effect).on("POST /servers"));
    s.create("web", json!({})).await;
    let refused = s
        .reason("web", ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    assert!(words(&refused, ConditionType::Stalled).contains("the berth is taken"));
    assert!(size(&refused) < SMALL, "{} bytes", size(&refused));
    world.judge_what_was().await;
}

#[tokio::test(start_paused = true)]
async fn hours_of_failed_creations_do_not_pile_up() {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let mut s = world.stage().await;
    s.cluster.patience = Duration::from_secs(24 * 3600);
    world.run();
    s.world.hypervisor(&[Order {
        call: "spawn",
        server: "web".to_owned(),
        delay: None,
        fault: Some(("abort", "disk on fire")),
    }]);
    s.create("web", json!({})).await;
    let tired = s
        .wait("web", "many attempts", |x| {
            x.status.as_ref().is_some_and(|s| s.create_attempts > Some(13))
        })
        .await;
    let status = tired.status.as_ref().unwrap();
    assert_eq!(status.previous_ids.len(), 10, "the last ten are remembered");
    assert!(size(&tired) < SMALL, "{} bytes", size(&tired));
    // It is not given up, and what was left behind was taken away.
    s.world.hypervisor(&[]);
    s.ready("web").await;
    assert_eq!(world.sim.live_servers().len(), 1);
    world.judge().await;
}
