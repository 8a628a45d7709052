//! The accounts that ProviderConfigs name: who may be asked, and what their observers have seen.

mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::api::Reason;
use crate::observer::sync::{hash, lock};
use crate::observer::{Interest, ObjectKey, Observer, Outage, Pace, Setup, View};
use crate::planner::AccountFacts;
use crate::providers::{Account, Provider};
pub(crate) use settings::Settings;

/// What makes observers.
pub(crate) type Observe = Box<dyn Fn(u64, &'static str, Vec<Arc<dyn Provider>>, Pace) -> Setup + Send + Sync>;

/// Every ProviderConfig in use and every account behind them.
pub(crate) struct Accounts {
    inner: Mutex<Inner>,
    observe: Observe,
    seed: u64,
}

#[derive(Default)]
struct Inner {
    configs: HashMap<ObjectKey, Config>,
    accounts: HashMap<String, Shared>,
    /// Since when a ProviderConfig that does not exist is asked for.
    missing: HashMap<ObjectKey, Timestamp>,
}

struct Config {
    poke: Arc<Notify>,
    suspect: bool,
    state: ConfigState,
    settings: Settings,
    _task: AbortOnDropHandle<()>,
}

/// Whether an account can be used.
#[derive(Clone)]
pub(crate) enum ConfigState {
    /// It cannot be asked.
    Unusable(Outage),
    /// It can.
    Usable {
        /// Since when it is tried.
        since: Timestamp,
        /// Whose it is.
        account: Account,
        /// The name of the cloud, for metrics.
        cloud: &'static str,
        /// The way to it.
        provider: Arc<dyn Provider>,
        /// It is used for deletions alone.
        retired: Option<Retired>,
    },
}

/// A ProviderConfig or Secret was deleted. What was good before serves Servers that are being deleted; for all
/// others there is no account.
#[derive(Clone, Debug)]
pub(crate) struct Retired {
    /// What the others are told.
    pub(crate) outage: Outage,
    /// Whether there is a Server that is being deleted; without one the account is not asked.
    pub(crate) needed: bool,
}

/// What is said of a ProviderConfig that does not exist.
pub(crate) fn not_found(config: &ObjectKey) -> String {
    format!(
        "ProviderConfig {} does not exist in namespace {}",
        config.name, config.namespace
    )
}

struct Shared {
    observer: Observer,
    members: BTreeMap<ObjectKey, (Arc<dyn Provider>, Pace)>,
}

impl Shared {
    fn sources(members: &BTreeMap<ObjectKey, (Arc<dyn Provider>, Pace)>) -> Vec<Arc<dyn Provider>> {
        members.values().map(|(p, _)| Arc::clone(p)).collect()
    }

    /// The fastest pace that anybody asks for.
    fn pace(members: &BTreeMap<ObjectKey, (Arc<dyn Provider>, Pace)>) -> Option<Pace> {
        members.values().map(|(_, p)| *p).reduce(|a, b| Pace {
            idle: a.idle.min(b.idle),
            busy: a.busy.min(b.busy),
        })
    }
}

/// An account as one plan sees it.
pub(crate) enum Snapshot {
    /// It cannot be asked, or was not listed yet; its name, if that is known.
    Unusable(Outage, Option<String>),
    /// It was listed.
    Usable(Box<Usable>),
}

/// An account that was listed.
pub(crate) struct Usable {
    /// What the planner gets; the limits are not filled in yet.
    pub(crate) facts: AccountFacts,
    /// The settings of its ProviderConfig.
    pub(crate) settings: Settings,
    /// Names the account.
    pub(crate) account: String,
    /// The name of the cloud, for metrics.
    pub(crate) cloud: &'static str,
    /// The way to it.
    pub(crate) provider: Arc<dyn Provider>,
}

impl Accounts {
    /// No accounts yet.
    pub(crate) fn new(observe: Observe, seed: u64) -> Self {
        Self {
            inner: Mutex::default(),
            observe,
            seed,
        }
    }

    /// Makes sure that a ProviderConfig has a task; tells the task that something changed if it has one.
    pub(crate) fn tend(
        &self,
        config: &ObjectKey,
        settings: Settings,
        since: Timestamp,
        start: impl FnOnce(Arc<Notify>) -> AbortOnDropHandle<()>,
    ) {
        let mut inner = lock(&self.inner);
        inner.missing.remove(config);
        if let Some(known) = inner.configs.get_mut(config) {
            known.settings = settings;
            known.poke.notify_one();
            return;
        }
        let poke = Arc::new(Notify::new());
        let state = ConfigState::Unusable(connecting(since));
        let task = start(Arc::clone(&poke));
        inner.configs.insert(
            config.clone(),
            Config {
                poke,
                suspect: false,
                state,
                settings,
                _task: task,
            },
        );
    }

    /// Whether a ProviderConfig has a task.
    pub(crate) fn tends(&self, config: &ObjectKey) -> bool {
        lock(&self.inner).configs.contains_key(config)
    }

    /// Every ProviderConfig that has one.
    pub(crate) fn tended(&self) -> Vec<ObjectKey> {
        lock(&self.inner).configs.keys().cloned().collect()
    }

    /// Tells the task of a ProviderConfig that something changed.
    pub(crate) fn poke(&self, config: &ObjectKey) {
        if let Some(known) = lock(&self.inner).configs.get(config) {
            known.poke.notify_one();
        }
    }

    /// The cloud refused the credentials: the Secret is to be read again.
    pub(crate) fn suspect(&self, config: &ObjectKey) {
        if let Some(known) = lock(&self.inner).configs.get_mut(config) {
            known.suspect = true;
            known.poke.notify_one();
        }
    }

    /// Whether [`Accounts::suspect`] was called since the last time.
    pub(crate) fn take_suspicion(&self, config: &ObjectKey) -> bool {
        let mut inner = lock(&self.inner);
        inner
            .configs
            .get_mut(config)
            .is_some_and(|c| std::mem::take(&mut c.suspect))
    }

    /// Records whether an account can be used; whether that changed anything for its servers.
    pub(crate) fn set(&self, config: &ObjectKey, state: ConfigState) -> bool {
        let mut inner = lock(&self.inner);
        let Some(known) = inner.configs.get_mut(config) else {
            return false;
        };
        let (pace, before) = (
            known.settings.pace,
            std::mem::replace(&mut known.state, state.clone()),
        );
        let changed = !same(&before, &state);
        match &state {
            ConfigState::Usable {
                retired: Some(Retired { needed: false, .. }),
                ..
            }
            | ConfigState::Unusable(_) => inner.leave(config, None),
            ConfigState::Usable {
                account,
                cloud,
                provider,
                ..
            } => {
                inner.leave(config, Some(&account.key));
                inner.join(config, &account.key, provider, pace, |sources, pace| {
                    Observer::start((self.observe)(
                        self.seed ^ hash(&account.key),
                        cloud,
                        sources,
                        pace,
                    ))
                });
            }
        }
        changed
    }

    /// A ProviderConfig is gone and nobody needs it; false if it came back in the meantime.
    pub(crate) fn drop_config(&self, config: &ObjectKey, still_gone: impl FnOnce() -> bool) -> bool {
        let mut inner = lock(&self.inner);
        if !still_gone() {
            return false;
        }
        inner.leave(config, None);
        let removed = inner.configs.remove(config);
        drop(inner);
        removed.is_some()
    }

    /// Everything ends.
    pub(crate) fn clear(&self) {
        let inner = std::mem::take(&mut *lock(&self.inner));
        drop(inner);
    }

    /// Whether an account can be used, and what its observer knows.
    pub(crate) fn state(&self, config: &ObjectKey) -> Option<(ConfigState, View)> {
        let inner = lock(&self.inner);
        let known = inner.configs.get(config)?;
        Some((known.state.clone(), inner.view(known)))
    }

    /// The same of every ProviderConfig.
    pub(crate) fn states(&self) -> Vec<(ObjectKey, ConfigState, View)> {
        let inner = lock(&self.inner);
        let all = inner.configs.iter();
        all.map(|(key, c)| (key.clone(), c.state.clone(), inner.view(c)))
            .collect()
    }

    /// Changes with every list of the account of a ProviderConfig.
    pub(crate) fn changes(&self, config: &ObjectKey) -> Option<watch::Receiver<u64>> {
        let inner = lock(&self.inner);
        match &inner.configs.get(config)?.state {
            ConfigState::Usable { account, .. } => Some(inner.accounts.get(&account.key)?.observer.changes()),
            ConfigState::Unusable(_) => None,
        }
    }

    /// The account of a ProviderConfig as the plan of a Server sees it that is being deleted, or not.
    pub(crate) fn snapshot(&self, config: &ObjectKey, deleting: bool, now: Timestamp) -> Snapshot {
        let mut inner = lock(&self.inner);
        let Some(known) = inner.configs.get(config) else {
            let since = *inner.missing.entry(config.clone()).or_insert(now);
            return Snapshot::Unusable(
                Outage {
                    since,
                    reason: Reason::ProviderConfigNotFound,
                    message: not_found(config),
                },
                None,
            );
        };
        let view = inner.view(known);
        match &known.state {
            ConfigState::Unusable(outage) => Snapshot::Unusable(outage.clone(), None),
            ConfigState::Usable {
                retired: Some(retired),
                ..
            } if !deleting => Snapshot::Unusable(retired.outage.clone(), None),
            ConfigState::Usable {
                retired: Some(Retired { needed: false, .. }),
                ..
            } => {
                known.poke.notify_one();
                Snapshot::Unusable(connecting(now), None)
            }
            ConfigState::Usable {
                since,
                account,
                cloud,
                provider,
                ..
            } => match view.listing {
                None => {
                    let outage = view.outage.unwrap_or_else(|| connecting(*since));
                    Snapshot::Unusable(outage, Some(account.key.clone()))
                }
                Some(listing) => Snapshot::Usable(Box::new(Usable {
                    facts: AccountFacts {
                        capabilities: provider.capabilities(),
                        account: account.id.clone(),
                        suspended: known.settings.suspended,
                        listing,
                        outage: view.outage.map(|o| (o.since, o.reason, o.message)),
                        mass_absence: view.mass_absence,
                        quota: None,
                        creates_free: false,
                        disruptions_free: false,
                    },
                    settings: known.settings,
                    account: account.key.clone(),
                    cloud,
                    provider: Arc::clone(provider),
                })),
            },
        }
    }

    /// Says what an object wants to hear about.
    pub(crate) fn attend(&self, account: &str, uid: &str, interest: Interest) {
        if let Some(shared) = lock(&self.inner).accounts.get(account) {
            shared.observer.attend(uid, interest);
        }
    }

    /// Says of a server that it was recorded before the account's first list.
    pub(crate) fn expect(&self, account: &str, uid: &str, interest: Interest) {
        if let Some(shared) = lock(&self.inner).accounts.get(account) {
            shared.observer.expect(uid, interest);
        }
    }

    /// An object is gone, or has no account any more.
    pub(crate) fn forget(&self, uid: &str) {
        let inner = lock(&self.inner);
        inner.accounts.values().for_each(|s| s.observer.forget(uid));
    }
}

impl Inner {
    fn view(&self, config: &Config) -> View {
        match &config.state {
            ConfigState::Usable { account, .. } => self
                .accounts
                .get(&account.key)
                .map(|s| s.observer.view())
                .unwrap_or_default(),
            ConfigState::Unusable(_) => View::default(),
        }
    }

    fn join(
        &mut self,
        config: &ObjectKey,
        account: &str,
        provider: &Arc<dyn Provider>,
        pace: Pace,
        start: impl FnOnce(Vec<Arc<dyn Provider>>, Pace) -> Observer,
    ) {
        let member = (Arc::clone(provider), pace);
        if let Some(shared) = self.accounts.get_mut(account) {
            shared.members.insert(config.clone(), member);
            shared.observer.source(
                Shared::sources(&shared.members),
                Shared::pace(&shared.members).unwrap_or(pace),
            );
        } else {
            let observer = start(vec![Arc::clone(provider)], pace);
            let members = BTreeMap::from([(config.clone(), member)]);
            self.accounts
                .insert(account.to_owned(), Shared { observer, members });
        }
    }

    /// Leaves every account but one. An account without ProviderConfigs is not observed.
    fn leave(&mut self, config: &ObjectKey, but: Option<&str>) {
        self.accounts.retain(|key, shared| {
            if but == Some(key.as_str()) || shared.members.remove(config).is_none() {
                return true;
            }
            if let Some(pace) = Shared::pace(&shared.members) {
                shared.observer.source(Shared::sources(&shared.members), pace);
            }
            !shared.members.is_empty()
        });
    }
}

fn connecting(since: Timestamp) -> Outage {
    Outage {
        since,
        reason: Reason::Connecting,
        message: "the account is being reached".to_owned(),
    }
}

fn same(a: &ConfigState, b: &ConfigState) -> bool {
    match (a, b) {
        (ConfigState::Unusable(a), ConfigState::Unusable(b)) => a.reason == b.reason,
        (
            ConfigState::Usable {
                provider: a,
                retired: x,
                ..
            },
            ConfigState::Usable {
                provider: b,
                retired: y,
                ..
            },
        ) => {
            let of = |r: &Option<Retired>| r.as_ref().map(|r| (r.outage.reason, r.needed));
            Arc::ptr_eq(a, b) && of(x) == of(y)
        }
        _ => false,
    }
}
