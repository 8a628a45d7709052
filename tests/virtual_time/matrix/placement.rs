//! Scenarios of groups: how their members are placed, and what of that can be changed.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::api::server_group::PlacementPolicy;
use evenkeel::api::{ConditionType, ServerGroup};
use serde_json::json;
use tokio::time::sleep;

use super::clouds::Cloud;
use super::field::Field;
use super::grouped::{edit, group, member, only, wait};
use super::special::changes;
use crate::scenarios::cluster::condition;
use crate::scenarios::groups::{make, of, ready as group_ready, reason, says};

/// A policy that the cloud does not have.
pub fn lacking(cloud: &dyn Cloud) -> Option<PlacementPolicy> {
    let has = |p: &PlacementPolicy| {
        cloud
            .capabilities()
            .groups
            .is_some_and(|can| can.policies.contains(p))
    };
    let mut all = PlacementPolicy::ALL.iter().copied();
    all.find(|p| *p != PlacementPolicy::None && !has(p))
}

pub async fn a_strict_group_without_room_is_cured_by_a_host(f: &mut Field) {
    f.cloud.hosts(1);
    group(f, "AntiAffinity", &["a"]).await;
    member(f, "b", json!({})).await;
    let said = f.reason("b", ConditionType::Ready, "False", "NoCapacity").await;
    let words = f.cloud.no_place();
    let told = &condition(&said, ConditionType::Ready).unwrap().message;
    assert!(told.contains(words), "{told}");
    let kind = ConditionType::PlacementSatisfied;
    let unmet = reason(f, "g", kind, "False", "PlacementUnmet").await;
    let told = &of(&unmet, kind).unwrap().message;
    assert!(told.contains(&format!("b: {words}")), "{told}");
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
    // None is possible everywhere.
    edit(f, json!({"placement": {"policy": "None"}})).await;
    f.ready_in("a", "Running").await;
}

pub async fn a_group_is_changed_where_it_can_be(f: &mut Field) {
    let can = f.cloud.capabilities().groups.unwrap();
    group(f, "SoftAntiAffinity", &["a"]).await;
    let before = only(f);
    let object = f.api::<ServerGroup>().get("g").await.unwrap();
    let uid = can.marks.then(|| object.metadata.uid.unwrap());
    assert_eq!(before.uid, uid);
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
        edit(f, json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
        group_ready(f, "g").await;
    }
    edit(f, json!({"cloudName": "renamed"})).await;
    if can.labels_mutable {
        group_ready(f, "g").await;
        edit(f, json!({"labels": {"team": "a", "tier": "1"}})).await;
        group_ready(f, "g").await;
        edit(f, json!({"labels": {"team": "b", "tier": null}})).await;
        group_ready(f, "g").await;
        let after = only(f);
        let labels = BTreeMap::from([("team".to_owned(), "b".to_owned())]);
        assert_eq!((after.name.as_str(), &after.labels), ("renamed", &labels));
    } else {
        reason(f, "g", ConditionType::Stalled, "True", "Immutable").await;
        edit(f, json!({"cloudName": null})).await;
        group_ready(f, "g").await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!(
            (only(f), changes(f)),
            (before.clone(), vec![]),
            "nothing was sent"
        );
    }
    let after = only(f);
    assert_eq!(
        (after.id, after.members, after.uid),
        (before.id, before.members, uid),
        "it is the same group, and ours"
    );
}
