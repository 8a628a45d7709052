//! Every decision about a group, as one pure function, in the shape of [`plan`](super::plan).
//!
//! What a group does to the Servers in it is decided in their own plans, by [`member`].

mod create;
mod delete;
mod draft;
pub(super) mod member;
mod members;
mod operation;
mod rollup;
mod settle;
mod wish;

use std::sync::Arc;

use jiff::Timestamp;

use super::draft::Verdict;
use super::memory::Memory;
use super::model::GroupCapabilities;
use super::{AccountFacts, AccountView, EventDraft, Step};
use crate::api::server_group::{PlacementPolicy, ServerGroup, ServerGroupStatus};
use crate::api::{Reason, Server};
use draft::GroupDraft;
pub use member::GroupView;

/// Everything a decision about a group rests on.
pub struct GroupInput<'a> {
    /// The object as it was last read or written.
    pub group: &'a ServerGroup,
    /// Its account.
    pub account: AccountView<'a>,
    /// What this process remembers of it.
    pub memory: &'a Memory,
    /// The Servers of its namespace that name it, or that were placed in it. In the order of their names.
    pub members: &'a [Arc<Server>],
    /// Another living ServerGroup that has recorded this id of the cloud, as `namespace/name`.
    pub claimed: &'a dyn Fn(&str) -> Option<String>,
    /// Names this process; changes with every start.
    pub process: &'a str,
    /// Names this installation; never changes.
    pub installation: &'a str,
    /// This process was told to go, and records no call any more.
    pub leaving: bool,
    /// Whether a living object has this uid.
    pub lives: &'a dyn Fn(&str) -> bool,
    /// The time.
    pub now: Timestamp,
    /// Where jitter comes from.
    pub seed: u64,
}

/// What to do next for a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPlan {
    /// The status to write, if it differs from the one that was read.
    pub status: ServerGroupStatus,
    /// What to remember, once the status is written (or needs no write).
    pub memory: Memory,
    /// The next step, once the status is written.
    pub step: Step,
    /// What to tell people, once the status is written.
    pub events: Vec<EventDraft>,
    /// Plan again at this time at the latest.
    pub again_at: Option<Timestamp>,
    /// A complete list that was asked for after this time is wanted; plan again when there is one.
    pub list_after: Option<Timestamp>,
    /// Something is under way: list at the busy pace, and plan again after every list.
    pub busy: bool,
    /// Whether the groups of the account have to be listed for it.
    pub lists_groups: bool,
}

/// Decides about a group.
pub fn plan_group(input: &GroupInput<'_>) -> GroupPlan {
    let mut d = GroupDraft::new(input);
    let verdict = decide(&mut d);
    d.finish(verdict)
}

fn decide(d: &mut GroupDraft<'_>) -> Verdict {
    d.acknowledge();
    rollup::count(d);
    let absorbed = create::absorb(d);
    if d.deleting() {
        if !d.has_finalizer() {
            return Verdict::Keep;
        }
        if let Some(verdict) = delete::without_cloud(d) {
            return verdict;
        }
    } else if !d.has_finalizer() {
        d.step = Step::AddFinalizer;
        d.list_after = d.memory.first_seen;
        return Verdict::Keep;
    }
    let facts = match d.input.account {
        AccountView::Usable(facts) => facts,
        AccountView::Unusable {
            reason,
            message,
            since,
        } => return d.unusable(reason, message, since, absorbed),
    };
    if let Some((since, reason, message)) = &facts.outage {
        return d.unusable(*reason, message, *since, absorbed);
    }
    if let Some(verdict) = d.another_account(facts) {
        return verdict;
    }
    d.show_pause(facts);
    let can = match supported(d, facts) {
        Ok(can) => can,
        Err(verdict) => return verdict,
    };
    let untouched = d.status.id.is_none() && d.status.create_attempts.is_none() && d.spec.import.is_none();
    let Some(can) = can.filter(|can| !untouched || needed(d, can)) else {
        d.lists_groups = false;
        return if d.deleting() {
            delete::nothing(d)
        } else {
            d.status.placement = None;
            rollup::unplaced(d);
            Verdict::Ready(
                Reason::AsDeclared,
                "no placement is asked for: nothing is needed in the cloud".to_owned(),
            )
        };
    };
    if facts.listing.groups.is_none() {
        let since = d.memory.first_seen.unwrap_or(d.now());
        return match &facts.listing.groups_refused {
            Some(words) => {
                d.again(d.after(60));
                Verdict::Stalled(
                    Reason::Forbidden,
                    format!("the cloud does not list groups: {words}"),
                )
            }
            None => {
                d.list_after = Some(facts.listing.asked_at.unwrap_or(since).max(since));
                absorbed
            }
        };
    }
    if d.contradicts(facts) {
        return absorbed;
    }
    if d.deleting() {
        return delete::plan(d, facts, can);
    }
    match (d.status.id.clone(), &d.spec.import) {
        (Some(id), _) => settle::plan(d, facts, can, &id),
        (None, Some(import)) => create::import(d, facts, can, &import.id),
        (None, None) => create::plan(d, facts, can),
    }
}

/// Whether the wish needs a group in the cloud.
fn needed(d: &GroupDraft<'_>, can: &GroupCapabilities) -> bool {
    d.spec.placement.policy != PlacementPolicy::None || can.without_policy
}

/// What the cloud can do with groups; none if it has none and none is wished for.
fn supported(
    d: &GroupDraft<'_>,
    facts: &AccountFacts,
) -> Result<Option<&'static GroupCapabilities>, Verdict> {
    let placement = &d.spec.placement;
    let none = placement.policy == PlacementPolicy::None;
    let refused = |text: String| {
        // What exists is deleted whatever the wish was.
        if d.deleting() {
            return Ok(facts.capabilities.groups);
        }
        Err(Verdict::Stalled(Reason::Unsupported, text))
    };
    let Some(can) = facts.capabilities.groups else {
        return if none && d.spec.import.is_none() {
            Ok(None)
        } else {
            refused("this cloud has no groups; placement.policy None is possible".to_owned())
        };
    };
    if !none && !can.policies.contains(&placement.policy) {
        let offered: Vec<_> = can.policies.iter().map(|p| p.as_str()).collect();
        return refused(format!(
            "placement.policy {} cannot be had from this cloud; it has {}",
            placement.policy,
            offered.join(", ")
        ));
    }
    if placement.max_servers_per_host.is_some() && !can.max_per_host {
        return refused("placement.maxServersPerHost cannot be had from this cloud".to_owned());
    }
    if !can.marks && d.spec.labels.as_ref().is_some_and(|l| !l.is_empty()) {
        return refused("this cloud keeps no labels on groups".to_owned());
    }
    Ok(Some(can))
}
