//! The rights of the controller: those that it needs, and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, only, template};
use crate::kubelet::{account, command};
use crate::support::kube::{Cluster, eventually};

/// A right is seen a moment after it was granted.
const SOON: Duration = Duration::from_secs(20);

/// One right in words, as `evenkeel doctor` says it.
pub fn rights(rules: &Value, place: &str) -> BTreeSet<String> {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|w| w.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        let mut names = words(rule, "resourceNames");
        names.iter_mut().for_each(|n| n.insert(0, ' '));
        if names.is_empty() {
            names.push(String::new());
        }
        assert!(rule.get("nonResourceURLs").is_none(), "{rule}");
        for group in words(rule, "apiGroups") {
            let group = if group.is_empty() {
                group
            } else {
                format!(".{group}")
            };
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    all.extend(
                        names
                            .iter()
                            .map(|name| format!("{verb} {resource}{group}{name} in {place}")),
                    );
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
    for values in [
        &[][..],
        &["--set", "watchNamespaces={team-a,team-b}"],
        &[
            "--set",
            "watchNamespaces={team-a,team-b},rbac.secretNames={helsinki,rescue}",
        ],
    ] {
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
                // Those that are over, and said that they go then.
                let own = right.starts_with("delete serveractions.evenkeel.dev ");
                assert!(own || !right.contains(never), "{right}");
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

/// What a guest writes on its console goes into a ConfigMap only where that is switched on, and only then the right is granted
/// and asked for.
#[test]
fn consoles_are_a_right_of_their_own() {
    let cluster = crate::installed();
    let ns = cluster.namespace("consoles");
    let of = |on: bool| {
        let values = format!("watchNamespaces={{{}}},consoleOutput.enabled={on}", ns.name);
        let objects = template(&["--set", &values]);
        let named = |o: &&Value| o["kind"] == "Role" && o["metadata"]["name"] == "evenkeel-servers";
        let rules = objects.iter().find(named).unwrap()["rules"]
            .as_array()
            .unwrap()
            .clone();
        (rules, only(&objects, "Pod").clone())
    };
    let ((off, _), (on, pod)) = (of(false), of(true));
    let more: Vec<&Value> = on.iter().filter(|r| !off.contains(r)).collect();
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]});
    assert_eq!((more, on.len()), (vec![&rule], off.len() + 1));
    // The account of deploy/default lacks it, and the doctor sees that.
    let lacks = format!("FAIL may not create configmaps in namespace {}", ns.name);
    let (content, said) = doctor(cluster, &pod);
    assert!(!content && said.contains(&lacks), "{said}");
    let group = "rbac.authorization.k8s.io";
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "consoles"}, "rules": [rule]},
        {"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "consoles"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "consoles"},
            "subjects": [{"kind": "ServiceAccount", "name": "evenkeel", "namespace": NAMESPACE}]},
    ]});
    ns.create(&list).ok().unwrap();
    let granted = format!("ok   may create configmaps in namespace {}", ns.name);
    eventually("the doctor to be content", SOON, || {
        let (content, said) = doctor(cluster, &pod);
        (content && said.contains(&granted)).then_some(())
    });
}

/// With `rbac.secretNames` the account reads what it is bound to, and no other Secret of the namespace.
#[test]
fn secrets_that_are_not_named_cannot_be_read() {
    let cluster = crate::installed();
    let ns = cluster.namespace("bound");
    let values = format!(
        "watchNamespaces={{{}}},rbac.secretNames={{helsinki,rescue}}",
        ns.name
    );
    let objects = template(&["--set", &values]);
    let role = objects
        .iter()
        .find(|o| o["kind"] == "Role" && o["metadata"]["name"] == "evenkeel-servers");
    let rules = role.unwrap()["rules"].as_array().unwrap().clone();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": patient("bound", &ns.name, &rules)});
    ns.create(&list).ok().unwrap();
    let subject = format!("--as=system:serviceaccount:{}:bound", ns.name);
    let may =
        |verb: &str, what: &str| ns.kubectl(&["auth", "can-i", verb, what, &subject]).out.trim() == "yes";
    eventually("the named ones to be readable", SOON, || {
        (may("get", "secret/helsinki") && may("update", "secret/rescue")).then_some(())
    });
    for (verb, what) in [
        ("get", "secrets"),
        ("get", "secret/other"),
        ("update", "secret/other"),
        ("list", "secrets"),
        ("watch", "secrets"),
        ("delete", "secret/helsinki"),
    ] {
        assert!(!may(verb, what), "{verb} {what}");
    }
    assert!(may("create", "secrets"), "for spec.credentialsSecretName");
}

/// An account for each right, which lacks that one alone: the doctor must see each.
#[test]
fn the_doctor_finds_every_missing_right() {
    let cluster = crate::installed();
    let ns = cluster.namespace("sick");
    let values = format!("watchNamespaces={{{}}},shareAccounts=true", ns.name);
    let objects = template(&["--set", &values]);
    let mut pod = only(&objects, "Pod").clone();
    // Lease and ConfigMap are asked for in the same namespace here.
    pod["metadata"]["namespace"] = json!(ns.name);
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
    assert!(rules.len() > 20, "{}", rules.len());
    // The last one lacks nothing.
    let patients: Vec<String> = (0..=rules.len()).map(|n| format!("patient-{n}")).collect();
    let accounts = patients.iter().enumerate().flat_map(|(n, name)| {
        let mut left = rules.clone();
        left.retain(|r| rules.get(n) != Some(r));
        patient(name, &ns.name, &left)
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": accounts.collect::<Vec<_>>()});
    ns.create(&list).ok().unwrap();
    let tokens = eventually("a token for each", SOON, || {
        let all: Value =
            serde_json::from_str(&ns.kubectl(&["get", "secrets", "-o", "json"]).ok().unwrap()).unwrap();
        let all: Vec<Secret> = serde_json::from_value(all["items"].clone()).unwrap();
        let token = |name: &String| {
            let secret = all.iter().find(|s| s.metadata.name.as_ref() == Some(name))?;
            let token = secret.data.as_ref()?.get("token")?;
            Some(String::from_utf8(token.0.clone()).unwrap())
        };
        patients.iter().map(token).collect::<Option<Vec<String>>>()
    });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = account(cluster, &ns.name, "default", folder.path());
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&kubeconfig).unwrap()).unwrap();
    for (n, token) in tokens.iter().enumerate() {
        config["users"][0]["user"]["token"] = json!(token);
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let missing: Vec<String> = rules.get(n).map_or_else(Vec::new, |rule| {
            let all = rights(&json!([rule]), &format!("namespace {}", ns.name));
            all.into_iter().collect()
        });
        // Without these the program does its other work.
        let optional = |right: &String| {
            ["create secrets", "update secrets"]
                .iter()
                .any(|o| right.starts_with(o))
        };
        let content = missing.iter().all(optional);
        eventually(&format!("what is said without {missing:?}"), SOON, || {
            let out = command(&pod, &kubeconfig).output().unwrap();
            let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
            let mut lacks = may_not(&said);
            lacks.sort();
            (out.status.success() == content && lacks == missing).then_some(())
        });
    }
}

/// An account with these rights, and a token of it.
fn patient(name: &str, namespace: &str, rules: &[Value]) -> [Value; 4] {
    let meta = json!({"name": name, "namespace": namespace});
    let group = "rbac.authorization.k8s.io";
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": meta, "rules": rules}),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": name, "namespace": namespace,
                "annotations": {"kubernetes.io/service-account.name": name},
            },
        }),
    ]
}

/// What it says that the account may not do, without what follows from that.
fn may_not(said: &str) -> Vec<String> {
    let lines = said.lines().filter_map(|l| l.split_once(" may not "));
    lines
        .map(|(_, right)| right.split(": ").next().unwrap().to_owned())
        .collect()
}
