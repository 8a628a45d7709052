//! Lists that leave things out: the rest is asked for by id, once for each change of power state, and kept.

use std::sync::Arc;

use jiff::Timestamp;

use super::delete::parts;
use super::draft::{Draft, Verdict, later};
use super::model::{ObservedServer, ServerState};
use super::{AccountFacts, Step};
use crate::api::conditions::{ConditionStatus, ConditionType};
use crate::api::server_status::{ImageStatus, OperationKind, PlacementStatus};
use crate::api::{Reason, ServerStatus};

/// Seconds for which an answer speaks of a server that is not changed meanwhile.
const FRESH: i64 = 30;
/// Seconds until a question without an answer is asked again.
const AGAIN: i64 = 5;
/// The same, where nothing waits for it.
const SELDOM: i64 = 300;

/// The server with everything that the cloud says of it, if that is known.
pub(super) fn of(d: &Draft<'_>, seen: &ObservedServer) -> Option<Arc<ObservedServer>> {
    if seen.detailed {
        return Some(Arc::new(seen.clone()));
    }
    let look = d.memory.look.as_ref().filter(|l| l.id == seen.id)?;
    let found = look.found.clone().filter(|f| f.detailed)?;
    (later(look.asked_at, FRESH) >= d.now()).then_some(found)
}

/// Whether what is known of a server was told lately enough to rest a change on it.
pub(super) fn fresh(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    let look = d.memory.look.as_ref().filter(|l| l.id == seen.id);
    let told = look.filter(|l| l.found.as_ref().is_some_and(|f| f.detailed));
    seen.detailed || told.is_some_and(|l| later(l.asked_at, FRESH) >= d.now())
}

/// The server with the things that a list leaves out, as they were told after this moment, or last.
pub(super) fn things(
    d: &Draft<'_>,
    seen: &ObservedServer,
    after: Option<Timestamp>,
) -> Option<ObservedServer> {
    if seen.detailed {
        return Some(seen.clone());
    }
    let look = d.memory.look.as_ref().filter(|l| l.id == seen.id)?;
    let found = look.found.as_ref().filter(|f| f.detailed)?;
    let serves = after.is_none_or(|after| look.asked_at > after);
    serves.then(|| ObservedServer {
        items: found.items.clone(),
        ..seen.clone()
    })
}

/// Asks for the details that a next step rests on. `Some`: that was refused last time, in these words.
pub(super) fn ask(d: &mut Draft<'_>, id: &str) -> Option<String> {
    let look = d.memory.look.as_ref().filter(|l| l.id == id);
    let error = look.and_then(|l| l.error.as_ref()).map(|e| e.message.clone());
    let next = look.map_or(d.now(), |l| later(l.asked_at, AGAIN));
    ask_at(d, id, next);
    error
}

fn ask_at(d: &mut Draft<'_>, id: &str, next: Timestamp) {
    if next <= d.now() {
        d.step = Step::Look {
            id: id.to_owned(),
            trace: None,
        };
    } else {
        d.again(next);
    }
}

/// Asks for what the list lacks where it may have changed: after a creation, a start, an import.
pub(super) fn fetch(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    verdict: Verdict,
) -> Verdict {
    let listed = facts.listing.servers.get(&seen.id);
    let since = d.status.power.as_ref().and_then(|p| p.last_transition_time);
    let known = d.status.details_of.is_some() && d.status.details_of == since;
    // A server that does not run changes none of it: once is enough.
    let changes = match seen.state {
        ServerState::Running => true,
        ServerState::Stopped => d.status.details_of.is_none(),
        _ => false,
    };
    if !changes || listed.is_none_or(|s| s.detailed) || known || d.step != Step::Wait {
        return verdict;
    }
    let look = d.memory.look.clone().filter(|l| l.id == seen.id);
    match look.filter(|l| since.is_none_or(|t| l.asked_at >= t)) {
        Some(look) if look.error.is_none() => {
            // A list that came meanwhile has less.
            if let Some(found) = &look.found {
                write(&mut d.status, found);
                d.status.parts = parts::recorded(&found.parts);
            }
            d.status.details_of = since;
            verdict
        }
        Some(look) => {
            ask_at(d, &seen.id, later(look.asked_at, SELDOM));
            verdict
        }
        None => {
            ask_at(d, &seen.id, d.now());
            let settled = d.was(ConditionType::Ready) == Some(ConditionStatus::True);
            if settled || !matches!(verdict, Verdict::Ready(..)) {
                return verdict;
            }
            let text = "the server is there; the cloud is asked for its addresses";
            Verdict::Reconciling(Reason::WaitingForObservation, text.to_owned())
        }
    }
}

/// Writes what is known of a server at rest. What a list left out stays as it was.
pub(super) fn write(status: &mut ServerStatus, seen: &ObservedServer) {
    if seen.detailed || !seen.addresses.is_empty() {
        let (six, four): (Vec<_>, Vec<_>) = seen.addresses.iter().partition(|a| a.address.contains(':'));
        // The first one is shown in tables: one that everybody can use.
        status.addresses = four.into_iter().chain(six).take(32).cloned().collect();
    }
    if seen.detailed || seen.zone.is_some() || seen.host.is_some() {
        status.placement = (seen.zone.is_some() || seen.host.is_some()).then(|| PlacementStatus {
            zone: seen.zone.clone(),
            host: seen.host.clone(),
        });
    }
    // What an installation began with is what its end is compared with.
    let installs = status
        .operation
        .as_ref()
        .is_some_and(|o| o.kind == OperationKind::Rebuild);
    if seen.image_id.is_some() && !installs {
        status.image.get_or_insert_with(ImageStatus::default).id = seen.image_id.clone();
    }
}
