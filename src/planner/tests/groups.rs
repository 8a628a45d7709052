//! Groups: made once, changed where they can be, gone after their members.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::group_world::{FIXED, Fate, MUTABLE, World};
use crate::api::ConditionType;
use crate::api::server_group::PlacementPolicy;
use crate::planner::memory::Memory;
use crate::planner::model::{ErrorClass, GroupMember};

fn strict() -> Value {
    json!({"placement": {"policy": "AntiAffinity"}})
}

#[test]
fn made_once_whatever_happens_to_the_reply() {
    for can in [&FIXED, &MUTABLE] {
        for fate in [
            Fate::LoseReply,
            Fate::ApplyLate,
            Fate::LoseRequest,
            Fate::Refuse(ErrorClass::Quota),
        ] {
            let mut w = World::new(can, strict());
            w.fates.push(fate);
            w.ready();
            assert_eq!((w.most, w.cloud.len()), (1, 1), "{fate:?}");
            let calls = w.calls.len();
            let before = w.group.status.clone();
            for _ in 0..600 {
                w.tick();
            }
            assert_eq!(w.group.status, before, "status changed while nothing happened");
            assert_eq!(w.calls.len(), calls);
        }
    }
}

#[test]
fn without_marks_the_name_belongs_to_the_object() {
    let mut w = World::new(&FIXED, strict());
    w.ready();
    let name = w.cloud["grp-1"].name.clone();
    assert!(name.starts_with("web-") && name.len() == 14, "{name}");
    let mut w = World::new(&MUTABLE, strict());
    w.ready();
    assert_eq!(w.cloud["grp-1"].name, "web");
    assert_eq!(w.cloud["grp-1"].marks.as_ref().unwrap().uid, "uid-g");
}

#[test]
fn what_cannot_be_changed_is_said_and_what_can_is_changed() {
    let mut w = World::new(&FIXED, strict());
    w.ready();
    w.edit(|s| s.placement.policy = PlacementPolicy::SoftAntiAffinity);
    w.until(20, "immutable", |w| {
        w.is(ConditionType::Stalled) == "True/Immutable"
    });
    w.edit(|s| s.placement.policy = PlacementPolicy::None);
    w.until(20, "immutable", |w| {
        w.is(ConditionType::Stalled) == "True/Immutable"
    });
    assert_eq!(w.calls, ["Create"]);

    let mut w = World::new(&MUTABLE, json!({"labels": {"team": "a", "tier": "1"}}));
    w.ready();
    w.cloud
        .get_mut("grp-1")
        .unwrap()
        .labels
        .insert("theirs".into(), "x".into());
    w.edit(|s| {
        s.placement.policy = PlacementPolicy::AntiAffinity;
        s.labels = Some(BTreeMap::from([("team".into(), "b".into())]));
    });
    w.until(60, "changed", |w| {
        w.cloud["grp-1"].labels.get("team").is_some_and(|t| t == "b")
    });
    w.ready();
    let seen = &w.cloud["grp-1"];
    assert_eq!(seen.policy, Some(PlacementPolicy::AntiAffinity));
    let labels: Vec<_> = seen.labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["team", "theirs"]);
    assert_eq!(w.made, 1);
}

#[test]
fn members_join_and_leave_and_strangers_stay() {
    let mut w = World::new(&MUTABLE, strict());
    w.member("a", "web");
    w.member("b", "web");
    w.ready();
    w.until(60, "joined", |w| w.cloud["grp-1"].members.len() == 2);
    w.cloud.get_mut("grp-1").unwrap().members.push(GroupMember {
        id: "stranger".into(),
        met: None,
    });
    w.member("b", "other");
    let placed = json!({"name": "web", "id": "grp-1"});
    w.members[1].status.as_mut().unwrap().group = serde_json::from_value(placed).unwrap();
    w.until(60, "left", |w| {
        w.cloud["grp-1"].members.iter().all(|m| m.id != "srv-b")
    });
    w.ready();
    let ids: Vec<_> = w.cloud["grp-1"].members.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["srv-a", "stranger"]);
    assert_eq!(w.calls, ["Create", "Add", "Add", "Remove"]);
}

#[test]
fn goes_after_its_members_or_is_let_go() {
    for can in [&FIXED, &MUTABLE] {
        let mut w = World::new(can, strict());
        w.member("a", "web");
        w.ready();
        w.delete();
        w.until(20, "blocked", |w| {
            w.is(ConditionType::DeletionBlocked) == "True/GroupHasMembers"
        });
        assert_eq!(w.cloud.len(), 1);
        w.members.clear();
        w.fates.push(Fate::LoseReply);
        w.until(120, "gone", |w| w.gone);
        assert!(w.cloud.is_empty());

        let mut w = World::new(
            can,
            json!({"placement": {"policy": "AntiAffinity"}, "deletionPolicy": "Orphan"}),
        );
        w.member("a", "web");
        w.ready();
        w.delete();
        w.until(60, "gone", |w| w.gone);
        assert!(w.cloud["grp-1"].marks.is_none());
    }
}

#[test]
fn a_list_that_lacks_a_group_for_a_moment_does_not_let_its_object_go() {
    for can in [&FIXED, &MUTABLE] {
        for fate in [Fate::LoseRequest, Fate::Refuse(ErrorClass::Busy)] {
            let mut w = World::new(can, strict());
            w.ready();
            w.fates.push(fate);
            w.calls.clear();
            w.delete();
            w.until(20, "asked", |w| !w.calls.is_empty());
            let hidden = w.cloud.remove("grp-1").unwrap();
            for _ in 0..4 {
                w.tick();
            }
            assert!(!w.gone, "{fate:?}");
            w.cloud.insert("grp-1".into(), hidden);
            w.until(120, "gone", |w| w.gone);
            assert!(w.cloud.is_empty(), "{fate:?}");
        }
        // What the cloud said it does is believed with the first list.
        let mut w = World::new(can, strict());
        w.ready();
        w.calls.clear();
        w.delete();
        w.until(10, "asked", |w| !w.calls.is_empty());
        w.until(3, "gone", |w| w.gone);
    }
}

#[test]
fn a_group_that_vanished_is_not_made_again() {
    let mut w = World::new(&FIXED, strict());
    w.ready();
    w.cloud.clear();
    w.until(60, "missing", |w| w.is(ConditionType::Stalled) == "True/Missing");
    for _ in 0..300 {
        w.tick();
    }
    assert_eq!(w.made, 1);
    w.delete();
    w.until(60, "gone", |w| w.gone);
}

#[test]
fn unmet_members_are_named() {
    let mut w = World::new(&MUTABLE, strict());
    w.member("a", "web");
    w.ready();
    w.until(30, "met", |w| {
        w.is(ConditionType::PlacementSatisfied) == "True/PlacementMet"
    });
    w.cloud.get_mut("grp-1").unwrap().members[0].met = Some(false);
    w.until(30, "unmet", |w| {
        w.is(ConditionType::PlacementSatisfied) == "False/PlacementUnmet"
    });
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        prop::sample::select(ErrorClass::ALL).prop_map(Fate::Refuse),
        Just(Fate::LoseReply),
        Just(Fate::LoseRequest),
        Just(Fate::ApplyLate),
    ]
}

proptest! {
    #![proptest_config(super::properties::campaign(200))]

    /// Whatever is lost, refused or late, and whoever dies: never two groups, ready in the end, and gone in the end.
    #[test]
    fn one_group_at_most(
        movable in any::<bool>(),
        deeds in prop::collection::vec((prop::option::of(fate()), any::<bool>(), 1i64..50), 1..8),
    ) {
        let mut w = World::new(if movable { &MUTABLE } else { &FIXED }, strict());
        w.member("a", "web");
        for (fate, dies, seconds) in deeds {
            w.fates.extend(fate);
            if dies {
                w.process += 1;
                w.memory = Memory::default();
            }
            for _ in 0..seconds {
                w.tick();
            }
            prop_assert!(w.most <= 1, "{} groups at once", w.most);
        }
        w.fates.clear();
        w.until(4000, "ready", |w| w.is(ConditionType::Ready) == "True/AsDeclared");
        prop_assert!(w.most <= 1);
        w.members.clear();
        w.delete();
        w.until(4000, "gone", |w| w.gone);
        prop_assert!(w.cloud.is_empty());
    }
}

#[test]
fn a_member_that_is_being_built_is_not_satisfied_yet() {
    let mut w = World::new(&MUTABLE, strict());
    w.member("a", "web");
    w.ready();
    w.until(30, "met", |w| {
        w.is(ConditionType::PlacementSatisfied) == "True/PlacementMet"
    });
    w.member("b", "web");
    w.power("b", "Provisioning");
    // It is in the group, and the cloud does not say yet whether it is placed so.
    w.until(60, "joined", |w| w.cloud["grp-1"].members.len() == 2);
    w.cloud.get_mut("grp-1").unwrap().members[1].met = None;
    w.unplaced = vec!["srv-b".into()];
    for _ in 0..10 {
        w.tick();
        assert_eq!(
            w.is(ConditionType::PlacementSatisfied),
            "Unknown/PlacementUnknown"
        );
    }
    // Built, and the cloud still says nothing: now that is what is known.
    w.power("b", "Running");
    w.until(30, "unknown", |w| {
        w.is(ConditionType::PlacementSatisfied) == "Unknown/PlacementUnknown"
    });
    w.cloud.get_mut("grp-1").unwrap().members[1].met = Some(true);
    w.until(30, "met", |w| {
        w.is(ConditionType::PlacementSatisfied) == "True/PlacementMet"
    });
}
