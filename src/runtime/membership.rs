//! The replicas that share the accounts. Each holds a place, which is a `Lease` that it renews; beside its own name it writes
//! there by which places it reckons. As with one leader no two clocks are compared: a replica times the silence of the others
//! by its own monotonic clock, and stops well before its own can end.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::lease::{DURATION, RENEW_DEADLINE, RETRY, patience};
use super::rendezvous::{PLACES, Places};
use super::shares::{Rivals, Shares, View};
use crate::api::keys;
use crate::observer::clock::Clock;

/// How the leases are called, before the number of the place.
pub const LEASES: &str = "evenkeel-replica-";
/// How often the others' are looked at; one's own is renewed half as often.
const LOOK: Duration = Duration::from_secs(1);
/// Giving a place back may take so long.
const RELEASE: Duration = Duration::from_secs(5);

/// Where the records of all places are kept.
pub trait Records: Send + Sync {
    /// Reads all of them as they are at this moment.
    fn read(&self) -> BoxFuture<'_, Result<Vec<Lease>, kube::Error>>;

    /// Writes the one of a place: creates it if it has no resourceVersion, else replaces exactly that version.
    fn write(&self, place: u8, lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>>;
}

/// `Lease`s in a cluster, with a label of their own.
pub struct KubeRecords(Api<Lease>);

impl KubeRecords {
    /// Those of a namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }
}

impl Records for KubeRecords {
    fn read(&self) -> BoxFuture<'_, Result<Vec<Lease>, kube::Error>> {
        // Without a resourceVersion: what was written before is seen.
        let labelled = ListParams::default().labels(&format!("{}=true", keys::REPLICA));
        Box::pin(async move { Ok(self.0.list(&labelled).await?.items) })
    }

    fn write(&self, place: u8, mut lease: Lease) -> BoxFuture<'_, Result<Lease, kube::Error>> {
        let name = format!("{LEASES}{place}");
        lease.metadata.name = Some(name.clone());
        Box::pin(async move {
            let params = PostParams {
                field_manager: Some(keys::FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            if lease.metadata.resource_version.is_some() {
                self.0.replace(&name, &params, &lease).await
            } else {
                self.0.create(&params, &lease).await
            }
        })
    }
}

/// A place as it was seen last.
struct Seen {
    lease: Lease,
    /// When it was seen to change.
    changed_at: Instant,
}

impl Seen {
    fn spec(&self) -> LeaseSpec {
        self.lease.spec.clone().unwrap_or_default()
    }

    fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    /// The places by which its holder reckons.
    fn says(&self) -> Places {
        let said = self.lease.metadata.annotations.as_ref();
        said.and_then(|a| a.get(keys::PLACES))
            .map(|text| Places::read(text))
            .unwrap_or_default()
    }

    /// When its holder will have been silent for too long.
    fn silent_at(&self) -> Instant {
        self.changed_at + patience(&self.spec())
    }
}

struct Member {
    records: Arc<dyn Records>,
    identity: String,
    clock: Clock,
    shares: Arc<Shares>,
    seen: BTreeMap<u8, Seen>,
    /// When the last look that was answered was asked for.
    looked_at: Instant,
    place: Option<u8>,
    /// When the last renewal that was granted was asked for.
    renewed_at: Instant,
    rivals: Rivals,
    /// What was sent to be recorded and not answered: it may still come through, but only on the version that it replaces.
    unanswered: Option<Places>,
}

/// Has a part in the accounts, and gives it back when told to stop.
pub async fn join(
    records: Arc<dyn Records>,
    identity: String,
    clock: Clock,
    shares: Arc<Shares>,
    stop: CancellationToken,
) {
    let now = Instant::now();
    let mut member = Member {
        records,
        identity,
        clock,
        shares,
        seen: BTreeMap::new(),
        looked_at: now,
        place: None,
        renewed_at: now,
        rivals: Rivals::default(),
        unanswered: None,
    };
    loop {
        let began = Instant::now();
        let Some(well) = stop.run_until_cancelled(member.turn(began)).await else {
            break;
        };
        let next = member.next(began + LOOK, well);
        let shares = Arc::clone(&member.shares);
        let waiting = async {
            tokio::select! {
                () = sleep_until(next) => {}
                () = shares.somebody_yielded(), if well => {}
            }
        };
        if stop.run_until_cancelled(waiting).await.is_none() {
            break;
        }
        // Retries of a failed renewal come at the same pace; time alone ends a part.
        if member.shares.until().is_some_and(|until| Instant::now() >= until) {
            member.lose("it could not be renewed in time");
        }
    }
    member.release().await;
}

impl Member {
    /// When the next turn is: at the usual pace, or when something ends by itself, or at once if there is something to record.
    fn next(&self, usual: Instant, well: bool) -> Instant {
        let now = Instant::now();
        if well && self.shares.should_record() {
            return now;
        }
        let ends = self.seen.values().filter(|s| !s.holder().is_empty());
        let ends = ends.map(Seen::silent_at).filter(|end| *end > now);
        ends.chain(self.shares.until()).fold(usual, Instant::min).max(now)
    }

    /// Whether all went well.
    async fn turn(&mut self, began: Instant) -> bool {
        let limit = self.shares.until().unwrap_or(began + RENEW_DEADLINE);
        match timeout_at(limit, self.advance(began)).await {
            Ok(Ok(well)) => return well,
            Ok(Err(error)) => tracing::warn!(%error, "the leases of the replicas cannot be read or written"),
            Err(_) => tracing::warn!("the leases of the replicas cannot be read or written in time"),
        }
        false
    }

    /// Writes our record if that is due, and then, always in this order, reads the others'.
    async fn advance(&mut self, began: Instant) -> Result<bool, kube::Error> {
        let mut written = true;
        if let Some(place) = self.place {
            if self.shares.should_record() || began >= self.renewed_at + RETRY {
                written = self.write(place, self.shares.to_record()).await?;
            }
        } else {
            self.look().await?;
            let Some(place) = self.free() else {
                tracing::debug!("every place among the replicas is held");
                return Ok(true);
            };
            if !self.write(place, self.living().with(place)).await? {
                return Ok(false);
            }
            self.place = Some(place);
            tracing::info!(
                identity = self.identity,
                place,
                "a place among the replicas is ours"
            );
        }
        self.look().await?;
        self.settle();
        Ok(written)
    }

    /// Whether somebody held a place when it was looked at who may act.
    fn lives(&self, seen: &Seen) -> bool {
        !seen.holder().is_empty() && self.looked_at < seen.silent_at()
    }

    /// The other places that somebody holds.
    fn others(&self) -> impl Iterator<Item = (u8, &Seen)> {
        let others = self
            .seen
            .iter()
            .filter(|(place, s)| Some(**place) != self.place && self.lives(s));
        others.map(|(place, seen)| (*place, seen))
    }

    fn living(&self) -> Places {
        self.others()
            .fold(Places::default(), |all, (place, _)| all.with(place))
    }

    /// A place to have: our own from before, else the first that nobody holds.
    fn free(&self) -> Option<u8> {
        let own = self.seen.iter().find(|(_, s)| s.holder() == self.identity);
        let nobodys = |place: &u8| self.seen.get(place).is_none_or(|s| !self.lives(s));
        own.map(|(place, _)| *place).or_else(|| (0..PLACES).find(nobodys))
    }

    /// Writes the record of a place in our name; whether that was granted.
    async fn write(&mut self, place: u8, places: Places) -> Result<bool, kube::Error> {
        let began = Instant::now();
        let known = self.seen.get(&place);
        let had = self.place == Some(place);
        let (metadata, spec) = known.map_or_else(Default::default, |s| (s.lease.metadata.clone(), s.spec()));
        let now = Some(MicroTime(self.clock.now()));
        let transitions = spec.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: now.clone(),
            acquire_time: if had { spec.acquire_time } else { now },
            lease_transitions: Some(transitions.saturating_add(i32::from(!had && known.is_some()))),
            ..LeaseSpec::default()
        };
        let lease = Lease {
            metadata: marked(metadata, places),
            spec: Some(spec),
        };
        self.shares.sending(places);
        self.unanswered = Some(places);
        match self.records.write(place, lease).await {
            Ok(written) => {
                self.unanswered = None;
                self.renewed_at = began;
                self.saw(place, written);
                Ok(true)
            }
            // Somebody wrote or removed it: perhaps our own write whose reply was lost. The look that follows tells.
            Err(kube::Error::Api(s)) if s.is_conflict() || s.is_already_exists() || s.is_not_found() => {
                self.unanswered = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn saw(&mut self, place: u8, lease: Lease) {
        let version = |l: &Lease| l.metadata.resource_version.clone();
        let changed_at = match self.seen.get(&place) {
            Some(known) if version(&known.lease) == version(&lease) => known.changed_at,
            _ => Instant::now(),
        };
        self.seen.insert(place, Seen { lease, changed_at });
    }

    /// Reads every record.
    async fn look(&mut self) -> Result<(), kube::Error> {
        let began = Instant::now();
        let read = self.records.read().await?;
        self.looked_at = began;
        let read: BTreeMap<u8, Lease> = read
            .into_iter()
            .filter_map(|lease| Some((place_of(&lease)?, lease)))
            .collect();
        for (place, seen) in &mut self.seen {
            if !read.contains_key(place) {
                // Somebody removed it. Its holder may not know yet, and counts until it has been silent for too long.
                seen.lease.metadata = ObjectMeta {
                    annotations: seen.lease.metadata.annotations.take(),
                    ..ObjectMeta::default()
                };
            }
        }
        for (place, lease) in read {
            self.saw(place, lease);
        }
        Ok(())
    }

    /// What follows for us from what was read after our record was written.
    fn settle(&mut self) {
        let Some(place) = self.place else {
            return;
        };
        let ours = |s: &&Seen| s.holder() == self.identity && s.lease.metadata.resource_version.is_some();
        let Some(own) = self.seen.get(&place).filter(ours) else {
            return self.lose("somebody else has it");
        };
        let until = self.renewed_at + RENEW_DEADLINE;
        if Instant::now() >= until {
            return self.lose("its renewal took too long");
        }
        let recorded = own.says();
        let others: Vec<(u8, Places)> = self.others().map(|(p, s)| (p, s.says())).collect();
        let rivals = self.rivals.look(place, recorded, &others);
        let view = View {
            place,
            wish: self.living().with(place),
            recorded,
            sent: self.unanswered.unwrap_or(recorded),
            rivals,
        };
        self.shares.set(view, until);
    }

    fn lose(&mut self, why: &str) {
        self.place = None;
        self.rivals.clear();
        if self.shares.clear() {
            tracing::warn!(
                identity = self.identity,
                why,
                "the place among the replicas is lost"
            );
        }
    }

    /// Gives it back if it is ours: what was being written when we were told to go may have been granted unheard.
    async fn release(&mut self) {
        if self.place.is_none() && self.unanswered.is_none() {
            return;
        }
        self.shares.clear();
        match timeout_at(Instant::now() + RELEASE, self.give_back()).await {
            Ok(Ok(true)) => tracing::info!("the place among the replicas is given back"),
            Ok(Ok(false)) => tracing::info!("no place among the replicas is ours to give back"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the place among the replicas could not be given back; it runs out by itself");
            }
            Err(_) => {
                tracing::warn!(
                    "the place among the replicas could not be given back in time; it runs out by itself"
                );
            }
        }
    }

    /// Whether one was ours.
    async fn give_back(&mut self) -> Result<bool, kube::Error> {
        loop {
            self.look().await?;
            let own = self.seen.iter().find(|(_, s)| s.holder() == self.identity);
            let Some((place, mut lease)) = own.map(|(place, s)| (*place, s.lease.clone())) else {
                return Ok(false);
            };
            if lease.metadata.resource_version.is_none() {
                return Ok(false);
            }
            lease.spec = Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                renew_time: Some(MicroTime(self.clock.now())),
                ..lease.spec.unwrap_or_default()
            });
            match self.records.write(place, lease).await {
                Err(kube::Error::Api(s)) if s.is_conflict() => {}
                answer => return answer.map(|_| true),
            }
        }
    }
}

/// The metadata of a record that says these places.
fn marked(mut metadata: ObjectMeta, places: Places) -> ObjectMeta {
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(keys::REPLICA.to_owned(), "true".to_owned());
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(keys::PLACES.to_owned(), places.to_string());
    metadata
}

/// The place that a lease is of.
fn place_of(lease: &Lease) -> Option<u8> {
    let name = lease.metadata.name.as_deref()?;
    let place = name.strip_prefix(LEASES)?.parse().ok()?;
    (place < PLACES).then_some(place)
}
