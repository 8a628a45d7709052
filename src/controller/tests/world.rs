//! A simulated cluster, a simulated cloud, and controllers between them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::controller::ownership::Ownership;
use crate::controller::{Context, run};
use crate::observer::clock::Clock;
use crate::observer::metrics::Metrics;
use crate::observer::sync::hash;
use crate::providers::registry::CLOUDS;
use crate::sim::apiserver::ApiServer;
use crate::sim::openstack::{self, OpenStackSim, SimConfig};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Switch(pub(super) watch::Sender<bool>);

impl Ownership for Switch {
    fn owns(&self, _: &str) -> bool {
        *self.0.borrow()
    }

    fn acting(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

pub(super) struct World {
    pub(super) kube: ApiServer,
    pub(super) cloud: Arc<OpenStackSim>,
    pub(super) clock: Clock,
    pub(super) owner: Arc<Switch>,
    pub(super) metrics: Metrics,
    pub(super) insecure: bool,
}

pub(super) struct Running {
    pub(super) stop: CancellationToken,
    pub(super) task: AbortOnDropHandle<()>,
}

pub(super) const SECRET: (&str, &str, &str) = ("secrets", "default", "sim");
pub(super) const CONFIG: (&str, &str, &str) = ("providerconfigs", "default", "sim");
pub(super) const WEB: (&str, &str, &str) = ("servers", "default", "web");

impl World {
    pub(super) fn new() -> Self {
        let kube = ApiServer::new().unwrap();
        let config = SimConfig {
            epoch: Some(kube.now()),
            ..SimConfig::default()
        };
        let clock = Clock::anchored(kube.now());
        let owner = Arc::new(Switch(watch::channel(true).0));
        Self {
            kube,
            cloud: OpenStackSim::new(config),
            clock,
            owner,
            metrics: Metrics::default(),
            insecure: true,
        }
    }

    pub(super) fn with_config() -> Self {
        let world = Self::new();
        let text = openstack::manifests("http://127.0.0.1:5000", "sim", "default");
        world.kube.apply_yaml(&text).unwrap();
        world
    }

    pub(super) fn context(&self, process: &str) -> Context {
        Context {
            watch_client: self.kube.client(process),
            client: self.kube.client(process),
            namespaces: vec![],
            connect: Arc::new(openstack::Lines(self.cloud.clone())),
            clouds: CLOUDS,
            allow_insecure_endpoints: self.insecure,
            console_output: true,
            clock: self.clock,
            process: process.to_owned(),
            installation: "here".to_owned(),
            seed: hash(process),
            ownership: self.owner.clone(),
            metrics: self.metrics.clone(),
            readiness: Arc::default(),
        }
    }

    pub(super) fn start(&self, process: &str) -> Running {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(self.context(process), stop.clone()));
        Running {
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }

    pub(super) fn server(&self, name: &str) {
        let server = json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "providerConfigRef": {"name": "sim"}, "size": {"name": "m1.small"}, "image": {"name": "cirros"},
                "openstack": {"networks": [{"name": "primary", "network": "demo-net"}]}
            }
        });
        self.kube.apply(&server).unwrap();
    }

    pub(super) async fn ready(&self, place: (&str, &str, &str)) {
        let ready = |o: Option<&Value>| o.is_some_and(|o| condition(o, "Ready").0 == "True");
        self.kube.wait_for(place, 5 * MINUTE, ready).await.unwrap();
    }

    pub(super) async fn reason(&self, place: (&str, &str, &str), reason: &str) {
        let told = |o: Option<&Value>| o.is_some_and(|o| condition(o, "Ready").1 == reason);
        self.kube.wait_for(place, 5 * MINUTE, told).await.unwrap();
    }

    pub(super) fn lists(&self) -> usize {
        self.cloud
            .counts()
            .iter()
            .filter(|(k, _)| k.contains("/servers/detail"))
            .map(|(_, n)| n)
            .sum()
    }
}

pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let all = object["status"]["conditions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let found = all.iter().find(|c| c["type"] == kind);
    found.map_or(("", ""), |c| {
        (c["status"].as_str().unwrap(), c["reason"].as_str().unwrap())
    })
}
