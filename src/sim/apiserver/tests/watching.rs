//! Watches: what they tell, how they end and go on.

use futures::{StreamExt, TryStreamExt};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use std::sync::{Arc, Mutex};

use super::*;

/// A reflector in a task, and what it saw.
struct Seen {
    store: reflector::Store<Server>,
    events: Arc<Mutex<Vec<String>>>,
    changed: tokio::sync::watch::Receiver<u64>,
}

impl Seen {
    fn start(api: Api<Server>) -> Self {
        let (store, writer) = reflector::store();
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tell, changed) = tokio::sync::watch::channel(0);
        let log = Arc::clone(&events);
        let stream = reflector(writer, watcher(api, watcher::Config::default()).default_backoff());
        tokio::spawn(stream.for_each(move |event| {
            let line = match event {
                Ok(watcher::Event::Apply(s)) => format!("apply {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::Delete(s)) => format!("delete {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::Init) => "init".to_owned(),
                Ok(watcher::Event::InitApply(s)) => format!("init {}", s.metadata.name.unwrap()),
                Ok(watcher::Event::InitDone) => "done".to_owned(),
                Err(error) => format!("error {error}"),
            };
            log.lock().unwrap().push(line);
            tell.send_modify(|n| *n += 1);
            futures::future::ready(())
        }));
        Self {
            store,
            events,
            changed,
        }
    }

    async fn until(&mut self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + 10 * MINUTE;
        loop {
            let now = self.events.lock().unwrap().clone();
            if wanted(&now) {
                return now;
            }
            let more = tokio::time::timeout_at(deadline, self.changed.changed()).await;
            assert!(more.is_ok(), "saw only {now:?}");
        }
    }

    async fn last(&mut self, line: &str) -> Vec<String> {
        self.until(|seen| seen.last().is_some_and(|l| l == line)).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_reflector_sees_what_happens() {
    let (cluster, api) = start();
    cluster.apply(&manifest("a")).unwrap();
    let mut seen = Seen::start(api.clone());
    seen.last("done").await;
    api.create(&PostParams::default(), &server("b")).await.unwrap();
    seen.last("apply b").await;
    cluster.edit_status(at("a"), |s| s["id"] = json!("i-1")).unwrap();
    seen.last("apply a").await;
    cluster.edit_status(at("a"), |s| s["id"] = json!("i-1")).unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let all = seen.last("delete b").await;
    assert_eq!(all, ["init", "init a", "done", "apply b", "apply a", "delete b"]);
    assert_eq!(seen.store.state().len(), 1);
    assert_eq!(
        seen.store.state()[0].status.as_ref().unwrap().id.as_deref(),
        Some("i-1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_or_ended_watch_resumes_without_a_new_list() {
    let (cluster, api) = start();
    let mut seen = Seen::start(api);
    seen.last("done").await;
    // Longer than any watch lasts, with nothing happening: bookmarks and timeouts on the way.
    tokio::time::sleep(20 * MINUTE).await;
    cluster.break_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    seen.until(|s| s.iter().any(|l| l == "apply a")).await;
    cluster.fault(Rule::new(Fault::WatchBreak).verb(Verb::Watch).on("servers"));
    cluster.break_watches("c");
    cluster.apply(&manifest("b")).unwrap();
    let all = seen.until(|s| s.iter().any(|l| l == "apply b")).await;
    assert_eq!(all.iter().filter(|l| *l == "init").count(), 1, "{all:?}");
    assert_eq!(cluster.requests("c")[&(Verb::List, "servers")], 1);
    assert!(cluster.requests("c")[&(Verb::Watch, "servers")] >= 6);
}

#[tokio::test(start_paused = true)]
async fn an_expired_watch_lists_again() {
    let (cluster, api) = start();
    let mut seen = Seen::start(api);
    seen.last("done").await;
    cluster
        .wait_until("a watch", MINUTE, |c| c.open_watches("c") == 1)
        .await
        .unwrap();
    cluster.freeze_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    cluster.expire_watches("c");
    cluster.thaw_watches("c");
    let all = seen
        .until(|s| s.iter().filter(|l| *l == "done").count() == 2)
        .await;
    assert!(all.contains(&"init a".to_owned()), "{all:?}");
    // The history is cut under a watch that has to resume.
    cluster.freeze_watches("c");
    cluster.apply(&manifest("b")).unwrap();
    cluster.compact();
    cluster.break_watches("c");
    cluster.thaw_watches("c");
    let all = seen
        .until(|s| s.iter().filter(|l| *l == "done").count() == 3)
        .await;
    assert!(all.contains(&"init b".to_owned()), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_client_is_stale_and_the_other_is_not() {
    let (cluster, api) = start();
    let mut stale = Seen::start(api);
    let mut fresh = Seen::start(Api::namespaced(cluster.client("d"), "default"));
    stale.last("done").await;
    fresh.last("done").await;
    cluster.freeze_watches("c");
    cluster.apply(&manifest("a")).unwrap();
    fresh.last("apply a").await;
    tokio::time::sleep(30 * MINUTE).await;
    assert!(stale.store.state().is_empty());
    cluster.thaw_watches("c");
    stale.last("apply a").await;
}

#[tokio::test(start_paused = true)]
async fn selectors_turn_changes_into_coming_and_going() {
    let (cluster, api) = start();
    let mut object = manifest("a");
    object["metadata"]["labels"] = json!({"on": "yes"});
    cluster.apply(&object).unwrap();
    let params = kube::api::WatchParams::default().labels("on=yes");
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    let kind = |event| match event {
        Some(kube::api::WatchEvent::Added(_)) => "added",
        Some(kube::api::WatchEvent::Modified(_)) => "modified",
        Some(kube::api::WatchEvent::Deleted(_)) => "deleted",
        _ => "other",
    };
    assert_eq!(kind(events.try_next().await.unwrap()), "added");
    for (label, want) in [("no", "deleted"), ("yes", "added")] {
        cluster
            .edit(at("a"), |o| o["metadata"]["labels"]["on"] = json!(label))
            .unwrap();
        assert_eq!(kind(events.try_next().await.unwrap()), want);
    }
    cluster
        .edit(at("a"), |o| o["spec"]["powerState"] = json!("Stopped"))
        .unwrap();
    assert_eq!(kind(events.try_next().await.unwrap()), "modified");
}
