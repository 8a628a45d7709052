//! One provider in virtual time: a simulated cluster, a simulated cloud, and controllers between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server};
use evenkeel::controller::{self, Context, Readiness};
use evenkeel::observer::clock::Clock;
use evenkeel::observer::metrics::Metrics;
use evenkeel::providers::registry::CLOUDS;
use evenkeel::sim::apiserver::{ApiServer, Verb, WriteRecord};
use evenkeel::sim::openstack::{FaultEffect, RequestRecord};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clouds::{Cloud, Seen};
use crate::logs::Log;
use crate::scenarios::cluster::{Cluster, condition, merge, ready};
use crate::tap::Tap;
use crate::world::{Everybody, NAMESPACE};

const PATIENCE: Duration = Duration::from_secs(7200);
const QUIET: Duration = Duration::from_secs(900);

/// The server once nothing is under way and all that was wished last is so.
pub async fn settled(f: &Field) -> Server {
    f.wait("web", "the settings are as declared", |x| {
        let synced = condition(x, ConditionType::SettingsSynced);
        let status = x.status.as_ref();
        let seen = status.and_then(|s| s.observed_generation);
        let idle = status.is_some_and(|s| s.operation.is_none());
        idle && ready(x) && seen == x.metadata.generation && synced.is_none_or(|c| c.status == "True")
    })
    .await
}

/// What may become of a call whose end nobody hears of, or that is not taken.
pub const fn unanswered() -> [FaultEffect; 3] {
    let late = FaultEffect::LateApply {
        delay_ms: 60_000,
        wait_ms: 2_000,
    };
    let refused = FaultEffect::Status {
        code: 503,
        body: None,
    };
    [FaultEffect::LostReply, late, refused]
}

/// A controller that runs, until it is dropped.
pub struct Process {
    name: String,
    task: AbortOnDropHandle<()>,
    // Dropped, it would tell the controller to go.
    _stop: CancellationToken,
}

/// Waits until all of these have ended, whoever ended them.
pub async fn ended(processes: &mut Vec<Process>) {
    while let Some(process) = processes.last_mut() {
        // An abort is what is waited for here.
        let _ = (&mut process.task).await;
        processes.pop();
    }
}

/// The world of one scenario.
pub struct Field {
    pub api: ApiServer,
    pub cloud: Arc<dyn Cloud>,
    cluster: Cluster,
    log: Log,
    /// The wire between the controllers and the cloud.
    pub tap: Tap,
    running: Vec<Process>,
    started: u64,
    planted: Vec<String>,
    expected: Vec<&'static str>,
    bystander: Option<Seen>,
    metrics: Vec<(String, Metrics)>,
}

impl Deref for Field {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        // A hook may hold the server that holds it.
        self.api.clear_hook();
    }
}

impl Field {
    /// A world with an account and a controller.
    pub async fn new(cloud: Arc<dyn Cloud>, api: ApiServer) -> Self {
        let mut field = Self::logged(cloud, api, tracing::Level::TRACE);
        field.account("cloud", true).await;
        field.run();
        field
    }

    /// A world with nothing in it, logged down to a level.
    pub fn logged(cloud: Arc<dyn Cloud>, api: ApiServer, level: tracing::Level) -> Self {
        let log = Log::capture(level);
        let cluster = Cluster {
            client: api.client("admin"),
            namespace: NAMESPACE.to_owned(),
            patience: PATIENCE,
        };
        Self {
            tap: Tap::new(cloud.connect()),
            api,
            cloud,
            cluster,
            log,
            running: vec![],
            started: 0,
            planted: vec![ADMIN_PASSWORD.to_owned()],
            expected: vec![],
            bystander: None,
            metrics: vec![],
        }
    }

    /// A ProviderConfig and its Secret.
    pub async fn account(&self, name: &str, good: bool) {
        let [secret, config, password] = self.account_objects(name, good);
        self.make::<Secret>(&secret).await;
        self.make::<ProviderConfig>(&config).await;
        self.make::<Secret>(&password).await;
    }

    /// A Secret with credentials, the ProviderConfig of it, and a Secret with a password for new servers.
    pub fn account_objects(&self, name: &str, good: bool) -> [Value; 3] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": self.cloud.secret(good)});
        let mut spec = json!({"requests": {"perSecond": 50, "burst": 100}});
        merge(&mut spec, self.cloud.account(name));
        let config = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig",
            "metadata": {"name": name}, "spec": spec});
        let password = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("{name}-admin"), "labels": {"evenkeel.dev/allow": "password"}},
            "stringData": {"password": ADMIN_PASSWORD}});
        [secret, config, password]
    }

    /// A Server of the smallest kind, and what `more` says of its spec.
    pub async fn create(&self, name: &str, more: Value) -> Server {
        self.make::<Server>(&self.server(name, more)).await
    }

    /// The same, not made yet.
    pub fn server(&self, name: &str, more: Value) -> Value {
        let mut spec = json!({"providerConfigRef": {"name": "cloud"}, "powerOff": {"timeout": "5m"}});
        merge(&mut spec, self.cloud.spec());
        merge(&mut spec, more);
        json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name}, "spec": spec})
    }

    /// Starts a controller, beside those that run.
    pub fn run(&mut self) {
        self.started += 1;
        let name = format!("evenkeel-{}", self.started);
        let stop = CancellationToken::new();
        let metrics = Metrics::default();
        self.metrics.push((name.clone(), metrics.clone()));
        let context = Context {
            watch_client: self.api.client(&name),
            client: self.api.client(&name),
            namespaces: vec![],
            connect: self.tap.connect(&name),
            clouds: CLOUDS,
            allow_insecure_endpoints: false,
            console_output: true,
            clock: Clock::anchored(self.api.now()),
            process: name.clone(),
            installation: "test".to_owned(),
            seed: self.started,
            ownership: Everybody::new(),
            metrics,
            readiness: Arc::new(Readiness::default()),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(controller::run(context, stop.clone())));
        self.running.push(Process {
            name,
            task,
            _stop: stop,
        });
    }

    /// Ends the controllers as SIGKILL does.
    pub async fn kill(&mut self) {
        for process in &self.running {
            process.task.abort();
        }
        self.ended().await;
    }

    /// Waits until every controller has ended, whoever ended it.
    pub async fn ended(&mut self) {
        ended(&mut self.released()).await;
    }

    /// Gives the controllers that run to the caller: they end when they are dropped.
    pub fn released(&mut self) -> Vec<Process> {
        std::mem::take(&mut self.running)
    }

    /// Each controller that runs, and what ends it at any moment from anywhere, as SIGKILL does.
    pub fn triggers(&self) -> Vec<(String, AbortHandle)> {
        let one = |p: &Process| (p.name.clone(), p.task.abort_handle());
        self.running.iter().map(one).collect()
    }

    /// How many controllers have not ended.
    pub fn running(&self) -> usize {
        self.running.iter().filter(|p| !p.task.is_finished()).count()
    }

    /// How many requests were not answered, or with a fault of the cloud.
    pub fn went_wrong(&self) -> usize {
        let wrong = |r: &&RequestRecord| !r.answered || r.status.is_some_and(|s| s >= 500);
        self.cloud.requests().iter().filter(wrong).count()
    }

    /// From now on this must be seen nowhere.
    pub fn plant(&mut self, secret: String) {
        self.planted.push(secret);
    }

    /// The log may have a fault with these words.
    pub fn expected_fault(&mut self, words: &'static str) {
        self.expected.push(words);
    }

    /// What each controller counted that was ever started here.
    pub fn metrics(&self) -> &[(String, Metrics)] {
        &self.metrics
    }

    /// Somebody makes a server by hand that no object speaks of; it is left out of what is looked at from now on.
    pub async fn bystander(&mut self, name: &str) {
        let id = self.cloud.by_hand(name);
        let began = tokio::time::Instant::now();
        while self.seen(&id).is_none_or(|s| s.power != "Running") {
            assert!(began.elapsed() < PATIENCE, "the bystander does not run");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.bystander = self.seen(&id);
    }

    /// The bystander as it was when it was made.
    pub const fn stands_by(&self) -> Option<&Seen> {
        self.bystander.as_ref()
    }

    /// Every server of the cloud but the bystander.
    pub fn servers(&self) -> Vec<Seen> {
        let other = |s: &Seen| self.bystander.as_ref().is_none_or(|b| b.id != s.id);
        self.cloud.servers().into_iter().filter(other).collect()
    }

    /// The one server of an object in the cloud.
    pub fn only(&self, object: &Server) -> Seen {
        let uid = object.metadata.uid.as_deref();
        let mut found = self.cloud.servers();
        found.retain(|s| s.uid.as_deref() == uid);
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    /// A server of the cloud by its id.
    pub fn seen(&self, id: &str) -> Option<Seen> {
        self.cloud.servers().into_iter().find(|s| s.id == id)
    }

    /// Waits until the cloud itself is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Seen]) -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.servers();
            if wanted(&now) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{what}: {now:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What must be true of every run: at most one server for an object, no write for nothing, no fault of our
    /// own, no secret anywhere; and nothing but lists once all is at rest.
    pub async fn judge(&self) {
        self.judge_for(QUIET).await;
        assert!(
            !self.cloud.counts().is_empty(),
            "the account is not looked at any more"
        );
    }

    /// The same, watched at rest for so long.
    pub async fn judge_for(&self, quiet: Duration) {
        for (uid, most) in self.cloud.high_water() {
            assert!(most <= 1, "{most} servers at once for the object {uid}");
        }
        // Counts of servers on a ProviderConfig are written with a delay.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = self.written().len();
        self.cloud.reset_requests();
        tokio::time::sleep(quiet).await;
        let late: Vec<String> = self
            .written()
            .split_off(before)
            .iter()
            .map(|w| {
                let object = w.object.as_deref().unwrap_or(&Value::Null);
                format!(
                    "{} {:?} {} {}: {} {}",
                    w.at, w.call.verb, w.call.plural, w.call.name, object["status"], object["note"]
                )
            })
            .collect();
        assert!(late.is_empty(), "O5: written while nothing happened: {late:#?}");
        let asked = self.cloud.counts();
        let odd: Vec<_> = asked
            .keys()
            .filter(|k| !self.cloud.at_rest().contains(&k.as_str()))
            .collect();
        assert!(odd.is_empty(), "O5: asked while nothing happened: {asked:#?}");
        let log = self.log.text();
        let fault = |l: &&str| l.contains(" ERROR ") && !self.expected.iter().any(|words| l.contains(words));
        let faults: Vec<&str> = log.lines().filter(fault).collect();
        assert!(faults.is_empty(), "O12: {faults:#?}");
        self.judge_secrets(&log);
    }

    /// What controllers wrote into the cluster, each time something new.
    pub fn written(&self) -> Vec<WriteRecord> {
        let mut all = self.api.writes();
        all.retain(|w| w.call.client.starts_with("evenkeel"));
        for write in &all {
            let taken = (200..300).contains(&write.code);
            assert!(
                !taken || write.changed || write.call.verb == Verb::Delete,
                "a write that changed nothing: {write:#?}"
            );
        }
        all
    }

    fn judge_secrets(&self, log: &str) {
        let shown: Vec<Value> = [
            "servers",
            "servergroups",
            "serveractions",
            "providerconfigs",
            "events",
        ]
        .iter()
        .flat_map(|plural| self.api.list(plural))
        .collect();
        let shown = Value::from(shown).to_string();
        let mut planted = self.cloud.planted();
        planted.extend(self.planted.clone());
        for secret in planted {
            assert!(!log.contains(&secret), "O14: a secret is in the log");
            assert!(!shown.contains(&secret), "O14: a secret is in the cluster");
        }
    }
}

/// The password of the administrator of new servers; must be seen nowhere.
pub const ADMIN_PASSWORD: &str = "Planted-Pw1x";
