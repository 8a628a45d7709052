//! The provider against a scripted cloud that answers as a real Nova does.

mod attached;
mod calls;
mod login;
mod reads;
mod real;
#[cfg(feature = "sim")]
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::providers::transport::budget::{Budget, Limits};
use crate::providers::transport::endpoint::EndpointRules;
use crate::providers::transport::{Stage, Transport, TransportError};

pub(super) const PASSWORD: &str = "planted-password-1";
pub(super) const TOKEN: &str = "planted-token";

/// What one request was.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) token: String,
    pub(super) version: String,
    pub(super) body: Value,
}

pub(super) type Answer = Result<(u16, Value), TransportError>;
type Handler = Box<dyn Fn(&Seen, usize) -> Option<Answer> + Send + Sync>;

/// A cloud with a token service, a version document and a catalog; the rest is scripted.
pub(super) struct Fake {
    pub(super) seen: Mutex<Vec<Seen>>,
    /// Asked first, with how many requests of the same line came before; `None` leaves it to the default.
    handler: Handler,
    pub(super) life: u64,
    pub(super) delay: Duration,
}

impl Fake {
    pub(super) fn new(handler: impl Fn(&Seen, usize) -> Option<Answer> + Send + Sync + 'static) -> Arc<Self> {
        Self::with(3600, Duration::ZERO, handler)
    }

    pub(super) fn with(
        life: u64,
        delay: Duration,
        handler: impl Fn(&Seen, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            handler: Box::new(handler),
            life,
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
        self.seen
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find(|s| s.line.starts_with(line))
            .unwrap()
            .clone()
    }

    fn default_answer(&self, seen: &Seen, before: usize) -> Answer {
        match seen.line.as_str() {
            "POST /v3/auth/tokens" => Ok((201, token_document(self.life, before))),
            "GET /v2.1/" => Ok((
                200,
                json!({"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}}),
            )),
            "GET /v2.1/flavors" => Ok((
                200,
                json!({"flavors": [{"id": "1", "name": "m1.tiny", "links": []}, {"id": "2", "name": "m1.small"}]}),
            )),
            "GET /v2/images?name=cirros" => Ok((
                200,
                json!({"images": [{"id": "img-1", "name": "cirros", "status": "active"}]}),
            )),
            "GET /v2.0/networks?name=demo-net" => {
                Ok((200, json!({"networks": [{"id": "net-1", "name": "demo-net"}]})))
            }
            "GET /v2.1/servers/detail" => Ok((200, json!({"servers": []}))),
            "POST /v2.1/servers" => Ok((202, json!({"server": {"id": "new-1", "links": []}}))),
            other => Ok((599, json!({"unscripted": {"message": other}}))),
        }
    }
}

pub(super) fn token_document(life: u64, n: usize) -> Value {
    let base: jiff::Timestamp = "2026-11-22T04:00:00Z".parse().unwrap();
    let endpoints = |port: u16, path: &str| {
        json!([
            {"interface": "internal", "region_id": "R1", "url": "https://10.9.9.9/"},
            {"interface": "public", "region_id": "R1", "url": format!("https://cloud.example:{port}{path}")},
        ])
    };
    json!({"token": {
        "expires_at": (base + Duration::from_secs(life)).to_string(), "issued_at": base.to_string(),
        "project": {"id": "p1", "name": "demo", "domain": {"id": "default"}},
        "catalog": [
            {"type": "compute", "endpoints": endpoints(8774, "/v2.1")},
            {"type": "image", "endpoints": endpoints(9292, "")},
            {"type": "network", "endpoints": endpoints(9696, "/")},
            {"type": "identity", "endpoints": null},
        ],
        "n": n,
    }})
}

impl Transport for Fake {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let header = |name| {
                request
                    .headers()
                    .get(name)
                    .map_or("", |v: &http::HeaderValue| v.to_str().unwrap())
            };
            let seen = Seen {
                line: format!("{} {}", request.method(), request.uri().path_and_query().unwrap()),
                token: header("x-auth-token").to_owned(),
                version: header("openstack-api-version").to_owned(),
                body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
            };
            let before = self.count_exactly(&seen.line);
            self.seen.lock().unwrap().push(seen.clone());
            if self.delay > Duration::ZERO {
                tokio::time::sleep(self.delay).await;
            }
            let (status, body) =
                (self.handler)(&seen, before).unwrap_or_else(|| self.default_answer(&seen, before))?;
            let mut reply = http::Response::builder()
                .status(status)
                .header("x-openstack-request-id", "req-7");
            if seen.line == "POST /v3/auth/tokens" {
                reply = reply.header("x-subject-token", format!("{TOKEN}-{before}"));
            }
            let body = if body.is_null() {
                Bytes::new()
            } else {
                body.to_string().into()
            };
            Ok(reply.body(body).unwrap())
        })
    }
}

impl Fake {
    fn count_exactly(&self, line: &str) -> usize {
        self.lines().iter().filter(|l| *l == line).count()
    }
}

pub(super) fn yaml() -> String {
    format!(
        "clouds: {{demo: {{region_name: R1, auth: {{auth_url: 'https://cloud.example:5000', username: demo, \
         password: {PASSWORD}, project_name: demo, user_domain_id: default, project_domain_id: default}}}}}}"
    )
}

pub(super) fn provider(fake: &Arc<Fake>) -> OpenStack {
    let limits = Limits {
        per_second: 1000,
        burst: 1000,
        in_flight: 100,
    };
    let transport: Arc<dyn Transport> = fake.clone();
    let http = HttpClient::new(transport, Budget::new(limits), EndpointRules::default());
    OpenStack::new(yaml().as_bytes(), "demo", None, None, http).unwrap()
}

pub(super) fn lost(stage: Stage) -> Answer {
    Err(TransportError {
        stage,
        message: "the connection broke".into(),
    })
}

pub(super) fn refuse(status: u16, key: &str, message: &str) -> Option<Answer> {
    Some(Ok((status, json!({ key: {"code": status, "message": message} }))))
}

pub(super) fn server(id: &str, status: &str) -> Value {
    json!({"id": id, "name": format!("n-{id}"), "status": status, "OS-EXT-STS:task_state": null,
        "flavor": {"original_name": "m1.tiny", "vcpus": 1, "ram": 512}, "metadata": {}, "tags": []})
}

pub(super) fn marks() -> Marks {
    Marks {
        uid: "u-1".into(),
        installation: "i-1".into(),
        object: "ns/web-1".into(),
    }
}

pub(super) fn spec(value: Value) -> Arc<crate::api::ServerSpec> {
    let mut whole = json!({"providerConfigRef": {"name": "pc"}, "size": {"name": "m1.tiny"}, "image": {"name": "cirros"}});
    for (key, inner) in value.as_object().unwrap() {
        whole[key] = inner.clone();
    }
    Arc::new(serde_json::from_value(whole).unwrap())
}

pub(super) fn create(value: Value) -> CloudCall {
    CloudCall::Create(Box::new(CreateRequest {
        group: None,
        name: "web-1".into(),
        spec: spec(value),
        marks: marks(),
        attempt: 2,
    }))
}

pub(super) fn restart(mode: PowerOffMode) -> Operate {
    Operate::Restart {
        mode,
        seconds: 60,
        hints: Vec::new(),
    }
}

pub(super) fn operate(kind: OperationKind, how: Operate) -> CloudCall {
    CloudCall::Operate {
        id: "s-1".into(),
        kind,
        how,
    }
}

pub(super) fn metadata(marks: &Marks) -> BTreeMap<String, String> {
    super::metadata_of(marks)
}

/// Nothing goes along with the call.
fn bare() -> CallWith<'static> {
    CallWith::nothing(tokio::time::Instant::now() + std::time::Duration::from_secs(5))
}

/// User data goes along.
fn with(user_data: &SecretString) -> CallWith<'_> {
    CallWith {
        user_data: Some(user_data),
        ..bare()
    }
}
