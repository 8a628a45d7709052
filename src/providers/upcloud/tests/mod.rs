//! The provider against a scripted service. What it is told comes from the vendor's page (`page-examples.json`,
//! `page-errors.json`) and from recordings of the real service (`recorded-shapes.json`).

mod calls;
mod creates;
mod groups;
mod page;
mod parts;
mod reads;
mod recorded;
mod refusals;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::api::server::PowerOffMode;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Marks, Operate, PartKind, StopKind};
use crate::providers::transport::budget::{Budget, Limits};
use crate::providers::transport::endpoint::EndpointRules;
use crate::providers::transport::{Stage, Transport, TransportError};

const TOKEN: &str = "ucat_planted";
const ID: &str = "00c78863-db86-44ea-af70-d6edc4d162bf";
const DEBIAN: &str = "01000000-0000-4000-8000-000020030100";
const UBUNTU: &str = "01000000-0000-4000-8000-000030240200";

/// What one request was.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: Value,
    /// Whether there was any body.
    bytes: usize,
}

/// What is answered.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

type Result2 = Result<Answer, TransportError>;
type Handler = Box<dyn Fn(&Seen, usize) -> Option<Result2> + Send + Sync>;

/// A service whose answers are scripted; what the script leaves out has a plain answer.
struct Fake {
    seen: StdMutex<Vec<Seen>>,
    handler: Handler,
}

impl Fake {
    /// The script gets the request, and how many of the same line came before.
    fn new(handler: impl Fn(&Seen, usize) -> Option<Result2> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            seen: StdMutex::default(),
            handler: Box::new(handler),
        })
    }

    fn plain() -> Arc<Self> {
        Self::new(|_, _| None)
    }

    /// One answer for everything.
    fn always(answer: Result2) -> Arc<Self> {
        Self::new(move |_, _| Some(answer.clone()))
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|s| s.line.clone()).collect()
    }

    fn last(&self, line: &str) -> Seen {
        let seen = self.seen.lock().unwrap();
        let found = seen.iter().rev().find(|s| s.line.starts_with(line));
        found.unwrap_or_else(|| panic!("no {line}")).clone()
    }

    /// Whether anything was sent that changes something.
    fn changed(&self) -> bool {
        self.lines().iter().any(|l| !l.starts_with("GET "))
    }
}

fn usual(seen: &Seen) -> Result2 {
    match seen.line.as_str() {
        "GET /1.3/account" => ok(json!({"account": {"username": "ops", "credits": 12.5}})),
        "GET /1.3/storage/template" => ok(json!({"storages": {"storage": [
            {"uuid": DEBIAN, "title": "Debian", "type": "template", "state": "online", "template_type": "native"},
            {"uuid": UBUNTU, "title": "Ubuntu", "type": "template", "state": "online", "template_type": "cloud-init"},
            {"uuid": "01-a", "title": "Twice", "type": "template", "state": "online"},
            {"uuid": "01-b", "title": "Twice", "type": "template", "state": "online", "zone": ""},
            {"uuid": "01-c", "title": "Local", "type": "template", "state": "online", "zone": "fi-hel1"},
            {"uuid": "01-d", "title": "Local", "type": "template", "state": "online", "zone": "uk-lon1"},
            {"uuid": "01-e", "title": "Half", "type": "template", "state": "maintenance"},
        ]}})),
        "POST /1.3/server" => Ok(Answer {
            status: 202,
            ..answer(200, page::reply("Installing a server from scratch"))
        }),
        line if line.starts_with("GET /1.3/server/") => ok(page::reply("Get server details")),
        line if line.starts_with("DELETE ") || line.ends_with("/cancel") => empty(204),
        line if line.starts_with("POST /1.3/server/") => ok(page::reply("Start server")),
        line if line.starts_with("PUT /1.3/server/") => Ok(answer(202, page::reply("Modify server"))),
        other => refuse(599, "UNSCRIPTED", other),
    }
}

fn answer(status: u16, body: Value) -> Answer {
    Answer {
        status,
        headers: vec![
            ("content-type", "application/json".into()),
            ("upcloud-cid", "cid-7".into()),
        ],
        body: body.to_string().into(),
    }
}

fn ok(body: Value) -> Result2 {
    Ok(answer(200, body))
}

fn empty(status: u16) -> Result2 {
    raw(status, "")
}

fn raw(status: u16, body: &str) -> Result2 {
    Ok(Answer {
        status,
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

fn refuse(status: u16, code: &str, message: &str) -> Result2 {
    Ok(answer(
        status,
        json!({"error": {"error_code": code, "error_message": message}}),
    ))
}

fn lost(stage: Stage) -> Result2 {
    Err(TransportError {
        stage,
        message: "the connection broke".into(),
    })
}

impl Transport for Fake {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            assert_eq!(request.uri().authority().unwrap(), "api.upcloud.com");
            let headers = request.headers().iter();
            let seen = Seen {
                line: format!("{} {}", request.method(), request.uri().path_and_query().unwrap()),
                headers: headers
                    .map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()))
                    .collect(),
                body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
                bytes: request.body().len(),
            };
            let before = self.lines().iter().filter(|l| **l == seen.line).count();
            self.seen.lock().unwrap().push(seen.clone());
            let answer = (self.handler)(&seen, before).unwrap_or_else(|| usual(&seen))?;
            let mut reply = http::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                reply = reply.header(name, value);
            }
            Ok(reply.body(answer.body).unwrap())
        })
    }
}

fn provider(fake: &Arc<Fake>) -> UpCloud {
    let limits = Limits {
        per_second: 1000,
        burst: 1000,
        in_flight: 100,
    };
    let transport: Arc<dyn Transport> = fake.clone();
    let http = HttpClient::new(transport, Budget::new(limits), EndpointRules::default());
    let secret = BTreeMap::from([("token".to_owned(), TOKEN.as_bytes().to_vec())]);
    UpCloud::new(&secret, Some("fi-hel1"), http).unwrap()
}

fn marks() -> Marks {
    Marks {
        uid: "u-1".into(),
        installation: "i-1".into(),
        object: "ns/web-1".into(),
    }
}

/// A spec with a size, an image and keys; null takes one of them out.
fn spec(value: Value) -> Arc<crate::api::ServerSpec> {
    let mut whole = json!({"providerConfigRef": {"name": "pc"}, "size": {"name": "2xCPU-4GB"},
        "image": {"name": "Debian"}, "sshKeys": ["ssh-ed25519 AAAA a"]});
    for (key, inner) in value.as_object().unwrap() {
        whole[key] = inner.clone();
    }
    whole.as_object_mut().unwrap().retain(|_, v| !v.is_null());
    Arc::new(serde_json::from_value(whole).unwrap())
}

fn create(value: Value) -> CloudCall {
    CloudCall::Create(Box::new(CreateRequest {
        group: None,
        name: "web-1".into(),
        spec: spec(value),
        marks: marks(),
        attempt: 2,
    }))
}

fn operate(kind: OperationKind, how: Operate) -> CloudCall {
    CloudCall::Operate {
        id: ID.into(),
        kind,
        how,
    }
}

/// Nothing goes along with the call.
fn bare() -> CallWith<'static> {
    CallWith::nothing(tokio::time::Instant::now() + Duration::from_secs(5))
}

/// The marks of a create as labels.
fn mark_labels() -> Vec<Value> {
    [
        ("evenkeelattempt", "2"),
        ("evenkeelinstallation", "i-1"),
        ("evenkeelobject", "ns/web-1"),
        ("evenkeeluid", "u-1"),
    ]
    .iter()
    .map(|(k, v)| json!({"key": k, "value": v}))
    .collect()
}
