use std::collections::BTreeSet;

use serde_json::json;

use super::super::SimConfig;
use super::{Client, message};

#[tokio::test(start_paused = true)]
async fn pages_are_followed_to_an_empty_one() {
    let client = Client::with(SimConfig {
        page_limit: 2,
        ..SimConfig::default()
    })
    .await;
    for n in 0..4 {
        client.create(&format!("s{n}"), json!({})).await;
    }
    let (mut path, mut names, mut pages) = ("/servers/detail".to_owned(), Vec::new(), 0);
    loop {
        let (status, body) = client.get(&path).await;
        assert_eq!(status, 200, "{body}");
        pages += 1;
        names.extend(
            body["servers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["name"].as_str().unwrap().to_owned()),
        );
        match body["servers_links"][0]["href"].as_str() {
            Some(href) => path = href.split_once("/compute/v2.1").unwrap().1.to_owned(),
            None => break,
        }
    }
    assert_eq!(
        (pages, names),
        (3, ["s3", "s2", "s1", "s0"].map(String::from).to_vec())
    );
    let (_, body) = client.get("/servers?limit=1").await;
    let server = body["servers"][0].as_object().unwrap();
    assert_eq!(
        server.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["id", "links", "name"])
    );
    let (status, body) = client.get("/servers?marker=nope").await;
    assert_eq!(
        (status, message(&body).as_str()),
        (400, "marker [nope] not found")
    );
}

#[tokio::test(start_paused = true)]
async fn filters() {
    let client = Client::new().await;
    let mut tagged = client.server_body("web-1", json!({}));
    tagged["server"]["tags"] = json!(["evenkeel-u1"]);
    assert_eq!(client.compute("POST", "/servers", &tagged).await.0, 202);
    client.create("web-10", json!({})).await;
    client.settle().await;
    client.sim.oob_stop("web-10").unwrap();
    client.settle().await;
    let names = async |query: &str| {
        let (status, body) = client.get(&format!("/servers?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let servers = body["servers"].as_array().unwrap().clone();
        servers
            .iter()
            .map(|s| s["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("name=web-1").await, ["web-10", "web-1"]);
    assert_eq!(names("name=%5Eweb-1%24").await, ["web-1"]);
    assert_eq!(names("status=SHUTOFF").await, ["web-10"]);
    assert_eq!(names("tags=evenkeel-u1").await, ["web-1"]);
    assert_eq!(names("locked=true").await, [""; 0]);
    let (status, body) = client.get("/servers?status=BOGUS").await;
    assert_eq!((status, message(&body).as_str()), (400, "Invalid status value"));
    assert_eq!(client.get("/servers?surprise=1").await.0, 400);
    assert_eq!(client.get("/servers?all_tenants=1").await.0, 403);
    let old = Client {
        version: "2.74",
        ..client
    };
    assert_eq!(old.get("/servers?surprise=1").await.0, 200);
    let other = Client::log_in(&old.sim, "alt").await;
    assert_eq!(other.get("/servers").await.1, json!({"servers": []}));
}

#[tokio::test(start_paused = true)]
async fn catalog_by_name() {
    let client = Client::new().await;
    let headers = [("x-auth-token", client.token.as_str())];
    let ask = async |path: &str| {
        super::json_of(
            &super::send(&client.sim, "GET", path, &headers, &serde_json::Value::Null)
                .await
                .unwrap(),
        )
    };
    let images = ask("/image/v2/images?name=cirros").await;
    assert_eq!(images["images"].as_array().unwrap().len(), 1);
    assert_eq!(images["images"][0]["id"], json!(client.sim.image_id("cirros")));
    let networks = ask("/network/v2.0/networks?name=demo-net").await;
    assert_eq!(
        networks["networks"][0]["id"],
        json!(client.sim.network_id("demo-net"))
    );
    assert_eq!(
        ask("/network/v2.0/networks?name=alt-net").await,
        json!({"networks": []})
    );
    assert_eq!(ask("/image/v2/images/nope").await["code"], "404 Not Found");
    let (_, flavors) = client.get("/flavors/detail").await;
    let named = flavors["flavors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "m1.small")
        .unwrap()
        .clone();
    assert_eq!(
        (&named["id"], &named["ram"], &named["vcpus"]),
        (&json!("2"), &json!(2048), &json!(1))
    );
}
