//! P2 and P10: from the event of a watch to the call in the cloud.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tokio::sync::mpsc;

use crate::stage::{self, NAMESPACE, Stage, until};
use crate::table::{Row, percentile};

/// When a plain client, which only watches, has had the event of each server.
pub struct Baseline(
    mpsc::UnboundedReceiver<(String, Instant)>,
    tokio::task::JoinHandle<()>,
);

impl Drop for Baseline {
    fn drop(&mut self) {
        self.1.abort();
    }
}

impl Baseline {
    /// Begins to watch.
    pub fn new(stage: &Stage) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut config = kube::Config::new(stage.kubernetes.parse().expect("an address"));
        config.default_namespace = NAMESPACE.to_owned();
        let client = kube::Client::try_from(config).expect("a client");
        let api: kube::Api<kube::core::PartialObjectMeta<evenkeel::api::Server>> =
            kube::Api::namespaced(client, NAMESPACE);
        let task = tokio::spawn(async move {
            let watch = kube::runtime::watcher(api, kube::runtime::watcher::Config::default());
            let mut watch = std::pin::pin!(watch);
            // A watch that expires is begun anew.
            while let Some(event) = watch.next().await {
                if let Ok(kube::runtime::watcher::Event::Apply(o)) = event {
                    // Nobody listens any more at the end.
                    let _ = sender.send((o.metadata.name.unwrap_or_default(), Instant::now()));
                }
            }
        });
        Self(receiver, task)
    }

    /// When the next event of a server came.
    async fn saw(&mut self, name: &str) -> Instant {
        while let Some((seen, at)) = self.0.recv().await {
            if seen == name {
                return at;
            }
        }
        panic!("the baseline watch ended");
    }

    fn drain(&mut self) {
        while self.0.try_recv().is_ok() {}
    }
}

/// Milliseconds from the event to the call for an edit of the power wish; below zero never.
pub async fn edit(stage: &Stage, baseline: &mut Baseline, server: &str, power: &str) -> f64 {
    let id = stage.id(server);
    baseline.drain();
    stage.cloud.forget();
    stage.edit(server, "powerState", json!(power));
    let seen = baseline.saw(server).await;
    let path = format!("/servers/{id}/action");
    let call = until("the call for an edit", || {
        stage.cloud.first(|a| a.changes() && a.path.ends_with(&path))
    })
    .await;
    call.at.saturating_duration_since(seen).as_secs_f64() * 1000.0
}

/// Milliseconds that one write of two KiB takes a plain client, the median: the bound, since a call follows its record.
pub async fn write_ms(stage: &Stage) -> f64 {
    let config = kube::Config::new(stage.kubernetes.parse().expect("an address"));
    let client = kube::Client::try_from(config).expect("a client");
    let api: kube::Api<ConfigMap> = kube::Api::namespaced(client, "baseline");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "baseline", "namespace": "baseline"}, "data": {"text": "x".repeat(2048)}});
    stage.api.apply(&object).expect("a ConfigMap");
    let mut object = api.get("baseline").await.expect("a ConfigMap");
    let mut times = Vec::new();
    for i in 0..100 {
        object
            .data
            .get_or_insert_default()
            .insert("number".to_owned(), i.to_string());
        let began = Instant::now();
        let written = api
            .replace("baseline", &kube::api::PostParams::default(), &object)
            .await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        object = written.expect("a write");
    }
    percentile(&times, 50.0)
}

/// P2 on a stage with settled servers, and for a creation.
pub async fn rows(stage: &Stage, settled: usize) -> Vec<Row> {
    let bound = write_ms(stage).await;
    let mut baseline = Baseline::new(stage);
    // The first list of the baseline has to be over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut edits, mut creations) = (Vec::new(), Vec::new());
    for i in 0..100.min(settled) {
        edits.push(edit(stage, &mut baseline, &stage::name("web", i), "Stopped").await);
    }
    for i in 0..50 {
        let name = stage::name("new", i);
        // One by itself: those that follow each other closely share a list.
        tokio::time::sleep(Duration::from_millis(250 + (i as u64 * 37) % 400)).await;
        baseline.drain();
        stage.cloud.forget();
        stage.server(&name, json!({}));
        let seen = baseline.saw(&name).await;
        let call = until("a creation", || {
            stage.cloud.first(|a| a.changes() && a.path.ends_with("/servers"))
        })
        .await;
        creations.push(call.at.saturating_duration_since(seen).as_secs_f64() * 1000.0);
    }
    let (p50, p99) = (percentile(&edits, 50.0), percentile(&edits, 99.0));
    vec![
        Row::new(
            "P2",
            "edit to call, p50; the bound is one write",
            "ms",
            bound,
            1.0 + bound,
            p50,
        ),
        Row::new("P2", "edit to call, p99", "ms", bound, 5.0 + bound, p99),
        // Its finalizer is written before its record.
        Row::new(
            "P2",
            "a single creation to call, p99; two writes, and a list that is newer than it",
            "ms",
            2.0 * bound,
            5.0 + 2.0 * bound,
            percentile(&creations, 99.0),
        ),
    ]
}
