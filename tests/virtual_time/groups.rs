//! Groups: placement, members, power of all, and what of them outlives a fault.

use std::time::Duration;

use evenkeel::api::{ConditionType, ServerGroup};
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::scenarios::groups::{counts, delete, gone, make, member, of, ready, reason};
use crate::scenarios::stage::{id_of, words};
use crate::world::Virtual;

#[tokio::test(start_paused = true)]
async fn no_policy_needs_nothing_in_the_cloud_and_costs_no_call() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({})).await;
    member(&s, "a", "g", json!({})).await;
    ready(&s, "g").await;
    s.ready_in("a", "Running").await;
    let group = s
        .wait_for::<ServerGroup>("g", "one of one", |g| counts(g)[..4] == [1, 1, 0, 1])
        .await;
    assert!(of(&group, ConditionType::PlacementSatisfied).is_none() && group.status.unwrap().id.is_none());
    assert!(world.sim.server_groups().is_empty());
    let asked = world.sim.counts();
    assert!(!asked.keys().any(|k| k.contains("os-server-groups")), "{asked:?}");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_strict_group_that_cannot_be_satisfied_is_cured_by_a_host() {
    let (world, s) = Virtual::new().await;
    world.sim.set_hosts(1);
    make(&s, "g", json!({"placement": {"policy": "AntiAffinity"}})).await;
    member(&s, "a", "g", json!({})).await;
    s.ready("a").await;
    member(&s, "b", "g", json!({})).await;
    let said = s.reason("b", ConditionType::Ready, "False", "NoCapacity").await;
    assert!(words(&said, ConditionType::Ready).contains("No valid host was found"));
    world.sim.set_hosts(2);
    s.ready_in("b", "Running").await;
    reason(&s, "g", ConditionType::PlacementSatisfied, "True", "PlacementMet").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn two_on_a_host_and_no_more() {
    let (world, s) = Virtual::new().await;
    world.sim.set_hosts(1);
    let placement = json!({"placement": {"policy": "AntiAffinity", "maxServersPerHost": 2}});
    make(&s, "g", placement).await;
    for name in ["a", "b"] {
        member(&s, name, "g", json!({})).await;
        s.ready(name).await;
    }
    assert_eq!(world.sim.server_groups()[0].most, Some(2));
    member(&s, "c", "g", json!({})).await;
    s.reason("c", ConditionType::Ready, "False", "NoCapacity").await;
    reason(
        &s,
        "g",
        ConditionType::PlacementSatisfied,
        "False",
        "PlacementUnmet",
    )
    .await;
    s.remove("c").await;
    reason(&s, "g", ConditionType::PlacementSatisfied, "True", "PlacementMet").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn members_of_a_strict_group_are_made_one_at_a_time() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({"placement": {"policy": "AntiAffinity"}})).await;
    for name in ["a", "b", "c"] {
        member(&s, name, "g", json!({})).await;
    }
    let most = async {
        let mut most = 0;
        loop {
            let building = world
                .sim
                .live_servers()
                .iter()
                .filter(|v| v.status == "BUILD")
                .count();
            most = most.max(building);
            assert!(most <= 1, "{building} are built at once");
            sleep(Duration::from_millis(50)).await;
        }
    };
    let done = async {
        for name in ["a", "b", "c"] {
            s.ready(name).await;
        }
    };
    tokio::select! { () = most => {}, () = done => {} }
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn members_go_before_the_group() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    member(&s, "a", "g", json!({})).await;
    s.ready("a").await;
    delete(&s, "g").await;
    let blocked = reason(&s, "g", ConditionType::DeletionBlocked, "True", "GroupHasMembers").await;
    let text = &of(&blocked, ConditionType::DeletionBlocked).unwrap().message;
    assert!(text.contains("Servers a are members"), "{text}");
    // One that was never made waits for no group that is going, and keeps none.
    member(&s, "late", "g", json!({})).await;
    s.reason("late", ConditionType::Ready, "False", "WaitingForGroup")
        .await;
    s.remove("late").await;
    s.remove("a").await;
    gone(&s, "g").await;
    assert!(world.sim.server_groups().is_empty());
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_makes_no_second_group() {
    let status = |code| FaultEffect::Status { code, body: None };
    for effect in [
        FaultEffect::LostReply,
        FaultEffect::LateApply {
            delay_ms: 30_000,
            wait_ms: 100,
        },
        FaultEffect::Slow { delay_ms: 20_000 },
        FaultEffect::Reset,
        FaultEffect::Refused,
        FaultEffect::RateLimited { retry_after: Some(7) },
        status(500),
        status(503),
    ] {
        println!("{effect:?}");
        let (world, s) = Virtual::new().await;
        let rule = FaultRule::new(effect.clone()).on("POST /os-server-groups");
        world.sim.inject(rule.times(1));
        make(&s, "g", json!({"placement": {"policy": "AntiAffinity"}})).await;
        member(&s, "a", "g", json!({})).await;
        s.ready("a").await;
        let rule = FaultRule::new(effect).on("DELETE /os-server-groups/{id}");
        world.sim.inject(rule.times(1));
        assert_eq!(world.sim.server_groups().len(), 1);
        s.delete("a").await;
        delete(&s, "g").await;
        s.gone("a").await;
        gone(&s, "g").await;
        assert!(world.sim.server_groups().is_empty());
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_leaves_one_group() {
    for after_ms in [5, 1_000, 4_000] {
        let world = Virtual::empty();
        let s = world.stage().await;
        let first = world.start();
        let rule = FaultRule::new(FaultEffect::Slow { delay_ms: 3_000 });
        world.sim.inject(rule.on("POST /os-server-groups").times(1));
        make(&s, "g", json!({"placement": {"policy": "AntiAffinity"}})).await;
        s.wait_for::<ServerGroup>("g", "an attempt", |g| {
            g.status.as_ref().is_some_and(|s| s.create_attempt.is_some())
        })
        .await;
        sleep(Duration::from_millis(after_ms)).await;
        first.kill().await;
        world.run();
        ready(&s, "g").await;
        assert_eq!(world.sim.server_groups().len(), 1, "killed after {after_ms} ms");
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn taken_over_and_left() {
    let (world, s) = Virtual::new().await;
    let placement = json!({"policy": "SoftAffinity"});
    make(
        &s,
        "old",
        json!({"placement": placement, "deletionPolicy": "Orphan"}),
    )
    .await;
    member(&s, "a", "old", json!({})).await;
    s.ready("a").await;
    let id = world.sim.server_groups()[0].id.clone();
    let import = json!({"import": {"id": id}, "deletionPolicy": "Delete", "placement": placement});
    make(&s, "new", import.clone()).await;
    reason(&s, "new", ConditionType::Stalled, "True", "OwnedByOther").await;
    delete(&s, "old").await;
    gone(&s, "old").await;
    assert_eq!(
        world.sim.server_groups()[0].members.len(),
        1,
        "the orphan and its member stay"
    );
    let group = ready(&s, "new").await;
    assert_eq!(group.status.as_ref().unwrap().id, Some(id));
    // The member of the old one names the new one, and is in it.
    s.edit("a", json!({"groupRef": {"name": "new"}})).await;
    s.ready("a").await;
    s.wait_for::<ServerGroup>("new", "its member", |g| counts(g)[0] == 1)
        .await;
    make(
        &s,
        "none",
        json!({"import": {"id": "4711"}, "deletionPolicy": "Delete"}),
    )
    .await;
    reason(&s, "none", ConditionType::Stalled, "True", "NotFound").await;
    s.remove("a").await;
    delete(&s, "new").await;
    gone(&s, "new").await;
    assert!(world.sim.server_groups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn counts_are_right_within_one_observation() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    for (name, power) in [("a", "Running"), ("b", "Running"), ("c", "Stopped")] {
        member(
            &s,
            name,
            "g",
            json!({"powerState": power, "driftPolicy": "Observe"}),
        )
        .await;
    }
    s.wait_for::<ServerGroup>("g", "all there", |g| counts(g) == [3, 2, 1, 3, 0, 0])
        .await;
    let id = id_of(&s.get("a").await).to_owned();
    // Past the controller: found by the next list, fifteen seconds later at most.
    s.nova.act(&id, &json!({"os-stop": null})).await;
    let began = Instant::now();
    let group = s
        .wait_for::<ServerGroup>("g", "one less", |g| counts(g)[1..3] == [1, 2])
        .await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let names: Vec<_> = group
        .status
        .unwrap()
        .members
        .into_iter()
        .map(|m| m.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    s.remove("c").await;
    s.wait_for::<ServerGroup>("g", "two left", |g| counts(g)[0] == 2)
        .await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn one_power_wish_for_all_but_those_who_will_not() {
    let (world, s) = Virtual::new().await;
    make(&s, "g", json!({})).await;
    member(&s, "plain", "g", json!({})).await;
    member(&s, "runs", "g", json!({"powerState": "Running"})).await;
    member(&s, "down", "g", json!({"powerState": "Stopped"})).await;
    member(&s, "free", "g", json!({"powerState": "Unmanaged"})).await;
    s.ready_in("down", "Stopped").await;
    for name in ["plain", "runs", "free"] {
        s.ready_in(name, "Running").await;
    }
    let from = |server: evenkeel::api::Server| {
        let power = server.status.unwrap().power.unwrap();
        (power.desired.unwrap(), power.desired_from.unwrap())
    };
    let is = |desired: &str, from: &str| (desired.to_owned(), from.to_owned());
    s.patch::<ServerGroup>("g", json!({"spec": {"powerState": "Stopped"}}))
        .await;
    for name in ["plain", "runs"] {
        assert_eq!(from(s.ready_in(name, "Stopped").await), is("Stopped", "Group"));
    }
    assert_eq!(from(s.ready_in("free", "Running").await), is("Unmanaged", "Spec"));
    let told = |e: &Value| e["reason"] == "PowerWishExempt";
    assert!(world.api.list("events").iter().any(told));
    s.patch::<ServerGroup>("g", json!({"spec": {"powerState": "Running"}}))
        .await;
    for name in ["plain", "runs"] {
        s.ready_in(name, "Running").await;
    }
    assert_eq!(from(s.ready_in("down", "Stopped").await), is("Stopped", "Spec"));
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn one_member_down_at_a_time() {
    for (most, change) in [
        (1, json!({"size": {"name": "m1.small"}})),
        (2, json!({"restart": {"token": "now"}})),
    ] {
        let (world, s) = Virtual::new().await;
        make(&s, "g", json!({"disruption": {"maxUnavailable": most}})).await;
        let names = ["a", "b", "c", "d"];
        for name in names {
            member(&s, name, "g", json!({"resize": {"when": "StopIfNeeded"}})).await;
        }
        for name in names {
            s.ready_in(name, "Running").await;
        }
        for name in names {
            s.edit(name, change.clone()).await;
        }
        let watch = async {
            let mut seen = 0;
            loop {
                let down = world.sim.live_servers();
                let down = down.iter().filter(|v| v.status != "ACTIVE").count();
                seen = seen.max(down);
                assert!(down <= most, "{down} are down at once");
                sleep(Duration::from_millis(50)).await;
            }
        };
        let done = async {
            for name in names {
                s.wait(name, "done", |x| {
                    let status = x.status.as_ref().unwrap();
                    let token = status
                        .restart
                        .as_ref()
                        .map(|r| (r.token.as_str(), r.outcome.as_str()));
                    crate::scenarios::stage::ready(x)
                        && (status.size.as_deref() == Some("m1.small") || token == Some(("now", "Done")))
                })
                .await;
            }
        };
        tokio::select! { () = watch => {}, () = done => {} }
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be() {
    let (world, s) = Virtual::new().await;
    s.account("other", "demo", &s.world.clouds_yaml()).await;
    make(&s, "far", json!({"providerConfigRef": {"name": "other"}})).await;
    member(&s, "lost", "far", json!({})).await;
    s.reason("lost", ConditionType::Stalled, "True", "GroupProviderMismatch")
        .await;
    assert!(world.sim.live_servers().is_empty());
    s.remove("lost").await;

    make(&s, "g", json!({"placement": {"policy": "AntiAffinity"}})).await;
    make(&s, "h", json!({"placement": {"policy": "Affinity"}})).await;
    member(&s, "a", "g", json!({})).await;
    s.ready("a").await;
    for other in [json!({"groupRef": {"name": "h"}}), json!({"groupRef": null})] {
        s.edit("a", other).await;
        let said = s.reason("a", ConditionType::Stalled, "True", "Immutable").await;
        let text = words(&said, ConditionType::Stalled);
        assert!(text.contains("set spec.groupRef back to g"), "{text}");
    }
    s.edit("a", json!({"groupRef": {"name": "g"}})).await;
    s.ready("a").await;
    s.patch::<ServerGroup>("g", json!({"spec": {"placement": {"policy": "Affinity"}}}))
        .await;
    let said = reason(&s, "g", ConditionType::Stalled, "True", "Immutable").await;
    let text = &of(&said, ConditionType::Stalled).unwrap().message;
    assert!(
        text.contains("Affinity is declared, the group has AntiAffinity"),
        "{text}"
    );
    assert_eq!(world.sim.server_groups().len(), 2, "nothing is made again");
    s.patch::<ServerGroup>("g", json!({"spec": {"placement": {"policy": "AntiAffinity"}}}))
        .await;
    ready(&s, "g").await;
    make(
        &s,
        "labels",
        json!({"placement": {"policy": "Affinity"}, "labels": {"team": "web"}}),
    )
    .await;
    reason(&s, "labels", ConditionType::Stalled, "True", "Unsupported").await;
    world.judge().await;
}
