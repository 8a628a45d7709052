//! A server that the cloud deleted and keeps for a while (Nova's SOFT_DELETED): hidden from its lists, shown by its id.
//! After a deletion of ours it counts as gone. Deleted by somebody else, it is looked at slowly, and brought back where
//! the wish is to have it again.

use std::sync::Arc;

use jiff::Timestamp;

use super::draft::{Draft, Verdict, later};
use super::model::{ObservedServer, Operate, ServerState};
use super::{AccountFacts, Step, account, missing, power, present};
use crate::api::Reason;
use crate::api::conditions::ConditionStatus;
use crate::api::server::{ManagementPolicy, OnMissing};
use crate::api::server_status::OperationKind;

const KIND: OperationKind = OperationKind::Restore;
/// Seconds between two looks at a server that is kept: whether somebody brought it back, or the cloud reclaimed it.
const BETWEEN: i64 = 60;
/// Seconds for which a look counts as new.
const FRESH: i64 = 5;

/// The server as its last look has shown it, if that was that it is kept. Lists hide it, so that they do not contradict;
/// also while it is being brought back.
pub(super) fn kept(d: &Draft<'_>, id: &str) -> Option<Arc<ObservedServer>> {
    let look = d.memory.look.as_ref().filter(|l| l.id == id)?;
    let found = look.found.clone()?;
    (found.state == ServerState::SoftDeleted || restoring(d)).then_some(found)
}

fn restoring(d: &Draft<'_>) -> bool {
    d.status.operation.as_ref().is_some_and(|o| o.kind == KIND)
}

/// Seconds between two looks at a server that was found.
pub(super) fn pace(d: &Draft<'_>, id: &str) -> i64 {
    let waits = d.memory.waits_until(d.now()).is_some();
    let at_rest = !d.deleting() && (!restoring(d) || waits);
    if at_rest && kept(d, id).is_some() {
        BETWEEN
    } else {
        1
    }
}

/// Looks at a server that lists hide, where it is time.
pub(super) fn watch(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) {
    if !facts.listing.servers.contains_key(id) {
        missing::look(d, id);
    }
}

/// Whether what is known of a server that is kept is new enough to act on it. Looks at it where it is not.
pub(super) fn fresh(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> bool {
    let look = d.memory.look.as_ref().filter(|l| l.id == id);
    let new = look.is_some_and(|l| later(l.asked_at, FRESH) >= d.now());
    let waits = d.in_flight() || d.memory.waits_until(d.now()).is_some();
    if new || waits || facts.listing.servers.contains_key(id) {
        return true;
    }
    d.step = Step::Look {
        id: id.to_owned(),
        trace: None,
    };
    false
}

/// Whether the server was seen to be kept after a time: a deletion is over then.
pub(super) fn kept_since(d: &Draft<'_>, facts: &AccountFacts, id: &str, since: Timestamp) -> bool {
    let is_kept = |s: &ObservedServer| s.state == ServerState::SoftDeleted;
    let looked = d
        .memory
        .look
        .as_ref()
        .filter(|l| l.id == id && l.asked_at > since);
    match facts.listing.servers.get(id) {
        Some(listed) => is_kept(listed),
        None => looked.and_then(|l| l.found.as_deref()).is_some_and(is_kept),
    }
}

/// Whether a deletion is to leave nothing that is kept.
pub(super) fn at_once(d: &Draft<'_>, facts: &AccountFacts) -> bool {
    d.spec.deletion.as_ref().is_some_and(|x| x.force) && facts.capabilities.has(KIND)
}

/// What is done about a server that somebody else deleted and that can still be brought back.
pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    let reason = Reason::SoftDeleted;
    // What it was before counts no more: brought back, it is brought into the declared state.
    power::synced(d, ConditionStatus::False, reason, "");
    watch(d, facts, id);
    let recreates =
        d.spec.on_missing == OnMissing::Recreate && d.spec.management_policy == ManagementPolicy::Full;
    if !recreates || !facts.capabilities.has(KIND) {
        let rest = if recreates {
            "this cloud cannot be asked to restore it; a new one is made when it is gone".to_owned()
        } else {
            reason.advice().to_owned()
        };
        return Verdict::Stalled(reason, format!("server {id}: {} {rest}", reason.meaning()));
    }
    let what = format!("server {id} was deleted in the cloud and is to be restored");
    if let Some(reason) = d.gagged(facts) {
        return account::held(d, reason, &what);
    }
    if !fresh(d, facts, id) {
        return Verdict::Keep;
    }
    if let Some(verdict) = present::not_now(d, facts, seen, KIND, &what) {
        return verdict;
    }
    let seconds = i64::from(facts.capabilities.deadline(KIND));
    d.operate(id, KIND, Operate::Plain, seconds, None);
    power::doing(KIND)
}
