//! A group that exists: what the cloud shows beside what is wished, and the one call towards it.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::GroupDraft;
use super::{Verdict, create, operation, rollup};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server_group::{
    GroupOperation, GroupOperationKind as Kind, GroupPlacementStatus, PlacementPolicy,
};
use crate::planner::AccountFacts;
use crate::planner::draft::later;
use crate::planner::memory::{AttemptWatch, Outcome};
use crate::planner::model::{CreateGroup, GroupCapabilities, GroupChange, ObservedGroup};

/// Seconds between the two lists that must both lack a group.
const BETWEEN: i64 = 5;
/// What names the watch for a group that is in no list.
const MISSING: &str = "missing";

pub(super) fn plan(
    d: &mut GroupDraft<'_>,
    facts: &AccountFacts,
    can: &'static GroupCapabilities,
    id: &str,
) -> Verdict {
    d.status.account.get_or_insert_with(|| facts.account.clone());
    if let Some(import) = d.spec.import.as_ref().filter(|i| i.id != id) {
        let text = format!(
            "spec.import.id names {}, but this object has group {id} already: one object, one group",
            import.id
        );
        return Verdict::Stalled(Reason::InvalidSpec, text);
    }
    let Some(seen) = facts.listing.group(id).cloned() else {
        return missing(d, facts, id);
    };
    d.memory.attempt = None;
    if matches!(
        d.memory.sent.as_ref().map(|s| &s.outcome),
        Some(Outcome::Accepted(..))
    ) && d.status.operation.is_none()
    {
        d.memory.sent = None;
    }
    show(d, &seen);
    rollup::placed(d, facts, &seen);
    if let Some(verdict) = create::foreign(d, &seen) {
        d.again(d.after(60));
        return verdict;
    }
    let wanted = wanted(d, can, &seen);
    let joined: BTreeSet<&str> = seen.members.iter().map(|m| m.id.as_str()).collect();
    let reached = |op: &GroupOperation| {
        let server = op.server.as_deref().unwrap_or_default();
        match op.kind {
            Kind::Modify => difference(can, &wanted, &seen).is_none(),
            Kind::AddMember => joined.contains(server),
            Kind::RemoveMember => !joined.contains(server),
            Kind::Unmark | Kind::Delete => true,
        }
    };
    if let Some(verdict) = operation::progress(d, facts, reached) {
        return verdict;
    }
    if let Some(verdict) = unknown(&seen).or_else(|| immutable(can, &wanted, &seen)) {
        return verdict;
    }
    let next = match difference(can, &wanted, &seen) {
        Some(what) => Some((
            what.to_owned(),
            Kind::Modify,
            None,
            GroupChange::Modify(Box::new(wanted)),
        )),
        None => moves(d, facts, can, &seen),
    };
    let Some((what, kind, server, change)) = next else {
        if !d.in_flight() {
            d.memory.sent = None;
        }
        d.recovered();
        return Verdict::Ready(
            Reason::AsDeclared,
            format!("group {id} is as declared ({})", d.spec.placement.policy),
        );
    };
    if let Some(reason) = d.gagged(facts) {
        return d.held(reason, &what);
    }
    if d.in_flight() || d.stale(facts) {
        return Verdict::Keep;
    }
    if d.backing_off() {
        return operation::doing(d, kind);
    }
    if kind == Kind::Modify {
        d.status.applied_labels = d.spec.labels.iter().flatten().map(|(k, _)| k.clone()).collect();
    }
    d.operate(id, kind, server.as_deref(), change);
    operation::doing(d, kind)
}

/// A group that is in no list. It is never made again by itself: its members were placed by the one that is gone.
fn missing(d: &mut GroupDraft<'_>, facts: &AccountFacts, id: &str) -> Verdict {
    let asked = facts.listing.asked_at.unwrap_or(d.now());
    // A group that was just made may not be in a list that was asked for earlier.
    if let Some(Outcome::Accepted(at, accepted)) = d.memory.sent.as_ref().map(|s| &s.outcome)
        && accepted.id.as_deref() == Some(id)
        && asked <= *at
    {
        d.busy = true;
        d.list_after = Some(*at);
        return create::creating(d);
    }
    let known = d.memory.attempt.take().filter(|w| w.key == MISSING);
    let watch = known.unwrap_or(AttemptWatch {
        key: MISSING.to_owned(),
        first_seen: asked,
        first_empty: None,
    });
    let second = later(watch.first_seen, BETWEEN);
    d.memory.attempt = Some(watch);
    if asked >= second {
        d.status.placement = None;
        let text = format!(
            "group {id} is gone from the cloud; it is not made again by itself. Make a new ServerGroup, or delete \
             this one"
        );
        return Verdict::Stalled(Reason::Missing, text);
    }
    if d.now() >= second {
        d.list_after = Some(second);
    } else {
        d.again(second);
    }
    Verdict::Keep
}

fn show(d: &mut GroupDraft<'_>, seen: &ObservedGroup) {
    d.status.cloud_name = Some(bounded(&seen.name, 255));
    d.status.placement = Some(GroupPlacementStatus {
        policy: seen.policy,
        raw: Some(bounded(&seen.raw_policy, 64)),
        max_servers_per_host: seen.max_per_host,
    });
}

/// The group as it should be: our own labels, and those that others added.
fn wanted(d: &GroupDraft<'_>, can: &GroupCapabilities, seen: &ObservedGroup) -> CreateGroup {
    let own = create::wanted(d, can);
    let gone = |key: &String| d.status.applied_labels.contains(key);
    let mut labels: BTreeMap<String, String> = seen
        .labels
        .iter()
        .filter(|(k, _)| !gone(k))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    labels.extend(own.labels);
    // A group that was taken over keeps its name unless another one is asked for.
    let keeps = d.spec.import.is_some() && (d.spec.cloud_name.is_none() || !can.labels_mutable);
    CreateGroup {
        name: if keeps { seen.name.clone() } else { own.name },
        labels,
        ..own
    }
}

/// How many may share a host, said in one way.
fn per_host(policy: PlacementPolicy, most: Option<i32>) -> Option<i32> {
    (policy == PlacementPolicy::AntiAffinity).then(|| most.unwrap_or(1))
}

fn same_placement(can: &GroupCapabilities, wanted: &CreateGroup, seen: &ObservedGroup) -> bool {
    seen.policy == Some(wanted.policy)
        && (!can.max_per_host
            || per_host(wanted.policy, wanted.max_per_host) == per_host(wanted.policy, seen.max_per_host))
}

/// What differs and can be changed.
fn difference(can: &GroupCapabilities, wanted: &CreateGroup, seen: &ObservedGroup) -> Option<&'static str> {
    let marked = !can.marks || seen.marks.as_ref() == Some(&wanted.marks);
    if !same_placement(can, wanted, seen) && can.policy_mutable {
        Some("another placement is declared")
    } else if can.labels_mutable && (wanted.labels != seen.labels || wanted.name != seen.name || !marked) {
        Some("another name, label or mark is declared")
    } else {
        None
    }
}

/// A policy in a word that is not known here: nobody can say what changing it would do.
fn unknown(seen: &ObservedGroup) -> Option<Verdict> {
    let raw = bounded(&seen.raw_policy, 64);
    let text = format!(
        "the cloud reports the policy {raw:?} of the group, which is not known here; nothing is done"
    );
    seen.policy
        .is_none()
        .then_some(Verdict::Stalled(Reason::UnknownState, text))
}

/// What differs and cannot be changed.
fn immutable(can: &GroupCapabilities, wanted: &CreateGroup, seen: &ObservedGroup) -> Option<Verdict> {
    let text = if !same_placement(can, wanted, seen) && !can.policy_mutable {
        let of = |policy: &str, most: Option<i32>| match most {
            Some(n) => format!("{policy} with {n} on a host"),
            None => policy.to_owned(),
        };
        let have = seen.policy.map_or(seen.raw_policy.as_str(), |p| p.as_str());
        format!(
            "placement {} is declared, the group has {}, and this cloud cannot change it: set it back, or make a new \
             ServerGroup and new Servers in it",
            of(wanted.policy.as_str(), wanted.max_per_host),
            of(have, seen.max_per_host)
        )
    } else if !can.labels_mutable && wanted.name != seen.name {
        format!(
            "the name {:?} is declared, the group is called {:?}, and this cloud renames none: set cloudName back",
            wanted.name, seen.name
        )
    } else if !can.labels_mutable && can.marks && wanted.labels != seen.labels {
        "other labels are declared, and this cloud cannot change those of a group: set them back".to_owned()
    } else {
        return None;
    };
    Some(Verdict::Stalled(Reason::Immutable, text))
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
fn moves(
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
    // After the one that was refused last come the others: one that cannot join holds nobody up.
    let refused = d.memory.failed_id.as_deref();
    let next = free.iter().find(|id| refused.is_none_or(|r| **id > r));
    let (taken, server) = (
        !taken.is_empty(),
        next.or(free.first()).map(|id| (*id).to_owned()),
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
