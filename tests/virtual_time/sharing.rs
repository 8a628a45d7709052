//! Replicas that share the accounts: several controllers on one cluster, with the leases that they really keep, and six clouds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::api::{ProviderConfig, Server};
use evenkeel::controller::{self, Context, Readiness};
use evenkeel::observer::clock::Clock;
use evenkeel::observer::metrics::Metrics;
use evenkeel::providers::registry::CLOUDS;
use evenkeel::providers::transport::{Connect, Transport, TransportError};
use evenkeel::runtime::membership::{self, KubeRecords};
use evenkeel::runtime::ownership::BySharing;
use evenkeel::runtime::shares::Shares;
use evenkeel::sim::openstack::{OpenStackSim, PASSWORD, SimConfig, clouds_yaml};
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::scenarios::stage::{Stage, power_of, ready};
use crate::world::{PLANTED, Virtual};

const ACCOUNTS: usize = 6;
const SECOND: Duration = Duration::from_secs(1);

/// One request of one process.
#[derive(Clone, Debug)]
struct Asked {
    process: String,
    cloud: usize,
    at: Instant,
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// The way of one process to six clouds, each with an account of its own.
#[derive(Clone)]
struct Sky {
    process: String,
    clouds: Arc<Vec<Arc<OpenStackSim>>>,
    log: Log,
}

impl Connect for Sky {
    fn connect(&self, _ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Transport for Sky {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let host = request.uri().host().unwrap();
        let cloud = host
            .trim_start_matches("cloud-")
            .trim_end_matches(".test")
            .parse()
            .unwrap();
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Asked {
                process: self.process.clone(),
                cloud,
                at: Instant::now(),
            });
        self.clouds[cloud].send(request, deadline)
    }
}

/// A controller and its membership, as one process.
struct Replica {
    name: String,
    metrics: Metrics,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Replica {
    /// Ends it as SIGTERM does.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as SIGKILL does.
    async fn kill(self) {
        self.task.abort();
        // An abort is what is waited for here.
        let _ = self.task.await;
    }
}

struct Fleet {
    world: Virtual,
    stage: Stage,
    clouds: Arc<Vec<Arc<OpenStackSim>>>,
    log: Log,
}

fn config(cloud: usize) -> String {
    format!("cloud-{cloud}")
}

impl Fleet {
    async fn new() -> Self {
        let world = Virtual::with(SimConfig::default(), tracing::Level::INFO);
        let stage = world.stage_again();
        let cloud = |n: usize| {
            let sim = OpenStackSim::new(SimConfig {
                seed: n as u64 + 1,
                epoch: Some(world.api.now()),
                ..SimConfig::default()
            });
            sim.set_password("demo", PLANTED);
            sim
        };
        let clouds = Arc::new((0..ACCOUNTS).map(cloud).collect::<Vec<_>>());
        for n in 0..ACCOUNTS {
            let text = clouds_yaml(&format!("https://cloud-{n}.test")).replace(PASSWORD, PLANTED);
            stage.account(&config(n), "demo", &text).await;
        }
        Self {
            world,
            stage,
            clouds,
            log: Log::default(),
        }
    }

    fn start(&self, name: &str) -> Replica {
        let name = format!("evenkeel-{name}");
        let (metrics, readiness) = (Metrics::default(), Arc::new(Readiness::default()));
        let shares = Arc::new(Shares::new(metrics.sharing_replicas.clone()));
        let client = self.world.api.client(&name);
        let clock = Clock::anchored(self.world.api.now());
        let context = Context {
            watch_client: client.clone(),
            client: client.clone(),
            namespaces: vec![],
            connect: Arc::new(Sky {
                process: name.clone(),
                clouds: Arc::clone(&self.clouds),
                log: Arc::clone(&self.log),
            }),
            clouds: CLOUDS,
            allow_insecure_endpoints: false,
            console_output: true,
            clock,
            process: name.clone(),
            installation: "test".to_owned(),
            seed: evenkeel::observer::sync::hash(&name),
            ownership: Arc::new(BySharing::new(Arc::clone(&shares))),
            metrics: metrics.clone(),
            readiness: Arc::clone(&readiness),
        };
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let records = Arc::new(KubeRecords::new(client, "evenkeel-system"));
        let joining = {
            let (name, leave) = (name.clone(), leave.clone());
            async move {
                readiness.synced().await;
                membership::join(records, name, clock, shares, leave).await;
            }
        };
        let told = stop.clone();
        let process = async move {
            let joining = AbortOnDropHandle::new(tokio::spawn(joining));
            controller::run(context, told).await;
            leave.cancel();
            joining.await.unwrap();
        };
        Replica {
            name,
            metrics,
            stop,
            task: AbortOnDropHandle::new(tokio::spawn(process)),
        }
    }

    fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether all of them are Ready.
    async fn all_ready(&self) {
        for n in 0..ACCOUNTS {
            let good = |c: &ProviderConfig| {
                let status = c.status.as_ref();
                let ready = |s: &evenkeel::api::ProviderConfigStatus| {
                    s.conditions
                        .iter()
                        .any(|c| c.type_ == "Ready" && c.status == "True")
                };
                status.is_some_and(ready)
            };
            self.stage.wait_for(&config(n), "Ready", good).await;
        }
    }

    async fn server(&self, name: &str, cloud: usize) {
        self.stage
            .create(name, json!({"providerConfigRef": {"name": config(cloud)}}))
            .await;
    }

    /// A server in each cloud, which is Ready.
    async fn servers(&self) {
        for n in 0..ACCOUNTS {
            self.server(&format!("web-{n}"), n).await;
        }
        for n in 0..ACCOUNTS {
            self.stage.ready_in(&format!("web-{n}"), "Running").await;
        }
    }

    /// Who asks each cloud, as the next two minutes show: it has to be one.
    async fn owners(&self) -> Vec<String> {
        let since = Instant::now();
        sleep(120 * SECOND).await;
        let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for asked in self.asked().into_iter().filter(|a| a.at > since) {
            found.entry(asked.cloud).or_default().insert(asked.process);
        }
        assert_eq!(found.len(), ACCOUNTS, "{found:?}");
        let one = |(cloud, all): (usize, BTreeSet<String>)| {
            assert_eq!(all.len(), 1, "cloud {cloud} is asked by {all:?}");
            all.into_iter().next().unwrap()
        };
        found.into_iter().map(one).collect()
    }

    /// Until these replicas see each other, and every account has moved that has to.
    async fn settled(&self, replicas: &[&Replica]) {
        let seen = |r: &&Replica| r.metrics.sharing_replicas.get() == replicas.len() as i64;
        let began = Instant::now();
        while !replicas.iter().all(&seen) {
            assert!(began.elapsed() < 60 * SECOND, "they do not see each other");
            sleep(SECOND / 10).await;
        }
        sleep(30 * SECOND).await;
    }

    fn judge(&self) {
        for cloud in &*self.clouds {
            for (uid, most) in cloud.high_water() {
                assert!(most <= 1, "{most} servers at once for the object {uid}");
            }
        }
        for write in self.world.written() {
            let taken = (200..300).contains(&write.code);
            assert!(
                !taken || write.changed,
                "a write that changed nothing: {write:#?}"
            );
        }
        let log = self.world.log.text();
        let faults: Vec<&str> = log.lines().filter(|l| l.contains(" ERROR ")).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    fn live(&self) -> usize {
        self.clouds.iter().map(|c| c.live_servers().len()).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn each_account_is_asked_by_one() {
    for replicas in [1, 2, 3] {
        let fleet = Fleet::new().await;
        let all: Vec<Replica> = (1..=replicas).map(|n| fleet.start(&n.to_string())).collect();
        fleet.all_ready().await;
        fleet.settled(&all.iter().collect::<Vec<_>>()).await;
        fleet.servers().await;
        sleep(30 * SECOND).await;
        let written = fleet.world.written().len();
        let owners = fleet.owners().await;
        let share = |r: &Replica| owners.iter().filter(|o| **o == r.name).count();
        let shares: Vec<usize> = all.iter().map(share).collect();
        assert!(shares.iter().all(|s| *s > 0), "{shares:?} of six");
        assert_eq!(fleet.live(), ACCOUNTS);
        // One write for each replica and two seconds, and none for an account.
        let late = fleet.world.written().split_off(written);
        let others: Vec<_> = late.iter().filter(|w| w.call.plural != "leases").collect();
        assert!(others.is_empty(), "{others:#?}");
        assert!(
            (59 * replicas..=61 * replicas).contains(&late.len()),
            "{} writes",
            late.len()
        );
        fleet.judge();
    }
}

#[tokio::test(start_paused = true)]
async fn the_accounts_of_one_that_is_killed_move_and_no_others() {
    let fleet = Fleet::new().await;
    let (a, b, c) = (fleet.start("1"), fleet.start("2"), fleet.start("3"));
    fleet.settled(&[&a, &b, &c]).await;
    fleet.servers().await;
    let before = fleet.owners().await;
    let name = b.name.clone();
    b.kill().await;
    let killed = Instant::now();
    for n in 0..ACCOUNTS {
        fleet
            .stage
            .edit(&format!("web-{n}"), json!({"powerState": "Stopped"}))
            .await;
    }
    let mut gaps = Vec::new();
    for n in 0..ACCOUNTS {
        fleet.stage.ready_in(&format!("web-{n}"), "Stopped").await;
        gaps.push(killed.elapsed());
    }
    assert!(gaps.last().unwrap() < &(25 * SECOND), "{gaps:?}");
    let after = fleet.owners().await;
    for (old, new) in before.iter().zip(&after) {
        assert!(
            new != &name && (old == new || old == &name),
            "{before:?} {after:?}"
        );
    }
    assert_eq!(fleet.live(), ACCOUNTS);
    // Between its last request and the first of another for the same account lies its silence.
    let asked = fleet.asked();
    for cloud in (0..ACCOUNTS).filter(|n| before[*n] == name) {
        let first = asked.iter().find(|a| a.cloud == cloud && a.at > killed).unwrap();
        let gap = first.at - killed;
        assert!(gap > 10 * SECOND && gap < 18 * SECOND, "{gap:?}");
    }
    fleet.judge();
}

#[tokio::test(start_paused = true)]
async fn the_accounts_of_one_that_goes_are_taken_up_at_once() {
    let fleet = Fleet::new().await;
    let (a, b, c) = (fleet.start("1"), fleet.start("2"), fleet.start("3"));
    fleet.settled(&[&a, &b, &c]).await;
    fleet.servers().await;
    let before = fleet.owners().await;
    let name = c.name.clone();
    c.stop().await;
    let gone = Instant::now();
    for n in 0..ACCOUNTS {
        fleet
            .stage
            .edit(&format!("web-{n}"), json!({"powerState": "Stopped"}))
            .await;
    }
    for n in 0..ACCOUNTS {
        fleet.stage.ready_in(&format!("web-{n}"), "Stopped").await;
    }
    assert!(gone.elapsed() < 15 * SECOND, "{:?}", gone.elapsed());
    let asked = fleet.asked();
    let mut moved = 0;
    for cloud in (0..ACCOUNTS).filter(|n| before[*n] == name) {
        let first = asked.iter().find(|a| a.cloud == cloud && a.at > gone).unwrap();
        assert!(first.at - gone <= 2 * SECOND, "{:?}", first.at - gone);
        moved += 1;
    }
    assert!(moved > 0);
    let after = fleet.owners().await;
    for (old, new) in before.iter().zip(&after) {
        assert!(
            new != &name && (old == new || old == &name),
            "{before:?} {after:?}"
        );
    }
    fleet.judge();
}

/// One more joins in the middle of creations: those under way are ended by who began them, and none waits for another's.
#[tokio::test(start_paused = true)]
async fn one_that_joins_holds_up_no_creation() {
    const EACH: usize = 4;
    for ms in [0, 40, 90, 200, 700, 1500, 2500] {
        println!("{ms} ms after the wish");
        let fleet = Fleet::new().await;
        let a = fleet.start("1");
        fleet.all_ready().await;
        for n in 0..ACCOUNTS * EACH {
            fleet.server(&format!("web-{n}"), n % ACCOUNTS).await;
        }
        let wished = Instant::now();
        sleep(Duration::from_millis(ms)).await;
        let b = fleet.start("2");
        for n in 0..ACCOUNTS * EACH {
            let server = fleet.stage.ready_in(&format!("web-{n}"), "Running").await;
            let attempts = server.status.unwrap().create_attempts;
            assert_eq!(attempts, Some(1), "web-{n} after {ms} ms");
        }
        assert!(wished.elapsed() < 30 * SECOND, "{:?}", wished.elapsed());
        fleet.settled(&[&a, &b]).await;
        let owners: BTreeSet<String> = fleet.owners().await.into_iter().collect();
        assert_eq!(owners.len(), 2, "{owners:?}");
        assert_eq!(fleet.live(), ACCOUNTS * EACH);
        fleet.judge();
    }
}

/// Cut off from the cluster, one stops before the others begin; when the line is mended its share comes back to it.
#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_asks_no_more_when_others_begin() {
    let fleet = Fleet::new().await;
    let (a, b) = (fleet.start("1"), fleet.start("2"));
    fleet.settled(&[&a, &b]).await;
    fleet.servers().await;
    let before = fleet.owners().await;
    fleet.world.api.cut(&b.name);
    let cut = Instant::now();
    for n in 0..ACCOUNTS {
        fleet
            .stage
            .edit(&format!("web-{n}"), json!({"powerState": "Stopped"}))
            .await;
    }
    for n in 0..ACCOUNTS {
        fleet.stage.ready_in(&format!("web-{n}"), "Stopped").await;
    }
    let asked = fleet.asked();
    let mut moved = 0;
    for cloud in (0..ACCOUNTS).filter(|n| before[*n] == b.name) {
        let last = asked
            .iter()
            .rfind(|r| r.cloud == cloud && r.process == b.name)
            .unwrap();
        let first = asked
            .iter()
            .find(|r| r.cloud == cloud && r.process == a.name && r.at > cut)
            .unwrap();
        assert!(
            last.at + 2 * SECOND < first.at,
            "{:?} and {:?}",
            last.at - cut,
            first.at - cut
        );
        moved += 1;
    }
    assert!(moved > 0);
    fleet.world.api.mend(&b.name);
    fleet.settled(&[&a, &b]).await;
    assert_eq!(fleet.owners().await, before);
    fleet.judge();
}

/// An account that nobody knows yet is learned by one, and is then the one's to whom it falls; one whose Secret is missing is
/// spoken of by one.
#[tokio::test(start_paused = true)]
async fn accounts_that_are_new_or_unknown_are_one_replicas() {
    let fleet = Fleet::new().await;
    let (a, b, c) = (fleet.start("1"), fleet.start("2"), fleet.start("3"));
    fleet.settled(&[&a, &b, &c]).await;
    let written = fleet.world.written().len();
    let lacking = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "lacking"},
        "spec": {"openstack": {"secretRef": {"name": "lacking"}, "cloud": "demo"}}});
    fleet.stage.make::<ProviderConfig>(&lacking).await;
    fleet
        .stage
        .create("none", json!({"providerConfigRef": {"name": "nowhere"}}))
        .await;
    fleet
        .stage
        .create("lost", json!({"providerConfigRef": {"name": "lacking"}}))
        .await;
    for n in 0..20 {
        let text = clouds_yaml(&format!("https://cloud-{}.test", n % ACCOUNTS));
        let text = text.replace(PASSWORD, PLANTED);
        fleet.stage.account(&format!("more-{n}"), "demo", &text).await;
        fleet
            .stage
            .create(
                &format!("web-{n}"),
                json!({"providerConfigRef": {"name": format!("more-{n}")}}),
            )
            .await;
    }
    for n in 0..20 {
        fleet.stage.ready_in(&format!("web-{n}"), "Running").await;
    }
    fleet.owners().await;
    assert_eq!(fleet.live(), 20);
    // Of a server and of an account that waits for something one replica speaks.
    let late = fleet.world.written().split_off(written);
    for (plural, name) in [
        ("servers", "none"),
        ("servers", "lost"),
        ("providerconfigs", "lacking"),
    ] {
        let of = late
            .iter()
            .filter(|w| w.call.plural == plural && w.call.name == name);
        let writers: BTreeSet<&str> = of.map(|w| w.call.client.as_str()).collect();
        assert_eq!(writers.len(), 1, "{plural} {name}: {writers:?}");
    }
    let reason = |s: &Server| {
        let conditions = &s.status.as_ref().unwrap().conditions;
        conditions
            .iter()
            .find(|c| c.type_ == "Ready")
            .unwrap()
            .reason
            .clone()
    };
    assert_eq!(reason(&fleet.stage.get("none").await), "ProviderConfigNotFound");
    assert_eq!(reason(&fleet.stage.get("lost").await), "CredentialsMissing");
    fleet.judge();
}

/// Replicas come and go all the time while servers are made, stopped, started and deleted.
#[tokio::test(start_paused = true)]
async fn whatever_comes_and_goes_there_is_one_server_for_each_object() {
    for seed in 0..3_u64 {
        let fleet = Fleet::new().await;
        let mut dice = evenkeel::observer::sync::Jitter::new(seed);
        let mut roll = move |sides: u64| dice.number() % sides;
        let mut all = vec![fleet.start("0")];
        for n in 0..12 {
            fleet.server(&format!("web-{n}"), n % ACCOUNTS).await;
        }
        for n in 1..30 {
            let chosen = roll(all.len() as u64) as usize;
            match roll(4) {
                0 if all.len() > 1 => all.swap_remove(chosen).kill().await,
                1 if all.len() > 1 => all.swap_remove(chosen).stop().await,
                2 => {
                    fleet.world.api.cut(&all[chosen].name);
                    sleep(Duration::from_millis(roll(20_000))).await;
                    fleet.world.api.mend(&all[chosen].name);
                }
                _ if all.len() < 4 => all.push(fleet.start(&n.to_string())),
                _ => {}
            }
            let power = ["Stopped", "Running"][roll(2) as usize];
            let name = format!("web-{}", roll(12));
            fleet.stage.edit(&name, json!({"powerState": power})).await;
            sleep(Duration::from_millis(roll(9_000))).await;
        }
        for n in 0..12 {
            let name = format!("web-{n}");
            fleet.stage.edit(&name, json!({"powerState": "Running"})).await;
            fleet
                .stage
                .wait(&name, "Ready and Running", |s| {
                    ready(s) && power_of(s) == "Running"
                })
                .await;
        }
        fleet.settled(&all.iter().collect::<Vec<_>>()).await;
        fleet.owners().await;
        assert_eq!(fleet.live(), 12);
        fleet.judge();
    }
}
