//! P1, P3 and P8: an account at rest, what a wish costs, and how late its end is noticed.

use std::time::{Duration, Instant};

use serde_json::json;

use super::reaction;
use crate::stage::{self, NAMESPACE, Stage, is_ready, until};
use crate::table::{Row, median};

/// The servers of the account.
const N: usize = 1000;
/// The page of a list.
const PAGE: usize = 1000;
/// The time between two lists here, in seconds. The product does not depend on it.
const INTERVAL: u64 = 5;

pub async fn rows() -> Vec<Row> {
    let stage = Stage::new(400, INTERVAL).await;
    let controller = stage.start();
    controller.ready().await;
    let before = controller.cpu();
    stage.wish("web", N);
    stage.settled("web", N).await;
    let each = (controller.cpu() - before) / N as f64 * 1e6;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut rows = drift_cost(&stage).await;
    rows.push(Row::new(
        "P6",
        format!("processor time for each of {N} creations, lists and all"),
        "µs",
        70.0,
        250.0,
        each,
    ));
    rows.extend(reaction::rows(&stage, N).await);
    stage.settled("new", 50).await;
    rows.extend(writes(&stage).await);
    rows.extend(overshoot(&stage).await);
    drop(controller);
    rows
}

/// Requests of an idle hour for each server, times the seconds until a stop from outside is put back.
async fn drift_cost(stage: &Stage) -> Vec<Row> {
    stage.forget();
    let rest = Duration::from_secs(30);
    tokio::time::sleep(rest).await;
    let requests = stage.cloud.count(|_| true) as f64 * 3600.0 / rest.as_secs_f64();
    let idle_writes = stage.writes().len() as f64;
    let mut delays = Vec::new();
    for i in 0..6 {
        let server = stage::name("web", i);
        let id = stage.id(&server);
        // At moments that are spread over an interval.
        tokio::time::sleep(Duration::from_millis(
            INTERVAL * 1000 + 100 * (i as u64 * 37 % 50),
        ))
        .await;
        stage.cloud.forget();
        stage.cloud.sim.oob_stop(&id).expect("a stop");
        until("the stop in the cloud", || {
            stage.cloud.sim.server(&id).filter(|s| s.vm_state == "stopped")
        })
        .await;
        let stopped = Instant::now();
        let path = format!("/servers/{id}/action");
        let call = until("the start", || stage.cloud.first(|a| a.path.ends_with(&path))).await;
        delays.push(call.at.saturating_duration_since(stopped).as_secs_f64());
        until("the server runs", || {
            stage.cloud.sim.server(&id).filter(|s| s.vm_state == "active")
        })
        .await;
    }
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    // Nova names a next page after a full one, even if nothing is on it.
    let pages = (N / PAGE + 1) as f64;
    let bound = 1800.0 * pages / N as f64;
    let per_server = requests / N as f64;
    vec![
        Row::new(
            "P1",
            format!("requests of an idle hour for each of {N} servers × mean seconds to put a stop back"),
            "s/h",
            bound,
            1.15 * bound,
            per_server * mean,
        ),
        Row::new(
            "P1",
            "requests of an idle hour for each server, at the default interval of 15 s",
            "1/h",
            240.0 * pages / N as f64,
            1.1 * 240.0 * pages / N as f64,
            per_server * INTERVAL as f64 / 15.0,
        ),
        Row::new(
            "P3",
            format!("writes of {N} servers at rest for half a minute"),
            "",
            0.0,
            0.0,
            idle_writes,
        ),
    ]
}

/// Writes to the API server for a creation, a stop and a deletion: of each the worst of five.
async fn writes(stage: &Stage) -> Vec<Row> {
    let mut worst = [0_usize; 3];
    for i in 0..5 {
        let server = stage::name("one", i);
        let mut counted = |n: usize| worst[n] = worst[n].max(stage.writes().len());
        stage.forget();
        stage.server(&server, json!({}));
        until("Ready", || stage.get(&server).filter(is_ready)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        counted(0);
        stage.forget();
        stage.edit(&server, "powerState", json!("Stopped"));
        until("Ready", || stage.get(&server).filter(is_ready)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        counted(1);
        stage.forget();
        stage
            .api
            .delete(("servers", NAMESPACE, server.as_str()))
            .expect("a deletion");
        until("gone", || stage.get(&server).is_none().then_some(())).await;
        counted(2);
    }
    let row = |n: usize, what: &str, bound: f64| {
        Row::new(
            "P3",
            format!("writes for a {what}"),
            "",
            bound,
            bound,
            worst[n] as f64,
        )
    };
    vec![
        row(0, "creation", 4.0),
        row(1, "stop", 3.0),
        row(2, "deletion", 2.0),
    ]
}

/// How long after the end of an operation `Ready` says so, and what it costs, with many under way.
async fn overshoot(stage: &Stage) -> Vec<Row> {
    const MANY: usize = 100;
    stage.forget();
    let began = Instant::now();
    let ids: Vec<(String, String)> = (500..500 + MANY)
        .map(|i| {
            let server = stage::name("web", i);
            (server.clone(), stage.id(&server))
        })
        .collect();
    let (mut ended, mut told) = (vec![None; MANY], vec![None; MANY]);
    let mut begun = 0;
    while told.iter().any(Option::is_none) {
        // One more every 50 ms, so that they end at all moments between two lists.
        while begun < MANY && began.elapsed() > Duration::from_millis(50 * begun as u64) {
            stage.edit(&ids[begun].0, "powerState", json!("Stopped"));
            begun += 1;
        }
        for (i, (server, id)) in ids.iter().enumerate().take(begun) {
            if ended[i].is_none()
                && stage
                    .cloud
                    .sim
                    .server(id)
                    .is_some_and(|s| s.vm_state == "stopped")
            {
                ended[i] = Some(Instant::now());
            }
            if ended[i].is_some() && told[i].is_none() && stage.get(server).is_some_and(|o| is_ready(&o)) {
                told[i] = Some(Instant::now());
            }
        }
        assert!(began.elapsed() < stage::PATIENCE, "operations do not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let lists = stage.cloud.count(|a| a.lists()) as f64;
    let reads = stage.cloud.count(|a| a.method == http::Method::GET) as f64;
    let late: Vec<f64> = ended
        .iter()
        .zip(&told)
        .filter_map(|(e, t)| Some(t.as_ref()?.saturating_duration_since((*e)?).as_secs_f64()))
        .collect();
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    let median = median(&late);
    let pages = (N + 50).div_ceil(PAGE) as f64;
    vec![
        Row::new(
            "P8",
            format!("end of an operation to Ready, mean, {MANY} under way (median {median:.2})"),
            "s",
            0.5 / 2.0,
            0.5,
            mean,
        ),
        Row::new(
            "P8",
            "lists a second meanwhile",
            "1/s",
            1.0,
            2.0,
            lists / pages / seconds,
        ),
        Row::new("P8", "reads besides the lists", "", 0.0, 0.0, reads - lists),
    ]
}
