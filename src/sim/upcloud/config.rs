//! What a simulated UpCloud is made of, how fast it is, and the choices that its documentation leaves open.

use std::time::Duration;

use jiff::Timestamp;

/// The key of the label that carries the uid of a server's maker.
pub const UID_KEY: &str = "evenkeeluid";
/// The token that is accepted until another one is set.
pub const TOKEN: &str = "ucat_simulated";
/// The user name that is accepted.
pub const USER: &str = "demo";
/// Its password until another one is set.
pub const PASSWORD: &str = "upcloud-secret";
/// A server, a storage and a group of another account.
pub const FOREIGN_SERVER: &str = "00ffffff-0000-4000-8000-000000000001";
/// See [`FOREIGN_SERVER`].
pub const FOREIGN_STORAGE: &str = "01ffffff-0000-4000-8000-000000000001";
/// See [`FOREIGN_SERVER`].
pub const FOREIGN_GROUP: &str = "0bffffff-0000-4000-8000-000000000001";

/// A simulated account: its hosts, limits and speed. The same one behaves the same each time.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where the identifiers come from.
    pub seed: u64,
    /// The wall clock at the start; the machine's if absent.
    pub epoch: Option<Timestamp>,
    /// How long things take.
    pub timings: Timings,
    /// How many hosts each zone has.
    pub hosts: usize,
    /// How many cores a host can give away.
    pub host_cores: u64,
    /// How much memory a host can give away, in MiB.
    pub host_memory: u64,
    /// What the account may have.
    pub limits: Limits,
    /// What a running server answers to more cores or memory.
    pub hot_resize: HotResize,
    /// What the documentation leaves open.
    pub choices: Choices,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epoch: None,
            timings: Timings::default(),
            hosts: 3,
            host_cores: 512,
            host_memory: 2_097_152,
            limits: Limits::default(),
            hot_resize: HotResize::Allowed,
            choices: Choices::default(),
        }
    }
}

/// What can go either way with the real service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Guests ignore the signal to shut down.
    pub deaf_guests: bool,
    /// A stop is accepted again while one is under way, instead of 409.
    pub stop_again: bool,
    /// A start that a strict group forbids has the code that a create has.
    pub strict_code_on_start: bool,
    /// `host` may be given: the account has a private cloud.
    pub private_hosts: bool,
    /// A server without interfaces gets a public and a utility one, instead of 400.
    pub default_interfaces: bool,
    /// Interfaces come and go while the server runs, instead of 409.
    pub hot_interfaces: bool,
    /// Refusals are `application/problem+json`.
    pub problem_bodies: bool,
    /// Addresses in the reply to a stop are a bare list.
    pub bare_addresses_on_stop: bool,
    /// A server whose creation was cancelled is gone, instead of stopped.
    pub cancelled_is_gone: bool,
    /// The most servers in one reply to a list, which then says how many there are; all if absent.
    pub page_limit: Option<usize>,
}

/// What a running server answers to more cores or memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotResize {
    /// It grows.
    Allowed,
    /// The server was last started before that was possible.
    NotEnabled,
    /// Not now.
    Unavailable,
    /// Its memory slots are full.
    NoMemorySlots,
    /// It was tried, and failed.
    FailedToAddMemory,
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Timings {
    /// A server's creation.
    pub create: Duration,
    /// A start.
    pub start: Duration,
    /// A hard stop.
    pub stop: Duration,
    /// A guest that was asked to shut down.
    pub guest: Duration,
    /// From the restart of a stopped guest to the running one.
    pub restart: Duration,
    /// Adding cores or memory to a running server.
    pub hot_resize: Duration,
    /// Storing a backup.
    pub storage: Duration,
    /// From request to reply, in process.
    pub latency: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            create: s(34),
            start: s(15),
            stop: s(7),
            guest: s(9),
            restart: s(15),
            hot_resize: s(4),
            storage: s(10),
            latency: Duration::from_millis(40),
        }
    }
}

impl Timings {
    /// The same proportions, with a creation of this length.
    pub fn with_create(create: Duration) -> Self {
        let whole = Self::default();
        let part = create.as_secs_f64() / whole.create.as_secs_f64();
        Self {
            create,
            start: whole.start.mul_f64(part),
            stop: whole.stop.mul_f64(part),
            guest: whole.guest.mul_f64(part),
            restart: whole.restart.mul_f64(part),
            hot_resize: whole.hot_resize.mul_f64(part),
            storage: whole.storage.mul_f64(part),
            latency: whole.latency,
        }
    }
}

/// What the account may have; none is as much as it likes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Cores, all servers together.
    pub cores: Option<u64>,
    /// Memory in MiB, all servers together.
    pub memory: Option<u64>,
    /// Storage of the tier maxiops in GB.
    pub maxiops: Option<u64>,
    /// Storage of the tier hdd in GB.
    pub hdd: Option<u64>,
    /// Public addresses.
    pub addresses: Option<usize>,
    /// Servers that are being created at the same time.
    pub creating: Option<usize>,
    /// Servers of an account in trial mode.
    pub trial_servers: Option<usize>,
    /// There is no money left: nothing is created or started.
    pub no_credits: bool,
}
