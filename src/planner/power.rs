//! Which power state is wanted, and the one step from the seen state towards it.

use super::bugs::{self, Bug};
use super::draft::{Draft, Verdict, words};
use super::model::{Capabilities, ObservedServer, Operate, ServerState};
use super::{AccountFacts, Step, account, group, operation, present, rescue, stop, transitions};
use crate::api::conditions::{ConditionStatus, ConditionType};
use crate::api::server::{DriftPolicy, ManagementPolicy, PowerOffMode, PowerWish, ServerSpec};
use crate::api::server_status::{OperationKind, PowerStatus};
use crate::api::{Reason, ServerStatus};
use jiff::SignedDuration;

/// So many corrections of drift within so many minutes are a fight with somebody.
const FLAPS: usize = 4;
const FLAP_MINUTES: i64 = 10;

/// The effective power wish, and the layer that decided it.
pub(super) fn wish(d: &Draft<'_>) -> (PowerWish, &'static str) {
    if bugs::has(Bug::StartTheStopped) {
        return (PowerWish::Running, "Default");
    }
    let (own, from) = own_wish(d.spec);
    group::member::layer(d, own).map_or((own, from), |wish| (wish, "Group"))
}

fn own_wish(spec: &ServerSpec) -> (PowerWish, &'static str) {
    match (spec.power_state, &spec.import, spec.management_policy) {
        (_, _, ManagementPolicy::Observe) => (PowerWish::Unmanaged, "ManagementPolicy"),
        (Some(wish), ..) => (wish, "Spec"),
        (None, Some(_), _) => (PowerWish::Unmanaged, "Default"),
        (None, None, _) => (PowerWish::Running, "Default"),
    }
}

/// The state that the server is to be in; none where its power is left as it is.
pub(super) fn target(d: &Draft<'_>) -> Option<ServerState> {
    match rescue::wanted(d) {
        Some(_) => Some(ServerState::Rescued),
        None => ServerState::of_wish(wish(d).0),
    }
}

/// The same in a word, and the layer that decided it.
pub(super) fn declared(d: &Draft<'_>) -> (&'static str, &'static str) {
    if rescue::wanted(d).is_some() {
        return (ServerState::Rescued.as_str(), "Rescue");
    }
    let (wish, from) = wish(d);
    (wish.as_str(), from)
}

/// A wish that this cloud cannot fulfil.
pub(super) fn unsupported(d: &Draft<'_>, can: &Capabilities) -> Option<Verdict> {
    let (wish, _) = wish(d);
    if wish == PowerWish::Unmanaged || can.power_states.contains(&wish) {
        return None;
    }
    let offered: Vec<_> = can.power_states.iter().map(|p| p.as_str()).collect();
    let text = format!(
        "powerState {wish} cannot be had from this cloud; it has {}",
        offered.join(", ")
    );
    Some(Verdict::Stalled(Reason::Unsupported, text))
}

/// Compares a settled server with the wish. `Ok` when power needs nothing (with what is said of it).
pub(super) fn settle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<Verdict, Verdict> {
    let (name, _) = declared(d);
    d.compared = true;
    if let Some(verdict) = unsupported(d, facts.capabilities) {
        let text = verdict.words().map_or(String::new(), |(_, text)| text);
        synced(d, ConditionStatus::False, Reason::Unsupported, &text);
        return Err(verdict);
    }
    let Some(target) = target(d) else {
        synced(d, ConditionStatus::True, Reason::Unmanaged, "");
        d.status.respected_wish = None;
        return Ok(Verdict::Ready(
            Reason::AsDeclared,
            Reason::AsDeclared.meaning().to_owned(),
        ));
    };
    if seen.state == target {
        synced(d, ConditionStatus::True, Reason::Synced, "");
        d.status.respected_wish = None;
        // Of what is shelved the cloud's word says whether it is off its host already.
        let is = if target == ServerState::Shelved {
            words(seen)
        } else {
            name.to_owned()
        };
        return Ok(Verdict::Ready(
            Reason::AsDeclared,
            format!(
                "server is {is} as declared{}{}",
                rescue::holds(d),
                costs(facts.capabilities, target)
            ),
        ));
    }
    let Some(kind) = transitions::first_step(facts.capabilities, seen.state, target) else {
        let text = format!("no way leads from {} to {name} here", words(seen));
        synced(d, ConditionStatus::False, Reason::Unsupported, &text);
        return Err(Verdict::Stalled(Reason::Unsupported, text));
    };
    if tolerated(d, name, target, seen) {
        d.status.respected_wish = Some(name.to_owned());
        let stop = d.spec.drift_policy == DriftPolicy::RespectStop && seen.state == ServerState::Stopped;
        let (reason, cure) = if stop {
            (
                Reason::StopRespected,
                "to start it set spec.powerState to Stopped and back to Running, or the annotation evenkeel.dev/retry \
                 to a new value",
            )
        } else if exotic(seen.state) {
            (
                Reason::PowerDrift,
                "it is left alone until it is ended in the cloud or the wish changes; spec.driftPolicy EnforceAll ends it",
            )
        } else {
            (
                Reason::PowerDrift,
                "it is left alone until the wish changes; spec.driftPolicy Enforce puts it back",
            )
        };
        let text = format!(
            "{} was brought about from outside; {name} is declared; {cure}",
            words(seen)
        );
        synced(d, ConditionStatus::False, reason, &text);
        d.drifts.push((reason, text.clone()));
        return Ok(Verdict::Ready(reason, text));
    }
    let corrects = was_reached(d, name, seen) || foreign(d, seen);
    if corrects {
        d.drifts.push((
            Reason::PowerDrift,
            format!("found {}, {name} is declared; it is put back", words(seen)),
        ));
    }
    synced(d, ConditionStatus::False, reason_of(kind), "");
    let verdict = act(d, facts, id, seen, kind, corrects);
    if d.step == Step::Wait
        && let Some((reason, text)) = verdict.words()
    {
        synced(d, ConditionStatus::False, reason, &text);
    }
    Err(verdict)
}

/// What a server that stands still goes on costing, in words that follow a sentence.
fn costs(can: &Capabilities, state: ServerState) -> String {
    can.idle_cost(state)
        .map_or_else(String::new, |c| format!("; {}", c.holds))
}

/// The state of the guest behind a question about its size, as far as the cloud tells it.
pub(super) fn behind(seen: &ObservedServer) -> Option<ServerState> {
    match (seen.state, seen.guest_running) {
        (ServerState::AwaitingResizeConfirmation, running) => running.map(|running| match running {
            true => ServerState::Running,
            false => ServerState::Stopped,
        }),
        (state, _) => Some(state),
    }
}

/// Says of power what is plain although something else comes first.
pub(super) fn glance(d: &mut Draft<'_>, seen: &ObservedServer) {
    let state = behind(seen);
    if state.is_some() && target(d) == state {
        synced(d, ConditionStatus::True, Reason::Synced, "");
    }
}

/// Whether the wish of now was fulfilled before.
pub(super) fn reached_before(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    was_reached(d, declared(d).0, seen)
}

/// A person wants a stop from outside to be undone after all.
pub(super) fn respect_no_more(d: &mut Draft<'_>) {
    let seen = d.old.power.as_ref().and_then(|p| p.observed.as_deref());
    if d.spec.drift_policy == DriftPolicy::RespectStop && seen == Some(ServerState::Stopped.as_str()) {
        d.status.respected_wish = None;
    }
}

/// Whether the difference came from outside and policy says to leave it.
fn tolerated(d: &Draft<'_>, name: &str, target: ServerState, seen: &ObservedServer) -> bool {
    if d.status.respected_wish.as_deref() == Some(name) {
        return policy_leaves(d.spec.drift_policy, seen.state, target);
    }
    // Nothing is recorded of a server that is found by our mark: the status was lost.
    let found = d.was(ConditionType::PowerSynced).is_none()
        && d.import().is_none()
        && d.status.create_attempts.is_none();
    (was_reached(d, name, seen) || foreign(d, seen) || found)
        && policy_leaves(d.spec.drift_policy, seen.state, target)
}

/// Whether a server neither runs nor is stopped, and rests.
pub(super) const fn exotic(state: ServerState) -> bool {
    use ServerState::{Paused, Rescued, Shelved, Suspended};
    matches!(state, Paused | Suspended | Shelved | Rescued)
}

/// Writes down whose such a state is: ours if we brought it about, or if it is there while the wish changes.
pub(super) fn tell_whose(d: &mut Draft<'_>, seen: &ObservedServer) {
    if seen.busy || seen.unreadable || seen.state.is_transitional() || seen.state == ServerState::Unknown {
        return;
    }
    let desired = |s: &ServerStatus| s.power.as_ref().and_then(|p| p.desired.clone());
    let wish_changed = desired(&d.old).is_some_and(|old| Some(old) != desired(&d.status));
    let led = d.status.operation.as_ref().is_some_and(|op| {
        transitions::leads_to(op.kind) == Some(seen.state) && !operation::certainly_refused(d, op)
    });
    let ours = exotic(seen.state) && (wish_changed || led || target(d) == Some(seen.state));
    if let Some(power) = &mut d.status.power {
        let word = seen.state.as_str();
        if ours {
            power.ours = Some(word.to_owned());
        } else if power.ours.as_deref() != Some(word) {
            power.ours = None;
        }
    }
}

/// Whether a wish is another one than before. What is there as it changes is no stranger to the new one.
pub(super) fn changes(power: &mut PowerStatus, wish: &str) -> bool {
    let new = power.desired.as_deref().is_some_and(|d| d != wish);
    let observed = power.observed.as_deref();
    let mut there = ServerState::ALL.iter().filter(|s| exotic(**s));
    if let Some(state) = there.find(|s| new && observed == Some(s.as_str())) {
        power.ours = Some(state.as_str().to_owned());
    }
    new
}

/// Whether such a state was brought about by somebody else.
fn foreign(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let ours = d.status.power.as_ref().and_then(|p| p.ours.as_deref());
    exotic(seen.state) && ours != Some(seen.state.as_str())
}

/// The policy table: is this state, brought about from outside, left alone?
pub(super) fn policy_leaves(policy: DriftPolicy, state: ServerState, target: ServerState) -> bool {
    let plain = matches!(state, ServerState::Running | ServerState::Stopped);
    match policy {
        DriftPolicy::EnforceAll => false,
        DriftPolicy::Enforce => !plain,
        DriftPolicy::RespectStop => {
            !plain || (state == ServerState::Stopped && target == ServerState::Running)
        }
        DriftPolicy::Observe => true,
    }
}

/// Whether this very wish was fulfilled before, so that a difference now comes from outside.
fn was_reached(d: &Draft<'_>, name: &str, seen: &ObservedServer) -> bool {
    // A stop of ours from before the wish changed may land late.
    let ours = d.memory.stopping_until.is_some_and(|until| d.now() <= until);
    if ours && seen.state == ServerState::Stopped {
        return false;
    }
    // Unknown: it was fulfilled when it was compared last.
    let last = d.was(ConditionType::PowerSynced);
    matches!(last, Some(ConditionStatus::True | ConditionStatus::Unknown))
        && d.old.power.as_ref().and_then(|p| p.desired.as_deref()) == Some(name)
}

fn act(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    kind: OperationKind,
    corrects: bool,
) -> Verdict {
    let what = format!("{kind} is needed: found {}", words(seen));
    if let Some(reason) = d.gagged(facts) {
        return account::held(d, reason, &what);
    }
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &what) {
        return verdict;
    }
    if let Some(verdict) = flapping(d, &words(seen)) {
        synced(d, ConditionStatus::False, Reason::Flapping, "");
        return verdict;
    }
    if corrects {
        d.memory.corrections.push(d.now());
    }
    // Told when it is done; until then the record says what it is for.
    let open = d.status.operation.as_ref().filter(|o| o.kind == kind);
    let purpose = open.and_then(|o| o.argument.as_deref());
    let argument = if corrects || purpose == Some(operation::DRIFT) {
        Some(operation::DRIFT)
    } else {
        let restores = kind == OperationKind::Start && d.takes.disruption;
        restores.then_some(operation::CHANGED)
    };
    let argument = argument.map(str::to_owned);
    let can = facts.capabilities;
    let seconds = i64::from(can.deadline(kind));
    if kind == OperationKind::Stop {
        let timeout = d.spec.power_off.timeout.as_secs();
        if !stop::send(d, can, id, d.spec.power_off.mode, timeout, argument) {
            return stop::unsupported(d.spec.power_off.mode, can);
        }
    } else {
        let how = match kind {
            OperationKind::Start => start(d, can),
            OperationKind::Rescue => rescue::enter(d),
            _ => Operate::Plain,
        };
        d.operate(id, kind, how, seconds, argument);
    }
    match &d.status.operation {
        Some(op) if op.deadline <= d.now() => operation::overdue(d, op),
        _ => operation::saying(d, kind),
    }
}

/// So much was put back in a short time that somebody else is at it: `found` again, and left so.
pub(super) fn flapping(d: &mut Draft<'_>, found: &str) -> Option<Verdict> {
    let now = d.now();
    let window = SignedDuration::from_mins(FLAP_MINUTES);
    d.memory.corrections.retain(|t| now.duration_since(*t) < window);
    if d.memory.corrections.len() < FLAPS {
        return None;
    }
    d.again(d.after(60));
    d.drifts
        .push((Reason::Flapping, Reason::Flapping.meaning().to_owned()));
    let text = format!(
        "it was put back {FLAPS} times in {FLAP_MINUTES} minutes; found {found} again; \
         find out who changes it, then set the annotation evenkeel.dev/retry to a new value"
    );
    Some(Verdict::Stalled(Reason::Flapping, text))
}

/// Starts a server that was stopped for a change, where no power wish does it. `Err`: why it cannot be now.
pub(super) fn put_back(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    what: &str,
) -> Result<(), Verdict> {
    let kind = OperationKind::Start;
    if let Some(verdict) = present::not_now(d, facts, seen, kind, what) {
        return Err(verdict);
    }
    let how = start(d, facts.capabilities);
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, how, seconds, Some(operation::CHANGED.to_owned()));
    Ok(())
}

/// A start, with what the wish says of the place.
pub(super) fn start(d: &Draft<'_>, can: &Capabilities) -> Operate {
    let hints = (can.hints)(OperationKind::Start, d.spec);
    if hints.is_empty() {
        Operate::Plain
    } else {
        Operate::Attributes(hints)
    }
}

/// A restart in which a guest that is asked is given so many seconds, with what the wish says of the place.
pub(super) fn restart(d: &Draft<'_>, can: &Capabilities, mode: PowerOffMode, seconds: u32) -> Operate {
    Operate::Restart {
        mode,
        seconds,
        hints: (can.hints)(OperationKind::Restart, d.spec),
    }
}

/// What is said while an operation runs. Constant, so that it is written once.
pub(super) fn doing(kind: OperationKind) -> Verdict {
    let reason = reason_of(kind);
    Verdict::Reconciling(reason, reason.meaning().to_owned())
}

pub(super) const fn reason_of(kind: OperationKind) -> Reason {
    match kind {
        OperationKind::Start => Reason::Starting,
        OperationKind::Stop => Reason::Stopping,
        OperationKind::Restart => Reason::Restarting,
        OperationKind::Resize => Reason::Resizing,
        OperationKind::ConfirmResize => Reason::Confirming,
        OperationKind::RevertResize => Reason::Reverting,
        OperationKind::Pause => Reason::Pausing,
        OperationKind::Suspend => Reason::Suspending,
        OperationKind::Shelve => Reason::Shelving,
        OperationKind::Unpause
        | OperationKind::Resume
        | OperationKind::Unshelve
        | OperationKind::Restore
        | OperationKind::Unrescue => Reason::Restoring,
        OperationKind::Delete => Reason::Deleting,
        OperationKind::DeleteFailed => Reason::CreateFailed,
        OperationKind::Mark | OperationKind::Unmark | OperationKind::UnmarkPart => Reason::Marking,
        OperationKind::Rescue => Reason::Rescuing,
        OperationKind::Lock => Reason::Locking,
        OperationKind::Unlock => Reason::Unlocking,
        OperationKind::Rebuild => Reason::Rebuilding,
        OperationKind::Modify => Reason::Modifying,
        OperationKind::Cancel => Reason::Cancelling,
        OperationKind::Retry => Reason::RetryingStep,
        OperationKind::DeletePart => Reason::RemovingParts,
        OperationKind::CreateImage
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
        | OperationKind::Unknown => Reason::Acting,
    }
}

pub(super) fn synced(d: &mut Draft<'_>, status: ConditionStatus, reason: Reason, text: &str) {
    let text = if text.is_empty() { reason.meaning() } else { text };
    d.condition(ConditionType::PowerSynced, status, reason, text);
}
