//! Two objects that name one server: one of them manages it, and the other one harms nobody.

use serde_json::json;

use super::clouds::{METAL, STOPPED_ONLY, on, settled};
use super::world::{World, marks};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::planner::model::{Capabilities, ServerState as S};

fn import(can: &'static Capabilities, claimed: bool) -> World {
    let spec = json!({"import": {"id": "x"}, "powerState": "Stopped", "deletionPolicy": "Delete"});
    let mut w = on(can, spec);
    w.put("x", S::Running, None);
    w.knobs.claimed = claimed.then(|| "ns/first".to_owned());
    w
}

#[test]
fn the_second_of_two_imports_does_nothing_and_says_whose_it_is() {
    for can in [&METAL, &STOPPED_ONLY] {
        let mut w = import(can, true);
        w.run(120);
        assert_eq!((w.ready().as_str(), w.id()), ("False/OwnedByOther", None));
        assert!(w.message().contains("Server ns/first"), "{}", w.message());
        w.delete();
        w.until(30, "gone", |w| w.gone);
        assert!(w.calls.is_empty() && w.state() == S::Running, "{:?}", w.calls);
        // The other one is gone: this one is the first now.
        let mut w = import(can, true);
        w.run(120);
        w.knobs.claimed = None;
        w.until(90, "taken over", |w| w.ready() == "True/AsDeclared");
        assert_eq!(w.state(), S::Stopped);
    }
}

#[test]
fn who_recorded_it_too_and_comes_second_lets_go_of_it() {
    for can in [&METAL, &STOPPED_ONLY] {
        let mut w = import(can, false);
        w.until(60, "taken over", |w| w.ready() == "True/AsDeclared");
        w.calls.clear();
        w.knobs.claimed = Some("ns/first".to_owned());
        if can.marks_mutable {
            // The first one has put its mark over ours.
            w.the().seen.marks = marks("living", "inst", "ns/first");
        }
        w.the().seen.state = S::Running;
        w.run(120);
        assert_eq!((w.ready().as_str(), w.calls.len()), ("False/OwnedByOther", 0));
        w.delete();
        w.until(30, "gone", |w| w.gone);
        assert!(w.calls.is_empty() && w.state() == S::Running, "{:?}", w.calls);
        let told = w.told_of(Reason::OwnedByOther);
        assert!(
            told.iter()
                .any(|(_, words)| words.contains("nothing is done to it")),
            "{told:?}"
        );
    }
}

#[test]
fn what_an_object_has_made_is_its_own_whoever_names_it() {
    let mut w = settled(&METAL, json!({"powerState": "Stopped"}));
    w.knobs.claimed = Some("ns/first".to_owned());
    w.run(120);
    assert_eq!(w.ready(), "True/AsDeclared");
    // With a stranger's mark on it, its deletion is a question for a person.
    w.the().seen.marks = marks("living", "inst", "ns/first");
    w.delete();
    w.run(120);
    assert_eq!(
        (w.gone, w.condition(C::DeletionBlocked).as_str()),
        (false, "True/OwnedByOther")
    );
}
