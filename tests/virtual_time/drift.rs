//! What somebody else does to a server, under every drift policy.

use evenkeel::api::ConditionType;
use serde_json::json;

use crate::scenarios::stage::{condition, id_of, power_of, ready};
use crate::world::Virtual;

/// Policy, declared power, what somebody does, the state it leads to, and whether it is put back.
const ROWS: &[(&str, &str, &str, &str, bool)] = &[
    ("Enforce", "Running", "os-stop", "Stopped", true),
    ("Enforce", "Stopped", "os-start", "Running", true),
    ("Enforce", "Running", "pause", "Paused", false),
    ("EnforceAll", "Running", "os-stop", "Stopped", true),
    ("EnforceAll", "Stopped", "os-start", "Running", true),
    ("EnforceAll", "Running", "pause", "Paused", true),
    ("RespectStop", "Running", "os-stop", "Stopped", false),
    ("RespectStop", "Stopped", "os-start", "Running", true),
    ("RespectStop", "Running", "pause", "Paused", false),
    ("Observe", "Running", "os-stop", "Stopped", false),
    ("Observe", "Stopped", "os-start", "Running", false),
    ("Observe", "Running", "pause", "Paused", false),
];

#[tokio::test(start_paused = true)]
async fn every_policy_and_every_deed() {
    for row @ (policy, wish, deed, leads_to, put_back) in ROWS {
        println!("{row:?}");
        let (world, s) = Virtual::new().await;
        s.create("web", json!({"driftPolicy": policy, "powerState": wish}))
            .await;
        let server = s.ready_in("web", wish).await;
        let seen = s.wait("web", "the deed is seen", |x| power_of(x) == *leads_to);
        tokio::join!(seen, s.nova.plain(id_of(&server), deed));
        if *put_back {
            s.ready_in("web", wish).await;
            let drift = s.get("web").await;
            let drift = condition(&drift, ConditionType::DriftDetected);
            assert!(drift.is_none_or(|c| c.status == "False"), "{drift:?}");
        } else {
            let left = s
                .wait("web", "drift is shown", |x| {
                    condition(x, ConditionType::DriftDetected).is_some_and(|c| c.status == "True")
                })
                .await;
            assert!(
                ready(&left),
                "what policy forbids to change does not make it unready"
            );
            world.judge_quiet().await;
            assert_eq!(power_of(&s.get("web").await), *leads_to);
            // A new wish ends the respect for the stop.
            if *policy == "RespectStop" && *deed == "os-stop" {
                s.edit("web", json!({"powerState": "Stopped"})).await;
                s.ready_in("web", "Stopped").await;
                s.edit("web", json!({"powerState": "Running"})).await;
                s.ready_in("web", "Running").await;
            }
        }
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_server_is_missed_and_made_again_only_on_demand() {
    for policy in ["Enforce", "EnforceAll", "RespectStop", "Observe"] {
        let (world, s) = Virtual::new().await;
        s.create("web", json!({"driftPolicy": policy})).await;
        let server = s.ready("web").await;
        s.nova.delete(id_of(&server)).await;
        s.reason("web", ConditionType::Stalled, "True", "Missing").await;
        world.judge().await;
        assert!(world.sim.live_servers().is_empty());
        s.edit("web", json!({"onMissing": "Recreate"})).await;
        let again = s.ready_in("web", "Running").await;
        assert_eq!(again.status.as_ref().unwrap().previous_ids, [id_of(&server)]);
        assert_ne!(id_of(&again), id_of(&server));
        world.judge().await;
        assert_eq!(world.sim.live_servers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fight_about_power_ends_in_flapping() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let server = s.ready("web").await;
    for _ in 0..4 {
        let seen = s.wait("web", "the stop is seen", |x| power_of(x) != "Running");
        tokio::join!(seen, s.nova.plain(id_of(&server), "os-stop"));
        s.ready_in("web", "Running").await;
    }
    s.nova.plain(id_of(&server), "os-stop").await;
    s.reason("web", ConditionType::Stalled, "True", "Flapping").await;
    assert_eq!(world.sim.server(id_of(&server)).unwrap().status, "SHUTOFF");
    s.edit("web", json!({"powerState": "Stopped"})).await;
    s.ready_in("web", "Stopped").await;
    world.judge().await;
}
