//! Deletions in the middle of something else.

use serde_json::json;

use super::super::cloud::CAPABILITIES;
use super::super::clouds::{METAL, STOPPED_ONLY, settled};
use super::super::world::{Fate, World};
use super::count;
use crate::api::ConditionType as C;
use crate::api::keys;
use crate::planner::model::{ErrorClass, ServerState as S};

#[test]
fn a_deletion_does_not_wait_for_what_nobody_needs_any_more() {
    let edits = [
        json!({"powerState": "Stopped"}),
        json!({"size": {"name": "large"}}),
        json!({"restart": {"token": "1"}}),
        json!({"image": {"name": "new"}}),
    ];
    let spec = json!({"resize": {"when": "StopIfNeeded"}, "rebuild": {"when": "OnImageChange"}});
    for can in [&CAPABILITIES, &STOPPED_ONLY] {
        for edit in &edits {
            for seconds in [0, 1, 2, 4, 6] {
                let mut w = settled(can, spec.clone());
                w.edit(edit.clone());
                w.run(seconds);
                w.delete();
                w.until(180, &format!("{edit} {seconds}"), |w| {
                    w.gone && w.cloud.is_empty()
                });
            }
        }
    }
}

#[test]
fn a_deletion_ends_although_the_cloud_never_ends_what_it_was_doing() {
    // A cloud that deletes in every state does so in one that hangs.
    for state in [
        S::Stopping,
        S::Rebooting,
        S::Resizing,
        S::Error,
        S::AwaitingResizeConfirmation,
    ] {
        let mut w = World::settled(json!({}));
        let fake = w.the();
        (fake.seen.state, fake.seen.busy) = (state, state.is_transitional());
        w.run(30);
        w.delete();
        w.until(900, &state.to_string(), |w| w.gone && w.cloud.is_empty());
    }
}

#[test]
fn a_server_that_is_gone_before_the_call_is_deleted_all_the_same() {
    for can in [&CAPABILITIES, &METAL, &STOPPED_ONLY] {
        let mut w = settled(can, json!({"powerState": "Stopped"}));
        w.delete();
        let made = w.plan();
        w.cloud.clear();
        w.server.status = Some(made.status);
        w.until(120, "gone", |w| w.gone);
    }
}

#[test]
fn a_denial_in_reply_to_a_deletion_is_looked_into() {
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    // Wrong, twice: the server is there.
    for _ in 0..2 {
        w.fates.push(("Delete", Fate::Refuse(ErrorClass::NotFound)));
    }
    w.delete();
    for _ in 0..300 {
        w.tick();
        assert!(!w.gone || w.cloud.is_empty(), "let go of a server that exists");
    }
    assert!(w.gone && count(&w, "Delete") == 3, "{:?}", w.calls);
}

#[test]
fn a_paused_object_that_is_deleted_says_so_and_goes_at_once_when_it_may() {
    let mut w = World::settled(json!({}));
    w.annotate(keys::PAUSED, "true");
    w.run(10);
    w.delete();
    w.until(5, "said", |w| w.condition(C::DeletionBlocked) == "True/Paused");
    let writes = w.writes.len();
    w.run(3600);
    assert_eq!((w.gone, w.calls.len(), w.writes.len()), (false, 0, writes));
    w.annotate(keys::PAUSED, "false");
    w.until(60, "gone", |w| w.gone && w.cloud.is_empty());
}
