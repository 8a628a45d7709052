//! The simulator against what is documented and what was recorded of the real service.

mod faults;
mod groups;
mod refusals;
mod shapes;
mod states;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{SimConfig, TOKEN, UpCloudSim};
use crate::providers::transport::{Transport, TransportError};

/// A template whose login may be a password, and one that has keys only.
const NATIVE: &str = "01000000-0000-4000-8000-000020030100";
const CLOUD_INIT: &str = "01000000-0000-4000-8000-000030240200";
const CDROM: &str = "01000000-0000-4000-8000-000020010301";
const NETWORK: &str = "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9";

struct Client(Arc<UpCloudSim>);

impl Client {
    fn new() -> Self {
        Self(UpCloudSim::new(SimConfig::default()))
    }

    async fn send(&self, what: &str, body: &Value, auth: &str) -> Result<Response<Bytes>, TransportError> {
        let (method, path) = what.split_once(' ').unwrap();
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://cloud.test/1.3{path}"))
            .header("authorization", auth)
            .body(body)
            .unwrap();
        self.0.send(request, Duration::from_secs(120)).await
    }

    /// Status and body.
    async fn ask(&self, what: &str, body: &Value) -> (u16, Value) {
        let response = self.send(what, body, &format!("Bearer {TOKEN}")).await.unwrap();
        let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        (response.status().as_u16(), body)
    }

    async fn ok(&self, what: &str, body: &Value) -> Value {
        let (status, body) = self.ask(what, body).await;
        assert!(status < 300, "{what}: {status} {body}");
        body
    }

    /// The status and code of a refusal.
    async fn refused(&self, what: &str, body: &Value) -> (u16, String) {
        let (status, body) = self.ask(what, body).await;
        assert!(status >= 400, "{what} was accepted: {body}");
        (
            status,
            body["error"]["error_code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// The id of a new server, once it runs.
    async fn server(&self, title: &str) -> String {
        let made = self.ok("POST /server", &create(title)).await;
        let id = made["server"]["uuid"].as_str().unwrap().to_owned();
        wait(40).await;
        assert_eq!(self.state(&id).await, "started");
        id
    }

    async fn state(&self, id: &str) -> String {
        let body = self.ok(&format!("GET /server/{id}"), &Value::Null).await;
        body["server"]["state"].as_str().unwrap().to_owned()
    }
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The smallest useful creation.
fn create(title: &str) -> Value {
    json!({"server": {
        "zone": "fi-hel1", "title": title, "hostname": format!("{title}.example.net"), "plan": "1xCPU-2GB",
        "password_delivery": "none",
        "storage_devices": {"storage_device": [
            {"action": "clone", "storage": NATIVE, "title": format!("{title}-os"), "size": 20, "tier": "maxiops"}]},
        "networking": {"interfaces": {"interface": [
            {"type": "public", "ip_addresses": {"ip_address": [{"family": "IPv4"}]}},
            {"type": "utility", "ip_addresses": {"ip_address": [{"family": "IPv4"}]}}]}},
        "labels": {"label": [{"key": "evenkeeluid", "value": format!("uid-{title}")}]},
    }})
}

/// The same with one more attribute, or another value.
fn create_with(pointer: &str, value: Value) -> Value {
    let mut body = create("web");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(&format!("/server{parent}")).unwrap();
    match value {
        Value::Null => {
            parent.as_object_mut().unwrap().remove(key);
        }
        value => match parent {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            parent => parent[key] = value,
        },
    }
    body
}
