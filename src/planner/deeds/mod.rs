//! Deeds: what ServerActions ask for, one after the other in the order in which they were made, each once.
//!
//! What was begun is written into `status.actions` together with the operation, before the cloud is called. That record,
//! and not the ServerAction, says what was done.

mod arguments;
pub mod object;
mod progress;
mod resize;

use std::sync::Arc;

use super::draft::{Draft, Verdict, later, words};
use super::model::{Capabilities, ObservedServer, ServerState};
use super::{AccountFacts, create, group, present};
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded, to_seconds};
use crate::api::server::{ManagementPolicy, PowerOffMode};
use crate::api::server_action::{ActionRecord, Deed, DeedOutcome, ServerAction};
use crate::api::server_status::OperationKind;
use crate::api::{Reason, ServerStatus, keys};
pub(super) use progress::progress;
pub(super) use resize::approved;

/// So many deeds that are over are remembered.
const REMEMBERED: usize = 20;
/// So many records there can be: what is over and was not yet told by its ServerAction is never forgotten.
const MOST: usize = 23;
/// Characters of a message that are kept.
const LENGTH: usize = 256;

/// The call that a deed is. `Resize` is none: it lets the wish be carried out.
const CALLS: &[(Deed, OperationKind)] = &[
    (Deed::Reboot, OperationKind::Restart),
    (Deed::ConfirmResize, OperationKind::ConfirmResize),
    (Deed::RevertResize, OperationKind::RevertResize),
    (Deed::CreateImage, OperationKind::CreateImage),
    (Deed::CreateBackup, OperationKind::CreateBackup),
    (Deed::Rebuild, OperationKind::Rebuild),
    (Deed::Reinstall, OperationKind::Rebuild),
    (Deed::ChangePassword, OperationKind::ChangePassword),
    (Deed::CrashDump, OperationKind::CrashDump),
    (Deed::ColdMigrate, OperationKind::ColdMigrate),
    (Deed::LiveMigrate, OperationKind::LiveMigrate),
    (Deed::Evacuate, OperationKind::Evacuate),
    (Deed::ResetState, OperationKind::ResetState),
];

/// Deeds that change nothing but power: `managementPolicy: PowerOnly` allows them.
const OF_POWER: &[Deed] = &[Deed::Reboot];

pub(crate) fn call(deed: Deed) -> Option<OperationKind> {
    CALLS.iter().find(|row| row.0 == deed).map(|row| row.1)
}

/// In which settled states a cloud accepts a deed; empty if it has no such thing.
fn accepted_in(can: &Capabilities, action: &ServerAction, kind: OperationKind) -> &'static [ServerState] {
    let hard = action.spec.reboot.as_ref().map(|r| r.mode) == Some(PowerOffMode::Hard);
    if kind == OperationKind::Restart && hard && !can.hard_restart.is_empty() {
        return can.hard_restart;
    }
    let row = can.preconditions.iter().find(|row| row.0 == kind);
    row.map_or(&[], |row| row.1)
}

/// What became of the turn of one deed.
enum Turn {
    /// It is over; the next one has its turn.
    Over,
    /// It waits, and what else is wished for goes on.
    Waits,
    /// It takes this plan.
    Takes(Verdict),
}

/// Gives the oldest deed that is not over its turn.
pub(super) fn next(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    tidy(d);
    for action in d.input.actions {
        if !object::is_open(action, d.uid()) || object::run_before(&d.status, action).is_some() {
            continue;
        }
        let known = record_of(&d.status, uid(action));
        if known.is_some_and(|r| r.outcome.is_over()) {
            continue;
        }
        if known.is_none() && d.status.actions.len() >= MOST {
            return None;
        }
        match turn(d, facts, id, seen, action) {
            Turn::Over => {}
            Turn::Waits => return None,
            Turn::Takes(verdict) => return Some(verdict),
        }
    }
    None
}

/// An operation that the cloud has not ended in time gives way to a person who sets the state right, if the next deed
/// is that.
pub(super) fn overrule(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let overdue = d.status.operation.as_ref().is_some_and(|o| o.deadline <= d.now());
    if !overdue || d.in_flight() {
        return None;
    }
    let mut open = d.input.actions.iter().filter(|a| {
        let known = record_of(&d.status, uid(a));
        object::is_open(a, d.uid()) && known.is_none_or(|r| r.outcome == DeedOutcome::Waiting)
    });
    let first = open.next().filter(|a| a.spec.deed() == Some(Deed::ResetState))?;
    match turn(d, facts, id, seen, first) {
        Turn::Takes(verdict) => Some(verdict),
        Turn::Over | Turn::Waits => None,
    }
}

fn uid(action: &ServerAction) -> &str {
    action.metadata.uid.as_deref().unwrap_or_default()
}

fn record_of<'s>(status: &'s ServerStatus, uid: &str) -> Option<&'s ActionRecord> {
    status.actions.iter().find(|r| r.uid == uid)
}

fn turn(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    action: &Arc<ServerAction>,
) -> Turn {
    let Some(deed) = action.spec.deed() else {
        return Turn::Over;
    };
    let policy = d.spec.management_policy;
    if policy != ManagementPolicy::Full
        && !(policy == ManagementPolicy::PowerOnly && OF_POWER.contains(&deed))
    {
        let text = format!("managementPolicy {policy} of the Server does not allow {deed}");
        return fail(d, action, Reason::NotAllowed, &text);
    }
    if d.now() >= object::due(action) {
        let waited = record_of(&d.status, uid(action)).map_or(String::new(), |r| format!(": {}", r.message));
        let text = format!("not begun by {}{waited}", object::due(action));
        return fail(d, action, Reason::DeadlineExceeded, &text);
    }
    d.again(object::due(action));
    if let Some(reason) = d.gagged(facts) {
        return wait(d, action, reason, reason.meaning());
    }
    let Some(kind) = call(deed) else {
        return resize::turn(d, facts, seen, action);
    };
    let can = facts.capabilities;
    let states = accepted_in(can, action, kind);
    if states.is_empty() {
        let text = format!("this cloud has no {deed}");
        return fail(d, action, Reason::Unsupported, &text);
    }
    // What is stuck is what it is for.
    let resets = deed == Deed::ResetState;
    let passing = seen.busy || seen.state.is_transitional();
    if (passing && !resets) || seen.state == ServerState::Unknown {
        let text = format!("the server is {}", words(seen));
        return wait(d, action, Reason::WaitingForServer, &text);
    }
    if !states.contains(&seen.state) {
        let all: Vec<_> = states.iter().map(|s| s.as_str()).collect();
        let text = format!(
            "{deed} is done in {}; the server is {}",
            all.join(", "),
            words(seen)
        );
        return fail(d, action, Reason::NotAllowed, &text);
    }
    let how = match arguments::of(d, can, seen, action, deed) {
        Ok(how) => how,
        Err((reason, text)) => return fail(d, action, reason, &text),
    };
    if kind.disrupts()
        && seen.state == ServerState::Running
        && let Some(verdict) = group::member::turn(d)
    {
        return wait_for(d, action, &verdict);
    }
    // The states were looked at above: a hard restart is accepted in more of them than a soft one.
    let refusal = if can.allows(kind, seen.state) && !resets {
        present::not_now(d, facts, seen, kind, &format!("{deed} is asked for"))
    } else {
        not_yet(d, facts, seen)
    };
    match refusal {
        None => {}
        Some(Verdict::Keep) => {
            d.busy = true;
            return Turn::Takes(Verdict::Keep);
        }
        Some(verdict) => return wait_for(d, action, &verdict),
    }
    if kind == OperationKind::ColdMigrate {
        resize::expect_migration(d);
    }
    let seconds = i64::from(can.deadline(kind));
    d.operate(id, kind, how, seconds, argument(d, action, deed));
    if let Some(op) = &mut d.status.operation {
        op.action_uid = Some(uid(action).to_owned());
    }
    let now = to_seconds(d.now());
    let record = note(
        d,
        action,
        DeedOutcome::Running,
        Reason::Acting,
        Reason::Acting.meaning(),
    );
    record.started_at = Some(now);
    Turn::Takes(saying(action.metadata.name.as_deref().unwrap_or_default(), deed))
}

/// Why a call that the cloud accepts in this state cannot be made now, if so.
fn not_yet(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer) -> Option<Verdict> {
    if d.in_flight() {
        return Some(Verdict::Keep);
    }
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return Some(Verdict::Keep);
    }
    if let Some(lock) = &seen.locked {
        return Some(Verdict::Stalled(
            Reason::Locked,
            format!("the server is locked in the cloud: {lock}"),
        ));
    }
    d.backing_off()
        .then(|| Verdict::Reconciling(Reason::Recovering, Reason::Recovering.meaning().to_owned()))
}

/// What the record of the operation says of it.
fn argument(d: &Draft<'_>, action: &ServerAction, deed: Deed) -> Option<String> {
    match deed {
        Deed::Rebuild => action.spec.rebuild.as_ref().map(|r| r.image.text()),
        Deed::Reinstall => d.spec.image.as_ref().map(crate::api::server::Image::text),
        _ => None,
    }
}

/// What is said of the server while a deed is under way.
fn saying(name: &str, deed: Deed) -> Verdict {
    Verdict::Reconciling(
        Reason::Acting,
        format!("ServerAction {name}: {deed} is under way"),
    )
}

/// Writes down how a deed stands.
fn note<'s>(
    d: &'s mut Draft<'_>,
    action: &ServerAction,
    outcome: DeedOutcome,
    reason: Reason,
    message: &str,
) -> &'s mut ActionRecord {
    let uid = uid(action);
    let at = match d.status.actions.iter().position(|r| r.uid == uid) {
        Some(at) => at,
        None => {
            d.status.actions.push(ActionRecord {
                name: action.metadata.name.clone().unwrap_or_default(),
                uid: uid.to_owned(),
                spec_hash: action.spec.hash(),
                deed: action.spec.deed().unwrap_or(Deed::Reboot),
                outcome,
                reason: reason.as_str().to_owned(),
                message: String::new(),
                result: None,
                request_id: None,
                started_at: None,
                finished_at: None,
            });
            d.status.actions.len() - 1
        }
    };
    let finished = outcome.is_over().then(|| to_seconds(d.now()));
    let record = &mut d.status.actions[at];
    record.outcome = outcome;
    reason.as_str().clone_into(&mut record.reason);
    record.message = bounded(&conditions::clean(message), LENGTH);
    record.finished_at = record.finished_at.or(finished);
    record
}

fn wait(d: &mut Draft<'_>, action: &ServerAction, reason: Reason, text: &str) -> Turn {
    note(d, action, DeedOutcome::Waiting, reason, text);
    Turn::Waits
}

/// What keeps a wish waiting keeps a deed waiting.
fn wait_for(d: &mut Draft<'_>, action: &ServerAction, verdict: &Verdict) -> Turn {
    let waits = (
        Reason::WaitingForServer,
        Reason::WaitingForServer.meaning().to_owned(),
    );
    let (reason, text) = verdict.words().unwrap_or(waits);
    wait(d, action, reason, &text)
}

/// Ends a deed without a call.
fn fail(d: &mut Draft<'_>, action: &ServerAction, reason: Reason, text: &str) -> Turn {
    note(d, action, DeedOutcome::Failed, reason, text);
    let name = action.metadata.name.as_deref().unwrap_or_default();
    d.event(true, reason, "Act", format!("ServerAction {name}: {text}"));
    Turn::Over
}

/// Drops what nobody asks for any more, and the oldest of what is over. What was begun and has lost its record of an
/// operation is not known to have been done.
fn tidy(d: &mut Draft<'_>) {
    let own = d.uid().to_owned();
    let asked: Vec<&str> = d
        .input
        .actions
        .iter()
        .filter(|a| object::is_open(a, &own))
        .map(|a| uid(a))
        .collect();
    d.status
        .actions
        .retain(|r| r.outcome != DeedOutcome::Waiting || asked.contains(&r.uid.as_str()));
    let running = d
        .status
        .operation
        .as_ref()
        .and_then(|o| o.action_uid.clone())
        .unwrap_or_default();
    let now = to_seconds(d.now());
    for record in &mut d.status.actions {
        let lost =
            record.outcome == DeedOutcome::Running && record.deed != Deed::Resize && record.uid != running;
        if lost {
            let reason = Reason::OutcomeUnknown;
            record.outcome = DeedOutcome::Unknown;
            reason.as_str().clone_into(&mut record.reason);
            reason.meaning().clone_into(&mut record.message);
            record.finished_at = Some(now);
        }
    }
    let over = d.status.actions.iter().filter(|r| r.outcome.is_over()).count();
    let mut surplus = over.saturating_sub(REMEMBERED);
    d.status.actions.retain(|r| {
        let drops = surplus > 0 && r.outcome.is_over() && !asked.contains(&r.uid.as_str());
        surplus -= usize::from(drops);
        !drops
    });
}

/// The server is gone, and with it the answer to what became of a deed that was begun.
pub(super) fn lost(d: &mut Draft<'_>, id: &str) {
    let now = to_seconds(d.now());
    let running = |r: &&mut ActionRecord| r.outcome == DeedOutcome::Running;
    for record in d.status.actions.iter_mut().filter(running) {
        record.outcome = DeedOutcome::Unknown;
        Reason::OutcomeUnknown.as_str().clone_into(&mut record.reason);
        record.message = format!("server {id} is gone from the cloud");
        record.finished_at = Some(now);
    }
}

/// Whether a condition of a ServerAction is true.
fn holds(action: &ServerAction, kind: ConditionType) -> bool {
    let conditions = action.status.as_ref().map_or(&[][..], |s| &s.conditions);
    conditions::get(conditions, kind).is_some_and(|c| c.status == ConditionStatus::True.as_str())
}

/// The time by which the whole is done.
fn deadline(action: &ServerAction) -> Option<jiff::Timestamp> {
    let made = action.metadata.creation_timestamp.as_ref()?.0;
    Some(later(made, i64::from(action.spec.deadline.as_secs())))
}

/// Whether our finalizer is there.
fn has_finalizer(action: &ServerAction) -> bool {
    let mut all = action.metadata.finalizers.iter().flatten();
    all.any(|f| f == keys::ACTION_FINALIZER)
}
