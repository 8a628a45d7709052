//! What belonged to a server and has an id of its own: recorded while the server is there, and deleted by id once
//! it is gone, as far as it is ours and `spec.deletion` says so. What stays is named.

use super::{ASK_AGAIN, blocked, deleting, orphan};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server::{DeletionAddresses, DeletionBackups, DeletionDisks};
use crate::api::server_status::{OperationKind, PartKind, PartStatus};
use crate::planner::draft::{Draft, Verdict, key_of, later};
use crate::planner::memory::Outcome;
use crate::planner::model::{ErrorClass, ObservedServer, Operate, Part};
use crate::planner::{AccountFacts, create, details, power, refusal};

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
            d.status.parts = recorded(&seen.parts);
            None
        }
        None => {
            let Some(words) = details::ask(d, id) else {
                return Some(deleting(d));
            };
            let text = format!("what belongs to server {id} has to be known before it goes: {words}");
            Some(blocked(d, Reason::Recovering, &text))
        }
    }
}

/// Parts as they are remembered.
pub(in crate::planner) fn recorded(parts: &[Part]) -> Vec<PartStatus> {
    parts.iter().take(MOST).map(|p| status(p, parts)).collect()
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

/// Whether a part is to go along with its server, as the spec says now.
fn goes(d: &Draft<'_>, part: &PartStatus) -> bool {
    let wish = d.spec.deletion.clone().unwrap_or_default();
    part.ours
        && !orphan(d)
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
    let operation = d.status.operation.as_ref();
    if operation.is_none_or(|o| o.kind != OperationKind::Delete) {
        // It went without us: whether its parts did, and whose they are by now, nobody can say.
        left(d, id);
        return None;
    }
    if !d.status.parts.iter().any(|p| goes(d, p)) {
        tell(d);
        return None;
    }
    d.moved_away(id);
    d.status.operation = None;
    d.memory.dealt_with();
    d.memory.backoff = None;
    sweep(d, facts)
}

/// What is done to parts, one by one.
struct Job {
    kind: OperationKind,
    /// Whether it is to be done to a part, and is not done yet.
    due: fn(&Draft<'_>, &PartStatus) -> bool,
    /// What a refusal means, and the way out.
    refused: (&'static str, &'static str),
}

const DELETE: Job = Job {
    kind: OperationKind::DeletePart,
    due: goes,
    refused: ("is not deleted", "spec.deletion can say that it stays"),
};

const UNMARK: Job = Job {
    kind: OperationKind::UnmarkPart,
    // Nothing else carries marks of its own.
    due: |_, part| part.ours && part.kind == PartKind::Disk,
    refused: (
        "keeps the mark of this object",
        "it can be taken off in the cloud",
    ),
};

/// Deletes what is left, one by one. `None`: nothing more has to go.
pub(super) fn sweep(d: &mut Draft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    if d.status.parts.is_empty() {
        return None;
    }
    let server = d.status.previous_ids.last().cloned().unwrap_or_default();
    let verdict = work_off(d, facts, &DELETE, &server);
    if verdict.is_none() {
        tell(d);
    }
    verdict
}

/// Takes our marks off the disks of a server that is let go, one by one. `None`: none carries them any more.
pub(super) fn unmark(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Option<Verdict> {
    let open = d.status.operation.as_ref().map(|o| o.kind);
    if open == Some(OperationKind::Unmark) || !facts.capabilities.allows(UNMARK.kind, seen.state) {
        return None;
    }
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return Some(power::doing(UNMARK.kind));
    }
    if open != Some(UNMARK.kind)
        && let Some(verdict) = note(d, facts, id, seen)
    {
        return Some(verdict);
    }
    work_off(d, facts, &UNMARK, id)
}

/// The next call of a job. `None`: nothing is left to do.
fn work_off(d: &mut Draft<'_>, facts: &AccountFacts, job: &Job, server: &str) -> Option<Verdict> {
    d.busy = true;
    let kind = job.kind;
    if d.in_flight() {
        return Some(going(d, job));
    }
    if let Some(op) = d.status.operation.clone().filter(|o| o.kind == kind) {
        match d.outcome(&key_of(&op)).cloned() {
            Some(Outcome::Accepted(_, accepted)) => done(d, job, &op.argument, accepted.spared),
            Some(Outcome::Refused(_, e)) if e.class == ErrorClass::NotFound => {
                done(d, job, &op.argument, false);
            }
            Some(Outcome::Refused(_, e)) => {
                d.memory.sent = None;
                match e.class {
                    ErrorClass::Busy | ErrorClass::RateLimited => d.delay(e.class, e.retry_after),
                    class => d.failed(class, e.code.as_deref(), &e.message, e.retry_after),
                }
            }
            // Recorded by a process that is gone: asked for again, which changes nothing if it was done.
            Some(Outcome::InFlight) | None => {
                let again = later(op.started_at, ASK_AGAIN);
                if d.memory.backoff.is_none() && d.now() < again {
                    d.again(again);
                    return Some(going(d, job));
                }
            }
        }
    }
    let part = d.status.parts.iter().find(|p| (job.due)(d, p)).cloned()?;
    let waits = d.backing_off();
    if !waits {
        let seconds = i64::from(facts.capabilities.deadline(kind));
        let how = Operate::PartMarks(part.kind, part.id.clone(), create::marks(d));
        d.operate(server, kind, how, seconds, Some(part.id));
    }
    Some(going(d, job))
}

/// What is said while a job goes on: the refusal that it met at a part last, if there was one.
fn going(d: &mut Draft<'_>, job: &Job) -> Verdict {
    match refusal::words(d) {
        Some(Verdict::Stalled(_, words) | Verdict::Reconciling(_, words)) => {
            let id = d.status.operation.as_ref().and_then(|o| o.argument.clone());
            let mut parts = d.status.parts.iter();
            let part = parts.find(|p| Some(&p.id) == id.as_ref());
            let named = part.map_or_else(String::new, |p| format!("{} {}", word(p.kind), p.id));
            let (what, way) = job.refused;
            blocked(d, Reason::Recovering, &format!("{named} {what}: {words}; {way}"))
        }
        _ => {
            let verdict = deleting(d);
            match job.kind {
                OperationKind::UnmarkPart => power::doing(job.kind),
                _ => verdict,
            }
        }
    }
}

/// A job is done with one part, or has spared it.
fn done(d: &mut Draft<'_>, job: &Job, id: &Option<String>, spared: bool) {
    let parts = std::mem::take(&mut d.status.parts);
    let (mut these, mut rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(|p| Some(&p.id) == id.as_ref());
    if spared || job.kind == OperationKind::UnmarkPart {
        these.iter_mut().for_each(|p| p.ours = false);
        rest.append(&mut these);
    }
    d.status.parts = rest;
    for part in these {
        let note = format!("{} {} was deleted", word(part.kind), part.id);
        d.event(false, Reason::PartDeleted, "Delete", note);
    }
    d.status.operation = None;
    d.memory.dealt_with();
    d.recovered();
}

fn named(d: &Draft<'_>) -> Option<String> {
    let named = |p: &PartStatus| format!("{} {} {:?}", word(p.kind), p.id, p.name);
    let all: Vec<String> = d.status.parts.iter().map(named).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Names what stays.
fn tell(d: &mut Draft<'_>) {
    if let Some(stays) = named(d) {
        let note = format!("stays in the cloud, and may be billed: {stays}");
        d.event(false, Reason::PartsKept, "Delete", note);
    }
}

/// Names what belonged to a server that went without us. It is never deleted: nobody can say whose it is by now.
pub(in crate::planner) fn left(d: &mut Draft<'_>, server: &str) {
    if let Some(stays) = named(d) {
        let note =
            format!("server {server} is gone; what it had may stay in the cloud and be billed: {stays}");
        d.event(true, Reason::PartsKept, "Observe", note);
    }
}

const fn word(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Disk => "disk",
        PartKind::Backup => "backup",
        PartKind::Address => "address",
    }
}
