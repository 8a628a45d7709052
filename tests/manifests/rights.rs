//! The rights of the controller: those that it needs, and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, only, template};
use crate::kubelet::{account, command};
use crate::support::kube::Cluster;

/// One right in words, as `evenkeel doctor` says it.
pub fn rights(rules: &Value, place: &str) -> BTreeSet<String> {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|w| w.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        let names = words(rule, "resourceNames");
        let name = names.first().map(|n| format!(" {n}")).unwrap_or_default();
        assert!(names.len() < 2 && rule.get("nonResourceURLs").is_none(), "{rule}");
        for group in words(rule, "apiGroups") {
            let group = if group.is_empty() {
                group
            } else {
                format!(".{group}")
            };
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    all.insert(format!("{verb} {resource}{group}{name} in {place}"));
                }
            }
        }
    }
    all
}

/// Runs the pod of `helm test` as its account; whether it is content, and what it says.
fn doctor(cluster: &Cluster, pod: &Value) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = account(cluster, NAMESPACE, "evenkeel", folder.path());
    let mut pod = pod.clone();
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    let out = command(&pod, &kubeconfig).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8(said).unwrap())
}

/// What it says that the account may do.
fn may(said: &str) -> BTreeSet<String> {
    said.lines()
        .filter_map(|l| l.strip_prefix("ok   may "))
        .filter(|l| !l.starts_with("not "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_granted_is_what_the_program_asks_for() {
    let cluster = crate::installed();
    for values in [&[][..], &["--set", "watchNamespaces={team-a,team-b}"]] {
        let objects = template(values);
        let mut granted = BTreeSet::new();
        for object in objects
            .iter()
            .filter(|o| o["kind"] == "Role" || o["kind"] == "ClusterRole")
        {
            let place = object["metadata"]["namespace"]
                .as_str()
                .map_or_else(|| "every namespace".to_owned(), |n| format!("namespace {n}"));
            granted.extend(rights(&object["rules"], &place));
        }
        // The account of deploy/default may do the same everywhere, so that all its answers are yes.
        let (content, said) = doctor(cluster, only(&objects, "Pod"));
        assert!(
            content && said.contains("evenkeel.dev/v1alpha1 is served"),
            "{said}"
        );
        assert_eq!(granted, may(&said), "chart (left) and program (right)");
        for right in &granted {
            for never in [
                "*",
                "escalate",
                "bind",
                "impersonate",
                "list secrets",
                "watch secrets",
                "delete ",
            ] {
                assert!(!right.contains(never), "{right}");
            }
        }
    }
}

#[test]
fn without_writing_secrets_the_program_is_content_and_says_what_is_missing() {
    let objects = template(&["--set", "rbac.writeSecrets=false"]);
    let rules = rights(&only(&objects, "ClusterRole")["rules"], "x");
    assert!(
        !rules.contains("create secrets in x") && rules.contains("get secrets in x"),
        "{rules:?}"
    );
}

/// One account after the other lacks one rule: the doctor must see each.
#[test]
fn the_doctor_finds_every_missing_right() {
    let cluster = crate::installed();
    let ns = cluster.namespace("sick");
    let objects = template(&["--set", &format!("watchNamespaces={{{}}}", ns.name)]);
    let mut pod = only(&objects, "Pod").clone();
    let mut rules: Vec<Value> = Vec::new();
    for role in objects.iter().filter(|o| o["kind"] == "Role") {
        for rule in role["rules"].as_array().unwrap() {
            // One resource and one verb a rule, so that each can be taken away alone.
            for resource in rule["resources"].as_array().unwrap() {
                for verb in rule["verbs"].as_array().unwrap() {
                    let mut one = rule.clone();
                    (one["resources"], one["verbs"]) = (json!([resource]), json!([verb]));
                    rules.push(one);
                }
            }
        }
    }
    // Lease and ConfigMap are asked for in the same namespace here.
    pod["metadata"]["namespace"] = json!(ns.name);
    assert!(rules.len() > 20, "{}", rules.len());
    ns.kubectl(&["create", "serviceaccount", "patient"]).ok().unwrap();
    let subject = format!("--serviceaccount={}:patient", ns.name);
    ns.kubectl(&["create", "rolebinding", "patient", "--role=patient", &subject])
        .ok()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = account(cluster, &ns.name, "patient", folder.path());
    let ask = |rules: &[Value]| {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "patient"}, "rules": rules,
        });
        ns.kubectl_with(&["apply", "-f", "-"], Some(&role)).ok().unwrap();
        let out = command(&pod, &kubeconfig).output().unwrap();
        (
            out.status.success(),
            String::from_utf8([out.stdout, out.stderr].concat()).unwrap(),
        )
    };
    let soon = std::time::Duration::from_secs(20);
    let words = |rule: &Value| {
        let all = rights(&json!([rule]), &format!("namespace {}", ns.name));
        format!("may not {}", all.first().unwrap())
    };
    crate::support::kube::eventually("all rights to be seen", soon, || ask(&rules).0.then_some(()));
    // Every fourth and those that are optional: all of them would take a minute and show no more.
    for missing in (0..rules.len())
        .step_by(4)
        .chain((0..rules.len()).filter(|n| words(&rules[*n]).contains("secrets")))
    {
        let words = words(&rules[missing]);
        let mut left = rules.clone();
        left.remove(missing);
        crate::support::kube::eventually(&words, soon, || {
            let (content, said) = ask(&left);
            let optional = words.contains("create secrets") || words.contains("update secrets");
            (content == optional && said.contains(&words)).then_some(())
        });
    }
}
