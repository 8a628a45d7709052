//! An operation on a group that was recorded: every one of them is a difference that can be compared anew, so that
//! it is enough to know when the cloud's list must show it.

use jiff::Timestamp;

use super::Verdict;
use super::draft::GroupDraft;
use crate::api::Reason;
use crate::api::conditions;
use crate::api::server_group::{GroupOperation, GroupOperationKind as Kind};
use crate::planner::draft::later;
use crate::planner::memory::Outcome;
use crate::planner::model::{CloudCall, ErrorClass, GroupChange};
use crate::planner::{AccountFacts, Step};

/// Seconds within which an accepted call must show in a list.
const VISIBLE_WITHIN: i64 = 5;
/// Seconds after which a call of which nothing is known counts as lost.
const LOST_AFTER: i64 = 15;

impl GroupDraft<'_> {
    /// Keeps the status as it is before the record of a call, where no call is made any more.
    pub(super) fn before_call(&mut self) {
        if self.input.leaving {
            self.unopened = Some(self.status.clone());
        }
    }

    /// Opens an operation: its record, and the call that follows it.
    pub(super) fn operate(&mut self, id: &str, kind: Kind, server: Option<&str>, change: GroupChange) {
        self.before_call();
        let operation = GroupOperation {
            id: format!(
                "{}-{:x}",
                kind.as_str().to_lowercase(),
                self.now().as_millisecond()
            ),
            kind,
            started_at: conditions::to_seconds(self.now()),
            server: server.map(str::to_owned),
        };
        let key = operation.id.clone();
        self.status.operation = Some(operation);
        self.memory.sent = None;
        self.busy = true;
        let id = id.to_owned();
        self.step = Step::Call {
            key,
            call: CloudCall::ChangeGroup { id, change },
        };
    }
}

/// How the open operation stands: what is said of it, or nothing when it is over and all is compared anew.
pub(super) fn progress(
    d: &mut GroupDraft<'_>,
    facts: &AccountFacts,
    reached: impl Fn(&GroupOperation) -> bool,
) -> Option<Verdict> {
    let op = d.status.operation.clone()?;
    d.busy = true;
    let asked = facts.listing.asked_at.unwrap_or(Timestamp::MIN);
    let since = match d.outcome(&op.id).cloned() {
        Some(Outcome::InFlight) => return Some(doing(d, op.kind)),
        Some(Outcome::Refused(at, error)) => {
            // A list that was asked for before the refusal says nothing of what may have been done.
            if error.maybe_applied && asked <= later(at, VISIBLE_WITHIN) {
                list_behind(d, later(at, VISIBLE_WITHIN));
                return Some(doing(d, op.kind));
            }
            // What is not there any more is compared with a list that knows it.
            if error.class == ErrorClass::NotFound && asked <= at {
                d.list_after = Some(at);
                return Some(doing(d, op.kind));
            }
            d.memory.sent = None;
            match error.class {
                _ if reached(&op) => {}
                ErrorClass::NotFound => {}
                ErrorClass::Busy => d.delay(error.class, error.retry_after),
                _ => d.failed(&error),
            }
            if op.kind == Kind::AddMember {
                d.memory.failed_id.clone_from(&op.server);
            }
            d.status.operation = None;
            return None;
        }
        Some(Outcome::Accepted(at, _)) if asked <= at => {
            d.list_after = Some(at);
            return Some(doing(d, op.kind));
        }
        Some(Outcome::Accepted(at, _)) => later(at, VISIBLE_WITHIN),
        // Recorded by a process that is gone, or of which the answer was lost with it.
        None => later(op.started_at, LOST_AFTER),
    };
    if reached(&op) {
        d.recovered();
    } else if asked <= since {
        list_behind(d, since);
        return Some(doing(d, op.kind));
    } else {
        d.delay(ErrorClass::Transient, None);
    }
    d.memory.dealt_with();
    d.status.operation = None;
    None
}

/// Wants a list that was asked for after a time: when that has come, never in the past.
fn list_behind(d: &mut GroupDraft<'_>, t: Timestamp) {
    if d.now() >= t {
        d.list_after = Some(t);
    } else {
        d.again(t);
    }
}

/// What is said while an operation runs. Constant, so that it is written once.
pub(super) fn doing(d: &GroupDraft<'_>, kind: Kind) -> Verdict {
    if let Some(refused) = d.refused() {
        return refused;
    }
    let reason = match kind {
        Kind::Modify => Reason::Modifying,
        Kind::Unmark => Reason::Marking,
        Kind::AddMember => Reason::Joining,
        Kind::RemoveMember => Reason::Leaving,
        Kind::Delete => Reason::Deleting,
    };
    Verdict::Reconciling(reason, format!("{kind} is under way for the group"))
}
