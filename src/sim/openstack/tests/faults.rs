use std::time::Duration;

use serde_json::{Value, json};

use super::super::{FaultEffect, FaultRule, OpenStackSim, Outage, SimConfig};
use super::{Client, json_of, message, send};
use crate::providers::transport::Stage;

fn rule(on: &str, effect: FaultEffect) -> FaultRule {
    FaultRule::new(effect).on(on)
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_a_server() {
    let client = Client::new().await;
    client
        .sim
        .inject(rule("POST /servers", FaultEffect::LostReply).times(1));
    let body = client.server_body("a", json!({"evenkeel-uid": "u1"}));
    let error = client.try_compute("POST", "/servers", &body).await.unwrap_err();
    assert_eq!(error.stage, Stage::Sent);
    assert_eq!(client.sim.servers_with_uid("u1").len(), 1);
    assert_eq!(client.compute("POST", "/servers", &body).await.0, 202);
    assert_eq!(client.sim.high_water()["u1"], 2);
    let log = client.sim.requests();
    let creates: Vec<_> = log.iter().filter(|r| r.key() == "POST /servers").collect();
    assert_eq!(
        creates
            .iter()
            .map(|r| (r.applied, r.answered))
            .collect::<Vec<_>>(),
        [(true, false), (true, true)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_request_is_carried_out_after_its_client_gave_up() {
    let client = Client::new().await;
    let effect = FaultEffect::LateApply {
        delay_ms: 40_000,
        wait_ms: 60_000,
    };
    client.sim.inject(rule("POST /servers", effect).times(1));
    let body = client.server_body("a", json!({}));
    let error = client.try_compute("POST", "/servers", &body).await.unwrap_err();
    assert_eq!(error.stage, Stage::Timeout);
    assert!(client.sim.live_servers().is_empty());
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(client.sim.live_servers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_change_nothing() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let stop = json!({"os-stop": null});
    let path = format!("/servers/{id}/action");
    client.sim.inject(
        FaultRule::new(FaultEffect::Status {
            code: 503,
            body: None,
        })
        .action("os-stop")
        .server("a")
        .skip(0)
        .times(1),
    );
    client.sim.inject(
        FaultRule::new(FaultEffect::RateLimited { retry_after: Some(7) })
            .action("os-stop")
            .skip(1)
            .times(1),
    );
    client.sim.inject(
        FaultRule::new(FaultEffect::Reset)
            .action("os-stop")
            .skip(2)
            .times(1),
    );
    client.sim.inject(
        FaultRule::new(FaultEffect::Hang { wait_ms: 90_000 })
            .action("os-stop")
            .skip(3)
            .times(1),
    );
    let (status, body) = client.compute("POST", &path, &stop).await;
    assert_eq!(
        (status, body["serviceUnavailable"]["code"].as_u64()),
        (503, Some(503))
    );
    let response = client.try_compute("POST", &path, &stop).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(
        client.try_compute("POST", &path, &stop).await.unwrap_err().stage,
        Stage::Sent
    );
    assert_eq!(
        client.try_compute("POST", &path, &stop).await.unwrap_err().stage,
        Stage::Timeout
    );
    assert_eq!(client.state(&id).await, "ACTIVE/active/-/1");
    assert_eq!(client.compute("POST", &path, &stop).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn an_outage_comes_and_goes() {
    let client = Client::new().await;
    client.sim.outage(Some(Outage::Refused));
    assert_eq!(
        client
            .try_compute("GET", "/servers", &Value::Null)
            .await
            .unwrap_err()
            .stage,
        Stage::Connect
    );
    client.sim.outage(Some(Outage::Unavailable));
    assert_eq!(client.get("/servers").await.0, 503);
    client.sim.outage(None);
    assert_eq!(client.get("/servers").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn lists_lag_leave_out_and_lose_cells() {
    let client = Client::new().await;
    let old = client.active("old", json!({})).await;
    let gone = client.active("gone", json!({})).await;
    client.sim.oob_delete("gone").unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let new = client.create("new", json!({})).await;
    let ids = async || {
        let (_, body) = client.get("/servers/detail").await;
        let servers = body["servers"].as_array().unwrap().clone();
        servers
            .iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [new.clone(), old.clone()]);
    client.sim.inject(rule(
        "GET /servers/detail",
        FaultEffect::ListLag { age_ms: 10_000 },
    ));
    assert_eq!(ids().await, [gone.clone(), old.clone()]);
    assert_eq!(client.get(&format!("/servers/{new}")).await.0, 200);
    assert_eq!(client.get(&format!("/servers/{gone}")).await.0, 404);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(ids().await, [new.clone(), old.clone()]);
    client.sim.clear_faults();
    client.sim.inject(
        FaultRule::new(FaultEffect::PartialList {
            omit: 1,
            keep: None,
            server: None,
        })
        .times(1),
    );
    assert_eq!(ids().await, std::slice::from_ref(&old));
    client
        .sim
        .inject(FaultRule::new(FaultEffect::DownCell { server: "old".into() }));
    let (_, body) = client.get("/servers/detail").await;
    assert_eq!(body["servers"][1]["status"], "UNKNOWN");
    assert!(body["servers"][1].get("name").is_none());
    let before = Client {
        version: "2.68",
        sim: client.sim.clone(),
        token: client.token.clone(),
    };
    assert_eq!(
        before.get("/servers").await.1["servers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(before.get(&format!("/servers/{old}")).await.0, 500);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_touches_servers() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    client.sim.reset_requests();
    client.sim.oob_stop("a").unwrap();
    assert_eq!(
        client.sim.server(&id).unwrap().task_state.as_deref(),
        Some("powering-off")
    );
    client.settle().await;
    client.sim.oob_start("a").unwrap();
    client.settle().await;
    client.sim.guest_shutdown("a").unwrap();
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(client.sim.server(&id).unwrap().status, "ACTIVE");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.sim.server(&id).unwrap().status, "SHUTOFF");
    client.sim.oob_start("a").unwrap();
    client.settle().await;
    client.sim.oob_resize("a", "m1.small").unwrap();
    client.settle().await;
    assert_eq!(client.sim.server(&id).unwrap().status, "VERIFY_RESIZE");
    client.sim.set_power("a", 0).unwrap();
    assert_eq!(client.state(&id).await, "VERIFY_RESIZE/resized/-/0");
    client.sim.oob_delete("a").unwrap();
    client.settle().await;
    assert!(client.sim.server(&id).unwrap().gone);
    assert_eq!(client.sim.requests().len(), 1, "only our own look");
    let by_hand = client.sim.oob_create("a").unwrap();
    assert_eq!(client.get(&format!("/servers/{by_hand}")).await.0, 200);
    assert!(client.sim.oob_stop("nobody").is_err());
}

#[tokio::test(start_paused = true)]
async fn the_menu_does_the_same() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let ask = async |method: &str, path: &str, body: Value| {
        let response = send(&client.sim, method, path, &[], &body).await.unwrap();
        (response.status().as_u16(), json_of(&response))
    };
    let fault =
        json!({"method": "POST", "route": "/servers", "count": 1, "effect": {"status": {"code": 500}}});
    assert_eq!(ask("POST", "/_sim/faults", fault).await.0, 200);
    let (status, body) = client
        .compute("POST", "/servers", &client.server_body("b", json!({})))
        .await;
    assert_eq!(status, 500, "{}", message(&body));
    assert_eq!(
        ask(
            "POST",
            "/_sim/faults",
            json!({"faults": [{"effect": "nonsense"}]})
        )
        .await
        .0,
        400
    );
    assert_eq!(
        ask("POST", "/_sim/faults", json!({"outage": "refused"})).await.0,
        200
    );
    assert!(client.try_compute("GET", "/servers", &Value::Null).await.is_err());
    assert_eq!(ask("DELETE", "/_sim/faults", Value::Null).await.0, 204);
    assert_eq!(ask("POST", "/_sim/servers/a/stop", Value::Null).await.0, 200);
    assert_eq!(ask("POST", "/_sim/servers/a/stop", Value::Null).await.0, 409);
    client.settle().await;
    let (_, state) = ask("GET", "/_sim/state", Value::Null).await;
    assert_eq!(
        (&state["servers"][0]["id"], &state["servers"][0]["status"]),
        (&json!(id), &json!("SHUTOFF"))
    );
    let (_, requests) = ask("GET", "/_sim/requests", Value::Null).await;
    assert_eq!(requests["counts"]["POST /servers"], 2);
    assert_eq!(ask("DELETE", "/_sim/requests", Value::Null).await.0, 204);
    assert_eq!(ask("GET", "/_sim/requests", Value::Null).await.1["total"], 0);
}

/// Whoever wants to see how a change from outside is dealt with has each state at hand, there and back.
#[tokio::test(start_paused = true)]
async fn the_menu_leads_into_every_state_and_out_of_it() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let ask = async |path: &str, body: Value| {
        let reply = super::send(&client.sim, "POST", path, &[], &body).await.unwrap();
        (reply.status().as_u16(), super::json_of(&reply))
    };
    for (there, state, back) in [
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("shelve", "SHELVED_OFFLOADED", "unshelve"),
        ("rescue", "RESCUE", "unrescue"),
        ("stop", "SHUTOFF", "start"),
        ("resize", "VERIFY_RESIZE", "revertResize"),
        ("resize", "VERIFY_RESIZE", "confirmResize"),
        ("error", "ERROR", "reboot"),
    ] {
        let larger = if back == "confirmResize" {
            "m1.large"
        } else {
            "m1.medium"
        };
        let (status, body) = ask(&format!("/_sim/servers/a/{there}"), json!({"flavor": larger})).await;
        assert_eq!(status, 200, "{there}: {body}");
        client.settle().await;
        let now = client.state(&id).await;
        assert!(now.starts_with(&format!("{state}/")), "{there}: {now}");
        let (status, body) = ask(&format!("/_sim/servers/a/{back}"), Value::Null).await;
        assert_eq!(status, 200, "{back}: {body}");
        client.settle().await;
        let now = client.state(&id).await;
        assert!(now.starts_with("ACTIVE/active/-/"), "{back}: {now}");
    }
    assert_eq!(ask("/_sim/servers/a/unrescue", Value::Null).await.0, 409);
    assert_eq!(ask("/_sim/servers/a/nonsense", Value::Null).await.0, 400);
    // Each deed that the usage names is one.
    let (_, usage) = ask("/_sim/servers/a/nonsense", Value::Null).await;
    let usage = usage["usage"].as_str().unwrap().to_owned();
    let deeds = usage
        .split("{id or name}/{")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    assert!(deeds.split('|').count() > 15, "{deeds}");
    for deed in deeds.split('|') {
        assert_ne!(
            ask(&format!("/_sim/servers/no-such/{deed}"), Value::Null).await.0,
            400,
            "{deed}"
        );
    }
    // What a sample asks for can be had.
    assert_eq!(ask("/_sim/addresses/203.0.113.7", Value::Null).await.0, 200);
    let (status, volume) = ask("/_sim/volumes", Value::Null).await;
    assert_eq!(status, 200);
    let state = super::send(&client.sim, "GET", "/_sim/state", &[], &Value::Null)
        .await
        .unwrap();
    let offers = super::json_of(&state)["offers"].clone();
    assert_eq!(offers["floating addresses"], json!(["203.0.113.7"]));
    assert_eq!(offers["volumes"], json!([volume["volume"]]));
    assert_eq!(
        offers["images"],
        json!([
            "cirros",
            "cirros-new",
            "cirros-large (for a disk of 60 GB or more)"
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn a_metadata_order_is_for_its_server_alone() {
    let client = Client::with(SimConfig::default()).await;
    let slow = client
        .active("slow", json!({"fake.delay.power_off": "3600"}))
        .await;
    let quick = client.active("quick", json!({"fake.delay": "0"})).await;
    for id in [&slow, &quick] {
        client.act(id, json!({"os-stop": null})).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(client.state(&quick).await, "SHUTOFF/stopped/-/4");
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert_eq!(client.state(&slow).await, "ACTIVE/active/powering-off/1");
}

/// Over a real port: a broken connection is no reply.
#[tokio::test]
async fn on_a_port() {
    let sim = OpenStackSim::new(SimConfig::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(sim.clone().serve(listener));
    let ask = async || {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let text = format!("GET /compute/v2.1/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.ok();
        reply
    };
    let reply = ask().await;
    assert!(
        reply.starts_with("HTTP/1.1 200") && reply.contains(&format!("http://{address}/compute/v2.1/")),
        "{reply}"
    );
    sim.inject(FaultRule::new(FaultEffect::Reset).times(1));
    assert_eq!(ask().await, "");
    assert!(ask().await.starts_with("HTTP/1.1 200"));
    server.abort();
}
