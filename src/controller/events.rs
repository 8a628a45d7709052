//! Events for people. They are published by one task beside the work, and may be lost; no reconcile waits.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::api::Reason;
use crate::api::conditions::{MAX_MESSAGE, bounded};
use crate::observer::ObjectKey;
use crate::observer::metrics::{Metrics, Outcome};
use crate::planner::EventDraft;

/// So many events may wait.
const WAITING: usize = 512;
/// The very same event is not repeated within this time.
const QUIET: Duration = Duration::from_secs(10);
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
        let recorder = Recorder::new(client, reporter);
        let task = publish(receiver, recorder, metrics.clone());
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
                .get_or_create(&Outcome { outcome: "full" })
                .inc();
        }
    }
}

async fn publish(
    mut receiver: mpsc::Receiver<(ObjectReference, EventDraft)>,
    recorder: Recorder,
    metrics: Metrics,
) {
    let mut recent: HashMap<(Option<String>, &'static str, String), Instant> = HashMap::new();
    while let Some((mut object, draft)) = receiver.recv().await {
        // An event speaks of the object, not of one version of it.
        object.resource_version = None;
        let now = Instant::now();
        recent.retain(|_, at| now.duration_since(*at) < QUIET);
        if recent
            .insert(
                (object.uid.clone(), draft.reason.as_str(), draft.note.clone()),
                now,
            )
            .is_some()
        {
            continue;
        }
        let event = Event {
            type_: if draft.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: draft.reason.as_str().to_owned(),
            note: Some(bounded(&draft.note, MAX_MESSAGE.min(1000))),
            action: draft.action.to_owned(),
            secondary: None,
        };
        let result = timeout(PATIENCE, recorder.publish(&event, &object)).await;
        if !matches!(result, Ok(Ok(()))) {
            tracing::debug!(reason = %draft.reason, "an event could not be published");
            metrics
                .events_lost
                .get_or_create(&Outcome { outcome: "error" })
                .inc();
        }
    }
}
