//! What an account that cannot be asked, or may not be changed, does to its servers.

use jiff::Timestamp;

use super::draft::{Draft, Verdict, later};
use super::{AccountFacts, delete};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::ManagementPolicy;

/// An outage is shown on its ProviderConfig at once and on servers only after this many seconds.
pub(super) const SHOWN_AFTER: i64 = 300;

/// What else may be done about a ProviderConfig that does not exist, by an object that has made nothing yet.
pub(super) const WRONG_NAME: &str = " If its name is wrong, delete this object and apply it again with the right one: it has made nothing yet.";

/// Reasons that only a person can cure.
pub(super) const HUMAN: &[Reason] = &[
    Reason::CredentialsMissing,
    Reason::CredentialsInvalid,
    Reason::EndpointRefused,
    Reason::AccountChanged,
];

/// Whether an account that cannot be asked for this reason waits for a person.
pub(super) fn needs_person(reason: Reason) -> bool {
    HUMAN.contains(&reason) || reason == Reason::ProviderConfigNotFound
}

/// Reasons that are no outage: they are shown at once.
pub(super) const AT_ONCE: &[Reason] = &[
    Reason::AccountChanged,
    Reason::ProviderConfigNotFound,
    Reason::CredentialsMissing,
];

pub(super) fn unusable(d: &mut Draft<'_>, reason: Reason, message: &str, since: Timestamp) -> Verdict {
    if reason == Reason::Connecting {
        return Verdict::Keep;
    }
    d.busy = d.status.operation.is_some() || d.status.create_attempt.is_some();
    let told = d.input.server.metadata.generation == d.old.observed_generation;
    if let Some(until) = d.memory.yields(d.now()).filter(|_| told) {
        d.again(until);
        return Verdict::Keep;
    }
    let mut text = match reason {
        // Its words name it.
        Reason::ProviderConfigNotFound => message.to_owned(),
        _ => format!("ProviderConfig {}: {message}", d.spec.provider_config_ref.name),
    };
    if needs_person(reason) {
        text = format!("{}. {}", text.trim_end_matches('.'), reason.advice());
    }
    if d.deleting() {
        let server = d
            .status
            .id
            .as_ref()
            .map_or_else(|| "what was made".to_owned(), |id| format!("server {id}"));
        let hint = delete::wrong_abandon(d);
        let text = format!("{server} is left in the cloud until the account can be asked: {text}{hint}");
        d.condition(
            ConditionType::DeletionBlocked,
            ConditionStatus::True,
            reason,
            &text,
        );
        return Verdict::Unknown(reason, text);
    }
    let unborn = d.status.id.is_none() && d.status.create_attempt.is_none();
    if unborn && reason == Reason::ProviderConfigNotFound {
        text += WRONG_NAME;
        // Applied together, the two may come in any order.
        let late = later(since, SHOWN_AFTER);
        let stalled = conditions::get(&d.old.conditions, ConditionType::Stalled);
        let said = stalled.is_some_and(|c| c.status == "True" && c.reason == reason.as_str());
        if d.now() < late && !said {
            d.again(late);
            return Verdict::Reconciling(reason, text);
        }
        return Verdict::Stalled(reason, text);
    }
    if conditions::get(&d.old.conditions, ConditionType::Ready).is_none() {
        return if HUMAN.contains(&reason) {
            Verdict::Stalled(reason, text)
        } else {
            Verdict::Reconciling(reason, text)
        };
    }
    let grace = if AT_ONCE.contains(&reason) { 0 } else { SHOWN_AFTER };
    let shown_at = later(since, grace);
    if d.now() < shown_at {
        d.again(shown_at);
        if d.input.server.metadata.generation == d.old.observed_generation {
            return Verdict::Keep;
        }
        // What was said of the former wish is not true of this one.
        d.show_wish();
        return changed_meanwhile(&text);
    }
    d.condition(
        ConditionType::ProviderReachable,
        ConditionStatus::False,
        reason,
        &text,
    );
    Verdict::Unknown(reason, text)
}

/// A wish that was changed while the account cannot be asked.
pub(super) fn changed_meanwhile(trouble: &str) -> Verdict {
    let text = format!("the wish was changed and is compared with the cloud when it answers: {trouble}");
    Verdict::Reconciling(Reason::WaitingForObservation, text)
}

/// What parts the region of an account from what stands before it.
const REGION: char = '/';

/// Whether a record of an account is one of this account. What earlier versions wrote down has no region: of whatever region
/// it is, the servers were found in the one that is asked now.
pub fn same_account(recorded: &str, account: &str) -> bool {
    let without_region = account.split_once(REGION).map(|(project, _)| project);
    recorded == account || Some(recorded) == without_region
}

/// The account of a record, if it is not this one. A record without its region is completed.
pub(super) fn other_than(recorded: &mut Option<String>, account: &str) -> Option<String> {
    let known = recorded.as_mut()?;
    if same_account(known, account) {
        account.clone_into(known);
        return None;
    }
    Some(known.clone())
}

/// Whether the credentials now speak for another account than the one that the server was made in: an absence
/// there proves nothing, and a server made there would be a second one.
pub(super) fn another(d: &mut Draft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    let made_in = other_than(&mut d.status.account, &facts.account)?;
    let config = &d.spec.provider_config_ref.name;
    let server = d
        .status
        .id
        .as_ref()
        .map_or_else(|| "the server".to_owned(), |id| format!("server {id}"));
    let hint = if d.deleting() {
        delete::wrong_abandon(d)
    } else {
        String::new()
    };
    let text = format!(
        "{server} was made in account {made_in}, but the credentials of ProviderConfig {config} now speak for account \
         {}: there nothing is made, changed or believed to be gone. Put credentials of account {made_in} back into its \
         Secret; for the other account make a ProviderConfig of another name{hint}",
        facts.account
    );
    let reason = Reason::AccountChanged;
    d.condition(
        ConditionType::ProviderReachable,
        ConditionStatus::False,
        reason,
        &text,
    );
    if d.deleting() {
        d.condition(
            ConditionType::DeletionBlocked,
            ConditionStatus::True,
            reason,
            &text,
        );
    }
    Some(Verdict::Stalled(reason, text))
}

pub(super) fn reachable_again(d: &mut Draft<'_>) {
    conditions::remove(&mut d.status.conditions, ConditionType::ProviderReachable);
}

/// Says that writes are switched off, while they are.
pub(super) fn show_pause(d: &mut Draft<'_>, facts: &AccountFacts) {
    let paused = d.paused();
    if paused || facts.suspended {
        let reason = if paused { Reason::Paused } else { Reason::Suspended };
        d.condition(
            ConditionType::Paused,
            ConditionStatus::True,
            reason,
            reason.meaning(),
        );
    } else {
        conditions::remove(&mut d.status.conditions, ConditionType::Paused);
    }
}

/// What is said of a difference that may not be acted on because writes are off.
pub(super) fn held(d: &Draft<'_>, reason: Reason, what: &str) -> Verdict {
    if d.spec.management_policy == ManagementPolicy::Observe {
        return Verdict::Ready(Reason::Observing, format!("{what}; {}", reason.meaning()));
    }
    Verdict::Held(reason, format!("{what}; {}", reason.meaning()))
}
