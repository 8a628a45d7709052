//! P7: how long nobody works when the process that works is stopped, killed or stands still.

use std::time::{Duration, Instant};

use serde_json::json;

use super::large::{N, free_lease};
use crate::stage::{self, Stage, until};
use crate::table::{Row, median};

/// The length of a lease, in seconds.
const LEASE: f64 = 15.0;

pub async fn rows(stage: &Stage) -> Vec<Row> {
    free_lease(stage);
    let mut leader = stage.start();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut server = 5000;
    let mut rows = Vec::new();
    for (signal, what, times, bound, target) in [
        ("TERM", "SIGTERM to the next one's call", 5, 0.0, 0.1),
        ("KILL", "SIGKILL to the next one's call", 1, LEASE, LEASE + 0.2),
        ("STOP", "SIGSTOP to the next one's call", 1, LEASE, LEASE + 0.2),
    ] {
        let mut gaps = Vec::new();
        for _ in 0..times {
            let standby = stage.start();
            tokio::time::sleep(Duration::from_secs(8)).await;
            server += 1;
            let name = stage::name("web", server);
            let id = stage.id(&name);
            stage.forget();
            let at = Instant::now();
            leader.signal(signal);
            // The one that goes must not be the one that does it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stage.edit(&name, "powerState", json!("Stopped"));
            let path = format!("/servers/{id}/action");
            let call = until("the call", || stage.cloud.first(|a| a.path.ends_with(&path))).await;
            gaps.push(call.at.saturating_duration_since(at).as_secs_f64());
            leader = standby;
            tokio::time::sleep(Duration::from_secs(3)).await;
            let calls = stage.cloud.count(|a| a.path.ends_with(&path));
            assert_eq!(calls, 1, "both did it");
        }
        rows.push(Row::new(
            "P7",
            format!("{what}, {N} servers (of {times})"),
            "s",
            bound,
            target,
            median(&gaps),
        ));
    }
    let most = stage
        .cloud
        .sim
        .high_water()
        .into_values()
        .max()
        .unwrap_or_default();
    rows.push(Row::new(
        "P7",
        "most servers at once for one object",
        "",
        1.0,
        1.0,
        most as f64,
    ));
    rows
}
