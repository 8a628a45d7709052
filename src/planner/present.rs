//! A server that exists: what is under way, what is wrong, what differs; the first that applies decides.

use super::draft::{Draft, Verdict, words};
use super::model::{ObservedServer, Operate, ServerState};
use super::operation::Progress;
use super::{
    AccountFacts, Step, broken, create, deeds, details, group, import, lock, missing, operation, power,
    rebuild, refusal, rescue, resize, restart, settings, soft_delete, stop, twins,
};
use crate::api::Reason;
use crate::api::conditions::ConditionType;
use crate::api::server_status::OperationKind;

/// A list older than this many seconds is renewed before anything is changed.
pub(super) const FRESH: i64 = 60;
/// A creation that takes longer than this many seconds needs a look by a person.
const BUILD_LIMIT: i64 = 1200;

pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Verdict {
    d.show_wish();
    d.status.account.get_or_insert_with(|| facts.account.clone());
    if let Some(import) = d.import().filter(|i| i.id != id) {
        let text = format!(
            "spec.import.id names {}, but this object has server {id} already: one object, one server",
            import.id
        );
        return Verdict::Stalled(Reason::InvalidSpec, text);
    }
    let Some(seen) = missing::find(d, facts, id) else {
        return missing::plan(d, facts, id);
    };
    missing::note(d, &seen);
    missing::list_again(d, facts, &seen);
    d.show(&seen);
    lock::show(d, &seen);
    power::tell_whose(d, &seen);
    if let Some(verdict) = import::foreign(d, &seen) {
        d.again(d.after(60));
        return verdict;
    }
    match operation::progress(d, facts, &seen) {
        Progress::Open(verdict) => {
            return deeds::overrule(d, facts, id, &seen).unwrap_or(verdict);
        }
        Progress::Closed => {}
    }
    let verdict = compare(d, facts, id, &seen);
    deeds::tend(d, &seen);
    lock::close(d, facts, id, &seen).unwrap_or(verdict)
}

/// What is asked for, and what differs.
fn compare(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Verdict {
    if let Some(verdict) = twins::beside(d, facts, id) {
        return verdict;
    }
    if let Some(verdict) = deeds::next(d, facts, id, seen) {
        return verdict;
    }
    if let Some(verdict) = unsettled(d, facts, id, seen) {
        return verdict;
    }
    rescue::tidy(d, seen);
    // It keeps its place until it is back.
    d.takes.disruption |= stop::for_a_change(d, seen);
    let verdict = resize::adjust(d, facts, id, seen)
        .and_then(|()| rebuild::adjust(d, facts, id, seen))
        .and_then(|()| settings::before_power(d, facts, id, seen))
        .and_then(|()| restart::handle(d, facts, id, seen))
        .and_then(|()| rescue::before_power(d, facts, id, seen))
        .and_then(|()| power::settle(d, facts, id, seen))
        .and_then(|verdict| mark(d, facts, id, seen).map(|()| verdict))
        .and_then(|verdict| lock::settle(d, facts, id, seen).map(|()| verdict))
        .map(|verdict| at_rest(d, facts, id, verdict))
        .map(|verdict| details::fetch(d, facts, seen, verdict))
        .unwrap_or_else(|verdict| verdict);
    lock::tell(d, seen);
    verdict
}

/// States in which nothing is compared yet.
fn unsettled(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Option<Verdict> {
    if seen.state == ServerState::Provisioning {
        d.busy = true;
        d.takes.create = d.import().is_none();
        let created = d.was(ConditionType::Ready).is_some();
        let since = d
            .old
            .power
            .as_ref()
            .and_then(|p| p.last_transition_time)
            .filter(|_| created);
        // Where provisioning can be tried again, the time for that is known.
        let retry = OperationKind::Retry;
        let limit = if facts.capabilities.has(retry) {
            BUILD_LIMIT.max(i64::from(facts.capabilities.deadline(retry)))
        } else {
            BUILD_LIMIT
        };
        if since.is_some_and(|t| super::draft::later(t, limit) < d.now()) {
            let text = format!(
                "server {id} is still being built after {} minutes: {}",
                limit / 60,
                seen.raw
            );
            return Some(Verdict::Stalled(Reason::OperationTimeout, text));
        }
        return Some(if d.status.failure.is_some() {
            create::refused(d)
        } else {
            create::creating(d)
        });
    }
    // Whatever is under way in it, nobody here knows when it ends.
    if seen.state == ServerState::Unknown {
        let text = format!(
            "the cloud reports {:?}, which is not known here; nothing is done",
            seen.raw
        );
        return Some(Verdict::Stalled(Reason::UnknownState, text));
    }
    if seen.busy || seen.state.is_transitional() {
        if let Some(verdict) = stuck(d, id, seen) {
            return Some(verdict);
        }
        // The work of an operator may take a day, and needs no look each second.
        d.busy = seen.state != ServerState::Maintenance;
        let text = format!("the cloud is busy with the server: {}", words(seen));
        return Some(Verdict::Reconciling(Reason::WaitingForCloud, text));
    }
    match seen.state {
        ServerState::Error => Some(broken::plan(d, facts, id, seen)),
        ServerState::SoftDeleted => Some(soft_delete::plan(d, facts, id, seen)),
        _ => None,
    }
}

/// How many seconds a server may be in a passing state that we did not bring about: disks are copied for hours, and
/// an operator's work may take a day.
const fn passes_within(state: ServerState) -> i64 {
    match state {
        ServerState::Maintenance => 86_400,
        ServerState::Resizing | ServerState::RevertingResize | ServerState::Rebuilding => 4 * 3600,
        _ => 1800,
    }
}

/// A server that does not leave a passing state: the cloud has lost it, and only a person can find out why.
fn stuck(d: &mut Draft<'_>, id: &str, seen: &ObservedServer) -> Option<Verdict> {
    let power = d.status.power.as_ref()?;
    let since = power
        .last_transition_time
        .filter(|_| seen.state.is_transitional())?;
    let limit = super::draft::later(since, passes_within(seen.state));
    if d.now() < limit {
        d.again(limit);
        return None;
    }
    let raw = power.raw.clone().unwrap_or_default();
    let text = format!(
        "server {id} has been {} in the cloud since {since}: {raw}",
        seen.state
    );
    Some(Verdict::Stalled(Reason::OperationTimeout, text))
}

/// Why a call cannot be made now, if so: the cloud would refuse it, the last list is old, or a refusal is
/// waited out.
pub(super) fn not_now(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    kind: OperationKind,
    what: &str,
) -> Option<Verdict> {
    if d.in_flight() {
        d.busy = true;
        return Some(Verdict::Keep);
    }
    if seen.busy || !facts.capabilities.allows(kind, seen.state) {
        d.busy = seen.busy;
        let text = format!("{what}; the cloud does not accept {kind} in {}", words(seen));
        return Some(Verdict::Stalled(Reason::Unsupported, text))
            .filter(|_| !seen.busy)
            .or(Some(Verdict::Keep));
    }
    if let Some(why) = lock::forbids(d, facts.capabilities, seen, kind) {
        return Some(Verdict::Stalled(
            Reason::Locked,
            format!("{what}; the server is locked in the cloud{why}"),
        ));
    }
    if create::stale(d, facts) {
        d.list_after = Some(d.now());
        return Some(Verdict::Keep);
    }
    // One that stands still is not taken down any more.
    if kind.disrupts()
        && seen.state != ServerState::Stopped
        && let Some(verdict) = no_place(d, facts)
    {
        return Some(verdict);
    }
    if d.backing_off() {
        return Some(refusal::words(d).unwrap_or(Verdict::Keep));
    }
    // The last thing before the step itself.
    lock::open(d, facts, seen, kind)
}

/// Why no more servers of the account may be taken down now, if so.
pub(super) fn no_place(d: &mut Draft<'_>, facts: &AccountFacts) -> Option<Verdict> {
    if facts.disruptions_free || d.takes.disruption {
        return None;
    }
    d.again(d.after(1));
    let reason = Reason::WaitingForTurn;
    Some(Verdict::Reconciling(reason, reason.meaning().to_owned()))
}

/// Our marks, where they are missing: after an import, or taken off by somebody.
fn mark(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Result<(), Verdict> {
    let marks = create::marks(d);
    let kind = OperationKind::Mark;
    if seen.marks.as_ref() == Some(&marks) || !facts.capabilities.marks_mutable || d.gagged(facts).is_some() {
        return Ok(());
    }
    if let Some(verdict) = not_now(d, facts, seen, kind, "") {
        // Our lock may be opened for it.
        return if d.step == Step::Wait {
            Ok(())
        } else {
            Err(verdict)
        };
    }
    d.operate(
        id,
        kind,
        Operate::Marks(marks),
        i64::from(facts.capabilities.deadline(kind)),
        None,
    );
    Err(power::doing(kind))
}

/// Nothing is left to do.
fn at_rest(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, verdict: Verdict) -> Verdict {
    rebuild::drift(d);
    d.status.operation = None;
    if let Some(worse) = group::member::settle(d, facts, id).or_else(|| d.size_verdict.take()) {
        return worse;
    }
    d.status.failure = None;
    // A mark that was refused waits for its turn.
    if !d.backing_off() {
        d.memory.backoff = None;
    }
    // A server can be found, and at rest, before the reply to its own create is there.
    d.memory.dealt_with();
    verdict
}
