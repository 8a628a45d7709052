//! Deeds while everything goes wrong. Those whose controller is killed: `deeds_killed.rs`.

use std::time::Duration;

use evenkeel::api::server_action::ServerAction;
use evenkeel::api::{ConditionType, keys};
use evenkeel::sim::apiserver::{Fault, Rule, Verb};
use evenkeel::sim::openstack::{FaultEffect, FaultRule, HypervisorOrder};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scenarios::deeds::{ask, ended, object, stands};
use crate::scenarios::stage::{Stage, id_of, power_of};
use crate::world::Virtual;

/// An account of an administrator, and a server in it.
pub async fn of_an_administrator(s: &Stage, more: Value) -> String {
    s.account("admin", "admin", &s.world.clouds_yaml()).await;
    let mut spec = json!({"providerConfigRef": {"name": "admin"}});
    crate::scenarios::cluster::merge(&mut spec, more);
    s.create("web", spec).await;
    id_of(&s.ready("web").await).to_owned()
}

/// The host of a server, and what was asked of it.
pub fn in_cloud(world: &Virtual, id: &str) -> (Option<String>, String, Vec<&'static str>) {
    let all = world.sim.live_servers();
    let server = all.into_iter().find(|v| v.id == id).unwrap();
    (server.host, server.status, server.asked)
}

#[tokio::test(start_paused = true)]
async fn a_server_of_a_host_that_is_down_is_made_anew_elsewhere_before_its_wishes() {
    for (wish, then) in [("Running", "Stopped"), ("Stopped", "Running")] {
        let (world, s) = Virtual::new().await;
        let id = of_an_administrator(&s, json!({"powerState": wish})).await;
        let (host, ..) = in_cloud(&world, &id);
        let fenced = json!({"evacuate": {"hostFenced": true}});
        // While the host works, Nova refuses.
        ask(&s, "early", "web", fenced.clone()).await;
        let (reason, words) = stands(&ended(&s, "early").await);
        assert_eq!(reason, "DeedRefused", "{words}");
        assert!(words.contains("still in use"), "{words}");
        world.sim.oob_metadata(&id, "fake.host.down", "1").unwrap();
        ask(&s, "evacuate", "web", fenced).await;
        s.edit("web", json!({"powerState": then})).await;
        let (reason, words) = stands(&ended(&s, "evacuate").await);
        assert_eq!(reason, "Succeeded", "{words}");
        s.ready_in("web", then).await;
        let (now, _, asked) = in_cloud(&world, &id);
        assert_ne!(now, host, "it is on the host that is down");
        let power = if then == "Stopped" { "stop" } else { "start" };
        let order: Vec<&str> = asked.iter().rev().take(2).rev().copied().collect();
        assert_eq!(order, ["evacuate", power], "{asked:?}");
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_evacuation_saves_what_its_host_left_in_an_error() {
    let (world, s) = Virtual::new().await;
    let id = of_an_administrator(&s, json!({})).await;
    world.sim.oob_metadata(&id, "fake.host.down", "1").unwrap();
    world.sim.set_error(&id, "the host does not answer").unwrap();
    s.reason("web", ConditionType::Stalled, "True", "ErrorStillRunning")
        .await;
    ask(&s, "evacuate", "web", json!({"evacuate": {"hostFenced": true}})).await;
    let (reason, words) = stands(&ended(&s, "evacuate").await);
    assert_eq!(reason, "Succeeded", "{words}");
    s.ready_in("web", "Running").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn what_its_host_died_in_the_middle_of_does_not_keep_a_server_there() {
    let (world, s) = Virtual::new().await;
    let id = of_an_administrator(&s, json!({})).await;
    let (host, ..) = in_cloud(&world, &id);
    world.sim.oob_stop(&id).unwrap();
    world.sim.stall(&id, Duration::from_secs(86_400)).unwrap();
    world.sim.oob_metadata(&id, "fake.host.down", "1").unwrap();
    ask(&s, "evacuate", "web", json!({"evacuate": {"hostFenced": true}})).await;
    let (reason, words) = stands(&ended(&s, "evacuate").await);
    assert_eq!(reason, "Succeeded", "{words}");
    s.ready_in("web", "Running").await;
    let (now, _, asked) = in_cloud(&world, &id);
    assert_ne!(now, host, "it is on the host that is down");
    assert_eq!(asked.last(), Some(&"evacuate"), "{asked:?}");
    world.judge().await;
}

/// Our own image may take hours; on a host that is off it takes for ever.
#[tokio::test(start_paused = true)]
async fn a_deed_of_ours_that_its_dead_host_does_not_end_gives_way_to_an_evacuation() {
    let (world, s) = Virtual::new().await;
    let id = of_an_administrator(&s, json!({})).await;
    let (host, ..) = in_cloud(&world, &id);
    world.sim.order(HypervisorOrder {
        call: "snapshot".to_owned(),
        server: None,
        delay_ms: Some(86_400_000),
        fault: None,
    });
    ask(&s, "image", "web", json!({"createImage": {"name": "a"}})).await;
    s.wait_for("image", "that it is begun", |a: &ServerAction| {
        a.status.as_ref().is_some_and(|s| s.started_at.is_some())
    })
    .await;
    sleep(Duration::from_secs(10)).await;
    world.sim.oob_metadata(&id, "fake.host.down", "1").unwrap();
    let asked = tokio::time::Instant::now();
    ask(&s, "evacuate", "web", json!({"evacuate": {"hostFenced": true}})).await;
    let (reason, words) = stands(&ended(&s, "evacuate").await);
    assert_eq!(reason, "Succeeded", "{words}");
    assert!(
        asked.elapsed() < Duration::from_secs(120),
        "{:?}",
        asked.elapsed()
    );
    let (reason, words) = stands(&ended(&s, "image").await);
    assert_eq!(reason, "OutcomeUnknown", "{words}");
    assert!(words.contains("ServerAction evacuate"), "{words}");
    s.ready_in("web", "Running").await;
    let (now, _, asked) = in_cloud(&world, &id);
    assert_ne!(now, host, "it is on the host that is down");
    assert_eq!(asked.last(), Some(&"evacuate"), "{asked:?}");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_hangs_is_ended_by_a_hard_one_before_what_waits_for_it() {
    let (world, s) = Virtual::new().await;
    let id = of_an_administrator(&s, json!({})).await;
    world
        .sim
        .oob_action(&id, "reboot", &json!({"type": "SOFT"}))
        .unwrap();
    world.sim.stall(&id, Duration::from_secs(86_400)).unwrap();
    ask(&s, "image", "web", json!({"createImage": {"name": "a"}})).await;
    ask(&s, "kick", "web", json!({"reboot": {"mode": "Hard"}})).await;
    for deed in ["kick", "image"] {
        let (reason, words) = stands(&ended(&s, deed).await);
        assert_eq!(reason, "Succeeded", "{deed}: {words}");
    }
    s.ready_in("web", "Running").await;
    let (.., asked) = in_cloud(&world, &id);
    let order: Vec<&str> = asked.iter().rev().take(3).rev().copied().collect();
    assert_eq!(order, ["reboot", "reboot", "createImage"], "{asked:?}");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_password_that_is_none_is_not_sent_and_one_that_is_refused_is_not_quoted() {
    let (world, s) = Virtual::new().await;
    const WEAK: &str = "planted-weak-5Rt";
    world.plant(WEAK);
    s.create("web", json!({})).await;
    s.ready_in("web", "Running").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "root",
        "labels": {"evenkeel.dev/allow": "password"}}, "stringData": {"empty": "", "weak": WEAK}});
    s.make::<Secret>(&secret).await;
    let set = |key: &str| json!({"changePassword": {"secretRef": {"name": "root", "key": key}}});
    world.sim.reset_requests();
    ask(&s, "empty", "web", set("empty")).await;
    s.wait_for("empty", "the refusal", |a: &ServerAction| {
        let (reason, words) = stands(a);
        reason == "SecretRefused" && words.contains("the key empty of the Secret root is empty")
    })
    .await;
    // Whoever looks for what needs a person finds it, and what comes later says what it waits for.
    let later = json!({"createImage": {"name": "later"}});
    ask(&s, "later", "web", later).await;
    s.wait_for("later", "what it waits for", |a: &ServerAction| {
        let (reason, words) = stands(a);
        reason == "WaitingForAction"
            && words.contains("ServerAction empty")
            && words.contains("SecretRefused")
    })
    .await;
    let stalled = |a: &ServerAction| {
        let all = &a.status.as_ref().unwrap().conditions;
        let stalled = evenkeel::api::conditions::get(all, ConditionType::Stalled).unwrap();
        (
            stalled.status.clone(),
            stalled.message.contains("delete this ServerAction"),
        )
    };
    sleep(Duration::from_secs(300)).await;
    let action: ServerAction = s.api().get("empty").await.unwrap();
    assert_eq!(stalled(&action), ("True".to_owned(), true));
    let told = world.api.list("events");
    let told: Vec<_> = told.iter().filter(|e| e["reason"] == "SecretRefused").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["type"], "Warning");
    assert!(!world.sim.counts().contains_key("POST /servers/{id}/action"));
    // It is done as soon as it is corrected.
    s.patch::<Secret>("root", json!({"stringData": {"empty": "planted-now-full"}}))
        .await;
    let (reason, words) = stands(&ended(&s, "empty").await);
    assert_eq!(reason, "Succeeded", "{words}");
    let quoted = json!({"badRequest": {"code": 400, "message":
        format!("Invalid input for field/attribute adminPass. Value: {WEAK}. '{WEAK}' is too weak")}});
    let effect = FaultEffect::Status {
        code: 400,
        body: Some(quoted),
    };
    world
        .sim
        .inject(FaultRule::new(effect).on("POST /servers/{id}/action").times(1));
    ask(&s, "weak", "web", set("weak")).await;
    let (reason, words) = stands(&ended(&s, "weak").await);
    assert_eq!(reason, "DeedRefused", "{words}");
    assert!(words.contains("too weak"), "{words}");
    s.ready_in("web", "Running").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_deed_waits_for_what_somebody_else_does_to_the_server() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"powerState": "Unmanaged"})).await;
    let id = id_of(&s.ready("web").await).to_owned();
    world.sim.order(HypervisorOrder {
        call: "pause".to_owned(),
        server: None,
        delay_ms: Some(120_000),
        fault: None,
    });
    world.sim.oob_pause(&id).unwrap();
    ask(&s, "image", "web", json!({"createImage": {"name": "a"}})).await;
    s.wait_for("image", "that it waits", |a: &ServerAction| {
        stands(a).0 == "WaitingForServer"
    })
    .await;
    let (reason, words) = stands(&ended(&s, "image").await);
    assert_eq!(reason, "Succeeded", "{words}");
    let (_, status, asked) = in_cloud(&world, &id);
    assert_eq!(
        (status.as_str(), &asked[asked.len() - 2..]),
        ("PAUSED", &["pause", "createImage"][..])
    );
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_comes_before_deeds_that_are_not_begun_and_ends_the_one_that_is() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    s.ready_in("web", "Running").await;
    world.sim.order(HypervisorOrder {
        call: "snapshot".to_owned(),
        server: None,
        delay_ms: Some(600_000),
        fault: None,
    });
    ask(&s, "first", "web", json!({"createImage": {"name": "a"}})).await;
    s.wait_for("first", "that it is begun", |a: &ServerAction| {
        a.status.as_ref().is_some_and(|s| s.started_at.is_some())
    })
    .await;
    ask(&s, "second", "web", json!({"reboot": {"mode": "Hard"}})).await;
    sleep(Duration::from_secs(5)).await;
    s.delete("web").await;
    // They belong to the Server, and go when it is gone; until then they say what became of them.
    let first = s.wait_for("first", "its end", |a: &ServerAction| {
        ["OutcomeUnknown", "ServerDeleted", "Succeeded", "DeedFailed"].contains(&stands(a).0.as_str())
    });
    let (reason, words) = stands(&first.await);
    let honest = ["OutcomeUnknown", "DeedFailed"].contains(&reason.as_str())
        || words.contains("with it the record of what was begun");
    assert!(honest, "{reason}: {words}");
    s.gone("web").await;
    let rebooted = world.sim.requests();
    let rebooted = rebooted
        .iter()
        .filter(|r| format!("{r:?}").contains("reboot"))
        .count();
    assert_eq!(rebooted, 0);
    assert!(world.sim.live_servers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn deeds_of_one_second_come_in_the_order_of_their_names() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let id = id_of(&s.ready_in("web", "Running").await).to_owned();
    let paused = |on: &str| json!({"metadata": {"annotations": {"evenkeel.dev/paused": on}}});
    s.patch::<evenkeel::api::Server>("web", paused("true")).await;
    let all = [
        ("c", json!({"reboot": {"mode": "Hard"}})),
        (
            "b",
            json!({"createBackup": {"name": "b", "type": "t", "rotation": 1}}),
        ),
        ("a", json!({"createImage": {"name": "a"}})),
    ];
    let mut made = Vec::new();
    for (name, deed) in all {
        made.push(ask(&s, name, "web", deed).await.metadata.creation_timestamp);
    }
    assert!(made.windows(2).all(|w| w[0] == w[1]), "{made:?}");
    s.patch::<evenkeel::api::Server>("web", paused("false")).await;
    for name in ["a", "b", "c"] {
        let (reason, words) = stands(&ended(&s, name).await);
        assert_eq!(reason, "Succeeded", "{words}");
    }
    let (.., asked) = in_cloud(&world, &id);
    assert_eq!(
        asked[asked.len() - 3..],
        ["createImage", "createBackup", "reboot"]
    );
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_deed_is_not_refused_for_a_state_that_was_seen_before_it_was_asked_for() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"powerState": "Unmanaged"})).await;
    let id = id_of(&s.ready("web").await).to_owned();
    world.sim.oob_pause(&id).unwrap();
    s.ready_in("web", "Paused").await;
    sleep(Duration::from_secs(120)).await;
    // The last list says that it is paused; by now it runs.
    world.sim.oob_action(&id, "unpause", &Value::Null).unwrap();
    while in_cloud(&world, &id).1 != "ACTIVE" {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(power_of(&s.get("web").await), "Paused");
    ask(&s, "soft", "web", json!({"reboot": {"mode": "Soft"}})).await;
    let (reason, words) = stands(&ended(&s, "soft").await);
    assert_eq!(reason, "Succeeded", "{words}");
    world.judge().await;
}

/// The watch of Servers is behind that of ServerActions, as in a controller that was frozen and wakes.
#[tokio::test(start_paused = true)]
async fn a_server_that_no_watch_has_shown_yet_is_not_taken_for_gone() {
    let (world, s) = Virtual::new().await;
    s.create("first", json!({})).await;
    s.ready("first").await;
    let silent = Rule::new(Fault::Status(500))
        .client("evenkeel-1")
        .verb(Verb::Watch);
    world.api.fault(silent.on("servers").times(1_000));
    world.api.break_watches("evenkeel-1");
    sleep(Duration::from_secs(5)).await;
    let server = s.create("web", json!({})).await;
    // Another controller has taken it.
    let mut action = object("now", "web", json!({"reboot": {"mode": "Hard"}}));
    action["metadata"]["annotations"] = json!({keys::TAKEN: server.metadata.uid});
    action["metadata"]["finalizers"] = json!([keys::ACTION_FINALIZER]);
    s.make::<ServerAction>(&action).await;
    sleep(Duration::from_secs(20)).await;
    let now: ServerAction = s.api().get("now").await.unwrap();
    assert_ne!(stands(&now).0, "ServerDeleted", "{:?}", stands(&now));
    world.api.clear_faults();
    let (reason, words) = stands(&ended(&s, "now").await);
    assert_eq!(reason, "Succeeded", "{words}");
    world.judge().await;
}
