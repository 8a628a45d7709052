//! The shared scenarios on real parts: kube-apiserver with the project's own RBAC, the controller as a process of
//! its own with the token of its ServiceAccount, and a real Nova. `make test` provisions all that.
//!
//! One control plane and one controller serve all scenarios side by side, each in a namespace of its own; then come,
//! one after the other, those that take controllers or Nova away; then, side by side again, those that kill or stop
//! a controller of their own at one certain step; and last, for as many seconds as `SOAK`
//! says, everything at once (`soak.rs`). An argument plays what contains it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../scenarios/mod.rs"]
mod scenarios;
#[path = "../support/mod.rs"]
mod support;

mod alone;
mod moments;
mod parts;
mod process;
mod proxy;
mod soak;
mod wall;
mod weather;

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use parts::Parts;
use scenarios::stage::Stage;
use scenarios::{common, deeds, groups, outside, power, settings, states};

/// So many scenarios are played at once.
const SIDE_BY_SIDE: usize = 10;

type Scenario = for<'a> fn(&'a Stage) -> BoxFuture<'a, ()>;

macro_rules! table {
    ($($module:ident::$name:ident),* $(,)?) => {
        const SHARED: &[(&str, Scenario)] = &[$((stringify!($name), |s| Box::pin($module::$name(s)))),*];
    };
}

for_each_scenario!(table);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let failed = runtime.block_on(play(&chosen));
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
    println!("\ntest result: ok");
}

/// Plays what is chosen; the names of what failed.
async fn play(chosen: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    let parts = Arc::new(Parts::start().await);
    let mut failed = Vec::new();
    parts.start_controller();
    let shared = SHARED
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, scenario)| {
            let parts = Arc::clone(&parts);
            let played = async move { scenario(&parts.stage(name).await).await };
            (*name, played.boxed())
        });
    failed.extend(side_by_side(shared).await);
    for (name, scenario) in alone::ALL.iter().filter(|(name, _)| chosen(name)) {
        let played = async { scenario(&parts, &parts.stage(name).await).await };
        let ok = report(name, Instant::now(), played).await;
        failed.extend((!ok).then_some(*name));
        parts.restore().await;
    }
    parts.kill_all();
    let moments = moments::ALL
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, moment)| {
            let parts = Arc::clone(&parts);
            let played = async move { moments::play(&parts, &parts.bare_stage(name), moment).await };
            (*name, played.boxed())
        });
    failed.extend(side_by_side(moments).await);
    // Only where it is asked for: it takes its time.
    if std::env::var_os("SOAK").is_some() && chosen("soak") {
        let ok = report("soak", Instant::now(), async {
            soak::play(&parts, &parts.bare_stage("soak")).await;
        })
        .await;
        failed.extend((!ok).then_some("soak"));
        // A soak that failed may have left one stopped.
        for service in soak::SERVICES {
            parts.service(service, true).await;
        }
    }
    let ok = report("no_secret_in_any_log", Instant::now(), async {
        parts.judge_logs()
    })
    .await;
    failed.extend((!ok).then_some("no_secret_in_any_log"));
    parts.sweep().await;
    if !failed.is_empty() {
        println!(
            "the controllers' logs are kept in {}",
            parts.keep_logs().display()
        );
    }
    failed
}

/// Plays them, so many at once; the names of what failed.
async fn side_by_side(
    all: impl Iterator<Item = (&'static str, BoxFuture<'static, ()>)>,
) -> Vec<&'static str> {
    let turns = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let tasks: Vec<_> = all
        .map(|(name, played)| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                (name, report(name, Instant::now(), played).await)
            })
        })
        .collect();
    let mut failed = Vec::new();
    for task in tasks {
        let (name, ok) = task.await.unwrap();
        failed.extend((!ok).then_some(name));
    }
    failed
}

async fn report(name: &str, began: Instant, played: impl Future<Output = ()>) -> bool {
    // What went wrong was printed by the panic itself.
    let ok = std::panic::AssertUnwindSafe(played).catch_unwind().await.is_ok();
    let word = if ok { "ok" } else { "FAILED" };
    println!("test {name} ... {word} ({:.1} s)", began.elapsed().as_secs_f64());
    ok
}
