//! What else is declared while the cloud asks about a size: it is held until that is answered, and told.

use super::{AccountFacts, ObservedServer, is, synced};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded};
use crate::api::server_status::OperationKind;
use crate::planner::draft::{Draft, Verdict};
use crate::planner::model::ServerState;
use crate::planner::{lock, power, rebuild, restart, settings};

const REASON: Reason = Reason::AwaitingConfirm;

/// The question stays open for as long as nobody answers it: `note` says why.
pub(super) fn held(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    note: String,
) -> Verdict {
    let size = size_waits(d, seen);
    let of_size = match &size {
        Some(size) => format!("{note}; {size} is declared, and waits for that"),
        None => note.clone(),
    };
    synced(d, ConditionStatus::False, REASON, &of_size);
    let power = power_waits(d, seen);
    let mut waiting: Vec<String> = size.into_iter().chain(power.iter().cloned()).collect();
    // It is held back in this state, and says so itself.
    if let Err(verdict) = settings::before_power(d, facts, id, seen) {
        return verdict;
    }
    let settings = conditions::get(&d.status.conditions, ConditionType::SettingsSynced);
    if settings.is_some_and(|c| c.reason == REASON.as_str()) {
        waiting.push("settings".to_owned());
    }
    waiting.extend(rebuild::pending(d).map(|text| format!("image {text}")));
    waiting.extend(restart::pending(d).map(|token| format!("restart token {token:?}")));
    rebuild::drift(d);
    if lock::pending(d, seen) {
        waiting.push("the lock".to_owned());
    }
    if let Some(worse) = d.size_verdict.take() {
        return worse;
    }
    if waiting.is_empty() {
        return Verdict::Ready(REASON, note);
    }
    let text = bounded(
        &format!("{note}; until then these wait: {}", waiting.join(", ")),
        900,
    );
    // A server that is not in the state that is declared is not ready, for whatever reason.
    match power {
        Some(_) => Verdict::Held(REASON, text),
        None => Verdict::Ready(REASON, text),
    }
}

/// The size that is declared, where that is another one than the two that the cloud asks about.
fn size_waits(d: &Draft<'_>, seen: &ObservedServer) -> Option<String> {
    let text = d.spec.size.as_ref()?.text();
    let asked_before = d.status.size_requested.as_ref().is_none_or(|r| *r == text);
    (!asked_before && !is(&text, seen)).then(|| format!("size {text}"))
}

/// The power state that is declared, where the guest is in another one and no policy leaves it there.
fn power_waits(d: &mut Draft<'_>, seen: &ObservedServer) -> Option<String> {
    let state = power::behind(seen)?;
    let target = power::target(d).filter(|t| *t != state)?;
    if power::reached_before(d, seen) {
        let text = format!("found {state}, {target} is declared; it is looked at when the size is settled");
        d.drifts.push((Reason::PowerDrift, text));
        return None;
    }
    let text = format!("{target} is declared; {}", REASON.meaning());
    power::synced(d, ConditionStatus::False, REASON, &text);
    Some(format!("powerState {target}"))
}

/// What a cloud takes only after its question was answered.
pub(in crate::planner) fn holds_back(seen: &ObservedServer, kind: OperationKind) -> Option<Reason> {
    let asks = seen.state == ServerState::AwaitingResizeConfirmation && kind == OperationKind::Modify;
    asks.then_some(REASON)
}
