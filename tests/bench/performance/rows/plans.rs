//! P11: how many runs with a fault the campaign plays in a second of processor time.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::process::seconds;
use crate::table::Row;

/// So many plans for each of the three clouds.
const PLANS: usize = 1000;

pub async fn rows() -> Vec<Row> {
    let Some(binary) = std::env::var_os("CAMPAIGN_BINARY").map(PathBuf::from) else {
        return vec![];
    };
    let before = children_cpu();
    let status = Command::new(binary)
        .args(["campaign::one_fault_at_a_time", "--exact"])
        .env("CAMPAIGN_PLANS", PLANS.to_string())
        .stdout(Stdio::null())
        .status();
    let passed = status.is_ok_and(|s| s.success());
    let rate = if passed {
        3.0 * PLANS as f64 / (children_cpu() - before)
    } else {
        f64::NAN
    };
    let mut row = Row::new(
        "P11",
        "runs with a fault, by the test build",
        "1/CPU-s",
        0.0,
        50.0,
        rate,
    );
    row.more = true;
    vec![row]
}

/// Processor time of all children that have ended, in seconds.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // cutime and cstime.
    seconds(&stat, [13, 14])
}
