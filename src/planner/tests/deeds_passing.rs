//! Deeds for a server whose cloud does not come to an end with it.

use serde_json::json;

use super::deeds::{ask, outcome, over, record, server};
use super::world::World;
use crate::api::Reason;
use crate::planner::model::*;

use ServerState::*;

/// The cloud is in the middle of something, for ever.
fn hangs(w: &mut World, state: ServerState) {
    let server = w.the();
    (server.seen.state, server.seen.busy) = (state, true);
    server.until = None;
}

fn restart_of(w: &World) -> String {
    let restart = w.server.status.as_ref().unwrap().restart.as_ref().unwrap();
    format!("{} {}", restart.token, restart.outcome)
}

#[test]
fn a_reboot_of_somebody_else_that_hangs_gives_way_to_a_hard_one() {
    let mut w = server(json!({}));
    hangs(&mut w, Rebooting);
    ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
    ask(&mut w, "soft", json!({"reboot": {}}));
    w.run(60);
    assert_eq!(w.calls.len(), 0);
    assert_eq!(outcome(&w, "image"), "Waiting/WaitingForServer");
    // It comes before what waits for the server.
    ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
    w.until(60, "rebooted", |w| over(w, "hard"));
    assert_eq!(outcome(&w, "hard"), "Succeeded/Succeeded");
    w.until(300, "all over", |w| over(w, "soft"));
    assert_eq!(w.calls, ["Restart", "CreateImage", "Restart"]);
    w.run(3700);
    assert_eq!(w.calls.len(), 3);
}

#[test]
fn a_hard_reboot_is_asked_for_again_while_the_cloud_says_no() {
    let mut w = server(json!({}));
    hangs(&mut w, Rebooting);
    for _ in 0..9 {
        w.fates
            .push(("Restart", super::world::Fate::Refuse(ErrorClass::Busy)));
    }
    ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
    w.until(3600, "rebooted", |w| over(w, "hard"));
    assert_eq!(outcome(&w, "hard"), "Succeeded/Succeeded");
    assert_eq!(w.calls.len(), 10);
}

#[test]
fn our_lock_is_opened_for_it_and_closed_again() {
    let mut w = server(json!({"locked": {"reason": "keep"}}));
    w.until(60, "locked", |w| {
        w.cloud.values().all(|f| f.seen.locked.is_some())
    });
    w.run(10);
    w.calls.clear();
    hangs(&mut w, Rebooting);
    ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
    w.until(60, "rebooted", |w| over(w, "hard"));
    assert_eq!(outcome(&w, "hard"), "Succeeded/Succeeded");
    w.run(60);
    assert_eq!(w.calls, ["Unlock", "Restart", "Lock"]);
    // Somebody else's stays.
    let mut w = server(json!({}));
    hangs(&mut w, Rebooting);
    w.the().seen.locked = Some("theirs".to_owned());
    ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
    w.run(60);
    assert_eq!(
        (outcome(&w, "hard").as_str(), w.calls.len()),
        ("Waiting/Locked", 0)
    );
}

#[test]
fn a_restart_for_a_token_has_its_time_before_a_deed_takes_its_place() {
    let mut w = server(json!({"restart": {"token": "a"}}));
    w.run(5);
    w.edit(json!({"restart": {"token": "b"}}));
    w.until(30, "asked", |w| w.calls == ["Restart"]);
    hangs(&mut w, Rebooting);
    ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
    w.run(300);
    assert_eq!(w.calls, ["Restart"], "while the operation has its time");
    w.until(1200, "over", |w| over(w, "hard"));
    assert_eq!(outcome(&w, "hard"), "Succeeded/Succeeded");
    // What became of the other nobody knows; it is told, and not done again.
    assert_eq!(restart_of(&w), "b Unverified");
    assert_eq!(w.told_of(Reason::RestartUnverified).len(), 1);
    w.run(3700);
    assert_eq!(w.calls, ["Restart", "Restart"]);
    assert_eq!(w.ready(), "True/AsDeclared");
}

#[test]
fn a_deed_that_hangs_is_not_done_again_after_the_one_that_took_its_place() {
    for again in [false, true] {
        let mut w = server(json!({}));
        ask(&mut w, "soft", json!({"reboot": {}}));
        w.until(30, "asked", |w| w.calls == ["Restart"]);
        hangs(&mut w, Rebooting);
        ask(&mut w, "hard", json!({"reboot": {"mode": "Hard"}}));
        w.run(300);
        assert_eq!(w.calls, ["Restart"], "while the first has its time");
        if again {
            w.restart_process();
        }
        w.until(1200, "over", |w| over(w, "hard"));
        assert_eq!(outcome(&w, "soft"), "Unknown/OutcomeUnknown");
        assert_eq!(outcome(&w, "hard"), "Succeeded/Succeeded");
        w.run(3700);
        assert_eq!(w.calls, ["Restart", "Restart"]);
    }
}

#[test]
fn a_server_is_evacuated_whatever_its_dead_host_was_about_to_do() {
    let away = || json!({"evacuate": {"hostFenced": true}});
    for state in [Stopping, Maintenance] {
        let mut w = server(json!({}));
        hangs(&mut w, state);
        ask(&mut w, "away", away());
        w.until(60, "evacuated", |w| over(w, "away"));
        assert_eq!(outcome(&w, "away"), "Succeeded/Succeeded");
        w.run(60);
        assert_eq!(w.calls, ["Evacuate"]);
        assert_eq!((w.state(), w.ready().as_str()), (Running, "True/AsDeclared"));
    }
    // What we had asked the dead host for does not come any more, and is asked for again where the server is then.
    let mut w = server(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    w.until(30, "asked", |w| w.calls == ["Stop"]);
    hangs(&mut w, Stopping);
    ask(&mut w, "away", away());
    w.until(60, "evacuated", |w| over(w, "away"));
    w.until(120, "stopped", |w| {
        w.state() == Stopped && w.ready() == "True/AsDeclared"
    });
    assert_eq!(outcome(&w, "away"), "Succeeded/Succeeded");
    assert_eq!(w.calls, ["Stop", "Evacuate", "Stop"]);
    // In a passing state that its cloud does not take it in it waits.
    let mut w = server(json!({}));
    hangs(&mut w, Rebuilding);
    ask(&mut w, "away", away());
    w.run(60);
    assert_eq!(outcome(&w, "away"), "Waiting/WaitingForServer");
}

/// A deed of ours whose time is long holds nobody on a host that is off: it ends as unknown, and is not done again.
#[test]
fn a_deed_of_ours_on_a_dead_host_gives_way_to_an_evacuation() {
    for again in [false, true] {
        let mut w = server(json!({}));
        ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
        w.until(30, "asked", |w| w.calls == ["CreateImage"]);
        hangs(&mut w, Maintenance);
        // A hard reboot has to wait for it.
        ask(&mut w, "kick", json!({"reboot": {"mode": "Hard"}}));
        w.run(60);
        if again {
            w.restart_process();
        }
        ask(&mut w, "away", json!({"evacuate": {"hostFenced": true}}));
        w.until(60, "evacuated", |w| over(w, "away"));
        assert_eq!(outcome(&w, "away"), "Succeeded/Succeeded");
        assert_eq!(outcome(&w, "image"), "Unknown/OutcomeUnknown");
        let said = &record(&w, "image").unwrap().message;
        assert!(said.contains("ServerAction away"), "{said}");
        w.until(300, "rebooted", |w| over(w, "kick"));
        assert_eq!(w.calls, ["CreateImage", "Evacuate", "Restart"]);
    }
    // What the cloud does without the host has its time: our lock is opened once, and then it is evacuated.
    let mut w = server(json!({"locked": {"reason": "keep"}}));
    w.until(60, "locked", |w| {
        w.cloud.values().all(|f| f.seen.locked.is_some())
    });
    w.run(10);
    w.calls.clear();
    hangs(&mut w, Maintenance);
    ask(&mut w, "away", json!({"evacuate": {"hostFenced": true}}));
    w.until(60, "evacuated", |w| over(w, "away"));
    w.run(60);
    assert_eq!(
        w.calls.iter().filter(|c| *c == "Evacuate").count(),
        1,
        "{:?}",
        w.calls
    );
    assert!(
        w.calls.iter().filter(|c| *c == "Unlock").count() <= 1,
        "{:?}",
        w.calls
    );
    // An evacuation that is under way is not begun a second time.
    let mut w = server(json!({}));
    hangs(&mut w, Maintenance);
    ask(&mut w, "one", json!({"evacuate": {"hostFenced": true}}));
    w.until(30, "asked", |w| w.calls == ["Evacuate"]);
    hangs(&mut w, Maintenance);
    ask(&mut w, "two", json!({"evacuate": {"hostFenced": true}}));
    w.run(100);
    assert_eq!(w.calls, ["Evacuate"]);
}

#[test]
fn a_root_disk_that_is_a_volume_is_not_backed_up() {
    let mut w = server(json!({}));
    w.the().seen.image_id = None;
    w.server.status.as_mut().unwrap().image.as_mut().unwrap().id = None;
    ask(
        &mut w,
        "it",
        json!({"createBackup": {"name": "a", "type": "t", "rotation": 1}}),
    );
    ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
    w.until(90, "over", |w| over(w, "image"));
    assert_eq!(outcome(&w, "it"), "Failed/NotAllowed");
    let said = &record(&w, "it").unwrap().message;
    assert!(said.contains("volume") && said.contains("createImage"), "{said}");
    assert_eq!(w.calls, ["CreateImage"]);
}
