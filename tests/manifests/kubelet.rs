//! What a kubelet does, as far as an installation needs it: runs the program of every pod with the pod's own
//! arguments, environment and account, and says how it fares.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helm::NAMESPACE;
use crate::support::kube::{Cluster, eventually};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A kubeconfig with a token of a ServiceAccount.
pub fn account(cluster: &Cluster, namespace: &str, name: &str, folder: &std::path::Path) -> PathBuf {
    let admin = ["config", "view", "--raw", "--flatten", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&admin).ok().unwrap()).unwrap();
    let create = ["-n", namespace, "create", "token", name, "--duration=1h"];
    let token = cluster.kubectl(&create).ok().unwrap();
    // The administrator's own credentials have no place in it.
    config["users"] = json!([{"name": "admin", "user": {"token": token.trim()}}]);
    let file = folder.join(format!("{namespace}-{name}.kubeconfig"));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// The command of a pod's only container, as its image begins it: the entrypoint is the program.
pub fn command(pod: &Value, kubeconfig: &std::path::Path) -> Command {
    let spec = &pod["spec"];
    assert_eq!(spec["containers"].as_array().map(Vec::len), Some(1), "{pod}");
    let container = &spec["containers"][0];
    for unknown in ["command", "envFrom"] {
        assert!(
            container.get(unknown).is_none_or(Value::is_null),
            "{unknown}: {container}"
        );
    }
    // A pod of the API server has the token of its account; nothing else is mounted.
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        assert_eq!(
            mount["mountPath"],
            "/var/run/secrets/kubernetes.io/serviceaccount"
        );
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let args = container["args"].as_array().unwrap();
    command.args(args.iter().map(|a| a.as_str().unwrap())).env_clear();
    for entry in container["env"].as_array().into_iter().flatten() {
        let value = match entry
            .pointer("/valueFrom/fieldRef/fieldPath")
            .and_then(Value::as_str)
        {
            Some(path) => pod.pointer(&format!("/{}", path.replace('.', "/"))),
            None => entry.get("value"),
        };
        let value = value
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no value: {entry}"));
        command.env(entry["name"].as_str().unwrap(), value);
    }
    // In a pod the way to the API comes from the same account, by two files and two variables.
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    command
}

/// What an address answers to a GET: status and body.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

/// A program that runs for a pod; ended when dropped.
struct Running {
    child: Child,
    log: PathBuf,
    ready: bool,
}

impl Running {
    /// Where it serves, as it logs it.
    fn address(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let lines = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let mut addresses = lines.filter_map(|l| l["address"].as_str().map(str::to_owned));
        addresses.next()
    }

    /// Asks it to go, as a kubelet does, and waits until it has gone.
    fn end(&mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", "--", &pid]).status().unwrap();
        assert!(sent.success(), "kill -TERM -- {pid}");
        let what = format!("the controller to end after SIGTERM, see {}", self.log.display());
        let code = eventually(&what, Duration::from_secs(20), || self.child.try_wait().unwrap());
        assert!(
            code.success(),
            "{code}: {}",
            std::fs::read_to_string(&self.log).unwrap()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Killing one that has ended already is what is wanted too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kubelet of a cluster without nodes.
pub struct Kubelet<'a> {
    cluster: &'a Cluster,
    folder: tempfile::TempDir,
    running: BTreeMap<String, Running>,
    ended: Vec<String>,
    /// What every program is told beside what its pod says.
    more: &'static [&'static str],
}

impl<'a> Kubelet<'a> {
    pub fn new(cluster: &'a Cluster) -> Self {
        Self::telling(cluster, &[])
    }

    /// One that tells every program something beside what its pod says.
    pub fn telling(cluster: &'a Cluster, more: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (running, ended) = (BTreeMap::new(), Vec::new());
        Self {
            cluster,
            folder,
            running,
            ended,
            more,
        }
    }

    /// Does what is to be done: starts, reports, ends.
    pub fn sync(&mut self) {
        let list = ["-n", NAMESPACE, "get", "pods", "-o", "json"];
        let list: Value = serde_json::from_str(&self.cluster.kubectl(&list).ok().unwrap()).unwrap();
        let pods = list["items"].as_array().unwrap();
        let uid = |p: &Value| p["metadata"]["uid"].as_str().unwrap().to_owned();
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|u| !pods.iter().any(|p| uid(p) == **u))
            .cloned()
            .collect();
        for uid in gone {
            self.running.remove(&uid).unwrap().end();
        }
        for pod in pods {
            if pod["metadata"]["deletionTimestamp"].is_null() && !self.ended.contains(&uid(pod)) {
                self.pod(pod, &uid(pod));
            }
        }
    }

    fn pod(&mut self, pod: &Value, uid: &str) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let once = pod["spec"]["restartPolicy"] == "Never";
        if !self.running.contains_key(uid) {
            let account = account(
                self.cluster,
                NAMESPACE,
                pod["spec"]["serviceAccountName"].as_str().unwrap(),
                self.folder.path(),
            );
            let log = self.folder.path().join(format!("{name}.log"));
            let file = File::create(&log).unwrap();
            let mut command = command(pod, &account);
            let child = command
                .args(self.more)
                .stdout(file.try_clone().unwrap())
                .stderr(file)
                .spawn()
                .unwrap();
            self.running.insert(
                uid.to_owned(),
                Running {
                    child,
                    log,
                    ready: false,
                },
            );
        }
        let running = self.running.get_mut(uid).unwrap();
        if let Some(code) = running.child.try_wait().unwrap() {
            assert!(
                once,
                "{name} ended with {code}: {}",
                std::fs::read_to_string(&running.log).unwrap()
            );
            let phase = if code.success() { "Succeeded" } else { "Failed" };
            self.status(name, &json!({"phase": phase}));
            self.ended.push(uid.to_owned());
            self.running.remove(uid);
        } else if !once && !running.ready {
            // The readiness probe of the pod itself, at the port that the process has.
            let probe = pod
                .pointer("/spec/containers/0/readinessProbe/httpGet/path")
                .unwrap();
            let answer = running.address().and_then(|a| get(&a, probe.as_str().unwrap()));
            if answer.is_some_and(|(status, _)| status == 200) {
                running.ready = true;
                self.status(
                    name,
                    &json!({"phase": "Running", "conditions": [
                        {"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"},
                    ]}),
                );
            }
        }
    }

    fn status(&self, name: &str, status: &Value) {
        let patch = json!({ "status": status }).to_string();
        let args = [
            "-n",
            NAMESPACE,
            "patch",
            "pod",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        self.cluster.kubectl(&args).ok().unwrap();
    }

    /// Runs a command while pods live.
    pub fn during(&mut self, command: &mut Command) -> (bool, String) {
        let out = self.folder.path().join("command.log");
        let file = File::create(&out).unwrap();
        let mut child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let code = eventually("a command to end", Duration::from_secs(120), || {
            self.sync();
            child.try_wait().unwrap()
        });
        (code.success(), std::fs::read_to_string(out).unwrap())
    }

    /// Asks until something is there, while pods live.
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let logs = self.folder.path().to_owned();
        eventually(&format!("{what} (logs in {})", logs.display()), LIMIT, || {
            self.sync();
            ask()
        })
    }

    /// Asks until nothing is left, while pods live; or says what is.
    pub fn until_none(&mut self, what: &str, mut ask: impl FnMut() -> Vec<String>) {
        let end = Instant::now() + LIMIT;
        loop {
            self.sync();
            let left = ask();
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < end,
                "waited {LIMIT:?} in vain for {what}: {left:#?}"
            );
        }
    }
}
