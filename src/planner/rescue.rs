//! Rescue mode, where `spec.rescue` asks for it: it comes before the power wish, and holds what it forbids. A rescue by
//! somebody else is left alone.

use super::draft::{Draft, Verdict};
use super::model::{CloudError, ErrorClass, ObservedServer, Operate, ServerState};
use super::operation::{Progress, close};
use super::{AccountFacts, account, power, present};
use crate::api::Reason;
use crate::api::conditions::{ConditionStatus, bounded, clean};
use crate::api::server::{Image, ManagementPolicy, Rescue};
use crate::api::server_status::{Operation, OperationKind, RescueState, RescueStatus};

/// Characters of the cloud's words that are kept.
const LENGTH: usize = 512;

/// The rescue that is declared, if one is.
pub(super) fn wanted<'a>(d: &Draft<'a>) -> Option<&'a Rescue> {
    let full = d.spec.management_policy == ManagementPolicy::Full;
    d.spec.rescue.as_ref().filter(|_| full)
}

/// The text of the image that is declared for it; none for the cloud's own choice.
fn image(rescue: &Rescue) -> Option<String> {
    rescue.image.as_ref().map(Image::text)
}

/// Forgets what is over, and notes a rescue by somebody else.
pub(super) fn tidy(d: &mut Draft<'_>, seen: &ObservedServer) {
    let wanted = wanted(d).map(image);
    let rescued = seen.state == ServerState::Rescued;
    let Some(mut known) = d.status.rescue.take() else {
        if wanted.is_some() && rescued {
            d.status.rescue = Some(RescueStatus {
                state: RescueState::Found,
                image: None,
                message: None,
            });
        }
        return;
    };
    let retry = d.status.last_handled_retry != d.old.last_handled_retry;
    let stays = match known.state {
        RescueState::Refused => !retry && wanted.as_ref() == Some(&known.image),
        RescueState::Found if rescued && wanted.is_none() => {
            // It was none of our doing, and it is none of our business that we wish for something else now.
            d.status.respected_wish = Some(power::declared(d).0.to_owned());
            false
        }
        _ => rescued,
    };
    if known.state == RescueState::Entering {
        known.state = RescueState::Active;
    }
    d.status.rescue = Some(known).filter(|_| stays);
}

/// Why a call waits that the cloud would not accept in rescue mode, where that is declared.
pub(super) fn holds_back(
    d: &Draft<'_>,
    facts: &AccountFacts,
    kind: OperationKind,
    seen: &ObservedServer,
) -> Option<Reason> {
    let waits = seen.state == ServerState::Rescued && !facts.capabilities.allows(kind, seen.state);
    wanted(d).filter(|_| waits).map(|_| Reason::InRescue)
}

/// What is said of the wishes that it holds back.
pub(super) fn holds(d: &Draft<'_>) -> String {
    let Some(wish) = wanted(d).map(|_| power::wish(d).0) else {
        return String::new();
    };
    match ServerState::of_wish(wish) {
        Some(state) => format!("; powerState {state} is held until spec.rescue is dropped"),
        None => String::new(),
    }
}

/// Ours is left that is not declared any more, or with another image. `Err` ends the plan.
pub(super) fn before_power(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    let wanted = wanted(d).map(image);
    if wanted.is_some() && !facts.capabilities.has(OperationKind::Rescue) {
        let text = "rescue cannot be had from this cloud: it has no rescue mode".to_owned();
        power::synced(d, ConditionStatus::False, Reason::Unsupported, &text);
        return Err(Verdict::Stalled(Reason::Unsupported, text));
    }
    let Some(known) = d.status.rescue.clone() else {
        return Ok(());
    };
    match known.state {
        RescueState::Refused => {
            let words = known.message.unwrap_or_default();
            let text = format!("rescue mode cannot be entered: {words}");
            power::synced(d, ConditionStatus::False, Reason::RescueFailed, &text);
            Err(Verdict::Stalled(Reason::RescueFailed, text))
        }
        RescueState::Active if wanted != Some(known.image) => Err(leave(d, facts, id, seen)),
        _ => Ok(()),
    }
}

fn leave(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    let kind = OperationKind::Unrescue;
    let what = "the server is to leave rescue mode";
    let held = match d.gagged(facts) {
        Some(reason) => Some(account::held(d, reason, what)),
        None => present::not_now(d, facts, seen, kind, what),
    };
    let verdict = held.unwrap_or_else(|| {
        let seconds = i64::from(facts.capabilities.deadline(kind));
        d.operate(id, kind, Operate::Plain, seconds, None);
        power::doing(kind)
    });
    if let Some((reason, text)) = verdict.words() {
        power::synced(d, ConditionStatus::False, reason, &text);
    }
    verdict
}

/// Writes down that the cloud is asked for it; what it is asked.
pub(super) fn enter(d: &mut Draft<'_>) -> Operate {
    let wanted = wanted(d);
    d.status.rescue = Some(RescueStatus {
        state: RescueState::Entering,
        image: wanted.and_then(image),
        message: None,
    });
    Operate::Rescue(wanted.and_then(|r| r.image.clone()))
}

/// An operation has reached its end.
pub(super) fn advance(d: &mut Draft<'_>, op: &Operation) {
    if let Some(rescue) = d
        .status
        .rescue
        .as_mut()
        .filter(|_| op.kind == OperationKind::Rescue)
    {
        rescue.state = RescueState::Active;
    }
}

/// The cloud certainly did not take it: a rescue that shows now is that of somebody else.
pub(super) fn not_taken(d: &mut Draft<'_>) {
    d.status.rescue.take_if(|r| r.state == RescueState::Entering);
}

/// Whether it was refused, or broke the server: it is not tried again by itself.
pub(super) fn given_up(d: &Draft<'_>) -> bool {
    d.status
        .rescue
        .as_ref()
        .is_some_and(|r| r.state == RescueState::Refused)
}

/// A refusal. `true`: it is not tried again by itself.
pub(super) fn refused(d: &mut Draft<'_>, error: &CloudError) -> bool {
    use ErrorClass::{Capacity, Forbidden, InvalidSpec, Quota, Unsupported};
    let last = matches!(
        error.class,
        InvalidSpec | Unsupported | Quota | Capacity | Forbidden
    );
    if last {
        give_up(d, error.class, error.code.as_deref(), &error.message);
    }
    last
}

/// The cloud accepted it, and the server is in an error state now.
pub(super) fn failed(d: &mut Draft<'_>, seen: &ObservedServer) -> Progress {
    let (class, words) = match &seen.fault {
        Some(fault) => (fault.class, fault.message.clone()),
        None => (
            ErrorClass::Transient,
            "the server is in an error state".to_owned(),
        ),
    };
    give_up(d, class, None, &words);
    close(d)
}

fn give_up(d: &mut Draft<'_>, class: ErrorClass, code: Option<&str>, words: &str) {
    d.failed(class, code, words, None);
    d.memory.backoff = None;
    if let Some(rescue) = &mut d.status.rescue {
        rescue.state = RescueState::Refused;
        rescue.message = Some(bounded(&clean(words), LENGTH));
    }
    d.event(true, Reason::RescueFailed, "Rescue", words.to_owned());
}
