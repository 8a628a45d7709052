//! Two controllers at once, with nothing between them but the create protocol; and one that sleeps at the worst
//! moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::sim::apiserver::{Fault, Phase};
use tokio::time::sleep;

use crate::scenarios::stage::id_of;
use crate::steps::Step;
use crate::tap::{Fate, Side};
use crate::world::Virtual;

fn creates(world: &Virtual) -> usize {
    let all = world.sim.requests();
    all.iter()
        .filter(|r| r.method == "POST" && r.route == "/servers" && r.applied)
        .count()
}

#[tokio::test(start_paused = true)]
async fn two_that_both_act_make_one_server() {
    for apart in [0, 1, 2, 3, 5, 8, 13, 50, 500, 5000] {
        println!("{apart} ms apart");
        let world = Virtual::empty();
        let s = world.stage().await;
        world.run();
        Step::Create.begin(&s).await;
        sleep(Duration::from_millis(apart)).await;
        world.run();
        Step::Create.fulfilled(&s).await;
        for step in Step::ALL.iter().skip(1) {
            step.begin(&s).await;
            step.fulfilled(&s).await;
        }
        Step::Delete.check(&world);
        assert_eq!(creates(&world), 1);
        world.judge().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_with_an_old_view_of_the_cluster_changes_nothing() {
    for step in Step::ALL {
        println!("{step:?}");
        let world = Virtual::empty();
        let s = world.stage().await;
        world.run();
        world.run();
        step.prepare(&s).await;
        sleep(Duration::from_secs(30)).await;
        world.api.freeze_watches("evenkeel-2");
        step.begin(&s).await;
        step.fulfilled(&s).await;
        sleep(Duration::from_secs(300)).await;
        step.check(&world);
        world.api.thaw_watches("evenkeel-2");
        step.check(&world);
        world.judge().await;
    }
}

/// What SIGSTOP does between the record and the call: the reply that proves the record is read much later, when
/// somebody else has long taken over.
#[tokio::test(start_paused = true)]
async fn one_that_sleeps_between_its_record_and_its_call_does_not_send() {
    for asleep in [6, 12, 19, 25, 60] {
        println!("{asleep} s");
        let world = Virtual::empty();
        let s = world.stage().await;
        let held = AtomicBool::new(false);
        world.api.on_write(move |event| {
            let attempt = &event.body["status"]["createAttempt"];
            let record = event.call.client == "evenkeel-1"
                && event.call.plural == "servers"
                && attempt["holder"] == "evenkeel-1";
            if record && event.phase == Phase::After && !held.swap(true, Ordering::SeqCst) {
                Fault::Hang(Duration::from_secs(asleep))
            } else {
                Fault::Pass
            }
        });
        world.run();
        Step::Create.begin(&s).await;
        s.wait("web", "the record", |x| {
            x.status.as_ref().is_some_and(|s| s.create_attempt.is_some())
        })
        .await;
        world.run();
        sleep(Duration::from_secs(asleep)).await;
        // It woke up, and knows that it is too late.
        sleep(Duration::from_millis(500)).await;
        let attempt = s.get("web").await.status.unwrap().create_attempts;
        assert!(creates(&world) == 0 || attempt > Some(1), "sent after {asleep} s");
        Step::Create.fulfilled(&s).await;
        Step::Create.check(&world);
        assert_eq!(creates(&world), 1);
        world.judge().await;
    }
}

/// The same one step later: its request leaves late. It counts as sent, and whoever took over waits for it.
#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_late_is_waited_for() {
    for held in [2, 10, 28] {
        println!("{held} s");
        let world = Virtual::empty();
        let s = world.stage().await;
        world.tap.meet(move |met| match (met.process, met.n, met.side) {
            ("evenkeel-1", 1, Side::Before) => Fate::Held(Duration::from_secs(held)),
            _ => Fate::Pass,
        });
        world.run();
        Step::Create.begin(&s).await;
        sleep(Duration::from_millis(500)).await;
        world.run();
        Step::Create.fulfilled(&s).await;
        Step::Create.check(&world);
        assert_eq!(creates(&world), 1);
        world.judge().await;
    }
}

/// The network between the first one and the cluster breaks while its call is under way; a second one takes over.
#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_leaves_one_server() {
    for step in Step::ALL {
        for ms in [3, 8, 12, 30, 1000] {
            println!("{step:?} {ms} ms");
            let world = Virtual::empty();
            let s = world.stage().await;
            world.run();
            step.prepare(&s).await;
            step.begin(&s).await;
            sleep(Duration::from_millis(ms)).await;
            world.api.cut("evenkeel-1");
            world.run();
            step.fulfilled(&s).await;
            step.check(&world);
            world.api.mend("evenkeel-1");
            sleep(Duration::from_secs(120)).await;
            step.check(&world);
            world.judge().await;
        }
    }
}

/// Without a lease each has its own list, and one is older than the other's. What one has written by a newer list is not
/// taken back by an older one.
#[tokio::test(start_paused = true)]
async fn two_whose_lists_differ_in_age_do_not_contradict_each_other() {
    for apart in [3, 7, 11, 19] {
        println!("{apart} s");
        let world = Virtual::empty();
        let s = world.stage().await;
        world.run();
        Step::Create.begin(&s).await;
        Step::Create.fulfilled(&s).await;
        sleep(Duration::from_secs(apart)).await;
        world.run();
        sleep(Duration::from_secs(120)).await;
        let before = world.written().len();
        let server = s.get("web").await;
        s.nova.plain(id_of(&server), "pause").await;
        s.reason("web", ConditionType::DriftDetected, "True", "PowerDrift")
            .await;
        sleep(Duration::from_secs(120)).await;
        let written = world.written().len() - before;
        assert!(written <= 6, "{written} writes for one change");
        world.judge().await;
    }
}
