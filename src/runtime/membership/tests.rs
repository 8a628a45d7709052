//! Replicas in virtual time, on records in memory; lines can be cut, replies lost, writes come late, processes be frozen.

mod world;

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::*;
use crate::observer::sync::{Jitter, lock};
use world::{
    ACCOUNTS, Cluster, Process, SECOND, account, all_owned, alone, mend, process, process_that_yields,
    settled,
};

#[tokio::test(start_paused = true)]
async fn one_alone_has_everything_at_once() {
    let cluster = Arc::new(Cluster::default());
    let began = Instant::now();
    let a = process(&cluster, "a");
    let had = all_owned(&[&a], SECOND).await;
    assert!(had - began < Duration::from_millis(500), "{:?}", had - began);
    for _ in 0..3600 {
        sleep(SECOND).await;
        assert_eq!(a.own().len(), ACCOUNTS);
    }
}

#[tokio::test(start_paused = true)]
async fn one_more_takes_its_share_alone() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    all_owned(&[&a], SECOND).await;
    let b = process(&cluster, "b");
    settled(&[&a, &b]).await;
    let (before_a, before_b) = (a.own(), b.own());
    assert!(!before_a.is_empty() && !before_b.is_empty());
    let joined = Instant::now();
    let c = process(&cluster, "c");
    let mut seen = (before_a.clone(), before_b.clone());
    while c.own().is_empty() {
        alone(&[&a, &b, &c]);
        // Nothing goes from one of the old to the other, not for a moment.
        let (own_a, own_b) = (a.own(), b.own());
        assert!(own_a.is_subset(&seen.0) && own_b.is_subset(&seen.1));
        seen = (own_a, own_b);
        sleep(Duration::from_millis(10)).await;
    }
    let had = settled(&[&a, &b, &c]).await;
    assert!(had - joined <= 4 * SECOND, "{:?}", had - joined);
    assert!(a.own().is_subset(&before_a) && b.own().is_subset(&before_b));
    assert!(!c.own().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_ended_before_another_begins() {
    let cluster = Arc::new(Cluster::default());
    let a = process_that_yields(&cluster, "a", 7 * SECOND);
    all_owned(&[&a], SECOND).await;
    // What came first is taken up by now.
    sleep(20 * SECOND).await;
    let b = process(&cluster, "b");
    while a.own().len() == ACCOUNTS {
        sleep(Duration::from_millis(10)).await;
    }
    let left = Instant::now();
    let leaving = |p: &Process, n: usize| !p.shares.owns(&account(n)) && p.shares.keeps(&account(n));
    assert!(
        (0..ACCOUNTS).any(|n| leaving(&a, n)),
        "what it has begun it may end"
    );
    while b.own().is_empty() {
        alone(&[&a, &b]);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(
        left.elapsed() >= 7 * SECOND && left.elapsed() <= 10 * SECOND,
        "{:?}",
        left.elapsed()
    );
    assert!(!(0..ACCOUNTS).any(|n| leaving(&a, n)));
}

/// What it has had all the time stays its own to the end, although those who come claim it already.
#[tokio::test(start_paused = true)]
async fn two_that_come_at_once_take_nothing_away() {
    for apart in (0..3000).step_by(60) {
        let cluster = Arc::new(Cluster::default());
        let a = process_that_yields(&cluster, "a", Duration::from_millis(300));
        all_owned(&[&a], SECOND).await;
        sleep(5 * SECOND).await;
        let b = process(&cluster, "b");
        sleep(Duration::from_millis(apart)).await;
        let c = process(&cluster, "c");
        let mut lost = [0; ACCOUNTS];
        for _ in 0..600 {
            alone(&[&a, &b, &c]);
            let says = lock(&cluster.leases).0[&0].metadata.annotations.clone().unwrap();
            let says = Places::read(&says[keys::PLACES]);
            for (n, times) in lost.iter_mut().enumerate() {
                let taken = says.owner(&account(n)) == Some(0) && !a.shares.keeps(&account(n));
                *times = if taken { *times + 1 } else { 0 };
                // For as long as its next record is on its way, it knows more than that says.
                assert!(*times < 12, "account {n} is nobody's, {apart} ms apart");
            }
            sleep(Duration::from_millis(10)).await;
        }
        settled(&[&a, &b, &c]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_gives_its_share_to_the_others() {
    let cluster = Arc::new(Cluster::default());
    let (a, b, c) = (
        process(&cluster, "a"),
        process(&cluster, "b"),
        process(&cluster, "c"),
    );
    settled(&[&a, &b, &c]).await;
    let (before_a, before_b) = (a.own(), b.own());
    let left = c.release().await;
    let had = all_owned(&[&a, &b], 10 * SECOND).await;
    assert!(had - left <= 2 * SECOND, "{:?}", had - left);
    assert!(
        a.own().is_superset(&before_a) && b.own().is_superset(&before_b),
        "theirs stay"
    );
}

#[tokio::test(start_paused = true)]
async fn the_share_of_one_that_is_silent_is_taken_over_when_it_has_surely_stopped() {
    let cluster = Arc::new(Cluster::default());
    let (a, b, c) = (
        process(&cluster, "a"),
        process(&cluster, "b"),
        process(&cluster, "c"),
    );
    settled(&[&a, &b, &c]).await;
    let (before_a, before_b) = (a.own(), b.own());
    let (until, died) = (c.shares.until().unwrap(), Instant::now());
    c.task.abort();
    while a.own() == before_a && b.own() == before_b {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(Instant::now() >= until + 3 * SECOND, "somebody was early");
    let had = all_owned(&[&a, &b], 10 * SECOND).await;
    assert!(had - died <= DURATION + 2 * SECOND, "{:?}", had - died);
    assert!(a.own().is_superset(&before_a) && b.own().is_superset(&before_b));
    assert!(c.own().is_empty(), "it hears no");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_frozen_hears_no_and_comes_back_later() {
    for frozen in [3, 9, 11, 14, 16, 40] {
        let cluster = Arc::new(Cluster::default());
        let (a, b, c) = (
            process(&cluster, "a"),
            process(&cluster, "b"),
            process(&cluster, "c"),
        );
        let all = [&a, &b, &c];
        settled(&all).await;
        let before = [a.own(), b.own(), c.own()];
        c.freezer.freeze(true);
        let until = c.shares.until().unwrap();
        for _ in 0..frozen * 50 {
            alone(&all);
            assert!(c.own().is_empty() || Instant::now() < until);
            sleep(Duration::from_millis(20)).await;
        }
        if frozen >= 40 {
            assert_eq!(a.own().len() + b.own().len(), ACCOUNTS);
        }
        c.freezer.freeze(false);
        assert!(c.own().is_empty() || frozen < 10, "frozen for {frozen} s");
        settled(&all).await;
        assert_eq!([a.own(), b.own(), c.own()], before, "frozen for {frozen} s");
    }
}

#[tokio::test(start_paused = true)]
async fn one_write_for_each_replica_and_period() {
    let cluster = Arc::new(Cluster::default());
    let (a, b, c) = (
        process(&cluster, "a"),
        process(&cluster, "b"),
        process(&cluster, "c"),
    );
    settled(&[&a, &b, &c]).await;
    let before = cluster.writes.load(Ordering::SeqCst);
    sleep(600 * SECOND).await;
    let writes = cluster.writes.load(Ordering::SeqCst) - before;
    assert!(
        (890..=903).contains(&writes),
        "{writes} writes of three in 300 periods"
    );
}

#[tokio::test(start_paused = true)]
async fn a_seventeenth_waits_for_a_place() {
    let cluster = Arc::new(Cluster::default());
    let mut all: Vec<Process> = (0..PLACES).map(|n| process(&cluster, &format!("p{n}"))).collect();
    settled(&all.iter().collect::<Vec<_>>()).await;
    let late = process(&cluster, "late");
    sleep(60 * SECOND).await;
    assert!(!*late.shares.acting().borrow());
    all.swap_remove(5).release().await;
    late.shares.acting().wait_for(|a| *a).await.unwrap();
    all.push(late);
    settled(&all.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_removes_is_had_again() {
    let cluster = Arc::new(Cluster::default());
    let (a, b) = (process(&cluster, "a"), process(&cluster, "b"));
    settled(&[&a, &b]).await;
    let before = (a.own(), b.own());
    let held = |cluster: &Cluster| {
        let leases = lock(&cluster.leases);
        let of_b = leases
            .0
            .iter()
            .find(|(_, l)| l.spec.as_ref().unwrap().holder_identity.as_deref() == Some("b"));
        of_b.map(|(place, _)| *place)
    };
    let place = held(&cluster).unwrap();
    lock(&cluster.leases).0.remove(&place);
    b.shares.acting().wait_for(|acting| !*acting).await.unwrap();
    settled(&[&a, &b]).await;
    assert_eq!(
        (held(&cluster), a.own(), b.own()),
        (Some(place), before.0, before.1)
    );
}

#[tokio::test(start_paused = true)]
async fn told_to_go_while_a_place_is_being_had_it_gives_it_back() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    a.line.lose_replies.store(true, Ordering::SeqCst);
    while cluster.writes.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    a.line.lose_replies.store(false, Ordering::SeqCst);
    a.release().await;
    let leases = lock(&cluster.leases).0.clone();
    assert_eq!(
        leases[&0].spec.as_ref().unwrap().holder_identity.as_deref(),
        Some("")
    );
}

/// Whatever comes together, no account is two processes' at once; and when it is over, each is somebody's.
#[tokio::test(start_paused = true)]
async fn whatever_happens_no_account_is_anybodys_twice() {
    for seed in 0..25 {
        let cluster = Arc::new(Cluster::default());
        let mut dice = Jitter::new(seed);
        let mut below = move |n: u64| dice.number() % n;
        let mut all: Vec<Process> = Vec::new();
        let mut ghosts: Vec<Process> = Vec::new();
        let mut born = 0;
        for _ in 0..60 {
            if all.len() < 2 || (all.len() < 5 && below(4) == 0) {
                born += 1;
                let yields = Duration::from_millis(below(4000));
                all.push(process_that_yields(&cluster, &format!("p{born}"), yields));
            }
            let n = below(all.len() as u64) as usize;
            match below(9) {
                0 => {
                    let gone = all.swap_remove(n);
                    gone.task.abort();
                    ghosts.push(gone);
                }
                1 => {
                    all[n].stop.cancel();
                    ghosts.push(all.swap_remove(n));
                }
                2 => all[n].freezer.freeze(true),
                3 => all[n].line.cut.store(true, Ordering::SeqCst),
                4 => all[n].line.lose_replies.store(true, Ordering::SeqCst),
                5 => all[n].line.late.store(below(12_000), Ordering::SeqCst),
                _ => mend(&all[n]),
            }
            for _ in 0..below(200) {
                alone(&all.iter().chain(&ghosts).collect::<Vec<_>>());
                sleep(Duration::from_millis(50)).await;
            }
        }
        all.iter().for_each(mend);
        ghosts.iter().for_each(mend);
        for _ in 0..40 {
            alone(&all.iter().chain(&ghosts).collect::<Vec<_>>());
            sleep(SECOND).await;
        }
        settled(&all.iter().collect::<Vec<_>>()).await;
    }
}
