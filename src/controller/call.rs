//! Questions and calls to clouds. They run beside the workers; what comes back is planned on later.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::objects::Reply;
use super::queue::Urgency;
use super::{Shell, credentials, quota, readings};
use crate::api::server::SecretKeyRef;
use crate::api::{Reason, keys};
use crate::observer::ObjectKey;
use crate::planner;
use crate::planner::memory::{Outcome, Sent, Told};
use crate::planner::model::{
    Accepted, CloudCall, CloudError, Ended, ErrorClass, ObservedServer, Operate, Trace,
};
use crate::providers::{CallWith, Provider};

/// A call that begins later than this after the write of its record began is not sent.
pub(crate) const FRESH: Duration = planner::SEND_WITHIN;
/// One call may take so long, waits for the request budget included.
const CALL_DEADLINE: Duration = Duration::from_secs(120);
/// One question may take so long.
const LOOK_DEADLINE: Duration = Duration::from_secs(60);
/// What a Secret is labelled with that a password is taken from.
const PASSWORD: &str = "password";
/// Reading a Secret may take so long.
const SECRET_DEADLINE: Duration = Duration::from_secs(4);

/// For whom a cloud is asked.
#[derive(Clone)]
pub(crate) struct Asker {
    /// The object.
    pub(crate) key: ObjectKey,
    /// Its uid.
    pub(crate) uid: String,
    /// Its ProviderConfig.
    pub(crate) config: ObjectKey,
    /// Its account.
    pub(crate) account: String,
    /// The name of its cloud, for metrics.
    pub(crate) cloud: &'static str,
    /// The way there.
    pub(crate) provider: Arc<dyn Provider>,
}

/// Asks for one server by its id, and how a request ended.
pub(crate) fn look(shell: &Arc<Shell>, asker: Asker, id: String, trace: Option<Trace>) {
    if !shell.objects.begin_look(&asker.uid) {
        return;
    }
    let task = Arc::clone(shell);
    let looking = async move {
        let (asked_at, began) = (task.ctx.clock.now(), Instant::now());
        let asked = timeout(
            LOOK_DEADLINE,
            both(&*asker.provider, &id, trace.as_ref(), asked_at),
        );
        let Some(asked) = task
            .end
            .run_until_cancelled(AssertUnwindSafe(asked).catch_unwind())
            .await
        else {
            return;
        };
        let mut ended = None;
        let answer = match asked {
            Ok(Ok((answer, end))) => {
                ended = trace.map(|t| t.key().to_owned()).zip(end);
                answer.map(Arc::new)
            }
            Ok(Err(_)) => Err(CloudError::new(ErrorClass::Transient, "no answer in time")),
            Err(_) => {
                tracing::error!(object = %asker.key, "a look at a server panicked and is made again");
                Err(CloudError::new(
                    ErrorClass::Transient,
                    "a fault in the provider; see the log",
                ))
            }
        };
        note(&task, &asker, "Get", began, answer.as_ref().err());
        task.objects.deliver(
            &asker.uid,
            Reply::Looked {
                id,
                asked_at,
                answer,
                ended,
            },
        );
        task.queue.wake(&asker.key, Urgency::User);
    };
    shell.looks.spawn(looking.in_current_span());
}

/// The server, and how the request ended; none while that cannot be known.
async fn both(
    provider: &dyn Provider,
    id: &str,
    trace: Option<&Trace>,
    asked_at: Timestamp,
) -> (Result<ObservedServer, CloudError>, Option<Ended>) {
    let ended = match trace {
        None => None,
        Some(trace) => match provider.ended(id, trace, asked_at).await {
            Ok(ended) => Some(ended),
            Err(error) => {
                tracing::info!(request = trace.key(), %error, "the end of a request cannot be asked for");
                None
            }
        },
    };
    // The server last: what is seen of it is not older than what is known of the request.
    (provider.get(id).await, ended)
}

/// Makes a call whose record's write began at `recorded`.
pub(crate) fn call(shell: &Arc<Shell>, asker: Asker, key: String, call: CloudCall, recorded: Instant) {
    if !shell.objects.begin_call(&asker.uid, &key) {
        return;
    }
    let task = Arc::clone(shell);
    // Not bound to the acting scope: a call on the wire is never cut off, its answer is worth having.
    let calling = async move {
        let began = Instant::now();
        let sending = AssertUnwindSafe(send(&task, &asker, &call, recorded)).catch_unwind();
        let Some(sending) = task.end.run_until_cancelled(sending).await else {
            return;
        };
        let result = sending.unwrap_or_else(|_| {
            tracing::error!(object = %asker.key, "a call panicked: whether it was carried out is not known");
            Err(CloudError {
                maybe_applied: true,
                ..CloudError::new(ErrorClass::Ambiguous, "a fault in the provider; see the log")
            })
        });
        note(&task, &asker, operation(&call), began, result.as_ref().err());
        let at = task.ctx.clock.now();
        if matches!(call, CloudCall::Create(_)) {
            quota::answered(&task, &asker, result.as_ref().err(), at);
        }
        let (outcome, told) = match result {
            Ok((accepted, told)) => (Outcome::Accepted(at, accepted), told),
            Err(error) => (Outcome::Refused(at, error), Told::Nothing),
        };
        let sent = Sent { key, outcome, told };
        task.objects.deliver(&asker.uid, Reply::Sent(sent));
        task.queue.wake(&asker.key, Urgency::User);
    };
    shell.calls.spawn(calling.in_current_span());
}

async fn send(
    shell: &Shell,
    asker: &Asker,
    call: &CloudCall,
    recorded: Instant,
) -> Result<(Accepted, Told), CloudError> {
    let mut user_data = None;
    let namespace = &asker.key.namespace;
    let named = password_ref(shell, asker, call);
    let admin_password = secret_text(shell, namespace, named.as_ref(), PASSWORD).await?;
    if let CloudCall::Create(request) = call {
        let spec = &request.spec;
        user_data = secret_text(shell, namespace, spec.user_data_secret_ref.as_ref(), "user-data").await?;
        if let Some(name) = &spec.credentials_secret_name {
            credentials::allowed(shell, asker, name).await?;
        }
    }
    let reading = match call {
        CloudCall::Operate {
            kind,
            how: Operate::Read(reading),
            ..
        } => {
            readings::allowed(shell, *kind)?;
            Some(reading)
        }
        _ => None,
    };
    if recorded.elapsed() >= FRESH {
        return Err(not_sent(
            "this process was held up for too long after it recorded the call",
        ));
    }
    if !shell.may_send(&asker.key, &asker.config) {
        return Err(not_sent("this process may no longer act on the account"));
    }
    let with = CallWith {
        send_before: recorded + FRESH,
        user_data: user_data.as_ref(),
        admin_password: admin_password.as_ref(),
    };
    let sending = asker.provider.call(call, with);
    let done = timeout(CALL_DEADLINE, sending).await.unwrap_or_else(|_| {
        Err(CloudError {
            maybe_applied: true,
            ..CloudError::new(ErrorClass::Ambiguous, "no answer in time")
        })
    });
    let mut done = done.map_err(|error| match named {
        Some(r) if error.code.as_deref() == Some(Reason::SecretRefused.as_str()) => CloudError {
            message: format!("the key {} of the Secret {}: {}", r.key, r.name, error.message),
            ..error
        },
        _ => error,
    })?;
    if let (Some(reading), Some(read)) = (reading, &done.read) {
        done.accepted.result = Some(readings::keep(shell, asker, reading, read).await?);
    }
    if let Some(told) = &done.credentials
        && let Some(name) = kept_in(shell, asker, call)
    {
        let told = credentials::keep(shell, asker, &name, told).await;
        return Ok((done.accepted, told));
    }
    Ok((done.accepted, Told::Nothing))
}

/// The Secret that what a cloud tells once goes into, if one is named.
fn kept_in(shell: &Shell, asker: &Asker, call: &CloudCall) -> Option<String> {
    match call {
        CloudCall::Create(request) => request.spec.credentials_secret_name.clone(),
        CloudCall::Operate { .. } => shell
            .servers
            .get(&asker.key)?
            .spec
            .credentials_secret_name
            .clone(),
        CloudCall::CreateGroup(_) | CloudCall::ChangeGroup { .. } => None,
    }
}

/// Where the administrator's password is that goes along with a call.
fn password_ref(shell: &Shell, asker: &Asker, call: &CloudCall) -> Option<SecretKeyRef> {
    match call {
        CloudCall::Create(request) => request.spec.admin_password_secret_ref.clone(),
        CloudCall::Operate {
            how: Operate::Deed(deed),
            ..
        } => deed.change_password.as_ref().map(|c| c.secret_ref.clone()),
        call if call.takes_admin_password() => {
            let server = shell.servers.get(&asker.key)?;
            server.spec.admin_password_secret_ref.clone()
        }
        _ => None,
    }
}

fn not_sent(why: &str) -> CloudError {
    CloudError::new(ErrorClass::Transient, format!("not sent: {why}"))
}

fn note(shell: &Shell, asker: &Asker, operation: &'static str, began: Instant, error: Option<&CloudError>) {
    let metrics = shell.ctx.metrics.of_cloud(asker.cloud);
    let result = error.map_or("ok", |e| e.class.as_str());
    metrics.call(operation, result, began.elapsed());
    if let Some(error) = error {
        tracing::info!(object = %asker.key, operation, class = %error.class, %error, "the cloud refused");
        if error.class == ErrorClass::Unauthorized {
            shell.accounts.suspect(&asker.config);
        }
    } else {
        tracing::debug!(object = %asker.key, operation, "the cloud answered");
    }
}

const fn operation(call: &CloudCall) -> &'static str {
    match call {
        CloudCall::Create(_) => "Create",
        CloudCall::Operate { kind, .. } => kind.as_str(),
        CloudCall::CreateGroup(_) => "CreateGroup",
        CloudCall::ChangeGroup { .. } => "ChangeGroup",
    }
}

/// A text that goes along with a create, from a Secret whose owner allows that use.
async fn secret_text(
    shell: &Shell,
    namespace: &str,
    wanted: Option<&SecretKeyRef>,
    allow: &str,
) -> Result<Option<SecretString>, CloudError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let api: Api<Secret> = Api::namespaced(shell.ctx.client.clone(), namespace);
    let refused = |words: String| CloudError {
        code: Some(Reason::SecretRefused.as_str().to_owned()),
        ..CloudError::new(ErrorClass::InvalidSpec, words)
    };
    let unread = |words: String| CloudError::new(ErrorClass::Transient, format!("not sent: {words}"));
    let secret = match timeout(SECRET_DEADLINE, api.get_opt(&wanted.name)).await {
        Ok(Ok(Some(secret))) => secret,
        Ok(Ok(None)) => return Err(refused(format!("the Secret {} does not exist", wanted.name))),
        Ok(Err(kube::Error::Api(s))) if s.is_forbidden() => {
            return Err(refused(format!(
                "the Secret {} may not be read: {}",
                wanted.name, s.message
            )));
        }
        Ok(Err(error)) => {
            return Err(unread(format!(
                "the Secret {} cannot be read: {error}",
                wanted.name
            )));
        }
        Err(_) => {
            return Err(unread(format!(
                "the Secret {} cannot be read in time",
                wanted.name
            )));
        }
    };
    let allowed = secret.metadata.labels.as_ref().and_then(|l| l.get(keys::ALLOW));
    if allowed.map(String::as_str) != Some(allow) {
        return Err(refused(format!(
            "the Secret {} lacks the label {}: {allow}",
            wanted.name,
            keys::ALLOW
        )));
    }
    let data = secret.data.unwrap_or_default().remove(&wanted.key);
    let data =
        data.ok_or_else(|| refused(format!("the Secret {} has no key {}", wanted.name, wanted.key)))?;
    let text = String::from_utf8(data.0).map_err(|_| {
        refused(format!(
            "the key {} of the Secret {} is no text",
            wanted.key, wanted.name
        ))
    })?;
    if allow == PASSWORD && text.is_empty() {
        return Err(refused(format!(
            "the key {} of the Secret {} is empty: that is no password",
            wanted.key, wanted.name
        )));
    }
    Ok(Some(text.into()))
}
