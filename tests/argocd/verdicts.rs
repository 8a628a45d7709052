//! Health by Argo CD and kstatus by Flux, over every status that the controller writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use evenkeel::api::keys;
use serde_json::{Value, json};

use crate::objects::{Objects, of_passing_faults, of_scenarios, of_switches, of_tables, played};
use crate::{scripts, tools};

/// Everything that was ever written, by essence.
fn all() -> &'static [Value] {
    static ALL: OnceLock<Vec<Value>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = Objects::default();
        for part in [of_tables(), of_scenarios(), of_switches(), of_passing_faults()] {
            all.add(part.into_vec());
        }
        all.into_vec()
    })
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|c| c["type"] == kind)
}

fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

fn words(object: &Value, kind: &str) -> String {
    condition(object, kind).map_or("Waiting for the controller to say more".to_owned(), |c| {
        format!(
            "{}: {}",
            c["reason"].as_str().unwrap(),
            c["message"].as_str().unwrap()
        )
    })
}

fn deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn unseen(object: &Value) -> bool {
    let status = &object["status"];
    let unseen = status["observedGeneration"] != object["metadata"]["generation"];
    unseen || status["conditions"].is_null()
}

fn paused(object: &Value) -> bool {
    let annotation = &object["metadata"]["annotations"][keys::PAUSED];
    annotation.as_str().is_some_and(|v| v != "false")
}

/// Whether it is its account that is suspended.
fn by_account(object: &Value) -> bool {
    words(object, "Paused").starts_with("Suspended: ")
}

/// What Argo CD is to say: the contract of `docs/gitops.md`.
pub fn health(object: &Value) -> (&'static str, String) {
    if deleted(object) {
        ("Progressing", "Pending deletion".to_owned())
    } else if unseen(object) {
        (
            "Progressing",
            "Waiting for the controller to see the object".to_owned(),
        )
    } else if holds(object, "Stalled") {
        ("Degraded", words(object, "Stalled"))
    } else if holds(object, "Paused") && !(by_account(object) && holds(object, "Ready")) {
        ("Suspended", words(object, "Paused"))
    } else if paused(object) {
        ("Suspended", format!("The annotation {} is set", keys::PAUSED))
    } else if holds(object, "Ready") {
        ("Healthy", words(object, "Ready"))
    } else {
        ("Progressing", words(object, "Ready"))
    }
}

/// What kstatus is to say.
fn kstatus(object: &Value) -> &'static str {
    if deleted(object) {
        "Terminating"
    } else if unseen(object) || holds(object, "Reconciling") {
        "InProgress"
    } else if holds(object, "Stalled") {
        "Failed"
    } else if holds(object, "Ready") {
        "Current"
    } else {
        "InProgress"
    }
}

/// Asks Argo CD with the scripts of a ConfigMap.
pub fn ask_argocd(bin: &Path, config: &Path, objects: &[Value]) -> Result<Vec<Value>, String> {
    tools::ask(
        Command::new(bin.join("argocd-lua")).arg("health").arg(config),
        objects,
    )
}

/// Where Argo CD disagrees with the contract.
pub fn disagreements(bin: &Path, config: &Path, objects: &[Value]) -> Result<Vec<String>, String> {
    let said = ask_argocd(bin, config, objects)?;
    let differ = objects.iter().zip(&said).filter_map(|(object, said)| {
        let (status, message) = health(object);
        let wanted = json!({"status": status, "message": message});
        (*said != wanted).then(|| format!("{said}, not {wanted}: {object}"))
    });
    Ok(differ.collect())
}

/// Where kstatus disagrees with the contract.
pub fn kstatus_disagreements(program: &Path, objects: &[Value]) -> Vec<String> {
    let said = tools::ask(&mut Command::new(program), objects).unwrap();
    let differ = objects.iter().zip(&said).filter_map(|(object, said)| {
        let wanted = kstatus(object);
        (said["status"] != wanted).then(|| format!("{said}, not {wanted}: {object}"))
    });
    differ.collect()
}

fn counts(of: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    of.fold(BTreeMap::new(), |mut counts, what| {
        *counts.entry(what).or_default() += 1;
        counts
    })
}

#[test]
fn argo_cd_says_of_every_status_what_its_conditions_mean() {
    let Some(bin) = tools::argocd() else { return };
    let wrong = disagreements(&bin, &scripts::patch(), all()).unwrap();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), all().len());
    let seen = counts(all().iter().map(|o| {
        let kind = o["kind"].as_str().unwrap();
        format!("{kind} {}", health(o).0)
    }));
    for kind in scripts::kinds() {
        // Nobody pauses an account but git, and what git wishes holds no wave up. A deed has no brake of its own.
        let brakes = kind != "ProviderConfig" && kind != "ServerAction";
        let suspended = brakes.then_some("Suspended");
        for status in ["Progressing", "Healthy"].into_iter().chain(suspended) {
            let of = format!("{kind} {status}");
            assert!(seen.contains_key(&of), "no {of} was judged: {seen:?}");
        }
    }
    assert!(
        seen["Server Degraded"] > 10 && all().len() > 120,
        "{}: {seen:?}",
        all().len()
    );
}

/// A script with a fault in it is found out, whichever fault it is.
#[test]
fn a_wrong_script_is_found_out() {
    let Some(bin) = tools::argocd() else { return };
    let text = scripts::text(&scripts::patch());
    let faults = [
        ("status.observedGeneration ~= obj.metadata.generation", "false"),
        ("if holds(\"Stalled\")", "if false"),
        ("status = \"Degraded\"", "status = \"Progressing\""),
        ("if holds(\"Paused\")", "if false"),
        ("condition.Paused.reason == \"Suspended\" and ", ""),
        (" and holds(\"Ready\"))", ")"),
        ("not (condition.Paused", "true or (condition.Paused"),
        ("if paused ~= \"false\"", "if false"),
        ("if holds(\"Ready\")", "if not holds(\"Stalled\")"),
        ("status = \"Healthy\"", "status = \"Suspended\""),
        (
            "condition[kind].status == \"True\"",
            "condition[kind].status ~= \"False\"",
        ),
        ("c.reason .. \": \" .. ", ""),
        (
            "return { status = \"Progressing\", message = words(\"Ready\") }",
            "",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("argocd-cm.yaml");
    for (right, wrong) in faults {
        assert!(text.contains(right), "{right}");
        std::fs::write(&path, text.replace(right, wrong)).unwrap();
        // A script that ends in an error counts as found out.
        let found = disagreements(&bin, &path, all()).map_or(true, |wrong| !wrong.is_empty());
        assert!(found, "nothing shows {wrong:?} instead of {right:?}");
    }
}

/// Degraded and Unknown end a sync of Argo CD. What passes by itself is neither.
#[test]
fn what_passes_by_itself_never_ends_a_sync() {
    let Some(bin) = tools::argocd() else { return };
    let objects = of_passing_faults().into_vec();
    let said = ask_argocd(&bin, &scripts::patch(), &objects).unwrap();
    let ends = |said: &Value| said["status"] == "Degraded" || said["status"] == "Unknown";
    let wrong: Vec<_> = objects.iter().zip(&said).filter(|(_, s)| ends(s)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(objects.len() > 20, "{}", objects.len());
}

#[test]
fn kstatus_says_of_every_status_what_its_conditions_mean() {
    let Some(program) = tools::kstatus() else { return };
    let wrong = kstatus_disagreements(&program, all());
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), all().len());
    let seen = counts(all().iter().map(|o| kstatus(o).to_owned()));
    for status in ["InProgress", "Current", "Failed", "Terminating"] {
        assert!(seen.get(status) > Some(&5), "{seen:?}");
    }
    // Argo CD and Flux never contradict each other.
    for object in all().iter().filter(|o| !deleted(o)) {
        let pair = (health(object).0, kstatus(object));
        let agree = matches!(
            pair,
            ("Progressing", "InProgress")
                | ("Degraded", "Failed")
                | ("Healthy", "Current")
                | ("Suspended", "Current" | "InProgress")
        );
        assert!(agree, "{pair:?}: {object}");
    }
}

/// Without the default of the definitions an object that nobody has seen would count as done.
#[test]
fn an_object_that_nobody_has_seen_is_in_progress() {
    let Some(program) = tools::kstatus() else { return };
    let made = played(|_, s| {
        Box::pin(async move {
            s.create("web", json!({})).await;
            crate::scenarios::groups::make(s, "g", json!({})).await;
            crate::scenarios::deeds::ask(s, "deed", "web", json!({"reboot": {}})).await;
        })
    });
    let mut seen: Vec<Value> = Vec::new();
    for kind in scripts::kinds() {
        let fresh = made.iter().find(|o| o["kind"] == kind.as_str()).unwrap();
        assert_eq!(fresh["status"], json!({"observedGeneration": -1}), "{kind}");
        seen.push(fresh.clone());
        let mut bare = fresh.clone();
        bare.as_object_mut().unwrap().remove("status");
        seen.push(bare);
    }
    let said = tools::ask(&mut Command::new(&program), &seen).unwrap();
    for pair in said.chunks(2) {
        assert_eq!(
            (&pair[0]["status"], &pair[1]["status"]),
            (&json!("InProgress"), &json!("Current"))
        );
    }
}
