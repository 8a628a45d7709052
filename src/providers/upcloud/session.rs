//! Requests with the account's credential. It is never tried again after it was refused, for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::time::Instant;

use super::auth::Credential;
use super::errors::{Asked, lost, refusal, unreadable};
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Ask, HttpClient, Reply};

/// For how long a refused credential is not tried again.
const REFUSED: Duration = Duration::from_secs(60);

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The path behind the version, with its query.
    pub(super) path: String,
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
    /// A read that nobody waits for.
    pub(super) fn get(path: impl Into<String>, route: &'static str) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            route,
            body: None,
            asked: Asked::Read,
            priority: Priority::Background,
            send_before: None,
            hide: Vec::new(),
        }
    }

    /// A read that somebody waits for.
    pub(super) fn look(path: impl Into<String>, route: &'static str) -> Self {
        Self {
            priority: Priority::High,
            ..Self::get(path, route)
        }
    }

    /// A change, which is dropped when it cannot be sent until then.
    pub(super) fn change(
        method: Method,
        path: impl Into<String>,
        route: &'static str,
        send_before: Instant,
    ) -> Self {
        Self {
            method,
            asked: Asked::Change,
            send_before: Some(send_before),
            ..Self::look(path, route)
        }
    }
}

/// Speaks to the service for one account.
pub(super) struct Service {
    http: HttpClient,
    credential: Credential,
    /// How the credential was refused, and when.
    refused: Mutex<Option<(Instant, CloudError)>>,
}

impl Service {
    pub(super) fn new(http: HttpClient, credential: Credential) -> Self {
        Self {
            http,
            credential,
            refused: Mutex::default(),
        }
    }

    /// Says whose account this is: from now on its requests come out of the budget of all who use it.
    pub(super) fn join(&self, account: &str) {
        self.http.join(account);
    }

    /// Where the service is.
    pub(super) fn base(&self) -> &str {
        &self.credential.base
    }

    /// Whether the credential was refused a moment ago.
    pub(super) fn refused(&self) -> Option<CloudError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = refused.as_ref()?;
        (at.elapsed() < REFUSED).then(|| error.clone())
    }

    /// Sends a request and reads its reply as JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, CloudError> {
        let (asked, route) = (request.asked, request.route);
        let reply = self.send(request).await?;
        parse(&reply, asked, route)
    }

    /// Sends a change whose reply says nothing that is needed; it must be empty or JSON all the same, since a page of
    /// a proxy is no reply.
    pub(super) async fn done(&self, request: Request<'_>) -> Result<Reply, CloudError> {
        let (asked, route) = (request.asked, request.route);
        let reply = self.send(request).await?;
        if !reply.body.iter().all(u8::is_ascii_whitespace) {
            let _json: IgnoredAny = parse(&reply, asked, route)?;
        }
        Ok(reply)
    }

    /// Sends a request; anything but a 2xx is an error.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CloudError> {
        if let Some(error) = self.refused() {
            return Err(error);
        }
        let mut ask = Ask {
            body: request.body.as_ref().map(|b| b.to_string().into()),
            secret_headers: vec![(AUTHORIZATION, self.credential.header.clone())],
            send_before: request.send_before,
            ..Ask::new(
                request.method,
                format!("{}{}", self.credential.base, request.path),
                request.route,
                request.priority,
            )
        };
        // The service speaks XML too.
        ask.headers
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        let reply = self.http.send(&ask).await.map_err(|e| lost(e, request.asked))?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let hide = self.credential.secrets().chain(request.hide.iter().copied());
        let error = refusal(&reply, request.asked, &hide.collect::<Vec<_>>());
        if reply.status == StatusCode::UNAUTHORIZED || error.class == ErrorClass::Unauthorized {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some((Instant::now(), error.clone()));
        }
        Err(error)
    }
}

/// Reads a reply.
pub(super) fn parse<T: DeserializeOwned>(reply: &Reply, asked: Asked, route: &str) -> Result<T, CloudError> {
    serde_json::from_slice(&reply.body)
        .map_err(|e| unreadable("UpCloud", &format!("answer to {route}"), asked, &e))
}

/// An id that can stand in a path: UpCloud's are UUIDs.
///
/// # Errors
/// Class `InvalidSpec`.
pub(super) fn checked(id: &str) -> Result<&str, CloudError> {
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if plain {
        Ok(id)
    } else {
        Err(CloudError::new(
            ErrorClass::InvalidSpec,
            format!("{id:?} is no id in UpCloud"),
        ))
    }
}
