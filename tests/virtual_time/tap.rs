//! The wire between controllers and the cloud: who asks is known, and each request can be met on its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::providers::transport::{Connect, Transport, TransportError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};

/// On which side of the cloud a request is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It has not left yet.
    Before,
    /// It was carried out; its reply is on its way.
    After,
}

/// What becomes of a request that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes its way.
    Pass,
    /// It goes no further: neither on nor back.
    Stuck,
    /// It is held up for so long.
    Held(Duration),
}

/// A request that changes something.
#[derive(Debug)]
pub struct Met<'a> {
    /// Which controller sends it.
    pub process: &'a str,
    /// Its number among those of this controller, from 1.
    pub n: u64,
    /// Where it is.
    pub side: Side,
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// What it carries.
    pub body: &'a [u8],
}

/// How many requests of a controller left, and of how many it heard how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// They left.
    pub sent: u64,
    /// They ended, with a reply or without.
    pub ended: u64,
}

type Hook = Arc<dyn Fn(&Met<'_>) -> Fate + Send + Sync>;
type Forge = Arc<dyn Fn(Response<Bytes>) -> Response<Bytes> + Send + Sync>;

/// The wire.
#[derive(Clone)]
pub struct Tap {
    way: Arc<dyn Connect>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    hook: Option<Hook>,
    forge: Option<Forge>,
    sent: BTreeMap<String, u64>,
    traffic: BTreeMap<String, Traffic>,
    tokens: Vec<String>,
}

struct Wire {
    tap: Tap,
    process: String,
    line: Arc<dyn Transport>,
}

impl Tap {
    /// Around the way to a cloud.
    pub fn new(way: Arc<dyn Connect>) -> Self {
        Self {
            way,
            state: Arc::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way out of one controller.
    pub fn connect(&self, process: &str) -> Arc<dyn Connect> {
        Arc::new(Socket(self.clone(), process.to_owned()))
    }

    /// Meets every request that changes something, twice.
    pub fn meet(&self, hook: impl Fn(&Met<'_>) -> Fate + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// Every reply goes through this on its way to a controller.
    pub fn forge(&self, forge: impl Fn(Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static) {
        self.state().forge = Some(Arc::new(forge));
    }

    /// Every token that was given out.
    pub fn secrets(&self) -> Vec<String> {
        self.state().tokens.clone()
    }

    /// The requests of each controller, those for a token too.
    pub fn traffic(&self) -> BTreeMap<String, Traffic> {
        self.state().traffic.clone()
    }

    fn count(&self, process: &str, count: impl Fn(&mut Traffic)) {
        count(self.state().traffic.entry(process.to_owned()).or_default());
    }

    async fn pass(&self, process: &str, n: u64, side: Side, (method, path, body): (&str, &str, &[u8])) {
        let hook = self.state().hook.clone();
        let met = Met {
            process,
            n,
            side,
            method,
            path,
            body,
        };
        match hook.map_or(Fate::Pass, |h| h(&met)) {
            Fate::Pass => {}
            Fate::Stuck => std::future::pending().await,
            Fate::Held(time) => tokio::time::sleep(time).await,
        }
    }
}

struct Socket(Tap, String);

impl Connect for Socket {
    fn connect(&self, ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, TransportError> {
        let line = self.0.way.connect(ca)?;
        Ok(Arc::new(Wire {
            tap: self.0.clone(),
            process: self.1.clone(),
            line,
        }))
    }
}

impl Transport for Wire {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async move {
            let changes = request.method() != "GET" && !request.uri().path().contains("/auth/");
            let mut n = 0;
            if changes {
                let mut state = self.tap.state();
                let sent = state.sent.entry(self.process.clone()).or_default();
                *sent += 1;
                n = *sent;
            }
            let kept = changes.then(|| {
                let path = request.uri().path().to_owned();
                (request.method().to_string(), path, request.body().clone())
            });
            self.tap.count(&self.process, |t| t.sent += 1);
            if let Some((method, path, body)) = &kept {
                self.tap
                    .pass(&self.process, n, Side::Before, (method, path, body))
                    .await;
            }
            let reply = self.line.send(request, deadline).await;
            if let Ok(reply) = &reply
                && let Some(token) = reply.headers().get("x-subject-token")
            {
                let token = token.to_str().unwrap().to_owned();
                self.tap.state().tokens.push(token);
            }
            if let Some((method, path, body)) = &kept {
                self.tap
                    .pass(&self.process, n, Side::After, (method, path, body))
                    .await;
            }
            self.tap.count(&self.process, |t| t.ended += 1);
            let forge = self.tap.state().forge.clone();
            match forge {
                Some(forge) => reply.map(|r| forge(r)),
                None => reply,
            }
        }
        .boxed()
    }
}
