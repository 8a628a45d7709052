//! The real parts: a cluster, a cloud, and the controllers between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel::providers::transport::Connect;
use evenkeel::providers::transport::endpoint::EndpointRules;
use evenkeel::providers::transport::reqwest::{HttpConnect, install_crypto};
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::process::Process;
use crate::proxy::Proxy;
use crate::scenarios::nova::Nova;
use crate::scenarios::stage::{Order, Stage, World};
use crate::support::kube::{Cluster, cluster};
use crate::wall::Wall;

/// How long something may take, with ten scenarios on two cores.
const PATIENCE: Duration = Duration::from_secs(240);
/// The password of every account of the test environment; must not be in a log.
const PASSWORD: &str = "testbed";
/// How every Fernet token begins.
const TOKEN: &str = "gAAAAA";

/// All of them.
pub struct Parts {
    cluster: &'static Cluster,
    client: Client,
    clouds: PathBuf,
    scratch: tempfile::TempDir,
    started: AtomicU32,
    controllers: Mutex<Vec<Process>>,
}

/// Nova of the test environment, as one scenario orders it about.
struct Cloud {
    clouds: PathBuf,
    orders: PathBuf,
}

impl World for Cloud {
    fn hypervisor(&self, orders: &[Order]) {
        if orders.is_empty() {
            // There may have been none.
            let _ = std::fs::remove_file(&self.orders);
            return;
        }
        let mut all = json!({"delay": {}, "fault": {}});
        for order in orders {
            if let Some(delay) = order.delay {
                all["delay"][order.call] = json!({"name": order.server, "seconds": delay.as_secs_f64()});
            }
            if let Some((kind, message)) = order.fault {
                all["fault"][order.call] = json!({"name": order.server, "kind": kind, "message": message});
            }
        }
        std::fs::create_dir_all(self.orders.parent().unwrap()).unwrap();
        let beside = self.orders.with_extension("new");
        std::fs::write(&beside, all.to_string()).unwrap();
        std::fs::rename(&beside, &self.orders).unwrap();
    }

    fn outage(&self, down: bool) -> BoxFuture<'_, ()> {
        Box::pin(
            async move { script(&self.clouds, if down { "down.sh" } else { "up.sh" }, "nova-api").await },
        )
    }

    fn clouds_yaml(&self) -> String {
        std::fs::read_to_string(&self.clouds).unwrap()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.hypervisor(&[]);
    }
}

async fn script(clouds: &Path, name: &str, service: &str) {
    script_with(clouds, name, service, &[]).await;
}

async fn script_with(clouds: &Path, name: &str, service: &str, settings: &[(&str, &str)]) {
    let mut command = Command::new(format!(
        "{}/tests/env/openstack/{name}",
        env!("CARGO_MANIFEST_DIR")
    ));
    command
        .arg(service)
        .env("OPENSTACK_RUN", clouds.parent().unwrap())
        .envs(settings.iter().copied());
    let status = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stderr);
    assert!(status.status.success(), "{name} {service}: {said}");
}

impl Parts {
    /// The provisioned parts, and the definitions and rights of `deploy/default` in the cluster.
    pub async fn start() -> Self {
        let clouds = std::env::var_os("OS_CLIENT_CONFIG_FILE").map(PathBuf::from);
        let clouds = clouds.filter(|c| c.is_file()).unwrap_or_else(|| {
            panic!(
                "these tests need a real Nova: run `make test`, or first \
                 eval \"export $(tests/env/provision.sh kubernetes openstack | tr '\\n' ' ')\""
            )
        });
        install_crypto();
        let cluster = tokio::task::spawn_blocking(cluster).await.unwrap();
        let options = KubeConfigOptions::default();
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let parts = Self {
            cluster,
            client: Client::try_from(config).unwrap(),
            clouds,
            scratch: tempfile::tempdir().unwrap(),
            started: AtomicU32::new(0),
            controllers: Mutex::default(),
        };
        parts.install();
        // The project that may have one server: what a run that died left in it would use that up.
        let quota = parts.nova("quota");
        for server in quota.list().await {
            quota.delete(server["id"].as_str().unwrap()).await;
        }
        parts
    }

    /// The rights of `deploy/default`, and a kubeconfig with a token of the controller's own ServiceAccount.
    fn install(&self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/env/kubernetes/install.sh");
        let mut path = self.cluster.bin().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let done = Command::new(script)
            .args([self.cluster.kubeconfig(), self.kubeconfig()])
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}: {said}");
        // And what `consoleOutput.enabled` adds.
        let group = "rbac.authorization.k8s.io";
        let consoles = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "consoles"},
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]},
            {"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "consoles"},
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "consoles"},
                "subjects": [{"kind": "ServiceAccount", "name": "evenkeel", "namespace": "evenkeel-system"}]},
        ]});
        let apply = ["apply", "-f", "-"];
        self.cluster
            .kubectl_with(&apply, Some(&consoles.to_string()))
            .ok()
            .unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("kubeconfig")
    }

    /// Kills one process of the cluster and starts it again.
    pub async fn crash(&self, process: &'static str) {
        let cluster = self.cluster;
        let done = tokio::task::spawn_blocking(move || cluster.crash(process));
        done.await.unwrap().unwrap();
    }

    /// An administrator of the cluster.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A user of a project.
    pub fn nova(&self, project: &str) -> Nova {
        let rules = EndpointRules { allow_insecure: true };
        let line = HttpConnect::new(rules).connect(None).unwrap();
        let text = std::fs::read_to_string(&self.clouds).unwrap();
        let auth_url = text.split("auth_url: ").nth(1).unwrap();
        Nova::new(line, auth_url.lines().next().unwrap().trim(), project, PASSWORD)
    }

    /// A namespace with an account.
    pub async fn stage(&self, scenario: &str) -> Stage {
        let stage = self.bare_stage(scenario);
        stage.default_account().await;
        stage
    }

    /// A namespace without an account.
    pub fn bare_stage(&self, scenario: &str) -> Stage {
        let namespace = format!("{}-{}", scenario.replace('_', "-"), std::process::id());
        self.cluster
            .kubectl(&["create", "namespace", &namespace])
            .ok()
            .unwrap();
        let orders = self
            .clouds
            .with_file_name("fake.d")
            .join(format!("{namespace}.json"));
        Stage {
            cluster: crate::scenarios::cluster::Cluster {
                client: self.client(),
                namespace,
                patience: PATIENCE,
            },
            nova: self.nova("demo"),
            world: Arc::new(Cloud {
                clouds: self.clouds.clone(),
                orders,
            }),
        }
    }

    /// Where Keystone and Nova are, as in `http://127.0.0.1:1234`.
    pub fn addresses(&self) -> (String, String) {
        let text = std::fs::read_to_string(&self.clouds).unwrap();
        let keystone = text.split("auth_url: ").nth(1).unwrap().lines().next().unwrap();
        let keystone = keystone.trim().trim_end_matches("/v3").to_owned();
        let (host, port) = keystone.rsplit_once(':').unwrap();
        let nova = format!("{host}:{}", port.parse::<u16>().unwrap() + 1);
        (keystone, nova)
    }

    /// What the controller is told of the cluster.
    fn config(&self) -> Value {
        serde_saphyr::from_str(&std::fs::read_to_string(self.kubeconfig()).unwrap()).unwrap()
    }

    /// A proxy to the cluster, for one controller.
    pub async fn cluster_proxy(&self) -> Proxy {
        let config = self.config();
        let ca = std::fs::read(self.cluster.kubeconfig().with_file_name("pki").join("ca.crt")).unwrap();
        let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
        Proxy::start(server, Some(&ca), None).await
    }

    /// Lets the controller keep its lease in that namespace.
    pub fn lease_home(&self, namespace: &str) {
        let role = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/base/role.yaml");
        let apply = ["-n", namespace, "apply", "-f", role];
        self.cluster.kubectl(&apply).ok().unwrap();
    }

    /// Starts a controller for one stage alone, which has its lease there and sees the cluster through a proxy.
    pub fn controller_of(&self, s: &Stage, cluster: &Proxy) -> Process {
        self.controller_at(s, cluster, None)
    }

    /// A wall clock for controllers that are started with it.
    pub fn wall(&self) -> Wall {
        Wall::right(self.scratch.path())
    }

    /// The same with a wall clock of its own.
    pub fn controller_at(&self, s: &Stage, cluster: &Proxy, wall: Option<&Wall>) -> Process {
        let mut config = self.config();
        config["clusters"][0]["cluster"] = json!({"server": cluster.url});
        let file = self.scratch.path().join(format!("{}.kubeconfig", s.namespace));
        std::fs::write(&file, config.to_string()).unwrap();
        self.controller(
            &file,
            &["--namespace", &s.namespace, "--lease-namespace", &s.namespace],
            wall,
        )
    }

    /// Who holds the lease that is kept in a namespace, once it is somebody wanted.
    pub async fn holder(&self, namespace: &str, wanted: impl Fn(&str) -> bool) -> String {
        let leases: Api<Lease> = Api::namespaced(self.client(), namespace);
        let of = |l: &Lease| l.spec.as_ref().and_then(|s| s.holder_identity.clone());
        let found = await_condition(leases, "evenkeel-controller", |l: Option<&Lease>| {
            l.and_then(of).is_some_and(|h| !h.is_empty() && wanted(&h))
        });
        let lease = timeout(Duration::from_secs(120), found)
            .await
            .expect("a new holder of the lease");
        of(&lease.unwrap().unwrap()).unwrap()
    }

    /// The controllers that were started, in that order.
    pub fn controllers(&self) -> MutexGuard<'_, Vec<Process>> {
        self.controllers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn controller(&self, kubeconfig: &Path, more: &[&str], wall: Option<&Wall>) -> Process {
        let n = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let log = self.scratch.path().join(format!("controller-{n}.log"));
        match wall {
            Some(wall) => Process::start_in(kubeconfig, &log, more, &wall.environment()),
            None => Process::start(kubeconfig, &log, more),
        }
    }

    /// Starts one more controller.
    pub fn start_controller(&self) {
        self.start_controller_with(&[]);
    }

    /// Starts one more controller, with more arguments.
    pub fn start_controller_with(&self, more: &[&str]) {
        let process = self.controller(&self.kubeconfig(), more, None);
        self.controllers().push(process);
    }

    /// The name of the installation that the controllers belong to.
    pub fn installation(&self) -> String {
        let get = [
            "-n",
            "evenkeel-system",
            "get",
            "configmap",
            "evenkeel-installation",
        ];
        let get = [&get[..], &["-o", "jsonpath={.data.id}"]].concat();
        self.cluster.kubectl(&get).ok().unwrap()
    }

    /// Kills all controllers, as SIGKILL does.
    pub fn kill_all(&self) {
        self.controllers().clear();
    }

    /// Kills the oldest controller, as SIGKILL does.
    pub fn kill_controller(&self) {
        let mut first = self.controllers().remove(0);
        first.kill();
    }

    /// Stops one service of the cloud, or starts it again.
    pub async fn service(&self, name: &str, runs: bool) {
        script(&self.clouds, if runs { "up.sh" } else { "down.sh" }, name).await;
    }

    /// From now on Nova keeps what is deleted for an hour, until [`Parts::restore`].
    pub async fn keep_deleted(&self) {
        script_with(&self.clouds, "up.sh", "nova-api", &[("RECLAIM", "3600")]).await;
    }

    /// One controller that runs, and all of the cloud.
    pub async fn restore(&self) {
        self.service("nova-api", true).await;
        while self.controllers().len() > 1 {
            self.kill_controller();
        }
        if self.controllers().is_empty() {
            self.start_controller();
        }
        self.controllers()[0].signal("CONT");
    }

    fn logs(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.scratch.path()).unwrap();
        let logs = all.map(|e| e.unwrap().path());
        logs.filter(|p| p.extension().is_some_and(|e| e == "log"))
            .collect()
    }

    /// No controller has logged a password or a token, or a fault of its own.
    pub fn judge_logs(&self) {
        let logs = self.logs();
        assert!(!logs.is_empty());
        for log in logs {
            let text = std::fs::read_to_string(&log).unwrap();
            for secret in [PASSWORD, TOKEN] {
                let line = text.lines().find(|l| l.contains(secret));
                assert!(line.is_none(), "a secret in {}: {line:?}", log.display());
            }
            let fault = text
                .lines()
                .find(|l| l.contains("panicked") || (l.contains(" ERROR ") && l.contains("evenkeel::")));
            assert!(fault.is_none(), "{}: {fault:?}", log.display());
        }
    }

    /// Copies the logs to where they outlive this process.
    pub fn keep_logs(&self) -> PathBuf {
        let place = std::env::temp_dir().join(format!("evenkeel-real-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        for log in self.logs() {
            std::fs::copy(&log, place.join(log.file_name().unwrap())).unwrap();
        }
        place
    }

    /// Deletes the servers that failed scenarios have left.
    pub async fn sweep(&self) {
        let ours = format!("-{}-", std::process::id());
        for project in ["demo", "quota"] {
            let nova = self.nova(project);
            for server in nova.list().await {
                if server["name"].as_str().unwrap().contains(&ours) {
                    nova.delete(server["id"].as_str().unwrap()).await;
                }
            }
        }
    }
}
