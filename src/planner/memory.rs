//! What a process remembers of one object beside its status. Losing it must never be unsafe, only slower.

use std::sync::Arc;

use jiff::Timestamp;

use super::backoff;
use super::bugs::{self, Bug};
use super::draft::later;
use super::model::{Accepted, CloudError, Ended, ErrorClass, ObservedServer};
use super::others::STANDS;

/// Process-local memory of one object. The shell keeps it by uid and hands it to every plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// When this process first planned for the object.
    pub first_seen: Option<Timestamp>,
    /// When this process first saw it being deleted.
    pub deleting_since: Option<Timestamp>,
    /// The last mutating call of this process, until a plan has absorbed its outcome.
    pub sent: Option<Sent>,
    /// The last look at one server by its id.
    pub look: Option<Look>,
    /// The server that was found to be gone last: lists that were asked for until shortly after may still have it.
    pub gone: Option<Gone>,
    /// The server that the cloud was seen to be deleting.
    pub going: Option<String>,
    /// A create attempt that another process holds, or an earlier run of this one.
    pub attempt: Option<AttemptWatch>,
    /// Not before then.
    pub backoff: Option<Backoff>,
    /// A deed that was refused is not sent again before then.
    pub deed: Option<Backoff>,
    /// The server whose failed creation was counted last; of a group, the one whose joining was refused last.
    pub failed_id: Option<String>,
    /// When drift was put back, at most the last eight times.
    pub corrections: Vec<Timestamp>,
    /// A guest that we asked to stop may still do so until then, although nobody wants it any more.
    pub stopping_until: Option<Timestamp>,
    /// No absence is believed at present.
    pub doubt: Option<Doubt>,
    /// When this process last found a status that it had not written itself.
    pub rewritten_at: Option<Timestamp>,
    /// The generation that the memory above speaks of: a new one forgets failures.
    pub generation: Option<i64>,
}

impl Memory {
    /// Until when this process leaves the word of another one alone, which has written the status and can ask the account.
    pub(super) fn yields(&self, now: Timestamp) -> Option<Timestamp> {
        let until = later(self.rewritten_at?, STANDS);
        (until > now).then_some(until)
    }

    /// Takes in what became of a call. A stray reply does not overwrite another call.
    pub fn hear(&mut self, mut sent: Sent) {
        sent.outcome = match sent.outcome {
            Outcome::Accepted(at, accepted) => match accepted.fit() {
                Ok(accepted) => Outcome::Accepted(at, accepted),
                Err(error) => Outcome::Refused(at, error),
            },
            outcome => outcome,
        };
        if self.sent.as_ref().is_none_or(|known| known.key == sent.key) {
            self.sent = Some(sent);
        }
    }

    /// Takes in the answer to a look at one server. Absences count only in a row, and of one server.
    pub fn see(
        &mut self,
        id: String,
        asked_at: Timestamp,
        answer: Result<Arc<ObservedServer>, CloudError>,
        ended: Option<(String, Ended)>,
    ) {
        let before = self.look.take().filter(|l| l.id == id).map_or(0, |l| l.absences);
        let other = || {
            CloudError::new(
                ErrorClass::Transient,
                "the cloud told of another server than it was asked for",
            )
        };
        let answer = answer.and_then(|server| {
            let server = ObservedServer::fit(server).filter(|s| s.id == id);
            server.ok_or_else(other)
        });
        let mut look = Look {
            id,
            asked_at,
            found: None,
            absences: 0,
            error: None,
            ended,
        };
        match answer {
            Ok(server) => look.found = Some(server),
            Err(e) if e.class == ErrorClass::NotFound => look.absences = before.saturating_add(1),
            Err(e) => look.error = Some(e),
        }
        self.look = Some(look);
    }

    /// The outcome of the call with this key, if this process made it.
    pub(super) fn outcome(&self, key: &str) -> Option<&Outcome> {
        let sent = self.sent.as_ref().filter(|s| s.key == key)?;
        Some(&sent.outcome)
    }

    /// Whether any call of this process is still on the wire.
    pub(super) fn in_flight(&self) -> bool {
        let outcome = self.sent.as_ref().map(|s| &s.outcome);
        matches!(outcome, Some(Outcome::InFlight))
    }

    /// Waits before the next try, longer each time in a row.
    pub(super) fn delay(&mut self, class: ErrorClass, retry_after: Option<u32>, now: Timestamp, seed: u64) {
        self.backoff = Some(Backoff::after(
            self.backoff.as_ref(),
            class,
            retry_after,
            now,
            seed,
        ));
    }

    /// The last call is dealt with. One that has no answer yet stays known: nothing else is sent before there is one.
    pub(super) fn dealt_with(&mut self) {
        if !self.in_flight() {
            self.sent = None;
        }
    }

    /// Until when the next try must wait, if it must.
    pub(super) fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.backoff
            .as_ref()
            .map(|b| b.until)
            .filter(|t| *t > now || bugs::has(Bug::NeverTryAgain))
    }
}

/// A mutating call and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Which call: `Operation.id`, or `create-<n>`; with the attempt in it, so that it names one request.
    pub key: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What became of what its reply told once.
    pub told: Told,
}

/// What became of the credentials that a cloud tells once, as it creates a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// None were told, or none are wished for.
    #[default]
    Nothing,
    /// They are in their Secret.
    Kept,
    /// Their Secret could not be written, for this cause.
    Lost(String),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// No answer yet.
    InFlight,
    /// The cloud accepted it at this time.
    Accepted(Timestamp, Accepted),
    /// It was refused, or its reply was lost (`maybe_applied`), at this time.
    Refused(Timestamp, CloudError),
}

/// What asking for one server by its id has shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The id.
    pub id: String,
    /// When it was asked last.
    pub asked_at: Timestamp,
    /// The answer: the server, or that there is none.
    pub found: Option<Arc<ObservedServer>>,
    /// How often in a row there was none.
    pub absences: u32,
    /// The refusal, if it could not be asked.
    pub error: Option<CloudError>,
    /// A request, and how it ended, where that was asked too.
    pub ended: Option<(String, Ended)>,
}

/// A server that was found to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub id: String,
    /// When that was believed.
    pub at: Timestamp,
}

/// A foreign create attempt, timed by this process's own clock.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptWatch {
    /// Its number and holder.
    pub key: String,
    /// When this process first saw it.
    pub first_seen: Timestamp,
    /// When the first list after its deadline was asked for, that had nothing.
    pub first_empty: Option<Timestamp>,
}

/// The lists lack so many servers that no absence is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Since when this process knows it.
    pub since: Timestamp,
    /// A person wants the absence of this server to be looked into all the same.
    pub dismissed: bool,
}

/// When the next try may be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// What was refused.
    pub class: ErrorClass,
    /// How often in a row.
    pub count: u32,
    /// Not before then.
    pub until: Timestamp,
}

impl Backoff {
    /// The wait after one more refusal: longer each time in a row.
    pub(super) fn after(
        last: Option<&Self>,
        class: ErrorClass,
        retry_after: Option<u32>,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        let count = last.filter(|b| b.class == class).map_or(0, |b| b.count) + 1;
        let until = later(now, backoff::seconds(class, count, retry_after, seed));
        Self { class, count, until }
    }
}
