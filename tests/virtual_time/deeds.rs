//! Deeds while everything goes wrong: the controller is killed at every step of one, and started again.

use serde_json::{Value, json};

use crate::kills::{MANY, PLACES, Place, arm};
use crate::scenarios::deeds::{ask, ended, stands};
use crate::world::Virtual;

/// The deeds, and how the cloud counts them.
fn deeds() -> [(&'static str, Value); 4] {
    [
        ("createImage", json!({"createImage": {"name": "before"}})),
        ("reboot", json!({"reboot": {"mode": "Hard"}})),
        ("console", json!({"consoleOutput": {}})),
        ("remote", json!({"remoteConsole": {"secretName": "console"}})),
    ]
}

/// Plays one deed with a kill at the nth place; whether there was an nth place.
async fn play(name: &str, deed: &Value, place: Place, n: u64) -> bool {
    let world = Virtual::empty();
    let s = world.stage().await;
    let mut first = world.start();
    s.create("web", json!({})).await;
    let server = s.ready_in("web", "Running").await;
    let id = crate::scenarios::stage::id_of(&server).to_owned();
    let before = s.nova.actions(&id).await.len();
    arm(&world, &first, place, n);
    ask(&s, name, "web", deed.clone()).await;
    let over = async { drop(ended(&s, name).await) };
    let killed = tokio::select! {
        biased;
        () = first.ended() => true,
        () = over => false,
    };
    if killed {
        world.run();
        let (reason, words) = stands(&ended(&s, name).await);
        let honest = ["Succeeded", "OutcomeUnknown"].contains(&reason.as_str());
        assert!(honest, "{name}, {place:?} {n}: {reason}: {words}");
        s.ready_in("web", "Running").await;
        let done = s.nova.actions(&id).await.len() - before;
        assert!(done <= 1, "{name}, {place:?} {n}: done {done} times");
        assert!(reason == "OutcomeUnknown" || done == 1 || name == "console" || name == "remote");
        world.judge().await;
    }
    killed
}

#[tokio::test(start_paused = true)]
async fn a_deed_whose_controller_is_killed_is_done_once_or_unknown() {
    for (name, deed) in deeds() {
        let mut kills = 0;
        for place in PLACES {
            for n in 1..MANY {
                if !play(name, &deed, *place, n).await {
                    break;
                }
                kills += 1;
            }
        }
        // Else it was over before anything could be killed.
        assert!(kills >= 6, "{name}: only {kills} kills");
        println!("{name}: {kills} kills");
    }
}
