use serde_json::{Value, json};

use super::{Client, create_with, wait};
use crate::sim::upcloud::Choices;

async fn group(client: &Client, policy: &str, servers: &[&str]) -> Value {
    let body = json!({"server_group": {"title": "webs", "anti_affinity": policy, "servers": {"server": servers},
                      "labels": {"label": [{"key": "managedBy", "value": "us"}]}}});
    client.ok("POST /server-group", &body).await["server_group"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_strict_group_never_shares_a_host() {
    let client = Client::new();
    client.0.set_hosts(2);
    let id = group(&client, "strict", &[]).await["uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    let with_group = create_with("/server_group", json!(id));
    for _ in 0..2 {
        client.ok("POST /server", &with_group).await;
    }
    let code = client.refused("POST /server", &with_group).await;
    assert_eq!(code, (409, "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA".into()));
    wait(40).await;
    let first = client.0.live_servers()[0].id.clone();
    client.0.oob_stop(&first).unwrap();
    wait(10).await;
    client.0.set_hosts(0);
    let start = format!("POST /server/{first}/start");
    assert_eq!(
        client.refused(&start, &Value::Null).await.1,
        "SERVER_RESOURCES_UNAVAILABLE"
    );
    client.0.set_hosts(1);
    let other = client.0.live_servers()[1].host;
    if other == Some(7_653_311_107) {
        for (choices, code) in [
            (Choices::default(), "SERVER_RESOURCES_UNAVAILABLE"),
            (
                Choices {
                    strict_code_on_start: true,
                    ..Default::default()
                },
                "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA",
            ),
        ] {
            client.0.set_choices(choices);
            assert_eq!(client.refused(&start, &Value::Null).await.1, code);
        }
    }
    client.0.set_hosts(2);
    client
        .ok(&start, &json!({"server": {"start_type": "async"}}))
        .await;
    let hosts: Vec<_> = client.0.live_servers().into_iter().map(|s| s.host).collect();
    assert_ne!(hosts[0], hosts[1]);
}

#[tokio::test(start_paused = true)]
async fn a_best_effort_group_says_unmet() {
    let client = Client::new();
    client.0.set_hosts(1);
    let (one, two) = (client.server("one").await, client.server("two").await);
    let shown = group(&client, "yes", &[&one, &two]).await;
    assert_eq!(
        shown["anti_affinity_status"],
        json!([{"uuid": one, "status": "unmet"}, {"uuid": two, "status": "unmet"}])
    );
    let id = shown["uuid"].as_str().unwrap();
    let patch = format!("PATCH /server-group/{id}");
    let strict = json!({"server_group": {"anti_affinity": "strict"}});
    assert_eq!(
        client.refused(&patch, &strict).await,
        (409, "STRICT_ANTI_AFFINITY_NOT_MET".into())
    );
    client.0.oob_move("two", 7_653_311_108).unwrap();
    let shown = client.ok(&patch, &strict).await;
    assert_eq!(shown["server_group"]["anti_affinity_status"][0]["status"], "met");
    let none = client
        .ok(&patch, &json!({"server_group": {"anti_affinity": "no"}}))
        .await;
    assert!(none["server_group"]["anti_affinity_status"].is_null());
    assert_eq!(
        client
            .refused(&patch, &json!({"server_group": {"anti_affinity": "maybe"}}))
            .await
            .0,
        400
    );
}

#[tokio::test(start_paused = true)]
async fn members_are_replaced_added_and_removed() {
    let client = Client::new();
    let (one, two) = (client.server("one").await, client.server("two").await);
    let id = group(&client, "no", &[&one]).await["uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/server-group/{id}");
    let add = |server: &str| json!({"server": {"uuid": server}});
    let (status, body) = client.ask(&format!("POST {path}/servers"), &add(&two)).await;
    assert_eq!((status, body), (204, Value::Null));
    let again = client.refused(&format!("POST {path}/servers"), &add(&two)).await;
    assert_eq!(again, (409, "ALREADY_IN_SERVER_GROUP".into()));
    let other = json!({"server_group": {"servers": {"server": [one]}}});
    assert_eq!(
        client.refused("POST /server-group", &other).await.1,
        "ALREADY_IN_SERVER_GROUP"
    );
    let titled = client
        .ok(&format!("PATCH {path}"), &json!({"server_group": {"title": "t"}}))
        .await;
    assert_eq!(
        titled["server_group"]["servers"]["server"],
        json!([one, two]),
        "what is absent stays"
    );
    let replaced = client
        .ok(
            &format!("PATCH {path}"),
            &json!({"server_group": {"servers": {"server": [two]}}}),
        )
        .await;
    assert_eq!(replaced["server_group"]["servers"]["server"], json!([two]));
    let server = client.ok(&format!("GET /server/{two}"), &Value::Null).await;
    assert_eq!(server["server"]["server_group"], json!(id));
    client
        .ok(&format!("DELETE {path}/servers/{two}"), &Value::Null)
        .await;
    let members = client.ok(&format!("GET {path}/servers"), &Value::Null).await;
    assert_eq!(members, json!({"servers": {"server": []}}));
    assert_eq!(client.ask(&format!("DELETE {path}"), &Value::Null).await.0, 204);
    assert_eq!(
        client.refused(&format!("GET {path}"), &Value::Null).await.1,
        "GROUP_NOT_FOUND"
    );
    assert_eq!(client.0.live_servers().len(), 2, "servers outlive their group");
    let list = client.ok("GET /server-group?label=managedby", &Value::Null).await;
    assert_eq!(list["server_groups"]["server_group"], json!([]));
}
