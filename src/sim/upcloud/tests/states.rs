use serde_json::{Value, json};

use super::{CLOUD_INIT, Client, create, create_with, wait};
use crate::sim::upcloud::{Choices, HotResize, SimConfig, UpCloudSim};

#[tokio::test(start_paused = true)]
async fn a_creation_shows_progress_and_a_password_once() {
    let client = Client::new();
    let (status, body) = client.ask("POST /server", &create("web")).await;
    assert_eq!(status, 202);
    let server = &body["server"];
    assert_eq!(
        (&server["state"], &server["progress"]),
        (&json!("maintenance"), &json!("0"))
    );
    assert!(server["password"].is_string() && server["username"] == "root");
    assert_eq!(
        server["storage_devices"]["storage_device"][0]["storage_size"], 3,
        "the template's, for now"
    );
    let path = format!("GET /server/{}", server["uuid"].as_str().unwrap());
    let mut seen = Vec::new();
    for _ in 0..40 {
        let body = client.ok(&path, &Value::Null).await;
        assert!(body["server"]["password"].is_null());
        let now = (
            body["server"]["state"].clone(),
            body["server"]["progress"].clone(),
        );
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        wait(1).await;
    }
    let m = json!("maintenance");
    assert_eq!(
        seen,
        [
            (m.clone(), json!("0")),
            (m.clone(), json!("85")),
            (m.clone(), json!("95")),
            (m, Value::Null),
            (json!("started"), Value::Null)
        ]
    );
    let body = client.ok(&path, &Value::Null).await;
    assert_eq!(
        body["server"]["storage_devices"]["storage_device"][0]["storage_size"],
        20
    );
    assert!(body["server"]["host"].as_u64().unwrap() > u64::from(u32::MAX));
}

#[tokio::test(start_paused = true)]
async fn keys_take_the_place_of_the_password() {
    let client = Client::new();
    let mut body = create_with("/storage_devices/storage_device/0/storage", json!(CLOUD_INIT));
    body["server"]["metadata"] = json!("yes");
    body["server"]["login_user"] =
        json!({"username": "ops", "ssh_keys": {"ssh_key": ["ssh-ed25519 AAAA a"]}});
    let made = client.ok("POST /server", &body).await;
    assert!(made["server"]["password"].is_null());
    assert_eq!(made["server"]["username"], "ops");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_accepted_while_the_state_stays() {
    let client = Client::new();
    let id = client.server("web").await;
    let stop = format!("POST /server/{id}/stop");
    let body = client
        .ok(
            &stop,
            &json!({"stop_server": {"stop_type": "soft", "timeout": "60"}}),
        )
        .await;
    assert_eq!(body["server"]["state"], "started");
    assert_eq!(client.state(&id).await, "started");
    assert_eq!(
        client.refused(&stop, &Value::Null).await,
        (409, "SERVER_STATE_ILLEGAL".into())
    );
    wait(10).await;
    assert_eq!(client.state(&id).await, "stopped");
    let body = client.ok(&format!("GET /server/{id}"), &Value::Null).await;
    assert!(body["server"]["host"].is_null(), "a stopped server is on no host");
    let again = client.refused(&stop, &Value::Null).await;
    assert_eq!(again.1, "SERVER_STATE_ILLEGAL");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_guest_is_stopped_by_the_timeout_or_not_at_all() {
    let client = Client::new();
    let id = client.server("web").await;
    client.0.set_deaf("web", true).unwrap();
    let stop = format!("POST /server/{id}/stop");
    client
        .ok(&stop, &json!({"stop_server": {"stop_type": "soft"}}))
        .await;
    wait(3600).await;
    assert_eq!(client.state(&id).await, "started", "only the signal was sent");
    client
        .ok(
            &stop,
            &json!({"stop_server": {"stop_type": "soft", "timeout": "100"}}),
        )
        .await;
    wait(90).await;
    assert_eq!(client.state(&id).await, "started");
    wait(20).await;
    assert_eq!(client.state(&id).await, "stopped");
    client.ok(&format!("POST /server/{id}/start"), &Value::Null).await;
    client
        .ok(
            &stop,
            &json!({"stop_server": {"stop_type": "soft", "timeout": 600}}),
        )
        .await;
    client
        .ok(
            &stop,
            &json!({"stop_server": {"stop_type": "hard", "timeout": "900"}}),
        )
        .await;
    wait(8).await;
    assert_eq!(
        client.state(&id).await,
        "stopped",
        "a hard stop ends a soft one early"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_blocks_unless_it_is_asynchronous() {
    let client = Client::new();
    let id = client.server("web").await;
    let start = format!("POST /server/{id}/start");
    assert_eq!(
        client.refused(&start, &Value::Null).await.1,
        "SERVER_STATE_ILLEGAL"
    );
    for (body, state, at_least) in [
        (json!({"server": {"start_type": "async"}}), "maintenance", 0),
        (json!({"server": {}}), "started", 15),
        (Value::Null, "started", 15),
    ] {
        client.0.oob_stop("web").unwrap();
        wait(10).await;
        let before = tokio::time::Instant::now();
        let reply = client.ok(&start, &body).await;
        let took = before.elapsed().as_secs();
        assert_eq!(reply["server"]["state"], state);
        assert!(took >= at_least && took < at_least + 2, "{took} s for {body}");
        wait(16).await;
        assert_eq!(client.state(&id).await, "started");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_ignored_changes_nothing() {
    let client = Client::new();
    let id = client.server("web").await;
    let restart = format!("POST /server/{id}/restart");
    let body = |action: &str| json!({"restart_server": {"stop_type": "soft", "timeout": "20", "timeout_action": action}});
    assert_eq!(
        client.ok(&restart, &body("destroy")).await["server"]["state"],
        "started"
    );
    wait(10).await;
    assert_eq!(client.state(&id).await, "maintenance");
    wait(16).await;
    assert_eq!(client.state(&id).await, "started");
    client.0.set_deaf("web", true).unwrap();
    client.ok(&restart, &body("ignore")).await;
    for _ in 0..100 {
        wait(1).await;
        assert_eq!(client.state(&id).await, "started");
    }
    client.ok(&restart, &body("destroy")).await;
    wait(22).await;
    assert_eq!(client.state(&id).await, "maintenance");
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_to_the_host_that_it_names() {
    let client = Client::new();
    let id = client.server("web").await;
    let host = client.0.server("web").unwrap().host.unwrap();
    let restart = format!("POST /server/{id}/restart");
    let body = json!({"restart_server": {"stop_type": "hard", "host": host + 1}});
    assert_eq!(client.refused(&restart, &body).await.1, "HOST_FORBIDDEN");
    client.0.set_choices(Choices {
        private_hosts: true,
        ..Choices::default()
    });
    client.ok(&restart, &body).await;
    wait(60).await;
    let server = client.0.server("web").unwrap();
    assert_eq!((server.host, server.state.as_str()), (Some(host + 1), "started"));
}

#[tokio::test(start_paused = true)]
async fn a_running_server_grows_if_the_cloud_likes_and_never_shrinks() {
    let client = Client::new();
    let id = client.server("web").await;
    let put = format!("PUT /server/{id}");
    let plan = |name: &str| json!({"server": {"plan": name}});
    for (answer, status, code) in [
        (HotResize::NotEnabled, 409, "HOT_RESIZE_NOT_ENABLED"),
        (HotResize::Unavailable, 409, "HOT_RESIZE_UNAVAILABLE"),
        (HotResize::NoMemorySlots, 409, "NO_AVAILABLE_MEMORY_SLOTS"),
        (HotResize::FailedToAddMemory, 400, "FAILED_TO_ADD_MEMORY"),
    ] {
        client.0.set_hot_resize(answer);
        assert_eq!(
            client.refused(&put, &plan("2xCPU-4GB")).await,
            (status, code.to_owned())
        );
    }
    client.0.set_hot_resize(HotResize::Allowed);
    let (status, body) = client.ask(&put, &plan("2xCPU-4GB")).await;
    assert_eq!((status, &body["server"]["core_number"]), (202, &json!("2")));
    wait(5).await;
    assert_eq!(
        client.refused(&put, &plan("1xCPU-1GB")).await.1,
        "SERVER_STATE_ILLEGAL"
    );
    client.0.oob_stop("web").unwrap();
    wait(10).await;
    let custom = json!({"server": {"plan": "custom", "core_number": "1", "memory_amount": 1024}});
    let body = client.ok(&put, &custom).await;
    assert_eq!(
        (&body["server"]["plan"], &body["server"]["memory_amount"]),
        (&json!("custom"), &json!("1024"))
    );
    assert_eq!(body["server"]["state"], "stopped");
}

#[tokio::test(start_paused = true)]
async fn labels_are_replaced_whole_and_what_is_absent_stays() {
    let client = Client::new();
    let id = client.server("web").await;
    let put = format!("PUT /server/{id}");
    let body = client.ok(&put, &json!({"server": {"title": "new"}})).await;
    assert_eq!(body["server"]["labels"]["label"][0]["value"], "uid-web");
    let body = client
        .ok(
            &put,
            &json!({"server": {"labels": {"label": [{"key": "a", "value": ""}]}}}),
        )
        .await;
    assert_eq!(
        body["server"]["labels"],
        json!({"label": [{"key": "a", "value": ""}]})
    );
    assert_eq!(body["server"]["title"], "new");
    for (query, found) in [
        ("?label=A", 1),
        ("?label=a%3D", 1),
        ("?label=a%3Db", 0),
        ("/?label=a&label=b", 0),
        ("/", 1),
    ] {
        let list = client.ok(&format!("GET /server{query}"), &Value::Null).await;
        assert_eq!(
            list["servers"]["server"].as_array().unwrap().len(),
            found,
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stopped_server_is_deleted_and_its_disks_as_one_says() {
    let client = Client::new();
    let (one, two) = (client.server("one").await, client.server("two").await);
    assert_eq!(
        client
            .refused(&format!("DELETE /server/{one}"), &Value::Null)
            .await
            .1,
        "SERVER_STATE_ILLEGAL"
    );
    let disk = client.0.server("one").unwrap().storages["virtio:0"].clone();
    for _ in 0..2 {
        client.0.oob_backup(&disk).unwrap();
        wait(11).await;
    }
    for title in ["one", "two"] {
        client.0.oob_stop(title).unwrap();
    }
    wait(10).await;
    let none = Value::Null;
    let refused = client
        .refused(&format!("DELETE /server/{one}?backups=delete"), &none)
        .await;
    assert_eq!(refused, (400, "REQUEST_INVALID".into()));
    let (status, body) = client
        .ask(
            &format!("DELETE /server/{one}/?storages=1&backups=keep_latest"),
            &none,
        )
        .await;
    assert_eq!((status, body), (204, Value::Null));
    client.ok(&format!("DELETE /server/{two}"), &none).await;
    let left: Vec<String> = client.0.storages().into_iter().map(|s| s.kind).collect();
    assert_eq!(left.iter().filter(|k| *k == "backup").count(), 1);
    assert_eq!(
        left.iter().filter(|k| *k == "normal").count(),
        1,
        "the disk of the second one stays"
    );
    assert_eq!(
        client.refused(&format!("GET /server/{one}"), &none).await,
        (404, "SERVER_NOT_FOUND".into())
    );
    assert_eq!(client.0.high_water()["uid-one"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_creation_can_be_cancelled_and_nothing_else() {
    for gone in [false, true] {
        let client = Client(UpCloudSim::new(SimConfig {
            choices: Choices {
                cancelled_is_gone: gone,
                ..Default::default()
            },
            ..Default::default()
        }));
        let made = client.ok("POST /server", &create("web")).await;
        let id = made["server"]["uuid"].as_str().unwrap().to_owned();
        let cancel = format!("POST /server/{id}/cancel");
        assert_eq!(client.ask(&cancel, &Value::Null).await.0, 204);
        wait(60).await;
        let (status, body) = client.ask(&format!("GET /server/{id}"), &Value::Null).await;
        match gone {
            true => assert_eq!(status, 404),
            false => assert_eq!(body["server"]["state"], "stopped"),
        }
    }
    let client = Client::new();
    let id = client.server("web").await;
    let cancel = format!("POST /server/{id}/cancel");
    assert_eq!(
        client.refused(&cancel, &Value::Null).await.1,
        "SERVER_STATE_ILLEGAL"
    );
    client.0.oob_maintenance("web", 30).unwrap();
    assert_eq!(client.refused(&cancel, &Value::Null).await.1, "UNABLE_TO_CANCEL");
    wait(31).await;
    assert_eq!(client.state(&id).await, "started");
    client.0.set_error("web").unwrap();
    wait(600).await;
    assert_eq!(client.state(&id).await, "error");
    client.0.repair("web", false).unwrap();
    assert_eq!(client.state(&id).await, "stopped");
}
