//! What somebody else does to a server, under every drift policy.

use evenkeel::api::ConditionType;
use serde_json::json;

use crate::scenarios::outside::{ROWS, provoke, wish_anew};
use crate::scenarios::stage::{id_of, power_of};
use crate::world::Virtual;

#[tokio::test(start_paused = true)]
async fn every_policy_and_every_deed() {
    for row @ (policy, _, deed, leads_to, put_back) in ROWS {
        println!("{row:?}");
        let (world, s) = Virtual::new().await;
        provoke(&s, "web", row).await;
        if !put_back {
            world.judge_quiet().await;
            assert_eq!(power_of(&s.get("web").await), *leads_to);
            if (*policy, *deed) == ("RespectStop", "os-stop") {
                wish_anew(&s, "web").await;
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
