//! Groups whose members change in the middle of a transition.

use std::time::Duration;

use evenkeel::api::ServerGroup;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::json;
use tokio::time::sleep;

use super::LIST;
use crate::scenarios::groups::{make, member};
use crate::scenarios::stage::{Stage, id_of, ready};
use crate::world::Virtual;

async fn wish(s: &Stage, power: &str) {
    s.patch::<ServerGroup>("g", json!({"spec": {"powerState": power}}))
        .await;
}

async fn four(s: &Stage, more: &serde_json::Value) {
    for name in ["a", "b", "c", "d"] {
        member(s, name, "g", more.clone()).await;
    }
    for name in ["a", "b", "c", "d"] {
        s.ready_in(name, "Running").await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_goes_or_is_lost_in_the_middle_of_a_transition_holds_nobody_up() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({})).await;
    four(&s, &json!({})).await;
    let lost = id_of(&s.get("c").await).to_owned();
    wish(&s, "Stopped").await;
    sleep(Duration::from_millis(300)).await;
    s.nova.delete(&lost).await;
    s.delete("d").await;
    member(&s, "late", "g", json!({})).await;
    for name in ["a", "b", "late"] {
        s.ready_in(name, "Stopped").await;
    }
    s.reason("c", evenkeel::api::ConditionType::Stalled, "True", "Missing")
        .await;
    s.gone("d").await;
    world.judge().await;
    assert_eq!(world.sim.live_servers().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_turns_round_half_way_leaves_nobody_behind() {
    for ms in [3, 100, 700, 1300, 2500] {
        let (world, s) = Virtual::new().await;
        make(&s, "g", json!({})).await;
        four(&s, &json!({})).await;
        member(&s, "down", "g", json!({"powerState": "Stopped"})).await;
        s.ready_in("down", "Stopped").await;
        let asked = world.sim.server(id_of(&s.get("down").await)).unwrap().asked;
        wish(&s, "Stopped").await;
        sleep(Duration::from_millis(ms)).await;
        wish(&s, "Running").await;
        sleep(Duration::from_secs(1)).await;
        for name in ["a", "b", "c", "d"] {
            let server = s.ready_in(name, "Running").await;
            assert_eq!(
                world.sim.server(id_of(&server)).unwrap().status,
                "ACTIVE",
                "{ms} {name}"
            );
        }
        let now = world.sim.server(id_of(&s.get("down").await)).unwrap().asked;
        assert_eq!(now, asked, "who is down on its own wish is not touched");
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_come_late_let_no_more_members_be_down() {
    for change in [
        json!({"size": {"name": "m1.small"}}),
        json!({"restart": {"token": "now"}}),
    ] {
        let (world, s) = Virtual::new().await;
        make(&s, "g", json!({"disruption": {"maxUnavailable": 1}})).await;
        four(&s, &json!({"resize": {"when": "StopIfNeeded"}})).await;
        sleep(Duration::from_secs(60)).await;
        // What they say is twelve seconds old as they arrive.
        let late = FaultEffect::Slow { delay_ms: 12_000 };
        world.sim.inject(FaultRule::new(late).on(LIST));
        let names = ["a", "b", "c", "d"];
        for name in names {
            s.edit(name, change.clone()).await;
        }
        let watch = async {
            loop {
                let down = world.sim.live_servers();
                let down: Vec<_> = down.iter().filter(|v| v.status != "ACTIVE").collect();
                let down: Vec<_> = down.iter().filter(|v| v.status != "VERIFY_RESIZE").collect();
                assert!(down.len() <= 1, "{} are down at once: {down:#?}", down.len());
                sleep(Duration::from_millis(50)).await;
            }
        };
        let done = async {
            for name in names {
                s.wait(name, "done", |x| {
                    let status = x.status.as_ref().unwrap();
                    let token = status.restart.as_ref();
                    let token = token.is_some_and(|r| {
                        r.token == "now" && ["Done", "Unverified"].contains(&r.outcome.as_str())
                    });
                    ready(x) && (status.size.as_deref() == Some("m1.small") || token)
                })
                .await;
            }
        };
        tokio::select! { () = watch => {}, () = done => {} }
        world.sim.clear_faults();
        world.judge().await;
    }
}
