//! The table of docs/performance.md: the release binary over HTTP, against a cluster and a cloud that are simulated.
//!
//! `make bench` builds what is needed and runs it. BINARY is the controller, JSON a file for the figures, and an
//! argument names the parts that are wanted: footprint, quiet, outage, large, shared, memory, bounds, plans.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unreachable_pub, reason = "a program has no outside")]

mod cloud;
mod process;
mod rows;
mod stage;
mod table;

use std::time::Instant;

use futures::future::BoxFuture;

use table::Row;

type Part = fn() -> BoxFuture<'static, Vec<Row>>;

const PARTS: &[(&str, Part)] = &[
    ("footprint", || Box::pin(rows::footprint::rows())),
    ("quiet", || Box::pin(rows::quiet::rows())),
    ("outage", || Box::pin(rows::outage::rows())),
    ("large", || Box::pin(rows::large::rows())),
    ("shared", || Box::pin(rows::shared::rows())),
    ("memory", || Box::pin(rows::memory::rows())),
    ("bounds", || Box::pin(rows::bounds::rows())),
    ("plans", || Box::pin(rows::plans::rows())),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut rows = Vec::new();
    for (name, part) in PARTS {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == name) {
            continue;
        }
        let began = Instant::now();
        eprintln!("{name}: load {}", load());
        let measured = runtime.block_on(part());
        measured.iter().for_each(|row| eprintln!("{}", row.line()));
        eprintln!("{name}: {:.0?}, load {}", began.elapsed(), load());
        rows.extend(measured);
    }
    rows.sort_by_key(|row| row.id[1..].parse::<u32>().unwrap());
    println!("{}\n", machine());
    println!("{}", table::HEAD);
    rows.iter().for_each(|row| println!("{}", row.line()));
    if let Some(file) = std::env::var_os("JSON") {
        let text = format!("{:#}\n", table::json(&rows, &machine()));
        std::fs::write(file, text).unwrap();
    }
}

/// What it was measured on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kib = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = kib
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or_default();
    format!("{cores} cores, {} GiB; load at the end {}", kib >> 20, load())
}

/// The load of the last minute: what else the machine had to do.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
