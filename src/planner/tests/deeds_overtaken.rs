//! A resize that was let through, and a spec that moved on meanwhile: what was reached is done, and what was not says what came before it.

use serde_json::json;

use super::clouds::{STOPPED_ONLY, settled};
use super::deeds::{ask, outcome, over, record, server};
use super::world::{Fate, World};
use crate::api::ConditionType;
use crate::planner::model::ErrorClass;
use crate::planner::model::ServerState::*;

fn message(w: &World, name: &str) -> String {
    record(w, name).unwrap().message.clone()
}

/// A server whose next size waits for a word.
fn pending() -> World {
    let mut w = server(json!({"resize": {"when": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w
}

/// One whose next size was let through, and waits for its turn.
fn let_through() -> World {
    let mut w = pending();
    w.knobs.full = true;
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(60, "let through", |w| outcome(w, "go") == "Running/Acting");
    w
}

/// A deed ends within so many seconds, so, and with these words.
fn ends(w: &mut World, name: &str, within: i64, how: &str, words: &[&str]) {
    w.until(within, "over", |w| over(w, name));
    assert_eq!(outcome(w, name), how);
    for word in words {
        assert!(message(w, name).contains(word), "{word}: {}", message(w, name));
    }
}

/// The size is reached while the wish has moved on: the deed did what it was asked for.
#[test]
fn a_size_that_was_reached_is_done_whatever_is_declared_by_then() {
    // One cloud asks about the new size; the other one wants the server stopped for it, and started after it.
    for asks in [true, false] {
        let mut w = if asks {
            server(json!({"resize": {"when": "Manual"}}))
        } else {
            settled(
                &STOPPED_ONLY,
                json!({"resize": {"when": "Manual"}, "powerState": "Unmanaged"}),
            )
        };
        if !asks {
            w.fates.push(("Resize", Fate::Refuse(ErrorClass::NeedsStop)));
        }
        w.edit(json!({"size": {"name": "large"}}));
        w.run(20);
        ask(&mut w, "go", json!({"resize": {}}));
        // Under way, and its end not seen yet.
        let sent = if asks { 1 } else { 2 };
        w.until(200, "changed", |w| {
            w.calls.iter().filter(|c| *c == "Resize").count() == sent
        });
        w.run(1);
        w.edit(json!({"size": {"name": "huge"}}));
        w.until(300, "over", |w| over(w, "go"));
        assert_eq!(
            outcome(&w, "go"),
            "Succeeded/Succeeded",
            "{asks}: {}",
            message(&w, "go")
        );
        assert!(message(&w, "go").contains("large"), "{}", message(&w, "go"));
        w.until(200, "runs", |w| w.state() == Running);
        assert_eq!(w.condition(ConditionType::SizeSynced), "False/PendingApproval");
        let all: &[&str] = if asks {
            &["Resize", "ConfirmResize"]
        } else {
            &["Resize", "Stop/SoftThenHard", "Resize", "Start"]
        };
        assert_eq!(w.calls, all);
    }
}

/// Nothing is pending since the size is there already: what is asked for is so.
#[test]
fn a_resize_to_the_size_that_is_there_is_done() {
    let mut w = server(json!({"resize": {"when": "WhenStopped"}}));
    w.edit(json!({"size": {"name": "large"}, "powerState": "Stopped"}));
    w.until(300, "resized", |w| w.ready() == "True/AsDeclared");
    let calls = w.calls.len();
    ask(&mut w, "go", json!({"resize": {}}));
    ends(&mut w, "go", 60, "Succeeded/Succeeded", &["has size large"]);
    assert_eq!(w.calls.len(), calls);
    // The same while the cloud asks about it.
    let mut w = server(json!({"resize": {"when": "StopIfNeeded", "confirm": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(100, "asked", |w| w.state() == AwaitingResizeConfirmation);
    ask(&mut w, "go", json!({"resize": {}}));
    ends(
        &mut w,
        "go",
        60,
        "Succeeded/Succeeded",
        &["confirmed or reverted"],
    );
    // A third size has to wait for the answer.
    w.edit(json!({"size": {"name": "huge"}}));
    ask(&mut w, "third", json!({"resize": {}}));
    let words = ["huge", "large", "confirmResize", "revertResize"];
    ends(&mut w, "third", 60, "Failed/NotAllowed", &words);
}

/// It was let through, and the wish moved on before the cloud was asked, or back while it was at it.
#[test]
fn a_resize_that_came_to_nothing_says_what_overtook_it() {
    let mut w = let_through();
    w.run(5);
    w.edit(json!({"size": {"name": "huge"}}));
    let words = ["spec.size", "huge", "large", "small"];
    ends(&mut w, "go", 60, "Failed/Overtaken", &words);
    assert_eq!(w.calls.len(), 0);
    // Set back while it is under way: the cloud goes back.
    let mut w = pending();
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(100, "under way", |w| w.calls == ["Resize"]);
    w.edit(json!({"size": {"name": "small"}}));
    ends(&mut w, "go", 300, "Failed/Overtaken", &["spec.size is small"]);
    assert_eq!(w.calls, ["Resize", "RevertResize"]);
    // The spec names no size any more.
    let mut w = let_through();
    w.edit(json!({"size": null}));
    ends(&mut w, "go", 60, "Failed/Overtaken", &["names no size"]);
}
