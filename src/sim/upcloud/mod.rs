//! A simulated UpCloud account: version 1.3 of the API, as far as servers and server groups need it.
//!
//! The paths below `/1.3` are the service, `/_sim` is the menu of faults and out-of-band deeds. Routes of faults
//! and of the log are without the version: `POST /server`, `POST /server/{id}/stop`.

mod addresses;
mod config;
mod create;
mod devices;
mod errors;
mod fields;
mod groups;
mod interfaces;
mod manifests;
mod model;
mod modify;
mod offers;
mod operate;
mod out_of_band;
mod receive;
mod show;
mod storages;
mod views;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::json;

pub use super::cloud::{FaultEffect, FaultRule, HypervisorOrder, Lines, Outage, RequestRecord, SimIo};
pub use config::{
    Choices, FOREIGN_GROUP, FOREIGN_SERVER, FOREIGN_STORAGE, HotResize, Limits, PASSWORD, SimConfig, TOKEN,
    Timings, UID_KEY, USER,
};
pub use manifests::{manifests, password_manifests};
pub use model::{GroupView, ServerView, StorageView};
pub use out_of_band::NoSuchThing;
pub use world::World;

use super::cloud::Sim;

/// A simulated UpCloud account.
pub type UpCloudSim = Sim<World>;

impl UpCloudSim {
    /// A fresh account: templates, media and networks, and no server.
    pub fn new(config: SimConfig) -> Arc<Self> {
        Self::over(World::new(config))
    }

    /// Another token is accepted, and no other.
    pub fn set_token(&self, token: &str) {
        self.world().token = token.into();
    }

    /// Another password is accepted, and no other.
    pub fn set_password(&self, password: &str) {
        self.world().password = password.into();
    }

    /// The credential may only look, or do everything again.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// Other limits, from now on.
    pub fn set_quota(&self, limits: Limits) {
        self.world().config.limits = limits;
    }

    /// How many hosts each zone has for servers that start; those above lose none.
    pub fn set_hosts(&self, hosts: usize) {
        self.world().config.hosts = hosts;
    }

    /// What a running server answers to more cores or memory.
    pub fn set_hot_resize(&self, answer: HotResize) {
        self.world().config.hot_resize = answer;
    }

    /// What the documentation leaves open, from now on.
    pub fn set_choices(&self, choices: Choices) {
        self.world().config.choices = choices;
    }

    /// So many requests (`POST /server`) are refused with this code of the service.
    pub fn refuse(&self, method_and_route: &str, code: &str, times: u32) {
        let body = json!({"error": {"error_code": code, "error_message": format!("{code} was ordered.")}});
        let effect = FaultEffect::Status {
            code: errors::status(code),
            body: Some(body),
        };
        self.inject(FaultRule::new(effect).on(method_and_route).times(times));
    }

    /// Every server that exists, in the order of their making.
    pub fn live_servers(&self) -> Vec<ServerView> {
        self.world().server_views()
    }

    /// Every server that exists and is marked with this uid.
    pub fn servers_with_uid(&self, uid: &str) -> Vec<ServerView> {
        let mut servers = self.live_servers();
        servers.retain(|s| s.uid.as_deref() == Some(uid));
        servers
    }

    /// A server by id, also one that is gone; or by title.
    pub fn server(&self, key: &str) -> Option<ServerView> {
        let world = self.world();
        let by_title = || world.find(key).and_then(|id| world.servers.get(&id));
        let server = world.servers.get(key).or_else(by_title)?;
        Some(world.view(server))
    }

    /// The value of a setting that is only text.
    pub fn attribute_of(&self, key: &str, name: &str) -> Option<String> {
        let world = self.world();
        let id = world.find(key).unwrap_or_else(|| key.to_owned());
        world.servers.get(&id)?.words.get(name).cloned()
    }

    /// The storages of the account, templates and media not.
    pub fn storages(&self) -> Vec<StorageView> {
        self.world().storage_views()
    }

    /// Every server group, in the order of their making.
    pub fn groups(&self) -> Vec<GroupView> {
        self.world().group_views()
    }
}
