//! Many objects at once.

use std::time::Duration;

use evenkeel::api::{ProviderConfig, Server};
use evenkeel::sim::openstack::SimConfig;
use serde_json::json;

use crate::scenarios::stage::ready;
use crate::world::{NAMESPACE, Virtual};

#[tokio::test(start_paused = true)]
async fn fifty_deleted_at_once_all_go() {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let s = world.stage().await;
    s.patch::<ProviderConfig>(
        "cloud",
        json!({"spec": {"maxCreatesInFlight": 50, "requests": {"perSecond": 50, "burst": 100}}}),
    )
    .await;
    world.run();
    for i in 0..50 {
        s.create(&format!("web-{i}"), json!({"deletion": {"powerOff": "None"}}))
            .await;
    }
    let all = |api: &evenkeel::sim::apiserver::ApiServer| {
        (0..50).all(|i| {
            api.read::<Server>(NAMESPACE, &format!("web-{i}"))
                .is_some_and(|x| ready(&x))
        })
    };
    world
        .api
        .wait_until("all Ready", Duration::from_secs(600), all)
        .await
        .unwrap();
    for i in 0..50 {
        world
            .api
            .delete(("servers", NAMESPACE, format!("web-{i}").as_str()))
            .unwrap();
    }
    let gone = |api: &evenkeel::sim::apiserver::ApiServer| {
        (0..50).all(|i| api.read::<Server>(NAMESPACE, &format!("web-{i}")).is_none())
    };
    world
        .api
        .wait_until("all gone", Duration::from_secs(120), gone)
        .await
        .unwrap();
}
