//! What the process counts. Labels come from closed sets only.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::providers::transport::Stage;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Outcome as Ended, Recorder};

/// HTTP statuses by their hundreds.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One label: how something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// A word of a closed set.
    pub outcome: &'static str,
}

/// Two labels: what was asked of a cloud, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CloudCallLabels {
    /// `list`, `get`, `account`, or the kind of the call.
    pub operation: &'static str,
    /// `ok`, or the class of the error.
    pub outcome: &'static str,
}

/// Three labels: one HTTP request to a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method.
    pub method: String,
    /// The shape of the URL, without ids and names.
    pub route: &'static str,
    /// `2xx`, `4xx`, ..., or how far a request without reply got.
    pub outcome: &'static str,
}

/// One label: the reason of the `Ready` condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReadyLabels {
    /// `True`, `False`, `Unknown`.
    pub ready: String,
    /// A word of `api::Reason`.
    pub reason: String,
}

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Reconciles, by how they ended: `rest`, `step`, `conflict`, `error`, `panic`, `gone`.
    pub reconciles: Family<Outcome, Counter>,
    /// How long a reconcile took, in seconds.
    pub reconcile_seconds: Histogram,
    /// Objects whose turn has come.
    pub queue_depth: Gauge<i64, AtomicI64>,
    /// What was asked of the clouds, by operation and outcome.
    pub cloud_calls: Family<CloudCallLabels, Counter>,
    /// HTTP requests to the clouds, by route and outcome.
    pub cloud_requests: Family<RequestLabels, Counter>,
    /// How long requests waited for the request budget, in seconds.
    pub budget_wait_seconds: Histogram,
    /// How long a complete list of an account took, in seconds.
    pub list_seconds: Histogram,
    /// Objects that a list woke.
    pub list_wakes: Counter<u64, AtomicU64>,
    /// Servers by the reason of their Ready condition.
    pub servers: Family<ReadyLabels, Gauge<i64, AtomicI64>>,
    /// 1 while this process holds the lease.
    pub lease_held: Gauge<i64, AtomicI64>,
    /// Writes of a status, by how they ended: `ok`, `conflict`, `gone`, `error`.
    pub status_writes: Family<Outcome, Counter>,
    /// Events that were not published, by why: `full`, `error`.
    pub events_lost: Family<Outcome, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            queue_depth: Gauge::default(),
            cloud_calls: Family::default(),
            cloud_requests: Family::default(),
            budget_wait_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            list_seconds: Histogram::new(exponential_buckets(0.05, 2.0, 10)),
            list_wakes: Counter::default(),
            servers: Family::default(),
            lease_held: Gauge::default(),
            status_writes: Family::default(),
            events_lost: Family::default(),
        }
    }
}

impl Recorder for Metrics {
    fn request(&self, method: &Method, route: &'static str, outcome: Ended, _: Duration) {
        let outcome = match outcome {
            Ended::Status(code @ 100..=599) => CLASSES[usize::from(code / 100) - 1],
            Ended::Status(_) => "other",
            Ended::Lost(Stage::Connect) => "connect",
            Ended::Lost(Stage::Sent) => "lost",
            Ended::Lost(Stage::Timeout) => "timeout",
            Ended::Lost(Stage::Reply) => "reply",
        };
        let labels = RequestLabels {
            method: method.to_string(),
            route,
            outcome,
        };
        self.cloud_requests.get_or_create(&labels).inc();
    }

    fn waited(&self, _: Priority, took: Duration) {
        self.budget_wait_seconds.observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// Makes them known to a registry, under the prefix `evenkeel`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("evenkeel");
        r.register("reconciles", "Reconciles by outcome", self.reconciles.clone());
        r.register(
            "reconcile_seconds",
            "Duration of reconciles",
            self.reconcile_seconds.clone(),
        );
        r.register(
            "queue_depth",
            "Objects whose turn has come",
            self.queue_depth.clone(),
        );
        r.register(
            "cloud_calls",
            "Calls to clouds by operation and outcome",
            self.cloud_calls.clone(),
        );
        r.register(
            "cloud_requests",
            "HTTP requests to clouds by route and outcome",
            self.cloud_requests.clone(),
        );
        r.register(
            "budget_wait_seconds",
            "Time that requests waited for the request budget",
            self.budget_wait_seconds.clone(),
        );
        r.register(
            "list_seconds",
            "Duration of complete lists of an account",
            self.list_seconds.clone(),
        );
        r.register("list_wakes", "Objects woken by lists", self.list_wakes.clone());
        r.register(
            "servers",
            "Servers by the reason of their Ready condition",
            self.servers.clone(),
        );
        r.register(
            "lease_held",
            "1 while this process holds the lease",
            self.lease_held.clone(),
        );
        r.register(
            "status_writes",
            "Writes of a status by outcome",
            self.status_writes.clone(),
        );
        r.register(
            "events_lost",
            "Events that were not published",
            self.events_lost.clone(),
        );
    }

    /// Counts one call to a cloud.
    pub fn cloud_call(&self, operation: &'static str, outcome: &'static str) {
        self.cloud_calls
            .get_or_create(&CloudCallLabels { operation, outcome })
            .inc();
    }
}
