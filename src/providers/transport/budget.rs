//! How much one account may be asked: so many requests per second, so many under way, and nothing at all
//! while the cloud asks for a pause. Writes and what a user waits for go ahead of background reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::provider_config::Requests;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Writes, and what somebody waits for.
    High,
    /// Lists that nobody waits for.
    Background,
}

/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second in the long run; at least 1.
    pub per_second: u32,
    /// Requests at once after a quiet time; at least 1.
    pub burst: u32,
    /// Requests under way at the same time; at least 1.
    pub in_flight: u32,
}

impl Limits {
    /// The limits that a ProviderConfig sets.
    pub fn of(requests: &Requests) -> Self {
        let at_least_one = |n: i32| u32::try_from(n).unwrap_or(1).max(1);
        Self {
            per_second: at_least_one(requests.per_second),
            burst: at_least_one(requests.burst),
            in_flight: at_least_one(requests.in_flight),
        }
    }
}

/// The longest pause that a cloud can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// A background read that waited for so long goes first: otherwise a steady stream of writes would blind us.
const STARVING: Duration = Duration::from_secs(10);

/// The request budget of one account. Shared by everything that speaks for it.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    /// Whole and broken requests that may be made now.
    tokens: f64,
    /// When `tokens` was right; in the future while paused.
    at: Instant,
    in_flight: u32,
    high: VecDeque<Waiter>,
    background: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug, Clone)]
struct Waiter {
    ticket: u64,
    since: Instant,
    turn: Arc<Notify>,
}

/// Leave to make one request. Gives its place back when dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Permit {
    budget: Arc<Budget>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.call_first(Instant::now());
    }
}

impl State {
    fn queue(&mut self, priority: Priority) -> &mut VecDeque<Waiter> {
        match priority {
            Priority::High => &mut self.high,
            Priority::Background => &mut self.background,
        }
    }

    fn first(&self, now: Instant) -> Option<&Waiter> {
        let starving = self.background.front().filter(|w| now >= w.since + STARVING);
        starving.or(self.high.front()).or(self.background.front())
    }

    fn call_first(&self, now: Instant) {
        if let Some(waiter) = self.first(now) {
            waiter.turn.notify_one();
        }
    }

    fn refill(&mut self, now: Instant) {
        if now > self.at {
            let gained = (now - self.at).as_secs_f64() * f64::from(self.limits.per_second.max(1));
            self.tokens = (self.tokens + gained).min(f64::from(self.limits.burst.max(1)));
            self.at = now;
        }
    }

    /// When the next request may be made, as far as time alone decides.
    fn next_token(&self) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0) / f64::from(self.limits.per_second.max(1));
        // Rounded up, so that the token is there when the sleeper wakes.
        self.at + Duration::from_secs_f64(missing) + Duration::from_millis(1)
    }

    fn try_take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let free = self.in_flight < self.limits.in_flight.max(1);
        if now < self.at || !free || self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        self.in_flight += 1;
        true
    }
}

impl Budget {
    /// A full budget.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                limits,
                tokens: f64::from(limits.burst.max(1)),
                at: Instant::now(),
                in_flight: 0,
                high: VecDeque::new(),
                background: VecDeque::new(),
                next_ticket: 0,
            }),
        })
    }

    /// Changes how much may be asked from now on.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.lock();
        let now = Instant::now();
        state.refill(now);
        state.limits = limits;
        state.tokens = state.tokens.min(f64::from(limits.burst.max(1)));
        state.call_first(now);
    }

    /// Nothing is asked for so long, at most 5 minutes: the cloud wishes it. Afterwards the burst is used up.
    pub fn pause(&self, length: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + length.min(MAX_PAUSE);
        if until > state.at {
            state.at = until;
            state.tokens = 1.0;
        }
    }

    /// Waits for leave to make one request, in order of arrival within a priority. A waiter that is dropped
    /// takes nothing with it.
    pub async fn acquire(self: &Arc<Self>, priority: Priority) -> Permit {
        let place = Place::take(self, priority);
        loop {
            match place.look() {
                Look::Go => {
                    return Permit {
                        budget: Arc::clone(self),
                    };
                }
                Look::At(when) => {
                    tokio::select! {
                        () = place.turn.notified() => {}
                        () = sleep_until(when) => {}
                    }
                }
                Look::Called => place.turn.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every point where a panic could leave it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    /// The place became a permit.
    Go,
    /// It is this one's turn at this time.
    At(Instant),
    /// Somebody else is first, or too much is under way: it will be called.
    Called,
}

/// A place in a queue; given up when dropped.
struct Place<'a> {
    budget: &'a Arc<Budget>,
    priority: Priority,
    ticket: u64,
    turn: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(budget: &'a Arc<Budget>, priority: Priority) -> Self {
        let turn = Arc::new(Notify::new());
        let mut state = budget.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let since = Instant::now();
        state.queue(priority).push_back(Waiter {
            ticket,
            since,
            turn: Arc::clone(&turn),
        });
        Self {
            budget,
            priority,
            ticket,
            turn,
        }
    }

    fn look(&self) -> Look {
        let mut state = self.budget.lock();
        let now = Instant::now();
        if state.first(now).map(|w| w.ticket) != Some(self.ticket) {
            // Its time may have come while this one slept in its place.
            state.call_first(now);
            return Look::Called;
        }
        if state.try_take(now) {
            let ticket = self.ticket;
            state.queue(self.priority).retain(|w| w.ticket != ticket);
            state.call_first(now);
            return Look::Go;
        }
        if state.in_flight >= state.limits.in_flight.max(1) {
            return Look::Called;
        }
        Look::At(state.next_token())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let ticket = self.ticket;
        let mut state = self.budget.lock();
        let queue = state.queue(self.priority);
        let before = queue.len();
        queue.retain(|w| w.ticket != ticket);
        if queue.len() < before {
            state.call_first(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
