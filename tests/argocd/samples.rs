//! The objects of `testdata`, as the controller left them in virtual time, and the tests of Argo CD's own layout.

use futures::future::FutureExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::fmt::Write as _;

use evenkeel::api::{ConditionType, ProviderConfig, Server, ServerGroup, keys};
use k8s_openapi::api::core::v1::Secret;

use crate::objects::played;
use crate::scenarios::stage::Stage;
use crate::scenarios::{deeds, groups};
use crate::{actions, scripts, tools, verdicts};

/// Kind, name of the object, file, and what tells the moment.
type Sample = (&'static str, &'static str, &'static str, fn(&Value) -> bool);

fn says(object: &Value, kind: &str, status: &str, reason: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let mut all = all.into_iter().flatten();
    current && all.any(|c| c["type"] == kind && c["status"] == status && c["reason"] == reason)
}

fn fresh(object: &Value) -> bool {
    object["status"]["observedGeneration"] == -1
}

const SAMPLES: &[Sample] = &[
    ("Server", "web", "unseen", fresh),
    ("Server", "web", "creating", |o| {
        says(o, "Reconciling", "True", "Creating")
    }),
    ("Server", "web", "running", |o| {
        says(o, "Ready", "True", "AsDeclared")
    }),
    ("Server", "web", "edited", |o| {
        let seen = o["status"]["observedGeneration"].as_i64();
        seen > Some(0) && seen < o["metadata"]["generation"].as_i64()
    }),
    ("Server", "web", "stopped", |o| {
        says(o, "Ready", "True", "AsDeclared") && o["status"]["power"]["observed"] == "Stopped"
    }),
    ("Server", "web", "paused", |o| says(o, "Paused", "True", "Paused")),
    ("Server", "web", "unreachable", |o| {
        says(o, "Ready", "Unknown", "Unreachable")
    }),
    ("Server", "wrong", "no-such-image", |o| {
        says(o, "Stalled", "True", "InvalidSpec")
    }),
    ("ServerGroup", "group", "unseen", fresh),
    ("ServerGroup", "group", "ready", |o| {
        says(o, "Ready", "True", "AsDeclared")
    }),
    ("ServerGroup", "group", "paused", |o| {
        says(o, "Paused", "True", "Paused")
    }),
    ("ServerAction", "snap", "unseen", fresh),
    ("ServerAction", "snap", "acting", |o| {
        says(o, "Reconciling", "True", "Acting")
    }),
    ("ServerAction", "snap", "complete", |o| {
        says(o, "Complete", "True", "Succeeded")
    }),
    ("ServerAction", "nothing", "not-allowed", |o| {
        says(o, "Stalled", "True", "NotAllowed")
    }),
    ("ProviderConfig", "cloud", "unseen", fresh),
    ("ProviderConfig", "cloud", "reachable", |o| {
        says(o, "Ready", "True", "Reachable")
    }),
    ("ProviderConfig", "cloud", "suspended", |o| {
        says(o, "Ready", "True", "Suspended")
    }),
    ("ProviderConfig", "cloud", "no-secret", |o| {
        says(o, "Ready", "False", "CredentialsMissing")
    }),
];

async fn story(s: &Stage) {
    s.create("web", json!({})).await;
    s.ready("web").await;
    deeds::ask(s, "snap", "web", json!({"createImage": {"name": "before"}})).await;
    deeds::ended(s, "snap").await;
    deeds::ask(s, "nothing", "web", json!({"confirmResize": {}})).await;
    deeds::ended(s, "nothing").await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    s.ready_in("web", "Stopped").await;
    s.world.outage(true).await;
    s.reason("web", ConditionType::Ready, "Unknown", "Unreachable")
        .await;
    s.world.outage(false).await;
    s.ready("web").await;
    s.create("wrong", json!({"image": {"name": "no-such-image"}}))
        .await;
    s.reason("wrong", ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    s.remove("wrong").await;
    groups::make(s, "group", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    groups::ready(s, "group").await;
    let pause = json!({"metadata": {"annotations": {keys::PAUSED: "true"}}});
    s.patch::<ServerGroup>("group", pause.clone()).await;
    groups::reason(s, "group", ConditionType::Paused, "True", "Paused").await;
    s.patch::<Server>("web", pause).await;
    s.reason("web", ConditionType::Paused, "True", "Paused").await;
    let account = |on: bool| json!({"spec": {"suspend": on}});
    let said = |what: &'static str| {
        move |c: &ProviderConfig| {
            says(
                &serde_json::to_value(c).unwrap(),
                "Ready",
                what_status(what),
                what,
            )
        }
    };
    s.patch::<ProviderConfig>("cloud", account(true)).await;
    s.wait_for("cloud", "suspended", said("Suspended")).await;
    s.patch::<ProviderConfig>("cloud", account(false)).await;
    s.wait_for("cloud", "reachable", said("Reachable")).await;
    s.api::<Secret>()
        .delete("cloud", &DeleteParams::default())
        .await
        .unwrap();
    s.wait_for("cloud", "without its Secret", said("CredentialsMissing"))
        .await;
}

fn what_status(reason: &str) -> &'static str {
    if reason == "CredentialsMissing" {
        "False"
    } else {
        "True"
    }
}

/// The files of `testdata`, and the lists of tests that Argo CD's repository wants beside them.
#[test]
fn the_test_data_are_what_the_controller_writes() {
    let written = played(|_, s| story(s).boxed());
    let mut stale = Vec::new();
    for kind in scripts::kinds() {
        let mut tests = String::from("tests:\n");
        for (_, name, file, moment) in SAMPLES.iter().filter(|(k, ..)| *k == kind) {
            let of = |o: &&Value| o["kind"] == kind.as_str() && o["metadata"]["name"] == *name;
            let object = written.iter().filter(of).find(|o| moment(o));
            let object = object.unwrap_or_else(|| panic!("{kind} {name} was never {file}"));
            let mut object = object.clone();
            // It counts every write of the story, and tells nothing.
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("resourceVersion");
            let path = format!("testdata/{file}.yaml");
            let text = serde_saphyr::to_string(&object).unwrap();
            if !scripts::made(&scripts::folder(&kind).join(&path), &text) {
                stale.push(format!("{kind}/{path}"));
            }
            let (status, message) = verdicts::health(&object);
            writeln!(
                tests,
                "- healthStatus:\n    status: {status}\n    message: {}\n  inputPath: {path}",
                Value::from(message)
            )
            .unwrap();
        }
        if !scripts::made(&scripts::folder(&kind).join("health_test.yaml"), &tests) {
            stale.push(format!("{kind}/health_test.yaml"));
        }
    }
    stale.extend(actions::stale());
    assert!(stale.is_empty(), "out of date, make generate: {stale:?}");
}

/// `health_test.yaml` of every kind, as Argo CD's own tests run it.
#[test]
fn the_tests_of_the_layout_pass() {
    let Some(bin) = tools::argocd() else { return };
    for kind in scripts::kinds() {
        let folder = scripts::folder(&kind);
        let tests = scripts::yaml(&folder.join("health_test.yaml"));
        let tests = tests["tests"].as_array().unwrap();
        let objects: Vec<Value> = tests
            .iter()
            .map(|t| scripts::yaml(&folder.join(t["inputPath"].as_str().unwrap())))
            .collect();
        let said = verdicts::ask_argocd(&bin, &scripts::patch(), &objects).unwrap();
        for (test, said) in tests.iter().zip(&said) {
            assert_eq!(*said, test["healthStatus"], "{kind} {}", test["inputPath"]);
        }
        assert!(tests.len() >= 3, "{kind}");
    }
}
