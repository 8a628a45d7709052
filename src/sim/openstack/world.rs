//! Everything that a simulated cloud knows, and its clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::config::SimConfig;
use super::faults::Faults;
use super::keystone::Accounts;
use super::log::Log;
use super::server::{Flavor, Server};
use super::server_groups::Group;
use super::timeline::Entry;

/// An image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) project: Option<String>,
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

/// The state of a cloud. It stands still between requests: whoever looks settles it to now first.
#[derive(Debug)]
pub(super) struct World {
    pub(super) config: SimConfig,
    pub(super) start: Instant,
    epoch: Timestamp,
    /// The moment that the world has come to.
    pub(super) now: Instant,
    counter: u64,
    pub(super) accounts: Accounts,
    pub(super) flavors: Vec<Flavor>,
    pub(super) images: Vec<Image>,
    pub(super) networks: Vec<Network>,
    pub(super) servers: BTreeMap<String, Server>,
    /// Groups, in the order of their making.
    pub(super) groups: Vec<Group>,
    /// What is going to happen, by time and then by the order it was decided in.
    pub(super) agenda: BTreeMap<(Instant, u64), Entry>,
    pub(super) faults: Faults,
    pub(super) log: Log,
}

impl World {
    pub(super) fn new(config: SimConfig) -> Self {
        let start = Instant::now();
        let mut world = Self {
            start,
            epoch: config.epoch.unwrap_or_else(Timestamp::now),
            now: start,
            counter: 0,
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
            servers: BTreeMap::new(),
            groups: Vec::new(),
            agenda: BTreeMap::new(),
            faults: Faults::default(),
            log: Log::default(),
            config,
        };
        world.seed_accounts();
        for name in ["cirros", "cirros-new"] {
            let id = world.uuid();
            world.images.push(Image {
                id,
                name: name.into(),
                status: "active",
                project: None,
            });
        }
        for (name, project, prefix) in [("demo-net", "demo", "10.0"), ("alt-net", "alt", "10.1")] {
            let id = world.uuid();
            let project = world.accounts.project_id(project);
            world.networks.push(Network {
                id,
                name: name.into(),
                project,
                prefix,
            });
        }
        world
    }

    /// A number that was not given out before.
    pub(super) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// An identifier; the same ones in the same order for the same seed.
    pub(super) fn hex(&mut self) -> String {
        let n = self.next();
        let digest = Sha256::digest(format!("{}:{n}", self.config.seed).as_bytes());
        digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    pub(super) fn uuid(&mut self) -> String {
        let h = self.hex();
        format!(
            "{}-{}-4{}-a{}-{}",
            &h[..8],
            &h[8..12],
            &h[13..16],
            &h[17..20],
            &h[20..]
        )
    }

    /// The wall clock at a moment.
    pub(super) fn clock(&self, at: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(at.duration_since(self.start)).unwrap_or_default();
        self.epoch.checked_add(passed).unwrap_or(self.epoch)
    }

    pub(super) fn time(&self) -> Timestamp {
        self.clock(self.now)
    }

    /// How long one call of the hypervisor takes: as the server's metadata or a standing order says.
    pub(super) fn call_time(&self, server: &Server, call: &str) -> Duration {
        let order = |key: &str| server.metadata.get(key).and_then(|text| text.parse::<f64>().ok());
        let seconds = order(&format!("fake.delay.{call}")).or_else(|| order("fake.delay"));
        seconds
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .or_else(|| self.faults.ordered_delay(call, server))
            .unwrap_or(self.config.timings.call)
    }

    /// What a call of the hypervisor is ordered to fail with: kind and message.
    pub(super) fn call_fault(&self, server: &Server, call: &str) -> Option<(String, String)> {
        let (kind, message) = match server.metadata.get(&format!("fake.fault.{call}")) {
            Some(text) => {
                let (kind, message) = text.split_once(':').unwrap_or((text, ""));
                (kind.to_owned(), message.to_owned())
            }
            None => self.faults.ordered_fault(call, server)?,
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

    /// The id of the one live server with this id or name.
    pub(super) fn find(&self, key: &str) -> Option<String> {
        let found = self
            .live()
            .find(|s| s.id == key)
            .or_else(|| self.live().find(|s| s.name == key));
        found.map(|s| s.id.clone())
    }
}
