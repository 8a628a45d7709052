//! Installed, removed and installed again with `kubectl apply -k` and `kubectl delete -k`, with servers present.

use crate::helm::{NAMESPACE, root};
use crate::kubelet::Kubelet;
use crate::shop::Shop;

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
        "\"providerconfigs.evenkeel.dev\"",
        "with providerconfigs.evenkeel.dev every object of this kind would be deleted",
    ),
];

/// `kubectl VERB -k deploy/default`, while pods live.
fn kustomize(shop: &Shop, kubelet: &mut Kubelet<'_>, verb: &[&str]) -> (bool, String) {
    let folder = root("deploy/default");
    let args = [verb, &["-k", folder.to_str().unwrap()]].concat();
    kubelet.during(&mut shop.cluster.command(&args))
}

fn install(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    let (ok, said) = kustomize(shop, kubelet, &["apply", "--server-side"]);
    assert!(ok, "{said}");
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

fn installation(shop: &Shop) -> String {
    let get = [
        "get",
        "configmap",
        "evenkeel-installation",
        "-o",
        "jsonpath={.data.id}",
    ];
    shop.kubectl(NAMESPACE, &get, None).ok().unwrap()
}

#[test]
fn removed_and_applied_again_it_knows_its_servers() {
    let shop = Shop::begin("-kustomize", &["shop"]);
    let mut kubelet = Kubelet::telling(shop.cluster, MORE);
    install(&shop, &mut kubelet);
    shop.open();
    kubelet.until("every object to be Ready", || shop.settled());
    let (before, id) = (shop.facts(), installation(&shop));
    assert_eq!((before.objects.len(), before.servers.len()), (6, 3), "{before:?}");

    let (ok, said) = kustomize(&shop, &mut kubelet, &["delete", "--timeout=60s"]);
    assert!(!ok, "{said}");
    for (what, words) in REFUSED {
        let line = said.lines().find(|l| l.contains(words));
        assert!(line.is_some_and(|l| l.contains(what)), "{what}: {said}");
    }
    assert_eq!(said.matches("denied request").count(), REFUSED.len(), "{said}");
    kubelet.until("the program to be gone", || (shop.pods() == 0).then_some(()));
    let left = ["get", "deployments,serviceaccounts,roles", "-A", "-o", "name"];
    assert!(!shop.cluster.kubectl(&left).ok().unwrap().contains("/evenkeel"));
    assert_eq!(
        (shop.facts(), installation(&shop)),
        (before, id.clone()),
        "after the removal"
    );
    let before = shop.facts();

    install(&shop, &mut kubelet);
    kubelet.until("every object to be Ready", || shop.settled());
    assert_eq!((shop.facts(), installation(&shop)), (before, id), "applied again");
    // What runs now works: a wish is carried out on the same server.
    shop.patch(
        "shop",
        "server",
        "web-shop",
        r#"{"spec":{"powerState":"Stopped"}}"#,
    );
    kubelet.until("the wish to be fulfilled", || {
        let all = shop.in_clouds();
        shop.settled().filter(|()| all.values().all(|s| s != "ACTIVE"))
    });
}
