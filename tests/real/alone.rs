//! Scenarios that kill controllers or take Nova away: played one after the other.

use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig, conditions};
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::runtime::wait::await_condition;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::parts::Parts;
use crate::scenarios::groups;
use crate::scenarios::stage::{Order, Stage, condition, current, id_of, ready, words};

type Scenario = for<'a> fn(&'a Parts, &'a Stage) -> BoxFuture<'a, ()>;

/// All of them, in their order.
pub const ALL: &[(&str, Scenario)] = &[
    ("a_strict_group_is_cured_when_a_host_comes_back", |p, s| {
        Box::pin(a_strict_group_is_cured_when_a_host_comes_back(p, s))
    }),
    ("nova_away_for_a_minute", |p, s| {
        Box::pin(nova_away_for_a_minute(p, s))
    }),
    ("a_second_controller_takes_over", |p, s| {
        Box::pin(a_second_controller_takes_over(p, s))
    }),
    ("killed_in_the_middle", |p, s| {
        Box::pin(killed_in_the_middle(p, s))
    }),
    ("asleep_between_record_and_call", |p, s| {
        Box::pin(asleep_between_record_and_call(p, s))
    }),
];

/// The servers of the four operations that something happens in the middle of.
struct Four {
    create: String,
    stop: String,
    resize: String,
    delete: String,
}

impl Four {
    async fn prepare(s: &Stage, round: &str) -> Self {
        let name = |short: &str| s.name(&format!("{short}{round}"));
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
        // Slow enough to be met in the middle.
        let delay = Some(Duration::from_secs(4));
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
        s.world.hypervisor(&[]);
    }

    /// Waits until all four are under way, and the create has arrived: a create that is lost is waited out for two
    /// minutes, which is played by `asleep_between_record_and_call`.
    async fn under_way(&self, s: &Stage) {
        for name in [&self.stop, &self.resize] {
            s.wait(name, "an operation", |x| {
                current(x) && x.status.as_ref().unwrap().operation.is_some()
            })
            .await;
        }
        let arrived = async {
            while s.nova.of_name(&self.create).await.is_empty() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(s.patience, arrived).await.expect("the create arrives");
    }
}

async fn nova_away_for_a_minute(_: &Parts, s: &Stage) {
    let four = Four::prepare(s, "").await;
    four.begin(s).await;
    four.under_way(s).await;
    s.world.outage(true).await;
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
    let leader = holder(parts, |_| true).await;
    parts.kill_controller();
    s.edit(&name, json!({"powerState": "Stopped"})).await;
    s.ready_in(&name, "Stopped").await;
    assert_ne!(holder(parts, |_| true).await, leader);
    assert_eq!(id_of(&s.get(&name).await), id_of(&server));
    s.remove(&name).await;
}

/// Who holds the lease, once it is somebody wanted.
async fn holder(parts: &Parts, wanted: impl Fn(&str) -> bool) -> String {
    let leases: Api<Lease> = Api::namespaced(parts.client(), "evenkeel-system");
    let of = |l: &Lease| l.spec.as_ref().and_then(|s| s.holder_identity.clone());
    let found = await_condition(leases, "evenkeel-controller", |l: Option<&Lease>| {
        l.and_then(of).is_some_and(|h| !h.is_empty() && wanted(&h))
    });
    let lease = timeout(Duration::from_secs(60), found)
        .await
        .expect("a new holder of the lease");
    of(&lease.unwrap().unwrap()).unwrap()
}

async fn killed_in_the_middle(parts: &Parts, s: &Stage) {
    for (round, moment) in [0, 700, 3000].into_iter().enumerate() {
        let four = Four::prepare(s, &round.to_string()).await;
        four.begin(s).await;
        four.under_way(s).await;
        sleep(Duration::from_millis(moment)).await;
        parts.kill_controller();
        parts.start_controller();
        four.fulfilled(s).await;
    }
}

/// The controller has recorded its attempt and asks Glance for the image's id, which does not answer. There it is
/// stopped; somebody else takes over; then it wakes up, gets its answer, and must not send any more.
async fn asleep_between_record_and_call(parts: &Parts, s: &Stage) {
    let name = s.name("web");
    // A fresh process, which does not know the image yet.
    parts.kill_controller();
    parts.start_controller();
    s.wait_for::<ProviderConfig>("cloud", "Ready", |c| {
        let found = c.status.as_ref().map(|s| s.conditions.as_slice());
        conditions::get(found.unwrap_or_default(), ConditionType::Ready).is_some_and(|c| c.status == "True")
    })
    .await;
    let sleeper = holder(parts, |_| true).await;
    parts.signal_service("glance", "STOP");
    s.create(&name, json!({})).await;
    s.wait(&name, "the record", |x| {
        x.status.as_ref().is_some_and(|s| s.create_attempt.is_some())
    })
    .await;
    parts.controllers()[0].signal("STOP");
    parts.signal_service("glance", "CONT");
    assert!(s.nova.of_name(&name).await.is_empty(), "stopped before its call");
    parts.start_controller();
    holder(parts, |h| h != sleeper).await;
    parts.controllers()[0].signal("CONT");
    // Long enough for a call to be made, if it were.
    sleep(Duration::from_secs(5)).await;
    assert!(
        s.nova.of_name(&name).await.is_empty(),
        "it woke up and did not call"
    );
    let server = s.ready(&name).await;
    assert_eq!(server.status.as_ref().unwrap().create_attempts, Some(2));
    assert_eq!(s.nova.of_name(&name).await.len(), 1);
    s.remove(&name).await;
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
