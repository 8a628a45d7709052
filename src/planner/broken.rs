//! A server that the cloud gave up on (ERROR), by its cause: what we did to it last, and whether its guest still runs.

use super::delete::parts;
use super::draft::{Draft, Verdict, words};
use super::model::{Capabilities, ErrorClass, FailedStep, ObservedServer, Operate, ServerState};
use super::present::not_now;
use super::{AccountFacts, account, create, details, power, rebuild, rescue, resize, retry, settings, stop};
use crate::api::Reason;
use crate::api::server::{ManagementPolicy, OnCreateError, OnError, PowerOffMode};
use crate::api::server_status::OperationKind;

/// The code of a failure that was answered with the one hard reboot of `onError: HardReboot`.
const TRIED: &str = "onError";

/// The advice where a cloud takes no call in that state.
const NO_CALL: &str =
    "The cloud takes no call in this state: wait until it brings the server out of it, or ask its support.";

/// The advice where a cloud restarts nothing in that state.
const ONLY_ANEW: &str = "This cloud restarts nothing in this state: cure it there, delete the object, or have it installed anew by a \
                         ServerAction with reinstall: {}, which ERASES ITS DISKS.";

/// Whether a cloud restarts what is in that state.
fn restarts(can: &Capabilities) -> bool {
    can.hard_restart.contains(&ServerState::Error) || can.allows(OperationKind::Restart, ServerState::Error)
}

/// Whether there is a way out of that state.
fn restarts_or_stops(can: &Capabilities) -> bool {
    restarts(can) || can.allows(OperationKind::Stop, ServerState::Error)
}

/// Whether a cloud accepts neither a way out of that state nor a deletion.
fn takes_nothing(can: &Capabilities) -> bool {
    !restarts_or_stops(can) && !can.allows(OperationKind::Delete, ServerState::Error)
}

/// What is done about it, and said of it.
pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    d.broken = true;
    let (class, code, fault) = match &seen.fault {
        Some(f) => (f.class, f.code.clone(), f.message.clone()),
        None => (ErrorClass::Transient, None, "the cloud gives no cause".to_owned()),
    };
    if resize::ours(d) {
        return resize::broken(d, facts, id, seen, &fault);
    }
    if let Some(verdict) = rebuild::again(d, facts, seen, class, &fault) {
        return verdict;
    }
    if seen.failed_step == Some(FailedStep::Settings) {
        return match settings::before_power(d, facts, id, seen) {
            Err(verdict) => verdict,
            Ok(()) => d
                .size_verdict
                .take()
                .unwrap_or_else(|| held(d, facts.capabilities, id, seen, &fault)),
        };
    }
    if never_ran(d, seen) {
        return creation(d, facts, id, seen, (class, code.as_deref(), &fault));
    }
    let failure = d.status.failure.as_ref();
    let tried = failure.is_some_and(|f| f.code.as_deref() == Some(TRIED));
    if d.spec.on_error == OnError::HardReboot && !tried && restarts_or_stops(facts.capabilities) {
        return once(d, facts, id, seen, class, &fault);
    }
    held(d, facts.capabilities, id, seen, &fault)
}

/// Nothing is done by itself: what it is, and what a person can do.
pub(super) fn held(
    d: &Draft<'_>,
    can: &Capabilities,
    id: &str,
    seen: &ObservedServer,
    fault: &str,
) -> Verdict {
    let reason = reason(seen);
    let advice = if takes_nothing(can) {
        NO_CALL
    } else if !restarts(can) && can.allows(OperationKind::Rebuild, seen.state) {
        ONLY_ANEW
    } else {
        reason.advice()
    };
    let after = rebuild::lost(d)
        .map(|text| format!(" after the installation of image {text}, which erased its root disk"))
        .unwrap_or_default();
    let waits = rebuild::waits(d, seen).map_or_else(String::new, |words| format!(". {words}"));
    let text = format!("server {id} is in an error state{after}: {fault}. {advice}{waits}");
    Verdict::Stalled(reason, text)
}

/// An operation can fail beside a guest that goes on running: what it needs is another cure.
pub(super) fn reason(seen: &ObservedServer) -> Reason {
    if seen.guest_running == Some(true) {
        Reason::ErrorStillRunning
    } else {
        Reason::ServerError
    }
}

/// Whether our own creation ended in it.
fn never_ran(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let power = d.status.power.as_ref();
    let was_seen_whole = power.is_some_and(|p| p.first_settled_time.is_some());
    let made = d.import().is_none() && d.status.create_attempts.unwrap_or(0) > 0;
    !seen.launched && !was_seen_whole && made && d.spec.management_policy == ManagementPolicy::Full
}

/// `onCreateError`: deleted by its id and made again, or kept.
fn creation(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    (class, code, fault): (ErrorClass, Option<&str>, &str),
) -> Verdict {
    d.takes.create = true;
    if d.memory.failed_id.as_deref() != Some(id) {
        d.memory.failed_id = Some(id.to_owned());
        d.failed(class, code, fault, None);
        let note = format!("server {id}: {fault}");
        d.event(true, Reason::CreateFailed, "Create", note);
    }
    if d.spec.on_create_error == OnCreateError::Hold {
        return Verdict::Stalled(
            Reason::CreateHeld,
            format!("{fault} (server {id} is kept: onCreateError: Hold)"),
        );
    }
    let verdict = create::refused(d);
    if retry::step(d, facts, id, seen, class, fault) {
        return verdict;
    }
    if !facts.capabilities.allows(OperationKind::DeleteFailed, seen.state) {
        d.again(d.after(60));
        let text = format!(
            "{fault}; the cloud does not delete server {id} in {}",
            words(seen)
        );
        return Verdict::Stalled(Reason::ServerError, text);
    }
    if d.gagged(facts).is_some() || not_now(d, facts, seen, OperationKind::DeleteFailed, "").is_some() {
        d.again(d.after(60));
        return verdict;
    }
    if facts.capabilities.has(OperationKind::DeletePart) {
        // What outlives it is named when it is gone.
        let Some(found) = details::of(d, seen) else {
            let _refusal = details::ask(d, id);
            return verdict;
        };
        d.status.parts = parts::recorded(&found.parts);
    }
    let seconds = i64::from(facts.capabilities.deadline(OperationKind::Delete));
    d.operate(id, OperationKind::DeleteFailed, Operate::Plain, seconds, None);
    verdict
}

/// What leads a server out of its error to where it is to be: what is to stand still is not booted for that.
pub(super) fn way_out(
    d: &Draft<'_>,
    can: &Capabilities,
    seen: &ObservedServer,
    to: Option<ServerState>,
) -> OperationKind {
    let kind = match to {
        Some(ServerState::Stopped) => OperationKind::Stop,
        Some(ServerState::Rescued) if !rescue::given_up(d) => OperationKind::Rescue,
        _ => OperationKind::Restart,
    };
    if can.allows(kind, seen.state) {
        kind
    } else {
        OperationKind::Restart
    }
}

/// What is told of it.
pub(super) const fn way_out_in_words(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Stop => "it is stopped once, which is where it is to be",
        OperationKind::Rescue => "rescue mode, which is declared, is tried once",
        _ => "one hard reboot is tried",
    }
}

/// Records the way out, and takes it. `Err`: why it cannot be taken.
pub(super) fn lead_out(
    d: &mut Draft<'_>,
    can: &Capabilities,
    id: &str,
    kind: OperationKind,
    argument: Option<String>,
) -> Result<(), Verdict> {
    let seconds = i64::from(can.deadline(kind));
    match kind {
        OperationKind::Stop => {
            let power_off = d.spec.power_off.clone();
            if !stop::send(d, can, id, power_off.mode, power_off.timeout.as_secs(), argument) {
                return Err(stop::unsupported(power_off.mode, can));
            }
        }
        OperationKind::Rescue => {
            let how = rescue::enter(d);
            d.operate(id, kind, how, seconds, argument);
        }
        _ => {
            let how = power::restart(d, can, PowerOffMode::Hard, 0);
            d.operate(id, kind, how, seconds, argument);
        }
    }
    Ok(())
}

/// `onError: HardReboot`: once.
fn once(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    class: ErrorClass,
    fault: &str,
) -> Verdict {
    let can = facts.capabilities;
    let kind = way_out(d, can, seen, power::target(d));
    if let Some(reason) = d.gagged(facts) {
        return account::held(d, reason, fault);
    }
    if let Some(verdict) = not_now(d, facts, seen, kind, fault) {
        return verdict;
    }
    if let Err(verdict) = lead_out(d, can, id, kind, None) {
        return verdict;
    }
    d.failed(class, Some(TRIED), fault, None);
    let note = format!("server {id}: {fault}; {}", way_out_in_words(kind));
    d.event(true, Reason::ServerError, kind.as_str(), note);
    power::doing(kind)
}
