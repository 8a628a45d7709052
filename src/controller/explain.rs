//! Why the planner does what it does for one object, as JSON. No secret is in what it is made of: what is remembered of
//! a call is its key and its class, never its words.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde_json::{Value, json};

use super::Shell;
use super::accounts::ConfigState;
use super::objects::Peek;
use crate::api::conditions::{self, ConditionType};
use crate::observer::{ObjectKey, ObjectKind};
use crate::planner::memory::{Memory, Outcome};
use crate::planner::{Step, Takes};

/// What the last plan of an object said, beside its status.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    at: Timestamp,
    step: &'static str,
    of: Option<String>,
    again_at: Option<Timestamp>,
    list_after: Option<Timestamp>,
    busy: bool,
    takes: Takes,
}

impl Planned {
    /// The plan of this moment.
    pub(super) fn new(
        at: Timestamp,
        step: &Step,
        again_at: Option<Timestamp>,
        list_after: Option<Timestamp>,
        busy: bool,
        takes: Takes,
    ) -> Self {
        let (step, of) = match step {
            Step::Wait => ("Wait", None),
            Step::AddFinalizer => ("AddFinalizer", None),
            Step::RemoveFinalizer => ("RemoveFinalizer", None),
            Step::Look { id, .. } => ("Look", Some(id.clone())),
            Step::Call { key, .. } => ("Call", Some(key.clone())),
        };
        Self {
            at,
            step,
            of,
            again_at,
            list_after,
            busy,
            takes,
        }
    }
}

/// One object; none if there is no such object.
pub(super) fn explain(shell: &Shell, key: &ObjectKey) -> Option<Value> {
    let (meta, config, status) = if key.object == ObjectKind::ServerAction {
        let action = shell.actions.get(key)?;
        let status = action.status.as_ref().map(|s| s.conditions.clone());
        let server = ObjectKey::new(key.namespace.clone(), action.spec.server_ref.name.clone());
        let server = shell.servers.get(&server);
        let config = server.map(|s| s.spec.provider_config_ref.name.clone());
        (action.metadata.clone(), config.unwrap_or_default(), status)
    } else if key.object == ObjectKind::ServerGroup {
        let group = shell.groups.get(key)?;
        let status = group.status.as_ref().map(|s| s.conditions.clone());
        let config = group.spec.provider_config_ref.name.clone();
        (group.metadata.clone(), config, status)
    } else {
        let server = shell.servers.get(key)?;
        let status = server.status.as_ref().map(|s| s.conditions.clone());
        let config = server.spec.provider_config_ref.name.clone();
        (server.metadata.clone(), config, status)
    };
    let uid = meta.uid.clone().unwrap_or_default();
    let now = shell.ctx.clock.now();
    let config = ObjectKey::new(key.namespace.clone(), config);
    Some(json!({
        "now": now,
        "process": shell.ctx.process,
        "acting": *shell.ctx.ownership.acting().borrow() && shell.owns(key),
        "object": object(key, &meta),
        // A plan is carried out only once its status is written: what is recorded is what it said.
        "verdict": verdict(&status.unwrap_or_default()),
        "account": account(shell, &config, now),
        "last": shell.objects.peek(&uid).map(|peek| last(&peek)),
    }))
}

fn object(key: &ObjectKey, meta: &ObjectMeta) -> Value {
    json!({
        "kind": key.kind(), "namespace": key.namespace, "name": key.name, "uid": meta.uid,
        "generation": meta.generation, "resourceVersion": meta.resource_version,
        "deleting": meta.deletion_timestamp.is_some(), "finalizers": meta.finalizers,
    })
}

fn verdict(all: &[Condition]) -> Value {
    let shown = [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
    ];
    let shown = shown.iter().filter_map(|kind| conditions::get(all, *kind));
    let shown = shown.map(|c| (c.type_.clone(), format!("{}/{}", c.status, c.reason).into()));
    Value::Object(shown.collect())
}

fn account(shell: &Shell, config: &ObjectKey, now: Timestamp) -> Value {
    let Some((state, view)) = shell.accounts.state(config) else {
        return json!({"config": config.name, "state": "NotTended"});
    };
    let outage = |o: &crate::observer::Outage| json!({"since": o.since, "reason": o.reason.as_str()});
    let asked_at = view.listing.as_ref().and_then(|l| l.asked_at);
    json!({
        "config": config.name,
        "state": match &state {
            ConfigState::Unusable(o) => outage(o),
            ConfigState::Usable { retired: Some(r), .. } => outage(&r.outage),
            ConfigState::Usable { .. } => "Usable".into(),
        },
        "observedAt": asked_at,
        "observationAgeSeconds": asked_at.map(|t| now.duration_since(t).as_secs_f64()),
        "outage": view.outage.as_ref().map(outage),
        "massAbsence": view.mass_absence,
    })
}

fn last(peek: &Peek) -> Value {
    json!({
        "plan": peek.planned.as_ref().map(|p| json!({
            "at": p.at, "step": p.step, "of": p.of, "againAt": p.again_at, "listAfter": p.list_after, "busy": p.busy,
            "takes": {"create": p.takes.create, "disruption": p.takes.disruption},
        })),
        "memory": memory(&peek.memory),
        "callUnderWay": peek.calling,
        "lookUnderWay": peek.looking,
        "repliesNotPlannedOn": peek.replies,
        "failedTurns": peek.failures,
    })
}

fn memory(m: &Memory) -> Value {
    let sent = m.sent.as_ref().map(|sent| match &sent.outcome {
        Outcome::InFlight => json!({"key": sent.key, "outcome": "InFlight"}),
        Outcome::Accepted(at, _) => json!({"key": sent.key, "outcome": "Accepted", "at": at}),
        Outcome::Refused(at, error) => json!({"key": sent.key, "outcome": "Refused", "at": at,
            "class": error.class.as_str(), "maybeApplied": error.maybe_applied}),
    });
    json!({
        "firstSeen": m.first_seen,
        "deletingSince": m.deleting_since,
        "generation": m.generation,
        "sent": sent,
        "look": m.look.as_ref().map(|l| json!({"id": l.id, "askedAt": l.asked_at, "found": l.found.is_some(),
            "absences": l.absences, "errorClass": l.error.as_ref().map(|e| e.class.as_str())})),
        "attempt": m.attempt.as_ref().map(|a| json!({"key": a.key, "firstSeen": a.first_seen,
            "firstEmpty": a.first_empty})),
        "backoff": m.backoff.as_ref().map(|b| json!({"class": b.class.as_str(), "count": b.count, "until": b.until})),
        "corrections": m.corrections,
    })
}
