//! Settings that a cloud changes on an existing server: a changed text is carried out once, and nothing else is
//! touched. What was changed from outside is shown.

mod compare;
mod items;

use super::draft::{Draft, Verdict};
use super::model::{
    CloudError, ErrorClass, FailedStep, HALF_DONE, ObservedServer, Operate, ServerState, WantedAttribute,
};
use super::operation::{Progress, close};
use super::stop::Purpose;
use super::{AccountFacts, details, group, power, present, rescue, resize, stop};
use crate::api::Reason;
use crate::api::conditions::{ConditionStatus, ConditionType, bounded};
use crate::api::hash::hash;
use crate::api::server::{ManagementPolicy, PowerWish, ResizeWhen};
use crate::api::server_status::{AppliedStatus, Operation, OperationKind, SettingStatus};

/// Characters of a text that are kept.
const LENGTH: usize = 512;
/// So many settings are remembered.
const MOST: usize = 24;

/// A text as it is remembered: short, and different for different texts.
fn text(value: &str) -> String {
    if value.chars().count() <= LENGTH {
        return value.to_owned();
    }
    let hash = hash(value);
    format!("{}#{hash:016x}", bounded(value, LENGTH - 17))
}

fn wanted(d: &Draft<'_>, facts: &AccountFacts) -> Vec<WantedAttribute> {
    let mut all = (facts.capabilities.attributes)(d.spec);
    all.truncate(MOST);
    all
}

/// Remembers that a server is made with these settings.
pub(super) fn made(d: &mut Draft<'_>, facts: &AccountFacts) {
    remember(d, facts, |w| !w.later);
    if let Some(applied) = &mut d.status.applied {
        items::come_with(applied, facts.capabilities);
    }
}

fn remember(d: &mut Draft<'_>, facts: &AccountFacts, which: fn(&WantedAttribute) -> bool) {
    let mut wanted = wanted(d, facts);
    wanted.retain(|w| !w.blank() && which(w));
    d.status.applied = None;
    if wanted.is_empty() {
        return none_wanted(d, facts);
    }
    let mut applied = AppliedStatus {
        settings: wanted.iter().map(carried_out).collect(),
        ..AppliedStatus::default()
    };
    for wish in &wanted {
        items::made(&mut applied, wish);
    }
    d.status.applied = Some(applied);
}

/// That nothing was wished for is remembered too: what is wished for later is a change, and not seen first. What is ours
/// stays ours.
fn none_wanted(d: &mut Draft<'_>, facts: &AccountFacts) {
    if facts.capabilities.has(OperationKind::Modify) {
        d.status.applied.get_or_insert_default().settings.clear();
    } else {
        d.status.applied = None;
    }
}

fn carried_out(wanted: &WantedAttribute) -> SettingStatus {
    SettingStatus {
        name: wanted.name.to_owned(),
        text: Some(text(&wanted.value)),
        ..SettingStatus::default()
    }
}

/// Whether what the cloud shows is what is wished for.
fn fits(wish: &WantedAttribute, shown: &str) -> bool {
    if !wish.verified {
        return text(&wish.value) == text(shown);
    }
    let (wish, shown): (Vec<_>, Vec<_>) = (wish.value.split(' ').collect(), shown.split(' ').collect());
    let one = |(wish, shown): (&&str, &&str)| match wish.split_once('*') {
        Some((head, tail)) => shown.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
        None => wish == shown,
    };
    wish.len() == shown.len() && wish.iter().zip(&shown).all(one)
}

/// Before power is compared: a server that is stopped is changed before it is started.
pub(super) fn before_power(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    let listed = seen;
    let (seen, asks) = compare::told(d, facts, seen);
    let seen = &*seen;
    let (mut changed, kept) = compare::compare(d, facts, seen);
    let refused = d
        .status
        .applied
        .iter()
        .flat_map(|a| &a.settings)
        .find(|s| s.refused.is_some());
    if changed.is_empty() {
        if let Some(setting) = refused {
            let words = setting.message.as_deref().unwrap_or("the cloud refuses it");
            let note = format!("{} cannot be changed: {words}", setting.name);
            synced(d, ConditionStatus::False, Reason::SettingsRefused, &note);
            d.aside(Verdict::Stalled(Reason::SettingsRefused, note));
        } else if let Some(text) = kept {
            // It takes a moment: what was said before is said until then.
            let said = d.was(ConditionType::SettingsSynced) == Some(ConditionStatus::False);
            if !(asks && said) {
                synced(d, ConditionStatus::False, Reason::NotApplied, &text);
            }
        } else if d.status.applied.as_ref().is_some_and(|a| !a.settings.is_empty()) {
            let unseen = compare::unseen(d, facts, id, seen);
            synced(d, ConditionStatus::True, Reason::Synced, &unseen);
        }
        return Ok(());
    }
    let names: Vec<_> = changed.iter().map(|w| w.name).collect();
    let names = names.join(", ");
    let waits = |reason: Reason| (reason, format!("{names} is to be changed: {}", reason.meaning()));
    // Where the cloud gave up on a change, it takes another one as it is.
    let gave_up = seen.failed_step == Some(FailedStep::Settings);
    let mends = gave_up && facts.capabilities.allows(OperationKind::Modify, seen.state);
    // What it does not show, a password, had no part in that.
    let mends = mends && changed.iter().any(|w| w.verified);
    if mends && seen.state != ServerState::Stopped {
        changed.retain(|w| w.verified);
    }
    let stopped = seen.state == ServerState::Stopped || mends;
    let hold = if d.spec.management_policy != ManagementPolicy::Full {
        Some(Reason::Observing)
    } else {
        d.gagged(facts)
            .or_else(|| rescue::holds_back(d, facts, OperationKind::Modify, seen))
            .or_else(|| resize::holds_back(seen, OperationKind::Modify))
    };
    if let Some(reason) = hold {
        let (reason, note) = waits(reason);
        synced(d, ConditionStatus::False, reason, &note);
        return Ok(());
    }
    let (held, mut changed): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|w| w.not_in.contains(&seen.state));
    if changed.is_empty() {
        let names: Vec<_> = held.iter().map(|w| w.name).collect();
        let text = format!(
            "{} cannot be changed while the server is {}",
            names.join(", "),
            seen.state
        );
        synced(d, ConditionStatus::False, Reason::Unsupported, &text);
        return Ok(());
    }
    let cold = changed.iter().any(|w| w.needs_stop) && !stopped;
    let stops = cold
        && seen.state == ServerState::Running
        && d.spec.resize.when == ResizeWhen::StopIfNeeded
        && power::wish(d).0 == PowerWish::Running;
    if cold && !stops {
        let text = format!("{names} can only be changed while the server is stopped");
        synced(d, ConditionStatus::False, Reason::PendingPowerOff, &text);
        changed.retain(|w| !w.needs_stop);
    } else {
        synced(
            d,
            ConditionStatus::False,
            Reason::Modifying,
            Reason::Modifying.meaning(),
        );
    }
    // What is being stopped is changed when it stands still.
    if changed.is_empty() || (!stops && !stopped && stop::open(d)) {
        return Ok(());
    }
    if changed.iter().any(|w| w.items.is_some()) && !details::fresh(d, listed) {
        details::ask(d, id);
        return Err(power::doing(OperationKind::Modify));
    }
    let kind = if stops {
        OperationKind::Stop
    } else {
        OperationKind::Modify
    };
    if let Some(verdict) = present::not_now(d, facts, seen, kind, &format!("{names} is to be changed")) {
        return match verdict {
            // Power does not wait for settings, unless the cloud is busy with both.
            // It is changed when the server is out of that state.
            Verdict::Stalled(Reason::Unsupported, text) => {
                synced(d, ConditionStatus::False, Reason::Unsupported, &text);
                Ok(())
            }
            Verdict::Stalled(reason, text) => {
                synced(d, ConditionStatus::False, reason, &text);
                d.aside(Verdict::Stalled(reason, text));
                Ok(())
            }
            Verdict::Keep => Err(power::doing(OperationKind::Modify)),
            other => Err(other),
        };
    }
    if stops {
        if let Some(verdict) = group::member::turn(d) {
            if let Some((reason, text)) = verdict.words() {
                synced(d, ConditionStatus::False, reason, &text);
            }
            return Err(verdict);
        }
        stop::first(d, facts, id, d.spec.power_off.mode, Purpose::Settings)?;
        return Err(power::doing(OperationKind::Modify));
    }
    if changed.iter().any(|w| !w.alone) {
        changed.retain(|w| !w.alone);
    } else {
        changed.truncate(1);
    }
    let names: Vec<_> = changed.iter().map(|w| w.name).collect();
    // The record comes before the call: what is being sent counts as carried out, until it is known not to be.
    let mut step = None;
    if let Some(applied) = &mut d.status.applied {
        for wish in &changed {
            step = items::step(wish, applied, seen);
            if let Some(change) = &step {
                items::record(applied, wish, change, seen);
            }
            let known = applied.settings.iter_mut().find(|s| s.name == wish.name);
            if let Some(known) = known {
                let needs_stop = known.needs_stop;
                *known = SettingStatus {
                    needs_stop,
                    ..carried_out(wish)
                };
            }
        }
    }
    let argument = bounded(&names.join(","), 255);
    let how = match step {
        Some(change) => Operate::Items(change),
        None => Operate::Attributes(changed.into_iter().map(|w| (w.name, w.value)).collect()),
    };
    let seconds = i64::from(facts.capabilities.deadline(kind));
    d.operate(id, kind, how, seconds, Some(argument));
    Err(power::doing(kind))
}

/// The settings that an operation sends.
fn sent<'s>(d: &'s mut Draft<'_>, op: &Operation) -> impl Iterator<Item = &'s mut SettingStatus> {
    let names = op.argument.clone().unwrap_or_default();
    // A list that was cut short names all.
    let all = names.ends_with('…');
    let settings = d.status.applied.iter_mut().flat_map(|a| &mut a.settings);
    settings.filter(move |s| all || names.split(',').any(|n| n == s.name))
}

/// A change of settings was accepted and nothing is under way any more, or nothing is known of it.
pub(super) fn ended(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    accepted: bool,
) -> Progress {
    if let Some(progress) = items::ended(d, facts, op, seen, accepted) {
        return progress;
    }
    let mut wanted = wanted(d, facts);
    wanted.retain(|w| w.verified);
    // What was sent, whatever is wished for by now.
    let proofs: Vec<bool> = sent(d, op)
        .filter_map(|s| {
            let wish = wanted.iter().find(|w| w.name == s.name)?.clone();
            let value = s.text.clone()?;
            let shown = seen.attributes.get(wish.name)?;
            Some(fits(&WantedAttribute { value, ..wish }, shown))
        })
        .collect();
    let gave_up = seen.state == ServerState::Error && seen.failed_step == Some(FailedStep::Settings);
    if accepted && (proofs.contains(&false) || (gave_up && proofs.is_empty())) {
        let fault = seen.fault.as_ref();
        let words = fault.map_or("the cloud ended the change without effect", |f| {
            f.message.as_str()
        });
        let error = CloudError::new(ErrorClass::InvalidSpec, words);
        refused(d, op, &error);
        return close(d);
    }
    let proven = !proofs.is_empty() && !proofs.contains(&false);
    if accepted || proven {
        let names = op.argument.clone().unwrap_or_default();
        d.event(
            false,
            Reason::Modified,
            "Modify",
            format!("changed in place: {names}"),
        );
    } else {
        sent(d, op).for_each(|s| s.text = None);
    }
    close(d)
}

/// Whether a step is one that would bring in a second thing if it was made again and the first one took effect late.
pub(super) fn doubles(d: &Draft<'_>, facts: &AccountFacts, op: &Operation) -> bool {
    let name = op.argument.as_deref().unwrap_or_default();
    let nameless = |w: &WantedAttribute| w.items.as_ref().is_some_and(|i| i.nameless);
    op.kind == OperationKind::Modify && wanted(d, facts).iter().any(|w| w.name == name && nameless(w))
}

/// Whether the cloud refused one for good.
pub(super) fn any_refused(d: &Draft<'_>) -> bool {
    let mut settings = d.status.applied.iter().flat_map(|a| &a.settings);
    settings.any(|s| s.refused.is_some())
}

/// A refusal. `true`: it is not tried again by itself.
pub(super) fn refused(d: &mut Draft<'_>, op: &Operation, error: &CloudError) -> bool {
    use ErrorClass::{Capacity, Forbidden, InvalidSpec, NeedsStop, Quota, Unsupported};
    let needs_stop = error.class == NeedsStop;
    // A Secret may be corrected without an edit of this object.
    let secret = error.code.as_deref() == Some(Reason::SecretRefused.as_str());
    let last = !secret
        && matches!(
            error.class,
            InvalidSpec | Quota | Capacity | Forbidden | Unsupported
        );
    for setting in sent(d, op) {
        let text = setting.text.take();
        setting.needs_stop |= needs_stop;
        if last {
            setting.refused = text;
            setting.message = Some(bounded(&error.message, LENGTH));
        }
    }
    if last {
        if error.code.as_deref() == Some(HALF_DONE) {
            // What was seen before it says nothing of what it brought in.
            d.memory.look = None;
        } else {
            items::refused(d, op);
        }
        d.failed(error.class, error.code.as_deref(), &error.message, None);
        d.memory.backoff = None;
        d.event(true, Reason::Refused, op.kind.as_str(), error.message.clone());
    }
    needs_stop || last
}

fn synced(d: &mut Draft<'_>, status: ConditionStatus, reason: Reason, text: &str) {
    d.condition(ConditionType::SettingsSynced, status, reason, text);
}
