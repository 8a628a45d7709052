//! What is installed and what is shown as examples: by the real helm and kubectl, on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod audit;
mod chart;
mod deletion;
mod helm;
mod image;
mod kubelet;
mod kustomized;
mod lifecycle;
mod moments;
mod namespaced;
mod policies;
mod rights;
mod rolling;
mod same;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod values;
mod watch;

use std::path::Path;

use support::kube::{Cluster, cluster};

const ACCOUNT: &str = "--as=system:serviceaccount:evenkeel-system:evenkeel";

fn rendered(cluster: &Cluster, folder: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    cluster
        .kubectl(&["kustomize", path.to_str().unwrap()])
        .ok()
        .unwrap()
}

/// Installs `deploy/default` and what it needs, as often as asked.
fn installed() -> &'static Cluster {
    let cluster = cluster();
    for folder in ["deploy/protection", "deploy/foundation", "deploy/default"] {
        let text = rendered(cluster, folder);
        let out = cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], Some(&text));
        // Pod security of the namespace is `restricted` and warns about what it would refuse.
        assert!(out.ok && !out.err.contains("Warning"), "{}", out.err);
    }
    cluster
}

#[test]
fn the_default_installation_is_taken_without_a_warning() {
    let cluster = installed();
    let names = cluster.kubectl(&[
        "-n",
        "evenkeel-system",
        "get",
        "deployment,serviceaccount,role",
        "-o",
        "name",
    ]);
    let names = names.ok().unwrap();
    for name in [
        "deployment.apps/evenkeel",
        "serviceaccount/evenkeel",
        "role.rbac.authorization.k8s.io/evenkeel",
    ] {
        assert!(names.contains(name), "{name} is missing in {names}");
    }
    let crds = rendered(cluster, "deploy/crds");
    let out = cluster.kubectl_with(&["apply", "--dry-run=server", "-f", "-"], Some(&crds));
    assert_eq!(out.ok().unwrap().lines().count(), 4);
}

#[test]
fn the_controller_may_do_what_it_needs_and_no_more() {
    let cluster = installed();
    let own = ["-n", "evenkeel-system"];
    let other = ["-n", "default"];
    // `kind/name` is one object, `kind:part` a subresource.
    let cases: &[(&[&str], &str, &str, bool)] = &[
        (&other, "list", "servers.evenkeel.dev", true),
        (&other, "watch", "providerconfigs.evenkeel.dev", true),
        (&other, "watch", "servergroups.evenkeel.dev", true),
        (&other, "patch", "servergroups.evenkeel.dev", true),
        (&other, "update", "servergroups.evenkeel.dev:status", true),
        (&other, "delete", "servergroups.evenkeel.dev", false),
        (&other, "watch", "serveractions.evenkeel.dev", true),
        (&other, "patch", "serveractions.evenkeel.dev", true),
        (&other, "delete", "serveractions.evenkeel.dev", true),
        (&other, "create", "serveractions.evenkeel.dev", false),
        (&other, "patch", "servers.evenkeel.dev", true),
        (&other, "update", "servers.evenkeel.dev:status", true),
        (&other, "update", "providerconfigs.evenkeel.dev:status", true),
        (&other, "get", "secrets", true),
        (&other, "create", "events.events.k8s.io", true),
        (
            &own,
            "update",
            "leases.coordination.k8s.io/evenkeel-controller",
            true,
        ),
        (&own, "create", "leases.coordination.k8s.io", true),
        (&own, "create", "configmaps", true),
        (&own, "get", "configmaps/evenkeel-installation", true),
        (&own, "get", "configmaps/kube-root-ca.crt", false),
        (&other, "create", "servers.evenkeel.dev", false),
        (&other, "delete", "servers.evenkeel.dev", false),
        (&other, "update", "providerconfigs.evenkeel.dev", false),
        (&other, "list", "secrets", false),
        (&other, "watch", "secrets", false),
        (&own, "list", "secrets", false),
        (&other, "create", "secrets", true),
        (&other, "update", "secrets", true),
        (&other, "patch", "secrets", false),
        (&other, "delete", "secrets", false),
        (&other, "get", "configmaps", false),
        (&own, "delete", "configmaps", false),
        (&other, "update", "leases.coordination.k8s.io", false),
        (&other, "create", "pods", false),
        (
            &other,
            "escalate",
            "clusterroles.rbac.authorization.k8s.io",
            false,
        ),
    ];
    let mut wrong = Vec::new();
    for (place, verb, what, expected) in cases {
        let (resource, sub) = what.split_once(':').unwrap_or((what, ""));
        let sub = format!("--subresource={sub}");
        let out = cluster.kubectl(&[*place, &["auth", "can-i", verb, resource, &sub, ACCOUNT]].concat());
        if (out.out.trim() == "yes") != *expected {
            wrong.push(format!(
                "{verb} {what} {place:?}: {}{}",
                out.out.trim(),
                out.err.trim()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_samples_are_valid() {
    let cluster = cluster();
    let ns = cluster.namespace("samples");
    let text = rendered(cluster, "deploy/samples");
    let out = ns.kubectl_text(&["apply", "--dry-run=server", "-f", "-"], &text);
    let said = out.ok().unwrap();
    for name in [
        "secret/helsinki-clouds",
        "providerconfig.evenkeel.dev/helsinki",
        "server.evenkeel.dev/web-1",
        "server.evenkeel.dev/db-1",
        "server.evenkeel.dev/shop-1",
        "server.evenkeel.dev/metal-1",
    ] {
        assert!(said.contains(name), "{name} is missing in {said}");
    }
    assert_eq!(said.lines().count(), 15, "{said}");
}
