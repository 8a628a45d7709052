use std::time::Duration;

use serde_json::{Value, json};

use super::super::{OpenStackSim, PASSWORD, SimConfig};
use super::{BASE, Client, json_of, password_body, send};

const TOKENS: &str = "/identity/v3/auth/tokens";

#[tokio::test(start_paused = true)]
async fn a_token_has_a_catalog_and_an_end() {
    let config = SimConfig {
        token_ttl: Duration::from_secs(25),
        ..SimConfig::default()
    };
    let sim = OpenStackSim::new(config);
    let response = send(&sim, "POST", TOKENS, &[], &password_body("demo", PASSWORD))
        .await
        .unwrap();
    let body = json_of(&response);
    let url = |kind: &str| {
        let services = body["token"]["catalog"].as_array().unwrap();
        let service = services.iter().find(|s| s["type"] == kind).unwrap();
        service["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .find(|e| e["interface"] == "public")
            .unwrap()["url"]
            .clone()
    };
    assert_eq!(url("compute"), format!("{BASE}/compute/v2.1"));
    assert_eq!(url("image"), format!("{BASE}/image"));
    assert_eq!(body["token"]["project"]["name"], "demo");
    let time = |key: &str| {
        body["token"][key]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert!((24..=26).contains(&time("expires_at").duration_since(time("issued_at")).as_secs()));
    let client = Client::log_in(&sim, "demo").await;
    assert_eq!(client.get("/servers").await.0, 200);
    tokio::time::sleep(Duration::from_secs(25)).await;
    let (status, body) = client.get("/servers").await;
    let text = "The request you have made requires authentication.";
    assert_eq!(
        (status, body),
        (
            401,
            json!({"error": {"code": 401, "title": "Unauthorized", "message": text}})
        )
    );
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let sim = OpenStackSim::new(SimConfig::default());
    let mut foreign = password_body("demo", PASSWORD);
    foreign["auth"]["scope"]["project"]["name"] = json!("alt");
    for body in [
        password_body("demo", "wrong"),
        password_body("nobody", PASSWORD),
        foreign,
    ] {
        let response = send(&sim, "POST", TOKENS, &[], &body).await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Keystone uri=")
        );
    }
    let credential = |id: &str, secret: &str| {
        json!({"auth": {"identity": {"methods": ["application_credential"],
                                     "application_credential": {"id": id, "secret": secret}}}})
    };
    for (body, status) in [
        (credential("nope", PASSWORD), 404),
        (credential(&sim.credential_id(), "wrong"), 401),
        (credential(&sim.credential_id(), PASSWORD), 201),
        (json!({}), 400),
    ] {
        assert_eq!(
            send(&sim, "POST", TOKENS, &[], &body).await.unwrap().status(),
            status,
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_revoked_and_forgotten() {
    let client = Client::new().await;
    let headers = [
        ("x-auth-token", client.token.as_str()),
        ("x-subject-token", client.token.as_str()),
    ];
    assert_eq!(
        send(&client.sim, "GET", TOKENS, &headers, &Value::Null)
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        send(&client.sim, "DELETE", TOKENS, &headers, &Value::Null)
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(client.get("/servers").await.0, 401);
    let client = Client::log_in(&client.sim, "demo").await;
    client.sim.expire_tokens();
    assert_eq!(client.get("/servers").await.0, 401);
    client.sim.set_password("demo", "other");
    let response = send(&client.sim, "POST", TOKENS, &[], &password_body("demo", PASSWORD))
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn versions_are_told_without_a_token() {
    let sim = OpenStackSim::new(SimConfig::default());
    for (path, status) in [
        ("/identity/v3", 200),
        ("/compute/v2.1/", 200),
        ("/image", 300),
        ("/network", 200),
    ] {
        assert_eq!(
            send(&sim, "GET", path, &[], &Value::Null).await.unwrap().status(),
            status,
            "{path}"
        );
    }
    let body = json_of(
        &send(&sim, "GET", "/compute/v2.1/", &[], &Value::Null)
            .await
            .unwrap(),
    );
    assert_eq!(
        (&body["version"]["min_version"], &body["version"]["version"]),
        (&json!("2.1"), &json!("2.104"))
    );
}
