//! What an installation is for: servers of two simulated clouds in namespaces of a cluster that nobody else uses, and
//! what must not change about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::sim::openstack::{self, OpenStackSim};
use evenkeel::sim::upcloud::{self, UpCloudSim};
use serde_json::Value;

use crate::helm::{NAMESPACE, command};
use crate::kubelet::Kubelet;
use crate::support::kube::{Cluster, Output};

/// What the pods are told beside what the chart says: a port of their own, and clouds of this machine.
pub const VALUES: &str = "extraArgs={--admin-address=127.0.0.1:0,--allow-insecure-endpoints}";

/// A group with two members in one cloud, and a server in another one that tells its password once. `@` is the namespace.
const OBJECTS: &str = r"
apiVersion: evenkeel.dev/v1alpha1
kind: ServerGroup
metadata: {name: tier-@}
spec: {providerConfigRef: {name: helsinki-@}, placement: {policy: SoftAntiAffinity}}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: web-@}
spec:
  providerConfigRef: {name: helsinki-@}
  groupRef: {name: tier-@}
  size: {name: m1.small}
  image: {name: cirros}
  openstack: {networks: [{name: primary, network: demo-net}]}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: batch-@}
spec:
  providerConfigRef: {name: helsinki-@}
  groupRef: {name: tier-@}
  powerState: Stopped
  size: {name: m1.tiny}
  image: {name: cirros}
  openstack: {networks: [{name: primary, network: demo-net}]}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: told-@}
spec:
  providerConfigRef: {name: finland-@}
  size: {name: 1xCPU-1GB}
  image: {name: CentOS 7}
  credentialsSecretName: told-login-@
  deletion: {disks: DeleteOwned}
  upcloud: {zone: fi-hel1}
";
/// How many objects that are in a namespace, with their accounts.
const OBJECTS_EACH: usize = 6;
/// How many of them are servers.
pub const SERVERS_EACH: usize = 3;

/// Clouds, and the namespaces whose servers are in them.
pub struct Shop {
    pub cluster: &'static Cluster,
    pub nova: Arc<OpenStackSim>,
    pub up: Arc<UpCloudSim>,
    /// What the clouds run in.
    pub runtime: tokio::runtime::Runtime,
    pub places: &'static [&'static str],
    nova_url: String,
    up_url: String,
}

/// What must not change: the objects with their uids and servers, and what the clouds have.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    pub objects: BTreeMap<String, (String, String)>,
    pub servers: BTreeMap<String, String>,
    pub changes: usize,
}

impl Shop {
    /// A cluster with empty namespaces, and clouds that are served.
    pub fn begin(name: &str, places: &'static [&'static str]) -> Self {
        let cluster: &'static Cluster = Box::leak(Box::new(Cluster::empty(name)));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut config = openstack::SimConfig::default();
        config.timings.call = Duration::from_millis(100);
        let nova = OpenStackSim::new(config);
        let up = UpCloudSim::new(upcloud::SimConfig {
            timings: upcloud::Timings::with_create(Duration::from_millis(600)),
            ..Default::default()
        });
        let listen = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let (a, b) = (listen().unwrap(), listen().unwrap());
        let url = |l: &tokio::net::TcpListener| format!("http://{}", l.local_addr().unwrap());
        let (nova_url, up_url) = (url(&a), url(&b));
        runtime.spawn(nova.clone().serve(a));
        runtime.spawn(up.clone().serve(b));
        for place in places {
            cluster.kubectl(&["create", "namespace", place]).ok().unwrap();
        }
        Self {
            cluster,
            nova,
            up,
            runtime,
            places,
            nova_url,
            up_url,
        }
    }

    /// kubectl in a namespace.
    pub fn kubectl(&self, place: &str, args: &[&str], input: Option<&str>) -> Output {
        self.cluster.kubectl_with(&[&["-n", place], args].concat(), input)
    }

    /// Applies the accounts of a namespace: each a Secret and a ProviderConfig.
    pub fn accounts(&self, place: &str) {
        let text = [
            openstack::manifests(&self.nova_url, &format!("helsinki-{place}"), place),
            upcloud::manifests(&self.up_url, &format!("finland-{place}"), place),
        ];
        let text = text.join("---\n");
        self.kubectl(place, &["apply", "-f", "-"], Some(&text))
            .ok()
            .unwrap();
    }

    /// Applies accounts and servers everywhere.
    pub fn open(&self) {
        for place in self.places {
            self.accounts(place);
            let text = OBJECTS.replace('@', place);
            self.kubectl(place, &["apply", "-f", "-"], Some(&text))
                .ok()
                .unwrap();
        }
    }

    /// Changes an object.
    pub fn patch(&self, place: &str, kind: &str, name: &str, patch: &str) {
        let args = ["patch", kind, name, "--type=merge", "-p", patch];
        self.kubectl(place, &args, None).ok().unwrap();
    }

    /// Every object of ours, wherever it is.
    pub fn objects(&self) -> Vec<Value> {
        let list = ["get", "servers,servergroups,providerconfigs", "-A", "-o", "json"];
        let list: Value = serde_json::from_str(&self.cluster.kubectl(&list).ok().unwrap()).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Every server of the clouds, with its state.
    pub fn in_clouds(&self) -> BTreeMap<String, String> {
        let _guard = self.runtime.enter();
        let nova = self.nova.live_servers().into_iter().map(|s| (s.id, s.status));
        let up = self.up.live_servers().into_iter().map(|s| (s.id, s.state));
        nova.chain(up).collect()
    }

    /// Whether the clouds hold nothing that was made here: no server, group or disk.
    pub fn swept(&self) -> Option<()> {
        let nothing = self.in_clouds().is_empty();
        let _guard = self.runtime.enter();
        let groups = self.nova.server_groups().len() + self.up.groups().len();
        (nothing && groups + self.up.storages().len() == 0).then_some(())
    }

    /// Calls that changed something in a cloud.
    fn changes(&self) -> usize {
        let _guard = self.runtime.enter();
        let nova = self
            .nova
            .requests()
            .into_iter()
            .filter(|r| r.applied && !r.route.contains("tokens"));
        nova.count() + self.up.requests().into_iter().filter(|r| r.applied).count()
    }

    pub fn facts(&self) -> Facts {
        let mut objects = BTreeMap::new();
        for object in self.objects() {
            let meta = &object["metadata"];
            assert!(meta["deletionTimestamp"].is_null(), "{object}");
            let name = format!("{}/{}", text(&object["kind"]), text(&meta["name"]));
            objects.insert(name, (text(&meta["uid"]), text(&object["status"]["id"])));
        }
        Facts {
            objects,
            servers: self.in_clouds(),
            changes: self.changes(),
        }
    }

    /// What is not Ready, for the spec that it has; and whether some are missing.
    pub fn unsettled(&self) -> Vec<String> {
        let objects = self.objects();
        let missing = objects.len().abs_diff(OBJECTS_EACH * self.places.len());
        let open = objects.iter().filter(|o| !fulfilled(o));
        let open = open.map(|o| format!("{}: {}", o["metadata"]["name"], o["status"]));
        open.chain((missing > 0).then(|| format!("{missing} objects")))
            .collect()
    }

    /// helm with a `--wait`, while pods live.
    pub fn helm(&self, kubelet: &mut Kubelet<'_>, args: &[&str]) -> String {
        let more = ["-n", NAMESPACE, "--timeout", "90s"];
        let args = [args, &more].concat();
        let (ok, said) = kubelet.during(&mut command(Some(&self.cluster.kubeconfig()), &args));
        assert!(ok, "helm {args:?}: {said}");
        said
    }

    /// How many pods of the controller there are.
    pub fn pods(&self) -> usize {
        let args = [
            "get",
            "pods",
            "-l",
            "app.kubernetes.io/name=evenkeel",
            "-o",
            "name",
        ];
        self.kubectl(NAMESPACE, &args, None).ok().unwrap().lines().count()
    }
}

/// A text of an object, empty where there is none.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|c| c["type"] == kind)
}

/// Whether an object is Ready, for the spec that it has.
pub fn fulfilled(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && condition(object, "Ready").is_some_and(|c| c["status"] == "True")
}
