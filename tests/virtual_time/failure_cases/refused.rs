//! Refusals by the cloud: of one action, of one server, of a whole account.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, Server};
use evenkeel::sim::apiserver::ApiServer;
use evenkeel::sim::openstack::{FaultEffect, FaultRule, Quota};
use serde_json::json;
use tokio::time::sleep;

use super::{ACTION, asked, on_action, refusal};
use crate::scenarios::stage::{Stage, condition, id_of, power_of, ready, words};
use crate::world::{NAMESPACE, Virtual};

async fn all(world: &Virtual, n: usize, what: &str, holds: impl Fn(&Server) -> bool) {
    let all = |api: &ApiServer| {
        (0..n).rev().all(|i| {
            let server: Option<Server> = api.read(NAMESPACE, &format!("web-{i}"));
            server.is_some_and(|x| holds(&x))
        })
    };
    world
        .api
        .wait_until(what, Duration::from_secs(2 * 3600), all)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_action_that_is_forbidden_hides_nothing_else() {
    let (world, s) = Virtual::new().await;
    for name in ["web", "db"] {
        s.create(name, json!({})).await;
    }
    let server = s.ready("web").await;
    s.ready("db").await;
    let forbidden = refusal(
        403,
        "forbidden",
        "Policy doesn't allow os_compute_api:servers:stop to be performed.",
    );
    world.sim.inject(on_action(forbidden, "os-stop").server("web"));
    s.edit("web", json!({"powerState": "Stopped"})).await;
    let stalled = s.reason("web", ConditionType::Stalled, "True", "Forbidden").await;
    let said = words(&stalled, ConditionType::Stalled);
    assert!(said.contains("Policy doesn't allow"), "{said}");
    assert_eq!(power_of(&stalled), "Running");
    // The others of the account go on, and this one is still looked at.
    s.edit("db", json!({"powerState": "Stopped"})).await;
    s.ready_in("db", "Stopped").await;
    world.sim.reset_requests();
    sleep(Duration::from_secs(3 * 3600)).await;
    let tries = asked(&world, &format!("{ACTION} os-stop"));
    assert!((3..20).contains(&tries), "{tries} tries in three hours");
    s.nova.act(id_of(&server), &json!({"pause": null})).await;
    s.wait("web", "what else happens is seen", |x| power_of(x) == "Paused")
        .await;
    s.nova.act(id_of(&server), &json!({"unpause": null})).await;
    world.sim.clear_faults();
    s.ready_in("web", "Stopped").await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_of_an_administrator_is_named_and_never_opened() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({})).await;
    let server = s.ready("web").await;
    world.sim.oob_lock(id_of(&server), "under audit").unwrap();
    // Until a list has it.
    sleep(Duration::from_secs(30)).await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    let stalled = s.reason("web", ConditionType::Stalled, "True", "Locked").await;
    assert!(words(&stalled, ConditionType::Stalled).contains("under audit"));
    world.sim.reset_requests();
    sleep(Duration::from_secs(3600)).await;
    assert!(world.sim.server(id_of(&server)).unwrap().locked);
    let changes: Vec<_> = world
        .sim
        .counts()
        .into_keys()
        .filter(|k| k.starts_with(ACTION))
        .collect();
    assert!(changes.is_empty(), "{changes:?}");
    world.sim.oob_unlock(id_of(&server)).unwrap();
    s.ready_in("web", "Stopped").await;
    world.judge().await;
}

/// The account has room for so many, and so many more are wished for: each is told.
async fn short_of_quota(world: &Virtual, s: &Stage, instances: i64, n: usize) {
    world.sim.set_quota(Quota {
        instances,
        ..Quota::default()
    });
    for i in 0..n {
        s.create(&format!("web-{i}"), json!({})).await;
    }
    let refused =
        |x: &Server| condition(x, ConditionType::Stalled).is_some_and(|c| c.reason == "QuotaExceeded");
    all(world, n, "all are refused", refused).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_of_an_administrator_over_ours_is_known_by_one_refusal_and_left_where_it_is() {
    let (world, s) = Virtual::new().await;
    s.create("web", json!({"locked": {"reason": "payroll"}})).await;
    let server = s.ready("web").await;
    let id = id_of(&server);
    assert!(world.sim.server(id).unwrap().locked);
    // Without words of its own: those of ours stay.
    world.sim.oob_action(id, "lock", &json!(null)).unwrap();
    sleep(Duration::from_secs(30)).await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    let stalled = s.reason("web", ConditionType::Stalled, "True", "Locked").await;
    assert!(words(&stalled, ConditionType::Stalled).contains("an administrator"));
    world.sim.reset_requests();
    sleep(Duration::from_secs(3600)).await;
    let counts = world.sim.counts();
    assert!(counts.keys().all(|k| !k.starts_with(ACTION)), "{counts:?}");
    assert!(world.sim.server(id).unwrap().locked);
    // What a lock does not forbid is done all the same.
    crate::scenarios::deeds::ask(
        &s,
        "backup",
        "web",
        json!({"createBackup": {"name": "b", "type": "t", "rotation": 1}}),
    )
    .await;
    let done = crate::scenarios::deeds::ended(&s, "backup").await;
    assert_eq!(crate::scenarios::deeds::stands(&done).0, "Succeeded");
    world.sim.oob_unlock(id).unwrap();
    s.ready_in("web", "Stopped").await;
    assert!(world.sim.server(id).unwrap().locked, "ours is put back");
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_used_up_is_asked_by_one_for_all_ever_more_seldom_and_told_once() {
    const N: usize = 40;
    let world = Virtual::with(Default::default(), tracing::Level::WARN);
    let s = world.stage().await;
    world.run();
    short_of_quota(&world, &s, 0, N).await;
    sleep(Duration::from_secs(1800)).await;
    world.sim.reset_requests();
    sleep(Duration::from_secs(3600)).await;
    let tries = asked(&world, "POST /servers");
    println!("{tries} creations in an hour for {N} objects");
    // One each five minutes at the latest, for all.
    assert!((10..=15).contains(&tries), "{tries} creations in an hour");
    let events = world.api.list("events");
    println!("{} events", events.len());
    assert!(events.len() <= 4 * N, "{} events", events.len());
    world.sim.set_quota(Quota::default());
    all(&world, N, "all are made", ready).await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn room_that_a_deletion_makes_is_taken_at_once_and_everybody_has_a_turn() {
    const N: usize = 12;
    let world = Virtual::with(Default::default(), tracing::Level::WARN);
    let s = world.stage().await;
    world.run();
    s.create("first", json!({})).await;
    s.ready("first").await;
    let used = world.sim.live_servers().len() as i64;
    short_of_quota(&world, &s, used, N).await;
    // By now a turn comes each five minutes.
    sleep(Duration::from_secs(3600)).await;
    let before = world.sim.live_servers().len();
    s.remove("first").await;
    let made = |api: &ApiServer| {
        (0..N).any(|i| {
            let server: Option<Server> = api.read(NAMESPACE, &format!("web-{i}"));
            server.is_some_and(|x| ready(&x))
        })
    };
    world
        .api
        .wait_until("one is made", Duration::from_secs(60), made)
        .await
        .unwrap();
    assert_eq!(world.sim.live_servers().len(), before);
    // Each of the others is asked for in its turn.
    world.sim.set_quota(Quota::default());
    all(&world, N, "all are made", ready).await;
    world.judge().await;
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_asks_for_a_pause_is_asked_by_nobody_meanwhile() {
    const N: usize = 50;
    let world = Virtual::with(Default::default(), tracing::Level::WARN);
    let s = world.stage().await;
    let slow = json!({"spec": {"requests": {"perSecond": 10, "burst": 20}}});
    s.patch::<ProviderConfig>("cloud", slow).await;
    world.run();
    for i in 0..N {
        s.create(&format!("web-{i}"), json!({})).await;
    }
    all(&world, N, "all run", ready).await;
    let effect = FaultEffect::RateLimited {
        retry_after: Some(60),
    };
    world.sim.inject(FaultRule::new(effect));
    world.sim.reset_requests();
    for i in 0..N {
        s.edit(&format!("web-{i}"), json!({"powerState": "Stopped"}))
            .await;
    }
    sleep(Duration::from_secs(900)).await;
    let asked = world.sim.requests().len();
    println!("{asked} requests in 15 minutes of 429 by {N} objects");
    // Some are under way when the first refusal comes; then one a minute.
    assert!(
        asked <= 15 + 20,
        "{asked} requests, the cloud asked for one a minute"
    );
    world.sim.clear_faults();
    world.sim.reset_requests();
    all(&world, N, "all are stopped", |x| {
        ready(x) && power_of(x) == "Stopped"
    })
    .await;
    // At its end they do not come all at once: the burst of the budget, and its pace.
    let at: Vec<_> = world
        .sim
        .requests()
        .iter()
        .filter(|r| !r.route.contains("auth"))
        .map(|r| r.at)
        .collect();
    let within = |begin: Duration, seconds| {
        let end = begin + Duration::from_secs(seconds);
        at.iter().filter(|t| (begin..end).contains(*t)).count()
    };
    let most = |seconds| at.iter().map(|t| within(*t, seconds)).max().unwrap_or_default();
    println!(
        "after the pause: {} requests within a second, {} within ten",
        most(1),
        most(10)
    );
    assert!(most(1) <= 20 + 10 + 1, "{} requests within a second", most(1));
    assert!(
        most(10) <= 20 + 10 * 10 + 1,
        "{} requests within ten seconds",
        most(10)
    );
    world.judge().await;
}
