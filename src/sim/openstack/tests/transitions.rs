use serde_json::{Value, json};

use super::{Client, message};

const ACTIVE: &str = "ACTIVE/active/-/1";
const SHUTOFF: &str = "SHUTOFF/stopped/-/4";
const VERIFY: &str = "VERIFY_RESIZE/resized/-/1";

/// What is done first, the request, its status, and what a poller sees after it.
fn rows() -> Vec<(Vec<Value>, Value, u16, Vec<&'static str>)> {
    let none = Value::Null;
    let stop = json!({"os-stop": none});
    let resize = json!({"resize": {"flavorRef": "2"}});
    let image = json!({"createImage": {"name": "i"}});
    let rebuild = json!({"rebuild": {"imageRef": "x"}});
    let row = |first: Vec<Value>, request: Value, status, states: Vec<&'static str>| {
        (first, request, status, states)
    };
    vec![
        row(
            vec![],
            stop.clone(),
            202,
            vec!["ACTIVE/active/powering-off/1", SHUTOFF],
        ),
        row(
            vec![stop.clone()],
            json!({"os-start": none}),
            202,
            vec!["SHUTOFF/stopped/powering-on/4", ACTIVE],
        ),
        row(
            vec![],
            json!({"reboot": {"type": "SOFT"}}),
            202,
            vec![
                "REBOOT/active/rebooting/1",
                "REBOOT/active/reboot_started/1",
                ACTIVE,
            ],
        ),
        row(
            vec![],
            json!({"reboot": {"type": "HARD"}}),
            202,
            vec![
                "HARD_REBOOT/active/rebooting_hard/1",
                "HARD_REBOOT/active/reboot_started_hard/1",
                ACTIVE,
            ],
        ),
        row(
            vec![stop.clone()],
            json!({"reboot": {"type": "HARD"}}),
            202,
            vec![
                "SHUTOFF/stopped/rebooting_hard/4",
                "SHUTOFF/stopped/reboot_started_hard/4",
                ACTIVE,
            ],
        ),
        row(
            vec![],
            json!({"pause": none}),
            202,
            vec!["ACTIVE/active/pausing/1", "PAUSED/paused/-/3"],
        ),
        row(
            vec![json!({"pause": none})],
            json!({"unpause": none}),
            202,
            vec!["PAUSED/paused/unpausing/3", ACTIVE],
        ),
        row(
            vec![],
            json!({"suspend": none}),
            202,
            vec!["ACTIVE/active/suspending/1", "SUSPENDED/suspended/-/7"],
        ),
        row(
            vec![json!({"suspend": none})],
            json!({"resume": none}),
            202,
            vec!["SUSPENDED/suspended/resuming/7", ACTIVE],
        ),
        row(
            vec![],
            json!({"rescue": {}}),
            200,
            vec!["ACTIVE/active/rescuing/1", "RESCUE/rescued/-/1"],
        ),
        row(
            vec![json!({"rescue": {}})],
            json!({"unrescue": none}),
            202,
            vec!["RESCUE/rescued/unrescuing/1", ACTIVE],
        ),
        row(
            vec![],
            rebuild.clone(),
            202,
            vec![
                "REBUILD/active/rebuilding/1",
                "REBUILD/active/rebuild_block_device_mapping/1",
                "REBUILD/active/rebuild_spawning/1",
                ACTIVE,
            ],
        ),
        row(
            vec![stop.clone()],
            rebuild,
            202,
            vec![
                "REBUILD/stopped/rebuilding/4",
                "REBUILD/stopped/rebuild_block_device_mapping/4",
                "REBUILD/stopped/rebuild_spawning/4",
                "ACTIVE/active/powering-off/1",
                SHUTOFF,
            ],
        ),
        row(
            vec![],
            json!({"shelve": none}),
            202,
            vec![
                "ACTIVE/active/shelving/1",
                "SHELVED/shelved/shelving_offloading/4",
                "SHELVED_OFFLOADED/shelved_offloaded/-/4",
            ],
        ),
        row(
            vec![json!({"shelve": none})],
            json!({"unshelve": none}),
            202,
            vec![
                "SHELVED_OFFLOADED/shelved_offloaded/unshelving/4",
                "SHELVED_OFFLOADED/shelved_offloaded/spawning/4",
                ACTIVE,
            ],
        ),
        row(vec![], image, 202, vec!["ACTIVE/active/image_snapshot/1", ACTIVE]),
        row(
            vec![],
            resize.clone(),
            202,
            vec![
                "RESIZE/active/resize_prep/1",
                "RESIZE/active/resize_migrating/1",
                "RESIZE/active/resize_migrated/1",
                "RESIZE/active/resize_finish/1",
                VERIFY,
            ],
        ),
        row(
            vec![stop.clone()],
            resize.clone(),
            202,
            vec![
                "RESIZE/stopped/resize_prep/4",
                "RESIZE/stopped/resize_migrating/4",
                "RESIZE/stopped/resize_migrated/4",
                "RESIZE/stopped/resize_finish/4",
                "VERIFY_RESIZE/resized/-/4",
            ],
        ),
        row(
            vec![resize.clone()],
            json!({"confirmResize": none}),
            204,
            vec![VERIFY, ACTIVE],
        ),
        row(
            vec![stop.clone(), resize.clone()],
            json!({"confirmResize": none}),
            204,
            vec!["VERIFY_RESIZE/resized/-/4", SHUTOFF],
        ),
        row(
            vec![resize.clone()],
            json!({"revertResize": none}),
            202,
            vec!["REVERT_RESIZE/resized/resize_reverting/1", ACTIVE],
        ),
        row(
            vec![stop, resize],
            json!({"revertResize": none}),
            202,
            vec!["REVERT_RESIZE/resized/resize_reverting/4", SHUTOFF],
        ),
        row(
            vec![],
            json!({"lock": {"locked_reason": "mine"}}),
            202,
            vec![ACTIVE],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_action_goes_its_way() {
    let client = Client::new().await;
    for (n, (first, request, status, states)) in rows().into_iter().enumerate() {
        let id = client.active(&format!("s{n}"), json!({})).await;
        for action in first {
            assert!(client.act(&id, action.clone()).await.0 < 300, "{action}");
            client.settle().await;
        }
        let mut request = request;
        if request.get("rebuild").is_some() {
            let image = client.sim.image_id("cirros-new").unwrap();
            request["rebuild"]["imageRef"] = json!(image);
        }
        let (got, body) = client.act(&id, request.clone()).await;
        assert_eq!(got, status, "{request}: {body}");
        assert_eq!(client.watch(&id, 10).await, states, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn building_and_deleting() {
    let client = Client::new().await;
    let id = client.create("a", json!({})).await;
    let states = client.watch(&id, 10).await;
    let expected = [
        "BUILD/building/scheduling/0",
        "BUILD/building/-/0",
        "BUILD/building/networking/0",
        "BUILD/building/block_device_mapping/0",
        "BUILD/building/spawning/0",
        ACTIVE,
    ];
    assert_eq!(states, expected);
    assert_eq!(
        client
            .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        client
            .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        message(&client.act(&id, json!({"os-stop": null})).await.1),
        format!("Cannot 'stop' instance {id} while it is in task_state deleting")
    );
    assert_eq!(
        client.watch(&id, 10).await,
        ["ACTIVE/active/deleting/1", "DELETED/deleted/-/0", "404"]
    );
    assert!(client.sim.live_servers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn deleting_while_building() {
    let client = Client::new().await;
    for (after, expected) in [
        (
            0,
            vec![
                "BUILD/building/scheduling/0",
                "BUILD/building/-/0",
                "BUILD/building/networking/0",
            ],
        ),
        (
            700,
            vec![
                "BUILD/building/deleting/0",
                "BUILD/building/block_device_mapping/0",
            ],
        ),
        (
            1800,
            vec![
                "BUILD/building/deleting/0",
                "ACTIVE/active/-/1",
                "DELETED/deleted/-/0",
                "404",
            ],
        ),
    ] {
        let id = client.create("a", json!({})).await;
        tokio::time::sleep(std::time::Duration::from_millis(after)).await;
        client
            .compute("DELETE", &format!("/servers/{id}"), &Value::Null)
            .await;
        let seen = client.watch(&id, 15).await;
        assert_eq!(seen[..expected.len()], expected, "{after}: {seen:?}");
        assert_eq!(seen.last().map(String::as_str), Some("404"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_give_the_same_cloud() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let client = Client::new().await;
        let id = client.create("a", json!({})).await;
        let states = client.watch(&id, 5).await;
        runs.push((id, states, client.sim.live_servers()));
    }
    assert_eq!(runs[0], runs[1]);
}
