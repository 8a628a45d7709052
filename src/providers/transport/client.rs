//! One account's way to its cloud: every request passes the endpoint rules, the budget and a deadline, and is
//! counted and traced without its secrets. Nothing that changes something is ever sent twice in here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use super::budget::{Budget, Limits, Priority};
use super::budgets::{Budgets, Share};
use super::endpoint::EndpointRules;
use super::{Stage, Transport, TransportError};
use crate::planner::model::{CloudError, ErrorClass};

/// The longest `Retry-After` that is believed, in seconds.
const MAX_RETRY_AFTER: u32 = 3600;

/// Where requests are counted.
pub trait Recorder: Send + Sync {
    /// One request ended. `outcome` is its HTTP status, or how far it got.
    fn request(&self, method: &Method, route: &'static str, outcome: Outcome, took: Duration);

    /// A request waited for the budget.
    fn waited(&self, _priority: Priority, _took: Duration) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn request(&self, _: &Method, _: &'static str, _: Outcome, _: Duration) {}
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this HTTP status.
    Status(u16),
    /// Without a reply.
    Lost(Stage),
}

/// One request. Has no `Debug`: it carries credentials.
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The URL's shape, for metrics and traces: no ids, no names.
    pub route: &'static str,
    /// Headers that are no secret.
    pub headers: HeaderMap,
    /// Headers that are.
    pub secret_headers: Vec<(HeaderName, SecretString)>,
    /// The body as JSON; may hold secrets.
    pub body: Option<Bytes>,
    /// Who goes first.
    pub priority: Priority,
    /// Dropped instead of being sent after this time: what it rests on would be too old.
    pub send_before: Option<Instant>,
}

impl Ask {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>, route: &'static str, priority: Priority) -> Self {
        Self {
            method,
            url: url.into(),
            route,
            headers: HeaderMap::new(),
            secret_headers: Vec::new(),
            body: None,
            priority,
            send_before: None,
        }
    }
}

/// A reply, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers; may hold a token.
    pub headers: HeaderMap,
    /// The body; may hold secrets.
    pub body: Bytes,
    /// When the cloud wants to be asked again, in seconds.
    pub retry_after: Option<u32>,
}

impl Reply {
    /// The cloud's own id of the request, whatever its header is called.
    pub fn request_id(&self) -> Option<&str> {
        let named = |name: &http::HeaderName| name.as_str().ends_with("request-id");
        self.headers.iter().find(|(name, _)| named(name))?.1.to_str().ok()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One account's way to its cloud. Clones share the budget.
#[derive(Clone)]
pub struct HttpClient {
    transport: Arc<dyn Transport>,
    /// Used alone until it is known whose account this is.
    budget: Arc<Budget>,
    account: Option<Arc<Membership>>,
    rules: EndpointRules,
    deadline: Duration,
    recorder: Arc<dyn Recorder>,
}

/// The way into the budget of an account.
struct Membership {
    budgets: Arc<Budgets>,
    limits: Limits,
    share: Mutex<Option<Share>>,
}

/// How long a request may take once it is sent.
pub const DEADLINE: Duration = Duration::from_secs(30);

impl HttpClient {
    /// A client; a request may take [`DEADLINE`] once it is sent.
    pub fn new(transport: Arc<dyn Transport>, budget: Arc<Budget>, rules: EndpointRules) -> Self {
        let recorder = Arc::new(NoRecorder);
        Self {
            transport,
            budget,
            account: None,
            rules,
            deadline: DEADLINE,
            recorder,
        }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same, counted there.
    #[must_use]
    pub fn with_recorder(self, recorder: Arc<dyn Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// The same; from [`HttpClient::join`] on it asks out of the account's common budget there.
    #[must_use]
    pub fn with_budgets(self, budgets: Arc<Budgets>, limits: Limits) -> Self {
        let account = Some(Arc::new(Membership {
            budgets,
            limits,
            share: Mutex::default(),
        }));
        Self { account, ..self }
    }

    /// The same, with a budget of its own for ever: for logging in.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self {
            account: None,
            ..self.clone()
        }
    }

    /// Says whose account this is: its requests are counted together with all others of that account.
    pub fn join(&self, account: &str) {
        let Some(membership) = &self.account else { return };
        let mut share = membership.share.lock().unwrap_or_else(PoisonError::into_inner);
        if share.as_ref().is_none_or(|s| s.account() != account) {
            *share = Some(membership.budgets.join(account, membership.limits));
        }
    }

    fn budget(&self) -> Arc<Budget> {
        let shared = self.account.as_ref().and_then(|m| {
            let share = m.share.lock().unwrap_or_else(PoisonError::into_inner);
            share.as_ref().map(Share::budget)
        });
        shared.unwrap_or_else(|| Arc::clone(&self.budget))
    }

    /// The rules for endpoints.
    pub const fn rules(&self) -> EndpointRules {
        self.rules
    }

    /// Sends a request when the budget allows. A `GET` that never left is tried a second time; nothing else is.
    ///
    /// # Errors
    /// No reply came. `maybe_applied` says whether a request that changes something may have arrived.
    pub async fn send(&self, ask: &Ask) -> Result<Reply, CloudError> {
        let first = self.send_once(ask).await;
        match first {
            Err(SendError::Lost(TransportError {
                stage: Stage::Connect,
                ..
            })) if ask.method == Method::GET => self.send_once(ask).await,
            other => other,
        }
        .map_err(|e| e.into_cloud_error(&ask.method))
    }

    async fn send_once(&self, ask: &Ask) -> Result<Reply, SendError> {
        self.rules
            .check(&ask.url)
            .map_err(|e| SendError::Refused(e.to_string()))?;
        let asked = Instant::now();
        let budget = self.budget();
        let _permit = match ask.send_before {
            None => budget.acquire(ask.priority).await,
            Some(limit) => tokio::time::timeout_at(limit, budget.acquire(ask.priority))
                .await
                .map_err(|_| SendError::NoTurn)?,
        };
        self.recorder.waited(ask.priority, asked.elapsed());
        let request = build(ask)?;
        let sent = Instant::now();
        if ask.send_before.is_some_and(|limit| sent >= limit) {
            return Err(SendError::Late);
        }
        let result = match timeout(self.deadline, self.transport.send(request, self.deadline)).await {
            Ok(result) => result,
            Err(_) => Err(TransportError {
                stage: Stage::Timeout,
                message: "no reply in time".to_owned(),
            }),
        };
        let took = sent.elapsed();
        match result {
            Ok(response) => Ok(self.received(ask, response, took)),
            Err(error) => {
                self.recorder
                    .request(&ask.method, ask.route, Outcome::Lost(error.stage), took);
                tracing::debug!(method = %ask.method, route = ask.route, stage = ?error.stage,
                    error = %error, ms = took.as_millis(), "no reply");
                Err(SendError::Lost(error))
            }
        }
    }

    fn received(&self, ask: &Ask, response: http::Response<Bytes>, took: Duration) -> Reply {
        let (parts, body) = response.into_parts();
        let status = parts.status;
        let retry_after = retry_after(&parts.headers);
        let reply = Reply {
            status,
            headers: parts.headers,
            body,
            retry_after,
        };
        self.recorder
            .request(&ask.method, ask.route, Outcome::Status(status.as_u16()), took);
        tracing::debug!(method = %ask.method, route = ask.route, status = status.as_u16(),
            request_id = reply.request_id(), ms = took.as_millis(), "asked");
        // A 429 without a word on when means soon, but not at once.
        let pause = match (status, retry_after) {
            (StatusCode::TOO_MANY_REQUESTS, seconds) => Some(seconds.unwrap_or(1)),
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::PAYLOAD_TOO_LARGE, seconds) => seconds,
            _ => None,
        };
        if let Some(seconds) = pause {
            self.budget().pause(Duration::from_secs(u64::from(seconds)));
        }
        reply
    }
}

/// Why there is no reply.
enum SendError {
    /// The endpoint or the request itself is not allowed.
    Refused(String),
    /// The budget gave no leave in time.
    NoTurn,
    /// Leave came, but too late.
    Late,
    /// It was sent, or tried to be.
    Lost(TransportError),
}

impl SendError {
    fn into_cloud_error(self, method: &Method) -> CloudError {
        match self {
            Self::Refused(words) => CloudError::new(ErrorClass::InvalidSpec, words),
            Self::NoTurn => CloudError::new(
                ErrorClass::RateLimited,
                "not sent: the account's request budget was used up for too long",
            ),
            Self::Late => CloudError::new(
                ErrorClass::Transient,
                "not sent: this process was held up for too long",
            ),
            Self::Lost(error) => CloudError {
                maybe_applied: error.stage != Stage::Connect && *method != Method::GET,
                ..CloudError::new(ErrorClass::Transient, error.message)
            },
        }
    }
}

fn build(ask: &Ask) -> Result<http::Request<Bytes>, SendError> {
    let refused = |what: &str| SendError::Refused(format!("{what} of {} cannot be sent", ask.route));
    let mut request = http::Request::new(ask.body.clone().unwrap_or_default());
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = ask.url.parse().map_err(|_| refused("the URL"))?;
    *request.headers_mut() = ask.headers.clone();
    for (name, secret) in &ask.secret_headers {
        let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| refused("a header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    if ask.body.is_some() {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, json);
    }
    Ok(request)
}

/// `Retry-After` in seconds: a number, or a date, which is read against the reply's own `Date`. One slip of a cloud must not
/// stop an account for ever.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let bounded = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX).min(MAX_RETRY_AFTER);
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(bounded(seconds));
    }
    let date = |text: &str| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|z| z.timestamp().as_second())
    };
    let until = date(text)?;
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(bounded(u64::try_from(until - now).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
