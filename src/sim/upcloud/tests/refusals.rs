use serde_json::{Value, json};

use super::{CDROM, CLOUD_INIT, Client, NATIVE, NETWORK, create, create_with, wait};
use crate::sim::upcloud::errors::{CODES, status};
use crate::sim::upcloud::{Choices, FOREIGN_GROUP, FOREIGN_SERVER, FOREIGN_STORAGE, Limits, PASSWORD, USER};

const DEVICE: &str = "/storage_devices/storage_device/0";

#[tokio::test(start_paused = true)]
async fn a_creation_is_refused_with_the_documented_codes() {
    let device = |key: &str, value: Value| create_with(&format!("{DEVICE}/{key}"), value);
    let disk =
        |n: usize| json!({"action": "create", "size": 10, "title": "d", "address": format!("virtio:{n}")});
    let missing = "01999999-0000-4000-8000-000000000000";
    let interface = |block: Value| create_with("/networking/interfaces/interface", json!([block]));
    let ip = json!({"ip_address": [{"family": "IPv4"}]});
    let table: Vec<(Value, &str)> = vec![
        (create_with("/zone", Value::Null), "ZONE_MISSING"),
        (create_with("/zone", json!("xx-nowhere1")), "ZONE_NOT_FOUND"),
        (create_with("/zone", json!(1)), "ZONE_INVALID"),
        (create_with("/title", Value::Null), "SERVER_TITLE_MISSING"),
        (
            create_with("/title", json!("x".repeat(256))),
            "SERVER_TITLE_INVALID",
        ),
        (create_with("/hostname", Value::Null), "HOSTNAME_MISSING"),
        (
            create_with("/hostname", json!("Upper.example.net")),
            "HOSTNAME_INVALID",
        ),
        (create_with("/plan", json!("9xCPU-9GB")), "PLAN_INVALID"),
        (
            create_with("/core_number", json!("2")),
            "PLAN_CORE_NUMBER_ILLEGAL",
        ),
        (
            create_with("/memory_amount", json!(1024)),
            "PLAN_MEMORY_AMOUNT_ILLEGAL",
        ),
        (create_with("/core_number", json!("many")), "CORE_NUMBER_INVALID"),
        (
            create_with("/memory_amount", json!("much")),
            "MEMORY_AMOUNT_INVALID",
        ),
        (create_with("/boot_order", json!("floppy")), "BOOT_ORDER_INVALID"),
        (create_with("/firewall", json!("yes")), "FIREWALL_INVALID"),
        (create_with("/nic_model", json!("ne2000")), "NIC_MODEL_INVALID"),
        (create_with("/video_model", json!("ega")), "VIDEO_MODEL_INVALID"),
        (create_with("/timezone", json!("Helsinki")), "TIMEZONE_INVALID"),
        (
            create_with("/simple_backup", json!("2500,daily")),
            "SIMPLE_BACKUP_INVALID",
        ),
        (create_with("/remote_access_type", json!("spice")), "VNC_INVALID"),
        (
            create_with("/remote_access_password", json!("short")),
            "VNC_PASSWORD_INVALID",
        ),
        (
            create_with("/password_delivery", json!("post")),
            "PASSWORD_DELIVERY_INVALID",
        ),
        (create_with("/user_data", json!(1)), "USER_DATA_INVALID"),
        (
            create_with("/labels", json!({"label": [{"key": "_a", "value": ""}]})),
            "INVALID_LABEL_KEY",
        ),
        (
            create_with("/labels", json!({"label": [{"key": "a", "value": 1}]})),
            "INVALID_LABEL_VALUE",
        ),
        (
            create_with(
                "/labels",
                json!({"label": [{"key": "a", "value": ""}, {"key": "A", "value": ""}]}),
            ),
            "DUPLICATE_LABEL_KEYS",
        ),
        (
            create_with("/login_user", json!({"username": "daemon"})),
            "INVALID_USERNAME",
        ),
        (
            create_with(
                "/login_user",
                json!({"create_password": "yes", "ssh_keys": {"ssh_key": ["k"]}}),
            ),
            "CREATE_PASSWORD_INVALID",
        ),
        (create_with("/server_group", json!("none")), "GROUP_INVALID"),
        (
            create_with("/server_group", json!(FOREIGN_GROUP)),
            "GROUP_FORBIDDEN",
        ),
        (create_with("/server_group", json!(missing)), "GROUP_NOT_FOUND"),
        (create_with("/host", json!(1)), "HOST_NOT_FOUND"),
        (create_with("/host", json!(7_653_311_107_u64)), "HOST_FORBIDDEN"),
        (
            create_with("/storage_devices", Value::Null),
            "STORAGE_DEVICES_MISSING",
        ),
        (
            create_with("/storage_devices", json!([])),
            "STORAGE_DEVICES_INVALID",
        ),
        (
            create_with("/storage_devices/storage_device", json!([])),
            "STORAGE_DEVICE_MISSING",
        ),
        (
            create_with("/storage_devices/storage_device", json!(["x"])),
            "STORAGE_DEVICE_INVALID",
        ),
        (device("action", Value::Null), "ACTION_MISSING"),
        (device("action", json!("steal")), "ACTION_INVALID"),
        (device("type", json!("tape")), "TYPE_INVALID"),
        (device("tier", json!("gold")), "TIER_INVALID"),
        (device("size", json!(5)), "SIZE_INVALID"),
        (device("title", Value::Null), "STORAGE_TITLE_MISSING"),
        (device("storage", Value::Null), "STORAGE_MISSING"),
        (device("storage", json!("x")), "STORAGE_INVALID"),
        (device("storage", json!(missing)), "STORAGE_NOT_FOUND"),
        (device("storage", json!(FOREIGN_STORAGE)), "STORAGE_FORBIDDEN"),
        (device("storage", json!(CDROM)), "STORAGE_TYPE_ILLEGAL"),
        (
            device("storage", json!(CLOUD_INIT)),
            "METADATA_DISABLED_ON_CLOUD-INIT",
        ),
        (
            create_with(DEVICE, json!({"action": "create", "title": "d"})),
            "SIZE_MISSING",
        ),
        (
            create_with(DEVICE, json!({"action": "attach", "storage": NATIVE})),
            "STORAGE_TYPE_ILLEGAL",
        ),
        (
            create_with("/storage_devices/storage_device", json!([disk(1), disk(1)])),
            "DEVICE_ADDRESS_IN_USE",
        ),
        (
            create_with(
                "/storage_devices/storage_device",
                json!((0..17).map(disk).collect::<Vec<_>>()),
            ),
            "STORAGE_DEVICE_LIMIT_REACHED",
        ),
        (
            create_with(
                "/storage_devices/storage_device",
                json!([{"action": "clone", "storage": NATIVE, "title": "a"}, {"action": "clone", "storage": CLOUD_INIT, "title": "b"}]),
            ),
            "MULTIPLE_TEMPLATES",
        ),
        (
            create_with(
                "/storage_devices/storage_device",
                json!([{"action": "create", "size": 10, "title": "a", "boot_disk": "1"},
                       {"action": "create", "size": 10, "title": "b", "boot_disk": 1}]),
            ),
            "TOO_MANY_BOOT_DISKS",
        ),
        (create_with("/networking", Value::Null), "REQUEST_INVALID"),
        (
            interface(json!({"type": "private", "ip_addresses": ip})),
            "REQUEST_INVALID",
        ),
        (
            interface(
                json!({"type": "private", "network": "03999999-0000-4000-8000-000000000000", "ip_addresses": ip}),
            ),
            "NETWORK_NOT_FOUND",
        ),
        (
            interface(json!({"type": "public", "network": NETWORK, "ip_addresses": ip})),
            "REQUEST_INVALID",
        ),
        (interface(json!({"type": "public"})), "REQUEST_INVALID"),
    ];
    let client = Client::new();
    for (body, code) in table {
        let refused = client.refused("POST /server", &body).await;
        assert_eq!(refused, (status(code), code.to_owned()), "{body}");
    }
    assert!(client.0.live_servers().is_empty() && client.0.storages().is_empty());
    let mut custom = create_with("/plan", json!("custom"));
    custom["server"]["core_number"] = json!(3);
    custom["server"]["memory_amount"] = json!(1500);
    assert_eq!(
        client.refused("POST /server", &custom).await.1,
        "CORE_MEMORY_UNSUPPORTED"
    );
    let mut windows = create_with(&format!("{DEVICE}/storage"), json!(CLOUD_INIT));
    windows["server"]["metadata"] = json!("yes");
    let code = client.refused("POST /server", &windows).await.1;
    assert_eq!(code, "CAN_NOT_CREATE_PASSWORD_FOR_THE_SELECTED_DISTRIBUTION");
}

#[tokio::test(start_paused = true)]
async fn limits_and_capacity_have_their_codes() {
    let client = Client::new();
    let none = Limits::default();
    for (limits, code) in [
        (
            Limits {
                cores: Some(0),
                ..none
            },
            "SERVER_CORE_LIMIT_REACHED",
        ),
        (
            Limits {
                memory: Some(2047),
                ..none
            },
            "SERVER_MEMORY_LIMIT_REACHED",
        ),
        (
            Limits {
                maxiops: Some(19),
                ..none
            },
            "MAXIOPS_STORAGE_LIMIT_REACHED",
        ),
        (
            Limits {
                addresses: Some(0),
                ..none
            },
            "SERVER_IP_LIMIT_REACHED",
        ),
        (
            Limits {
                creating: Some(0),
                ..none
            },
            "SERVER_CREATING_LIMIT_REACHED",
        ),
        (
            Limits {
                trial_servers: Some(0),
                ..none
            },
            "TRIAL_SERVER_LIMIT_REACHED",
        ),
        (
            Limits {
                no_credits: true,
                ..none
            },
            "INSUFFICIENT_CREDITS",
        ),
    ] {
        client.0.set_quota(limits);
        assert_eq!(
            client.refused("POST /server", &create("web")).await,
            (status(code), code.to_owned())
        );
    }
    client.0.set_quota(none);
    client.0.set_hosts(0);
    assert_eq!(
        client.refused("POST /server", &create("web")).await.1,
        "SERVER_RESOURCES_UNAVAILABLE"
    );
    client.0.set_hosts(1);
    let id = client.server("web").await;
    client.0.oob_stop("web").unwrap();
    wait(10).await;
    client.0.set_hosts(0);
    let start = format!("POST /server/{id}/start");
    assert_eq!(
        client.refused(&start, &Value::Null).await.1,
        "SERVER_RESOURCES_UNAVAILABLE"
    );
    client.0.set_hosts(2);
    let host = 7_653_311_107_u64;
    client
        .ok(
            &start,
            &json!({"server": {"avoid_host": host, "start_type": "async"}}),
        )
        .await;
    assert_eq!(client.0.server("web").unwrap().host, Some(host + 1));
}

#[tokio::test(start_paused = true)]
async fn both_kinds_of_credential_open_and_nothing_else() {
    let client = Client::new();
    let basic =
        serde_json::to_value(k8s_openapi::ByteString(format!("{USER}:{PASSWORD}").into_bytes())).unwrap();
    let basic = format!("Basic {}", basic.as_str().unwrap());
    for (auth, expected) in [
        (basic.as_str(), 200),
        ("Bearer ucat_simulated", 200),
        ("Bearer ucat_other", 401),
        ("Basic ucat_simulated", 401),
        ("", 401),
    ] {
        let reply = client.send("GET /account", &Value::Null, auth).await.unwrap();
        assert_eq!(reply.status(), expected, "{auth}");
    }
    client.0.set_token("ucat_new");
    assert_eq!(
        client.refused("GET /account", &Value::Null).await,
        (401, "AUTHENTICATION_FAILED".into())
    );
    client.0.set_token("ucat_simulated");
    client.0.set_read_only(true);
    assert_eq!(
        client.refused("POST /server", &create("web")).await,
        (403, "ACTION_FORBIDDEN".into())
    );
    assert_eq!(client.ask("GET /server", &Value::Null).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn refusals_by_id_and_the_other_body() {
    let client = Client::new();
    for (what, expected) in [
        ("GET /server/x", (400, "SERVER_INVALID")),
        (
            "GET /server/00999999-0000-4000-8000-000000000000",
            (404, "SERVER_NOT_FOUND"),
        ),
        (
            &format!("DELETE /server/{FOREIGN_SERVER}"),
            (403, "SERVER_FORBIDDEN"),
        ),
        ("GET /server-group/x", (400, "GROUP_INVALID")),
        ("DELETE /server", (405, "METHOD_NOT_ALLOWED")),
        ("GET /nothing", (404, "NOT_FOUND")),
    ] {
        let (status, code) = client.refused(what, &Value::Null).await;
        assert_eq!((status, code.as_str()), expected, "{what}");
    }
    client.0.set_choices(Choices {
        problem_bodies: true,
        ..Default::default()
    });
    let reply = client
        .send("GET /server/x", &Value::Null, "Bearer ucat_simulated")
        .await
        .unwrap();
    assert_eq!(reply.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(reply.body()).unwrap();
    assert!(
        body["type"].as_str().unwrap().ends_with("#ERROR_SERVER_INVALID"),
        "{body}"
    );
    assert_eq!(body["status"], 400);
}

#[test]
fn each_code_has_one_status() {
    let mut all: Vec<&str> = CODES
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied())
        .collect();
    let before = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), before);
}
