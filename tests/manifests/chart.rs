//! What the chart renders: safe pods, names that never change, labels, what it says of itself.

use std::collections::BTreeSet;

use evenkeel::providers::transport::endpoint::{METADATA_V4, METADATA_V6};
use serde_json::{Value, json};

use crate::helm::{chart, documents, first_chart, helm, helm_on, only, rendered, root, template, text};
use crate::support::kube::cluster;

fn production() -> Vec<Value> {
    template(&["-f", &format!("{}/ci/production-values.yaml", chart())])
}

/// Every pod of a rendering: the Deployment's, and that of `helm test`.
fn pods(objects: &[Value]) -> Vec<Value> {
    let mut pods: Vec<Value> = objects.iter().filter(|o| o["kind"] == "Pod").cloned().collect();
    let template = &only(objects, "Deployment")["spec"]["template"];
    pods.push(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "evenkeel", "labels": template["metadata"]["labels"]}, "spec": template["spec"],
    }));
    pods
}

#[test]
fn pods_are_restricted_as_the_api_server_understands_it() {
    let cluster = cluster();
    let ns = cluster.namespace("restricted");
    let label = "pod-security.kubernetes.io/enforce=restricted";
    cluster
        .kubectl(&["label", "namespace", &ns.name, label])
        .ok()
        .unwrap();
    ns.kubectl(&["create", "serviceaccount", "evenkeel"])
        .ok()
        .unwrap();
    let create = ["create", "--dry-run=server", "-f", "-"];
    let mut seen = 0;
    for values in [
        &[][..],
        &[
            "--set",
            "runAsUser=null,runAsGroup=null,imagePullSecrets[0].name=x",
        ],
    ] {
        for mut pod in pods(&template(values)) {
            pod["metadata"]["namespace"] = json!(ns.name);
            let out = ns.kubectl_with(&create, Some(&pod));
            assert!(out.ok && !out.err.contains("Warning"), "{}", out.err);
            let container = &pod["spec"]["containers"][0]["securityContext"];
            assert_eq!(container["readOnlyRootFilesystem"], true);
            assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
            seen += 1;
            // And what is not restricted would have been refused.
            pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
            let out = ns.kubectl_with(&create, Some(&pod));
            assert!(!out.ok && out.err.contains("violates PodSecurity"), "{}", out.err);
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn the_selector_is_that_of_the_first_chart_and_finds_no_other_pod() {
    let first = documents(
        &helm(&["template", "evenkeel", &first_chart(), "-n", "evenkeel-system"])
            .ok()
            .unwrap(),
    );
    let selector = &only(&first, "Deployment")["spec"]["selector"];
    let now = production();
    let deployment = only(&now, "Deployment");
    assert_eq!(
        &deployment["spec"]["selector"], selector,
        "a selector cannot be changed"
    );
    assert_eq!(&only(&now, "PodDisruptionBudget")["spec"]["selector"], selector);
    assert_eq!(&only(&now, "NetworkPolicy")["spec"]["podSelector"], selector);
    let found = |labels: &Value| {
        let wanted = selector["matchLabels"].as_object().unwrap();
        wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
    };
    assert!(found(&deployment["spec"]["template"]["metadata"]["labels"]));
    assert!(!found(&only(&now, "Pod")["metadata"]["labels"]));
}

#[test]
fn every_object_has_the_recommended_labels_and_those_of_the_user() {
    let objects = template(&[
        "-f",
        &format!("{}/ci/production-values.yaml", chart()),
        "--set",
        "labels.team=a,annotations.owner=b,crds.install=false,metrics.service.enabled=true",
    ]);
    for object in objects.iter().filter(|o| o["kind"] != "Pod") {
        let labels = &object["metadata"]["labels"];
        for (label, value) in [
            ("app.kubernetes.io/name", "evenkeel"),
            ("app.kubernetes.io/instance", "evenkeel"),
            ("app.kubernetes.io/part-of", "evenkeel"),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
            ("team", "a"),
        ] {
            assert_eq!(labels[label], value, "{label} of {}", object["kind"]);
        }
        assert!(labels["helm.sh/chart"].as_str().unwrap().starts_with("evenkeel-"));
    }
    assert_eq!(
        only(&objects, "Deployment")["metadata"]["annotations"]["owner"],
        "b"
    );
    assert_eq!(
        only(&objects, "ServiceAccount")["metadata"]["annotations"]["owner"],
        "b"
    );
}

#[test]
fn switches_switch() {
    let kinds = |args: &[&str]| -> BTreeSet<String> {
        template(args)
            .iter()
            .map(|o| o["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let plain = kinds(&[]);
    #[rustfmt::skip]
    let switched: &[(&str, &[&str])] = &[
        ("replicas=2", &["+PodDisruptionBudget"]),
        ("replicas=2,podDisruptionBudget.enabled=false", &[]),
        ("networkPolicy.enabled=true", &["+NetworkPolicy"]),
        ("metrics.service.enabled=true", &["+Service"]),
        ("metrics.podMonitor.enabled=true", &["+PodMonitor"]),
        ("metrics.serviceMonitor.enabled=true", &["+Service", "+ServiceMonitor"]),
        ("metrics.prometheusRule.enabled=true", &["+PrometheusRule"]),
        ("crds.install=false", &["-CustomResourceDefinition"]),
        ("watchNamespaces={a}", &["-ClusterRole", "-ClusterRoleBinding"]),
        ("rbac.create=false", &["-ClusterRole", "-ClusterRoleBinding", "-Role", "-RoleBinding"]),
        ("serviceAccount.create=false,serviceAccount.name=x", &["-ServiceAccount"]),
        ("policies.deletionProtection=false,policies.crdProtection=false,policies.secrets=false", &["-ValidatingAdmissionPolicy", "-ValidatingAdmissionPolicyBinding"]),
    ];
    for (values, change) in switched {
        let now = kinds(&["--set", values]);
        let mut expected = plain.clone();
        for word in *change {
            match word.split_at(1) {
                ("+", kind) => assert!(expected.insert(kind.to_owned()), "{kind} is there anyway"),
                (_, kind) => assert!(expected.remove(kind), "{kind} was not there"),
            }
        }
        assert_eq!(now, expected, "{values}");
    }
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pinned = template(&["--set", &format!("image.digest={digest}")]);
    for pod in pods(&pinned) {
        assert_eq!(
            pod["spec"]["containers"][0]["image"],
            format!("evenkeel:{}@{digest}", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn the_definitions_are_kept_by_helm_whatever_happens() {
    let crds: Vec<Value> = template(&[])
        .into_iter()
        .filter(|o| o["kind"] == "CustomResourceDefinition")
        .collect();
    assert_eq!(crds.len(), std::fs::read_dir(root("crds")).unwrap().count() - 1);
    for crd in crds {
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
}

#[test]
fn what_the_chart_says_of_itself_is_true() {
    let about: Value = serde_saphyr::from_str(&text("charts/evenkeel/Chart.yaml")).unwrap();
    assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"));
    let notes = &about["annotations"];
    let parsed = |key: &str| -> Vec<Value> { serde_saphyr::from_str(notes[key].as_str().unwrap()).unwrap() };
    let mut told: Vec<String> = parsed("artifacthub.io/crds")
        .iter()
        .map(|c| c["name"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    let mut there: Vec<String> = template(&[])
        .iter()
        .filter(|o| o["kind"] == "CustomResourceDefinition")
        .map(|o| o["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    there.sort();
    assert_eq!(told, there);
    let image = &parsed("artifacthub.io/images")[0]["image"];
    assert_eq!(*image, format!("evenkeel:{}", env!("CARGO_PKG_VERSION")));
    for change in parsed("artifacthub.io/changes") {
        let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
        assert!(kinds.contains(&change["kind"].as_str().unwrap()), "{change}");
    }
    // The examples are taken by the API server.
    let ns = cluster().namespace("hub");
    for example in parsed("artifacthub.io/crdsExamples") {
        let out = ns.kubectl_with(&["create", "--dry-run=server", "-f", "-"], Some(&example));
        out.ok().unwrap();
    }
}

#[test]
fn the_notes_say_what_comes_next_and_what_removal_means() {
    let install = |args: &[&str]| {
        let chart = chart();
        let base = [
            "install",
            "evenkeel",
            chart.as_str(),
            "-n",
            "evenkeel-system",
            "--dry-run=client",
            // Only the text is wanted: this cluster has everything already.
            "--take-ownership",
        ];
        let out = helm_on(cluster(), &[&base, args].concat()).ok().unwrap();
        out.split_once("NOTES:").unwrap().1.to_owned()
    };
    let notes = install(&[]);
    for words in [
        "It serves every namespace.",
        "rollout status deployment/evenkeel",
        "helm -n evenkeel-system test evenkeel",
        "kubectl wait --for=condition=Ready server/web-1",
        "every server in the\nclouds stay",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert!(install(&["--set", "watchNamespaces={a,b}"]).contains("these namespaces alone: a, b"));
    assert!(install(&["--set", "namespaces={a}"]).contains("`namespaces` is called `watchNamespaces`"));
    // The manifests in it are taken.
    let (_, manifests) = notes.split_once("<<'END'\n").unwrap();
    let (manifests, _) = manifests.split_once("  END").unwrap();
    let plain: String = manifests
        .lines()
        .map(|l| format!("{}\n", l.get(2..).unwrap_or_default()))
        .collect();
    let ns = cluster().namespace("notes");
    let out = ns.kubectl_text(&["create", "--dry-run=server", "-f", "-"], &plain);
    assert_eq!(out.ok().unwrap().lines().count(), 2);
}

/// What they ask for is tested beside their source, and in the real promtool.
#[test]
fn the_alerts_are_those_that_are_tested() {
    let rule = rendered(&[
        "--set",
        "metrics.prometheusRule.enabled=true",
        "-s",
        "templates/monitoring.yaml",
    ]);
    let rule = documents(&rule.ok().unwrap());
    let source = documents(&text("deploy/monitoring/rules.yaml"));
    assert_eq!(rule[0]["spec"], source[0]);
    assert!(source[0]["groups"][0]["rules"].as_array().unwrap().len() > 4);
}

#[test]
fn the_network_policy_leaves_out_the_metadata_services_that_are_no_endpoints() {
    let objects = template(&["--set", "networkPolicy.enabled=true"]);
    let egress = &only(&objects, "NetworkPolicy")["spec"]["egress"][1]["to"];
    let excepted: Vec<String> = (0..2)
        .flat_map(|i| egress[i]["ipBlock"]["except"].as_array().unwrap())
        .map(|e| e.as_str().unwrap().to_owned())
        .collect();
    let v4 = METADATA_V4.iter().map(|ip| format!("{ip}/32"));
    let wanted: Vec<String> = v4
        .chain(METADATA_V6.iter().map(|ip| format!("{ip}/128")))
        .collect();
    assert!(wanted.len() >= 6 && excepted.contains(&"169.254.0.0/16".to_owned()));
    for address in wanted {
        assert!(excepted.contains(&address), "{address} is not in {excepted:?}");
    }
}
