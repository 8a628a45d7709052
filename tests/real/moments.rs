//! Controllers that are killed, or put to sleep, at one certain step of create, resize and delete. A proxy of the
//! tests' own holds the request of that step, so that nobody has to guess where the controller is. Each moment has
//! a controller of its own, for its namespace alone: all are played side by side.

use std::time::Duration;

use serde_json::{Value, json};

use crate::parts::Parts;
use crate::process::Process;
use crate::proxy::{Fate, Proxy, Seen, Side, Wanted};
use crate::scenarios::stage::{Stage, power_of, ready};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Create,
    Resize,
    Delete,
}

/// What a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Cluster,
    Cloud,
}

/// What happens when the request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// SIGKILL; the request never arrives.
    KilledBefore,
    /// SIGKILL; it was carried out, and nobody reads the reply.
    KilledAfter,
    /// SIGKILL; the request was on the wire, and arrives when somebody else has taken over.
    KilledAndLate,
    /// SIGSTOP with the record written; it goes on when somebody else has taken over, and must not send any more.
    Asleep,
}

/// A moment.
pub struct Moment {
    op: Op,
    to: To,
    wanted: Wanted,
    deed: Deed,
}

const fn moment(op: Op, to: To, wanted: Wanted, deed: Deed) -> Moment {
    Moment { op, to, wanted, deed }
}

/// All of them; those that wait out the deadline of a lost create come first.
#[rustfmt::skip]
pub const ALL: &[(&str, Moment)] = &[
    ("create_asleep_between_record_and_call", moment(Op::Create, To::Cluster, attempt_recorded, Deed::Asleep)),
    ("create_killed_before_the_call", moment(Op::Create, To::Cloud, call_create, Deed::KilledBefore)),
    ("create_killed_and_the_call_is_late", moment(Op::Create, To::Cloud, call_create, Deed::KilledAndLate)),
    ("create_killed_before_the_finalizer", moment(Op::Create, To::Cluster, finalizer_on, Deed::KilledBefore)),
    ("create_killed_before_the_record", moment(Op::Create, To::Cluster, attempt_recorded, Deed::KilledBefore)),
    ("create_killed_before_the_id_is_recorded", moment(Op::Create, To::Cluster, id_recorded, Deed::KilledBefore)),
    ("create_killed_before_ready", moment(Op::Create, To::Cluster, ready_shown, Deed::KilledBefore)),
    ("create_killed_after_ready", moment(Op::Create, To::Cluster, ready_shown, Deed::KilledAfter)),
    ("resize_asleep_between_record_and_call", moment(Op::Resize, To::Cluster, resize_recorded, Deed::Asleep)),
    ("resize_killed_and_the_call_is_late", moment(Op::Resize, To::Cloud, call_resize, Deed::KilledAndLate)),
    ("resize_killed_before_the_record", moment(Op::Resize, To::Cluster, resize_recorded, Deed::KilledBefore)),
    ("resize_killed_before_the_call", moment(Op::Resize, To::Cloud, call_resize, Deed::KilledBefore)),
    ("resize_killed_after_the_call", moment(Op::Resize, To::Cloud, call_resize, Deed::KilledAfter)),
    ("resize_killed_before_the_second_record", moment(Op::Resize, To::Cluster, confirm_recorded, Deed::KilledBefore)),
    ("resize_killed_before_the_confirmation", moment(Op::Resize, To::Cloud, call_confirm, Deed::KilledBefore)),
    ("resize_killed_before_the_size_is_shown", moment(Op::Resize, To::Cluster, size_shown, Deed::KilledBefore)),
    ("resize_killed_after_the_size_is_shown", moment(Op::Resize, To::Cluster, size_shown, Deed::KilledAfter)),
    ("delete_asleep_between_record_and_call", moment(Op::Delete, To::Cluster, delete_recorded, Deed::Asleep)),
    ("delete_killed_and_the_call_is_late", moment(Op::Delete, To::Cloud, call_delete, Deed::KilledAndLate)),
    ("delete_killed_before_the_stop_is_recorded", moment(Op::Delete, To::Cluster, stop_recorded, Deed::KilledBefore)),
    ("delete_killed_before_the_stop", moment(Op::Delete, To::Cloud, call_stop, Deed::KilledBefore)),
    ("delete_killed_before_the_record", moment(Op::Delete, To::Cluster, delete_recorded, Deed::KilledBefore)),
    ("delete_killed_before_the_call", moment(Op::Delete, To::Cloud, call_delete, Deed::KilledBefore)),
    ("delete_killed_before_the_finalizer_goes", moment(Op::Delete, To::Cluster, finalizer_off, Deed::KilledBefore)),
    ("delete_killed_after_the_finalizer_went", moment(Op::Delete, To::Cluster, finalizer_off, Deed::KilledAfter)),
];

fn finalizers(seen: &Seen) -> Option<usize> {
    let own = seen.method == "PATCH" && seen.path.contains("/servers/") && !seen.path.ends_with("/status");
    let list = seen.body["metadata"]["finalizers"].as_array();
    list.filter(|_| own).map(Vec::len)
}

fn finalizer_on(seen: &Seen) -> bool {
    finalizers(seen).is_some_and(|n| n > 0)
}

fn finalizer_off(seen: &Seen) -> bool {
    finalizers(seen) == Some(0)
}

fn status(seen: &Seen) -> Option<&Value> {
    let own = seen.path.contains("/servers/") && seen.path.ends_with("/status");
    own.then(|| &seen.body["status"])
}

fn attempt_recorded(seen: &Seen) -> bool {
    status(seen).is_some_and(|s| s["createAttempt"].is_object() && s["id"].is_null())
}

fn id_recorded(seen: &Seen) -> bool {
    status(seen).is_some_and(|s| s["id"].is_string())
}

fn is_true(status: &Value, kind: &str) -> bool {
    let all = status["conditions"].as_array().into_iter().flatten();
    all.into_iter()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

fn ready_shown(seen: &Seen) -> bool {
    status(seen).is_some_and(|s| is_true(s, "Ready"))
}

fn size_shown(seen: &Seen) -> bool {
    status(seen)
        .is_some_and(|s| s["size"] == "m1.small" && s["operation"].is_null() && is_true(s, "SizeSynced"))
}

fn recorded(seen: &Seen, kind: &str) -> bool {
    status(seen).is_some_and(|s| s["operation"]["kind"] == kind)
}

fn resize_recorded(seen: &Seen) -> bool {
    recorded(seen, "Resize")
}

fn confirm_recorded(seen: &Seen) -> bool {
    recorded(seen, "ConfirmResize")
}

fn stop_recorded(seen: &Seen) -> bool {
    recorded(seen, "Stop")
}

fn delete_recorded(seen: &Seen) -> bool {
    recorded(seen, "Delete")
}

fn call_create(seen: &Seen) -> bool {
    seen.method == "POST" && seen.path.ends_with("/servers")
}

fn action(seen: &Seen, word: &str) -> bool {
    seen.path.ends_with("/action") && seen.body.get(word).is_some()
}

fn call_resize(seen: &Seen) -> bool {
    action(seen, "resize")
}

fn call_confirm(seen: &Seen) -> bool {
    action(seen, "confirmResize")
}

fn call_stop(seen: &Seen) -> bool {
    action(seen, "os-stop")
}

fn call_delete(seen: &Seen) -> bool {
    seen.method == "DELETE" && seen.path.contains("/servers/")
}

/// What is called in the end, whatever happened before: once, and by one controller.
fn call_of(op: Op) -> Wanted {
    match op {
        Op::Create => call_create,
        Op::Resize => call_resize,
        Op::Delete => call_delete,
    }
}

async fn begin(op: Op, s: &Stage, name: &str) {
    match op {
        Op::Create => drop(s.create(name, json!({})).await),
        Op::Resize => drop(s.edit(name, json!({"size": {"name": "m1.small"}})).await),
        Op::Delete => s.delete(name).await,
    }
}

async fn fulfilled(op: Op, s: &Stage, name: &str) {
    match op {
        Op::Create => drop(s.ready_in(name, "Running").await),
        Op::Resize => {
            s.wait(name, "Ready with size m1.small", |x| {
                let status = x.status.as_ref().unwrap();
                ready(x)
                    && power_of(x) == "Running"
                    && status.size.as_deref() == Some("m1.small")
                    && status.operation.is_none()
            })
            .await;
        }
        Op::Delete => s.gone(name).await,
    }
}

/// Where a moment is played: the ways of its controllers to the cluster and to the cloud.
pub struct Ways {
    pub cluster: Proxy,
    pub cloud: Proxy,
    /// Its replies name the address of the one above.
    pub keystone: Proxy,
}

impl Ways {
    /// Opens them, and makes an account that leads along them.
    pub async fn open(parts: &Parts, s: &Stage) -> Self {
        parts.lease_home(&s.namespace);
        let (keystone, nova) = parts.addresses();
        let cloud = Proxy::start(&nova, None, None).await;
        let ways = Self {
            cluster: parts.cluster_proxy().await,
            keystone: Proxy::start(&keystone, None, Some((nova, cloud.url.clone()))).await,
            cloud,
        };
        let clouds = s.world.clouds_yaml().replace(&keystone, &ways.keystone.url);
        s.account("cloud", "demo", &clouds).await;
        ways
    }
}

/// Plays a moment.
pub async fn play(parts: &Parts, s: &Stage, m: &Moment) {
    let name = s.name("web");
    let ways = Ways::open(parts, s).await;
    let controller = || parts.controller_of(s, &ways.cluster);
    let mut first = controller();
    if m.op != Op::Create {
        s.create(&name, json!({"resize": {"when": "StopIfNeeded"}})).await;
        s.ready(&name).await;
    }
    let proxy = match m.to {
        To::Cluster => &ways.cluster,
        To::Cloud => &ways.cloud,
    };
    let leader = parts.holder(&s.namespace, |_| true).await;
    let before = matches!(m.deed, Deed::KilledBefore | Deed::KilledAndLate);
    let mut held = proxy.hold(if before { Side::Before } else { Side::After }, m.wanted);
    begin(m.op, s, &name).await;
    held.hit("the step", s.patience).await;
    // The step was reached, and what follows it was not.
    let _second: Process = match m.deed {
        Deed::KilledBefore | Deed::KilledAfter => {
            first.kill();
            held.then(Fate::Lost);
            controller()
        }
        Deed::KilledAndLate => {
            first.kill();
            let second = controller();
            parts.holder(&s.namespace, |h| h != leader).await;
            held.then(Fate::Goes);
            second
        }
        Deed::Asleep => {
            first.signal("STOP");
            held.then(Fate::Goes);
            let called = ways.cloud.changes().into_iter().find(call_of(m.op));
            assert!(called.is_none(), "stopped before its call: {called:?}");
            let said = first.calls();
            let second = controller();
            parts.holder(&s.namespace, |h| h != leader).await;
            first.signal("CONT");
            fulfilled(m.op, s, &name).await;
            // Long enough for a call to be made, if it were.
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(first.calls(), said, "it woke up and called");
            second
        }
    };
    fulfilled(m.op, s, &name).await;
    check(m, s, &name, &ways).await;
    // The cluster goes anyway; each server is one more in every list of those that still play.
    for server in s.nova.of_name(&name).await {
        s.nova.delete(server["id"].as_str().unwrap()).await;
    }
}

async fn check(m: &Moment, s: &Stage, name: &str, ways: &Ways) {
    let changes = ways.cloud.changes();
    assert_eq!(ways.cloud.carried_out(call_create), 1, "{changes:#?}");
    let servers = s.nova.of_name(name).await;
    assert_eq!(servers.len(), usize::from(m.op != Op::Delete), "{servers:#?}");
    match m.op {
        Op::Create => {
            let server = s.get(name).await;
            s.only(&server).await;
            // Where the first one's call never came there was a second attempt.
            let lost = m.deed == Deed::Asleep || (m.deed == Deed::KilledBefore && m.to == To::Cloud);
            let attempts = server.status.unwrap().create_attempts;
            assert!(!lost || attempts >= Some(2), "{attempts:?} {changes:#?}");
        }
        Op::Resize => {
            assert_eq!(ways.cloud.carried_out(call_resize), 1, "{changes:#?}");
            assert_eq!(ways.cloud.carried_out(call_confirm), 1, "{changes:#?}");
            let now = (&servers[0]["flavor"]["original_name"], &servers[0]["status"]);
            assert_eq!(now, (&json!("m1.small"), &json!("ACTIVE")));
        }
        Op::Delete => {}
    }
}
