//! Deeds: what ServerActions ask for, one after the other in the order in which they were made, each once.
//!
//! What was begun is written into `status.actions` together with the operation, before the cloud is called. That record,
//! and not the ServerAction, says what was done.

mod arguments;
pub mod object;
mod progress;
mod records;
mod resize;

use std::sync::Arc;

use super::draft::{Draft, Verdict, later, words};
use super::model::{Capabilities, ObservedServer, ServerState};
use super::resize::asks_about_ours;
use super::{AccountFacts, Step, create, group, lock, power, present, restart, stop};
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::{ManagementPolicy, PowerOffMode, ResizeConfirm};
use crate::api::server_action::{Deed, DeedOutcome, ServerAction};
use crate::api::server_status::{OperationKind, ResizePhase};
use crate::api::{Reason, keys};
pub(super) use progress::progress;
pub(super) use records::lost;
use records::{MOST, begin, fail, note, record_of, settle, tidy, wait, wait_for};
pub(super) use resize::{approved, tend};

/// The call that a deed is. `Resize` is none: it lets the wish be carried out.
const CALLS: &[(Deed, OperationKind)] = &[
    (Deed::Reboot, OperationKind::Restart),
    (Deed::ConfirmResize, OperationKind::ConfirmResize),
    (Deed::RevertResize, OperationKind::RevertResize),
    (Deed::CreateImage, OperationKind::CreateImage),
    (Deed::CreateBackup, OperationKind::CreateBackup),
    (Deed::Rebuild, OperationKind::Rebuild),
    (Deed::Reinstall, OperationKind::Rebuild),
    (Deed::ChangePassword, OperationKind::ChangePassword),
    (Deed::CrashDump, OperationKind::CrashDump),
    (Deed::ColdMigrate, OperationKind::ColdMigrate),
    (Deed::LiveMigrate, OperationKind::LiveMigrate),
    (Deed::Evacuate, OperationKind::Evacuate),
    (Deed::ResetState, OperationKind::ResetState),
    (Deed::ConsoleOutput, OperationKind::ConsoleOutput),
    (Deed::RemoteConsole, OperationKind::RemoteConsole),
    (Deed::Cancel, OperationKind::Cancel),
    (Deed::BackupDisk, OperationKind::BackupDisk),
];

/// Deeds that change nothing but power: `managementPolicy: PowerOnly` allows them.
const OF_POWER: &[Deed] = &[Deed::Reboot];

pub(crate) fn call(deed: Deed) -> Option<OperationKind> {
    CALLS.iter().find(|row| row.0 == deed).map(|row| row.1)
}

/// In which settled states a cloud accepts a call for a deed; empty if it has no such thing. `hard`: of a restart that is
/// one.
pub(crate) fn accepted_in(can: &Capabilities, kind: OperationKind, hard: bool) -> &'static [ServerState] {
    if kind == OperationKind::Restart && !can.hard_restart.is_empty() {
        // A guest that is asked has to run.
        return if hard {
            can.hard_restart
        } else {
            &[ServerState::Running]
        };
    }
    let row = can.preconditions.iter().find(|row| row.0 == kind);
    row.map_or(&[], |row| row.1)
}

/// A ServerAction is taken up within so many seconds; one that is not, holds nobody up.
const TAKEN_WITHIN: i64 = 5;

/// Deeds that end what others wait for.
const FREEING: &[Deed] = &[
    Deed::ConfirmResize,
    Deed::RevertResize,
    Deed::ResetState,
    Deed::Cancel,
];

/// Deeds that are for a server that is busy, whatever with: they come before what waits for it.
const UNSTICKING: &[Deed] = &[Deed::ResetState, Deed::Cancel];

fn unsticks(action: &ServerAction) -> bool {
    action.spec.deed().is_some_and(|deed| UNSTICKING.contains(&deed))
}

/// Whether a restart is asked for that pulls the plug.
fn is_hard(action: &ServerAction) -> bool {
    action.spec.reboot.as_ref().map(|r| r.mode) == Some(PowerOffMode::Hard)
}

/// Whether a deed need not wait for the end of what the server is in the middle of: its cloud takes it there too.
fn passes(can: &Capabilities, seen: &ObservedServer, action: &ServerAction) -> bool {
    let kind = action.spec.deed().and_then(call);
    let takes = |kind| accepted_in(can, kind, is_hard(action)).contains(&seen.state);
    unsticks(action) || (seen.state.is_transitional() && kind.is_some_and(takes))
}

/// Whether the server is in a state of passage of our own: stopped for a change, or with a new size that is confirmed without
/// being asked for.
fn changing(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let phase = d.status.resize.as_ref().and_then(|r| r.phase);
    let confirmed_by_us = seen.state == ServerState::AwaitingResizeConfirmation
        && asks_about_ours(d, seen)
        && d.spec.resize.confirm != ResizeConfirm::Manual;
    let halfway = matches!(
        phase,
        Some(ResizePhase::Stopping | ResizePhase::Restoring | ResizePhase::Reverting)
    );
    stop::for_a_change(d, seen) || halfway || confirmed_by_us
}

/// What became of the turn of one deed.
enum Turn {
    /// It is over; the next one has its turn.
    Over,
    /// It waits, and what else is wished for goes on.
    Waits,
    /// It takes this plan.
    Takes(Verdict),
}

/// Gives the oldest deed that is not over its turn.
pub(super) fn next(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    tidy(d);
    // What is stuck is freed before what waits for it.
    let passing = seen.busy || seen.state.is_transitional();
    let can = facts.capabilities;
    let (first, rest): (Vec<_>, Vec<_>) = d
        .input
        .actions
        .iter()
        .partition(|a| passing && passes(can, seen, a));
    let mut before = false;
    for action in first.into_iter().chain(rest) {
        if let Some(until) = coming(d, action) {
            d.again(until);
            d.busy = true;
            return Some(Verdict::Keep);
        }
        // What was let through keeps its place until it is carried out.
        if resize::goes_first(d, action) {
            before = true;
        }
        if !may_begin(d, action) || before && !frees(seen, action) {
            continue;
        }
        if record_of(&d.status, uid(action)).is_none() && d.status.actions.len() >= MOST {
            return None;
        }
        match turn(d, facts, id, seen, action) {
            Turn::Over => {}
            Turn::Waits => return None,
            Turn::Takes(verdict) => return Some(verdict),
        }
    }
    None
}

/// Whether a deed ends what a size that was let through waits for.
fn frees(seen: &ObservedServer, action: &ServerAction) -> bool {
    let answers = seen.state == ServerState::AwaitingResizeConfirmation;
    let ends = |deed| answers && FREEING.contains(&deed);
    unsticks(action) || action.spec.deed().is_some_and(ends)
}

/// Until when a ServerAction that was just made is waited for: it is taken up within a moment, and comes before what was made or
/// wished later.
fn coming(d: &Draft<'_>, action: &ServerAction) -> Option<jiff::Timestamp> {
    let until = later(action.metadata.creation_timestamp.as_ref()?.0, TAKEN_WITHIN);
    let comes = object::is_coming(action, d.uid()) && object::run_before(&d.status, action).is_none();
    (comes && until > d.now()).then_some(until)
}

/// Whether the deed of a ServerAction is still to be begun.
fn may_begin(d: &Draft<'_>, action: &ServerAction) -> bool {
    let known = record_of(&d.status, uid(action));
    // What says that it was begun, and has no record here, is not begun again.
    let lost = known.is_none() && action.status.as_ref().is_some_and(|s| s.started_at.is_some());
    object::is_open(action, d.uid())
        && object::run_before(&d.status, action).is_none()
        && known.is_none_or(|r| r.outcome == DeedOutcome::Waiting)
        && !lost
}

/// Operations that end without the host of their server: the cloud writes something down, or makes it elsewhere.
const WITHOUT_HOST: &[OperationKind] = &[
    OperationKind::Evacuate,
    OperationKind::Lock,
    OperationKind::Unlock,
    OperationKind::Mark,
    OperationKind::Unmark,
    OperationKind::Modify,
];

/// Whether a deed takes its server from a host that is off: nothing that was asked of that host comes any more.
fn leaves_a_dead_host(action: &ServerAction) -> bool {
    action.spec.deed() == Some(Deed::Evacuate)
}

/// An operation that the cloud has not ended in time gives way to a person who ends it, or takes its server out of it, if
/// the next deed does that. One that was asked of a host that is off gives way to an evacuation at once.
pub(super) fn overrule(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let open = d.status.operation.as_ref()?;
    let (overdue, ends_by_itself) = (open.deadline <= d.now(), WITHOUT_HOST.contains(&open.kind));
    if d.in_flight() {
        return None;
    }
    let can = facts.capabilities;
    let ends = |a: &ServerAction| overdue || (!ends_by_itself && leaves_a_dead_host(a));
    let frees = |a: &&Arc<ServerAction>| ends(a) && passes(can, seen, a) && may_begin(d, a);
    let first = d.input.actions.iter().find(frees)?;
    if d.status.actions.len() >= MOST && record_of(&d.status, uid(first)).is_none() {
        return None;
    }
    let stuck = d.status.operation.take();
    match turn(d, facts, id, seen, first) {
        Turn::Takes(verdict) => {
            // Nobody waits for what it was any more.
            match &stuck {
                Some(o) if o.kind == OperationKind::ColdMigrate => resize::forget_migration(d),
                Some(o) if o.kind == OperationKind::Restart => restart::given_up(d, o),
                _ => {}
            }
            let lost = stuck
                .and_then(|o| o.action_uid)
                .filter(|_| leaves_a_dead_host(first));
            if let Some(uid) = lost {
                let by = first.metadata.name.as_deref().unwrap_or_default();
                let text = format!(
                    "ServerAction {by} takes the server from a host that is off: whether this was done there cannot be known"
                );
                settle(d, &uid, DeedOutcome::Unknown, Reason::OutcomeUnknown, &text);
            }
            tidy(d);
            Some(verdict)
        }
        Turn::Over | Turn::Waits => {
            d.status.operation = stuck;
            None
        }
    }
}

fn uid(action: &ServerAction) -> &str {
    action.metadata.uid.as_deref().unwrap_or_default()
}

fn turn(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    action: &Arc<ServerAction>,
) -> Turn {
    let Some(deed) = action.spec.deed() else {
        return Turn::Over;
    };
    let policy = d.spec.management_policy;
    if policy != ManagementPolicy::Full
        && !(policy == ManagementPolicy::PowerOnly && OF_POWER.contains(&deed))
    {
        let text = format!("managementPolicy {policy} of the Server does not allow {deed}");
        return fail(d, action, Reason::NotAllowed, &text);
    }
    if d.now() >= object::due(action) {
        let waited = record_of(&d.status, uid(action)).map_or(String::new(), |r| format!(": {}", r.message));
        let text = format!("not begun by {}{waited}", object::due(action));
        return fail(d, action, Reason::DeadlineExceeded, &text);
    }
    d.again(object::due(action));
    if let Some(reason) = d.gagged(facts) {
        return wait(d, action, reason, reason.meaning());
    }
    let can = facts.capabilities;
    // What is stuck is what it is for.
    let passes = passes(can, seen, action);
    if changing(d, seen) && !FREEING.contains(&deed) && !passes {
        let text = format!("the server is changed at this time: {}", words(seen));
        return wait(d, action, Reason::WaitingForServer, &text);
    }
    if let Some(until) = d.memory.deed.as_ref().map(|b| b.until).filter(|t| *t > d.now()) {
        d.again(until);
        return Turn::Waits;
    }
    let Some(kind) = call(deed) else {
        return resize::turn(d, seen, action);
    };
    let states = accepted_in(can, kind, is_hard(action));
    if states.is_empty() {
        let text = format!("this cloud has no {deed}");
        return fail(d, action, Reason::Unsupported, &text);
    }
    let passing = seen.busy || seen.state.is_transitional();
    if (passing && !passes) || seen.state == ServerState::Unknown {
        let text = format!("the server is {}", words(seen));
        return wait(d, action, Reason::WaitingForServer, &text);
    }
    if !states.contains(&seen.state) {
        if let Some(made) = unseen_since(d, facts, seen, action) {
            d.list_after = Some(made);
            let reason = Reason::WaitingForObservation;
            return wait(d, action, reason, reason.meaning());
        }
        let all: Vec<_> = states.iter().map(|s| s.as_str()).collect();
        let text = format!(
            "{deed} is done in {}; the server is {}",
            all.join(", "),
            words(seen)
        );
        return fail(d, action, Reason::NotAllowed, &text);
    }
    let how = match arguments::of(d, can, seen, action, deed) {
        Ok(how) => how,
        Err((reason, text)) => return fail(d, action, reason, &text),
    };
    if kind.disrupts()
        && seen.state == ServerState::Running
        && let Some(verdict) = group::member::turn(d)
    {
        return wait_for(d, action, &verdict);
    }
    // The states were looked at above: a hard restart is accepted in more of them than a soft one.
    let refusal = if can.allows(kind, seen.state) && !passes {
        present::not_now(d, facts, seen, kind, &format!("{deed} is asked for"))
    } else {
        not_yet(d, facts, seen, kind)
    };
    if d.step != Step::Wait {
        // Our lock is opened for it first.
        let verdict = power::doing(OperationKind::Unlock);
        let _waits = wait_for(d, action, &verdict);
        return Turn::Takes(verdict);
    }
    match refusal {
        None => {}
        Some(Verdict::Keep) => {
            d.busy = true;
            return Turn::Takes(Verdict::Keep);
        }
        Some(verdict) => return wait_for(d, action, &verdict),
    }
    if kind == OperationKind::ColdMigrate {
        resize::expect_migration(d);
    }
    let seconds = i64::from(can.deadline(kind));
    d.operate(id, kind, how, seconds, argument(d, action, deed));
    if let Some(op) = &mut d.status.operation {
        op.action_uid = Some(uid(action).to_owned());
    }
    begin(d, action);
    Turn::Takes(saying(action.metadata.name.as_deref().unwrap_or_default(), deed))
}

/// Since when the server has to be looked at before a ServerAction is refused, if it was not yet: what was seen before may
/// have changed before it was asked for.
fn unseen_since(
    d: &Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    action: &ServerAction,
) -> Option<jiff::Timestamp> {
    // Kubernetes tells whole seconds.
    let made = later(action.metadata.creation_timestamp.as_ref()?.0, 1);
    let look = d
        .memory
        .look
        .as_ref()
        .filter(|l| l.id == seen.id)
        .map(|l| l.asked_at);
    Some(made).filter(|made| facts.listing.asked_at.max(look).is_none_or(|asked| asked < *made))
}

/// Why a call that the cloud accepts in this state cannot be made now, if so.
fn not_yet(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    kind: OperationKind,
) -> Option<Verdict> {
    if d.in_flight() {
        return Some(Verdict::Keep);
    }
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return Some(Verdict::Keep);
    }
    if let Some(why) = lock::forbids(d, facts.capabilities, seen, kind) {
        return Some(Verdict::Stalled(
            Reason::Locked,
            format!("the server is locked in the cloud{why}"),
        ));
    }
    if d.backing_off() {
        let reason = Reason::Recovering;
        return Some(Verdict::Reconciling(reason, reason.meaning().to_owned()));
    }
    lock::open(d, facts, seen, kind)
}

/// What the record of the operation says of it.
fn argument(d: &Draft<'_>, action: &ServerAction, deed: Deed) -> Option<String> {
    match deed {
        Deed::Rebuild => action.spec.rebuild.as_ref().map(|r| r.image.text()),
        Deed::Reinstall => d.spec.image.as_ref().map(crate::api::server::Image::text),
        _ => None,
    }
}

/// What is said of the server while a deed is under way.
fn saying(name: &str, deed: Deed) -> Verdict {
    Verdict::Reconciling(
        Reason::Acting,
        format!("ServerAction {name}: {deed} is under way"),
    )
}

/// Whether a condition of a ServerAction is true.
fn holds(action: &ServerAction, kind: ConditionType) -> bool {
    let conditions = action.status.as_ref().map_or(&[][..], |s| &s.conditions);
    conditions::get(conditions, kind).is_some_and(|c| c.status == ConditionStatus::True.as_str())
}

/// The time by which the whole is done.
fn deadline(action: &ServerAction) -> Option<jiff::Timestamp> {
    let made = action.metadata.creation_timestamp.as_ref()?.0;
    Some(later(made, i64::from(action.spec.deadline.as_secs())))
}

/// Whether our finalizer is there.
fn has_finalizer(action: &ServerAction) -> bool {
    let mut all = action.metadata.finalizers.iter().flatten();
    all.any(|f| f == keys::ACTION_FINALIZER)
}
