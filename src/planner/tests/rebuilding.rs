//! A changed image: shown, or installed once, and never by accident.

use std::sync::LazyLock;

use serde_json::json;

use super::cloud::NOVA_LIKE;
use super::clouds::{METAL, STOPPED_ONLY, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::api::server_status::OperationKind;
use crate::planner::Step;
use crate::planner::model::{Capabilities, ErrorClass, FailedStep, ServerState as S};

const INSTALLS: &str = "OnImageChange";

fn world(more: serde_json::Value) -> World {
    let mut spec = json!({"image": {"id": "a", "name": null}, "rebuild": {"when": INSTALLS}});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let mut w = settled(&METAL, spec);
    w.the().seen.image_id = Some("a".to_owned());
    w.run(5);
    forget(&mut w);
    w
}

fn image(w: &World) -> (String, Option<String>) {
    let known = w.server.status.clone().unwrap().image.unwrap();
    (known.requested.unwrap(), known.id)
}

fn edit(w: &mut World, id: &str) {
    w.edit(json!({"image": {"id": id}}));
}

fn rebuilds(w: &World) -> usize {
    calls(w).iter().filter(|c| **c == "Rebuild").count()
}

#[test]
fn a_changed_image_is_only_shown_unless_the_policy_says_more() {
    let mut w = world(json!({"rebuild": null}));
    edit(&mut w, "b");
    w.run(60);
    assert_eq!(w.condition(C::DriftDetected), "True/ImageDrift");
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    // The policy alone is what was waited for.
    w.edit(json!({"rebuild": {"when": INSTALLS}}));
    w.until(60, "installed", |w| image(w).0 == "id:b");
    assert_eq!(calls(&w), ["Stop", "Rebuild"]);
}

#[test]
fn it_is_installed_once_and_the_power_is_as_wished_afterwards() {
    for (wish, expected) in [
        ("Running", &["Stop", "Rebuild"][..]),
        ("Stopped", &["Rebuild", "Stop"][..]),
        ("Unmanaged", &["Stop", "Rebuild"][..]),
    ] {
        let mut w = world(json!({"powerState": wish}));
        forget(&mut w);
        edit(&mut w, "b");
        w.until(120, "installed", |w| {
            w.ready().starts_with("True") && image(w).0 == "id:b"
        });
        assert_eq!(
            (calls(&w), image(&w).1.as_deref()),
            (expected.to_vec(), Some("b"))
        );
        assert!(w.events.contains(&"Rebuilt".to_owned()));
        w.restart_process();
        w.run(600);
        assert_eq!(calls(&w), expected);
        assert_ne!(w.condition(C::DriftDetected), "True/ImageDrift");
    }
}

#[test]
fn what_is_seen_first_is_recorded_and_not_installed() {
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "size": null, "image": {"name": "other"}, "rebuild": {"when": INSTALLS}}),
    );
    w.can = &METAL;
    w.put("x", S::Running, None);
    w.run(300);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    // Named for the first time after the import: recorded too.
    let mut w = World::new(
        json!({"import": {"id": "x"}, "powerState": "Running", "deletionPolicy": "Orphan",
        "size": null, "image": null, "rebuild": {"when": INSTALLS}}),
    );
    w.can = &METAL;
    w.put("x", S::Running, None);
    w.run(30);
    w.edit(json!({"image": {"name": "first"}}));
    w.run(300);
    assert_eq!(
        (w.ready().as_str(), w.calls.len(), image(&w).0.as_str()),
        ("True/AsDeclared", 0, "first")
    );
    w.edit(json!({"image": {"name": "second"}}));
    w.until(60, "installed", |w| image(w).0 == "second");
    assert_eq!(calls(&w), ["Stop", "Rebuild"]);
}

#[test]
fn a_lost_answer_installs_nothing_twice() {
    for (fate, sent) in [
        (Fate::LoseReply, 1),
        (Fate::ApplyLate, 1),
        (Fate::LoseRequest, 2),
        (Fate::Refuse(ErrorClass::Busy), 2),
        (Fate::Refuse(ErrorClass::Transient), 2),
    ] {
        let mut w = world(json!({}));
        w.fates.push(("Rebuild", fate.clone()));
        edit(&mut w, "b");
        w.until(300, "installed", |w| {
            w.ready().starts_with("True") && image(w).0 == "id:b"
        });
        assert_eq!(rebuilds(&w), sent, "{fate:?}");
        assert_eq!(image(&w).1.as_deref(), Some("b"));
    }
}

#[test]
fn a_name_that_was_lost_is_known_by_the_image_that_is_shown() {
    let mut w = world(json!({}));
    w.fates.push(("Rebuild", Fate::LoseReply));
    w.edit(json!({"image": {"id": null, "name": "b"}}));
    w.until(300, "installed", |w| {
        w.ready().starts_with("True") && image(w).0 == "b"
    });
    assert_eq!((rebuilds(&w), image(&w).1.as_deref()), (1, Some("id of b")));
}

/// The process dies after the cloud took the call: what the cloud shows ends the wait, not the time in which a call may be lost.
#[test]
fn an_installation_that_is_over_is_known_as_soon_as_the_cloud_shows_its_image() {
    for image_of in [json!({"id": "b", "name": null}), json!({"id": null, "name": "b"})] {
        let mut w = world(json!({"powerState": "Stopped"}));
        let begun = w.now;
        w.edit(json!({"image": image_of}));
        w.until(30, "sent", |w| w.calls.contains(&"Rebuild".to_owned()));
        w.restart_process();
        w.until(30, "installed", |w| w.events.contains(&"Rebuilt".to_owned()));
        assert!(
            w.now < crate::planner::draft::later(begun, 15),
            "{image_of}: {} to {}",
            begun,
            w.now
        );
        w.run(300);
        assert_eq!(rebuilds(&w), 1);
    }
    // The same image again shows nothing: there the time has to pass.
    let mut w = world(json!({"powerState": "Stopped"}));
    w.server
        .status
        .as_mut()
        .unwrap()
        .image
        .as_mut()
        .unwrap()
        .requested = Some("other name".to_owned());
    w.until(30, "sent", |w| w.calls.contains(&"Rebuild".to_owned()));
    w.restart_process();
    w.run(20);
    assert!(!w.events.contains(&"Rebuilt".to_owned()));
}

#[test]
fn a_crash_between_record_and_call_loses_nothing() {
    let mut w = world(json!({"powerState": "Stopped"}));
    edit(&mut w, "b");
    let made = w.plan();
    assert!(matches!(made.step, Step::Call { .. }));
    w.server.status = Some(made.status);
    w.restart_process();
    w.until(120, "installed", |w| image(w).0 == "id:b");
    assert_eq!(rebuilds(&w), 1);
}

#[test]
fn a_refused_image_is_not_tried_again_by_itself() {
    let mut w = world(json!({"powerState": "Stopped"}));
    w.fates.push(("Rebuild", Fate::Refuse(ErrorClass::InvalidSpec)));
    edit(&mut w, "b");
    w.until(60, "refused", |w| w.ready() == "False/RebuildFailed");
    w.restart_process();
    w.run(600);
    assert_eq!(
        (calls(&w), w.condition(C::PowerSynced).as_str()),
        (vec!["Rebuild"], "True/Synced")
    );
    assert!(w.message().contains("InvalidSpec for Rebuild"), "{}", w.message());
    w.annotate(keys::RETRY, "1");
    w.until(60, "installed", |w| image(w).0 == "id:b");
    // And setting it back is enough as well.
    w.until(60, "at rest", |w| w.ready().starts_with("True"));
    w.fates.push(("Rebuild", Fate::Refuse(ErrorClass::InvalidSpec)));
    edit(&mut w, "c");
    w.until(60, "refused", |w| w.ready() == "False/RebuildFailed");
    edit(&mut w, "b");
    w.until(60, "as declared", |w| w.ready().starts_with("True"));
    assert_eq!(image(&w).0, "id:b");
}

#[test]
fn an_installation_without_effect_is_no_success() {
    let mut w = world(json!({"powerState": "Stopped"}));
    w.fates.push(("Rebuild", Fate::NoEffect));
    edit(&mut w, "b");
    w.until(60, "said", |w| w.ready() == "False/RebuildFailed");
    assert_eq!((image(&w).0.as_str(), rebuilds(&w)), ("id:a", 1));
}

#[test]
fn one_that_ends_in_an_error_is_tried_three_times() {
    let mut w = world(json!({}));
    for _ in 0..3 {
        w.fates.push(("Rebuild", Fate::Break));
    }
    edit(&mut w, "b");
    w.until(3600, "given up", |w| w.ready() == "False/RebuildFailed");
    assert_eq!((rebuilds(&w), w.state()), (3, S::Error));
    w.restart_process();
    w.run(1200);
    assert_eq!(rebuilds(&w), 3);
    w.annotate(keys::RETRY, "once more");
    w.until(600, "installed", |w| {
        w.ready().starts_with("True") && image(w).0 == "id:b"
    });
    assert_eq!((rebuilds(&w), w.state()), (4, S::Running));
}

#[test]
fn an_error_that_was_not_asked_for_is_held() {
    let mut w = world(json!({}));
    let seen = &mut w.the().seen;
    (seen.state, seen.failed_step) = (S::Error, Some(FailedStep::Reinstall));
    w.run(600);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/ServerError", 0));
}

#[test]
fn nothing_is_installed_where_nothing_may_be_or_can_be() {
    let mut w = world(json!({}));
    w.annotate(keys::PAUSED, "true");
    edit(&mut w, "b");
    w.run(60);
    assert_eq!(w.calls.len(), 0);
    let mut w = settled(&STOPPED_ONLY, json!({"rebuild": {"when": INSTALLS}}));
    w.edit(json!({"image": {"name": "b"}}));
    w.until(60, "said", |w| w.ready() == "False/Unsupported");
    assert_eq!(w.calls.len(), 0);
    // The root disk is a volume: an image in its place would be another server.
    let mut w = world(json!({}));
    w.the().seen.image_id = None;
    w.server.status.as_mut().unwrap().image.as_mut().unwrap().id = None;
    edit(&mut w, "b");
    w.until(60, "said", |w| w.ready() == "False/Unsupported");
    assert_eq!(w.calls.len(), 0);
    assert!(w.message().contains("includeRootVolume"), "{}", w.message());
    // Unless that is what is wanted, with what is to be kept.
    w.edit(json!({"rebuild": {"includeRootVolume": true, "preserveEphemeral": true}}));
    w.until(120, "installed", |w| image(w).0 == "id:b");
    assert_eq!(calls(&w), ["Stop", "Rebuild"]);
    assert!(
        w.knobs
            .hows
            .contains(&"id:b on a volume beside what is kept".to_owned()),
        "{:?}",
        w.knobs.hows
    );
}

#[test]
fn what_is_refused_outweighs_what_only_waits() {
    static BOTH: LazyLock<Capabilities> = LazyLock::new(|| {
        let modify: (OperationKind, &[S]) = (OperationKind::Modify, &[S::Running, S::Paused]);
        Capabilities {
            attributes: STOPPED_ONLY.attributes,
            preconditions: [NOVA_LIKE.preconditions, &[modify]].concat().leak(),
            ..NOVA_LIKE
        }
    });
    let image =
        json!({"image": {"id": "a", "name": null}, "rebuild": {"when": "OnImageChange"}, "cloudName": "one"});
    let mut w = settled(&BOTH, image);
    w.the().seen.image_id = Some("a".to_owned());
    w.run(5);
    w.edit(json!({"powerState": "Paused"}));
    w.until(60, "paused", |w| {
        w.state() == S::Paused && w.ready() == "True/AsDeclared"
    });
    w.fates.push(("Modify", Fate::Refuse(ErrorClass::InvalidSpec)));
    w.edit(json!({"image": {"id": "b"}, "cloudName": "two"}));
    w.run(60);
    assert_eq!(w.ready(), "False/SettingsRefused");
    w.edit(json!({"cloudName": "one"}));
    w.run(60);
    assert_eq!(w.ready(), "True/ImagePending");
}
