//! What a test sees of the account, past all faults.

use std::collections::BTreeMap;

use super::model::{Group, GroupView, Nic, Server, ServerView, StorageView};
use super::world::World;

fn settings(server: &Server) -> BTreeMap<String, String> {
    let open = server
        .words
        .iter()
        .filter(|(name, _)| !name.ends_with("password"));
    open.map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn interface(nic: &Nic) -> String {
    let addresses: Vec<&str> = nic.addresses.iter().map(|a| a.address.as_str()).collect();
    let (filtering, bootable) = (nic.filtering, nic.bootable);
    format!(
        "{} {} {filtering} {bootable} {}",
        nic.index,
        nic.kind,
        addresses.join(" ")
    )
}

impl World {
    pub(super) fn view(&self, server: &Server) -> ServerView {
        ServerView {
            id: server.id.clone(),
            title: server.title.clone(),
            hostname: server.hostname.clone(),
            state: server.state.word().into(),
            plan: server.plan.clone(),
            cores: server.cores,
            memory: server.memory,
            zone: server.zone.clone(),
            host: server.placed(),
            labels: server.labels.iter().cloned().collect(),
            uid: server.uid().map(Into::into),
            settings: settings(server),
            interfaces: server.nics.iter().map(interface).collect(),
            storages: server
                .devices
                .iter()
                .map(|d| (d.address.clone(), d.storage.clone()))
                .collect(),
            group: self.group_of(&server.id).map(|g| g.id.clone()),
            stopping: server.stopping,
            gone: server.gone_at.is_some(),
        }
    }

    pub(super) fn server_views(&self) -> Vec<ServerView> {
        let mut servers: Vec<_> = self.live().collect();
        servers.sort_by_key(|s| s.seq);
        servers.into_iter().map(|s| self.view(s)).collect()
    }

    /// The storages of the account.
    pub(super) fn storage_views(&self) -> Vec<StorageView> {
        let own = self.storages.values().filter(|s| !s.public);
        own.map(|s| StorageView {
            id: s.id.clone(),
            title: s.title.clone(),
            kind: s.kind.into(),
            size: s.size,
            state: s.state.into(),
            labels: s.labels.iter().cloned().collect(),
            servers: self.attached(&s.id),
        })
        .collect()
    }

    pub(super) fn group_views(&self) -> Vec<GroupView> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_by_key(|g| g.seq);
        let status = |g: &Group| {
            g.members
                .iter()
                .map(|m| (m.clone(), self.met(g, m).to_owned()))
                .collect()
        };
        groups
            .into_iter()
            .map(|g| GroupView {
                id: g.id.clone(),
                title: g.title.clone(),
                policy: g.policy.into(),
                labels: g.labels.iter().cloned().collect(),
                members: status(g),
            })
            .collect()
    }
}
