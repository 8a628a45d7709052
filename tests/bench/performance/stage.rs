//! A cluster and a cloud on ports, and servers in them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use evenkeel::sim::apiserver::{ApiServer, Config, WriteRecord};
use evenkeel::sim::openstack::manifests;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::process::{self, Controller};

/// Where everything is.
pub const NAMESPACE: &str = "bench";
/// How the controller's client is called.
pub const CLIENT: &str = "evenkeel";
/// Nothing here takes longer.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A cluster and a cloud. They end with this value.
pub struct Stage {
    pub api: ApiServer,
    pub cloud: Cloud,
    pub kubernetes: String,
    folder: tempfile::TempDir,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Stage {
    /// A stage whose cloud takes so long for a call of the hypervisor, with an account that is listed every `interval`
    /// seconds while nothing happens.
    pub async fn new(call_ms: u64, interval: u64) -> Self {
        let config = Config {
            latency: Duration::ZERO,
            watch_delay: Duration::ZERO,
            epoch: jiff::Timestamp::now(),
        };
        let api = ApiServer::with(config).expect("an API server");
        let cloud = Cloud::new(call_ms);
        let (kubernetes, listener) = listener().await;
        let (nova, nova_listener) = self::listener().await;
        let (serving, simulating) = (api.clone(), cloud.clone());
        let tasks = vec![
            tokio::spawn(async move { serving.serve(CLIENT, listener).await.expect("the API server") }),
            tokio::spawn(async move { simulating.serve(nova_listener).await.expect("the cloud") }),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: {kubernetes:?}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).expect("a kubeconfig");
        api.apply_yaml(&manifests(&nova, "cloud", NAMESPACE))
            .expect("an account");
        let stage = Self {
            api,
            cloud,
            kubernetes,
            folder,
            tasks,
        };
        stage.config(json!({
            "maxCreatesInFlight": 1000, "maxConcurrentDisruptions": 1000,
            "requests": {"perSecond": 1000, "burst": 10000, "inFlight": 100},
            "observe": {"interval": format!("{interval}s"), "busyInterval": "1s"}
        }));
        stage
    }

    /// Changes what is asked of the account.
    pub fn config(&self, spec: Value) {
        let object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig",
            "metadata": {"name": "cloud", "namespace": NAMESPACE}, "spec": spec});
        self.api.apply(&object).expect("a ProviderConfig");
    }

    /// Another account of the same name as its ProviderConfig, in a cloud of its own.
    pub async fn neighbour(&self, name: &str) -> Cloud {
        let cloud = Cloud::new(20);
        let (address, listener) = listener().await;
        let serving = cloud.clone();
        // It ends with the program.
        tokio::spawn(async move { serving.serve(listener).await.expect("a cloud") });
        self.api
            .apply_yaml(&manifests(&address, name, NAMESPACE))
            .expect("an account");
        cloud
    }

    /// Starts a controller.
    pub fn start(&self) -> Controller {
        process::start(&self.folder.path().join("kubeconfig"), &self.log(), &[])
    }

    /// Starts one that shares the accounts with others.
    pub fn start_sharing(&self) -> Controller {
        let kubeconfig = self.folder.path().join("kubeconfig");
        process::start(&kubeconfig, &self.log(), &["--share-accounts"])
    }

    /// Where controllers say what is wrong.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Wishes for servers `PREFIX-00000` and so on.
    pub fn wish(&self, prefix: &str, count: usize) {
        for i in 0..count {
            self.server(&name(prefix, i), json!({}));
        }
    }

    /// Wishes for a server, with these fields of its spec besides.
    pub fn server(&self, name: &str, spec: Value) {
        let mut object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": name, "namespace": NAMESPACE, "managedFields": managed()},
            "spec": {"providerConfigRef": {"name": "cloud"}, "size": {"name": "m1.tiny"}, "image": {"name": "cirros"},
                "deletion": {"powerOff": "None"}}});
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        self.api.apply(&object).expect("a Server");
    }

    /// Puts settled servers into the cluster and the cloud without a controller: like one that was made by it, each with
    /// its own id, name and marks. What else differs, as its addresses, is written once by the controller that finds it.
    pub fn seed(&self, prefix: &str, count: usize, like: &str) {
        let (model, old_id) = (self.get(like).expect("a model"), self.id(like));
        let old = self.cloud.sim.server(&old_id).expect("its server");
        for i in 0..count {
            let name = name(prefix, i);
            self.server(&name, json!({}));
            let place = ("servers", NAMESPACE, name.as_str());
            let finalizers = model["metadata"]["finalizers"].clone();
            let made = self
                .api
                .edit(place, |o| o["metadata"]["finalizers"] = finalizers)
                .expect("a finalizer");
            let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
            let id = self.cloud.sim.oob_create(&name).expect("a server");
            let object = format!("{NAMESPACE}/{name}");
            for (key, value) in &old.metadata {
                let value = match key.as_str() {
                    "evenkeel-uid" => uid,
                    "evenkeel-object" => &object,
                    _ => value,
                };
                self.cloud.sim.oob_metadata(&id, key, value).expect("a mark");
            }
            let status = model["status"]
                .to_string()
                .replace(&old_id, &id)
                .replace(like, &name);
            let status: Value = serde_json::from_str(&status).expect("a status");
            self.api.edit_status(place, |s| *s = status).expect("a status");
        }
    }

    /// Changes the spec of a server by hand.
    pub fn edit(&self, name: &str, field: &str, value: Value) {
        let place = ("servers", NAMESPACE, name);
        self.api
            .edit(place, |o| o["spec"][field] = value)
            .expect("an edit");
    }

    /// A server as the API server has it.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.api.get(("servers", NAMESPACE, name))
    }

    /// The cloud's id of a server.
    pub fn id(&self, name: &str) -> String {
        let object = self.get(name).unwrap_or_default();
        object["status"]["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until every server of a prefix is ready, and the last word on each was said.
    pub async fn settled(&self, prefix: &str, count: usize) {
        // The last ones first: most looks end at once.
        let mut left: Vec<String> = (0..count).map(|i| name(prefix, i)).collect();
        let end = Instant::now() + PATIENCE.max(Duration::from_millis(30 * count as u64));
        while let Some(last) = left.last() {
            if self.get(last).is_some_and(|o| is_ready(&o)) {
                left.pop();
                continue;
            }
            if Instant::now() > end {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                panic!(
                    "{last} is not ready: {:#}\n{log}",
                    self.get(last).unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What controllers wrote to Servers and their statuses, since the last [`Stage::forget`].
    pub fn writes(&self) -> Vec<WriteRecord> {
        let mut all = self.api.writes();
        all.retain(|w| w.call.client == CLIENT && w.call.plural == "servers");
        all
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.api.clear_log();
        self.cloud.forget();
    }
}

/// What the real API server keeps of who wrote which field: a third of an object that nobody here reads.
fn managed() -> Value {
    json!([{"manager": "kubectl", "operation": "Apply", "apiVersion": "evenkeel.dev/v1alpha1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": {".": {},
            "f:argocd.argoproj.io/tracking-id": {}}, "f:labels": {".": {}, "f:app": {}, "f:tier": {}}},
            "f:spec": {".": {}, "f:providerConfigRef": {".": {}, "f:name": {}}, "f:size": {".": {}, "f:name": {}},
                "f:image": {".": {}, "f:name": {}}, "f:deletion": {".": {}, "f:powerOff": {}}}}},
        {"manager": "evenkeel", "operation": "Update", "apiVersion": "evenkeel.dev/v1alpha1", "subresource": "status",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {".": {},
                "f:account": {}, "f:addresses": {}, "f:applied": {".": {}, "f:spec": {}}, "f:conditions": {".": {},
                    "k:{\"type\":\"Ready\"}": {".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {},
                        "f:status": {}, "f:type": {}}}, "f:id": {}, "f:image": {}, "f:observedGeneration": {},
                "f:placement": {}, "f:power": {".": {}, "f:desired": {}, "f:observed": {}, "f:raw": {}}}}}])
}

/// The name of a server in its fleet.
pub fn name(prefix: &str, i: usize) -> String {
    format!("{prefix}-{i:05}")
}

/// Whether a status says of the newest wish that it is fulfilled.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && conditions
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Waits for something that comes without a signal.
pub async fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not seen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn listener() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (format!("http://{address}"), listener)
}
