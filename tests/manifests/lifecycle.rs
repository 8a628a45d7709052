//! Install, upgrade from the first chart, roll back, test, uninstall and install again, with servers present: by the
//! real helm, on a real API server that nobody else uses, with the program of every pod running.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel::sim::openstack::{self, OpenStackSim};
use evenkeel::sim::upcloud::{self, UpCloudSim};
use serde_json::Value;

use crate::helm::{NAMESPACE, chart, command, first_chart, helm_on, template};
use crate::kubelet::Kubelet;
use crate::support::kube::Cluster;

const SHOP: &str = "shop";
/// What the pods are told beside what the chart says: a port of their own, and clouds of this machine.
const VALUES: &str = "extraArgs={--admin-address=127.0.0.1:0,--allow-insecure-endpoints}";

/// A group with two members in one cloud, and a server in another one that tells its password once.
const OBJECTS: &str = r"
apiVersion: evenkeel.dev/v1alpha1
kind: ServerGroup
metadata: {name: tier}
spec: {providerConfigRef: {name: helsinki}, placement: {policy: SoftAntiAffinity}}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: web}
spec:
  providerConfigRef: {name: helsinki}
  groupRef: {name: tier}
  size: {name: m1.small}
  image: {name: cirros}
  openstack: {networks: [{name: primary, network: demo-net}]}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: batch}
spec:
  providerConfigRef: {name: helsinki}
  groupRef: {name: tier}
  powerState: Stopped
  size: {name: m1.tiny}
  image: {name: cirros}
  openstack: {networks: [{name: primary, network: demo-net}]}
---
apiVersion: evenkeel.dev/v1alpha1
kind: Server
metadata: {name: told}
spec:
  providerConfigRef: {name: finland}
  size: {name: 1xCPU-1GB}
  image: {name: CentOS 7}
  credentialsSecretName: told-login
  deletion: {disks: DeleteOwned}
  upcloud: {zone: fi-hel1}
";

/// Rights that this story does not need, each with the moment that does.
const MOMENTS: &[(&str, &str)] = &[
    ("get servers.evenkeel.dev", "somebody else wrote at the same time"),
    (
        "get servergroups.evenkeel.dev",
        "somebody else wrote at the same time",
    ),
    (
        "get providerconfigs.evenkeel.dev",
        "somebody else wrote at the same time",
    ),
    (
        "update secrets",
        "a second server of one object tells its password",
    ),
    (
        "patch events.events.k8s.io",
        "the same event again, within five minutes",
    ),
];

struct Story {
    cluster: &'static Cluster,
    nova: Arc<OpenStackSim>,
    up: Arc<UpCloudSim>,
    runtime: tokio::runtime::Runtime,
}

/// What must not change: the objects with their uids and servers, and what the clouds have.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    objects: BTreeMap<String, (String, String)>,
    servers: BTreeMap<String, String>,
    changes: usize,
}

impl Story {
    fn begin() -> Self {
        let cluster: &'static Cluster = Box::leak(Box::new(Cluster::empty("-helm")));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut nova = openstack::SimConfig::default();
        nova.timings.call = Duration::from_millis(100);
        let nova = OpenStackSim::new(nova);
        let up = UpCloudSim::new(upcloud::SimConfig {
            timings: upcloud::Timings::with_create(Duration::from_millis(600)),
            ..Default::default()
        });
        cluster.kubectl(&["create", "namespace", SHOP]).ok().unwrap();
        Self {
            cluster,
            nova,
            up,
            runtime,
        }
    }

    /// Serves the clouds, and tells the cluster of the accounts.
    fn accounts(&self) {
        let listen = || {
            self.runtime
                .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
                .unwrap()
        };
        let (a, b) = (listen(), listen());
        let base = |l: &tokio::net::TcpListener| format!("http://{}", l.local_addr().unwrap());
        let text = [
            openstack::manifests(&base(&a), "helsinki", SHOP),
            upcloud::manifests(&base(&b), "finland", SHOP),
        ]
        .join("---\n");
        self.runtime.spawn(self.nova.clone().serve(a));
        self.runtime.spawn(self.up.clone().serve(b));
        let apply = ["-n", SHOP, "apply", "-f", "-"];
        self.cluster.kubectl_with(&apply, Some(&text)).ok().unwrap();
        self.cluster.kubectl_with(&apply, Some(OBJECTS)).ok().unwrap();
    }

    fn objects(&self) -> Vec<Value> {
        let list = [
            "-n",
            SHOP,
            "get",
            "servers,servergroups,providerconfigs",
            "-o",
            "json",
        ];
        let list: Value = serde_json::from_str(&self.cluster.kubectl(&list).ok().unwrap()).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Calls that changed something in a cloud.
    fn changes(&self) -> usize {
        let nova = self
            .nova
            .requests()
            .into_iter()
            .filter(|r| r.applied && !r.route.contains("tokens"));
        nova.count() + self.up.requests().into_iter().filter(|r| r.applied).count()
    }

    fn facts(&self) -> Facts {
        let _guard = self.runtime.enter();
        let mut objects = BTreeMap::new();
        for object in self.objects() {
            let meta = &object["metadata"];
            assert!(meta["deletionTimestamp"].is_null(), "{object}");
            let name = format!(
                "{}/{}",
                object["kind"].as_str().unwrap(),
                meta["name"].as_str().unwrap()
            );
            let id = object["status"]["id"].as_str().unwrap_or_default();
            objects.insert(name, (meta["uid"].as_str().unwrap().to_owned(), id.to_owned()));
        }
        let nova = self.nova.live_servers().into_iter().map(|s| (s.id, s.status));
        let up = self.up.live_servers().into_iter().map(|s| (s.id, s.state));
        Facts {
            objects,
            servers: nova.chain(up).collect(),
            changes: self.changes(),
        }
    }

    /// Whether every object is Ready, for the spec that it has.
    fn settled(&self) -> Option<()> {
        let objects = self.objects();
        let ready = |o: &Value| {
            let conditions = o["status"]["conditions"].as_array();
            o["status"]["observedGeneration"] == o["metadata"]["generation"]
                && conditions
                    .into_iter()
                    .flatten()
                    .any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        (objects.len() == 6 && objects.iter().all(ready)).then_some(())
    }

    /// helm with a `--wait`, while pods live.
    fn helm(&self, kubelet: &mut Kubelet<'_>, args: &[&str]) -> String {
        let more = ["-n", NAMESPACE, "--timeout", "90s"];
        let args = [args, &more].concat();
        let (ok, said) = kubelet.during(&mut command(Some(&self.cluster.kubeconfig()), &args));
        assert!(ok, "helm {args:?}: {said}");
        said
    }

    /// The rights that the account of the controller has used, by the API server's audit log; and what it was refused.
    fn used(&self) -> (BTreeSet<String>, Vec<String>) {
        let text = std::fs::read_to_string(self.cluster.audit_log()).unwrap();
        let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
        for line in text.lines().filter(|l| l.contains(":evenkeel-system:evenkeel\"")) {
            let line: Value = serde_json::from_str(line).unwrap();
            let on = &line["objectRef"];
            let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            if on.is_null() || on["resource"] == "selfsubjectaccessreviews" {
                continue;
            }
            if line["responseStatus"]["code"] == 403 {
                refused.push(line["responseStatus"]["message"].to_string());
                continue;
            }
            let sub = on["subresource"]
                .as_str()
                .map(|s| format!("/{s}"))
                .unwrap_or_default();
            let group = on["apiGroup"]
                .as_str()
                .map(|g| format!(".{g}"))
                .unwrap_or_default();
            used.insert(format!(
                "{} {}{sub}{group}",
                word(&line["verb"]),
                word(&on["resource"])
            ));
        }
        (used, refused)
    }
}

/// The rights that the chart grants, without places and names.
fn granted() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for role in template(&[])
        .iter()
        .filter(|o| o["kind"] == "Role" || o["kind"] == "ClusterRole")
    {
        for right in crate::rights::rights(&role["rules"], "") {
            let words: Vec<&str> = right.split(' ').collect();
            all.insert(format!("{} {}", words[0], words[1]));
        }
    }
    all
}

#[test]
fn nothing_is_lost_from_the_first_chart_to_the_last_uninstall() {
    let story = Story::begin();
    let cluster = story.cluster;
    let mut kubelet = Kubelet::new(cluster);
    let (first, now) = (first_chart(), chart());

    // The first chart, and servers under it.
    let install = [
        "install",
        "evenkeel",
        &first,
        "--create-namespace",
        "--wait",
        "--set",
        VALUES,
    ];
    let begun = Instant::now();
    story.helm(&mut kubelet, &install);
    story.accounts();
    kubelet.until("every object to be Ready", || story.settled());
    eprintln!(
        "from helm install to three servers that are Ready: {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    let before = story.facts();
    assert_eq!((before.objects.len(), before.servers.len()), (6, 3), "{before:?}");
    let deployed = |what: &str| {
        let path = format!("jsonpath={{{what}}}");
        let get = ["-n", NAMESPACE, "get", "deployment", "evenkeel", "-o", &path];
        cluster.kubectl(&get).ok().unwrap()
    };
    let uid = deployed(".metadata.uid");

    // Upgraded: the same objects and servers, and not one call that changes anything.
    story.helm(
        &mut kubelet,
        &["upgrade", "evenkeel", &now, "--wait", "--reset-then-reuse-values"],
    );
    kubelet.until("one program", || (pods(cluster) == 1).then_some(()));
    kubelet.until("every object to be Ready", || story.settled());
    assert_eq!(story.facts(), before, "after the upgrade");
    assert_eq!(deployed(".metadata.uid"), uid, "the Deployment was replaced");
    let keep = "jsonpath={.items[*].metadata.annotations.helm\\.sh/resource-policy}";
    assert_eq!(
        cluster.kubectl(&["get", "crds", "-o", keep]).ok().unwrap(),
        "keep keep keep"
    );

    // `helm test` runs the doctor with the controller's rights.
    let said = story.helm(&mut kubelet, &["test", "evenkeel"]);
    assert!(said.contains("Phase:          Succeeded"), "{said}");

    // Rolled back: the same. And forward again, with the definitions in other hands.
    story.helm(&mut kubelet, &["rollback", "evenkeel", "1", "--wait"]);
    kubelet.until("every object to be Ready", || story.settled());
    assert_eq!(story.facts(), before, "after the rollback");
    let upgrade = [
        "upgrade",
        "evenkeel",
        &now,
        "--wait",
        "--reset-then-reuse-values",
        "--set",
        "crds.install=false",
    ];
    story.helm(&mut kubelet, &upgrade);
    assert_eq!(story.facts(), before, "without the definitions in the chart");
    story.helm(
        &mut kubelet,
        &["upgrade", "evenkeel", &now, "--wait", "--set", VALUES],
    );
    // What runs now works: a wish is carried out.
    let stop = r#"{"spec":{"powerState":"Stopped"}}"#;
    let patch = ["-n", SHOP, "patch", "server", "web", "--type=merge", "-p", stop];
    cluster.kubectl(&patch).ok().unwrap();
    kubelet.until("web to be stopped", || story.settled());
    let before = story.facts();
    assert!(before.servers.values().all(|s| s != "ACTIVE"), "{before:?}");

    // Nothing was refused by now. (Helm takes the rights away before the pod ends: the lease then runs out.)
    assert_eq!(story.used().1, Vec::<String>::new());

    // Removed with servers present: the controller goes, and nothing else.
    story.helm(&mut kubelet, &["uninstall", "evenkeel", "--wait"]);
    kubelet.until("no program", || (pods(cluster) == 0).then_some(()));
    assert_eq!(story.facts(), before, "after the removal");
    let left = [
        "get",
        "deployments,serviceaccounts,roles,validatingadmissionpolicies",
        "-A",
        "-o",
        "name",
    ];
    assert!(!cluster.kubectl(&left).ok().unwrap().contains("/evenkeel"));
    assert_eq!(
        cluster
            .kubectl(&["get", "crds", "-o", "name"])
            .ok()
            .unwrap()
            .lines()
            .count(),
        3
    );

    // And installed again: it knows its servers. Their end is an ordinary one.
    story.helm(
        &mut kubelet,
        &["install", "evenkeel", &now, "--wait", "--set", VALUES],
    );
    kubelet.until("every object to be Ready", || story.settled());
    assert_eq!(story.facts(), before, "after the second installation");
    let delete = [
        "-n",
        SHOP,
        "delete",
        "servers,servergroups",
        "--all",
        "--wait=false",
    ];
    cluster.kubectl(&delete).ok().unwrap();
    kubelet.until("the servers to be gone", || {
        let _guard = story.runtime.enter();
        (story.objects().len() == 2
            && story.nova.live_servers().is_empty()
            && story.up.live_servers().is_empty())
        .then_some(())
    });

    // What was used is what is granted.
    let ((used, _), granted) = (story.used(), granted());
    assert!(
        used.is_subset(&granted),
        "not granted: {:?}",
        used.difference(&granted)
    );
    let unused: BTreeSet<&str> = granted.difference(&used).map(String::as_str).collect();
    let moments: BTreeSet<&str> = MOMENTS.iter().map(|(right, _)| *right).collect();
    assert!(
        unused.is_subset(&moments),
        "never used: {:?}",
        unused.difference(&moments)
    );

    // A `helm test` without the rights fails.
    cluster
        .kubectl(&["delete", "clusterrolebinding", "evenkeel"])
        .ok()
        .unwrap();
    let test = ["test", "evenkeel", "-n", NAMESPACE, "--timeout", "60s"];
    let (ok, said) = kubelet.during(&mut command(Some(&cluster.kubeconfig()), &test));
    assert!(!ok && said.contains("Phase:          Failed"), "{said}");
}

/// How many pods of the controller there are.
fn pods(cluster: &Cluster) -> usize {
    let pods = [
        "-n",
        NAMESPACE,
        "get",
        "pods",
        "-l",
        "app.kubernetes.io/name=evenkeel",
        "-o",
        "name",
    ];
    cluster.kubectl(&pods).ok().unwrap().lines().count()
}

#[test]
fn a_second_release_does_not_take_the_first_ones_things() {
    // The names are fixed, so that helm itself refuses: by who owns them.
    let cluster = crate::installed();
    let out = helm_on(cluster, &["install", "second", &chart(), "-n", NAMESPACE]);
    assert!(
        !out.ok && out.err.contains("invalid ownership metadata"),
        "{}{}",
        out.out,
        out.err
    );
    // One that shares nothing but the definitions and their protection is welcome.
    let ns = cluster.namespace("second");
    let alone = "watchNamespaces={default},crds.install=false,policies.deletionProtection=false,policies.crdProtection=false";
    let install = [
        "install",
        "second",
        &chart(),
        "-n",
        &ns.name,
        "--dry-run=server",
        "--set",
        alone,
    ];
    helm_on(cluster, &install).ok().unwrap();
    let shared = [&install[..7], &["watchNamespaces={default}"]].concat();
    assert!(!helm_on(cluster, &shared).ok);
}
