//! The object is being deleted: its server goes first, by id, and certainly.

mod abandon;
mod locked;
pub(super) mod parts;
mod unready;
mod wait;

pub(super) use abandon::{names_it, wrong_abandon};
use wait::{waiting, waits};

use super::bugs::{self, Bug};
use super::draft::{Draft, Verdict, key_of, words};
use super::memory::Outcome;
use super::model::{ErrorClass, ObservedServer, Operate, ServerState, StopKind};
use super::{AccountFacts, Step, create, import, missing, power, soft_delete, stop, twins};
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::{DeletionPolicy, DeletionPowerOff, ManagementPolicy, PowerOffMode};
use crate::api::server_status::{Operation, OperationKind};
use crate::api::{Duration, Reason, keys};

/// Seconds after which a delete that was accepted and shows nothing is asked for again.
const ASK_AGAIN: i64 = 60;
const STOP: OperationKind = OperationKind::Stop;
/// What marks a stop as the one before a delete.
const BEFORE_DELETE: &str = "deletion";

/// Deletions that need no answer of the cloud.
pub(super) fn without_cloud(d: &mut Draft<'_>) -> Option<Verdict> {
    if let Some(id) = d.annotation(keys::ABANDON)
        && names_it(
            id,
            d.status.id.as_deref(),
            d.status.create_attempt.is_some(),
            d.uid(),
        )
    {
        d.event(
            true,
            Reason::Abandoned,
            "Delete",
            format!("server {id} is left in the cloud, as {} asks", keys::ABANDON),
        );
        return Some(release(d));
    }
    if d.spec.deletion_protection {
        return Some(blocked(
            d,
            Reason::DeletionProtected,
            "spec.deletionProtection is true: set it to false to let the deletion go on",
        ));
    }
    // An attempt from before the policy was changed may still make a server.
    if d.spec.management_policy != ManagementPolicy::Full && d.status.create_attempt.is_none() {
        return Some(release(d));
    }
    let untouched =
        d.status.id.is_none() && d.status.create_attempts.is_none() && d.status.create_attempt.is_none();
    (untouched && d.status.parts.is_empty()).then(|| release(d))
}

pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts) -> Verdict {
    let now = d.now();
    if d.memory.deleting_since.is_none() && !d.status.operation.as_ref().is_some_and(of_deletion) {
        // What was refused before says nothing of this.
        d.status.failure = None;
    }
    let since = *d.memory.deleting_since.get_or_insert(now);
    if let Some(attempt) = d.status.create_attempt.clone()
        && d.marked(facts).is_empty()
        && !bugs::has(Bug::LetGoDuringAnAttempt)
        && let Some(verdict) = create::open_attempt(d, facts, &attempt)
    {
        return match verdict {
            Verdict::Reconciling(reason, text) => Verdict::Reconciling(reason, text + &wrong_abandon(d)),
            other => other,
        };
    }
    if d.spec.management_policy != ManagementPolicy::Full {
        return release(d);
    }
    if let Some(reason) = d.gagged(facts) {
        return blocked(d, reason, reason.meaning());
    }
    d.busy = true;
    match (&d.status.id, twins::others(d, facts).as_slice()) {
        (_, []) => {}
        (None, [one]) => create::record(d, one),
        (_, several) => {
            let text = twins::block(d, several);
            return blocked(d, Reason::AmbiguousCreate, &text);
        }
    }
    if bugs::has(Bug::DeleteByName) && d.status.id.is_none() {
        d.status.id = bugs::named(d, facts).first().map(|s| s.id.clone());
    }
    let Some(id) = d.status.id.clone() else {
        if facts.blind() {
            d.again(d.after(30));
            return deleting(d);
        }
        if facts.listing.asked_at.is_none_or(|t| t <= since) {
            d.list_after = Some(since);
            return deleting(d);
        }
        if let Some(verdict) = parts::sweep(d, facts) {
            return verdict;
        }
        return if twins::linger(d, facts) {
            deleting(d)
        } else {
            release(d)
        };
    };
    let at_once = soft_delete::at_once(d, facts) && !orphan(d);
    match missing::find(d, facts, &id).filter(|s| at_once || s.state != ServerState::SoftDeleted) {
        None => {
            let denials = missing::denials(d, &id);
            let kept = !at_once && soft_delete::kept_since(d, facts, &id, since);
            if (kept || missing::confirmed(d, facts, &id, denials)) && !twins::linger(d, facts) {
                let (reason, note) = if kept {
                    let reason = Reason::ReclaimPending;
                    (
                        reason,
                        format!("server {id}: reclaim pending. {}", reason.meaning()),
                    )
                } else {
                    (Reason::Deleted, format!("server {id} is gone"))
                };
                d.event(false, reason, "Delete", note);
                return parts::begin(d, facts, &id).unwrap_or_else(|| release(d));
            }
            match missing::doubted(d, &id).filter(|_| d.step == Step::Wait) {
                Some(text) => blocked(d, Reason::MassAbsence, &text),
                None => deleting(d),
            }
        }
        Some(seen) => match noted(d, &seen) {
            // What it never made, and somebody else manages, is none of its business.
            Some(Verdict::Stalled(_, text)) if d.status.create_attempts.is_none() => {
                let note = format!("nothing is done to it: {text}");
                d.event(false, Reason::OwnedByOther, "Delete", note);
                release(d)
            }
            Some(Verdict::Stalled(reason, text)) => blocked(d, reason, &text),
            _ if bugs::has(Bug::LetGoTooEarly) && seen.state == ServerState::Deleting => release(d),
            _ if seen.state == ServerState::SoftDeleted && !soft_delete::fresh(d, facts, &id) => deleting(d),
            _ if orphan(d) => let_go(d, facts, &id, &seen),
            _ => destroy(d, facts, &id, &seen),
        },
    }
}

/// Whether an operation is one of a deletion.
fn of_deletion(op: &Operation) -> bool {
    use OperationKind::{Delete, DeletePart, Unmark, UnmarkPart};
    let step = |argument: &str| argument.starts_with(BEFORE_DELETE);
    matches!(op.kind, Delete | DeletePart | Unmark | UnmarkPart) || op.argument.as_deref().is_some_and(step)
}

/// What is seen of it, noted; and whether somebody else manages it.
fn noted(d: &mut Draft<'_>, seen: &ObservedServer) -> Option<Verdict> {
    missing::note(d, seen);
    import::foreign(d, seen)
}

/// Whether the server outlives its object.
fn orphan(d: &Draft<'_>) -> bool {
    match d.spec.deletion_policy {
        Some(policy) => policy == DeletionPolicy::Orphan,
        None => d.spec.import.is_some(),
    }
}

/// `deletionPolicy: Orphan`: our marks off its disks and off itself, then the finalizer.
fn let_go(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    let kind = OperationKind::Unmark;
    let ours = seen.marks.as_ref().is_some_and(|m| m.uid == d.uid());
    let can = facts.capabilities;
    if ours && can.marks_mutable && (seen.busy || seen.state.is_transitional()) {
        let text = format!(
            "the marks of server {id} are taken off when the cloud is done with it: {}",
            words(seen)
        );
        return blocked(d, Reason::DeletionWaits, &text);
    }
    if !(ours && can.marks_mutable && can.allows(kind, seen.state)) {
        let rest = if !ours {
            String::new()
        } else if can.marks_mutable {
            format!(
                " with the mark of this object (uid {}){}, since the cloud changes no marks in {}: take it off there \
                 before a new object of this name is made",
                d.uid(),
                if can.has(OperationKind::UnmarkPart) {
                    ", and so do its disks"
                } else {
                    ""
                },
                words(seen)
            )
        } else {
            " with the mark of this object, which this cloud cannot take off".to_owned()
        };
        d.event(
            ours,
            Reason::Orphaned,
            "Delete",
            format!("server {id} stays in the cloud{rest}"),
        );
        return release(d);
    }
    if let Some(verdict) = locked::handle(d, facts, id, seen) {
        return verdict;
    }
    // The server last: by its marks its disks are known to be ours.
    if let Some(verdict) = parts::unmark(d, facts, id, seen) {
        return verdict;
    }
    if waits(d, facts, seen, kind) {
        return waiting(d, kind);
    }
    d.operate(
        id,
        kind,
        Operate::Marks(create::marks(d)),
        i64::from(facts.capabilities.deadline(kind)),
        None,
    );
    power::doing(kind)
}

fn destroy(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    if let Some(verdict) = locked::handle(d, facts, id, seen) {
        return verdict;
    }
    if missing::outdated(d, facts, id) {
        return deleting(d);
    }
    if let Some(verdict) = unready::handle(d, facts, id, seen) {
        return verdict;
    }
    let first = d
        .status
        .operation
        .as_ref()
        .filter(|o| o.argument.as_deref() == Some(BEFORE_DELETE))
        .cloned();
    let (how, timeout) = d
        .spec
        .deletion
        .as_ref()
        .map_or((DeletionPowerOff::default(), None), |x| (x.how(), x.timeout));
    let timeout = timeout.unwrap_or(Duration::from_secs(60)).as_secs();
    let argument = Some(BEFORE_DELETE.to_owned());
    let can = facts.capabilities;
    let mode = match how {
        DeletionPowerOff::Hard if can.stop_kinds.contains(&StopKind::Hard) => PowerOffMode::Hard,
        _ => PowerOffMode::SoftThenHard,
    };
    let deleting_already = d
        .status
        .operation
        .as_ref()
        .is_some_and(|o| o.kind == OperationKind::Delete);
    let mut without_power_off = false;
    if let Some(op) = first {
        let refused =
            matches!(d.outcome(&key_of(&op)), Some(Outcome::Refused(_, e)) if e.class != ErrorClass::Busy);
        if matches!(d.outcome(&key_of(&op)), Some(Outcome::Accepted(..))) {
            d.status.failure = None;
        }
        let until = op
            .escalate_at
            .filter(|_| stop::asked_softly(&op))
            .unwrap_or(op.deadline);
        if !refused && d.status.failure.is_none() && seen.state != ServerState::Stopped && d.now() < until {
            d.again(until);
            return deleting(d);
        }
        without_power_off = seen.state != ServerState::Stopped;
    } else if how != DeletionPowerOff::None
        && !deleting_already
        && !d.in_flight()
        && !seen.busy
        && seen.state == ServerState::Running
        && can.allows(STOP, seen.state)
        && !create::stale(d, facts)
        && stop::send(d, can, id, mode, timeout, argument)
    {
        return deleting(d);
    }
    let kind = OperationKind::Delete;
    if waits(d, facts, seen, kind) {
        let op = d.status.operation.as_ref().filter(|o| o.kind == kind);
        if op.is_some_and(|o| o.deadline < d.now()) {
            return overdue(d, id);
        }
        return deleting(d);
    }
    if !can.allows(kind, seen.state) {
        let text = format!("the cloud does not delete server {id} in {}", seen.state);
        return blocked(d, Reason::DeletionWaits, &text);
    }
    if let Some(verdict) = parts::note(d, facts, id, seen) {
        return verdict;
    }
    if without_power_off {
        let note = format!("server {id} did not stop in time; it is deleted all the same");
        d.event(true, Reason::DeletedWithoutPowerOff, "Delete", note);
    }
    if deleting_already && seen.state == ServerState::Error {
        // Not again at once, should it have no effect.
        let fault = seen.fault.as_ref().map(|f| f.message.clone());
        let words = fault.unwrap_or_else(|| "the deletion ended in an error".to_owned());
        d.failed(ErrorClass::Transient, None, &words, None);
    }
    let how = if soft_delete::at_once(d, facts) {
        Operate::Force
    } else {
        Operate::Plain
    };
    d.operate(id, kind, how, i64::from(can.deadline(kind)), None);
    if d.status.operation.as_ref().is_some_and(|o| o.deadline < d.now()) {
        return overdue(d, id);
    }
    waiting(d, kind)
}

fn overdue(d: &mut Draft<'_>, id: &str) -> Verdict {
    let text =
        format!("the cloud accepted to delete server {id} and has not done it; it is asked again and again");
    blocked(d, Reason::OperationTimeout, &text)
}

/// The finalizer goes.
fn release(d: &mut Draft<'_>) -> Verdict {
    d.step = Step::RemoveFinalizer;
    d.busy = false;
    d.takes = super::Takes::default();
    // The object is about to vanish: nothing more is written.
    d.status = d.old.clone();
    Verdict::Keep
}

/// What is said of a deletion that goes on: the refusal that it met last, for as long as nothing was accepted after it.
fn deleting(d: &mut Draft<'_>) -> Verdict {
    if let Some(verdict) = wait::refused(d) {
        return verdict;
    }
    if conditions::get(&d.status.conditions, ConditionType::DeletionBlocked).is_some() {
        let idle = Reason::Idle;
        d.condition(
            ConditionType::DeletionBlocked,
            ConditionStatus::False,
            idle,
            idle.meaning(),
        );
    }
    let doing = Reason::Deleting;
    let hint = wrong_abandon(d);
    Verdict::Reconciling(doing, format!("{}{hint}", doing.meaning()))
}

/// Switches that somebody turned on purpose.
const SWITCHES: &[Reason] = &[Reason::Paused, Reason::Suspended, Reason::Observing];
/// What ends by itself.
const PASSING: &[Reason] = &[Reason::Recovering, Reason::DeletionWaits, Reason::MassAbsence];

fn blocked(d: &mut Draft<'_>, reason: Reason, text: &str) -> Verdict {
    let text = &format!("{text}{}", wrong_abandon(d));
    d.busy = false;
    d.again(d.after(30));
    d.condition(
        ConditionType::DeletionBlocked,
        ConditionStatus::True,
        reason,
        text,
    );
    if SWITCHES.contains(&reason) {
        Verdict::Held(reason, text.to_owned())
    } else if PASSING.contains(&reason) {
        Verdict::Reconciling(reason, text.to_owned())
    } else {
        Verdict::Stalled(reason, text.to_owned())
    }
}
