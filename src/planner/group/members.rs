//! Which server joins or leaves next, where a cloud lets them, and who of a group is a stranger.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::GroupDraft;
use crate::api::server_group::GroupOperationKind as Kind;
use crate::planner::AccountFacts;
use crate::planner::model::{GroupCapabilities, GroupChange, ObservedGroup};

/// The members of the cloud's group that are none of this object's: other people's, and Servers of ours that somebody
/// put in by hand. One that is in no list of servers yet may be a member on its way.
pub(super) fn strangers<'g>(
    d: &GroupDraft<'_>,
    facts: &AccountFacts,
    seen: &'g ObservedGroup,
) -> Vec<&'g str> {
    let members = d.input.members.iter();
    let ids: BTreeSet<&str> = members
        .clone()
        .filter_map(|s| s.status.as_ref()?.id.as_deref())
        .collect();
    let uids: BTreeSet<&str> = members.filter_map(|s| s.metadata.uid.as_deref()).collect();
    let ours = |id: &str| {
        facts.listing.servers.get(id).is_none_or(|s| {
            let marks = s.marks.as_ref();
            marks.is_some_and(|m| m.installation == d.input.installation && uids.contains(m.uid.as_str()))
        })
    };
    let all = seen.members.iter().map(|m| m.id.as_str());
    all.filter(|id| !ids.contains(id) && !ours(id)).collect()
}

type Move = (String, Kind, Option<String>, GroupChange);

/// Seconds after which a member that another group still has is looked for again: nothing else says that it was let go.
const LET_GO: i64 = 5;

/// Whether another group of the cloud has a server.
fn elsewhere(facts: &AccountFacts, seen: &ObservedGroup, server: &str) -> bool {
    let groups = facts.listing.groups.iter().flat_map(BTreeMap::values);
    groups
        .filter(|g| g.id != seen.id)
        .any(|g| g.members.iter().any(|m| m.id == server))
}

/// The next server that has to leave or to join, where the cloud can do that.
pub(super) fn moves(
    d: &mut GroupDraft<'_>,
    facts: &AccountFacts,
    can: &GroupCapabilities,
    seen: &ObservedGroup,
) -> Option<Move> {
    if !can.members_mutable {
        return None;
    }
    let joined: BTreeSet<&str> = seen.members.iter().map(|m| m.id.as_str()).collect();
    let wished: BTreeSet<&str> = d
        .members()
        .filter(|s| s.metadata.deletion_timestamp.is_none())
        .filter_map(|s| s.status.as_ref()?.id.as_deref())
        .collect();
    // Only what joined by us leaves by us.
    let ours = d.input.members.iter().filter_map(|s| {
        let status = s.status.as_ref()?;
        let placed = status.group.as_ref()?.id.as_deref() == Some(seen.id.as_str());
        let named = s.spec.group_ref.as_ref().is_some_and(|g| g.name == d.name());
        status.id.as_deref().filter(|_| placed && !named)
    });
    if let Some(server) = ours.into_iter().find(|id| joined.contains(id)) {
        let server = server.to_owned();
        return Some((
            format!("server {server} does not name the group any more"),
            Kind::RemoveMember,
            Some(server.clone()),
            GroupChange::Remove { server },
        ));
    }
    // One group at a time: it joins when the other one has let it go.
    let missing = wished.difference(&joined).copied();
    let missing = missing.filter(|id| facts.listing.servers.contains_key(*id));
    let (taken, free): (Vec<&str>, Vec<&str>) = missing.partition(|id| elsewhere(facts, seen, id));
    // One that was refused goes to the end of the queue: it must not keep the others out.
    let refused = d.memory.failed_id.clone();
    let after = free
        .iter()
        .find(|id| refused.as_deref().is_some_and(|r| **id > r));
    let (taken, server) = (
        !taken.is_empty(),
        after.or(free.first()).map(|id| (*id).to_owned()),
    );
    if taken {
        d.again(d.after(LET_GO));
    }
    let server = server?;
    Some((
        format!("server {server} is not in the group yet"),
        Kind::AddMember,
        Some(server.clone()),
        GroupChange::Add { server },
    ))
}
