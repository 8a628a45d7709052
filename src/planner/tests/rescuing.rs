//! Rescue mode: entered and left for a wish, holding what it forbids; that of somebody else is left alone.

use serde_json::json;

use super::clouds::{STOPPED_ONLY, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::api::server_status::RescueState;
use crate::planner::Step;
use crate::planner::model::{ErrorClass, ServerState as S};

fn how(w: &World) -> Option<RescueState> {
    w.server.status.as_ref().unwrap().rescue.as_ref().map(|r| r.state)
}

fn desired(w: &World) -> String {
    let power = w.server.status.as_ref().unwrap().power.clone().unwrap();
    format!("{} from {}", power.desired.unwrap(), power.desired_from.unwrap())
}

fn rescued(more: serde_json::Value) -> World {
    let mut w = World::settled(more);
    w.edit(json!({"rescue": {"image": {"name": "tools"}}}));
    w.until(60, "rescued", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Rescued
    });
    w
}

#[test]
fn rescue_is_entered_and_left_for_a_wish() {
    for (wish, after) in [
        ("Running", &["Unrescue"][..]),
        ("Stopped", &["Unrescue", "Stop"]),
        ("Paused", &["Unrescue", "Pause"]),
        ("Unmanaged", &["Unrescue"]),
    ] {
        let mut w = rescued(json!({}));
        assert_eq!(
            (w.knobs.hows.as_slice(), how(&w)),
            (&["tools".to_owned()][..], Some(RescueState::Active))
        );
        assert_eq!(desired(&w), "Rescued from Rescue");
        forget(&mut w);
        // Power wishes are held.
        w.edit(json!({"powerState": wish}));
        w.run(60);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("True/AsDeclared", 0),
            "{wish}"
        );
        w.edit(json!({"rescue": null}));
        w.until(60, "left", |w| {
            w.ready() == "True/AsDeclared" && w.calls.len() == after.len()
        });
        assert_eq!(
            (w.calls.as_slice(), how(&w)),
            (&after.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..], None),
            "{wish}"
        );
        w.run(60);
        assert_eq!(w.calls.len(), after.len());
    }
}

#[test]
fn the_way_into_it_leads_through_what_the_cloud_accepts() {
    for (wish, way) in [
        ("Stopped", &["Rescue"][..]),
        ("Paused", &["Unpause", "Rescue"]),
        ("Suspended", &["Resume", "Rescue"]),
        ("Shelved", &["Unshelve", "Rescue"]),
    ] {
        let mut w = World::settled(json!({"powerState": wish}));
        w.until(60, "as wished", |w| {
            w.ready() == "True/AsDeclared" && w.state().as_str() == wish
        });
        forget(&mut w);
        w.edit(json!({"rescue": {}}));
        w.until(60, "rescued", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Rescued
        });
        assert_eq!(calls(&w), way, "{wish}");
    }
}

#[test]
fn what_it_forbids_is_held_and_said() {
    let mut w = rescued(json!({}));
    forget(&mut w);
    w.edit(
        json!({"size": {"name": "large"}, "resize": {"when": "StopIfNeeded"},
        "image": {"name": "new"}, "rebuild": {"when": "OnImageChange"}, "powerState": "Stopped"}),
    );
    w.run(60);
    assert_eq!(
        (w.calls.len(), w.condition(C::SizeSynced).as_str()),
        (0, "False/InRescue")
    );
    assert_eq!(w.ready(), "True/InRescue");
    assert!(w.message().contains("image new"), "{}", w.message());
    w.edit(json!({"rescue": null}));
    w.until(300, "all of it", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    let mut done = calls(&w);
    done.sort_unstable();
    assert_eq!(done, ["ConfirmResize", "Rebuild", "Resize", "Stop", "Unrescue"]);
}

#[test]
fn another_image_is_another_rescue() {
    let mut w = rescued(json!({}));
    forget(&mut w);
    w.edit(json!({"rescue": {"image": {"name": "more-tools"}}}));
    w.until(60, "with it", |w| {
        w.ready() == "True/AsDeclared" && w.calls.len() == 2
    });
    assert_eq!(
        (calls(&w), w.knobs.hows.as_slice()),
        (vec!["Unrescue", "Rescue"], &["more-tools".to_owned()][..])
    );
}

#[test]
fn a_rescue_by_somebody_else_is_left_alone() {
    for declared in [false, true] {
        let mut w = World::settled(json!({}));
        w.the().seen.state = S::Rescued;
        w.run(60);
        assert_eq!(
            (w.condition(C::DriftDetected).as_str(), w.calls.len()),
            ("True/PowerDrift", 0)
        );
        if declared {
            // What is wished for is there already, and not ours; nor is it when the wish is dropped.
            w.edit(json!({"rescue": {}}));
            w.run(60);
            assert_eq!(
                (w.ready().as_str(), how(&w)),
                ("True/AsDeclared", Some(RescueState::Found))
            );
            w.edit(json!({"rescue": null}));
        }
        w.restart_process();
        w.run(120);
        assert_eq!(
            (w.condition(C::DriftDetected).as_str(), w.calls.len()),
            ("True/PowerDrift", 0)
        );
        w.the().seen.state = S::Running;
        w.until(30, "ended", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls.len(), 0);
    }
}

#[test]
fn one_that_somebody_ends_is_entered_again_as_the_policy_says() {
    for (policy, calls, ready) in [
        ("Enforce", 1, "True/AsDeclared"),
        ("Observe", 0, "True/PowerDrift"),
    ] {
        let mut w = rescued(json!({"driftPolicy": policy}));
        forget(&mut w);
        w.the().seen.state = S::Running;
        w.run(60);
        assert_eq!((w.calls.len(), w.ready().as_str()), (calls, ready), "{policy}");
    }
}

#[test]
fn a_missing_image_is_said_and_not_tried_again_by_itself() {
    for class in [
        ErrorClass::InvalidSpec,
        ErrorClass::Forbidden,
        ErrorClass::Unsupported,
    ] {
        let mut w = World::settled(json!({}));
        w.fates.push(("Rescue", Fate::Refuse(class)));
        w.edit(json!({"rescue": {"image": {"name": "nope"}}}));
        w.until(30, "said", |w| w.ready() == "False/RescueFailed");
        w.restart_process();
        w.run(1200);
        assert_eq!(
            (calls(&w), w.state(), w.ready().as_str()),
            (vec!["Rescue"], S::Running, "False/RescueFailed")
        );
        assert!(w.message().contains("for Rescue"), "{}", w.message());
        let mut dropped = World::settled(json!({}));
        std::mem::swap(&mut dropped, &mut w);
        dropped.edit(json!({"rescue": null}));
        dropped.until(30, "as before", |w| w.ready() == "True/AsDeclared");
        dropped.edit(json!({"rescue": {"image": {"name": "tools"}}}));
        dropped.until(60, "rescued", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Rescued
        });
    }
    let mut w = World::settled(json!({}));
    w.fates.push(("Rescue", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"rescue": {}}));
    w.until(30, "said", |w| w.ready() == "False/RescueFailed");
    w.annotate(keys::RETRY, "1");
    w.until(60, "rescued", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Rescued
    });
}

#[test]
fn one_that_breaks_the_server_is_an_error_with_its_cause() {
    let mut w = World::settled(json!({}));
    w.fates.push(("Rescue", Fate::Break));
    w.edit(json!({"rescue": {}}));
    w.until(60, "broken", |w| w.ready() == "False/ServerError");
    w.run(600);
    assert_eq!((calls(&w), how(&w)), (vec!["Rescue"], Some(RescueState::Refused)));
}

#[test]
fn lost_answers_and_deaths_lead_to_one_rescue() {
    for fate in [
        Fate::LoseReply,
        Fate::LoseRequest,
        Fate::Refuse(ErrorClass::Transient),
        Fate::Refuse(ErrorClass::Busy),
    ] {
        let mut w = World::settled(json!({}));
        w.fates.push(("Rescue", fate.clone()));
        w.edit(json!({"rescue": {}}));
        w.until(120, "rescued", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Rescued
        });
        assert_eq!(how(&w), Some(RescueState::Active), "{fate:?}");
        w.edit(json!({"rescue": null}));
        w.until(60, "left", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Running
        });
    }
    for sent in [false, true] {
        let mut w = World::settled(json!({}));
        w.edit(json!({"rescue": {}}));
        let made = w.plan();
        let Step::Call { call, .. } = &made.step else {
            panic!("no call")
        };
        w.server.status = Some(made.status.clone());
        if sent {
            let _answer_is_lost = w.call(call);
        }
        w.restart_process();
        w.until(120, "rescued", |w| {
            w.ready() == "True/AsDeclared" && w.state() == S::Rescued
        });
        assert_eq!((calls(&w).len(), how(&w)), (1, Some(RescueState::Active)));
    }
}

#[test]
fn a_locked_server_of_ours_is_rescued_and_stays_locked() {
    let mut w = World::settled(json!({"locked": {"reason": "payroll"}}));
    w.until(60, "locked", |w| {
        w.ready() == "True/AsDeclared" && w.cloud["id-1"].seen.locked.is_some()
    });
    forget(&mut w);
    w.edit(json!({"rescue": {}}));
    w.until(60, "rescued", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Rescued && w.cloud["id-1"].seen.locked.is_some()
    });
    assert_eq!(calls(&w), ["Unlock", "Rescue", "Lock"]);
}

#[test]
fn a_cloud_without_it_says_so_and_nothing_is_sent() {
    let mut w = settled(&STOPPED_ONLY, json!({}));
    w.edit(json!({"rescue": {}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/Unsupported", 0));
    let mut w = World::settled(json!({}));
    w.annotate(keys::PAUSED, "true");
    w.edit(json!({"rescue": {}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/Paused", 0));
}

#[test]
fn no_image_is_installed_in_an_error_while_a_rescue_is_declared() {
    let installs = json!({"rebuild": {"when": "OnImageChange"}});
    // The rescue itself fails.
    let mut w = World::settled(installs.clone());
    w.fates.push(("Rescue", Fate::Break));
    w.edit(json!({"rescue": {}, "image": {"name": "new"}}));
    w.until(60, "broken", |w| w.ready() == "False/ServerError");
    w.run(600);
    assert_eq!((calls(&w), w.state()), (vec!["Rescue"], S::Error));
    assert!(
        w.message().contains("image new is not installed"),
        "{}",
        w.message()
    );
    // A server in rescue mode breaks.
    let mut w = rescued(installs);
    forget(&mut w);
    w.edit(json!({"image": {"name": "new"}}));
    w.run(10);
    w.the().seen.state = S::Error;
    w.run(600);
    assert_eq!((w.calls.len(), w.ready().as_str()), (0, "False/ServerError"));
    // Afterwards it is what was waited for.
    w.edit(json!({"rescue": null}));
    w.until(120, "installed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(calls(&w), ["Rebuild"]);
}

#[test]
fn a_restart_that_is_asked_for_in_rescue_mode_is_carried_out_after_it() {
    let mut w = rescued(json!({}));
    forget(&mut w);
    w.edit(json!({"restart": {"token": "a"}}));
    w.run(60);
    assert_eq!((w.calls.len(), w.ready().as_str()), (0, "True/InRescue"));
    assert!(w.message().contains("token \"a\""), "{}", w.message());
    w.restart_process();
    w.edit(json!({"rescue": null}));
    w.until(120, "restarted", |w| {
        w.ready() == "True/AsDeclared" && w.events.contains(&"Restarted".to_owned())
    });
    w.run(120);
    assert_eq!(calls(&w), ["Unrescue", "Restart"]);
}
