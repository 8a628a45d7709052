//! A deed that was begun: is it done, still under way, refused, or lost?

use jiff::Timestamp;

use super::records::{put, stand};
use super::resize::forget_migration;
use super::{record_of, saying, settle};
use crate::api::Reason;
use crate::api::conditions::to_seconds;
use crate::api::server_action::{ActionRecord, DeedOutcome};
use crate::api::server_status::{ImageStatus, Operation, OperationKind};
use crate::planner::bugs::{self, Bug};
use crate::planner::draft::{Draft, SECRET_WAIT, Verdict, later};
use crate::planner::memory::{Backoff, Outcome};
use crate::planner::model::{CloudError, Ended, ErrorClass, ObservedServer, ServerState, Trace, Which};
use crate::planner::operation::{Progress, VISIBLE_WITHIN, close, lost_after};
use crate::planner::refusal::STUBBORN;
use crate::planner::{AccountFacts, log, rebuild, resize, restart};

/// Refusals that end a deed, and their reason. What is not here is tried again until its deadline.
const FINAL: &[(ErrorClass, Reason)] = &[
    (ErrorClass::Forbidden, Reason::Forbidden),
    (ErrorClass::Quota, Reason::QuotaExceeded),
    (ErrorClass::Capacity, Reason::NoCapacity),
    (ErrorClass::InvalidSpec, Reason::DeedRefused),
    (ErrorClass::NeedsStop, Reason::DeedRefused),
    (ErrorClass::NotFound, Reason::DeedRefused),
    (ErrorClass::Unsupported, Reason::Unsupported),
];

/// The longest id that is written down.
const ID_LENGTH: usize = 128;
/// The longest name of an object.
const NAME_LENGTH: usize = 253;

/// Judges the open operation of a deed.
pub(in crate::planner) fn progress(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    outcome: Option<Outcome>,
    asked: Timestamp,
) -> Progress {
    let lost = asked > later(op.started_at, lost_after(d, facts, op));
    match outcome {
        Some(Outcome::InFlight) => goes_on(d, op),
        Some(Outcome::Refused(at, error)) => refused(d, facts, op, seen, at, asked, &error),
        Some(Outcome::Accepted(at, accepted)) => {
            if op.accepted_at.is_none()
                && let Some(open) = &mut d.status.operation
            {
                // Written down, so that another process can find out what became of it.
                let fits = |id: &String| id.chars().count() <= ID_LENGTH;
                let named = |name: &String| name.chars().count() <= NAME_LENGTH;
                let request_id = accepted.request_id.filter(fits);
                open.accepted_at = Some(to_seconds(at));
                open.request_id.clone_from(&request_id);
                if let Some(record) = record(d, op) {
                    put(
                        record,
                        DeedOutcome::Running,
                        Reason::Acting,
                        Reason::Acting.meaning(),
                    );
                    record.result = accepted.result.filter(if op.kind.reads() { named } else { fits });
                    record.request_id = request_id;
                }
            }
            judge(d, facts, op, seen, at, asked)
        }
        // Another process sent it, and its answer is known.
        None if op.accepted_at.is_some() => {
            let at = op.accepted_at.unwrap_or(op.started_at);
            judge(d, facts, op, seen, at, asked)
        }
        None if rebuild::proven(d, op, seen) => succeed(d, op, seen),
        None if seen.busy || seen.state.is_transitional() || !lost => waits(d, op),
        None => unknown(d, facts, op, seen),
    }
}

fn refused(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    at: Timestamp,
    asked: Timestamp,
    error: &CloudError,
) -> Progress {
    if error.maybe_applied || error.class == ErrorClass::Ambiguous {
        if asked > at && rebuild::proven(d, op, seen) {
            return succeed(d, op, seen);
        }
        let settled = !seen.busy && !seen.state.is_transitional();
        if settled && asked > later(at, lost_after(d, facts, op)) {
            return unknown(d, facts, op, seen);
        }
        return waits(d, op);
    }
    undo(d, op);
    // Nothing was done.
    if let Some(record) = record(d, op) {
        record.started_at = None;
    }
    let stubborn = error.class == ErrorClass::Busy
        && !seen.busy
        && d.memory
            .deed
            .as_ref()
            .is_some_and(|b| b.class == ErrorClass::Busy && b.count >= STUBBORN);
    if stubborn {
        return end(d, op, DeedOutcome::Failed, Reason::DeedRefused, &error.message);
    }
    if error.code.as_deref() == Some(Reason::SwitchedOff.as_str()) {
        return end(d, op, DeedOutcome::Failed, Reason::SwitchedOff, &error.message);
    }
    let secret = error.code.as_deref() == Some(Reason::SecretRefused.as_str());
    let last = FINAL.iter().find(|row| row.0 == error.class && !secret);
    if let Some((_, reason)) = last {
        return end(d, op, DeedOutcome::Failed, *reason, &error.message);
    }
    // It was certainly not done, and is tried again.
    delay(d, error, secret);
    let reason = match error.class {
        ErrorClass::Locked => Reason::Locked,
        ErrorClass::RateLimited => Reason::RateLimited,
        ErrorClass::Busy => Reason::WaitingForServer,
        _ if secret => Reason::SecretRefused,
        _ => Reason::Recovering,
    };
    let uid = op.action_uid.as_deref().unwrap_or_default();
    stand(d, uid, DeedOutcome::Waiting, reason, &error.message);
    close(d)
}

/// Waits before a deed is sent again, longer each time; its wishes do not wait with it.
fn delay(d: &mut Draft<'_>, error: &CloudError, secret: bool) {
    let last = d.memory.deed.as_ref();
    let mut wait = Backoff::after(last, error.class, error.retry_after, d.now(), d.input.seed);
    if secret {
        // Nobody says when a Secret is corrected, and it costs the cloud nothing to read it again.
        wait.until = wait.until.min(d.after(SECRET_WAIT));
    }
    d.again(wait.until);
    d.memory.deed = Some(wait);
}

/// The cloud accepted it: whether it is over, and how it ended.
fn judge(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    at: Timestamp,
    asked: Timestamp,
) -> Progress {
    // The answer is all there is to it.
    if op.kind.reads() {
        return succeed(d, op, seen);
    }
    if asked <= at {
        return goes_on(d, op);
    }
    let late = asked > later(at, VISIBLE_WITHIN);
    let confirms = op.kind == OperationKind::ConfirmResize;
    // A confirmation shows nothing until it is done.
    let awaits = seen.state == ServerState::AwaitingResizeConfirmation;
    let overdue = d.now() >= op.deadline;
    let unseen = confirms && awaits && !overdue;
    if seen.busy || seen.state.is_transitional() || !late {
        return waits(d, op);
    }
    if let Some(words) = seen.failure_of(op.kind).map(str::to_owned) {
        return failed(d, op, seen, &words);
    }
    let request = d.status.operation.as_ref().and_then(|o| o.request_id.clone());
    if let Some(request_id) = request.filter(|_| facts.capabilities.tells_the_end_of(op.kind)) {
        match told(d, op, request_id, seen) {
            Some(Ended::Done) => {}
            Some(Ended::Failed(words)) => {
                let words = match &seen.fault {
                    Some(fault) if seen.state == ServerState::Error => fault.message.clone(),
                    _ => words,
                };
                return failed(d, op, seen, &words);
            }
            Some(Ended::Untold) if unseen => return waits(d, op),
            Some(Ended::Untold) if op.kind == OperationKind::ResetState => {}
            Some(Ended::Untold | Ended::Absent) => return unknown(d, facts, op, seen),
            // A server at rest and a log that does not end: nobody will ever know.
            Some(Ended::UnderWay) | None if overdue => {
                return unknown(d, facts, op, seen);
            }
            Some(Ended::UnderWay) | None => return waits(d, op),
        }
    } else if confirms && awaits {
        return if overdue {
            unknown(d, facts, op, seen)
        } else {
            waits(d, op)
        };
    }
    if seen.state == ServerState::Error && op.kind != OperationKind::ResetState {
        let words = seen.fault.as_ref().map_or_else(
            || "the server is in an error state".to_owned(),
            |f| f.message.clone(),
        );
        return failed(d, op, seen, &words);
    }
    if op.kind == OperationKind::Restart {
        match restart::quiet(d, facts, op, seen) {
            restart::Quiet::Until(until) if d.now() < until => {
                d.again(until);
                return waits(d, op);
            }
            restart::Quiet::Ignored => return unknown(d, facts, op, seen),
            _ => {}
        }
    }
    succeed(d, op, seen)
}

/// The cloud took it, and it failed.
fn failed(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer, words: &str) -> Progress {
    if op.kind == OperationKind::Rebuild {
        rebuild::deed_failed(d, op, seen, words);
    }
    end(d, op, DeedOutcome::Failed, Reason::DeedFailed, words)
}

/// What the cloud's log says of the request, once it was asked after the server had come to rest.
fn told(d: &mut Draft<'_>, op: &Operation, request_id: String, seen: &ObservedServer) -> Option<Ended> {
    let result = record_of(&d.status, op.action_uid.as_deref().unwrap_or_default());
    let trace = Trace {
        kind: op.kind,
        request: Which::Accepted(request_id),
        result: result.and_then(|r| r.result.clone()),
    };
    log::told(d, op, seen, trace, Timestamp::MIN)
}

fn succeed(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer) -> Progress {
    match op.kind {
        OperationKind::ConfirmResize | OperationKind::RevertResize => resize::advance(d, op, seen),
        OperationKind::ColdMigrate if seen.state != ServerState::AwaitingResizeConfirmation => {
            forget_migration(d);
        }
        OperationKind::Rebuild => {
            let known = d.status.image.take().unwrap_or_default();
            d.status.image = Some(ImageStatus {
                requested: op.argument.clone().or(known.requested),
                id: seen.image_id.clone().or(known.id),
                ..ImageStatus::default()
            });
            // What a failed one left behind is over with it.
            d.recovered();
        }
        _ => {}
    }
    let done = Reason::Succeeded;
    end(d, op, DeedOutcome::Succeeded, done, done.meaning())
}

/// Nobody can know whether it was done, unless the server shows it.
fn unknown(d: &mut Draft<'_>, facts: &AccountFacts, op: &Operation, seen: &ObservedServer) -> Progress {
    let waits_for_a_word = seen.state == ServerState::AwaitingResizeConfirmation;
    let size = |text: Option<&String>| text.is_none_or(|t| resize::is(t, seen));
    let was = d.status.resize.as_ref();
    let shown = match op.kind {
        OperationKind::ConfirmResize => !waits_for_a_word && size(was.and_then(|r| r.to.as_ref())),
        OperationKind::RevertResize => !waits_for_a_word && size(was.and_then(|r| r.from.as_ref())),
        OperationKind::ColdMigrate => waits_for_a_word && facts.capabilities.resize_confirm,
        OperationKind::Rebuild => rebuild::proven(d, op, seen),
        _ => false,
    };
    if shown {
        return succeed(d, op, seen);
    }
    undo(d, op);
    if bugs::has(Bug::DoADeedTwice)
        && let Some(record) = record(d, op)
    {
        put(record, DeedOutcome::Waiting, Reason::Recovering, "");
        return close(d);
    }
    let reason = Reason::OutcomeUnknown;
    end(d, op, DeedOutcome::Unknown, reason, reason.meaning())
}

/// What was written down for the case that it is done.
fn undo(d: &mut Draft<'_>, op: &Operation) {
    if op.kind == OperationKind::ColdMigrate {
        forget_migration(d);
    }
}

fn end(d: &mut Draft<'_>, op: &Operation, outcome: DeedOutcome, reason: Reason, message: &str) -> Progress {
    if outcome == DeedOutcome::Failed && reason == Reason::DeedFailed {
        undo(d, op);
    }
    d.memory.deed = None;
    if let Some(uid) = &op.action_uid {
        settle(d, uid, outcome, reason, message);
    }
    close(d)
}

fn record<'s>(d: &'s mut Draft<'_>, op: &Operation) -> Option<&'s mut ActionRecord> {
    let uid = op.action_uid.as_deref()?;
    d.status.actions.iter_mut().find(|r| r.uid == uid)
}

/// It goes on; past its time that is said, and looked at again.
fn waits(d: &mut Draft<'_>, op: &Operation) -> Progress {
    let overdue = d.now() >= op.deadline;
    if !overdue {
        d.again(op.deadline);
        return goes_on(d, op);
    }
    d.again(d.after(30));
    let text = format!(
        "{} was due by {} and the cloud has not ended it; it is looked at again and again",
        op.kind, op.deadline
    );
    Progress::Open(Verdict::Stalled(Reason::OperationTimeout, text))
}

fn goes_on(d: &Draft<'_>, op: &Operation) -> Progress {
    let known = record_of(&d.status, op.action_uid.as_deref().unwrap_or_default());
    let said = known.map(|r| saying(&r.name, r.deed));
    Progress::Open(said.unwrap_or(Verdict::Keep))
}
