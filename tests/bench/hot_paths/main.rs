//! How long the hot paths take, and how often they allocate: the median of many runs. `make bench` runs it on a release
//! build; `counts.rs` beside it guards the allocations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unreachable_pub, reason = "a program has no outside")]

mod subjects;

use std::hint::black_box;
use std::time::Instant;

use futures::FutureExt;
use subjects::{MANY, PAGE, Settled};

/// So many runs of each.
const RUNS: usize = 31;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let provider = runtime.block_on(subjects::account(PAGE));
    let page = runtime.block_on(provider.list()).unwrap();
    let settled = Settled::first(&page);
    let all = subjects::many(&page);
    let listing = evenkeel::planner::model::Listing::default().next(jiff::Timestamp::UNIX_EPOCH, all.clone());
    let at = jiff::Timestamp::UNIX_EPOCH;
    println!("| hot path | µs | allocations | for each |\n| --- | ---: | ---: | --- |");
    measure(
        "plan of a server at rest",
        1,
        || (),
        |()| black_box(settled.plan()),
    );
    let (a, b) = (settled.status().clone(), settled.status().clone());
    measure(
        "a status compared with the same",
        1,
        || (),
        |()| black_box(a == b),
    );
    let list = || provider.list().now_or_never().unwrap().unwrap();
    measure("a page read and translated", PAGE, || (), |()| black_box(list()));
    measure(
        "a list taken in that shows nothing new",
        MANY,
        || all.clone(),
        |all| black_box(listing.next(at, all)),
    );
    let text = settled.text();
    println!("\n| what is kept of a server | bytes |\n| --- | ---: |");
    let object = subjects::kept(|| serde_json::from_str::<evenkeel::api::Server>(&text).unwrap());
    println!("| the object, of {} bytes of JSON | {object} |", text.len());
    println!(
        "| the server as the cloud shows it | {} |",
        subjects::kept(|| (*page[0]).clone())
    );
    let fresh = subjects::kept(|| evenkeel::planner::model::Listing::default().next(at, all.clone()));
    println!("| its places in the list | {} |", fresh / MANY);
}

/// One line: the median time and the allocations of one of `parts`.
fn measure<I, T>(name: &str, parts: usize, make: impl Fn() -> I, run: impl Fn(I) -> T) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let input = make();
            let began = Instant::now();
            let out = run(input);
            let took = began.elapsed().as_secs_f64() * 1e6;
            drop(out);
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let input = make();
    let counted = allocation_counter::measure(|| drop(run(input)));
    let parts_f = parts as f64;
    println!(
        "| {name} | {:.3} | {:.1} | {} |",
        times[RUNS / 2] / parts_f,
        counted.count_total as f64 / parts_f,
        if parts == 1 {
            "run".to_owned()
        } else {
            format!("server of {parts}")
        }
    );
}
