//! What of everything is this process's own to act on, as accounts come and go. Where one leader has all of them, all of them
//! come and go at once, and none of this is seen.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::accounts::ConfigState;
use super::queue::Urgency;
use super::{DRAIN, Shell};
use crate::api::{Server, ServerAction, ServerGroup};
use crate::observer::sync::lock;
use crate::observer::{ObjectKey, ObjectKind};

/// Whether an object is this process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is.
    Ours,
    /// Its account is about to leave, and what a call brought is not saved yet. Nothing is begun any more.
    Ending,
    /// It is not.
    Others,
}

impl Shell {
    /// What the account of a ProviderConfig is called between replicas: as its status has it. One that says nothing yet stands
    /// for itself. Of one that does not exist, what the object recorded that names it counts.
    fn account_of(&self, config: &ObjectKey, recorded: Option<&String>) -> String {
        let said = match self.configs.get(config) {
            Some(config) => {
                let status = config.status.as_ref();
                status.and_then(|s| s.account.as_ref()).map(|a| a.id.clone())
            }
            None => recorded.cloned(),
        };
        said.unwrap_or_else(|| config.to_string())
    }

    fn account_of_server(&self, key: &ObjectKey, server: &Server) -> String {
        let config = ObjectKey::new(
            key.namespace.clone(),
            server.spec.provider_config_ref.name.clone(),
        );
        let recorded = server.status.as_ref().and_then(|s| s.account.as_ref());
        self.account_of(&config, recorded)
    }

    fn account_of_group(&self, key: &ObjectKey, group: &ServerGroup) -> String {
        let config = ObjectKey::new(key.namespace.clone(), group.spec.provider_config_ref.name.clone());
        let recorded = group.status.as_ref().and_then(|s| s.account.as_ref());
        self.account_of(&config, recorded)
    }

    fn account_of_action(&self, key: &ObjectKey, action: &ServerAction) -> String {
        let server = ObjectKey::new(key.namespace.clone(), action.spec.server_ref.name.clone());
        match self.servers.get(&server) {
            Some(known) => self.account_of_server(&server, &known),
            None => server.to_string(),
        }
    }

    /// What the account of an object is called, where that matters; none if there is no such object.
    fn account_of_object(&self, key: &ObjectKey) -> Option<String> {
        if !self.ctx.ownership.shares() {
            let exists = match key.object {
                ObjectKind::Server => self.servers.exists(key),
                ObjectKind::ServerGroup => self.groups.exists(key),
                ObjectKind::ServerAction => self.actions.exists(key),
            };
            return exists.then(String::new);
        }
        Some(match key.object {
            ObjectKind::Server => self.account_of_server(key, &*self.servers.get(key)?),
            ObjectKind::ServerGroup => self.account_of_group(key, &*self.groups.get(key)?),
            ObjectKind::ServerAction => self.account_of_action(key, &*self.actions.get(key)?),
        })
    }

    /// Whether a ProviderConfig is this process's own.
    pub(super) fn serves(&self, config: &ObjectKey) -> bool {
        if !self.ctx.ownership.shares() {
            return self.ctx.ownership.owns("");
        }
        self.ctx.ownership.owns(&self.account_of(config, None))
    }

    /// Whether an object is this process's own; none of those that do not exist.
    pub(super) fn owns(&self, key: &ObjectKey) -> bool {
        let account = self.account_of_object(key);
        account.is_some_and(|account| self.ctx.ownership.owns(&account))
    }

    /// The same, for its turn.
    pub(super) fn part(&self, key: &ObjectKey, uid: &str) -> Part {
        let Some(account) = self.account_of_object(key) else {
            return Part::Others;
        };
        if self.ctx.ownership.owns(&account) {
            Part::Ours
        } else if self.ctx.ownership.keeps(&account) && self.objects.unsaved(uid) {
            Part::Ending
        } else {
            Part::Others
        }
    }

    /// Whether a call for an object may still be sent, whose ProviderConfig is that.
    pub(super) fn may_send(&self, key: &ObjectKey, config: &ObjectKey) -> bool {
        let account = self.account_of_object(key);
        let account = account.unwrap_or_else(|| self.account_of(config, None));
        self.ctx.ownership.keeps(&account)
    }

    /// Makes sure that a ProviderConfig has a task, if it is this process's own: an account that has just come is known to its
    /// objects' turns before it is taken up.
    pub(super) fn look_after(self: &Arc<Self>, config: &ObjectKey) {
        if !self.accounts.tends(config) {
            self.tend(config);
        }
    }

    /// Takes up what has come to this process: with nothing remembered but what the objects say.
    pub(super) fn share(self: &Arc<Self>) {
        for (key, _) in self.configs.all() {
            self.look_after(&key);
        }
        let new = |key: &ObjectKey, uid: &Option<String>| {
            !self.objects.knows(uid.as_deref().unwrap_or_default()) && self.owns(key)
        };
        let servers: Vec<_> = self.servers.all();
        let servers = servers.into_iter().filter(|(key, s)| new(key, &s.metadata.uid));
        let servers: Vec<_> = servers.collect();
        // What is under way counts for all, before the first one has its turn.
        for (key, server) in &servers {
            self.seed_limits(key, server);
        }
        let groups = self
            .groups
            .all()
            .into_iter()
            .map(|(key, g)| (key, g.metadata.uid.clone()));
        let actions = self
            .actions
            .all()
            .into_iter()
            .map(|(key, a)| (key, a.metadata.uid.clone()));
        let others = groups.chain(actions).filter(|(key, uid)| new(key, uid));
        let others: Vec<ObjectKey> = others.map(|(key, _)| key).collect();
        for key in servers.iter().map(|(key, _)| key).chain(&others) {
            self.queue.wake(key, Urgency::Background);
        }
    }

    /// Ends what is under way of what has left, and forgets that.
    async fn let_go(&self) {
        let ended = async {
            loop {
                let turned = self.turned.notified();
                tokio::pin!(turned);
                turned.as_mut().enable();
                if self.objects.unsaved_keys().iter().all(|key| self.owns(key)) {
                    return;
                }
                turned.await;
            }
        };
        if timeout(DRAIN, ended).await.is_err() {
            tracing::warn!(
                "calls to clouds are still under way in accounts that have left; their records are taken up where these have gone"
            );
        }
        for (uid, key) in self.objects.known() {
            if !self.owns(&key) {
                self.forget(&key, &uid, None);
            }
        }
        for config in self.accounts.tended() {
            if self.has_left(&config) {
                tracing::info!(%config, "the account of a ProviderConfig has left this process");
                if let Some((ConfigState::Usable { account, .. }, _)) = self.accounts.state(&config) {
                    lock(&self.quotas).leave(&account.key);
                }
                self.accounts.drop_config(&config, || true);
            }
        }
    }

    /// Whether the account of a ProviderConfig that has a task here is not ours any more.
    fn has_left(&self, config: &ObjectKey) -> bool {
        if self.configs.get(config).is_some() {
            return !self.serves(config);
        }
        // It is gone, and serves deletions alone: with the account that it had.
        match self.accounts.state(config) {
            Some((ConfigState::Usable { account, .. }, _)) => !self.ctx.ownership.owns(&account.id),
            _ => false,
        }
    }

    /// Takes up and lets go, as often as that changes after `change`.
    pub(super) async fn keep_sharing(self: &Arc<Self>, mut changes: watch::Receiver<u64>, mut change: u64) {
        loop {
            let done = async {
                self.let_go().await;
                self.ctx.ownership.yielded(change);
                self.moved.notified().await;
            };
            tokio::select! {
                () = done => {}
                () = changed(&mut changes) => {}
            }
            change = *changes.borrow_and_update();
            self.share();
        }
    }
}

async fn changed(changes: &mut watch::Receiver<u64>) {
    // Where nothing ever comes or goes by itself, nobody says so.
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
