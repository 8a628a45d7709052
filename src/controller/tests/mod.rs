//! The real controller, planner and provider against the simulated cluster and cloud, in virtual time.

mod accounts;
mod credentials;
mod going;
mod regions;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{self, Asker, FRESH};
use super::*;
use crate::observer::tests::FakeCloud;
use crate::planner::memory::Outcome as Sent;
use crate::planner::model::{CloudCall, Operate};
use crate::sim::apiserver::{Fault, Rule, Verb, WriteRecord};
use crate::sim::openstack;
use world::{CONFIG, MINUTE, SECRET, WEB, World};

#[tokio::test(start_paused = true)]
async fn a_server_becomes_ready_and_then_costs_the_lists_alone() {
    let world = World::with_config();
    world.server("web");
    let running = world.start("p1");
    world.ready(WEB).await;
    assert_eq!(world.cloud.live_servers().len(), 1);
    tokio::time::sleep(MINUTE).await;
    let (writes, turns) = (world.kube.writes().len(), world.metrics.clone());
    let turns_before = turns.list_wakes.get();
    world.cloud.reset_requests();
    tokio::time::sleep(60 * MINUTE).await;
    assert_eq!(
        world.kube.writes().len(),
        writes,
        "{:?}",
        world.kube.writes().last()
    );
    assert_eq!(turns.list_wakes.get(), turns_before);
    let lists = world.lists();
    assert!((220..=260).contains(&lists), "{:?}", world.cloud.counts());
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn creation_takes_few_writes() {
    let world = World::with_config();
    let _running = world.start("p1");
    world.ready(CONFIG).await;
    world.kube.clear_log();
    world.server("web");
    world.ready(WEB).await;
    let ours = |w: &WriteRecord| w.call.client == "p1" && w.call.plural == "servers";
    let writes: Vec<_> = world.kube.writes().into_iter().filter(ours).collect();
    assert!(writes.len() <= 4, "{writes:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_takes_its_server_with_it() {
    let world = World::with_config();
    world.server("web");
    let _running = world.start("p1");
    world.ready(WEB).await;
    world.kube.delete(WEB).unwrap();
    world
        .kube
        .wait_for(WEB, 5 * MINUTE, |o| o.is_none())
        .await
        .unwrap();
    assert!(world.cloud.live_servers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_time_and_started_again_there_is_one_server() {
    for milliseconds in (0..6000).step_by(170) {
        let world = World::with_config();
        world.server("web");
        let running = world.start("p1");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        drop(running);
        let _running = world.start("p2");
        world.ready(WEB).await;
        assert_eq!(
            world.cloud.live_servers().len(),
            1,
            "killed after {milliseconds} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_told_to_go_saves_what_its_calls_brought() {
    for milliseconds in (0..2000).step_by(35) {
        let world = World::with_config();
        world.server("web");
        let running = world.start("p1");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        running.stop.cancel();
        let told = Instant::now();
        running.task.await.unwrap();
        assert!(told.elapsed() <= Duration::from_secs(20));
        let object = world.kube.get(WEB).unwrap();
        let servers = world.cloud.live_servers();
        assert_eq!(
            object["status"]["id"].as_str().is_some(),
            servers.len() == 1,
            "after {milliseconds} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_lost_its_place_does_nothing_more() {
    let world = World::with_config();
    let _running = world.start("p1");
    world.ready(CONFIG).await;
    world.owner.0.send_replace(false);
    tokio::time::sleep(MINUTE).await;
    world.kube.clear_log();
    world.cloud.reset_requests();
    world.server("web");
    tokio::time::sleep(10 * MINUTE).await;
    assert!(world.cloud.counts().is_empty(), "{:?}", world.cloud.counts());
    assert!(
        !world
            .kube
            .writes()
            .iter()
            .any(|w| format!("{w:?}").contains("p1"))
    );
    world.owner.0.send_replace(true);
    world.ready(WEB).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_api_server_is_asked_slowly_and_work_goes_on_afterwards() {
    let world = World::with_config();
    let _running = world.start("p1");
    world.ready(CONFIG).await;
    world.kube.fault(
        Rule::new(Fault::Status(500))
            .verb(Verb::Update)
            .on("servers")
            .status()
            .always(),
    );
    world.kube.clear_log();
    world.server("web");
    let asked = || {
        world
            .kube
            .requests("p1")
            .get(&(Verb::Update, "servers"))
            .copied()
            .unwrap_or(0)
    };
    let before = asked();
    tokio::time::sleep(10 * MINUTE).await;
    assert!(asked() - before < 40, "{} writes", asked() - before);
    assert!(
        world.cloud.live_servers().is_empty(),
        "nothing is created without a record"
    );
    world.kube.clear_faults();
    world.ready(WEB).await;
}

#[tokio::test(start_paused = true)]
async fn credentials_are_read_again_and_the_account_is_pinned() {
    let world = World::with_config();
    let secret = world.kube.get(SECRET).unwrap();
    world.kube.delete(SECRET).unwrap();
    let _running = world.start("p1");
    world.reason(CONFIG, "CredentialsMissing").await;
    let back = Instant::now();
    let mut again = secret.clone();
    again["metadata"] = json!({"name": "sim", "namespace": "default"});
    world.kube.apply(&again).unwrap();
    world.ready(CONFIG).await;
    assert!(back.elapsed() <= Duration::from_secs(35), "{:?}", back.elapsed());

    world
        .kube
        .edit(CONFIG, |o| o["spec"]["openstack"]["cloud"] = json!("alt"))
        .unwrap();
    let edited = Instant::now();
    world.reason(CONFIG, "AccountChanged").await;
    assert!(
        edited.elapsed() < Duration::from_secs(2),
        "{:?}",
        edited.elapsed()
    );
    world.server("web");
    tokio::time::sleep(10 * MINUTE).await;
    assert!(world.cloud.live_servers().is_empty());
    world
        .kube
        .edit(CONFIG, |o| o["spec"]["openstack"]["cloud"] = json!("demo"))
        .unwrap();
    world.ready(WEB).await;

    world.cloud.set_password("demo", "new");
    world.cloud.expire_tokens();
    world.reason(CONFIG, "CredentialsInvalid").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_an_account_is_told_apart() {
    let text = openstack::manifests("http://127.0.0.1:5000", "sim", "default");
    for (from, to, reason) in [
        ("cloud: \"demo\"", "cloud: \"nowhere\"", "CredentialsInvalid"),
        ("http://127.0.0.1", "https://169.254.169.254", "EndpointRefused"),
        ("clouds.yaml: |", "other.yaml: |", "CredentialsMissing"),
        ("password: ", "password: not-", "CredentialsInvalid"),
    ] {
        let mut world = World::new();
        world.insecure = reason != "EndpointRefused";
        assert!(text.contains(from));
        world.kube.apply_yaml(&text.replace(from, to)).unwrap();
        let _running = world.start("p1");
        world.reason(CONFIG, reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_config_may_come_late_and_its_going_harms_no_server() {
    let world = World::new();
    world.server("web");
    let _running = world.start("p1");
    world.reason(WEB, "ProviderConfigNotFound").await;
    let text = openstack::manifests("http://127.0.0.1:5000", "sim", "default");
    world.kube.apply_yaml(&text).unwrap();
    world.ready(WEB).await;
    world.kube.delete(CONFIG).unwrap();
    world.kube.delete(SECRET).unwrap();
    tokio::time::sleep(5 * MINUTE).await;
    world.kube.delete(WEB).unwrap();
    world
        .kube
        .wait_for(WEB, 5 * MINUTE, |o| o.is_none())
        .await
        .unwrap();
    assert!(
        world.cloud.live_servers().is_empty(),
        "the last good credentials served to the end"
    );
}

#[tokio::test(start_paused = true)]
async fn finalizers_of_others_stay() {
    let world = World::with_config();
    world.server("web");
    world
        .kube
        .edit(WEB, |o| {
            o["metadata"]["finalizers"] = json!(["example.com/other"])
        })
        .unwrap();
    let _running = world.start("p1");
    world.ready(WEB).await;
    world.kube.delete(WEB).unwrap();
    let only_other =
        |o: Option<&Value>| o.is_some_and(|o| o["metadata"]["finalizers"] == json!(["example.com/other"]));
    world.kube.wait_for(WEB, 5 * MINUTE, only_other).await.unwrap();
    assert!(world.cloud.live_servers().is_empty());
    let before = world.kube.writes().len();
    tokio::time::sleep(60 * MINUTE).await;
    assert_eq!(world.kube.writes().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_sent_only_soon_after_its_record_and_only_by_an_owner() {
    let world = World::new();
    let (shell, _publisher) = Shell::new(world.context("p1"));
    let cloud = Arc::new(FakeCloud::default());
    let key = ObjectKey::new("n", "s");
    let asker = Asker {
        key: key.clone(),
        uid: "u".into(),
        config: ObjectKey::new("n", "c"),
        cloud: "sim",
        account: "fake/p1".into(),
        provider: cloud.clone(),
    };
    let stop = CloudCall::Operate {
        id: "a".into(),
        kind: crate::api::server_status::OperationKind::Start,
        how: Operate::Plain,
    };
    tokio::time::advance(MINUTE).await;
    let fresh = Duration::ZERO;
    for (age, owns, sent) in [(fresh, true, true), (FRESH, true, false), (fresh, false, false)] {
        world.owner.0.send_replace(owns);
        shell.objects.forget("u");
        shell.objects.open("u", &key);
        lock(&cloud.calls).clear();
        call::call(
            &shell,
            asker.clone(),
            "op-1".into(),
            stop.clone(),
            Instant::now() - age,
        );
        assert_eq!(
            shell.objects.open("u", &key).sent.unwrap().outcome,
            Sent::InFlight
        );
        assert_eq!(
            shell.queue.next().await,
            Some(key.clone()),
            "the reply wakes the object"
        );
        shell.queue.done(&key, None, None);
        assert_eq!(lock(&cloud.calls).len(), usize::from(sent));
        match shell.objects.open("u", &key).sent.unwrap().outcome {
            Sent::Accepted(..) => assert!(sent),
            Sent::Refused(_, error) => {
                assert!(
                    !sent && !error.maybe_applied && error.message.starts_with("not sent"),
                    "{error:?}"
                );
            }
            Sent::InFlight => panic!("the reply is in"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn user_data_needs_its_owners_leave() {
    let world = World::with_config();
    let secret = |labels: BTreeMap<&str, &str>| {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"init": "#!/bin/sh"},
               "metadata": {"name": "boot", "namespace": "default", "labels": labels}})
    };
    world.kube.apply(&secret(BTreeMap::new())).unwrap();
    world.server("web");
    world
        .kube
        .edit(WEB, |o| {
            o["spec"]["userDataSecretRef"] = json!({"name": "boot", "key": "init"})
        })
        .unwrap();
    let _running = world.start("p1");
    let refused = |o: Option<&Value>| o.is_some_and(|o| o["status"]["failure"]["code"] == "SecretRefused");
    world.kube.wait_for(WEB, MINUTE, refused).await.unwrap();
    assert!(world.cloud.live_servers().is_empty());
    world
        .kube
        .apply(&secret(BTreeMap::from([("evenkeel.dev/allow", "user-data")])))
        .unwrap();
    world.ready(WEB).await;
}
