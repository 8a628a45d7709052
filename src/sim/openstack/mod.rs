//! A simulated OpenStack: Keystone, Nova, and what a server needs of Glance and Neutron.
//!
//! One state behind one function, [`OpenStackSim::handle`], reached in process ([`Transport`]) or over HTTP
//! ([`OpenStackSim::serve`]). The paths `/identity`, `/compute`, `/image` and `/network` are the services,
//! `/_sim` is the menu of faults and out-of-band deeds.
//!
//! Time is tokio's: paused in tests, the machine's on a port. Nothing runs in the background; what is due is
//! carried out before each look.
//!
//! [`Transport`]: crate::providers::transport::Transport

mod action_table;
mod actions;
mod config;
mod faults;
mod http_server;
mod in_process;
mod keystone;
mod lifecycle;
mod log;
mod manifests;
mod menu;
mod nova;
mod nova_change;
mod nova_create;
mod nova_show;
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

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};

pub use config::{Quota, SimConfig, Timings};
pub use faults::{FaultEffect, FaultRule, HypervisorOrder};
pub use in_process::{Line, Lines};
pub use keystone::PASSWORD;
pub use log::RequestRecord;
pub use manifests::{app_credential_manifests, clouds_yaml, manifests};
pub use out_of_band::NoSuchServer;
pub use receive::SimIo;
pub use server::ServerView;
pub use server_groups::GroupView;

use world::World;

/// How a cloud that is down shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Nobody answers.
    Refused,
    /// Every service answers 503.
    Unavailable,
}

/// A simulated OpenStack.
#[derive(Debug)]
pub struct OpenStackSim {
    world: Mutex<World>,
}

impl OpenStackSim {
    /// A fresh cloud: accounts, flavors, images and networks, and no server.
    pub fn new(config: SimConfig) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::new(config)),
        })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(tokio::time::Instant::now());
        world
    }

    /// One request to any of the services, or to the menu.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SimIo> {
        if request.uri().path().starts_with("/_sim/") {
            return Ok(menu::answer(self, &request).into_response());
        }
        let outcome = self.world().receive(request);
        if !outcome.wait.is_zero() {
            tokio::time::sleep(outcome.wait).await;
        }
        outcome.result.map(wire::Reply::into_response)
    }

    /// Adds a fault.
    pub fn inject(&self, rule: FaultRule) {
        self.world().faults.add(rule);
    }

    /// Takes all faults and standing orders away.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// The faults that were added, also those that are used up.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.world().faults.rules()
    }

    /// Adds a standing order to the hypervisor; the latest one that matches holds.
    pub fn order(&self, order: HypervisorOrder) {
        self.world().faults.orders.push(order);
    }

    /// Takes all services down, or up again.
    pub fn outage(&self, outage: Option<Outage>) {
        let down = |o| match o {
            Outage::Refused => FaultEffect::Refused,
            Outage::Unavailable => FaultEffect::Status {
                code: 503,
                body: None,
            },
        };
        let is_outage = |rule: &FaultRule| {
            [Outage::Refused, Outage::Unavailable]
                .map(down)
                .contains(&rule.effect)
        };
        let mut world = self.world();
        world
            .faults
            .retain(|rule| !(is_outage(rule) && rule.route.is_none() && rule.count.is_none()));
        if let Some(outage) = outage {
            world.faults.add(FaultRule::new(down(outage)));
        }
    }

    /// Every token is refused from now on.
    pub fn expire_tokens(&self) {
        self.world().accounts.forget_tokens();
    }

    /// Another password for a user, and for the application credentials of that user. Tokens stay.
    pub fn set_password(&self, user: &str, password: &str) {
        self.world().accounts.set_password(user, password);
    }

    /// Another quota for every project, from now on.
    pub fn set_quota(&self, quota: Quota) {
        self.world().config.quota = quota;
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

    /// The id of a network by name.
    pub fn network_id(&self, name: &str) -> Option<String> {
        self.world()
            .networks
            .iter()
            .find(|n| n.name == name)
            .map(|n| n.id.clone())
    }

    /// Every request since the start or the last reset.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world().log.requests.clone()
    }

    /// How often each was asked: method, route and action (`POST /servers/{id}/action os-stop`).
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.world().log.counts()
    }

    /// Forgets the requests; what servers there were at most stays.
    pub fn reset_requests(&self) {
        self.world().log.requests.clear();
    }

    /// Every server that exists, in the order of their making.
    pub fn live_servers(&self) -> Vec<ServerView> {
        let world = self.world();
        let mut servers: Vec<_> = world.live().collect();
        servers.sort_by_key(|s| s.seq);
        servers.into_iter().map(server::Server::view).collect()
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

    /// The most servers that ever existed at the same time, by the uid that they are marked with.
    pub fn high_water(&self) -> BTreeMap<String, usize> {
        self.world().log.high_water()
    }
}
