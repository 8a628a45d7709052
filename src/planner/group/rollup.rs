//! How the members are, all together: counts from the Servers' own statuses, placement from the cloud's list.

use std::collections::BTreeMap;

use super::draft::GroupDraft;
use super::members;
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded};
use crate::api::server_group::{
    FOREIGN_SHOWN, GroupMemberStatus, MEMBERS_SHOWN, MemberPlacement, PlacementPolicy,
};
use crate::api::{Reason, Server};
use crate::planner::AccountFacts;
use crate::planner::model::{ObservedGroup, ServerState};

fn power(server: &Server) -> Option<&str> {
    server.status.as_ref()?.power.as_ref()?.observed.as_deref()
}

fn holds(server: &Server, kind: ConditionType) -> bool {
    let conditions = server.status.as_ref().map(|s| &s.conditions);
    conditions
        .and_then(|c| conditions::get(c, kind))
        .is_some_and(|c| c.status == ConditionStatus::True.as_str())
}

fn number(count: usize) -> Option<i32> {
    Some(i32::try_from(count).unwrap_or(i32::MAX))
}

/// Counts, and names, the members.
pub(super) fn count(d: &mut GroupDraft<'_>) {
    let members: Vec<&Server> = d.members().collect();
    let count = |holds: &dyn Fn(&Server) -> bool| number(members.iter().filter(|s| holds(s)).count());
    let is = |state: ServerState| move |s: &Server| power(s) == Some(state.as_str());
    d.status.selector = Some(format!("spec.groupRef.name={}", d.name()));
    d.status.servers = number(members.len());
    d.status.running = count(&is(ServerState::Running));
    d.status.stopped = count(&is(ServerState::Stopped));
    d.status.ready = count(&|s| holds(s, ConditionType::Ready));
    d.status.failed =
        count(&|s| holds(s, ConditionType::Stalled) || power(s) == Some(ServerState::Error.as_str()));
    let placements: BTreeMap<String, Option<MemberPlacement>> = std::mem::take(&mut d.status.members)
        .into_iter()
        .map(|m| (m.name, m.placement))
        .collect();
    d.status.members = members
        .iter()
        .take(MEMBERS_SHOWN)
        .map(|s| {
            let name = s.metadata.name.clone().unwrap_or_default();
            GroupMemberStatus {
                id: s.status.as_ref().and_then(|s| s.id.clone()),
                power: power(s).map(str::to_owned),
                ready: holds(s, ConditionType::Ready),
                placement: placements.get(&name).copied().flatten(),
                name,
            }
        })
        .collect();
}

/// There is no group in the cloud, and nothing to satisfy.
pub(super) fn unplaced(d: &mut GroupDraft<'_>) {
    for member in &mut d.status.members {
        member.placement = None;
    }
    d.status.foreign = None;
    d.status.foreign_members.clear();
    conditions::remove(&mut d.status.conditions, ConditionType::PlacementSatisfied);
}

/// Compares the members of the cloud's group with the policy, and with ours.
pub(super) fn placed(d: &mut GroupDraft<'_>, facts: &AccountFacts, seen: &ObservedGroup) {
    let foreign = members::strangers(d, facts, seen);
    d.status.foreign = number(foreign.len());
    d.status.foreign_members = foreign
        .into_iter()
        .take(FOREIGN_SHOWN)
        .map(str::to_owned)
        .collect();
    if seen.policy == Some(PlacementPolicy::None) {
        for member in &mut d.status.members {
            member.placement = None;
        }
        conditions::remove(&mut d.status.conditions, ConditionType::PlacementSatisfied);
        return;
    }
    let found: Vec<Found> = d.members().map(|s| Found::of(facts, seen, s)).collect();
    // In the same order, only fewer.
    for (member, found) in d.status.members.iter_mut().zip(&found) {
        member.placement = found.placement();
    }
    let (status, reason, text) = said(&found);
    d.condition(ConditionType::PlacementSatisfied, status, reason, &text);
}

/// What is known of one member's place.
enum Found {
    /// The cloud placed it.
    Placed(String, MemberPlacement),
    /// It has no place, and here is what the cloud said.
    Refused(String, String),
    /// It has no place yet.
    Unplaced(String),
}

impl Found {
    fn of(facts: &AccountFacts, seen: &ObservedGroup, server: &Server) -> Self {
        let name = server.metadata.name.clone().unwrap_or_default();
        let status = server.status.as_ref();
        let failure = status.and_then(|s| s.failure.as_ref()).map(|f| f.message.clone());
        let unplaced = |name| match failure {
            Some(words) => Self::Refused(name, words),
            None => Self::Unplaced(name),
        };
        let Some(id) = status.and_then(|s| s.id.as_deref()) else {
            return unplaced(name);
        };
        if power(server) == Some(ServerState::Provisioning.as_str()) {
            return unplaced(name);
        }
        // One that never got a place says why itself.
        let known = facts.listing.servers.get(id);
        if let Some(s) = known.filter(|s| s.state == ServerState::Error && s.host.is_none()) {
            return match &s.fault {
                Some(fault) => Self::Refused(name, fault.message.clone()),
                None => unplaced(name),
            };
        }
        Self::Placed(name, judge(facts, seen, id))
    }

    fn placement(&self) -> Option<MemberPlacement> {
        match self {
            Self::Placed(_, placement) => Some(*placement),
            Self::Refused(..) | Self::Unplaced(_) => None,
        }
    }
}

/// All of them together: what is certainly not so goes before what is not known.
fn said(found: &[Found]) -> (ConditionStatus, Reason, String) {
    let list = |names: Vec<&str>| {
        let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        (names.len(), shown)
    };
    let refused = found.iter().find_map(|f| match f {
        Found::Refused(name, words) => Some(format!("{name} has no place: {}", bounded(words, 500))),
        _ => None,
    });
    if let Some(text) = refused {
        return (ConditionStatus::False, Reason::PlacementUnmet, text);
    }
    let placed = |wanted: MemberPlacement| {
        let names = found.iter().filter_map(|f| match f {
            Found::Placed(name, placement) if *placement == wanted => Some(name.as_str()),
            _ => None,
        });
        list(names.collect())
    };
    let (unmet, names) = placed(MemberPlacement::Unmet);
    if unmet > 0 {
        let text = format!("{unmet} of the members are not placed so: {names}");
        return (ConditionStatus::False, Reason::PlacementUnmet, text);
    }
    let unplaced = found.iter().filter_map(|f| match f {
        Found::Unplaced(name) => Some(name.as_str()),
        _ => None,
    });
    let (unplaced, names) = list(unplaced.collect());
    if unplaced > 0 {
        let text = format!("{unplaced} of the members have no place yet: {names}");
        return (ConditionStatus::Unknown, Reason::PlacementUnknown, text);
    }
    let (unknown, names) = placed(MemberPlacement::Unknown);
    if unknown > 0 {
        let text = format!("the cloud does not say how {unknown} of the members are placed: {names}");
        return (ConditionStatus::Unknown, Reason::PlacementUnknown, text);
    }
    let reason = Reason::PlacementMet;
    (ConditionStatus::True, reason, reason.meaning().to_owned())
}

/// Whether a member is placed as the policy says: by the cloud's word, else by the hosts that its list shows.
fn judge(facts: &AccountFacts, seen: &ObservedGroup, id: &str) -> MemberPlacement {
    use MemberPlacement::{Met, Unknown, Unmet};
    let Some(member) = seen.members.iter().find(|m| m.id == id) else {
        return Unmet;
    };
    if let Some(met) = member.met {
        return if met { Met } else { Unmet };
    }
    let host = |id: &str| facts.listing.servers.get(id)?.host.as_deref();
    let Some(own) = host(id) else {
        return Unknown;
    };
    let others = || seen.members.iter().filter_map(|m| host(&m.id));
    let together = others().filter(|h| *h == own).count();
    let most = usize::try_from(seen.max_per_host.unwrap_or(1)).unwrap_or(1);
    let met = match seen.policy {
        Some(PlacementPolicy::Affinity | PlacementPolicy::SoftAffinity) => together == others().count(),
        Some(PlacementPolicy::AntiAffinity | PlacementPolicy::SoftAntiAffinity) => together <= most,
        Some(PlacementPolicy::None) | None => return Unknown,
    };
    if met { Met } else { Unmet }
}
