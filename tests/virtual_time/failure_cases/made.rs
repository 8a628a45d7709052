//! Creations, and servers whose record is all that is left of them.

use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::sim::cloud::Spoil;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{ACTION, asked};
use crate::scenarios::stage::{id_of, ready};
use crate::steps::Step;
use crate::tap::{Fate, Side};
use crate::world::{NAMESPACE, PLANTED, Virtual};

#[tokio::test(start_paused = true)]
async fn an_error_in_reply_to_a_creation_that_was_carried_out_makes_no_second_server() {
    for code in [500, 502, 503, 504] {
        for how in [Spoil::Empty, Spoil::Html] {
            let (world, s) = Virtual::new().await;
            let effect = FaultEffect::Spoilt {
                how,
                code: Some(code),
            };
            world
                .sim
                .inject(FaultRule::new(effect).on("POST /servers").times(1));
            Step::Create.begin(&s).await;
            Step::Create.fulfilled(&s).await;
            Step::Create.check(&world);
            assert_eq!(asked(&world, "POST /servers"), 1, "{code} {how:?}");
            world.judge().await;
        }
    }
}

/// As a backup brings an object back: another uid, and the status that it had.
#[tokio::test(start_paused = true)]
async fn an_object_that_comes_back_with_its_status_makes_no_second_server() {
    for gone in [false, true] {
        let world = Virtual::empty();
        let s = world.stage().await;
        let first = world.start();
        s.create("web", json!({})).await;
        let server = s.ready("web").await;
        first.kill().await;
        let place = ("servers", NAMESPACE, "web");
        let backup = world.api.get(place).unwrap();
        world.api.force_delete(place).unwrap();
        if gone {
            world.sim.oob_delete(id_of(&server)).unwrap();
        }
        let mut again = json!({"apiVersion": backup["apiVersion"], "kind": backup["kind"], "spec": backup["spec"],
            "metadata": {"name": "web", "namespace": NAMESPACE, "finalizers": backup["metadata"]["finalizers"]}});
        again["metadata"]["annotations"] = json!({"backup": "yes"});
        world.api.apply(&again).unwrap();
        world
            .api
            .edit_status(place, |status| *status = backup["status"].clone())
            .unwrap();
        world.sim.reset_requests();
        world.run();
        let settled = s
            .wait("web", "it is said how it stands", |x| {
                let status = x.status.as_ref().unwrap();
                let stalled = status.conditions.iter().find(|c| c.type_ == "Stalled");
                let stalled = stalled.is_some_and(|c| c.status == "True" && c.reason == "Missing");
                x.metadata.uid != server.metadata.uid && if gone { stalled } else { ready(x) }
            })
            .await;
        sleep(Duration::from_secs(1200)).await;
        assert_eq!(id_of(&settled), id_of(&server));
        assert_eq!(asked(&world, "POST /servers"), 0);
        assert_eq!(world.sim.live_servers().len(), usize::from(!gone));
        if !gone {
            s.only(&settled).await;
            world.judge().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_password_in_the_middle_of_an_operation_loses_nothing() {
    for step in Step::ALL {
        for ms in [0, 7, 60, 1000] {
            let (world, s) = Virtual::new().await;
            step.prepare(&s).await;
            step.begin(&s).await;
            sleep(Duration::from_millis(ms)).await;
            let new = "planted-other-password";
            world.plant(new);
            world.sim.set_password("demo", new);
            world.sim.expire_tokens();
            sleep(Duration::from_secs(20)).await;
            let yaml = s.world.clouds_yaml().replace(PLANTED, new);
            s.patch::<Secret>("cloud", json!({"stringData": {"clouds.yaml": yaml}}))
                .await;
            step.fulfilled(&s).await;
            step.check(&world);
            world.judge().await;
        }
    }
}

/// Our confirmation is on its way when somebody else's arrives.
#[tokio::test(start_paused = true)]
async fn a_resize_that_the_cloud_confirms_first_is_confirmed() {
    for power in ["Running", "Stopped"] {
        let (world, s) = Virtual::new().await;
        s.create(
            "web",
            json!({"powerState": power, "resize": {"when": "StopIfNeeded"}}),
        )
        .await;
        let server = s.ready_in("web", power).await;
        // The next one that changes something is the resize, and then the confirmation.
        let sent = world.sim.requests();
        let sent = sent
            .iter()
            .filter(|r| r.method != "GET" && !r.route.contains("auth"));
        let confirmation = sent.count() as u64 + 2;
        world
            .tap
            .meet(move |met| match (met.n == confirmation, met.side) {
                (true, Side::Before) => Fate::Held(Duration::from_secs(2)),
                _ => Fate::Pass,
            });
        s.edit("web", json!({"size": {"name": "m1.small"}})).await;
        s.nova.until(id_of(&server), "VERIFY_RESIZE").await;
        sleep(Duration::from_millis(500)).await;
        world
            .sim
            .oob_action(id_of(&server), "confirmResize", &Value::Null)
            .unwrap();
        s.reason("web", ConditionType::SizeSynced, "True", "Synced").await;
        s.ready_in("web", power).await;
        assert_eq!(world.sim.live_servers()[0].flavor, "m1.small");
        assert_eq!(asked(&world, &format!("{ACTION} revertResize")), 0);
        let refused = world.sim.requests();
        let refused: Vec<_> = refused
            .iter()
            .filter(|r| r.status.is_some_and(|s| s >= 400))
            .collect();
        assert!(!refused.is_empty(), "ours came second: {:?}", world.sim.counts());
        world.judge().await;
    }
}
