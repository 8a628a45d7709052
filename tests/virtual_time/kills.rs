//! The controller is killed at every step of every operation, and started again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel::sim::apiserver::{Fault, Phase};
use tokio::task::AbortHandle;

use crate::scenarios::stage::Stage;
use crate::steps::Step;
use crate::tap::{Fate, Side};
use crate::world::{Process, Virtual};

/// Where the kill falls: before or after a write to the cluster, or a change in the cloud.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    BeforeWrite,
    AfterWrite,
    BeforeCall,
    AfterCall,
}

pub const PLACES: &[Place] = &[
    Place::BeforeWrite,
    Place::AfterWrite,
    Place::BeforeCall,
    Place::AfterCall,
];
/// No operation has so many steps.
pub const MANY: u64 = 40;

/// Arms the kill at the nth place from now on.
pub fn arm(world: &Virtual, victim: &Process, place: Place, n: u64) {
    let (seen, name, victim) = (AtomicU64::new(0), victim.name.clone(), victim.trigger());
    let victim: Arc<Mutex<AbortHandle>> = Arc::new(Mutex::new(victim));
    let hit = move |process: &str, here: bool| {
        let now = here && process == name && seen.fetch_add(1, Ordering::SeqCst) + 1 == n;
        if now {
            victim.lock().unwrap_or_else(PoisonError::into_inner).abort();
        }
        now
    };
    match place {
        Place::BeforeWrite | Place::AfterWrite => world.api.on_write(move |event| {
            let before = matches!(place, Place::BeforeWrite);
            let here = (event.phase == Phase::Before) == before;
            match hit(&event.call.client, here) {
                // Before: it never arrives. After: it was carried out, and nobody reads the reply.
                true if before => Fault::Drop,
                _ => Fault::Pass,
            }
        }),
        Place::BeforeCall | Place::AfterCall => world.tap.meet(move |met| {
            let before = matches!(place, Place::BeforeCall);
            match hit(met.process, (met.side == Side::Before) == before) {
                true => Fate::Stuck,
                false => Fate::Pass,
            }
        }),
    }
}

/// Plays one operation with a kill at the nth place; whether there was an nth place.
async fn play(step: Step, place: Place, n: u64) -> bool {
    let world = Virtual::empty();
    let s: Stage = world.stage().await;
    let mut first = world.start();
    step.prepare(&s).await;
    arm(&world, &first, place, n);
    step.begin(&s).await;
    let killed = tokio::select! {
        biased;
        () = first.ended() => true,
        () = step.fulfilled(&s) => false,
    };
    if killed {
        world.run();
        step.fulfilled(&s).await;
        step.check(&world);
        world.judge().await;
    }
    killed
}

async fn everywhere(step: Step, least: u64) {
    let mut kills = 0;
    for place in PLACES {
        for n in 1..MANY {
            println!("{step:?}: {place:?} {n}");
            if !play(step, *place, n).await {
                break;
            }
            kills += 1;
        }
    }
    // Else the operation was over before anything could be killed.
    assert!(kills >= least, "only {kills} kills");
    println!("{step:?}: {kills} kills");
}

#[tokio::test(start_paused = true)]
async fn during_create() {
    everywhere(Step::Create, 10).await;
}

#[tokio::test(start_paused = true)]
async fn during_stop() {
    everywhere(Step::Stop, 6).await;
}

#[tokio::test(start_paused = true)]
async fn during_start() {
    everywhere(Step::Start, 6).await;
}

#[tokio::test(start_paused = true)]
async fn during_resize() {
    everywhere(Step::Resize, 10).await;
}

#[tokio::test(start_paused = true)]
async fn during_delete() {
    everywhere(Step::Delete, 8).await;
}

#[tokio::test(start_paused = true)]
async fn going_in_peace_loses_nothing() {
    for step in Step::ALL {
        for ms in [0, 5, 10, 15, 30, 100, 500, 2000] {
            let world = Virtual::empty();
            let s = world.stage().await;
            let first = world.start();
            step.prepare(&s).await;
            step.begin(&s).await;
            tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            let asked = tokio::time::Instant::now();
            first.stop().await;
            assert!(
                asked.elapsed() < std::time::Duration::from_secs(21),
                "{step:?} {ms} ms"
            );
            world.run();
            step.fulfilled(&s).await;
            step.check(&world);
            world.judge().await;
        }
    }
}
