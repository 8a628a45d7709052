//! Groups that are edited, that the cloud shows in another way than expected, and whose members have no place.

use serde_json::json;

use super::group_world::{FIXED, Fate, MUTABLE, World};
use crate::api::server_group::PlacementPolicy;
use crate::api::{ConditionType as C, Reason, conditions};
use crate::planner::model::GroupMember;

fn strict(can: &'static crate::planner::model::GroupCapabilities) -> World {
    World::new(can, json!({"placement": {"policy": "AntiAffinity"}}))
}

fn message(w: &World, kind: C) -> String {
    let status = w.group.status.as_ref().unwrap();
    conditions::get(&status.conditions, kind).map_or(String::new(), |c| c.message.clone())
}

fn run(w: &mut World, seconds: usize) {
    (0..seconds).for_each(|_| w.tick());
}

#[test]
fn a_name_is_changed_where_the_cloud_can() {
    let mut w = strict(&MUTABLE);
    w.ready();
    w.edit(|s| s.cloud_name = Some("front".into()));
    w.until(60, "renamed", |w| {
        w.cloud["grp-1"].name == "front" && w.is(C::Ready) == "True/AsDeclared"
    });
    assert_eq!(w.calls, ["Create", "Modify"]);

    let mut w = strict(&FIXED);
    w.ready();
    let name = w.cloud["grp-1"].name.clone();
    w.edit(|s| s.cloud_name = Some("front".into()));
    w.until(60, "said", |w| w.is(C::Stalled) == "True/Immutable");
    assert!(
        message(&w, C::Stalled).contains(&name),
        "{}",
        message(&w, C::Stalled)
    );
    w.edit(|s| s.cloud_name = None);
    w.ready();
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn a_name_that_is_changed_while_a_reply_is_missing_makes_no_second_group() {
    for fate in [Fate::LoseReply, Fate::ApplyLate] {
        for can in [&FIXED, &MUTABLE] {
            let mut w = strict(can);
            w.fates.push(fate);
            w.until(20, "asked", |w| !w.calls.is_empty());
            w.edit(|s| s.cloud_name = Some("front".into()));
            w.process += 1;
            w.memory = crate::planner::memory::Memory::default();
            run(&mut w, 400);
            assert_eq!((w.most, w.cloud.len()), (1, 1), "{fate:?} {:?}", w.calls);
            let status = w.group.status.as_ref().unwrap();
            assert_eq!(status.id.as_deref(), Some("grp-1"), "{fate:?}");
        }
    }
}

#[test]
fn a_policy_in_an_unknown_word_is_left_alone() {
    for can in [&FIXED, &MUTABLE] {
        let mut w = strict(can);
        w.ready();
        let group = w.cloud.get_mut("grp-1").unwrap();
        (group.policy, group.raw_policy) = (None, "quantum".to_owned());
        w.edit(|s| s.placement.policy = PlacementPolicy::SoftAntiAffinity);
        run(&mut w, 120);
        assert_eq!(w.is(C::Stalled), "True/UnknownState");
        assert!(message(&w, C::Stalled).contains("quantum"));
        assert_eq!(w.calls, ["Create"]);
    }
}

#[test]
fn one_that_cannot_join_holds_nobody_up() {
    let mut w = strict(&MUTABLE);
    for name in ["a", "b", "c"] {
        w.member(name, "web");
    }
    w.unfit = vec!["srv-a".to_owned(), "srv-b".to_owned()];
    w.until(120, "the third has joined", |w| {
        w.cloud
            .get("grp-1")
            .is_some_and(|g| g.members.iter().any(|m| m.id == "srv-c"))
    });
    assert_eq!(w.is(C::Ready), "False/Recovering");
    let before = w.calls.len();
    run(&mut w, 600);
    assert!(w.calls.len() - before < 12, "{:?}", w.calls);
    w.unfit.clear();
    w.until(400, "all joined", |w| w.is(C::Ready) == "True/AsDeclared");
}

#[test]
fn what_was_put_in_by_hand_is_shown_whoever_it_belongs_to() {
    let mut w = strict(&MUTABLE);
    w.member("a", "web");
    w.ready();
    w.others.push(("srv-x".into(), "uid-of-another-object".into()));
    w.cloud.get_mut("grp-1").unwrap().members.push(GroupMember {
        id: "srv-x".into(),
        met: Some(true),
    });
    run(&mut w, 60);
    let status = w.group.status.as_ref().unwrap();
    assert_eq!((status.foreign, status.servers), (Some(1), Some(1)));
    assert_eq!(status.foreign_members, ["srv-x"]);
    assert_eq!(w.calls, ["Create", "Add"], "shown, and never removed");
}

#[test]
fn a_member_without_a_place_is_told_in_the_words_of_the_cloud() {
    let mut w = strict(&MUTABLE);
    w.member("a", "web");
    w.member("b", "web");
    w.ready();
    assert_eq!(w.is(C::PlacementSatisfied), "True/PlacementMet");
    let status = w.members[1].status.as_mut().unwrap();
    let group = w.cloud.get_mut("grp-1").unwrap();
    group.members.retain(|m| m.id != "srv-b");
    status.id = None;
    status.failure =
        serde_json::from_value(json!({"class": "Capacity", "message": "No valid host was found.",
        "firstAt": "2026-01-01T00:00:00Z"}))
        .unwrap();
    run(&mut w, 10);
    assert_eq!(w.is(C::PlacementSatisfied), "False/PlacementUnmet");
    let words = message(&w, C::PlacementSatisfied);
    assert!(words.contains("b: No valid host was found."), "{words}");
    // Another failure says nothing of places.
    let failure = w.members[1].status.as_mut().unwrap().failure.as_mut().unwrap();
    failure.class = "Quota".into();
    run(&mut w, 10);
    assert_eq!(w.is(C::PlacementSatisfied), "True/PlacementMet");
}

#[test]
fn an_account_that_needs_a_person_needs_one_for_its_groups() {
    let mut w = strict(&MUTABLE);
    w.ready();
    w.unusable = Some(Reason::CredentialsInvalid);
    run(&mut w, 400);
    assert_eq!(w.is(C::Ready), "Unknown/CredentialsInvalid");
    assert_eq!(w.is(C::Stalled), "True/CredentialsInvalid");
    assert_eq!(w.warned, ["CredentialsInvalid"], "told once");
    w.unusable = Some(Reason::Unreachable);
    run(&mut w, 400);
    assert_eq!(w.is(C::Stalled), "False/NotStalled");
    w.unusable = None;
    w.ready();
}

#[test]
fn a_blocked_deletion_is_told_once() {
    let mut w = strict(&MUTABLE);
    w.member("a", "web");
    w.ready();
    w.delete();
    run(&mut w, 200);
    assert_eq!(w.is(C::DeletionBlocked), "True/GroupHasMembers");
    assert_eq!(w.warned, ["GroupHasMembers"]);
    w.members.clear();
    w.until(60, "gone", |w| w.gone);
    assert!(w.cloud.is_empty());
}
