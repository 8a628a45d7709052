//! A locked server that is deleted, or let go: our own lock is taken off first, anybody else's is waited for.

use super::{blocked, deleting, waiting, waits};
use crate::api::Reason;
use crate::api::server_status::OperationKind;
use crate::planner::draft::{Draft, Verdict};
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
    if waits(d, facts, seen, kind) {
        return Some(waiting(d, id, OperationKind::Delete));
    }
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, Operate::Plain, seconds, Some(STEP.to_owned()));
    Some(deleting(d))
}
