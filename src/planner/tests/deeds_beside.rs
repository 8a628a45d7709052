//! Deeds that come while something else is under way, and those that fail where a wish would try the same.

use serde_json::json;

use super::cloud::CAPABILITIES;
use super::deeds::{LOGGED, ask, every_deed, outcome, over, record, server};
use super::world::Fate;
use crate::api::keys;
use crate::api::server_action::Deed;
use crate::planner::deeds::{accepted_in, call};
use crate::planner::model::*;

use ServerState::*;

#[test]
fn a_deed_waits_for_what_is_under_way_and_is_neither_refused_for_it_nor_lost() {
    // What is wished for, the call that it leads to, and where it ends.
    let wishes = [
        (json!({"powerState": "Stopped"}), "Stop", Stopped),
        (json!({"powerState": "Paused"}), "Pause", Paused),
        (json!({"powerState": "Suspended"}), "Suspend", Suspended),
        (json!({"powerState": "Shelved"}), "Shelve", Shelved),
        (json!({"restart": {"token": "1"}}), "Restart", Running),
    ];
    // These are for what is under way.
    let interferes = [Deed::Cancel, Deed::ResetState, Deed::Evacuate];
    for (wish, first, end) in wishes {
        for (deed, spec) in every_deed() {
            if interferes.contains(&deed) {
                continue;
            }
            let what = format!("{deed} during {first}");
            let mut w = server(json!({}));
            w.edit(wish.clone());
            w.until(30, "begun", |w| !w.calls.is_empty());
            ask(&mut w, "it", spec);
            w.run(1);
            assert!(!over(&w, "it"), "{what}: {}", outcome(&w, "it"));
            assert_eq!(w.calls, [first], "{what}");
            let state = w.the().seen.state;
            assert!(
                state.is_transitional() || w.the().seen.busy,
                "{what}: it is over already"
            );
            w.until(300, "over", |w| over(w, "it"));
            let kind = call(deed).unwrap();
            let accepted = accepted_in(&LOGGED, kind, false).contains(&end);
            let expected = if accepted {
                "Succeeded/Succeeded"
            } else {
                "Failed/NotAllowed"
            };
            assert_eq!(outcome(&w, "it"), expected, "{what}");
            // What a deed leaves otherwise than it is wished for is set right after it: a rebuilt server runs.
            let second = w.calls.get(1).map(String::as_str);
            assert_eq!(second, accepted.then_some(kind.as_str()), "{what}: {:?}", w.calls);
            let done = w.calls.iter().filter(|c| *c == kind.as_str()).count();
            assert_eq!(
                done,
                usize::from(accepted) + usize::from(first == kind.as_str()),
                "{what}"
            );
        }
    }
}

#[test]
fn a_rebuild_that_failed_as_a_deed_is_not_tried_again_by_the_wish() {
    let mut w = server(json!({"rebuild": {"when": "OnImageChange"}}));
    // It installs an image also on a server in an error state.
    w.can = &CAPABILITIES;
    w.fates.push(("Rebuild", Fate::Break));
    w.edit(json!({"image": {"name": "new"}}));
    ask(&mut w, "it", json!({"rebuild": {"image": {"name": "new"}}}));
    w.until(300, "over", |w| over(w, "it"));
    assert_eq!(
        (outcome(&w, "it").as_str(), w.state()),
        ("Failed/DeedFailed", Error)
    );
    w.run(1800);
    w.restart_process();
    w.run(1800);
    assert_eq!(w.calls, ["Rebuild"]);
    assert_eq!(w.ready(), "False/RebuildFailed");
    let image = w.server.status.as_ref().unwrap().image.clone().unwrap();
    assert_eq!(
        (image.failed.as_deref(), image.refused.as_deref()),
        (Some("new"), Some("new"))
    );
    // A person says so.
    w.annotate(keys::RETRY, "once more");
    w.until(300, "installed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Rebuild", "Rebuild"]);
    let status = w.server.status.as_ref().unwrap();
    let image = status.image.clone().unwrap();
    assert_eq!(
        (image.failed, image.refused, status.failure.is_some()),
        (None, None, false)
    );
}

#[test]
fn a_password_that_policy_refuses_is_said_once_and_kept_nowhere() {
    let mut w = server(json!({}));
    w.fates
        .push(("ChangePassword", Fate::Refuse(ErrorClass::InvalidSpec)));
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.until(100, "over", |w| over(w, "it"));
    w.run(600);
    assert_eq!(
        (outcome(&w, "it").as_str(), w.calls.len()),
        ("Failed/DeedRefused", 1)
    );
    assert_eq!(
        record(&w, "it").unwrap().message,
        "InvalidSpec for ChangePassword"
    );
    assert_eq!((w.ready().as_str(), w.state()), ("True/AsDeclared", Running));
}

/// The process dies after the cloud took it: the image that is there is the answer.
#[test]
fn a_rebuild_whose_answer_died_with_its_process_is_proven_by_its_image() {
    for image in ["new", "img"] {
        let mut w = server(json!({}));
        w.the().seen.image_id = Some("id of img".to_owned());
        w.run(5);
        ask(&mut w, "it", json!({"rebuild": {"image": {"name": image}}}));
        w.until(30, "sent", |w| w.calls == ["Rebuild"]);
        w.restart_process();
        w.until(300, "over", |w| over(w, "it"));
        let expected = if image == "new" {
            "Succeeded/Succeeded"
        } else {
            "Unknown/OutcomeUnknown"
        };
        assert_eq!(outcome(&w, "it"), expected, "{image}");
        w.run(300);
        assert_eq!(w.calls, ["Rebuild"]);
    }
}
