//! Installed, removed and installed again with `kubectl apply -k` and `kubectl delete -k`, with servers present.

use crate::helm::{NAMESPACE, root};
use crate::kubelet::Kubelet;
use crate::shop::{Facts, Shop};

/// A port of its own, and clouds of this machine.
const MORE: &[&str] = &["--admin-address=127.0.0.1:0", "--allow-insecure-endpoints"];

/// What is refused to go, and in which words.
const REFUSED: &[(&str, &str)] = &[
    (
        "namespaces \"evenkeel-system\"",
        "with evenkeel-system the id of this installation would go",
    ),
    (
        "\"servers.evenkeel.dev\"",
        "with servers.evenkeel.dev every object of this kind would be deleted",
    ),
    (
        "\"servergroups.evenkeel.dev\"",
        "with servergroups.evenkeel.dev every object of this kind would be deleted",
    ),
    (
        "\"serveractions.evenkeel.dev\"",
        "with serveractions.evenkeel.dev every object of this kind would be deleted",
    ),
    (
        "\"providerconfigs.evenkeel.dev\"",
        "with providerconfigs.evenkeel.dev every object of this kind would be deleted",
    ),
];

/// `kubectl VERB -k FOLDER`, while pods live.
fn kustomize(kubelet: &mut Kubelet<'_>, shop: &Shop, verb: &[&str], folder: &str) -> (bool, String) {
    let folder = root(folder);
    let args = [verb, &["-k", folder.to_str().unwrap()]].concat();
    kubelet.during(&mut shop.cluster.command(&args))
}

fn install(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    for folder in ["deploy/foundation", "deploy/protection", "deploy/default"] {
        let (ok, said) = kustomize(kubelet, shop, &["apply", "--server-side"], folder);
        assert!(ok, "{folder}: {said}");
    }
    let status = [
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        "deployment/evenkeel",
        "--timeout=60s",
    ];
    let (ok, said) = kubelet.during(&mut shop.cluster.command(&status));
    assert!(ok, "{said}");
}

/// Applied again, it finds everything as it was.
fn install_again(shop: &Shop, kubelet: &mut Kubelet<'_>, before: &(Facts, String)) {
    install(shop, kubelet);
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    assert_eq!(&known(shop), before, "applied again");
}

/// The program is gone and nothing else: not an object, not a server, not the id of the installation.
fn gone(shop: &Shop, kubelet: &mut Kubelet<'_>, before: &(Facts, String)) {
    kubelet.until("the program to be gone", || (shop.pods() == 0).then_some(()));
    let left = ["get", "deployments,serviceaccounts,roles", "-A", "-o", "name"];
    assert!(!shop.cluster.kubectl(&left).ok().unwrap().contains("/evenkeel"));
    assert_eq!(&known(shop), before, "after the removal");
}

fn known(shop: &Shop) -> (Facts, String) {
    let get = [
        "get",
        "configmap",
        "evenkeel-installation",
        "-o",
        "jsonpath={.data.id}",
    ];
    let id = shop.kubectl(NAMESPACE, &get, None).ok().unwrap();
    (shop.facts(), id)
}

fn refused(said: &str) {
    for (what, words) in REFUSED {
        let line = said.lines().find(|l| l.contains(words));
        assert!(line.is_some_and(|l| l.contains(what)), "{what}: {said}");
    }
    assert_eq!(said.matches("denied request").count(), REFUSED.len(), "{said}");
}

#[test]
fn removed_and_applied_again_it_knows_its_servers() {
    let shop = Shop::begin("-kustomize", &["shop"]);
    let mut kubelet = Kubelet::telling(shop.cluster, MORE);
    install(&shop, &mut kubelet);
    shop.open();
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    let before = known(&shop);
    let counts = (before.0.objects.len(), before.0.servers.len());
    assert_eq!(counts, (6, 3), "{before:?}");

    // The program goes, however often that is said; what protects the definitions stays.
    for _ in 0..2 {
        let (ok, said) = kustomize(
            &mut kubelet,
            &shop,
            &["delete", "--ignore-not-found"],
            "deploy/default",
        );
        assert!(ok, "{said}");
        gone(&shop, &mut kubelet, &before);
    }
    install_again(&shop, &mut kubelet, &before);

    // What it stands on does not go, however often that is said.
    for _ in 0..2 {
        let (ok, said) = kustomize(
            &mut kubelet,
            &shop,
            &["delete", "--ignore-not-found"],
            "deploy/foundation",
        );
        assert!(!ok, "{said}");
        refused(&said);
        assert_eq!(known(&shop), before, "refused");
    }

    // What runs now works: a wish is carried out on the same server.
    shop.patch(
        "shop",
        "server",
        "web-shop",
        r#"{"spec":{"powerState":"Stopped"}}"#,
    );
    kubelet.until("the wish to be fulfilled", || {
        let all = shop.in_clouds();
        let stopped = all.values().all(|s| s != "ACTIVE");
        (stopped && shop.unsettled().is_empty()).then_some(())
    });
}
