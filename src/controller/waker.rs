//! What an observer's word about an object is worth in the queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::{Queue, Urgency};
use super::store::Store;
use crate::api::Server;
use crate::observer::sync::{Jitter, lock};
use crate::observer::{ObjectKey, ObjectKind, Wake};

/// Puts objects that a list concerns into the queue.
pub(super) struct Waker {
    queue: Arc<Queue>,
    servers: Arc<Store<Server>>,
    jitter: Mutex<Jitter>,
}

impl Waker {
    pub(super) fn new(queue: Arc<Queue>, servers: Arc<Store<Server>>, seed: u64) -> Self {
        Self {
            queue,
            servers,
            jitter: Mutex::new(Jitter::new(seed)),
        }
    }

    /// A wish that was changed before its account could be used has waited for this list: its owner waits still.
    fn urgency(&self, key: &ObjectKey) -> Urgency {
        let server = Some(key).filter(|key| key.object == ObjectKind::Server);
        let server = server.and_then(|key| self.servers.get(key));
        let unheard = server.is_some_and(|server| {
            let observed = server.status.as_ref().and_then(|s| s.observed_generation);
            observed != server.metadata.generation
        });
        if unheard {
            Urgency::User
        } else {
            Urgency::Background
        }
    }
}

impl Wake for Waker {
    fn wake(&self, key: &ObjectKey, spread: Duration) {
        if spread.is_zero() {
            self.queue.wake(key, self.urgency(key));
        } else {
            let delay = lock(&self.jitter).below(spread);
            self.queue.wake_at(key, Instant::now() + delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server(name: &str, generation: i64, observed: i64) -> Server {
        serde_json::from_value(json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": "1", "generation": generation},
            "spec": {"providerConfigRef": {"name": "c"}, "size": {"name": "s"}, "image": {"name": "i"}},
            "status": {"observedGeneration": observed},
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_that_nobody_has_looked_at_goes_before_all_that_a_list_wakes() {
        let (queue, servers) = (Arc::new(Queue::default()), Arc::new(Store::new([None])));
        for (name, generation, observed) in [("a", 2, 2), ("b", 1, 1), ("c", 3, 2), ("d", 1, -1)] {
            servers.put(server(name, generation, observed));
        }
        let waker = Waker::new(Arc::clone(&queue), servers, 1);
        for name in ["a", "gone", "b", "c", "d"] {
            waker.wake(&ObjectKey::new("n", name), Duration::ZERO);
        }
        for name in ["c", "d", "a", "gone", "b"] {
            assert_eq!(queue.next().await, Some(ObjectKey::new("n", name)));
        }
    }
}
