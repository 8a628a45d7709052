//! Taking over an existing server: explicitly, by its id, and never from a living owner.

use super::draft::{Draft, Verdict};
use super::model::{Marks, ObservedServer};
use super::{AccountFacts, Step, create, credentials, missing, present};
use crate::api::Reason;
use crate::api::server::Import;

impl<'a> Draft<'a> {
    /// The server that is taken over, if one is: one that is gone, and that a new one was made for, is none.
    pub(super) fn import(&self) -> Option<&'a Import> {
        let gone = |id: &String| self.status.previous_ids.contains(id);
        self.spec.import.as_ref().filter(|i| !gone(&i.id))
    }
}

pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Verdict {
    d.show_wish();
    if let Some(attempt) = d.status.create_attempt.clone()
        && let Some(verdict) = create::open_attempt(d, facts, &attempt)
    {
        return verdict;
    }
    let Some(seen) = missing::find(d, facts, id) else {
        return unknown(d, facts, id);
    };
    if let Some(verdict) = foreign(d, &seen) {
        d.again(d.after(60));
        return verdict;
    }
    create::record(d, id);
    d.recovered();
    if d.status.create_attempts.is_some() {
        credentials::found(d, id);
    }
    d.event(false, Reason::Adopted, "Import", format!("took over server {id}"));
    present::plan(d, facts, id)
}

/// Whether somebody else manages the server, as its marks say.
pub(super) fn foreign(d: &Draft<'_>, seen: &ObservedServer) -> Option<Verdict> {
    let installation = d.input.installation;
    // Marks are taken off one by one, the uid last: what has that alone is still ours.
    let ours = |m: &Marks| m.uid == d.uid() && (m.installation == installation || m.installation.is_empty());
    let Some(marks) = seen.marks.as_ref() else {
        return claimed(d, &seen.id);
    };
    if ours(marks) {
        return None;
    }
    let theirs = marks.installation != installation;
    let living = !theirs && marks.object != d.object() && (d.input.lives)(&marks.uid);
    if !theirs && !living {
        // The mark of an object that is gone.
        return claimed(d, &seen.id);
    }
    let mut text = format!(
        "server {} carries the mark of {} (uid {}, installation {})",
        seen.id, marks.object, marks.uid, marks.installation
    );
    if marks.uid == d.uid() {
        text += &format!(
            ": it is the server of this very object, made while the id of the installation was {}; now it is {installation}. \
             If that id was lost, give it back to the controller, by --installation-id or in the ConfigMap that keeps it: \
             nothing is done to the server until then. If another cluster has a copy of this object, the server is that one's",
            marks.installation
        );
    }
    Some(Verdict::Stalled(Reason::OwnedByOther, text))
}

/// Whether another object comes first where no mark says whose the server is. What an object has made is its own.
fn claimed(d: &Draft<'_>, id: &str) -> Option<Verdict> {
    if d.status.create_attempts.is_some() || d.spec.import.is_none() {
        return None;
    }
    let other = (d.input.claimed)(id)?;
    Some(Verdict::Stalled(
        Reason::OwnedByOther,
        format!(
            "server {id} is managed by Server {other} already: one object, one server. Delete one of the two; deleting \
             this one leaves the server alone"
        ),
    ))
}

fn unknown(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Verdict {
    let since = d.memory.first_seen.unwrap_or(d.now());
    if facts.listing.asked_at.is_none_or(|t| t <= since) {
        d.list_after = Some(since);
        return Verdict::Keep;
    }
    match d.memory.look.as_ref().filter(|l| l.id == id) {
        Some(look) if look.absences > 0 => {
            let next = super::draft::later(look.asked_at, 60);
            if next <= d.now() {
                d.step = Step::Look {
                    id: id.to_owned(),
                    trace: None,
                };
            } else {
                d.again(next);
            }
            Verdict::Stalled(
                Reason::NotFound,
                format!("no server with the id {id} exists in this account"),
            )
        }
        _ => {
            missing::look(d, id);
            Verdict::Keep
        }
    }
}
