//! A simulated Huawei CloudDC: physical servers, instances on them, and what is needed of the identity service.
//!
//! The paths are those of the real services: `/v1/{project}/instances`, `/v1/{project}/physicalservers`,
//! `/v3/auth/tokens`, `/v3/projects`; `/_sim` is the menu of faults and out-of-band deeds. What the documentation leaves
//! open or says in two ways is in [`Quirks`].

mod auth;
mod config;
mod create;
mod instances;
mod machines;
mod manifests;
mod menu;
mod offers;
mod out_of_band;
mod receive;
mod timeline;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use auth::{ACCESS_KEY, PROJECT, REGION, SECRET_KEY, SECURITY_TOKEN, TEMPORARY_KEY, USER, USER_PASSWORD};
pub use config::{Quirks, SimConfig, Timings, When};
pub use manifests::{key_secret, manifests, user_secret};
pub use out_of_band::NoSuchInstance;
pub use world::{InstanceView, World};

pub use super::cloud::{FaultEffect, FaultRule, HypervisorOrder, Lines, Outage, RequestRecord, SimIo};

use super::cloud::Sim;

/// A simulated CloudDC.
pub type CloudDcSim = Sim<World>;

impl CloudDcSim {
    /// A fresh cloud: physical servers that are ready, and no instance.
    pub fn new(config: SimConfig) -> Arc<Self> {
        Self::over(World::new(config))
    }

    /// Another secret for the access keys, from now on.
    pub fn set_secret_key(&self, secret: &str) {
        self.world().accounts.secret = secret.to_owned();
    }

    /// Another password for the user. Tokens stay.
    pub fn set_user_password(&self, password: &str) {
        self.world().accounts.set_password(password);
    }

    /// Another side of the documentation's contradictions, from now on.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.world().config.quirks = quirks;
    }

    /// How often an access key was locked.
    pub fn key_locks(&self) -> u32 {
        self.world().accounts.locks
    }

    /// The ids of the images that can be installed.
    pub fn image_ids(&self) -> &'static [&'static str] {
        world::IMAGES
    }

    /// Every instance that exists, in the order of their making.
    pub fn live_instances(&self) -> Vec<InstanceView> {
        let world = self.world();
        world.live().into_iter().map(|i| world.view(i)).collect()
    }

    /// Every instance that exists and is marked with this uid.
    pub fn instances_with_uid(&self, uid: &str) -> Vec<InstanceView> {
        let mut all = self.live_instances();
        all.retain(|i| i.uid.as_deref() == Some(uid));
        all
    }

    /// An instance by id, also one that is terminated; or by name.
    pub fn instance(&self, key: &str) -> Option<InstanceView> {
        let world = self.world();
        let by_name = || world.find(key).and_then(|id| world.instances.get(&id));
        world.instances.get(key).or_else(by_name).map(|i| world.view(i))
    }

    /// The password that was set last for an instance.
    pub fn password_of(&self, key: &str) -> Option<String> {
        let world = self.world();
        let id = world.find(key)?;
        world.instances.get(&id).map(|i| i.password.clone())
    }
}
