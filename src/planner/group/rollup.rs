//! How the members are, all together: counts from the Servers' own statuses, placement from the cloud's list.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::GroupDraft;
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded};
use crate::api::server_group::{
    FOREIGN_SHOWN, GroupMemberStatus, MEMBERS_SHOWN, MemberPlacement, PlacementPolicy,
};
use crate::api::{Reason, Server};
use crate::planner::AccountFacts;
use crate::planner::model::{ErrorClass, ObservedGroup, ServerState};

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
    let ours: BTreeSet<&str> = d
        .input
        .members
        .iter()
        .filter_map(|s| s.status.as_ref()?.id.as_deref())
        .collect();
    let uids: BTreeSet<&str> = d
        .input
        .members
        .iter()
        .filter_map(|s| s.metadata.uid.as_deref())
        .collect();
    // One that is in no list of servers yet, or carries the mark of a member, may be a member on its way.
    let strange = |id: &str| {
        let server = facts.listing.servers.get(id);
        server.is_some_and(|s| {
            s.marks
                .as_ref()
                .is_none_or(|m| m.installation != d.input.installation || !uids.contains(m.uid.as_str()))
        })
    };
    let foreign: Vec<String> = seen
        .members
        .iter()
        .filter(|m| !ours.contains(m.id.as_str()) && strange(&m.id))
        .map(|m| m.id.clone())
        .collect();
    d.status.foreign = number(foreign.len());
    d.status.foreign_members = foreign.into_iter().take(FOREIGN_SHOWN).collect();
    if seen.policy == Some(PlacementPolicy::None) {
        for member in &mut d.status.members {
            member.placement = None;
        }
        conditions::remove(&mut d.status.conditions, ConditionType::PlacementSatisfied);
        return;
    }
    let homeless = homeless(d, facts);
    let (mut unmet, mut unknown) = (Vec::new(), 0);
    for member in &mut d.status.members {
        let Some(id) = member.id.as_deref() else {
            member.placement = None;
            continue;
        };
        // One that is being built has no place yet: that takes nothing from what is known of the others.
        if member.power.as_deref() == Some(ServerState::Provisioning.as_str()) {
            member.placement = None;
            continue;
        }
        // One that never got a place.
        let server = facts.listing.servers.get(id);
        if server.is_some_and(|s| s.state == ServerState::Error && s.host.is_none()) {
            member.placement = None;
            continue;
        }
        let placement = judge(facts, seen, id);
        member.placement = Some(placement);
        match placement {
            MemberPlacement::Met => {}
            MemberPlacement::Unmet => unmet.push(member.name.clone()),
            MemberPlacement::Unknown => unknown += 1,
        }
    }
    let (status, reason, text) = if !unmet.is_empty() {
        let names = unmet.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let text = format!("{} of the members are not placed so: {names}", unmet.len());
        (ConditionStatus::False, Reason::PlacementUnmet, text)
    } else if let Some((name, words)) = homeless.first() {
        let text = format!("{} of the members have no place; {name}: {words}", homeless.len());
        (ConditionStatus::False, Reason::PlacementUnmet, text)
    } else if unknown > 0 {
        let text = format!("the cloud does not say how {unknown} of the members are placed");
        (ConditionStatus::Unknown, Reason::PlacementUnknown, text)
    } else {
        let reason = Reason::PlacementMet;
        (ConditionStatus::True, reason, reason.meaning().to_owned())
    };
    d.condition(ConditionType::PlacementSatisfied, status, reason, &text);
}

/// The members for which the cloud had no place, each with the cloud's words.
fn homeless(d: &GroupDraft<'_>, facts: &AccountFacts) -> Vec<(String, String)> {
    let words = |server: &Server| {
        let status = server.status.as_ref()?;
        let failed = status
            .failure
            .as_ref()
            .filter(|f| f.class == ErrorClass::Capacity.as_str());
        let told = failed.map(|f| f.message.clone());
        match status.id.as_deref() {
            None => told,
            Some(id) => {
                let seen = facts.listing.servers.get(id)?;
                let nowhere = seen.state == ServerState::Error && seen.host.is_none();
                let fault = seen.fault.as_ref().map(|f| f.message.clone());
                fault.or(told).filter(|_| nowhere)
            }
        }
    };
    let name = |server: &Server| server.metadata.name.clone().unwrap_or_default();
    d.members()
        .filter_map(|server| Some((name(server), bounded(&words(server)?, 300))))
        .collect()
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
