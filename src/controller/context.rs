//! What the controller needs from the process around it.

use std::sync::{Arc, Mutex};

use kube::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ownership::Ownership;
use crate::observer::ObjectKey;
use crate::observer::clock::Clock;
use crate::observer::metrics::Metrics;
use crate::observer::sync::lock;
use crate::providers::registry::Cloud;
use crate::providers::transport::Connect;

/// Everything that the controller needs from its process.
pub struct Context {
    /// Watches: without a timeout for reads.
    pub watch_client: Client,
    /// All other requests: with one, and without retries.
    pub client: Client,
    /// The namespaces that are served; all if empty.
    pub namespaces: Vec<String>,
    /// Makes the way out to a cloud.
    pub connect: Arc<dyn Connect>,
    /// The clouds that can be spoken to.
    pub clouds: &'static [Cloud],
    /// Whether endpoints may be plain http or addresses of this machine.
    pub allow_insecure_endpoints: bool,
    /// Whether what guests write on their consoles may be written into ConfigMaps.
    pub console_output: bool,
    /// The time.
    pub clock: Clock,
    /// Names this process; changes with every start.
    pub process: String,
    /// Names this installation; never changes.
    pub installation: String,
    /// Where jitter comes from.
    pub seed: u64,
    /// Who may act.
    pub ownership: Arc<dyn Ownership>,
    /// What is counted.
    pub metrics: Metrics,
    /// What keeps the controller from being ready is written there.
    pub readiness: Arc<Readiness>,
}

/// What the controller says of itself when it is asked: whether the watches are synced, and why it does what it does.
#[derive(Default)]
pub struct Readiness {
    missing: Mutex<Option<Ask>>,
    troubled: Mutex<Option<Ask>>,
    synced: CancellationToken,
    explain: Mutex<Option<Explain>>,
}

type Ask = Arc<dyn Fn() -> Vec<String> + Send + Sync>;
type Explain = Arc<dyn Fn(&ObjectKey) -> Option<Value> + Send + Sync>;

impl Readiness {
    pub(crate) fn ask(&self, missing: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        *lock(&self.missing) = Some(Arc::new(missing));
    }

    pub(crate) fn troubled_by(&self, troubled: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        *lock(&self.troubled) = Some(Arc::new(troubled));
    }

    pub(super) fn explain_by(&self, explain: impl Fn(&ObjectKey) -> Option<Value> + Send + Sync + 'static) {
        *lock(&self.explain) = Some(Arc::new(explain));
    }

    /// What is missing; empty when the controller is ready.
    pub fn missing(&self) -> Vec<String> {
        let ask = lock(&self.missing).clone();
        ask.map_or_else(
            || vec!["the controller has not started yet".to_owned()],
            |ask| ask(),
        )
    }

    /// Which watches do not work although everything was listed once: changes are seen late.
    pub fn troubled(&self) -> Vec<String> {
        let ask = lock(&self.troubled).clone();
        ask.map_or_else(Vec::new, |ask| ask())
    }

    pub(crate) fn set_synced(&self) {
        self.synced.cancel();
    }

    /// Waits until every object was listed once: before that nobody may stand for leader.
    pub async fn synced(&self) {
        self.synced.cancelled().await;
    }

    /// Why the planner does what it does for one object, as JSON without secrets; none if there is no such object.
    pub fn explain(&self, object: &ObjectKey) -> Option<Value> {
        let explain = lock(&self.explain).clone();
        explain.and_then(|explain| explain(object))
    }
}
