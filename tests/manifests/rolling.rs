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
/// So many people wish, each after a short rest.
const CUSTOMERS: usize = 2;
const PACE: Duration = Duration::from_millis(200);

/// What somebody wished of a server, and when.
struct Wish {
    name: String,
    generation: i64,
    at: Instant,
}

/// Makes a server, stops an earlier one, and so on until told to stop.
fn customer(cluster: &'static Cluster, who: usize, enough: Arc<AtomicBool>) -> JoinHandle<Vec<Wish>> {
    let name = move |n: usize| format!("n-{who}-{n}");
    let make = move |n: usize| {
        json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name(n)},
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
                wish(
                    &["patch", "server", &name(earlier), "--type=merge", "-p", &stop],
                    None,
                );
            }
        }
        wishes
    })
}

/// When the lease changed hands, and how long nobody had it. Nobody took it from a silent holder.
fn handovers(lease: &Watch) -> Vec<(Instant, Duration)> {
    let mut all = Vec::new();
    let (mut former, mut given_back) = (String::new(), None);
    for (at, object) in lease.events() {
        let spec = &object["spec"];
        let time = |key: &str| spec[key].as_str().unwrap().parse::<Timestamp>().unwrap();
        let holder = text(&spec["holderIdentity"]);
        if holder.is_empty() {
            given_back = Some((at, time("renewTime")));
            continue;
        }
        match given_back.take() {
            Some((at, since)) => {
                assert_ne!(holder, former, "who gave it back took it again");
                all.push((at, time("acquireTime").duration_since(since).unsigned_abs()));
            }
            None => assert!(
                former.is_empty() || former == holder,
                "{holder} did not wait until {former} gave it back"
            ),
        }
        former = holder;
    }
    all
}

/// When each wish was fulfilled; every one was.
fn fulfilments(wishes: &[Wish], servers: &Watch) -> Vec<Instant> {
    let events = servers.events();
    let of = |wish: &Wish| {
        let end = events.iter().find(|(_, o)| {
            let meta = &o["metadata"];
            meta["name"] == wish.name && meta["generation"].as_i64() >= Some(wish.generation) && fulfilled(o)
        });
        end.unwrap_or_else(|| panic!("{} of generation {}", wish.name, wish.generation))
            .0
    };
    wishes.iter().map(of).collect()
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
    kubelet.until_none("every object to be Ready", || shop.unsettled());
    let before = shop.in_clouds();

    let lease = Watch::start(cluster, NAMESPACE, "leases");
    let servers = Watch::start(cluster, SHOP, "servers");
    let enough = Arc::new(AtomicBool::new(false));
    let customers: Vec<_> = (0..CUSTOMERS)
        .map(|who| customer(cluster, who, Arc::clone(&enough)))
        .collect();
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
    let wishes: Vec<Wish> = customers.into_iter().flat_map(|c| c.join().unwrap()).collect();
    kubelet.until_none("every wish to be fulfilled", || {
        let open = shop.objects().into_iter().filter(|o| !fulfilled(o));
        open.map(|o| format!("{}: {}", o["metadata"]["name"], o["status"]))
            .collect()
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
    let ends = fulfilments(&wishes, &servers);
    let took = |(wish, end): (&Wish, &Instant)| end.saturating_duration_since(wish.at);
    let slowest = wishes.iter().zip(&ends).map(took).max().unwrap();
    let without: Vec<Duration> = handovers.iter().map(|(_, took)| *took).collect();
    eprintln!(
        "{} wishes, the slowest fulfilled after {slowest:.1?}; nobody had the lease for {without:.1?}",
        wishes.len(),
    );
    assert!(slowest < LEASE, "{slowest:?}");
    for (at, took) in &handovers {
        assert!(*took < AT_ONCE, "{took:?}");
        let open = wishes
            .iter()
            .zip(&ends)
            .filter(|(w, end)| w.at < *at && at < *end);
        assert!(open.count() > 0, "nobody waited when the lease changed hands");
    }

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
