//! Candidates in virtual time, on a record in memory whose lines can be cut.

use super::*;
use kube::core::Status;
use std::sync::atomic::{AtomicBool, Ordering};

/// A record in memory with versions; every candidate has its own line to it, which can be cut.
#[derive(Default)]
struct Cluster(Mutex<(Option<Lease>, u64)>);

struct Line {
    cluster: Arc<Cluster>,
    cut: AtomicBool,
    lose_replies: AtomicBool,
}

impl Line {
    async fn pass(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.cut.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Record for Line {
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, kube::Error>> {
        Box::pin(async move {
            self.pass().await;
            Ok(lock(&self.cluster.0).0.clone())
        })
    }

    fn write(&self, mut lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>> {
        Box::pin(async move {
            self.pass().await;
            let answer = {
                let mut state = lock(&self.cluster.0);
                let current = state.0.as_ref().and_then(|l| l.metadata.resource_version.clone());
                if current == lease.metadata.resource_version {
                    state.1 += 1;
                    lease.metadata.resource_version = Some(state.1.to_string());
                    state.0 = Some(lease.clone());
                    Ok(lease)
                } else {
                    let status = Status {
                        code: 409,
                        reason: "Conflict".into(),
                        ..Status::default()
                    };
                    Err(kube::Error::Api(Box::new(status)))
                }
            };
            if self.lose_replies.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

struct Process {
    line: Arc<Line>,
    claim: Arc<Claim>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn process(cluster: &Arc<Cluster>, identity: &str) -> Process {
    let line = Arc::new(Line {
        cluster: cluster.clone(),
        cut: AtomicBool::new(false),
        lose_replies: AtomicBool::new(false),
    });
    let (claim, stop) = (Arc::new(Claim::default()), CancellationToken::new());
    let task = tokio::spawn(elect(
        line.clone(),
        identity.to_owned(),
        Clock::anchored(jiff::Timestamp::UNIX_EPOCH),
        claim.clone(),
        stop.clone(),
    ));
    Process {
        line,
        claim,
        stop,
        task,
    }
}

async fn held(process: &Process, value: bool) -> Instant {
    process.claim.held().wait_for(|h| *h == value).await.unwrap();
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_keeps_leading() {
    let cluster = Arc::new(Cluster::default());
    let (a, b) = (process(&cluster, "a"), process(&cluster, "b"));
    held(&a, true).await;
    for _ in 0..3600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(a.claim.holds() && !b.claim.holds());
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_cut_off_stops_before_another_begins() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    held(&a, true).await;
    let b = process(&cluster, "b");
    tokio::time::sleep(Duration::from_secs(7)).await;
    a.line.cut.store(true, Ordering::SeqCst);
    let cut = Instant::now();
    let lost = held(&a, false).await;
    let had = held(&b, true).await;
    assert!(lost - cut <= RENEW_DEADLINE, "{:?}", lost - cut);
    assert!(had - lost >= Duration::from_secs(3), "{:?}", had - lost);
    // The end of the lease is met as it comes, not at the next try after it.
    assert!(had - cut < DURATION, "{:?}", had - cut);
    a.line.cut.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(b.claim.holds() && !a.claim.holds());
}

#[tokio::test(start_paused = true)]
async fn a_frozen_holder_hears_no_when_it_thaws() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    held(&a, true).await;
    assert!(a.claim.holds());
    // Nothing of this process runs while it is frozen; its clock does.
    let until = a.claim.until().unwrap();
    a.task.abort();
    tokio::time::sleep_until(until).await;
    assert!(!a.claim.holds());
    assert!(
        *a.claim.held().borrow(),
        "nobody was there to say so; the clock alone decides"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_renewal_is_no_loss() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    held(&a, true).await;
    a.line.lose_replies.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(4)).await;
    a.line.lose_replies.store(false, Ordering::SeqCst);
    // The write whose reply was lost hangs until the claim ends; afterwards it is had again.
    held(&a, false).await;
    held(&a, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_goes_gives_it_back() {
    let cluster = Arc::new(Cluster::default());
    let (a, b) = (process(&cluster, "a"), process(&cluster, "b"));
    held(&a, true).await;
    a.stop.cancel();
    a.task.await.unwrap();
    let left = Instant::now();
    let had = held(&b, true).await;
    assert!(had - left <= RETRY + Duration::from_secs(1), "{:?}", had - left);
    let lease = lock(&cluster.0).0.clone().unwrap().spec.unwrap();
    assert_eq!(
        (lease.holder_identity.as_deref(), lease.lease_transitions),
        (Some("b"), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn told_to_go_while_a_renewal_is_under_way_it_gives_it_back_all_the_same() {
    let cluster = Arc::new(Cluster::default());
    let (a, b) = (process(&cluster, "a"), process(&cluster, "b"));
    held(&a, true).await;
    let version = || lock(&cluster.0).1;
    let before = version();
    a.line.lose_replies.store(true, Ordering::SeqCst);
    while version() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    a.line.lose_replies.store(false, Ordering::SeqCst);
    a.stop.cancel();
    a.task.await.unwrap();
    let left = Instant::now();
    let had = held(&b, true).await;
    assert!(had - left <= RETRY + Duration::from_secs(1), "{:?}", had - left);
}

#[tokio::test(start_paused = true)]
async fn what_another_has_meanwhile_is_not_given_back() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    held(&a, true).await;
    {
        let mut state = lock(&cluster.0);
        state.1 += 1;
        let next = state.1.to_string();
        let lease = state.0.as_mut().unwrap();
        lease.metadata.resource_version = Some(next);
        lease.spec.as_mut().unwrap().holder_identity = Some("c".into());
    }
    a.stop.cancel();
    a.task.await.unwrap();
    let lease = lock(&cluster.0).0.clone().unwrap().spec.unwrap();
    assert_eq!(lease.holder_identity.as_deref(), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn told_to_go_while_it_is_being_had_it_gives_it_back_all_the_same() {
    let cluster = Arc::new(Cluster::default());
    let a = process(&cluster, "a");
    a.line.lose_replies.store(true, Ordering::SeqCst);
    while lock(&cluster.0).1 == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    a.line.lose_replies.store(false, Ordering::SeqCst);
    a.stop.cancel();
    a.task.await.unwrap();
    let lease = lock(&cluster.0).0.clone().unwrap().spec.unwrap();
    assert_eq!(lease.holder_identity.as_deref(), Some(""));
}
