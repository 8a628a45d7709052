//! The object is being deleted: after its members, and never before an attempt to make one of them is over.

use super::draft::GroupDraft;
use super::{Verdict, create, members, operation, settle};
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::{DeletionPolicy, ManagementPolicy};
use crate::api::server_group::{GroupOperation, GroupOperationKind as Kind};
use crate::api::{Reason, Server, keys};
use crate::planner::bugs::{self, Bug};
use crate::planner::delete::names_it;
use crate::planner::memory::Outcome;
use crate::planner::model::{GroupCapabilities, GroupChange};
use crate::planner::{AccountFacts, Step};

/// So many names are told.
const NAMES: usize = 10;

/// Deletions that need no answer of the cloud.
pub(super) fn without_cloud(d: &mut GroupDraft<'_>) -> Option<Verdict> {
    if let Some(id) = d.annotation(keys::ABANDON)
        && names_it(
            id,
            d.status.id.as_deref(),
            d.status.create_attempt.is_some(),
            d.uid(),
        )
    {
        let text = format!("group {id} is left in the cloud, as {} asks", keys::ABANDON);
        d.event(true, Reason::Abandoned, "Delete", &text);
        return Some(release(d));
    }
    if d.status.create_attempt.is_some() {
        return None;
    }
    if d.spec.management_policy != ManagementPolicy::Full {
        return Some(release(d));
    }
    if orphans(d) && d.status.id.is_none() {
        return Some(release(d));
    }
    if let Some(verdict) = has_members(d) {
        return Some(verdict);
    }
    let untouched = d.status.id.is_none() && d.status.create_attempts.is_none();
    untouched.then(|| release(d))
}

/// Nothing of it is in the cloud.
pub(super) fn nothing(d: &mut GroupDraft<'_>) -> Verdict {
    release(d)
}

fn orphans(d: &GroupDraft<'_>) -> bool {
    match d.spec.deletion_policy {
        Some(policy) => policy == DeletionPolicy::Orphan,
        None => d.spec.import.is_some(),
    }
}

/// Whether a Server has something in the cloud, or may still get it.
fn exists(server: &Server) -> bool {
    let status = server.status.as_ref();
    status.is_some_and(|s| s.id.is_some() || s.create_attempt.is_some())
}

/// The members that keep the group, unless it stays in the cloud anyway.
fn has_members(d: &mut GroupDraft<'_>) -> Option<Verdict> {
    if orphans(d) || bugs::has(Bug::DeleteTheGroupFirst) {
        return None;
    }
    let id = d.status.id.as_deref();
    let (name, config) = (d.name(), &d.spec.provider_config_ref.name);
    let belongs = |s: &&Server| {
        let named = s.spec.group_ref.as_ref().is_some_and(|g| g.name == name);
        let placed = s.status.as_ref().and_then(|s| s.group.as_ref()?.id.as_deref());
        (named && s.spec.provider_config_ref.name == *config) || (placed.is_some() && placed == id)
    };
    let all = d.input.members.iter().map(AsRef::as_ref);
    let names: Vec<&str> = all
        .filter(belongs)
        .filter(|s| exists(s))
        .filter_map(|s| s.metadata.name.as_deref())
        .collect();
    if names.is_empty() {
        return None;
    }
    let text = format!("Servers {} are members: delete them first", named(&names));
    Some(blocked(d, Reason::GroupHasMembers, &text))
}

/// Some names, and how many more there are.
fn named(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub(super) fn plan(d: &mut GroupDraft<'_>, facts: &AccountFacts, can: &'static GroupCapabilities) -> Verdict {
    let now = d.now();
    let of_deletion = |o: &GroupOperation| matches!(o.kind, Kind::Delete | Kind::Unmark);
    if d.memory.deleting_since.is_none() && !d.status.operation.as_ref().is_some_and(of_deletion) {
        // What was refused before says nothing of this.
        d.status.failure = None;
    }
    let since = *d.memory.deleting_since.get_or_insert(now);
    let mine: Vec<String> = create::mine(d, facts, can).iter().map(|g| g.id.clone()).collect();
    if let Some(attempt) = d.status.create_attempt.clone()
        && mine.is_empty()
        && let Some(verdict) = create::open_attempt(d, facts, &attempt)
    {
        return verdict;
    }
    if let Some(reason) = d.gagged(facts) {
        if reason == Reason::Observing {
            return release(d);
        }
        return blocked(d, reason, reason.meaning());
    }
    if d.status.id.is_none() {
        match mine.as_slice() {
            [] => {}
            [one] => create::record(d, one),
            several => {
                let text = format!("groups {} all belong to this object", several.join(", "));
                return blocked(d, Reason::AmbiguousCreate, &text);
            }
        }
    }
    d.busy = true;
    let asked = facts.listing.asked_at;
    let Some(id) = d.status.id.clone() else {
        if asked.is_none_or(|t| t <= since) {
            d.list_after = Some(since);
            return deleting(d);
        }
        return release(d);
    };
    if let Some(verdict) = has_members(d) {
        return verdict;
    }
    let deleted = match &d.status.operation {
        Some(op) if op.kind == Kind::Delete => match d.outcome(&op.id) {
            Some(Outcome::Accepted(at, _)) => Some(*at),
            _ => Some(op.started_at),
        },
        _ => None,
    };
    if bugs::has(Bug::LetTheGroupGoTooEarly) && deleted.is_some() {
        return release(d);
    }
    let Some(seen) = facts.listing.group(&id).cloned() else {
        let since = deleted.unwrap_or(since).max(since);
        if d.in_flight() {
            return deleting(d);
        }
        if asked.is_none_or(|t| t <= since) {
            d.list_after = Some(since);
            return deleting(d);
        }
        // The cloud has said that it deletes it, or two lists say that it is not there.
        let accepted = |op: &GroupOperation| {
            op.kind == Kind::Delete && matches!(d.outcome(&op.id), Some(Outcome::Accepted(..)))
        };
        if !d.status.operation.as_ref().is_some_and(accepted) && !settle::lacked_twice(d, facts) {
            return deleting(d);
        }
        let text = format!("group {id} is gone");
        d.event(false, Reason::Deleted, "Delete", &text);
        return release(d);
    };
    d.memory.attempt = None;
    if let Some(Verdict::Stalled(reason, text)) = create::foreign(d, &seen) {
        return blocked(d, reason, &text);
    }
    if let Some(verdict) = operation::progress(d, facts, |op| op.kind == Kind::Unmark && seen.marks.is_none())
    {
        return if d.status.failure.is_some() {
            refused(d, &id)
        } else {
            verdict
        };
    }
    if orphans(d) {
        let ours = seen.marks.as_ref().is_some_and(|m| m.uid == d.uid());
        if !ours || !can.labels_mutable {
            let text = format!("group {id} stays in the cloud");
            d.event(false, Reason::Orphaned, "Delete", &text);
            return release(d);
        }
        return send(d, facts, &id, Kind::Unmark, GroupChange::Unmark);
    }
    let strangers = members::strangers(d, facts, &seen);
    if !strangers.is_empty() {
        let text = format!(
            "servers {} in the cloud, which are none of this group's Servers, are members",
            named(&strangers)
        );
        return blocked(d, Reason::GroupHasMembers, &text);
    }
    send(d, facts, &id, Kind::Delete, GroupChange::Delete)
}

fn send(d: &mut GroupDraft<'_>, facts: &AccountFacts, id: &str, kind: Kind, change: GroupChange) -> Verdict {
    if !(d.in_flight() || d.stale(facts) || d.backing_off()) {
        d.operate(id, kind, None, change);
    }
    refused(d, id)
}

/// What is said of a deletion that goes on: the refusal that it met last, for as long as nothing was accepted after it.
fn refused(d: &mut GroupDraft<'_>, id: &str) -> Verdict {
    match d.status.failure.as_ref().map(|f| f.message.clone()) {
        Some(words) => {
            let text = format!("group {id}: {words} (tried again by itself)");
            blocked(d, Reason::Recovering, &text)
        }
        None => deleting(d),
    }
}

/// The finalizer goes.
fn release(d: &mut GroupDraft<'_>) -> Verdict {
    d.step = Step::RemoveFinalizer;
    d.busy = false;
    d.lists_groups = false;
    // The object is about to vanish: nothing more is written.
    d.status = d.old.clone();
    Verdict::Keep
}

fn deleting(d: &mut GroupDraft<'_>) -> Verdict {
    if conditions::get(&d.status.conditions, ConditionType::DeletionBlocked).is_some() {
        let idle = Reason::Idle;
        let text = idle.meaning();
        d.condition(ConditionType::DeletionBlocked, ConditionStatus::False, idle, text);
    }
    operation::doing(d, Kind::Delete)
}

fn blocked(d: &mut GroupDraft<'_>, reason: Reason, text: &str) -> Verdict {
    d.busy = false;
    d.again(d.after(30));
    d.condition(
        ConditionType::DeletionBlocked,
        ConditionStatus::True,
        reason,
        text,
    );
    Verdict::Held(reason, text.to_owned())
}
