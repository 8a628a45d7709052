//! Events for people. They are published by one task beside the work, and may be lost; no reconcile waits.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::api::Reason;
use crate::api::conditions::{MAX_MESSAGE, bounded, clean};
use crate::observer::ObjectKey;
use crate::observer::metrics::Metrics;
use crate::observer::metrics::labels::Ended;
use crate::planner::EventDraft;

/// So many events may wait.
const WAITING: usize = 512;
/// The very same event is not repeated within this time.
const QUIET: Duration = Duration::from_secs(10);
/// Later repetitions are counted in the same event for so long.
const MERGED: Duration = Duration::from_secs(300);
/// So many different notes for one reason are published of one object within that time.
const DISTINCT: usize = 10;
/// And so many of all objects.
const REMEMBERED: usize = 4096;
/// One event may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where events are handed in.
#[derive(Clone)]
pub(crate) struct Events {
    sender: mpsc::Sender<(ObjectReference, EventDraft)>,
    metrics: Metrics,
}

impl Events {
    /// The place to hand events in, and the task that publishes them.
    pub(crate) fn new(
        client: Client,
        instance: &str,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let reporter = Reporter {
            controller: "evenkeel.dev/controller".into(),
            instance: Some(instance.into()),
        };
        let recent = Recent {
            client,
            reporter,
            series: HashMap::new(),
        };
        let task = publish(receiver, recent, metrics.clone());
        (Self { sender, metrics }, task)
    }

    /// Tells people of an object that cannot be read.
    pub(crate) fn unreadable<K: Resource<DynamicType = ()>>(&self, key: ObjectKey, uid: String, words: &str) {
        let object = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(key.name),
            namespace: Some(key.namespace),
            uid: Some(uid),
            ..ObjectReference::default()
        };
        let draft = EventDraft {
            warning: true,
            reason: Reason::InvalidSpec,
            action: "Read",
            note: format!("the object cannot be read and is left alone: {words}"),
        };
        self.publish(object, draft);
    }

    /// Hands an event in. Never waits.
    pub(crate) fn publish(&self, object: ObjectReference, draft: EventDraft) {
        if self.sender.try_send((object, draft)).is_err() {
            self.metrics
                .events_lost
                .get_or_create(&Ended { result: "full" })
                .inc();
        }
    }
}

/// What makes two events the same: the object, the reason and the words.
type Key = (Option<String>, &'static str, String);

/// An event that was published; its repetitions are counted there.
struct Series {
    recorder: Recorder,
    at: Instant,
}

/// What becomes of an event.
enum Verdict {
    /// It was said a moment ago.
    Quiet,
    /// Too much was said of this object for this reason.
    TooMany,
    /// It is published there.
    Publish(Recorder),
}

/// The events of the last minutes.
struct Recent {
    client: Client,
    reporter: Reporter,
    series: HashMap<Key, Series>,
}

impl Recent {
    /// A recorder merges what differs in the words alone, and keeps the first words: each note has one of its own.
    fn admit(&mut self, key: Key, now: Instant) -> Verdict {
        self.series.retain(|_, s| now.duration_since(s.at) < MERGED);
        if let Some(known) = self.series.get_mut(&key) {
            if now.duration_since(known.at) < QUIET {
                return Verdict::Quiet;
            }
            known.at = now;
            return Verdict::Publish(known.recorder.clone());
        }
        let alike = self
            .series
            .keys()
            .filter(|(uid, reason, _)| (uid, reason) == (&key.0, &key.1));
        if alike.count() >= DISTINCT || self.series.len() >= REMEMBERED {
            return Verdict::TooMany;
        }
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let series = Series {
            recorder: recorder.clone(),
            at: now,
        };
        self.series.insert(key, series);
        Verdict::Publish(recorder)
    }
}

async fn publish(
    mut receiver: mpsc::Receiver<(ObjectReference, EventDraft)>,
    mut recent: Recent,
    metrics: Metrics,
) {
    let lost = |result| metrics.events_lost.get_or_create(&Ended { result }).inc();
    while let Some((mut object, draft)) = receiver.recv().await {
        // An event speaks of the object, not of one version of it.
        object.resource_version = None;
        let note = bounded(&clean(&draft.note), MAX_MESSAGE.min(1000));
        let key = (object.uid.clone(), draft.reason.as_str(), note.clone());
        let recorder = match recent.admit(key, Instant::now()) {
            Verdict::Quiet => continue,
            Verdict::TooMany => {
                lost("many");
                continue;
            }
            Verdict::Publish(recorder) => recorder,
        };
        let event = Event {
            type_: if draft.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: draft.reason.as_str().to_owned(),
            note: Some(note),
            action: draft.action.to_owned(),
            secondary: None,
        };
        let result = timeout(PATIENCE, recorder.publish(&event, &object)).await;
        if !matches!(result, Ok(Ok(()))) {
            tracing::debug!(reason = %draft.reason, "an event could not be published");
            lost("error");
        }
    }
}
