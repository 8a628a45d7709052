//! What a ProviderConfig says about its account. Pure.

use jiff::Timestamp;

use super::accounts::ConfigState;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::provider_config::{AccountStatus, CapabilitiesStatus, GroupCapabilitiesStatus, ServerCounts};
use crate::api::server_group::PlacementPolicy;
use crate::api::server_status::OperationKind;
use crate::api::{ProviderConfig, ProviderConfigStatus, Reason};
use crate::observer::{Outage, View};
use crate::planner::model::{Capabilities, GroupCapabilities, Listing};

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
    let connecting;
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
            let [ready, reachable, valid] = verdict(outage.reason);
            set(ConditionType::Ready, ready, &outage.message);
            set(ConditionType::Reachable, reachable, &outage.message);
            set(ConditionType::CredentialsValid, valid, &outage.message);
        }
        None => {
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

/// `Ready`, `Reachable` and `CredentialsValid` for what keeps an account from being used.
fn verdict(reason: Reason) -> [(ConditionStatus, Reason); 3] {
    use ConditionStatus::{False, True, Unknown};
    let (ready, reachable, valid) = match reason {
        Reason::Connecting => (Unknown, (Unknown, reason), (Unknown, reason)),
        Reason::CredentialsInvalid => (False, (True, Reason::Reachable), (False, reason)),
        Reason::CredentialsMissing => (False, (Unknown, reason), (False, reason)),
        Reason::AccountChanged => (False, (True, Reason::Reachable), (True, Reason::Valid)),
        Reason::Forbidden => (False, (True, Reason::Reachable), (True, Reason::Valid)),
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
        stopped_cost: of.stopped_cost.to_owned(),
        rebuild: of.has(OperationKind::Rebuild),
        groups: of.groups.map(groups),
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
