//! Whose turn it is: each object at most once, never twice at the same time, users before background work.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::observer::ObjectKey;
use crate::observer::sync::lock;

/// Why an object is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Something in the background.
    Background,
    /// A user changed a wish, or a reply came that somebody waits for.
    User,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    notify: Notify,
    depth: Gauge,
    waits: Option<Histogram>,
}

#[derive(Debug, Default)]
struct Inner {
    items: HashMap<ObjectKey, Item>,
    user: VecDeque<ObjectKey>,
    background: VecDeque<ObjectKey>,
    later: BTreeSet<(Instant, ObjectKey)>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Item {
    running: bool,
    ready: Option<Urgency>,
    /// Since when it waits for its turn.
    since: Option<Instant>,
    at: Option<Instant>,
    /// No turn before then, whoever wakes it.
    held: Option<Instant>,
}

impl Queue {
    /// An empty queue that shows its length and what objects waited.
    pub(crate) fn new(depth: Gauge, waits: Histogram) -> Self {
        Self {
            depth,
            waits: Some(waits),
            ..Self::default()
        }
    }

    /// It is this object's turn now.
    pub(crate) fn wake(&self, key: &ObjectKey, urgency: Urgency) {
        let mut inner = lock(&self.inner);
        let held = inner
            .items
            .get(key)
            .and_then(|i| i.held)
            .filter(|h| *h > Instant::now());
        match held {
            Some(until) => inner.later(key, until),
            None => inner.ready(key, urgency),
        }
        self.changed(&inner);
    }

    /// It is this object's turn at a time, if not before.
    pub(crate) fn wake_at(&self, key: &ObjectKey, at: Instant) {
        let mut inner = lock(&self.inner);
        let held = inner.items.get(key).and_then(|i| i.held);
        inner.later(key, held.map_or(at, |h| h.max(at)));
        self.changed(&inner);
    }

    /// The next object, or none once the queue is closed; it must be given back with [`Queue::done`].
    pub(crate) async fn next(&self) -> Option<ObjectKey> {
        loop {
            let notified = self.notify.notified();
            let wait = {
                let mut inner = lock(&self.inner);
                if inner.closed {
                    self.notify.notify_one();
                    return None;
                }
                inner.due(Instant::now());
                if let Some((key, since)) = inner.pop() {
                    if let (Some(waits), Some(since)) = (&self.waits, since) {
                        waits.observe(since.elapsed().as_secs_f64());
                    }
                    self.changed(&inner);
                    return Some(key);
                }
                inner.later.first().map(|(at, _)| *at)
            };
            match wait {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = notified => {}
                },
                None => notified.await,
            }
        }
    }

    /// An object's turn is over; its next one is at `again`, and none comes before `hold`.
    pub(crate) fn done(&self, key: &ObjectKey, again: Option<Instant>, hold: Option<Instant>) {
        let mut inner = lock(&self.inner);
        let Some(item) = inner.items.get_mut(key) else {
            return;
        };
        item.running = false;
        item.held = hold;
        let ready = item.ready.take();
        // Woken during its own turn: it waits from now on.
        item.since = None;
        let again = match (ready, hold) {
            (Some(_), Some(until)) => Some(again.map_or(until, |a| a.min(until))),
            _ => again,
        };
        if let (Some(urgency), None) = (ready, hold) {
            inner.ready(key, urgency);
        }
        match again {
            Some(at) => inner.later(key, hold.map_or(at, |h| h.max(at))),
            None => inner.tidy(key),
        }
        self.changed(&inner);
    }

    /// Hands out nothing more.
    pub(crate) fn close(&self) {
        lock(&self.inner).closed = true;
        self.notify.notify_one();
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut inner = lock(&self.inner);
        *inner = Inner {
            closed: inner.closed,
            ..Inner::default()
        };
        self.changed(&inner);
    }

    fn changed(&self, inner: &Inner) {
        let ready = inner.user.len() + inner.background.len();
        self.depth.set(i64::try_from(ready).unwrap_or(i64::MAX));
        if ready > 0 || !inner.later.is_empty() {
            self.notify.notify_one();
        }
    }
}

impl Inner {
    fn ready(&mut self, key: &ObjectKey, urgency: Urgency) {
        let item = self.items.entry(key.clone()).or_default();
        let known = item.ready;
        if known >= Some(urgency) {
            return;
        }
        item.ready = Some(urgency);
        item.since.get_or_insert_with(Instant::now);
        if let Some(at) = item.at.take_if(|_| !item.running) {
            self.later.remove(&(at, key.clone()));
        }
        if item.running {
            return;
        }
        if known == Some(Urgency::Background) {
            self.background.retain(|k| k != key);
        }
        match urgency {
            Urgency::User => self.user.push_back(key.clone()),
            Urgency::Background => self.background.push_back(key.clone()),
        }
    }

    fn later(&mut self, key: &ObjectKey, at: Instant) {
        let item = self.items.entry(key.clone()).or_default();
        if (item.ready.is_some() && !item.running) || item.at.is_some_and(|old| old <= at) {
            return;
        }
        if let Some(old) = item.at.replace(at) {
            self.later.remove(&(old, key.clone()));
        }
        self.later.insert((at, key.clone()));
    }

    /// Makes ready whose time has come.
    fn due(&mut self, now: Instant) {
        while let Some((at, key)) = self.later.first().cloned() {
            if at > now {
                return;
            }
            self.later.remove(&(at, key.clone()));
            if let Some(item) = self.items.get_mut(&key) {
                item.at = None;
                item.held = None;
            }
            self.ready(&key, Urgency::Background);
        }
    }

    /// The next object, and since when it has waited.
    fn pop(&mut self) -> Option<(ObjectKey, Option<Instant>)> {
        let key = self.user.pop_front().or_else(|| self.background.pop_front())?;
        let item = self.items.entry(key.clone()).or_default();
        item.running = true;
        item.ready = None;
        let since = item.since.take();
        Some((key, since))
    }

    fn tidy(&mut self, key: &ObjectKey) {
        let idle = |i: &Item| !i.running && i.ready.is_none() && i.at.is_none() && i.held.is_none();
        if self.items.get(key).is_some_and(idle) {
            self.items.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("n", name)
    }

    fn second(n: u64) -> Instant {
        Instant::now() + Duration::from_secs(n)
    }

    #[tokio::test(start_paused = true)]
    async fn users_go_first_and_nobody_runs_twice_at_once() {
        let queue = Queue::default();
        for (name, urgency) in [
            ("a", Urgency::Background),
            ("b", Urgency::Background),
            ("c", Urgency::User),
        ] {
            queue.wake(&key(name), urgency);
            queue.wake(&key(name), urgency);
        }
        queue.wake(&key("b"), Urgency::User);
        let order = [queue.next().await, queue.next().await, queue.next().await];
        assert_eq!(order, ["c", "b", "a"].map(|n| Some(key(n))));
        queue.wake(&key("b"), Urgency::Background);
        assert!(queue.next().now_or_never().is_none(), "b is running");
        queue.done(&key("b"), None, None);
        assert_eq!(queue.next().await, Some(key("b")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_for_later_comes_at_its_time_or_with_a_wake_before() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.wake(&key("a"), Urgency::User);
        queue.next().await;
        queue.done(&key("a"), Some(second(10)), None);
        assert_eq!(queue.next().await, Some(key("a")));
        assert_eq!(start.elapsed().as_secs(), 10);
        queue.done(&key("a"), Some(second(10)), None);
        queue.wake_at(&key("a"), second(5));
        queue.wake_at(&key("a"), second(7));
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 15);
        queue.done(&key("a"), Some(second(10)), None);
        queue.wake(&key("a"), Urgency::User);
        queue.next().await;
        queue.done(&key("a"), None, None);
        assert_eq!(start.elapsed().as_secs(), 15);
        assert!(
            tokio::time::timeout(Duration::from_secs(3600), queue.next())
                .await
                .is_err()
        );
        assert!(
            lock(&queue.inner).items.is_empty(),
            "an object at rest costs nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_does_not_cut_through_a_hold() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.wake(&key("a"), Urgency::User);
        queue.next().await;
        queue.wake(&key("a"), Urgency::User);
        queue.done(&key("a"), Some(second(30)), Some(second(30)));
        queue.wake(&key("a"), Urgency::User);
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 30);
        queue.done(&key("a"), None, None);
        queue.wake(&key("a"), Urgency::User);
        assert_eq!(queue.next().now_or_never(), Some(Some(key("a"))));
        queue.close();
        assert_eq!((queue.next().await, queue.next().await), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleeping_worker_hears_of_an_earlier_time() {
        let queue = std::sync::Arc::new(Queue::default());
        queue.wake_at(&key("late"), second(100));
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move { (queue.next().await, Instant::now()) }
        });
        tokio::task::yield_now().await;
        queue.wake_at(&key("soon"), second(1));
        let due = second(1);
        assert_eq!(worker.await.unwrap(), (Some(key("soon")), due));
    }
}
