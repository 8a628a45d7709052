//! What a settled fleet costs: the list of the account, and nothing else.

use std::time::Duration;

use evenkeel::api::{ProviderConfig, Server};
use evenkeel::sim::openstack::SimConfig;
use serde_json::json;

use crate::scenarios::stage::ready;
use crate::world::{NAMESPACE, Virtual};

async fn an_hour_with(n: usize) {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let s = world.stage().await;
    s.patch::<ProviderConfig>(
        "cloud",
        json!({"spec": {"maxCreatesInFlight": 500, "requests": {"perSecond": 500, "burst": 500}}}),
    )
    .await;
    world.run();
    for i in 0..n {
        // A third of them stopped on purpose: that costs nothing more.
        let power = if i % 3 == 0 { "Stopped" } else { "Running" };
        s.create(&format!("web-{i}"), json!({"powerState": power})).await;
    }
    let settled = world
        .api
        .wait_until("all Ready", Duration::from_secs(7200), |api| {
            // The last ones first: asking for all of them after each change would be slow.
            (0..n).rev().all(|i| {
                api.read::<Server>(NAMESPACE, &format!("web-{i}"))
                    .is_some_and(|x| ready(&x))
            })
        })
        .await;
    settled.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.api.clear_log();
    let lists = world.quiet_for(Duration::from_secs(3600)).await;
    let counts = world.sim.counts();
    let reads = world.api.requests("evenkeel-1");
    println!("{n} settled servers, one hour: {counts:?}; writes: 0; the cluster was asked: {reads:?}");
    let pages = n / 1000 + 1;
    assert!((220..=265).contains(&(lists / pages)), "{lists} lists");
    assert!(
        counts.get("POST /v3/auth/tokens").is_none_or(|n| *n <= 2),
        "{counts:?}"
    );
    world.judge_what_was().await;
}

#[tokio::test(start_paused = true)]
async fn one_server() {
    an_hour_with(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_servers() {
    an_hour_with(100).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_servers() {
    an_hour_with(1000).await;
}
