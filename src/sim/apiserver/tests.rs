//! The server through a real client, in virtual time.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::api::{ProviderConfig, Server};

const MINUTE: Duration = Duration::from_secs(60);

fn manifest(name: &str) -> Value {
    json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name, "namespace": "default"},
        "spec": {"providerConfigRef": {"name": "p"}, "size": {"name": "small"}, "image": {"name": "cirros"}}})
}

fn server(name: &str) -> Server {
    serde_json::from_value(manifest(name)).unwrap()
}

fn start() -> (ApiServer, Api<Server>) {
    let cluster = ApiServer::new().unwrap();
    let api = Api::namespaced(cluster.client("c"), "default");
    (cluster, api)
}

fn at(name: &str) -> (&'static str, &'static str, &str) {
    ("servers", "default", name)
}

fn code(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("no refusal: {other}"),
    }
}

fn version(s: &Server) -> u64 {
    s.metadata.resource_version.as_ref().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn creation_fills_in_what_the_server_owns() {
    let (cluster, api) = start();
    tokio::time::advance(Duration::from_millis(90_500)).await;
    let made = api.create(&PostParams::default(), &server("a")).await.unwrap();
    assert_eq!(
        made.metadata.uid.as_deref(),
        Some("00000000-0000-4000-8000-000000000003")
    );
    assert_eq!(made.metadata.generation, Some(1));
    assert_eq!(
        made.metadata.creation_timestamp.as_ref().unwrap().0.to_string(),
        "2026-01-01T00:01:30Z"
    );
    assert_eq!(
        made.status.as_ref().unwrap().observed_generation,
        Some(-1),
        "the status default"
    );
    let raw = cluster.get(at("a")).unwrap();
    assert_eq!(
        raw["spec"]["powerOff"],
        json!({"mode": "SoftThenHard", "timeout": "5m"})
    );
    assert_eq!(raw["spec"]["managementPolicy"], "Full");

    let again = api
        .create(&PostParams::default(), &server("a"))
        .await
        .unwrap_err();
    assert_eq!(code(again), (409, "AlreadyExists".to_owned()));
    let mut generated = server("");
    generated.metadata.name = None;
    generated.metadata.generate_name = Some("web-".to_owned());
    assert_eq!(
        api.create(&PostParams::default(), &generated)
            .await
            .unwrap()
            .metadata
            .name
            .unwrap(),
        "web-00001"
    );
    assert_eq!(
        code(api.get("none").await.unwrap_err()),
        (404, "NotFound".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn invalid_objects_are_refused_and_unknown_fields_pruned() {
    let (cluster, _) = start();
    let mut object = manifest("a");
    object["spec"]["powerState"] = json!("Sideways");
    let refused = cluster.apply(&object).unwrap_err();
    assert_eq!((refused.code, refused.reason), (422, "Invalid"));
    assert!(refused.message.contains("spec.powerState"), "{refused}");
    object["spec"]["powerState"] = json!("Stopped");
    object["spec"]["surprise"] = json!(1);
    let made = cluster.apply(&object).unwrap();
    assert_eq!(
        (&made["spec"]["surprise"], &made["spec"]["powerState"]),
        (&Value::Null, &json!("Stopped"))
    );
}

#[tokio::test(start_paused = true)]
async fn main_and_status_are_written_apart_and_only_the_spec_counts_generations() {
    let (cluster, api) = start();
    let mut a = api.create(&PostParams::default(), &server("a")).await.unwrap();
    a.status.as_mut().unwrap().id = Some("not by this way".to_owned());
    a.metadata.labels = Some([("x".to_owned(), "y".to_owned())].into());
    let mut a = api.replace("a", &PostParams::default(), &a).await.unwrap();
    assert_eq!(
        (a.metadata.generation, a.status.as_ref().unwrap().id.as_deref()),
        (Some(1), None)
    );

    a.spec.size.as_mut().unwrap().name = Some("large".to_owned());
    a.status.as_mut().unwrap().id = Some("i-1".to_owned());
    let a = api.replace_status("a", &PostParams::default(), &a).await.unwrap();
    assert_eq!(a.spec.size.as_ref().unwrap().name.as_deref(), Some("small"));
    assert_eq!(
        (a.metadata.generation, a.status.as_ref().unwrap().id.as_deref()),
        (Some(1), Some("i-1"))
    );

    let patch = Patch::Merge(json!({"spec": {"size": {"name": "large"}}}));
    let a = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(
        (a.metadata.generation, a.status.as_ref().unwrap().id.as_deref()),
        (Some(2), Some("i-1"))
    );
    let apply = Patch::Apply(
        json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "status": {"size": "large"}}),
    );
    let a = api
        .patch_status("a", &PatchParams::apply("me").force(), &apply)
        .await
        .unwrap();
    let status = a.status.as_ref().unwrap();
    assert_eq!(
        (status.size.as_deref(), status.id.as_deref()),
        (Some("large"), Some("i-1"))
    );
    assert_eq!(cluster.writes().iter().filter(|w| w.changed).count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_stale_writer_loses() {
    let (cluster, api) = start();
    let mut old = api.create(&PostParams::default(), &server("a")).await.unwrap();
    cluster
        .edit(at("a"), |o| o["spec"]["powerState"] = json!("Stopped"))
        .unwrap();
    old.status.as_mut().unwrap().id = Some("i-1".to_owned());
    let conflict = (409, "Conflict".to_owned());
    assert_eq!(
        code(api.replace("a", &PostParams::default(), &old).await.unwrap_err()),
        conflict
    );
    assert_eq!(
        code(
            api.replace_status("a", &PostParams::default(), &old)
                .await
                .unwrap_err()
        ),
        conflict
    );
    let patch = |v: u64| {
        Patch::Merge(json!({"metadata": {"resourceVersion": v.to_string()}, "status": {"id": "i-2"}}))
    };
    let stale = api
        .patch_status("a", &PatchParams::default(), &patch(version(&old)))
        .await;
    assert_eq!(code(stale.unwrap_err()), conflict);
    let fresh = api.get("a").await.unwrap();
    assert_eq!(fresh.status.as_ref().unwrap().id, None);
    let done = api
        .patch_status("a", &PatchParams::default(), &patch(version(&fresh)))
        .await
        .unwrap();
    assert_eq!(done.status.unwrap().id.as_deref(), Some("i-2"));
    old.metadata.resource_version = None;
    assert_eq!(
        code(api.replace("a", &PostParams::default(), &old).await.unwrap_err()).0,
        422
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_change_is_no_event() {
    let (cluster, api) = start();
    let a = api.create(&PostParams::default(), &server("a")).await.unwrap();
    let before = cluster.state().store.version();
    let same = api.replace("a", &PostParams::default(), &a).await.unwrap();
    assert_eq!(version(&same), version(&a));
    let patch = Patch::Merge(json!({"status": {"observedGeneration": -1}}));
    api.patch_status("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(cluster.state().store.version(), before);
    let log = cluster.writes();
    assert_eq!(
        log.iter().map(|w| (w.code, w.changed)).collect::<Vec<_>>(),
        [(201, true), (200, false), (200, false)]
    );
    assert_eq!(log[2].call.subresource.as_deref(), Some("status"));
    assert_eq!(cluster.requests("c")[&(Verb::Patch, "servers")], 1);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let (cluster, api) = start();
    let mut object = server("a");
    object.metadata.finalizers = Some(vec!["x/one".to_owned(), "x/two".to_owned()]);
    api.create(&PostParams::default(), &object).await.unwrap();
    let going = api
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .expect("still there");
    assert_eq!(
        (
            going.metadata.generation,
            going.metadata.deletion_timestamp.is_some()
        ),
        (Some(2), true)
    );
    let twice = api
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .expect("still there");
    assert_eq!(
        version(&twice),
        version(&going),
        "a second delete changes nothing"
    );

    let ops = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "x/one"}, {"op": "remove", "path": "/metadata/finalizers/0"}]);
    let http = http::Request::patch("/apis/evenkeel.dev/v1alpha1/namespaces/default/servers/a")
        .header("content-type", "application/json-patch+json")
        .body(serde_json::to_vec(&ops).unwrap())
        .unwrap();
    let left: Server = cluster.client("c").request(http).await.unwrap();
    assert_eq!(
        left.metadata.finalizers.as_deref(),
        Some(&["x/two".to_owned()][..])
    );
    let add = Patch::Merge(json!({"metadata": {"finalizers": ["x/two", "x/three"]}}));
    assert_eq!(
        code(api.patch("a", &PatchParams::default(), &add).await.unwrap_err()).0,
        422
    );

    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &none).await.unwrap();
    assert!(cluster.get(at("a")).is_none());
    cluster.apply(&manifest("b")).unwrap();
    cluster
        .edit(at("b"), |o| o["metadata"]["finalizers"] = json!(["x/one"]))
        .unwrap();
    cluster.force_delete(at("b")).unwrap();
    assert!(cluster.get(at("b")).is_none());
}

#[tokio::test(start_paused = true)]
async fn deletes_obey_preconditions() {
    let (_, api) = start();
    let a = api.create(&PostParams::default(), &server("a")).await.unwrap();
    let only = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    assert_eq!(
        code(api.delete("a", &only("other")).await.unwrap_err()),
        (409, "Conflict".to_owned())
    );
    let gone = api
        .delete("a", &only(a.metadata.uid.as_deref().unwrap()))
        .await
        .unwrap();
    assert!(gone.right().expect("a Status").is_success());
}

#[tokio::test(start_paused = true)]
async fn lists_are_selected_and_paged_as_of_their_first_page() {
    let (cluster, api) = start();
    for i in 0..5 {
        let mut object = manifest(&format!("s{i}"));
        object["metadata"]["labels"] = json!({"odd": (i % 2).to_string()});
        cluster.apply(&object).unwrap();
    }
    let mut elsewhere = manifest("z");
    elsewhere["metadata"]["namespace"] = json!("other");
    cluster.apply(&elsewhere).unwrap();
    let all: Api<Server> = Api::all(cluster.client("c"));
    assert_eq!(all.list(&ListParams::default()).await.unwrap().items.len(), 6);
    assert_eq!(
        api.list(&ListParams::default().labels("odd=1"))
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    assert_eq!(
        api.list(&ListParams::default().fields("metadata.name=s3"))
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(
        (first.items.len(), first.metadata.remaining_item_count),
        (2, Some(3))
    );
    cluster.delete(at("s4")).unwrap();
    cluster.apply(&manifest("s0a")).unwrap();
    let next = ListParams::default()
        .limit(9)
        .continue_token(first.metadata.continue_.as_ref().unwrap());
    let rest = api.list(&next).await.unwrap();
    let names: Vec<_> = rest
        .items
        .iter()
        .map(|s| s.metadata.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["s2", "s3", "s4"]);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    cluster.compact();
    assert_eq!(
        code(api.list(&next).await.unwrap_err()),
        (410, "Expired".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn built_in_kinds_and_metadata_alone_are_served() {
    let (cluster, _) = start();
    cluster
        .apply_yaml(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {clouds.yaml: hello}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: b}\n---\n\
             apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n",
        )
        .unwrap();
    let secrets: Api<Secret> = Api::default_namespaced(cluster.client("c"));
    assert_eq!(
        secrets.get("s").await.unwrap().data.unwrap()["clouds.yaml"].0,
        b"hello"
    );
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client("c"));
    let applied = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"id": "1"}}));
    maps.patch("made", &PatchParams::apply("me"), &applied)
        .await
        .unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 2);
    let crds: Api<
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    > = Api::all(cluster.client("c"));
    let crd = crds.get("servers.evenkeel.dev").await.unwrap();
    assert_eq!(crd.status.unwrap().conditions.unwrap()[0].type_, "Established");
    let partial: Api<PartialObjectMeta<Secret>> = Api::default_namespaced(cluster.client("c"));
    assert_eq!(
        partial.list(&ListParams::default()).await.unwrap().items[0]
            .metadata
            .name
            .as_deref(),
        Some("s")
    );
    let configs: Api<ProviderConfig> = Api::default_namespaced(cluster.client("c"));
    assert!(
        configs
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(cluster.client("c").apiserver_version().await.unwrap().minor, "33");
    assert!(cluster.read::<Secret>("default", "s").is_some());
}

/// A reflector in a task, and what it saw.
struct Seen {
    store: reflector::Store<Server>,
    events: Arc<Mutex<Vec<String>>>,
    changed: tokio::sync::watch::Receiver<u64>,
}

impl Seen {
    fn start(api: Api<Server>) -> Self {
        let (store, writer) = reflector::store();
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tell, changed) = tokio::sync::watch::channel(0);
        let log = Arc::clone(&events);
        let stream = reflector(writer, watcher(api, watcher::Config::default()).default_backoff());
        tokio::spawn(stream.for_each(move |event| {
            let line = match event {
                Ok(watcher::Event::Apply(s)) => format!("apply {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::Delete(s)) => format!("delete {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::Init) => "init".to_owned(),
                Ok(watcher::Event::InitApply(s)) => format!("init {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::InitDone) => "done".to_owned(),
                Err(error) => format!("error {error}"),
            };
            log.lock().unwrap().push(line);
            tell.send_modify(|n| *n += 1);
            futures::future::ready(())
        }));
        Self {
            store,
            events,
            changed,
        }
    }

    async fn until(&mut self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + 10 * MINUTE;
        loop {
            let now = self.events.lock().unwrap().clone();
            if wanted(&now) {
                return now;
            }
            let more = tokio::time::timeout_at(deadline, self.changed.changed()).await;
            assert!(more.is_ok(), "saw only {now:?}");
        }
    }

    async fn last(&mut self, line: &str) -> Vec<String> {
        self.until(|seen| seen.last().is_some_and(|l| l == line)).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_reflector_sees_what_happens() {
    let (cluster, api) = start();
    cluster.apply(&manifest("a")).unwrap();
    let mut seen = Seen::start(api.clone());
    seen.last("done").await;
    api.create(&PostParams::default(), &server("b")).await.unwrap();
    seen.last("apply b").await;
    cluster.edit_status(at("a"), |s| s["id"] = json!("i-1")).unwrap();
    seen.last("apply a").await;
    cluster.edit_status(at("a"), |s| s["id"] = json!("i-1")).unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let all = seen.last("delete b").await;
    assert_eq!(all, ["init", "init a", "done", "apply b", "apply a", "delete b"]);
    assert_eq!(seen.store.state().len(), 1);
    assert_eq!(
        seen.store.state()[0].status.as_ref().unwrap().id.as_deref(),
        Some("i-1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_or_ended_watch_resumes_without_a_new_list() {
    let (cluster, api) = start();
    let mut seen = Seen::start(api);
    seen.last("done").await;
    // Longer than any watch lasts, with nothing happening: bookmarks and timeouts on the way.
    tokio::time::sleep(20 * MINUTE).await;
    cluster.break_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    seen.until(|s| s.iter().any(|l| l == "apply a")).await;
    cluster.fault(Rule::new(Fault::WatchBreak).verb(Verb::Watch).on("servers"));
    cluster.break_watches("c");
    cluster.apply(&manifest("b")).unwrap();
    let all = seen.until(|s| s.iter().any(|l| l == "apply b")).await;
    assert_eq!(all.iter().filter(|l| *l == "init").count(), 1, "{all:?}");
    assert_eq!(cluster.requests("c")[&(Verb::List, "servers")], 1);
    assert!(cluster.requests("c")[&(Verb::Watch, "servers")] >= 6);
}

#[tokio::test(start_paused = true)]
async fn an_expired_watch_lists_again() {
    let (cluster, api) = start();
    let mut seen = Seen::start(api);
    seen.last("done").await;
    cluster.freeze_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    cluster.expire_watches("c");
    cluster.thaw_watches("c");
    let all = seen
        .until(|s| s.iter().filter(|l| *l == "done").count() == 2)
        .await;
    assert!(all.contains(&"init a".to_owned()), "{all:?}");
    // The history is cut under a watch that has to resume.
    cluster.freeze_watches("c");
    cluster.apply(&manifest("b")).unwrap();
    cluster.compact();
    cluster.break_watches("c");
    cluster.thaw_watches("c");
    let all = seen
        .until(|s| s.iter().filter(|l| *l == "done").count() == 3)
        .await;
    assert!(all.contains(&"init b".to_owned()), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_client_is_stale_and_the_other_is_not() {
    let (cluster, api) = start();
    let mut stale = Seen::start(api);
    let mut fresh = Seen::start(Api::namespaced(cluster.client("d"), "default"));
    stale.last("done").await;
    fresh.last("done").await;
    cluster.freeze_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    fresh.last("apply a").await;
    tokio::time::sleep(30 * MINUTE).await;
    assert!(stale.store.state().is_empty());
    cluster.thaw_watches("c");
    stale.last("apply a").await;
}

#[tokio::test(start_paused = true)]
async fn selectors_turn_changes_into_coming_and_going() {
    let (cluster, api) = start();
    let mut object = manifest("a");
    object["metadata"]["labels"] = json!({"on": "yes"});
    cluster.apply(&object).unwrap();
    let params = kube::api::WatchParams::default().labels("on=yes");
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    let kind = |event| match event {
        Some(kube::api::WatchEvent::Added(_)) => "added",
        Some(kube::api::WatchEvent::Modified(_)) => "modified",
        Some(kube::api::WatchEvent::Deleted(_)) => "deleted",
        _ => "other",
    };
    assert_eq!(kind(events.try_next().await.unwrap()), "added");
    for (label, want) in [("no", "deleted"), ("yes", "added")] {
        cluster
            .edit(at("a"), |o| o["metadata"]["labels"]["on"] = json!(label))
            .unwrap();
        assert_eq!(kind(events.try_next().await.unwrap()), want);
    }
    cluster
        .edit(at("a"), |o| o["spec"]["powerState"] = json!("Stopped"))
        .unwrap();
    assert_eq!(kind(events.try_next().await.unwrap()), "modified");
}

#[tokio::test(start_paused = true)]
async fn one_of_two_takes_a_lease() {
    let (cluster, _) = start();
    cluster
        .apply(&json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}))
        .unwrap();
    let race = |who: &'static str| {
        let api: Api<Lease> = Api::default_namespaced(cluster.client(who));
        async move {
            let mut lease = api.get("l").await.unwrap();
            lease.spec.as_mut().unwrap().holder_identity = Some(who.to_owned());
            api.replace("l", &PostParams::default(), &lease)
                .await
                .map(|l| l.spec.unwrap().holder_identity.unwrap())
        }
    };
    let (a, b) = tokio::join!(race("a"), race("b"));
    assert_eq!(a.unwrap(), "a");
    assert_eq!(code(b.unwrap_err()), (409, "Conflict".to_owned()));
    assert_eq!(
        cluster.get(("leases", "default", "l")).unwrap()["spec"]["holderIdentity"],
        "a"
    );
}

#[tokio::test(start_paused = true)]
async fn faults_meet_the_requests_they_were_ordered_for() {
    let (cluster, api) = start();
    let post = PostParams::default();
    let exists = |name: &str| cluster.get(at(name)).is_some();
    cluster.fault(
        Rule::new(Fault::LostReply)
            .client("c")
            .verb(Verb::Create)
            .on("servers")
            .nth(2),
    );
    api.create(&post, &server("a")).await.unwrap();
    assert!(!matches!(
        api.create(&post, &server("b")).await.unwrap_err(),
        kube::Error::Api(_)
    ));
    assert!(exists("b"), "applied, only the reply was lost");

    cluster.fault(Rule::new(Fault::Drop).named("d"));
    api.create(&post, &server("d")).await.unwrap_err();
    assert!(!exists("d"));
    for (fault, want) in [
        (Fault::Conflict, 409),
        (Fault::Status(503), 503),
        (Fault::Status(429), 429),
    ] {
        cluster.fault(Rule::new(fault).verb(Verb::Patch).status());
        let patch = Patch::Merge(json!({"status": {"id": "i"}}));
        assert_eq!(
            code(
                api.patch_status("a", &PatchParams::default(), &patch)
                    .await
                    .unwrap_err()
            )
            .0,
            want
        );
    }
    cluster.fault(Rule::new(Fault::Hang(MINUTE)).named("late"));
    let impatient = tokio::time::timeout(MINUTE / 2, api.create(&post, &server("late"))).await;
    assert!(impatient.is_err() && !exists("late"));
    cluster
        .wait_for(at("late"), MINUTE, |o| o.is_some())
        .await
        .unwrap();

    cluster.cut("c");
    api.get("a").await.unwrap_err();
    cluster.mend("c");
    api.get("a").await.unwrap();
    let log = cluster.writes();
    assert_eq!(
        log.iter().map(|w| w.code).collect::<Vec<_>>(),
        [201, 201, 0, 409, 503, 429, 201]
    );
    assert_eq!(log.iter().filter(|w| !w.replied).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hook_kills_a_client_exactly_before_or_after_its_nth_write() {
    for (phase, fault, applied) in [
        (Phase::Before, Fault::Drop, 1),
        (Phase::Before, Fault::Pass, 2),
        (Phase::After, Fault::Pass, 2),
    ] {
        let (cluster, api) = start();
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        let task = tokio::spawn(async move {
            for name in ["a", "b", "c"] {
                api.create(&PostParams::default(), &server(name)).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let victim = task.abort_handle();
        let order = fault.clone();
        cluster.on_write(move |event| {
            if event.n != 2 || event.phase != phase {
                return Fault::Pass;
            }
            victim.abort();
            order.clone()
        });
        assert!(task.await.unwrap_err().is_cancelled());
        cluster
            .wait_until("the write", MINUTE, |c| c.writes().len() == 2)
            .await
            .unwrap();
        assert_eq!(cluster.list("servers").len(), applied, "{phase:?} {fault:?}");
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_in_time_and_says_what_was_seen() {
    let (cluster, _) = start();
    cluster.apply(&manifest("a")).unwrap();
    let before = cluster.now();
    let never = cluster
        .wait_for(at("a"), MINUTE, |o| o.is_none())
        .await
        .unwrap_err();
    assert_eq!(cluster.now().duration_since(before).as_secs(), 60);
    assert!(
        never.last.contains("cirros") && never.to_string().contains("not seen within 60s"),
        "{never}"
    );
    let other = cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(MINUTE / 2).await;
        other.delete(at("a")).unwrap();
    });
    assert!(
        cluster
            .wait_for(at("a"), MINUTE, |o| o.is_none())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(cluster.now().duration_since(before).as_secs(), 90);
}
