//! What the task of an account remembers, and when it lists next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::absence::Absence;
use super::clock::Clock;
use super::groups::{self, Groups};
use super::interest::Interests;
use super::sync::Jitter;
use super::{ObjectKey, Outage, Pace, View, outage_reason};
use crate::planner::model::{CloudError, ErrorClass, Listing, ObservedServer};
use crate::providers::Provider;

/// The least time between the beginnings of two lists, however much they are wanted.
const MIN_GAP: Duration = Duration::from_millis(200);
/// The longest wait after a failed list.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The same after a passing fault: one list probes for the whole account, and a cloud that is back is noticed soon.
const PROBE: Duration = Duration::from_secs(4);
/// The wait after refused credentials, unless they change.
const UNAUTHORIZED: Duration = Duration::from_secs(60);

pub(super) struct State {
    pub(super) interests: Interests,
    pub(super) pace: Pace,
    sources: Vec<Arc<dyn Provider>>,
    turn: usize,
    jitter: Jitter,
    listing: Option<Arc<Listing>>,
    outage: Option<Outage>,
    pub(super) absence: Absence,
    failures: u32,
    not_before: Option<Instant>,
    last_start: Option<Instant>,
    idle: Duration,
}

impl State {
    pub(super) fn new(seed: u64, sources: Vec<Arc<dyn Provider>>, pace: Pace) -> Self {
        Self {
            interests: Interests::default(),
            pace,
            sources,
            turn: 0,
            jitter: Jitter::new(seed),
            listing: None,
            outage: None,
            absence: Absence::default(),
            failures: 0,
            not_before: None,
            last_start: None,
            idle: pace.idle,
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            listing: self.listing.clone(),
            outage: self.outage.clone(),
            mass_absence: self.absence.suspicious(),
        }
    }

    pub(super) fn source(&mut self, sources: Vec<Arc<dyn Provider>>, pace: Pace) {
        let same = self.sources.len() == sources.len()
            && self.sources.iter().zip(&sources).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            self.sources = sources;
            self.turn = 0;
            if self.outage.is_some() {
                self.not_before = None;
                self.last_start = None;
            }
        }
        if self.pace != pace {
            self.pace = pace;
            self.idle = pace.idle;
        }
    }

    /// When the next list is due.
    pub(super) fn due(&self, clock: &Clock) -> Instant {
        let Some(last) = self.last_start else {
            return Instant::now();
        };
        if let Some(until) = self.not_before {
            return until;
        }
        let interval = if self.interests.any_busy() {
            self.pace.busy
        } else {
            self.idle
        };
        let paced = last + interval.max(MIN_GAP);
        match self.interests.earliest_want() {
            Some(want) => paced.min(clock.instant(want).max(last + MIN_GAP)),
            None => paced,
        }
    }

    /// Begins a list: who lists, and as of when. It fulfils every want that was uttered before now.
    pub(super) fn begin(&mut self, at: Instant, now: Timestamp) -> Option<(Arc<dyn Provider>, Timestamp)> {
        self.last_start = Some(at);
        self.not_before = None;
        self.idle = self.jitter.around(self.pace.idle, 10);
        let provider = self.sources.get(self.turn % self.sources.len().max(1))?;
        // The order of want and list is known here, even where the clock does not tell them apart.
        let after_wants = self
            .interests
            .latest_want(now)
            .and_then(|t| t.checked_add(SignedDuration::from_nanos(1)).ok());
        Some((Arc::clone(provider), after_wants.map_or(now, |t| t.max(now))))
    }

    /// Takes a complete list in; the objects that it concerns.
    pub(super) fn listed(
        &mut self,
        asked_at: Timestamp,
        now: Timestamp,
        servers: Vec<Arc<ObservedServer>>,
        groups: Groups,
        installation: &str,
    ) -> BTreeSet<ObjectKey> {
        let next = match &self.listing {
            Some(previous) => previous.next(asked_at, servers),
            None => Listing::default().next(asked_at, servers),
        };
        let next = groups::joined(next, groups);
        let suspicious = self.absence.suspicious();
        let recovered = self.outage.take().is_some();
        self.failures = 0;
        let expected = self.interests.expected();
        self.absence.judge(self.listing.as_deref(), &next, now, &expected);
        let mut wakes = BTreeSet::new();
        match &self.listing {
            None => wakes.extend(self.interests.all().cloned()),
            Some(previous) => {
                for group in groups::differences(previous, &next) {
                    wakes.extend(self.interests.of_group(group).into_iter().cloned());
                }
                for server in differences(previous, &next) {
                    wakes.extend(
                        self.interests
                            .of_server(installation, server)
                            .into_iter()
                            .cloned(),
                    );
                }
            }
        }
        match (suspicious, self.absence.suspicious()) {
            (false, true) => tracing::warn!(
                "lists lack a large share of the recorded servers; their absence is not believed yet"
            ),
            (true, false) => tracing::info!("absences are believed again"),
            _ => {}
        }
        if recovered || suspicious != self.absence.suspicious() {
            wakes.extend(self.interests.all().cloned());
        }
        wakes.extend(self.interests.busy().cloned());
        wakes.extend(self.interests.fulfil(asked_at));
        self.listing = Some(Arc::new(next));
        wakes
    }

    /// Counts a failure: when to try again.
    pub(super) fn failed(&mut self, at: Instant, error: &CloudError) {
        self.failures = self.failures.saturating_add(1);
        let longest = if error.class == ErrorClass::Transient {
            PROBE
        } else {
            MAX_BACKOFF
        };
        let doubled = Duration::from_secs(1 << (self.failures - 1).min(5)).min(longest);
        let mut wait = self.jitter.around(doubled, 10).min(MAX_BACKOFF);
        if matches!(error.class, ErrorClass::Unauthorized | ErrorClass::Forbidden) {
            self.turn = self.turn.wrapping_add(1);
            // The other credentials of the account get their turn before anybody waits.
            if self.failures as usize >= self.sources.len() {
                wait = UNAUTHORIZED;
            }
        }
        if let Some(seconds) = error.retry_after {
            wait = wait.max(Duration::from_secs(u64::from(seconds.min(600))));
        }
        self.not_before = Some(at + wait);
        self.last_start.get_or_insert(at);
    }

    /// Publishes a failure; whom it concerns: everybody, when it is new or another one.
    pub(super) fn outage(&mut self, now: Timestamp, error: &CloudError) -> BTreeSet<ObjectKey> {
        let reason = outage_reason(error);
        if self.outage.as_ref().is_some_and(|o| o.reason == reason) {
            // The first words stay: clouds put times and request ids into theirs.
            return BTreeSet::new();
        }
        let since = self.outage.as_ref().map_or(now, |o| o.since);
        self.outage = Some(Outage {
            since,
            reason,
            message: error.message.clone(),
        });
        self.interests.all().cloned().collect()
    }
}

/// Every server that is in one list and not in the other, or not the same: both versions.
fn differences<'a>(a: &'a Listing, b: &'a Listing) -> Vec<&'a ObservedServer> {
    let gone = a
        .servers
        .iter()
        .filter(|(id, _)| !b.servers.contains_key(*id))
        .map(|(_, s)| &**s);
    let changed = b.servers.iter().flat_map(|(id, new)| match a.servers.get(id) {
        Some(old) if Arc::ptr_eq(old, new) => vec![],
        Some(old) => vec![&**old, &**new],
        None => vec![&**new],
    });
    gone.chain(changed).collect()
}
