//! Groups after they were made: changed, joined, counted, and held where a person is needed.

use std::collections::BTreeMap;

use serde_json::json;

use super::group_world::{FIXED, Fate, MUTABLE, World};
use crate::api::server_group::{MEMBERS_SHOWN, MemberPlacement};
use crate::api::{ConditionType, Reason, conditions};
use crate::planner::model::{ErrorClass, GroupCapabilities, GroupMember};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    pairs.iter().map(pair).collect()
}

fn words(w: &World, kind: ConditionType) -> String {
    let all = &w.group.status.as_ref().unwrap().conditions;
    conditions::get(all, kind).map_or_else(String::new, |c| c.message.clone())
}

fn ticks(w: &mut World, n: usize) {
    for _ in 0..n {
        w.tick();
    }
}

#[test]
fn a_name_is_changed_where_it_can_be_and_else_said() {
    let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    w.ready();
    w.edit(|s| s.cloud_name = Some("new".into()));
    w.until(60, "renamed", |w| w.cloud["grp-1"].name == "new");
    w.ready();
    assert_eq!(w.calls, ["Create", "Modify"]);
    assert!(w.cloud["grp-1"].marks.is_some());

    let mut w = World::new(&FIXED, json!({"placement": {"policy": "AntiAffinity"}}));
    w.ready();
    w.edit(|s| s.cloud_name = Some("new".into()));
    w.until(20, "said", |w| w.is(ConditionType::Stalled) == "True/Immutable");
    let said = words(&w, ConditionType::Stalled);
    assert!(
        said.contains("\"new\"") && said.contains("cannot rename"),
        "{said}"
    );
    ticks(&mut w, 300);
    assert_eq!(w.calls, ["Create"]);
    w.edit(|s| s.cloud_name = None);
    w.ready();
}

#[test]
fn a_name_changed_while_the_answer_is_awaited_makes_no_second_group() {
    let mut w = World::new(&FIXED, json!({"placement": {"policy": "AntiAffinity"}}));
    w.fates.push(Fate::ApplyLate);
    w.until(20, "asked", |w| !w.calls.is_empty());
    w.edit(|s| s.cloud_name = Some("new".into()));
    w.until(400, "found under its first name", |w| {
        w.is(ConditionType::Stalled) == "True/Immutable"
    });
    assert_eq!((w.made, w.calls.len()), (1, 1));
}

#[test]
fn labels_taken_off_go_even_if_the_first_reply_is_lost() {
    for fate in [
        Fate::LoseReply,
        Fate::LoseRequest,
        Fate::Refuse(ErrorClass::Transient),
    ] {
        let mut w = World::new(&MUTABLE, json!({"labels": {"team": "a", "tier": "1"}}));
        w.ready();
        let group = w.cloud.get_mut("grp-1").unwrap();
        group.labels.insert("theirs".into(), "x".into());
        w.fates.push(fate);
        w.edit(|s| s.labels = Some(labels(&[("tier", "2")])));
        w.until(10, "asked", |w| w.calls.len() > 1);
        ticks(&mut w, 2);
        w.ready();
        w.until(120, "changed", |w| {
            w.cloud["grp-1"].labels == labels(&[("theirs", "x"), ("tier", "2")])
        });
        w.ready();
        assert_eq!(
            w.group.status.as_ref().unwrap().applied_labels,
            ["tier"],
            "{fate:?}"
        );
    }
}

#[test]
fn a_label_of_others_that_goes_is_not_put_back() {
    let mut w = World::new(&MUTABLE, json!({"labels": {"team": "a"}}));
    w.ready();
    let group = w.cloud.get_mut("grp-1").unwrap();
    group.labels.insert("theirs".into(), "x".into());
    ticks(&mut w, 5);
    w.cloud.get_mut("grp-1").unwrap().labels.remove("theirs");
    ticks(&mut w, 60);
    assert_eq!(w.calls, ["Create"]);
    // One of ours is.
    w.cloud.get_mut("grp-1").unwrap().labels.clear();
    w.until(60, "back", |w| {
        w.cloud["grp-1"].labels == labels(&[("team", "a")])
    });
}

#[test]
fn an_unknown_policy_is_shown_raw_and_nothing_is_sent() {
    let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    w.ready();
    let group = w.cloud.get_mut("grp-1").unwrap();
    (group.policy, group.raw_policy) = (None, "cuddle".into());
    w.until(20, "said", |w| {
        w.is(ConditionType::Stalled) == "True/UnknownState"
    });
    assert!(words(&w, ConditionType::Stalled).contains("\"cuddle\""));
    w.member("a", "web");
    w.edit(|s| s.cloud_name = Some("new".into()));
    ticks(&mut w, 300);
    assert_eq!(w.is(ConditionType::Stalled), "True/UnknownState");
    assert_eq!(w.calls, ["Create"]);
}

#[test]
fn a_refused_join_keeps_nobody_out_and_is_tried_ever_more_seldom() {
    let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    for name in ["a", "b", "c"] {
        w.member(name, "web");
    }
    w.refuses = vec!["srv-a".into()];
    w.until(300, "the others are in", |w| {
        w.cloud.get("grp-1").is_some_and(|g| g.members.len() == 2)
    });
    assert!(w.calls.len() < 10, "{:?}", w.calls);
    ticks(&mut w, 60);
    let before = w.calls.len();
    ticks(&mut w, 3600);
    let asked = w.calls.len() - before;
    assert!((1..40).contains(&asked), "asked {asked} times in an hour");
    assert!(words(&w, ConditionType::Ready).contains("no room for srv-a"));
    w.refuses.clear();
    w.until(1800, "it is in", |w| w.cloud["grp-1"].members.len() == 3);
    w.ready();
}

#[test]
fn who_was_put_in_by_hand_is_shown_and_never_removed() {
    let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    w.member("a", "web");
    w.ready();
    // A Server of ours that names no group: its mark is ours, and it is none of this group's.
    w.by_hand = vec!["srv-x".into()];
    let member = GroupMember {
        id: "srv-x".into(),
        met: Some(true),
    };
    w.cloud.get_mut("grp-1").unwrap().members.push(member);
    w.until(20, "shown", |w| {
        w.group.status.as_ref().unwrap().foreign == Some(1)
    });
    assert_eq!(w.group.status.as_ref().unwrap().foreign_members, ["srv-x"]);
    ticks(&mut w, 300);
    w.members.clear();
    w.delete();
    w.until(60, "blocked", |w| {
        w.is(ConditionType::DeletionBlocked) == "True/GroupHasMembers"
    });
    ticks(&mut w, 300);
    assert!(words(&w, ConditionType::DeletionBlocked).contains("srv-x"));
    assert!(
        !w.calls.iter().any(|c| c == "Remove" || c == "Delete"),
        "{:?}",
        w.calls
    );
    w.cloud.get_mut("grp-1").unwrap().members.clear();
    w.until(120, "gone", |w| w.gone);
}

#[test]
fn more_members_than_are_shown_are_counted_and_judged() {
    let mut w = World::new(&FIXED, json!({"placement": {"policy": "AntiAffinity"}}));
    w.ready();
    for n in 0..300 {
        let name = format!("m{n:03}");
        w.member(&name, "web");
        let id = format!("srv-{name}");
        w.cloud
            .get_mut("grp-1")
            .unwrap()
            .members
            .push(GroupMember { id, met: Some(true) });
    }
    // The very last one, which no status shows.
    w.cloud.get_mut("grp-1").unwrap().members[299].met = Some(false);
    ticks(&mut w, 2);
    let status = w.group.status.clone().unwrap();
    assert_eq!(
        (status.servers, status.running, status.foreign),
        (Some(300), Some(300), Some(0))
    );
    assert_eq!(status.members.len(), MEMBERS_SHOWN);
    assert!(
        status
            .members
            .iter()
            .all(|m| m.placement == Some(MemberPlacement::Met))
    );
    assert_eq!(w.is(ConditionType::PlacementSatisfied), "False/PlacementUnmet");
    assert!(words(&w, ConditionType::PlacementSatisfied).contains("m299"));
}

#[test]
fn an_account_that_needs_a_person_is_stalled() {
    for (reason, stalled) in [
        (Reason::CredentialsInvalid, true),
        (Reason::CredentialsMissing, true),
        (Reason::EndpointRefused, true),
        (Reason::ProviderConfigNotFound, true),
        (Reason::Unreachable, false),
    ] {
        for born in [false, true] {
            let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
            if born {
                w.ready();
            }
            w.unusable = Some((reason, w.now));
            ticks(&mut w, 900);
            let said = w.is(ConditionType::Stalled);
            let wanted = if stalled {
                format!("True/{}", reason.as_str())
            } else {
                "False/NotStalled".into()
            };
            assert_eq!(said, wanted, "{reason:?}, born {born}");
            assert_eq!(w.calls.len(), usize::from(born));
            w.unusable = None;
            w.ready();
        }
    }
}

#[test]
fn a_member_without_a_place_is_not_satisfied_in_the_words_of_the_cloud() {
    let mut w = World::new(&FIXED, json!({"placement": {"policy": "AntiAffinity"}}));
    w.ready();
    assert_eq!(w.is(ConditionType::PlacementSatisfied), "True/PlacementMet");
    w.member("a", "web");
    w.members[0].status.as_mut().unwrap().id = None;
    ticks(&mut w, 2);
    assert_eq!(
        w.is(ConditionType::PlacementSatisfied),
        "Unknown/PlacementUnknown"
    );
    let failure = json!({"class": "Capacity", "message": "No valid host was found.", "firstAt": "2026-01-01T00:00:00Z"});
    w.members[0].status.as_mut().unwrap().failure = serde_json::from_value(failure).unwrap();
    ticks(&mut w, 2);
    assert_eq!(w.is(ConditionType::PlacementSatisfied), "False/PlacementUnmet");
    let said = words(&w, ConditionType::PlacementSatisfied);
    assert!(
        said.contains("a has no place: No valid host was found."),
        "{said}"
    );
}

#[test]
fn who_blocks_a_deletion_is_told_once() {
    let mut w = World::new(&MUTABLE, json!({"placement": {"policy": "AntiAffinity"}}));
    for name in ["a", "b"] {
        w.member(name, "web");
    }
    w.ready();
    w.delete();
    ticks(&mut w, 300);
    w.members.pop();
    ticks(&mut w, 300);
    let told = w.told.iter().filter(|r| **r == Reason::GroupHasMembers).count();
    assert_eq!(told, 1);
}

static SMALL: GroupCapabilities = GroupCapabilities {
    members_max: Some(2),
    ..MUTABLE
};

#[test]
fn more_members_than_the_cloud_takes_are_refused_here() {
    let mut w = World::new(&SMALL, json!({"placement": {"policy": "AntiAffinity"}}));
    for name in ["a", "b"] {
        w.member(name, "web");
    }
    w.until(60, "both in", |w| {
        w.cloud.get("grp-1").is_some_and(|g| g.members.len() == 2)
    });
    w.ready();
    let calls = w.calls.len();
    w.member("c", "web");
    w.until(20, "said", |w| w.is(ConditionType::Stalled) == "True/InvalidSpec");
    let said = words(&w, ConditionType::Stalled);
    assert!(
        said.contains("3 Servers name the group, and this cloud takes 2"),
        "{said}"
    );
    ticks(&mut w, 300);
    assert_eq!(w.calls.len(), calls);
}

#[test]
fn the_members_are_found_by_a_field_selector() {
    let mut w = World::new(&FIXED, json!({}));
    w.ready();
    assert_eq!(
        w.group.status.unwrap().selector.as_deref(),
        Some("spec.groupRef.name=web")
    );
}
