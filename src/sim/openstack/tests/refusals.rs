use serde_json::{Value, json};

use super::super::{OpenStackSim, Quota, SimConfig};
use super::{Client, message};

#[tokio::test(start_paused = true)]
async fn wrong_states_are_refused_in_words() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    for (action, name) in [
        (json!({"os-start": null}), "start"),
        (json!({"confirmResize": null}), "confirmResize"),
        (json!({"unpause": null}), "unpause"),
        (json!({"unshelve": null}), "unshelve"),
    ] {
        let (status, body) = client.act(&id, action).await;
        assert_eq!(status, 409);
        let text = format!("Cannot '{name}' instance {id} while it is in vm_state active");
        assert_eq!(
            body,
            json!({"conflictingRequest": {"code": 409, "message": text}})
        );
    }
    client.act(&id, json!({"os-stop": null})).await;
    let (_, body) = client.act(&id, json!({"resize": {"flavorRef": "2"}})).await;
    assert_eq!(
        message(&body),
        format!("Cannot 'resize' instance {id} while it is in task_state powering-off")
    );
    client.settle().await;
    for (action, name) in [
        (json!({"reboot": {"type": "SOFT"}}), "reboot"),
        (json!({"pause": null}), "pause"),
    ] {
        let (_, body) = client.act(&id, action).await;
        assert_eq!(
            message(&body),
            format!("Cannot '{name}' instance {id} while it is in vm_state stopped")
        );
    }
    let id = client.create("b", json!({})).await;
    let (_, body) = client.act(&id, json!({"os-stop": null})).await;
    assert_eq!(
        message(&body),
        format!("Cannot 'stop' instance {id} while it is in vm_state building")
    );
    let (_, body) = client
        .compute(
            "POST",
            &format!("/servers/{id}/metadata"),
            &json!({"metadata": {"a": "b"}}),
        )
        .await;
    assert_eq!(
        message(&body),
        format!("Cannot 'update metadata' instance {id} while it is in vm_state building")
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_host_takes_deletion_only() {
    let client = Client::new().await;
    let id = client.active("a", json!({"fake.fault.spawn": "abort:x"})).await;
    let (status, body) = client.act(&id, json!({"os-stop": null})).await;
    assert_eq!(
        (status, message(&body)),
        (409, format!("Instance {id} is not ready"))
    );
    let (status, body) = client.act(&id, json!({"reboot": {"type": "HARD"}})).await;
    assert_eq!(
        (status, message(&body)),
        (409, format!("Instance {id} is in an invalid state for 'reboot'"))
    );
    let (status, body) = client.act(&id, json!({"os-start": null})).await;
    assert_eq!(
        (status, message(&body)),
        (
            409,
            format!("Cannot 'start' instance {id} while it is in vm_state error")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn confirming_twice_is_a_bad_request() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    client.act(&id, json!({"resize": {"flavorRef": "2"}})).await;
    client.settle().await;
    assert_eq!(client.act(&id, json!({"confirmResize": null})).await.0, 204);
    assert_eq!(client.state(&id).await, "VERIFY_RESIZE/resized/-/1");
    let (status, body) = client.act(&id, json!({"confirmResize": null})).await;
    assert_eq!(
        (status, message(&body).as_str()),
        (400, "Instance has not been resized.")
    );
    client.settle().await;
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(body["server"]["flavor"]["original_name"], "m1.small");
}

#[tokio::test(start_paused = true)]
async fn a_reverted_resize_has_the_old_flavor() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    client.act(&id, json!({"resize": {"flavorRef": "2"}})).await;
    client.settle().await;
    client.act(&id, json!({"revertResize": null})).await;
    client.settle().await;
    assert_eq!(client.sim.server(&id).unwrap().flavor, "m1.tiny");
}

#[tokio::test(start_paused = true)]
async fn locks() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    assert_eq!(client.act(&id, json!({"lock": null})).await.0, 202);
    assert_eq!(client.act(&id, json!({"lock": null})).await.0, 202);
    let (status, body) = client.act(&id, json!({"os-stop": null})).await;
    assert_eq!(
        (status, message(&body)),
        (409, format!("Instance {id} is locked"))
    );
    let (status, body) = client
        .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
        .await;
    assert_eq!(
        (status, message(&body)),
        (409, format!("Instance {id} is locked"))
    );
    assert_eq!(client.act(&id, json!({"unlock": null})).await.0, 202);
    client.sim.oob_lock(&id, "audit").unwrap();
    let (status, body) = client.act(&id, json!({"unlock": null})).await;
    assert_eq!(status, 403);
    assert!(message(&body).contains("unlock_override"));
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(body["server"]["locked_reason"], "audit");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_create_is_refused_at_once() {
    let client = Client::new().await;
    let missing = "11111111-1111-4111-8111-111111111111";
    for (key, value, status, text) in [
        ("flavorRef", json!("nope"), 400, "Flavor nope could not be found."),
        ("imageRef", json!(missing), 400, "Can not find requested image"),
        (
            "imageRef",
            json!("nope"),
            400,
            "Invalid input for field/attribute imageRef. Value: nope. 'nope' is not valid",
        ),
        (
            "networks",
            json!([{"uuid": missing}]),
            400,
            "Network 11111111-1111-4111-8111-111111111111 could not be found.",
        ),
        ("key_name", json!("nope"), 400, "Invalid key_name provided."),
        (
            "availability_zone",
            json!("nope"),
            400,
            "The requested availability zone is not available",
        ),
        (
            "security_groups",
            json!([{"name": "nope"}]),
            400,
            "Unable to find security_group with name or id 'nope'",
        ),
        (
            "metadata",
            json!({"a": "x".repeat(256)}),
            400,
            "Invalid input for field/attribute a.",
        ),
        (
            "surprise",
            json!(1),
            400,
            "Invalid input for field/attribute server.",
        ),
    ] {
        let mut body = client.server_body("a", json!({}));
        body["server"][key] = value;
        let (got, answer) = client.compute("POST", "/servers", &body).await;
        assert_eq!(got, status, "{key}");
        assert!(message(&answer).starts_with(text), "{answer}");
    }
    assert!(client.sim.live_servers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn quotas() {
    let client = Client::log_in(&OpenStackSim::new(SimConfig::default()), "quota").await;
    client.create("a", json!({})).await;
    let (status, body) = client
        .compute("POST", "/servers", &client.server_body("b", json!({})))
        .await;
    let text = "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances";
    assert_eq!(
        (status, body),
        (403, json!({"forbidden": {"code": 403, "message": text}}))
    );

    let quota = Quota {
        ram: 600,
        ..Quota::default()
    };
    let client = Client::with(SimConfig {
        quota,
        ..SimConfig::default()
    })
    .await;
    let id = client.active("a", json!({})).await;
    let (status, body) = client
        .compute("POST", "/servers", &client.server_body("b", json!({})))
        .await;
    assert_eq!(status, 403);
    assert_eq!(
        message(&body),
        "Quota exceeded for ram: Requested 512, but already used 512 of 600 ram"
    );
    assert_eq!(
        client.act(&id, json!({"resize": {"flavorRef": "2"}})).await.0,
        403
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist() {
    let client = Client::new().await;
    let (status, body) = client.get("/servers/nope").await;
    let text = "Instance nope could not be found.";
    assert_eq!(
        (status, body),
        (404, json!({"itemNotFound": {"code": 404, "message": text}}))
    );
    let (status, body) = client.act("nope", json!({"os-stop": null})).await;
    assert_eq!(
        (status, message(&body).as_str()),
        (404, "Instance nope has no mapping to a cell.")
    );
    let id = client.active("a", json!({})).await;
    let (status, body) = client.act(&id, json!({"frobnicate": null})).await;
    assert_eq!(
        (status, message(&body).as_str()),
        (400, "There is no such action: frobnicate")
    );
    let (status, body) = client.act(&id, json!({"resize": {"flavorRef": "1"}})).await;
    assert_eq!(
        (status, message(&body).as_str()),
        (400, "When resizing, instances must change flavor!")
    );
    let other = Client::log_in(&client.sim, "alt").await;
    assert_eq!(other.get(&format!("/servers/{id}")).await.0, 404);
    let (status, body) = client
        .act(&id, json!({"os-resetState": {"state": "error"}}))
        .await;
    assert_eq!(status, 403, "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_root_disk_that_is_a_volume_takes_an_image_from_2_93_on_and_no_backup() {
    let mut client = Client::new().await;
    let volume = json!([{"boot_index": 0, "uuid": client.sim.add_volume(), "source_type": "volume", "destination_type": "volume"}]);
    let mut body = client.server_body("a", json!({}));
    body["server"]["imageRef"] = json!("");
    body["server"]["block_device_mapping_v2"] = volume;
    let (status, body) = client.compute("POST", "/servers", &body).await;
    assert_eq!(status, 202, "{body}");
    let id = body["server"]["id"].as_str().unwrap().to_owned();
    client.settle().await;
    let rebuild = json!({"rebuild": {"imageRef": client.sim.image_id("cirros-new")}});
    client.version = "2.92";
    let (status, body) = client.act(&id, rebuild.clone()).await;
    assert_eq!(status, 400, "{body}");
    assert!(message(&body).contains("volume-backed"), "{body}");
    client.version = "2.93";
    assert_eq!(client.act(&id, rebuild).await.0, 202);
    client.settle().await;
    let server = client.sim.server(&id).unwrap();
    assert_eq!((server.image.as_str(), server.status.as_str()), ("", "ACTIVE"));
    let backup = json!({"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}});
    let (status, body) = client.act(&id, backup).await;
    assert_eq!(status, 400, "{body}");
    assert!(message(&body).contains("volume-backed"), "{body}");
    let image = json!({"createImage": {"name": "b"}});
    assert_eq!(client.act(&id, image).await.0, 202);
}
