//! A locked server that is deleted, or let go: our own lock is taken off first, anybody else's is waited for.

use super::{blocked, deleting, waits};
use crate::api::Reason;
use crate::api::server_status::OperationKind;
use crate::planner::draft::{Draft, Verdict, later};
use crate::planner::model::{ObservedServer, Operate};
use crate::planner::{AccountFacts, lock};

/// What marks the step.
const STEP: &str = "deletion-unlock";

/// What is done instead, if the server is locked.
pub(super) fn handle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    seen.locked.as_ref()?;
    if let Some(why) = lock::forbids(d, facts.capabilities, seen, OperationKind::Delete) {
        let text = format!("server {id} is locked in the cloud{why}; unlock it there");
        return Some(blocked(d, Reason::Locked, &text));
    }
    let kind = OperationKind::Unlock;
    // A list from before the step that is recorded does not know that the lock was taken off for it. The record has whole seconds.
    let open = d.status.operation.as_ref().filter(|op| op.kind != kind);
    if let Some(since) = open.map(|op| later(op.started_at, 1))
        && facts.listing.asked_at.is_none_or(|asked| asked <= since)
    {
        if d.now() > since {
            d.list_after = Some(since);
        } else {
            d.again(later(since, 1));
        }
        return Some(deleting(d));
    }
    if waits(d, facts, seen, kind) {
        return Some(deleting(d));
    }
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, Operate::Plain, seconds, Some(STEP.to_owned()));
    Some(deleting(d))
}
