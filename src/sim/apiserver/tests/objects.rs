//! Objects: written, read, refused.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;

use crate::api::ProviderConfig;

use super::*;

#[tokio::test(start_paused = true)]
async fn creation_fills_in_what_the_server_owns() {
    let (cluster, api) = start();
    tokio::time::advance(Duration::from_millis(90_500)).await;
    let made = api.create(&PostParams::default(), &server("a")).await.unwrap();
    assert_eq!(
        made.metadata.uid.as_deref(),
        Some("00000000-0000-4000-8000-000000000005")
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
