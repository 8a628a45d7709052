//! One restart for each new token, never two.

use super::draft::{Draft, Verdict};
use super::model::{ObservedServer, ServerState};
use super::operation::{Progress, close};
use super::{AccountFacts, group, power, present};
use crate::api::Reason;
use crate::api::conditions::to_seconds;
use crate::api::server::PowerWish;
use crate::api::server_status::{Operation, OperationKind, RestartStatus};

const RECORDED: &str = "Recorded";
const RESTARTING: &str = "Restarting";
const RETRYING: &str = "Retrying";
const DONE: &str = "Done";
const UNVERIFIED: &str = "Unverified";
const NOT_APPLICABLE: &str = "NotApplicable";

/// A token that was not handled yet. `Err` ends the plan.
pub(super) fn handle(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    let Some(wanted) = d.spec.restart.clone() else {
        return Ok(());
    };
    match &d.status.restart {
        // Never seen before, on a server that exists: recorded, not acted on.
        None => {
            note(d, &wanted.token, RECORDED);
            return Ok(());
        }
        Some(last) if last.token == wanted.token && last.outcome != RETRYING => return Ok(()),
        Some(_) => {}
    }
    if let Some(at) = wanted.not_before.filter(|t| *t > d.now()) {
        d.again(at);
        return Ok(());
    }
    if seen.state != ServerState::Running {
        note(d, &wanted.token, NOT_APPLICABLE);
        d.event(
            false,
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
    if let Some(verdict) = present::not_now(d, facts, seen, OperationKind::Restart, "a restart is asked for")
    {
        return Err(verdict);
    }
    note(d, &wanted.token, RESTARTING);
    let seconds = i64::from(facts.capabilities.deadline(OperationKind::Restart));
    let timeout = d.spec.power_off.timeout.as_secs();
    let how = power::restart(d, facts.capabilities, wanted.mode, timeout);
    d.operate(id, OperationKind::Restart, how, seconds, Some(wanted.token));
    Err(power::doing(OperationKind::Restart))
}

/// The restart was accepted and nothing is under way any more.
pub(super) fn ended(d: &mut Draft<'_>, op: &Operation) -> Progress {
    if d.memory.sent.is_none() {
        return unverified(d, op);
    }
    if is_token(d, op) {
        let token = op.argument.clone().unwrap_or_default();
        note(d, &token, DONE);
        let text = format!("the server was restarted for token {token:?}");
        d.event(false, Reason::Restarted, "Restart", text);
    }
    close(d)
}

/// Whether a restart is on its way through `Stopped`, as some clouds show it: no drift, and not the end of it.
pub(super) fn passing(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    op.kind == OperationKind::Restart
        && seen.state == ServerState::Stopped
        && power::wish(d).0 == PowerWish::Running
        && d.now() < op.deadline
        && !d.deleting()
}

/// Nobody can know whether the restart happened: it is not repeated.
pub(super) fn unverified(d: &mut Draft<'_>, op: &Operation) -> Progress {
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
    close(d)
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
    });
}
