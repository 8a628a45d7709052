//! Requests read, replies written.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{Method, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::error::ApiError;
use super::faults::{Call, Verb};
use super::resources::Target;
use super::selector::query_pairs;

/// The body of a reply.
pub(super) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;
/// A reply, or a broken connection.
pub(super) type Reply = Result<Response<ReplyBody>, io::Error>;

/// A request, understood.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) target: Target,
    pub(super) query: BTreeMap<String, String>,
    pub(super) content_type: String,
    /// Only the metadata of objects is wanted.
    pub(super) partial: bool,
    pub(super) body: Arc<Value>,
}

impl Asked {
    pub(super) async fn read(client: &str, request: Request<Body>) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let target = Target::parse(head.uri.path())?;
        let query: BTreeMap<_, _> = query_pairs(head.uri.query().unwrap_or_default())
            .into_iter()
            .collect();
        let text = |name| {
            head.headers
                .get(name)
                .and_then(|v: &http::HeaderValue| v.to_str().ok())
                .unwrap_or_default()
        };
        let content_type = text(header::CONTENT_TYPE).to_owned();
        let partial = text(header::ACCEPT).contains("as=PartialObjectMetadata");
        let bytes = body
            .collect_bytes()
            .await
            .map_err(|e| ApiError::new(400, e.to_string()))?;
        let body = parse(&bytes, content_type.contains("yaml"))?;
        let watching = matches!(query.get("watch").map(String::as_str), Some("true" | "1"));
        let verb = match (&head.method, &target.name) {
            (&Method::GET, None) if watching => Verb::Watch,
            (&Method::GET, None) => Verb::List,
            (&Method::GET, Some(_)) => Verb::Get,
            (&Method::POST, None) => Verb::Create,
            (&Method::PUT, Some(_)) => Verb::Update,
            (&Method::PATCH, Some(_)) => Verb::Patch,
            (&Method::DELETE, Some(_)) if target.subresource.is_none() => Verb::Delete,
            _ => {
                return Err(ApiError::new(
                    405,
                    "the server does not allow this method on the requested resource",
                ));
            }
        };
        let named = target
            .name
            .clone()
            .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned));
        let call = Call {
            client: client.to_owned(),
            verb,
            plural: target.resource.plural,
            subresource: target.subresource.clone(),
            namespace: target.namespace.clone(),
            name: named.unwrap_or_default(),
        };
        Ok(Self {
            call,
            target,
            query,
            content_type,
            partial,
            body: Arc::new(body),
        })
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// An object as the client wants to see it.
    pub(super) fn view(&self, object: &Value) -> Value {
        view(self.partial, object)
    }
}

/// An object, or its metadata alone.
pub(super) fn view(partial: bool, object: &Value) -> Value {
    if partial {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}

fn parse(bytes: &[u8], yaml: bool) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let bad = |what: String| ApiError::new(400, format!("the object provided is unrecognized: {what}"));
    match serde_json::from_slice(bytes) {
        Err(_) if yaml => {
            let text = std::str::from_utf8(bytes).map_err(|e| bad(e.to_string()))?;
            serde_saphyr::from_str(text).map_err(|e| bad(e.to_string()))
        }
        parsed => parsed.map_err(|e| bad(e.to_string())),
    }
}

/// A whole reply.
pub(super) fn reply(code: u16, value: &Value) -> Reply {
    let body = Full::new(Bytes::from(value.to_string()))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json");
    if code == 429 {
        response = response.header(header::RETRY_AFTER, "1");
    }
    response.body(body).map_err(io::Error::other)
}

/// A refusal.
pub(super) fn refuse(error: &ApiError) -> Reply {
    reply(error.code, &error.to_status())
}

/// A reply that goes on.
pub(super) fn stream(lines: BoxStream<'static, Result<Bytes, io::Error>>) -> Reply {
    use futures::StreamExt;
    let body = StreamBody::new(lines.map(|line| line.map(http_body::Frame::data))).boxed_unsync();
    Response::builder()
        .status(200)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(io::Error::other)
}

/// A connection that breaks.
pub(super) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer")
}
