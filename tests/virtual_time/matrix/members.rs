//! Scenarios of servers that join and leave a group.

use std::time::Duration;

use evenkeel::api::ConditionType;
use serde_json::json;
use tokio::time::sleep;

use super::field::Field;
use super::grouped::{group, only, wait};
use crate::scenarios::cluster::id_of;
use crate::scenarios::groups::{counts, delete, gone, make, ready as group_ready, says};

pub async fn a_member_joins_and_leaves_where_it_can(f: &mut Field) {
    let can = f.cloud.capabilities().groups.unwrap();
    group(f, "SoftAntiAffinity", &["a"]).await;
    f.create("b", json!({})).await;
    f.ready_in("b", "Running").await;
    f.edit("b", json!({"groupRef": {"name": "g"}})).await;
    if can.members_mutable {
        wait(f, "both are members", |g| {
            counts(g)[0] == 2 && says(g, ConditionType::Ready, "True", "AsDeclared")
        })
        .await;
        f.ready_in("b", "Running").await;
        assert_eq!(only(f).members.len(), 2);
        f.edit("b", json!({"groupRef": null})).await;
        wait(f, "one is left", |g| {
            counts(g)[0] == 1 && says(g, ConditionType::Ready, "True", "AsDeclared")
        })
        .await;
        f.ready_in("b", "Running").await;
    } else {
        f.reason("b", ConditionType::Stalled, "True", "Immutable").await;
        f.edit("b", json!({"groupRef": null})).await;
        f.ready_in("b", "Running").await;
        f.edit("a", json!({"groupRef": null})).await;
        f.reason("a", ConditionType::Stalled, "True", "Immutable").await;
        f.edit("a", json!({"groupRef": {"name": "g"}})).await;
        f.ready_in("a", "Running").await;
    }
    let a = id_of(&f.get("a").await).to_owned();
    assert_eq!(only(f).members, [a]);
}

pub async fn a_server_goes_from_group_to_group(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a"]).await;
    make(f, "h", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    group_ready(f, "h").await;
    let a = id_of(&f.get("a").await).to_owned();
    f.edit("a", json!({"groupRef": {"name": "h"}})).await;
    f.ready_in("a", "Running").await;
    let members = |name: &str| {
        let all = f.cloud.groups();
        all.into_iter().find(|g| g.name == name).unwrap().members
    };
    assert_eq!((members("g"), members("h")), (vec![], vec![a]));
    f.remove("a").await;
    for name in ["g", "h"] {
        delete(f, name).await;
        gone(f, name).await;
    }
}

pub async fn a_foreign_member_is_shown_and_left(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a"]).await;
    let theirs = f.cloud.by_hand("legacy");
    f.until("it runs", |all| {
        all.iter().any(|s| s.id == theirs && s.power == "Running")
    })
    .await;
    f.cloud.join(&theirs, &only(f).id);
    let shown = wait(f, "it is counted", |g| counts(g)[5] == 1).await;
    assert_eq!(shown.status.unwrap().foreign_members, [theirs.as_str()]);
    sleep(Duration::from_secs(3600)).await;
    assert!(only(f).members.contains(&theirs));
    f.remove("a").await;
    assert_eq!(only(f).members, [theirs.as_str()]);
    assert!(f.seen(&theirs).is_some());
}
