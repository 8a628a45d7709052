//! A group that exists: what the cloud shows beside what is wished, and the one call towards it.

use std::collections::BTreeSet;

use super::draft::GroupDraft;
use super::wish::Wish;
use super::{Verdict, create, members, operation, rollup};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server_group::{GroupOperation, GroupOperationKind as Kind, GroupPlacementStatus};
use crate::planner::AccountFacts;
use crate::planner::draft::later;
use crate::planner::memory::{AttemptWatch, Outcome};
use crate::planner::model::{GroupCapabilities, ObservedGroup};

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
    let wish = Wish::of(d, can, &seen);
    let joined: BTreeSet<&str> = seen.members.iter().map(|m| m.id.as_str()).collect();
    let reached = |op: &GroupOperation| {
        let server = op.server.as_deref().unwrap_or_default();
        match op.kind {
            Kind::Modify => wish.difference(can, &seen).is_none(),
            Kind::AddMember => joined.contains(server),
            Kind::RemoveMember => !joined.contains(server),
            Kind::Unmark | Kind::Delete => true,
        }
    };
    if let Some(verdict) = operation::progress(d, facts, reached) {
        return verdict;
    }
    if seen.policy.is_none() {
        return Verdict::Stalled(
            Reason::UnknownState,
            format!(
                "group {id} has the placement policy {:?}, which is not known here: nothing is changed. {}",
                bounded(&seen.raw_policy, 64),
                Reason::UnknownState.advice()
            ),
        );
    }
    if let Some(verdict) = wish.immutable(d, can, &seen) {
        return verdict;
    }
    let next = match wish.difference(can, &seen) {
        Some(what) => Some((what.to_owned(), Kind::Modify, None, wish.change())),
        None => {
            // What went is gone for sure only now.
            d.status.applied_labels = wish.keys();
            if let Some(verdict) = full(d, can) {
                return verdict;
            }
            members::moves(d, facts, can, &seen)
        }
    };
    let Some((what, kind, server, change)) = next else {
        d.memory.dealt_with();
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
        d.status.applied_labels = wish.touched();
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
    if lacked_twice(d, facts) {
        d.status.placement = None;
        let text = format!(
            "group {id} is gone from the cloud; it is not made again by itself. Make a new ServerGroup, or delete \
             this one"
        );
        return Verdict::Stalled(Reason::Missing, text);
    }
    Verdict::Keep
}

/// Whether two lists in a row lacked the group: one may lag, or have a hole in it. Asks for the second.
pub(super) fn lacked_twice(d: &mut GroupDraft<'_>, facts: &AccountFacts) -> bool {
    let asked = facts.listing.asked_at.unwrap_or(d.now());
    let known = d.memory.attempt.take().filter(|w| w.key == MISSING);
    let watch = known.unwrap_or(AttemptWatch {
        key: MISSING.to_owned(),
        first_seen: asked,
        first_empty: None,
    });
    let second = later(watch.first_seen, BETWEEN);
    d.memory.attempt = Some(watch);
    if asked < second {
        if d.now() >= second {
            d.list_after = Some(second);
        } else {
            d.again(second);
        }
    }
    asked >= second
}

fn show(d: &mut GroupDraft<'_>, seen: &ObservedGroup) {
    d.status.cloud_name = Some(bounded(&seen.name, 255));
    d.status.placement = Some(GroupPlacementStatus {
        policy: seen.policy,
        raw: Some(bounded(&seen.raw_policy, 64)),
        max_servers_per_host: seen.max_per_host,
    });
}

/// More members than the cloud takes.
fn full(d: &GroupDraft<'_>, can: &GroupCapabilities) -> Option<Verdict> {
    let (most, count) = (can.members_max?, d.members().count());
    (count > most).then(|| {
        Verdict::Stalled(
            Reason::InvalidSpec,
            format!(
                "{count} Servers name the group, and this cloud takes {most} in one: take spec.groupRef off the \
                 others, or put them in another ServerGroup"
            ),
        )
    })
}
