//! One open watch: what of the history it still has to tell, and when.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

use super::ApiServer;
use super::error::ApiError;
use super::faults::Fault;
use super::resources::Resource;
use super::selector::Selector;
use super::store::Change;
use super::wire::{Asked, view};

/// How often a watch that wants bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts that does not say.
const DEFAULT_TIMEOUT_SECONDS: u64 = 1800;

pub(super) struct Watch {
    server: ApiServer,
    client: String,
    resource: &'static Resource,
    namespace: String,
    selector: Selector,
    partial: bool,
    /// Everything up to this version has been told.
    cursor: u64,
    backlog: VecDeque<Bytes>,
    deadline: Instant,
    bookmark: Option<Instant>,
    breaks: u64,
    expiries: u64,
    break_at_event: bool,
    gone: bool,
    signal: tokio::sync::watch::Receiver<u64>,
    /// Counts as an open watch of the client while it lives.
    _open: Option<Arc<()>>,
}

enum Step {
    Told,
    Wait(Instant),
    Expired,
    Broken,
    End,
}

impl Watch {
    pub(super) fn open(server: &ApiServer, asked: &Asked, fault: &Fault) -> Result<Self, ApiError> {
        let now = Instant::now();
        let timeout = asked
            .param("timeoutSeconds")
            .and_then(|t| t.parse().ok())
            .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        let state = server.state();
        let own = state.clients.get(&asked.call.client);
        let mut watch = Self {
            server: server.clone(),
            client: asked.call.client.clone(),
            resource: asked.target.resource,
            namespace: asked.target.namespace.clone(),
            selector: Selector::parse(asked.param("labelSelector"), asked.param("fieldSelector"))?,
            partial: asked.partial,
            cursor: state.store.version(),
            backlog: VecDeque::new(),
            deadline: now + Duration::from_secs(timeout),
            bookmark: (asked.param("allowWatchBookmarks") == Some("true")).then_some(now + BOOKMARK_EVERY),
            breaks: own.map_or(0, |c| c.breaks),
            expiries: own.map_or(0, |c| c.expiries),
            break_at_event: *fault == Fault::WatchBreak,
            gone: *fault == Fault::Gone,
            signal: server.inner.signal.subscribe(),
            _open: own.map(|c| Arc::clone(&c.open)),
        };
        match asked.param("resourceVersion") {
            None | Some("0") => {
                let present = state.store.list(watch.resource.plural, &watch.namespace);
                let lines = present
                    .filter(|(_, o)| watch.selector.matches(o))
                    .map(|(_, o)| watch.line("ADDED", o));
                watch.backlog = lines.collect();
            }
            Some(version) => {
                watch.cursor = version
                    .parse()
                    .map_err(|_| ApiError::new(400, format!("invalid resource version: {version}")))?;
            }
        }
        drop(state);
        server.wake();
        Ok(watch)
    }

    /// The lines of the reply.
    pub(super) fn lines(self) -> BoxStream<'static, Result<Bytes, io::Error>> {
        stream::unfold(Some(self), |watch| async { watch?.next().await }).boxed()
    }

    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Option<Self>)> {
        loop {
            if let Some(line) = self.backlog.pop_front() {
                return Some((Ok(line), Some(self)));
            }
            self.signal.borrow_and_update();
            match self.step() {
                Step::Told => {}
                Step::End => return None,
                Step::Expired => {
                    let line = event("ERROR", &ApiError::expired().to_status());
                    return Some((Ok(line), None));
                }
                Step::Broken => {
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF");
                    return Some((Err(error), None));
                }
                Step::Wait(until) => {
                    let signal = &mut self.signal;
                    tokio::select! {
                        biased;
                        changed = signal.changed() => if changed.is_err() { return None },
                        () = sleep_until(until) => {}
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Step {
        let now = Instant::now();
        let server = self.server.clone();
        let state = server.state();
        let own = state.clients.get(&self.client);
        if own.is_some_and(|c| c.breaks != self.breaks) {
            return Step::Broken;
        }
        if self.gone || own.is_some_and(|c| c.expiries != self.expiries) {
            return Step::Expired;
        }
        if now >= self.deadline {
            return Step::End;
        }
        if own.is_some_and(|c| c.frozen) {
            return Step::Wait(self.deadline);
        }
        if self.cursor < state.store.compacted() {
            // Changes were forgotten before they could be told.
            return Step::Expired;
        }
        let delay = server.inner.config.watch_delay;
        let mut wake = self.deadline;
        for change in state.store.since(self.cursor) {
            if change.at + delay > now {
                wake = wake.min(change.at + delay);
                break;
            }
            self.cursor = change.version;
            if let Some(line) = self.tell(change) {
                if self.break_at_event {
                    return Step::Broken;
                }
                self.backlog.push_back(line);
            }
        }
        if !self.backlog.is_empty() {
            return Step::Told;
        }
        if let Some(at) = self.bookmark {
            if now >= at {
                self.bookmark = Some(now + BOOKMARK_EVERY);
                self.backlog.push_back(self.bookmark_line());
                return Step::Told;
            }
            wake = wake.min(at);
        }
        Step::Wait(wake)
    }

    /// A change as this watch sees it: an object that begins or ceases to match comes or goes.
    fn tell(&self, change: &Change) -> Option<Bytes> {
        let here = change.key.plural == self.resource.plural
            && (self.namespace.is_empty() || change.key.namespace == self.namespace);
        if !here {
            return None;
        }
        let before = change.old.as_ref().is_some_and(|o| self.selector.matches(o));
        let after = !change.deleted && self.selector.matches(&change.object);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(self.line(kind, &change.object))
    }

    fn line(&self, kind: &str, object: &Value) -> Bytes {
        event(kind, &view(self.partial, object))
    }

    fn bookmark_line(&self) -> Bytes {
        let (kind, api_version) = if self.partial {
            ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
        } else {
            (self.resource.kind, self.resource.api_version())
        };
        event(
            "BOOKMARK",
            &json!({"kind": kind, "apiVersion": api_version,
                    "metadata": {"resourceVersion": self.cursor.to_string(), "creationTimestamp": null}}),
        )
    }
}

/// A line of a watch. The type comes first, as in the field order of `metav1.WatchEvent`: readers rely on it.
fn event(kind: &str, object: &Value) -> Bytes {
    let kind = Value::from(kind);
    Bytes::from(format!("{{\"type\":{kind},\"object\":{object}}}\n"))
}
