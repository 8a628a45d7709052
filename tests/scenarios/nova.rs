//! Deeds in the cloud past the controller: a small client of Keystone and Nova for the tests' own use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::providers::transport::Transport;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// The mark in a server's metadata that names its object.
pub const UID: &str = "evenkeel-uid";
const PATIENCE: Duration = Duration::from_secs(180);

/// A member of one project.
pub struct Nova {
    line: Arc<dyn Transport>,
    auth_url: String,
    user: String,
    password: String,
    session: Mutex<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    token: String,
    compute: String,
    image: String,
    network: String,
}

impl Nova {
    /// A user of the project of the same name. `auth_url` ends in `/v3`.
    pub fn new(line: Arc<dyn Transport>, auth_url: &str, user: &str, password: &str) -> Self {
        Self {
            line,
            auth_url: auth_url.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            session: Mutex::new(None),
        }
    }

    async fn send(&self, method: &str, url: &str, token: Option<&str>, body: &Value) -> (u16, Value, String) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request
                .header("x-auth-token", token)
                .header("openstack-api-version", "compute 2.96");
        }
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = request.body(body).unwrap();
        let reply = self.line.send(request, Duration::from_secs(60)).await;
        let reply = reply.unwrap_or_else(|e| panic!("{method} {url}: {e}"));
        let subject = reply.headers().get("x-subject-token");
        let subject = subject
            .map(|t| t.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let json = serde_json::from_slice(reply.body()).unwrap_or(Value::Null);
        (reply.status().as_u16(), json, subject)
    }

    async fn session(&self) -> Session {
        let mut session = self.session.lock().await;
        if let Some(known) = &*session {
            return known.clone();
        }
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": self.user, "password": self.password, "domain": domain}}},
            "scope": {"project": {"name": self.user, "domain": domain}}}});
        let url = format!("{}/auth/tokens", self.auth_url);
        let (status, reply, token) = self.send("POST", &url, None, &body).await;
        assert_eq!(status, 201, "Keystone: {reply}");
        let endpoint = |kind: &str| {
            let services = reply["token"]["catalog"].as_array().unwrap();
            let service = services.iter().find(|s| s["type"] == kind).unwrap();
            let endpoints = service["endpoints"].as_array().unwrap();
            let public = endpoints.iter().find(|e| e["interface"] == "public").unwrap();
            public["url"].as_str().unwrap().trim_end_matches('/').to_owned()
        };
        let new = Session {
            token,
            compute: endpoint("compute"),
            image: endpoint("image"),
            network: endpoint("network"),
        };
        *session = Some(new.clone());
        new
    }

    async fn compute(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let session = self.session().await;
        let url = format!("{}{path}", session.compute);
        let (status, reply, _) = self.send(method, &url, Some(&session.token), body).await;
        (status, reply)
    }

    /// A request to Neutron.
    pub async fn network(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let session = self.session().await;
        let url = format!("{}/v2.0{path}", session.network);
        let (status, reply, _) = self.send(method, &url, Some(&session.token), body).await;
        (status, reply)
    }

    /// A new security group of the project; its id.
    pub async fn security_group(&self, name: &str) -> String {
        let body = json!({"security_group": {"name": name}});
        let (status, reply) = self.network("POST", "/security-groups", &body).await;
        assert_eq!(status, 201, "{reply}");
        reply["security_group"]["id"].as_str().unwrap().to_owned()
    }

    /// Somebody makes a network with one subnet; its id.
    pub async fn new_network(&self, name: &str) -> String {
        let (status, reply) = self
            .network("POST", "/networks", &json!({"network": {"name": name}}))
            .await;
        assert_eq!(status, 201, "{reply}");
        let id = reply["network"]["id"].as_str().unwrap().to_owned();
        let subnet = json!({"subnet": {"network_id": id, "ip_version": 4, "cidr": "10.77.0.0/24", "enable_dhcp": false}});
        let (status, reply) = self.network("POST", "/subnets", &subnet).await;
        assert_eq!(status, 201, "{reply}");
        id
    }

    /// The ports of a server: their ids and networks.
    pub async fn interfaces(&self, id: &str) -> Vec<(String, String)> {
        let path = format!("/servers/{id}/os-interface");
        let (status, reply) = self.compute("GET", &path, &Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        let all = reply["interfaceAttachments"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|i| (text(&i["port_id"]), text(&i["net_id"]))).collect()
    }

    /// Somebody attaches an interface on a network; its port.
    pub async fn attach(&self, id: &str, network: &str) -> String {
        let path = format!("/servers/{id}/os-interface");
        let body = json!({"interfaceAttachment": {"net_id": network}});
        let (status, reply) = self.compute("POST", &path, &body).await;
        assert_eq!(status, 200, "{reply}");
        reply["interfaceAttachment"]["port_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Somebody writes labels and a tag beside those that are there.
    pub async fn write_beside(&self, id: &str, metadata: &Value, tag: &str) {
        let path = format!("/servers/{id}/metadata");
        let (status, reply) = self
            .compute("POST", &path, &json!({ "metadata": metadata }))
            .await;
        assert_eq!(status, 200, "{reply}");
        let path = format!("/servers/{id}/tags/{tag}");
        let (status, reply) = self.compute("PUT", &path, &Value::Null).await;
        assert!(matches!(status, 201 | 204), "{status} {reply}");
    }

    /// Whether a host takes new servers, from now on; for an administrator.
    pub async fn host_takes_servers(&self, host: &str, takes: bool) {
        let path = format!("/os-services?binary=nova-compute&host={host}");
        let (status, reply) = self.compute("GET", &path, &Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        let id = reply["services"][0]["id"].as_str().unwrap().to_owned();
        let word = if takes { "enabled" } else { "disabled" };
        let path = format!("/os-services/{id}");
        let (status, reply) = self.compute("PUT", &path, &json!({ "status": word })).await;
        assert_eq!(status, 200, "{reply}");
    }

    /// Every server of the project.
    pub async fn list(&self) -> Vec<Value> {
        let (status, reply) = self
            .compute("GET", "/servers/detail?limit=1000", &Value::Null)
            .await;
        assert_eq!(status, 200, "{reply}");
        reply["servers"].as_array().unwrap().clone()
    }

    /// Every server that carries the mark of an object.
    pub async fn of_uid(&self, uid: &str) -> Vec<Value> {
        let mut all = self.list().await;
        all.retain(|s| s["metadata"][UID] == uid);
        all
    }

    /// Every server of this name.
    pub async fn of_name(&self, name: &str) -> Vec<Value> {
        let mut all = self.list().await;
        all.retain(|s| s["name"] == name);
        all
    }

    /// What Nova's log of a server says was asked of it, the oldest first.
    pub async fn actions(&self, id: &str) -> Vec<String> {
        let path = format!("/servers/{id}/os-instance-actions");
        let (status, reply) = self.compute("GET", &path, &Value::Null).await;
        assert_eq!(status, 200, "{reply}");
        let all = reply["instanceActions"].as_array().unwrap().iter().rev();
        all.map(|a| a["action"].as_str().unwrap().to_owned()).collect()
    }

    /// One server.
    pub async fn show(&self, id: &str) -> Option<Value> {
        let (status, mut reply) = self.compute("GET", &format!("/servers/{id}"), &Value::Null).await;
        match status {
            200 => Some(reply["server"].take()),
            404 => None,
            other => panic!("GET /servers/{id}: {other} {reply}"),
        }
    }

    /// Does something to a server.
    pub async fn act(&self, id: &str, action: &Value) {
        let (status, reply) = self
            .compute("POST", &format!("/servers/{id}/action"), action)
            .await;
        assert!((200..300).contains(&status), "{action} of {id}: {status} {reply}");
    }

    /// Tries to do something to a server: the status of the answer.
    pub async fn attempt(&self, id: &str, action: &Value) -> u16 {
        let path = format!("/servers/{id}/action");
        self.compute("POST", &path, action).await.0
    }

    /// Stops it (`os-stop`), starts it (`os-start`), freezes it (`pause`).
    pub async fn plain(&self, id: &str, action: &str) {
        self.act(id, &json!({ action: null })).await;
    }

    /// Deletes it.
    pub async fn delete(&self, id: &str) {
        let (status, reply) = self
            .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
            .await;
        assert!(matches!(status, 204 | 404), "DELETE {id}: {status} {reply}");
    }

    /// Makes a server by hand and waits until it runs; its id.
    pub async fn create(&self, name: &str) -> String {
        let session = self.session().await;
        let url = format!("{}/v2/images?name=cirros", session.image);
        let (status, images, _) = self.send("GET", &url, Some(&session.token), &Value::Null).await;
        assert_eq!(status, 200, "{images}");
        let body = json!({"server": {"name": name, "flavorRef": "1", "imageRef": images["images"][0]["id"],
            "networks": "none", "metadata": {"made": "by hand"}, "tags": ["by-hand"]}});
        let (status, reply) = self.compute("POST", "/servers", &body).await;
        assert_eq!(status, 202, "{reply}");
        let id = reply["server"]["id"].as_str().unwrap().to_owned();
        self.until(&id, "ACTIVE").await;
        id
    }

    /// Waits until a server has a status and no task; `GONE` for one that does not exist. Nova has no watch.
    pub async fn until(&self, id: &str, status: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.show(id).await;
            let now = match &seen {
                None => "GONE".to_owned(),
                Some(s) if !s["OS-EXT-STS:task_state"].is_null() => format!("{} (busy)", s["status"]),
                Some(s) => s["status"].as_str().unwrap_or_default().to_owned(),
            };
            if now == status {
                return;
            }
            assert!(Instant::now() < end, "server {id} is {now}, not {status}");
            sleep(Duration::from_millis(250)).await;
        }
    }
}

/// What nobody but its owner may change about a server.
pub fn essence(server: &Value) -> Value {
    json!({"id": server["id"], "name": server["name"], "status": server["status"],
        "flavor": server["flavor"]["original_name"], "metadata": server["metadata"], "tags": server["tags"],
        "updated": server["updated"]})
}
