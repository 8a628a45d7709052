//! What a Server remembers of deeds: how each stands, and for how long that is known.

use super::{Turn, object, uid};
use crate::api::conditions::{self, bounded, to_seconds};
use crate::api::server_action::{ActionRecord, Deed, DeedOutcome, ServerAction};
use crate::api::{Reason, ServerStatus};
use crate::planner::draft::{Draft, Verdict};

/// So many deeds that are over are remembered.
const REMEMBERED: usize = 20;
/// So many records there can be: what is over and was not yet told by its ServerAction is never forgotten.
pub(super) const MOST: usize = 23;
/// Characters of a message that are kept.
const LENGTH: usize = 256;

pub(super) fn record_of<'s>(status: &'s ServerStatus, uid: &str) -> Option<&'s ActionRecord> {
    status.actions.iter().find(|r| r.uid == uid)
}

/// Puts into a record how its deed stands.
pub(super) fn put(record: &mut ActionRecord, outcome: DeedOutcome, reason: Reason, message: &str) {
    record.outcome = outcome;
    reason.as_str().clone_into(&mut record.reason);
    record.message = bounded(&conditions::clean(message), LENGTH);
}

/// Writes down how a deed stands.
pub(super) fn note<'s>(
    d: &'s mut Draft<'_>,
    action: &ServerAction,
    outcome: DeedOutcome,
    reason: Reason,
    message: &str,
) -> &'s mut ActionRecord {
    let uid = uid(action);
    let at = match d.status.actions.iter().position(|r| r.uid == uid) {
        Some(at) => at,
        None => {
            d.status.actions.push(ActionRecord {
                name: action.metadata.name.clone().unwrap_or_default(),
                uid: uid.to_owned(),
                spec_hash: action.spec.hash(),
                deed: action.spec.deed().unwrap_or(Deed::Reboot),
                outcome,
                reason: reason.as_str().to_owned(),
                message: String::new(),
                result: None,
                request_id: None,
                started_at: None,
                finished_at: None,
            });
            d.status.actions.len() - 1
        }
    };
    let finished = outcome.is_over().then(|| to_seconds(d.now()));
    let record = &mut d.status.actions[at];
    put(record, outcome, reason, message);
    record.finished_at = record.finished_at.or(finished);
    record
}

/// Why a deed waits that only a person can set going. What passes by itself, and what somebody switched off on purpose, is
/// none of these.
const FOR_A_PERSON: &[Reason] = &[Reason::SecretRefused, Reason::Locked];

/// Why a person is waited for, if one is. It is kept while the deed is tried again, until the cloud has taken it.
pub(super) fn waits_for_a_person(record: &ActionRecord) -> Option<Reason> {
    let mut all = FOR_A_PERSON.iter().copied();
    let open = !record.outcome.is_over();
    all.find(|reason| open && reason.as_str() == record.reason)
}

/// Writes down that a deed is begun: by the next write of the status, before the cloud is called.
pub(super) fn begin(d: &mut Draft<'_>, action: &ServerAction) {
    let known = record_of(&d.status, uid(action));
    let stalled = known.and_then(|r| Some((waits_for_a_person(r)?, r.message.clone())));
    let acting = Reason::Acting;
    let (reason, text) = stalled.unwrap_or_else(|| (acting, acting.meaning().to_owned()));
    let now = to_seconds(d.now());
    let record = note(d, action, DeedOutcome::Running, reason, &text);
    record.started_at = Some(now);
}

/// Changes what is written down of a deed that is not over. What a person has to see to is told when it begins.
pub(super) fn stand(d: &mut Draft<'_>, uid: &str, outcome: DeedOutcome, reason: Reason, text: &str) {
    let Some(record) = d.status.actions.iter_mut().find(|r| r.uid == uid) else {
        return;
    };
    let before = waits_for_a_person(record);
    put(record, outcome, reason, text);
    tell_a_person(d, uid, before);
}

fn tell_a_person(d: &mut Draft<'_>, uid: &str, before: Option<Reason>) {
    let Some(record) = record_of(&d.status, uid) else {
        return;
    };
    let Some(reason) = waits_for_a_person(record).filter(|now| Some(*now) != before) else {
        return;
    };
    let text = format!(
        "ServerAction {}: {} waits for a person: {}",
        record.name,
        record.deed,
        with_advice(&record.message, reason)
    );
    d.event(true, reason, "Act", text);
}

/// Words, and what a person can do about them.
pub(super) fn with_advice(words: &str, reason: Reason) -> String {
    format!("{}. {}", words.trim_end_matches('.'), reason.advice())
}

pub(super) fn wait(d: &mut Draft<'_>, action: &ServerAction, reason: Reason, text: &str) -> Turn {
    let before = record_of(&d.status, uid(action)).and_then(waits_for_a_person);
    note(d, action, DeedOutcome::Waiting, reason, text);
    tell_a_person(d, uid(action), before);
    Turn::Waits
}

/// What keeps a wish waiting keeps a deed waiting.
pub(super) fn wait_for(d: &mut Draft<'_>, action: &ServerAction, verdict: &Verdict) -> Turn {
    let waits = (
        Reason::WaitingForServer,
        Reason::WaitingForServer.meaning().to_owned(),
    );
    let (reason, text) = verdict.words().unwrap_or(waits);
    wait(d, action, reason, &text)
}

/// Writes down how a deed ended, and tells it.
pub(super) fn settle(d: &mut Draft<'_>, uid: &str, outcome: DeedOutcome, reason: Reason, message: &str) {
    let now = to_seconds(d.now());
    let Some(record) = d.status.actions.iter_mut().find(|r| r.uid == uid) else {
        return;
    };
    put(record, outcome, reason, message);
    record.finished_at = Some(now);
    let (name, deed) = (record.name.clone(), record.deed);
    let warning = outcome != DeedOutcome::Succeeded;
    let text = format!("ServerAction {name}: {deed}: {message}");
    d.event(warning, reason, "Act", text);
}

/// What a deed asks for is so already.
pub(super) fn is_so(d: &mut Draft<'_>, action: &ServerAction, text: &str) -> Turn {
    let reason = Reason::Succeeded;
    note(d, action, DeedOutcome::Succeeded, reason, text);
    let name = action.metadata.name.as_deref().unwrap_or_default();
    d.event(false, reason, "Act", format!("ServerAction {name}: {text}"));
    Turn::Over
}

/// Ends a deed without a call.
pub(super) fn fail(d: &mut Draft<'_>, action: &ServerAction, reason: Reason, text: &str) -> Turn {
    note(d, action, DeedOutcome::Failed, reason, text);
    let name = action.metadata.name.as_deref().unwrap_or_default();
    d.event(true, reason, "Act", format!("ServerAction {name}: {text}"));
    Turn::Over
}

/// Drops what nobody asks for any more, and the oldest of what is over. What was begun and has lost its record of an
/// operation is not known to have been done.
pub(super) fn tidy(d: &mut Draft<'_>) {
    if d.status.actions.is_empty() {
        return;
    }
    let own = d.uid();
    let asked: Vec<&str> = d
        .input
        .actions
        .iter()
        .filter(|a| object::is_open(a, own))
        .map(|a| uid(a))
        .collect();
    d.status
        .actions
        .retain(|r| r.outcome != DeedOutcome::Waiting || asked.contains(&r.uid.as_str()));
    let running = d
        .status
        .operation
        .as_ref()
        .and_then(|o| o.action_uid.clone())
        .unwrap_or_default();
    let astray =
        |r: &&ActionRecord| r.outcome == DeedOutcome::Running && r.deed != Deed::Resize && r.uid != running;
    let astray: Vec<String> = d
        .status
        .actions
        .iter()
        .filter(astray)
        .map(|r| r.uid.clone())
        .collect();
    let over = d.status.actions.iter().filter(|r| r.outcome.is_over()).count();
    let mut surplus = over.saturating_sub(REMEMBERED);
    // What was never begun goes first: nothing is lost if it is asked for again.
    for begun in [false, true] {
        d.status.actions.retain(|r| {
            let drops = surplus > 0
                && r.outcome.is_over()
                && r.started_at.is_some() == begun
                && !asked.contains(&r.uid.as_str());
            surplus -= usize::from(drops);
            !drops
        });
    }
    for uid in astray {
        let reason = Reason::OutcomeUnknown;
        settle(d, &uid, DeedOutcome::Unknown, reason, reason.meaning());
    }
}

/// The server is gone, and with it the answer to what became of a deed that was begun. One whose creation was cancelled is
/// gone because of that.
pub(in crate::planner) fn lost(d: &mut Draft<'_>, id: &str) {
    let accepted = d.status.operation.as_ref().filter(|o| o.accepted_at.is_some());
    let accepted = accepted.and_then(|o| o.action_uid.clone());
    let running = d
        .status
        .actions
        .iter()
        .filter(|r| r.outcome == DeedOutcome::Running);
    let running: Vec<(String, Deed)> = running.map(|r| (r.uid.clone(), r.deed)).collect();
    for (uid, deed) in running {
        let text = format!("server {id} is gone from the cloud");
        let (outcome, reason) = if deed == Deed::Cancel && accepted.as_deref() == Some(uid.as_str()) {
            (DeedOutcome::Succeeded, Reason::Succeeded)
        } else {
            (DeedOutcome::Unknown, Reason::OutcomeUnknown)
        };
        settle(d, &uid, outcome, reason, &text);
    }
}
