//! Locks: ours is put on, opened for our own steps and closed again; anybody else's is respected.

use serde_json::json;

use super::clouds::{STOPPED_ONLY, forget, settled};
use super::deeds::{ask, outcome};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::api::server_status::{LockState, OperationKind};
use crate::planner::Step;
use crate::planner::model::{CloudCall, ErrorClass, ServerState as S};

const OURS: &str = "payroll [evenkeel uid-1]";

/// What a locked server lets be done to it.
pub(super) const FREE: &[OperationKind] = &[
    OperationKind::Lock,
    OperationKind::Unlock,
    OperationKind::ResetState,
    OperationKind::Evacuate,
    OperationKind::CreateImage,
    OperationKind::CreateBackup,
    OperationKind::ConsoleOutput,
    OperationKind::RemoteConsole,
];

pub(super) fn free(kind: OperationKind) -> bool {
    FREE.contains(&kind)
}

fn locked(more: serde_json::Value) -> World {
    let mut spec = json!({"locked": {"reason": "payroll"}});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let mut w = World::settled(spec);
    w.until(30, "locked", |w| w.ready() == "True/AsDeclared" && held(w));
    forget(&mut w);
    w
}

fn lock(w: &World) -> Option<(bool, LockState)> {
    let lock = w.server.status.as_ref().unwrap().lock.as_ref()?;
    Some((lock.ours, lock.state))
}

fn held(w: &World) -> bool {
    w.cloud.values().all(|f| f.seen.locked.as_deref() == Some(OURS))
        && lock(w) == Some((true, LockState::Held))
}

fn at_rest(w: &World) -> bool {
    w.ready() == "True/AsDeclared" && held(w)
}

#[test]
fn a_declared_lock_is_put_on_and_taken_off_when_it_is_dropped() {
    let mut w = World::new(json!({"locked": {"reason": "payroll"}}));
    w.until(60, "locked", at_rest);
    assert_eq!(w.calls, ["Create", "Lock"]);
    w.restart_process();
    w.run(300);
    assert_eq!(w.calls, ["Create", "Lock"], "and it stays");
    w.edit(json!({"locked": {"reason": "audit"}}));
    w.until(60, "with the new words", |w| {
        w.ready() == "True/AsDeclared"
            && w.cloud["id-1"].seen.locked.as_deref() == Some("audit [evenkeel uid-1]")
    });
    assert_eq!(w.calls, ["Create", "Lock", "Unlock", "Lock"]);
    forget(&mut w);
    w.edit(json!({"locked": null}));
    w.until(60, "unlocked", |w| {
        w.ready() == "True/AsDeclared" && w.cloud["id-1"].seen.locked.is_none()
    });
    assert_eq!((w.calls.as_slice(), lock(&w)), (&["Unlock".to_owned()][..], None));
}

#[test]
fn our_lock_is_opened_for_each_step_and_closed_again() {
    for (edit, state, steps) in [
        (json!({"powerState": "Stopped"}), S::Stopped, &["Stop"][..]),
        (
            json!({"size": {"name": "large"}, "resize": {"when": "StopIfNeeded"}}),
            S::Running,
            &["Resize", "ConfirmResize"],
        ),
        (json!({"powerState": "Shelved"}), S::Shelved, &["Shelve"]),
        (json!({"restart": {"token": "now"}}), S::Running, &["Restart"]),
        (
            json!({"image": {"name": "new"}, "rebuild": {"when": "OnImageChange"}}),
            S::Running,
            &["Rebuild"],
        ),
    ] {
        let mut w = locked(json!({}));
        w.edit(edit.clone());
        w.until(400, "done and locked", |w| {
            w.state() == state && at_rest(w) && w.calls.len() > 1
        });
        let mut expected = vec!["Unlock"];
        expected.extend(steps);
        expected.push("Lock");
        assert_eq!(w.calls, expected, "{edit}");
        w.run(120);
        assert_eq!(w.calls, expected, "{edit}: and it stays");
    }
}

#[test]
fn a_deed_opens_our_lock_and_it_is_closed_after_it() {
    let mut w = locked(json!({}));
    ask(&mut w, "now", json!({"reboot": {"mode": "Hard"}}));
    w.until(120, "done", |w| {
        outcome(w, "now") == "Succeeded/Succeeded" && at_rest(w)
    });
    assert_eq!(w.calls, ["Unlock", "Restart", "Lock"]);
}

#[test]
fn a_server_of_ours_is_deleted_and_let_go_although_we_locked_it() {
    for (spec, expected) in [
        (json!({}), &["Unlock", "Stop", "Delete"][..]),
        (json!({"deletion": {"powerOff": "None"}}), &["Unlock", "Delete"]),
        (json!({"deletionPolicy": "Orphan"}), &["Unlock", "Unmark"]),
    ] {
        for lost in [false, true] {
            let mut w = locked(spec.clone());
            if lost {
                w.fates.push(("Unlock", Fate::LoseReply));
            }
            w.delete();
            w.until(200, "gone", |w| w.gone);
            assert_eq!(w.calls, expected, "{spec} {lost}");
            assert!(w.cloud.values().all(|f| f.seen.locked.is_none()), "{spec}");
        }
    }
}

#[test]
fn the_lock_of_somebody_else_is_shown_and_never_touched() {
    for words in ["", "audit", "payroll [evenkeel uid-2]"] {
        let mut w = World::settled(json!({"locked": {"reason": "payroll"}}));
        w.until(30, "locked", at_rest);
        w.edit(json!({"locked": null}));
        w.until(30, "unlocked", |w| w.cloud["id-1"].seen.locked.is_none());
        forget(&mut w);
        w.the().seen.locked = Some(words.to_owned());
        w.run(60);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("True/AsDeclared", 0),
            "{words:?}"
        );
        assert_eq!(w.condition(C::DriftDetected), "True/Locked", "{words:?}");
        assert_eq!(lock(&w), Some((false, LockState::Held)));
        // Not for a lock of our own, nor for a step, nor for a deed, nor for the deletion.
        w.edit(json!({"locked": {"reason": "payroll"}}));
        w.run(60);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("True/AsDeclared", 0),
            "{words:?}"
        );
        w.edit(json!({"powerState": "Stopped"}));
        ask(&mut w, "now", json!({"reboot": {}}));
        w.run(60);
        assert_eq!(
            (w.ready().as_str(), w.calls.len()),
            ("False/Locked", 0),
            "{words:?}"
        );
        assert_eq!(w.condition(C::DriftDetected), "True/Locked", "{words:?}");
        w.delete();
        w.run(60);
        assert_eq!(
            (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
            ("True/Locked", 0),
            "{words:?}"
        );
        w.the().seen.locked = None;
        w.until(120, "gone", |w| w.gone);
    }
}

#[test]
fn ours_comes_after_that_of_somebody_else() {
    let mut w = World::settled(json!({}));
    w.the().seen.locked = Some("audit".to_owned());
    w.edit(json!({"locked": {"reason": "payroll"}}));
    w.run(30);
    assert!(w.calls.is_empty());
    w.the().seen.locked = None;
    w.until(30, "ours", at_rest);
    assert_eq!(w.calls, ["Lock"]);
    // Somebody was faster: the cloud leaves the words of the first.
    let mut w = World::settled(json!({}));
    w.edit(json!({"locked": {"reason": "payroll"}}));
    let made = w.plan();
    assert!(matches!(made.step, Step::Call { .. }));
    w.the().seen.locked = Some("audit".to_owned());
    w.run(60);
    assert_eq!(lock(&w), Some((false, LockState::Held)));
    assert_eq!(w.condition(C::DriftDetected), "True/Locked");
}

#[test]
fn a_lock_that_somebody_takes_off_is_put_back_as_the_policy_says() {
    let mut w = locked(json!({}));
    w.the().seen.locked = None;
    w.until(30, "locked again", at_rest);
    assert_eq!(w.calls, ["Lock"]);
    assert!(w.events.contains(&"DriftCorrected".to_owned()), "{:?}", w.events);
    let mut w = locked(json!({"driftPolicy": "Observe"}));
    w.the().seen.locked = None;
    w.run(120);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("True/AsDeclared", 0));
    assert_eq!(w.condition(C::DriftDetected), "True/LockDrift");
    assert_eq!(lock(&w), Some((true, LockState::Removed)));
    // A fight ends.
    let mut w = locked(json!({}));
    for _ in 0..400 {
        w.the().seen.locked = None;
        w.tick();
    }
    assert_eq!(w.ready(), "False/Flapping");
    assert_eq!(w.calls.len(), 4);
}

#[test]
fn the_process_may_die_at_any_moment_and_the_lock_is_closed_in_the_end() {
    // The plans with a call: unlock, stop, lock. Before each call, and after it.
    for n in 0..3 {
        for sent in [false, true] {
            let mut w = locked(json!({}));
            w.edit(json!({"powerState": "Stopped"}));
            let mut calls = 0;
            for _ in 0..200 {
                let made = w.plan();
                if let Step::Call { call, .. } = &made.step {
                    if calls == n {
                        w.server.status = Some(made.status.clone());
                        if sent {
                            let _answer_is_lost = w.call(call);
                        }
                        break;
                    }
                    calls += 1;
                }
                w.tick();
            }
            assert_eq!(calls, n);
            w.restart_process();
            w.until(300, "stopped and locked", |w| {
                w.state() == S::Stopped && at_rest(w)
            });
        }
    }
}

#[test]
fn a_lock_is_not_dropped_with_a_step_that_is_refused() {
    let mut w = locked(json!({}));
    for _ in 0..3 {
        w.fates.push(("Resize", Fate::Refuse(ErrorClass::InvalidSpec)));
    }
    w.edit(json!({"size": {"name": "large"}, "resize": {"when": "StopIfNeeded"}}));
    w.until(120, "refused", |w| w.ready() == "False/ResizeFailed" && held(w));
    assert_eq!(w.calls, ["Unlock", "Resize", "Lock"]);
}

#[test]
fn a_lock_that_is_refused_is_said_and_tried_again() {
    let mut w = World::settled(json!({}));
    w.fates.push(("Lock", Fate::Refuse(ErrorClass::Forbidden)));
    w.edit(json!({"locked": {"reason": "payroll"}}));
    w.until(30, "said", |w| w.ready() == "False/Forbidden");
    w.run(3);
    assert_eq!(w.ready(), "False/Forbidden", "and it stays said");
    w.until(600, "locked", at_rest);
    assert_eq!(w.calls, ["Lock", "Lock"]);
}

#[test]
fn switches_hold_a_lock_back_too() {
    let mut w = World::settled(json!({}));
    w.annotate(keys::PAUSED, "true");
    w.edit(json!({"locked": {"reason": "payroll"}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/Paused", 0));
    let mut w = settled(&STOPPED_ONLY, json!({}));
    w.edit(json!({"locked": {"reason": "payroll"}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/Unsupported", 0));
    assert!(w.message().contains("no locks"), "{}", w.message());
}

#[test]
fn the_record_comes_before_the_lock_is_opened() {
    let mut w = locked(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    let made = w.plan();
    let Step::Call {
        call: CloudCall::Operate { kind, .. },
        ..
    } = &made.step
    else {
        panic!("no call")
    };
    let record = made.status.operation.as_ref().unwrap();
    assert_eq!(
        (*kind, record.kind, record.argument.as_deref()),
        (OperationKind::Unlock, OperationKind::Unlock, Some("Stop"))
    );
    // The step needs what we cannot have now: our lock stays where it is.
    let mut w = locked(json!({}));
    w.knobs.full = true;
    w.edit(json!({"restart": {"token": "a"}}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/WaitingForTurn", 0));
}

#[test]
fn what_a_lock_does_not_forbid_neither_opens_ours_nor_waits_for_that_of_somebody_else() {
    let deeds = [
        ("ConsoleOutput", json!({"consoleOutput": {"lines": 5}})),
        ("CreateImage", json!({"createImage": {"name": "a"}})),
        (
            "CreateBackup",
            json!({"createBackup": {"name": "a", "type": "t", "rotation": 1}}),
        ),
    ];
    for (call, deed) in deeds {
        let mut w = super::deeds::server(json!({}));
        w.the().seen.locked = Some(OURS.to_owned());
        w.edit(json!({"locked": {"reason": "payroll"}}));
        w.run(5);
        ask(&mut w, "it", deed.clone());
        w.until(60, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
        w.run(60);
        assert_eq!(w.calls, [call], "under ours");
        let mut w = super::deeds::server(json!({}));
        w.the().seen.locked = Some("audit".to_owned());
        ask(&mut w, "it", deed);
        w.until(60, "done", |w| outcome(w, "it") == "Succeeded/Succeeded");
        assert_eq!(w.calls, [call], "under another's");
    }
}

/// The lock of an administrator keeps the words of ours: that it is another's is known by the answer alone.
#[test]
fn the_lock_of_an_administrator_over_ours_is_respected() {
    for dies in [false, true] {
        let mut w = locked(json!({}));
        for _ in 0..20 {
            w.fates.push(("Unlock", Fate::Refuse(ErrorClass::Forbidden)));
        }
        w.edit(json!({"powerState": "Stopped"}));
        w.until(60, "said", |w| w.ready() == "False/Locked");
        assert!(w.message().contains("administrator"), "{}", w.message());
        if dies {
            w.restart_process();
        }
        w.run(1200);
        assert_eq!(
            (w.calls.as_slice(), lock(&w)),
            (&["Unlock".to_owned()][..], Some((false, LockState::Held)))
        );
        assert_eq!(
            w.condition(C::DriftDetected),
            "True/Locked",
            "whatever waits for it"
        );
        // A person who has seen to it says so, or takes it off.
        w.fates.clear();
        if dies {
            w.annotate(keys::RETRY, "1");
        } else {
            w.the().seen.locked = None;
        }
        w.until(120, "stopped and locked", |w| {
            w.state() == S::Stopped && at_rest(w)
        });
    }
    // At rest it is found nowhere; when ours is dropped, it is.
    let mut w = locked(json!({}));
    for _ in 0..20 {
        w.fates.push(("Unlock", Fate::Refuse(ErrorClass::Forbidden)));
    }
    w.edit(json!({"locked": null}));
    w.run(600);
    assert_eq!((w.calls.len(), w.ready().as_str()), (1, "True/AsDeclared"));
    assert_eq!(w.condition(C::DriftDetected), "True/Locked");
}

#[test]
fn the_lock_of_somebody_else_is_shown_beside_a_step_that_is_held_back() {
    let mut w = World::settled(json!({"size": {"name": "small"}}));
    w.the().seen.locked = Some("audit".to_owned());
    w.edit(json!({"managementPolicy": "Observe"}));
    w.run(30);
    assert_eq!(w.condition(C::DriftDetected), "True/Locked");
    w.edit(json!({"size": {"name": "large"}}));
    w.run(60);
    assert_eq!(w.condition(C::SizeSynced), "False/Observing");
    assert_eq!(w.condition(C::DriftDetected), "True/Locked");
    w.edit(json!({"size": {"name": "small"}}));
    w.the().seen.locked = None;
    w.run(60);
    assert_eq!(w.condition(C::DriftDetected), "False/NoDrift");
}
