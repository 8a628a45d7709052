//! P12: how big the binary is, and how soon it is ready where there is nothing to do.

use crate::process;
use crate::stage::Stage;
use crate::table::{Row, median};

pub async fn rows() -> Vec<Row> {
    let size = std::fs::metadata(process::binary()).map_or(f64::NAN, |m| m.len() as f64 / f64::from(1 << 20));
    let mut starts = Vec::new();
    for _ in 0..5 {
        let stage = Stage::new(100, 15).await;
        starts.push(stage.start().ready().await.as_secs_f64() * 1000.0);
    }
    vec![
        Row::new("P12", "stripped binary", "MiB", 0.0, 12.0, size),
        Row::new(
            "P12",
            "start to ready, no servers (median of 5)",
            "ms",
            0.0,
            50.0,
            median(&starts),
        ),
    ]
}
