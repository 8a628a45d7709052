//! The watches, and who is woken by what they show.

use std::fmt::Debug;
use std::sync::Arc;

use kube::Resource;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;

use super::queue::Urgency;
use super::store::{Change, Store, What};
use super::watching::{self, scopes};
use super::{Shell, actions, groups};
use crate::api::Server;

impl Shell {
    /// Watches every kind in every scope.
    pub(super) fn watch(self: &Arc<Self>) -> Vec<AbortOnDropHandle<()>> {
        let mut tasks = Vec::new();
        for scope in scopes(&self.ctx.namespaces) {
            tasks.push(self.watch_kind(&scope, &self.groups, |shell, change| {
                groups::changed(shell, change)
            }));
            tasks.push(self.watch_kind(&scope, &self.actions, |shell, change| {
                actions::changed(shell, change)
            }));
            tasks.push(self.watch_kind(&scope, &self.servers, |shell, change| {
                shell.server_changed(change)
            }));
            tasks.push(self.watch_kind(&scope, &self.configs, |shell, change| {
                shell.config_changed(&change)
            }));
        }
        tasks
    }

    fn watch_kind<K>(
        self: &Arc<Self>,
        scope: &Option<String>,
        store: &Arc<Store<K>>,
        changed: fn(&Arc<Self>, Change),
    ) -> AbortOnDropHandle<()>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let shell = Arc::clone(self);
        let watch = watching::watch(
            self.ctx.watch_client.clone(),
            scope.clone(),
            Arc::clone(store),
            move |change| changed(&shell, change),
            self.ctx.metrics.watch_restarts.clone(),
        );
        AbortOnDropHandle::new(tokio::spawn(watch))
    }

    fn server_changed(&self, change: Change) {
        groups::wake_all(self, &change.key.namespace);
        match change.what {
            What::Wish => {
                self.queue.wake(&change.key, Urgency::User);
                actions::wake_of(self, &change.key);
            }
            What::Other => {
                self.queue.wake(&change.key, Urgency::Background);
                actions::wake_of(self, &change.key);
            }
            What::Gone => {
                self.forget(&change.key, &change.uid, None);
                actions::wake_of(self, &change.key);
            }
            What::Unreadable(words) => {
                tracing::warn!(object = %change.key, error = %words, "a Server cannot be read and is left alone");
                self.events.unreadable::<Server>(change.key, change.uid, &words);
            }
        }
    }

    fn config_changed(self: &Arc<Self>, change: &Change) {
        if !*self.ctx.ownership.acting().borrow() {
            return;
        }
        let tended = self.accounts.tends(&change.key);
        match change.what {
            What::Wish | What::Other if !self.serves(&change.key) => {
                if tended {
                    self.moved.notify_one();
                }
            }
            What::Other if tended => {
                self.accounts.poke(&change.key);
                self.wake_servers_of(&change.key);
            }
            What::Wish | What::Other => {
                self.tend(&change.key);
                self.wake_servers_of(&change.key);
            }
            What::Gone => {
                self.accounts.poke(&change.key);
                self.wake_servers_of(&change.key);
            }
            What::Unreadable(ref words) => {
                tracing::warn!(config = %change.key, error = %words, "a ProviderConfig cannot be read");
            }
        }
    }
}
