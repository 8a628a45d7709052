//! Two processes that both act: what one has written is not contradicted by an older list of the other.

use serde_json::json;

use super::world::World;
use crate::planner::Step;
use crate::planner::model::ServerState;

#[test]
fn what_was_seen_before_another_one_wrote_says_nothing() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = ServerState::Stopped;
    w.memory.rewritten_at = Some(w.now);
    let before = w.server.status.clone();
    let made = w.plan();
    assert_eq!((Some(&made.status), made.step), (before.as_ref(), Step::Wait));
    assert_eq!(made.list_after, Some(w.now), "a newer list is asked for");
    w.memory = made.memory;
    w.tick();
    w.tick();
    assert_eq!(w.calls, ["Start"], "the newer one is believed");
    assert_eq!(w.memory.rewritten_at, None);
}

#[test]
fn a_look_that_is_newer_is_believed_as_well() {
    let mut w = World::settled(json!({}));
    w.the().seen.state = ServerState::Stopped;
    let seen = std::sync::Arc::new(w.the().seen.clone());
    let id = w.id().unwrap().to_owned();
    w.memory.rewritten_at = Some(w.now);
    let after = crate::planner::draft::later(w.now, 1);
    w.memory.see(id, after, Ok(seen), None);
    w.once();
    assert_eq!(w.calls, ["Start"]);
}
