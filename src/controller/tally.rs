//! What the metrics say of objects: what a written status says that the one before did not, and how all of them are
//! at this moment.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;

use super::Shell;
use super::accounts::ConfigState;
use super::store::Store;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::{ProviderConfig, Reason, Server, ServerAction, ServerGroup};
use crate::observer::metrics::labels::{Config, Kind, KindReason, OperationEnded, Power, ReadyReason};
use crate::observer::metrics::{Metrics, State};
use crate::planner::EventDraft;
use crate::planner::model::ServerState;

/// What is counted of an object, whatever its kind.
#[derive(Default)]
pub(super) struct Facts<'a> {
    kind: &'static str,
    created: Option<Timestamp>,
    id: Option<&'a str>,
    operation: Option<(&'a str, &'static str)>,
    create: Option<i32>,
    failed: bool,
    conditions: &'a [Condition],
}

/// Servers and groups have the same of it.
macro_rules! from_declared {
    ($($object:ident),*) => {$(
        impl<'a> From<&'a $object> for Facts<'a> {
            fn from(object: &'a $object) -> Self {
                let status = object.status.as_ref();
                let operation = status.and_then(|s| s.operation.as_ref());
                Self {
                    kind: stringify!($object),
                    created: created(&object.metadata),
                    id: status.and_then(|s| s.id.as_deref()),
                    operation: operation.map(|o| (o.id.as_str(), o.kind.as_str())),
                    create: status.and_then(|s| s.create_attempt.as_ref()).map(|a| a.n),
                    failed: status.is_some_and(|s| s.failure.is_some()),
                    conditions: status.map_or(&[], |s| &s.conditions),
                }
            }
        }
    )*};
}
from_declared!(Server, ServerGroup);

impl<'a> From<&'a ServerAction> for Facts<'a> {
    fn from(action: &'a ServerAction) -> Self {
        Self {
            kind: "ServerAction",
            created: created(&action.metadata),
            conditions: action.status.as_ref().map_or(&[], |s| &s.conditions),
            ..Self::default()
        }
    }
}

impl<'a> From<&'a ProviderConfig> for Facts<'a> {
    fn from(config: &'a ProviderConfig) -> Self {
        Self {
            kind: "ProviderConfig",
            created: created(&config.metadata),
            conditions: config.status.as_ref().map_or(&[], |s| &s.conditions),
            ..Self::default()
        }
    }
}

impl Facts<'_> {
    fn is_true(&self, kind: ConditionType) -> Option<&Condition> {
        conditions::get(self.conditions, kind).filter(|c| c.status == ConditionStatus::True.as_str())
    }

    /// Since when it has not been Ready; none if it is.
    fn not_ready_since(&self) -> Option<Timestamp> {
        match conditions::get(self.conditions, ConditionType::Ready) {
            None => self.created,
            Some(c) if c.status == ConditionStatus::True.as_str() => None,
            Some(c) => Some(c.last_transition_time.0),
        }
    }
}

fn created(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.creation_timestamp.as_ref().map(|t| t.0)
}

/// Every reason.
static REASONS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| Reason::ALL.iter().map(|r| r.as_str()).collect());

/// Only words of the closed set are labels: a status can be written by others.
fn closed(reason: &str) -> &'static str {
    REASONS.get(reason).copied().unwrap_or("Other")
}

/// Counts what a status says that was just written, and the one before it did not.
pub(super) fn written<'a>(
    metrics: &Metrics,
    before: impl Into<Facts<'a>>,
    after: impl Into<Facts<'a>>,
    now: Timestamp,
) {
    let (before, after): (Facts<'_>, Facts<'_>) = (before.into(), after.into());
    let kind = after.kind;
    let count = |operation, result| {
        let labels = OperationEnded {
            kind,
            operation,
            result,
        };
        metrics.operations.get_or_create(&labels).inc();
    };
    let ended = |good| if good { "done" } else { "failed" };
    if before.create.is_some() && before.create != after.create {
        count("Create", ended(after.id.is_some()));
    }
    if after.create.is_some() && before.create != after.create {
        count("Create", "started");
    }
    let (old, new) = (before.operation, after.operation);
    if let Some((_, operation)) = old.filter(|o| new.is_none_or(|n| n.0 != o.0)) {
        count(operation, ended(!after.failed));
    }
    if let Some((_, operation)) = new.filter(|n| old.is_none_or(|o| o.0 != n.0)) {
        count(operation, "started");
    }
    if let (Some(since), Some(_)) = (before.not_ready_since(), after.is_true(ConditionType::Ready)) {
        let waited = now.duration_since(since).as_secs_f64().max(0.0);
        metrics
            .time_to_ready
            .get_or_create(&Kind { kind })
            .observe(waited);
    }
    let drift = |f: &Facts<'_>| f.is_true(ConditionType::DriftDetected).map(|c| c.reason.clone());
    if let Some(reason) = drift(&after).filter(|r| drift(&before).as_ref() != Some(r)) {
        let reason = closed(&reason);
        metrics
            .drift_detected
            .get_or_create(&KindReason { kind, reason })
            .inc();
    }
}

/// Counts the end of an operation that took its object along.
pub(super) fn gone<'a>(metrics: &Metrics, last: impl Into<Facts<'a>>) {
    let last: Facts<'_> = last.into();
    if let Some((_, operation)) = last.operation {
        let labels = OperationEnded {
            kind: last.kind,
            operation,
            result: "done",
        };
        metrics.operations.get_or_create(&labels).inc();
    }
}

/// Counts what people are told.
pub(super) fn told(metrics: &Metrics, kind: &'static str, event: &EventDraft) {
    if event.reason == Reason::DriftCorrected {
        metrics.drift_corrected.get_or_create(&Kind { kind }).inc();
    }
}

/// Those that this process acts on.
fn ours<K: Resource<DynamicType = ()> + Clone>(shell: &Shell, store: &Store<K>) -> Vec<Arc<K>> {
    if !shell.ctx.ownership.shares() {
        return store.objects();
    }
    let ours = store.all().into_iter().filter(|(key, _)| shell.owns(key));
    ours.map(|(_, object)| object).collect()
}

/// How everything is now that this process acts on, so that no object is shown twice.
pub(super) fn state(shell: &Shell) -> Option<State> {
    if !*shell.ctx.ownership.acting().borrow() {
        return None;
    }
    let now = shell.ctx.clock.now();
    let mut state = State::default();
    for server in ours(shell, &shell.servers) {
        add(&mut state, &Facts::from(&*server), now);
        let power = server
            .status
            .as_ref()
            .and_then(|s| s.power.as_ref()?.observed.as_deref());
        let power = power.map_or("None", |word| {
            let known = ServerState::ALL.iter().find(|s| s.as_str() == word);
            known.map_or("Unknown", |s| s.as_str())
        });
        *state.power.entry(Power { state: power }).or_default() += 1;
    }
    for group in ours(shell, &shell.groups) {
        add(&mut state, &Facts::from(&*group), now);
    }
    for action in ours(shell, &shell.actions) {
        count(&mut state, &Facts::from(&*action));
    }
    let configs = shell.configs.all().into_iter();
    for (_, config) in configs.filter(|(key, _)| shell.serves(key)) {
        add(&mut state, &Facts::from(&*config), now);
    }
    for (key, config, view) in shell.accounts.states() {
        let seen = match config {
            ConfigState::Unusable(outage) => outage.since,
            // It is used for deletions alone, and not listed while there are none.
            ConfigState::Usable { retired: Some(_), .. } => continue,
            ConfigState::Usable { since, .. } => view.listing.and_then(|l| l.asked_at).unwrap_or(since),
        };
        let config = Config {
            config_namespace: key.namespace,
            config: key.name,
        };
        let age = now.duration_since(seen).as_secs_f64().max(0.0);
        state.ages.insert(config, age);
    }
    Some(state)
}

/// Counts an object by how it is. A deed that failed is over: nothing waits for it, and nothing is stuck.
fn count(state: &mut State, facts: &Facts<'_>) -> &'static str {
    let kind = facts.kind;
    let ready = conditions::get(facts.conditions, ConditionType::Ready);
    let (word, reason) = ready.map_or(("Unknown", "None"), |c| {
        let word = match c.status.as_str() {
            "True" => "True",
            "False" => "False",
            _ => "Unknown",
        };
        (word, closed(&c.reason))
    });
    let labels = ReadyReason {
        kind,
        ready: word,
        reason,
    };
    *state.objects.entry(labels).or_default() += 1;
    reason
}

fn add(state: &mut State, facts: &Facts<'_>, now: Timestamp) {
    let kind = facts.kind;
    let reason = count(state, facts);
    if let Some(since) = facts.not_ready_since() {
        let age = now.duration_since(since).as_secs_f64().max(0.0);
        let oldest = state.oldest.entry(KindReason { kind, reason }).or_default();
        *oldest = oldest.max(age);
    }
    if let Some(stalled) = facts.is_true(ConditionType::Stalled) {
        let reason = closed(&stalled.reason);
        *state.stalled.entry(KindReason { kind, reason }).or_default() += 1;
    }
}
