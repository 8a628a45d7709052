//! A deed that only a person can set going: it is shown as such, told once, and keeps its place until its deadline.

use serde_json::json;

use super::deeds::{ask, outcome, over, says, server};
use super::world::{Fate, World};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionType};
use crate::planner::deeds::object::plan_action;

fn password() -> serde_json::Value {
    json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}, "deadline": "20m"})
}

/// What the ServerAction says in words.
fn words(w: &World, n: usize, kind: ConditionType) -> String {
    let plan = plan_action(&w.actions[n], Some(&w.server), w.now);
    conditions::get(&plan.status.conditions, kind)
        .unwrap()
        .message
        .clone()
}

fn blocked() -> World {
    let mut w = server(json!({}));
    for _ in 0..200 {
        w.fates.push(("ChangePassword", Fate::RefuseSecret));
    }
    ask(&mut w, "root", password());
    w.run(2);
    ask(&mut w, "later", json!({"createImage": {"name": "a"}}));
    w
}

#[test]
fn a_secret_that_is_refused_is_shown_as_waiting_for_a_person_and_told_once() {
    let mut w = blocked();
    w.until(30, "shown", |w| outcome(w, "root") == "Waiting/SecretRefused");
    let expected = "Complete=False Failed=False Reconciling=False Stalled=True SecretRefused";
    assert_eq!(says(&w, 0), expected);
    for n in 0..600 {
        w.tick();
        if n == 300 {
            w.restart_process();
        }
        // It does not flicker with each try.
        assert_eq!(says(&w, 0), expected, "{n}");
        let said = words(&w, 0, ConditionType::Stalled);
        assert!(said.contains("the Secret does not exist"), "{said}");
        assert!(said.contains("Correct the Secret"), "{said}");
        assert!(said.contains("delete this ServerAction"), "{said}");
        let said = words(&w, 1, ConditionType::Ready);
        assert!(
            said.contains("ServerAction root comes first") && said.contains("SecretRefused"),
            "{said}"
        );
        assert!(
            says(&w, 1).contains("Stalled=False WaitingForAction"),
            "{}",
            says(&w, 1)
        );
    }
    let told = w.told_of(Reason::SecretRefused);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 && told[0].1.contains("ServerAction root"), "{told:?}");
    // Corrected, it goes on, and is not called stalled while it is done.
    w.fates.clear();
    w.until(120, "done", |w| over(w, "root"));
    assert_eq!(outcome(&w, "root"), "Succeeded/Succeeded");
    w.until(120, "done", |w| outcome(w, "later") == "Succeeded/Succeeded");
    assert_eq!(w.calls.last().map(String::as_str), Some("CreateImage"));
}

#[test]
fn it_gives_way_at_its_deadline_or_when_it_is_deleted() {
    let mut w = blocked();
    w.until(1300, "given up", |w| over(w, "root"));
    assert_eq!(outcome(&w, "root"), "Failed/DeadlineExceeded");
    w.until(60, "done", |w| outcome(w, "later") == "Succeeded/Succeeded");
    let mut w = blocked();
    w.run(30);
    w.actions.remove(0);
    w.until(60, "done", |w| outcome(w, "later") == "Succeeded/Succeeded");
}

#[test]
fn a_lock_of_somebody_else_is_shown_as_waiting_for_a_person_and_told_once() {
    let mut w = server(json!({}));
    w.the().seen.locked = Some("hands off".into());
    ask(&mut w, "it", json!({"reboot": {"mode": "Hard"}}));
    ask(&mut w, "later", json!({"reboot": {"mode": "Soft"}}));
    w.run(300);
    w.restart_process();
    w.run(300);
    assert_eq!(
        says(&w, 0),
        "Complete=False Failed=False Reconciling=False Stalled=True Locked"
    );
    let said = words(&w, 0, ConditionType::Stalled);
    assert!(
        said.contains("hands off") && said.contains("Unlock it in the cloud"),
        "{said}"
    );
    let said = words(&w, 1, ConditionType::Ready);
    assert!(
        said.contains("ServerAction it comes first") && said.contains("Locked"),
        "{said}"
    );
    let told = w.told_of(Reason::Locked);
    let of_deeds = told
        .iter()
        .filter(|(_, note)| note.contains("ServerAction"))
        .count();
    assert_eq!(of_deeds, 1, "{told:?}");
    w.the().seen.locked = None;
    w.until(100, "done", |w| outcome(w, "later") == "Succeeded/Succeeded");
    assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded");
}

/// A size that was let through holds up what comes later too.
#[test]
fn a_resize_that_a_lock_forbids_is_shown_as_waiting_for_a_person_too() {
    let mut w = server(json!({"resize": {"when": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w.the().seen.locked = Some("hands off".into());
    ask(&mut w, "go", json!({"resize": {}}));
    ask(&mut w, "later", json!({"reboot": {"mode": "Hard"}}));
    w.run(300);
    assert_eq!(
        says(&w, 0),
        "Complete=False Failed=False Reconciling=False Stalled=True Locked"
    );
    assert!(words(&w, 0, ConditionType::Stalled).contains("hands off"));
    let said = words(&w, 1, ConditionType::Ready);
    assert!(
        said.contains("ServerAction go comes first") && said.contains("Locked"),
        "{said}"
    );
    let told = w.told_of(Reason::Locked);
    let of_deeds = told
        .iter()
        .filter(|(_, note)| note.contains("ServerAction go"))
        .count();
    assert_eq!(of_deeds, 1, "{told:?}");
    w.the().seen.locked = None;
    w.until(200, "done", |w| outcome(w, "later") == "Succeeded/Succeeded");
    assert_eq!(w.calls, ["Resize", "ConfirmResize", "Restart"]);
}

/// What a person has switched off on purpose is no fault.
#[test]
fn a_pause_is_no_stall() {
    let mut w = server(json!({}));
    w.annotate(crate::api::keys::PAUSED, "true");
    ask(&mut w, "it", json!({"reboot": {"mode": "Hard"}}));
    w.run(60);
    assert_eq!(
        says(&w, 0),
        "Complete=False Failed=False Reconciling=True Stalled=False Paused"
    );
}
