//! Power: calls that lag, meet a busy cloud, or are one of very many.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server};
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{ACTION, asked, on_action, refusal, statuses};
use crate::kills::{PLACES, arm};
use crate::scenarios::stage::{Stage, condition, id_of, power_of, ready};
use crate::world::{NAMESPACE, Virtual};

const BUSY: &str = "Cannot 'stop' instance while it is in task_state powering-off";

#[tokio::test(start_paused = true)]
async fn a_busy_cloud_is_no_failure() {
    for (wish, action) in [("Stopped", "os-stop"), ("Running", "os-start")] {
        let (world, s) = Virtual::new().await;
        let from = if wish == "Stopped" { "Running" } else { "Stopped" };
        s.create("web", json!({"powerState": from})).await;
        s.ready_in("web", from).await;
        let busy = refusal(409, "conflictingRequest", BUSY);
        world.sim.inject(on_action(busy, action).times(8));
        world.sim.reset_requests();
        let began = tokio::time::Instant::now();
        s.edit("web", json!({"powerState": wish})).await;
        s.ready_in("web", wish).await;
        assert_eq!(asked(&world, &format!("{ACTION} {action}")), 9);
        assert!(
            began.elapsed() < Duration::from_secs(240),
            "{:?}",
            began.elapsed()
        );
        for server in statuses(&world, "web") {
            assert!(server.status.as_ref().unwrap().failure.is_none(), "{server:#?}");
            let stalled = condition(&server, ConditionType::Stalled);
            assert!(stalled.is_none_or(|c| c.status == "False"), "{stalled:?}");
        }
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_a_success_whatever_the_refusal_says() {
    for (wish, action) in [("Stopped", "os-stop"), ("Running", "os-start")] {
        let (world, s) = Virtual::new().await;
        let from = if wish == "Stopped" { "Running" } else { "Stopped" };
        // What differs from the wish is only shown, so that nobody but the wish moves it.
        s.create("web", json!({"powerState": from, "driftPolicy": "Observe"}))
            .await;
        let server = s.ready_in("web", from).await;
        // Somebody is faster, and no list has it yet.
        s.nova.plain(id_of(&server), action).await;
        s.nova
            .until(
                id_of(&server),
                if wish == "Stopped" { "SHUTOFF" } else { "ACTIVE" },
            )
            .await;
        world.sim.reset_requests();
        s.edit("web", json!({"powerState": wish})).await;
        s.ready_in("web", wish).await;
        let refused = world.sim.requests();
        let refused = refused.iter().filter(|r| r.status == Some(409)).count();
        assert!(refused > 0, "nothing was refused: {:?}", world.sim.counts());
        for server in statuses(&world, "web") {
            assert!(server.status.as_ref().unwrap().failure.is_none(), "{server:#?}");
        }
        world.judge().await;
    }
}

fn outcome(server: &Server) -> Option<&str> {
    let restart = server.status.as_ref()?.restart.as_ref()?;
    let over = !["Restarting", "Retrying", "Stopping", "Recorded"].contains(&restart.outcome.as_str());
    over.then_some(restart.outcome.as_str())
}

async fn restarted(s: &Stage) -> Server {
    s.wait("web", "what became of the restart", |x| {
        ready(x) && outcome(x).is_some()
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn killed_anywhere_in_a_restart_it_is_never_restarted_twice() {
    let mut kills = 0;
    for place in PLACES {
        for n in 1..20 {
            let world = Virtual::empty();
            let s = world.stage().await;
            let mut first = world.start();
            s.create("web", json!({})).await;
            s.ready("web").await;
            arm(&world, &first, *place, n);
            s.edit("web", json!({"restart": {"token": "1"}})).await;
            let killed = tokio::select! {
                biased;
                () = first.ended() => true,
                _ = restarted(&s) => false,
            };
            if !killed {
                break;
            }
            kills += 1;
            world.run();
            let server = restarted(&s).await;
            let asked = world.sim.server(id_of(&server)).unwrap().asked;
            let reboots = asked.iter().filter(|a| **a == "reboot").count();
            // Nova's log says what became of it, and where it lacks it, it is asked for.
            let told = outcome(&server).unwrap();
            println!("{place:?} {n}: {reboots} times, {told}");
            assert_eq!((reboots, told), (1, "Done"), "{place:?} {n}");
            world.judge().await;
        }
    }
    assert!(kills >= 5, "only {kills} kills");
}

#[tokio::test(start_paused = true)]
async fn a_restart_whose_answer_is_lost_is_looked_up_in_novas_log() {
    let late = FaultEffect::LateApply {
        delay_ms: 40_000,
        wait_ms: 1000,
    };
    let effects = [FaultEffect::LostReply, FaultEffect::Reset, late];
    for (effect, unreadable) in effects.iter().flat_map(|e| [(e, false), (e, true)]) {
        let (world, s) = Virtual::new().await;
        s.create("web", json!({})).await;
        s.ready("web").await;
        world.sim.inject(on_action(effect.clone(), "reboot").times(1));
        if unreadable {
            let denied = refusal(
                403,
                "forbidden",
                "Policy doesn't allow os_compute_api:os-instance-actions",
            );
            world
                .sim
                .inject(FaultRule::new(denied).on("GET /servers/{id}/os-instance-actions"));
        }
        s.edit("web", json!({"restart": {"token": "1"}})).await;
        let server = restarted(&s).await;
        // Whatever was still on its way has come by now.
        sleep(Duration::from_secs(300)).await;
        let reboots = world.sim.server(id_of(&server)).unwrap().asked;
        let reboots = reboots.iter().filter(|a| **a == "reboot").count();
        let expected = match effect {
            FaultEffect::Reset if unreadable => (0, "Unverified"),
            _ if unreadable => (1, "Unverified"),
            _ => (1, "Done"),
        };
        assert_eq!(
            (reboots, outcome(&server).unwrap()),
            expected,
            "{effect:?} {unreadable}"
        );
        world.judge().await;
    }
}

const MANY: usize = 60;

async fn fleet(world: &Virtual, s: &Stage) {
    for i in 0..MANY {
        s.create(&format!("web-{i}"), json!({})).await;
    }
    settled(world, "Running").await;
}

async fn settled(world: &Virtual, power: &str) {
    let all = |api: &evenkeel::sim::apiserver::ApiServer| {
        (0..MANY).rev().all(|i| {
            let server: Option<Server> = api.read(NAMESPACE, &format!("web-{i}"));
            server.is_some_and(|x| ready(&x) && power_of(&x) == power)
        })
    };
    world
        .api
        .wait_until(power, Duration::from_secs(3600), all)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_that_have_to_be_started_at_once_keep_to_the_pace_of_their_account() {
    let world = Virtual::with(Default::default(), tracing::Level::WARN);
    let s = world.stage().await;
    let first = world.start();
    fleet(&world, &s).await;
    let pace = json!({"spec": {"requests": {"perSecond": 2, "burst": 4, "inFlight": 3}}});
    s.patch::<ProviderConfig>("cloud", pace).await;
    // A site loses its power, and the controller with it.
    first.kill().await;
    for server in world.sim.live_servers() {
        world.sim.oob_stop(&server.id).unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    world.sim.reset_requests();
    world.run();
    let all_run = async {
        while world.sim.live_servers().iter().any(|v| v.status != "ACTIVE") {
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), all_run)
        .await
        .unwrap();
    settled(&world, "Running").await;
    let at: Vec<_> = world
        .sim
        .requests()
        .iter()
        .filter(|r| !r.route.contains("auth"))
        .map(|r| r.at)
        .collect();
    for (i, begin) in at.iter().enumerate() {
        let within = at[i..]
            .iter()
            .filter(|t| **t < *begin + Duration::from_secs(10))
            .count();
        assert!(within <= 4 + 20 + 1, "{within} requests within ten seconds");
    }
    assert_eq!(
        asked(&world, &format!("{ACTION} os-start")),
        MANY,
        "one start for each"
    );
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_itself_brings_into_line_is_a_change_from_outside() {
    for (policy, back) in [("Enforce", true), ("RespectStop", false)] {
        let (world, s) = Virtual::new().await;
        s.create("web", json!({"driftPolicy": policy})).await;
        let server = s.ready("web").await;
        // The guest went down; Nova notices with its next look at the hypervisor, and stops the server.
        world.sim.guest_shutdown(id_of(&server)).unwrap();
        s.wait("web", "the stop is seen", |x| power_of(x) != "Running")
            .await;
        if back {
            s.ready_in("web", "Running").await;
        } else {
            s.reason("web", ConditionType::PowerSynced, "False", "StopRespected")
                .await;
        }
        let asked = world.sim.server(id_of(&server)).unwrap().asked;
        let starts = asked.iter().filter(|a| **a == "start").count();
        assert_eq!(starts, usize::from(back), "{asked:?}");
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_by_the_operators_is_waited_for() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let server = s.ready("web").await;
    let to = json!({"host": Value::Null, "block_migration": "auto"});
    world
        .sim
        .oob_action(id_of(&server), "os-migrateLive", &to)
        .unwrap();
    world
        .sim
        .stall(id_of(&server), Duration::from_secs(3 * 3600))
        .unwrap();
    s.wait("web", "the move is seen", |x| power_of(x) == "Maintenance")
        .await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    sleep(Duration::from_secs(2 * 3600)).await;
    let waiting = s.get("web").await;
    let stalled = condition(&waiting, ConditionType::Stalled);
    assert!(stalled.is_none_or(|c| c.status == "False"), "{stalled:?}");
    assert!(waiting.status.unwrap().failure.is_none());
    assert_eq!(asked(&world, &format!("{ACTION} os-stop")), 0);
    let mut patient = s;
    patient.cluster.patience = Duration::from_secs(3 * 3600);
    patient.ready_in("web", "Stopped").await;
    world.judge().await;
}
