//! The chart and deploy/ install the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::helm::{chart, documents, identity, template};
use crate::support::kube::cluster;

/// Labels that only a chart gives: which release of which chart an object belongs to.
const OF_HELM: &[&str] = &[
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];
/// Labels that kustomize gives to the definitions too. The chart leaves their text as it is.
const OF_KUSTOMIZE: &[&str] = &["app.kubernetes.io/name", "app.kubernetes.io/part-of"];

/// What every way of kustomize needs.
const BEFORE: &[&str] = &["deploy/protection", "deploy/foundation"];

/// Each way of kustomize, and the values that make the chart render the same.
const WAYS: &[(&str, &str)] = &[
    ("deploy/default", "default"),
    ("deploy/namespaced", "namespaced"),
    ("deploy/overlays/production", "production"),
    ("deploy/overlays/shared", "shared"),
];

fn drop_keys(object: &mut Value, place: &str, keys: &[&str]) {
    let Some(map) = object["metadata"][place].as_object_mut() else {
        return;
    };
    for key in keys {
        map.remove(*key);
    }
    if map.is_empty() {
        object["metadata"].as_object_mut().unwrap().remove(place);
    }
}

/// By identity, without what is listed above.
fn plain(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for mut object in objects {
        // The namespace is --create-namespace's with helm; the Pod is the one of `helm test`.
        if object["kind"] == "Namespace" || object["metadata"]["annotations"].get("helm.sh/hook").is_some() {
            continue;
        }
        drop_keys(&mut object, "labels", OF_HELM);
        if object["kind"] == "CustomResourceDefinition" {
            drop_keys(&mut object, "labels", OF_KUSTOMIZE);
            drop_keys(&mut object, "annotations", &["helm.sh/resource-policy"]);
        }
        let name = identity(&object);
        assert!(all.insert(name.clone(), object).is_none(), "{name} twice");
    }
    all
}

/// However often a controller is deleted by its folder, nothing is touched that every Server depends on.
#[test]
fn what_is_deleted_with_a_controller_takes_no_server_along() {
    let of = |folder: &str| documents(&crate::rendered(cluster(), folder));
    let kind = |o: &Value| o["kind"].as_str().unwrap_or_default().to_owned();
    let stays = of("deploy/foundation");
    for (folder, _) in WAYS {
        for object in of(folder) {
            let (kind, name) = (kind(&object), identity(&object));
            assert!(!stays.iter().any(|o| identity(o) == name), "{folder}: {name}");
            assert!(
                kind != "CustomResourceDefinition" && kind != "Namespace",
                "{folder}: {name}"
            );
            assert!(!name.contains("crd-protection"), "{folder}: {name}");
        }
    }
    let policies = of("deploy/protection");
    assert!(
        policies.len() == 2
            && policies
                .iter()
                .all(|o| kind(o).starts_with("ValidatingAdmissionPolicy"))
    );
    // Nor is it pruned: by Argo CD, by Flux, and where the chart is rendered by either.
    let chart = template(&[]);
    let definitions = chart
        .into_iter()
        .filter(|o| kind(o) == "CustomResourceDefinition");
    let all: Vec<Value> = stays.into_iter().chain(definitions).collect();
    let plural = |o: &&Value| kind(o) == "CustomResourceDefinition";
    assert_eq!(
        all.iter().filter(plural).count(),
        2 * documents(&crate::rendered(cluster(), "deploy/crds")).len()
    );
    for object in all {
        let notes = &object["metadata"]["annotations"];
        let name = identity(&object);
        assert_eq!(
            notes["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false",
            "{name}"
        );
        assert_eq!(notes["kustomize.toolkit.fluxcd.io/prune"], "disabled", "{name}");
    }
}

/// Where two values differ.
fn differences(path: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|k| !x.contains_key(*k))) {
                differences(&format!("{path}.{key}"), &a[key], &b[key], found);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                differences(&format!("{path}[{i}]"), x, y, found);
            }
        }
        // kustomize writes 1.0 as 1.
        (Value::Number(x), Value::Number(y)) if x.as_f64() == y.as_f64() => {}
        _ if a == b => {}
        _ => found.push(format!("{path}: chart {a}, kustomize {b}")),
    }
}

#[test]
fn chart_and_kustomize_render_the_same_objects() {
    for (folder, values) in WAYS {
        let by_chart = plain(template(&["-f", &format!("{}/ci/{values}-values.yaml", chart())]));
        let folders = BEFORE.iter().chain([folder]);
        let texts: Vec<String> = folders.map(|f| crate::rendered(cluster(), f)).collect();
        let by_kustomize = plain(documents(&texts.join("\n---\n")));
        let names = |m: &BTreeMap<String, Value>| m.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&by_chart), names(&by_kustomize), "{folder}");
        let mut found = Vec::new();
        for (name, object) in &by_chart {
            differences(name, object, &by_kustomize[name], &mut found);
        }
        assert!(found.is_empty(), "{folder}:\n{}", found.join("\n"));
        assert!(by_chart.len() >= 13, "{folder}: {}", by_chart.len());
    }
}

#[test]
fn a_difference_would_be_found() {
    let a = json!({"spec": {"list": [{"x": 1}], "only": true}});
    let b = json!({"spec": {"list": [{"x": 2}]}, "more": 1});
    let mut found = Vec::new();
    differences("o", &a, &b, &mut found);
    assert_eq!(found.len(), 3, "{found:?}");
}
