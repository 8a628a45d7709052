//! A server that is taken down for a change: in whose place, for how long, and that it comes back.

use serde_json::{Value, json};

use super::cloud::PLAIN;
use super::clouds::{METAL, STOPPED_ONLY, calls, forget, settled};
use super::turns::ways;
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::planner::model::{Capabilities, ErrorClass, ServerState as S};

fn outcome(w: &World) -> &str {
    let status = w.server.status.as_ref().unwrap();
    &status.restart.as_ref().unwrap().outcome
}

fn at_rest(w: &World) -> bool {
    w.ready() == "True/AsDeclared"
}

/// A restart is asked for whose guest goes down late, or never.
fn restarting(mode: &str, goes_down_after: Option<i64>) -> World {
    let mut w = settled(&STOPPED_ONLY, json!({"powerOff": {"timeout": "2m"}}));
    w.knobs.goes_down_after = goes_down_after;
    if goes_down_after.is_none() {
        w.fates.push(("Restart", Fate::NoEffect));
    }
    w.edit(json!({"restart": {"token": "1", "mode": mode}}));
    w.until(10, "asked", |w| calls(w) == ["Restart"]);
    w
}

#[test]
fn a_restart_is_not_over_before_the_guest_went_down() {
    for after in [30, 100, 150] {
        let mut w = restarting("SoftThenHard", Some(after));
        w.run(after - 5);
        assert_eq!((w.state(), outcome(&w)), (S::Running, "Restarting"), "{after}");
        assert!(w.knobs.takes_place, "{after}");
        w.until(30, "done", |w| outcome(w) == "Done" && at_rest(w));
        assert!(!w.knobs.takes_place && w.state() == S::Running);
        w.run(300);
        assert_eq!(calls(&w), ["Restart"], "{after}");
    }
}

#[test]
fn a_restart_that_was_never_seen_is_told_as_what_is_known() {
    // The cloud cuts the power after the guest's time: it was restarted, seen or not.
    for (mode, seconds, told) in [
        ("SoftThenHard", 180, "Done"),
        ("Hard", 60, "Done"),
        ("Soft", 180, "Unverified"),
    ] {
        let mut w = restarting(mode, None);
        w.run(seconds - 10);
        assert_eq!(outcome(&w), "Restarting", "{mode}");
        w.until(30, "over", |w| outcome(w) == told && at_rest(w));
        // Who comes after a crash knows less, and frees the place no sooner.
        let mut w = restarting(mode, None);
        w.restart_process();
        w.run(seconds - 10);
        assert!(outcome(&w) == "Restarting" && w.knobs.takes_place, "{mode}");
        w.until(30, "over", |w| outcome(w) == "Unverified" && at_rest(w));
        assert_eq!(calls(&w), ["Restart"], "{mode}");
    }
}

#[test]
fn whatever_takes_a_server_down_waits_for_a_place_in_its_account() {
    for (way, can, spec, edit) in ways() {
        let mut w = settled(can, spec);
        w.knobs.full = true;
        w.edit(edit);
        w.run(120);
        assert_eq!(
            (w.calls.len(), w.state()),
            (0, S::Running),
            "{way}: {:?}",
            w.calls
        );
        assert_eq!(w.ready(), "False/WaitingForTurn", "{way}: {}", w.message());
        w.knobs.full = false;
        w.until(300, way, |w| !w.calls.is_empty());
        // Others took the rest meanwhile, and it keeps its own until it is back.
        w.knobs.full = true;
        for _ in 0..300 {
            w.tick();
            if w.state() == S::Running && at_rest(&w) {
                break;
            }
            let up = [S::Running, S::AwaitingResizeConfirmation].contains(&w.state());
            assert!(up || w.knobs.takes_place, "{way}: {} {:?}", w.state(), w.calls);
        }
        assert!(at_rest(&w) && w.state() == S::Running, "{way}: {}", w.message());
        w.run(2);
        assert!(!w.knobs.takes_place, "{way}");
    }
}

#[test]
fn a_start_that_is_refused_gives_no_place_away() {
    let spec = json!({"hostname": "a", "resize": {"when": "StopIfNeeded"}});
    let mut w = settled(&STOPPED_ONLY, spec);
    w.fates.push(("Start", Fate::Refuse(ErrorClass::Transient)));
    w.edit(json!({"hostname": "b"}));
    w.until(60, "begun", |w| !w.calls.is_empty());
    for _ in 0..120 {
        w.tick();
        assert!(w.state() == S::Running || w.knobs.takes_place, "{:?}", w.calls);
    }
    assert_eq!(calls(&w), ["Stop", "Modify", "Start", "Start"]);
    assert!(at_rest(&w) && !w.knobs.takes_place);
}

#[test]
fn what_a_busy_cloud_goes_on_refusing_is_told_and_the_server_comes_back() {
    let changes: [(&str, &'static str, Value, Value, &str); 2] = [
        (
            "a setting",
            "Modify",
            json!({"cloudName": "net 1", "resize": {"when": "StopIfNeeded"}}),
            json!({"cloudName": "net 2"}),
            "False/SettingsRefused",
        ),
        (
            "an image",
            "Rebuild",
            json!({"rebuild": {"when": "OnImageChange"}}),
            json!({"image": {"name": "new"}}),
            "False/RebuildFailed",
        ),
    ];
    for (what, call, spec, edit, told) in changes {
        let mut w = settled(&METAL, spec);
        for _ in 0..50 {
            w.fates.push((call, Fate::Refuse(ErrorClass::Busy)));
        }
        w.edit(edit);
        w.until(400, what, |w| w.ready() == told && w.state() == S::Running);
        let words = format!("Busy for {call}");
        assert!(w.message().contains(&words), "{what}: {}", w.message());
        let (sent, writes) = (w.calls.len(), w.writes.len());
        assert!(sent < 10, "{what}: {:?}", w.calls);
        w.run(600);
        assert_eq!((w.calls.len(), w.writes.len()), (sent, writes), "{what}");
    }
}

/// A guest that does not heed a stop on our own clock, fifty seconds before its time is over.
fn heedless(spec: Value, edit: Value) -> World {
    let mut w = settled(&STOPPED_ONLY, spec);
    w.fates.push(("Stop", Fate::Ignore));
    w.edit(edit);
    w.until(10, "asked", |w| w.calls == ["Stop/Soft"]);
    w.run(850);
    assert_eq!(w.calls, ["Stop/Soft"]);
    w
}

#[test]
fn a_wish_that_comes_meanwhile_puts_no_stop_off() {
    let slow = json!({"powerOff": {"timeout": "900s"}});
    for edit in [
        json!({"size": {"name": "large"}}),
        json!({"cloudName": "new"}),
        json!({"hostname": "new", "resize": {"when": "StopIfNeeded"}}),
    ] {
        let mut w = heedless(slow.clone(), json!({"powerState": "Stopped"}));
        w.edit(edit.clone());
        w.until(60, "its power is cut", |w| {
            w.calls.contains(&"Stop/Hard".to_owned())
        });
        assert_eq!(w.calls, ["Stop/Soft", "Stop/Hard"], "{edit}");
        w.until(60, "at rest", |w| at_rest(w) && w.state() == S::Stopped);

        let mut w = heedless(slow.clone(), json!({"restart": {"token": "1"}}));
        w.edit(edit.clone());
        w.until(120, "restarted", |w| outcome(w) == "Done" && at_rest(w));
        assert_eq!(w.calls[..2], ["Stop/Soft", "Stop/Hard"], "{edit}: {:?}", w.calls);
        assert_eq!(w.calls.iter().filter(|c| *c == "Start").count(), 1, "{edit}");
    }
}

#[test]
fn a_restart_that_was_begun_is_ended_although_nobody_asks_any_more() {
    let spec = json!({"powerOff": {"timeout": "900s"}, "powerState": "Unmanaged"});
    for seconds in [0, 1, 2, 4] {
        let mut w = settled(&STOPPED_ONLY, spec.clone());
        w.edit(json!({"restart": {"token": "1"}}));
        w.until(10, "begun", |w| !w.calls.is_empty());
        w.run(seconds);
        w.edit(json!({"restart": null}));
        w.until(120, "ended", |w| w.state() == S::Running && at_rest(w));
        assert_eq!(
            (calls(&w), outcome(&w)),
            (vec!["Stop", "Start"], "Done"),
            "{seconds}"
        );
    }
}

#[test]
fn an_installation_that_is_given_up_holds_no_place() {
    let mut w = settled(&METAL, json!({"rebuild": {"when": "OnImageChange"}}));
    for _ in 0..3 {
        w.fates.push(("Rebuild", Fate::Break));
    }
    w.edit(json!({"image": {"name": "new"}}));
    w.until(1200, "given up", |w| w.message().contains("tried 3 times"));
    let sent = w.calls.len();
    w.run(600);
    assert_eq!(w.calls.len(), sent);
    assert!(!w.knobs.takes_place && !w.plan().busy);
}

#[test]
fn power_that_nobody_wishes_for_is_put_back_at_its_own_pace() {
    let spec = |failure| json!({"powerState": "Unmanaged", "resize": {"when": "StopIfNeeded", "onFailure": failure}});
    // Whether the cloud refuses the start, or accepts it and nothing comes of it.
    for fate in [Fate::Refuse(ErrorClass::Capacity), Fate::NoEffect] {
        let failing = |failure| {
            let mut w = settled(&PLAIN, spec(failure));
            for _ in 0..200 {
                w.fates.push(("Start", fate.clone()));
            }
            w.edit(json!({"size": {"name": "huge"}}));
            w.until(60, "stopped", |w| calls(w).contains(&"Start"));
            w
        };
        let mut w = failing("Hold");
        w.run(600);
        let starts = calls(&w).iter().filter(|c| **c == "Start").count();
        assert!(
            (2..=8).contains(&starts),
            "{starts} starts in ten minutes of {fate:?}"
        );
        let mut w = failing("Revert");
        w.until(120, "given up", |w| {
            w.knobs.hows.last().is_some_and(|h| h == "small")
        });
        w.fates.clear();
        w.until(300, "back", |w| {
            w.state() == S::Running && w.ready() == "False/ResizeFailed"
        });
        assert_eq!(w.the().seen.size.name.as_deref(), Some("small"));
    }
}

#[test]
fn what_was_sent_is_compared_and_not_what_is_wished_for_by_then() {
    let mut w = settled(&METAL, json!({"cloudName": "net 1", "powerState": "Stopped"}));
    w.edit(json!({"cloudName": "net 2"}));
    w.until(10, "sent", |w| !w.calls.is_empty());
    w.edit(json!({"cloudName": "net 3"}));
    w.until(60, "changed", |w| {
        at_rest(w) && w.condition(C::SettingsSynced) == "True/Synced"
    });
    assert_eq!(w.knobs.hows, ["network=net 2", "network=net 3"]);
    assert!(w.told_of(Reason::Refused).is_empty(), "{:?}", w.told);
}

#[test]
fn a_server_that_was_seen_whole_is_no_failed_creation() {
    let all: [&'static Capabilities; 3] = [&PLAIN, &STOPPED_ONLY, &METAL];
    for can in all {
        let mut w = settled(can, json!({}));
        forget(&mut w);
        let seen = &mut w.the().seen;
        (seen.launched, seen.state, seen.raw) = (false, S::Error, "ERROR".to_owned());
        w.run(300);
        w.restart_process();
        w.run(300);
        assert!(w.calls.is_empty(), "{:?}", w.calls);
        assert_eq!(w.ready(), "False/ServerError");
    }
}
