//! A proxy of the tests' own between a controller and what it talks to. It knows every request that changes
//! something, and can hold one of them: before it goes on, or its reply.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::scenarios::dice::Dice;
use crate::weather::{Trouble, Weather};

/// On which side of the cloud or the cluster a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It has not arrived yet.
    Before,
    /// It was carried out; its reply is held.
    After,
}

/// What becomes of a request that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes its way.
    Goes,
    /// It goes no further: neither on nor back.
    Lost,
}

/// A request that changes something.
#[derive(Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub body: Value,
    /// What it was answered, once it was.
    pub status: Option<u16>,
}

/// Passwords are in some bodies.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {:?}", self.method, self.path, self.status)
    }
}

/// Which request is meant.
pub type Wanted = fn(&Seen) -> bool;

struct Gate {
    wanted: Wanted,
    side: Side,
    hit: oneshot::Sender<()>,
    fate: oneshot::Receiver<Fate>,
}

/// A request that is held, or will be.
pub struct Held {
    hit: oneshot::Receiver<()>,
    fate: oneshot::Sender<Fate>,
}

impl Held {
    /// Waits until the request is held: it is certain then where the controller is.
    pub async fn hit(&mut self, what: &str, patience: Duration) {
        let hit = tokio::time::timeout(patience, &mut self.hit).await;
        hit.unwrap_or_else(|_| panic!("{what}: no such request"))
            .unwrap_or_else(|_| panic!("{what}: the proxy is gone"));
    }

    /// Lets it go, or not.
    pub fn then(self, fate: Fate) {
        // The request waits for this, unless its proxy has ended.
        let _ = self.fate.send(fate);
    }
}

struct Line {
    upstream: String,
    client: reqwest::Client,
    rewrite: Option<(String, String)>,
    gate: Mutex<Option<Gate>>,
    weather: Mutex<Option<Weather>>,
    changes: Mutex<Vec<Seen>>,
}

/// The proxy.
pub struct Proxy {
    /// Its own address, as in `http://127.0.0.1:1234`.
    pub url: String,
    line: Arc<Line>,
    _task: AbortOnDropHandle<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// A proxy to an address (`http://127.0.0.1:1234`). In its replies one text is replaced by another.
    pub async fn start(upstream: &str, ca: Option<&[u8]>, rewrite: Option<(String, String)>) -> Self {
        let mut client = reqwest::Client::builder().no_proxy().no_gzip();
        if let Some(pem) = ca {
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).unwrap());
        }
        let line = Arc::new(Line {
            upstream: upstream.to_owned(),
            client: client.build().unwrap(),
            rewrite,
            gate: Mutex::default(),
            weather: Mutex::default(),
            changes: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&line));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            line,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Holds the next request of that kind.
    pub fn hold(&self, side: Side, wanted: Wanted) -> Held {
        let (hit, was_hit) = oneshot::channel();
        let (tell, fate) = oneshot::channel();
        *locked(&self.line.gate) = Some(Gate {
            wanted,
            side,
            hit,
            fate,
        });
        Held {
            hit: was_hit,
            fate: tell,
        }
    }

    /// From now on requests meet this weather; none is fine.
    pub fn weather(&self, weather: Option<Weather>) {
        *locked(&self.line.weather) = weather;
    }

    /// Every request that changed something, in the order in which they came.
    pub fn changes(&self) -> Vec<Seen> {
        locked(&self.line.changes).clone()
    }

    /// How many of that kind were carried out.
    pub fn carried_out(&self, wanted: Wanted) -> usize {
        let all = self.changes();
        all.iter()
            .filter(|s| wanted(s) && s.status.is_some_and(|c| c < 300))
            .count()
    }
}

fn pass(State(line): State<Arc<Line>>, request: Request) -> BoxFuture<'static, Response> {
    // In a task of its own: what was sent arrives, also when its sender dies.
    let task = tokio::spawn(async move { line.forward(request).await });
    Box::pin(async move { task.await.unwrap() })
}

fn lost() -> Response {
    Response::builder().status(502).body(Body::empty()).unwrap()
}

/// The connection breaks before there is a reply that could be read.
fn broken() -> Response {
    let nothing = futures::stream::once(async {
        Err::<bytes::Bytes, _>(std::io::Error::other("the connection breaks"))
    });
    Response::builder().body(Body::from_stream(nothing)).unwrap()
}

impl Line {
    fn gate_for(&self, seen: &Seen) -> Option<Gate> {
        locked(&self.gate).take_if(|g| (g.wanted)(seen))
    }

    async fn forward(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 8 << 20).await.unwrap();
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            status: None,
        };
        let mut gate = None;
        let mut place = None;
        if head.method != "GET" && head.method != "HEAD" {
            gate = self.gate_for(&seen);
            let mut changes = locked(&self.changes);
            place = Some(changes.len());
            changes.push(seen);
        }
        let (before, after): (Vec<_>, Vec<_>) = gate.into_iter().partition(|g| g.side == Side::Before);
        if !goes_on(before).await {
            return lost();
        }
        let trouble = self.trouble(&head);
        match &trouble {
            Trouble::Late(time) => tokio::time::sleep(*time).await,
            Trouble::Lost => return broken(),
            Trouble::BadGateway => return lost(),
            Trouble::Revoked => return Response::builder().status(401).body(Body::empty()).unwrap(),
            Trouble::None | Trouble::ReplyLost | Trouble::Twice | Trouble::Cut(_) | Trouble::Corrupted(_) => {
            }
        }
        let mut headers = head.headers;
        for own in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let to = head.uri.path_and_query().map_or("/", |p| p.as_str());
        let send = || {
            self.client
                .request(head.method.clone(), format!("{}{to}", self.upstream))
                .headers(headers.clone())
                .body(body.clone())
                .send()
        };
        let mut sent = send().await;
        if matches!(trouble, Trouble::Twice) && sent.is_ok() {
            sent = send().await;
        }
        let Ok(reply) = sent else {
            return lost();
        };
        if let Some(place) = place {
            locked(&self.changes)[place].status = Some(reply.status().as_u16());
        }
        if !goes_on(after).await {
            return lost();
        }
        match trouble {
            Trouble::ReplyLost => broken(),
            Trouble::Cut(bytes) => self.cut(reply, bytes).await,
            Trouble::Corrupted(dice) => self.corrupted(reply, dice).await,
            _ => self.rewritten(reply).await,
        }
    }

    fn trouble(&self, head: &Parts) -> Trouble {
        let repeatable = !(head.method == Method::POST && head.uri.path().ends_with("/servers"));
        let mut weather = locked(&self.weather);
        weather.as_mut().map_or(Trouble::None, |w| w.next(repeatable))
    }

    /// The reply, which ends too early: a document that is cut off, a watch that breaks.
    async fn cut(&self, reply: reqwest::Response, bytes: usize) -> Response {
        let whole = self.rewritten(reply).await;
        let (head, body) = whole.into_parts();
        let mut left = bytes;
        let body = body.into_data_stream().map(move |part| match part {
            Ok(part) if part.len() <= left => {
                left -= part.len();
                Ok(part)
            }
            _ => Err(std::io::Error::other("the connection breaks")),
        });
        Response::from_parts(head, Body::from_stream(body))
    }

    /// The reply with wrong bytes in it: a few in a document, ever more in a watch.
    async fn corrupted(&self, reply: reqwest::Response, mut dice: Dice) -> Response {
        let whole = self.rewritten(reply).await;
        let (head, body) = whole.into_parts();
        let mut next = dice.roll(100) as usize;
        let body = body.into_data_stream().map_ok(move |part| {
            let mut bytes = part.to_vec();
            while let Some(byte) = bytes.get_mut(next) {
                // No letter of ASCII is left, so that nothing that reads well says what is not so.
                *byte = 0x80 | dice.roll(0x80) as u8;
                next += 1 + dice.roll(2000) as usize;
            }
            next -= bytes.len();
            bytes::Bytes::from(bytes)
        });
        Response::from_parts(head, Body::from_stream(body))
    }

    async fn rewritten(&self, reply: reqwest::Response) -> Response {
        let mut out = Response::builder().status(reply.status());
        let headers = reply.headers().iter();
        for (name, value) in
            headers.filter(|(n, _)| ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(n))
        {
            out = out.header(name, value);
        }
        let body = match &self.rewrite {
            Some((from, to)) => {
                let text = reply.text().await.unwrap_or_default();
                Body::from(text.replace(from.as_str(), to))
            }
            // Watches go on for ever.
            None => Body::new(reqwest::Body::from(reply)),
        };
        out.body(body).unwrap()
    }
}

async fn goes_on(gates: Vec<Gate>) -> bool {
    for gate in gates {
        // Who ordered the gate may have given up.
        let _ = gate.hit.send(());
        if gate.fate.await != Ok(Fate::Goes) {
            return false;
        }
    }
    true
}
