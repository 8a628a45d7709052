use serde_json::{Value, json};

use super::super::HypervisorOrder;
use super::Client;

const ACTIVE: &str = "ACTIVE/active/-/1";

/// Metadata, action, what a poller sees, the fault, and what the action's record says.
#[tokio::test(start_paused = true)]
async fn ordered_failures() {
    let client = Client::new().await;
    let cases: &[(Value, Value, &str, &str, Option<&str>)] = &[
        (
            json!({"fake.fault.power_off": "error:no"}),
            json!({"os-stop": null}),
            ACTIVE,
            "",
            Some("Error"),
        ),
        (
            json!({"fake.fault.pause": "error:no"}),
            json!({"pause": null}),
            ACTIVE,
            "",
            Some("Error"),
        ),
        (
            json!({"fake.fault.reboot": "error:no"}),
            json!({"reboot": {"type": "HARD"}}),
            ACTIVE,
            "",
            None,
        ),
        (
            json!({"fake.fault.migrate": "error:no move"}),
            json!({"resize": {"flavorRef": "2"}}),
            "ERROR/error/-/1",
            "no move",
            Some("Error"),
        ),
        (
            json!({"fake.fault.finish_migration": "error:no end"}),
            json!({"resize": {"flavorRef": "2"}}),
            "ERROR/error/-/1",
            "no end",
            Some("Error"),
        ),
        (
            json!({}),
            json!({"resize": {"flavorRef": "huge"}}),
            ACTIVE,
            "",
            Some("Error"),
        ),
        (
            json!({"fake.fault.power_off": "vanish"}),
            json!({"os-stop": null}),
            "SHUTOFF/stopped/-/0",
            "",
            None,
        ),
    ];
    for (metadata, action, end, fault, said) in cases {
        let id = client.active("f", metadata.clone()).await;
        assert!(client.act(&id, action.clone()).await.0 < 300);
        client.settle().await;
        assert_eq!(client.state(&id).await, *end, "{action}");
        let (_, body) = client.get(&format!("/servers/{id}")).await;
        assert_eq!(
            body["server"]["fault"]["message"].as_str().unwrap_or_default(),
            *fault
        );
        let (_, list) = client.get(&format!("/servers/{id}/os-instance-actions")).await;
        assert_eq!(list["instanceActions"][0]["message"].as_str(), *said, "{list}");
        if action["resize"]["flavorRef"] == "huge" {
            assert_eq!(body["server"]["flavor"]["original_name"], "m1.tiny");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn builds_that_fail() {
    let client = Client::new().await;
    let id = client
        .active("a", json!({"fake.fault.spawn": "abort:disk on fire"}))
        .await;
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(client.state(&id).await, "ERROR/error/-/0");
    let text = format!("Build of instance {id} aborted: disk on fire");
    assert_eq!(
        (&body["server"]["hostId"], &body["server"]["fault"]["message"]),
        (&json!(""), &json!(text))
    );

    let id = client
        .create("r", json!({"fake.fault.spawn": "reschedule:busy"}))
        .await;
    let seen = client.watch(&id, 20).await;
    assert_eq!(
        seen.iter().filter(|s| *s == "BUILD/building/spawning/0").count(),
        3,
        "{seen:?}"
    );
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert!(
        body["server"]["fault"]["message"]
            .as_str()
            .unwrap()
            .ends_with("Last exception: busy"),
        "{body}"
    );

    let mut huge = client.server_body("h", json!({}));
    huge["server"]["flavorRef"] = json!("huge");
    let (_, body) = client.compute("POST", "/servers", &huge).await;
    let id = body["server"]["id"].as_str().unwrap();
    client.settle().await;
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(body["server"]["status"], "ERROR");
    assert_eq!(body["server"]["fault"]["code"], 500);
    assert!(
        body["server"]["fault"]["message"]
            .as_str()
            .unwrap()
            .starts_with("No valid host was found. ")
    );
    // Never on a host: deleting it takes no hypervisor.
    client
        .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(client.state(id).await, "404");
}

#[tokio::test(start_paused = true)]
async fn a_failed_delete_can_be_repeated() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let order = HypervisorOrder {
        call: "destroy".into(),
        server: None,
        delay_ms: None,
        fault: Some("error:stuck".into()),
    };
    client.sim.order(order);
    client
        .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
        .await;
    let seen = client.watch(&id, 10).await;
    assert_eq!(
        seen,
        [
            "ACTIVE/active/deleting/1",
            "ERROR/error/deleting/1",
            "ERROR/error/-/1"
        ]
    );
    client.sim.clear_faults();
    assert_eq!(
        client
            .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
            .await
            .0,
        204
    );
    client.settle().await;
    assert_eq!(client.state(&id).await, "404");
}
