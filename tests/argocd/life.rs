//! The life of a shop under the real Argo CD: its application controller and repository server over a git repository,
//! the controller as a process with its own rights, a simulated OpenStack behind it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use evenkeel::api::keys;
use serde_json::{Value, json};

use crate::argo::{Argo, Guarded};
use crate::git::Git;
use crate::objects::Objects;
use crate::process::Process;
use crate::scenarios::cluster::merge;
use crate::support::kube::{Cluster, cluster, eventually};
use crate::watch::Watch;
use crate::{actions, scripts, tools, verdicts};

/// How long anything may take. Argo CD waits two seconds between waves, a namespace takes five to go.
pub const LIMIT: Duration = Duration::from_mins(2);
/// The Applications, each with a namespace of its name: with client-side and with server-side apply.
const SHOPS: &[&str] = &["shop", "shop-by-server"];

struct Life {
    cluster: &'static Cluster,
    cloud: String,
    git: Git,
    wish: Mutex<BTreeMap<String, Value>>,
    apps: Watch,
    servers: Watch,
    groups: Watch,
    configs: Watch,
    deeds: Watch,
    controller: Mutex<Option<Process>>,
    /// When an Application may be OutOfSync.
    windows: Mutex<Vec<(Instant, Instant)>>,
    begun: Instant,
    bin: std::path::PathBuf,
    argo: Argo,
    _cloud: Guarded,
    scratch: Scratch,
}

/// A folder for logs and data, kept for whoever looks into a failure.
struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    fn path(&self) -> &Path {
        self.0.as_ref().unwrap().path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            let _ = writeln!(std::io::stderr(), "logs are kept in {}", folder.keep().display());
        }
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|c| c["type"] == kind))
        .unwrap_or(&Value::Null)
}

fn holds(object: &Value, kind: &str) -> bool {
    let current = object["metadata"]["generation"] == object["status"]["observedGeneration"];
    current && condition(object, kind)["status"] == "True"
}

fn is_power(object: &Value, power: &str) -> bool {
    holds(object, "Ready") && object["status"]["power"]["observed"] == power
}

/// What an Application says of one of its resources.
fn resource<'a>(app: &'a Value, name: &str) -> &'a Value {
    let all = app["status"]["resources"].as_array();
    all.and_then(|all| all.iter().find(|r| r["name"] == name))
        .unwrap_or(&Value::Null)
}

fn files() -> BTreeMap<String, Value> {
    let folder = scripts::root().join("deploy/argocd/example/shop");
    ["account", "group", "web-1", "batch-1"]
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                scripts::yaml(&folder.join(format!("{name}.yaml"))),
            )
        })
        .collect()
}

/// A simulated OpenStack: its address, and a Secret as the example wants it.
fn cloud(scratch: &Path) -> (Guarded, String, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args([
        "sim",
        "openstack",
        "--name",
        "helsinki-clouds",
        "--call-ms",
        "1500",
    ]);
    let (process, output) = Guarded::start(&command, &scratch.join("cloud.log"), true);
    let mut output = BufReader::new(output.unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line
        .split("http://")
        .last()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut text = String::new();
    while !text.contains("\n---\n") {
        assert!(output.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let mut secret: Value = serde_saphyr::from_str(text.trim_end_matches("---\n")).unwrap();
    secret["metadata"].as_object_mut().unwrap().remove("namespace");
    // Whoever writes to a pipe that nobody reads waits for ever.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    (process, address, secret)
}

impl Life {
    fn begin(bin: &Path) -> Self {
        let cluster = cluster();
        let scratch = Scratch(Some(tempfile::tempdir().unwrap()));
        let begun = Instant::now();
        let path = scratch.path();
        let (sim, address, secret) = cloud(path);
        install(cluster, path);
        let argo = Argo::start(bin, cluster, path);
        let watch = |plural: &str| Watch::start(cluster, plural, path);
        let life = Self {
            cluster,
            cloud: address,
            git: Git::init(path.join("git")),
            wish: Mutex::new(files()),
            apps: watch("applications.argoproj.io"),
            servers: watch("servers.evenkeel.dev"),
            groups: watch("servergroups.evenkeel.dev"),
            configs: watch("providerconfigs.evenkeel.dev"),
            deeds: watch("serveractions.evenkeel.dev"),
            controller: Mutex::new(None),
            windows: Mutex::default(),
            begun,
            bin: bin.to_owned(),
            argo,
            _cloud: sim,
            scratch,
        };
        for namespace in SHOPS.iter().chain(&["plain-1", "plain-2"]) {
            life.kubectl(&["create", "namespace", namespace], None);
            life.kubectl(&["-n", namespace, "apply", "-f", "-"], Some(&secret));
        }
        life.start_controller();
        life
    }

    fn say(&self, what: &str) {
        let text = format!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f32());
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    fn kubectl(&self, args: &[&str], input: Option<&Value>) -> String {
        let text = input.map(Value::to_string);
        self.cluster.kubectl_with(args, text.as_deref()).ok().unwrap()
    }

    fn patch(&self, namespace: &str, kind: &str, name: &str, patch: &Value) {
        let patch = patch.to_string();
        self.kubectl(
            &["-n", namespace, "patch", kind, name, "--type=merge", "-p", &patch],
            None,
        );
    }

    fn start_controller(&self) {
        let kubeconfig = self.scratch.path().join("evenkeel.kubeconfig");
        let log = self
            .scratch
            .path()
            .join(format!("evenkeel-{}.log", self.begun.elapsed().as_secs()));
        *self.controller.lock().unwrap() = Some(Process::start(&kubeconfig, &log, &[]));
    }

    /// Asks the simulator behind the cloud.
    fn ask_cloud(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.cloud).unwrap();
        let (cloud, length) = (&self.cloud, body.len());
        write!(
            stream,
            "{method} /_sim/{path} HTTP/1.1\r\nHost: {cloud}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {text}");
        body.to_owned()
    }

    /// Servers of the cloud by name, and their states.
    fn in_cloud(&self) -> Vec<(String, String)> {
        let body = self.ask_cloud("GET", "state", "");
        let state: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let servers = state["servers"].as_array().unwrap_or_else(|| panic!("{state}"));
        let mut found: Vec<_> = servers
            .iter()
            .map(|s| (text(&s["name"]), text(&s["status"])))
            .collect();
        found.retain(|(_, status)| status != "DELETED");
        found.sort();
        found
    }

    /// Changes what is in git and waits until every shop is synced to it.
    fn push(&self, change: impl FnOnce(&mut BTreeMap<String, Value>)) {
        let begun = Instant::now();
        let revision = self.commit(change);
        for app in SHOPS {
            self.synced(app, &revision);
        }
        self.out_of_sync_until_now(begun);
    }

    fn commit(&self, change: impl FnOnce(&mut BTreeMap<String, Value>)) -> String {
        let mut wish = self.wish.lock().unwrap();
        change(&mut wish);
        let revision = self.git.commit(wish.iter());
        drop(wish);
        for app in SHOPS.iter().filter(|app| self.apps.now("argocd", app).is_some()) {
            self.refresh(app);
        }
        revision
    }

    fn refresh(&self, app: &str) {
        let hard = "argocd.argoproj.io/refresh=hard";
        let kind = "applications.argoproj.io";
        self.kubectl(
            &["-n", "argocd", "annotate", "--overwrite", kind, app, hard],
            None,
        );
    }

    fn out_of_sync_until_now(&self, begun: Instant) {
        self.windows.lock().unwrap().push((begun, Instant::now()));
    }

    fn app(&self, app: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.apps.until("argocd", app, what, wanted)
    }

    fn synced(&self, app: &str, revision: &str) -> Value {
        self.app(app, &format!("Synced to {revision}"), |a| {
            a["status"]["sync"]["status"] == "Synced" && a["status"]["sync"]["revision"] == revision
        })
    }

    /// Waits until every shop is Synced and Healthy, and every operation over.
    fn healthy(&self) {
        for app in SHOPS {
            self.app(app, "Synced and Healthy", |a| {
                let status = &a["status"];
                status["sync"]["status"] == "Synced"
                    && status["health"]["status"] == "Healthy"
                    && status["operationState"]["phase"] == "Succeeded"
            });
        }
    }

    fn health_of(&self, app: &str, name: &str, status: &str) -> String {
        let said = self.app(app, &format!("{name} {status}"), |a| {
            resource(a, name)["health"]["status"] == status
        });
        let message = &resource(&said, name)["health"]["message"];
        message.as_str().unwrap_or_default().to_owned()
    }
}

/// The rights of `deploy/default`, and a kubeconfig with a token of the controller's own ServiceAccount.
fn install(cluster: &Cluster, scratch: &Path) {
    let mut path = cluster.bin().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let done = Command::new(scripts::root().join("tests/env/kubernetes/install.sh"))
        .args([cluster.kubeconfig(), scratch.join("evenkeel.kubeconfig")])
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_life_of_a_shop() {
    let Some(bin) = tools::argocd() else { return };
    let life = Life::begin(&bin);
    life.say("all parts run");
    it_comes_up_in_order(&life);
    git_reaches_the_cloud(&life);
    an_edit_by_hand_is_put_back(&life);
    a_paused_server_is_suspended(&life);
    a_deed_in_git_is_done_once(&life);
    what_needs_a_person_is_degraded(&life);
    a_server_that_must_not_be_pruned_stays(&life);
    everything_is_pruned_in_order(&life);
    a_namespace_goes_whole(&life);
    an_abandoned_server_lets_its_namespace_go(&life);
    nobody_but_git_and_people_made_it_out_of_sync(&life);
    what_was_seen_means_what_it_says(&life);
}

fn it_comes_up_in_order(life: &Life) {
    let begun = Instant::now();
    let revision = life.commit(|_| ());
    for app in SHOPS {
        let mut object = scripts::yaml(&scripts::root().join("deploy/argocd/example/application.yaml"));
        merge(
            &mut object,
            json!({"metadata": {"name": app}, "spec": {"source": {"repoURL": life.git.url()},
                "destination": {"server": life.argo.server, "namespace": app}}}),
        );
        if *app != "shop" {
            object["spec"]["syncPolicy"]["syncOptions"] = json!(["ServerSideApply=true"]);
        }
        life.kubectl(&["create", "-f", "-"], Some(&object));
        life.synced(app, &revision);
    }
    life.out_of_sync_until_now(begun);
    life.healthy();
    for shop in SHOPS {
        let said = life.health_of(shop, "batch-1", "Healthy");
        assert!(said.starts_with("AsDeclared: "), "{said}");
        let stopped = life.servers.now(shop, "batch-1").unwrap();
        assert!(is_power(&stopped, "Stopped"), "{stopped:#}");
        // Each wave began when the one before it was ready.
        let ready = |o: &Value| {
            condition(o, "Ready")["lastTransitionTime"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let made = |o: &Value| o["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
        let config = life.configs.now(shop, "helsinki").unwrap();
        let group = life.groups.now(shop, "web").unwrap();
        let server = life.servers.now(shop, "web-1").unwrap();
        assert!(ready(&config) <= made(&group), "{config:#}\n{group:#}");
        assert!(ready(&group) <= made(&server), "{group:#}\n{server:#}");
    }
    let states: Vec<_> = life
        .in_cloud()
        .into_iter()
        .map(|(n, s)| format!("{n} {s}"))
        .collect();
    assert_eq!(
        states,
        [
            "batch-1 SHUTOFF",
            "batch-1 SHUTOFF",
            "web-1 ACTIVE",
            "web-1 ACTIVE"
        ]
    );
    life.say("Synced and Healthy, wave after wave; a server that is stopped on purpose too");
}

fn wish_power(power: &'static str) -> impl FnOnce(&mut BTreeMap<String, Value>) {
    move |wish| wish.get_mut("web-1").unwrap()["spec"]["powerState"] = json!(power)
}

fn in_state(life: &Life, name: &str, state: &str) -> bool {
    let servers = life.in_cloud();
    let mut all = servers.iter().filter(|(n, _)| n == name).peekable();
    all.peek().is_some() && all.all(|(_, s)| s == state)
}

fn git_reaches_the_cloud(life: &Life) {
    // Long enough for Argo CD to notice on a busy machine.
    let slow = json!({"hypervisor": [{"call": "power_off", "server": "web-1", "delayMs": 10_000}]});
    life.ask_cloud("POST", "faults", &slow.to_string());
    life.push(wish_power("Stopped"));
    for shop in SHOPS {
        life.app(shop, "web-1 Progressing, in our words", |a| {
            let health = &resource(a, "web-1")["health"];
            let said = health["message"].as_str().unwrap_or_default();
            // Argo CD looks again when the health changes, not for other words alone: which it has depends on whether
            // the controller or Argo CD was faster.
            let ours = ["Stopping: ", "Waiting for the controller to see the object"];
            health["status"] == "Progressing" && ours.iter().any(|w| said.starts_with(w))
        });
    }
    for shop in SHOPS {
        life.servers
            .until(shop, "web-1", "Stopped", |o| is_power(o, "Stopped"));
    }
    assert!(in_state(life, "web-1", "SHUTOFF"), "{:?}", life.in_cloud());
    life.ask_cloud("DELETE", "faults", "");
    life.healthy();
    life.say("an edit through git was Progressing, and reached the cloud");
}

fn an_edit_by_hand_is_put_back(life: &Life) {
    let begun = Instant::now();
    for shop in SHOPS {
        life.patch(
            shop,
            "server",
            "web-1",
            &json!({"spec": {"powerState": "Running"}}),
        );
        life.servers.until(shop, "web-1", "put back", |o| {
            o["spec"]["powerState"] == "Stopped"
        });
    }
    life.healthy();
    for shop in SHOPS {
        let seen = life.apps.events();
        let mut seen = seen.iter().filter(|e| e.is("argocd", shop) && e.at > begun);
        assert!(
            seen.any(|e| e.object["status"]["sync"]["status"] == "OutOfSync"),
            "{shop}"
        );
        life.servers
            .until(shop, "web-1", "Stopped again", |o| is_power(o, "Stopped"));
    }
    life.healthy();
    life.out_of_sync_until_now(begun);
    assert!(in_state(life, "web-1", "SHUTOFF"), "{:?}", life.in_cloud());
    life.say("an edit by hand was put back");
}

/// Takes an action as Argo CD's server does: what the script made, as a patch.
fn act(life: &Life, shop: &str, action: &str) {
    let object = life.servers.now(shop, "web-1").unwrap();
    let made = actions::taken(&life.bin, action, &object);
    assert_eq!(made["spec"], object["spec"]);
    let mut annotations = made["metadata"]["annotations"].clone();
    for key in object["metadata"]["annotations"].as_object().unwrap().keys() {
        if annotations.get(key).is_none() {
            annotations[key] = Value::Null;
        }
    }
    life.patch(
        shop,
        "server",
        "web-1",
        &json!({"metadata": {"annotations": annotations}}),
    );
}

fn a_paused_server_is_suspended(life: &Life) {
    for shop in SHOPS {
        act(life, shop, "pause");
        life.health_of(shop, "web-1", "Suspended");
    }
    life.push(wish_power("Running"));
    for shop in SHOPS {
        life.servers.until(shop, "web-1", "held back", |o| {
            o["metadata"]["generation"] == o["status"]["observedGeneration"]
                && condition(o, "Ready")["reason"] == "Paused"
        });
        let said = life.health_of(shop, "web-1", "Suspended");
        assert!(said.starts_with("Paused: "), "{said}");
    }
    assert!(in_state(life, "web-1", "SHUTOFF"), "{:?}", life.in_cloud());
    for shop in SHOPS {
        act(life, shop, "resume");
        life.servers
            .until(shop, "web-1", "Running", |o| is_power(o, "Running"));
        act(life, shop, "reconcile");
        life.servers.until(shop, "web-1", "looked at", |o| {
            let asked = &o["metadata"]["annotations"][keys::RECONCILE_REQUESTED_AT];
            asked.is_string() && o["status"]["lastHandledReconcileAt"] == *asked
        });
    }
    life.healthy();
    assert!(in_state(life, "web-1", "ACTIVE"), "{:?}", life.in_cloud());
    life.say("a paused server was Suspended, and self-heal left the pause alone");
}

/// In a wave that another one waits for: the sync fails, and is tried again with what git says by then.
fn what_needs_a_person_is_degraded(life: &Life) {
    let mut bad = life.wish.lock().unwrap()["batch-1"].clone();
    bad["metadata"]["name"] = json!("bad-1");
    bad["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] = json!("0");
    bad["spec"]["image"]["name"] = json!("no-such-image");
    life.push(|wish| drop(wish.insert("bad-1".to_owned(), bad)));
    for shop in SHOPS {
        let said = life.health_of(shop, "bad-1", "Degraded");
        let ours = r#"InvalidSpec: there is no active image "no-such-image" in this project"#;
        assert!(said.starts_with(ours), "{said}");
        life.servers
            .until(shop, "bad-1", "Stalled", |o| holds(o, "Stalled"));
        life.app(shop, "Degraded, and a sync that failed", |a| {
            let operation = a["status"]["operationState"]["message"].to_string();
            a["status"]["health"]["status"] == "Degraded" && operation.contains("completed unsuccessfully")
        });
    }
    life.push(|wish| wish.get_mut("bad-1").unwrap()["spec"]["image"]["name"] = json!("cirros"));
    life.healthy();
    assert!(in_state(life, "bad-1", "SHUTOFF"), "{:?}", life.in_cloud());
    life.push(|wish| drop(wish.remove("bad-1")));
    for shop in SHOPS {
        life.servers.gone(shop, "bad-1");
    }
    life.healthy();
    assert!(!in_state(life, "bad-1", "SHUTOFF"), "{:?}", life.in_cloud());
    life.say("what needs a person was Degraded, in our words; cured and pruned through git");
}

/// How often images were asked for, as the Server itself remembers it.
fn images(life: &Life, shop: &str) -> usize {
    let server = life.servers.now(shop, "batch-1").unwrap();
    let all = server["status"]["actions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let begun = |r: &&Value| r["deed"] == "CreateImage" && r["startedAt"].is_string();
    all.iter().filter(begun).count()
}

fn a_deed_in_git_is_done_once(life: &Life) {
    let action = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction",
        "metadata": {"name": "snap", "annotations": {"argocd.argoproj.io/sync-wave": "2"}},
        "spec": {"serverRef": {"name": "batch-1"}, "createImage": {"name": "before"}}});
    life.push(|wish| drop(wish.insert("snap".to_owned(), action)));
    life.healthy();
    let begun = Instant::now();
    for shop in SHOPS {
        let done = life
            .deeds
            .until(shop, "snap", "Complete", |o| holds(o, "Complete"));
        life.kubectl(&["-n", shop, "delete", "serveraction", "snap"], None);
        let uid = done["metadata"]["uid"].clone();
        life.deeds
            .until(shop, "snap", "made again, and not done again", |o| {
                o["metadata"]["uid"] != uid && condition(o, "Failed")["reason"] == "AlreadyRun"
            });
        let words = life.health_of(shop, "snap", "Degraded");
        assert!(words.starts_with("AlreadyRun: "), "{words}");
        assert_eq!(images(life, shop), 1);
    }
    life.out_of_sync_until_now(begun);
    life.push(|wish| drop(wish.remove("snap")));
    for shop in SHOPS {
        life.deeds.gone(shop, "snap");
    }
    life.healthy();
    life.say("a deed in git was done once, although self-heal made it again");
}

fn a_server_that_must_not_be_pruned_stays(life: &Life) {
    let option = "argocd.argoproj.io/sync-options";
    life.push(|wish| {
        wish.get_mut("batch-1").unwrap()["metadata"]["annotations"][option] = json!("Prune=false");
    });
    life.healthy();
    let kept = life.wish.lock().unwrap()["batch-1"].clone();
    let begun = Instant::now();
    let revision = life.commit(|wish| drop(wish.remove("batch-1")));
    for shop in SHOPS {
        life.app(shop, "a sync that leaves batch-1", |a| {
            let done = &a["status"]["operationState"];
            done["phase"] == "Succeeded"
                && done["syncResult"]["revision"] == revision.as_str()
                && resource(a, "batch-1")["requiresPruning"] == true
                && a["status"]["sync"]["status"] == "OutOfSync"
        });
        let server = life.servers.now(shop, "batch-1").unwrap();
        assert!(server["metadata"]["deletionTimestamp"].is_null(), "{server:#}");
    }
    assert!(in_state(life, "batch-1", "SHUTOFF"), "{:?}", life.in_cloud());
    life.push(|wish| {
        wish.insert("batch-1".to_owned(), kept);
        let annotations = &mut wish.get_mut("batch-1").unwrap()["metadata"]["annotations"];
        annotations.as_object_mut().unwrap().remove(option);
    });
    life.out_of_sync_until_now(begun);
    life.healthy();
    life.say("Prune=false kept a server that was no longer in git");
}

fn everything_is_pruned_in_order(life: &Life) {
    life.push(|wish| wish.get_mut("web-1").unwrap()["spec"]["deletionProtection"] = json!(true));
    life.healthy();
    let begun = Instant::now();
    life.commit(BTreeMap::clear);
    for shop in SHOPS {
        life.app(shop, "a refusal to empty it", |a| {
            a["status"]["conditions"]
                .to_string()
                .contains("auto-sync will wipe out all resources")
        });
        let spec = json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}});
        assert!(life.servers.now(shop, "web-1").unwrap()["metadata"]["deletionTimestamp"].is_null());
        life.patch("argocd", "applications.argoproj.io", shop, &spec);
        life.refresh(shop);
    }
    for shop in SHOPS {
        let held = life
            .servers
            .until(shop, "web-1", "DeletionBlocked", |o| holds(o, "DeletionBlocked"));
        assert_eq!(condition(&held, "DeletionBlocked")["reason"], "DeletionProtected");
        // Argo CD itself says so little of what is being deleted.
        assert_eq!(life.health_of(shop, "web-1", "Progressing"), "Pending deletion");
        life.servers.gone(shop, "batch-1");
    }
    assert_eq!(life.in_cloud().len(), SHOPS.len(), "{:?}", life.in_cloud());
    for shop in SHOPS {
        let rest = [life.groups.now(shop, "web"), life.configs.now(shop, "helsinki")];
        let waits = rest.iter().all(|o| {
            o.as_ref()
                .is_some_and(|o| o["metadata"]["deletionTimestamp"].is_null())
        });
        assert!(waits, "an earlier wave did not wait: {rest:#?}");
        life.patch(
            shop,
            "server",
            "web-1",
            &json!({"spec": {"deletionProtection": false}}),
        );
    }
    for shop in SHOPS {
        let times = [
            life.servers.gone(shop, "web-1"),
            life.groups.gone(shop, "web"),
            life.configs.gone(shop, "helsinki"),
        ];
        assert!(times.is_sorted(), "{shop}: {times:?}");
        life.app(shop, "nothing left", |a| {
            a["status"]["sync"]["status"] == "Synced" && a["status"]["operationState"]["phase"] == "Succeeded"
        });
    }
    life.out_of_sync_until_now(begun);
    assert_eq!(life.in_cloud(), []);
    life.say("all was pruned: servers, then groups, then accounts; a protected server held the rest up");
}

/// The example without git and waves, in the worst order; ready nevertheless.
fn applied(life: &Life, namespace: &str) -> (Value, Value) {
    let files = files();
    for name in ["web-1", "batch-1", "group", "account"] {
        let object = &files[name];
        life.kubectl(&["-n", namespace, "apply", "-f", "-"], Some(object));
    }
    let group = life
        .groups
        .until(namespace, "web", "Ready", |o| holds(o, "Ready"));
    life.servers
        .until(namespace, "batch-1", "Ready", |o| holds(o, "Ready"));
    let server = life
        .servers
        .until(namespace, "web-1", "Ready", |o| holds(o, "Ready"));
    (server, group)
}

fn namespace_gone(life: &Life, namespace: &str) {
    eventually("the namespace to go", LIMIT, || {
        (!life.cluster.kubectl(&["get", "namespace", namespace]).ok).then_some(())
    });
}

/// The controller has the credentials in memory: the Secret may go first.
fn a_namespace_goes_whole(life: &Life) {
    applied(life, "plain-1");
    life.kubectl(&["-n", "plain-1", "delete", "secret", "helsinki-clouds"], None);
    life.kubectl(&["delete", "namespace", "plain-1", "--wait=false"], None);
    namespace_gone(life, "plain-1");
    assert_eq!(life.in_cloud(), []);
    life.say("a namespace went whole, its Secret first, and took its servers along");
}

/// Nobody has the credentials any more: what is left is said, and what is given up by name goes.
fn an_abandoned_server_lets_its_namespace_go(life: &Life) {
    let namespace = "plain-2";
    let (server, group) = applied(life, namespace);
    *life.controller.lock().unwrap() = None;
    life.kubectl(&["-n", namespace, "delete", "secret", "helsinki-clouds"], None);
    life.kubectl(&["delete", "namespace", namespace, "--wait=false"], None);
    life.configs.gone(namespace, "helsinki");
    life.start_controller();
    let id = |o: &Value| o["status"]["id"].as_str().unwrap().to_owned();
    let batch = life.servers.now(namespace, "batch-1").unwrap();
    let abandon = |kind: &str, name: &str, id: &str| {
        let patch = json!({"metadata": {"annotations": {keys::ABANDON: id}}});
        life.patch(namespace, kind, name, &patch);
    };
    for object in [&server, &batch] {
        let name = object["metadata"]["name"].as_str().unwrap();
        let blocked = |o: &Value| holds(o, "DeletionBlocked");
        let held = life.servers.until(namespace, name, "DeletionBlocked", blocked);
        let said = condition(&held, "DeletionBlocked");
        assert_eq!(said["reason"], "ProviderConfigNotFound");
        assert!(said["message"].as_str().unwrap().contains(&id(object)), "{said}");
        abandon("server", name, "another-id");
        let wrong = |o: &Value| {
            condition(o, "DeletionBlocked")["message"]
                .to_string()
                .contains("another-id")
        };
        life.servers
            .until(namespace, name, "what was named is not its server", wrong);
        abandon("server", name, &id(object));
        life.servers.gone(namespace, name);
    }
    life.groups.until(namespace, "web", "DeletionBlocked", |o| {
        holds(o, "DeletionBlocked")
    });
    abandon("servergroup", "web", &id(&group));
    namespace_gone(life, namespace);
    // Given up, not deleted.
    assert_eq!(life.in_cloud().len(), 2, "{:?}", life.in_cloud());
    life.say("without credentials the deletion was blocked, and said what it would leave; abandon let it go");
}

fn nobody_but_git_and_people_made_it_out_of_sync(life: &Life) {
    let windows = life.windows.lock().unwrap();
    let events = life.apps.events();
    let outside = events.iter().filter(|e| {
        let known = windows.iter().any(|(from, to)| (*from..=*to).contains(&e.at));
        e.object["status"]["sync"]["status"] == "OutOfSync" && !known
    });
    let outside: Vec<_> = outside.map(|e| e.object["status"].clone()).collect();
    assert!(outside.is_empty(), "{outside:#?}");
    let quiet: Duration = windows
        .windows(2)
        .map(|w| w[1].0.saturating_duration_since(w[0].1))
        .sum();
    let looks = events
        .iter()
        .filter(|e| !windows.iter().any(|(a, b)| (*a..=*b).contains(&e.at)))
        .count();
    assert!(
        looks > 20 && quiet > Duration::from_secs(10),
        "{looks} looks in {quiet:?}"
    );
    life.say(&format!(
        "{looks} looks of Argo CD while nobody changed a wish: never OutOfSync"
    ));
}

fn what_was_seen_means_what_it_says(life: &Life) {
    let mut all = Objects::default();
    for watch in [&life.servers, &life.groups, &life.configs] {
        all.add(watch.events().into_iter().map(|e| e.object));
    }
    let all = all.into_vec();
    let wrong = verdicts::disagreements(&life.bin, &scripts::patch(), &all).unwrap();
    assert!(wrong.is_empty() && all.len() > 20, "{}: {wrong:#?}", all.len());
    if let Some(program) = tools::kstatus() {
        let wrong = verdicts::kstatus_disagreements(&program, &all);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
