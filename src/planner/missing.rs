//! A server that the list does not have. Absence is believed only after the cloud said so by id, repeatedly.

use std::sync::Arc;

use jiff::Timestamp;

use super::bugs::{self, Bug};
use super::delete::parts;
use super::draft::{Draft, Verdict, key_of, later};
use super::memory::{Doubt, Outcome};
use super::model::{ObservedServer, ServerState};
use super::{AccountFacts, Step, create, deeds, soft_delete, twins};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionType, to_seconds};
use crate::api::server::OnMissing;
use crate::api::server_status::{Operation, OperationKind, PowerStatus};

/// How often in a row the cloud must deny a server by id before its absence is believed.
const DENIALS: u32 = 3;
/// Seconds between two such questions.
const BETWEEN: i64 = 10;

/// The server as it was seen last: in the list, or by its id if that was later.
pub(super) fn find(d: &Draft<'_>, facts: &AccountFacts, id: &str) -> Option<Arc<ObservedServer>> {
    let looked = d
        .memory
        .look
        .as_ref()
        .filter(|l| l.id == id && Some(l.asked_at) > facts.listing.asked_at);
    let seen = match looked {
        Some(look) if look.error.is_none() => look.found.clone(),
        _ => facts
            .listing
            .servers
            .get(id)
            .cloned()
            .or_else(|| soft_delete::kept(d, id)),
    };
    if bugs::has(Bug::ActOnTheUnknown) {
        return seen.map(bugs::known);
    }
    seen.filter(|s| s.state != ServerState::Absent)
}

/// Asks for a newer list where what was seen by id is another state than the list has: lists that go on saying what the last
/// one said would wake nobody.
pub(super) fn list_again(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer) {
    let listed = facts.listing.servers.get(&seen.id);
    if listed.is_some_and(|l| (l.state, l.busy) != (seen.state, seen.busy)) {
        d.list_after = seen_at(d, facts, &seen.id);
    }
}

/// Whether what is seen is older than the last record, which another process made: it may have done since what it says.
/// Asks for a newer list then.
pub(super) fn outdated(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> bool {
    let Some(op) = d.status.operation.as_ref() else {
        return false;
    };
    // Records are written in whole seconds.
    let recorded = later(op.started_at, 1);
    let outdated = d.outcome(&key_of(op)).is_none() && seen_at(d, facts, id) <= Some(recorded);
    if outdated {
        d.list_after = Some(recorded);
    }
    outdated
}

/// When what is seen of a server was asked for.
pub(super) fn seen_at(d: &Draft<'_>, facts: &AccountFacts, id: &str) -> Option<Timestamp> {
    let looked = d.memory.look.as_ref().filter(|l| l.id == id && l.error.is_none());
    let looked = looked.map(|l| l.asked_at);
    if !facts.listing.servers.contains_key(id) && soft_delete::kept(d, id).is_some() {
        return looked;
    }
    looked.max(facts.listing.asked_at)
}

/// Whether another process has written the status since what is seen was asked for: it may have seen something newer.
/// To contradict it would begin a quarrel that lasts until one of both lists again. Asks for a newer list then.
pub(super) fn contradicts(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> bool {
    let Some(at) = d.memory.rewritten_at else {
        return false;
    };
    let contradicts = seen_at(d, facts, id) <= Some(at);
    if contradicts {
        d.list_after = Some(at);
    }
    contradicts
}

/// Asks for a server by its id, not more often than the last answer allows.
pub(super) fn look(d: &mut Draft<'_>, id: &str) {
    let next = match d.memory.look.as_ref().filter(|l| l.id == id) {
        Some(look) if look.error.is_some() => later(look.asked_at, 5),
        Some(look) if look.found.is_none() => later(look.asked_at, BETWEEN),
        Some(look) => later(look.asked_at, soft_delete::pace(d, id)),
        None => d.now(),
    };
    if next <= d.now() {
        d.step = Step::Look {
            id: id.to_owned(),
            trace: None,
        };
    } else {
        d.again(next);
    }
}

/// Whether the server is certainly gone. Asks by id where that is still open.
pub(super) fn confirmed(d: &mut Draft<'_>, facts: &AccountFacts, id: &str, denials: u32) -> bool {
    // What is under way may come to anything: its end is heard first.
    if d.in_flight() {
        d.busy = true;
        return false;
    }
    // What the cloud deletes for us is expected to vanish.
    let expected = going(d, id);
    if facts.mass_absence && !expected && !d.memory.doubt.is_some_and(|doubt| doubt.dismissed) {
        d.again(d.after(30));
        return false;
    }
    if facts
        .listing
        .servers
        .get(id)
        .is_some_and(|s| s.state != ServerState::Absent)
    {
        return false;
    }
    let absences = d
        .memory
        .look
        .as_ref()
        .filter(|l| l.id == id && l.found.is_none())
        .map_or(0, |l| l.absences);
    if absences < denials && !bugs::has(Bug::TrustOneEmptyList) {
        look(d, id);
        return false;
    }
    true
}

/// Seconds for which a doubt is shown on the ProviderConfig alone: the next list may end it.
const SHOWN_AFTER: i64 = 60;

/// Notes since when the lists lack so much that no absence is believed, and whether a person wants this one to be.
pub(super) fn doubt(d: &mut Draft<'_>, facts: &AccountFacts) {
    if !facts.mass_absence {
        d.memory.doubt = None;
        return;
    }
    let new_token = d.status.last_handled_retry != d.old.last_handled_retry;
    let since = d.now();
    let doubt = d.memory.doubt.get_or_insert(Doubt {
        since,
        dismissed: false,
    });
    doubt.dismissed |= new_token;
}

/// What is said of a server that the lists lack while no absence is believed.
pub(super) fn doubted(d: &mut Draft<'_>, id: &str) -> Option<String> {
    let doubt = d.memory.doubt.filter(|doubt| !doubt.dismissed)?;
    let shown = later(doubt.since, SHOWN_AFTER);
    if d.now() < shown && !d.deleting() {
        d.again(shown);
        return None;
    }
    let reason = Reason::MassAbsence;
    Some(format!(
        "the lists lack server {id}. {} {}",
        reason.meaning(),
        reason.advice()
    ))
}

/// How many denials in a row are enough: one of a server that the cloud deletes for us.
pub(super) fn denials(d: &Draft<'_>, id: &str) -> u32 {
    if going(d, id) { 1 } else { DENIALS }
}

/// Whether the cloud is deleting this server for us, as this process was told or has seen. That a deletion was recorded
/// says nothing: it may never have been sent, or have been refused.
fn going(d: &Draft<'_>, id: &str) -> bool {
    let deletes = |o: &&Operation| matches!(o.kind, OperationKind::Delete | OperationKind::DeleteFailed);
    d.status.operation.as_ref().filter(deletes).is_some_and(|op| {
        let accepted = matches!(d.outcome(&key_of(op)), Some(Outcome::Accepted(..)));
        accepted || d.memory.going.as_deref() == Some(id) || bugs::has(Bug::TrustTheRecord)
    })
}

/// Notes whether a server is seen to be going. One that is in an error is not, whatever was accepted before.
pub(super) fn note(d: &mut Draft<'_>, seen: &ObservedServer) {
    d.memory.going = (seen.state == ServerState::Deleting).then(|| seen.id.clone());
}

/// The list has no server with the recorded id, and nobody asked for its deletion.
pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Verdict {
    d.busy = true;
    let failed_create = d
        .status
        .operation
        .as_ref()
        .is_some_and(|o| o.kind == OperationKind::DeleteFailed);
    // A server that was just created may not be in a list that was asked for earlier.
    if let Some(Outcome::Accepted(at, accepted)) = d.memory.sent.as_ref().map(|s| &s.outcome)
        && accepted.id.as_deref() == Some(id)
        && facts.listing.asked_at.is_none_or(|t| t <= *at)
    {
        d.list_after = Some(*at);
        return create::creating(d);
    }
    let needed = denials(d, id);
    if !confirmed(d, facts, id, needed) {
        let denied = d
            .memory
            .look
            .as_ref()
            .is_some_and(|l| l.id == id && l.absences > 0);
        let absent = ServerState::Absent.as_str();
        let known = d.old.power.as_ref().and_then(|p| p.observed.as_deref()) == Some(absent);
        return if failed_create {
            create::refused(d)
        } else if let Some(text) = doubted(d, id) {
            Verdict::Unknown(Reason::MassAbsence, text)
        } else if denied && !known {
            Verdict::Reconciling(
                Reason::Missing,
                format!("server {id} is in no list; it is asked for by id to be certain"),
            )
        } else {
            Verdict::Keep
        };
    }
    if failed_create {
        parts::left(d, id);
        forget(d, id);
        d.again(d.now());
        return create::refused(d);
    }
    let power = d.status.power.get_or_insert_with(PowerStatus::default);
    if power.observed.as_deref() != Some(ServerState::Absent.as_str()) {
        power.observed = Some(ServerState::Absent.as_str().to_owned());
        power.raw = None;
        power.last_transition_time = Some(to_seconds(d.input.now));
        d.event(
            true,
            Reason::Missing,
            "Observe",
            format!("server {id} is gone from the cloud"),
        );
        parts::left(d, id);
    }
    // What was changed from outside went with it.
    conditions::remove(&mut d.status.conditions, ConditionType::DriftDetected);
    d.status.addresses.clear();
    deeds::lost(d, id);
    d.status.operation = None;
    d.busy = false;
    match d.spec.on_missing {
        OnMissing::Recreate if d.gagged(facts).is_none() => {
            forget(d, id);
            d.recovered();
            d.again(d.now());
            create::creating(d)
        }
        _ => Verdict::Stalled(
            Reason::Missing,
            format!(
                "server {id} is gone from the cloud; spec.onMissing: Recreate makes a new one{}{}",
                twins::heirs(d, facts),
                look_alike(d, facts, id)
            ),
        ),
    }
}

/// Names a server that somebody may have put in the place of this one. A name proves nothing: it is left alone.
fn look_alike(d: &Draft<'_>, facts: &AccountFacts, id: &str) -> String {
    let name = d
        .spec
        .cloud_name
        .as_deref()
        .or(d.input.server.metadata.name.as_deref());
    let known = |uid: &str| uid == d.uid() || (d.input.lives)(uid);
    let like = facts.listing.servers.values().filter(|s| {
        Some(s.name.as_str()) == name
            && s.id != id
            && s.state != ServerState::Absent
            && s.marks.as_ref().is_none_or(|m| !known(&m.uid))
    });
    like.map(|s| s.id.as_str()).min().map_or_else(String::new, |other| {
        format!(
            "; server {other} has the same name and is left alone, since a name proves nothing (an object with \
             spec.import takes it over)"
        )
    })
}

/// Moves a confirmed absence out of the way of the next attempt.
fn forget(d: &mut Draft<'_>, id: &str) {
    d.moved_away(id);
    d.status.provider_id = None;
    if let Some(power) = &mut d.status.power {
        power.first_settled_time = None;
    }
    d.status.operation = None;
    d.status.resize = None;
    d.status.addresses.clear();
    d.status.applied = None;
    d.status.details_of = None;
    (d.status.lock, d.status.rescue) = (None, None);
    d.status.parts.clear();
    // Whatever was said of it goes with it.
    for kind in [
        ConditionType::PowerSynced,
        ConditionType::SizeSynced,
        ConditionType::SettingsSynced,
        ConditionType::DriftDetected,
        ConditionType::CredentialsStored,
    ] {
        conditions::remove(&mut d.status.conditions, kind);
    }
    d.status.placement = None;
    d.memory.look = None;
    d.memory.dealt_with();
    // The list that a new attempt rests on must be younger than this.
    d.memory.first_seen = Some(d.now());
}
