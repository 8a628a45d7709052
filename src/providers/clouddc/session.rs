//! Requests in the name of the credentials. Few at a time, and one alone until the first was taken: what is under way
//! when a key turns bad must not lock it.

use std::sync::{MutexGuard, PoisonError};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::auth::{Clock, Credential, Keys, Standing, Token, Tokens};
use super::errors::{Asked, lost, refusal, unreadable};
use super::sign::{self, Signed};
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::answers::Pages;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Ask, HttpClient, Reply};

/// So many requests at once: fewer than the bad signatures that lock a key.
const AT_ONCE: usize = 4;

static AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
static SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");
static SDK_DATE: HeaderName = HeaderName::from_static("x-sdk-date");
static PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");

/// One request to the service.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The path after the project.
    pub(super) path: String,
    pub(super) query: Vec<(&'a str, &'a str)>,
    /// The path's shape.
    pub(super) route: &'static str,
    pub(super) body: Option<Value>,
    pub(super) asked: Asked,
    pub(super) priority: Priority,
    pub(super) send_before: Option<Instant>,
    /// Secrets in the body.
    pub(super) hide: Vec<&'a str>,
}

impl Request<'_> {
    /// A read.
    pub(super) fn get(path: impl Into<String>, route: &'static str, priority: Priority) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            route,
            body: None,
            asked: Asked::Read,
            priority,
            send_before: None,
            hide: Vec::new(),
        }
    }

    /// A change, which is dropped when it cannot be sent until then.
    pub(super) fn change(
        method: Method,
        path: impl Into<String>,
        route: &'static str,
        body: Option<Value>,
        send_before: Instant,
    ) -> Self {
        Self {
            method,
            body,
            asked: Asked::Change,
            send_before: Some(send_before),
            ..Self::get(path, route, Priority::High)
        }
    }
}

/// Speaks to CloudDC for one project.
pub(super) struct Session {
    http: HttpClient,
    /// The endpoint, without a slash at its end.
    base: Url,
    pub(super) project: String,
    credential: Credential,
    clock: Clock,
    tokens: Tokens,
    places: Semaphore,
    /// Held while nothing is known of the credentials.
    first: Mutex<()>,
    standing: std::sync::Mutex<Standing>,
}

impl Session {
    pub(super) fn new(http: HttpClient, base: Url, project: String, credential: Credential) -> Self {
        Self {
            http,
            base,
            project,
            credential,
            clock: Clock::new(),
            tokens: Tokens::default(),
            places: Semaphore::new(AT_ONCE),
            first: Mutex::default(),
            standing: std::sync::Mutex::default(),
        }
    }

    /// The identity that requests are counted against.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.base.as_str().trim_end_matches('/'), self.project)
    }

    /// The project is reached: from now on its requests come out of the budget of all who use it.
    pub(super) fn join(&self) {
        self.http.join(&self.key());
    }

    /// Whether the credentials were taken before.
    pub(super) fn proven(&self) -> bool {
        self.standing().proven
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // It is whole at every point where a panic could leave it.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the project, where a token tells it.
    pub(super) async fn project_name(&self) -> Option<String> {
        let Credential::User(user) = &self.credential else {
            return None;
        };
        let token = self.tokens.get(&self.http, user, &self.project, None).await;
        token.ok()?.project_name.clone()
    }

    /// Sends a request and reads its reply as JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, CloudError> {
        let asked = request.asked;
        let reply = self.send(request).await?;
        serde_json::from_slice(&reply.body).map_err(|e| unreadable("CloudDC", "answer", asked, &e))
    }

    /// Reads one page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        pages: &mut Pages,
    ) -> Result<T, CloudError> {
        let asked = request.asked;
        let reply = self.send(request).await?;
        pages.add(&reply)?;
        serde_json::from_slice(&reply.body).map_err(|e| unreadable("CloudDC", "answer", asked, &e))
    }

    /// Sends a request; anything but a 2xx is an error.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CloudError> {
        // It is never closed.
        let _place = self.places.acquire().await.ok();
        let _first = if self.proven() {
            None
        } else {
            Some(self.first.lock().await)
        };
        self.standing().check()?;
        let reply = match &self.credential {
            Credential::Keys(keys) => self.once(&request, &Proof::Keys(keys)).await?,
            Credential::User(user) => {
                let log_in = |stale| self.tokens.get(&self.http, user, &self.project, stale);
                let token = log_in(None).await.map_err(|e| self.note(e))?;
                let reply = self.once(&request, &Proof::Token(&token)).await?;
                if reply.status == StatusCode::UNAUTHORIZED {
                    // It expired. A 401 says that nothing was done, so that even a create may be sent again.
                    let token = log_in(Some(&token)).await.map_err(|e| self.note(e))?;
                    self.once(&request, &Proof::Token(&token)).await?
                } else {
                    reply
                }
            }
        };
        if reply.status.is_success() {
            self.standing().taken();
            return Ok(reply);
        }
        let mut hide = self.credential.secrets();
        hide.extend(&request.hide);
        Err(self.note(refusal(&reply, request.asked, "CloudDC", &hide)))
    }

    /// Remembers what an error says of the credentials.
    fn note(&self, error: CloudError) -> CloudError {
        match error.class {
            ErrorClass::Unauthorized => self.standing().refused(&error),
            // The gateway's own refusals come before it looks at a signature.
            ErrorClass::RateLimited | ErrorClass::Transient | ErrorClass::Ambiguous => {}
            _ => self.standing().taken(),
        }
        error
    }

    async fn once(&self, request: &Request<'_>, proof: &Proof<'_>) -> Result<Reply, CloudError> {
        let mut url = self.base.clone();
        let path = format!(
            "{}/v1/{}{}",
            url.path().trim_end_matches('/'),
            self.project,
            request.path
        );
        url.set_path(&path);
        let query = sign::query(&request.query);
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        let body = request.body.as_ref().map(ToString::to_string);
        let mut ask = Ask {
            send_before: request.send_before,
            ..Ask::new(
                request.method.clone(),
                url.as_str(),
                request.route,
                request.priority,
            )
        };
        match proof {
            Proof::Token(token) => ask.secret_headers.push((AUTH_TOKEN.clone(), token.text.clone())),
            Proof::Keys(keys) => self.sign(&mut ask, request, keys, &url, body.as_deref()),
        }
        ask.body = body.map(Into::into);
        self.http.send(&ask).await.map_err(|e| lost(e, request.asked))
    }

    fn sign(&self, ask: &mut Ask, request: &Request<'_>, keys: &Keys, url: &Url, body: Option<&str>) {
        let date = sign::date(self.clock.now());
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut headers = vec![
            (header::HOST.as_str(), host.as_str()),
            (SDK_DATE.as_str(), date.as_str()),
            (PROJECT_ID.as_str(), self.project.as_str()),
        ];
        if body.is_some() {
            headers.push((header::CONTENT_TYPE.as_str(), "application/json"));
        }
        if let Some(token) = &keys.security_token {
            headers.push((SECURITY_TOKEN.as_str(), token.expose_secret()));
            ask.secret_headers.push((SECURITY_TOKEN.clone(), token.clone()));
        }
        let signed = Signed {
            method: request.method.as_str(),
            path: url.path(),
            query: &request.query,
            headers,
            body: body.unwrap_or_default().as_bytes(),
        };
        let authorization = sign::authorization(&signed, &date, &keys.access, &keys.secret);
        ask.secret_headers
            .push((header::AUTHORIZATION, SecretString::from(authorization)));
        for (name, value) in [(&SDK_DATE, &date), (&PROJECT_ID, &self.project)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                ask.headers.insert(name.clone(), value);
            }
        }
    }
}

/// What shows who asks.
enum Proof<'a> {
    Keys(&'a Keys),
    Token(&'a Token),
}
