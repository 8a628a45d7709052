//! Records in memory, ways to them that can be cut, and processes that can be frozen.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;
use kube::core::Status;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::super::*;
use crate::observer::sync::lock;

pub(super) const ACCOUNTS: usize = 60;
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn account(n: usize) -> String {
    format!("account-{n}")
}

/// The records in memory with versions.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) leases: Mutex<(BTreeMap<u8, Lease>, u64)>,
    pub(super) writes: AtomicU64,
}

impl Cluster {
    fn apply(&self, place: u8, mut lease: Lease) -> Result<Lease, kube::Error> {
        let mut state = lock(&self.leases);
        let current = state
            .0
            .get(&place)
            .and_then(|l| l.metadata.resource_version.clone());
        if current != lease.metadata.resource_version {
            let (code, reason) = if current.is_none() {
                (404, "NotFound")
            } else {
                (409, "Conflict")
            };
            let status = Status {
                code,
                reason: reason.into(),
                ..Status::default()
            };
            return Err(kube::Error::Api(Box::new(status)));
        }
        state.1 += 1;
        self.writes.fetch_add(1, Ordering::SeqCst);
        lease.metadata.resource_version = Some(state.1.to_string());
        lease.metadata.name = Some(format!("{LEASES}{place}"));
        state.0.insert(place, lease.clone());
        Ok(lease)
    }
}

/// One process' way to them.
pub(super) struct Line {
    pub(super) cluster: Arc<Cluster>,
    pub(super) cut: AtomicBool,
    /// Milliseconds that a write takes on its way there, whether somebody still waits for it or not.
    pub(super) late: AtomicU64,
    pub(super) lose_replies: AtomicBool,
}

impl Line {
    async fn pass(&self) {
        sleep(Duration::from_millis(20)).await;
        if self.cut.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Records for Line {
    fn read(&self) -> BoxFuture<'_, Result<Vec<Lease>, kube::Error>> {
        Box::pin(async move {
            self.pass().await;
            let read = lock(&self.cluster.leases).0.values().cloned().collect();
            self.pass().await;
            Ok(read)
        })
    }

    fn write(&self, place: u8, lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>> {
        Box::pin(async move {
            self.pass().await;
            let (cluster, late) = (Arc::clone(&self.cluster), self.late.load(Ordering::SeqCst));
            let applied = tokio::spawn(async move {
                sleep(Duration::from_millis(late)).await;
                cluster.apply(place, lease)
            });
            let answer = applied.await.unwrap();
            if self.lose_replies.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            self.pass().await;
            answer
        })
    }
}

/// What stops a process without its knowing.
#[derive(Default)]
pub(super) struct Freezer {
    pub(super) frozen: AtomicBool,
    pub(super) waker: AtomicWaker,
}

impl Freezer {
    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(super) async fn hold(self: Arc<Self>, process: impl Future<Output = ()>) {
        let mut process = pin!(process);
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.frozen.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
            process.as_mut().poll(context)
        })
        .await;
    }
}

pub(super) struct Process {
    pub(super) name: String,
    pub(super) line: Arc<Line>,
    pub(super) shares: Arc<Shares>,
    pub(super) freezer: Arc<Freezer>,
    pub(super) stop: CancellationToken,
    pub(super) task: AbortOnDropHandle<()>,
}

/// A process whose controller needs so long to let go of what has left.
pub(super) fn process_that_yields(cluster: &Arc<Cluster>, name: &str, after: Duration) -> Process {
    let line = Arc::new(Line {
        cluster: Arc::clone(cluster),
        cut: AtomicBool::new(false),
        late: AtomicU64::new(0),
        lose_replies: AtomicBool::new(false),
    });
    let (shares, stop) = (Arc::new(Shares::default()), CancellationToken::new());
    let clock = Clock::anchored(jiff::Timestamp::UNIX_EPOCH);
    let joining = join(
        line.clone(),
        name.to_owned(),
        clock,
        Arc::clone(&shares),
        stop.clone(),
    );
    let yielding = {
        let (shares, mut changes) = (Arc::clone(&shares), shares.changes());
        async move {
            loop {
                let change = *changes.borrow_and_update();
                sleep(after).await;
                shares.yielded(change);
                if !changes.has_changed().unwrap() {
                    changes.changed().await.unwrap();
                }
            }
        }
    };
    let freezer = Arc::new(Freezer::default());
    let both = async move {
        tokio::select! {
            () = joining => {}
            () = yielding => {}
        }
    };
    let task = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&freezer).hold(both)));
    Process {
        name: name.to_owned(),
        line,
        shares,
        freezer,
        stop,
        task,
    }
}

pub(super) fn process(cluster: &Arc<Cluster>, name: &str) -> Process {
    process_that_yields(cluster, name, Duration::from_millis(5))
}

impl Process {
    pub(super) fn own(&self) -> BTreeSet<usize> {
        (0..ACCOUNTS).filter(|n| self.shares.owns(&account(*n))).collect()
    }

    pub(super) async fn release(self) -> Instant {
        self.stop.cancel();
        self.task.await.unwrap();
        Instant::now()
    }
}

/// No account is two processes' at once, be it only to end something.
pub(super) fn alone(processes: &[&Process]) {
    for n in 0..ACCOUNTS {
        let keep = processes.iter().filter(|p| p.shares.keeps(&account(n)));
        let keep: Vec<&str> = keep.map(|p| p.name.as_str()).collect();
        assert!(keep.len() <= 1, "{keep:?} all keep account {n}");
    }
}

/// Waits until every account is somebody's; when that was.
pub(super) async fn all_owned(processes: &[&Process], patience: Duration) -> Instant {
    let began = Instant::now();
    loop {
        alone(processes);
        if processes.iter().map(|p| p.own().len()).sum::<usize>() == ACCOUNTS {
            return Instant::now();
        }
        let shares: Vec<usize> = processes.iter().map(|p| p.own().len()).collect();
        assert!(began.elapsed() < patience, "after {patience:?}: {shares:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The same, once these processes have seen each other.
pub(super) async fn settled(processes: &[&Process]) -> Instant {
    let places = |p: &&Process| p.shares.to_record().count() as usize == processes.len();
    let began = Instant::now();
    while !processes.iter().all(&places) || processes.iter().any(|p| p.shares.should_record()) {
        alone(processes);
        assert!(began.elapsed() < 60 * SECOND);
        sleep(Duration::from_millis(10)).await;
    }
    all_owned(processes, 10 * SECOND).await
}

pub(super) fn mend(process: &Process) {
    process.line.cut.store(false, Ordering::SeqCst);
    process.line.lose_replies.store(false, Ordering::SeqCst);
    process.line.late.store(0, Ordering::SeqCst);
    process.freezer.freeze(false);
}
