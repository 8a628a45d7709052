//! Everything that a simulated cloud knows, and its clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::config::SimConfig;
use super::keystone::Accounts;
use super::server::{Flavor, Nic, Server, ServerView};
use super::server_groups::Group;
use super::timeline::Entry;
use crate::sim::cloud::Core;

/// An image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) project: Option<String>,
    /// The smallest root disk that it fits on, in GiB.
    pub(super) min_disk: i64,
    /// Of a backup: the server, and the type.
    pub(super) backup: Option<(String, String)>,
}

/// A network of one project.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project: String,
    pub(super) prefix: &'static str,
}

/// id, name, MiB, cores, GB. The last one fits on no host.
const FLAVORS: &[(&str, &str, i64, i64, i64)] = &[
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 1, 20),
    ("3", "m1.medium", 4096, 2, 40),
    ("4", "m1.large", 8192, 4, 80),
    ("huge", "m1.huge", 1_048_576, 512, 100),
];

/// The state of a cloud.
#[derive(Debug)]
pub struct World {
    pub(super) config: SimConfig,
    pub(super) core: Core,
    pub(super) accounts: Accounts,
    pub(super) flavors: Vec<Flavor>,
    pub(super) images: Vec<Image>,
    pub(super) networks: Vec<Network>,
    /// Ids and names of security groups, the same in every project.
    pub(super) security_groups: Vec<(String, String)>,
    pub(super) servers: BTreeMap<String, Server>,
    /// Ports that no server has.
    pub(super) free_ports: Vec<Nic>,
    /// Ports that Nova made, which go when they are detached.
    pub(super) made_ports: BTreeSet<String>,
    /// Floating addresses: id, address, and the port that has it. None where there is no L3 service.
    pub(super) floating: Option<Vec<(String, String, Option<String>)>>,
    /// The ids of Cinder's volumes.
    pub(super) cinder: BTreeSet<String>,
    /// Groups, in the order of their making.
    pub(super) groups: Vec<Group>,
    /// What is going to happen, by time and then by the order it was decided in.
    pub(super) agenda: BTreeMap<(Instant, u64), Entry>,
}

impl World {
    pub(super) fn new(config: SimConfig) -> Self {
        let mut world = Self {
            core: Core::new(config.seed, config.epoch),
            accounts: Accounts::default(),
            flavors: FLAVORS
                .iter()
                .map(|&(id, name, ram, vcpus, disk)| Flavor {
                    id: id.into(),
                    name: name.into(),
                    ram,
                    vcpus,
                    disk,
                })
                .collect(),
            images: Vec::new(),
            networks: Vec::new(),
            security_groups: Vec::new(),
            servers: BTreeMap::new(),
            free_ports: Vec::new(),
            made_ports: BTreeSet::new(),
            floating: None,
            cinder: BTreeSet::new(),
            groups: Vec::new(),
            agenda: BTreeMap::new(),
            config,
        };
        world.seed_accounts();
        for (name, min_disk) in [("cirros", 0), ("cirros-new", 0)] {
            world.add_image(name, min_disk);
        }
        for (name, project, prefix) in [("demo-net", "demo", "10.0"), ("alt-net", "alt", "10.1")] {
            let id = world.core.uuid();
            let project = world.accounts.project_id(project);
            world.networks.push(Network {
                id,
                name: name.into(),
                project,
                prefix,
            });
        }
        for name in ["default", "web", "db"] {
            let id = world.core.uuid();
            world.security_groups.push((id, name.into()));
        }
        world.add_image("cirros-large", 60);
        world
    }

    fn add_image(&mut self, name: &str, min_disk: i64) {
        let id = self.core.uuid();
        self.images.push(Image {
            id,
            name: name.into(),
            status: "active",
            project: None,
            min_disk,
            backup: None,
        });
    }

    /// The name of a security group by its name or id.
    pub(super) fn security_group(&self, text: &str) -> Option<String> {
        let mut all = self.security_groups.iter();
        all.find(|(id, name)| id == text || name == text)
            .map(|(_, name)| name.clone())
    }

    /// How long one call of the hypervisor takes: as the server's metadata or a standing order says.
    pub(super) fn call_time(&self, server: &Server, call: &str) -> Duration {
        let order = |key: &str| server.metadata.get(key).and_then(|text| text.parse::<f64>().ok());
        let seconds = order(&format!("fake.delay.{call}")).or_else(|| order("fake.delay"));
        seconds
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .or_else(|| self.core.faults.ordered_delay(call, &server.id, &server.name))
            .unwrap_or(self.config.timings.call)
    }

    /// What a call of the hypervisor is ordered to fail with: kind and message.
    pub(super) fn call_fault(&self, server: &Server, call: &str) -> Option<(String, String)> {
        let (kind, message) = match server.metadata.get(&format!("fake.fault.{call}")) {
            Some(text) => {
                let (kind, message) = text.split_once(':').unwrap_or((text, ""));
                (kind.to_owned(), message.to_owned())
            }
            None => self.core.faults.ordered_fault(call, &server.id, &server.name)?,
        };
        let message = if message.is_empty() {
            format!("{call} was ordered to fail")
        } else {
            message
        };
        Some((kind, message))
    }

    /// A flavor by id.
    pub(super) fn flavor(&self, id: &str) -> Option<&Flavor> {
        self.flavors.iter().find(|f| f.id == id)
    }

    /// Servers that exist, shown or not by faults.
    pub(super) fn live(&self) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(|s| s.gone_at.is_none())
    }

    /// Every server that exists, in the order of their making.
    pub(super) fn live_views(&self) -> Vec<ServerView> {
        let mut servers: Vec<_> = self.live().collect();
        servers.sort_by_key(|s| s.seq);
        servers.into_iter().map(Server::view).collect()
    }

    /// The id of the one live server with this id or name.
    pub(super) fn find(&self, key: &str) -> Option<String> {
        let by_id = self.servers.get(key).filter(|s| s.gone_at.is_none());
        let found = by_id.or_else(|| self.live().find(|s| s.name == key));
        found.map(|s| s.id.clone())
    }
}
