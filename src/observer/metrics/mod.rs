//! What the process counts. Labels come from closed sets, with one exception that is bounded: see the page.

pub mod catalogue;
pub mod labels;
pub mod page;
mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use http::Method;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::providers::transport::Stage;
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::{Outcome as Got, Recorder};
use catalogue::{Described, PREFIX};
use labels::{
    Build, Call, CallEnded, Ended, Kind, KindEnded, KindReason, OperationEnded, Request, RequestEnded, Waiter,
};
pub use state::{Scraped, State};

/// HTTP statuses by their hundreds.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Histograms that differ in their labels alone.
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// From 1 ms to 16 s: what happens within the process and the cluster.
fn short() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

/// From 10 ms to 164 s: what a cloud takes.
fn cloud() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 15))
}

/// From 1 s to 9 h: what people wait for.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 16))
}

/// Everything that is counted. What each one means is in [`catalogue::ALL`], under the same name.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the catalogue says what each one is")]
pub struct Metrics {
    pub leader: Gauge<i64, AtomicI64>,
    pub sharing_replicas: Gauge<i64, AtomicI64>,
    pub reconcile: Family<KindEnded, Counter>,
    pub reconcile_duration: Histograms<Kind>,
    pub queue_depth: Gauge<i64, AtomicI64>,
    pub queue_wait: Histogram,
    pub status_writes: Family<KindEnded, Counter>,
    pub events_lost: Family<Ended, Counter>,
    pub watch_restarts: Family<Kind, Counter>,
    pub cloud_calls: Family<CallEnded, Counter>,
    pub cloud_call_duration: Histograms<Call>,
    pub cloud_requests: Family<RequestEnded, Counter>,
    pub cloud_request_duration: Histograms<Request>,
    pub request_budget_wait: Histograms<Waiter>,
    pub list_wakes: Counter<u64, AtomicU64>,
    pub time_to_ready: Histograms<Kind>,
    pub operations: Family<OperationEnded, Counter>,
    pub drift_detected: Family<KindReason, Counter>,
    pub drift_corrected: Family<Kind, Counter>,
    /// What is read at each scrape.
    pub state: Scraped,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            leader: Gauge::default(),
            sharing_replicas: Gauge::default(),
            reconcile: Family::default(),
            reconcile_duration: Family::new_with_constructor(short),
            queue_depth: Gauge::default(),
            queue_wait: short(),
            status_writes: Family::default(),
            events_lost: Family::default(),
            watch_restarts: Family::default(),
            cloud_calls: Family::default(),
            cloud_call_duration: Family::new_with_constructor(cloud),
            cloud_requests: Family::default(),
            cloud_request_duration: Family::new_with_constructor(cloud),
            request_budget_wait: Family::new_with_constructor(short),
            list_wakes: Counter::default(),
            time_to_ready: Family::new_with_constructor(long),
            operations: Family::default(),
            drift_detected: Family::default(),
            drift_corrected: Family::default(),
            state: Scraped::default(),
        }
    }
}

/// A registry that takes help and unit from the catalogue.
struct Catalogued<'a>(&'a mut Registry);

impl Catalogued<'_> {
    fn add(&mut self, name: &str, metric: impl Metric) {
        // A metric that is not in the catalogue is not shown; a test compares both.
        let Some(described) = Described::of(name) else {
            return;
        };
        match described.unit() {
            Some(unit) => self.0.register_with_unit(name, described.help, unit, metric),
            None => self.0.register(name, described.help, metric),
        }
    }
}

impl Metrics {
    /// Makes them known to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        registry.register_collector(Box::new(self.state.clone()));
        let mut all = Catalogued(registry);
        all.add(
            "build",
            Info::new(Build {
                version: env!("CARGO_PKG_VERSION"),
            }),
        );
        all.add("leader", self.leader.clone());
        all.add("sharing_replicas", self.sharing_replicas.clone());
        // A first panic is a step from 0 to 1: a series that begins with 1 has no increase.
        for kind in ["Server", "ServerGroup"] {
            let result = "panic";
            drop(self.reconcile.get_or_create(&KindEnded { kind, result }));
        }
        all.add("reconcile", self.reconcile.clone());
        all.add("reconcile_duration", self.reconcile_duration.clone());
        all.add("queue_depth", self.queue_depth.clone());
        all.add("queue_wait", self.queue_wait.clone());
        all.add("status_writes", self.status_writes.clone());
        all.add("events_lost", self.events_lost.clone());
        all.add("watch_restarts", self.watch_restarts.clone());
        all.add("cloud_calls", self.cloud_calls.clone());
        all.add("cloud_call_duration", self.cloud_call_duration.clone());
        all.add("cloud_requests", self.cloud_requests.clone());
        all.add("cloud_request_duration", self.cloud_request_duration.clone());
        all.add("request_budget_wait", self.request_budget_wait.clone());
        all.add("list_wakes", self.list_wakes.clone());
        all.add("time_to_ready", self.time_to_ready.clone());
        all.add("operations", self.operations.clone());
        all.add("drift_detected", self.drift_detected.clone());
        all.add("drift_corrected", self.drift_corrected.clone());
    }

    /// The metrics of one cloud, by the name that its registration gives it.
    pub fn of_cloud(&self, provider: &'static str) -> CloudMetrics {
        CloudMetrics {
            metrics: self.clone(),
            provider,
        }
    }
}

/// What is counted of one cloud.
#[derive(Clone, Debug)]
pub struct CloudMetrics {
    metrics: Metrics,
    provider: &'static str,
}

impl CloudMetrics {
    /// Counts what was asked of the cloud. `result` is `ok`, or the class of the error.
    pub fn call(&self, operation: &'static str, result: &'static str, took: Duration) {
        let provider = self.provider;
        let labels = CallEnded {
            provider,
            operation,
            result,
        };
        self.metrics.cloud_calls.get_or_create(&labels).inc();
        let labels = Call { provider, operation };
        let durations = &self.metrics.cloud_call_duration;
        durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts objects that a list gave a turn.
    pub fn wakes(&self, number: usize) {
        self.metrics.list_wakes.inc_by(number as u64);
    }
}

impl Recorder for CloudMetrics {
    fn request(&self, method: &Method, route: &'static str, outcome: Got, took: Duration) {
        let code = match outcome {
            Got::Status(code @ 100..=599) => CLASSES[usize::from(code / 100) - 1],
            Got::Status(_) => "other",
            Got::Lost(Stage::Connect) => "connect",
            Got::Lost(Stage::Sent) => "lost",
            Got::Lost(Stage::Timeout) => "timeout",
            Got::Lost(Stage::Reply) => "reply",
        };
        let (provider, method) = (self.provider, method.to_string());
        let labels = Request {
            provider,
            method: method.clone(),
        };
        let durations = &self.metrics.cloud_request_duration;
        durations.get_or_create(&labels).observe(took.as_secs_f64());
        let labels = RequestEnded {
            provider,
            method,
            route,
            code,
        };
        self.metrics.cloud_requests.get_or_create(&labels).inc();
    }

    fn waited(&self, priority: Priority, took: Duration) {
        let priority = match priority {
            Priority::High => "high",
            Priority::Background => "background",
        };
        let labels = Waiter {
            provider: self.provider,
            priority,
        };
        let waits = &self.metrics.request_budget_wait;
        waits.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
