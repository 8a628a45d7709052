//! The last call for a deletion: whether it is waited for, and what is said meanwhile.

use jiff::Timestamp;

use super::{ASK_AGAIN, blocked, deleting};
use crate::api::Reason;
use crate::api::server_status::OperationKind;
use crate::planner::draft::{Draft, Verdict, key_of, later};
use crate::planner::memory::Outcome;
use crate::planner::model::{ErrorClass, ObservedServer, ServerState};
use crate::planner::operation::LOST_AFTER;
use crate::planner::{AccountFacts, create, lock, missing, power, refusal};

/// Whether the last call for this deletion is still open, or its refusal is waited out.
pub(super) fn waits(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    kind: OperationKind,
) -> bool {
    if d.in_flight() {
        return true;
    }
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return true;
    }
    let Some(op) = d.status.operation.clone().filter(|o| o.kind == kind) else {
        return d.backing_off();
    };
    let asked = facts.listing.asked_at.unwrap_or(Timestamp::MIN);
    match d.outcome(&key_of(&op)).cloned() {
        // A list that was asked for before says nothing of what may have been done, nor does one that comes before it.
        Some(Outcome::Refused(at, error)) if error.maybe_applied && asked <= later(at, patience(kind)) => {
            let until = later(at, patience(kind));
            if d.now() > until {
                d.list_after = Some(until);
            } else {
                d.list_after = Some(at);
                d.again(later(until, 1));
            }
            true
        }
        Some(Outcome::Refused(_, error)) => {
            d.memory.sent = None;
            if kind == OperationKind::Unlock
                && error.class == ErrorClass::Forbidden
                && lock::covered(d, &error)
            {
                d.status.operation = None;
                d.again(d.now());
                return true;
            }
            match error.class {
                ErrorClass::NotFound => missing::look(d, &seen.id),
                ErrorClass::Busy | ErrorClass::RateLimited => d.delay(error.class, error.retry_after),
                class => d.failed(class, error.code.as_deref(), &error.message, error.retry_after),
            }
            if error.class != ErrorClass::NotFound {
                d.backing_off();
            }
            true
        }
        Some(Outcome::Accepted(at, _)) => {
            // The wait stays: what ends in an error each time is asked for ever more seldom.
            if seen.state != ServerState::Error {
                d.status.failure = None;
            }
            // An ERROR that follows a delete means that it failed; else it is only slow.
            let failed = seen.state == ServerState::Error && !seen.busy && asked > later(at, 5);
            if failed {
                // That it was accepted says nothing any more of what becomes of the server.
                d.memory.sent = None;
            }
            !(failed || asked > later(at, ASK_AGAIN)) || d.backing_off()
        }
        Some(Outcome::InFlight) => true,
        None if d.memory.backoff.is_some() => d.backing_off(),
        None => asked <= later(op.started_at, 10),
    }
}

/// Seconds for which a call whose reply was lost may still take effect. A deletion that is carried out twice does no more
/// than once, and is not kept waiting.
fn patience(kind: OperationKind) -> i64 {
    match kind {
        OperationKind::Delete | OperationKind::DeleteFailed => 0,
        _ => LOST_AFTER,
    }
}

/// What is said while the last call is waited for, or its refusal is waited out.
pub(super) fn waiting(d: &mut Draft<'_>, kind: OperationKind) -> Verdict {
    match refused(d) {
        Some(verdict) => verdict,
        None if kind == OperationKind::Unmark => power::doing(kind),
        None => deleting(d),
    }
}

/// What is said of the refusal that the last call met.
pub(super) fn refused(d: &mut Draft<'_>) -> Option<Verdict> {
    let (reason, words) = match refusal::words(d)? {
        Verdict::Stalled(reason, words) => (reason, words),
        Verdict::Reconciling(_, words) => (Reason::Recovering, words),
        _ => return None,
    };
    let server = d
        .status
        .id
        .as_ref()
        .map_or_else(String::new, |id| format!("server {id}: "));
    Some(blocked(d, reason, &format!("{server}{words}")))
}
