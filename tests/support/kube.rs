//! A real Kubernetes control plane, one for each test binary, and a namespace for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running control plane.
pub struct Cluster {
    bin: PathBuf,
    run: PathBuf,
}

static NAMESPACES: AtomicU32 = AtomicU32::new(0);

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/env/kubernetes")
        .join(name)
}

/// The control plane of this test binary: started by the first test that asks, with the CRDs of this checkout,
/// and ended when the process ends, however it ends.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let started = Cluster::start("").and_then(|cluster| cluster.with_definitions());
        started.unwrap_or_else(|e| panic!("no Kubernetes control plane: {e}"))
    })
}

impl Cluster {
    /// Another control plane, with nothing in it, for a test that has it alone. Deployments become pods there.
    pub fn empty(name: &str) -> Self {
        Self::start(name).unwrap_or_else(|e| panic!("no Kubernetes control plane: {e}"))
    }

    fn start(name: &str) -> Result<Self, String> {
        let out = Command::new(script("provision.sh"))
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| e.to_string())?;
        if !out.status.success() {
            return Err(format!("provision.sh ended with {}", out.status));
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let bin = PathBuf::from(text.lines().last().unwrap_or_default());
        let run = std::env::temp_dir().join(format!("evenkeel-kube-{}{name}", std::process::id()));
        let cluster = Self { bin, run };
        cluster.stop_with_this_process()?;
        cluster.launch()?;
        Ok(cluster)
    }

    /// Starts what does not run.
    fn launch(&self) -> Result<(), String> {
        let status = Command::new(script("start.sh"))
            .args([&self.bin, &self.run])
            .env("AUDIT_LOG", self.audit_log())
            .env(
                "CONTROLLER_MANAGER_FLAGS",
                "--controllers=deployment-controller,replicaset-controller",
            )
            .stdin(Stdio::null())
            .status()
            .map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(format!("start.sh ended with {status}"));
        }
        Ok(())
    }

    /// Kills one of its processes (`etcd`, `apiserver`), as SIGKILL does, and starts it again with its data.
    ///
    /// # Errors
    /// It did not come back.
    pub fn crash(&self, process: &str) -> Result<(), String> {
        let file = self.run.join("pids").join(process);
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let pid = text.split_whitespace().next().unwrap_or_default();
        let killed = Command::new("kill").args(["-KILL", "--", pid]).status();
        if !killed.map_err(|e| e.to_string())?.success() {
            return Err(format!("kill -KILL -- {pid}"));
        }
        self.launch()
    }

    fn with_definitions(self) -> Result<Self, String> {
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        self.kubectl(&["apply", "-f", &crds.to_string_lossy()]).ok()?;
        // `kubectl wait` refuses an object that has no status yet.
        let all = [
            "get",
            "crd",
            "-o",
            "jsonpath={.items[*].status.conditions[?(@.type=='Established')].status}",
        ];
        eventually("established definitions", Duration::from_secs(30), || {
            let established = self.kubectl(&all).ok().ok()?;
            let established: Vec<&str> = established.split_whitespace().collect();
            (established.len() == evenkeel::api::crds::all().map_or(0, |all| all.len())
                && established.iter().all(|s| *s == "True"))
            .then_some(())
        });
        Ok(self)
    }

    /// One JSON object a line for each request that the API server has answered, with who asked.
    pub fn audit_log(&self) -> PathBuf {
        self.run.join("audit.log")
    }

    /// A process of its own waits for the end of this one (its pipe closes, also on a panic, an abort or a kill)
    /// and then stops what was started. Nothing else is certain to run then.
    fn stop_with_this_process(&self) -> Result<(), String> {
        let child = Command::new("setsid")
            .args([
                "bash",
                "-c",
                r#"cat >/dev/null; bash "$1" "$2" >/dev/null 2>&1; rm -rf "$2""#,
                "stop",
            ])
            .arg(script("stop.sh"))
            .arg(&self.run)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("setsid: {e}"))?;
        // Its standard input stays open as long as this process lives.
        std::mem::forget(child);
        Ok(())
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run.join("kubeconfig")
    }

    /// Where kubectl is.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// kubectl as administrator, to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(args);
        command
    }

    /// Runs kubectl as administrator.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_with(args, None)
    }

    /// Runs kubectl with something on its standard input.
    pub fn kubectl_with(&self, args: &[&str], input: Option<&str>) -> Output {
        use std::io::Write as _;
        let mut child = self
            .command(args)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl");
        // From a thread of its own: kubectl may answer before it has read everything.
        let writer = child
            .stdin
            .take()
            .zip(input.map(str::to_owned))
            .map(|(mut pipe, text)| std::thread::spawn(move || pipe.write_all(text.as_bytes())));
        let out = child.wait_with_output().expect("kubectl");
        if let Some(writer) = writer {
            // A kubectl that ended early says why on its own output.
            let _ = writer.join();
        }
        Output {
            command: args.join(" "),
            ok: out.status.success(),
            out: String::from_utf8_lossy(&out.stdout).into_owned(),
            err: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// A namespace of its own for one test.
    pub fn namespace(&self, test: &str) -> Namespace<'_> {
        let n = NAMESPACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{test}-{n}");
        self.kubectl(&["create", "namespace", &name]).ok().unwrap();
        Namespace { cluster: self, name }
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Output {
    /// Its arguments.
    pub command: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Output {
    /// The output of a success, or what was wrong.
    pub fn ok(self) -> Result<String, String> {
        if self.ok {
            Ok(self.out)
        } else {
            Err(format!("kubectl {}: {}", self.command, self.err))
        }
    }
}

/// A namespace of a test; deleted with the control plane.
pub struct Namespace<'a> {
    cluster: &'a Cluster,
    /// Its name.
    pub name: String,
}

impl Namespace<'_> {
    /// Runs kubectl in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_with(args, None)
    }

    /// Runs kubectl in this namespace with an object on its standard input.
    pub fn kubectl_with(&self, args: &[&str], object: Option<&Value>) -> Output {
        match object {
            Some(object) => self.kubectl_text(args, &object.to_string()),
            None => self
                .cluster
                .kubectl(&[&["-n", self.name.as_str()], args].concat()),
        }
    }

    /// Runs kubectl in this namespace with a text on its standard input.
    pub fn kubectl_text(&self, args: &[&str], text: &str) -> Output {
        self.cluster
            .kubectl_with(&[&["-n", self.name.as_str()], args].concat(), Some(text))
    }

    /// Creates an object.
    pub fn create(&self, object: &Value) -> Output {
        self.kubectl_with(&["create", "-f", "-"], Some(object))
    }

    /// Replaces an object with another text of it.
    pub fn replace(&self, object: &Value) -> Output {
        self.kubectl_with(&["replace", "-f", "-"], Some(object))
    }

    /// Reads an object.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "-o", "json"]).ok().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Writes the status of an object.
    pub fn set_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = json!({ "status": status }).to_string();
        self.kubectl(&[
            "patch",
            kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ])
        .ok()
        .unwrap();
    }
}

/// Asks until something is there, or says what was awaited.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
