//! Two replicas are replaced one after the other, by the Deployment's own rolling update, while somebody goes on making and
//! changing servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, chart};
use crate::kubelet::Kubelet;
use crate::shop::{Shop, VALUES, fulfilled, text};
use crate::support::kube::Cluster;
use crate::watch::Watch;

const SHOP: &str = "shop";
/// After so long a silence of its holder the lease is taken. Nobody waits for that here.
const LEASE: Duration = Duration::from_secs(15);
/// A standby asks for the lease every 2 s; the rest is for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Between two wishes.
const PACE: Duration = Duration::from_millis(300);

/// What somebody wished of a server, and when.
struct Wish {
    name: String,
    generation: i64,
    at: Instant,
}

/// Makes a server, stops an earlier one, and so on until told to stop.
fn customer(cluster: &'static Cluster, enough: Arc<AtomicBool>) -> JoinHandle<Vec<Wish>> {
    let make = |n: usize| {
        json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": format!("n-{n}")},
            "spec": {
                "providerConfigRef": {"name": format!("helsinki-{SHOP}")}, "size": {"name": "m1.tiny"},
                "image": {"name": "cirros"}, "openstack": {"networks": [{"name": "primary", "network": "demo-net"}]},
            },
        })
        .to_string()
    };
    let stop = json!({"spec": {"powerState": "Stopped"}}).to_string();
    std::thread::spawn(move || {
        let mut wishes = Vec::new();
        let mut wish = |args: &[&str], input: Option<&str>| {
            let args = [&["-n", SHOP], args, &["-o", "json"]].concat();
            let said = cluster.kubectl_with(&args, input).ok().unwrap();
            let object: Value = serde_json::from_str(&said).unwrap();
            wishes.push(Wish {
                name: text(&object["metadata"]["name"]),
                generation: object["metadata"]["generation"].as_i64().unwrap(),
                at: Instant::now(),
            });
            std::thread::sleep(PACE);
        };
        for n in 0.. {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            wish(&["create", "-f", "-"], Some(&make(n)));
            if let Some(earlier) = n.checked_sub(3) {
                let name = format!("n-{earlier}");
                wish(&["patch", "server", &name, "--type=merge", "-p", &stop], None);
            }
        }
        wishes
    })
}

/// From each giving back of the lease to the moment when the next one had it. Nobody took it from a silent holder.
fn handovers(lease: &Watch) -> Vec<Duration> {
    let mut all = Vec::new();
    let (mut former, mut given_back) = (String::new(), None);
    for (_, object) in lease.events() {
        let spec = &object["spec"];
        let time = |key: &str| spec[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        let holder = text(&spec["holderIdentity"]);
        if holder.is_empty() {
            given_back = Some(time("renewTime"));
        } else if let Some(given_back) = given_back.take() {
            assert_ne!(holder, former, "who gave it back took it again");
            all.push(time("acquireTime").duration_since(given_back).unsigned_abs());
        } else {
            assert!(
                former.is_empty() || former == holder,
                "{holder} did not wait until {former} gave it back"
            );
        }
        if !holder.is_empty() {
            former = holder;
        }
    }
    all
}

/// How long the slowest wish took; every one was fulfilled.
fn slowest(wishes: &[Wish], servers: &Watch) -> Duration {
    let events = servers.events();
    let took = wishes.iter().map(|wish| {
        let end = events.iter().find(|(_, o)| {
            let meta = &o["metadata"];
            meta["name"] == wish.name && meta["generation"].as_i64() >= Some(wish.generation) && fulfilled(o)
        });
        let end = end.unwrap_or_else(|| panic!("{} of generation {}", wish.name, wish.generation));
        end.0.saturating_duration_since(wish.at)
    });
    took.max().unwrap()
}

#[test]
fn two_replicas_are_replaced_without_a_gap() {
    let shop = Shop::begin("-rolling", &[SHOP]);
    let cluster = shop.cluster;
    let mut kubelet = Kubelet::new(cluster);
    let now = chart();
    let install = [
        "install",
        "evenkeel",
        &now,
        "--create-namespace",
        "--wait",
        "--set",
        VALUES,
    ];
    shop.helm(&mut kubelet, &[&install[..], &["--set", "replicas=2"]].concat());
    assert_eq!(shop.pods(), 2);
    shop.open();
    kubelet.until("every object to be Ready", || shop.settled());
    let before = shop.in_clouds();

    let lease = Watch::start(cluster, NAMESPACE, "leases");
    let servers = Watch::start(cluster, SHOP, "servers");
    let enough = Arc::new(AtomicBool::new(false));
    let customer = customer(cluster, Arc::clone(&enough));
    // Another version, and then the same again.
    let upgrade = [
        "upgrade",
        "evenkeel",
        &now,
        "--wait",
        "--reuse-values",
        "--set",
        "image.tag=next",
    ];
    let replaced = |kubelet: &mut Kubelet<'_>, n: usize| {
        kubelet.until("the former programs to be gone, and one to lead", || {
            (shop.pods() == 2 && handovers(&lease).len() >= n).then_some(())
        });
    };
    shop.helm(&mut kubelet, &upgrade);
    replaced(&mut kubelet, 1);
    let led = handovers(&lease).len();
    shop.kubectl(NAMESPACE, &["rollout", "restart", "deployment/evenkeel"], None)
        .ok()
        .unwrap();
    let status = [
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        "deployment/evenkeel",
        "--timeout=90s",
    ];
    let (ok, said) = kubelet.during(&mut cluster.command(&status));
    assert!(ok, "{said}");
    replaced(&mut kubelet, led + 1);
    enough.store(true, Ordering::Relaxed);
    let wishes = customer.join().unwrap();
    kubelet.until("every wish to be fulfilled", || {
        let mine = shop.objects().into_iter().filter(|o| o["kind"] == "Server");
        mine.into_iter().all(|o| fulfilled(&o)).then_some(())
    });

    // Handed over at once, each time, and so no wish waited for a lease to run out.
    let handovers = handovers(&lease);
    let last = shop.objects();
    kubelet.until("the watch to have seen it all", || {
        let seen = servers.events();
        let there = |o: &Value| {
            seen.iter()
                .any(|(_, s)| s["metadata"]["resourceVersion"] == o["metadata"]["resourceVersion"])
        };
        let mut servers = last.iter().filter(|o| o["kind"] == "Server");
        servers.all(there).then_some(())
    });
    let slowest = slowest(&wishes, &servers);
    eprintln!(
        "{} wishes, the slowest fulfilled after {:.1} s; the lease was handed over in {handovers:.1?}",
        wishes.len(),
        slowest.as_secs_f32()
    );
    assert!(handovers.iter().all(|took| *took < AT_ONCE), "{handovers:?}");
    assert!(slowest < LEASE, "{slowest:?}");

    // One server for each object, made once; and nothing was done twice to any.
    let _guard = shop.runtime.enter();
    let mut asked = BTreeMap::new();
    for server in shop
        .nova
        .live_servers()
        .into_iter()
        .filter(|s| !before.contains_key(&s.id))
    {
        let twice = asked.insert(server.name.clone(), server.asked);
        assert!(twice.is_none(), "two servers {}", server.name);
    }
    let made = wishes.iter().filter(|w| w.generation == 1).count();
    assert!(made > 10 && asked.len() == made, "{made} objects, {asked:?}");
    let deeds = [&["create"][..], &["create", "stop"]];
    assert!(asked.values().all(|a| deeds.contains(&a.as_slice())), "{asked:?}");
    let creates = shop.nova.requests().into_iter();
    let creates = creates
        .filter(|r| r.key() == "POST /servers" && r.applied)
        .count();
    assert_eq!(creates, made + 2, "web and batch were there before");
    assert!(shop.nova.high_water().values().all(|most| *most == 1));
}
