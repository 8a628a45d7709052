use super::*;
use futures::FutureExt;

const SLOW: Limits = Limits {
    per_second: 1,
    burst: 1,
    in_flight: 10,
};

type Order = Arc<Mutex<Vec<(&'static str, u64)>>>;

fn waiter(
    budget: &Arc<Budget>,
    order: &Order,
    name: &'static str,
    p: Priority,
) -> tokio::task::JoinHandle<()> {
    let (budget, order, start) = (Arc::clone(budget), Arc::clone(order), Instant::now());
    tokio::spawn(async move {
        let _permit = budget.acquire(p).await;
        order.lock().unwrap().push((name, start.elapsed().as_secs()));
    })
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_and_then_the_rate() {
    let budget = Budget::new(Limits {
        per_second: 2,
        burst: 3,
        in_flight: 100,
    });
    let start = Instant::now();
    for _ in 0..3 {
        drop(budget.acquire(Priority::High).await);
    }
    assert_eq!(start.elapsed().as_secs(), 0);
    for _ in 0..20 {
        drop(budget.acquire(Priority::High).await);
    }
    let ms = start.elapsed().as_millis();
    assert!((10_000..10_100).contains(&ms), "{ms}");
}

#[tokio::test(start_paused = true)]
async fn a_write_overtakes_queued_reads() {
    let (budget, order) = (Budget::new(SLOW), Order::default());
    drop(budget.acquire(Priority::High).await);
    let mut all = Vec::new();
    for name in ["read 1", "read 2", "read 3"] {
        all.push(waiter(&budget, &order, name, Priority::Background));
        settle().await;
    }
    for name in ["write 1", "write 2"] {
        all.push(waiter(&budget, &order, name, Priority::High));
        settle().await;
    }
    futures::future::join_all(all).await;
    let names: Vec<_> = order.lock().unwrap().iter().map(|(n, _)| *n).collect();
    assert_eq!(names, ["write 1", "write 2", "read 1", "read 2", "read 3"]);
}

#[tokio::test(start_paused = true)]
async fn reads_do_not_starve_for_ever() {
    let (budget, order) = (Budget::new(SLOW), Order::default());
    drop(budget.acquire(Priority::High).await);
    let mut all = vec![waiter(&budget, &order, "read", Priority::Background)];
    for _ in 0..30 {
        all.push(waiter(&budget, &order, "write", Priority::High));
    }
    futures::future::join_all(all).await;
    let at = order
        .lock()
        .unwrap()
        .iter()
        .position(|(n, _)| *n == "read")
        .unwrap();
    assert!((9..12).contains(&at), "the read came {at}th");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_loses_nothing() {
    let (budget, order) = (Budget::new(SLOW), Order::default());
    drop(budget.acquire(Priority::High).await);
    let first = waiter(&budget, &order, "gone", Priority::High);
    settle().await;
    let second = waiter(&budget, &order, "stays", Priority::High);
    settle().await;
    first.abort();
    second.await.unwrap();
    assert_eq!(*order.lock().unwrap(), [("stays", 1)]);
    // Nor does one that is dropped after it was called, before it looked.
    for _ in 0..5 {
        let mut leaving = Box::pin(budget.acquire(Priority::High));
        assert!((&mut leaving).now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(leaving);
        assert!(budget.acquire(Priority::High).now_or_never().is_some());
    }
    assert_eq!(budget.lock().in_flight, 0);
    assert!(budget.lock().high.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_allowed() {
    let budget = Budget::new(Limits {
        per_second: 1000,
        burst: 1000,
        in_flight: 2,
    });
    let one = budget.acquire(Priority::High).await;
    let two = budget.acquire(Priority::High).await;
    let mut third = Box::pin(budget.acquire(Priority::High));
    assert!((&mut third).now_or_never().is_none());
    drop(one);
    let third = tokio::time::timeout(Duration::from_millis(10), third)
        .await
        .unwrap();
    drop((two, third));
    assert_eq!(budget.lock().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_everything_and_is_bounded() {
    let budget = Budget::new(Limits {
        per_second: 10,
        burst: 10,
        in_flight: 10,
    });
    let start = Instant::now();
    budget.pause(Duration::from_secs(7));
    budget.pause(Duration::from_secs(2));
    drop(budget.acquire(Priority::High).await);
    assert_eq!(start.elapsed().as_secs(), 7);
    budget.pause(Duration::from_secs(1_000_000));
    drop(budget.acquire(Priority::Background).await);
    assert_eq!(start.elapsed().as_secs(), 307);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_sleeps_feels_a_later_pause() {
    let (budget, order) = (Budget::new(SLOW), Order::default());
    drop(budget.acquire(Priority::High).await);
    let one = waiter(&budget, &order, "one", Priority::High);
    settle().await;
    budget.pause(Duration::from_secs(30));
    one.await.unwrap();
    assert_eq!(*order.lock().unwrap(), [("one", 30)]);
}
