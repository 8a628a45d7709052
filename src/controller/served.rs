//! The objects that one ProviderConfig serves.

use std::sync::Arc;

use super::queue::Urgency;
use super::{Shell, groups, reconcile};
use crate::api::{ConditionType, Reason, Server, conditions};
use crate::observer::ObjectKey;

impl Shell {
    /// Every Server that lives in its account.
    pub(super) fn servers_of(&self, config: &ObjectKey) -> impl Iterator<Item = (ObjectKey, Arc<Server>)> {
        let (namespace, name) = (config.namespace.clone(), config.name.clone());
        let all = self.servers.all().into_iter();
        all.filter(move |(key, s)| key.namespace == namespace && s.spec.provider_config_ref.name == name)
    }

    /// Tells the observer of an account which servers its lists should have, unless it is known that they are gone.
    pub(super) fn expect_servers_of(&self, config: &ObjectKey, account: &str) {
        for (key, server) in self.servers_of(config) {
            let status = server.status.as_ref();
            let ready = status.and_then(|s| conditions::get(&s.conditions, ConditionType::Ready));
            let gone = ready.is_some_and(|c| c.reason == Reason::Missing.as_str());
            if let (Some(uid), false) = (&server.metadata.uid, gone) {
                let interest = reconcile::interest(&key, &server, false, None);
                self.accounts.expect(account, uid, interest);
            }
        }
    }

    /// Plans all of them, and its groups, anew.
    pub(super) fn wake_servers_of(&self, config: &ObjectKey) {
        for key in groups::of_config(self, config) {
            self.queue.wake(&key, Urgency::Background);
        }
        for (key, _) in self.servers_of(config) {
            self.queue.wake(&key, Urgency::Background);
        }
    }
}
