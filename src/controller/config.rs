//! One task per ProviderConfig: reads its Secrets, makes its provider, learns whose account it is, says so.

mod pin;
mod publish;
mod word;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::accounts::{ConfigState, Retired, not_found};
use super::reconcile::REQUEST;
use super::{Error, Shell, groups};
use crate::api::provider_config::Observe;
use crate::api::{ProviderConfig, Reason};
use crate::observer::sync::{Jitter, hash};
use crate::observer::{ObjectKey, Outage, outage_reason};
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::registry::{Build, cloud_of};
use crate::providers::{Account, Provider};

/// How often Secrets are read again.
const REREAD: Duration = Duration::from_secs(30);
/// How soon they may be read again on suspicion.
const REREAD_SOON: Duration = Duration::from_secs(1);
/// Logging in may take so long.
const LOGIN: Duration = Duration::from_secs(60);
/// The wait after refused credentials, unless they change.
const UNAUTHORIZED: Duration = Duration::from_secs(60);
/// The key of a Secret with certificate authorities.
const CA_KEY: &str = "ca.crt";

type Data = BTreeMap<String, Vec<u8>>;

/// What a provider was made of; a digest, so that no secret is kept twice.
type Fingerprint = [u8; 32];

struct Tender {
    shell: Arc<Shell>,
    key: ObjectKey,
    jitter: Jitter,
    /// The provider, and what it was made of.
    made: Option<(Fingerprint, Arc<dyn Provider>)>,
    /// The name of its cloud, for metrics.
    cloud: &'static str,
    /// Whose it is, once that is known.
    account: Option<Account>,
    state: ConfigState,
    read_at: Option<Instant>,
    read_generation: Option<i64>,
    /// When to read again what could not be read.
    read_again: Option<Instant>,
    /// The outage for which the Secrets were read again.
    reread_for: Option<Timestamp>,
    retry_at: Option<Instant>,
    failures: u32,
    counts_at: Option<Instant>,
    publish_due: Option<Instant>,
    told: publish::Told,
    word: word::Word,
}

/// Tends one ProviderConfig until it is gone and no Server needs it.
pub(crate) async fn tend(shell: Arc<Shell>, key: ObjectKey, poke: Arc<Notify>) {
    let since = shell.ctx.clock.now();
    let mut tender = Tender {
        jitter: Jitter::new(shell.ctx.seed ^ hash(&key.to_string())),
        made: None,
        cloud: "",
        account: None,
        state: ConfigState::Unusable(outage(since, Reason::Connecting, "the account is being reached")),
        read_at: None,
        read_generation: None,
        read_again: None,
        reread_for: None,
        retry_at: None,
        failures: 0,
        counts_at: None,
        publish_due: None,
        told: publish::Told::default(),
        word: word::Word::default(),
        shell,
        key,
    };
    loop {
        let before = tender.shell.accounts.changes(&tender.key);
        let due = match tender.turn().await {
            Some(due) => due,
            None if tender
                .shell
                .accounts
                .drop_config(&tender.key, || tender.shell.configs.get(&tender.key).is_none()) =>
            {
                return;
            }
            None => Instant::now(),
        };
        let changes = match (before, tender.shell.accounts.changes(&tender.key)) {
            (Some(before), Some(after)) if before.same_channel(&after) => Some(before),
            // A new observer may have listed already.
            (_, Some(mut after)) => {
                after.mark_changed();
                Some(after)
            }
            (_, None) => None,
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = poke.notified() => {}
            () = changed(changes) => {}
        }
    }
}

async fn changed(receiver: Option<tokio::sync::watch::Receiver<u64>>) {
    if let Some(mut receiver) = receiver
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl Tender {
    /// One look at everything; when the next one is due, or none if there is nothing left to tend.
    async fn turn(&mut self) -> Option<Instant> {
        let Some(config) = self.shell.configs.get(&self.key) else {
            return self.orphaned();
        };
        if !self.shell.serves(&self.key) {
            // What is under way is ended with what is known.
            return Some(Instant::now() + REREAD);
        }
        let before = self.state.clone();
        if let Err(error) = self.advance(&config).await {
            tracing::warn!(config = %self.key, %error, "a ProviderConfig could not be tended and is tried again");
            self.read_again = Some(Instant::now() + self.backoff());
        }
        self.tell(&before);
        if let Err(error) = self.publish(&config).await {
            tracing::debug!(config = %self.key, %error, "the status of a ProviderConfig could not be written");
            self.publish_due = Some(Instant::now() + REREAD_SOON);
        }
        let read = self.read_at.map_or_else(Instant::now, |at| at + REREAD);
        Some(
            [self.retry_at, self.read_again, self.publish_due]
                .into_iter()
                .flatten()
                .fold(read, Instant::min),
        )
    }

    /// Hands the state in; whom it concerns plans anew.
    fn tell(&mut self, before: &ConfigState) {
        if let ConfigState::Usable {
            retired: Some(retired),
            ..
        } = &mut self.state
        {
            let mut servers = self.shell.servers_of(&self.key);
            retired.needed = servers.any(|(_, s)| s.metadata.deletion_timestamp.is_some())
                || groups::any_deleted(&self.shell, &self.key);
        }
        if self.shell.accounts.set(&self.key, self.state.clone()) {
            let (from, to) = (words(before), words(&self.state));
            tracing::info!(config = %self.key, from, to, "the account of a ProviderConfig");
            if let ConfigState::Usable { account, .. } = &self.state {
                self.shell.expect_servers_of(&self.key, &account.key);
            }
            self.shell.wake_servers_of(&self.key);
        }
    }

    /// The ProviderConfig is gone. Its last good provider stays for what is deleted.
    fn orphaned(&mut self) -> Option<Instant> {
        let needed = self.shell.servers_of(&self.key).next().is_some()
            || !groups::of_config(&self.shell, &self.key).is_empty();
        if !needed || self.account.is_none() {
            return None;
        }
        // Should it come back, everything is read again.
        self.read_at = None;
        let before = self.state.clone();
        self.retire(Reason::ProviderConfigNotFound, &not_found(&self.key));
        self.tell(&before);
        Some(Instant::now() + REREAD)
    }

    /// What is in use serves deletions alone from now on.
    fn retire(&mut self, reason: Reason, message: &str) {
        let now = self.shell.ctx.clock.now();
        if let ConfigState::Usable { retired, .. } = &mut self.state {
            let since = retired.as_ref().map_or(now, |r| r.outage.since);
            let needed = retired.as_ref().is_some_and(|r| r.needed);
            let outage = outage(since, reason, message);
            *retired = Some(Retired { outage, needed });
        }
    }

    async fn advance(&mut self, config: &ProviderConfig) -> Result<(), Error> {
        let now = Instant::now();
        if self.should_read(config, now) {
            (self.read_at, self.read_again) = (Some(now), None);
            self.read_generation = config.metadata.generation;
            self.read(config).await?;
        }
        let due = self.retry_at.is_none_or(|at| at <= Instant::now());
        if let (Some((_, provider)), None, true) = (self.made.clone(), &self.account, due) {
            self.login(config, provider).await?;
        }
        Ok(())
    }

    fn should_read(&mut self, config: &ProviderConfig, now: Instant) -> bool {
        let suspected = self.shell.accounts.take_suspicion(&self.key) | self.refused_list();
        let Some(last) = self.read_at.filter(|_| self.read_again.is_none_or(|at| now < at)) else {
            return true;
        };
        if self.read_generation != config.metadata.generation || last + REREAD <= now {
            return true;
        }
        suspected && last + REREAD_SOON <= now
    }

    /// Whether lists began to be refused for the credentials since the Secrets were read.
    fn refused_list(&mut self) -> bool {
        let view = self.shell.accounts.state(&self.key).map(|(_, view)| view);
        let outage = view.and_then(|v| v.outage);
        let refused = outage.filter(|o| o.reason == Reason::CredentialsInvalid);
        let since = refused.map(|o| o.since);
        let new = since.is_some() && since != self.reread_for;
        self.reread_for = since;
        new
    }

    /// Reads the Secrets; makes a new provider when they, or the spec, changed.
    async fn read(&mut self, config: &ProviderConfig) -> Result<(), Error> {
        let cloud = match cloud_of(self.shell.ctx.clouds, &config.spec) {
            Ok(cloud) => cloud,
            Err(error) => {
                self.refuse(&error, Reason::Unsupported);
                return Ok(());
            }
        };
        let name = (cloud.secret)(&config.spec).unwrap_or_default();
        let Some(secret) = self.secret(name).await? else {
            return Ok(());
        };
        let ca = match &config.spec.ca_secret_ref {
            None => None,
            Some(reference) => {
                let Some(mut data) = self.secret(&reference.name).await? else {
                    return Ok(());
                };
                let Some(pem) = data.remove(CA_KEY) else {
                    self.missing(&reference.name, "lacks the key ca.crt");
                    return Ok(());
                };
                Some(pem)
            }
        };
        let fingerprint = fingerprint(config, &secret, ca.as_deref());
        if self.made.as_ref().is_some_and(|(known, _)| *known == fingerprint) {
            if let ConfigState::Usable { retired, .. } = &mut self.state {
                *retired = None;
            }
            return Ok(());
        }
        let shell = Arc::clone(&self.shell);
        let made = shell
            .ctx
            .connect
            .connect(ca.as_deref())
            .map_err(|e| CloudError::new(ErrorClass::InvalidSpec, e.message))
            .and_then(|transport| {
                (cloud.build)(&Build {
                    spec: &config.spec,
                    secret: &secret,
                    transport,
                    recorder: Arc::new(shell.ctx.metrics.of_cloud(cloud.name)),
                    budgets: &shell.budgets,
                    allow_insecure_endpoints: shell.ctx.allow_insecure_endpoints,
                })
            });
        (self.account, self.retry_at, self.failures) = (None, None, 0);
        match made {
            Ok(provider) => {
                tracing::info!(config = %self.key, cloud = cloud.name, "credentials or settings are new");
                self.made = Some((fingerprint, provider));
                self.cloud = cloud.name;
            }
            Err(error) => {
                self.made = None;
                let reason = match error.class {
                    ErrorClass::NotFound => Reason::CredentialsMissing,
                    _ => outage_reason(&error),
                };
                self.refuse(&error, reason);
            }
        }
        Ok(())
    }

    /// Reads a Secret. One that does not exist, or may not be read, is said so, and none is returned.
    async fn secret(&mut self, name: &str) -> Result<Option<Data>, Error> {
        let api: Api<Secret> = Api::namespaced(self.shell.ctx.client.clone(), &self.key.namespace);
        match timeout(REQUEST, api.get_opt(name)).await {
            Ok(Ok(Some(secret))) => {
                let data = secret.data.unwrap_or_default().into_iter();
                Ok(Some(data.map(|(k, v)| (k, v.0)).collect()))
            }
            Ok(Ok(None)) => {
                self.missing(name, "does not exist");
                Ok(None)
            }
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                self.missing(
                    name,
                    &format!("may not be read by the controller: {}", status.message),
                );
                Ok(None)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// A Secret is missing: whoever took it away wants it to be used no more. Deletions go on with what was good.
    fn missing(&mut self, name: &str, why: &str) {
        let words = format!("the Secret {name} {why}");
        if self.account.is_some() {
            tracing::warn!(config = %self.key, "{words}; nothing but deletions goes on");
            self.retire(Reason::CredentialsMissing, &words);
            return;
        }
        // Never logged in with, and not to be any more.
        (self.made, self.retry_at) = (None, None);
        self.refuse(
            &CloudError::new(ErrorClass::NotFound, words),
            Reason::CredentialsMissing,
        );
    }

    async fn login(&mut self, config: &ProviderConfig, provider: Arc<dyn Provider>) -> Result<(), Error> {
        let began = Instant::now();
        let answer = timeout(LOGIN, provider.account())
            .await
            .unwrap_or_else(|_| Err(CloudError::new(ErrorClass::Transient, "no answer in time")));
        let outcome = answer.as_ref().map_or_else(|e| e.class.as_str(), |_| "ok");
        let metrics = self.shell.ctx.metrics.of_cloud(self.cloud);
        metrics.call("Account", outcome, began.elapsed());
        match answer {
            Ok(account) => self.pin(config, account, provider).await,
            Err(error) => {
                self.refuse(&error, outage_reason(&error));
                let asked = error
                    .retry_after
                    .map(|s| Duration::from_secs(u64::from(s.min(600))));
                let mut wait = self.backoff().max(asked.unwrap_or_default());
                if matches!(error.class, ErrorClass::Unauthorized | ErrorClass::Forbidden) {
                    wait = wait.max(UNAUTHORIZED);
                }
                self.retry_at = Some(Instant::now() + wait);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, error: &CloudError, reason: Reason) {
        let now = self.shell.ctx.clock.now();
        self.account = None;
        self.state = match &self.state {
            ConfigState::Unusable(o) if o.reason == reason && o.message == error.message => return,
            // It began when it began, whatever the words are.
            ConfigState::Unusable(o) if o.reason != Reason::Connecting => {
                ConfigState::Unusable(outage(o.since, reason, &error.message))
            }
            _ => ConfigState::Unusable(outage(now, reason, &error.message)),
        };
    }

    fn backoff(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doubled = Duration::from_secs(1 << (self.failures - 1).min(5)).min(Duration::from_secs(30));
        self.jitter.around(doubled, 10)
    }
}

fn outage(since: Timestamp, reason: Reason, message: &str) -> Outage {
    Outage {
        since,
        reason,
        message: message.to_owned(),
    }
}

fn words(state: &ConfigState) -> &'static str {
    match state {
        ConfigState::Unusable(o) => o.reason.as_str(),
        ConfigState::Usable { retired: Some(r), .. } => r.outage.reason.as_str(),
        ConfigState::Usable { .. } => "Usable",
    }
}

/// What a provider is made of. The settings that the shell itself reads are not in it: they change without a
/// new login.
fn fingerprint(config: &ProviderConfig, secret: &Data, ca: Option<&[u8]>) -> Fingerprint {
    let mut spec = config.spec.clone();
    spec.suspend = false;
    (spec.max_creates_in_flight, spec.max_concurrent_disruptions) = (0, 0);
    spec.observe = Observe::default();
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(&spec).unwrap_or_default());
    for (key, value) in secret {
        for part in [key.as_bytes(), value] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.update(ca.unwrap_or_default());
    hasher.finalize().into()
}
