//! Races, faults, hooks, and waiting.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test(start_paused = true)]
async fn one_of_two_takes_a_lease() {
    let (cluster, _) = start();
    cluster
        .apply(&json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}))
        .unwrap();
    let race = |who: &'static str| {
        let api: Api<Lease> = Api::default_namespaced(cluster.client(who));
        async move {
            let mut lease = api.get("l").await.unwrap();
            lease.spec.as_mut().unwrap().holder_identity = Some(who.to_owned());
            api.replace("l", &PostParams::default(), &lease)
                .await
                .map(|l| l.spec.unwrap().holder_identity.unwrap())
        }
    };
    let (a, b) = tokio::join!(race("a"), race("b"));
    assert_eq!(a.unwrap(), "a");
    assert_eq!(code(b.unwrap_err()), (409, "Conflict".to_owned()));
    assert_eq!(
        cluster.get(("leases", "default", "l")).unwrap()["spec"]["holderIdentity"],
        "a"
    );
}

#[tokio::test(start_paused = true)]
async fn faults_meet_the_requests_they_were_ordered_for() {
    let (cluster, api) = start();
    let post = PostParams::default();
    let exists = |name: &str| cluster.get(at(name)).is_some();
    cluster.fault(
        Rule::new(Fault::LostReply)
            .client("c")
            .verb(Verb::Create)
            .on("servers")
            .nth(2),
    );
    api.create(&post, &server("a")).await.unwrap();
    assert!(!matches!(
        api.create(&post, &server("b")).await.unwrap_err(),
        kube::Error::Api(_)
    ));
    assert!(exists("b"), "applied, only the reply was lost");

    cluster.fault(Rule::new(Fault::Drop).named("d"));
    api.create(&post, &server("d")).await.unwrap_err();
    assert!(!exists("d"));
    for (fault, want) in [
        (Fault::Conflict, 409),
        (Fault::Status(503), 503),
        (Fault::Status(429), 429),
    ] {
        cluster.fault(Rule::new(fault).verb(Verb::Patch).status());
        let patch = Patch::Merge(json!({"status": {"id": "i"}}));
        assert_eq!(
            code(
                api.patch_status("a", &PatchParams::default(), &patch)
                    .await
                    .unwrap_err()
            )
            .0,
            want
        );
    }
    cluster.fault(Rule::new(Fault::Hang(MINUTE)).named("late"));
    let impatient = tokio::time::timeout(MINUTE / 2, api.create(&post, &server("late"))).await;
    assert!(impatient.is_err() && !exists("late"));
    cluster
        .wait_for(at("late"), MINUTE, |o| o.is_some())
        .await
        .unwrap();

    cluster.cut("c");
    api.get("a").await.unwrap_err();
    cluster.mend("c");
    api.get("a").await.unwrap();
    let log = cluster.writes();
    assert_eq!(
        log.iter().map(|w| w.code).collect::<Vec<_>>(),
        [201, 201, 0, 409, 503, 429, 201]
    );
    assert_eq!(log.iter().filter(|w| !w.replied).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hook_kills_a_client_exactly_before_or_after_its_nth_write() {
    for (phase, fault, applied) in [
        (Phase::Before, Fault::Drop, 1),
        (Phase::Before, Fault::Pass, 2),
        (Phase::After, Fault::Pass, 2),
    ] {
        let (cluster, api) = start();
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        let task = tokio::spawn(async move {
            for name in ["a", "b", "c"] {
                api.create(&PostParams::default(), &server(name)).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let victim = task.abort_handle();
        let order = fault.clone();
        cluster.on_write(move |event| {
            if event.n != 2 || event.phase != phase {
                return Fault::Pass;
            }
            victim.abort();
            order.clone()
        });
        assert!(task.await.unwrap_err().is_cancelled());
        cluster
            .wait_until("the write", MINUTE, |c| c.writes().len() == 2)
            .await
            .unwrap();
        assert_eq!(cluster.list("servers").len(), applied, "{phase:?} {fault:?}");
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_in_time_and_says_what_was_seen() {
    let (cluster, _) = start();
    cluster.apply(&manifest("a")).unwrap();
    let before = cluster.now();
    let never = cluster
        .wait_for(at("a"), MINUTE, |o| o.is_none())
        .await
        .unwrap_err();
    assert_eq!(cluster.now().duration_since(before).as_secs(), 60);
    assert!(
        never.last.contains("cirros") && never.to_string().contains("not seen within 60s"),
        "{never}"
    );
    let other = cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(MINUTE / 2).await;
        other.delete(at("a")).unwrap();
    });
    assert!(
        cluster
            .wait_for(at("a"), MINUTE, |o| o.is_none())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(cluster.now().duration_since(before).as_secs(), 90);
}
