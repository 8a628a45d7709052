//! How a server is stopped: by asking its guest, by cutting the power, or by one after the other, on the cloud's
//! clock or on ours; and the stop that comes before a change.

use jiff::Timestamp;

use super::draft::{Draft, Verdict};
use super::model::{Capabilities, ObservedServer, Operate, ServerState, StopKind};
use super::{AccountFacts, operation, power, present, resize};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType, to_seconds};
use crate::api::server::PowerOffMode;
use crate::api::server_status::{Operation, OperationKind};

/// Seconds that cutting the power may take, beyond the time that the guest is given.
pub(super) const CUT: u32 = 60;

/// What a server is stopped for, beside its power wish: a change that its cloud makes on stopped ones alone. It is the
/// argument of the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Settings are changed.
    Settings,
    /// An image is installed.
    Rebuild,
    /// It is restarted.
    Restart,
    /// It gets another size. `status.resize` says so.
    Resize,
}

impl Purpose {
    const ALL: &[Self] = &[Self::Settings, Self::Rebuild, Self::Restart, Self::Resize];

    /// Its argument, and what is said of power meanwhile.
    const fn row(self) -> (Option<&'static str>, Reason) {
        match self {
            Self::Settings => (Some("settings"), Reason::Modifying),
            Self::Rebuild => (Some("rebuild"), Reason::Rebuilding),
            Self::Restart => (Some("restart"), Reason::Restarting),
            Self::Resize => (None, Reason::Resizing),
        }
    }

    /// What an open stop is for; `None`: for the power wish.
    pub(super) fn of(d: &Draft<'_>, op: &Operation) -> Option<Self> {
        if op.kind != OperationKind::Stop {
            return None;
        }
        let Some(argument) = op.argument.as_deref() else {
            return resize::stopping(d).then_some(Self::Resize);
        };
        let mut all = Self::ALL.iter().copied();
        all.find(|p| p.row().0 == Some(argument))
    }
}

/// Whether the server stands still for a change of ours that is not over yet.
pub(super) fn for_a_change(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    seen.state == ServerState::Stopped
        && conditions::get(&d.old.conditions, ConditionType::PowerSynced).is_some_and(|c| {
            c.status == ConditionStatus::False.as_str()
                && Purpose::ALL.iter().any(|p| p.row().1.as_str() == c.reason)
        })
}

/// Stops a server before a change. `Err`: why it cannot be stopped now.
pub(super) fn first(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    mode: PowerOffMode,
    purpose: Purpose,
) -> Result<(), Verdict> {
    if let Some(verdict) = present::no_place(d, facts) {
        return Err(verdict);
    }
    let (argument, reason) = purpose.row();
    let timeout = d.spec.power_off.timeout.as_secs();
    if !send(
        d,
        facts.capabilities,
        id,
        mode,
        timeout,
        argument.map(str::to_owned),
    ) {
        return Err(unsupported(mode, facts.capabilities));
    }
    d.takes.disruption = true;
    // That it stands still is no drift.
    power::synced(d, ConditionStatus::False, reason, "");
    Ok(())
}

/// The guest had its time: the harder stop follows under the same record, whatever else is wished for by now.
pub(super) fn escalate(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let mode = match Purpose::of(d, op) {
        Some(Purpose::Restart) => PowerOffMode::SoftThenHard,
        _ => d.spec.power_off.mode,
    };
    let timeout = d.spec.power_off.timeout.as_secs();
    let escalates = kind(mode, timeout, facts.capabilities).is_some_and(|(_, escalates)| escalates);
    if !escalates || d.gagged(facts).is_some() {
        return None;
    }
    if let Some(verdict) = present::not_now(d, facts, seen, op.kind, "the server does not stop") {
        return Some(verdict);
    }
    send(
        d,
        facts.capabilities,
        &seen.id,
        mode,
        timeout,
        op.argument.clone(),
    );
    Some(operation::saying(d, op.kind))
}

/// Whether a stop is recorded that is not over: nothing is sent to the running server meanwhile.
pub(super) fn open(d: &Draft<'_>) -> bool {
    let mut open = d.status.operation.iter();
    open.any(|o| o.kind == OperationKind::Stop)
}

/// How this cloud stops a server in the wished way within so many seconds, if it can; and whether our own clock
/// has to make it harder then.
fn kind(mode: PowerOffMode, timeout: u32, can: &Capabilities) -> Option<(StopKind, bool)> {
    let has = |kind: StopKind| can.stop_kinds.contains(&kind);
    let one = |kind: StopKind| has(kind).then_some((kind, false));
    match mode {
        PowerOffMode::Soft => one(StopKind::Soft),
        PowerOffMode::Hard => one(StopKind::Hard),
        PowerOffMode::SoftThenHard => one(StopKind::SoftThenHard)
            .filter(|_| can.soft_stop_limit.is_none_or(|most| timeout <= most))
            .or_else(|| (has(StopKind::Soft) && has(StopKind::Hard)).then_some((StopKind::Soft, true)))
            .or_else(|| one(StopKind::SoftThenHard))
            .or_else(|| one(StopKind::CloudEscalates))
            .or_else(|| one(StopKind::Soft)),
    }
}

/// A mode that this cloud does not have.
pub(super) fn unsupported(mode: PowerOffMode, can: &Capabilities) -> Verdict {
    let offered = PowerOffMode::ALL.iter().filter(|m| kind(**m, 0, can).is_some());
    let offered: Vec<_> = offered.map(|m| m.as_str()).collect();
    let text = format!(
        "powerOff.mode {mode} cannot be had from this cloud; it has {}",
        offered.join(", ")
    );
    Verdict::Stalled(Reason::Unsupported, text)
}

/// Whether the last attempt asked the guest, and our own clock has a harder one in store.
pub(super) fn asked_softly(op: &Operation) -> bool {
    op.escalate_at.is_some_and(|at| op.started_at < at)
}

/// Records a stop and sends it: the harder one if the guest had its time. `false`: the cloud has no such stop.
pub(super) fn send(
    d: &mut Draft<'_>,
    can: &Capabilities,
    id: &str,
    mode: PowerOffMode,
    timeout: u32,
    argument: Option<String>,
) -> bool {
    let Some((how, escalates)) = kind(mode, timeout, can) else {
        return false;
    };
    let open = d
        .status
        .operation
        .as_ref()
        .filter(|o| o.kind == OperationKind::Stop);
    // An absolute time in the record: it survives this process, and is not put off by a second attempt or by another
    // purpose.
    let due = to_seconds(d.after(i64::from(timeout)));
    let due = open.and_then(|o| o.escalate_at).map_or(due, |at| at.min(due));
    let cut = escalates && due <= d.now();
    if cut && open.is_some_and(asked_softly) {
        let note = format!("server {id} did not stop within {timeout} s of being asked; its power is cut");
        d.event(true, Reason::StopTimeout, "Stop", note);
    }
    let how = if cut { StopKind::Hard } else { how };
    let by_steps = escalates || how == StopKind::SoftThenHard;
    let patience = timeout.saturating_add(if by_steps { CUT } else { 0 });
    let within = match can.soft_stop_limit {
        Some(most) if how == StopKind::SoftThenHard => timeout.min(most),
        _ => timeout,
    };
    let how = Operate::Stop(how, within);
    d.operate(id, OperationKind::Stop, how, i64::from(patience), argument);
    if let Some(op) = &mut d.status.operation {
        op.escalate_at = escalates.then_some(due);
    }
    true
}

/// Until when a guest that was asked to stop, and still runs, has its time: a cloud may show nothing of that.
pub(super) fn guest_has_until(d: &Draft<'_>, facts: &AccountFacts, op: &Operation) -> Option<Timestamp> {
    if op.kind != OperationKind::Stop {
        return None;
    }
    if Purpose::of(d, op) == Some(Purpose::Restart) && asked_softly(op) {
        return op.escalate_at;
    }
    let power_off = &d.spec.power_off;
    match kind(power_off.mode, power_off.timeout.as_secs(), facts.capabilities)? {
        (StopKind::Soft, true) if asked_softly(op) => op.escalate_at,
        (StopKind::Soft, false) | (StopKind::SoftThenHard, _) => Some(op.deadline),
        _ => None,
    }
}
