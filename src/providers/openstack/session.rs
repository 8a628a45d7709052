//! Requests with a token: it is renewed and the request sent again once when a service refuses it.

use http::{HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{Keystone, ServiceKind, Session};
use super::discovery::{Need, Range, root};
use super::errors::{Asked, lost, refusal, unreadable};
use super::wire::VersionDoc;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::answers::Pages;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Ask, HttpClient, Reply};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const VERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// One request to a service.
pub(super) struct Request<'a> {
    pub(super) service: ServiceKind,
    pub(super) method: Method,
    /// The path after the endpoint, with its query.
    pub(super) path: String,
    /// The path's shape.
    pub(super) route: &'static str,
    pub(super) body: Option<Value>,
    pub(super) asked: Asked,
    pub(super) need: Need,
    pub(super) priority: Priority,
    pub(super) send_before: Option<Instant>,
    /// Secrets in the body.
    pub(super) hide: Vec<&'a str>,
}

impl Request<'_> {
    /// A read that nobody waits for.
    pub(super) fn get(service: ServiceKind, path: impl Into<String>, route: &'static str) -> Self {
        Self {
            service,
            method: Method::GET,
            path: path.into(),
            route,
            body: None,
            asked: Asked::Read,
            need: Need::Servers,
            priority: Priority::Background,
            send_before: None,
            hide: Vec::new(),
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
            priority: Priority::High,
            send_before: Some(send_before),
            ..Self::get(ServiceKind::Compute, path, route)
        }
    }
}

/// Speaks to the services of one project.
pub(super) struct Services {
    http: HttpClient,
    pub(super) keystone: Keystone,
    /// What the endpoint of Nova speaks; asked once.
    versions: Mutex<Option<(String, Range)>>,
}

impl Services {
    pub(super) fn new(http: HttpClient, keystone: Keystone) -> Self {
        Self {
            http,
            keystone,
            versions: Mutex::default(),
        }
    }

    /// Says whose project this is: from now on its requests come out of the budget of all who use it.
    pub(super) fn join(&self, account: &str) {
        self.http.join(account);
    }

    /// Sends a request and reads its reply as JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, CloudError> {
        let (service, asked) = (request.service, request.asked);
        let reply = self.send(request).await?;
        serde_json::from_slice(&reply.body).map_err(|e| unreadable(service.name(), "answer", asked, &e))
    }

    /// Reads one page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        pages: &mut Pages,
    ) -> Result<T, CloudError> {
        let (service, asked) = (request.service, request.asked);
        let reply = self.send(request).await?;
        pages.add(&reply)?;
        serde_json::from_slice(&reply.body).map_err(|e| unreadable(service.name(), "answer", asked, &e))
    }

    /// Sends a request; anything but a 2xx is an error.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Reply, CloudError> {
        let mut session = self.keystone.session().await?;
        let mut reply = self.once(&request, &session).await?;
        if reply.status == http::StatusCode::UNAUTHORIZED {
            // A 401 says that nothing was done, so that even a create may be sent again.
            session = self.keystone.instead_of(&session).await?;
            reply = self.once(&request, &session).await?;
        }
        if reply.status.is_success() {
            return Ok(reply);
        }
        let mut error = self.refused(&reply, &request, &session);
        if reply.status == http::StatusCode::UNAUTHORIZED {
            if request.service == ServiceKind::Compute {
                self.keystone.distrust(&error).await;
            } else {
                // Nova takes this token: it is not the credentials that are wrong, but how this service looks at them now.
                error.class = ErrorClass::Transient;
            }
        }
        if reply.status == http::StatusCode::NOT_ACCEPTABLE {
            // The cloud was changed under us: its versions are asked again.
            *self.versions.lock().await = None;
        }
        Err(error)
    }

    fn refused(&self, reply: &Reply, request: &Request<'_>, session: &Session) -> CloudError {
        let mut hide = self.keystone.secrets();
        hide.push(session.token.expose_secret());
        hide.extend(&request.hide);
        refusal(reply, request.asked, request.service.name(), &hide)
    }

    async fn once(&self, request: &Request<'_>, session: &Session) -> Result<Reply, CloudError> {
        let endpoint = session.endpoint(request.service)?;
        let mut ask = Ask {
            body: request.body.as_ref().map(|b| b.to_string().into()),
            secret_headers: vec![(TOKEN, session.token.clone())],
            send_before: request.send_before,
            ..Ask::new(
                request.method.clone(),
                format!("{}{}", versioned(request.service, endpoint), request.path),
                request.route,
                request.priority,
            )
        };
        if request.service == ServiceKind::Compute {
            let range = match self.range(endpoint, session, request.priority).await? {
                Ok(range) => range,
                Err(refused) => return Ok(refused),
            };
            let version = format!("compute {}", range.choose(request.need)?);
            if let Ok(value) = HeaderValue::from_str(&version) {
                ask.headers.insert(VERSION, value);
            }
        }
        self.http.send(&ask).await.map_err(|e| lost(e, request.asked))
    }

    /// What Nova speaks; a refused token is handed back as the reply that it is.
    async fn range(
        &self,
        endpoint: &str,
        session: &Session,
        priority: Priority,
    ) -> Result<Result<Range, Reply>, CloudError> {
        let mut versions = self.versions.lock().await;
        if let Some((of, range)) = &*versions
            && of == endpoint
        {
            return Ok(Ok(*range));
        }
        let ask = Ask {
            secret_headers: vec![(TOKEN, session.token.clone())],
            ..Ask::new(Method::GET, format!("{}/", root(endpoint)), "nova /", priority)
        };
        let reply = self.http.send(&ask).await.map_err(|e| lost(e, Asked::Read))?;
        if !reply.status.is_success() {
            // Nothing was asked for yet but the versions: whatever the request is, it was not made.
            if reply.status == http::StatusCode::UNAUTHORIZED {
                return Ok(Err(reply));
            }
            return Err(refusal(
                &reply,
                Asked::Read,
                "Nova",
                &[session.token.expose_secret()],
            ));
        }
        let document: VersionDoc = serde_json::from_slice(&reply.body).map_err(|e| CloudError {
            maybe_applied: false,
            ..unreadable("Nova", "version document", Asked::Read, &e)
        })?;
        let range = Range::of(&document.version);
        *versions = Some((endpoint.to_owned(), range));
        Ok(Ok(range))
    }
}

/// Catalogs name Glance and Neutron with or without the version of their API.
fn versioned(service: ServiceKind, endpoint: &str) -> String {
    let version = match service {
        ServiceKind::Compute => return endpoint.to_owned(),
        ServiceKind::Image => "v2",
        ServiceKind::Network => "v2.0",
    };
    let has = endpoint
        .rsplit('/')
        .next()
        .is_some_and(|last| last.starts_with("v2"));
    if has {
        endpoint.to_owned()
    } else {
        format!("{endpoint}/{version}")
    }
}

/// An id that can stand in a path: Nova's are UUIDs.
pub(super) fn checked(id: &str) -> Result<&str, CloudError> {
    let plain = !id.is_empty()
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain {
        Ok(id)
    } else {
        Err(CloudError::new(
            ErrorClass::InvalidSpec,
            format!("{id:?} is no id of a server in OpenStack"),
        ))
    }
}
