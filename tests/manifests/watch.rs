//! Everything that happens to the objects of a kind, as it happens.

use std::io::BufReader;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::support::kube::Cluster;

type Events = Arc<Mutex<Vec<(Instant, Value)>>>;

/// A watch on a kind in a namespace; it ends when it is dropped.
pub struct Watch {
    events: Events,
    process: Child,
}

impl Watch {
    /// kubectl watches.
    pub fn start(cluster: &Cluster, namespace: &str, plural: &str) -> Self {
        let args = ["-n", namespace, "get", plural, "-w", "-o", "json"];
        let mut process = cluster
            .command(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let events = Events::default();
        let theirs = Arc::clone(&events);
        std::thread::spawn(move || {
            // It ends with the process that writes.
            for object in serde_json::Deserializer::from_reader(output).into_iter::<Value>() {
                let Ok(object) = object else { return };
                theirs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((Instant::now(), object));
            }
        });
        Self { events, process }
    }

    /// Every version of every object so far, and when it was seen.
    pub fn events(&self) -> Vec<(Instant, Value)> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Killing one that has ended already is what is wanted too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
