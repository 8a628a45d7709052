//! P13: what stays bounded when there is much, or nothing works: memory, and the reaction of an account whose neighbour
//! is in trouble.

use std::time::{Duration, Instant};

use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::json;

use super::large::{N, filled, free_lease};
use crate::process::Controller;
use crate::stage::{self, Stage, until};
use crate::table::{Row, percentile, told};

/// The servers that a neighbour's account has to make.
const THOUSANDS: usize = 5000;
/// How often one server of ours is stopped and started.
const EDITS: usize = 20;
/// How often each object is changed in a storm of events.
const STORMS: usize = 5;

pub async fn rows() -> Vec<Row> {
    let mut rows = told(memory().await);
    rows.extend(told(neighbours().await));
    rows
}

fn memory_row(what: &str, kib: f64) -> Row {
    Row::new("P13", what, "MiB", 0.0, 128.0, kib / 1024.0)
}

/// The most memory within a time.
async fn peak(controller: &Controller, seconds: u64) -> f64 {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let peak = controller.peak_kib();
    controller.reset_peak();
    peak
}

async fn memory() -> Vec<Row> {
    let stage = Stage::new(20, 15).await;
    filled(&stage, N).await;
    let controller = stage.start();
    controller.ready().await;
    let mut rows = vec![memory_row(
        &format!("most memory: {N} servers, the first minute"),
        peak(&controller, 60).await,
    )];
    for n in 0..STORMS {
        for i in 0..N {
            let place = ("servers", stage::NAMESPACE, &*stage::name("web", i));
            let edited = stage.api.edit(place, |o| {
                o["metadata"]["annotations"]["example.com/n"] = json!(n.to_string());
            });
            edited.expect("an edit");
        }
    }
    rows.push(memory_row(
        &format!("most memory: {STORMS} changes of each within a moment"),
        peak(&controller, 30).await,
    ));
    stage
        .cloud
        .sim
        .inject(FaultRule::new(FaultEffect::Hang { wait_ms: 600_000 }));
    for i in 0..N {
        stage.edit(&stage::name("web", i), "powerState", json!("Stopped"));
    }
    stage.forget();
    rows.push(memory_row(
        "most memory: each is to be stopped, and the cloud hangs for two minutes",
        peak(&controller, 120).await,
    ));
    rows.push(Row::new(
        "P13",
        "requests to the cloud that hangs, in these two minutes",
        "",
        0.0,
        // `requests.inFlight`, each given up after its deadline, and asked again.
        500.0,
        stage.cloud.count(|_| true) as f64,
    ));
    stage.cloud.sim.clear_faults();
    // Each of them has something to tell.
    let refused = FaultEffect::Status {
        code: 403,
        body: None,
    };
    stage
        .cloud
        .sim
        .inject(FaultRule::new(refused).on("POST /servers/{id}/action"));
    rows.push(memory_row(
        "most memory: each is refused what it asks for, and tells it",
        peak(&controller, 120).await,
    ));
    let depth = controller.metric("evenkeel_queue_depth", "").await;
    rows.push(Row::new(
        "P13",
        "objects that wait for a turn, at the end",
        "",
        0.0,
        N as f64,
        depth.unwrap_or(f64::NAN),
    ));
    drop(controller);
    free_lease(&stage);
    rows
}

/// Milliseconds from an edit to its call in our cloud: half of them, and the worst.
async fn reaction(stage: &Stage) -> (f64, f64) {
    let server = stage::name("web", 0);
    let id = stage.id(&server);
    let path = format!("/servers/{id}/action");
    let mut times = Vec::new();
    for n in 0..EDITS {
        stage.cloud.forget();
        let began = Instant::now();
        let power = if n % 2 == 0 { "Stopped" } else { "Running" };
        stage.edit(&server, "powerState", json!(power));
        let call = until("the call", || {
            stage.cloud.first(|a| a.changes() && a.path.ends_with(&path))
        })
        .await;
        times.push(call.at.saturating_duration_since(began).as_secs_f64() * 1000.0);
        stage.settled("web", 1).await;
    }
    (percentile(&times, 50.0), percentile(&times, 100.0))
}

async fn neighbours() -> Vec<Row> {
    let stage = Stage::new(20, 15).await;
    let theirs = stage.neighbour("theirs").await;
    let controller = stage.start();
    controller.ready().await;
    stage.wish("web", 1);
    stage.settled("web", 1).await;
    let quiet = reaction(&stage).await;
    theirs
        .sim
        .inject(FaultRule::new(FaultEffect::Hang { wait_ms: 600_000 }));
    let account = json!({"name": "theirs"});
    for i in 0..THOUSANDS {
        stage.server(&stage::name("theirs", i), json!({"providerConfigRef": account}));
    }
    let hangs = reaction(&stage).await;
    theirs.sim.clear_faults();
    until("the neighbour is at work", || {
        (theirs.count(|a| a.changes()) > 0).then_some(())
    })
    .await;
    let makes = reaction(&stage).await;
    let made = theirs.sim.live_servers().len();
    assert!(made < THOUSANDS, "the neighbour has nothing left to do");
    let mut rows = Vec::new();
    for (what, (p50, worst)) in [
        ("alone", quiet),
        ("while another account hangs that has 5000 to make", hangs),
        ("while another account makes 5000", makes),
    ] {
        let limit = |quiet: f64| if what == "alone" { 50.0 } else { quiet + 50.0 };
        rows.push(Row::new(
            "P13",
            format!("edit to call {what}, p50"),
            "ms",
            quiet.0,
            limit(quiet.0),
            p50,
        ));
        rows.push(Row::new(
            "P13",
            format!("edit to call {what}, worst of {EDITS}"),
            "ms",
            quiet.1,
            limit(quiet.1),
            worst,
        ));
    }
    rows
}
