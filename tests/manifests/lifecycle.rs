//! Install, upgrade from the first chart, roll back, test, uninstall and install again, with servers present: by the
//! real helm, on a real API server that nobody else uses, with the program of every pod running.

use std::time::Instant;

use crate::audit;
use crate::helm::{NAMESPACE, chart, command, first_chart, helm_on, template};
use crate::kubelet::Kubelet;
use crate::moments;
use crate::shop::{Shop, VALUES};

/// Two, so that a right in every namespace is told from one in a single namespace.
const PLACES: &[&str] = &["shop", "stall"];

/// Switched on, so that its right is used too.
const CONSOLES: &str = "consoleOutput.enabled=true";

#[test]
fn nothing_is_lost_from_the_first_chart_to_the_last_uninstall() {
    let shop = Shop::begin("-helm", PLACES);
    let cluster = shop.cluster;
    let mut kubelet = Kubelet::new(cluster);
    let (first, now) = (first_chart(), chart());

    // The first chart, and servers under it.
    let install = [
        "install",
        "evenkeel",
        &first,
        "--create-namespace",
        "--wait",
        "--set",
        VALUES,
    ];
    let begun = Instant::now();
    shop.helm(&mut kubelet, &install);
    shop.open();
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    eprintln!(
        "from helm install to six servers that are Ready: {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    let before = shop.facts();
    assert_eq!(
        (before.objects.len(), before.servers.len()),
        (12, 6),
        "{before:?}"
    );
    let deployed = |what: &str| {
        let path = format!("jsonpath={{{what}}}");
        let get = ["-n", NAMESPACE, "get", "deployment", "evenkeel", "-o", &path];
        cluster.kubectl(&get).ok().unwrap()
    };
    let uid = deployed(".metadata.uid");

    // Upgraded: the same objects and servers, and not one call that changes anything.
    shop.helm(
        &mut kubelet,
        &["upgrade", "evenkeel", &now, "--wait", "--reset-then-reuse-values"],
    );
    kubelet.until("one program", || (shop.pods() == 1).then_some(()));
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    assert_eq!(shop.facts(), before, "after the upgrade");
    assert_eq!(deployed(".metadata.uid"), uid, "the Deployment was replaced");
    let keep = "jsonpath={.items[*].metadata.annotations.helm\\.sh/resource-policy}";
    assert_eq!(
        cluster.kubectl(&["get", "crds", "-o", keep]).ok().unwrap(),
        "keep keep keep keep"
    );

    // `helm test` runs the doctor with the controller's rights.
    let said = shop.helm(&mut kubelet, &["test", "evenkeel"]);
    assert!(said.contains("Phase:          Succeeded"), "{said}");

    // Rolled back: the same. And forward again, with the definitions in other hands.
    shop.helm(&mut kubelet, &["rollback", "evenkeel", "1", "--wait"]);
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    assert_eq!(shop.facts(), before, "after the rollback");
    let upgrade = [
        "upgrade",
        "evenkeel",
        &now,
        "--wait",
        "--reset-then-reuse-values",
        "--set",
        "crds.install=false",
    ];
    shop.helm(&mut kubelet, &upgrade);
    assert_eq!(shop.facts(), before, "without the definitions in the chart");
    let upgrade = [
        "upgrade", "evenkeel", &now, "--wait", "--set", VALUES, "--set", CONSOLES,
    ];
    shop.helm(&mut kubelet, &upgrade);
    // What runs now works: a wish is carried out.
    let stop = r#"{"spec":{"powerState":"Stopped"}}"#;
    for place in PLACES {
        shop.patch(place, "server", &format!("web-{place}"), stop);
    }
    kubelet.until_none("the webs to be stopped", || shop.unsettled());
    let before = shop.facts();
    assert!(before.servers.values().all(|s| s != "ACTIVE"), "{before:?}");

    // What is used is what is granted: as widely, and no more narrowly.
    let granted = audit::granted(&template(&["--set", CONSOLES]));
    let differences = moments::play(&shop, &mut kubelet, &granted);
    assert!(differences.is_empty(), "{differences:#?}");
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    let before = shop.facts();

    // Nothing was refused by now. (Helm takes the rights away before the pod ends: the lease then runs out.)
    // The first chart knows no ServerActions, and grants nothing of them.
    let mut refused = moments::used(&shop).1;
    refused.retain(|r| !r.contains("serveractions"));
    assert_eq!(refused, Vec::<String>::new());

    // Removed with servers present: the controller goes, and nothing else.
    shop.helm(&mut kubelet, &["uninstall", "evenkeel", "--wait"]);
    kubelet.until("no program", || (shop.pods() == 0).then_some(()));
    assert_eq!(shop.facts(), before, "after the removal");
    let left = [
        "get",
        "deployments,serviceaccounts,roles,validatingadmissionpolicies",
        "-A",
        "-o",
        "name",
    ];
    assert!(!cluster.kubectl(&left).ok().unwrap().contains("/evenkeel"));
    assert_eq!(
        cluster
            .kubectl(&["get", "crds", "-o", "name"])
            .ok()
            .unwrap()
            .lines()
            .count(),
        4
    );

    // And installed again: it knows its servers. Their end is an ordinary one.
    shop.helm(
        &mut kubelet,
        &["install", "evenkeel", &now, "--wait", "--set", VALUES],
    );
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    assert_eq!(shop.facts(), before, "after the second installation");
    for place in PLACES {
        let delete = ["delete", "servers,servergroups", "--all", "--wait=false"];
        shop.kubectl(place, &delete, None).ok().unwrap();
    }
    kubelet.until("the servers to be gone", || {
        shop.swept().filter(|()| shop.objects().len() == 2 * PLACES.len())
    });

    // Also at the end of its objects it did nothing else.
    let differences = audit::differences(&granted, &moments::used(&shop).0);
    assert!(differences.is_empty(), "{differences:#?}");

    // A `helm test` without the rights fails.
    cluster
        .kubectl(&["delete", "clusterrolebinding", "evenkeel"])
        .ok()
        .unwrap();
    let test = ["test", "evenkeel", "-n", NAMESPACE, "--timeout", "60s"];
    let (ok, said) = kubelet.during(&mut command(Some(&cluster.kubeconfig()), &test));
    assert!(!ok && said.contains("Phase:          Failed"), "{said}");
}

#[test]
fn a_second_release_does_not_take_the_first_ones_things() {
    // The names are fixed, so that helm itself refuses: by who owns them.
    let cluster = crate::installed();
    let out = helm_on(cluster, &["install", "second", &chart(), "-n", NAMESPACE]);
    assert!(
        !out.ok && out.err.contains("invalid ownership metadata"),
        "{}{}",
        out.out,
        out.err
    );
    // One that shares nothing but the definitions and their protection is welcome.
    let ns = cluster.namespace("second");
    let alone = "watchNamespaces={default},crds.install=false,policies.deletionProtection=false,policies.crdProtection=false,policies.secrets=false";
    let install = [
        "install",
        "second",
        &chart(),
        "-n",
        &ns.name,
        "--dry-run=server",
        "--set",
        alone,
    ];
    helm_on(cluster, &install).ok().unwrap();
    let shared = [&install[..7], &["watchNamespaces={default}"]].concat();
    assert!(!helm_on(cluster, &shared).ok);
}
