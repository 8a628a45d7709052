//! Scenarios of where the members of a group are placed, and of groups that are changed.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::api::ConditionType;
use evenkeel::api::server_group::PlacementPolicy;
use serde_json::json;
use tokio::time::sleep;

use super::field::Field;
use super::grouped::{edit, group, lacking, member, only, wait};
use super::special::changes;
use crate::scenarios::cluster::condition;
use crate::scenarios::groups::{make, of, ready as group_ready, reason, says};

pub async fn a_strict_group_without_room_is_cured_by_a_host(f: &mut Field) {
    f.cloud.hosts(1);
    group(f, "AntiAffinity", &["a"]).await;
    member(f, "b", json!({})).await;
    let said = f.reason("b", ConditionType::Ready, "False", "NoCapacity").await;
    let told = f.cloud.crowded();
    let words = &condition(&said, ConditionType::Ready).unwrap().message;
    assert!(words.contains(told), "{words}");
    let group = reason(
        f,
        "g",
        ConditionType::PlacementSatisfied,
        "False",
        "PlacementUnmet",
    )
    .await;
    let words = &of(&group, ConditionType::PlacementSatisfied).unwrap().message;
    assert!(
        words.contains("b has no place") && words.contains(told),
        "{words}"
    );
    f.cloud.hosts(2);
    f.ready_in("b", "Running").await;
    reason(f, "g", ConditionType::PlacementSatisfied, "True", "PlacementMet").await;
    assert_eq!(only(f).members.len(), 2);
}

pub async fn a_wish_for_placement_that_is_not_met_is_shown(f: &mut Field) {
    f.cloud.hosts(1);
    group(f, "SoftAntiAffinity", &["a"]).await;
    reason(f, "g", ConditionType::PlacementSatisfied, "True", "PlacementMet").await;
    member(f, "b", json!({})).await;
    f.ready_in("b", "Running").await;
    let shown = reason(
        f,
        "g",
        ConditionType::PlacementSatisfied,
        "False",
        "PlacementUnmet",
    )
    .await;
    let members = shown.status.unwrap().members;
    let placements: BTreeMap<String, String> = members
        .into_iter()
        .map(|m| (m.name, m.placement.unwrap().to_string()))
        .collect();
    let unmet = |name: &str| (name.to_owned(), "Unmet".to_owned());
    assert_eq!(placements, BTreeMap::from([unmet("a"), unmet("b")]));
    f.remove("b").await;
    reason(f, "g", ConditionType::PlacementSatisfied, "True", "PlacementMet").await;
}

pub async fn a_policy_that_the_cloud_lacks_is_unsupported(f: &mut Field) {
    let policy = lacking(&*f.cloud).unwrap();
    f.cloud.reset_requests();
    make(f, "g", json!({"placement": {"policy": policy}})).await;
    member(f, "a", json!({})).await;
    let said = reason(f, "g", ConditionType::Stalled, "True", "Unsupported").await;
    let words = &of(&said, ConditionType::Stalled).unwrap().message;
    assert!(
        words.contains(policy.as_str()) || words.contains("no groups"),
        "{words}"
    );
    f.reason("a", ConditionType::Ready, "False", "WaitingForGroup")
        .await;
    sleep(Duration::from_secs(600)).await;
    assert!(f.cloud.groups().is_empty() && f.cloud.servers().is_empty());
    assert!(changes(f).is_empty(), "{:?}", changes(f));
    // None is possible everywhere.
    edit(f, json!({"placement": {"policy": "None"}})).await;
    f.ready_in("a", "Running").await;
}

pub async fn a_group_is_changed_where_it_can_be(f: &mut Field) {
    let can = f.cloud.capabilities().groups.unwrap();
    group(f, "SoftAntiAffinity", &["a"]).await;
    let before = only(f);
    assert_eq!(before.uid.is_some(), can.marks);
    f.cloud.reset_requests();
    edit(f, json!({"placement": {"policy": "AntiAffinity"}})).await;
    if can.policy_mutable {
        wait(f, "changed", |g| {
            let policy = g
                .status
                .as_ref()
                .and_then(|s| s.placement.as_ref())
                .and_then(|p| p.policy);
            says(g, ConditionType::Ready, "True", "AsDeclared")
                && policy == Some(PlacementPolicy::AntiAffinity)
        })
        .await;
        assert_ne!(only(f).policy, before.policy);
    } else {
        reason(f, "g", ConditionType::Stalled, "True", "Immutable").await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!((only(f), changes(f)), (before.clone(), vec![]));
        edit(f, json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
        group_ready(f, "g").await;
    }
    if can.labels_mutable {
        edit(
            f,
            json!({"cloudName": "renamed", "labels": {"team": "a", "tier": "1"}}),
        )
        .await;
        group_ready(f, "g").await;
        edit(f, json!({"labels": {"team": "b", "tier": null}})).await;
        group_ready(f, "g").await;
        let after = only(f);
        assert_eq!(after.name, "renamed");
        assert_eq!(after.labels, [("team".to_owned(), "b".to_owned())].into());
    } else {
        f.cloud.reset_requests();
        edit(f, json!({"cloudName": "renamed"})).await;
        reason(f, "g", ConditionType::Stalled, "True", "Immutable").await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!((only(f), changes(f)), (before.clone(), vec![]));
        edit(f, json!({"cloudName": null})).await;
        group_ready(f, "g").await;
    }
    let after = only(f);
    assert_eq!(
        (after.id, after.members, after.uid),
        (before.id, before.members, before.uid),
        "it is the same group, and still ours"
    );
}
