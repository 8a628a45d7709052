//! Locks. Ours is put there for `spec.locked`, opened for a step of ours, and closed again. Anybody else's is respected:
//! it is shown, never taken off, and nothing is done that it forbids.
//!
//! Whose a lock is, is said by the words that it carries: ours end with the uid of the object.

use super::draft::{Draft, Verdict};
use super::model::{Capabilities, CloudError, ObservedServer, Operate, ServerState};
use super::{AccountFacts, Step, account, operation, power, present};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server::{DriftPolicy, ManagementPolicy};
use crate::api::server_status::{LockState, LockStatus, OperationKind};

/// The most characters of a reason that are shown.
const LENGTH: usize = 255;
/// Why a lock is another's that carries our words.
const COVERED: &str =
    "an administrator has locked the server over our lock, which cannot be taken off before that";
/// Why our lock is taken off, beside the steps that it is opened for.
const DROPPED: &str = "dropped";
const REWORDED: &str = "reworded";

/// How the words of our locks end.
fn mark(d: &Draft<'_>) -> String {
    format!(" [evenkeel {}]", d.uid())
}

/// The words of the lock that is declared, if one is.
fn wanted(d: &Draft<'_>) -> Option<String> {
    let lock = d.spec.locked.as_ref();
    let lock = lock.filter(|_| d.spec.management_policy == ManagementPolicy::Full)?;
    Some(format!("{}{}", lock.reason, mark(d)))
}

/// Whether a server carries a lock of this object. One that we were not let take off is another's, which leaves the words
/// of ours as they were.
fn ours(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let mark = mark(d);
    let covered = |words: &str| {
        let known = d.status.lock.as_ref();
        known.is_some_and(|known| !known.ours && known.reason == bounded(words, LENGTH))
    };
    seen.locked
        .as_ref()
        .is_some_and(|words| words.ends_with(&mark) && !covered(words))
}

/// We were not let take our lock off. `true`: it is taken for another's from now on, and not tried again by itself.
pub(super) fn covered(d: &mut Draft<'_>, error: &CloudError) -> bool {
    let Some(lock) = d
        .status
        .lock
        .as_mut()
        .filter(|l| l.ours && l.state == LockState::Held)
    else {
        return false;
    };
    lock.ours = false;
    d.memory.backoff = None;
    d.event(
        true,
        Reason::Locked,
        "Unlock",
        format!("{COVERED}: {}", error.message),
    );
    true
}

/// A person has seen to it: the words of a lock say again whose it is.
pub(super) fn forget(d: &mut Draft<'_>) {
    let mark = mark(d);
    if let Some(lock) = &mut d.status.lock {
        lock.ours |= lock.reason.ends_with(&mark);
    }
}

/// Writes down the lock that is seen, and whose it is.
pub(super) fn show(d: &mut Draft<'_>, seen: &ObservedServer) {
    if seen.unreadable || seen.state == ServerState::Unknown {
        return;
    }
    let ours = ours(d, seen);
    let known = d.status.lock.take();
    d.status.lock = match &seen.locked {
        Some(words) => Some(LockStatus {
            ours,
            state: LockState::Held,
            reason: bounded(words, LENGTH),
        }),
        None => known
            .filter(|known| known.ours && wanted(d).is_some())
            .map(|known| {
                let open = d.status.operation.as_ref().map(|o| o.kind);
                let state = match known.state {
                    LockState::Held if open == Some(OperationKind::Unlock) => LockState::Opened,
                    LockState::Held => LockState::Removed,
                    state => state,
                };
                LockStatus { state, ..known }
            }),
    };
}

/// Why the lock of somebody else forbids a call, in words that follow a sentence.
pub(super) fn forbids(
    d: &Draft<'_>,
    can: &Capabilities,
    seen: &ObservedServer,
    kind: OperationKind,
) -> Option<String> {
    let words = seen.locked.as_ref()?;
    if can.free_of_locks.contains(&kind) || ours(d, seen) {
        return None;
    }
    Some(if words.ends_with(&mark(d)) {
        format!(": {COVERED}")
    } else if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    })
}

/// Takes our lock off before a step that it would forbid.
pub(super) fn open(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    step: OperationKind,
) -> Option<Verdict> {
    if facts.capabilities.free_of_locks.contains(&step) || !ours(d, seen) {
        return None;
    }
    take_off(d, facts, seen, step.as_str());
    Some(power::doing(OperationKind::Unlock))
}

fn take_off(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer, why: &str) {
    let kind = OperationKind::Unlock;
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(&seen.id, kind, Operate::Plain, seconds, Some(why.to_owned()));
}

fn put_on(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, words: String, why: Option<&str>) {
    let kind = OperationKind::Lock;
    let seconds = i64::from(facts.capabilities.deadline(kind));
    let why = why.map(str::to_owned);
    d.operate(id, kind, Operate::Lock(words), seconds, why);
}

/// Everything else is as declared: now the lock. `Err` ends the plan.
pub(super) fn settle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    let wanted = wanted(d);
    if wanted.is_some() && !facts.capabilities.has(OperationKind::Lock) {
        let text = "locked cannot be had from this cloud: it has no locks".to_owned();
        d.aside(Verdict::Stalled(Reason::Unsupported, text));
        return Ok(());
    }
    match (&seen.locked, wanted) {
        (None, None) => Ok(()),
        (None, Some(words)) => lay(d, facts, id, seen, words),
        (Some(_), wanted) if ours(d, seen) => {
            if wanted == seen.locked {
                return Ok(());
            }
            let why = if wanted.is_some() { REWORDED } else { DROPPED };
            let kind = OperationKind::Unlock;
            if let Some(reason) = d.gagged(facts) {
                return Err(account::held(d, reason, "our lock is to be taken off"));
            }
            if let Some(verdict) = present::not_now(d, facts, seen, kind, "our lock is to be taken off") {
                return Err(or_doing(verdict, kind));
            }
            take_off(d, facts, seen, why);
            Err(power::doing(kind))
        }
        (Some(_), _) => Ok(()),
    }
}

/// Shows the lock of somebody else, whatever is done beside it.
pub(super) fn tell(d: &mut Draft<'_>, seen: &ObservedServer) {
    let Some(words) = seen.locked.as_ref().filter(|_| !ours(d, seen)) else {
        return;
    };
    let rest = match wanted(d) {
        Some(_) => "; the lock that is declared is put there when this one is gone",
        None => "",
    };
    let text = if words.ends_with(&mark(d)) {
        format!("{COVERED}{rest}")
    } else {
        format!("the server is locked in the cloud by somebody else: {words:?}{rest}")
    };
    d.drifts.push((Reason::Locked, text));
}

/// Whether our lock is to be put on, or taken off.
pub(super) fn pending(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let wanted = wanted(d);
    match &seen.locked {
        None => wanted.is_some(),
        Some(_) => ours(d, seen) && wanted != seen.locked,
    }
}

/// Puts our lock on.
fn lay(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    words: String,
) -> Result<(), Verdict> {
    let removed = d
        .status
        .lock
        .as_ref()
        .is_some_and(|l| l.state == LockState::Removed);
    if removed {
        let (reason, only) = (Reason::LockDrift, d.spec.drift_policy == DriftPolicy::Observe);
        let rest = if only { "" } else { "; it is put back" };
        let text = format!("{}{rest}", reason.meaning());
        d.drifts.push((reason, text));
        if only {
            return Ok(());
        }
    }
    let what = "the server is to be locked";
    if let Some(reason) = d.gagged(facts) {
        return Err(account::held(d, reason, what));
    }
    let kind = OperationKind::Lock;
    if let Some(verdict) = present::not_now(d, facts, seen, kind, what) {
        return Err(or_doing(verdict, kind));
    }
    if removed {
        if let Some(verdict) = power::flapping(d, "no lock") {
            return Err(verdict);
        }
        d.memory.corrections.push(d.now());
    }
    put_on(d, facts, id, words, removed.then_some(operation::DRIFT));
    Err(power::doing(kind))
}

/// Closes our lock again, whatever else is said of the server, once no step is under way.
pub(super) fn close(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let words = wanted(d)?;
    let opened = d
        .status
        .lock
        .as_ref()
        .is_some_and(|l| l.state == LockState::Opened);
    let at_rest = d.step == Step::Wait && d.status.operation.is_none() && !d.busy && !d.in_flight();
    let kind = OperationKind::Lock;
    if !opened || !at_rest || d.gagged(facts).is_some() {
        return None;
    }
    if present::not_now(d, facts, seen, kind, "").is_some() {
        return None;
    }
    put_on(d, facts, id, words, None);
    Some(power::doing(kind))
}

/// Something is under way, or the verdict that holds it up.
fn or_doing(verdict: Verdict, kind: OperationKind) -> Verdict {
    match verdict {
        Verdict::Keep => power::doing(kind),
        other => other,
    }
}
