//! What a simulated cloud is made of, and how fast it is.

use std::time::Duration;

use jiff::Timestamp;

/// A simulated cloud: sizes, limits and speed. The same one behaves the same each time.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where the identifiers come from.
    pub seed: u64,
    /// The wall clock at the start; the machine's if absent.
    pub epoch: Option<Timestamp>,
    /// The newest minor version of its Nova, at most 104.
    pub microversion: u16,
    /// How long things take.
    pub timings: Timings,
    /// How long a token lives.
    pub token_ttl: Duration,
    /// The most servers on one page of a list.
    pub page_limit: usize,
    /// How many hosts there are.
    pub hosts: usize,
    /// How many cores a host can give away.
    pub host_cores: i64,
    /// How much memory a host can give away, in MiB.
    pub host_memory: i64,
    /// What each project may have; the project `quota` may have one server.
    pub quota: Quota,
    /// How long a server that was deleted is kept and can be restored (`reclaim_instance_interval`); none is kept if
    /// absent.
    pub reclaim: Option<Duration>,
    /// The names of the key pairs that exist.
    pub key_pairs: Vec<String>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epoch: None,
            microversion: super::nova::NEWEST,
            timings: Timings::default(),
            token_ttl: Duration::from_secs(3600),
            page_limit: 1000,
            hosts: 3,
            host_cores: 65_536,
            host_memory: 900_000,
            quota: Quota::default(),
            reclaim: None,
            key_pairs: vec!["demo-key".into()],
        }
    }
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Timings {
    /// One call of the hypervisor, where the server's metadata orders nothing else.
    pub call: Duration,
    /// From one service to the next.
    pub hop: Duration,
    /// Making the ports of a server.
    pub network: Duration,
    /// How long a deleted server is still shown as DELETED.
    pub deleted_shown: Duration,
    /// From a guest that shut itself down to Nova's notice.
    pub power_sync: Duration,
    /// From request to reply, in process.
    pub latency: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(1200),
            hop: Duration::from_millis(300),
            network: Duration::from_millis(600),
            deleted_shown: Duration::from_millis(80),
            power_sync: Duration::from_secs(600),
            latency: Duration::from_millis(5),
        }
    }
}

/// What a project may have; -1 is as much as it likes.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Servers.
    pub instances: i64,
    /// Cores.
    pub cores: i64,
    /// Memory in MiB.
    pub ram: i64,
    /// Server groups.
    pub groups: i64,
    /// Members of one group.
    pub group_members: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            instances: -1,
            cores: -1,
            ram: -1,
            groups: -1,
            group_members: -1,
        }
    }
}
