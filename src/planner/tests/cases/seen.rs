//! What the cloud shows that is odd, old or not there.

use serde_json::json;

use super::super::world::{Fate, World, marks};
use super::{at_rest, count};
use crate::api::ConditionType as C;
use crate::planner::model::ServerState as S;

#[test]
fn what_never_leaves_its_passing_state_needs_a_person_in_the_end() {
    for (state, hours) in [
        (S::Stopping, 1),
        (S::Rebooting, 1),
        (S::Starting, 1),
        (S::SettingPassword, 1),
        (S::Rebuilding, 5),
        (S::Maintenance, 25),
    ] {
        let mut w = World::settled(json!({}));
        let fake = w.the();
        (fake.seen.state, fake.seen.busy) = (state, true);
        fake.seen.raw = "REBOOT/active/rebooting".into();
        w.run(600);
        assert_eq!(w.ready(), "False/WaitingForCloud", "{state}");
        w.run(hours * 3600);
        assert_eq!(
            w.condition(C::Stalled),
            "True/OperationTimeout",
            "{state}: {}",
            w.ready()
        );
        assert!(w.message().contains("REBOOT/active/rebooting"), "{}", w.message());
        assert!(w.calls.is_empty(), "{:?}", w.calls);
        let writes = w.writes.len();
        w.run(3600);
        assert_eq!(w.writes.len(), writes, "said once");
        let fake = w.the();
        (fake.seen.state, fake.seen.busy) = (S::Running, false);
        w.until(60, "as declared", at_rest);
    }
}

#[test]
fn a_move_by_the_cloud_is_waited_for_and_is_no_failure() {
    let mut w = World::settled(json!({}));
    let fake = w.the();
    (fake.seen.state, fake.seen.busy) = (S::Maintenance, true);
    w.run(10);
    w.edit(json!({"powerState": "Stopped"}));
    // Some move for hours.
    w.run(3 * 3600);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/WaitingForCloud", 0));
    let status = w.server.status.as_ref().unwrap();
    assert!(status.failure.is_none() && !w.condition(C::Stalled).starts_with("True"));
    let fake = w.the();
    (fake.seen.state, fake.seen.busy) = (S::Running, false);
    w.until(60, "stopped", |w| at_rest(w) && w.state() == S::Stopped);
    assert_eq!(w.calls, ["Stop"]);
}

#[test]
fn what_was_deleted_softly_is_neither_stopped_nor_made_again() {
    for spec in [
        json!({}),
        json!({"powerState": "Stopped"}),
        json!({"onMissing": "Recreate"}),
    ] {
        let mut w = World::settled(spec.clone());
        w.can = &super::super::clouds::STOPPED_ONLY;
        w.the().seen.state = S::SoftDeleted;
        w.run(600);
        assert_eq!(w.condition(C::Stalled), "True/SoftDeleted", "{spec}");
        assert_eq!(
            w.server
                .status
                .as_ref()
                .unwrap()
                .power
                .as_ref()
                .unwrap()
                .observed
                .as_deref(),
            Some("SoftDeleted")
        );
        assert!(w.calls.is_empty(), "{spec}: {:?}", w.calls);
    }
}

#[test]
fn another_server_of_the_same_name_does_not_take_the_place_of_one_that_is_gone() {
    for marked in [None, marks("uid-9", "other", "ns/web")] {
        let mut w = World::settled(json!({}));
        w.cloud.clear();
        w.put("look-alike", S::Stopped, marked);
        w.until(120, "missing", |w| w.condition(C::Stalled) == "True/Missing");
        w.run(600);
        assert_eq!((w.id(), w.calls.len()), (Some("id-1"), 0));
        assert!(w.message().contains("look-alike"), "the hint: {}", w.message());
        assert_eq!(w.the().seen.state, S::Stopped);
    }
}

#[test]
fn a_denial_by_id_of_what_the_list_has_is_not_believed() {
    // The list has it, and an operation makes us look by id: that look says that there is none.
    let mut w = World::settled(json!({"onMissing": "Recreate"}));
    let hidden = w.cloud.remove("id-1").unwrap();
    w.run(3);
    w.cloud.insert("id-1".into(), hidden);
    w.run(600);
    assert!(at_rest(&w) && w.calls.is_empty(), "{:?}", w.calls);
    assert_eq!(w.most_alive, 1);
}

#[test]
fn an_id_that_was_ever_recorded_is_not_replaced_by_a_creation() {
    // Restored from a backup, or moved here with its status: its server cannot be found.
    let mut w = World::new(json!({}));
    let status = json!({"observedGeneration": 1, "id": "moved", "createAttempts": 1});
    w.server.status = Some(serde_json::from_value(status).unwrap());
    w.until(120, "missing", |w| w.condition(C::Stalled) == "True/Missing");
    w.run(3600);
    assert_eq!((w.id(), count(&w, "Create")), (Some("moved"), 0));
    // Only a person allows it, and the old id is remembered.
    w.edit(json!({"onMissing": "Recreate"}));
    w.until(120, "made", at_rest);
    assert_eq!(w.server.status.as_ref().unwrap().previous_ids, ["moved"]);
}

#[test]
fn a_list_that_stands_still_makes_few_calls_and_no_fight() {
    let mut w = World::settled(json!({"powerOff": {"timeout": "2m"}}));
    // Accepted each time, and never shown.
    for _ in 0..200 {
        w.fates.push(("Stop", Fate::NoEffect));
    }
    w.edit(json!({"powerState": "Stopped"}));
    w.run(3600);
    assert_eq!(w.ready(), "False/StopTimeout");
    assert!(w.calls.len() < 25, "{} times in an hour", w.calls.len());
    assert_eq!(w.state(), S::Running);
    assert_eq!(
        w.server
            .status
            .as_ref()
            .unwrap()
            .power
            .as_ref()
            .unwrap()
            .observed
            .as_deref(),
        Some("Running"),
        "what was asked for is not what is"
    );
    w.fates.clear();
    w.the().seen.state = S::Stopped;
    w.until(60, "seen at last", at_rest);
}
