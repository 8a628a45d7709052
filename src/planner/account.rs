//! What an account that cannot be asked, or may not be changed, does to its servers.

use jiff::Timestamp;

use super::AccountFacts;
use super::draft::{Draft, Verdict, later};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::ManagementPolicy;

/// An outage is shown on its ProviderConfig at once and on servers only after this many seconds.
pub(super) const SHOWN_AFTER: i64 = 300;

/// Reasons that only a person can cure.
pub(super) const HUMAN: &[Reason] = &[
    Reason::CredentialsMissing,
    Reason::CredentialsInvalid,
    Reason::EndpointRefused,
    Reason::AccountChanged,
];

/// Reasons that are no outage: they are shown at once.
pub(super) const AT_ONCE: &[Reason] = &[Reason::AccountChanged, Reason::ProviderConfigNotFound];

pub(super) fn unusable(d: &mut Draft<'_>, reason: Reason, message: &str, since: Timestamp) -> Verdict {
    if reason == Reason::Connecting {
        return Verdict::Keep;
    }
    d.busy = d.status.operation.is_some() || d.status.create_attempt.is_some();
    if d.deleting() {
        let text = format!("the server in the cloud is left until the account can be asked: {message}");
        d.condition(
            ConditionType::DeletionBlocked,
            ConditionStatus::True,
            reason,
            &text,
        );
        return Verdict::Unknown(reason, text);
    }
    let text = format!("ProviderConfig {}: {message}", d.spec.provider_config_ref.name);
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
        return Verdict::Keep;
    }
    d.condition(
        ConditionType::ProviderReachable,
        ConditionStatus::False,
        reason,
        &text,
    );
    Verdict::Unknown(reason, text)
}

/// Whether the credentials now speak for another account than the one that the server was made in: an absence
/// there proves nothing, and a server made there would be a second one.
pub(super) fn another(d: &mut Draft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    let made_in = d.status.account.clone().filter(|a| *a != facts.account)?;
    let text = format!(
        "the server was made in account {made_in}, and ProviderConfig {} now speaks for account {}: put the old \
         credentials back",
        d.spec.provider_config_ref.name, facts.account
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
