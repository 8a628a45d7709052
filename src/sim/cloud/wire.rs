//! Requests and replies as the services see them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use serde_json::Value;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The segments of the path, decoded.
    pub path: Vec<String>,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Where the client reached us: scheme and authority.
    pub base: String,
    /// The id of the request, which is also that of the action it starts.
    pub id: String,
}

impl Ask {
    /// Takes a request apart.
    pub fn new(request: Request<Bytes>, id: String) -> Self {
        let (parts, body) = request.into_parts();
        let host = parts
            .headers
            .get(http::header::HOST)
            .and_then(|h| h.to_str().ok());
        let base = match (parts.uri.scheme_str(), parts.uri.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
            _ => format!("http://{}", host.unwrap_or("localhost")),
        };
        let path = parts
            .uri
            .path()
            .split('/')
            .filter(|s| !s.is_empty())
            .map(decode)
            .collect();
        let query = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(key), decode(value))
            })
            .collect();
        Self {
            method: parts.method,
            path,
            query,
            headers: parts.headers,
            body,
            base,
            id,
        }
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first value of a query parameter.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A component of a path or a query, decoded.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (byte, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                i += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A query component, encoded.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// A reply that is yet to be written.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers other than the type of the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body; none if absent.
    pub body: Option<Value>,
    /// Another body instead, with its type.
    pub raw: Option<Box<(&'static str, Bytes)>>,
    /// It is sent so long after the request was carried out.
    pub wait: Duration,
}

/// An answer or a refusal: both are replies.
pub type Answer = Result<Reply, Reply>;

impl Reply {
    /// A status with a body.
    pub fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
            raw: None,
            wait: Duration::ZERO,
        }
    }

    /// 200 with a body.
    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    /// A status without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
            raw: None,
            wait: Duration::ZERO,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sent later, as by a call that blocks.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The body as it is written.
    pub fn bytes(&self) -> Bytes {
        match (&self.raw, &self.body) {
            (Some(raw), _) => raw.1.clone(),
            (None, Some(body)) => body.to_string().into(),
            (None, None) => Bytes::new(),
        }
    }

    /// The reply as it is sent.
    pub fn into_response(self) -> Response<Bytes> {
        let body = self.bytes();
        let kind = self.raw.map_or("application/json", |raw| raw.0);
        let mut builder = Response::builder().status(self.status);
        let typed = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() && !typed {
            builder = builder.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        builder.body(body).unwrap_or_default()
    }
}
