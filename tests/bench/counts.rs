//! Counts that depend on no machine, with their limits: how often the hot paths allocate. The requests and the writes of
//! whole lives are counted beside the scenarios, in `tests/virtual_time/costs.rs`. A limit that is exceeded is a
//! regression; one that is far from what is counted should be lowered.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "hot_paths/subjects.rs"]
mod subjects;

use evenkeel::planner::model::Listing;
use futures::FutureExt;
use subjects::{MANY, PAGE, Settled};

/// Allocations of one of `parts`, at most `limit` and, where that is a number of them, not below half of it.
fn within<T>(what: &str, parts: usize, limit: f64, run: impl FnOnce() -> T) {
    let counted = allocation_counter::measure(|| drop(run()));
    let each = counted.count_total as f64 / parts as f64;
    println!("{what}: {each:.2} allocations");
    assert!(each <= limit, "{what}: {each:.2} allocations, more than {limit}");
    assert!(
        limit <= 1.0 || each >= limit / 2.0,
        "{what}: only {each:.2} allocations: lower the limit of {limit}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_hot_paths_allocate_no_more_than_they_did() {
    let provider = subjects::account(PAGE).await;
    let page = provider.list().await.unwrap();
    let settled = Settled::first(&page);
    within("a plan at rest", 1, 160.0, || settled.plan());
    let status = settled.status().clone();
    within("a status compared", 1, 0.0, || {
        assert!(*settled.status() == status)
    });
    within("a page read again, each server", PAGE, 1.0, || {
        provider.list().now_or_never().unwrap().unwrap()
    });
    let text = settled.text();
    let object = subjects::kept(|| serde_json::from_str::<evenkeel::api::Server>(&text).unwrap());
    let seen = subjects::kept(|| (*page[0]).clone());
    println!(
        "kept: {object} bytes of an object of {}, {seen} of a server",
        text.len()
    );
    assert!(
        object <= 8000 && seen <= 4000,
        "{object} and {seen} bytes are kept"
    );
    let all = subjects::many(&page);
    let at = jiff::Timestamp::UNIX_EPOCH;
    let listing = Listing::default().next(at, all.clone());
    within("a list taken in, each server", MANY, 1.0, || {
        listing.next(at, all)
    });
}
