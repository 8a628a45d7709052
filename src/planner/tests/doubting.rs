//! Lists that suddenly lack many servers: nobody believes them at once, and everybody is told.

use serde_json::json;

use super::world::World;
use crate::api::{ConditionType as C, keys};

fn doubted() -> World {
    let mut w = World::settled(json!({}));
    w.mass_absence = true;
    w
}

#[test]
fn the_doubt_is_told_after_a_while_and_ends_with_the_next_good_list() {
    let mut w = doubted();
    let hidden = std::mem::take(&mut w.cloud);
    w.run(50);
    assert_eq!(w.ready(), "True/AsDeclared", "the next list may have it again");
    w.until(30, "told", |w| w.ready() == "Unknown/MassAbsence");
    assert_eq!(w.condition(C::PowerSynced), "Unknown/MassAbsence");
    assert!(
        w.message().contains("id-1") && w.message().contains(keys::RETRY),
        "{}",
        w.message()
    );
    let writes = w.writes.len();
    w.run(600);
    assert_eq!((w.writes.len(), w.calls.len()), (writes, 0));
    assert!(!w.events.contains(&"Missing".to_owned()));
    (w.cloud, w.mass_absence) = (hidden, false);
    w.until(30, "found", |w| w.ready() == "True/AsDeclared");
    assert!(w.calls.is_empty());
}

#[test]
fn a_person_may_say_that_it_is_gone_indeed() {
    for deletes in [false, true] {
        let mut w = doubted();
        w.cloud.clear();
        if deletes {
            w.delete();
            w.until(30, "told", |w| {
                w.condition(C::DeletionBlocked) == "True/MassAbsence"
            });
        }
        w.run(300);
        assert!(!w.gone && !w.ready().starts_with("False/Missing"));
        w.annotate(keys::RETRY, "it is gone");
        if deletes {
            w.until(120, "gone", |w| w.gone);
        } else {
            w.until(120, "missing", |w| w.condition(C::Stalled) == "True/Missing");
        }
        assert_eq!(
            (w.knobs.looks, w.calls.len()),
            (3, 0),
            "the cloud denied it by id"
        );
    }
}

#[test]
fn who_is_in_the_list_or_was_dismissed_before_is_not_concerned() {
    let mut w = doubted();
    w.run(200);
    assert_eq!(w.ready(), "True/AsDeclared");
    w.annotate(keys::RETRY, "once");
    w.run(5);
    w.mass_absence = false;
    w.run(5);
    // A new doubt wants a new word.
    w.mass_absence = true;
    w.cloud.clear();
    w.run(300);
    assert_eq!(w.ready(), "Unknown/MassAbsence");
}
