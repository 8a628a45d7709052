//! A server in an error state, by its cause: each has its reaction, its reason, and words that say what to do.

use serde_json::{Value, json};

use super::clouds::{NO_HOST, forget};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::{Reason, keys};
use crate::planner::model::{ErrorClass, ServerState as S};

fn installing(more: Value) -> World {
    let mut spec = json!({"image": {"id": "a", "name": null}, "rebuild": {"when": "OnImageChange"}});
    super::world::merge(&mut spec, more);
    let mut w = World::settled(spec);
    w.the().seen.image_id = Some("a".to_owned());
    w.run(5);
    forget(&mut w);
    w
}

/// An installation of `b` that ended in an error.
fn uninstalled(more: Value) -> World {
    let mut w = installing(more);
    w.fates.push(("Rebuild", Fate::Break));
    w.edit(json!({"image": {"id": "b"}}));
    w.until(120, "failed", |w| w.ready() == "False/RebuildFailed");
    says(&w, &["what was on the root disk is lost"]);
    w
}

fn requested(w: &World) -> Option<&str> {
    let image = w.server.status.as_ref()?.image.as_ref()?;
    image.requested.as_deref()
}

fn broken(spec: Value, running: Option<bool>) -> World {
    let mut w = World::settled(spec);
    let seen = &mut w.the().seen;
    (seen.state, seen.guest_running) = (S::Error, running);
    w
}

fn says(w: &World, words: &[&str]) {
    for word in words {
        assert!(w.message().contains(word), "{word}: {}", w.message());
    }
}

#[test]
fn after_an_installation_it_waits_for_a_word_and_then_it_is_made_again() {
    let mut w = uninstalled(json!({}));
    says(&w, &["id:b", "evenkeel.dev/retry"]);
    w.restart_process();
    w.run(900);
    assert_eq!(
        (w.calls.as_slice(), w.state()),
        (&["Rebuild".to_owned()][..], S::Error)
    );
    assert_eq!(w.told_of(Reason::RebuildFailed).len(), 1);
    w.annotate(keys::RETRY, "1");
    w.until(120, "installed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(
        (w.calls.as_slice(), requested(&w)),
        (&["Rebuild", "Rebuild"].map(str::to_owned)[..], Some("id:b"))
    );
}

#[test]
fn after_an_installation_another_image_is_installed_also_the_one_from_before() {
    for image in ["c", "a"] {
        let mut w = uninstalled(json!({}));
        w.edit(json!({"image": {"id": image}}));
        w.until(120, "installed", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls, ["Rebuild", "Rebuild"], "{image}");
        assert_eq!(requested(&w), Some(format!("id:{image}").as_str()));
        assert_eq!(w.state(), S::Running);
        w.run(600);
        assert_eq!(w.calls.len(), 2, "{image}: once");
    }
}

/// No host takes the image: the disk is as it was, whatever is wished for afterwards.
#[test]
fn an_installation_that_did_not_begin_erases_nothing_when_it_is_taken_back() {
    let mut w = installing(json!({}));
    w.fates.push(("Rebuild", Fate::Break));
    w.edit(json!({"image": {"id": null, "name": NO_HOST}}));
    w.until(120, "failed", |w| w.ready() == "False/RebuildFailed");
    says(&w, &["nothing was installed"]);
    assert_eq!(w.the().seen.image_id.as_deref(), Some("a"));
    w.edit(json!({"image": {"id": "a", "name": null}}));
    w.run(600);
    assert_eq!((w.calls.len(), w.ready().as_str()), (1, "False/ServerError"));
    assert!(!w.message().contains("erased"), "{}", w.message());
}

#[test]
fn where_nothing_may_be_installed_any_more_it_says_what_was_lost() {
    let mut w = uninstalled(json!({}));
    w.edit(json!({"rebuild": {"when": "Never"}, "image": {"id": "a"}}));
    w.until(60, "held", |w| w.ready() == "False/ServerError");
    says(&w, &["after the installation of image id:b", "spec.onError"]);
    w.run(300);
    assert_eq!(w.calls.len(), 1);
}

#[test]
fn a_refusal_in_that_state_is_not_repeated() {
    let mut w = uninstalled(json!({}));
    for _ in 0..10 {
        w.fates.push(("Rebuild", Fate::Refuse(ErrorClass::InvalidSpec)));
    }
    w.annotate(keys::RETRY, "1");
    w.run(600);
    assert_eq!((w.calls.len(), w.ready().as_str()), (2, "False/RebuildFailed"));
}

#[test]
fn what_never_ran_is_not_installed_anew() {
    let mut w = World::new(
        json!({"image": {"id": "a", "name": null}, "onCreateError": "Hold",
        "rebuild": {"when": "OnImageChange"}}),
    );
    w.fates.push(("Create", Fate::Break));
    w.until(60, "held", |w| w.ready() == "False/CreateHeld");
    w.edit(json!({"image": {"id": "b"}}));
    w.run(120);
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn beside_a_guest_that_still_runs_it_names_both_cures() {
    for running in [None, Some(false), Some(true)] {
        let mut w = broken(json!({}), running);
        let reason = if running == Some(true) {
            "False/ErrorStillRunning"
        } else {
            "False/ServerError"
        };
        w.until(60, "held", |w| w.ready() == reason);
        w.run(300);
        assert!(w.calls.is_empty());
        if running == Some(true) {
            says(&w, &["resetState", "reboot: {mode: Hard}"]);
        }
        w.edit(json!({"onError": "HardReboot"}));
        w.until(60, "rebooted", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.calls, ["Restart"]);
    }
}

/// The new size is there, and the old one could not be cleared away.
#[test]
fn after_a_confirmation_a_guest_that_runs_is_left_running() {
    for running in [true, false] {
        let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
        w.fates.push(("ConfirmResize", Fate::Break));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(120, "confirmed", |w| w.calls == ["Resize", "ConfirmResize"]);
        w.run(2);
        w.the().seen.guest_running = Some(running);
        if running {
            w.until(60, "held", |w| w.ready() == "False/ErrorStillRunning");
            says(&w, &["large", "resetState"]);
            w.run(600);
            assert_eq!(w.calls.len(), 2);
            // An administrator says that it is well.
            w.the().seen.state = S::Running;
        }
        w.until(120, "at its new size", |w| {
            w.state() == S::Running && w.ready().starts_with("True")
        });
        let rebooted = w.calls.iter().filter(|c| *c == "Restart").count();
        assert_eq!(rebooted, usize::from(!running));
        assert_eq!(w.the().seen.size.name.as_deref(), Some("large"));
        assert_eq!(w.condition(C::Stalled), "False/NotStalled");
    }
}

#[test]
fn one_that_is_to_be_stopped_is_not_booted_out_of_its_error() {
    let mut w = World::settled(json!({"powerState": "Stopped", "onError": "HardReboot"}));
    w.until(60, "stopped", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    forget(&mut w);
    w.the().seen.state = S::Error;
    w.until(60, "stopped", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    assert_eq!(w.calls, ["Stop"]);
    // Once: what breaks again is held.
    w.the().seen.state = S::Error;
    w.until(60, "once more", |w| {
        w.state() == S::Stopped && w.ready() == "True/AsDeclared"
    });
    forget(&mut w);
    w.fates.push(("Stop", Fate::Break));
    w.the().seen.state = S::Error;
    w.until(60, "held", |w| {
        w.calls == ["Stop"] && w.ready() == "False/ServerError"
    });
    w.run(600);
    assert_eq!(w.calls, ["Stop"]);
    // After a resize too.
    let mut w = World::settled(json!({"powerState": "Stopped", "onError": "HardReboot"}));
    w.the().seen.state = S::Stopped;
    w.until(60, "stopped", |w| w.ready() == "True/AsDeclared");
    w.run(5);
    forget(&mut w);
    w.fates.push(("Resize", Fate::Break));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(120, "stopped", |w| w.calls.len() > 1 && w.state() == S::Stopped);
    w.run(120);
    assert_eq!(
        (w.calls.as_slice(), w.state()),
        (&["Resize", "Stop"].map(str::to_owned)[..], S::Stopped)
    );
}

#[test]
fn a_root_disk_that_is_a_volume_is_not_erased_out_of_an_error_without_a_word() {
    let mut w = installing(json!({}));
    w.the().seen.image_id = None;
    w.server.status.as_mut().unwrap().image.as_mut().unwrap().id = None;
    w.the().seen.state = S::Error;
    w.edit(json!({"image": {"id": "b"}}));
    w.run(300);
    assert_eq!((w.calls.len(), w.ready().as_str()), (0, "False/ServerError"));
    says(&w, &["includeRootVolume"]);
    w.edit(json!({"rebuild": {"includeRootVolume": true}}));
    w.until(120, "installed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Rebuild"]);
    assert!(
        w.knobs.hows.contains(&"id:b on a volume".to_owned()),
        "{:?}",
        w.knobs.hows
    );
}

/// A state that nobody here knows is not "busy" for ever, and the operator's work on a machine says what it is.
#[test]
fn what_is_not_understood_and_what_takes_a_day_is_told_and_not_asked_for_each_second() {
    let mut w = World::settled(json!({}));
    for (state, raw, ready) in [
        (S::Unknown, "ACTIVE/active/levitating", "False/UnknownState"),
        (S::Maintenance, "running/-/on/-/maintain", "False/WaitingForCloud"),
    ] {
        let seen = &mut w.the().seen;
        (seen.state, seen.busy, seen.raw) = (state, true, raw.to_owned());
        w.run(3600);
        assert_eq!(w.ready(), ready);
        says(&w, &[raw]);
        assert!(!w.plan().busy, "{raw}");
    }
    assert!(w.calls.is_empty());
}

#[test]
fn an_image_that_waits_for_another_state_is_no_fault() {
    let mut w = installing(json!({}));
    w.edit(json!({"powerState": "Paused"}));
    w.until(60, "paused", |w| {
        w.state() == S::Paused && w.ready() == "True/AsDeclared"
    });
    w.edit(json!({"image": {"id": "b"}}));
    w.run(300);
    assert_eq!(w.ready(), "True/ImagePending");
    says(&w, &["image id:b", "Paused"]);
    w.edit(json!({"powerState": "Running"}));
    w.until(120, "installed", |w| w.ready() == "True/AsDeclared");
    assert_eq!(w.calls, ["Pause", "Unpause", "Rebuild"]);
}

#[test]
fn where_the_cloud_takes_no_call_no_call_is_advised() {
    for on_error in ["Hold", "HardReboot"] {
        let mut w = super::clouds::settled(&super::clouds::STOPPED_ONLY, json!({"onError": on_error}));
        w.the().seen.state = S::Error;
        w.run(300);
        assert_eq!(w.ready(), "False/ServerError", "{on_error}");
        says(&w, &["takes no call", "wait", "support"]);
        assert!(w.calls.is_empty());
    }
}

#[test]
fn where_only_an_installation_helps_that_is_what_is_advised() {
    for on_error in ["Hold", "HardReboot"] {
        let mut w = super::clouds::settled(&super::clouds::METAL, json!({"onError": on_error, "size": null}));
        (w.the().seen.state, w.the().seen.guest_running) = (S::Error, Some(true));
        w.run(300);
        assert_eq!(w.ready(), "False/ErrorStillRunning", "{on_error}");
        says(&w, &["reinstall: {}", "ERASES ITS DISKS"]);
        assert!(w.calls.is_empty());
    }
}

/// Each cause with the policy that decides, the calls that follow, the reason, and what that says: for the page of states.
pub(crate) fn causes() -> Vec<[String; 5]> {
    let row = |cause: &str, policy: &str, w: &mut World, before: usize| {
        let (ready, words) = super::policy_table::said(w);
        w.run(120);
        let calls = w.calls[before..].join(", ");
        let calls = if calls.is_empty() { "-".to_owned() } else { calls };
        [cause.to_owned(), policy.to_owned(), calls, ready, words]
    };
    let mut all = Vec::new();
    for policy in ["Retry", "Hold"] {
        let mut w = World::new(json!({"onCreateError": policy}));
        w.fates.push(("Create", Fate::Break));
        w.until(60, "seen", |w| {
            w.ready() != "outdated" && w.message().contains("No valid host")
        });
        all.push(row(
            "our own creation, so that it never ran",
            &format!("`onCreateError: {policy}`"),
            &mut w,
            1,
        ));
    }
    for policy in ["Revert", "Hold"] {
        let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded", "onFailure": policy}}));
        w.fates.push(("Resize", Fate::Break));
        w.edit(json!({"size": {"name": "large"}}));
        w.until(60, "seen", |w| w.state() == S::Error);
        w.the().seen.guest_running = Some(false);
        w.until(60, "judged", |w| w.ready() != "False/Resizing");
        all.push(row(
            "a resize",
            &format!("`resize.onFailure: {policy}`"),
            &mut w,
            1,
        ));
    }
    let mut w = World::settled(json!({"resize": {"when": "StopIfNeeded"}}));
    w.fates.push(("ConfirmResize", Fate::Break));
    w.edit(json!({"size": {"name": "large"}}));
    w.until(60, "held", |w| w.ready() == "False/ErrorStillRunning");
    all.push(row(
        "the confirmation of a resize, and the guest runs",
        "-",
        &mut w,
        2,
    ));
    let mut w = uninstalled(json!({}));
    all.push(row("a rebuild", "`rebuild.when: OnImageChange`", &mut w, 1));
    for (cause, running) in [
        ("anything else, and the guest runs", Some(true)),
        ("anything else", None),
    ] {
        for policy in ["Hold", "HardReboot"] {
            let mut w = broken(json!({"onError": policy}), running);
            w.run(2);
            all.push(row(cause, &format!("`onError: {policy}`"), &mut w, 0));
        }
    }
    all
}
