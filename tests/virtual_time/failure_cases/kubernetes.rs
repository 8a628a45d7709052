//! The side of the cluster: conflicts, finalizers of others, clocks that jump, and specs that nobody writes.

use std::time::Duration;

use evenkeel::sim::apiserver::{Fault, Rule};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::scenarios::stage::Stage;
use crate::steps::{NAME, Step};
use crate::world::{NAMESPACE, Virtual};

const WEB: (&str, &str, &str) = ("servers", NAMESPACE, NAME);

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_at_once_from_a_fresh_read() {
    for step in Step::ALL {
        let mut quiet = None;
        for nth in 0..5 {
            let (world, s) = Virtual::new().await;
            step.prepare(&s).await;
            if nth > 0 {
                // Three in a row, of the record, of the id, of the verdict, of the finalizer.
                let conflict = Rule::new(Fault::Conflict).client("evenkeel-1").on("servers");
                world.api.fault(conflict.nth(nth).times(3));
            }
            let began = Instant::now();
            step.begin(&s).await;
            step.fulfilled(&s).await;
            let took = began.elapsed();
            let alone = *quiet.get_or_insert(took);
            assert!(
                took < alone + Duration::from_secs(5),
                "{step:?} {nth}: {took:?}, alone {alone:?}"
            );
            step.check(&world);
            world.judge().await;
        }
    }
}

/// Another controller puts its own finalizer on and takes it off all the time.
async fn meddle(world: &Virtual, s: &Stage) -> usize {
    let has = |object: &Value| {
        let all = object["metadata"]["finalizers"].as_array();
        all.is_some_and(|all| all.iter().any(|f| f == "example.com/theirs"))
    };
    let mut rounds = 0;
    loop {
        let put = world.api.edit(WEB, |object| {
            if object["metadata"]["finalizers"].is_null() {
                object["metadata"]["finalizers"] = json!([]);
            }
            if object["metadata"]["deletionTimestamp"].is_null() {
                let all = object["metadata"]["finalizers"].as_array_mut().unwrap();
                all.push("example.com/theirs".into());
            }
        });
        let Ok(put) = put else { return rounds };
        sleep(Duration::from_millis(3)).await;
        if has(&put) {
            let now = world.api.get(WEB).expect("it cannot go while theirs is on it");
            assert!(has(&now), "theirs was taken off: {}", now["metadata"]);
            rounds += 1;
            world
                .api
                .edit(WEB, |object| {
                    let all = object["metadata"]["finalizers"].as_array_mut().unwrap();
                    all.retain(|f| f != "example.com/theirs");
                })
                .unwrap();
        }
        sleep(Duration::from_millis(4)).await;
        let _ = s;
    }
}

#[tokio::test(start_paused = true)]
async fn finalizers_of_another_controller_that_come_and_go_are_left_to_it() {
    let (world, s) = Virtual::new().await;
    Step::Create.begin(&s).await;
    let life = async {
        Step::Create.fulfilled(&s).await;
        Step::Stop.begin(&s).await;
        Step::Stop.fulfilled(&s).await;
        Step::Delete.begin(&s).await;
        Step::Delete.fulfilled(&s).await;
    };
    let (rounds, ()) = tokio::join!(meddle(&world, &s), life);
    assert!(rounds > 100, "only {rounds} rounds");
    Step::Delete.check(&world);
    world.judge_what_was().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_between_two_processes_holds_nothing_up() {
    const DAY: i64 = 86_400;
    for jump in [DAY, -DAY] {
        for step in Step::ALL {
            for ms in [3, 20, 1000] {
                let world = Virtual::empty();
                let s = world.stage().await;
                let first = world.start_at(jump);
                step.prepare(&s).await;
                step.begin(&s).await;
                sleep(Duration::from_millis(ms)).await;
                first.kill().await;
                let began = Instant::now();
                world.run();
                step.fulfilled(&s).await;
                let took = began.elapsed();
                assert!(
                    took < Duration::from_secs(240),
                    "{step:?} {ms} ms, {jump} s: {took:?}"
                );
                step.check(&world);
                world.judge().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_but_its_author_writes_a_spec() {
    let (world, s) = Virtual::new().await;
    let mut edits = 0;
    for step in Step::ALL.iter().take(4) {
        step.begin(&s).await;
        edits += 1;
        let mine = world.api.get(WEB).unwrap()["spec"].clone();
        step.fulfilled(&s).await;
        let now = world.api.get(WEB).unwrap();
        assert_eq!(now["spec"], mine, "{step:?}");
        assert_eq!(now["metadata"]["generation"], edits, "{step:?}");
    }
    world.judge().await;
}
