//! Everything that happens to the objects of a kind, as it happens.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::argo::Guarded;
use crate::support::kube::Cluster;

/// One event.
#[derive(Clone)]
pub struct Event {
    pub at: Instant,
    pub deleted: bool,
    pub object: Value,
}

impl Event {
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        let meta = &self.object["metadata"];
        meta["namespace"] == namespace && meta["name"] == name
    }
}

#[derive(Default)]
struct Seen {
    events: Mutex<Vec<Event>>,
    more: Condvar,
}

/// A watch on one kind in all namespaces.
pub struct Watch {
    seen: Arc<Seen>,
    _process: Guarded,
}

impl Watch {
    pub fn start(cluster: &Cluster, plural: &str, scratch: &Path) -> Self {
        let mut command = Command::new(cluster.bin().join("kubectl"));
        command.arg("--kubeconfig").arg(cluster.kubeconfig()).args([
            "get",
            plural,
            "-A",
            "-w",
            "-o",
            "json",
            "--output-watch-events",
        ]);
        let log = scratch.join(format!("watch-{plural}.log"));
        let (process, output) = Guarded::start(&command, &log, true);
        let seen = Arc::new(Seen::default());
        let theirs = Arc::clone(&seen);
        std::thread::spawn(move || read(output.unwrap(), &theirs));
        Self {
            seen,
            _process: process,
        }
    }

    /// Everything so far.
    pub fn events(&self) -> Vec<Event> {
        self.seen
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What an object is now.
    pub fn now(&self, namespace: &str, name: &str) -> Option<Value> {
        let events = self.events();
        let last = events.iter().rev().find(|e| e.is(namespace, name))?;
        (!last.deleted).then(|| last.object.clone())
    }

    /// Waits until the events say what is wanted.
    pub fn wait<T>(&self, what: &str, limit: Duration, wanted: impl Fn(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + limit;
        let mut events = self.seen.events.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = wanted(&events) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last = events
                    .last()
                    .map(|e| format!("{:#}", e.object))
                    .unwrap_or_default();
                drop(events);
                panic!("waited {limit:?} in vain for {what}; the last event: {last}");
            }
            let waited = self.seen.more.wait_timeout(events, left);
            events = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until an object is as wanted.
    pub fn until(&self, namespace: &str, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(
            &format!("{namespace}/{name}: {what}"),
            crate::life::LIMIT,
            |events| {
                let last = events.iter().rev().find(|e| e.is(namespace, name))?;
                (!last.deleted && wanted(&last.object)).then(|| last.object.clone())
            },
        )
    }

    /// Waits until an object is gone; when that was.
    pub fn gone(&self, namespace: &str, name: &str) -> Instant {
        self.wait(
            &format!("{namespace}/{name} to go"),
            crate::life::LIMIT,
            |events| {
                let last = events.iter().rev().find(|e| e.is(namespace, name))?;
                last.deleted.then_some(last.at)
            },
        )
    }
}

fn read(output: impl Read, seen: &Seen) {
    // It ends with the process that writes.
    for event in serde_json::Deserializer::from_reader(std::io::BufReader::new(output)).into_iter::<Value>() {
        let Ok(mut event) = event else { return };
        let event = Event {
            at: Instant::now(),
            deleted: event["type"] == "DELETED",
            object: event["object"].take(),
        };
        seen.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        seen.more.notify_all();
    }
}
