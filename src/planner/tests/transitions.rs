//! From every power state to every other one, by the shortest way that a cloud has.

use serde_json::json;

use super::cloud::CAPABILITIES;
use super::clouds::{METAL, STOPPED_ONLY, calls, forget, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::server::PowerWish;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, ErrorClass, ServerState as S};
use crate::planner::transitions::{LEADS_TO, first_step, leads_to};

/// The wishes for a state of its own that a cloud fulfils.
fn wishes(can: &Capabilities) -> Vec<(PowerWish, S)> {
    let state = |w: &PowerWish| Some((*w, S::of_wish(*w)?));
    can.power_states.iter().filter_map(state).collect()
}

/// The whole way, as the table of the cloud has it.
fn way(can: &Capabilities, from: S, to: S) -> Vec<OperationKind> {
    let (mut way, mut here) = (Vec::new(), from);
    while here != to {
        let kind = first_step(can, here, to).unwrap_or_else(|| panic!("no way from {here} to {to}"));
        way.push(kind);
        here = leads_to(kind).unwrap();
        assert!(way.len() < 5, "{from} to {to}: {way:?}");
    }
    way
}

fn fulfilled(w: &World, state: S) -> bool {
    w.ready() == "True/AsDeclared" && w.state() == state
}

#[test]
fn every_wish_leads_to_every_other_one() {
    let mut pairs = 0;
    for (from, began) in wishes(&CAPABILITIES) {
        for (to, ends) in wishes(&CAPABILITIES).into_iter().filter(|(to, _)| *to != from) {
            let mut w = settled(&CAPABILITIES, json!({"powerState": from}));
            assert_eq!(w.state(), began);
            forget(&mut w);
            w.edit(json!({"powerState": to}));
            w.until(60, "there", |w| fulfilled(w, ends));
            let way: Vec<_> = way(&CAPABILITIES, began, ends)
                .iter()
                .map(|k| k.as_str())
                .collect();
            assert_eq!(calls(&w), way, "{from} to {to}");
            w.restart_process();
            w.run(120);
            assert_eq!(calls(&w), way, "{from} to {to}, and it stays");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 20);
}

#[test]
fn a_way_is_the_shortest_and_keeps_to_what_the_cloud_accepts() {
    use OperationKind::*;
    for (from, to, expected) in [
        (S::Paused, S::Stopped, vec![Unpause, Stop]),
        (S::Stopped, S::Paused, vec![Start, Pause]),
        (S::Suspended, S::Shelved, vec![Shelve]),
        (S::Shelved, S::Suspended, vec![Unshelve, Suspend]),
        (S::Rescued, S::Paused, vec![Unrescue, Pause]),
    ] {
        assert_eq!(way(&CAPABILITIES, from, to), expected);
    }
    assert_eq!(first_step(&STOPPED_ONLY, S::Paused, S::Running), None);
    assert_eq!(first_step(&CAPABILITIES, S::Error, S::Absent), None);
    let mut kinds: Vec<_> = LEADS_TO.iter().map(|r| r.0).collect();
    kinds.dedup();
    assert_eq!(kinds.len(), LEADS_TO.len(), "one row for each");
}

#[test]
fn a_state_that_the_cloud_has_not_is_said_and_nothing_is_sent() {
    for can in [&STOPPED_ONLY, &METAL] {
        for wish in [PowerWish::Paused, PowerWish::Suspended, PowerWish::Shelved] {
            let mut w = settled(can, json!({}));
            w.edit(json!({"powerState": wish}));
            w.run(120);
            assert_eq!((w.ready(), w.calls.len()), ("False/Unsupported".to_owned(), 0));
            assert!(w.message().contains("Running, Stopped"), "{}", w.message());
        }
    }
}

#[test]
fn a_wish_that_changes_on_the_way_is_followed() {
    let mut w = settled(&CAPABILITIES, json!({"powerState": "Stopped"}));
    forget(&mut w);
    w.fates.push(("Pause", Fate::Refuse(ErrorClass::Transient)));
    w.edit(json!({"powerState": "Paused"}));
    w.until(60, "refused", |w| calls(w).contains(&"Pause"));
    w.edit(json!({"powerState": "Suspended"}));
    w.until(60, "suspended", |w| fulfilled(w, S::Suspended));
    assert_eq!(calls(&w), ["Start", "Pause", "Suspend"]);
    // A start on the way to another state is not given up for it.
    forget(&mut w);
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| fulfilled(w, S::Stopped));
    w.fates.push(("Start", Fate::Refuse(ErrorClass::Transient)));
    forget(&mut w);
    w.edit(json!({"powerState": "Shelved"}));
    w.until(60, "shelved", |w| fulfilled(w, S::Shelved));
    assert_eq!(calls(&w), ["Shelve"]);
    w.edit(json!({"powerState": "Paused"}));
    w.until(60, "paused", |w| fulfilled(w, S::Paused));
    assert_eq!(calls(&w), ["Shelve", "Unshelve", "Pause"]);
}

#[test]
fn what_others_do_to_a_paused_server_is_put_back_or_left_by_policy() {
    let mut w = settled(&CAPABILITIES, json!({"powerState": "Paused"}));
    forget(&mut w);
    w.the().seen.state = S::Running;
    w.until(60, "paused again", |w| fulfilled(w, S::Paused));
    assert_eq!(calls(&w), ["Pause"]);
    forget(&mut w);
    w.the().seen.state = S::Suspended;
    w.run(120);
    assert_eq!(
        (w.calls.len(), w.condition(C::DriftDetected)),
        (0, "True/PowerDrift".to_owned())
    );
    w.edit(json!({"driftPolicy": "EnforceAll"}));
    w.until(60, "paused again", |w| fulfilled(w, S::Paused));
    assert_eq!(calls(&w), ["Resume", "Pause"]);
}
