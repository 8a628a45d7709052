//! Every decision, as one pure function: no I/O, no clock, no randomness, no async.
//!
//! The shell calls [`plan`] whenever something changed and carries out what it says, in this order: write
//! `status` if it differs (with the resourceVersion that was read; a conflict throws the plan away), store
//! `memory`, publish `events`, and only then take the one `step`.

mod account;
pub mod backoff;
mod broken;
pub mod bugs;
pub mod claims;
mod clocks;
mod create;
mod credentials;
pub mod deeds;
mod delete;
mod details;
mod draft;
mod finish;
pub mod group;
mod import;
mod lock;
mod log;
pub mod memory;
mod missing;
pub mod model;
mod operation;
mod others;
mod power;
mod present;
pub mod quota;
mod rebuild;
mod refusal;
mod rescue;
mod resize;
mod restart;
mod retry;
mod settings;
mod soft_delete;
mod stop;
#[cfg(test)]
pub(crate) mod tests;
mod transitions;
mod twins;

pub use account::same_account;
pub(crate) use others::STANDS;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Reason, Server, ServerAction, ServerStatus, conditions, keys};
use bugs::Bug;
pub(crate) use draft::later;
use draft::{Draft, Verdict};
use group::GroupView;
use memory::{Backoff, Memory};
use model::{Capabilities, CloudCall, Listing, Trace};

/// A call is sent at most this long after the write of its record began, by the clock that stands still for nobody: a
/// process that was held up must not send late.
pub const SEND_WITHIN: Duration = Duration::from_secs(5);

/// Everything a decision rests on.
pub struct Input<'a> {
    /// The object as it was last read or written: wish, metadata, and recorded status.
    pub server: &'a Server,
    /// Its account.
    pub account: AccountView<'a>,
    /// Its group, if it names one.
    pub group: Option<GroupView<'a>>,
    /// The ServerActions that name it, in the order in which they were made.
    pub actions: &'a [Arc<ServerAction>],
    /// What this process remembers of it.
    pub memory: &'a Memory,
    /// Names this process; changes with every start.
    pub process: &'a str,
    /// Names this installation; never changes.
    pub installation: &'a str,
    /// This process was told to go: what its calls brought is taken in, and no call is recorded any more. Its successor
    /// would have to wait out a record of what nobody sends.
    pub leaving: bool,
    /// Whether a living `Server` object has this uid.
    pub lives: &'a dyn Fn(&str) -> bool,
    /// The other living `Server` object (`namespace/name`) of this account whose claim on the server with this id
    /// comes before the one of this object (see [`claims::Claim`]). Asked only about servers without its mark.
    pub claimed: &'a dyn Fn(&str) -> Option<String>,
    /// The time.
    pub now: Timestamp,
    /// Where jitter comes from.
    pub seed: u64,
}

/// The account of a server.
#[derive(Clone, Copy)]
pub enum AccountView<'a> {
    /// It cannot be asked. `Connecting` says that it has not been tried for long enough to say more.
    Unusable {
        /// Why.
        reason: Reason,
        /// In words, the cloud's where there are some.
        message: &'a str,
        /// Since when.
        since: Timestamp,
    },
    /// It was listed at least once by this process.
    Usable(&'a AccountFacts),
}

/// What is known about an account that was listed.
#[derive(Clone)]
pub struct AccountFacts {
    /// The cloud's id of the account.
    pub account: String,
    /// What the cloud can do.
    pub capabilities: &'static Capabilities,
    /// `spec.suspend` of the ProviderConfig.
    pub suspended: bool,
    /// The last complete list.
    pub listing: Arc<Listing>,
    /// Lists fail since then, with this reason and these words.
    pub outage: Option<(Timestamp, Reason, String)>,
    /// So many servers vanished at once that none of the absences is believed.
    pub mass_absence: bool,
    /// Why it is not this object's turn to ask whether the account's quota is still used up.
    pub quota: Option<quota::QuotaShut>,
    /// Whether `maxCreatesInFlight` leaves room for one more.
    pub creates_free: bool,
    /// Whether `maxConcurrentDisruptions` leaves room for one more.
    pub disruptions_free: bool,
}

impl AccountFacts {
    /// Whether the last list may lack servers that exist: absence from it proves nothing.
    pub(crate) fn blind(&self) -> bool {
        self.mass_absence || self.listing.unreadable
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The status to write, if it differs from the one that was read.
    pub status: ServerStatus,
    /// What to remember, once the status is written (or needs no write).
    pub memory: Memory,
    /// The next step, once the status is written.
    pub step: Step,
    /// What to tell people, once the status is written.
    pub events: Vec<EventDraft>,
    /// Plan again at this time at the latest.
    pub again_at: Option<Timestamp>,
    /// A complete list that was asked for after this time is wanted; plan again when there is one.
    pub list_after: Option<Timestamp>,
    /// Something is under way: list at the busy pace, and plan again after every list.
    pub busy: bool,
    /// What this object takes of the account's limits while it is so.
    pub takes: Takes,
    /// It would ask for a server, and waits for its turn: the account's quota is used up.
    pub awaits_quota: bool,
}

/// One step outside. At most one call that changes something.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Add our finalizer, with the resourceVersion that was read.
    AddFinalizer,
    /// Take our finalizer away, with the resourceVersion that was read.
    RemoveFinalizer,
    /// Ask for one server by its id, and how a request ended; the answers go into `Memory.look`.
    Look {
        /// The cloud's id.
        id: String,
        /// The request.
        trace: Option<Trace>,
    },
    /// Make one call, at most five seconds after the write of its record began; else drop it and report a
    /// `Refused` that was never sent. The outcome goes into `Memory.sent` under the same key.
    Call {
        /// Names this one request in `Memory.sent`.
        key: String,
        /// The call.
        call: CloudCall,
    },
}

/// Which of the account's limits an object uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// One of `maxCreatesInFlight`.
    pub create: bool,
    /// One of `maxConcurrentDisruptions`.
    pub disruption: bool,
}

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason.
    pub reason: Reason,
    /// What was done, in one word (the `action` of an event).
    pub action: &'static str,
    /// In words.
    pub note: String,
}

/// Decides.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut d = Draft::new(input);
    let verdict = decide(&mut d);
    d.finish(verdict)
}

fn decide(d: &mut Draft<'_>) -> Verdict {
    if let Some(verdict) = operation::of_another_version(d) {
        return verdict;
    }
    acknowledge(d);
    clocks::tame(d);
    let absorbed = create::absorb(d);
    credentials::absorb(d);
    if d.deleting() {
        if !d.has_finalizer() {
            return Verdict::Keep;
        }
        if let Some(verdict) = delete::without_cloud(d) {
            return verdict;
        }
    } else if !d.has_finalizer() && !bugs::has(Bug::CreateBeforeTheFinalizer) {
        d.step = Step::AddFinalizer;
        d.list_after = d.memory.first_seen;
        return Verdict::Keep;
    }
    let facts = match d.input.account {
        AccountView::Usable(facts) => facts,
        AccountView::Unusable {
            reason,
            message,
            since,
        } => {
            let verdict = account::unusable(d, reason, message, since);
            return if verdict == Verdict::Keep {
                absorbed
            } else {
                verdict
            };
        }
    };
    if let Some((since, reason, message)) = &facts.outage {
        let verdict = account::unusable(d, *reason, message, *since);
        return if verdict == Verdict::Keep {
            absorbed
        } else {
            verdict
        };
    }
    if let Some(verdict) = account::another(d, facts) {
        return verdict;
    }
    account::reachable_again(d);
    missing::doubt(d, facts);
    if d.deleting() {
        return delete::plan(d, facts);
    }
    account::show_pause(d, facts);
    match (d.status.id.clone(), d.import()) {
        (Some(id), _) if missing::contradicts(d, facts, &id) => absorbed,
        (Some(id), _) => present::plan(d, facts, &id),
        (None, Some(import)) => import::plan(d, facts, &import.id),
        (None, None) => create::plan(d, facts),
    }
}

/// Forgets the waits so far. Of an open operation it is still known that its last call was refused: it is due now.
fn try_at_once(d: &mut Draft<'_>) {
    let now = d.now();
    let last = d.memory.backoff.take().filter(|_| d.status.operation.is_some());
    d.memory.backoff = last.map(|last| Backoff {
        count: 0,
        until: now,
        ..last
    });
}

/// A changed spec or a new token forgets what went wrong before.
fn acknowledge(d: &mut Draft<'_>) {
    let generation = d.input.server.metadata.generation;
    if d.old.observed_generation.is_some_and(|g| g >= 0) && d.old.observed_generation != generation {
        d.status.failure = None;
    }
    if d.memory.generation.is_some() && d.memory.generation != generation {
        try_at_once(d);
        d.memory.corrections.clear();
    }
    d.memory.generation = generation;
    // What was handled is kept short: a longer token is compared by what is kept of it.
    let token = |key| d.annotation(key).map(|t| conditions::bounded(t, 128));
    let (retry, reconcile) = (token(keys::RETRY), token(keys::RECONCILE_REQUESTED_AT));
    if retry.is_some() && d.status.last_handled_retry != retry {
        d.status.last_handled_retry = retry;
        d.status.failure = None;
        try_at_once(d);
        d.memory.corrections.clear();
        power::respect_no_more(d);
        if let Some(resize) = &mut d.status.resize {
            resize.failed_size = None;
        }
        rebuild::forget(d);
        lock::forget(d);
    }
    if reconcile.is_some() && d.status.last_handled_reconcile_at != reconcile {
        d.status.last_handled_reconcile_at = reconcile;
        d.list_after = Some(d.now());
    }
}
