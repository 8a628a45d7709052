//! P4, P5, P6, P7 and P10: ten thousand servers in one account.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{reaction, takeover};
use crate::process::Controller;
use crate::stage::{self, Stage, until};
use crate::table::{Row, median, percentile, told};

/// The servers.
pub const N: usize = 10_000;
const PAGES: f64 = 10.0;

pub async fn rows() -> Vec<Row> {
    let stage = Stage::new(20, 15).await;
    filled(&stage, N).await;
    let controller = stage.start();
    verified(&stage, &controller).await;
    let mut rows = told(at_rest(&stage, &controller).await);
    drop(controller);
    let (cold, controller) = cold_start(&stage).await;
    rows.extend(told(cold));
    rows.extend(told(storm(&stage, controller).await));
    rows.extend(told(takeover::rows(&stage).await));
    rows
}

/// Settled servers, after the process that wrote the last word on each has gone.
pub async fn filled(stage: &Stage, count: usize) {
    let controller = stage.start();
    stage.wish("model", 1);
    stage.settled("model", 1).await;
    drop(controller);
    stage.seed("web", count, &stage::name("model", 0));
    // Their making in the cloud takes its time, too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    free_lease(stage);
    let controller = stage.start();
    verified(stage, &controller).await;
    drop(controller);
    free_lease(stage);
    stage.forget();
}

/// P6 and P5 at rest.
async fn at_rest(stage: &Stage, controller: &Controller) -> Vec<Row> {
    tokio::time::sleep(Duration::from_secs(40)).await;
    stage.forget();
    let (cpu, began) = (controller.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let share = (controller.cpu() - cpu) / began.elapsed().as_secs_f64() * 100.0;
    let writes = stage.writes().len() as f64;
    vec![
        Row::new(
            "P6",
            format!("processor at rest with {N} servers"),
            "% of a core",
            0.0,
            0.1,
            share,
        ),
        Row::new(
            "P3",
            format!("writes of {N} servers at rest for a minute"),
            "",
            0.0,
            0.0,
            writes,
        ),
        Row::new(
            "P5",
            format!("resident memory at rest with {N}"),
            "MiB",
            0.0,
            32.0,
            controller.rss_kib() / 1024.0,
        ),
    ]
}

/// P4: from the start of a process until it has looked at every server with a list of the cloud, the median of five.
async fn cold_start(stage: &Stage) -> (Vec<Row>, Controller) {
    let (mut walls, mut cpus, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reads, mut writes) = (0.0_f64, 0.0_f64);
    let mut last = None;
    for _ in 0..5 {
        drop(last.take());
        free_lease(stage);
        stage.forget();
        let controller = stage.start();
        walls.push(verified(stage, &controller).await);
        cpus.push(controller.cpu());
        memory.push(controller.rss_kib() / 1024.0);
        writes = writes.max(stage.writes().len() as f64 + stage.cloud.count(|a| a.changes()) as f64);
        let lists = stage.api.requests(stage::CLIENT);
        let pages: u64 = lists
            .iter()
            .filter(|((v, p), _)| *v == evenkeel::sim::apiserver::Verb::List && *p == "servers")
            .map(|(_, n)| n)
            .sum();
        reads = reads.max(pages as f64 + stage.cloud.count(|a| a.lists()) as f64);
        last = Some(controller);
    }
    let least = 20.0 + PAGES;
    let rows = vec![
        Row::new(
            "P4",
            format!("start to all {N} verified (median of 5)"),
            "s",
            0.17,
            2.0,
            median(&walls),
        ),
        Row::new("P4", "processor time of that", "s", 0.17, 2.0, median(&cpus)),
        Row::new("P4", "pages read", "", least, least + 5.0, reads),
        Row::new("P4", "writes, to the cloud and of Servers", "", 0.0, 0.0, writes),
        Row::new(
            "P5",
            format!("resident memory after a start with {N}"),
            "MiB",
            0.0,
            32.0,
            median(&memory),
        ),
    ];
    (rows, last.expect("five starts"))
}

/// The lease of a process that was killed would hold up the next one.
pub fn free_lease(stage: &Stage) {
    let lease = ("leases", "bench", "evenkeel-controller");
    if stage.api.get(lease).is_some() {
        stage.api.force_delete(lease).expect("a deletion");
    }
}

/// Seconds until the list was taken in and no object waits for its turn any more.
async fn verified(stage: &Stage, controller: &Controller) -> f64 {
    let (mut turns, mut since) = (0.0, controller.started);
    let end = Instant::now() + stage::PATIENCE;
    loop {
        assert!(Instant::now() < end, "not verified");
        let now = Instant::now();
        let seen = controller
            .metric("evenkeel_reconcile_total", "kind=\"Server\"")
            .await;
        let waiting = controller.metric("evenkeel_queue_depth", "").await;
        let listed = stage.cloud.count(|a| a.lists()) >= 1;
        let Some((seen, waiting)) = seen.zip(waiting) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if seen > turns || waiting > 0.0 || !listed {
            (turns, since) = (seen, now);
        } else if since.elapsed() > Duration::from_millis(1500) {
            return since.duration_since(controller.started).as_secs_f64();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// P10: an edit while ten thousand objects are looked at anew: after a start, and after the watch had to list again.
async fn storm(stage: &Stage, controller: Controller) -> Vec<Row> {
    let mut baseline = reaction::Baseline::new(stage);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut relist = Vec::new();
    for i in 0..10 {
        let server = stage::name("web", 10 * i + 3);
        stage.api.compact();
        stage.api.expire_watches(stage::CLIENT);
        tokio::time::sleep(Duration::from_millis(20 * i as u64)).await;
        relist.push(reaction::edit(stage, &mut baseline, &server, "Stopped").await);
    }
    drop(controller);
    let mut start = Vec::new();
    for i in 0..5 {
        free_lease(stage);
        let server = stage::name("web", 9000 + i);
        let id = stage.id(&server);
        stage.forget();
        let controller = stage.start();
        // The list of the cloud was read; now everybody has a turn.
        until("the lists", || {
            (stage.cloud.count(|a| a.lists()) as f64 >= PAGES).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let edited = Instant::now();
        stage.edit(&server, "powerState", json!("Stopped"));
        let path = format!("/servers/{id}/action");
        let call = until("the stop", || stage.cloud.first(|a| a.path.ends_with(&path))).await;
        start.push(call.at.saturating_duration_since(edited).as_secs_f64() * 1000.0);
        drop(controller);
    }
    vec![
        Row::new(
            "P10",
            format!("edit to call while the watch lists {N} anew, worst of 10"),
            "ms",
            0.0,
            20.0,
            percentile(&relist, 100.0),
        ),
        Row::new(
            "P10",
            format!("edit to call while {N} have their first turn, worst of 5"),
            "ms",
            0.0,
            20.0,
            percentile(&start, 100.0),
        ),
    ]
}
