//! Scenarios of groups.

use std::cell::Cell;
use std::time::Duration;

use evenkeel::api::{ConditionType, Server, ServerGroup};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::clouds::{Mishap, SeenGroup};
use super::field::Field;
use crate::scenarios::cluster::{id_of, ready};
use crate::scenarios::groups::{counts, delete, gone, make, of, ready as group_ready, reason, says};

pub async fn member(f: &Field, name: &str, more: Value) {
    let mut spec = json!({"groupRef": {"name": "g"}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    f.create(name, spec).await;
}

/// A group of this policy with members that run.
pub async fn group(f: &Field, policy: &str, members: &[&str]) {
    make(f, "g", json!({"placement": {"policy": policy}})).await;
    for name in members {
        member(f, name, json!({})).await;
    }
    for name in members {
        f.ready_in(name, "Running").await;
    }
    group_ready(f, "g").await;
}

/// The one group of the cloud.
pub fn only(f: &Field) -> SeenGroup {
    let mut all = f.cloud.groups();
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

pub async fn edit(f: &Field, spec: Value) {
    f.patch::<ServerGroup>("g", json!({ "spec": spec })).await;
}

pub async fn wait(f: &Field, what: &str, wanted: impl Fn(&ServerGroup) -> bool) -> ServerGroup {
    f.wait_for::<ServerGroup>("g", what, wanted).await
}

/// Members and group go, in the wrong order.
async fn all_gone(f: &Field, members: &[&str]) {
    delete(f, "g").await;
    for name in members {
        f.delete(name).await;
    }
    for name in members {
        f.gone(name).await;
    }
    gone(f, "g").await;
    assert_eq!(f.cloud.groups(), []);
    assert!(f.cloud.servers().is_empty(), "{:#?}", f.cloud.servers());
}

pub async fn a_group_outlives_its_members(f: &mut Field) {
    // The members are there first, and wait.
    for name in ["a", "b"] {
        member(f, name, json!({})).await;
    }
    f.reason("a", ConditionType::Ready, "False", "WaitingForGroup")
        .await;
    assert!(f.cloud.servers().is_empty());
    make(f, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    for name in ["a", "b"] {
        f.ready_in(name, "Running").await;
    }
    wait(f, "both counted", |g| counts(g)[..4] == [2, 2, 0, 2]).await;
    assert_eq!(only(f).members.len(), 2);
    delete(f, "g").await;
    let blocked = reason(f, "g", ConditionType::DeletionBlocked, "True", "GroupHasMembers").await;
    let words = &of(&blocked, ConditionType::DeletionBlocked).unwrap().message;
    assert!(words.contains("a, b"), "{words}");
    f.remove("a").await;
    wait(f, "the other one blocks", |g| {
        let blocked = of(g, ConditionType::DeletionBlocked);
        blocked.is_some_and(|c| c.message.contains("b") && !c.message.contains("a, b"))
    })
    .await;
    assert_eq!(f.cloud.groups().len(), 1);
    f.remove("b").await;
    gone(f, "g").await;
    assert_eq!(f.cloud.groups(), []);
}

pub async fn counts_of_a_group_are_right_within_one_observation(f: &mut Field) {
    make(f, "g", json!({})).await;
    for (name, power) in [("a", "Running"), ("b", "Running"), ("c", "Stopped")] {
        member(f, name, json!({"powerState": power, "driftPolicy": "Observe"})).await;
    }
    wait(f, "all there", |g| counts(g) == [3, 2, 1, 3, 0, 0]).await;
    let a = id_of(&f.get("a").await).to_owned();
    f.cloud.stop(&a);
    f.until("it is stopped", |all| {
        all.iter().any(|s| s.id == a && s.power == "Stopped")
    })
    .await;
    let began = Instant::now();
    wait(f, "one less", |g| counts(g)[1..3] == [1, 2]).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    f.remove("c").await;
    wait(f, "two left", |g| counts(g)[0] == 2).await;
}

pub async fn one_power_wish_for_all_members(f: &mut Field) {
    make(f, "g", json!({})).await;
    for (name, more) in [
        ("plain", json!({})),
        ("down", json!({"powerState": "Stopped"})),
        ("free", json!({"powerState": "Unmanaged"})),
    ] {
        member(f, name, more).await;
    }
    let wish = |server: Server| {
        let power = server.status.unwrap().power.unwrap();
        (power.desired.unwrap(), power.desired_from.unwrap())
    };
    let is = |desired: &str, from: &str| (desired.to_owned(), from.to_owned());
    f.ready_in("down", "Stopped").await;
    for name in ["plain", "free"] {
        f.ready_in(name, "Running").await;
    }
    edit(f, json!({"powerState": "Stopped"})).await;
    assert_eq!(wish(f.ready_in("plain", "Stopped").await), is("Stopped", "Group"));
    edit(f, json!({"powerState": "Running"})).await;
    f.ready_in("plain", "Running").await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(wish(f.ready_in("down", "Stopped").await), is("Stopped", "Spec"));
    assert_eq!(wish(f.ready_in("free", "Running").await), is("Unmanaged", "Spec"));
}

pub async fn one_member_is_restarted_at_a_time(f: &mut Field) {
    make(f, "g", json!({"disruption": {"maxUnavailable": 1}})).await;
    let names = ["a", "b", "c"];
    for name in names {
        member(f, name, json!({})).await;
    }
    for name in names {
        f.ready_in(name, "Running").await;
    }
    for name in names {
        f.edit(name, json!({"restart": {"token": "now"}})).await;
    }
    let restarting = |s: &Server| {
        let restart = s.status.as_ref().and_then(|s| s.restart.as_ref());
        restart.is_some_and(|r| r.token == "now" && r.outcome == "Restarting")
    };
    // Never more than one by what is said, nor by what the cloud does.
    let most = Cell::new(0);
    let watch = async {
        loop {
            let mut under_way = 0;
            for name in names {
                under_way += usize::from(restarting(&f.get(name).await));
            }
            let down = f.cloud.servers().iter().filter(|s| s.power != "Running").count();
            most.set(most.get().max(down));
            assert!(
                under_way <= 1 && down <= 1,
                "{under_way} are restarted at once, {down} are down"
            );
            sleep(Duration::from_millis(200)).await;
        }
    };
    let done = async {
        for name in names {
            f.wait(name, "restarted", |s| {
                let restart = s.status.as_ref().and_then(|s| s.restart.as_ref());
                ready(s) && restart.is_some_and(|r| r.token == "now" && r.outcome == "Done")
            })
            .await;
        }
    };
    tokio::select! { () = watch => {}, () = done => {} }
    assert_eq!(most.get(), 1, "they were restarted indeed");
}

pub async fn a_lost_reply_makes_no_second_group(f: &mut Field) {
    for mishap in [Mishap::LostReply, Mishap::LateApply, Mishap::Unavailable] {
        f.cloud.next_group(mishap);
        group(f, "SoftAntiAffinity", &["a", "b"]).await;
        // What comes late is there by now.
        sleep(Duration::from_secs(600)).await;
        let mut ids = Vec::new();
        for name in ["a", "b"] {
            ids.push(id_of(&f.get(name).await).to_owned());
        }
        let mut members = only(f).members;
        members.sort();
        ids.sort();
        assert_eq!(members, ids, "{mishap:?}");
        all_gone(f, &["a", "b"]).await;
    }
}

pub async fn a_group_is_left_and_taken_over(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a"]).await;
    edit(f, json!({"deletionPolicy": "Orphan"})).await;
    let left = only(f);
    delete(f, "g").await;
    gone(f, "g").await;
    assert_eq!(only(f).members, left.members, "the group and its member stay");
    assert_eq!(only(f).uid, None, "without our mark");
    let import = json!({"import": {"id": left.id}, "deletionPolicy": "Delete", "placement": {"policy": "SoftAntiAffinity"}});
    make(f, "g", import).await;
    let taken = group_ready(f, "g").await;
    assert_eq!(taken.status.unwrap().id.as_deref(), Some(left.id.as_str()));
    wait(f, "its member", |g| counts(g)[0] == 1).await;
    assert_eq!(only(f).members, left.members);
    let none = json!({"import": {"id": "00000000-0000-4000-8000-000000004711"}, "deletionPolicy": "Delete"});
    make(f, "none", none).await;
    reason(f, "none", ConditionType::Stalled, "True", "NotFound").await;
    delete(f, "none").await;
    gone(f, "none").await;
    f.ready_in("a", "Running").await;
    all_gone(f, &["a"]).await;
}

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

pub async fn a_member_goes_from_group_to_group(f: &mut Field) {
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

pub async fn killed_while_a_group_is_made_and_deleted(f: &mut Field) {
    for seconds in [0, 1, 3, 10] {
        make(f, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
        member(f, "a", json!({})).await;
        sleep(Duration::from_secs(seconds)).await;
        f.kill().await;
        sleep(Duration::from_secs(2)).await;
        f.run();
        f.ready_in("a", "Running").await;
        group_ready(f, "g").await;
        assert_eq!(only(f).members.len(), 1);
        delete(f, "g").await;
        f.delete("a").await;
        sleep(Duration::from_secs(seconds)).await;
        f.kill().await;
        sleep(Duration::from_secs(2)).await;
        f.run();
        f.gone("a").await;
        gone(f, "g").await;
        assert_eq!(f.cloud.groups(), [], "killed after {seconds} s");
    }
}

pub async fn the_cloud_away_while_a_group_is_made_and_deleted(f: &mut Field) {
    make(f, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    member(f, "a", json!({})).await;
    f.cloud.outage(true);
    sleep(Duration::from_secs(60)).await;
    f.cloud.outage(false);
    f.ready_in("a", "Running").await;
    group_ready(f, "g").await;
    assert_eq!(only(f).members.len(), 1);
    delete(f, "g").await;
    f.delete("a").await;
    f.cloud.outage(true);
    sleep(Duration::from_secs(60)).await;
    f.cloud.outage(false);
    f.gone("a").await;
    gone(f, "g").await;
    assert_eq!(f.cloud.groups(), []);
}
