//! The simulated stage: a cluster, a cloud and any number of controllers in one process, in virtual time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel::controller::ownership::Ownership;
use evenkeel::controller::{self, Context, Readiness};
use evenkeel::observer::clock::Clock;
use evenkeel::observer::metrics::Metrics;
use evenkeel::providers::registry::CLOUDS;
use evenkeel::providers::transport::Connect;
use evenkeel::sim::apiserver::{ApiServer, Verb, WriteRecord};
use evenkeel::sim::openstack::{
    HypervisorOrder, Lines, OpenStackSim, Outage, PASSWORD, SimConfig, clouds_yaml,
};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::logs::Log;
use crate::scenarios::nova::Nova;
use crate::scenarios::stage::{Cluster, Order, Stage, World};
use crate::tap::Tap;

/// Where the simulated cloud seems to be.
pub const BASE: &str = "https://cloud.test";
/// The password of every account; must be seen nowhere.
pub const PLANTED: &str = "planted-Zq7-password";
/// The namespace of most tests.
pub const NAMESPACE: &str = "shop";
/// How long a test waits, in virtual time. An hour costs milliseconds.
const PATIENCE: Duration = Duration::from_secs(3600);
/// All that is asked while nothing happens.
const LISTS: &[&str] = &[
    "GET /servers/detail",
    "GET /os-server-groups",
    "POST /v3/auth/tokens",
];
/// How long a settled world is watched for a sign of life.
const QUIET: Duration = Duration::from_secs(600);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cloud's part of the stage.
struct Cloud(Arc<OpenStackSim>);

impl World for Cloud {
    fn hypervisor(&self, orders: &[Order]) {
        self.0.clear_faults();
        for order in orders {
            self.0.order(HypervisorOrder {
                call: order.call.to_owned(),
                server: Some(order.server.clone()),
                delay_ms: order.delay.map(|d| d.as_millis() as u64),
                fault: order.fault.map(|(kind, message)| format!("{kind}:{message}")),
            });
        }
    }

    fn outage(&self, down: bool) -> BoxFuture<'_, ()> {
        self.0.outage(down.then_some(Outage::Refused));
        Box::pin(async {})
    }

    fn clouds_yaml(&self) -> String {
        clouds_yaml(BASE).replace(PASSWORD, PLANTED)
    }
}

/// Whoever asks may act.
pub struct Everybody(watch::Sender<bool>);

impl Everybody {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(true)))
    }
}

impl Ownership for Everybody {
    fn owns(&self, _: &str) -> bool {
        true
    }

    fn acting(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// A controller that runs.
pub struct Process {
    /// What the API server and the tap know it by.
    pub name: String,
    /// What it counts.
    pub metrics: Metrics,
    /// What it says of itself.
    pub readiness: Arc<Readiness>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Process {
    /// Ends it at any moment from anywhere, as SIGKILL does.
    pub fn trigger(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) {
        // An abort is what is waited for here.
        let _ = (&mut self.task).await;
    }

    /// Ends it as SIGKILL does.
    pub async fn kill(mut self) {
        self.task.abort();
        self.ended().await;
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.ended().await;
    }
}

/// The whole stage.
pub struct Virtual {
    pub api: ApiServer,
    pub sim: Arc<OpenStackSim>,
    pub tap: Tap,
    pub log: Log,
    started: AtomicU32,
    running: Mutex<Vec<Process>>,
    secrets: Mutex<Vec<String>>,
    consoles: AtomicBool,
}

impl Drop for Virtual {
    fn drop(&mut self) {
        // A hook may hold the server that holds it.
        self.api.clear_hook();
    }
}

impl Virtual {
    /// A fresh world without a controller.
    pub fn empty() -> Self {
        Self::with(SimConfig::default(), tracing::Level::TRACE)
    }

    /// A fresh world with another cloud, logged down to a level.
    pub fn with(config: SimConfig, level: tracing::Level) -> Self {
        let log = Log::capture(level);
        let api = ApiServer::new().unwrap();
        let sim = OpenStackSim::new(SimConfig {
            epoch: Some(api.now()),
            ..config
        });
        for user in ["demo", "admin", "alt", "quota"] {
            sim.set_password(user, PLANTED);
        }
        Self {
            api,
            tap: Tap::new(Arc::new(Lines(Arc::clone(&sim)))),
            sim,
            log,
            started: AtomicU32::new(0),
            running: Mutex::default(),
            secrets: Mutex::new(vec![PLANTED.to_owned()]),
            consoles: AtomicBool::new(true),
        }
    }

    /// A fresh world with a controller, and a stage in it with an account.
    pub async fn new() -> (Self, Stage) {
        let world = Self::empty();
        let stage = world.stage().await;
        world.run();
        (world, stage)
    }

    /// A stage in this world, with an account.
    pub async fn stage(&self) -> Stage {
        let stage = self.stage_again();
        stage.default_account().await;
        stage
    }

    /// The same stage, whose account is there already.
    pub fn stage_again(&self) -> Stage {
        let line = Arc::new(Lines(Arc::clone(&self.sim)));
        let line = Connect::connect(&*line, None).unwrap();
        Stage {
            cluster: Cluster {
                client: self.api.client("admin"),
                namespace: NAMESPACE.to_owned(),
                patience: PATIENCE,
            },
            nova: Nova::new(line, &format!("{BASE}/identity/v3"), "demo", PLANTED),
            world: Arc::new(Cloud(Arc::clone(&self.sim))),
        }
    }

    /// Starts a controller that this world keeps.
    pub fn run(&self) {
        let process = self.start();
        locked(&self.running).push(process);
    }

    /// From now on this must be seen nowhere.
    pub fn plant(&self, secret: &str) {
        locked(&self.secrets).push(secret.to_owned());
    }

    /// Controllers that are started from now on write no console into ConfigMaps.
    pub fn without_consoles(&self) {
        self.consoles.store(false, Ordering::SeqCst);
    }

    /// Starts another controller.
    pub fn start(&self) -> Process {
        self.start_with(Everybody::new())
    }

    /// Starts another controller that may act when that says so.
    pub fn start_with(&self, ownership: Arc<dyn Ownership>) -> Process {
        self.launch(ownership, 0, None)
    }

    /// Starts another controller on a machine whose clock is so many seconds ahead.
    pub fn start_at(&self, ahead: i64) -> Process {
        self.launch(Everybody::new(), ahead, None)
    }

    /// Starts another controller with another way out.
    pub fn start_through(&self, connect: Arc<dyn Connect>) -> Process {
        self.launch(Everybody::new(), 0, Some(connect))
    }

    fn launch(
        &self,
        ownership: Arc<dyn Ownership>,
        ahead: i64,
        connect: Option<Arc<dyn Connect>>,
    ) -> Process {
        let n = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let name = format!("evenkeel-{n}");
        let stop = CancellationToken::new();
        let (metrics, readiness) = (Metrics::default(), Arc::new(Readiness::default()));
        let context = Context {
            watch_client: self.api.client(&name),
            client: self.api.client(&name),
            namespaces: vec![],
            connect: connect.unwrap_or_else(|| self.tap.connect(&name)),
            clouds: CLOUDS,
            allow_insecure_endpoints: false,
            console_output: self.consoles.load(Ordering::SeqCst),
            clock: Clock::anchored(self.api.now() + jiff::SignedDuration::from_secs(ahead)),
            process: name.clone(),
            installation: "test".to_owned(),
            seed: u64::from(n),
            ownership,
            metrics: metrics.clone(),
            readiness: Arc::clone(&readiness),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(controller::run(context, stop.clone())));
        Process {
            name,
            metrics,
            readiness,
            stop,
            task,
        }
    }

    /// What controllers wrote into the cluster.
    pub fn written(&self) -> Vec<WriteRecord> {
        let mut all = self.api.writes();
        all.retain(|w| w.call.client.starts_with("evenkeel"));
        all
    }

    /// What must be true of every run, whatever happened in it. The world has to be at rest, or come to it.
    pub async fn judge(&self) {
        self.judge_what_was().await;
        self.judge_quiet().await;
    }

    /// At most one server for each object, no write for nothing, no secret anywhere, no fault of our own.
    pub async fn judge_what_was(&self) {
        for (uid, most) in self.sim.high_water() {
            assert!(most <= 1, "{most} servers at once for the object {uid}");
        }
        for write in self.written() {
            let taken = (200..300).contains(&write.code);
            assert!(
                !taken || write.changed || write.call.verb == Verb::Delete,
                "a write that changed nothing: {write:#?}"
            );
        }
        self.judge_secrets();
        let log = self.log.text();
        let faults: Vec<&str> = log.lines().filter(|l| l.contains(" ERROR ")).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    fn judge_secrets(&self) {
        let mut secrets = self.tap.secrets();
        assert!(!secrets.is_empty(), "no controller has logged in");
        secrets.extend(locked(&self.secrets).iter().cloned());
        let log = self.log.text();
        let shown: Vec<Value> = [
            "servers",
            "servergroups",
            "serveractions",
            "providerconfigs",
            "events",
        ]
        .iter()
        .flat_map(|plural| self.api.list(plural))
        .chain(self.written().iter().filter_map(|w| w.object.as_deref().cloned()))
        .collect();
        let shown = Value::from(shown).to_string();
        for secret in secrets {
            for (place, text) in [("the log", &log), ("the cluster", &shown)] {
                if let Some(at) = text.find(&secret) {
                    let from = at.saturating_sub(200);
                    panic!(
                        "a secret is in {place}: …{}…",
                        text.get(from..at + 40).unwrap_or_default()
                    );
                }
            }
        }
    }

    /// Nothing is written for ten minutes, and only lists are asked for.
    pub async fn judge_quiet(&self) {
        // Counts of servers on a ProviderConfig are written with a delay.
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.quiet_for(QUIET).await;
    }

    /// The lists of a quiet time.
    pub async fn quiet_for(&self, time: Duration) -> usize {
        let written = self.written().len();
        self.sim.reset_requests();
        tokio::time::sleep(time).await;
        let late: Vec<_> = self.written().split_off(written);
        assert!(late.is_empty(), "written while nothing happened: {late:#?}");
        let counts = self.sim.counts();
        let odd: Vec<_> = counts.keys().filter(|k| !LISTS.contains(&k.as_str())).collect();
        assert!(odd.is_empty(), "asked while nothing happened: {counts:#?}");
        counts.get("GET /servers/detail").copied().unwrap_or_default()
    }
}
