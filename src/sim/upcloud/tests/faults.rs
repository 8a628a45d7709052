use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, TOKEN, create, wait};
use crate::providers::transport::Stage;
use crate::sim::cloud::Spoil;
use crate::sim::upcloud::{FaultEffect, FaultRule, HypervisorOrder, Outage};

#[tokio::test(start_paused = true)]
async fn a_lost_reply_and_a_late_request_make_a_server_each() {
    let client = Client::new();
    let auth = format!("Bearer {TOKEN}");
    client
        .0
        .inject(FaultRule::new(FaultEffect::LostReply).on("POST /server").times(1));
    let error = client
        .send("POST /server", &create("one"), &auth)
        .await
        .unwrap_err();
    assert_eq!(error.stage, Stage::Sent);
    assert_eq!(client.0.live_servers().len(), 1);
    let late = FaultEffect::LateApply {
        delay_ms: 20_000,
        wait_ms: 0,
    };
    client.0.inject(FaultRule::new(late).on("POST /server").times(1));
    client
        .send("POST /server", &create("two"), &auth)
        .await
        .unwrap_err();
    assert_eq!(client.0.live_servers().len(), 1);
    wait(21).await;
    assert_eq!(client.0.live_servers().len(), 2);
    let made: Vec<bool> = client.0.requests().iter().map(|r| r.answered).collect();
    assert_eq!(made, [false, false]);
    assert_eq!(client.0.servers_with_uid("uid-two").len(), 1);
    assert_eq!(client.0.counts()["POST /server"], 2);
}

#[tokio::test(start_paused = true)]
async fn refusals_on_demand_are_in_the_clouds_manner() {
    let client = Client::new();
    let limited = FaultEffect::RateLimited { retry_after: Some(7) };
    client.0.inject(FaultRule::new(limited).times(1));
    let reply = client
        .send("GET /server", &Value::Null, &format!("Bearer {TOKEN}"))
        .await
        .unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    client
        .0
        .refuse("POST /server", "STORAGE_RESOURCES_UNAVAILABLE", 1);
    assert_eq!(
        client.refused("POST /server", &create("a")).await,
        (409, "STORAGE_RESOURCES_UNAVAILABLE".into())
    );
    client.0.outage(Some(Outage::Unavailable));
    assert_eq!(
        client.refused("GET /server", &Value::Null).await,
        (503, "SERVICE_UNAVAILABLE".into())
    );
    client.0.outage(Some(Outage::Refused));
    let error = client.send("GET /server", &Value::Null, "").await.unwrap_err();
    assert_eq!(error.stage, Stage::Connect);
    client.0.outage(None);
    client.ok("GET /server", &Value::Null).await;
}

#[tokio::test(start_paused = true)]
async fn lists_lag_and_leave_out_and_replies_are_spoilt() {
    let client = Client::new();
    client.server("old").await;
    client.ok("POST /server", &create("young")).await;
    client.0.oob_delete("old").unwrap();
    let titles = || async {
        let list = client.ok("GET /server", &Value::Null).await;
        let list = list["servers"]["server"].as_array().unwrap().clone();
        list.iter()
            .map(|s| s["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles().await, ["young"]);
    client
        .0
        .inject(FaultRule::new(FaultEffect::ListLag { age_ms: 10_000 }).on("GET /server"));
    assert_eq!(titles().await, ["old"]);
    client.0.clear_faults();
    let partial = FaultEffect::PartialList {
        omit: 0,
        keep: None,
        server: Some("you*".into()),
    };
    client.0.inject(FaultRule::new(partial).on("GET /server"));
    assert!(titles().await.is_empty());
    client.0.clear_faults();
    let huge = FaultEffect::Spoilt {
        how: Spoil::Huge,
        code: Some(200),
    };
    client.0.inject(FaultRule::new(huge).times(1));
    let error = client.send("GET /server", &Value::Null, "").await.unwrap_err();
    assert_eq!(error.stage, Stage::Reply);
}

#[tokio::test(start_paused = true)]
async fn orders_to_the_hypervisor_are_obeyed() {
    let client = Client::new();
    client.0.order(HypervisorOrder {
        call: "create".into(),
        server: Some("slow".into()),
        delay_ms: Some(100_000),
        fault: Some("error: broken".into()),
    });
    client.ok("POST /server", &create("slow")).await;
    wait(90).await;
    assert_eq!(client.0.server("slow").unwrap().state, "maintenance");
    wait(20).await;
    assert_eq!(client.0.server("slow").unwrap().state, "error");
}

#[tokio::test(start_paused = true)]
async fn the_menu_touches_servers_and_shows_them() {
    let client = Client::new();
    let menu = |what: &'static str, body: Value| {
        let sim = client.0.clone();
        async move {
            let (method, path) = what.split_once(' ').unwrap();
            let request = http::Request::builder()
                .method(method)
                .uri(format!("https://cloud.test/_sim/{path}"))
                .body(body.to_string().into())
                .unwrap();
            let reply = sim.handle(request).await.unwrap();
            (
                reply.status().as_u16(),
                serde_json::from_slice(reply.body()).unwrap_or(Value::Null),
            )
        }
    };
    assert_eq!(menu("POST servers/hand/create", json!({})).await.0, 200);
    tokio::time::sleep(Duration::from_secs(40)).await;
    for (deed, body) in [
        ("stop", json!({})),
        ("start", json!({})),
        ("error", json!({})),
        ("repair", json!({"running": false})),
    ] {
        let what: &'static str = match deed {
            "stop" => "POST servers/hand/stop",
            "start" => "POST servers/hand/start",
            "error" => "POST servers/hand/error",
            _ => "POST servers/hand/repair",
        };
        assert_eq!(menu(what, body).await.0, 200, "{deed}");
        wait(20).await;
    }
    let state: Value = menu("GET state", json!({})).await.1;
    assert_eq!(state["servers"][0]["state"], "stopped");
    assert_eq!(menu("POST servers/hand/paint", json!({})).await.0, 400);
    assert_eq!(menu("POST servers/nobody/stop", json!({})).await.0, 409);
    assert!(
        client.0.requests().is_empty(),
        "deeds out of band are not in the log"
    );
}
