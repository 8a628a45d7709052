//! One client's connection: a request arrives, meets its faults, is carried out, and is answered.

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use super::ApiServer;
use super::error::ApiError;
use super::faults::{Fault, Phase, Verb, WriteEvent, WriteRecord};
use super::merge::PatchKind;
use super::selector::Selector;
use super::store::{self, Key, Object, Preconditions, Written};
use super::watch::Watch;
use super::wire::{Asked, Reply, ReplyBody, broken, refuse, reply, stream};

/// What a [`kube::Client`] speaks through.
#[derive(Clone)]
pub(super) struct Connection {
    server: ApiServer,
    client: String,
}

impl Connection {
    pub(super) fn new(server: ApiServer, client: &str) -> Self {
        Self {
            server,
            client: client.to_owned(),
        }
    }
}

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<ReplyBody>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // In a task of its own: what is on the wire arrives even if the sender is gone.
        let task = tokio::spawn(self.clone().serve(request));
        Box::pin(async move { task.await.map_err(io::Error::other)? })
    }
}

impl Connection {
    async fn serve(self, request: Request<Body>) -> Reply {
        let half = self.server.inner.config.latency / 2;
        if request.uri().path() == "/version" {
            return reply(
                200,
                &json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "",
                "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            );
        }
        let asked = match Asked::read(&self.client, request).await {
            Ok(asked) => asked,
            Err(error) => return refuse(&error),
        };
        pass(half).await;
        let (fault, n) = self.arrive(&asked)?;
        if let Fault::Hang(time) = fault {
            sleep(time).await;
        }
        let answer = if asked.call.verb.writes() {
            self.write(&asked, n, fault).await
        } else {
            self.read(&asked, fault).await
        };
        pass(half).await;
        if self.is_cut() { Err(broken()) } else { answer }
    }

    fn is_cut(&self) -> bool {
        self.server
            .state()
            .clients
            .get(&self.client)
            .is_some_and(|c| c.cut)
    }

    /// Counts the request and decides what befalls it.
    fn arrive(&self, asked: &Asked) -> Result<(Fault, u64), io::Error> {
        let mut state = self.server.state();
        let call = &asked.call;
        *state
            .requests
            .entry((call.client.clone(), call.verb, call.plural))
            .or_default() += 1;
        let client = state.clients.entry(self.client.clone()).or_default();
        if client.cut {
            return Err(broken());
        }
        client.writes += u64::from(call.verb.writes());
        let n = client.writes;
        Ok((state.faults.next(call), n))
    }

    fn ask_hook(&self, asked: &Asked, n: u64, phase: Phase) -> Fault {
        // Not under the lock: a hook may use the server.
        let hook = self.server.state().hook.clone();
        hook.map_or(Fault::Pass, |hook| {
            hook(&WriteEvent {
                n,
                phase,
                call: asked.call.clone(),
                body: Arc::clone(&asked.body),
            })
        })
    }

    async fn write(&self, asked: &Asked, n: u64, mut fault: Fault) -> Reply {
        match self.ask_hook(asked, n, Phase::Before) {
            Fault::Pass => {}
            Fault::Hang(time) => sleep(time).await,
            other => fault = other,
        }
        let refused = refusal(&fault, asked);
        if refused.is_none() && matches!(fault, Fault::Drop | Fault::Blackhole) {
            self.record(asked, n, 0, None, false);
            return unanswered(&fault).await;
        }
        let result = refused.map_or_else(|| self.server.write(asked), Err);
        let (code, value) = match &result {
            Ok(written) => (if written.created { 201 } else { 200 }, success(asked, written)),
            Err(error) => (error.code, error.to_status()),
        };
        let after = self.ask_hook(asked, n, Phase::After);
        let lost = |f: &Fault| matches!(f, Fault::LostReply | Fault::Drop | Fault::Blackhole);
        let reply_is_lost = lost(&fault) || lost(&after);
        self.record(asked, n, code, result.ok(), !reply_is_lost);
        if let Fault::Hang(time) = after {
            sleep(time).await;
        }
        if reply_is_lost {
            unanswered(if lost(&after) { &after } else { &fault }).await
        } else {
            reply(code, &value)
        }
    }

    fn record(&self, asked: &Asked, n: u64, code: u16, written: Option<Written>, replied: bool) {
        let mut call = asked.call.clone();
        let changed = written.as_ref().is_some_and(|w| w.changed);
        let object = written.map(|w| w.object);
        if let Some(name) = object.as_ref().and_then(|o| store::str_at(o, "name")) {
            name.clone_into(&mut call.name);
        }
        let at = self.server.now();
        self.server.state().log.push(WriteRecord {
            n,
            at,
            call,
            code,
            changed,
            replied,
            object,
        });
    }

    async fn read(&self, asked: &Asked, fault: Fault) -> Reply {
        let watching = asked.call.verb == Verb::Watch;
        if matches!(fault, Fault::Drop | Fault::Blackhole | Fault::LostReply) {
            return unanswered(&fault).await;
        }
        if let Some(error) = refusal(&fault, asked).filter(|e| !(watching && e.code == 410)) {
            return refuse(&error);
        }
        if watching {
            return match Watch::open(&self.server, asked, &fault) {
                Ok(watch) => stream(watch.lines()),
                Err(error) => refuse(&error),
            };
        }
        let result = if asked.call.verb == Verb::List {
            self.server.list_page(asked)
        } else {
            self.server.get_one(asked)
        };
        match result {
            Ok(value) => reply(200, &value),
            Err(error) => refuse(&error),
        }
    }
}

/// A server without latency does not wait for the next tick of the clock either.
async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// The refusal that a fault stands for.
fn refusal(fault: &Fault, asked: &Asked) -> Option<ApiError> {
    match fault {
        Fault::Conflict => Some(ApiError::conflict(asked.target.resource, &asked.call.name)),
        Fault::Status(code) => Some(ApiError::new(*code, "a fault was ordered")),
        Fault::Gone => Some(ApiError::expired()),
        _ => None,
    }
}

async fn unanswered(fault: &Fault) -> Reply {
    match fault {
        Fault::Blackhole => std::future::pending().await,
        _ => Err(broken()),
    }
}

fn success(asked: &Asked, written: &Written) -> Value {
    if !(written.removed && asked.call.verb == Verb::Delete) {
        return asked.view(&written.object);
    }
    let resource = asked.target.resource;
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
        "name": asked.call.name, "group": resource.group, "kind": resource.plural,
        "uid": written.object["metadata"]["uid"]}})
}

impl ApiServer {
    fn write(&self, asked: &Asked) -> Result<Written, ApiError> {
        let place = store::Place {
            resource: asked.target.resource,
            namespace: &asked.target.namespace,
            status: asked.target.subresource.is_some(),
            dry_run: asked.param("dryRun").is_some(),
            now: self.now(),
            at: Instant::now(),
        };
        let name = asked.target.name.as_deref().unwrap_or_default();
        let body = (*asked.body).clone();
        if place.resource.namespaced && place.namespace.is_empty() {
            return Err(ApiError::new(
                405,
                "the server does not allow this method on the requested resource",
            ));
        }
        let store = &mut self.state().store;
        let written = match asked.call.verb {
            Verb::Create => store.create(&place, body),
            Verb::Update => store.update(&place, name, body, place.resource.blind_put),
            Verb::Patch => {
                let kind = PatchKind::of(&asked.content_type, place.resource.has_generation)?;
                if kind == PatchKind::Apply && asked.param("fieldManager").is_none() {
                    return Err(ApiError::new(
                        400,
                        "fieldManager: Required value: is required for apply patch",
                    ));
                }
                store.patch(&place, name, kind, &body)
            }
            Verb::Delete => {
                let only = |field| body["preconditions"][field].as_str().map(str::to_owned);
                store.delete(
                    &place,
                    name,
                    &Preconditions {
                        uid: only("uid"),
                        resource_version: only("resourceVersion"),
                    },
                )
            }
            Verb::Get | Verb::List | Verb::Watch => Err(ApiError::new(405, "no write")),
        };
        self.wake();
        written
    }

    fn get_one(&self, asked: &Asked) -> Result<Value, ApiError> {
        let name = asked.call.name.clone();
        let key = Key {
            plural: asked.call.plural,
            namespace: asked.call.namespace.clone(),
            name,
        };
        let state = self.state();
        let object = state.store.get(&key);
        object
            .map(|o| asked.view(o))
            .ok_or_else(|| ApiError::not_found(asked.target.resource, &key.name))
    }

    /// A list or a page of it. Pages show the objects as they were when the first page was read.
    fn list_page(&self, asked: &Asked) -> Result<Value, ApiError> {
        let selector = Selector::parse(asked.param("labelSelector"), asked.param("fieldSelector"))?;
        let resource = asked.target.resource;
        let namespace = &asked.target.namespace;
        let state = self.state();
        let (version, from) = match asked.param("continue") {
            None => (state.store.version(), 0),
            Some(token) => token
                .split_once('.')
                .and_then(|(v, n)| Some((v.parse().ok()?, n.parse().ok()?)))
                .ok_or_else(|| ApiError::new(400, "continue key is not valid"))?,
        };
        let objects: BTreeMap<Key, Object> = state.store.list_at(version, resource.plural, namespace)?;
        let limit = match asked.param("limit").map_or(Ok(0), str::parse) {
            Ok(0) => usize::MAX,
            Ok(limit) => limit,
            Err(_) => return Err(ApiError::new(400, "limit is no number")),
        };
        let matching: Vec<&Object> = objects.values().filter(|o| selector.matches(o)).collect();
        let page: Vec<Value> = matching
            .iter()
            .skip(from)
            .take(limit)
            .map(|o| asked.view(o))
            .collect();
        let mut metadata = json!({"resourceVersion": version.to_string()});
        let left = matching.len().saturating_sub(from + page.len());
        if left > 0 {
            metadata["continue"] = json!(format!("{version}.{}", from + page.len()));
            metadata["remainingItemCount"] = json!(left);
        }
        let (kind, api_version) = if asked.partial {
            (
                "PartialObjectMetadataList".to_owned(),
                "meta.k8s.io/v1".to_owned(),
            )
        } else {
            (format!("{}List", resource.kind), resource.api_version())
        };
        Ok(json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": page}))
    }
}
