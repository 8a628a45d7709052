//! One object and one neutral cloud, stepped second by second. Every plan is checked against what must always hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::cloud::CAPABILITIES;
use super::sleep::Sleep;
use crate::api::conditions;
use crate::api::{ConditionType, Reason, Server, ServerAction, ServerGroup};
use crate::planner::draft::later;
use crate::planner::group::GroupView;
use crate::planner::memory::{Memory, Sent, Told};
use crate::planner::model::*;
use crate::planner::{AccountFacts, AccountView, EventDraft, Input, Plan, Step, plan};

use ServerState::*;

pub(super) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// What the next matching call meets.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Refused with a class.
    Refuse(ErrorClass),
    /// Not sent: the Secret that it needs is refused.
    RefuseSecret,
    /// Not sent: this installation does not do it.
    RefuseOff,
    /// Applied, but the reply is lost.
    LoseReply,
    /// Applied only twenty seconds later, and the reply is lost.
    ApplyLate,
    /// Not applied, and nobody says so.
    LoseRequest,
    /// Accepted, and nothing comes of it.
    NoEffect,
    /// Accepted, and nothing comes of it if it only asks the guest.
    Ignore,
    /// Accepted, and left alone: it is not ours any more.
    Spare,
    /// Accepted; the server ends in an error.
    Break,
}

pub(crate) struct Fake {
    pub(crate) seen: ObservedServer,
    /// When it settles, and into what.
    pub(super) until: Option<(Timestamp, ServerState)>,
    /// After that: in so many seconds, and into what.
    pub(super) then: Option<(i64, ServerState)>,
    pub(super) old_size: Option<String>,
}

pub(crate) struct World {
    pub(super) server: Server,
    pub(super) cloud: BTreeMap<String, Fake>,
    pub(super) memory: Memory,
    pub(super) now: Timestamp,
    pub(super) can: &'static Capabilities,
    pub(super) fates: Vec<(&'static str, Fate)>,
    pub(super) calls: Vec<String>,
    pub(super) writes: Vec<String>,
    pub(super) events: Vec<String>,
    pub(super) gone: bool,
    pub(super) process: u32,
    pub(super) account: String,
    pub(super) down_since: Option<Timestamp>,
    pub(super) most_alive: usize,
    pub(super) made: u32,
    pub(super) late: Vec<(Timestamp, CloudCall)>,
    pub(super) knobs: super::clouds::Knobs,
    /// What was told, in full.
    pub(super) told: Vec<EventDraft>,
    /// `spec.suspend` of the ProviderConfig.
    pub(super) suspended: bool,
    /// So many servers vanished that none is believed to be gone.
    pub(super) mass_absence: bool,
    /// The account cannot be used, for this reason, in these words.
    pub(super) unusable: Option<(Reason, &'static str)>,
    /// The memory of a second process, which plans now and then.
    pub(super) rival: Memory,
    /// Its group, and whether that lets one more of its members be down.
    pub(super) group: Option<(ServerGroup, bool)>,
    /// The ServerActions that name it, oldest first.
    pub(super) actions: Vec<Arc<ServerAction>>,
    /// Plans only when something wakes it, as the real queue does; else every second.
    pub(super) sleep: Option<Sleep>,
}

impl World {
    pub(crate) fn new(spec: serde_json::Value) -> Self {
        let mut full =
            json!({"providerConfigRef": {"name": "p"}, "size": {"name": "small"}, "image": {"name": "img"}});
        merge(&mut full, spec);
        let server: Server = serde_json::from_value(json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": "web", "namespace": "ns", "uid": "uid-1", "generation": 1, "resourceVersion": "1"},
            "spec": full, "status": {"observedGeneration": -1}
        }))
        .unwrap();
        Self {
            server,
            cloud: BTreeMap::new(),
            memory: Memory::default(),
            now: time(0),
            can: &CAPABILITIES,
            fates: Vec::new(),
            calls: Vec::new(),
            writes: Vec::new(),
            events: Vec::new(),
            gone: false,
            process: 1,
            account: "project-1".to_owned(),
            down_since: None,
            most_alive: 0,
            made: 0,
            late: Vec::new(),
            knobs: super::clouds::Knobs::default(),
            told: Vec::new(),
            suspended: false,
            mass_absence: false,
            unusable: None,
            rival: Memory::default(),
            group: None,
            actions: Vec::new(),
            sleep: None,
        }
    }

    pub(super) fn edit(&mut self, spec: serde_json::Value) {
        let mut value = serde_json::to_value(&self.server.spec).unwrap();
        merge(&mut value, spec);
        self.server.spec = serde_json::from_value(value).unwrap();
        *self.server.metadata.generation.as_mut().unwrap() += 1;
    }

    pub(super) fn annotate(&mut self, key: &str, value: &str) {
        self.server
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(key.into(), value.into());
    }

    pub(super) fn delete(&mut self) {
        if self.server.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
            self.gone = true;
        }
        self.server.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now));
        *self.server.metadata.generation.as_mut().unwrap() += 1;
    }

    pub(super) fn restart_process(&mut self) {
        self.process += 1;
        self.memory = Memory::default();
        self.wake();
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.server.status.as_ref()?.id.as_deref()
    }

    pub(crate) fn the(&mut self) -> &mut Fake {
        self.cloud.values_mut().next().unwrap()
    }

    pub(super) fn state(&self) -> ServerState {
        self.cloud.values().next().map_or(Absent, |f| f.seen.state)
    }

    pub(super) fn condition(&self, kind: ConditionType) -> String {
        let status = self.server.status.as_ref().unwrap();
        conditions::get(&status.conditions, kind).map_or("-".into(), |c| format!("{}/{}", c.status, c.reason))
    }

    pub(super) fn message(&self) -> String {
        self.message_of(ConditionType::Ready)
    }

    pub(super) fn message_of(&self, kind: ConditionType) -> String {
        let status = self.server.status.as_ref().unwrap();
        conditions::get(&status.conditions, kind).map_or(String::new(), |c| c.message.clone())
    }

    /// What was told of a reason: warning or not, and the words.
    pub(super) fn told_of(&self, reason: Reason) -> Vec<(bool, &str)> {
        let of = self.told.iter().filter(|e| e.reason == reason);
        of.map(|e| (e.warning, e.note.as_str())).collect()
    }

    pub(super) fn ready(&self) -> String {
        let status = self.server.status.as_ref().unwrap();
        if status.observed_generation != self.server.metadata.generation {
            return "outdated".to_owned();
        }
        self.condition(ConditionType::Ready)
    }

    pub(crate) fn put(&mut self, id: &str, state: ServerState, marks: Option<Marks>) {
        let seen = ObservedServer {
            failed_step: None,
            detailed: true,
            attributes: std::collections::BTreeMap::new(),
            parts: Vec::new(),
            items: Arc::default(),
            group_id: None,
            id: id.into(),
            name: "web".into(),
            provider_id: format!("cloud:///{id}"),
            state,
            raw: state.as_str().to_uppercase(),
            guest_running: None,
            busy: false,
            launched: true,
            size: ObservedSize {
                name: Some("small".into()),
                ..Default::default()
            },
            image_id: Some("i".into()),
            addresses: Vec::new(),
            zone: None,
            host: None,
            unreadable: false,
            locked: None,
            marks,
            fault: None,
        };
        self.cloud.insert(
            id.into(),
            Fake {
                seen,
                until: None,
                then: None,
                old_size: None,
            },
        );
    }

    pub(super) fn view(&mut self) -> Arc<Listing> {
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = rest;
        for (_, call) in due {
            self.arrive(&call);
        }
        for fake in self.cloud.values_mut() {
            if let Some((at, state)) = fake.until
                && at <= now
            {
                fake.until = fake.then.take().map(|(s, state)| (later(now, s), state));
                fake.seen.state = state;
                fake.seen.busy = fake.until.is_some();
                fake.seen.launched |= state == Running;
                fake.seen.raw = state.as_str().to_uppercase();
            }
        }
        self.cloud.retain(|_, f| f.seen.state != Absent);
        let hidden = |f: &&Fake| self.knobs.keeps && f.seen.state == SoftDeleted;
        let listed = self.cloud.values().filter(|f| !hidden(f));
        Arc::new(Listing::new(
            now,
            1,
            listed.map(|f| self.knobs.listed(&f.seen)).collect(),
        ))
    }

    pub(super) fn plan(&mut self) -> Plan {
        let listing = match self.sleep.as_ref().and_then(|s| s.listing.clone()) {
            Some(listing) => listing,
            None => self.knobs.old.clone().unwrap_or_else(|| self.view()),
        };
        let facts = AccountFacts {
            account: self.account.clone(),
            capabilities: self.can,
            suspended: self.suspended,
            listing: Arc::clone(&listing),
            outage: self
                .down_since
                .map(|t| (t, crate::api::Reason::Unreachable, "no route".to_owned())),
            mass_absence: self.mass_absence,
            creates_free: true,
            quota: None,
            disruptions_free: !self.knobs.full,
        };
        let process = format!("process-{}", self.process);
        let free = || self.group.as_ref().is_some_and(|(_, free)| *free);
        let group = self.group.as_ref().map(|(object, _)| GroupView {
            object: Some(object),
            creates_free: true,
            disruptions_free: &free,
        });
        let input = Input {
            server: &self.server,
            account: match self.unusable {
                Some((reason, message)) => AccountView::Unusable {
                    reason,
                    message,
                    since: time(0),
                },
                None => AccountView::Usable(&facts),
            },
            group,
            actions: &self.actions,
            memory: &self.memory,
            process: &process,
            installation: "inst",
            leaving: false,
            lives: &|uid| uid == "living",
            claimed: &|_| self.knobs.claimed.clone(),
            now: self.now,
            seed: 7,
        };
        let made = plan(&input);
        assert_eq!(made, plan(&input), "a plan must depend on its input alone");
        self.check(&made, &listing);
        made
    }

    /// One turn of another process.
    pub(super) fn rival(&mut self) {
        let own = self.process;
        std::mem::swap(&mut self.memory, &mut self.rival);
        self.process = 1_000_000;
        if !self.gone {
            self.once();
        }
        self.process = own;
        std::mem::swap(&mut self.memory, &mut self.rival);
    }

    /// One second: plan, write, act.
    pub(super) fn tick(&mut self) {
        if !self.gone && self.awake() {
            self.once();
        }
        self.now = later(self.now, 1);
        self.view();
        let alive = self.cloud.values().filter(|f| f.seen.state != Absent).count();
        self.most_alive = self.most_alive.max(alive);
    }

    fn write(&mut self, made: &Plan) {
        if Some(&made.status) != self.server.status.as_ref() {
            self.writes.push(format!("{}", self.now));
            self.server.status = Some(made.status.clone());
        }
        self.memory = made.memory.clone();
        self.events
            .extend(made.events.iter().map(|e| e.reason.to_string()));
        self.told.extend(made.events.iter().cloned());
    }

    pub(super) fn once(&mut self) {
        let made = self.plan();
        self.knobs.takes_place = made.takes.disruption;
        self.write(&made);
        self.fall_asleep(&made);
        let silent = self.down_since.is_none() || !matches!(made.step, Step::Call { .. } | Step::Look { .. });
        assert!(silent, "asked the cloud during an outage");
        match made.step {
            Step::Wait => {}
            Step::AddFinalizer => {
                self.server
                    .metadata
                    .finalizers
                    .get_or_insert_default()
                    .push(crate::api::keys::FINALIZER.into());
            }
            Step::RemoveFinalizer => self.gone = true,
            Step::Look { id, trace } => self.look(&id, trace),
            Step::Call { key, call } => {
                let outcome = self.call(&call);
                let told = match call {
                    CloudCall::Create(_) => self.knobs.told.clone(),
                    _ => Told::Nothing,
                };
                self.memory.sent = Some(Sent { key, outcome, told });
            }
        }
    }

    pub(super) fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.tick();
        }
    }

    /// Runs until a condition holds; fails after so many seconds.
    pub(super) fn until(&mut self, seconds: i64, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..seconds {
            if holds(self) {
                return;
            }
            self.tick();
        }
        let status = serde_json::to_string_pretty(&self.server.status).unwrap();
        panic!(
            "not within {seconds} s: {what}; calls {:?}; status {status}",
            self.calls
        );
    }

    /// A server that was created and is at rest.
    pub(super) fn settled(spec: serde_json::Value) -> Self {
        let mut world = Self::new(spec);
        world.until(60, "created", |w| w.ready().starts_with("True"));
        world.calls.clear();
        world.writes.clear();
        world
    }
}

pub(super) fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
            for (k, v) in b {
                if v.is_null() {
                    a.remove(&k);
                } else {
                    merge(a.entry(k).or_insert(serde_json::Value::Null), v);
                }
            }
        }
        (a, b) => *a = b,
    }
}

/// Marks as the cloud shows them.
pub(super) fn marks(uid: &str, installation: &str, object: &str) -> Option<Marks> {
    Some(Marks {
        uid: uid.into(),
        installation: installation.into(),
        object: object.into(),
    })
}
