//! One task per account: it lists the account, keeps the last complete list, and wakes the objects that
//! something new concerns. Nothing is asked per object.

mod absence;
pub mod clock;
mod groups;
pub mod interest;
pub mod metrics;
mod state;
pub mod sync;
#[cfg(test)]
pub(crate) mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::api::Reason;
use crate::planner::model::{CloudError, ErrorClass, Listing};
use crate::providers::Provider;
use crate::providers::transport::endpoint::REFUSED;
use clock::Clock;
pub use interest::{Interest, ObjectKey, ObjectKind};
use metrics::CloudMetrics;
use state::State;
use sync::lock;

/// A whole list may take so long, pages and waits for the request budget included.
const LIST_DEADLINE: Duration = Duration::from_secs(180);

/// Hears which objects should be looked at again.
pub trait Wake: Send + Sync {
    /// Look at this object, within `spread` from now.
    fn wake(&self, key: &ObjectKey, spread: Duration);
}

/// How often an account is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// While nothing is under way.
    pub idle: Duration,
    /// While something is.
    pub busy: Duration,
}

/// Since when, and why, an account cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The cloud's words.
    pub message: String,
}

/// What is known about an account.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last complete list.
    pub listing: Option<Arc<Listing>>,
    /// Lists fail.
    pub outage: Option<Outage>,
    /// So many recorded servers are missing that no absence is believed.
    pub mass_absence: bool,
}

/// What an observer needs.
pub struct Setup {
    /// The time.
    pub clock: Clock,
    /// Names this installation.
    pub installation: String,
    /// Who is told.
    pub wake: Arc<dyn Wake>,
    /// What is counted.
    pub metrics: CloudMetrics,
    /// Where jitter comes from.
    pub seed: u64,
    /// Who lists: the first one whose credentials are accepted.
    pub sources: Vec<Arc<dyn Provider>>,
    /// How often.
    pub pace: Pace,
}

/// The task of one account. Ends when dropped.
pub struct Observer {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    clock: Clock,
    installation: String,
    wake: Arc<dyn Wake>,
    metrics: CloudMetrics,
    state: Mutex<State>,
    notify: Notify,
    changes: watch::Sender<u64>,
}

impl Observer {
    /// Starts it; the first list is asked for at once.
    pub fn start(setup: Setup) -> Self {
        let shared = Arc::new(Shared {
            clock: setup.clock,
            installation: setup.installation,
            wake: setup.wake,
            metrics: setup.metrics,
            state: Mutex::new(State::new(setup.seed, setup.sources, setup.pace)),
            notify: Notify::new(),
            changes: watch::channel(0).0,
        });
        let task = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&shared).run()));
        Self { shared, _task: task }
    }

    /// What is known now.
    pub fn view(&self) -> View {
        lock(&self.shared.state).view()
    }

    /// Changes whenever a list came or failed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Says what an object wants to hear about from now on.
    pub fn attend(&self, uid: &str, interest: Interest) {
        let urgent = interest.busy || interest.list_after.is_some();
        lock(&self.shared.state).interests.set(uid, interest);
        if urgent {
            self.shared.notify.notify_one();
        }
    }

    /// The same of an object whose servers were recorded before the first list, which should have them.
    pub fn expect(&self, uid: &str, interest: Interest) {
        let mut state = lock(&self.shared.state);
        if !interest.deleting {
            state.absence.recorded(&interest.ids);
        }
        if !state.interests.knows(uid) {
            state.interests.set(uid, interest);
        }
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        lock(&self.shared.state).interests.remove(uid);
    }

    /// Changes who lists, and how often. A new source is tried at once.
    pub fn source(&self, sources: Vec<Arc<dyn Provider>>, pace: Pace) {
        lock(&self.shared.state).source(sources, pace);
        self.shared.notify.notify_one();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        loop {
            if AssertUnwindSafe(self.lists()).catch_unwind().await.is_err() {
                tracing::error!("the observer of an account panicked; it goes on");
                lock(&self.state).failed(Instant::now(), &CloudError::new(ErrorClass::Transient, ""));
            }
        }
    }

    async fn lists(&self) {
        loop {
            let due = lock(&self.state).due(&self.clock);
            if due <= Instant::now() {
                self.once().await;
                continue;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.notify.notified() => {}
            }
        }
    }

    async fn once(&self) {
        let started = Instant::now();
        let Some((provider, asked_at)) = lock(&self.state).begin(started, self.clock.now()) else {
            return self.notify.notified().await;
        };
        let with_groups = lock(&self.state).interests.any_groups();
        let result = timeout(LIST_DEADLINE, groups::list(&*provider, with_groups))
            .await
            .unwrap_or_else(|_| Err(CloudError::new(ErrorClass::Transient, "no complete list in time")));
        let ended = Instant::now();
        let word = result.as_ref().map_or_else(|e| e.class.as_str(), |_| "ok");
        self.metrics.call("List", word, ended - started);
        let (wakes, spread) = match result {
            Ok((servers, groups)) => {
                let mut state = lock(&self.state);
                (
                    state.listed(asked_at, self.clock.now(), servers, groups, &self.installation),
                    Duration::ZERO,
                )
            }
            Err(error) => {
                tracing::warn!(class = %error.class, %error, "an account could not be listed");
                let mut state = lock(&self.state);
                state.failed(ended, &error);
                (
                    state.outage(self.clock.now(), &error),
                    state.pace.idle.min(Duration::from_secs(15)),
                )
            }
        };
        self.metrics.wakes(wakes.len());
        for key in &wakes {
            self.wake.wake(key, spread);
        }
        self.changes.send_modify(|n| *n += 1);
    }
}

/// How an error of a whole account is called in conditions.
pub fn outage_reason(error: &CloudError) -> Reason {
    match error.class {
        ErrorClass::Unauthorized => Reason::CredentialsInvalid,
        ErrorClass::Forbidden => Reason::Forbidden,
        ErrorClass::RateLimited => Reason::RateLimited,
        ErrorClass::InvalidSpec if error.code.as_deref() == Some(REFUSED) => Reason::EndpointRefused,
        ErrorClass::InvalidSpec => Reason::CredentialsInvalid,
        _ => Reason::Unreachable,
    }
}
