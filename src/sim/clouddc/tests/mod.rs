//! The simulator against what is known of the real service.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::providers::transport::Transport;

struct Client {
    sim: Arc<CloudDcSim>,
    token: String,
}

impl Client {
    async fn with(change: impl FnOnce(&mut SimConfig)) -> Self {
        let mut config = SimConfig::default();
        change(&mut config);
        let mut client = Self {
            sim: CloudDcSim::new(config),
            token: String::new(),
        };
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
            {"name": USER, "password": USER_PASSWORD, "domain": {"name": USER}}}},
            "scope": {"project": {"name": REGION}}}});
        let reply = client.send("POST", "/v3/auth/tokens", &body).await;
        assert_eq!(reply.status(), 201);
        client.token = reply.headers()["x-subject-token"].to_str().unwrap().to_owned();
        client
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> http::Response<bytes::Bytes> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://clouddc.test{path}"))
            .header("x-auth-token", &self.token)
            .body(if body.is_null() {
                bytes::Bytes::new()
            } else {
                body.to_string().into()
            });
        self.sim
            .send(request.unwrap(), Duration::from_secs(30))
            .await
            .unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let reply = self.send(method, &format!("/v1/{PROJECT}{path}"), &body).await;
        let body = serde_json::from_slice(reply.body()).unwrap_or(Value::Null);
        (reply.status().as_u16(), body)
    }

    async fn create(&self, name: &str) -> String {
        let (status, body) = self.ask("POST", "/instances", wanted(name)).await;
        assert_eq!(status, 200, "{body}");
        body["instance_id"].as_str().unwrap().to_owned()
    }

    async fn state(&self, id: &str) -> String {
        let (status, body) = self
            .ask("GET", &format!("/instances/{id}/status"), Value::Null)
            .await;
        if status != 200 {
            return format!("{status} {}", body["error_code"].as_str().unwrap());
        }
        let word = |v: &Value| v.as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {}",
            word(&body["state"]),
            word(&body["operation_state"]),
            word(&body["error"]["error_type"])
        )
    }

    async fn power(&self, id: &str, action: &str) -> (u16, Value) {
        let server = self.sim.instance(id).unwrap().server_id;
        let body = json!({"action": action, "server_id_set": [server]});
        self.ask("PUT", "/physicalservers/power-state", body).await
    }
}

fn wanted(name: &str) -> Value {
    json!({"name": name, "image_id": "image-ubuntu", "vpc_id": "vpc-1", "password": "Example-Pw1",
        "network_interfaces": [{"subnet_id": "subnet-1"}], "metadata": {"evenkeel-uid": "u1"}})
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_arrows_of_the_diagram() {
    let c = Client::with(|_| {}).await;
    let id = c.create("a").await;
    assert_eq!(c.state(&id).await, "pending - -");
    pass(1).await;
    assert_eq!(c.state(&id).await, "pending install-processing -");
    pass(900).await;
    assert_eq!(c.state(&id).await, "running install-succeed -");
    for (action, seconds, meanwhile, after) in [
        ("power off", 60, "running", "stopped"),
        ("power on", 60, "stopped", "running"),
        ("rebooting", 180, "stopped", "running"),
    ] {
        assert_eq!(c.power(&id, action).await.0, 200, "{action}");
        pass(seconds / 4 + 5).await;
        assert_eq!(c.sim.instance(&id).unwrap().state, meanwhile, "{action}");
        pass(seconds).await;
        assert_eq!(c.sim.instance(&id).unwrap().state, after, "{action}");
    }
    assert_eq!(
        c.ask("DELETE", &format!("/instances/{id}"), Value::Null).await.0,
        400
    );
    c.power(&id, "power off").await;
    pass(70).await;
    assert_eq!(
        c.ask("DELETE", &format!("/instances/{id}"), Value::Null).await.0,
        200
    );
    pass(1).await;
    assert_eq!(c.state(&id).await, "shutting-down uninstall-processing -");
    pass(120).await;
    assert_eq!(c.state(&id).await, "terminated uninstall-succeed -");
    pass(60).await;
    assert_eq!(c.state(&id).await, "404 iMetal.0200");
    assert_eq!(c.sim.high_water()["u1"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_refused_with_its_code() {
    let c = Client::with(|_| {}).await;
    let id = c.create("a").await;
    for (key, value, code) in [
        ("name", Value::Null, "iMetal.0002"),
        ("name", json!("a b"), "iMetal.0001"),
        ("image_id", json!("image-nope"), "iMetal.0001"),
        ("vpc_id", json!("vpc-9"), "iMetal.0001"),
        ("password", json!("weakweak"), "iMetal.0001"),
        ("password", Value::Null, "iMetal.0002"),
        ("network_interfaces", json!([]), "iMetal.0002"),
        ("network_interfaces", json!([{}, {}, {}]), "iMetal.0001"),
        ("metadata", json!({"a/b": "x"}), "iMetal.0001"),
        ("placement", json!({"server_id": "nope"}), "iMetal.0100"),
        ("placement", json!({"server_id": "server-01"}), "iMetal.0101"),
    ] {
        let mut body = wanted("b");
        body[key] = value.clone();
        let (status, said) = c.ask("POST", "/instances", body).await;
        assert!(
            status >= 400 && said["error_code"] == code,
            "{key} {value}: {said}"
        );
    }
    let (status, said) = c.power(&id, "power off").await;
    assert_eq!((status, &said["error_code"]), (400, &json!("iMetal.0203")));
    assert_eq!(c.power(&id, "POWER OFF").await.1["error_code"], "iMetal.0001");
    assert_eq!(c.ask("GET", "/instances/nope/status", Value::Null).await.0, 404);
    assert_eq!(
        c.ask("GET", "/elsewhere", Value::Null).await.1["error_code"],
        "APIGW.0101"
    );
    let other = c.send("GET", "/v1/other/instances", &Value::Null).await;
    assert_eq!(other.status(), 403);
}

/// By the menu: what falls into an error while it is installed can be deleted, or tried again.
#[tokio::test(start_paused = true)]
async fn an_error_ends_the_work_on_the_server_too() {
    let c = Client::with(|_| {}).await;
    for again in [false, true] {
        let id = c.create(&format!("a-{again}")).await;
        pass(60).await;
        c.sim.set_error(&id, "reinstall-failed", None, "ordered").unwrap();
        let body = json!({"password": "Example-Pw2", "instance_id_set": [id]});
        let (status, said) = if again {
            c.ask("PUT", "/instances/reinstall", body).await
        } else {
            c.ask("DELETE", &format!("/instances/{id}"), Value::Null).await
        };
        assert_eq!(status, 200, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_and_what_is_tried_again() {
    let c = Client::with(|_| {}).await;
    let fails = |call: &str| {
        c.sim.clear_faults();
        c.sim.order(HypervisorOrder {
            call: call.into(),
            server: None,
            delay_ms: None,
            fault: Some("error:ordered".into()),
        });
    };
    fails("install");
    let id = c.create("a").await;
    pass(1000).await;
    assert_eq!(c.state(&id).await, "error install-failed create_instance_error");
    fails("none");
    let again = json!({"password": "Example-Pw2", "instance_id_set": [id]});
    assert_eq!(c.ask("PUT", "/instances/reinstall", again.clone()).await.0, 200);
    pass(1000).await;
    assert_eq!(c.state(&id).await, "running reinstall-succeed -");
    assert_eq!(c.sim.password_of(&id).as_deref(), Some("Example-Pw2"));
    assert_eq!(
        c.ask("PUT", "/instances/reinstall", again.clone()).await.0,
        400,
        "it runs"
    );
    fails("power_off");
    c.power(&id, "power off").await;
    pass(100).await;
    assert_eq!(c.state(&id).await, "running reinstall-succeed power_off_error");
    c.sim.set_quirks(Quirks {
        reinstall: When::Running,
        password: When::Running,
        ..Quirks::default()
    });
    assert_eq!(c.ask("PUT", "/instances/reinstall", again).await.0, 200);
    pass(1000).await;
    let change = json!({"new_password": "x", "instance_id_set": [id]});
    assert_eq!(c.ask("PUT", "/instances/password", change).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_project_without_a_ready_machine_fails_later() {
    let c = Client::with(|config| config.machines = 1).await;
    c.create("a").await;
    let id = c.create("b").await;
    pass(1000).await;
    assert_eq!(c.state(&id).await, "error install-failed create_instance_error");
    let several = json!({"min_count": 1, "max_count": 2});
    let mut body = wanted("c");
    body.as_object_mut()
        .unwrap()
        .extend(several.as_object().unwrap().clone());
    assert_eq!(c.ask("POST", "/instances/batch-create", body).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_locked_after_more_than_five_bad_signatures() {
    let c = Client::with(|_| {}).await;
    let request = |signature: &str| {
        let authorization = format!(
            "SDK-HMAC-SHA256 Access={ACCESS_KEY}, SignedHeaders=host;x-sdk-date, Signature={signature}"
        );
        http::Request::get(format!("https://clouddc.test/v1/{PROJECT}/instances"))
            .header("x-sdk-date", "20000101T000000Z")
            .header("authorization", authorization)
            .body(bytes::Bytes::new())
            .unwrap()
    };
    for n in 0..7 {
        let reply = c.sim.send(request("00"), Duration::from_secs(1)).await.unwrap();
        let said = String::from_utf8(reply.body().to_vec()).unwrap();
        assert_eq!(reply.status(), 401);
        let words = if n < 6 {
            "the clock of the client"
        } else {
            "is locked"
        };
        assert!(said.contains(words), "{n}: {said}");
    }
    assert_eq!(c.sim.key_locks(), 1);
    pass(301).await;
    let reply = c.sim.send(request("00"), Duration::from_secs(1)).await.unwrap();
    assert!(
        !String::from_utf8(reply.body().to_vec())
            .unwrap()
            .contains("is locked")
    );
}

#[tokio::test(start_paused = true)]
async fn the_menu_below_sim() {
    let c = Client::with(|_| {}).await;
    let id = c.create("a").await;
    pass(1000).await;
    for (deed, state) in [("stop", "stopped"), ("start", "running")] {
        let reply = c
            .send("POST", &format!("/_sim/instances/a/{deed}"), &json!({}))
            .await;
        assert_eq!(reply.status(), 200);
        pass(100).await;
        assert_eq!(c.sim.instance(&id).unwrap().state, state);
    }
    assert_eq!(
        c.send("POST", "/_sim/instances/b/stop", &json!({}))
            .await
            .status(),
        409
    );
    assert_eq!(
        c.send("POST", "/_sim/instances/a/fly", &json!({})).await.status(),
        400
    );
    let state = c.send("GET", "/_sim/state", &Value::Null).await;
    let state: Value = serde_json::from_slice(state.body()).unwrap();
    assert_eq!(state["instances"][0]["name"], "a");
    assert_eq!(state["physicalServers"][0]["manage_state"], "in-use");
    let many = FaultRule::new(FaultEffect::RateLimited { retry_after: Some(3) });
    c.sim.inject(many.times(1));
    let reply = c
        .send("GET", &format!("/v1/{PROJECT}/instances"), &Value::Null)
        .await;
    assert_eq!(
        (reply.status().as_u16(), &reply.body()[..]),
        (429, &b"too many requests"[..])
    );
}
