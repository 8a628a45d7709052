//! The provider against a scripted cloud.

mod calls;
mod changes;
mod login;
mod reads;
#[cfg(feature = "sim")]
mod sim;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::planner::model::Marks;
use crate::providers::registry::Build;
use crate::providers::transport::client::NoRecorder;
use crate::providers::transport::{Stage, Transport, TransportError};

pub(super) const SECRET: &str = "planted-secret-key";
pub(super) const USER_PASSWORD: &str = "planted-user-password";
pub(super) const ADMIN: &str = "Planted-Admin-1";
pub(super) const TOKEN: &str = "planted-token";
pub(super) const BASE: &str = "/v1/p1";

/// What one request was.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) url: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

pub(super) type Answer = Result<(u16, Value), TransportError>;
type Handler = Box<dyn Fn(&Seen, usize) -> Option<Answer> + Send + Sync>;

/// A cloud with one instance and one server; the rest is scripted. A text as an answer is a body as it is.
pub(super) struct Fake {
    pub(super) seen: Mutex<Vec<Seen>>,
    handler: Handler,
    delay: Duration,
}

impl Fake {
    pub(super) fn new(handler: impl Fn(&Seen, usize) -> Option<Answer> + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::ZERO, handler)
    }

    pub(super) fn slow(
        delay: Duration,
        handler: impl Fn(&Seen, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            handler: Box::new(handler),
            delay,
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|s| s.line.clone()).collect()
    }

    pub(super) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|l| l.starts_with(line)).count()
    }

    pub(super) fn last(&self, line: &str) -> Seen {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .rev()
            .find(|s| s.line.starts_with(line))
            .unwrap()
            .clone()
    }
}

pub(super) fn instance(id: &str, state: &str) -> Value {
    json!({"id": id, "name": format!("n-{id}"), "state": state, "server_id": format!("srv-{id}"), "metadata": {},
        "network_interfaces": []})
}

pub(super) fn machine(id: &str, power: &str) -> Value {
    json!({"id": id, "manage_state": "in-use", "power_state": power, "frozen_state": 0})
}

fn by_default(line: &str, before: usize) -> Answer {
    let ok = |v: Value| Ok((200, v));
    match line.strip_prefix("GET ").map(|p| p.trim_start_matches(BASE)) {
        Some("/instances?instance_id=s-1" | "/instances?limit=1000" | "/instances?limit=10") => {
            return ok(json!({"instances": [instance("s-1", "running")], "count": 1}));
        }
        Some("/instances/s-1/status") => return ok(json!({"state": "running"})),
        Some("/physicalservers?limit=1000") => {
            return ok(json!({"servers": [machine("srv-s-1", "on")], "count": 1}));
        }
        Some("/physicalservers/srv-s-1") => return ok(machine("srv-s-1", "on")),
        _ => {}
    }
    match line {
        "POST /v1/p1/instances" => ok(json!({"instance_id": "new-1"})),
        "PUT /v1/p1/physicalservers/power-state" => ok(json!({"physical_servers": [{"id": "srv-s-1"}]})),
        "PUT /v1/p1/instances/password" => ok(json!({"instances": [{"id": "s-1"}]})),
        "PUT /v1/p1/instances/s-1/ip" => Ok((200, Value::Null)),
        "PUT /v1/p1/instances/reinstall" => ok(json!({"instances": [{"id": "s-1"}]})),
        "DELETE /v1/p1/instances/s-1" => Ok((200, Value::Null)),
        "POST /v3/auth/tokens" => Ok((
            201,
            json!({"token": {"issued_at": "2026-11-22T04:00:00Z", "expires_at": "2026-11-23T04:00:00Z",
                "project": {"id": "p1", "name": "cn-east-3"}, "n": before}}),
        )),
        other => Ok((599, json!({"error_code": "unscripted", "error_msg": other}))),
    }
}

impl Transport for Fake {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let headers = request.headers().iter();
            let seen = Seen {
                line: format!("{} {}", request.method(), request.uri().path_and_query().unwrap()),
                url: request.uri().to_string(),
                headers: headers
                    .map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()))
                    .collect(),
                body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
            };
            let before = self.lines().iter().filter(|l| **l == seen.line).count();
            self.seen.lock().unwrap().push(seen.clone());
            tokio::time::sleep(self.delay).await;
            let (status, body) =
                (self.handler)(&seen, before).unwrap_or_else(|| by_default(&seen.line, before))?;
            let mut reply = http::Response::builder()
                .status(status)
                .header("x-request-id", "req-7");
            if seen.line == "POST /v3/auth/tokens" {
                reply = reply.header("x-subject-token", format!("{TOKEN}-{before}"));
            }
            let body = match body {
                Value::Null => Bytes::new(),
                Value::String(text) => text.into(),
                other => other.to_string().into(),
            };
            Ok(reply.body(body).unwrap())
        })
    }
}

pub(super) fn secret(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
        .collect()
}

pub(super) fn keys() -> BTreeMap<String, Vec<u8>> {
    secret(&[("accessKey", "AK1"), ("secretKey", SECRET)])
}

pub(super) fn user() -> BTreeMap<String, Vec<u8>> {
    secret(&[("username", "u"), ("password", USER_PASSWORD), ("domain", "d")])
}

/// A provider as the registry makes it from a ProviderConfig and its Secret.
pub(super) fn built(
    fake: &Arc<Fake>,
    secret: &BTreeMap<String, Vec<u8>>,
) -> Result<Arc<dyn Provider>, CloudError> {
    let spec = serde_json::from_value(json!({
        "cloudDC": {"secretRef": {"name": "s"}, "projectID": "p1", "region": "cn-east-3"},
        "requests": {"perSecond": 1000, "burst": 1000, "inFlight": 100}}));
    let transport: Arc<dyn Transport> = fake.clone();
    (CLOUD.build)(&Build {
        spec: &spec.unwrap(),
        secret,
        transport,
        recorder: Arc::new(NoRecorder),
        budgets: &Arc::default(),
        allow_insecure_endpoints: false,
    })
}

pub(super) fn provider(fake: &Arc<Fake>) -> Arc<dyn Provider> {
    built(fake, &keys()).unwrap()
}

pub(super) fn lost(stage: Stage) -> Answer {
    Err(TransportError {
        stage,
        message: "the connection broke".into(),
    })
}

pub(super) fn refuse(status: u16, code: &str, message: &str) -> Option<Answer> {
    Some(Ok((status, json!({"error_code": code, "error_msg": message}))))
}

pub(super) fn create(change: impl FnOnce(&mut Value)) -> CloudCall {
    let mut spec = json!({"providerConfigRef": {"name": "pc"}, "image": {"id": "im-1"},
        "cloudDC": {"vpcID": "v-1", "networkInterfaces": [{"name": "a", "subnetID": "sn-1"}]}});
    change(&mut spec);
    CloudCall::Create(Box::new(CreateRequest {
        group: None,
        name: "web-1".into(),
        spec: Arc::new(serde_json::from_value(spec).unwrap()),
        marks: Marks {
            uid: "u-1".into(),
            installation: "i-1".into(),
            object: "ns/web-1".into(),
        },
        attempt: 2,
    }))
}

pub(super) fn operate(kind: OperationKind, how: Operate) -> CloudCall {
    CloudCall::Operate {
        id: "s-1".into(),
        kind,
        how,
    }
}

/// Nothing goes along with the call.
pub(super) fn bare() -> CallWith<'static> {
    CallWith::nothing(Instant::now() + Duration::from_secs(5))
}

/// The administrator's password goes along.
pub(super) fn with(password: &SecretString) -> CallWith<'_> {
    CallWith {
        admin_password: Some(password),
        ..bare()
    }
}
