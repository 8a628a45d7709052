//! The chart with `watchNamespaces`: Roles in place of a ClusterRole are enough for all that is done, and nothing is done
//! elsewhere.

use serde_json::{Value, json};

use crate::audit;
use crate::helm::{chart, template};
use crate::kubelet::Kubelet;
use crate::moments;
use crate::shop::{Shop, VALUES, fulfilled, text};

const PLACES: &[&str] = &["shop"];
const SERVED: &str = "watchNamespaces={shop}";

fn server(shop: &Shop, place: &str, name: &str) -> Value {
    let get = ["get", "server", name, "-o", "json"];
    serde_json::from_str(&shop.kubectl(place, &get, None).ok().unwrap()).unwrap()
}

#[test]
fn one_namespace_is_served_with_roles_alone_and_the_others_are_left() {
    let shop = Shop::begin("-namespaced", PLACES);
    let mut kubelet = Kubelet::new(shop.cluster);
    let now = chart();
    let install = [
        "install",
        "evenkeel",
        &now,
        "--create-namespace",
        "--wait",
        "--set",
        VALUES,
        "--set",
        SERVED,
    ];
    shop.helm(&mut kubelet, &install);
    let roles = ["get", "clusterroles,clusterrolebindings", "-o", "name"];
    let roles = shop.cluster.kubectl(&roles).ok().unwrap();
    let bound = roles
        .lines()
        .find(|r| r.contains("binding") && r.contains("evenkeel"));
    assert_eq!(bound, None, "{roles}");
    shop.open();
    kubelet.until_none("every object to be Ready", || shop.unsettled());

    // A namespace that is not served, and a deed and a wish in the one that is.
    shop.cluster
        .kubectl(&["create", "namespace", "stall"])
        .ok()
        .unwrap();
    shop.accounts("stall");
    let stray = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": "stray"},
        "spec": {"providerConfigRef": {"name": "helsinki-stall"}, "size": {"name": "m1.tiny"}, "image": {"name": "cirros"}}});
    let apply = ["apply", "-f", "-"];
    shop.kubectl("stall", &apply, Some(&stray.to_string()))
        .ok()
        .unwrap();
    let deed = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction", "metadata": {"name": "snap"},
        "spec": {"serverRef": {"name": "web-shop"}, "createImage": {"name": "before"}, "ttlAfterFinished": "1s"}});
    shop.kubectl("shop", &apply, Some(&deed.to_string()))
        .ok()
        .unwrap();
    kubelet.until("the deed to be done, and its object to be gone", || {
        let left = ["get", "serveractions", "-o", "name"];
        let left = shop.kubectl("shop", &left, None).ok().ok()?;
        let done = server(&shop, "shop", "web-shop")["status"]["actions"][0]["outcome"] == "Succeeded";
        (left.is_empty() && done).then_some(())
    });
    shop.patch(
        "shop",
        "server",
        "web-shop",
        r#"{"spec":{"powerState":"Stopped"}}"#,
    );
    kubelet.until("the wish to be fulfilled", || {
        let web = server(&shop, "shop", "web-shop");
        (fulfilled(&web) && web["status"]["power"]["observed"] == "Stopped").then_some(())
    });
    let stray = server(&shop, "stall", "stray");
    assert_eq!(stray["status"], json!({"observedGeneration": -1}), "{stray:#}");
    assert_eq!(text(&stray["metadata"]["finalizers"]), "");

    // Its end is an ordinary one too.
    let delete = ["delete", "servers,servergroups", "--all", "--wait=false"];
    shop.kubectl("shop", &delete, None).ok().unwrap();
    kubelet.until("the servers to be gone", || shop.swept());
    let (used, refused) = moments::used(&shop);
    assert_eq!(refused, Vec::<String>::new());
    let granted = audit::granted(&template(&["--set", SERVED]));
    let mut without = audit::differences(&granted, &used);
    without.retain(|d| d.starts_with("not granted"));
    assert_eq!(without, Vec::<String>::new());
    assert!(used.len() > 15, "{used:?}");
}
