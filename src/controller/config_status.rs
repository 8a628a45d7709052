//! What a ProviderConfig says about its account. Pure.

use jiff::Timestamp;

use super::accounts::ConfigState;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::provider_config::{
    AccountStatus, CapabilitiesStatus, GroupCapabilitiesStatus, IdleCostStatus, ServerCounts,
};
use crate::api::server_group::PlacementPolicy;
use crate::api::server_status::OperationKind;
use crate::api::{ProviderConfig, ProviderConfigStatus, Reason};
use crate::observer::{Outage, View};
use crate::planner::model::{Capabilities, GroupCapabilities, IdleCost, Listing};

/// The status to write, if it differs.
pub(crate) fn status(
    config: &ProviderConfig,
    state: &ConfigState,
    view: &View,
    installation: &str,
    now: Timestamp,
) -> ProviderConfigStatus {
    let mut status = config.status.clone().unwrap_or_default();
    status.observed_generation = config.metadata.generation;
    let (connecting, doubt);
    let trouble = match state {
        ConfigState::Unusable(outage) => Some(outage),
        ConfigState::Usable {
            since,
            account,
            provider,
            retired,
            ..
        } => {
            let (id, name) = (account.id.clone(), account.name.clone());
            status.account = Some(AccountStatus { id, name });
            status.capabilities = Some(capabilities(provider.capabilities()));
            match (retired, &view.outage, &view.listing) {
                (Some(retired), _, _) => Some(&retired.outage),
                (None, Some(outage), _) => Some(outage),
                (None, None, Some(listing)) if view.mass_absence => {
                    doubt = Outage {
                        since: listing.asked_at.unwrap_or(now),
                        reason: Reason::MassAbsence,
                        message: Reason::MassAbsence.meaning().to_owned(),
                    };
                    Some(&doubt)
                }
                (None, None, Some(_)) => None,
                (None, None, None) => {
                    let message = "the account is being listed".to_owned();
                    connecting = Outage {
                        since: *since,
                        reason: Reason::Connecting,
                        message,
                    };
                    Some(&connecting)
                }
            }
        }
    };
    if let Some(listing) = &view.listing {
        status.servers = Some(counts(listing, installation));
    }
    let generation = config.metadata.generation;
    let mut set = |kind, (status_, reason): (ConditionStatus, Reason), message: &str| {
        conditions::set(
            &mut status.conditions,
            kind,
            status_,
            reason,
            message,
            generation,
            now,
        );
    };
    match trouble {
        Some(outage) => {
            let words = format!(
                "{}. {}",
                outage.message.trim_end_matches('.'),
                outage.reason.advice()
            );
            let kinds = [ConditionType::Reconciling, ConditionType::Stalled];
            let (other, kind) = if waits_for_person(outage, now) {
                (kinds[0], kinds[1])
            } else {
                (kinds[1], kinds[0])
            };
            calm(&mut set, other);
            set(kind, (ConditionStatus::True, outage.reason), words.trim_end());
            let [ready, reachable, valid] = verdict(outage.reason);
            set(ConditionType::Ready, ready, &outage.message);
            set(ConditionType::Reachable, reachable, &outage.message);
            set(ConditionType::CredentialsValid, valid, &outage.message);
        }
        None => {
            calm(&mut set, ConditionType::Stalled);
            calm(&mut set, ConditionType::Reconciling);
            let (reason, message) = if config.spec.suspend {
                (
                    Reason::Suspended,
                    "the account is observed and nothing is changed in it",
                )
            } else {
                (Reason::Reachable, "the account is observed")
            };
            set(ConditionType::Ready, (ConditionStatus::True, reason), message);
            let reachable = (ConditionStatus::True, Reason::Reachable);
            set(ConditionType::Reachable, reachable, "the account was listed");
            let valid = (ConditionStatus::True, Reason::Valid);
            set(
                ConditionType::CredentialsValid,
                valid,
                "the credentials are accepted",
            );
        }
    }
    status
}

/// What keeps an account from being used until a person does something; all else is tried again by itself.
const PERSON: &[Reason] = &[
    Reason::CredentialsInvalid,
    Reason::CredentialsMissing,
    Reason::EndpointRefused,
    Reason::AccountChanged,
    Reason::Forbidden,
    Reason::Unsupported,
];

/// Applied together, a Secret may come later than its ProviderConfig: seconds for which that is no case for a person.
const TOGETHER: i64 = 120;

fn waits_for_person(outage: &Outage, now: Timestamp) -> bool {
    let young = now.duration_since(outage.since).as_secs() < TOGETHER;
    PERSON.contains(&outage.reason) && !(young && outage.reason == Reason::CredentialsMissing)
}

/// That nothing is under way, or that nobody is needed.
fn calm(set: &mut impl FnMut(ConditionType, (ConditionStatus, Reason), &str), kind: ConditionType) {
    let reason = match kind {
        ConditionType::Stalled => Reason::NotStalled,
        _ => Reason::Idle,
    };
    set(kind, (ConditionStatus::False, reason), reason.meaning());
}

/// `Ready`, `Reachable` and `CredentialsValid` for what keeps an account from being used.
fn verdict(reason: Reason) -> [(ConditionStatus, Reason); 3] {
    use ConditionStatus::{False, True, Unknown};
    let (ready, reachable, valid) = match reason {
        Reason::Connecting => (Unknown, (Unknown, reason), (Unknown, reason)),
        Reason::CredentialsInvalid => (False, (True, Reason::Reachable), (False, reason)),
        Reason::CredentialsMissing => (False, (Unknown, reason), (False, reason)),
        Reason::AccountChanged => (False, (True, Reason::Reachable), (True, Reason::Valid)),
        Reason::Forbidden => (False, (True, Reason::Reachable), (True, Reason::Valid)),
        Reason::MassAbsence => (False, (True, Reason::Reachable), (True, Reason::Valid)),
        Reason::RateLimited => (False, (False, reason), (Unknown, reason)),
        _ => (False, (False, reason), (Unknown, reason)),
    };
    [(ready, reason), reachable, valid]
}

fn capabilities(of: &Capabilities) -> CapabilitiesStatus {
    CapabilitiesStatus {
        power_states: of.power_states.iter().map(ToString::to_string).collect(),
        stop_kinds: of.stop_kinds.iter().map(ToString::to_string).collect(),
        live_resize: of.live_resize,
        stopped_cost: of.stopped_cost().to_string(),
        idle_costs: of.idle_costs.iter().map(idle_cost).collect(),
        rebuild: of.has(OperationKind::Rebuild),
        groups: of.groups.map(groups),
    }
}

fn idle_cost(of: &IdleCost) -> IdleCostStatus {
    IdleCostStatus {
        state: of.state.to_string(),
        cost: of.cost.to_string(),
        holds: of.holds.to_owned(),
    }
}

fn groups(of: &GroupCapabilities) -> GroupCapabilitiesStatus {
    // None is possible everywhere.
    let none = (!of.policies.contains(&PlacementPolicy::None)).then_some(PlacementPolicy::None);
    let policies = none.iter().chain(of.policies);
    GroupCapabilitiesStatus {
        policies: policies.map(ToString::to_string).collect(),
        policy_mutable: of.policy_mutable,
        members_mutable: of.members_mutable,
        max_servers_per_host: of.max_per_host,
    }
}

fn counts(listing: &Listing, installation: &str) -> ServerCounts {
    let ours = |s: &&std::sync::Arc<crate::planner::model::ObservedServer>| {
        s.marks.as_ref().is_some_and(|m| m.installation == installation)
    };
    let managed = listing.servers.values().filter(ours).count();
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    ServerCounts {
        managed: number(managed),
        foreign: number(listing.servers.len() - managed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(reason: Reason, later: i64) -> ProviderConfigStatus {
        let config: ProviderConfig = serde_json::from_value(json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "p"},
            "spec": {"openstack": {"cloud": "demo", "secretRef": {"name": "s"}}}
        }))
        .unwrap();
        let (since, message) = (Timestamp::UNIX_EPOCH, "The cloud's words.".to_owned());
        let state = ConfigState::Unusable(Outage {
            since,
            reason,
            message,
        });
        let now = since + jiff::SignedDuration::from_secs(later);
        status(&config, &state, &View::default(), "i", now)
    }

    #[test]
    fn what_waits_for_a_person_is_stalled_with_what_to_do_and_all_else_goes_on() {
        for (reason, person) in [
            (Reason::CredentialsInvalid, true),
            (Reason::EndpointRefused, true),
            (Reason::AccountChanged, true),
            (Reason::Forbidden, true),
            (Reason::Unsupported, true),
            (Reason::Connecting, false),
            (Reason::Unreachable, false),
            (Reason::RateLimited, false),
        ] {
            let status = said(reason, 0);
            let of = |kind| {
                let c = conditions::get(&status.conditions, kind).unwrap();
                (c.status == "True", c.reason.clone(), c.message.clone())
            };
            let (yes, no, idle) = if person {
                (ConditionType::Stalled, ConditionType::Reconciling, Reason::Idle)
            } else {
                (
                    ConditionType::Reconciling,
                    ConditionType::Stalled,
                    Reason::NotStalled,
                )
            };
            let (holds, said, words) = of(yes);
            assert!(holds && said == reason.as_str(), "{reason}");
            assert_eq!(
                words,
                format!("The cloud's words. {}", reason.advice()).trim_end()
            );
            assert_eq!((of(no).0, of(no).1.as_str()), (false, idle.as_str()), "{reason}");
        }
    }

    #[test]
    fn a_secret_that_comes_a_little_later_is_waited_for() {
        for (later, stalled) in [(0, "False"), (119, "False"), (120, "True")] {
            let status = said(Reason::CredentialsMissing, later);
            let found = conditions::get(&status.conditions, ConditionType::Stalled).unwrap();
            assert_eq!(found.status, stalled, "{later}");
        }
    }
}
