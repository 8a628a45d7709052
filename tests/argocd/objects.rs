//! Every kind of status that the controller writes: of the scenarios that all stages share, of faults, of switches
//! that people turn, each played in virtual time, and of the planner's own tables.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, ServerGroup, keys};
use evenkeel::sim::openstack::{FaultEffect, FaultRule, SimConfig};
use futures::future::{BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scenarios::stage::Stage;
use crate::scenarios::{common, deeds, groups, outside, power, settings, states};
use crate::steps::Step;
use crate::world::Virtual;

type Scenario = for<'a> fn(&'a Stage) -> BoxFuture<'a, ()>;

macro_rules! table {
    ($($module:ident::$name:ident),* $(,)?) => {
        const SHARED: &[Scenario] = &[$(|s| Box::pin($module::$name(s))),*];
    };
}

crate::for_each_scenario!(table);

/// A kind of ours: in this group, with a status of the definition's default at least.
fn ours(object: &Value) -> bool {
    object["apiVersion"]
        .as_str()
        .is_some_and(|v| v.starts_with(keys::GROUP))
}

/// What tells one object from another for whoever judges it.
fn essence(object: &Value) -> String {
    let (meta, status) = (&object["metadata"], &object["status"]);
    let mut conditions: Vec<String> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| format!("{}={}/{}", c["type"], c["status"], c["reason"]))
        .collect();
    conditions.sort();
    format!(
        "{} {} {} {} {} {conditions:?}",
        object["kind"],
        meta["deletionTimestamp"].is_string(),
        meta["annotations"][keys::PAUSED],
        meta["generation"] == status["observedGeneration"],
        object["spec"]["suspend"],
    )
}

/// Objects, one of each essence.
#[derive(Default)]
pub struct Objects(BTreeMap<String, Value>);

impl Objects {
    pub fn add(&mut self, all: impl IntoIterator<Item = Value>) {
        for object in all.into_iter().filter(ours) {
            self.0.entry(essence(&object)).or_insert(object);
        }
    }

    pub fn into_vec(self) -> Vec<Value> {
        self.0.into_values().collect()
    }
}

/// Plays a scenario in virtual time and gives every object that anybody wrote, in order.
pub fn played(scenario: impl for<'a> FnOnce(&'a Virtual, &'a Stage) -> BoxFuture<'a, ()>) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = Virtual::with(SimConfig::default(), tracing::Level::ERROR);
        let stage = world.stage().await;
        world.run();
        scenario(&world, &stage).await;
        let written = world
            .api
            .writes()
            .into_iter()
            .filter(|w| (200..300).contains(&w.code));
        written.filter_map(|w| w.object.as_deref().cloned()).collect()
    })
}

/// What the shared scenarios leave behind.
pub fn of_scenarios() -> Objects {
    let mut all = Objects::default();
    for scenario in SHARED {
        all.add(played(|_, s| scenario(s)));
    }
    all
}

const LONG: Duration = Duration::from_secs(900);

async fn annotate(s: &Stage, name: &str, key: &str, value: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {key: value}}});
    s.patch::<evenkeel::api::Server>(name, patch).await;
}

async fn suspend(s: &Stage, on: bool) {
    s.patch::<ProviderConfig>("cloud", json!({"spec": {"suspend": on}}))
        .await;
}

/// One server under every switch that people turn.
async fn switches(s: &Stage) {
    s.create("web", json!({})).await;
    s.ready("web").await;
    annotate(s, "web", keys::PAUSED, Some("true")).await;
    s.reason("web", ConditionType::Paused, "True", "Paused").await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    s.reason("web", ConditionType::Ready, "False", "Paused").await;
    annotate(s, "web", keys::PAUSED, None).await;
    s.ready_in("web", "Stopped").await;
    suspend(s, true).await;
    // Nothing differs yet.
    s.reason("web", ConditionType::Paused, "True", "Suspended").await;
    s.edit("web", json!({"powerState": "Running"})).await;
    s.reason("web", ConditionType::Ready, "False", "Suspended").await;
    sleep(LONG).await;
    suspend(s, false).await;
    s.ready_in("web", "Running").await;
    s.edit("web", json!({"deletionProtection": true})).await;
    s.ready("web").await;
    s.delete("web").await;
    s.reason("web", ConditionType::DeletionBlocked, "True", "DeletionProtected")
        .await;
    s.edit("web", json!({"deletionProtection": false})).await;
    s.gone("web").await;
}

/// Groups that are made, paused, held up by members, and that outlive their account.
async fn groups_too(s: &Stage) {
    let strict = json!({"placement": {"policy": "AntiAffinity"}});
    groups::make(s, "g", strict.clone()).await;
    groups::member(s, "a", "g", json!({})).await;
    groups::ready(s, "g").await;
    s.ready("a").await;
    let pause = |on: Option<&str>| json!({"metadata": {"annotations": {keys::PAUSED: on}}});
    s.patch::<ServerGroup>("g", pause(Some("true"))).await;
    groups::reason(s, "g", ConditionType::Paused, "True", "Paused").await;
    s.patch::<ServerGroup>("g", pause(None)).await;
    sleep(LONG).await;
    groups::delete(s, "g").await;
    groups::reason(s, "g", ConditionType::DeletionBlocked, "True", "GroupHasMembers").await;
    s.remove("a").await;
    groups::gone(s, "g").await;
    let lost = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerGroup", "metadata": {"name": "lost"},
        "spec": {"providerConfigRef": {"name": "nowhere"}}});
    s.make::<ServerGroup>(&lost).await;
    sleep(LONG).await;
}

/// An account that is not there, whose Secret is not there, and that goes while a server needs it.
async fn accounts(s: &Stage) {
    for name in ["early", "late"] {
        let object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name},
            "spec": {"providerConfigRef": {"name": name}, "size": {"name": "m1.tiny"}, "image": {"name": "cirros"}}});
        s.make::<evenkeel::api::Server>(&object).await;
    }
    let config = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig",
        "metadata": {"name": "late"}, "spec": {"openstack": {"secretRef": {"name": "late"}, "cloud": "demo"}}});
    s.make::<ProviderConfig>(&config).await;
    s.create("web", json!({})).await;
    s.ready("web").await;
    sleep(LONG).await;
    s.api::<Secret>()
        .delete("cloud", &DeleteParams::default())
        .await
        .unwrap();
    sleep(LONG).await;
    s.api::<ProviderConfig>()
        .delete("cloud", &DeleteParams::default())
        .await
        .unwrap();
    sleep(LONG).await;
    s.remove("web").await;
}

/// What a person has to cure, and what is told of it.
pub fn of_switches() -> Objects {
    let mut all = Objects::default();
    all.add(played(|_, s| switches(s).boxed()));
    all.add(played(|_, s| groups_too(s).boxed()));
    all.add(played(|_, s| accounts(s).boxed()));
    all
}

/// What passes by itself.
fn passing() -> Vec<FaultEffect> {
    let status = |code| FaultEffect::Status { code, body: None };
    vec![
        FaultEffect::LostReply,
        FaultEffect::LateApply {
            delay_ms: 8_000,
            wait_ms: 100,
        },
        FaultEffect::Slow { delay_ms: 20_000 },
        status(500),
        status(503),
        FaultEffect::RateLimited { retry_after: Some(7) },
        FaultEffect::Hang { wait_ms: 45_000 },
        FaultEffect::Reset,
        FaultEffect::Refused,
    ]
}

const CALLS: &[(&str, Option<&str>)] = &[
    ("POST /servers", None),
    ("POST /servers/{id}/action", Some("os-stop")),
    ("POST /servers/{id}/action", Some("os-start")),
    ("POST /servers/{id}/action", Some("resize")),
    ("POST /servers/{id}/action", Some("confirmResize")),
    ("DELETE /servers/{id}", None),
    ("GET /servers/detail", None),
];

async fn life(s: &Stage) {
    for step in Step::ALL {
        step.begin(s).await;
        step.fulfilled(s).await;
    }
}

/// A whole life of a server under every fault that passes, three times on each call, and under an outage.
pub fn of_passing_faults() -> Objects {
    let mut all = Objects::default();
    for effect in passing() {
        for (call, action) in CALLS {
            let rule = FaultRule::new(effect.clone()).on(call).times(3);
            let rule = action.iter().fold(rule, |rule, action| rule.action(action));
            all.add(played(move |world, s| {
                world.sim.inject(rule);
                life(s).boxed()
            }));
        }
    }
    all.add(played(|_, s| {
        async move {
            s.create("web", json!({})).await;
            s.ready("web").await;
            s.world.outage(true).await;
            sleep(LONG).await;
            s.delete("web").await;
            sleep(LONG).await;
            s.world.outage(false).await;
            s.gone("web").await;
        }
        .boxed()
    }));
    all
}

/// The rows of the planner's own tables, `docs/decisions.md`, as objects.
pub fn of_tables() -> Objects {
    let text = crate::scripts::text(&crate::scripts::root().join("docs/decisions.md"));
    let mut all = Objects::default();
    let mut head: Vec<&str> = Vec::new();
    for line in text.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        if cells.contains(&"Stalled") {
            head = cells;
            continue;
        }
        let conditions: Vec<Value> = head
            .iter()
            .zip(&cells)
            .filter(|(kind, _)| ConditionType::ALL.iter().any(|k| k.as_str() == **kind))
            .filter_map(|(kind, said)| {
                let (status, reason) = said.split_once('/')?;
                Some(
                    json!({"type": kind, "status": status, "reason": reason, "message": "in words",
                    "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"}),
                )
            })
            .collect();
        if conditions.is_empty() {
            continue;
        }
        let mut object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": "web", "namespace": "shop", "generation": 2},
            "spec": {"providerConfigRef": {"name": "cloud"}},
            "status": {"observedGeneration": 2, "conditions": conditions}});
        if cells[0].starts_with("deleted;") {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        all.add([object]);
    }
    all
}
