//! One restart for each new token, never two.

use jiff::Timestamp;

use super::draft::{Draft, Verdict, key_of, later, words};
use super::memory::Outcome;
use super::model::{Ended, ErrorClass, ObservedServer, ServerState, StopKind, Trace, Which};
use super::operation::{Progress, close};
use super::stop::Purpose;
use super::{AccountFacts, group, log, power, present, rescue, stop};
use crate::api::Reason;
use crate::api::conditions::{bounded, to_seconds};
use crate::api::server::{PowerOffMode, PowerWish};
use crate::api::server_status::{Operation, OperationKind, RestartStatus};

const RECORDED: &str = "Recorded";
const RESTARTING: &str = "Restarting";
/// On our own clock: it is being stopped, and started then.
const STOPPING: &str = "Stopping";
const RETRYING: &str = "Retrying";
const DONE: &str = "Done";
const UNVERIFIED: &str = "Unverified";
const FAILED: &str = "Failed";
const NOT_APPLICABLE: &str = "NotApplicable";
/// The longest id of a request that is written down.
const ID_LENGTH: usize = 128;
/// So many seconds a log has in which nothing was found yet, before nothing can be known.
const PATIENCE: i64 = 60;

/// A token that was not handled yet. `Err` ends the plan.
pub(super) fn handle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    if d.status.restart.as_ref().is_some_and(|r| r.outcome == STOPPING) {
        // What was begun is ended, also where nobody asks for it any more.
        return halfway(d, facts, id, seen);
    }
    let Some(wanted) = d.spec.restart.clone() else {
        return Ok(());
    };
    match &d.status.restart {
        // Never seen before, on a server that exists: recorded, not acted on.
        None => {
            note(d, &wanted.token, RECORDED);
            return Ok(());
        }
        Some(last) if last.token == wanted.token && last.outcome != RETRYING => {
            if let Some(words) = last.message.clone().filter(|_| last.outcome == FAILED) {
                d.aside(Verdict::Stalled(Reason::RestartFailed, words));
            }
            return Ok(());
        }
        Some(_) => {}
    }
    if let Some(at) = wanted.not_before.filter(|t| *t > d.now()) {
        d.again(at);
        return Ok(());
    }
    if let Some((reason, why)) = waits(d, seen) {
        let text = format!("token {:?} is not restarted for yet: {why}", wanted.token);
        d.aside(Verdict::Ready(reason, text));
        return Ok(());
    }
    if seen.state != ServerState::Running {
        note(d, &wanted.token, NOT_APPLICABLE);
        d.event(
            true,
            Reason::RestartUnverified,
            "Restart",
            format!(
                "token {:?}: not restarted, the server is {}",
                wanted.token, seen.state
            ),
        );
        return Ok(());
    }
    if d.gagged(facts).is_some() {
        return Ok(());
    }
    power::glance(d, seen);
    if !facts.capabilities.restart_modes.contains(&wanted.mode) {
        let text = format!("restart.mode {} cannot be had from this cloud", wanted.mode);
        return Err(Verdict::Stalled(Reason::Unsupported, text));
    }
    if let Some(verdict) = group::member::turn(d) {
        return Err(verdict);
    }
    let by_stop = by_stop(d, facts, wanted.mode);
    let kind = if by_stop {
        OperationKind::Stop
    } else {
        OperationKind::Restart
    };
    if let Some(verdict) = present::not_now(d, facts, seen, kind, "a restart is asked for") {
        return Err(verdict);
    }
    if by_stop {
        stop::first(d, facts, id, PowerOffMode::SoftThenHard, Purpose::Restart)?;
        note(d, &wanted.token, STOPPING);
        return Err(power::doing(OperationKind::Restart));
    }
    note(d, &wanted.token, RESTARTING);
    let timeout = d.spec.power_off.timeout.as_secs();
    let seconds = facts.capabilities.deadline(OperationKind::Restart);
    let seconds = i64::from(seconds.max(patience(wanted.mode, timeout)));
    let how = power::restart(d, facts.capabilities, wanted.mode, timeout);
    d.operate(id, OperationKind::Restart, how, seconds, Some(wanted.token));
    Err(power::doing(OperationKind::Restart))
}

/// A token that was not handled yet.
pub(super) fn pending<'a>(d: &Draft<'a>) -> Option<&'a str> {
    let token = d.spec.restart.as_ref()?.token.as_str();
    let last = d.status.restart.as_ref()?;
    (last.token != token || last.outcome == RETRYING).then_some(token)
}

/// Why a restart waits, if so: for the end of what is declared, or of what somebody else has begun.
fn waits(d: &Draft<'_>, seen: &ObservedServer) -> Option<(Reason, String)> {
    let meant_to_run = ServerState::of_wish(power::wish(d).0).is_none_or(|to| to == ServerState::Running);
    if seen.state == ServerState::Running || !meant_to_run {
        return None;
    }
    if rescue::wanted(d).is_some() {
        return Some((Reason::InRescue, Reason::InRescue.meaning().to_owned()));
    }
    power::exotic(seen.state).then(|| (Reason::PowerDrift, format!("the server is {}", words(seen))))
}

/// Whether the guest is to be given longer than the cloud gives it: it is stopped on our own clock then, and started.
fn by_stop(d: &Draft<'_>, facts: &AccountFacts, mode: PowerOffMode) -> bool {
    let can = facts.capabilities;
    let timeout = d.spec.power_off.timeout.as_secs();
    mode == PowerOffMode::SoftThenHard
        && can.soft_stop_limit.is_some_and(|most| timeout > most)
        && [StopKind::Soft, StopKind::Hard]
            .iter()
            .all(|k| can.stop_kinds.contains(k))
}

/// Seconds after which a restart was carried out by the cloud at the latest.
fn patience(mode: PowerOffMode, timeout: u32) -> u32 {
    let asks = mode != PowerOffMode::Hard;
    stop::CUT.saturating_add(if asks { timeout } else { 0 })
}

/// What a cloud that shows nothing of a restart leaves open.
pub(super) enum Quiet {
    /// Nothing.
    Shown,
    /// The guest may still go down, until then.
    Until(Timestamp),
    /// It was only asked, and had its time.
    Ignored,
}

/// How a restart for a deed stands, where the cloud shows nothing of it.
pub(super) fn quiet(d: &Draft<'_>, facts: &AccountFacts, op: &Operation, seen: &ObservedServer) -> Quiet {
    let silent = facts.capabilities.silent_restart
        && seen.state == ServerState::Running
        && !went_down(d, op.started_at);
    if !silent {
        return Quiet::Shown;
    }
    let mut all = d.input.actions.iter();
    let action = all.find(|a| a.metadata.uid == op.action_uid);
    let mode = action.and_then(|a| a.spec.reboot.as_ref()).map(|r| r.mode);
    let mode = mode.unwrap_or_default();
    let until = later(
        op.started_at,
        i64::from(patience(mode, d.spec.power_off.timeout.as_secs())),
    );
    if d.now() >= until && mode == PowerOffMode::Soft {
        Quiet::Ignored
    } else {
        Quiet::Until(until)
    }
}

/// Until when a running server may still go down for a restart, where the cloud shows nothing before that.
pub(super) fn silent_until(
    d: &Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
) -> Option<Timestamp> {
    let silent = facts.capabilities.silent_restart
        && is_token(d, op)
        && seen.state == ServerState::Running
        && !went_down(d, op.started_at);
    let timeout = d.spec.power_off.timeout.as_secs();
    silent.then(|| later(op.started_at, i64::from(patience(mode(d), timeout))))
}

fn mode(d: &Draft<'_>) -> PowerOffMode {
    d.spec.restart.as_ref().map(|r| r.mode).unwrap_or_default()
}

/// Whether the server was seen in another state since.
fn went_down(d: &Draft<'_>, since: Timestamp) -> bool {
    let changed = d.status.power.as_ref().and_then(|p| p.last_transition_time);
    changed.is_some_and(|at| at > since)
}

/// The first half of a restart goes on, or is done. `Err` ends the plan.
fn halfway(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> Result<(), Verdict> {
    if d.gagged(facts).is_some() {
        return Ok(());
    }
    let Some(begun) = d.status.restart.clone() else {
        return Ok(());
    };
    match seen.state {
        ServerState::Running if went_down(d, begun.at) => {
            finished(d, &begun.token);
            Ok(())
        }
        // Nothing that came between them has done it.
        ServerState::Running => {
            let kind = OperationKind::Stop;
            if let Some(verdict) = present::not_now(d, facts, seen, kind, "a restart is asked for") {
                return Err(verdict);
            }
            stop::first(d, facts, id, PowerOffMode::SoftThenHard, Purpose::Restart)?;
            Err(power::doing(OperationKind::Restart))
        }
        // Where a power wish does it, it does it.
        ServerState::Stopped if power::wish(d).0 == PowerWish::Unmanaged => {
            power::put_back(d, facts, id, seen, "a restart is half done")?;
            Err(power::doing(OperationKind::Restart))
        }
        _ => Ok(()),
    }
}

fn finished(d: &mut Draft<'_>, token: &str) {
    note(d, token, DONE);
    let text = format!("the server was restarted for token {token:?}");
    d.event(false, Reason::Restarted, "Restart", text);
}

/// The restart was accepted and nothing is under way any more.
pub(super) fn ended(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
) -> Progress {
    if let Some(fault) = seen.failure_of(op.kind) {
        return failed(d, op, fault);
    }
    if is_token(d, op) && facts.capabilities.request_log {
        return by_log(d, facts, op, seen);
    }
    // A guest that was only asked may have refused, and a cloud that shows nothing of that says nothing.
    let ignored =
        facts.capabilities.silent_restart && mode(d) == PowerOffMode::Soft && !went_down(d, op.started_at);
    if d.memory.sent.is_none() || (is_token(d, op) && ignored) {
        return unverified(d, op);
    }
    if is_token(d, op) {
        return over(d, op);
    }
    close(d)
}

/// A restart that the cloud accepted is written down, so that another process can find out what became of it.
pub(super) fn taken(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    at: Timestamp,
    request: Option<&String>,
) {
    let known = op.accepted_at.is_some() || !facts.capabilities.request_log || !is_token(d, op);
    if let Some(open) = d.status.operation.as_mut().filter(|_| !known) {
        open.accepted_at = Some(to_seconds(at));
        open.request_id = request.filter(|id| id.chars().count() <= ID_LENGTH).cloned();
    }
}

/// Whether what became of it is looked up in the cloud's log, although its answer was lost.
pub(super) fn is_traced(d: &Draft<'_>, facts: &AccountFacts, op: &Operation) -> bool {
    op.kind == OperationKind::Restart && facts.capabilities.request_log && is_token(d, op)
}

/// What the cloud's log says of a restart whose server is at rest. One that the cloud has certainly not taken is asked for
/// again; one of which nothing can be known is not.
fn by_log(d: &mut Draft<'_>, facts: &AccountFacts, op: &Operation, seen: &ObservedServer) -> Progress {
    let open = d.status.operation.as_ref();
    let accepted = open.is_some_and(|o| o.accepted_at.is_some());
    let request = open.and_then(|o| o.request_id.clone());
    if accepted && request.is_none() {
        // There is nothing to ask by; it was taken, and is over.
        return over(d, op);
    }
    // Since when no answer is to come any more; its request may arrive for a while yet.
    let lost_at = match d.outcome(&key_of(op)) {
        Some(Outcome::Refused(at, _)) => *at,
        _ => op.started_at,
    };
    let settled = later(lost_at, i64::from(facts.capabilities.create_settle_seconds));
    let request = request.map_or_else(
        || Which::Lost {
            key: key_of(op),
            since: op.started_at,
        },
        Which::Accepted,
    );
    let trace = Trace {
        kind: op.kind,
        request,
        result: None,
    };
    match log::told(d, op, seen, trace, settled) {
        Some(Ended::Done) => over(d, op),
        Some(Ended::Failed(words)) => failed(d, op, &words),
        Some(Ended::Absent) if !accepted => {
            forget(d);
            d.delay(ErrorClass::Transient, None);
            close(d)
        }
        // Not every user may read the log.
        Some(Ended::Untold) if accepted => over(d, op),
        Some(Ended::Untold | Ended::Absent) => unverified(d, op),
        Some(Ended::UnderWay) | None if d.now() >= op.deadline.max(later(settled, PATIENCE)) => {
            unverified(d, op)
        }
        Some(Ended::UnderWay) | None => Progress::Open(power::doing(op.kind)),
    }
}

fn over(d: &mut Draft<'_>, op: &Operation) -> Progress {
    let token = op.argument.clone().unwrap_or_default();
    finished(d, &token);
    close(d)
}

/// The restart left its server in an error.
pub(super) fn broke(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer) -> Progress {
    if !is_token(d, op) {
        return close(d);
    }
    let open = d.status.operation.as_ref();
    let taken = open.is_some_and(|o| o.accepted_at.is_some())
        || matches!(d.outcome(&key_of(op)), Some(Outcome::Accepted(..)));
    if !taken {
        return unverified(d, op);
    }
    let fault = seen.fault.as_ref().map(|f| f.message.clone());
    failed(
        d,
        op,
        &fault.unwrap_or_else(|| format!("the server is {}", words(seen))),
    )
}

/// Whether a restart is on its way through `Stopped`, as some clouds show it: no drift, and not the end of it.
pub(super) fn passing(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    op.kind == OperationKind::Restart
        && seen.state == ServerState::Stopped
        && power::wish(d).0 == PowerWish::Running
        && d.now() < op.deadline
        && !d.deleting()
}

/// The cloud says that it failed. It is not repeated: the guest may have been asked.
fn failed(d: &mut Draft<'_>, op: &Operation, fault: &str) -> Progress {
    if is_token(d, op) {
        let token = op.argument.clone().unwrap_or_default();
        let words = format!(
            "the restart for token {token:?} failed in the cloud: {fault}; a new token asks for another one"
        );
        note(d, &token, FAILED);
        if let Some(restart) = &mut d.status.restart {
            restart.message = Some(bounded(&words, 512));
        }
    }
    close(d)
}

/// Nobody can know whether the restart happened: it is not repeated.
pub(super) fn unverified(d: &mut Draft<'_>, op: &Operation) -> Progress {
    given_up(d, op);
    close(d)
}

/// The same, where something else has taken its place.
pub(super) fn given_up(d: &mut Draft<'_>, op: &Operation) {
    if is_token(d, op) {
        let token = op.argument.clone().unwrap_or_default();
        note(d, &token, UNVERIFIED);
        d.event(
            true,
            Reason::RestartUnverified,
            "Restart",
            format!("token {token:?}: {}", Reason::RestartUnverified.meaning()),
        );
    }
}

/// The cloud certainly did not do it: the token may be tried again.
pub(super) fn forget(d: &mut Draft<'_>) {
    if let Some(restart) = d.status.restart.as_mut().filter(|r| r.outcome == RESTARTING) {
        restart.outcome = RETRYING.to_owned();
    }
}

fn is_token(d: &Draft<'_>, op: &Operation) -> bool {
    d.status
        .restart
        .as_ref()
        .is_some_and(|r| op.argument.as_deref() == Some(&r.token) && r.outcome == RESTARTING)
}

fn note(d: &mut Draft<'_>, token: &str, outcome: &str) {
    d.status.restart = Some(RestartStatus {
        token: token.to_owned(),
        outcome: outcome.to_owned(),
        at: to_seconds(d.now()),
        message: None,
    });
}
