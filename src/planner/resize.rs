//! Size: when a changed text is carried out, confirmed, reverted, or given up.

mod back;
mod beside;
mod hot;

use super::bugs::{self, Bug};
use super::draft::{Draft, Verdict, later};
use super::model::{CloudError, ErrorClass, ObservedServer, Operate, ServerState};
use super::operation::{Progress, close};
use super::stop::Purpose;
use super::{AccountFacts, account, broken, deeds, group, power, present, rescue, stop};
use crate::api::conditions::{ConditionStatus, ConditionType, to_seconds};
use crate::api::server::{ManagementPolicy, ResizeConfirm, ResizeOnFailure, ResizeWhen};
use crate::api::server_status::{Operation, OperationKind, ResizePhase, ResizeStatus};
use crate::api::{Duration, Reason};
pub(super) use back::{overtaken, start_failed};
pub(super) use beside::holds_back;

/// Whether a text of `spec.size` names the size that is seen.
pub(super) fn is(text: &str, seen: &ObservedServer) -> bool {
    let size = &seen.size;
    let numbers = || Some(format!("{}x{}", size.cores?, size.memory_mib?));
    size.name.as_deref() == Some(text)
        || size.id.as_deref() == Some(text)
        || numbers().as_deref() == Some(text)
}

/// Whether a resize of ours is under way.
pub(super) fn ours(d: &Draft<'_>) -> bool {
    use ResizePhase::{AwaitingConfirmation, Confirming, Requested, Reverting, Stopping};
    let phase = d.status.resize.as_ref().and_then(|r| r.phase);
    matches!(
        phase,
        Some(Stopping | Requested | AwaitingConfirmation | Confirming | Reverting)
    )
}

/// Whether the size that the cloud asks about is the one that we asked for: the question may be about a resize of
/// somebody else, who was faster.
pub(super) fn asks_about_ours(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let asked = |r: &ResizeStatus| {
        // What does not start with its new size goes back to the old one.
        let back = r.from.as_ref().filter(|_| r.failed_size.is_some());
        r.to.iter().chain(back).any(|size| is(size, seen))
    };
    ours(d) && d.status.resize.as_ref().is_some_and(asked)
}

/// A resize that the cloud certainly did not take is none of ours. What it was stopped for is still known.
pub(super) fn not_taken(d: &mut Draft<'_>) {
    if let Some(resize) = &mut d.status.resize
        && resize.phase == Some(ResizePhase::Requested)
    {
        resize.phase = None;
    }
}

/// Whether the server is being stopped for a resize.
pub(super) fn stopping(d: &Draft<'_>) -> bool {
    d.status.resize.as_ref().and_then(|r| r.phase) == Some(ResizePhase::Stopping)
}

/// Compares the size and takes the one step towards it. `Err` ends the plan.
pub(super) fn adjust(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    if seen.state == ServerState::AwaitingResizeConfirmation {
        return Err(awaiting(d, facts, id, seen));
    }
    let Some(size) = d.spec.size.clone() else {
        return Ok(());
    };
    let text = size.text();
    if !facts.capabilities.has(OperationKind::Resize) {
        let note = format!("size {text} is declared, but this cloud has no sizes");
        synced(d, ConditionStatus::False, Reason::Unsupported, &note);
        d.size_verdict = Some(Verdict::Stalled(Reason::Unsupported, note));
        return Ok(());
    }
    let failed = d
        .status
        .resize
        .as_ref()
        .is_some_and(|r| r.failed_size.as_deref() == Some(&text));
    if failed {
        back::go_on(d, facts, id, seen)?;
    }
    if is(&text, seen) {
        d.status.size_requested = Some(text);
        restore(d, facts, id, seen)?;
        back::over(d, seen);
        synced(d, ConditionStatus::True, Reason::Synced, Reason::Synced.meaning());
        return Ok(());
    }
    if overtaken(d, seen) {
        restore(d, facts, id, seen)?;
        back::over(d, seen);
    }
    let now_is = d.status.size.clone().unwrap_or_else(|| "another size".to_owned());
    if failed {
        restore(d, facts, id, seen)?;
        let note = back::kept(d, &text, &now_is);
        synced(d, ConditionStatus::False, Reason::ResizeFailed, &note);
        d.size_verdict = Some(Verdict::Stalled(Reason::ResizeFailed, note));
        return Ok(());
    }
    let first_sight = d.status.size_requested.is_none();
    if first_sight || d.status.size_requested.as_deref() == Some(&text) && !ours(d) {
        d.status.size_requested = Some(text.clone());
        d.status.resize = None;
        let note = format!("found {now_is}, {text} is declared; changed from outside, it is only shown");
        synced(d, ConditionStatus::False, Reason::SizeDrift, &note);
        d.drifts.push((Reason::SizeDrift, note));
        return Ok(());
    }
    if let Some(verdict) = hot::unsupported(facts.capabilities, &text) {
        synced(
            d,
            ConditionStatus::False,
            Reason::Unsupported,
            &hot::without(&text),
        );
        d.size_verdict = Some(verdict);
        return Ok(());
    }
    let waits = |reason: Reason| {
        (
            reason,
            format!(
                "size {text} is declared, {now_is} is in use: {}",
                reason.meaning()
            ),
        )
    };
    let stopped = seen.state == ServerState::Stopped;
    let running = seen.state == ServerState::Running;
    let by_itself = facts.capabilities.resize_stops_by_itself;
    // What is being stopped gets its size when it stands still.
    let hot = running && !stop::open(d) && hot::possible(d, facts.capabilities, &size, seen);
    let when = match d.spec.resize.when {
        _ if deeds::approved(d) => ResizeWhen::StopIfNeeded,
        when => when,
    };
    let go = match when {
        _ if d.spec.management_policy != ManagementPolicy::Full => Err(waits(Reason::Observing)),
        _ if rescue::wanted(d).is_some() => Err(waits(Reason::InRescue)),
        ResizeWhen::Manual => Err(waits(Reason::PendingApproval)),
        _ if stopped => Ok(false),
        _ if hot => Ok(false),
        ResizeWhen::WhenStopped => Err(waits(Reason::PendingPowerOff)),
        ResizeWhen::StopIfNeeded if running => Ok(!by_itself || hot::needs_stop(d, &text)),
        ResizeWhen::StopIfNeeded => Err(waits(Reason::PendingPowerOff)),
    };
    let go = go.and_then(|stop| match d.gagged(facts) {
        Some(reason) => Err(waits(reason)),
        None => Ok(stop),
    });
    let stop_first = match go {
        Ok(stop) => stop,
        Err((reason, note)) => {
            synced(d, ConditionStatus::False, reason, &note);
            // What was stopped for the size before is not kept waiting with this one.
            return match back::reached(d, seen) {
                true => restore(d, facts, id, seen),
                false => Ok(()),
            };
        }
    };
    synced(
        d,
        ConditionStatus::False,
        Reason::Resizing,
        Reason::Resizing.meaning(),
    );
    let kind = if stop_first {
        OperationKind::Stop
    } else {
        OperationKind::Resize
    };
    if running
        && !hot
        && let Some(verdict) = group::member::turn(d)
    {
        return Err(verdict);
    }
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &format!("size {text} is declared")) {
        let Some((reason, text)) = verdict.words() else {
            return Err(power::doing(OperationKind::Resize));
        };
        synced(d, ConditionStatus::False, reason, &text);
        return Err(verdict);
    }
    if stop_first {
        stop::first(d, facts, id, d.spec.power_off.mode, Purpose::Resize)?;
    }
    let restore_to = d.status.resize.take().and_then(|r| r.restore_to);
    let restore_to = if running && !hot {
        Some(ServerState::Running.as_str().to_owned())
    } else {
        restore_to
    };
    d.status.resize = Some(ResizeStatus {
        from: d.status.size.clone(),
        to: Some(text.clone()),
        phase: Some(if stop_first {
            ResizePhase::Stopping
        } else {
            ResizePhase::Requested
        }),
        restore_to,
        awaiting_since: None,
        failed_size: None,
    });
    if !stop_first {
        let seconds = i64::from(facts.capabilities.deadline(kind));
        d.operate(id, kind, Operate::Size(size), seconds, Some(text));
    }
    Err(power::doing(OperationKind::Resize))
}

/// The cloud waits for a yes or no.
fn awaiting(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    d.compared = true;
    power::glance(d, seen);
    let note = "the cloud waits for the new size to be confirmed or reverted".to_owned();
    if !asks_about_ours(d, seen) && !bugs::has(Bug::ConfirmAnothersResize) {
        if d.status
            .operation
            .as_ref()
            .is_some_and(|o| o.kind == OperationKind::Resize)
        {
            // Nothing came of ours; it is asked for again when this is over.
            not_taken(d);
            let _closed = close(d);
        }
        let note = format!("{note}; the resize was begun from outside and is left alone");
        d.drifts.push((Reason::AwaitingConfirm, note.clone()));
        return beside::held(d, facts, id, seen, note);
    }
    let now = d.now();
    let wanted = d.spec.size.as_ref().map(|s| s.text());
    let resize = d.status.resize.get_or_insert_with(ResizeStatus::default);
    resize.phase = Some(ResizePhase::AwaitingConfirmation);
    let since = *resize.awaiting_since.get_or_insert(to_seconds(now));
    let back = wanted.is_some() && wanted == resize.from;
    if let Some(reason) = d.gagged(facts) {
        return account::held(d, reason, &note);
    }
    let kind = if back {
        OperationKind::RevertResize
    } else {
        match d.spec.resize.confirm {
            ResizeConfirm::Auto => OperationKind::ConfirmResize,
            ResizeConfirm::AfterSoak => {
                let soak = d.spec.resize.soak.map_or(0, Duration::as_secs);
                let until = later(since, i64::from(soak));
                if now < until {
                    d.again(until);
                    synced(
                        d,
                        ConditionStatus::False,
                        Reason::Soaking,
                        Reason::Soaking.meaning(),
                    );
                    return Verdict::Reconciling(
                        Reason::Soaking,
                        format!("the new size is confirmed at {until}"),
                    );
                }
                OperationKind::ConfirmResize
            }
            ResizeConfirm::Manual => return beside::held(d, facts, id, seen, note),
        }
    };
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &note) {
        return if verdict == Verdict::Keep {
            power::doing(OperationKind::Resize)
        } else {
            verdict
        };
    }
    if let Some(resize) = &mut d.status.resize {
        resize.phase = Some(if back {
            ResizePhase::Reverting
        } else {
            ResizePhase::Confirming
        });
    }
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, Operate::Plain, seconds, None);
    power::doing(OperationKind::Resize)
}

/// An operation of a resize has ended: what it means for the resize.
pub(super) fn advance(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer) {
    let Some(resize) = d.status.resize.clone() else {
        return;
    };
    let to = resize.to.clone().unwrap_or_default();
    match op.kind {
        // A migration, which comes from no other size: what is wished for is as it was.
        OperationKind::ConfirmResize | OperationKind::RevertResize
            if resize.from.is_none() && !awaits(seen) =>
        {
            d.status.resize = None;
        }
        OperationKind::Resize | OperationKind::ConfirmResize if is(&to, seen) && !awaits(seen) => {
            d.status.size_requested = Some(to.clone());
            d.status.resize = Some(ResizeStatus {
                phase: Some(ResizePhase::Restoring),
                ..resize
            });
            let text = format!("server {} has size {to}", seen.id);
            d.event(false, Reason::Resized, "Resize", text);
        }
        OperationKind::Resize | OperationKind::ConfirmResize if !awaits(seen) => give_up(d, &to),
        OperationKind::RevertResize => {
            let wanted = d.spec.size.as_ref().map(|s| s.text());
            if wanted == resize.from {
                d.status.size_requested = wanted;
                d.status.resize = None;
            } else {
                give_up(d, &to);
            }
            d.event(
                false,
                Reason::Reverting,
                "Resize",
                format!("server {} is back at its old size", seen.id),
            );
        }
        _ => {}
    }
}

fn awaits(seen: &ObservedServer) -> bool {
    seen.state == ServerState::AwaitingResizeConfirmation
}

/// Power back to what it was before a resize that stopped the server, where no power wish does it.
fn restore(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Result<(), Verdict> {
    let running = Some(ServerState::Running.as_str());
    let was_running = d
        .status
        .resize
        .as_ref()
        .is_some_and(|r| r.restore_to.as_deref() == running);
    let unmanaged = ServerState::of_wish(power::wish(d).0).is_none();
    if !(was_running && unmanaged && seen.state == ServerState::Stopped) || d.gagged(facts).is_some() {
        return Ok(());
    }
    let kind = OperationKind::Start;
    power::put_back(d, facts, id, seen, "power is put back after a resize")?;
    Err(power::doing(kind))
}

/// The cloud accepted a resize and ended it without a word.
pub(super) fn without_effect(d: &mut Draft<'_>, op: &Operation) -> Progress {
    let to = op.argument.clone().unwrap_or_default();
    let note = format!(
        "the cloud accepted the resize to {to} and ended it without effect: there may be no room for that size"
    );
    d.failed(ErrorClass::Capacity, None, &note, None);
    d.memory.backoff = None;
    d.event(true, Reason::ResizeFailed, "Resize", note);
    give_up(d, &to);
    close(d)
}

/// A refusal that trying again does not cure. `false`: it may be tried again.
pub(super) fn refused(d: &mut Draft<'_>, op: &Operation, error: &CloudError) -> bool {
    use ErrorClass::{Capacity, Forbidden, InvalidSpec, Quota, Unsupported};
    if hot::refused(d, op, error.class) {
        return true;
    }
    if !matches!(
        error.class,
        InvalidSpec | Quota | Capacity | Forbidden | Unsupported
    ) {
        return false;
    }
    let to = op.argument.clone().unwrap_or_default();
    d.failed(error.class, error.code.as_deref(), &error.message, None);
    d.memory.backoff = None;
    d.event(
        true,
        Reason::ResizeFailed,
        "Resize",
        format!("size {to}: {}", error.message),
    );
    give_up(d, &to);
    true
}

/// The server is in an error state after a resize of ours.
pub(super) fn broken(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    fault: &str,
) -> Verdict {
    let size = d.status.resize.as_ref().and_then(|r| r.to.clone());
    let size = size.unwrap_or_default();
    let text = format!("server {id} is in an error state after the resize to {size}: {fault}");
    let can = facts.capabilities;
    let was_down = d.status.resize.as_ref().is_some_and(|r| r.restore_to.is_none());
    // Where nobody wishes for a power state, it is left as it was.
    let to = power::target(d).or_else(|| was_down.then_some(ServerState::Stopped));
    let kind = broken::way_out(d, can, seen, to);
    let confirms = d.status.resize.as_ref().and_then(|r| r.phase) == Some(ResizePhase::Confirming);
    // A guest that runs at its new size is not taken down because the old one could not be cleared away.
    let well = confirms && seen.guest_running == Some(true);
    if well || d.spec.resize.on_failure == ResizeOnFailure::Hold || d.gagged(facts).is_some() {
        let reason = broken::reason(seen);
        return Verdict::Stalled(reason, format!("{text}. {}", reason.advice()));
    }
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &text) {
        return verdict;
    }
    if let Err(verdict) = broken::lead_out(d, can, id, kind, Some("after-resize".to_owned())) {
        return verdict;
    }
    d.failed(ErrorClass::Transient, Some("resize"), fault, None);
    d.memory.backoff = None;
    let note = format!("{text}; {}", broken::way_out_in_words(kind));
    d.event(true, Reason::ResizeFailed, "Resize", note);
    give_up(d, &size);
    power::doing(OperationKind::RevertResize)
}

fn give_up(d: &mut Draft<'_>, to: &str) {
    let old = d.status.resize.take().unwrap_or_default();
    d.status.resize = Some(ResizeStatus {
        phase: Some(ResizePhase::Failed),
        failed_size: Some(to.to_owned()),
        awaiting_since: None,
        ..old
    });
}

fn synced(d: &mut Draft<'_>, status: ConditionStatus, reason: Reason, text: &str) {
    d.condition(ConditionType::SizeSynced, status, reason, text);
}
