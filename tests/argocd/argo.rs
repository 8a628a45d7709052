//! Argo CD's application controller and repository server as processes, on a control plane with our definitions.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::scripts;
use crate::support::kube::{Cluster, eventually};

/// A process that ends with this one, however this one ends.
pub struct Guarded(Child);

impl Guarded {
    /// Starts it. Its errors, and its output unless that is wanted, go to a log.
    pub fn start(command: &Command, log: &Path, wants_output: bool) -> (Self, Option<ChildStdout>) {
        // Its standard input closes when we end; nothing else is certain to happen then.
        let guard = r#""$@" & p=$!; cat >/dev/null; kill -KILL $p 2>/dev/null; wait $p 2>/dev/null"#;
        let file = File::create(log).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", guard, "guard"])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .stdin(Stdio::piped())
            .stderr(file.try_clone().unwrap());
        if wants_output {
            bash.stdout(Stdio::piped());
        } else {
            bash.stdout(file);
        }
        let mut child = bash.spawn().unwrap();
        let output = child.stdout.take();
        (Self(child), output)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A running Argo CD.
pub struct Argo {
    /// The address of the cluster, as an Application names it.
    pub server: String,
    _running: Vec<Guarded>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn listens(port: u16) -> Option<()> {
    std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
}

/// Address and token of the administrator.
fn access(cluster: &Cluster) -> (String, String) {
    let config = scripts::yaml(&cluster.kubeconfig());
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    (
        text(&config["clusters"][0]["cluster"]["server"]),
        text(&config["users"][0]["user"]["token"]),
    )
}

impl Argo {
    /// Starts it, with the component of `deploy/argocd` in its ConfigMap. Logs and data go below `scratch`.
    pub fn start(bin: &Path, cluster: &Cluster, scratch: &Path) -> Self {
        let apply = |args: &[&str], input: Option<&str>| {
            let args = [&["apply", "--server-side", "-f"], args].concat();
            cluster.kubectl_with(&args, input).ok().unwrap();
        };
        for kind in ["application", "applicationset", "appproject"] {
            apply(&[&bin.join(format!("{kind}-crd.yaml")).to_string_lossy()], None);
        }
        for plural in ["applications", "applicationsets", "appprojects"] {
            // `kubectl wait` fails on a definition that has no conditions yet.
            eventually("Argo CD's definitions", Duration::from_mins(1), || {
                cluster
                    .kubectl(&["get", &format!("{plural}.argoproj.io"), "-A"])
                    .ok
                    .then_some(())
            });
        }
        cluster.kubectl(&["create", "namespace", "argocd"]).ok().unwrap();
        let folder = scripts::root().join("tests/argocd/installation");
        let objects = cluster
            .kubectl(&["kustomize", &folder.to_string_lossy()])
            .ok()
            .unwrap();
        assert!(
            objects.contains("resource.customizations.health.evenkeel.dev_Server:"),
            "{objects}"
        );
        apply(&["-"], Some(&objects));
        let (server, token) = access(cluster);
        let config = json!({"bearerToken": token, "tlsClientConfig": {"insecure": true}}).to_string();
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "here", "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": {"name": "here", "server": server, "config": config}});
        apply(&["-"], Some(&secret.to_string()));
        let running = processes(bin, cluster, scratch);
        Self {
            server,
            _running: running,
        }
    }
}

fn processes(bin: &Path, cluster: &Cluster, scratch: &Path) -> Vec<Guarded> {
    let kubeconfig = scratch.join("argocd.kubeconfig");
    std::fs::copy(cluster.kubeconfig(), &kubeconfig).unwrap();
    let set = ["config", "set-context", "--current", "--namespace=argocd"];
    let done = Command::new(cluster.bin().join("kubectl"))
        .args(set)
        .env("KUBECONFIG", &kubeconfig)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let folder = |name: &str| -> PathBuf {
        let path = scratch.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    std::fs::write(folder("ssh").join("ssh_known_hosts"), "").unwrap();
    let mut path = bin.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let (redis, repo) = (free_port(), free_port());
    let (redis_at, repo_at) = (format!("127.0.0.1:{redis}"), format!("127.0.0.1:{repo}"));
    let start = |name: &str, args: &[&str]| {
        let mut command = Command::new(name);
        command
            .args(args)
            .env("KUBECONFIG", &kubeconfig)
            .env("PATH", &path)
            .env("HOME", folder("home"))
            .env("TMPDIR", folder("tmp"))
            .env("ARGOCD_TLS_DATA_PATH", folder("tls"))
            .env("ARGOCD_SSH_DATA_PATH", folder("ssh"))
            .env("ARGOCD_GNUPGHOME", folder("gnupg"))
            .env("ARGOCD_PLUGINSOCKFILEPATH", folder("plugins"))
            .env("ARGOCD_GPG_ENABLED", "false");
        Guarded::start(&command, &scratch.join(format!("{name}.log")), false).0
    };
    let minute = Duration::from_mins(1);
    let port = |n: u16| n.to_string();
    let mut all = vec![start(
        "redis-server",
        &[
            "--port",
            &port(redis),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            &scratch.to_string_lossy(),
        ],
    )];
    eventually("redis", minute, || listens(redis));
    all.push(start(
        "argocd-repo-server",
        &[
            "--redis",
            &redis_at,
            "--address",
            "127.0.0.1",
            "--port",
            &port(repo),
            "--metrics-port",
            &port(free_port()),
            "--disable-tls",
        ],
    ));
    eventually("the repository server", minute, || listens(repo));
    all.push(start(
        "argocd-application-controller",
        &[
            "--redis",
            &redis_at,
            "--repo-server",
            &repo_at,
            "--repo-server-plaintext",
            "--metrics-port",
            &port(free_port()),
            "--namespace",
            "argocd",
            "--app-resync",
            "5",
            "--persist-resource-health",
        ],
    ));
    all
}
