//! A Kubernetes API server in process, for the real controller under tokio's paused time.
//!
//! It is a [`tower::Service`] behind a real [`kube::Client`]: no sockets, no threads, no clock but tokio's.
//! Under `start_paused` a virtual hour costs milliseconds and every run is the same.
//!
//! What it does as the real one: resourceVersions and their conflicts, generation, status as a subresource,
//! finalizers, defaulting and pruning by the CRDs of [`crate::api::crds`], writes without a change (no version,
//! no event), watches that resume or expire, paged lists, `Status` errors. What it leaves out: authentication,
//! CEL and patterns, field managers (an apply merges and never removes), garbage collection, admission.
//!
//! Each [`ApiServer::client`] has a name, so that faults, freezes and the write log can tell clients apart.

mod error;
mod faults;
mod http_server;
mod merge;
mod resources;
pub(crate) mod schema;
mod secret;
mod selector;
mod service;
mod store;
mod testing;
mod watch;
mod wire;
mod write;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub use error::ApiError;
pub use faults::{Call, Fault, Hook, Phase, Rule, Verb, WriteEvent, WriteRecord};
pub use resources::{RESOURCES, Resource};
pub use testing::{Place, TimedOut};

use crate::api::crds::{self, CrdError};
use faults::FaultPlan;
use store::Store;

/// How the server behaves when nothing is wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a request takes; it is carried out halfway.
    pub latency: Duration,
    /// How long after a change the watches tell of it.
    pub watch_delay: Duration,
    /// The time of day at the moment when the server is made.
    pub epoch: Timestamp,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(2),
            watch_delay: Duration::from_millis(1),
            // 2026-01-01T00:00:00Z
            epoch: Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

/// A young cluster in which our own definitions are established. A process makes it once, and its objects are shared: a
/// campaign starts thousands of servers.
fn young() -> Result<&'static Store, CrdError> {
    static YOUNG: OnceLock<Store> = OnceLock::new();
    if let Some(store) = YOUNG.get() {
        return Ok(store);
    }
    let definitions = crds::all()?.into_iter().map(|(_, crd)| serde_json::to_value(crd));
    let definitions = definitions.collect::<Result<Vec<Value>, _>>()?;
    let mut store = Store::empty();
    store.install(definitions, Config::default().epoch);
    Ok(YOUNG.get_or_init(|| store))
}

/// The server. Clones share everything.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    started: Instant,
    state: Mutex<State>,
    /// Moves whenever something happened that a watch or a waiting test may care about.
    signal: tokio::sync::watch::Sender<u64>,
}

struct State {
    store: Store,
    faults: FaultPlan,
    hook: Option<Hook>,
    clients: BTreeMap<String, ClientState>,
    log: Vec<WriteRecord>,
    requests: BTreeMap<(String, Verb, &'static str), u64>,
}

/// What is special about one client.
#[derive(Debug, Default)]
struct ClientState {
    writes: u64,
    frozen: bool,
    cut: bool,
    /// How often its watches were broken, and expired; an open watch compares with when it was opened.
    breaks: u64,
    expiries: u64,
    /// Every open watch holds a clone.
    open: Arc<()>,
}

impl ApiServer {
    /// A server as fast as a good one, at 2026-01-01. Must be made within a tokio runtime.
    pub fn new() -> Result<Self, CrdError> {
        Self::with(Config::default())
    }

    /// A server with its own latency and time of day.
    pub fn with(config: Config) -> Result<Self, CrdError> {
        let store = young()?.clone();
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                started: Instant::now(),
                state: Mutex::new(State {
                    store,
                    faults: FaultPlan::default(),
                    hook: None,
                    clients: BTreeMap::new(),
                    log: Vec::new(),
                    requests: BTreeMap::new(),
                }),
                signal: tokio::sync::watch::Sender::new(0),
            }),
        })
    }

    /// A client that is known by this name. Two clients of one name share their faults and their log.
    pub fn client(&self, name: &str) -> kube::Client {
        kube::Client::new(service::Connection::new(self.clone(), name), "default")
    }

    /// The time of day, in virtual time.
    pub fn now(&self) -> Timestamp {
        self.inner.config.epoch + self.inner.started.elapsed()
    }

    /// Orders a fault. Rules are asked in the order in which they were added.
    pub fn fault(&self, rule: Rule) {
        self.state().faults.add(rule);
    }

    /// Forgets all ordered faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Calls `hook` before and after every write of every client; its fault counts unless it is `Pass`.
    pub fn on_write(&self, hook: impl Fn(&WriteEvent) -> Fault + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// No hook any more.
    pub fn clear_hook(&self) {
        self.state().hook = None;
    }

    /// From now on the client's watches deliver nothing: its caches grow stale. Reads and writes go on.
    pub fn freeze_watches(&self, client: &str) {
        self.change_client(client, |c| c.frozen = true);
    }

    /// The client's watches deliver what they held back.
    pub fn thaw_watches(&self, client: &str) {
        self.change_client(client, |c| c.frozen = false);
    }

    /// The network between this client and the server is gone: every request and every watch fails. A request
    /// that had arrived is still carried out, its reply is lost.
    pub fn cut(&self, client: &str) {
        self.change_client(client, |c| {
            c.cut = true;
            c.breaks += 1;
        });
    }

    /// The network is back.
    pub fn mend(&self, client: &str) {
        self.change_client(client, |c| c.cut = false);
    }

    /// Breaks the client's open watches; it can resume them.
    pub fn break_watches(&self, client: &str) {
        self.change_client(client, |c| c.breaks += 1);
    }

    /// Ends the client's open watches with 410: it must list again.
    pub fn expire_watches(&self, client: &str) {
        self.change_client(client, |c| c.expiries += 1);
    }

    /// How many watches the client has open.
    pub fn open_watches(&self, client: &str) -> usize {
        self.state()
            .clients
            .get(client)
            .map_or(0, |c| Arc::strong_count(&c.open) - 1)
    }

    /// Forgets the history: a watch that starts from an older version, or a list that goes on, gets 410.
    pub fn compact(&self) {
        self.state().store.compact();
    }

    /// Every write request so far, in the order in which they were carried out or refused.
    pub fn writes(&self) -> Vec<WriteRecord> {
        self.state().log.clone()
    }

    /// Forgets the write log and the request counts; the numbers of writes go on.
    pub fn clear_log(&self) {
        let mut state = self.state();
        state.log.clear();
        state.requests.clear();
    }

    /// How many requests a client sent, by verb and plural name; refused and lost ones too.
    pub fn requests(&self, client: &str) -> BTreeMap<(Verb, &'static str), u64> {
        let state = self.state();
        let own = state.requests.iter().filter(|((c, _, _), _)| c == client);
        own.map(|((_, verb, plural), n)| ((*verb, *plural), *n)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test while it holds the lock must not hide behind a second one.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_client(&self, client: &str, change: impl FnOnce(&mut ClientState)) {
        change(self.state().clients.entry(client.to_owned()).or_default());
        self.wake();
    }

    fn wake(&self) {
        self.inner.signal.send_modify(|n| *n += 1);
    }
}
