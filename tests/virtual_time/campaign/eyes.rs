//! What is asked at every step of a run: before and after each write to the API server, before each change leaves for the
//! cloud, and each second between. What is found is kept, and told at the end. The numbers are those of the list of oracles
//! in `tests/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel::api::Server;
use evenkeel::sim::apiserver::{ApiServer, Phase, WriteEvent};
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::act::Act;
use crate::matrix::clouds::{Cloud, Seen};
use crate::tap::Met;

/// How often it is looked where nothing happens.
const BETWEEN: Duration = Duration::from_secs(1);
/// The same when the wish is fulfilled.
const AT_REST: Duration = Duration::from_secs(10);
/// So much is enough to see what is wrong.
const ENOUGH: usize = 3;
/// Everything of ours in the cluster.
const PLURALS: &[&str] = &["servers", "servergroups", "serveractions", "providerconfigs"];

/// How much of a run may be trusted.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    /// Nobody else changes the cloud, and no list lies: what is said of it is true.
    pub honest: bool,
    /// One controller acts: the record of a call is there when the call leaves.
    pub alone: bool,
    /// No call arrives later than it counts as lost.
    pub prompt: bool,
}

/// Who looks.
pub struct Eyes {
    api: ApiServer,
    cloud: Arc<dyn Cloud>,
    act: Act,
    trust: Trust,
    bystander: Option<Seen>,
    rests: AtomicBool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    found: Vec<String>,
    /// The largest observedGeneration of each object.
    observed: BTreeMap<String, i64>,
    /// Objects whose servers stay when they go.
    orphaning: BTreeSet<String>,
    /// Objects whose disks stay when they go.
    keeping: BTreeSet<String>,
    /// By object and condition: what it says, and how often that changed.
    said: BTreeMap<(String, String), (String, usize)>,
    /// Every reason for which an object was Stalled.
    stalled: BTreeSet<(String, String)>,
    /// Each object as it was when it was looked at last.
    known: BTreeMap<String, Arc<Value>>,
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Its kind and name.
fn title(object: &Value) -> String {
    format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"))
}

impl Eyes {
    /// Opens them on a world, and starts to look each second until the handle is dropped.
    pub fn open(
        api: &ApiServer,
        cloud: &Arc<dyn Cloud>,
        act: Act,
        trust: Trust,
        bystander: Option<&Seen>,
    ) -> (Arc<Self>, AbortOnDropHandle<()>) {
        let eyes = Arc::new(Self {
            api: api.clone(),
            cloud: Arc::clone(cloud),
            act,
            trust,
            bystander: bystander.cloned(),
            rests: AtomicBool::new(false),
            memory: Mutex::default(),
        });
        let looks = Arc::clone(&eyes);
        let task = tokio::spawn(async move {
            loop {
                looks.look();
                let rests = looks.rests.load(Ordering::SeqCst);
                sleep(if rests { AT_REST } else { BETWEEN }).await;
            }
        });
        (eyes, AbortOnDropHandle::new(task))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was not as it has to be, the first time of each.
    pub fn found(&self) -> Vec<String> {
        self.memory().found.clone()
    }

    /// The wish is fulfilled: between steps it is looked less often.
    pub fn rest(&self) {
        self.rests.store(true, Ordering::SeqCst);
    }

    /// Waits until something is found.
    pub async fn find(&self) -> String {
        loop {
            let found = self.found();
            if !found.is_empty() {
                return found.join("\n");
            }
            sleep(BETWEEN).await;
        }
    }

    /// How often each condition of each object said something else than before.
    pub fn turns(&self) -> BTreeMap<(String, String), usize> {
        let turns = |(key, (_, n)): (&(String, String), &(String, usize))| (key.clone(), *n);
        self.memory().said.iter().map(turns).collect()
    }

    /// The objects that were Stalled, and why.
    pub fn stalled(&self) -> BTreeSet<(String, String)> {
        self.memory().stalled.clone()
    }

    fn wrong(&self, words: String) {
        let mut memory = self.memory();
        if memory.found.len() < ENOUGH && !memory.found.contains(&words) {
            memory.found.push(words);
        }
    }

    fn objects(&self) -> Vec<Arc<Value>> {
        PLURALS.iter().flat_map(|p| self.api.shared(p)).collect()
    }

    /// O1, O2, O3, O9, O15: the whole world at this moment.
    pub fn look(&self) {
        let objects = self.objects();
        let servers = self.cloud.servers();
        for object in &objects {
            self.remember(object);
        }
        let living: BTreeSet<&str> = objects.iter().map(|o| uid(o)).collect();
        let mut owners = BTreeSet::new();
        for server in &servers {
            if let Some(owner) = &server.uid
                && !owners.insert(owner)
            {
                self.wrong(format!(
                    "O1: server {} is not the only one of the object {owner}",
                    server.id
                ));
            }
            if let Some(owner) = &server.uid
                && !living.contains(owner.as_str())
                && !self.memory().orphaning.contains(owner)
            {
                self.wrong(format!(
                    "O2: server {} is of the object {owner}, which is gone",
                    server.id
                ));
            }
        }
        if let Some(then) = &self.bystander {
            let now = servers.iter().find(|s| s.id == then.id);
            if now != Some(then) {
                self.wrong(format!("O3: the bystander was changed: {then:?} is {now:?}"));
            }
        }
        if self.act.takes_turns() {
            self.turns_are_kept(&objects, &servers);
        }
    }

    /// O2 once all is quiet: whatever carries our mark has its object.
    pub fn nothing_is_left(&self) {
        let objects = self.objects();
        for (what, owner) in self.cloud.marked() {
            let living = objects.iter().any(|o| uid(o) == owner);
            let stays = {
                let memory = self.memory();
                let disk = what.starts_with("disk ") && memory.keeping.contains(&owner);
                disk || memory.orphaning.contains(&owner)
            };
            if !living && !stays {
                self.wrong(format!("O2: {what} is left of the object {owner}, which is gone"));
            }
        }
    }

    fn remember(&self, object: &Arc<Value>) {
        let mut wrong = Vec::new();
        {
            let mut memory = self.memory();
            let id = uid(object).to_owned();
            let before = memory.known.insert(id.clone(), Arc::clone(object));
            if before.is_some_and(|b| Arc::ptr_eq(&b, object)) {
                return;
            }
            if text(object, "/spec/deletionPolicy") == "Orphan" {
                memory.orphaning.insert(id.clone());
            }
            if text(object, "/spec/deletion/disks") != "DeleteOwned" {
                memory.keeping.insert(id.clone());
            }
            let now = object
                .pointer("/status/observedGeneration")
                .and_then(Value::as_i64);
            if let Some(now) = now {
                let before = memory.observed.insert(id, now);
                if before.is_some_and(|b| b > now) {
                    wrong.push(format!(
                        "O9: observedGeneration of {} went from {before:?} to {now}",
                        title(object)
                    ));
                }
            }
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            for condition in conditions.into_iter().flatten() {
                let kind = text(condition, "/type").to_owned();
                let says = text(condition, "/status");
                if kind == "Stalled" && says == "True" {
                    let of = (title(object), text(condition, "/reason").to_owned());
                    if !memory.stalled.contains(&of) {
                        memory.stalled.insert(of);
                    }
                }
                let said = memory.said.entry((title(object), kind)).or_default();
                if said.0 != says {
                    *said = (says.to_owned(), said.1 + 1);
                }
            }
        }
        for words in wrong {
            self.wrong(words);
        }
    }

    /// O15: no more members of a group are down than it says.
    fn turns_are_kept(&self, objects: &[Arc<Value>], servers: &[Seen]) {
        if !self.trust.prompt {
            return;
        }
        let groups = objects.iter().filter(|o| text(o, "/kind") == "ServerGroup");
        for group in groups {
            let most = group.pointer("/spec/disruption/maxUnavailable");
            let most = most.and_then(Value::as_u64).unwrap_or(1);
            let name = text(group, "/metadata/name");
            let members = objects.iter().filter(|o| text(o, "/spec/groupRef/name") == name);
            let members: BTreeSet<&str> = members.map(|o| uid(o)).collect();
            let down =
                |s: &&Seen| s.power != "Running" && s.uid.as_deref().is_some_and(|uid| members.contains(uid));
            let down: Vec<String> = servers
                .iter()
                .filter(down)
                .map(|s| format!("{} {}", s.id, s.power))
                .collect();
            if down.len() as u64 > most {
                self.wrong(format!("O15: {most} of group {name} may be down: {down:?}"));
            }
        }
    }

    /// O9, O10: a write of a controller, on its way or done.
    pub fn writes(&self, event: &WriteEvent) {
        if event.phase == Phase::Before && event.call.client.starts_with("evenkeel") {
            self.lawful(event);
            if self.trust.honest {
                self.truthful(event);
            }
        }
        self.look();
    }

    /// O3: a change that a controller is about to send.
    pub fn sends(&self, met: &Met<'_>) {
        self.look();
        let body = String::from_utf8_lossy(met.body);
        let objects = self.objects();
        let servers = || objects.iter().filter(|o| text(o, "/kind") == "Server");
        let call = format!("{} {}", met.method, met.path);
        let Some(target) = self.cloud.target(met.path, &body) else {
            if body.contains("evenkeel") && creates(met.path) {
                let of = servers().find(|o| body.contains(uid(o)));
                self.may_be_made(&call, of.map(|o| &**o));
            }
            return;
        };
        let of = servers().find(|o| {
            let imported = text(o, "/spec/import/id");
            target.uid.as_deref() == Some(uid(o)) || target.uid.is_none() && imported == target.id
        });
        let Some(object) = of else {
            return self.wrong(format!("O3: {call} speaks of a server of nobody: {target:?}"));
        };
        let kind = text(object, "/status/operation/kind");
        let grouped = met.path.contains("server-group");
        if self.trust.alone && !grouped && kind.is_empty() {
            self.wrong(format!("O3: {call} was not recorded: {:#}", object["status"]));
        }
        let deletes =
            met.path.ends_with(&target.id) && met.method == "DELETE" || body.contains("forceDelete");
        let let_go = object.pointer("/metadata/deletionTimestamp").is_some()
            && text(object, "/spec/deletionPolicy") != "Orphan";
        if deletes && !let_go && kind != "DeleteFailed" {
            self.wrong(format!(
                "O3: {call} deletes the server of {}, which stays",
                title(object)
            ));
        }
    }

    /// A server is made only for an object that is there, holds on to it and has recorded it.
    fn may_be_made(&self, call: &str, object: Option<&Value>) {
        let Some(object) = object else {
            return self.wrong(format!("O2: {call} makes a server of an object that is gone"));
        };
        let held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if !held {
            self.wrong(format!(
                "O2: {call} for {}, which has no finalizer",
                title(object)
            ));
        }
        if self.trust.alone && object.pointer("/status/createAttempt").is_none() {
            self.wrong(format!("O3: {call} for {} was not recorded", title(object)));
        }
    }

    /// The controller writes status, its finalizer and its annotations; never a spec, a label or an owner.
    fn lawful(&self, event: &WriteEvent) {
        if !PLURALS.contains(&event.call.plural) || event.call.subresource.is_some() {
            return;
        }
        // A deed goes with its Server.
        let owned = event.call.plural == "serveractions";
        let ours = |path: &str| {
            owned && path == "/metadata/ownerReferences"
                || path.starts_with("/metadata/finalizers")
                || path.starts_with("/metadata/annotations/evenkeel.dev")
                || [
                    "/metadata/resourceVersion",
                    "/metadata/uid",
                    "/metadata/name",
                    "/metadata/annotations",
                ]
                .contains(&path)
        };
        let odd: Vec<String> = match &*event.body {
            Value::Array(operations) => {
                let paths = operations.iter().map(|o| text(o, "/path"));
                paths.filter(|p| !ours(p)).map(str::to_owned).collect()
            }
            Value::Object(body) if event.call.verb.writes() && body.contains_key("metadata") => {
                let spec = body.contains_key("spec").then(|| "/spec".to_owned());
                let annotations = body["metadata"]["annotations"].as_object().into_iter().flatten();
                let annotations = annotations.map(|(key, _)| format!("/metadata/annotations/{key}"));
                let metadata = body["metadata"].as_object().into_iter().flatten();
                let metadata = metadata
                    .map(|(key, _)| format!("/metadata/{key}"))
                    .chain(annotations);
                spec.into_iter().chain(metadata.filter(|p| !ours(p))).collect()
            }
            _ => Vec::new(),
        };
        if !odd.is_empty() {
            self.wrong(format!(
                "O10: {:?} {} writes {odd:?}",
                event.call.verb, event.call.name
            ));
        }
    }

    /// What is said to be ready is so in the cloud at that moment.
    fn truthful(&self, event: &WriteEvent) {
        if event.call.plural != "servers" || event.call.subresource.is_none() {
            return;
        }
        let Ok(server) = serde_json::from_value::<Server>((*event.body).clone()) else {
            return;
        };
        if !crate::scenarios::cluster::ready(&server) {
            return;
        }
        let status = server.status.as_ref().unwrap();
        let id = status.id.as_deref().unwrap_or_default();
        let Some(real) = self.cloud.servers().into_iter().find(|s| s.id == id) else {
            return self.wrong(format!("O9: Ready is said of {id}, which is not in the cloud"));
        };
        let desired = status.power.as_ref().and_then(|p| p.desired.clone());
        let wished = desired.as_deref().filter(|d| ["Running", "Stopped"].contains(d));
        let named = server.spec.cloud_name.as_deref();
        let size = status.size.as_deref().filter(|_| !real.size.is_empty());
        let lies = [
            ("power", wished, real.power.as_str()),
            ("size", size, real.size.as_str()),
            ("name", named, real.name.as_str()),
            (
                "owner",
                server.metadata.uid.as_deref(),
                real.uid.as_deref().unwrap_or_default(),
            ),
        ];
        for (what, said, is) in lies {
            if said.is_some_and(|said| said != is) {
                self.wrong(format!(
                    "O9: Ready is said of {id}, whose {what} is {is} and not {said:?}"
                ));
            }
        }
    }
}

/// Whether something is made by a request to this path.
fn creates(path: &str) -> bool {
    ["/servers", "/server", "/instances"]
        .iter()
        .any(|end| path.ends_with(end))
}
