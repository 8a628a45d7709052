//! What a cloud tells once, as it creates a server, installs it anew or rescues it: whether it is in the Secret of the spec, for as long as that
//! server is there.

use super::create;
use super::draft::{Draft, key_of};
use super::memory::{Outcome, Told};

use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType};

const KIND: ConditionType = ConditionType::CredentialsStored;

/// The Secret that they go into, where one is wished for.
fn secret<'a>(d: &Draft<'a>) -> Option<&'a str> {
    d.spec.credentials_secret_name.as_deref()
}

/// What is known of the call that created the server of this object.
enum Heard {
    /// It is on the wire.
    NotYet,
    /// Its reply came.
    Reply(Told),
    /// Its reply never came, or this process did not make it.
    Never,
}

fn heard(d: &Draft<'_>, id: &str) -> Heard {
    let key = d.status.create_attempts.map(create::key);
    let sent = d.memory.sent.as_ref().filter(|s| Some(&s.key) == key.as_ref());
    match sent.map(|s| (&s.outcome, &s.told)) {
        Some((Outcome::InFlight, _)) => Heard::NotYet,
        Some((Outcome::Accepted(_, accepted), told)) if accepted.id.as_deref() == Some(id) => {
            Heard::Reply(told.clone())
        }
        _ => Heard::Never,
    }
}

/// What became of what a later step told: some clouds make a new password with an installation or a rescue.
fn told_by_a_step(d: &Draft<'_>) -> Option<Told> {
    let op = d.status.operation.as_ref()?;
    let sent = d.memory.sent.as_ref().filter(|s| s.key == key_of(op))?;
    Some(sent.told.clone()).filter(|told| *told != Told::Nothing)
}

/// Takes in what became of them, when the reply to the creation is there.
pub(super) fn absorb(d: &mut Draft<'_>) {
    let (Some(id), Some(_)) = (d.status.id.clone(), secret(d)) else {
        return;
    };
    if let Some(told) = told_by_a_step(d) {
        write(d, &id, told);
        return;
    }
    match heard(d, &id) {
        Heard::NotYet => {}
        Heard::Reply(told) => write(d, &id, told),
        // Found by its mark before its reply came; now that reply will not come any more.
        Heard::Never => {
            let status = conditions::get(&d.status.conditions, KIND).map(|c| c.status.as_str());
            if status == Some(ConditionStatus::Unknown.as_str()) {
                lost(d, &id);
            }
        }
    }
}

/// A server was found by the mark of this object: its reply was lost, or is still on the wire.
pub(super) fn found(d: &mut Draft<'_>, id: &str) {
    if secret(d).is_none() {
        return;
    }
    match heard(d, id) {
        Heard::NotYet => {
            let waits = Reason::WaitingForAttempt;
            let text = format!("the reply to the creation of server {id} has not come yet");
            d.condition(KIND, ConditionStatus::Unknown, waits, &text);
        }
        Heard::Reply(told) => write(d, id, told),
        Heard::Never => lost(d, id),
    }
}

fn lost(d: &mut Draft<'_>, id: &str) {
    let name = secret(d).unwrap_or_default();
    let earlier = if d.status.previous_ids.is_empty() {
        ""
    } else {
        "; a Secret that is there can also be that of an earlier server"
    };
    let note = format!(
        "the reply to the creation of server {id} was lost, and with it what it told, unless the Secret {name} has it \
         already{earlier}"
    );
    say(d, ConditionStatus::False, Reason::CredentialsLost, note);
}

fn write(d: &mut Draft<'_>, id: &str, told: Told) {
    let name = secret(d).unwrap_or_default();
    match told {
        Told::Kept => {
            let note = format!("what opens server {id} is in the Secret {name}");
            say(d, ConditionStatus::True, Reason::CredentialsSaved, note);
        }
        Told::Nothing => {
            let note = format!("the cloud told no password as it created server {id}");
            say(d, ConditionStatus::False, Reason::CredentialsNotTold, note);
        }
        Told::Lost(why) => {
            let note = format!("the Secret {name} could not be written: {why}");
            say(d, ConditionStatus::False, Reason::CredentialsLost, note);
        }
    }
}

/// Writes it down, and tells it once.
fn say(d: &mut Draft<'_>, status: ConditionStatus, reason: Reason, note: String) {
    let advice = reason.advice();
    let note = if advice.is_empty() {
        note
    } else {
        format!("{note}. {advice}")
    };
    let known = conditions::get(&d.status.conditions, KIND);
    if known.is_some_and(|c| {
        c.reason == reason.as_str() && c.message == conditions::bounded(&note, conditions::MAX_MESSAGE)
    }) {
        return;
    }
    d.condition(KIND, status, reason, &note);
    if reason != Reason::CredentialsNotTold {
        d.event(status != ConditionStatus::True, reason, "Create", note);
    }
}
