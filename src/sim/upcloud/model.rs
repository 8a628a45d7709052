//! Servers, storages and groups as the service keeps them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::config::UID_KEY;

/// The four states of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Started,
    Stopped,
    Maintenance,
    Error,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Maintenance => "maintenance",
            Self::Error => "error",
        }
    }
}

/// A label: key and value.
pub(super) type Labels = Vec<(String, String)>;

/// A storage at a server.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) storage: String,
    pub(super) address: String,
    pub(super) cdrom: bool,
    pub(super) boot: bool,
    pub(super) part_of_plan: bool,
}

/// An address of an interface.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) address: String,
    pub(super) family: &'static str,
    pub(super) dhcp: bool,
}

/// A floating address of the account.
#[derive(Clone, Debug)]
pub(super) struct Floating {
    pub(super) zone: String,
    /// The interface that it leads to.
    pub(super) mac: Option<String>,
}

/// An interface.
#[derive(Clone, Debug)]
pub(super) struct Nic {
    pub(super) index: u64,
    pub(super) kind: &'static str,
    pub(super) network: String,
    pub(super) mac: String,
    pub(super) filtering: bool,
    pub(super) bootable: bool,
    pub(super) addresses: Vec<Address>,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) title: String,
    pub(super) hostname: String,
    pub(super) zone: String,
    pub(super) plan: String,
    pub(super) cores: u64,
    pub(super) memory: u64,
    pub(super) labels: Labels,
    pub(super) tags: Vec<String>,
    pub(super) state: State,
    /// Percent, as long as it is being created.
    pub(super) progress: Option<u8>,
    /// Where it runs, or is going to.
    pub(super) host: Option<u64>,
    pub(super) devices: Vec<Device>,
    pub(super) nics: Vec<Nic>,
    /// Attributes that are words, by their names: `boot_order`, `firewall`, ...
    pub(super) words: BTreeMap<&'static str, String>,
    pub(super) created: Timestamp,
    pub(super) created_at: Instant,
    pub(super) gone_at: Option<Instant>,
    /// A stop was accepted and has not ended.
    pub(super) stopping: bool,
    /// It is being created.
    pub(super) creating: bool,
    /// Its guest ignores the signal to shut down.
    pub(super) deaf: bool,
}

impl Server {
    pub(super) fn uid(&self) -> Option<&str> {
        label(&self.labels, UID_KEY)
    }

    /// Whether it takes room on a host.
    pub(super) fn placed(&self) -> Option<u64> {
        self.host.filter(|_| self.gone_at.is_none())
    }
}

/// The value of a label; keys are the same in upper and lower case.
pub(super) fn label<'l>(labels: &'l Labels, key: &str) -> Option<&'l str> {
    labels
        .iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(key))
        .map(|(_, v)| v.as_str())
}

/// A disk, a backup, a template or an installation medium.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) id: String,
    pub(super) title: String,
    /// `normal`, `backup`, `cdrom` or `template`.
    pub(super) kind: &'static str,
    pub(super) public: bool,
    pub(super) size: u64,
    pub(super) tier: &'static str,
    pub(super) zone: String,
    /// `online` or `maintenance`.
    pub(super) state: &'static str,
    pub(super) labels: Labels,
    pub(super) created: Timestamp,
    /// What a backup was made of.
    pub(super) origin: Option<String>,
    /// `native` or `cloud-init`, of templates.
    pub(super) template: Option<&'static str>,
    pub(super) license: f64,
}

/// A server group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) title: String,
    /// `strict`, `yes` or `no`.
    pub(super) policy: &'static str,
    pub(super) labels: Labels,
    pub(super) members: Vec<String>,
}

/// A server as a test sees it, past all faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerView {
    /// Its uuid.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its hostname.
    pub hostname: String,
    /// started, stopped, maintenance or error.
    pub state: String,
    /// Its plan, or `custom`.
    pub plan: String,
    /// Its cores.
    pub cores: u64,
    /// Its memory in MiB.
    pub memory: u64,
    /// Its zone.
    pub zone: String,
    /// Where it runs.
    pub host: Option<u64>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The uid it is marked with.
    pub uid: Option<String>,
    /// Its settings, the password of its console left out.
    pub settings: BTreeMap<String, String>,
    /// Its interfaces: index, kind, filtering, whether it boots from it, addresses.
    pub interfaces: Vec<String>,
    /// The storages at it, by address.
    pub storages: BTreeMap<String, String>,
    /// The group that it is a member of.
    pub group: Option<String>,
    /// Whether a stop was accepted and has not ended.
    pub stopping: bool,
    /// Whether it was deleted.
    pub gone: bool,
}

/// A storage as a test sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StorageView {
    /// Its uuid.
    pub id: String,
    /// Its title.
    pub title: String,
    /// normal, backup, cdrom or template.
    pub kind: String,
    /// In GB.
    pub size: u64,
    /// online or maintenance.
    pub state: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The servers that it is attached to.
    pub servers: Vec<String>,
}

/// A group as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// Its uuid.
    pub id: String,
    /// Its title.
    pub title: String,
    /// strict, yes or no.
    pub policy: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its members, with what their host has to say: met or unmet.
    pub members: BTreeMap<String, String>,
}
