//! Scenarios that take Nova away, or concern the controller of all namespaces: played one after the other.

use std::time::{Duration, Instant};

use evenkeel::api::{ConditionType, ProviderConfig, conditions};
use futures::future::BoxFuture;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::parts::Parts;
use crate::process::Process;
use crate::scenarios::groups;
use crate::scenarios::stage::{Order, Stage, condition, id_of, ready, words};

type Scenario = for<'a> fn(&'a Parts, &'a Stage) -> BoxFuture<'a, ()>;

/// All of them, in their order.
pub const ALL: &[(&str, Scenario)] = &[
    ("a_strict_group_is_cured_when_a_host_comes_back", |p, s| {
        Box::pin(a_strict_group_is_cured_when_a_host_comes_back(p, s))
    }),
    ("what_nova_keeps_after_a_deletion", |p, s| {
        Box::pin(what_nova_keeps_after_a_deletion(p, s))
    }),
    ("nova_away_for_a_minute", |p, s| {
        Box::pin(nova_away_for_a_minute(p, s))
    }),
    ("a_second_controller_takes_over", |p, s| {
        Box::pin(a_second_controller_takes_over(p, s))
    }),
    ("the_lease_is_handed_over", |p, s| {
        Box::pin(the_lease_is_handed_over(p, s))
    }),
    ("two_that_both_act", |p, s| Box::pin(two_that_both_act(p, s))),
];

/// The servers of the four operations that something happens in the middle of.
struct Four {
    create: String,
    stop: String,
    resize: String,
    delete: String,
}

impl Four {
    async fn prepare(s: &Stage) -> Self {
        let name = |short: &str| s.name(short);
        let four = Self {
            create: name("create"),
            stop: name("stop"),
            resize: name("resize"),
            delete: name("delete"),
        };
        for name in [&four.stop, &four.resize, &four.delete] {
            s.create(name, json!({"resize": {"when": "StopIfNeeded"}})).await;
        }
        for name in [&four.stop, &four.resize, &four.delete] {
            s.ready(name).await;
        }
        // The hypervisor is at it until the orders are withdrawn.
        let delay = Some(Duration::from_secs(900));
        let order = |call, name: &String| Order {
            call,
            server: name.clone(),
            delay,
            fault: None,
        };
        s.world.hypervisor(&[
            order("spawn", &four.create),
            order("power_off", &four.stop),
            order("migrate", &four.resize),
            order("destroy", &four.delete),
        ]);
        four
    }

    async fn begin(&self, s: &Stage) {
        s.create(&self.create, json!({})).await;
        s.edit(&self.stop, json!({"powerState": "Stopped"})).await;
        s.edit(&self.resize, json!({"size": {"name": "m1.small"}})).await;
        s.delete(&self.delete).await;
    }

    async fn fulfilled(&self, s: &Stage) {
        s.gone(&self.delete).await;
        s.ready_in(&self.create, "Running").await;
        s.ready_in(&self.stop, "Stopped").await;
        s.wait(&self.resize, "Ready with size m1.small", |x| {
            ready(x) && x.status.as_ref().unwrap().size.as_deref() == Some("m1.small")
        })
        .await;
        for (name, count) in [
            (&self.create, 1),
            (&self.stop, 1),
            (&self.resize, 1),
            (&self.delete, 0),
        ] {
            assert_eq!(s.nova.of_name(name).await.len(), count, "{name}");
        }
        for name in [&self.create, &self.stop, &self.resize] {
            s.delete(name).await;
        }
        for name in [&self.create, &self.stop, &self.resize] {
            s.gone(name).await;
        }
    }

    /// Waits until Nova is in the middle of all four: the hypervisor has been asked, and has not answered.
    async fn under_way(&self, s: &Stage) {
        for (name, task) in [
            (&self.create, "spawning"),
            (&self.stop, "powering-off"),
            (&self.resize, "resize_migrating"),
            (&self.delete, "deleting"),
        ] {
            let at_it = async {
                while s
                    .nova
                    .of_name(name)
                    .await
                    .iter()
                    .all(|x| x["OS-EXT-STS:task_state"] != task)
                {
                    sleep(Duration::from_millis(200)).await;
                }
            };
            let reached = timeout(s.patience, at_it).await;
            reached.unwrap_or_else(|_| panic!("{name} is never {task}"));
        }
    }
}

async fn nova_away_for_a_minute(_: &Parts, s: &Stage) {
    let four = Four::prepare(s).await;
    four.begin(s).await;
    four.under_way(s).await;
    s.world.outage(true).await;
    s.world.hypervisor(&[]);
    // The ProviderConfig says so at once, the servers not yet.
    s.wait_for::<ProviderConfig>("cloud", "Reachable=False", |c| {
        let found = c.status.as_ref().map(|s| s.conditions.as_slice());
        conditions::get(found.unwrap_or_default(), ConditionType::Reachable)
            .is_some_and(|c| c.status == "False")
    })
    .await;
    sleep(Duration::from_secs(60)).await;
    s.world.outage(false).await;
    four.fulfilled(s).await;
}

async fn a_second_controller_takes_over(parts: &Parts, s: &Stage) {
    let name = s.name("web");
    parts.start_controller();
    s.create(&name, json!({})).await;
    let server = s.ready(&name).await;
    let leader = parts.holder("evenkeel-system", |_| true).await;
    parts.kill_controller();
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    s.ready_in(&name, "Stopped").await;
    assert_ne!(parts.holder("evenkeel-system", |_| true).await, leader);
    assert_eq!(id_of(&s.get(&name).await), id_of(&server));
    s.remove(&name).await;
}

/// Who is told to go hands the lease over at once; who is killed is followed when the lease has run out.
async fn the_lease_is_handed_over(parts: &Parts, s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let id = id_of(&s.ready(&name).await).to_owned();
    // A standby asks every 2 s, and waits 15 s for a holder that is silent. The rest is for a busy machine.
    let (at_once, run_out) = (0.0..6.0, 11.0..25.0);
    for (signal, power, within) in [("TERM", "Stopped", at_once), ("KILL", "Running", run_out)] {
        let leader = parts.holder("evenkeel-system", |_| true).await;
        parts.start_controller();
        let standby = async {
            while !parts.controllers()[1].has_logged("every object was listed") {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(s.patience, standby).await.expect("a standby");
        let began = Instant::now();
        parts.controllers()[0].signal(signal);
        parts.holder("evenkeel-system", |h| h != leader).await;
        let took = began.elapsed().as_secs_f64();
        println!("    SIG{signal}: another one leads after {took:.1} s");
        parts.kill_controller();
        s.edit(&name, json!({ "powerState": power })).await;
        let server = s.ready_in(&name, power).await;
        println!(
            "    and the server is {power} after {:.1} s",
            began.elapsed().as_secs_f64()
        );
        assert_eq!(id_of(&server), id);
        assert!(within.contains(&took), "SIG{signal}: {took} s, not {within:?}");
    }
    s.remove(&name).await;
}

/// Two controllers that both hold a lease, each its own, and act on the same objects.
async fn two_that_both_act(parts: &Parts, s: &Stage) {
    parts.lease_home(&s.namespace);
    let installation = parts.installation();
    parts.start_controller_with(&[
        "--lease-namespace",
        &s.namespace,
        "--installation-id",
        &installation,
    ]);
    parts.holder(&s.namespace, |_| true).await;
    let before = calls_of(parts);
    let names: Vec<String> = (0..8).map(|i| s.name(&format!("web-{i}"))).collect();
    for name in &names {
        s.create(name, json!({})).await;
    }
    for name in &names {
        s.ready(name).await;
    }
    for name in &names {
        s.edit(name, json!({"powerState": "Stopped"})).await;
    }
    for name in &names {
        s.ready_in(name, "Stopped").await;
        assert_eq!(s.nova.of_name(name).await.len(), 1, "{name}");
    }
    for name in &names {
        s.delete(name).await;
    }
    for name in &names {
        s.gone(name).await;
        assert!(s.nova.of_name(name).await.is_empty());
    }
    // Else it would not be about two.
    let after = calls_of(parts);
    assert_eq!(after.len(), 2);
    assert!(
        after.iter().zip(&before).all(|(a, b)| a > b),
        "both have acted: {before:?} {after:?}"
    );
}

/// How many calls each controller has made that the cloud answered.
fn calls_of(parts: &Parts) -> Vec<usize> {
    let of = |p: &Process| p.calls().len();
    parts.controllers().iter().map(of).collect()
}

/// One host of the three takes no new servers: the third member has no place until it does again.
async fn a_strict_group_is_cured_when_a_host_comes_back(p: &Parts, s: &Stage) {
    let admin = p.nova("admin");
    let host = "compute3";
    admin.host_takes_servers(host, false).await;
    let group = s.name("apart");
    groups::make(s, &group, json!({"placement": {"policy": "AntiAffinity"}})).await;
    let names: Vec<String> = ["a", "b", "c"].map(|n| s.name(n)).to_vec();
    for name in &names[..2] {
        groups::member(s, name, &group, json!({})).await;
        s.ready(name).await;
    }
    groups::member(s, &names[2], &group, json!({})).await;
    let said = s
        .wait(&names[2], "no room", |x| {
            let c = condition(x, ConditionType::Ready);
            c.is_some_and(|c| c.reason == "NoCapacity" && c.message.contains("No valid host"))
        })
        .await;
    println!("    Nova says: {}", words(&said, ConditionType::Ready));
    let kind = ConditionType::PlacementSatisfied;
    let unmet = groups::reason(s, &group, kind, "False", "PlacementUnmet").await;
    let told = &groups::of(&unmet, kind).unwrap().message;
    assert!(
        told.contains("No valid host") && told.contains(&names[2]),
        "{told}"
    );
    admin.host_takes_servers(host, true).await;
    s.ready(&names[2]).await;
    groups::reason(
        s,
        &group,
        ConditionType::PlacementSatisfied,
        "True",
        "PlacementMet",
    )
    .await;
    for name in &names {
        s.delete(name).await;
    }
    groups::delete(s, &group).await;
    groups::gone(s, &group).await;
}

/// The notes of the events of a reason.
async fn told(s: &Stage, reason: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(s.client.clone(), &s.namespace);
    let all = events.list(&ListParams::default()).await.unwrap().items;
    let of = all.into_iter().filter(|e| e.reason.as_deref() == Some(reason));
    of.filter_map(|e| e.note).collect()
}

/// Nova keeps what is deleted for an hour: after a deletion of ours that counts as gone, or is ended by force; after one
/// by somebody else it is shown, and put back where that is wished.
async fn what_nova_keeps_after_a_deletion(parts: &Parts, s: &Stage) {
    parts.keep_deleted().await;
    let status = async |id: &str| s.nova.show(id).await.map(|x| x["status"].clone());
    let (kept, forced, lost) = (s.name("kept"), s.name("forced"), s.name("lost"));
    s.create(&kept, json!({})).await;
    s.create(&forced, json!({"deletion": {"force": true}})).await;
    s.create(&lost, json!({})).await;
    let mut ids = Vec::new();
    for name in [&kept, &forced, &lost] {
        ids.push(id_of(&s.ready(name).await).to_owned());
    }
    s.remove(&kept).await;
    assert_eq!(status(&ids[0]).await, Some(json!("SOFT_DELETED")));
    let pending = async {
        while !told(s, "ReclaimPending")
            .await
            .iter()
            .any(|note| note.contains(&ids[0]))
        {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(s.patience, pending)
        .await
        .expect("an event ReclaimPending");
    s.remove(&forced).await;
    s.nova.until(&ids[1], "GONE").await;
    assert!(
        !told(s, "ReclaimPending")
            .await
            .iter()
            .any(|note| note.contains(&ids[1]))
    );

    s.nova.delete(&ids[2]).await;
    s.nova.until(&ids[2], "SOFT_DELETED").await;
    let shown = s
        .reason(&lost, ConditionType::Stalled, "True", "SoftDeleted")
        .await;
    println!("    {}", words(&shown, ConditionType::Stalled));
    assert_eq!(
        status(&ids[2]).await,
        Some(json!("SOFT_DELETED")),
        "it is left alone"
    );
    s.edit(&lost, json!({"onMissing": "Recreate"})).await;
    let back = s.ready_in(&lost, "Running").await;
    assert_eq!(id_of(&back), ids[2], "the same one");
    assert_eq!(status(&ids[2]).await, Some(json!("ACTIVE")));
    let actions = s.nova.actions(&ids[2]).await;
    println!("    Nova's log of the one that was put back: {actions:?}");
    assert_eq!(
        actions.iter().filter(|a| *a == "restore").count(),
        1,
        "{actions:?}"
    );
    s.remove(&lost).await;
    // Nobody else would ever take them away.
    for id in [&ids[0], &ids[2]] {
        println!(
            "    Nova's log of one that is kept: {:?}",
            s.nova.actions(id).await
        );
        s.nova.act(id, &json!({"forceDelete": null})).await;
        s.nova.until(id, "GONE").await;
    }
}
