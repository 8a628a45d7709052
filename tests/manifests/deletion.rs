//! No deletion waits for good, and none loses a server: whatever goes first, and whoever is away meanwhile.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, chart};
use crate::kubelet::Kubelet;
use crate::shop::{SERVERS_EACH, Shop, VALUES, condition, text};

/// Its Secrets go and come back.
const SHOP: &str = "shop";
/// It is deleted whole, while the controller is away.
const STALL: &str = "stall";
/// It is deleted whole, while the controller works.
const KIOSK: &str = "kiosk";
const PLACES: &[&str] = &[SHOP, STALL, KIOSK];

/// The servers and groups of a namespace.
fn left(shop: &Shop, place: &str) -> Vec<Value> {
    let mut all = shop.objects();
    all.retain(|o| o["metadata"]["namespace"] == place && o["kind"] != "ProviderConfig");
    all
}

/// Why a deletion does not go on, and in which words.
fn blocked(object: &Value) -> Option<(String, String)> {
    let said = condition(object, "DeletionBlocked").filter(|c| c["status"] == "True")?;
    Some((text(&said["reason"]), text(&said["message"])))
}

/// The servers of the clouds that an object of these names as its own.
fn of_cloud(shop: &Shop, objects: &[Value]) -> BTreeMap<String, String> {
    let mut all = shop.in_clouds();
    all.retain(|id, _| objects.iter().any(|o| o["status"]["id"] == id.as_str()));
    all
}

/// So many pods of the controller, and their programs.
fn scale(shop: &Shop, kubelet: &mut Kubelet<'_>, replicas: usize) {
    let wish = format!("--replicas={replicas}");
    shop.kubectl(NAMESPACE, &["scale", "deployment/evenkeel", &wish], None)
        .ok()
        .unwrap();
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
    kubelet.until("the pods", || (shop.pods() == replicas).then_some(()));
    // What was started is ended when its pod is seen to be gone.
    kubelet.sync();
}

fn delete(shop: &Shop, place: &str, what: &[&str]) {
    let args = [&["delete"], what, &["--wait=false"]].concat();
    shop.kubectl(place, &args, None).ok().unwrap();
}

fn namespace_gone(shop: &Shop, kubelet: &mut Kubelet<'_>, place: &str) {
    kubelet.until("the namespace to go", || {
        (!shop.cluster.kubectl(&["get", "namespace", place]).ok).then_some(())
    });
}

#[test]
fn no_deletion_waits_for_good_and_none_loses_a_server() {
    let shop = Shop::begin("-deletion", PLACES);
    let mut kubelet = Kubelet::new(shop.cluster);
    let install = [
        "install",
        "evenkeel",
        &chart(),
        "--create-namespace",
        "--wait",
        "--set",
        VALUES,
    ];
    shop.helm(&mut kubelet, &install);
    shop.open();
    kubelet.until_none("every object to be Ready", || shop.unsettled());

    a_namespace_goes_whole_with_its_servers(&shop, &mut kubelet);
    the_last_good_credentials_serve_a_deletion(&shop, &mut kubelet);

    // The controller is away while people delete, and nobody tells it anything when it comes back.
    scale(&shop, &mut kubelet, 0);
    delete(&shop, SHOP, &["servers,servergroups", "--all"]);
    shop.cluster
        .kubectl(&["delete", "namespace", STALL, "--wait=false"])
        .ok()
        .unwrap();
    kubelet.until("accounts and Secrets of the namespace to be gone", || {
        let all = shop.kubectl(STALL, &["get", "providerconfigs,secrets", "-o", "name"], None);
        all.ok().unwrap().is_empty().then_some(())
    });
    let before = shop.in_clouds();
    let (of_shop, of_stall) = (left(&shop, SHOP), left(&shop, STALL));
    assert_eq!((of_shop.len(), of_stall.len()), (SERVERS_EACH, SERVERS_EACH + 1));
    scale(&shop, &mut kubelet, 1);
    said_to_be_blocked(&shop, &mut kubelet, (SHOP, &of_shop), "CredentialsMissing");
    said_to_be_blocked(&shop, &mut kubelet, (STALL, &of_stall), "ProviderConfigNotFound");
    assert_eq!(
        shop.in_clouds(),
        before,
        "nothing was deleted by who could not ask"
    );

    restored_credentials_end_it(&shop, &mut kubelet, &of_shop);
    abandon_ends_it(&shop, &mut kubelet, &of_stall);
}

/// The controller has the credentials in memory, so that it does not matter that Secret and account go first.
fn a_namespace_goes_whole_with_its_servers(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    let mine = left(shop, KIOSK);
    assert_eq!(of_cloud(shop, &mine).len(), SERVERS_EACH);
    delete(shop, KIOSK, &["secrets,providerconfigs", "--all"]);
    shop.cluster
        .kubectl(&["delete", "namespace", KIOSK, "--wait=false"])
        .ok()
        .unwrap();
    namespace_gone(shop, kubelet, KIOSK);
    assert_eq!(of_cloud(shop, &mine), BTreeMap::new());
}

/// The Secrets are gone, and the controller knows it: one server more goes with what it has in memory.
fn the_last_good_credentials_serve_a_deletion(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    delete(shop, SHOP, &["secrets", "helsinki-shop", "finland-shop"]);
    kubelet.until("the accounts to miss their Secrets", || {
        let accounts = shop.objects().into_iter();
        let accounts =
            accounts.filter(|o| o["kind"] == "ProviderConfig" && o["metadata"]["namespace"] == SHOP);
        let missing =
            |o: &Value| condition(o, "CredentialsValid").is_some_and(|c| c["reason"] == "CredentialsMissing");
        (accounts.filter(missing).count() == 2).then_some(())
    });
    let batch: Vec<Value> = left(shop, SHOP);
    let batch: Vec<Value> = batch
        .into_iter()
        .filter(|o| o["metadata"]["name"] == "batch-shop")
        .collect();
    assert_eq!(of_cloud(shop, &batch).len(), 1);
    delete(shop, SHOP, &["server", "batch-shop"]);
    kubelet.until("the server to be gone", || {
        of_cloud(shop, &batch).is_empty().then_some(())
    });
    kubelet.until("its object to be gone", || {
        (left(shop, SHOP).len() == SERVERS_EACH).then_some(())
    });
}

/// Every one of them says why it waits, and what it would leave behind.
fn said_to_be_blocked(
    shop: &Shop,
    kubelet: &mut Kubelet<'_>,
    (place, known): (&str, &[Value]),
    reason: &str,
) {
    kubelet.until(&format!("{place}: {reason}"), || {
        let servers = known.iter().filter(|o| o["kind"] == "Server");
        let now = left(shop, place);
        let said = |known: &Value| {
            let object = now
                .iter()
                .find(|o| o["metadata"]["uid"] == known["metadata"]["uid"]);
            let (why, words) = blocked(object.expect("it waits"))?;
            (why == reason && words.contains(&text(&known["status"]["id"]))).then_some(())
        };
        servers.map(said).collect::<Option<Vec<()>>>()
    });
}

/// Whoever puts the Secrets back has nothing else to do.
fn restored_credentials_end_it(shop: &Shop, kubelet: &mut Kubelet<'_>, known: &[Value]) {
    let others = {
        let mut others = shop.in_clouds();
        others.retain(|id, _| !of_cloud(shop, known).contains_key(id));
        others
    };
    shop.accounts(SHOP);
    kubelet.until("the objects to be gone", || {
        left(shop, SHOP).is_empty().then_some(())
    });
    assert_eq!(shop.in_clouds(), others, "its own are gone, and no others");
    shop.cluster
        .kubectl(&["delete", "namespace", SHOP, "--wait=false"])
        .ok()
        .unwrap();
    namespace_gone(shop, kubelet, SHOP);
}

/// In a namespace that is going no Secret can be put back: what is given up by its id goes, and its server stays.
fn abandon_ends_it(shop: &Shop, kubelet: &mut Kubelet<'_>, known: &[Value]) {
    let refused = shop.kubectl(STALL, &["create", "secret", "generic", "helsinki-stall"], None);
    assert!(
        !refused.ok && refused.err.contains("being terminated"),
        "{}",
        refused.err
    );
    let said = shop
        .cluster
        .kubectl(&["get", "namespace", STALL, "-o", "json"])
        .out;
    assert!(
        said.contains("evenkeel.dev/cloud-server in 3 resource instances"),
        "{said}"
    );
    let before = shop.in_clouds();
    assert_eq!(of_cloud(shop, known), before, "nothing else is left by now");
    let give_up = |object: &Value, id: &str| {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let note = json!({"metadata": {"annotations": {"evenkeel.dev/abandon": id}}}).to_string();
        shop.patch(STALL, &kind, object["metadata"]["name"].as_str().unwrap(), &note);
    };
    let (servers, groups): (Vec<_>, Vec<_>) = known.iter().partition(|o| o["kind"] == "Server");
    for server in &servers {
        give_up(server, "another-id");
    }
    kubelet.until("the other id to be refused", || {
        let all = left(shop, STALL);
        let mut all = all.iter().filter(|o| o["kind"] == "Server");
        all.all(|o| blocked(o).is_some_and(|(_, words)| words.contains("another-id")))
            .then_some(())
    });
    assert_eq!(left(shop, STALL).len(), known.len());
    for object in servers.into_iter().chain(groups) {
        give_up(object, object["status"]["id"].as_str().unwrap());
    }
    namespace_gone(shop, kubelet, STALL);
    assert_eq!(shop.in_clouds(), before, "given up, and not deleted");
}
