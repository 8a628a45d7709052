//! An operation that was recorded: is it done, still under way, refused, or lost?

use jiff::Timestamp;

use super::AccountFacts;
use super::draft::{Draft, Verdict, key_of, later, without_effect};
use super::memory::Outcome;
use super::model::{ErrorClass, ObservedServer, ServerState};
use super::{
    create, deeds, missing, power, rebuild, refusal, rescue, resize, restart, settings, soft_delete, stop,
    transitions,
};
use crate::api::Reason;
use crate::api::conditions::ConditionType;
use crate::api::server_status::{Failure, Operation, OperationKind};

/// Seconds within which an accepted call must show in a list.
pub(super) const VISIBLE_WITHIN: i64 = 3;
/// Seconds after a call within which a list may still show the world before it: until then nothing is given up for good
/// because of a list.
pub(super) const OLD_LISTS: i64 = 30;
/// Seconds after which a call of which nothing is known counts as lost.
pub(super) const LOST_AFTER: i64 = 15;
/// Seconds after which a delete that was accepted and shows nothing is asked for again.
const ASK_AGAIN: i64 = 60;

/// The argument of an operation that puts a change from outside back.
pub(super) const DRIFT: &str = "drift";
/// The argument of a start that ends what a server was stopped for.
pub(super) const CHANGED: &str = "changed";

/// An operation that another version of the controller recorded is left to that one until its deadline, and the whole status
/// with it: what this version cannot read it cannot write back. A deletion does not wait for it.
pub(super) fn of_another_version(d: &mut Draft<'_>) -> Option<Verdict> {
    let unknown = |o: &&Operation| o.kind == OperationKind::Unknown;
    let deadline = d.status.operation.as_ref().filter(unknown)?.deadline;
    let reason = Reason::UnknownOperation;
    if d.deleting() || d.now() >= deadline {
        d.status.operation = None;
        return None;
    }
    // Told once by each process.
    if d.memory.first_seen == Some(d.now()) {
        let note = format!(
            "{} Nothing is done until {deadline}. {}",
            reason.meaning(),
            reason.advice()
        );
        d.event(true, reason, "Reconcile", note);
    }
    d.again(deadline);
    Some(Verdict::Keep)
}

/// How an open operation stands.
pub(super) enum Progress {
    /// It goes on; this is said of it.
    Open(Verdict),
    /// There is none, or it has ended: go on and compare.
    Closed,
}

/// Seconds after which a call of which nothing is known counts as lost: one that erases a disk, or makes something, is
/// waited out for as long as a call may take effect late.
pub(super) fn lost_after(d: &Draft<'_>, facts: &AccountFacts, op: &Operation) -> i64 {
    match op.kind {
        _ if op.kind == OperationKind::Rebuild || settings::doubles(d, facts, op) => {
            i64::from(facts.capabilities.create_settle_seconds)
        }
        _ => LOST_AFTER,
    }
}

/// Whether the server is down, or goes down, for a change of ours while this lasts.
fn takes_down(d: &Draft<'_>, op: &Operation) -> bool {
    let restores = op.kind == OperationKind::Start && op.argument.as_deref() == Some(CHANGED);
    op.kind.disrupts() || restores || stop::Purpose::of(d, op).is_some()
}

pub(super) fn progress(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer) -> Progress {
    let Some(op) = d.status.operation.clone() else {
        return Progress::Closed;
    };
    let progress = look_at(d, facts, &op, seen);
    // While it is open, its trouble says nothing of the other aspect.
    if matches!(progress, Progress::Open(_)) {
        d.said.push(if transitions::is_power(op.kind) {
            ConditionType::SizeSynced
        } else {
            ConditionType::PowerSynced
        });
    }
    progress
}

fn look_at(d: &mut Draft<'_>, facts: &AccountFacts, op: &Operation, seen: &ObservedServer) -> Progress {
    let outcome = d.outcome(&key_of(op)).cloned();
    d.busy = true;
    d.takes.disruption = takes_down(d, op) || stop::for_a_change(d, seen);
    let asked = missing::seen_at(d, facts, &seen.id).unwrap_or(Timestamp::MIN);
    if op.kind == OperationKind::Restore {
        soft_delete::watch(d, facts, &seen.id);
    }
    if op.action_uid.is_some() {
        return deeds::progress(d, facts, op, seen, outcome, asked);
    }
    match outcome {
        Some(Outcome::InFlight) => Progress::Open(saying(d, op.kind)),
        Some(Outcome::Refused(at, error)) => refusal::refused(d, facts, op, seen, at, asked, &error),
        Some(Outcome::Accepted(at, accepted)) => {
            restart::taken(d, facts, op, at, accepted.request_id.as_ref());
            if asked <= at {
                return Progress::Open(saying(d, op.kind));
            }
            judge(d, facts, op, seen, asked > later(at, VISIBLE_WITHIN))
        }
        None if waits(d, op) && transitions::is_power(op.kind) => between_tries(d, facts, op, seen),
        // Recorded by a process that is gone, and accepted, or of which the answer was lost with it.
        None => {
            let lost = later(op.started_at, lost_after(d, facts, op));
            let shows = op.accepted_at.map_or(lost, |at| later(at, VISIBLE_WITHIN));
            judge(d, facts, op, seen, asked > shows)
        }
    }
}

/// Looks at what the cloud shows. `late`: an effect would be visible by now.
pub(super) fn judge(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    late: bool,
) -> Progress {
    // A lock is opened in the middle of what a deed is to end.
    let busy = seen.busy && op.kind != OperationKind::Unlock;
    if reached(d, op, seen) && !busy {
        return done(d, op, seen);
    }
    if let Some(done) = rebuild::shown(d, op, seen) {
        return done;
    }
    let overdue = d.now() >= op.deadline;
    if overdue {
        d.again(d.after(30));
    } else {
        d.again(op.deadline);
    }
    // A call of which nothing is known, or whose answer was lost, may never have arrived.
    let accepted = matches!(d.outcome(&key_of(op)), Some(Outcome::Accepted(..)));
    // A confirmation shows nothing until it is done.
    let confirms = op.kind == OperationKind::ConfirmResize;
    let awaits = seen.state == ServerState::AwaitingResizeConfirmation;
    let unseen = confirms && accepted && awaits && !overdue;
    let failed = late && seen.failure_of(op.kind).is_some();
    let passing = !failed && restart::passing(d, op, seen);
    let waits = seen.busy || seen.state.is_transitional() || unseen || passing;
    let asked = accepted && !no_longer_wanted(d, facts, op) && !failed;
    if let Some(until) = stop::guest_has_until(d, facts, op).filter(|_| asked && !waits) {
        if d.now() < until {
            d.again(until);
            return Progress::Open(saying(d, op.kind));
        }
        if stop::asked_softly(op) {
            return stop::escalate(d, facts, op, seen).map_or(Progress::Closed, Progress::Open);
        }
    }
    if let Some(until) = restart::silent_until(d, facts, op, seen).filter(|until| d.now() < *until) {
        d.again(until);
        return Progress::Open(saying(d, op.kind));
    }
    // Some clouds stop and start a guest to restart it: that stop is no drift.
    let restarts = op.kind == OperationKind::Restart && seen.state == ServerState::Stopped && !overdue;
    if waits || (restarts && !failed) || !late {
        return Progress::Open(if overdue { timeout(op) } else { saying(d, op.kind) });
    }
    if op.kind == OperationKind::DeleteFailed {
        // Gone is what ends it. Until then it is asked for again, seldom.
        let lost = d.memory.sent.is_none();
        let again = lost || d.now() >= later(op.started_at, ASK_AGAIN);
        return if again {
            Progress::Closed
        } else {
            Progress::Open(saying(d, op.kind))
        };
    }
    if seen.state == ServerState::Error {
        return match op.kind {
            // The record of a step that is tried again counts the tries.
            OperationKind::Retry => Progress::Closed,
            OperationKind::Rebuild => rebuild::failed(d, facts, op, seen),
            OperationKind::Rescue => rescue::failed(d, seen),
            OperationKind::Modify => settings::ended(d, facts, op, seen, accepted),
            OperationKind::Restart => restart::broke(d, op, seen),
            _ => close(d),
        };
    }
    // Nothing is under way and nothing came of it.
    match op.kind {
        OperationKind::Resize if accepted && may_be_old(d, op) => Progress::Open(saying(d, op.kind)),
        OperationKind::Resize if accepted => resize::without_effect(d, op),
        OperationKind::Restart => restart::ended(d, facts, op, seen),
        OperationKind::Modify => settings::ended(d, facts, op, seen, accepted),
        OperationKind::Rebuild => rebuild::ended(d, op, seen, accepted),
        OperationKind::Start if accepted && resize::start_failed(d, op, None) => close(d),
        _ if no_longer_wanted(d, facts, op) => let_be(d, op),
        _ => {
            // Once for each attempt, however often it is looked at.
            let count = d
                .memory
                .backoff
                .as_ref()
                .filter(|b| b.class == ErrorClass::Transient)
                .map_or(0, |b| b.count);
            if i64::from(count) < i64::from(op.attempt) {
                let words = without_effect(op.kind, seen);
                d.failed(ErrorClass::Transient, None, &words, None);
            }
            reopen(d, op, overdue.then(|| timeout(op)))
        }
    }
}

/// The state that an operation leads to.
fn reached(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    let settled = matches!(seen.state, ServerState::Running | ServerState::Stopped);
    match op.kind {
        OperationKind::Start => seen.state == ServerState::Running,
        OperationKind::Stop => seen.state == ServerState::Stopped,
        OperationKind::Restart
        | OperationKind::Delete
        | OperationKind::DeleteFailed
        | OperationKind::Modify
        | OperationKind::Rebuild
        | OperationKind::Cancel
        | OperationKind::DeletePart
        | OperationKind::UnmarkPart
        | OperationKind::CreateImage
        | OperationKind::CreateBackup
        | OperationKind::ChangePassword
        | OperationKind::CrashDump
        | OperationKind::ColdMigrate
        | OperationKind::LiveMigrate
        | OperationKind::Evacuate
        | OperationKind::ResetState
        | OperationKind::ConsoleOutput
        | OperationKind::RemoteConsole
        | OperationKind::BackupDisk
        | OperationKind::Unknown => false,
        OperationKind::Retry => settled,
        OperationKind::Resize => {
            let there = settled || seen.state == ServerState::AwaitingResizeConfirmation;
            there && resize::is(op.argument.as_deref().unwrap_or_default(), seen)
        }
        OperationKind::ConfirmResize | OperationKind::RevertResize => {
            settled && (ended_as_asked(d, op, seen) || !may_be_old(d, op))
        }
        OperationKind::Pause | OperationKind::Suspend | OperationKind::Shelve | OperationKind::Rescue => {
            transitions::leads_to(op.kind) == Some(seen.state)
        }
        OperationKind::Unpause => seen.state != ServerState::Paused,
        OperationKind::Resume => seen.state != ServerState::Suspended,
        OperationKind::Unshelve => seen.state != ServerState::Shelved,
        OperationKind::Restore => seen.state != ServerState::SoftDeleted,
        OperationKind::Unrescue => seen.state != ServerState::Rescued,
        OperationKind::Lock => seen.locked.is_some(),
        OperationKind::Unlock => seen.locked.is_none(),
        OperationKind::Mark => seen.marks.as_ref() == Some(&create::marks(d)),
        OperationKind::Unmark => seen.marks.is_none(),
    }
}

/// Whether the size that is seen is the one to which a confirmation, or a way back, leads.
fn ended_as_asked(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    let resize = d.status.resize.as_ref();
    let size = match op.kind {
        OperationKind::RevertResize => resize.and_then(|r| r.from.as_deref()),
        _ => resize.and_then(|r| r.to.as_deref()),
    };
    size.is_none_or(|size| resize::is(size, seen))
}

/// Whether what a list shows may be older than the last call of this operation.
pub(super) fn may_be_old(d: &Draft<'_>, op: &Operation) -> bool {
    d.now() < later(op.accepted_at.unwrap_or(op.started_at), OLD_LISTS)
}

fn done(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer) -> Progress {
    // The words of a change that failed are still true when power is put back after it.
    let resize_failed = d.status.resize.as_ref().is_some_and(|r| r.failed_size.is_some());
    let rebuild_failed = d.status.image.as_ref().is_some_and(|i| i.refused.is_some());
    let failed = resize_failed || rebuild_failed || settings::any_refused(d);
    let on_error = |f: &Failure| f.code.as_deref() == Some("onError");
    if !failed && !d.status.failure.as_ref().is_some_and(on_error) {
        d.status.failure = None;
    }
    d.memory.backoff = None;
    match op.kind {
        OperationKind::Start => {
            d.memory.stopping_until = None;
            let note = format!("server {} runs", seen.id);
            d.event(false, Reason::Started, "Start", note);
        }
        OperationKind::Stop => d.event(
            false,
            Reason::Stopped,
            "Stop",
            format!("server {} is stopped", seen.id),
        ),
        OperationKind::Restore => {
            let note = format!("server {} was brought back", seen.id);
            d.event(false, Reason::Restored, "Restore", note);
        }
        OperationKind::Pause | OperationKind::Suspend | OperationKind::Shelve | OperationKind::Rescue => d
            .event(
                false,
                Reason::PowerReached,
                op.kind.as_str(),
                format!("server {} is {}", seen.id, seen.state),
            ),
        _ => {}
    }
    if op.argument.as_deref() == Some(DRIFT) {
        let is = match op.kind {
            OperationKind::Lock => "locked",
            _ => seen.state.as_str(),
        };
        let note = format!("server {} is {is} again, as declared", seen.id);
        d.event(false, Reason::DriftCorrected, op.kind.as_str(), note);
    }
    resize::advance(d, op, seen);
    rescue::advance(d, op);
    close(d)
}

/// Ends an operation; what is next is decided in the same plan.
pub(super) fn close(d: &mut Draft<'_>) -> Progress {
    d.status.operation = None;
    d.memory.dealt_with();
    d.busy = false;
    d.takes.disruption = false;
    Progress::Closed
}

/// Ends an operation that nobody wants any more. A guest that was asked to stop may still do so.
fn let_be(d: &mut Draft<'_>, op: &Operation) -> Progress {
    if op.kind == OperationKind::Stop {
        d.memory.stopping_until = Some(op.deadline);
    }
    close(d)
}

/// Leaves the record open and lets the next plan ask again, after a wait. The deadline stays.
fn reopen(d: &mut Draft<'_>, op: &Operation, verdict: Option<Verdict>) -> Progress {
    if d.backing_off() {
        return Progress::Open(verdict.unwrap_or_else(|| saying(d, op.kind)));
    }
    Progress::Closed
}

/// A power operation that was refused and waits for its next try.
fn between_tries(d: &mut Draft<'_>, facts: &AccountFacts, op: &Operation, seen: &ObservedServer) -> Progress {
    d.busy = false;
    if reached(d, op, seen) && !seen.busy {
        return done(d, op, seen);
    }
    if no_longer_wanted(d, facts, op) {
        return let_be(d, op);
    }
    if !d.backing_off() {
        return Progress::Closed;
    }
    Progress::Open(if d.now() >= op.deadline {
        overdue(d, op)
    } else {
        saying(d, op.kind)
    })
}

/// Whether the last call of an operation was refused, and is certainly not applied.
pub(super) fn certainly_refused(d: &Draft<'_>, op: &Operation) -> bool {
    match d.outcome(&key_of(op)) {
        Some(Outcome::Refused(_, error)) => !error.maybe_applied && error.class != ErrorClass::Ambiguous,
        Some(_) => false,
        None => waits(d, op),
    }
}

/// Whether this process waits between two tries. A try that another process has recorded since is not its own: nobody knows
/// here what becomes of that.
fn waits(d: &Draft<'_>, op: &Operation) -> bool {
    let anothers = d.memory.rewritten_at.is_some_and(|at| at >= op.started_at);
    d.memory.backoff.is_some() && !anothers
}

/// Whether the wish has changed since a power operation was recorded.
fn no_longer_wanted(d: &Draft<'_>, facts: &AccountFacts, op: &Operation) -> bool {
    let wish = power::target(d);
    let can = facts.capabilities;
    let towards = |wish| transitions::is_towards(can, op.kind, wish);
    match op.kind {
        // Where nobody wishes for a power state, it is put back.
        OperationKind::Start if op.argument.as_deref() == Some(CHANGED) => !wish.is_none_or(towards),
        OperationKind::Stop => {
            let needed = match stop::Purpose::of(d, op) {
                Some(stop::Purpose::Rebuild) => rebuild::wanted(d),
                other => other.is_some(),
            };
            !wish.is_some_and(towards) && !d.deleting() && !needed
        }
        kind if transitions::is_power(kind) => !wish.is_some_and(towards),
        _ => false,
    }
}

/// What is said after its deadline of an operation that is refused: the refusal, if that needs a person.
pub(super) fn overdue(d: &Draft<'_>, op: &Operation) -> Verdict {
    let refused = refusal::words(d).filter(|v| matches!(v, Verdict::Stalled(..)));
    refused.unwrap_or_else(|| timeout(op))
}

pub(super) fn timeout(op: &Operation) -> Verdict {
    let reason = if op.kind == OperationKind::Stop {
        Reason::StopTimeout
    } else {
        Reason::OperationTimeout
    };
    let text = format!(
        "{} was due by {} and the cloud has not done it; it is looked at again and again",
        op.kind, op.deadline
    );
    Verdict::Stalled(reason, text)
}

pub(super) fn saying(d: &Draft<'_>, kind: OperationKind) -> Verdict {
    match kind {
        OperationKind::DeleteFailed => create::refused(d),
        _ if d.status.failure.is_some() && kind != OperationKind::Restart => {
            refusal::words(d).unwrap_or_else(|| power::doing(kind))
        }
        _ => power::doing(kind),
    }
}
