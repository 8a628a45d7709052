//! The Kubernetes shell: watches, queue, finalizers, statuses, events. It decides nothing.

mod accounts;
mod actions;
mod call;
mod changed;
mod config;
mod config_status;
mod context;
mod credentials;
mod events;
mod explain;
mod groups;
mod limits;
mod objects;
pub mod ownership;
mod queue;
mod quota;
mod readings;
mod reconcile;
mod reconcile_group;
mod served;
mod sharing;
mod shown;
mod store;
mod tally;
#[cfg(test)]
#[cfg(feature = "sim")]
mod tests;
mod trace;
mod waker;
mod watching;
mod write;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument as _;

use crate::api::{ProviderConfig, Server, ServerAction, ServerGroup};
use crate::observer::metrics::labels::{Kind, KindEnded};
use crate::observer::sync::{Jitter, hash, lock};
use crate::observer::{ObjectKey, ObjectKind, Setup, Wake};
use crate::planner::Takes;
use crate::providers::transport::budgets::Budgets;
use accounts::{Accounts, Settings};
pub use context::{Context, Readiness};
use events::Events;
use limits::Limits;
use objects::Objects;
use queue::{Queue, Urgency};
use quota::Quotas;
pub(crate) use reconcile::Error;
use store::Store;
use waker::Waker;
use watching::scopes;

/// So many objects have their turn at once. No turn waits for a cloud.
const WORKERS: usize = 16;
/// How long a process that is going waits for the calls that it has under way.
const DRAIN: Duration = Duration::from_secs(20);
/// The longest wait after a failed turn.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What all parts of the controller share.
pub(crate) struct Shell {
    pub(crate) ctx: Context,
    servers: Arc<Store<Server>>,
    configs: Arc<Store<ProviderConfig>>,
    groups: Arc<Store<ServerGroup>>,
    actions: Arc<Store<ServerAction>>,
    queue: Arc<Queue>,
    objects: Objects,
    accounts: Accounts,
    budgets: Arc<Budgets>,
    limits: Mutex<Limits>,
    quotas: Mutex<Quotas>,
    events: Events,
    calls: TaskTracker,
    looks: TaskTracker,
    turns: AtomicU64,
    /// A turn has ended, or a reply has come.
    turned: Notify,
    /// A ProviderConfig that has a task here is another replica's now.
    moved: Notify,
    draining: AtomicBool,
    end: CancellationToken,
}

/// Runs the controller until it is told to stop; then finishes what is under way, for at most 20 s.
pub async fn run(ctx: Context, shutdown: CancellationToken) {
    let (shell, publisher) = Shell::new(ctx);
    let publisher = AbortOnDropHandle::new(tokio::spawn(publisher));
    let _end = End(Arc::clone(&shell));
    let watches = shell.watch();
    let mut acting = shell.ctx.ownership.acting();
    let mut synced = [
        shell.servers.synced(),
        shell.configs.synced(),
        shell.groups.synced(),
        shell.actions.synced(),
    ];
    let ready = async {
        for synced in &mut synced {
            until(synced, true).await;
        }
    };
    tokio::select! {
        () = ready => {}
        () = shutdown.cancelled() => return,
    }
    tracing::info!("every object was listed");
    shell.ctx.readiness.set_synced();
    loop {
        tokio::select! {
            () = until(&mut acting, true) => {}
            () = shutdown.cancelled() => break,
        }
        tracing::info!("acting");
        let mut changes = shell.ctx.ownership.changes();
        let change = *changes.borrow_and_update();
        let workers = shell.start();
        tokio::select! {
            () = until(&mut acting, false) => {}
            () = shell.keep_sharing(changes, change) => {}
            () = shutdown.cancelled() => {
                shell.drain(workers).await;
                break;
            }
        }
        tracing::warn!("not acting any more");
        drop(workers);
        shell.stop();
    }
    drop((watches, publisher));
}

/// Ends everything, also when [`run`] itself is dropped: then nothing more leaves this process.
struct End(Arc<Shell>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end.cancel();
        self.0.stop();
    }
}

async fn until(receiver: &mut watch::Receiver<bool>, value: bool) {
    // Its sender lives as long as what waits here; without it there is nothing to wait for.
    if receiver.wait_for(|v| *v == value).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Shell {
    fn new(ctx: Context) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let scopes = scopes(&ctx.namespaces);
        let servers = Arc::new(Store::new(scopes.clone()));
        let configs = Arc::new(Store::new(scopes.clone()));
        let groups = Arc::new(Store::new(scopes.clone()));
        // An installation whose definitions or rights are older serves its Servers all the same.
        let actions = Arc::new(Store::optional(scopes));
        let (events, publisher) = Events::new(ctx.client.clone(), &ctx.process, ctx.metrics.clone());
        let queue = Arc::new(Queue::new(
            ctx.metrics.queue_depth.clone(),
            ctx.metrics.queue_wait.clone(),
        ));
        let wake = Arc::new(Waker::new(Arc::clone(&queue), Arc::clone(&servers), ctx.seed));
        let (clock, installation, metrics) = (ctx.clock, ctx.installation.clone(), ctx.metrics.clone());
        let observe = Box::new(move |seed, cloud, sources, pace| Setup {
            clock,
            installation: installation.clone(),
            wake: Arc::clone(&wake) as Arc<dyn Wake>,
            metrics: metrics.of_cloud(cloud),
            seed,
            sources,
            pace,
        });
        let (a, b, c) = (Arc::clone(&servers), Arc::clone(&configs), Arc::clone(&groups));
        let d: Arc<Store<ServerAction>> = Arc::clone(&actions);
        ctx.readiness.ask(move || {
            let all = a.not_ready().into_iter().chain(b.not_ready());
            all.chain(c.not_ready()).chain(d.not_ready()).collect()
        });
        let (a, b, c) = (Arc::clone(&servers), Arc::clone(&configs), Arc::clone(&groups));
        let d: Arc<Store<ServerAction>> = Arc::clone(&actions);
        ctx.readiness
            .troubled_by(move || [a.troubled(), b.troubled(), c.troubled(), d.troubled()].concat());
        let shell = Arc::new(Self {
            servers,
            configs,
            groups,
            actions,
            queue,
            objects: Objects::default(),
            accounts: Accounts::new(observe, ctx.seed),
            budgets: Arc::default(),
            limits: Mutex::default(),
            quotas: Mutex::default(),
            events,
            calls: TaskTracker::new(),
            looks: TaskTracker::new(),
            turns: AtomicU64::new(0),
            turned: Notify::new(),
            moved: Notify::new(),
            draining: AtomicBool::new(false),
            end: CancellationToken::new(),
            ctx,
        });
        let this = Arc::downgrade(&shell);
        shell
            .ctx
            .metrics
            .state
            .ask(move || tally::state(&*this.upgrade()?));
        let this = Arc::downgrade(&shell);
        shell
            .ctx
            .readiness
            .explain_by(move |key| explain::explain(&*this.upgrade()?, key));
        (shell, publisher)
    }

    fn tend(self: &Arc<Self>, key: &ObjectKey) {
        let Some(config) = self.configs.get(key).filter(|_| self.serves(key)) else {
            return;
        };
        let (shell, name) = (Arc::clone(self), key.clone());
        let now = self.ctx.clock.now();
        self.accounts
            .tend(key, Settings::of(&config.spec), now, move |poke| {
                AbortOnDropHandle::new(tokio::spawn(config::tend(shell, name, poke)))
            });
    }

    /// Begins to act: with nothing remembered but what the objects say.
    fn start(self: &Arc<Self>) -> Vec<AbortOnDropHandle<()>> {
        self.stop();
        self.ctx.metrics.leader.set(1);
        self.share();
        (0..WORKERS)
            .map(|_| AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).work())))
            .collect()
    }

    /// What is under way since before this process began counts from the start.
    fn seed_limits(&self, key: &ObjectKey, server: &Server) {
        let status = server.status.as_ref();
        let create = status.is_some_and(|s| s.create_attempt.is_some());
        let disruption = status.is_some_and(|s| s.resize.as_ref().is_some_and(|r| r.restore_to.is_some()));
        let config = ObjectKey::new(
            key.namespace.clone(),
            server.spec.provider_config_ref.name.clone(),
        );
        let uid = server.metadata.uid.clone().unwrap_or_default();
        let takes = Takes { create, disruption };
        let group = groups::group_of(&key.namespace, server);
        for place in std::iter::once(config).chain(group) {
            lock(&self.limits).record(&place, &uid, key, takes, Takes::default());
        }
    }

    fn stop(&self) {
        self.ctx.metrics.leader.set(0);
        self.accounts.clear();
        self.queue.clear();
        self.objects.clear();
        *lock(&self.limits) = Limits::default();
        *lock(&self.quotas) = Quotas::default();
    }

    async fn work(self: Arc<Self>) {
        while !self.draining() {
            let Some(key) = self.queue.next().await else {
                return;
            };
            let (again, hold) = self.turn(&key).await;
            self.queue.done(&key, again, hold);
            self.turned.notify_waiters();
            // Many turns wait for nothing: whatever else is ready, a watch or a call, goes before the next one.
            tokio::task::yield_now().await;
        }
    }

    async fn turn(self: &Arc<Self>, key: &ObjectKey) -> (Option<Instant>, Option<Instant>) {
        let began = Instant::now();
        let turn = async {
            match key.object {
                ObjectKind::Server => reconcile::reconcile(self, key).await,
                ObjectKind::ServerGroup => reconcile_group::reconcile(self, key).await,
                ObjectKind::ServerAction => actions::reconcile(self, key).await,
            }
        };
        let (uid, generation) = self.identity(key);
        let span = trace::span(self.ctx.seed, &self.turns, key, &uid, generation);
        let result = AssertUnwindSafe(turn)
            .catch_unwind()
            .instrument(span.clone())
            .await;
        let _entered = span.entered();
        let (metrics, kind) = (&self.ctx.metrics, key.kind());
        let took = began.elapsed().as_secs_f64();
        let durations = &metrics.reconcile_duration;
        durations.get_or_create(&Kind { kind }).observe(took);
        let (result, times) = match result {
            Ok(Ok(end)) => {
                self.objects.succeeded(&uid);
                (end.outcome, (end.again, None))
            }
            Ok(Err(error)) => {
                tracing::warn!(object = %key, %error, "a turn failed and is tried again");
                ("error", self.hold(&uid))
            }
            Err(_) => {
                tracing::error!(object = %key, "a turn panicked and is tried again");
                ("panic", self.hold(&uid))
            }
        };
        metrics.reconcile.get_or_create(&KindEnded { kind, result }).inc();
        times
    }

    /// The uid and the generation of an object; empty if it is gone.
    fn identity(&self, key: &ObjectKey) -> (String, Option<i64>) {
        let of = |meta: &ObjectMeta| (meta.uid.clone().unwrap_or_default(), meta.generation);
        let found = match key.object {
            ObjectKind::Server => self.servers.get(key).map(|s| of(&s.metadata)),
            ObjectKind::ServerGroup => self.groups.get(key).map(|g| of(&g.metadata)),
            ObjectKind::ServerAction => self.actions.get(key).map(|a| of(&a.metadata)),
        };
        found.unwrap_or_default()
    }

    /// A failed turn is repeated, slower each time; nothing cuts through that.
    fn hold(&self, uid: &str) -> (Option<Instant>, Option<Instant>) {
        let failures = self.objects.failed(uid);
        let doubled = Duration::from_secs(1 << (failures - 1).min(5)).min(MAX_BACKOFF);
        let mut jitter = Jitter::new(self.ctx.seed ^ hash(uid) ^ u64::from(failures));
        let until = Instant::now() + jitter.around(doubled, 10);
        (Some(until), Some(until))
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Takes no new work, waits for the calls under way, and saves what they brought.
    async fn drain(self: &Arc<Self>, workers: Vec<AbortOnDropHandle<()>>) {
        self.draining.store(true, Ordering::SeqCst);
        let all = async {
            // A worker that waits for work gets none; one that has an object ends its turn.
            self.queue.close();
            futures::future::join_all(workers).await;
            self.calls.close();
            self.calls.wait().await;
            for key in self.objects.undelivered() {
                self.turn(&key).await;
            }
        };
        if timeout(DRAIN, all).await.is_err() {
            tracing::warn!(
                "calls to clouds are still under way; their records are taken up by the next process"
            );
        }
    }

    /// An object is gone.
    fn forget(&self, key: &ObjectKey, uid: &str, config: Option<&ObjectKey>) {
        self.objects.forget(uid);
        self.accounts.forget(uid);
        lock(&self.quotas).forget(uid);
        let woken = lock(&self.limits).forget(config, uid, key);
        for waiting in woken {
            self.queue.wake(&waiting, Urgency::Background);
        }
    }
}
