//! One leader at a time, by compare-and-swap on a `Lease`. No two clocks are ever compared: a candidate times
//! the holder's silence by its own monotonic clock, and a holder stops well before that can end.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::api::keys;
use crate::observer::clock::Clock;
use crate::observer::sync::lock;

/// How long others wait for a silent holder.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long a holder acts after it last asked for a renewal that was granted.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is renewed, or tried to be had.
pub const RETRY: Duration = Duration::from_secs(2);
/// How long giving it back may take.
const RELEASE: Duration = Duration::from_secs(5);

/// Where the record is kept.
pub trait Record: Send + Sync {
    /// Reads it.
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, kube::Error>>;

    /// Writes it: creates it if it has no resourceVersion, else replaces exactly that version.
    fn write(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>>;
}

/// A `Lease` in a cluster.
pub struct KubeRecord {
    api: Api<Lease>,
    name: String,
}

impl KubeRecord {
    /// The `Lease` of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        }
    }
}

impl Record for KubeRecord {
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, kube::Error>> {
        Box::pin(self.api.get_opt(&self.name))
    }

    fn write(&self, mut lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>> {
        lease.metadata.name = Some(self.name.clone());
        Box::pin(async move {
            let params = PostParams {
                field_manager: Some(keys::FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            if lease.metadata.resource_version.is_some() {
                self.api.replace(&self.name, &params, &lease).await
            } else {
                self.api.create(&params, &lease).await
            }
        })
    }
}

/// Whether this process holds the lease. Asked often, and answered by the monotonic clock.
pub struct Claim {
    until: Mutex<Option<Instant>>,
    held: watch::Sender<bool>,
}

impl Default for Claim {
    fn default() -> Self {
        Self {
            until: Mutex::new(None),
            held: watch::channel(false).0,
        }
    }
}

impl Claim {
    /// Whether it is held at this moment. A process that slept through its deadline hears no.
    pub fn holds(&self) -> bool {
        lock(&self.until).is_some_and(|until| Instant::now() < until)
    }

    /// Changes when it is had or lost.
    pub fn held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn set(&self, until: Option<Instant>) {
        *lock(&self.until) = until;
        let held = until.is_some();
        self.held.send_if_modified(|h| std::mem::replace(h, held) != held);
    }

    fn until(&self) -> Option<Instant> {
        *lock(&self.until)
    }
}

struct Candidate {
    record: Arc<dyn Record>,
    identity: String,
    clock: Clock,
    claim: Arc<Claim>,
    /// The record as it was last read or written.
    known: Option<Lease>,
    /// When it was seen to change.
    changed_at: Instant,
    /// A write was sent and not answered yet.
    writing: bool,
}

/// Tries to have the lease, keeps it, and gives it back when told to stop.
pub async fn elect(
    record: Arc<dyn Record>,
    identity: String,
    clock: Clock,
    claim: Arc<Claim>,
    stop: CancellationToken,
) {
    let mut candidate = Candidate {
        record,
        identity,
        clock,
        claim,
        known: None,
        changed_at: Instant::now(),
        writing: false,
    };
    loop {
        let began = Instant::now();
        let turn = async {
            if candidate.claim.until().is_some() {
                candidate.renew().await
            } else {
                candidate.acquire().await
            }
        };
        if stop.run_until_cancelled(turn).await.is_none() {
            break;
        }
        let next = began + RETRY;
        let next = candidate.turning_point().map_or(next, |at| next.min(at));
        if stop
            .run_until_cancelled(sleep_until(next.max(Instant::now())))
            .await
            .is_none()
        {
            break;
        }
        // Retries of a failed renewal come at the same pace; time alone ends a claim.
        if candidate
            .claim
            .until()
            .is_some_and(|until| Instant::now() >= until)
        {
            candidate.lose("it could not be renewed in time");
        }
    }
    candidate.release().await;
}

impl Candidate {
    /// When something ends by itself: our claim, or the holder's time to show a sign of life.
    fn turning_point(&self) -> Option<Instant> {
        let silence = || {
            let spec = self.known.as_ref()?.spec.as_ref()?;
            let end = self.changed_at + patience(spec);
            // One that is over was tried already, in vain.
            (end > Instant::now()).then_some(end)
        };
        self.claim.until().or_else(silence)
    }

    async fn acquire(&mut self) {
        let began = Instant::now();
        let read = match timeout_at(began + RENEW_DEADLINE, self.record.read()).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return tracing::warn!(%error, "the lease cannot be read"),
            Err(_) => return tracing::warn!("the lease cannot be read in time"),
        };
        if version(read.as_ref()) != version(self.known.as_ref()) {
            self.changed_at = Instant::now();
        }
        self.known = read;
        let spec = self
            .known
            .as_ref()
            .and_then(|l| l.spec.clone())
            .unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if !holder.is_empty() && self.changed_at.elapsed() < patience(&spec) {
            return;
        }
        let now = Some(MicroTime(self.clock.now()));
        let transitions = spec.lease_transitions.unwrap_or(0);
        let wanted = LeaseSpec {
            acquire_time: now,
            lease_transitions: Some(transitions.saturating_add(i32::from(self.known.is_some()))),
            ..spec
        };
        if self.write(wanted).await {
            let transition = self
                .known
                .as_ref()
                .and_then(|l| l.spec.as_ref()?.lease_transitions);
            tracing::info!(
                identity = self.identity,
                transition,
                former = holder,
                "the lease is ours"
            );
        }
    }

    async fn renew(&mut self) {
        let Some(spec) = self.known.as_ref().and_then(|l| l.spec.clone()) else {
            return self.lose("its record is not known");
        };
        self.write(spec).await;
    }

    /// Writes the record in our name. The claim is extended from before the request was sent.
    async fn write(&mut self, spec: LeaseSpec) -> bool {
        let began = Instant::now();
        let limit = self.claim.until().unwrap_or(began + RENEW_DEADLINE);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(MicroTime(self.clock.now())),
            ..spec
        };
        let metadata = self
            .known
            .as_ref()
            .map_or_else(ObjectMeta::default, |l| l.metadata.clone());
        let lease = Lease {
            metadata,
            spec: Some(spec),
        };
        self.writing = true;
        let answer = timeout_at(limit, self.record.write(lease)).await;
        self.writing = false;
        match answer {
            Ok(Ok(written)) if began + RENEW_DEADLINE > Instant::now() => {
                self.known = Some(written);
                self.changed_at = Instant::now();
                self.claim.set(Some(began + RENEW_DEADLINE));
                true
            }
            // Granted, but so late that others may soon take it.
            Ok(Ok(written)) => {
                self.known = Some(written);
                self.changed_at = Instant::now();
                self.lose("its renewal took too long");
                false
            }
            Ok(Err(kube::Error::Api(s))) if s.is_conflict() || s.is_already_exists() || s.is_not_found() => {
                self.reread(limit).await;
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease cannot be written");
                false
            }
            Err(_) => {
                tracing::warn!("the lease cannot be written in time");
                false
            }
        }
    }

    /// Somebody wrote it: perhaps our own write whose reply was lost.
    async fn reread(&mut self, limit: Instant) {
        let Ok(Ok(read)) = timeout_at(limit, self.record.read()).await else {
            return;
        };
        let holder = read
            .as_ref()
            .and_then(|l| l.spec.as_ref()?.holder_identity.clone());
        if version(read.as_ref()) != version(self.known.as_ref()) {
            self.changed_at = Instant::now();
        }
        self.known = read;
        if self.claim.until().is_some() && holder.as_deref() != Some(self.identity.as_str()) {
            self.lose("somebody else has it");
        }
    }

    fn lose(&self, why: &str) {
        tracing::warn!(identity = self.identity, why, "the lease is lost");
        self.claim.set(None);
    }

    /// Gives it back if it is ours: what was being written when we were told to go may have been granted unheard.
    async fn release(&mut self) {
        if self.claim.until().is_none() && !self.writing {
            return;
        }
        self.claim.set(None);
        match timeout_at(Instant::now() + RELEASE, self.give_back()).await {
            Ok(Ok(true)) => tracing::info!("the lease is given back"),
            Ok(Ok(false)) => tracing::info!("the lease is not ours to give back"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
            }
            Err(_) => tracing::warn!("the lease could not be given back in time; it runs out by itself"),
        }
    }

    /// Whether it was ours.
    async fn give_back(&mut self) -> Result<bool, kube::Error> {
        if self.writing {
            self.known = self.record.read().await?;
        }
        loop {
            let Some(mut lease) = self.known.take() else {
                return Ok(false);
            };
            let Some(spec) = lease.spec.as_mut().filter(|s| self.names_us(s)) else {
                return Ok(false);
            };
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
            match self.record.write(lease).await {
                Err(kube::Error::Api(s)) if s.is_conflict() => self.known = self.record.read().await?,
                answer => return answer.map(|_| true),
            }
        }
    }

    fn names_us(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(self.identity.as_str())
    }
}

/// How long others wait for a holder that is silent.
pub(super) fn patience(spec: &LeaseSpec) -> Duration {
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    Duration::from_secs(seconds).max(RETRY)
}

fn version(lease: Option<&Lease>) -> Option<&str> {
    lease?.metadata.resource_version.as_deref()
}
