//! P9: a cloud that was away comes back to many wishes.

use std::time::{Duration, Instant};

use evenkeel::sim::openstack::Outage;
use serde_json::json;

use crate::stage::{self, PATIENCE, Stage, until};
use crate::table::Row;

/// The servers that are to be stopped when the cloud is back.
const N: usize = 1000;
/// What the account allows, in requests a second.
const RATE: f64 = 50.0;
/// For how long it is away: longer than the longest wait between two tries.
const AWAY: Duration = Duration::from_secs(100);

pub async fn rows() -> Vec<Row> {
    let stage = Stage::new(100, 15).await;
    let _controller = stage.start();
    stage.wish("web", N);
    stage.settled("web", N).await;
    stage.config(json!({"requests": {"perSecond": RATE as u32, "burst": RATE as u32, "inFlight": 100}}));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.cloud.sim.outage(Some(Outage::Unavailable));
    tokio::time::sleep(AWAY / 2).await;
    for i in 0..N {
        stage.edit(&stage::name("web", i), "powerState", json!("Stopped"));
    }
    tokio::time::sleep(AWAY / 2).await;
    stage.forget();
    let back = Instant::now();
    stage.cloud.sim.outage(None);
    let first = until("a request", || stage.cloud.first(|_| true)).await;
    let first = first.at.saturating_duration_since(back).as_secs_f64();
    while stage.cloud.count(|a| a.path.ends_with("/action")) < N {
        assert!(back.elapsed() < PATIENCE, "no convergence");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = back.elapsed().as_secs_f64();
    stage.settled("web", N).await;
    let arrivals = stage.cloud.arrivals();
    let peak = arrivals
        .iter()
        .map(|a| {
            arrivals
                .iter()
                .filter(|b| b.at >= a.at && b.at < a.at + Duration::from_secs(10))
                .count()
        })
        .max()
        .unwrap_or_default() as f64;
    // What was saved up during the outage may be spent at once.
    let allowed = 10.0 * RATE + RATE;
    vec![
        Row::new(
            "P9",
            format!("return of the cloud to the last of {N} calls, by the request budget"),
            "s",
            N as f64 / RATE,
            1.2 * N as f64 / RATE,
            all,
        ),
        Row::new(
            "P9",
            "return of the cloud to the first request",
            "s",
            0.0,
            5.0,
            first,
        ),
        Row::new(
            "P9",
            "most requests in ten seconds, of those allowed",
            "",
            1.0,
            1.0,
            peak / allowed,
        ),
    ]
}
