//! The actions of `deploy/argocd`, run by Argo CD's own machine as its server runs them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use evenkeel::api::keys;
use serde_json::{Value, json};

use crate::scenarios::cluster::merge;
use crate::{scripts, tools};

/// Stands for the time at which an action was taken.
const SOME_TIME: &str = "0001-01-01T00:00:00Z";
/// Annotations whose value is that time.
const TIMES: &[&str] = &[keys::RECONCILE_REQUESTED_AT, keys::RETRY];
/// Action, the sample that it is taken on, and what it does to the annotations.
const ACTIONS: &[(&str, &str, &str, Option<&str>)] = &[
    (
        "reconcile",
        "READY",
        keys::RECONCILE_REQUESTED_AT,
        Some(SOME_TIME),
    ),
    ("retry", "READY", keys::RETRY, Some(SOME_TIME)),
    ("pause", "READY", keys::PAUSED, Some("true")),
    ("resume", "paused", keys::PAUSED, None),
];
/// Kinds with actions, and the sample that is called READY above.
const KINDS: &[(&str, &str)] = &[("Server", "running"), ("ServerGroup", "ready")];

/// What an action makes of an object.
pub fn taken(bin: &Path, action: &str, object: &Value) -> Value {
    let mut command = Command::new(bin.join("argocd-lua"));
    command.arg("act").arg(scripts::patch()).arg(action);
    let objects = std::slice::from_ref(object);
    tools::ask(&mut command, objects).unwrap().remove(0)
}

fn sample(kind: &str, name: &str) -> Value {
    scripts::yaml(&scripts::folder(kind).join(format!("testdata/{name}.yaml")))
}

fn of_kind<'a>(ready: &'a str, name: &'a str) -> &'a str {
    if name == "READY" { ready } else { name }
}

fn timeless(mut object: Value) -> Value {
    for key in TIMES {
        if let Some(time) = object["metadata"]["annotations"].get_mut(*key) {
            assert!(
                time.as_str().is_some_and(|t| t.ends_with('Z') && t.len() == 20),
                "{time}"
            );
            *time = json!(SOME_TIME);
        }
    }
    object
}

fn list(paused: bool) -> Value {
    let action = |name: &str, title: &str, icon: &str, disabled: bool| {
        let mut action =
            json!({"name": name, "displayName": title, "iconClass": format!("fa fa-fw fa-{icon}")});
        if disabled {
            action["disabled"] = json!(true);
        }
        action
    };
    json!([
        action("pause", "Pause", "pause", paused),
        action("reconcile", "Reconcile", "refresh", false),
        action("resume", "Resume", "play", !paused),
        action("retry", "Retry", "redo", false),
    ])
}

/// The expected objects, and the list of tests that Argo CD's repository wants beside them.
#[test]
fn the_tests_of_actions_are_up_to_date() {
    let mut stale = Vec::new();
    for (kind, ready) in KINDS {
        let names: Vec<&str> = ACTIONS.iter().map(|(name, ..)| *name).collect();
        let mut found = scripts::actions(kind);
        found.sort_by_key(|f| names.iter().position(|n| n == f));
        assert_eq!(found, names, "{kind}");
        let folder = scripts::folder(kind).join("actions");
        let mut tests = String::from("discoveryTests:\n");
        for (input, paused) in [(*ready, false), ("paused", true)] {
            let result = list(paused);
            writeln!(tests, "- inputPath: ../testdata/{input}.yaml\n  result: {result}").unwrap();
        }
        tests += "actionTests:\n";
        for (action, input, key, value) in ACTIONS {
            let input = of_kind(ready, input);
            let mut object = sample(kind, input);
            match value {
                Some(value) => merge(&mut object, json!({"metadata": {"annotations": {*key: value}}})),
                None => {
                    object["metadata"]["annotations"]
                        .as_object_mut()
                        .unwrap()
                        .remove(*key);
                }
            }
            let path = format!("testdata/{action}.yaml");
            let text = serde_saphyr::to_string(&object).unwrap();
            if !scripts::made(&folder.join(&path), &text) {
                stale.push(format!("{kind}/actions/{path}"));
            }
            writeln!(
                tests,
                "- action: {action}\n  inputPath: ../testdata/{input}.yaml\n  expectedOutputPath: {path}"
            )
            .unwrap();
        }
        if !scripts::made(&folder.join("action_test.yaml"), &tests) {
            stale.push(format!("{kind}/actions/action_test.yaml"));
        }
    }
    assert!(stale.is_empty(), "out of date, make generate: {stale:?}");
}

/// `action_test.yaml` of every kind that has actions. They change annotations and nothing else.
#[test]
fn actions_change_one_annotation() {
    let Some(bin) = tools::argocd() else { return };
    for (kind, _) in KINDS {
        let folder = scripts::folder(kind).join("actions");
        let tests = scripts::yaml(&folder.join("action_test.yaml"));
        for test in tests["discoveryTests"].as_array().unwrap() {
            let input = scripts::yaml(&folder.join(test["inputPath"].as_str().unwrap()));
            let mut command = Command::new(bin.join("argocd-lua"));
            command.arg("discover").arg(scripts::patch());
            let mut said = tools::ask(&mut command, &[input]).unwrap().remove(0);
            let said = said.as_array_mut().unwrap();
            said.sort_by_key(|a| a["name"].as_str().unwrap().to_owned());
            assert_eq!(
                Value::from(std::mem::take(said)),
                test["result"],
                "{kind} {}",
                test["inputPath"]
            );
        }
        for test in tests["actionTests"].as_array().unwrap() {
            let input = scripts::yaml(&folder.join(test["inputPath"].as_str().unwrap()));
            let wanted = scripts::yaml(&folder.join(test["expectedOutputPath"].as_str().unwrap()));
            let made = taken(&bin, test["action"].as_str().unwrap(), &input);
            assert_eq!(timeless(made), wanted, "{kind} {}", test["action"]);
            assert_eq!(wanted["spec"], input["spec"]);
        }
    }
}
