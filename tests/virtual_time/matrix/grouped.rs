//! Scenarios of groups.

use std::time::Duration;

use evenkeel::api::server_group::PlacementPolicy;
use evenkeel::api::{ConditionType, Server, ServerGroup};
use evenkeel::sim::openstack::RequestRecord;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::clouds::{Cloud, Mishap, SeenGroup};
use super::field::Field;
use crate::scenarios::cluster::id_of;
use crate::scenarios::groups::{counts, delete, gone, make, of, ready as group_ready, reason};

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

pub(super) async fn member(f: &Field, name: &str, more: Value) {
    let mut spec = json!({"groupRef": {"name": "g"}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    f.create(name, spec).await;
}

/// A group of this policy with members that run.
pub(super) async fn group(f: &Field, policy: &str, members: &[&str]) {
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
pub(super) fn only(f: &Field) -> SeenGroup {
    let mut all = f.cloud.groups();
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

pub(super) async fn edit(f: &Field, spec: Value) {
    f.patch::<ServerGroup>("g", json!({ "spec": spec })).await;
}

pub(super) async fn wait(f: &Field, what: &str, wanted: impl Fn(&ServerGroup) -> bool) -> ServerGroup {
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

pub async fn a_group_is_left_and_taken_over(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a"]).await;
    edit(f, json!({"deletionPolicy": "Orphan"})).await;
    let left = only(f);
    delete(f, "g").await;
    gone(f, "g").await;
    assert_eq!(only(f).members, left.members, "the group and its member stay");
    assert_eq!(only(f).uid, None, "our mark is off");
    let import = json!({"import": {"id": left.id}, "deletionPolicy": "Delete", "placement": {"policy": "SoftAntiAffinity"}});
    make(f, "g", import).await;
    let taken = group_ready(f, "g").await;
    assert_eq!(taken.status.unwrap().id.as_deref(), Some(left.id.as_str()));
    wait(f, "its member", |g| counts(g)[0] == 1).await;
    assert_eq!(
        only(f).uid.is_some(),
        f.cloud.capabilities().groups.unwrap().marks
    );
    assert_eq!(only(f).members, left.members);
    let none = json!({"import": {"id": "00000000-0000-4000-8000-000000004711"}, "deletionPolicy": "Delete"});
    make(f, "none", none).await;
    reason(f, "none", ConditionType::Stalled, "True", "NotFound").await;
    delete(f, "none").await;
    gone(f, "none").await;
    f.ready_in("a", "Running").await;
    all_gone(f, &["a"]).await;
}

/// How many groups the cloud made since the requests were forgotten.
fn made(f: &Field) -> usize {
    let creates = |r: &&RequestRecord| {
        r.applied && r.method == "POST" && matches!(r.route.as_str(), "/server-group" | "/os-server-groups")
    };
    f.cloud.requests().iter().filter(creates).count()
}

/// The ids of the servers of these objects, sorted.
pub(super) async fn ids(f: &Field, names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        all.push(id_of(&f.get(name).await).to_owned());
    }
    all.sort();
    all
}

/// Exactly one group was ever made, all of these are in it, and every server of the cloud is one of them.
async fn one_group_of_all(f: &Field, names: &[&str], when: &str) {
    let all = ids(f, names).await;
    let mut members = only(f).members;
    members.sort();
    assert_eq!(members, all, "{when}");
    assert_eq!(f.cloud.servers().len(), names.len(), "{when}");
    assert_eq!(made(f), 1, "{when}: groups that were ever made");
}

const THREE: [&str; 3] = ["a", "b", "c"];

pub async fn a_lost_reply_makes_no_second_group(f: &mut Field) {
    for mishap in [Mishap::LostReply, Mishap::LateApply, Mishap::Unavailable] {
        f.cloud.reset_requests();
        f.cloud.next_group(mishap);
        group(f, "SoftAntiAffinity", &THREE).await;
        // What comes late is there by now.
        sleep(Duration::from_secs(600)).await;
        one_group_of_all(f, &THREE, &format!("{mishap:?}")).await;
        all_gone(f, &THREE).await;
    }
}

pub async fn killed_while_a_group_is_made_and_deleted(f: &mut Field) {
    for millis in [0, 300, 1000, 3000, 10000] {
        let when = format!("killed after {millis} ms");
        f.cloud.reset_requests();
        make(f, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
        for name in THREE {
            member(f, name, json!({})).await;
        }
        sleep(Duration::from_millis(millis)).await;
        f.kill().await;
        sleep(Duration::from_secs(2)).await;
        f.run();
        for name in THREE {
            f.ready_in(name, "Running").await;
        }
        group_ready(f, "g").await;
        one_group_of_all(f, &THREE, &when).await;
        delete(f, "g").await;
        for name in THREE {
            f.delete(name).await;
        }
        sleep(Duration::from_millis(millis)).await;
        f.kill().await;
        sleep(Duration::from_secs(2)).await;
        f.run();
        for name in THREE {
            f.gone(name).await;
        }
        gone(f, "g").await;
        assert_eq!((f.cloud.groups(), made(f)), (vec![], 1), "{when}");
    }
}

pub async fn the_cloud_away_while_a_group_is_made_and_deleted(f: &mut Field) {
    f.cloud.reset_requests();
    make(f, "g", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    for name in THREE {
        member(f, name, json!({})).await;
    }
    f.cloud.outage(true);
    sleep(Duration::from_secs(60)).await;
    f.cloud.outage(false);
    for name in THREE {
        f.ready_in(name, "Running").await;
    }
    group_ready(f, "g").await;
    one_group_of_all(f, &THREE, "after the outage").await;
    delete(f, "g").await;
    for name in THREE {
        f.delete(name).await;
    }
    f.cloud.outage(true);
    sleep(Duration::from_secs(60)).await;
    f.cloud.outage(false);
    for name in THREE {
        f.gone(name).await;
    }
    gone(f, "g").await;
    assert_eq!((f.cloud.groups(), made(f)), (vec![], 1));
}

pub async fn groups_at_rest_cost_one_list_per_interval(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a", "b"]).await;
    sleep(Duration::from_secs(120)).await;
    f.cloud.reset_requests();
    sleep(Duration::from_secs(600)).await;
    let asked = f.cloud.counts();
    let lists = |route: &str| asked.get(route).copied().unwrap_or_default();
    // A list of servers each 15 seconds, and one of groups beside it; where a list has pages, its last one is empty.
    let (servers, groups) = match f.cloud.name() {
        "openstack" => (lists("GET /servers/detail"), lists("GET /os-server-groups") / 2),
        _ => (lists("GET /server"), lists("GET /server-group")),
    };
    assert_eq!(servers, groups, "{asked:?}");
    // No interval is as long as the last one: ten minutes have one more or less.
    assert!((39..=41).contains(&servers), "{asked:?}");
}

pub async fn a_deletion_that_is_blocked_is_told_once_and_survives_a_kill(f: &mut Field) {
    group(f, "SoftAntiAffinity", &["a", "b"]).await;
    delete(f, "g").await;
    reason(f, "g", ConditionType::DeletionBlocked, "True", "GroupHasMembers").await;
    sleep(Duration::from_secs(300)).await;
    f.kill().await;
    f.run();
    f.remove("a").await;
    sleep(Duration::from_secs(300)).await;
    let events = f.api.list("events");
    let told = events.iter().filter(|e| e["reason"] == "GroupHasMembers").count();
    assert_eq!(told, 1, "{events:#?}");
    assert_eq!(f.cloud.groups().len(), 1);
    f.remove("b").await;
    gone(f, "g").await;
    assert_eq!(f.cloud.groups(), []);
}
