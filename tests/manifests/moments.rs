//! Rare moments that rights are granted for: somebody else writes at the same time, a second server of one object tells
//! its password, the same event comes again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel::providers::transport::reqwest::install_crypto;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::audit::{self, Right};
use crate::kubelet::Kubelet;
use crate::shop::{SERVERS_EACH, Shop, fulfilled, text};

/// What the controller is in the audit log.
pub const CONTROLLER: &str = "evenkeel-system:evenkeel";
/// The shops change their mind again and again for so long, before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often somebody else writes to each object.
const PACE: Duration = Duration::from_millis(40);

/// What the controller did so far, and what it was refused.
pub fn used(shop: &Shop) -> (BTreeSet<Right>, Vec<String>) {
    audit::used(
        &std::fs::read_to_string(shop.cluster.audit_log()).unwrap(),
        CONTROLLER,
    )
}

/// Somebody who writes to every object all the time, what is none of the controller's business.
struct Rival(Vec<AbortOnDropHandle<()>>);

impl Rival {
    fn begin(shop: &Shop) -> Self {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(shop.cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = shop
            .runtime
            .block_on(Config::from_custom_kubeconfig(kubeconfig, &options))
            .unwrap();
        let _guard = shop.runtime.enter();
        let client = Arc::new(Client::try_from(config).unwrap());
        let writers = shop.objects().into_iter().map(|object| {
            let kind = GroupVersionKind::gvk("evenkeel.dev", "v1alpha1", &text(&object["kind"]));
            let meta = &object["metadata"];
            let api: Api<DynamicObject> = Api::namespaced_with(
                Client::clone(&client),
                &text(&meta["namespace"]),
                &ApiResource::from_gvk(&kind),
            );
            let name = text(&meta["name"]);
            AbortOnDropHandle::new(tokio::spawn(async move {
                for n in 0_u64.. {
                    let note = json!({"metadata": {"annotations": {"example.com/n": n.to_string()}}});
                    api.patch(&name, &PatchParams::default(), &Patch::Merge(&note))
                        .await
                        .unwrap();
                    tokio::time::sleep(PACE).await;
                }
            }))
        });
        Self(writers.collect())
    }
}

/// Plays them until every right of these was used, and says what differs nevertheless.
pub fn play(shop: &Shop, kubelet: &mut Kubelet<'_>, granted: &BTreeSet<Right>) -> Vec<String> {
    again_with_a_password(shop, kubelet);
    a_deed_that_goes(shop, kubelet);
    consoles(shop, kubelet);
    let rival = Rival::begin(shop);
    assert_eq!(rival.0.len(), shop.objects().len());
    let (begun, mut turn) = (Instant::now(), 0);
    loop {
        let power = ["Running", "Stopped"][turn % 2];
        for place in shop.places {
            let wish = json!({"spec": {"powerState": power}}).to_string();
            for server in ["web", "batch", "told"] {
                shop.patch(place, "server", &format!("{server}-{place}"), &wish);
            }
            let interval =
                json!({"spec": {"observe": {"interval": format!("{}s", 15 + turn % 2)}}}).to_string();
            for account in ["helsinki", "finland"] {
                shop.patch(place, "providerconfig", &format!("{account}-{place}"), &interval);
            }
        }
        kubelet.until("the wishes to be fulfilled", || {
            let servers = shop.objects().into_iter().filter(|o| o["kind"] == "Server");
            let reached = |s: &Value| fulfilled(s) && s["status"]["power"]["observed"] == power;
            (servers.filter(reached).count() == SERVERS_EACH * shop.places.len()).then_some(())
        });
        let differences = audit::differences(granted, &used(shop).0);
        if differences.is_empty() || begun.elapsed() > PATIENCE {
            return differences;
        }
        turn += 1;
    }
}

/// A deed is done, and its object goes when its time is over.
fn a_deed_that_goes(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    for place in shop.places {
        let server = format!("web-{place}");
        let action = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction",
            "metadata": {"name": format!("snapshot-{place}")},
            "spec": {"serverRef": {"name": server}, "createImage": {"name": "before"}, "ttlAfterFinished": "1s"}});
        shop.kubectl(place, &["create", "-f", "-"], Some(&action.to_string()))
            .ok()
            .unwrap();
        let outcomes = "jsonpath={.status.actions[*].outcome}";
        kubelet.until("the deed to be done, and its object to be gone", || {
            let left = shop.kubectl(place, &["get", "serveractions", "-o", "name"], None);
            let done = shop.kubectl(place, &["get", "server", &server, "-o", outcomes], None);
            (left.ok().ok()?.is_empty() && done.ok().ok()? == "Succeeded").then_some(())
        });
    }
}

/// A console is read, and another one opened: into objects that go with the ServerAction.
fn consoles(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    for place in shop.places {
        let wish = r#"{"spec":{"powerState":"Running"}}"#;
        shop.patch(place, "server", &format!("web-{place}"), wish);
    }
    // A console is opened while the server runs.
    kubelet.until("the webs to run", || {
        let web = |o: &Value| text(&o["metadata"]["name"]).starts_with("web-");
        let runs = |o: &Value| fulfilled(o) && o["status"]["power"]["observed"] == "Running";
        let all = shop.objects();
        (all.iter().filter(|o| web(o) && runs(o)).count() == shop.places.len()).then_some(())
    });
    for (deed, kind, key) in [
        ("consoleOutput", "configmap", "output"),
        ("remoteConsole", "secret", "url"),
    ] {
        for place in shop.places {
            let name = format!("{}-{place}", deed.to_lowercase());
            let action = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction", "metadata": {"name": name},
                "spec": {"serverRef": {"name": format!("web-{place}")}, deed: {}}});
            shop.kubectl(place, &["create", "-f", "-"], Some(&action.to_string()))
                .ok()
                .unwrap();
            let result = "jsonpath={.status.conditions[?(@.status==\"True\")].type}/{.status.result}";
            let made = kubelet.until("the console", || {
                let said = shop.kubectl(place, &["get", "serveraction", &name, "-o", result], None);
                let said = said.ok().ok()?;
                let (what, made) = said.split_once('/')?;
                (what.contains("Complete") && !made.is_empty()).then(|| made.to_owned())
            });
            let path = format!("jsonpath={{.data.{key}}}");
            let read = shop.kubectl(place, &["get", kind, &made, "-o", &path], None);
            assert!(!read.ok().unwrap().is_empty(), "{made}");
            shop.kubectl(place, &["delete", "serveraction", &name], None)
                .ok()
                .unwrap();
            kubelet.until("it to go with the ServerAction", || {
                let left = shop.kubectl(
                    place,
                    &["get", kind, "--ignore-not-found", "-o", "name", &made],
                    None,
                );
                left.ok().ok()?.is_empty().then_some(())
            });
        }
    }
}

/// The server that tells its password once is lost, and made again.
fn again_with_a_password(shop: &Shop, kubelet: &mut Kubelet<'_>) {
    let password = |place: &str| {
        let secret = format!("told-login-{place}");
        let get = ["get", "secret", &secret, "-o", "jsonpath={.data.password}"];
        shop.kubectl(place, &get, None).ok().unwrap()
    };
    for place in shop.places {
        let name = format!("told-{place}");
        shop.patch(place, "server", &name, r#"{"spec":{"onMissing":"Recreate"}}"#);
        let before = password(place);
        let id = |o: &Value| text(&o["status"]["id"]);
        let find = || {
            shop.objects()
                .into_iter()
                .find(|o| o["metadata"]["name"] == name)
                .unwrap()
        };
        let lost = id(&find());
        // With its disk: what becomes of the disk of a server that went without us, nobody can say.
        {
            let _guard = shop.runtime.enter();
            let mut disks = shop.up.storages();
            disks.retain(|d| d.servers == [lost.as_str()]);
            shop.up.oob_delete(&lost).unwrap();
            for disk in disks {
                shop.up.oob_delete_storage(&disk.id);
            }
        }
        kubelet.until("another server", || {
            let server = find();
            (fulfilled(&server) && id(&server) != lost).then_some(())
        });
        assert_ne!(
            password(place),
            before,
            "the Secret holds the password of a server that is gone"
        );
    }
}
