//! Who asks: an access key that signs every request, or a user whose token goes along. And the memory of a refusal:
//! more than five bad signatures in a row lock an access key for everybody who uses it.
//! <https://support.huaweicloud.com/intl/en-us/api-iam/iam_30_0001.html>

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::errors::{Asked, invalid, lost, refusal, unreadable};
use super::wire::TokenDoc;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Ask, HttpClient};

/// For how long refused credentials are not tried again, after the first refusal, the second, and so on. With the first
/// try these are five within two hours, and then one an hour.
const REFUSED: [Duration; 4] = [
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1800),
    Duration::from_secs(3600),
];
/// A token is renewed so long before it expires, or when a fifth of its life is left.
const RENEW_BEFORE: Duration = Duration::from_secs(2400);
/// After a renewal that failed while the old token still holds, the next is tried after this time.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// The life of a token that does not say it.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// What opens a project.
pub(super) enum Credential {
    /// An access key.
    Keys(Keys),
    /// A user of the identity service.
    User(User),
}

/// An access key.
pub(super) struct Keys {
    pub(super) access: String,
    pub(super) secret: SecretString,
    /// With it the key is a temporary one.
    pub(super) security_token: Option<SecretString>,
}

/// A user of the identity service.
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: SecretString,
    pub(super) domain: String,
    /// The identity service, without a slash at its end.
    pub(super) endpoint: String,
}

impl Credential {
    /// The secrets that a reply could repeat.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Keys(keys) => [Some(&keys.secret), keys.security_token.as_ref()]
                .into_iter()
                .flatten()
                .map(ExposeSecret::expose_secret)
                .collect(),
            Self::User(user) => vec![user.password.expose_secret()],
        }
    }
}

/// A token and what came with it.
pub(super) struct Token {
    pub(super) text: SecretString,
    pub(super) project_name: Option<String>,
    /// Tells tokens apart.
    serial: u64,
    renew_at: Instant,
    expires: Instant,
}

/// What is known of the credentials.
#[derive(Default)]
pub(super) struct Standing {
    /// A request was taken, so that the credentials are good.
    pub(super) proven: bool,
    refusals: usize,
    refused: Option<(Instant, CloudError)>,
}

impl Standing {
    /// The last refusal, as long as it is not tried again.
    ///
    /// # Errors
    /// That refusal, with its words.
    pub(super) fn check(&self) -> Result<(), CloudError> {
        match &self.refused {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The credentials were taken.
    pub(super) fn taken(&mut self) {
        *self = Self {
            proven: true,
            ..Self::default()
        };
    }

    /// The credentials were refused. Answers that were under way at the same time count once.
    pub(super) fn refused(&mut self, error: &CloudError) {
        self.proven = false;
        if self.check().is_err() {
            return;
        }
        let wait = REFUSED.get(self.refusals).copied().unwrap_or(REFUSED[3]);
        self.refusals += 1;
        self.refused = Some((Instant::now() + wait, error.clone()));
    }
}

/// The time that goes into signatures: that of the machine, or of the monotonic clock where that is ahead. The one
/// stands still under paused time, the other while a virtual machine is.
pub(super) struct Clock {
    wall: Timestamp,
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            wall: Timestamp::now(),
            start: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.start.elapsed()).unwrap_or_default();
        let counted = self.wall.checked_add(passed).unwrap_or(self.wall);
        counted.max(Timestamp::now())
    }
}

/// Tokens of one user for one project.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Option<Arc<Token>>>);

impl Tokens {
    /// A token that will hold for a while; another one than `stale`, which the service refused. However many ask at
    /// once, one log-in is made.
    pub(super) async fn get(
        &self,
        http: &HttpClient,
        user: &User,
        project: &str,
        stale: Option<&Token>,
    ) -> Result<Arc<Token>, CloudError> {
        let mut memory = self.0.lock().await;
        let now = Instant::now();
        let known = memory
            .clone()
            .filter(|t| Some(t.serial) != stale.map(|s| s.serial));
        if let Some(token) = known.as_ref().filter(|t| now < t.renew_at) {
            return Ok(Arc::clone(token));
        }
        let serial = memory.as_ref().map_or(1, |t| t.serial + 1);
        match log_in(http, user, project, serial).await {
            Ok(token) => {
                let token = Arc::new(token);
                *memory = Some(Arc::clone(&token));
                Ok(token)
            }
            // The identity service is away, but the old token holds for a while.
            Err(error) if error.class != ErrorClass::Unauthorized => match known {
                Some(token) if now < token.expires => {
                    let token = Arc::new(Token {
                        renew_at: now + RENEW_AGAIN,
                        text: token.text.clone(),
                        project_name: token.project_name.clone(),
                        ..*token
                    });
                    *memory = Some(Arc::clone(&token));
                    Ok(token)
                }
                _ => Err(error),
            },
            Err(error) => {
                *memory = None;
                Err(error)
            }
        }
    }
}

/// The body of a log-in. The service takes no token that is not for a project.
fn token_request(user: &User, project: &str) -> Value {
    json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": user.name,
            "password": user.password.expose_secret(),
            "domain": { "name": user.domain },
        } } },
        "scope": { "project": { "id": project } },
    } })
}

async fn log_in(http: &HttpClient, user: &User, project: &str, serial: u64) -> Result<Token, CloudError> {
    let asked = Instant::now();
    let url = format!("{}/v3/auth/tokens", user.endpoint);
    let ask = Ask {
        body: Some(token_request(user, project).to_string().into()),
        ..Ask::new(Method::POST, url, "iam /v3/auth/tokens", Priority::High)
    };
    let reply = http.send(&ask).await.map_err(|e| lost(e, Asked::LogIn))?;
    if !reply.status.is_success() {
        let hide = [user.password.expose_secret()];
        return Err(refusal(&reply, Asked::LogIn, "the identity service", &hide));
    }
    let text = reply.header("x-subject-token").filter(|t| !t.is_empty());
    let text = text.ok_or_else(|| {
        let words = "the identity service's token has no X-Subject-Token";
        CloudError::new(ErrorClass::Transient, words)
    })?;
    let doc: TokenDoc =
        serde_json::from_slice(&reply.body).map_err(|e| unreadable("CloudDC", "token", Asked::LogIn, &e))?;
    let of = doc
        .token
        .project
        .ok_or_else(|| invalid("the identity service's token is for no project"))?;
    if of.id != project {
        return Err(invalid(format!(
            "the identity service's token is for project {}, not {project}",
            of.id
        )));
    }
    // Both times are the service's: its clock need not be ours.
    let life = match (doc.token.issued_at, doc.token.expires_at) {
        (Some(from), Some(to)) => Duration::try_from(to.duration_since(from)).unwrap_or_default(),
        _ => LIFE,
    };
    Ok(Token {
        text: SecretString::from(text.to_owned()),
        project_name: of.name,
        serial,
        renew_at: asked + (life - RENEW_BEFORE.min(life / 5)),
        expires: asked + life,
    })
}
