//! What runs for every server and tick, or for every turn: made once, run often.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::api::{Server, ServerStatus};
use evenkeel::planner::memory::Memory;
use evenkeel::planner::model::{Listing, ObservedServer};
use evenkeel::planner::{AccountFacts, AccountView, Input, Plan, Step, plan};
use evenkeel::providers::Provider;
use evenkeel::providers::openstack::{CAPABILITIES, CLOUD};
use evenkeel::providers::registry::Build;
use evenkeel::providers::transport::client::NoRecorder;
use evenkeel::providers::transport::{Transport, TransportError};
use evenkeel::sim::openstack::{OpenStackSim, SimConfig, clouds_yaml};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

/// The servers of one page of a list.
pub const PAGE: usize = 1000;
/// The servers of a large account.
pub const MANY: usize = 10_000;

/// Gives to a question that was asked before the same reply again, without asking.
struct Replay {
    cloud: Arc<OpenStackSim>,
    known: Mutex<HashMap<String, http::Response<Bytes>>>,
}

impl Transport for Replay {
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let question = format!("{} {}", request.method(), request.uri());
        if let Some(reply) = self.known.lock().unwrap().get(&question) {
            return std::future::ready(Ok(reply.clone())).boxed();
        }
        async move {
            let reply = Transport::send(&*self.cloud, request, deadline).await?;
            self.known.lock().unwrap().insert(question, reply.clone());
            Ok(reply)
        }
        .boxed()
    }
}

/// An account with so many servers, whose list is one that was heard before.
pub async fn account(servers: usize) -> Arc<dyn Provider> {
    let cloud = OpenStackSim::new(SimConfig {
        host_cores: 1 << 40,
        host_memory: 1 << 50,
        ..SimConfig::default()
    });
    for i in 0..servers {
        let name = format!("web-{i:05}");
        let id = cloud.oob_create(&name).unwrap();
        for (key, value) in [
            ("evenkeel-uid", format!("6f2c1a70-0000-4000-8000-{i:012}")),
            (
                "evenkeel-installation",
                "0f64a9be-7b1c-4b29-9a53-2f3a6f1c7d10".to_owned(),
            ),
            ("evenkeel-object", format!("shop/{name}")),
            ("evenkeel-attempt", "1".to_owned()),
        ] {
            cloud.oob_metadata(&id, key, &value).unwrap();
        }
    }
    // They are all made by then.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let spec = serde_json::from_value(json!({"openstack": {"secretRef": {"name": "s"}, "cloud": "demo"},
        "requests": {"perSecond": 1000, "burst": 10000, "inFlight": 100}}));
    let transport = Arc::new(Replay {
        cloud,
        known: Mutex::default(),
    });
    let provider = (CLOUD.build)(&Build {
        spec: &spec.unwrap(),
        secret: &BTreeMap::from([(
            "clouds.yaml".to_owned(),
            clouds_yaml("https://cloud.test").into_bytes(),
        )]),
        transport,
        recorder: Arc::new(NoRecorder),
        budgets: &Arc::default(),
        allow_insecure_endpoints: false,
    });
    let provider = provider.unwrap();
    // Logs in, and hears the list once.
    assert_eq!(provider.list().await.unwrap().len(), servers);
    provider
}

/// A server at rest with all that its plan rests on.
pub struct Settled {
    server: Server,
    memory: Memory,
    facts: AccountFacts,
    now: jiff::Timestamp,
}

impl Settled {
    /// The first server of an account, planned until nothing is left to do.
    pub fn first(servers: &[Arc<ObservedServer>]) -> Self {
        let now = jiff::Timestamp::from_second(1_767_300_000).unwrap();
        let first = servers.iter().find(|s| s.name == "web-00000").unwrap();
        let uid = first.marks.as_ref().unwrap().uid.clone();
        let server = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": "web-00000", "namespace": "shop", "uid": uid, "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["evenkeel.dev/server"]},
            "spec": {"providerConfigRef": {"name": "cloud"}, "size": {"name": "m1.tiny"}, "image": {"name": "cirros"}}});
        let mut settled = Self {
            server: serde_json::from_value(server).unwrap(),
            memory: Memory::default(),
            facts: AccountFacts {
                account: "account".to_owned(),
                capabilities: &CAPABILITIES,
                suspended: false,
                listing: Arc::new(Listing::default().next(now, servers.to_vec())),
                outage: None,
                mass_absence: false,
                creates_free: true,
                quota: None,
                disruptions_free: true,
            },
            now,
        };
        for _ in 0..10 {
            let plan = settled.plan();
            let rest = plan.step == Step::Wait && settled.server.status.as_ref() == Some(&plan.status);
            if plan.step == Step::AddFinalizer {
                settled.server.metadata.finalizers = Some(vec![evenkeel::api::keys::FINALIZER.to_owned()]);
            }
            settled.server.status = Some(plan.status);
            settled.memory = plan.memory;
            if rest {
                return settled;
            }
        }
        panic!("not at rest: {:#?}", settled.plan());
    }

    /// What its next turn plans: nothing.
    pub fn plan(&self) -> Plan {
        plan(&Input {
            server: &self.server,
            account: AccountView::Usable(&self.facts),
            group: None,
            actions: &[],
            memory: &self.memory,
            process: "bench",
            installation: "0f64a9be-7b1c-4b29-9a53-2f3a6f1c7d10",
            leaving: false,
            lives: &|_| true,
            claimed: &|_| None,
            now: self.now,
            seed: 1,
        })
    }

    /// Its object, as the API server writes it.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.server).unwrap()
    }

    /// Its status.
    pub fn status(&self) -> &ServerStatus {
        self.server.status.as_ref().unwrap()
    }
}

/// A large account as a list shows it: the servers of one page over and over, each with an id of its own.
pub fn many(page: &[Arc<ObservedServer>]) -> Vec<Arc<ObservedServer>> {
    let one = |i: usize| {
        let mut server = (*page[i % page.len()]).clone();
        server.id = format!("{:04}{}", i / page.len(), &server.id[4..]);
        Arc::new(server)
    };
    (0..MANY).map(one).collect()
}

/// The bytes that a value keeps, with itself.
pub fn kept<T>(make: impl FnOnce() -> T) -> usize {
    let mut value = None;
    let counted = allocation_counter::measure(|| value = Some(make()));
    size_of::<T>() + usize::try_from(counted.bytes_current).unwrap()
}
