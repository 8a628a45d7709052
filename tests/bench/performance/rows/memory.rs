//! P5: what one more server costs in memory, from none to fifty thousand.

use std::time::Duration;

use super::large::{filled, free_lease};
use crate::stage::{CLIENT, Stage};
use crate::table::Row;

const N: usize = 50_000;

pub async fn rows() -> Vec<Row> {
    let stage = Stage::new(5, 30).await;
    let controller = stage.start();
    controller.ready().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let none = controller.rss_kib();
    drop(controller);
    free_lease(&stage);
    filled(&stage, N).await;
    let controller = stage.start();
    controller.ready().await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    let steady = controller.rss_kib();
    controller.reset_peak();
    stage.api.compact();
    stage.api.expire_watches(CLIENT);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let peak = controller.peak_kib();
    let each = |kib: f64| (kib - none) / N as f64;
    vec![
        Row::new(
            "P5",
            format!("resident memory for each of {N} servers"),
            "KiB",
            0.5,
            2.0,
            each(steady),
        ),
        Row::new(
            "P5",
            "the peak of that while the watch lists anew",
            "KiB",
            0.5,
            2.5,
            each(peak),
        ),
        Row::new(
            "P5",
            "resident memory without servers",
            "MiB",
            0.0,
            32.0,
            none / 1024.0,
        ),
    ]
}
