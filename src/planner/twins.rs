//! Every server that carries the mark of one object. One is its own; where there are more, none is touched until a person
//! has chosen, and the object is not let go while one of them lives.

use std::sync::Arc;

use jiff::Timestamp;

use super::AccountFacts;
use super::bugs::{self, Bug};
use super::draft::{Draft, Verdict, later};
use super::memory::Gone;
use super::model::{ObservedServer, ServerState};
use crate::api::Reason;

/// Seconds for which lists may still have a server that is gone.
const LINGERS: i64 = 30;
/// So many ids are remembered of servers that are gone, and named of those that are too many.
const IDS: usize = 10;

impl Draft<'_> {
    /// The living servers in the last list that carry the mark of this object and of this installation, but for one that
    /// has just gone.
    pub(super) fn marked<'f>(&self, facts: &'f AccountFacts) -> Vec<&'f Arc<ObservedServer>> {
        let mut all = self.carriers(facts);
        all.retain(|s| self.lingers(facts, &s.id).is_none());
        all
    }

    fn carriers<'f>(&self, facts: &'f AccountFacts) -> Vec<&'f Arc<ObservedServer>> {
        if bugs::has(Bug::AdoptByName) {
            return bugs::named(self, facts);
        }
        let mut all = facts.listing.of_uid(self.uid());
        all.retain(|s| {
            s.state != ServerState::Absent
                && s.marks
                    .as_ref()
                    .is_some_and(|m| m.installation == self.input.installation)
        });
        all
    }

    /// Until when a list may have this server although it is gone, if the last list was asked for before that.
    fn lingers(&self, facts: &AccountFacts, id: &str) -> Option<Timestamp> {
        let gone = self.memory.gone.as_ref().filter(|g| g.id == id)?;
        let until = later(gone.at, LINGERS);
        facts.listing.asked_at.is_none_or(|t| t <= until).then_some(until)
    }

    /// The server of this object is gone for certain: it makes room.
    pub(super) fn moved_away(&mut self, id: &str) {
        // The one that was taken over stays: that it is gone is why another one is made.
        let taken_over = self.spec.import.as_ref().map(|i| i.id.as_str());
        let previous = &mut self.status.previous_ids;
        previous.retain(|known| known != id);
        previous.push(id.to_owned());
        if previous.len() > IDS
            && let Some(oldest) = previous.iter().position(|id| Some(id.as_str()) != taken_over)
        {
            previous.remove(oldest);
        }
        self.status.id = None;
        self.memory.gone = Some(Gone {
            id: id.to_owned(),
            at: self.now(),
        });
    }
}

/// The servers with our mark beside the one that is recorded.
pub(super) fn others(d: &Draft<'_>, facts: &AccountFacts) -> Vec<String> {
    let own = d.status.id.as_deref();
    let marked = d.marked(facts).into_iter().filter(|s| Some(s.id.as_str()) != own);
    marked.map(|s| s.id.clone()).collect()
}

/// Whether a server that is gone is still listed: the list that lets the object go must be younger. Asks for that list.
pub(super) fn linger(d: &mut Draft<'_>, facts: &AccountFacts) -> bool {
    let carriers = d.carriers(facts);
    let own = d.status.id.as_deref();
    let beside = carriers.iter().filter(|s| Some(s.id.as_str()) != own);
    let until = beside.filter_map(|s| d.lingers(facts, &s.id)).max();
    if let Some(until) = until {
        d.again(until);
        d.list_after = Some(until);
    }
    until.is_some()
}

/// Several servers carry the mark of an object that has recorded none.
pub(super) fn ambiguous(ids: &[String]) -> Verdict {
    let text = format!(
        "servers {} all carry the mark of this object; none is touched. Set spec.import.id to the one to keep, and delete \
         the others in the cloud",
        named(ids)
    );
    Verdict::Stalled(Reason::AmbiguousCreate, text)
}

/// What is said of twins of the server that is recorded, unless a person has chosen that one.
pub(super) fn beside(d: &Draft<'_>, facts: &AccountFacts, id: &str) -> Option<Verdict> {
    if d.spec.import.is_some() {
        return None;
    }
    let others = others(d, facts);
    if others.is_empty() {
        return None;
    }
    let text = format!(
        "this object has server {id}, and its mark is on {} too; none is touched. Delete what is too many in the cloud; to \
         go on with server {id} beside it, name that in spec.import.id",
        named(&others)
    );
    Some(Verdict::Stalled(Reason::AmbiguousCreate, text))
}

/// What is said of them while the object is being deleted.
pub(super) fn block(d: &Draft<'_>, others: &[String]) -> String {
    let named = named(others);
    match &d.status.id {
        Some(id) => format!(
            "the mark of this object is not only on server {id} but on {named} too; none is deleted. Delete {named} in the \
             cloud, or take the mark off what is to stay: then server {id} is deleted with the object"
        ),
        None => format!(
            "servers {named} all carry the mark of this object; none is deleted. Delete all but one of them in the cloud, or \
             take the mark off what is to stay: the last one is deleted with the object"
        ),
    }
}

/// What is said of them beside a server that is gone.
pub(super) fn heirs(d: &Draft<'_>, facts: &AccountFacts) -> String {
    let others = others(d, facts);
    if others.is_empty() {
        return String::new();
    }
    let named = named(&others);
    format!("; the mark of this object is on {named} too, and with Recreate that is taken over instead")
}

fn named(ids: &[String]) -> String {
    ids.iter().take(IDS).cloned().collect::<Vec<_>>().join(", ")
}
