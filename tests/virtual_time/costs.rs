//! What a settled fleet costs: the list of the account, and nothing else. And what a whole life costs: each call once,
//! each with the write of its record before it.

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

/// The writes to the Server and the calls that change something, since the last time.
fn spent(world: &Virtual) -> (usize, Vec<String>) {
    let written = world.written();
    let writes = written.iter().filter(|w| w.call.plural == "servers").count();
    let counts = world.sim.counts();
    let calls = counts
        .iter()
        .filter(|(k, _)| k.contains("/servers") && !k.starts_with("GET"));
    let calls = calls.map(|(k, n)| format!("{n} {k}")).collect();
    world.api.clear_log();
    world.sim.reset_requests();
    (writes, calls)
}

#[tokio::test(start_paused = true)]
async fn a_life() {
    let (world, s) = Virtual::new().await;
    let place = ("servers", NAMESPACE, "web");
    let settled = async |power: &str| {
        let is = |x: &Server| {
            x.status
                .as_ref()
                .and_then(|s| s.power.as_ref()?.observed.clone())
                .as_deref()
                == Some(power)
        };
        let seen = world.api.wait_until("Ready", Duration::from_secs(600), |api| {
            api.read::<Server>(NAMESPACE, "web")
                .is_some_and(|x| ready(&x) && is(&x))
        });
        seen.await.unwrap();
        // Whatever else there is to say.
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    spent(&world);
    s.create("web", json!({"deletion": {"powerOff": "None"}})).await;
    settled("Running").await;
    // Its finalizer, the record of the attempt, its id, its end.
    assert_eq!(spent(&world), (4, vec!["1 POST /servers".to_owned()]));
    for (power, action) in [("Stopped", "os-stop"), ("Running", "os-start")] {
        world
            .api
            .edit(place, |o| o["spec"]["powerState"] = json!(power))
            .unwrap();
        settled(power).await;
        // The record of the operation, its acceptance, its end.
        assert_eq!(
            spent(&world),
            (3, vec![format!("1 POST /servers/{{id}}/action {action}")])
        );
    }
    world.api.delete(place).unwrap();
    let gone = world
        .api
        .wait_for(place, Duration::from_secs(600), |o| o.is_none());
    gone.await.unwrap();
    // The record of the deletion, and its finalizer.
    assert_eq!(spent(&world), (2, vec!["1 DELETE /servers/{id}".to_owned()]));
    world.judge_what_was().await;
}
