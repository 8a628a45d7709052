//! Many objects at once.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server};
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::openstack::SimConfig;
use serde_json::json;

use crate::scenarios::stage::{Stage, condition, ready};
use crate::world::{NAMESPACE, Virtual};

const MANY: usize = 50;

fn each(api: &ApiServer, holds: impl Fn(Option<Server>) -> bool) -> bool {
    (0..MANY).all(|i| holds(api.read(NAMESPACE, &format!("web-{i}"))))
}

async fn fleet() -> (Virtual, Stage) {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let s = world.stage().await;
    s.patch::<ProviderConfig>(
        "cloud",
        json!({"spec": {"maxCreatesInFlight": MANY, "requests": {"perSecond": 50, "burst": 100}}}),
    )
    .await;
    world.run();
    for i in 0..MANY {
        s.create(&format!("web-{i}"), json!({"deletion": {"powerOff": "None"}}))
            .await;
    }
    let all = |api: &ApiServer| each(api, |x| x.is_some_and(|x| ready(&x)));
    let settled = world.api.wait_until("all Ready", Duration::from_secs(600), all);
    settled.await.unwrap();
    (world, s)
}

/// A condition of the account.
fn of_account(world: &Virtual, kind: &str) -> String {
    let config = world.api.get(("providerconfigs", NAMESPACE, "cloud")).unwrap();
    let all = config["status"]["conditions"].as_array().unwrap();
    let found = all.iter().find(|c| c["type"] == kind).unwrap();
    format!("{}/{}", found["status"], found["reason"]).replace('"', "")
}

/// Whether the observer took an absence for a hole in the list.
fn suspected(world: &Virtual) -> bool {
    world
        .log
        .text()
        .contains("lack a large share of the recorded servers")
}

#[tokio::test(start_paused = true)]
async fn fifty_deleted_at_once_all_go() {
    let (world, _s) = fleet().await;
    for i in 0..MANY {
        let name = format!("web-{i}");
        world.api.delete(("servers", NAMESPACE, name.as_str())).unwrap();
    }
    let gone = |api: &ApiServer| each(api, |x| x.is_none());
    let waited = world.api.wait_until("all gone", Duration::from_secs(120), gone);
    waited.await.unwrap();
    assert!(!suspected(&world), "what we delete ourselves is expected to go");
    assert!(world.sim.live_servers().is_empty());
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn fifty_deleted_by_somebody_else_are_believed_when_a_person_says_so() {
    let (world, s) = fleet().await;
    for server in world.sim.live_servers() {
        s.nova.delete(&server.id).await;
    }
    // The doubt is shown, on each of them and on their account.
    let doubted = |api: &ApiServer| {
        each(api, |x| {
            let ready = x.and_then(|x| condition(&x, ConditionType::Ready).cloned());
            ready.is_some_and(|c| c.status == "Unknown" && c.reason == "MassAbsence")
        })
    };
    let waited = world
        .api
        .wait_until("all in doubt", Duration::from_secs(200), doubted);
    waited.await.unwrap();
    assert_eq!(of_account(&world, "Ready"), "False/MassAbsence");
    assert_eq!(of_account(&world, "Reconciling"), "True/MassAbsence");
    // However long it lasts.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(doubted(&world.api));
    for i in 0..MANY {
        let retry = json!({"metadata": {"annotations": {"evenkeel.dev/retry": "gone"}}});
        let name = format!("web-{i}");
        s.patch::<Server>(&name, retry).await;
    }
    let missing = |api: &ApiServer| {
        each(api, |x| {
            let stalled = x.and_then(|x| condition(&x, ConditionType::Stalled).cloned());
            stalled.is_some_and(|c| c.reason == "Missing")
        })
    };
    let waited = world
        .api
        .wait_until("all Missing", Duration::from_secs(1200), missing);
    waited.await.unwrap();
    assert!(suspected(&world));
    // With the next list.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(of_account(&world, "Ready"), "True/Reachable");
    assert_eq!(of_account(&world, "Stalled"), "False/NotStalled");
    world.judge().await;
}
