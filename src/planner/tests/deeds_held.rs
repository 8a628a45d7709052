//! What deeds wait for, what they do not hold up, and what is never begun again.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use serde_json::json;

use super::deeds::{ask, outcome, over, record, says, server};
use super::world::{Fate, World, time};
use crate::api::server_action::ServerAction;
use crate::api::{ConditionType, keys};
use crate::planner::draft::later;
use crate::planner::model::*;

use ServerState::*;

fn edit(w: &mut World, name: &str, change: impl Fn(&mut ServerAction)) {
    let mut all = w.actions.iter_mut();
    let action = all.find(|a| a.metadata.name.as_deref() == Some(name)).unwrap();
    change(Arc::make_mut(action));
}

#[test]
fn the_word_for_a_size_counts_for_that_size_and_while_somebody_asks() {
    // Taken back before it was carried out: the group had no place for it.
    let mut w = server(json!({"resize": {"when": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w.knobs.full = true;
    ask(&mut w, "go", json!({"resize": {}}));
    w.run(20);
    assert_eq!(outcome(&w, "go"), "Running/Acting");
    edit(&mut w, "go", |a| {
        a.metadata.deletion_timestamp = Some(Time(time(0)))
    });
    w.run(20);
    assert_eq!(outcome(&w, "go"), "Failed/NotAllowed");
    w.knobs.full = false;
    w.run(60);
    assert_eq!(
        (w.calls.len(), w.condition(ConditionType::SizeSynced)),
        (0, "False/PendingApproval".into())
    );
    // Another size than the one that was let through.
    w.actions.clear();
    w.knobs.full = true;
    ask(&mut w, "again", json!({"resize": {}}));
    w.run(5);
    w.edit(json!({"size": {"name": "huge"}}));
    w.knobs.full = false;
    w.run(60);
    assert_eq!(
        (outcome(&w, "again"), w.calls.len()),
        ("Failed/Overtaken".into(), 0)
    );
    // Done; and the next one needs a word of its own.
    w.actions.clear();
    ask(&mut w, "third", json!({"resize": {}}));
    w.until(200, "resized", |w| {
        over(w, "third") && w.ready() == "True/AsDeclared"
    });
    assert_eq!(outcome(&w, "third"), "Succeeded/Succeeded");
    w.edit(json!({"size": {"name": "small"}}));
    let calls = w.calls.len();
    w.run(60);
    assert_eq!(w.calls.len(), calls);
}

#[test]
fn a_word_carries_a_size_out_whatever_it_waits_for() {
    let mut w = server(json!({"resize": {"when": "WhenStopped"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/PendingPowerOff");
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(200, "resized", |w| {
        over(w, "go") && w.ready() == "True/AsDeclared"
    });
    assert_eq!(
        (outcome(&w, "go"), w.state()),
        ("Succeeded/Succeeded".into(), Running)
    );
}

#[test]
fn what_was_begun_is_told_as_it_ends_whatever_is_switched_meanwhile() {
    let mut w = server(json!({"resize": {"when": "Manual", "confirm": "AfterSoak", "soak": "2h"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    ask(&mut w, "go", json!({"resize": {}}));
    w.until(20, "begun", |w| w.calls == ["Resize"]);
    w.annotate(keys::PAUSED, "true");
    w.run(60);
    w.annotate(keys::PAUSED, "false");
    w.until(60, "over", |w| over(w, "go"));
    assert_eq!(outcome(&w, "go"), "Succeeded/Succeeded");
}

#[test]
fn what_says_that_it_was_begun_is_not_begun_again_without_its_record() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"rebuild": {"image": {"name": "img"}}}));
    w.until(10, "begun", |w| w.calls == ["Rebuild"]);
    let plan = crate::planner::deeds::object::plan_action(&w.actions[0], Some(&w.server), w.now);
    edit(&mut w, "it", |a| a.status = Some(plan.status.clone()));
    let status = w.server.status.as_mut().unwrap();
    status.actions.clear();
    status.operation = None;
    w.run(100);
    assert_eq!(w.calls, ["Rebuild"]);
    assert!(says(&w, 0).ends_with("OutcomeUnknown"), "{}", says(&w, 0));
}

#[test]
fn a_server_of_the_same_name_is_another_one() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    let owner = OwnerReference {
        kind: "Server".into(),
        uid: "uid-0".into(),
        ..OwnerReference::default()
    };
    edit(&mut w, "it", |a| {
        a.metadata.owner_references = Some(vec![owner.clone()])
    });
    w.run(60);
    assert_eq!(w.calls, Vec::<String>::new());
    assert!(says(&w, 0).ends_with("ServerDeleted"), "{}", says(&w, 0));
}

#[test]
fn what_comes_back_from_a_backup_is_not_done_again() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"reinstall": {}}));
    edit(&mut w, "it", |a| {
        a.metadata.finalizers = None;
        a.metadata.annotations = Some([(keys::TAKEN.to_owned(), "uid-0".to_owned())].into());
    });
    w.run(60);
    assert_eq!(w.calls, Vec::<String>::new());
    assert!(says(&w, 0).ends_with("AlreadyRun"), "{}", says(&w, 0));
}

#[test]
fn a_log_that_does_not_end_holds_nothing_up_for_good_and_is_asked_ever_more_seldom() {
    for away in [false, true] {
        let mut w = server(json!({}));
        w.knobs.log = Some(Ended::UnderWay);
        w.knobs.log_is_away = away;
        ask(&mut w, "it", json!({"crashDump": {}}));
        w.run(5);
        w.edit(json!({"powerState": "Stopped"}));
        w.until(900, "over", |w| over(w, "it"));
        assert_eq!(outcome(&w, "it"), "Unknown/OutcomeUnknown");
        assert!(w.knobs.looks < 60, "{} looks, away: {away}", w.knobs.looks);
        w.until(60, "stopped", |w| w.state() == Stopped);
    }
}

#[test]
fn what_the_log_does_not_know_is_not_called_done() {
    let mut w = server(json!({}));
    w.knobs.log = Some(Ended::Untold);
    ask(&mut w, "it", json!({"liveMigrate": {}}));
    w.until(100, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Unknown/OutcomeUnknown");
}

#[test]
fn a_refusal_that_does_not_pass_ends_it_and_wishes_go_on_meanwhile() {
    let mut w = server(json!({}));
    for _ in 0..20 {
        w.fates.push(("ChangePassword", Fate::Refuse(ErrorClass::Busy)));
    }
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.run(5);
    w.edit(json!({"cloudName": null, "powerState": "Running", "size": {"name": "large"}, "resize": {"when": "StopIfNeeded"}}));
    w.until(120, "resized", |w| w.calls.contains(&"Resize".to_owned()));
    w.until(900, "over", |w| over(w, "it"));
    assert_eq!(outcome(&w, "it"), "Failed/DeedRefused");
    let asked = w.calls.iter().filter(|c| *c == "ChangePassword").count();
    assert!((3..=7).contains(&asked), "{asked}");
    // Nothing was done: the same may be asked for again.
    w.fates.clear();
    w.actions.clear();
    ask(&mut w, "filler", json!({"createImage": {"name": "x"}}));
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.until(200, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
}

#[test]
fn a_missing_secret_is_read_again_within_a_minute() {
    let mut w = server(json!({}));
    for _ in 0..4 {
        w.fates.push(("ChangePassword", Fate::RefuseSecret));
    }
    ask(
        &mut w,
        "it",
        json!({"changePassword": {"secretRef": {"name": "s", "key": "k"}}}),
    );
    w.run(5);
    assert_eq!(outcome(&w, "it"), "Waiting/SecretRefused");
    w.until(300, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
}

#[test]
fn a_state_of_passage_of_our_own_is_waited_out() {
    let mut w = server(json!({}));
    ask(&mut w, "move", json!({"coldMigrate": {}}));
    ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
    w.until(200, "over", |w| over(w, "image"));
    assert_eq!(outcome(&w, "image"), "Succeeded/Succeeded");
    assert_eq!(w.calls, ["ColdMigrate", "ConfirmResize", "CreateImage"]);
}

#[test]
fn a_migration_leaves_a_size_that_was_changed_outside_as_it_is() {
    let mut w = server(json!({"resize": {"when": "StopIfNeeded"}}));
    w.the().seen.size.name = Some("huge".into());
    w.run(20);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/SizeDrift");
    ask(&mut w, "move", json!({"coldMigrate": {}}));
    w.until(100, "moved", |w| over(w, "move"));
    w.run(100);
    assert_eq!(w.calls, ["ColdMigrate", "ConfirmResize"]);
    assert_eq!(w.condition(ConditionType::SizeSynced), "False/SizeDrift");
    // And back, by a word.
    let mut w = server(json!({"resize": {"when": "StopIfNeeded", "confirm": "Manual"}}));
    ask(&mut w, "move", json!({"coldMigrate": {}}));
    w.until(100, "moved", |w| over(w, "move"));
    ask(&mut w, "back", json!({"revertResize": {}}));
    w.until(100, "back", |w| over(w, "back"));
    w.until(60, "at rest", |w| w.ready() == "True/AsDeclared");
    assert!(w.server.status.as_ref().unwrap().resize.is_none());
}

#[test]
fn a_word_of_an_administrator_comes_before_what_waits_for_it() {
    let mut w = server(json!({}));
    let now = w.now;
    let stuck = w.the();
    (stuck.seen.state, stuck.seen.busy) = (Stopping, true);
    stuck.until = Some((later(now, 100_000), Stopped));
    ask(&mut w, "image", json!({"createImage": {"name": "a"}}));
    w.run(10);
    ask(&mut w, "reset", json!({"resetState": {}}));
    w.until(100, "over", |w| over(w, "image"));
    assert_eq!(
        (outcome(&w, "reset"), outcome(&w, "image")),
        ("Succeeded/Succeeded".into(), "Succeeded/Succeeded".into())
    );
    assert!(record(&w, "reset").unwrap().finished_at <= record(&w, "image").unwrap().started_at);
}

#[test]
fn another_deadline_is_not_another_deed() {
    let mut w = server(json!({}));
    ask(&mut w, "it", json!({"createImage": {"name": "a"}}));
    w.until(100, "over", |w| over(w, "it"));
    w.actions.clear();
    ask(
        &mut w,
        "it",
        json!({"createImage": {"name": "a"}, "deadline": "2h"}),
    );
    w.run(60);
    assert_eq!(w.calls, ["CreateImage"]);
    assert!(says(&w, 0).ends_with("AlreadyRun"), "{}", says(&w, 0));
}

#[test]
fn a_size_that_was_let_through_keeps_its_place_before_what_was_asked_for_later() {
    let mut w = server(json!({"resize": {"when": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w.knobs.full = true;
    ask(&mut w, "go", json!({"resize": {}}));
    w.run(10);
    ask(&mut w, "snap", json!({"createImage": {"name": "after"}}));
    w.run(30);
    assert_eq!((outcome(&w, "go").as_str(), w.calls.len()), ("Running/Acting", 0));
    w.knobs.full = false;
    w.until(200, "both", |w| over(w, "snap"));
    assert_eq!(w.calls, ["Resize", "ConfirmResize", "CreateImage"]);
    // A word that frees it comes in its place too.
    let mut w = server(json!({"resize": {"when": "Manual", "confirm": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w.knobs.full = true;
    ask(&mut w, "go", json!({"resize": {}}));
    w.run(10);
    ask(&mut w, "yes", json!({"confirmResize": {}}));
    w.run(30);
    w.knobs.full = false;
    w.until(200, "both", |w| over(w, "yes"));
    assert_eq!(
        (w.calls.as_slice(), outcome(&w, "yes").as_str()),
        (
            &["Resize", "ConfirmResize"].map(str::to_owned)[..],
            "Succeeded/Succeeded"
        )
    );
    // What is stuck is freed all the same.
    let mut w = server(json!({"resize": {"when": "Manual"}}));
    w.edit(json!({"size": {"name": "large"}}));
    w.run(20);
    w.knobs.full = true;
    ask(&mut w, "go", json!({"resize": {}}));
    w.run(10);
    w.the().seen.state = Error;
    ask(&mut w, "well", json!({"resetState": {"to": "Active"}}));
    w.until(60, "freed", |w| over(w, "well"));
    assert_eq!(w.calls, ["ResetState"]);
}

#[test]
fn a_deed_erases_a_root_disk_that_is_a_volume_only_on_a_word() {
    for deed in [
        json!({"rebuild": {"image": {"name": "img"}}}),
        json!({"reinstall": {}}),
    ] {
        for included in [false, true] {
            let mut w = server(json!({"rebuild": {"includeRootVolume": included}}));
            w.the().seen.image_id = None;
            w.server.status.as_mut().unwrap().image.as_mut().unwrap().id = None;
            ask(&mut w, "it", deed.clone());
            w.until(90, "over", |w| over(w, "it"));
            if included {
                assert_eq!(outcome(&w, "it"), "Succeeded/Succeeded", "{deed}");
                assert!(
                    w.knobs.hows.contains(&"img on a volume".to_owned()),
                    "{:?}",
                    w.knobs.hows
                );
            } else {
                assert_eq!(
                    (outcome(&w, "it").as_str(), w.calls.len()),
                    ("Failed/NotAllowed", 0),
                    "{deed}"
                );
                let said = &record(&w, "it").unwrap().message;
                assert!(said.contains("includeRootVolume"), "{said}");
            }
        }
    }
}
