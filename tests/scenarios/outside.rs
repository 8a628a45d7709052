//! Scenarios about what happens past the controller: in the cloud, and to objects.

use std::time::Duration;

use evenkeel::api::{ConditionType, Server};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use serde_json::json;
use tokio::time::sleep;

use super::nova::essence;
use super::stage::{Stage, condition, id_of, power_of, ready, words};

/// Policy, declared power, what somebody does, the state it leads to, and whether it is put back.
pub type Row = (&'static str, &'static str, &'static str, &'static str, bool);

/// What somebody does to the power of a server, under every drift policy.
pub const ROWS: &[Row] = &[
    ("Enforce", "Running", "os-stop", "Stopped", true),
    ("Enforce", "Stopped", "os-start", "Running", true),
    ("Enforce", "Running", "pause", "Paused", false),
    ("EnforceAll", "Running", "os-stop", "Stopped", true),
    ("EnforceAll", "Stopped", "os-start", "Running", true),
    ("EnforceAll", "Running", "pause", "Paused", true),
    ("RespectStop", "Running", "os-stop", "Stopped", false),
    ("RespectStop", "Stopped", "os-start", "Running", true),
    ("RespectStop", "Running", "pause", "Paused", false),
    ("Observe", "Running", "os-stop", "Stopped", false),
    ("Observe", "Stopped", "os-start", "Running", false),
    ("Observe", "Running", "pause", "Paused", false),
];

/// So many rows are played at once.
const AT_ONCE: usize = 4;
/// Longer than the interval between two lists.
const A_LIST: Duration = Duration::from_secs(20);

/// Makes a server, does the deed, and waits until it was put back, or shown as drift that is held.
pub async fn provoke(s: &Stage, name: &str, row: &Row) {
    let (policy, wish, deed, leads_to, put_back) = *row;
    s.create(name, json!({"driftPolicy": policy, "powerState": wish}))
        .await;
    let server = s.ready_in(name, wish).await;
    let what = format!("{row:?} is seen");
    let seen = s.wait(name, &what, |x| power_of(x) == leads_to);
    tokio::join!(seen, s.nova.plain(id_of(&server), deed));
    if put_back {
        s.ready_in(name, wish).await;
        let drift = s.get(name).await;
        let drift = condition(&drift, ConditionType::DriftDetected);
        assert!(drift.is_none_or(|c| c.status == "False"), "{row:?}: {drift:?}");
        return;
    }
    let held = s
        .wait(name, &format!("{row:?} is shown as drift"), |x| {
            condition(x, ConditionType::DriftDetected).is_some_and(|c| c.status == "True")
        })
        .await;
    assert!(
        ready(&held),
        "what policy forbids to change does not make it unready: {row:?}"
    );
}

/// Under `RespectStop` a new wish ends the respect for the stop.
pub async fn wish_anew(s: &Stage, name: &str) {
    s.edit(name, json!({"powerState": "Stopped"})).await;
    s.ready_in(name, "Stopped").await;
    s.edit(name, json!({"powerState": "Running"})).await;
    s.ready_in(name, "Running").await;
}

pub async fn power_from_outside_under_every_policy(s: &Stage) {
    let row = async |i: usize, row: &Row| {
        let name = s.name(&format!("row-{i}"));
        provoke(s, &name, row).await;
        let (policy, _, deed, leads_to, put_back) = *row;
        if !put_back {
            let id = id_of(&s.get(&name).await).to_owned();
            let before = essence(&s.nova.show(&id).await.unwrap());
            sleep(A_LIST).await;
            let after = essence(&s.nova.show(&id).await.unwrap());
            assert_eq!(after, before, "{row:?} is held");
            assert_eq!(power_of(&s.get(&name).await), leads_to);
            if (policy, deed) == ("RespectStop", "os-stop") {
                wish_anew(s, &name).await;
            }
        }
        s.remove(&name).await;
    };
    let rows = stream::iter(ROWS.iter().enumerate());
    rows.for_each_concurrent(AT_ONCE, |(i, r)| row(i, r)).await;
}

pub async fn a_deletion_from_outside_under_every_policy(s: &Stage) {
    let one = async |policy: &str| {
        let name = s.name(&policy.to_lowercase());
        s.create(&name, json!({"driftPolicy": policy})).await;
        let server = s.ready(&name).await;
        s.nova.delete(id_of(&server)).await;
        s.reason(&name, ConditionType::Stalled, "True", "Missing").await;
        assert!(s.nova.of_name(&name).await.is_empty(), "made again unasked");
        s.edit(&name, json!({"onMissing": "Recreate"})).await;
        let again = s.ready_in(&name, "Running").await;
        assert_eq!(again.status.as_ref().unwrap().previous_ids, [id_of(&server)]);
        assert_ne!(id_of(&again), id_of(&server));
        assert_eq!(s.nova.of_name(&name).await.len(), 1);
        s.remove(&name).await;
    };
    let policies = ["Enforce", "EnforceAll", "RespectStop", "Observe"];
    join_all(policies.into_iter().map(one)).await;
}

pub async fn a_server_of_an_earlier_object_is_named_and_left_alone(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let first = s.ready(&name).await;
    let before = essence(&s.only(&first).await);
    s.force_delete(&name).await;
    let second = s.create(&name, json!({})).await;
    let stalled = s
        .reason(&name, ConditionType::Stalled, "True", "PreviousIncarnation")
        .await;
    let said = words(&stalled, ConditionType::Stalled);
    assert!(said.contains(id_of(&first)), "{said}");
    assert_eq!(s.nova.of_name(&name).await.len(), 1, "no second server unasked");
    // Allowed: now there are two, each of its own object, and the first one is as it was.
    let uid = second.metadata.uid.clone().unwrap();
    let allow = json!({"metadata": {"annotations": {"evenkeel.dev/create-anyway": uid}}});
    s.patch::<Server>(&name, allow).await;
    let own = s.ready(&name).await;
    assert_ne!(id_of(&own), id_of(&first));
    s.only(&own).await;
    s.remove(&name).await;
    assert!(s.nova.show(id_of(&own)).await.is_none());
    assert_eq!(
        essence(&s.nova.show(id_of(&first)).await.expect("it stays")),
        before
    );
    s.nova.delete(id_of(&first)).await;
}

pub async fn a_server_of_an_earlier_object_is_taken_over_by_its_id(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let first = s.ready(&name).await;
    s.force_delete(&name).await;
    let import =
        json!({"import": {"id": id_of(&first)}, "powerState": "Running", "deletionPolicy": "Delete"});
    s.create(&name, import).await;
    let second = s.ready(&name).await;
    assert_ne!(second.metadata.uid, first.metadata.uid);
    assert_eq!(id_of(&second), id_of(&first));
    s.only(&second).await;
    s.remove(&name).await;
    assert!(s.nova.show(id_of(&first)).await.is_none());
}
