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
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::process::{Process, signal};
use crate::scenarios::nova::Nova;
use crate::scenarios::stage::{Order, Stage, World};
use crate::support::kube::{Cluster, cluster};

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
    let mut command = Command::new(format!(
        "{}/tests/env/openstack/{name}",
        env!("CARGO_MANIFEST_DIR")
    ));
    command
        .arg(service)
        .env("OPENSTACK_RUN", clouds.parent().unwrap());
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
        let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/default");
        cluster.kubectl(&["apply", "-k", deploy]).ok().unwrap();
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
        parts.controller_kubeconfig();
        // The project that may have one server: what a run that died left in it would use that up.
        let quota = parts.nova("quota");
        for server in quota.list().await {
            quota.delete(server["id"].as_str().unwrap()).await;
        }
        parts
    }

    /// The administrator's kubeconfig with the token of the controller's own ServiceAccount.
    fn controller_kubeconfig(&self) {
        let view = ["config", "view", "--raw", "--flatten", "-o", "json"];
        let mut config: Value = serde_json::from_str(&self.cluster.kubectl(&view).ok().unwrap()).unwrap();
        let token = [
            "-n",
            "evenkeel-system",
            "create",
            "token",
            "evenkeel",
            "--duration",
            "2h",
        ];
        let token = self.cluster.kubectl(&token).ok().unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        std::fs::write(self.kubeconfig(), config.to_string()).unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("kubeconfig")
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
        let namespace = format!("{}-{}", scenario.replace('_', "-"), std::process::id());
        self.cluster
            .kubectl(&["create", "namespace", &namespace])
            .ok()
            .unwrap();
        let orders = self
            .clouds
            .with_file_name("fake.d")
            .join(format!("{namespace}.json"));
        let stage = Stage {
            client: self.client(),
            nova: self.nova("demo"),
            world: Arc::new(Cloud {
                clouds: self.clouds.clone(),
                orders,
            }),
            namespace,
            patience: PATIENCE,
        };
        stage.default_account().await;
        stage
    }

    /// The controllers that were started, in that order.
    pub fn controllers(&self) -> MutexGuard<'_, Vec<Process>> {
        self.controllers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more controller.
    pub fn start_controller(&self) {
        let n = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let log = self.scratch.path().join(format!("controller-{n}.log"));
        let process = Process::start(&self.kubeconfig(), &log);
        self.controllers().push(process);
    }

    /// Kills the oldest controller, as SIGKILL does.
    pub fn kill_controller(&self) {
        let mut first = self.controllers().remove(0);
        first.kill();
    }

    /// One controller that runs, and all of the cloud.
    pub async fn restore(&self) {
        for service in ["nova-api", "glance"] {
            script(&self.clouds, "up.sh", service).await;
        }
        while self.controllers().len() > 1 {
            self.kill_controller();
        }
        if self.controllers().is_empty() {
            self.start_controller();
        }
        self.controllers()[0].signal("CONT");
    }

    /// Stops a service of the cloud in its tracks (`STOP`): it takes connections and never answers. `CONT` wakes it.
    pub fn signal_service(&self, service: &str, name: &str) {
        let file = self.clouds.with_file_name("pids").join(service);
        let text = std::fs::read_to_string(file).unwrap();
        signal(name, &format!("-{}", text.split_whitespace().next().unwrap()));
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
                .find(|l| l.contains("panicked") || l.contains(" ERROR "));
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
