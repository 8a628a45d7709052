//! More than one server with the mark of one object: told for as long as it is so, and none outlives the object unseen.

use serde_json::json;

use super::world::{World, marks};
use crate::api::ConditionType as C;
use crate::planner::model::ServerState as S;

fn own() -> Option<crate::planner::model::Marks> {
    marks("uid-1", "inst", "ns/web")
}

/// The cloud denied the first server for a minute, `onMissing: Recreate` made a second, and the first is back.
fn back_from_the_dead() -> World {
    let mut w = World::settled(json!({"onMissing": "Recreate", "deletion": {"powerOff": "None"}}));
    let first = w.cloud.remove("id-1").unwrap();
    w.run(60);
    assert_eq!(
        (w.ready().as_str(), w.id()),
        ("True/AsDeclared", Some("id-2")),
        "{:?}",
        w.calls
    );
    w.cloud.insert("id-1".into(), first);
    w.calls.clear();
    w
}

#[test]
fn a_twin_that_shows_late_is_told_and_neither_is_touched() {
    let mut w = World::settled(json!({}));
    w.put("twin", S::Running, own());
    w.edit(json!({"powerState": "Stopped"}));
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/AmbiguousCreate", 0));
    for id in ["id-1", "twin"] {
        assert!(w.message().contains(id), "{}", w.message());
    }
    let writes = w.writes.len();
    w.run(600);
    assert_eq!(w.writes.len(), writes, "nothing happens, and nothing is written");
    // What is said helps: the twin goes, or the server of the object is named.
    for goes in [true, false] {
        let mut w = World::settled(json!({}));
        w.put("twin", S::Running, own());
        w.until(10, "told", |w| w.ready() == "False/AmbiguousCreate");
        if goes {
            w.cloud.remove("twin");
        } else {
            w.edit(json!({"import": {"id": "id-1"}, "powerState": "Running", "deletionPolicy": "Delete"}));
        }
        w.until(10, "on again", |w| w.ready() == "True/AsDeclared");
        assert_eq!((w.id(), w.calls.len()), (Some("id-1"), 0));
    }
}

#[test]
fn a_server_that_was_believed_gone_and_is_back_is_told() {
    let mut w = back_from_the_dead();
    w.until(60, "told", |w| w.ready() == "False/AmbiguousCreate");
    assert!(
        w.message().contains("id-1") && w.calls.is_empty(),
        "{}",
        w.message()
    );
    w.restart_process();
    w.run(60);
    assert_eq!((w.ready().as_str(), w.calls.len()), ("False/AmbiguousCreate", 0));
}

#[test]
fn a_server_that_is_back_keeps_its_object() {
    for (wait, restarts) in [(0, false), (0, true), (90, false)] {
        let mut w = back_from_the_dead();
        w.run(wait);
        if restarts {
            w.restart_process();
        }
        w.delete();
        w.run(300);
        assert!(!w.gone && w.cloud.contains_key("id-1"), "{wait} {restarts}");
        assert_eq!(w.condition(C::DeletionBlocked), "True/AmbiguousCreate");
        // As the message says: the one that is too many is deleted in the cloud, and the other goes with the object.
        let told = w.message();
        assert!(told.contains("Delete id-1 in the cloud"), "{told}");
        w.cloud.remove("id-1");
        w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
    }
}

#[test]
fn a_server_that_comes_back_during_the_deletion_is_waited_for() {
    let mut w = World::settled(json!({"onMissing": "Recreate", "deletion": {"powerOff": "None"}}));
    let first = w.cloud.remove("id-1").unwrap();
    w.until(60, "made again", |w| w.id() == Some("id-2"));
    w.cloud.insert("id-1".into(), first);
    w.delete();
    w.run(300);
    assert!(!w.gone, "{:?}", w.calls);
    w.cloud.remove("id-1");
    w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
}

#[test]
fn what_is_said_of_twins_helps_while_the_object_is_being_deleted() {
    // None is recorded.
    let mut w = World::new(json!({"deletion": {"powerOff": "None"}}));
    w.put("a", S::Running, own());
    w.put("b", S::Running, own());
    w.run(30);
    // Something has to be recorded, or the object owns nothing.
    w.server.status.as_mut().unwrap().create_attempts = Some(1);
    w.delete();
    w.run(60);
    assert_eq!(w.condition(C::DeletionBlocked), "True/AmbiguousCreate");
    assert!(!w.message().contains("import"), "{}", w.message());
    assert!(w.message().contains("Delete all but one"), "{}", w.message());
    w.cloud.remove("a");
    w.until(120, "gone", |w| w.gone && w.cloud.is_empty());
    // One is; the other is to stay.
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    w.put("twin", S::Running, own());
    w.delete();
    w.run(60);
    assert_eq!(
        (w.condition(C::DeletionBlocked).as_str(), w.calls.len()),
        ("True/AmbiguousCreate", 0)
    );
    let told = w.message();
    assert!(
        told.contains("take the mark off") && told.contains("Delete twin") && !told.contains("import"),
        "{told}"
    );
    w.cloud.get_mut("twin").unwrap().seen.marks = None;
    w.until(120, "gone", |w| w.gone);
    assert_eq!(w.cloud.keys().collect::<Vec<_>>(), ["twin"]);
}

#[test]
fn a_twin_takes_the_place_of_a_server_that_is_gone() {
    let mut w = World::settled(json!({}));
    w.put("twin", S::Running, own());
    w.cloud.remove("id-1");
    w.until(120, "missing", |w| w.condition(C::Stalled) == "True/Missing");
    assert!(w.message().contains("twin"), "{}", w.message());
    w.edit(json!({"onMissing": "Recreate"}));
    w.until(60, "taken", |w| w.ready() == "True/AsDeclared");
    assert_eq!((w.id(), w.calls.len()), (Some("twin"), 0));
}

#[test]
fn a_list_that_is_late_is_no_twin() {
    // A creation ended in an error and was deleted; lists have it for a few seconds more.
    let mut w = World::settled(json!({"onMissing": "Recreate"}));
    let first = w.cloud.remove("id-1").unwrap();
    w.until(60, "made again", |w| w.id() == Some("id-2"));
    w.cloud.insert("id-1".into(), first);
    w.run(10);
    w.cloud.remove("id-1");
    w.until(30, "ready", |w| w.ready() == "True/AsDeclared");
    w.run(60);
    assert!(
        !w.events.contains(&"AmbiguousCreate".to_owned()) && w.id() == Some("id-2"),
        "{:?}",
        w.events
    );
}
