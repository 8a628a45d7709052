//! Keystone v3: a token, who it speaks for, and where the services are.
//! <https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management>

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clouds::{Cloud, Domain, Identity, Named};
use super::errors::{Asked, lost, refusal, unreadable};
use super::wire::{Service, TokenBody, TokenDoc};
use crate::api::conditions::bounded;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::answers::invalid;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Ask, HttpClient, Reply};

/// For how long refused credentials are not tried again: many wrong attempts lock a user out.
const REFUSED: Duration = Duration::from_secs(60);
/// For how long nothing is tried after a service refused a token that Keystone had just given.
const DISTRUSTED: Duration = Duration::from_secs(10);
/// A token is renewed so long before it expires, or when a fifth of its life is left.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// After a renewal that failed while the old token still holds, the next is tried after this time.
const RENEW_AGAIN: Duration = Duration::from_secs(10);
/// The life of a token that does not say it.
const LIFE: Duration = Duration::from_secs(3600);

/// A service of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceKind {
    Compute,
    Image,
    Network,
}

impl ServiceKind {
    /// The word in the catalog.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Image => "image",
            Self::Network => "network",
        }
    }

    /// The name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Compute => "Nova",
            Self::Image => "Glance",
            Self::Network => "Neutron",
        }
    }
}

/// So many characters of a project's id, and of a region's, are told apart. Keystone's own ids have 32.
const LONGEST: usize = 60;

/// A token and what came with it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: SecretString,
    pub(super) project_id: String,
    pub(super) project_name: Option<String>,
    /// The region of the compute service.
    pub(super) region: Option<String>,
    endpoints: Vec<(ServiceKind, String)>,
    /// Tells tokens apart.
    serial: u64,
    expires: Instant,
}

impl Session {
    /// What names the account: each region has servers of its own, with ids of its own. A catalog without regions has one.
    pub(super) fn account_id(&self) -> String {
        let project = bounded(&self.project_id, LONGEST);
        match &self.region {
            Some(region) => format!("{project}/{}", bounded(region, LONGEST)),
            None => project,
        }
    }

    /// Where a service is, without a slash at the end.
    ///
    /// # Errors
    /// The catalog has no such service.
    pub(super) fn endpoint(&self, kind: ServiceKind) -> Result<&str, CloudError> {
        self.endpoints
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, url)| url.as_str())
            .ok_or_else(|| invalid(format!("the catalog has no {} service here", kind.word())))
    }
}

/// Logs in, and remembers.
pub(super) struct Keystone {
    http: HttpClient,
    cloud: Cloud,
    /// Where the credentials are written down, for messages.
    pub(super) origin: Option<String>,
    memory: Mutex<Memory>,
    /// Counts the log-ins that ended, well or not.
    ended: AtomicU64,
}

#[derive(Default)]
struct Memory {
    session: Option<Arc<Session>>,
    renew_at: Option<Instant>,
    /// Refused, until then.
    refused: Option<(Instant, CloudError)>,
    /// How the last log-in failed; for those who waited for it.
    failed: Option<CloudError>,
    serial: u64,
}

impl Keystone {
    pub(super) fn new(http: HttpClient, cloud: Cloud) -> Self {
        Self {
            http,
            cloud,
            origin: None,
            memory: Mutex::default(),
            ended: AtomicU64::new(0),
        }
    }

    /// The identity that requests of a project are counted against.
    pub(super) fn account_key(&self, project: &str) -> String {
        let Cloud {
            auth_url,
            region,
            interface,
            ..
        } = &self.cloud;
        format!(
            "{auth_url} {project} {} {interface}",
            region.as_deref().unwrap_or("-")
        )
    }

    /// The secrets that a reply could repeat.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match &self.cloud.identity {
            Identity::Password { password: secret, .. }
            | Identity::Application { secret, .. }
            | Identity::Token { token: secret, .. } => vec![secret.expose_secret()],
        }
    }

    /// A token that will hold for a while. However many ask at once, one log-in is made.
    pub(super) async fn session(&self) -> Result<Arc<Session>, CloudError> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut memory = self.memory.lock().await;
        let now = Instant::now();
        let fresh = memory.renew_at.is_some_and(|at| now < at);
        match &memory.session {
            Some(session) if fresh => Ok(Arc::clone(session)),
            _ => self.log_in(&mut memory, seen).await,
        }
    }

    /// Another token than this one, which a service refused.
    pub(super) async fn instead_of(&self, stale: &Session) -> Result<Arc<Session>, CloudError> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut memory = self.memory.lock().await;
        match &memory.session {
            Some(session) if session.serial != stale.serial => Ok(Arc::clone(session)),
            _ => {
                memory.session = None;
                self.log_in(&mut memory, seen).await
            }
        }
    }

    /// A service refused a token right after Keystone gave it: no use in asking for more of them at once.
    pub(super) async fn distrust(&self, error: &CloudError) {
        let mut memory = self.memory.lock().await;
        memory.session = None;
        memory.refused = Some((Instant::now() + DISTRUSTED, error.clone()));
    }

    async fn log_in(&self, memory: &mut Memory, seen: u64) -> Result<Arc<Session>, CloudError> {
        let now = Instant::now();
        if let Some((until, error)) = &memory.refused {
            if now < *until {
                return Err(error.clone());
            }
            memory.refused = None;
        }
        // Somebody's log-in failed while this call waited for it: that answers this call too.
        if let Some(error) = &memory.failed
            && self.ended.load(Ordering::Acquire) != seen
        {
            return Err(error.clone());
        }
        let result = self.ask_token(memory.serial + 1).await;
        self.ended.fetch_add(1, Ordering::AcqRel);
        match result {
            Ok((session, renew_at)) => {
                memory.serial += 1;
                memory.failed = None;
                memory.renew_at = Some(renew_at);
                let session = Arc::new(session);
                memory.session = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(error) if error.class == ErrorClass::Unauthorized => {
                memory.session = None;
                memory.refused = Some((Instant::now() + REFUSED, error.clone()));
                Err(error)
            }
            Err(error) => match memory.session.take().filter(|s| Instant::now() < s.expires) {
                // Keystone is away, but the old token holds for a while.
                Some(session) => {
                    memory.renew_at = Some(Instant::now() + RENEW_AGAIN);
                    memory.session = Some(Arc::clone(&session));
                    Ok(session)
                }
                None => {
                    memory.failed = Some(error.clone());
                    Err(error)
                }
            },
        }
    }

    async fn ask_token(&self, serial: u64) -> Result<(Session, Instant), CloudError> {
        let asked = Instant::now();
        let url = format!("{}/auth/tokens", self.cloud.auth_url);
        let body = token_request(&self.cloud.identity);
        let ask = Ask {
            body: Some(body.to_string().into()),
            ..Ask::new(Method::POST, url, "keystone /v3/auth/tokens", Priority::High)
        };
        let reply = self.http.send(&ask).await.map_err(|e| lost(e, Asked::LogIn))?;
        if !reply.status.is_success() {
            return Err(self.named(refusal(&reply, Asked::LogIn, "Keystone", &self.secrets())));
        }
        self.read_token(&reply, serial, asked)
    }

    /// Refused credentials, by where they are written down.
    fn named(&self, error: CloudError) -> CloudError {
        match (&self.origin, error.class) {
            (Some(origin), ErrorClass::Unauthorized) => CloudError {
                message: format!("the credentials of {origin} were refused: {}", error.message),
                ..error
            },
            _ => error,
        }
    }

    fn read_token(
        &self,
        reply: &Reply,
        serial: u64,
        asked: Instant,
    ) -> Result<(Session, Instant), CloudError> {
        let broken = |what| CloudError::new(ErrorClass::Transient, format!("Keystone's token has no {what}"));
        let token = reply
            .header("x-subject-token")
            .ok_or_else(|| broken("X-Subject-Token"))?;
        let doc: TokenDoc = serde_json::from_slice(&reply.body)
            .map_err(|e| unreadable("Keystone", "token", Asked::LogIn, &e))?;
        let endpoints = self.endpoints(&doc.token.catalog)?;
        // Both times are Keystone's: its clock need not be ours.
        let life = life_of(&doc.token);
        let project = doc
            .token
            .project
            .ok_or_else(|| invalid("the credentials are for no project: name one in clouds.yaml"))?;
        let margin = RENEW_BEFORE.min(life / 5);
        let session = Session {
            token: SecretString::from(token.to_owned()),
            project_id: project.id,
            project_name: project.name,
            region: self
                .endpoint_of(&doc.token.catalog, ServiceKind::Compute)?
                .and_then(|(_, region)| region),
            endpoints,
            serial,
            expires: asked + life,
        };
        Ok((session, asked + (life - margin)))
    }

    fn endpoints(&self, catalog: &[Service]) -> Result<Vec<(ServiceKind, String)>, CloudError> {
        let mut found = Vec::new();
        for kind in [ServiceKind::Compute, ServiceKind::Image, ServiceKind::Network] {
            if let Some((url, _)) = self.endpoint_of(catalog, kind)? {
                let checked = self
                    .http
                    .rules()
                    .check(&url)
                    .map_err(|e| e.refusal(&format!("the catalog's {} service", kind.word())))?;
                found.push((kind, checked.as_str().trim_end_matches('/').to_owned()));
            }
        }
        if found
            .first()
            .is_none_or(|(kind, _)| *kind != ServiceKind::Compute)
        {
            let Cloud {
                interface, region, ..
            } = &self.cloud;
            let place = region
                .as_deref()
                .map(|r| format!(" in region {r:?}"))
                .unwrap_or_default();
            return Err(invalid(format!(
                "the catalog has no {interface} endpoint of a compute service{place}"
            )));
        }
        Ok(found)
    }

    /// The URL of a service, and its region.
    fn endpoint_of(
        &self,
        catalog: &[Service],
        kind: ServiceKind,
    ) -> Result<Option<(String, Option<String>)>, CloudError> {
        let of_interface = catalog
            .iter()
            .filter(|s| s.kind == kind.word())
            .flat_map(|s| &s.endpoints)
            .filter(|e| e.interface.trim_end_matches("URL") == self.cloud.interface);
        let mut regions = BTreeSet::new();
        let mut first = None;
        for endpoint in of_interface {
            let region = endpoint.region_id.as_deref().or(endpoint.region.as_deref());
            if self.cloud.region.is_none() || self.cloud.region.as_deref() == region {
                regions.insert(region.unwrap_or("-"));
                first = first.or_else(|| Some((endpoint.url.clone(), region.map(ToOwned::to_owned))));
            }
        }
        if regions.len() > 1 {
            let names = regions.into_iter().take(20).collect::<Vec<_>>().join(", ");
            return Err(invalid(format!(
                "the cloud has several regions ({names}): name one"
            )));
        }
        Ok(first)
    }
}

fn life_of(token: &TokenBody) -> Duration {
    match (token.issued_at, token.expires_at) {
        (Some(from), Some(to)) => Duration::try_from(to.duration_since(from)).unwrap_or_default(),
        _ => LIFE,
    }
}

fn domain(domain: &Domain) -> Value {
    match domain {
        Domain::Id(id) => json!({ "id": id }),
        Domain::Name(name) => json!({ "name": name }),
    }
}

fn named(thing: &Named) -> Value {
    match thing {
        Named::Id(id) => json!({ "id": id }),
        Named::Name { name, domain: d } => json!({ "name": name, "domain": domain(d) }),
        Named::OfUser { name, user } => json!({ "name": name, "user": named(user) }),
    }
}

/// The body of a log-in. An application credential knows its project, so it names none.
fn token_request(identity: &Identity) -> Value {
    let (method, arguments, project) = match identity {
        Identity::Password {
            user,
            password,
            project,
        } => {
            let mut user = named(user);
            user["password"] = json!(password.expose_secret());
            ("password", json!({ "user": user }), Some(project))
        }
        Identity::Application { credential, secret } => {
            let mut credential = named(credential);
            credential["secret"] = json!(secret.expose_secret());
            ("application_credential", credential, None)
        }
        Identity::Token { token, project } => {
            ("token", json!({ "id": token.expose_secret() }), project.as_ref())
        }
    };
    let mut auth = json!({ "identity": { "methods": [method], method: arguments } });
    if let Some(project) = project {
        auth["scope"] = json!({ "project": named(project) });
    }
    json!({ "auth": auth })
}
