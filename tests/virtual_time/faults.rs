//! Every fault of the wire on every call that changes something, and on lists: one server, converged in the end.

use evenkeel::sim::openstack::{FaultEffect, FaultRule};

use crate::steps::Step;
use crate::world::Virtual;

/// Method and route, and the action.
const CALLS: &[(&str, Option<&str>)] = &[
    ("POST /servers", None),
    ("POST /servers/{id}/action", Some("os-stop")),
    ("POST /servers/{id}/action", Some("os-start")),
    ("POST /servers/{id}/action", Some("resize")),
    ("POST /servers/{id}/action", Some("confirmResize")),
    ("DELETE /servers/{id}", None),
];

pub fn effects() -> Vec<FaultEffect> {
    let late = |delay_ms, wait_ms| FaultEffect::LateApply { delay_ms, wait_ms };
    let status = |code| FaultEffect::Status { code, body: None };
    vec![
        FaultEffect::LostReply,
        late(2_000, 0),
        late(8_000, 100),
        late(50_000, 20_000),
        FaultEffect::Slow { delay_ms: 20_000 },
        status(500),
        status(502),
        status(503),
        status(504),
        FaultEffect::RateLimited { retry_after: Some(7) },
        FaultEffect::RateLimited { retry_after: None },
        FaultEffect::Hang { wait_ms: 45_000 },
        FaultEffect::Reset,
        FaultEffect::Refused,
    ]
}

async fn live(world: &Virtual, s: &crate::scenarios::stage::Stage) {
    for step in Step::ALL {
        step.begin(s).await;
        step.fulfilled(s).await;
    }
    Step::Delete.check(world);
}

async fn once_and_thrice(effect: FaultEffect) {
    for (call, action) in CALLS {
        for times in [1, 3] {
            println!("{effect:?} on {call} {action:?}, {times} times");
            let (world, s) = Virtual::new().await;
            let rule = FaultRule::new(effect.clone()).on(call).times(times);
            let rule = action.iter().fold(rule, |rule, action| rule.action(action));
            world.sim.inject(rule);
            live(&world, &s).await;
            world.judge().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_on_every_call() {
    for effect in effects() {
        once_and_thrice(effect).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_asks_for_is_waited() {
    let (world, s) = Virtual::new().await;
    let effect = FaultEffect::RateLimited {
        retry_after: Some(120),
    };
    world
        .sim
        .inject(FaultRule::new(effect).on("POST /servers").times(1));
    Step::Create.begin(&s).await;
    Step::Create.fulfilled(&s).await;
    let asked = world.sim.requests();
    let at: Vec<_> = asked
        .iter()
        .filter(|r| r.method == "POST" && r.route == "/servers")
        .map(|r| r.at)
        .collect();
    assert_eq!(at.len(), 2);
    assert!(at[1] - at[0] >= std::time::Duration::from_secs(120), "{at:?}");
    world.judge().await;
}

/// Lists that are old, incomplete or refused: no second server, and no absence believed.
#[tokio::test(start_paused = true)]
async fn every_fault_of_lists() {
    let all = FaultEffect::PartialList {
        omit: 0,
        keep: None,
        server: Some("*".to_owned()),
    };
    let effects = [
        FaultEffect::ListLag { age_ms: 20_000 },
        all,
        FaultEffect::DownCell {
            server: "*".to_owned(),
        },
        FaultEffect::Status {
            code: 503,
            body: None,
        },
        FaultEffect::Hang { wait_ms: 45_000 },
        FaultEffect::Reset,
    ];
    for effect in effects {
        for skip in [0, 1, 2, 4, 8] {
            println!("{effect:?} after {skip} lists");
            let (world, s) = Virtual::new().await;
            let rule = FaultRule::new(effect.clone()).on("GET /servers/detail");
            world.sim.inject(rule.skip(skip).times(20));
            live(&world, &s).await;
            world.sim.clear_faults();
            world.judge().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_refused_are_renewed() {
    let (world, s) = Virtual::new().await;
    for step in Step::ALL {
        world.sim.expire_tokens();
        step.begin(&s).await;
        step.fulfilled(&s).await;
    }
    world.judge().await;
}

/// Our marks come off one by one. Interrupted at any of them, the removal goes on by itself.
#[tokio::test(start_paused = true)]
async fn marks_that_come_off_half_way_come_off_in_the_end() {
    for skip in 0..3 {
        println!("after {skip}");
        let (world, s) = Virtual::new().await;
        let effect = FaultEffect::Status {
            code: 503,
            body: None,
        };
        let rule = FaultRule::new(effect).on("DELETE /servers/{id}/metadata/{key}");
        world.sim.inject(rule.skip(skip).times(1));
        s.create("web", serde_json::json!({"deletionPolicy": "Orphan"}))
            .await;
        let server = s.ready("web").await;
        s.remove("web").await;
        let left = s
            .nova
            .show(crate::scenarios::stage::id_of(&server))
            .await
            .unwrap();
        assert_eq!(
            (&left["status"], &left["metadata"]),
            (&"ACTIVE".into(), &serde_json::json!({}))
        );
        world.judge().await;
    }
}
