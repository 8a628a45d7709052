use serde_json::{Value, json};

use super::{Client, message};

#[tokio::test(start_paused = true)]
async fn fields_come_with_their_version() {
    let mut client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let mut previous = "2.1";
    client.version = previous;
    for (version, field) in [
        ("2.9", "locked"),
        ("2.19", "description"),
        ("2.26", "tags"),
        ("2.63", "trusted_image_certificates"),
        ("2.71", "server_groups"),
        ("2.73", "locked_reason"),
        ("2.90", "OS-EXT-SRV-ATTR:hostname"),
        ("2.96", "pinned_availability_zone"),
        ("2.100", "scheduler_hints"),
    ] {
        let (_, before) = client.get(&format!("/servers/{id}")).await;
        assert!(before["server"].get(field).is_none(), "{field} in {previous}");
        client.version = version;
        let (_, body) = client.get(&format!("/servers/{id}")).await;
        assert!(body["server"].get(field).is_some(), "{field} in {version}");
        previous = version;
    }
    client.version = "2.46";
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(body["server"]["flavor"]["id"], "1");
    client.version = "2.47";
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    assert_eq!(body["server"]["flavor"]["original_name"], "m1.tiny");
    assert!(body["server"]["flavor"].get("id").is_none());
    let (_, list) = client.get("/servers/detail").await;
    assert!(list["servers"][0].get("server_groups").is_none());
    for (version, status) in [
        ("2.105", 406),
        ("2.0", 406),
        ("3.1", 406),
        ("x", 400),
        ("latest", 200),
    ] {
        client.version = version;
        assert_eq!(client.get("/servers").await.0, status, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_say_version_and_request() {
    let client = Client::new().await;
    let id = client.active("a", json!({})).await;
    let path = format!("/servers/{id}/action");
    let response = client
        .try_compute("POST", &path, &json!({"os-stop": null}))
        .await
        .unwrap();
    assert_eq!(response.headers()["openstack-api-version"], "compute 2.96");
    let request = response.headers()["x-openstack-request-id"].to_str().unwrap();
    client.settle().await;
    let (_, body) = client
        .get(&format!("/servers/{id}/os-instance-actions/{request}"))
        .await;
    assert_eq!(body["instanceAction"]["action"], "stop");
    assert_eq!(body["instanceAction"]["events"][0]["result"], "Success");
}

#[tokio::test(start_paused = true)]
async fn a_build_shows_little() {
    let client = Client::new().await;
    let body = client.server_body("a", json!({"k": "v"}));
    let response = client.try_compute("POST", "/servers", &body).await.unwrap();
    assert!(response.headers().contains_key("location"));
    let created = super::json_of(&response);
    assert!(created["server"].get("status").is_none());
    let id = created["server"]["id"].as_str().unwrap();
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    let s = &body["server"];
    assert_eq!((&s["hostId"], &s["addresses"]), (&json!(""), &json!({})));
    assert_eq!(s["OS-SRV-USG:launched_at"], Value::Null);
    assert!(s.get("security_groups").is_none());
    client.settle().await;
    let (_, body) = client.get(&format!("/servers/{id}")).await;
    let s = &body["server"];
    assert_eq!(s["hostId"].as_str().unwrap().len(), 56);
    assert_eq!(s["addresses"]["demo-net"].as_array().unwrap().len(), 1);
    assert_eq!(s["metadata"], json!({"k": "v"}));
    assert!(s.get("security_groups").is_some());
    assert!(s.get("fault").is_none());
}

#[tokio::test(start_paused = true)]
async fn metadata_and_tags() {
    let client = Client::new().await;
    let id = client.active("a", json!({"keep": "1"})).await;
    let path = |rest: &str| format!("/servers/{id}/{rest}");
    let (_, body) = client
        .compute("POST", &path("metadata"), &json!({"metadata": {"new": "2"}}))
        .await;
    assert_eq!(body, json!({"metadata": {"keep": "1", "new": "2"}}));
    let (_, body) = client
        .compute("PUT", &path("metadata/new"), &json!({"meta": {"new": "3"}}))
        .await;
    assert_eq!(body, json!({"meta": {"new": "3"}}));
    assert_eq!(
        client
            .compute("DELETE", &path("metadata/new"), &Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        client
            .compute("DELETE", &path("metadata/new"), &Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(client.compute("PUT", &path("tags/a"), &Value::Null).await.0, 201);
    assert_eq!(client.compute("PUT", &path("tags/a"), &Value::Null).await.0, 204);
    assert_eq!(client.get(&path("tags")).await.1, json!({"tags": ["a"]}));
    assert_eq!(
        client.compute("DELETE", &path("tags/a"), &Value::Null).await.0,
        204
    );
    client.sim.set_error(&id, "broken").unwrap();
    let (status, body) = client
        .compute("PUT", &path("metadata/k"), &json!({"meta": {"k": "v"}}))
        .await;
    assert_eq!(status, 409);
    assert!(
        message(&body).ends_with("while it is in vm_state error"),
        "{body}"
    );
    let (status, _) = client
        .compute(
            "PUT",
            &format!("/servers/{id}"),
            &json!({"server": {"name": "b"}}),
        )
        .await;
    assert_eq!(
        (status, client.sim.server(&id).unwrap().name.as_str()),
        (200, "b")
    );
}
