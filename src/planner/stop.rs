//! How a server is stopped: by asking its guest, by cutting the power, or by one after the other, on the cloud's
//! clock or on ours.

use jiff::Timestamp;

use super::draft::{Draft, Verdict};
use super::model::{Capabilities, Operate, StopKind};
use super::{AccountFacts, restart};
use crate::api::Reason;
use crate::api::conditions::to_seconds;
use crate::api::server::PowerOffMode;
use crate::api::server_status::{Operation, OperationKind};

/// Seconds that cutting the power may take, beyond the time that the guest is given.
const CUT: u32 = 60;

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
    let kinds: Vec<_> = can.stop_kinds.iter().map(|k| k.as_str()).collect();
    let text = format!(
        "powerOff.mode {mode} cannot be had from this cloud; it has {}",
        kinds.join(", ")
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
        .filter(|o| o.kind == OperationKind::Stop && o.argument == argument);
    // An absolute time in the record: it survives this process, and is not put off by a second attempt.
    let due = open
        .and_then(|o| o.escalate_at)
        .unwrap_or_else(|| to_seconds(d.after(i64::from(timeout))));
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
    if restart::stops(op) && asked_softly(op) {
        return op.escalate_at;
    }
    let power_off = &d.spec.power_off;
    match kind(power_off.mode, power_off.timeout.as_secs(), facts.capabilities)? {
        (StopKind::Soft, true) if asked_softly(op) => op.escalate_at,
        (StopKind::Soft, false) | (StopKind::SoftThenHard, _) => Some(op.deadline),
        _ => None,
    }
}
