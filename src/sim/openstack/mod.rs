//! A simulated OpenStack: Keystone, Nova, and what a server needs of Glance and Neutron.
//!
//! The paths `/identity`, `/compute`, `/image` and `/network` are the services, `/_sim` is the menu of faults
//! and out-of-band deeds.

mod action_table;
mod actions;
mod attach;
mod config;
mod consoles;
mod keystone;
mod lifecycle;
mod manifests;
mod menu;
mod nova;
mod nova_change;
mod nova_create;
mod nova_show;
mod offers;
mod others;
mod out_of_band;
mod pattern;
mod quota;
mod receive;
mod server;
mod server_groups;
mod timeline;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{Quota, SimConfig, Timings};
pub use keystone::PASSWORD;
pub use manifests::{app_credential_manifests, clouds_yaml, manifests};
pub use out_of_band::NoSuchServer;
pub use server::ServerView;
pub use server_groups::GroupView;

pub use super::cloud::{FaultEffect, FaultRule, HypervisorOrder, Lines, Outage, RequestRecord, SimIo};
pub use world::World;

use super::cloud::Sim;

/// A simulated OpenStack.
pub type OpenStackSim = Sim<World>;

impl OpenStackSim {
    /// A fresh cloud: accounts, flavors, images and networks, and no server.
    pub fn new(config: SimConfig) -> Arc<Self> {
        Self::over(World::new(config))
    }

    /// Another password for a user, and for the application credentials of that user. Tokens stay.
    pub fn set_password(&self, user: &str, password: &str) {
        self.world().accounts.set_password(user, password);
    }

    /// Another quota for every project, from now on.
    pub fn set_quota(&self, quota: Quota) {
        self.world().config.quota = quota;
    }

    /// How long a server that is deleted from now on is kept and can be restored.
    pub fn set_reclaim(&self, reclaim: Option<std::time::Duration>) {
        self.world().config.reclaim = reclaim;
    }

    /// How many hosts take new servers; those above lose none.
    pub fn set_hosts(&self, hosts: usize) {
        self.world().config.hosts = hosts;
    }

    /// The id of a project by name.
    pub fn project_id(&self, name: &str) -> String {
        self.world().accounts.project_id(name)
    }

    /// The id of the application credential of `demo`.
    pub fn credential_id(&self) -> String {
        self.world().accounts.credential_id().to_owned()
    }

    /// The id of an image by name.
    pub fn image_id(&self, name: &str) -> Option<String> {
        self.world()
            .images
            .iter()
            .find(|i| i.name == name)
            .map(|i| i.id.clone())
    }

    /// The id of a security group by name.
    pub fn security_group_id(&self, name: &str) -> Option<String> {
        let world = self.world();
        let mut all = world.security_groups.iter();
        all.find(|(_, n)| n == name).map(|(id, _)| id.clone())
    }

    /// The id of a network by name.
    pub fn network_id(&self, name: &str) -> Option<String> {
        self.world()
            .networks
            .iter()
            .find(|n| n.name == name)
            .map(|n| n.id.clone())
    }

    /// Every server that exists, in the order of their making.
    pub fn live_servers(&self) -> Vec<ServerView> {
        self.world().live_views()
    }

    /// Every server that exists and is marked with this uid.
    pub fn servers_with_uid(&self, uid: &str) -> Vec<ServerView> {
        self.live_servers()
            .into_iter()
            .filter(|s| s.uid.as_deref() == Some(uid))
            .collect()
    }

    /// A server by id, also one that is gone; or by name.
    pub fn server(&self, key: &str) -> Option<ServerView> {
        let world = self.world();
        let by_name = || world.find(key).and_then(|id| world.servers.get(&id));
        world.servers.get(key).or_else(by_name).map(server::Server::view)
    }

    /// Every server group, in the order of their making.
    pub fn server_groups(&self) -> Vec<GroupView> {
        self.world().group_views()
    }
}
