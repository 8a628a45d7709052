//! What belonged to a server and has an id of its own: recorded while the server is there, and deleted by id once
//! it is gone, as far as it is ours and `spec.deletion` says so. What stays is named.

use super::{ASK_AGAIN, blocked, deleting};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server::{DeletionAddresses, DeletionBackups, DeletionDisks};
use crate::api::server_status::{OperationKind, PartKind, PartStatus};
use crate::planner::draft::{Draft, Verdict, key_of, later};
use crate::planner::memory::Outcome;
use crate::planner::model::{ErrorClass, ObservedServer, Operate, Part};
use crate::planner::{AccountFacts, details, operation};

/// So many parts are remembered.
const MOST: usize = 64;

/// Writes the parts of a server down before it goes. `Some`: they are not known yet.
pub(super) fn note(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    if !known(facts) {
        return None;
    }
    match details::of(d, seen) {
        Some(seen) => {
            d.status.parts = seen
                .parts
                .iter()
                .take(MOST)
                .map(|p| status(p, &seen.parts))
                .collect();
            None
        }
        None => {
            let Some(words) = details::ask(d, id) else {
                return Some(deleting(d));
            };
            let text = format!("what belongs to server {id} has to be known before it is deleted: {words}");
            Some(blocked(d, Reason::Recovering, &text))
        }
    }
}

/// Whether this cloud has parts that can be deleted.
fn known(facts: &AccountFacts) -> bool {
    let mut rows = facts.capabilities.preconditions.iter();
    rows.any(|(kind, _)| *kind == OperationKind::DeletePart)
}

fn status(part: &Part, all: &[Part]) -> PartStatus {
    let rivals = all.iter().filter(|p| p.kind == part.kind && p.of == part.of);
    // Where the cloud does not say when, or of which of several disks, every one of them may be the newest.
    let disks = all.iter().filter(|p| p.kind == PartKind::Disk).count();
    let vague = part.made_at.is_none() || (part.of.is_none() && disks > 1);
    let newest = rivals.map(|p| p.made_at).max().flatten();
    PartStatus {
        kind: part.kind,
        id: bounded(&part.id, 128),
        name: bounded(&part.name, 128),
        ours: part.ours,
        newest: part.kind == PartKind::Backup && (vague || part.made_at == newest),
    }
}

/// Whether a part is to go, as the spec says now.
fn goes(d: &Draft<'_>, part: &PartStatus) -> bool {
    let wish = d.spec.deletion.clone().unwrap_or_default();
    part.ours
        && match part.kind {
            PartKind::Disk => wish.disks == DeletionDisks::DeleteOwned,
            PartKind::Backup => match wish.backups {
                DeletionBackups::Keep => false,
                DeletionBackups::KeepLatest => !part.newest,
                DeletionBackups::Delete => true,
            },
            PartKind::Address => wish.addresses == DeletionAddresses::Release,
        }
}

/// The server is gone for certain: that is written down, so that nothing asks again, and its parts are next.
pub(super) fn begin(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Option<Verdict> {
    if d.status.parts.is_empty() {
        return None;
    }
    if !d.status.parts.iter().any(|p| goes(d, p)) {
        tell(d);
        return None;
    }
    d.status.previous_ids.push(id.to_owned());
    let surplus = d.status.previous_ids.len().saturating_sub(10);
    d.status.previous_ids.drain(..surplus);
    d.status.id = None;
    d.status.operation = None;
    d.memory.sent = None;
    d.memory.backoff = None;
    sweep(d, facts)
}

/// Deletes what is left, one by one. `None`: nothing more has to go.
pub(super) fn sweep(d: &mut Draft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    if d.status.parts.is_empty() {
        return None;
    }
    d.busy = true;
    let kind = OperationKind::DeletePart;
    if d.in_flight() {
        return Some(deleting(d));
    }
    if let Some(op) = d.status.operation.clone().filter(|o| o.kind == kind) {
        match d.outcome(&key_of(&op)).cloned() {
            Some(Outcome::Accepted(..)) => gone(d, &op.argument),
            Some(Outcome::Refused(_, e)) if e.class == ErrorClass::NotFound => gone(d, &op.argument),
            Some(Outcome::Refused(_, e)) => {
                d.memory.sent = None;
                match e.class {
                    ErrorClass::Busy | ErrorClass::RateLimited => d.delay(e.class, e.retry_after),
                    class => d.failed(class, e.code.as_deref(), &e.message, e.retry_after),
                }
            }
            // Recorded by a process that is gone: asked for again, it may say that there is no such thing.
            Some(Outcome::InFlight) | None => {
                let again = later(op.started_at, ASK_AGAIN);
                if d.memory.backoff.is_none() && d.now() < again {
                    d.again(again);
                    return Some(deleting(d));
                }
            }
        }
    }
    let Some(part) = d.status.parts.iter().find(|p| goes(d, p)).cloned() else {
        tell(d);
        return None;
    };
    if d.backing_off() {
        let named = format!("{} {}", word(part.kind), part.id);
        return Some(match operation::refusal(d) {
            Some(Verdict::Stalled(_, words) | Verdict::Reconciling(_, words)) => {
                let text = format!("{named} is not deleted: {words}; spec.deletion can say that it stays");
                blocked(d, Reason::Recovering, &text)
            }
            _ => deleting(d),
        });
    }
    let server = d.status.previous_ids.last().cloned().unwrap_or_default();
    let seconds = i64::from(facts.capabilities.deadline(kind));
    let how = Operate::Part(part.kind, part.id.clone());
    d.operate(&server, kind, how, seconds, Some(part.id));
    Some(deleting(d))
}

fn gone(d: &mut Draft<'_>, id: &Option<String>) {
    let parts = std::mem::take(&mut d.status.parts);
    let (gone, rest) = parts.into_iter().partition(|p| Some(&p.id) == id.as_ref());
    d.status.parts = rest;
    let gone: Vec<PartStatus> = gone;
    for part in gone {
        let note = format!("{} {} was deleted", word(part.kind), part.id);
        d.event(false, Reason::PartDeleted, "Delete", note);
    }
    d.status.operation = None;
    d.memory.sent = None;
    d.recovered();
}

/// Names what stays.
fn tell(d: &mut Draft<'_>) {
    let named = |p: &PartStatus| format!("{} {} {:?}", word(p.kind), p.id, p.name);
    let stays: Vec<String> = d.status.parts.iter().map(named).collect();
    if !stays.is_empty() {
        let note = format!("stays in the cloud, and may be billed: {}", stays.join(", "));
        d.event(false, Reason::PartsKept, "Delete", note);
    }
}

const fn word(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Disk => "disk",
        PartKind::Backup => "backup",
        PartKind::Address => "address",
    }
}
