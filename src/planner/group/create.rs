//! The create protocol for groups, as in [`super::super::create`]: a group is asked for once, by the process whose
//! record was accepted; an answer that was lost is waited out and looked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::GroupDraft;
use super::{Verdict, needed, settle};
use crate::api::conditions::to_seconds;
use crate::api::server::ManagementPolicy;
use crate::api::server_status::CreateAttempt;
use crate::api::{Reason, keys};
use crate::planner::bugs::{self, Bug};
use crate::planner::create::{BETWEEN_LOOKS, key};
use crate::planner::draft::later;
use crate::planner::memory::{AttemptWatch, Outcome};
use crate::planner::model::{
    CloudCall, CloudError, CreateGroup, ErrorClass, GroupCapabilities, ObservedGroup,
};
use crate::planner::{AccountFacts, Step};

/// Takes in what became of this process's create call. The id is saved before anything else is decided.
pub(super) fn absorb(d: &mut GroupDraft<'_>) -> Verdict {
    let Some(attempt) = d.status.create_attempt.clone() else {
        return Verdict::Keep;
    };
    if attempt.holder != d.input.process {
        return Verdict::Keep;
    }
    match d.outcome(&key(attempt.n)).cloned() {
        Some(Outcome::Accepted(_, accepted)) => {
            let Some(id) = accepted.id else {
                return Verdict::Keep;
            };
            record(d, &id);
            let text = format!("created group {id}, attempt {}", attempt.n);
            d.event(false, Reason::Created, "Create", &text);
            creating(d)
        }
        Some(Outcome::Refused(_, error)) if error.maybe_applied && !bugs::has(Bug::RetryTheGroup) => {
            d.failed(&CloudError {
                class: ErrorClass::Ambiguous,
                ..error
            });
            d.memory.sent = None;
            Verdict::Keep
        }
        Some(Outcome::Refused(_, error)) => {
            d.status.create_attempt = None;
            d.memory.sent = None;
            d.failed(&error);
            let text = format!("attempt {}: {}", attempt.n, error.message);
            d.event(true, Reason::Refused, "Create", &text);
            creating(d)
        }
        Some(Outcome::InFlight) | None => Verdict::Keep,
    }
}

/// Writes a group down as ours.
pub(super) fn record(d: &mut GroupDraft<'_>, id: &str) {
    d.status.id = Some(id.to_owned());
    d.status.create_attempt = None;
    d.memory.attempt = None;
    d.recovered();
}

/// The groups in the last list that are certainly those of this object: by marks, else by a name that nobody else
/// gives.
pub(super) fn mine<'f>(
    d: &GroupDraft<'_>,
    facts: &'f AccountFacts,
    can: &GroupCapabilities,
) -> Vec<&'f Arc<ObservedGroup>> {
    let (name, marks) = (d.cloud_name(can), d.marks());
    // The name under which it was asked for: the wish may be another one by now.
    let asked = d
        .status
        .cloud_name
        .as_deref()
        .filter(|n| n.ends_with(&d.suffix()));
    let ours = |g: &ObservedGroup| match (&g.marks, can.marks) {
        (Some(m), true) => m.uid == marks.uid && m.installation == marks.installation,
        (None, true) => bugs::has(Bug::AdoptTheGroupByName) && g.name == name,
        (_, false) => g.name == name || Some(g.name.as_str()) == asked,
    };
    let groups = facts.listing.groups.iter().flat_map(BTreeMap::values);
    groups.filter(|g| ours(g)).collect()
}

/// Nothing is recorded: find what an earlier attempt made, or make one.
pub(super) fn plan(d: &mut GroupDraft<'_>, facts: &AccountFacts, can: &'static GroupCapabilities) -> Verdict {
    match mine(d, facts, can).as_slice() {
        [] => {}
        [one] => {
            let id = one.id.clone();
            record(d, &id);
            d.status.account = Some(facts.account.clone());
            let text = format!("found group {id}, which an earlier attempt of this object made");
            d.event(false, Reason::Adopted, "Create", &text);
            return settle::plan(d, facts, can, &id);
        }
        several => return ambiguous(several),
    }
    if let Some(attempt) = d.status.create_attempt.clone()
        && let Some(verdict) = open_attempt(d, facts, &attempt)
    {
        return verdict;
    }
    if !needed(d, can) {
        return Verdict::Ready(Reason::AsDeclared, Reason::AsDeclared.meaning().to_owned());
    }
    if let Some(verdict) = previous(d, facts) {
        return verdict;
    }
    ask(d, facts, can)
}

/// Several groups belong to one object.
pub(super) fn ambiguous(several: &[&Arc<ObservedGroup>]) -> Verdict {
    let ids: Vec<_> = several.iter().take(5).map(|g| g.id.as_str()).collect();
    Verdict::Stalled(
        Reason::AmbiguousCreate,
        format!(
            "groups {} all belong to this object; none is touched. Set spec.import.id to the one to keep",
            ids.join(", ")
        ),
    )
}

/// A group that an earlier object of this name made.
fn previous(d: &GroupDraft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    let object = d.object();
    let groups = facts.listing.groups.iter().flat_map(BTreeMap::values);
    let of_object = |g: &&Arc<ObservedGroup>| {
        g.marks
            .as_ref()
            .is_some_and(|m| m.object == object && m.installation == d.input.installation)
    };
    let ids: Vec<_> = groups.filter(of_object).take(5).map(|g| g.id.as_str()).collect();
    if ids.is_empty() || d.annotation(keys::CREATE_ANYWAY) == Some(d.uid()) {
        return None;
    }
    let text = format!(
        "an earlier object named {object} made group {}: take it over with spec.import.id, or allow a new one with \
         the annotation {}: {}",
        ids.join(", "),
        keys::CREATE_ANYWAY,
        d.uid()
    );
    Some(Verdict::Stalled(Reason::PreviousIncarnation, text))
}

/// Asks for a group, if nothing speaks against it.
fn ask(d: &mut GroupDraft<'_>, facts: &AccountFacts, can: &GroupCapabilities) -> Verdict {
    if d.spec.management_policy != ManagementPolicy::Full {
        let text = "a group is created only with managementPolicy Full".to_owned();
        return Verdict::Stalled(Reason::InvalidSpec, text);
    }
    if let Some(reason) = d.gagged(facts) {
        return d.held(reason, "no group was created yet");
    }
    if d.in_flight() || d.backing_off() {
        return creating(d);
    }
    let since = d.memory.first_seen.unwrap_or(d.now());
    if facts.listing.asked_at.is_none_or(|t| t <= since) {
        d.list_after = Some(since);
        return creating(d);
    }
    if d.stale(facts) {
        return creating(d);
    }
    d.before_call();
    let n = d.status.create_attempts.unwrap_or(0).saturating_add(1);
    d.status.create_attempts = Some(n);
    d.status.cloud_name = Some(d.cloud_name(can));
    d.status.account = Some(facts.account.clone());
    d.status.applied_labels = d.spec.labels.iter().flatten().map(|(k, _)| k.clone()).collect();
    d.status.create_attempt = Some(CreateAttempt {
        n,
        holder: d.input.process.to_owned(),
        started_at: to_seconds(d.now()),
        deadline: to_seconds(d.after(i64::from(can.create_settle_seconds))),
    });
    d.memory.sent = None;
    d.memory.attempt = None;
    d.busy = true;
    d.step = Step::Call {
        key: key(n),
        call: CloudCall::CreateGroup(Box::new(wanted(d, can))),
    };
    creating(d)
}

/// The group as its owner wishes it.
pub(super) fn wanted(d: &GroupDraft<'_>, can: &GroupCapabilities) -> CreateGroup {
    CreateGroup {
        name: d.cloud_name(can),
        policy: d.spec.placement.policy,
        max_per_host: d.spec.placement.max_servers_per_host,
        labels: d.spec.labels.clone().unwrap_or_default(),
        marks: d.marks(),
    }
}

/// Waits out an attempt whose answer is not known. `None`: it is closed, nothing came of it.
pub(super) fn open_attempt(
    d: &mut GroupDraft<'_>,
    facts: &AccountFacts,
    attempt: &CreateAttempt,
) -> Option<Verdict> {
    d.busy = true;
    let own = attempt.holder == d.input.process;
    if own && d.in_flight() {
        return Some(creating(d));
    }
    let text = format!(
        "attempt {} to create a group had no answer; it is waited out and looked for",
        attempt.n
    );
    let waiting = Some(Verdict::Reconciling(Reason::WaitingForAttempt, text));
    // Another process's deadline runs on this process's own clock, from when it was first seen here.
    let (name, now) = (format!("{}@{}", attempt.n, attempt.holder), d.now());
    let known = d.memory.attempt.take().filter(|w| w.key == name);
    let mut watch = known.unwrap_or(AttemptWatch {
        key: name,
        first_seen: now,
        first_empty: None,
    });
    let span = attempt.deadline.as_second() - attempt.started_at.as_second();
    let expiry = if own {
        later(attempt.deadline, 1)
    } else {
        later(watch.first_seen, span.max(0).saturating_add(1))
    };
    let asked = facts.listing.asked_at.filter(|t| *t > expiry);
    let second = watch.first_empty.map(|t| later(t, BETWEEN_LOOKS));
    match (asked, second) {
        _ if now < expiry => d.again(expiry),
        (None, _) => d.list_after = Some(expiry),
        (Some(asked), None) => {
            watch.first_empty = Some(asked);
            d.again(later(asked, BETWEEN_LOOKS));
        }
        (Some(asked), Some(second)) if asked >= second => {
            d.status.create_attempt = None;
            d.memory.dealt_with();
            d.delay(ErrorClass::Transient, None);
            return None;
        }
        (Some(_), Some(second)) if now >= second => d.list_after = Some(second),
        (Some(_), Some(second)) => d.again(second),
    }
    d.memory.attempt = Some(watch);
    waiting
}

/// Takes over an existing group: explicitly, by its id, and never from a living owner.
pub(super) fn import(
    d: &mut GroupDraft<'_>,
    facts: &AccountFacts,
    can: &'static GroupCapabilities,
    id: &str,
) -> Verdict {
    if let Some(attempt) = d.status.create_attempt.clone()
        && let Some(verdict) = open_attempt(d, facts, &attempt)
    {
        return verdict;
    }
    let Some(seen) = facts.listing.group(id) else {
        d.again(d.after(60));
        let text = format!("no group with the id {id} exists in this account");
        return Verdict::Stalled(Reason::NotFound, text);
    };
    if let Some(verdict) = foreign(d, seen) {
        d.again(d.after(60));
        return verdict;
    }
    record(d, id);
    d.status.account = Some(facts.account.clone());
    d.event(false, Reason::Adopted, "Import", &format!("took over group {id}"));
    settle::plan(d, facts, can, id)
}

/// Whether somebody else manages the group.
pub(super) fn foreign(d: &GroupDraft<'_>, seen: &ObservedGroup) -> Option<Verdict> {
    if let Some(other) = (d.input.claimed)(&seen.id) {
        let text = format!("group {} is that of the ServerGroup {other}", seen.id);
        return Some(Verdict::Stalled(Reason::OwnedByOther, text));
    }
    let own = d.marks();
    let marks = seen
        .marks
        .as_ref()
        .filter(|m| m.uid != own.uid || m.installation != own.installation)?;
    let theirs = marks.installation != own.installation;
    let living = !theirs && marks.object != own.object && (d.input.lives)(&marks.uid);
    (theirs || living).then(|| {
        let text = format!(
            "group {} carries the mark of {} (uid {}, installation {})",
            seen.id, marks.object, marks.uid, marks.installation
        );
        Verdict::Stalled(Reason::OwnedByOther, text)
    })
}

/// What is said while a group is being made, or its refusal is waited out.
pub(super) fn creating(d: &GroupDraft<'_>) -> Verdict {
    d.refused().unwrap_or_else(|| {
        let name = d.spec.cloud_name.as_deref().unwrap_or(d.name());
        Verdict::Reconciling(Reason::Creating, format!("group {name:?} is being created"))
    })
}
