//! States in which a cloud does not delete a server, and the way out of each.

use jiff::Timestamp;

use super::{BEFORE_DELETE, blocked, deleting, waits};
use crate::api::Reason;
use crate::api::server::DeletionPowerOff;
use crate::api::server_status::{Operation, OperationKind};
use crate::planner::draft::{Draft, Verdict, key_of, later, words};
use crate::planner::memory::Outcome;
use crate::planner::model::{ErrorClass, ObservedServer, Operate, ServerState, StopKind};
use crate::planner::{AccountFacts, create, operation};

/// What marks the hard stop that follows one without effect.
const CUT: &str = "deletion-hard";
/// What marks any other step on the way.
const STEP: &str = "deletion-step";
/// Seconds after which a call of which nothing is known, or a hard stop without effect, is made again.
const LOST_AFTER: i64 = 15;
/// Seconds that cutting the power may take.
const CUT_WITHIN: i64 = 60;
/// How often a stop of which nothing is known is sent.
const SENDS: i32 = 3;
/// The ways to stop, by how they treat the guest.
const GENTLE: &[StopKind] = &[
    StopKind::SoftThenHard,
    StopKind::Soft,
    StopKind::CloudEscalates,
    StopKind::Hard,
];
const ROUGH: &[StopKind] = &[
    StopKind::Hard,
    StopKind::SoftThenHard,
    StopKind::CloudEscalates,
    StopKind::Soft,
];

/// What is done instead of deleting, if the cloud would not delete the server as it is.
pub(super) fn handle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let can = facts.capabilities;
    if can.allows(OperationKind::Delete, seen.state) {
        return None;
    }
    let open = d.status.operation.clone().filter(ours);
    if d.in_flight() {
        return Some(deleting(d));
    }
    // A list from before its deletion shows what is gone by now. Another step in place of that record would make it one
    // that went without us, and leave its parts.
    if let Some(op) = d.status.operation.clone()
        && op.kind == OperationKind::Delete
        && !operation::certainly_refused(d, &op)
        && operation::may_be_old(d, &op)
    {
        d.again(later(
            op.accepted_at.unwrap_or(op.started_at),
            operation::OLD_LISTS,
        ));
        return Some(deleting(d));
    }
    let ready = !seen.busy && seen.state != ServerState::Provisioning;
    if ready && can.allows(OperationKind::Stop, seen.state) {
        return Some(stop(d, facts, id, open));
    }
    let own = d.import().is_none() && d.status.create_attempts.unwrap_or(0) > 0;
    if seen.state == ServerState::Provisioning {
        if own && !seen.launched && can.allows(OperationKind::Cancel, seen.state) {
            return Some(cancel(d, facts, id, seen));
        }
        let text = format!("server {id} is still being made, and the cloud deletes it only afterwards");
        return Some(later_again(d, &text));
    }
    if seen.busy || seen.state.is_transitional() {
        if let Some(op) = open.filter(|o| o.deadline <= d.now()) {
            return Some(overdue(d, id, &op));
        }
        return Some(deleting(d));
    }
    let advice = match seen.state {
        ServerState::Error => "bring it out of that state, or delete it, in the cloud",
        _ => "stop it in the cloud",
    };
    let fault = seen.fault.as_ref().map_or("", |f| f.message.as_str());
    let text = format!(
        "the cloud does not delete server {id} in {}{}{fault}; {advice}. It is looked at again and again",
        words(seen),
        if fault.is_empty() { "" } else { ": " },
    );
    Some(later_again(d, &text))
}

fn ours(op: &Operation) -> bool {
    let argument = op.argument.as_deref();
    op.kind == OperationKind::Stop && (argument == Some(BEFORE_DELETE) || argument == Some(CUT))
}

/// Ends a creation; again after a while, until it has ended.
fn cancel(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    let kind = OperationKind::Cancel;
    if waits(d, facts, seen, kind) {
        return deleting(d);
    }
    let seconds = i64::from(facts.capabilities.deadline(kind));
    // Not again at once, should it have no effect.
    d.delay(ErrorClass::Busy, None);
    d.operate(id, kind, Operate::Plain, seconds, Some(STEP.to_owned()));
    deleting(d)
}

fn stop(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, open: Option<Operation>) -> Verdict {
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return deleting(d);
    }
    let wish = d.spec.deletion.clone().unwrap_or_default();
    let gentle = wish.how() == DeletionPowerOff::SoftThenHard;
    let timeout = wish.timeout.map_or(60, crate::api::Duration::as_secs);
    let Some(op) = open else {
        return send(d, facts, id, gentle, timeout);
    };
    let cut = op.argument.as_deref() == Some(CUT);
    let outcome = d.outcome(&key_of(&op)).cloned();
    let accepted = matches!(outcome, Some(Outcome::Accepted(..)));
    let mut refused = outcome.is_none() && d.memory.backoff.is_some();
    if let Some(Outcome::Refused(_, error)) = &outcome
        && !error.maybe_applied
    {
        refused = true;
        d.memory.sent = None;
        match error.class {
            ErrorClass::Busy | ErrorClass::RateLimited => d.delay(error.class, error.retry_after),
            class => d.failed(class, error.code.as_deref(), &error.message, error.retry_after),
        }
    }
    if accepted && d.status.failure.is_some() {
        d.status.failure = None;
    }
    if !cut && (d.now() >= op.deadline || !gentle) && facts.capabilities.stop_kinds.contains(&StopKind::Hard)
    {
        let note = format!("server {id} did not stop within {timeout} s; its power is cut");
        d.event(true, Reason::StopTimeout, "Stop", note);
        d.memory.backoff = None;
        return send(d, facts, id, false, timeout);
    }
    if d.now() >= op.deadline {
        let verdict = overdue(d, id, &op);
        // One that the cloud took late has its time too.
        if let Some(Outcome::Accepted(at, _)) = outcome
            && d.now() < later(at, CUT_WITHIN)
        {
            d.again(later(at, CUT_WITHIN));
        } else if !d.backing_off() {
            d.delay(ErrorClass::Transient, None);
            send(d, facts, id, !cut, timeout);
        }
        return verdict;
    }
    d.again(op.deadline);
    if refused {
        return if d.backing_off() {
            deleting(d)
        } else {
            send(d, facts, id, !cut, timeout)
        };
    }
    let asked = facts.listing.asked_at.unwrap_or(Timestamp::MIN);
    if !accepted && op.attempt < SENDS && asked > later(op.started_at, LOST_AFTER) {
        return send(d, facts, id, !cut, timeout);
    }
    deleting(d)
}

fn send(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, gentle: bool, timeout: u32) -> Verdict {
    let can = facts.capabilities;
    let (kinds, argument) = if gentle {
        (GENTLE, BEFORE_DELETE)
    } else {
        (ROUGH, CUT)
    };
    let too_long = can.soft_stop_limit.is_some_and(|most| timeout > most);
    let has = |k: &StopKind| can.stop_kinds.contains(k) && !(too_long && *k == StopKind::SoftThenHard);
    let Some(kind) = kinds.iter().find(|k| has(k)) else {
        let text = format!("server {id} has to be stopped first, and this cloud has no way to do it");
        return blocked(d, Reason::Unsupported, &text);
    };
    let seconds = match kind {
        StopKind::Soft => i64::from(timeout),
        _ if gentle => i64::from(timeout) + CUT_WITHIN,
        _ => CUT_WITHIN,
    };
    let how = Operate::Stop(*kind, timeout);
    d.operate(id, OperationKind::Stop, how, seconds, Some(argument.to_owned()));
    deleting(d)
}

fn overdue(d: &mut Draft<'_>, id: &str, op: &Operation) -> Verdict {
    let text = format!(
        "the cloud deletes only stopped servers, and server {id} was due to be stopped by {}; it is stopped again \
         and again: look at it in the cloud",
        op.deadline
    );
    blocked(d, Reason::StopTimeout, &text)
}

/// Blocked, and looked at again.
fn later_again(d: &mut Draft<'_>, text: &str) -> Verdict {
    blocked(d, Reason::DeletionWaits, text)
}
