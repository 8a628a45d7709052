//! What a ServerAction says of itself. The deed is done by the plan of its Server; this tells what that wrote down.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;

use super::records::{waits_for_a_person, with_advice};
use super::{deadline, has_finalizer, holds, record_of, uid};
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server_action::{ActionRecord, Deed, DeedOutcome, ServerAction, ServerActionStatus};
use crate::api::{Reason, Server, ServerStatus, keys};
use crate::planner::draft::later;

/// A Server that was just read may lack what was just written to it: a deed is given up only so many seconds after its
/// deadline, when its Server certainly does not begin it any more.
const MARGIN: i64 = 30;
/// So many seconds after its deadline a deed that was begun is given up for unknown: its Server does not look at it any more.
const FORGOTTEN: i64 = 3 * 3600;

/// What is to be done with a ServerAction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionStep {
    /// Nothing.
    Wait,
    /// Add our finalizer, and name this Server as the owner: its name and uid.
    Take(String, String),
    /// Name this Server as the owner, of what ended without being taken up: its name and uid. It goes along with it.
    Own(String, String),
    /// Take our finalizer away.
    Release,
    /// Delete the object: its time after its end is over.
    Delete,
}

/// The plan of a ServerAction.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionPlan {
    /// The status to write, if it differs.
    pub status: ServerActionStatus,
    /// The next step, once the status is written.
    pub step: ActionStep,
    /// Plan again at this time at the latest.
    pub again_at: Option<Timestamp>,
}

/// Whether a ServerAction may be begun by the Server with this uid.
pub(super) fn is_open(action: &ServerAction, server_uid: &str) -> bool {
    let means = action.spec.server_ref.uid.as_deref();
    has_finalizer(action)
        && action.metadata.deletion_timestamp.is_none()
        && !is_over(action)
        && means.is_none_or(|uid| uid == server_uid)
        && owner(action).is_none_or(|uid| uid == server_uid)
}

/// Whether a ServerAction is about to be taken up by the Server with this uid.
pub(super) fn is_coming(action: &ServerAction, server_uid: &str) -> bool {
    let means = action.spec.server_ref.uid.as_deref();
    !has_finalizer(action)
        && action.metadata.deletion_timestamp.is_none()
        && !is_over(action)
        && taken_by(action).is_none()
        && means.is_none_or(|uid| uid == server_uid)
}

/// The uid of the Server that took it up.
fn owner(action: &ServerAction) -> Option<&str> {
    let mut all = action.metadata.owner_references.iter().flatten();
    all.find(|o| o.kind == Server::kind(&())).map(|o| o.uid.as_str())
}

/// Who took it up, as it was written down at that time: what is restored from a backup has nothing but this.
fn taken_by(action: &ServerAction) -> Option<&str> {
    let annotations = action.metadata.annotations.as_ref()?;
    annotations.get(keys::TAKEN).map(String::as_str)
}

/// Whether a ServerAction has said what became of it.
pub fn is_over(action: &ServerAction) -> bool {
    holds(action, ConditionType::Complete) || holds(action, ConditionType::Failed)
}

/// From when on it is not begun any more.
pub(super) fn due(action: &ServerAction) -> Timestamp {
    deadline(action).unwrap_or(Timestamp::MAX)
}

/// The record of an earlier object of the same name and spec that was carried out.
pub(super) fn run_before<'s>(status: &'s ServerStatus, action: &ServerAction) -> Option<&'s ActionRecord> {
    let name = action.metadata.name.as_deref().unwrap_or_default();
    let mut all = status.actions.iter();
    all.find(|r| {
        r.uid != uid(action)
            && r.name == name
            && r.outcome.is_over()
            && r.started_at.is_some()
            && r.spec_hash == action.spec.hash()
    })
}

/// What is said of it.
struct Says {
    outcome: DeedOutcome,
    reason: Reason,
    message: String,
    /// Whether only a person can set it going.
    stalled: bool,
}

impl Says {
    fn new(outcome: DeedOutcome, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            outcome,
            reason,
            message,
            stalled: false,
        }
    }

    /// A deed that is not over, and that only a person can set going.
    fn stalled(record: &ActionRecord, reason: Reason, action: &ServerAction) -> Self {
        let message = format!(
            "{} What was asked for later waits for it. It is given up at {}; to give it up before, delete this ServerAction.",
            with_advice(&record.message, reason),
            due(action)
        );
        Self {
            stalled: true,
            ..Self::new(record.outcome, reason, message)
        }
    }
}

/// Decides. `server`: the Server that it names, if there is one.
pub fn plan_action(action: &ServerAction, server: Option<&Server>, now: Timestamp) -> ActionPlan {
    let old = action.status.clone().unwrap_or_default();
    let mut plan = ActionPlan {
        status: old,
        step: ActionStep::Wait,
        again_at: None,
    };
    let deleting = action.metadata.deletion_timestamp.is_some();
    if is_over(action) {
        after_the_end(action, server, &mut plan, deleting, now);
        return plan;
    }
    let record = server
        .and_then(|s| s.status.as_ref())
        .and_then(|s| record_of(s, uid(action)));
    let begun = record.is_some_and(|r| r.outcome == DeedOutcome::Running);
    if deleting && !begun {
        if has_finalizer(action) {
            plan.step = ActionStep::Release;
        }
        return plan;
    }
    let says = judge(action, server, record, &plan.status, now);
    if !says.outcome.is_over() {
        let wait = if begun { FORGOTTEN } else { MARGIN };
        plan.again_at = Some(later(due(action), wait));
        let takes = server.filter(|_| !has_finalizer(action) && !deleting);
        if let Some(server) = takes {
            let (name, uid) = named(server);
            plan.step = ActionStep::Take(name, uid);
        }
    }
    write(&mut plan.status, action, record, &says, now);
    if says.outcome.is_over() {
        plan.again_at = Some(now);
    }
    plan
}

/// The Server that the end of a deed was read from, where the ServerAction does not belong to it yet: nobody else would take it away.
fn is_left_by(action: &ServerAction, server: &Server) -> bool {
    let status = action.status.as_ref();
    let ready = status.and_then(|s| conditions::get(&s.conditions, ConditionType::Ready));
    let again = ready.is_some_and(|c| c.reason == Reason::AlreadyRun.as_str());
    let means = action.spec.server_ref.uid.as_ref();
    let meant = means.is_none() || means == server.metadata.uid.as_ref();
    again && meant && owner(action).is_none() && server.metadata.deletion_timestamp.is_none()
}

/// The name and the uid of a Server.
fn named(server: &Server) -> (String, String) {
    let meta = &server.metadata;
    (
        meta.name.clone().unwrap_or_default(),
        meta.uid.clone().unwrap_or_default(),
    )
}

fn after_the_end(
    action: &ServerAction,
    server: Option<&Server>,
    plan: &mut ActionPlan,
    deleting: bool,
    now: Timestamp,
) {
    if has_finalizer(action) {
        plan.step = ActionStep::Release;
        return;
    }
    if let Some(server) = server.filter(|s| !deleting && is_left_by(action, s)) {
        let (name, uid) = named(server);
        plan.step = ActionStep::Own(name, uid);
        return;
    }
    let ttl = action.spec.ttl_after_finished.filter(|_| !deleting);
    let since = plan.status.finished_at;
    if let (Some(ttl), Some(since)) = (ttl, since) {
        let due = later(since, i64::from(ttl.as_secs()));
        if now >= due {
            plan.step = ActionStep::Delete;
        } else {
            plan.again_at = Some(due);
        }
    }
}

fn judge(
    action: &ServerAction,
    server: Option<&Server>,
    record: Option<&ActionRecord>,
    old: &ServerActionStatus,
    now: Timestamp,
) -> Says {
    use DeedOutcome::{Failed, Running, Unknown, Waiting};
    let name = &action.spec.server_ref.name;
    let late = now >= later(due(action), MARGIN);
    let Some(server) = server else {
        if old.started_at.is_some() {
            let text = format!("Server {name} is gone, and with it the record of what was begun");
            return Says::new(Unknown, Reason::ServerDeleted, text);
        }
        if has_finalizer(action) {
            return Says::new(Failed, Reason::ServerDeleted, format!("Server {name} is gone"));
        }
        if late {
            return Says::new(
                Failed,
                Reason::DeadlineExceeded,
                format!("there is no Server {name}"),
            );
        }
        return Says::new(
            Waiting,
            Reason::WaitingForServer,
            format!("there is no Server {name}"),
        );
    };
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    if let Some(other) = owner(action).filter(|other| *other != uid) {
        let begun = old.started_at.is_some();
        let outcome = if begun { Unknown } else { Failed };
        let text = format!("Server {name} with uid {other} is gone; the one of this name is another one");
        return Says::new(outcome, Reason::ServerDeleted, text);
    }
    if let Some(by) = taken_by(action).filter(|_| !has_finalizer(action)) {
        let text = format!(
            "it was taken up before, by a Server with uid {by}, and what became of it is not known here: it was restored from a \
             backup, or its finalizer was taken off"
        );
        return Says::new(Failed, Reason::AlreadyRun, text);
    }
    if let Some(record) = record {
        // Whoever did it has long had the time to say how it ended.
        let forgotten = later(due(action), FORGOTTEN);
        if record.outcome == Running && record.deed != Deed::Resize && now >= forgotten {
            let text = format!("nobody has said by {forgotten} what became of it");
            return Says::new(Unknown, Reason::OutcomeUnknown, text);
        }
        let reason = Reason::ALL.iter().find(|r| r.as_str() == record.reason);
        let reason = reason.copied().unwrap_or(Reason::Acting);
        let says = match waits_for_a_person(record) {
            Some(reason) => Says::stalled(record, reason, action),
            None => Says::new(record.outcome, reason, &record.message),
        };
        if record.outcome != Waiting || (server.metadata.deletion_timestamp.is_none() && !late) {
            return says;
        }
    }
    if record.is_none() && old.started_at.is_some() {
        let text = format!(
            "Server {name} has no record of it any more: it was made anew, or its status was taken away"
        );
        return Says::new(Unknown, Reason::OutcomeUnknown, text);
    }
    if let Some(meant) = action
        .spec
        .server_ref
        .uid
        .as_deref()
        .filter(|meant| *meant != uid)
    {
        let text = format!("Server {name} has uid {uid}, not {meant}");
        return Says::new(Failed, Reason::ServerMismatch, text);
    }
    if let Some(before) = server.status.as_ref().and_then(|s| run_before(s, action)) {
        let text = format!(
            "an object of this name and spec ended {} at {}: {}",
            before.outcome,
            before.finished_at.unwrap_or_default(),
            before.message
        );
        return Says::new(Failed, Reason::AlreadyRun, text);
    }
    if server.metadata.deletion_timestamp.is_some() {
        return Says::new(
            Failed,
            Reason::ServerDeleted,
            format!("Server {name} is being deleted"),
        );
    }
    if late {
        let waited = record.map_or("its turn", |r| r.message.as_str());
        let text = format!("not begun by {}; it waited for: {waited}", due(action));
        return Says::new(Failed, Reason::DeadlineExceeded, text);
    }
    let others = server.status.iter().flat_map(|s| &s.actions);
    let mut busy = others.filter(|r| matches!(r.outcome, Running | Waiting) && r.uid != self::uid(action));
    match busy.next() {
        Some(first) => {
            let waits = waits_for_a_person(first).map_or(String::new(), |reason| {
                format!(", and waits for a person ({reason}): see its conditions")
            });
            let text = format!("ServerAction {} comes first{waits}", first.name);
            Says::new(Waiting, Reason::WaitingForAction, text)
        }
        None => Says::new(
            Waiting,
            Reason::WaitingForObservation,
            format!("Server {name} is looked at first"),
        ),
    }
}

fn write(
    status: &mut ServerActionStatus,
    action: &ServerAction,
    record: Option<&ActionRecord>,
    says: &Says,
    now: Timestamp,
) {
    use ConditionStatus::{False, True};
    let generation = action.metadata.generation;
    status.observed_generation = generation;
    status.deed = action.spec.deed();
    if let Some(record) = record {
        status.started_at = record.started_at;
        status.result = record.result.clone();
        status.finished_at = record.finished_at;
    }
    if says.outcome.is_over() {
        status.finished_at.get_or_insert(conditions::to_seconds(now));
    }
    let is = |yes: bool| if yes { True } else { False };
    let done = says.outcome == DeedOutcome::Succeeded;
    let over = says.outcome.is_over();
    let rows: [(ConditionType, bool); 5] = [
        (ConditionType::Complete, done),
        (ConditionType::Failed, over && !done),
        (ConditionType::Ready, done),
        (ConditionType::Reconciling, !over && !says.stalled),
        (ConditionType::Stalled, says.stalled || (over && !done)),
    ];
    let all: &mut Vec<Condition> = &mut status.conditions;
    for (kind, holds) in rows {
        conditions::set(all, kind, is(holds), says.reason, &says.message, generation, now);
    }
}
