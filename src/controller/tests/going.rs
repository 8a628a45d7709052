//! A process that is told to go while the API server takes its time: what it has recorded it sends, and what it does not
//! send it does not record. The next one would have to wait out what may be on its way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::world::{WEB, World, condition};
use crate::sim::apiserver::{Fault, Rule, Verb};

/// So long takes each write.
const SLOW: Duration = Duration::from_millis(300);
/// More than the controller needs for any wish here, and less than anything that is waited out.
const SOON: Duration = Duration::from_secs(15);

fn slowed(world: &World) {
    for verb in [Verb::Update, Verb::Patch] {
        world
            .kube
            .fault(Rule::new(Fault::Hang(SLOW)).verb(verb).on("servers").always());
    }
}

/// One is told to go after so long, and another begins when it has gone.
async fn replaced(world: &World, running: super::world::Running, after: Duration) -> super::world::Running {
    tokio::time::sleep(after).await;
    running.stop.cancel();
    running.task.await.unwrap();
    world.start("p2")
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_not_held_up_by_who_went() {
    for milliseconds in (0..4000).step_by(50) {
        let world = World::with_config();
        slowed(&world);
        world.server("web");
        let began = Instant::now();
        let running = world.start("p1");
        let _next = replaced(&world, running, Duration::from_millis(milliseconds)).await;
        let object = world.kube.get(WEB).unwrap();
        let open = &object["status"]["createAttempt"];
        assert!(open.is_null(), "after {milliseconds} ms: {open}");
        world.ready(WEB).await;
        let took = began.elapsed();
        assert!(took < SOON, "after {milliseconds} ms: {took:?}");
        assert_eq!(world.cloud.live_servers().len(), 1, "after {milliseconds} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_held_up_by_who_went() {
    for milliseconds in (0..3000).step_by(50) {
        let world = World::with_config();
        world.server("web");
        let running = world.start("p1");
        world.ready(WEB).await;
        slowed(&world);
        world
            .kube
            .edit(WEB, |o: &mut Value| o["spec"]["powerState"] = json!("Stopped"))
            .unwrap();
        let began = Instant::now();
        let _next = replaced(&world, running, Duration::from_millis(milliseconds)).await;
        let stopped = |o: Option<&Value>| {
            o.is_some_and(|o| {
                condition(o, "Ready").0 == "True" && o["status"]["power"]["observed"] == "Stopped"
            })
        };
        world
            .kube
            .wait_for(WEB, 5 * super::MINUTE, stopped)
            .await
            .unwrap();
        let took = began.elapsed();
        assert!(took < SOON, "after {milliseconds} ms: {took:?}");
        let asked = &world.cloud.live_servers()[0].asked;
        assert_eq!(asked, &["create", "stop"], "after {milliseconds} ms");
    }
}

/// A deed on the object `web`.
fn deed(name: &str, what: &Value) -> Value {
    let mut spec = json!({"serverRef": {"name": "web"}});
    spec.as_object_mut()
        .unwrap()
        .extend(what.as_object().unwrap().clone());
    json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// The reply to the first deed is taken in, and the second is not recorded by who will not send it.
#[tokio::test(start_paused = true)]
async fn a_deed_that_follows_another_is_not_lost_with_who_went() {
    for milliseconds in (0..4000).step_by(50) {
        let world = World::with_config();
        world.server("web");
        let running = world.start("p1");
        world.ready(WEB).await;
        slowed(&world);
        world
            .kube
            .apply(&deed("a-read", &json!({"consoleOutput": {"lines": 5}})))
            .unwrap();
        world
            .kube
            .apply(&deed("b-reboot", &json!({"reboot": {"mode": "Hard"}})))
            .unwrap();
        let _next = replaced(&world, running, Duration::from_millis(milliseconds)).await;
        for name in ["a-read", "b-reboot"] {
            let place = ("serveractions", "default", name);
            let over = |o: Option<&Value>| {
                o.is_some_and(|o| ["Complete", "Failed"].iter().any(|c| condition(o, c).0 == "True"))
            };
            world
                .kube
                .wait_for(place, 30 * super::MINUTE, over)
                .await
                .unwrap();
            let object = world.kube.get(place).unwrap();
            assert_eq!(
                condition(&object, "Complete").0,
                "True",
                "after {milliseconds} ms, {name}: {}",
                object["status"]
            );
        }
        let asked = &world.cloud.live_servers()[0].asked;
        let reboots = asked.iter().filter(|word| word.contains("reboot")).count();
        assert_eq!(reboots, 1, "after {milliseconds} ms: {asked:?}");
    }
}
