//! The simulator against what was seen of the real services.

mod failures;
mod faults;
mod identity;
mod lists;
mod refusals;
mod shapes;
mod soft_delete;
mod transitions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{OpenStackSim, PASSWORD, SimConfig};
use crate::providers::transport::{Transport, TransportError};

const BASE: &str = "https://cloud.test";

/// A member of a project who asks.
struct Client {
    sim: Arc<OpenStackSim>,
    token: String,
    version: &'static str,
}

fn password_body(user: &str, password: &str) -> Value {
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user, "password": password, "domain": {"id": "default"}}}},
        "scope": {"project": {"name": user, "domain": {"id": "default"}}}}})
}

async fn send(
    sim: &OpenStackSim,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Response<Bytes>, TransportError> {
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{BASE}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    sim.send(request.body(body).unwrap(), Duration::from_secs(30))
        .await
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or(Value::Null)
}

impl Client {
    async fn log_in(sim: &Arc<OpenStackSim>, user: &str) -> Self {
        let body = password_body(user, PASSWORD);
        let response = send(sim, "POST", "/identity/v3/auth/tokens", &[], &body)
            .await
            .unwrap();
        assert_eq!(response.status(), 201, "{:?}", response.body());
        let token = response.headers()["x-subject-token"].to_str().unwrap().to_owned();
        Self {
            sim: sim.clone(),
            token,
            version: "2.96",
        }
    }

    async fn new() -> Self {
        Self::log_in(&OpenStackSim::new(SimConfig::default()), "demo").await
    }

    async fn with(config: SimConfig) -> Self {
        Self::log_in(&OpenStackSim::new(config), "demo").await
    }

    async fn try_compute(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Response<Bytes>, TransportError> {
        let version = format!("compute {}", self.version);
        let headers = [
            ("x-auth-token", self.token.as_str()),
            ("openstack-api-version", version.as_str()),
        ];
        send(&self.sim, method, &format!("/compute/v2.1{path}"), &headers, body).await
    }

    async fn compute(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let response = self.try_compute(method, path, body).await.unwrap();
        (response.status().as_u16(), json_of(&response))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.compute("GET", path, &Value::Null).await
    }

    async fn act(&self, id: &str, body: Value) -> (u16, Value) {
        self.compute("POST", &format!("/servers/{id}/action"), &body)
            .await
    }

    fn server_body(&self, name: &str, metadata: Value) -> Value {
        let image = self.sim.image_id("cirros").unwrap();
        json!({"server": {"name": name, "flavorRef": "1", "imageRef": image, "networks": "auto", "metadata": metadata}})
    }

    async fn create(&self, name: &str, metadata: Value) -> String {
        let (status, body) = self
            .compute("POST", "/servers", &self.server_body(name, metadata))
            .await;
        assert_eq!(status, 202, "{body}");
        body["server"]["id"].as_str().unwrap().to_owned()
    }

    /// A server that has settled.
    async fn active(&self, name: &str, metadata: Value) -> String {
        let id = self.create(name, metadata).await;
        self.settle().await;
        id
    }

    /// Lets everything that is under way end.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    /// `status/vm_state/task_state/power_state` of a server, or the HTTP status.
    async fn state(&self, id: &str) -> String {
        let (status, body) = self.get(&format!("/servers/{id}")).await;
        if status != 200 {
            return status.to_string();
        }
        let s = &body["server"];
        format!(
            "{}/{}/{}/{}",
            s["status"].as_str().unwrap(),
            s["OS-EXT-STS:vm_state"].as_str().unwrap(),
            s["OS-EXT-STS:task_state"].as_str().unwrap_or("-"),
            s["OS-EXT-STS:power_state"]
        )
    }

    /// What a poller sees within so many seconds, in order.
    async fn watch(&self, id: &str, seconds: u64) -> Vec<String> {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut seen: Vec<String> = Vec::new();
        while tokio::time::Instant::now() < end {
            let state = self.state(id).await;
            if seen.last() != Some(&state) {
                seen.push(state);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        seen
    }
}

/// Nova's message, of whatever kind the error is.
fn message(body: &Value) -> String {
    let inner = body
        .as_object()
        .and_then(|o| o.values().next())
        .cloned()
        .unwrap_or_default();
    inner["message"].as_str().unwrap_or_default().to_owned()
}
