//! Everything that a simulated account knows: catalog, hosts, and what is going to happen.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::config::{PASSWORD, SimConfig, TOKEN};
use super::errors::{Refusal, because, refused};
use super::model::{Floating, Group, Server, State, Storage};
use crate::sim::cloud::{Ask, Core, serve_late};

/// Name, cores, MiB, GB of its disk.
pub(super) const PLANS: &[(&str, u64, u64, u64)] = &[
    ("1xCPU-1GB", 1, 1024, 25),
    ("1xCPU-2GB", 1, 2048, 50),
    ("2xCPU-4GB", 2, 4096, 80),
    ("4xCPU-8GB", 4, 8192, 160),
    ("6xCPU-16GB", 6, 16_384, 320),
    ("8xCPU-32GB", 8, 32_768, 640),
    ("20xCPU-128GB", 20, 131_072, 2048),
];
/// Id and description.
pub(super) const ZONES: &[(&str, &str)] = &[
    ("fi-hel1", "Helsinki #1"),
    ("fi-hel2", "Helsinki #2"),
    ("uk-lon1", "London #1"),
    ("de-fra1", "Frankfurt #1"),
];
/// The most cores of a server that has no plan.
pub(super) const MOST_CORES: u64 = 20;
/// The most memory of a server that has no plan, in MiB.
pub(super) const MOST_MEMORY: u64 = 131_072;
/// Networks: id, name, kind, zone, the beginning of its addresses.
pub(super) const NETWORKS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9",
        "demo-net",
        "private",
        "fi-hel1",
        "10.0.0",
    ),
    (
        "03b5b0a0-ad4c-4817-9632-dafdb3ace5da",
        "london-net",
        "private",
        "uk-lon1",
        "10.0.1",
    ),
    (
        "03000000-0000-4000-8045-000000000000",
        "utility",
        "utility",
        "fi-hel1",
        "10.6",
    ),
    (
        "037fcf2a-6745-45dd-867e-f9479ea8c044",
        "public",
        "public",
        "fi-hel1",
        "94.237",
    ),
];
/// Id, title, kind, GB, template type, credits for its license.
type Medium = (
    &'static str,
    &'static str,
    &'static str,
    u64,
    Option<&'static str>,
    f64,
);
/// Templates and media.
const PUBLIC: &[Medium] = &[
    (
        "01000000-0000-4000-8000-000030240200",
        "Ubuntu Server 24.04 LTS (Noble Numbat)",
        "template",
        4,
        Some("cloud-init"),
        0.0,
    ),
    (
        "01000000-0000-4000-8000-000020070100",
        "Debian GNU/Linux 12 (Bookworm)",
        "template",
        3,
        Some("cloud-init"),
        0.0,
    ),
    (
        "01000000-0000-4000-8000-000020030100",
        "Debian GNU/Linux 8 (Jessie)",
        "template",
        3,
        Some("native"),
        0.0,
    ),
    (
        "01000000-0000-4000-8000-000050010400",
        "CentOS 7",
        "template",
        3,
        Some("native"),
        0.0,
    ),
    (
        "01000000-0000-4000-8000-000010080300",
        "Windows Server 2022 Standard",
        "template",
        20,
        Some("native"),
        3.36,
    ),
    (
        "01000000-0000-4000-8000-000020010301",
        "Debian GNU/Linux 12 installation CD",
        "cdrom",
        1,
        None,
        0.0,
    ),
];
/// The first host of a zone; hosts are numbered beyond 32 bits.
const FIRST_HOST: u64 = 7_653_311_107;

/// One step of one accepted request.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Progress(Option<u8>),
    /// A server settles, with or without a host.
    State(State),
    /// A storage is whole, and of this size.
    Whole(String, u64),
    /// The server is gone.
    Gone,
    /// A request that was held up on its way arrives.
    Late(Box<Ask>),
}

/// A step, and the server that it is for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) server: String,
    pub(super) effect: Effect,
}

/// The state of a simulated account.
#[derive(Debug)]
pub struct World {
    pub(super) core: Core,
    pub(super) config: SimConfig,
    pub(super) token: String,
    pub(super) password: String,
    /// The account may only look.
    pub(super) read_only: bool,
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) storages: BTreeMap<String, Storage>,
    pub(super) groups: BTreeMap<String, Group>,
    /// The floating addresses of the account.
    pub(super) floating: BTreeMap<String, Floating>,
    agenda: BTreeMap<(Instant, u64), Entry>,
}

impl World {
    pub(super) fn new(config: SimConfig) -> Self {
        let core = Core::new(config.seed, config.epoch);
        let storage = |&(id, title, kind, size, template, license): &Medium| {
            let storage = Storage {
                id: String::from(id),
                title: String::from(title),
                kind,
                public: true,
                size,
                tier: "hdd",
                zone: String::new(),
                state: "online",
                labels: Vec::new(),
                created: core.epoch,
                origin: None,
                template,
                license,
            };
            (storage.id.clone(), storage)
        };
        let storages = PUBLIC.iter().map(storage).collect();
        Self {
            core,
            config,
            token: TOKEN.into(),
            password: PASSWORD.into(),
            read_only: false,
            servers: BTreeMap::new(),
            storages,
            groups: BTreeMap::new(),
            floating: BTreeMap::new(),
            agenda: BTreeMap::new(),
        }
    }

    /// A UUID whose first two digits say of what it is.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        let uuid = self.core.uuid();
        format!("{prefix}{}", uuid.get(2..).unwrap_or_default())
    }

    pub(super) fn schedule(&mut self, after: Duration, server: &str, effect: Effect) {
        let entry = Entry {
            server: server.into(),
            effect,
        };
        self.at(self.core.now + after, entry);
    }

    pub(super) fn at(&mut self, at: Instant, entry: Entry) {
        let n = self.core.number();
        self.agenda.insert((at, n), entry);
    }

    /// Nothing of what was planned for a server happens.
    pub(super) fn forget(&mut self, server: &str) {
        self.agenda.retain(|_, entry| entry.server != server);
    }

    /// How long a call takes, and whether it ends in `error`.
    pub(super) fn ordered(&self, call: &str, server: &str, otherwise: Duration) -> (Duration, bool) {
        let title = self.servers.get(server).map_or("", |s| s.title.as_str());
        let faults = &self.core.faults;
        let time = faults.ordered_delay(call, server, title).unwrap_or(otherwise);
        (time, faults.ordered_fault(call, server, title).is_some())
    }

    pub(super) fn carry_out_due(&mut self, to: Instant) {
        while let Some(first) = self.agenda.first_entry() {
            if first.key().0 > to {
                break;
            }
            let ((at, _), entry) = first.remove_entry();
            self.core.now = self.core.now.max(at);
            match entry.effect {
                Effect::Late(ask) => serve_late(self, &ask),
                effect => self.apply(&entry.server, effect),
            }
        }
        self.core.now = self.core.now.max(to);
    }

    fn apply(&mut self, id: &str, effect: Effect) {
        if let Effect::Whole(storage, size) = effect {
            if let Some(storage) = self.storages.get_mut(&storage) {
                (storage.state, storage.size) = ("online", size);
            }
            return;
        }
        let now = self.core.now;
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        match effect {
            Effect::Progress(progress) => server.progress = progress,
            Effect::State(state) => {
                server.state = state;
                if state != State::Maintenance {
                    (server.stopping, server.creating, server.progress) = (false, false, None);
                }
                if state == State::Stopped {
                    server.host = None;
                }
            }
            Effect::Gone => {
                if server.gone_at.is_none() {
                    server.gone_at = Some(now);
                    let uid = server.uid().map(String::from);
                    self.core.log.server_gone(uid.as_deref());
                }
                for group in self.groups.values_mut() {
                    group.members.retain(|member| member != id);
                }
                self.forget(id);
            }
            Effect::Whole(..) | Effect::Late(_) => {}
        }
    }

    /// Servers that exist.
    pub(super) fn live(&self) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(|s| s.gone_at.is_none())
    }

    /// The live server with this id, else the first one with this title.
    pub(super) fn find(&self, key: &str) -> Option<String> {
        let by_title = || self.live().filter(|s| s.title == key).min_by_key(|s| s.seq);
        let found = self.live().find(|s| s.id == key).or_else(by_title);
        found.map(|s| s.id.clone())
    }

    /// The group that a server is a member of.
    pub(super) fn group_of(&self, server: &str) -> Option<&Group> {
        self.groups
            .values()
            .find(|g| g.members.iter().any(|m| m == server))
    }

    pub(super) fn attached(&self, storage: &str) -> Vec<String> {
        let at = |s: &&Server| s.devices.iter().any(|d| d.storage == storage);
        self.live().filter(at).map(|s| s.id.clone()).collect()
    }

    /// Hosts of a zone, with their cores and memory in use.
    fn hosts(&self, zone: &str) -> BTreeMap<u64, (u64, u64)> {
        let number = ZONES.iter().position(|(id, _)| *id == zone).unwrap_or_default() as u64;
        let first = FIRST_HOST + number * 1000;
        let mut hosts: BTreeMap<u64, (u64, u64)> = (0..self.config.hosts as u64)
            .map(|n| (first + n, (0, 0)))
            .collect();
        for server in self.live() {
            if let Some(used) = server.placed().and_then(|host| hosts.get_mut(&host)) {
                *used = (used.0 + server.cores, used.1 + server.memory);
            }
        }
        hosts
    }

    /// Whether there is such a host anywhere.
    pub(super) fn host_exists(&self, host: u64) -> bool {
        ZONES.iter().any(|(zone, _)| self.hosts(zone).contains_key(&host))
    }

    /// Whether the host of a server has so much more to give.
    pub(super) fn has_room(&self, server: &Server, cores: u64, memory: u64) -> bool {
        let hosts = self.hosts(&server.zone);
        let used = server.host.and_then(|host| hosts.get(&host));
        used.is_none_or(|(c, m)| c + cores <= self.config.host_cores && m + memory <= self.config.host_memory)
    }

    /// A host for a server, the emptiest first. `strict` is the code for a group that leaves none.
    pub(super) fn place(
        &self,
        server: &Server,
        group: Option<&Group>,
        wish: &HostWish,
        strict: &'static str,
    ) -> Result<u64, Refusal> {
        let taken: Vec<u64> = group.map_or_else(Vec::new, |group| {
            let others = group.members.iter().filter(|id| **id != server.id);
            others.filter_map(|id| self.servers.get(id)?.placed()).collect()
        });
        let policy = group.map_or("no", |g| g.policy);
        let mut fitting: Vec<(bool, u64, u64)> = self
            .hosts(&server.zone)
            .into_iter()
            .filter(|(host, (cores, memory))| {
                cores + server.cores <= self.config.host_cores
                    && memory + server.memory <= self.config.host_memory
                    && wish.only.is_none_or(|only| only == *host)
                    && wish.avoid != Some(*host)
            })
            .map(|(host, (_, memory))| (policy != "no" && taken.contains(&host), memory, host))
            .collect();
        fitting.sort_unstable();
        match fitting.first() {
            Some((true, ..)) if policy == "strict" => {
                Err(because(strict, "Strict anti-affinity cannot currently be met."))
            }
            Some((_, _, host)) => Ok(*host),
            None => Err(because(
                "SERVER_RESOURCES_UNAVAILABLE",
                format!(
                    "There are not enough server resources in the zone {}.",
                    server.zone
                ),
            )),
        }
    }

    pub(super) fn check_credits(&self) -> Result<(), Refusal> {
        match self.config.limits.no_credits {
            true => Err(refused("INSUFFICIENT_CREDITS")),
            false => Ok(()),
        }
    }

    /// Whether the account may have so much more.
    pub(super) fn check_size(&self, cores: u64, memory: u64) -> Result<(), Refusal> {
        let limits = self.config.limits;
        let used: (u64, u64) = self
            .live()
            .fold((0, 0), |sum, s| (sum.0 + s.cores, sum.1 + s.memory));
        let over =
            |limit: Option<u64>, used: u64, more: u64| more > 0 && limit.is_some_and(|l| used + more > l);
        if over(limits.cores, used.0, cores) {
            return Err(refused("SERVER_CORE_LIMIT_REACHED"));
        }
        if over(limits.memory, used.1, memory) {
            return Err(refused("SERVER_MEMORY_LIMIT_REACHED"));
        }
        Ok(())
    }
}

/// Where a server is to run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostWish {
    pub(super) only: Option<u64>,
    pub(super) avoid: Option<u64>,
}
