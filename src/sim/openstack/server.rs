//! One simulated server, and how Nova names what it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

/// Nova's `vm_state`: what a server settled into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vm {
    Building,
    Active,
    Stopped,
    Paused,
    Suspended,
    Rescued,
    Resized,
    Shelved,
    ShelvedOffloaded,
    Error,
    /// Deleted, and kept for a while: lists hide it.
    SoftDeleted,
    Deleted,
}

/// Nova's words: the state, and the status that it shows as while no task has a word of its own.
const WORDS: &[(Vm, &str, &str)] = &[
    (Vm::Building, "building", "BUILD"),
    (Vm::Active, "active", "ACTIVE"),
    (Vm::Stopped, "stopped", "SHUTOFF"),
    (Vm::Paused, "paused", "PAUSED"),
    (Vm::Suspended, "suspended", "SUSPENDED"),
    (Vm::Rescued, "rescued", "RESCUE"),
    (Vm::Resized, "resized", "VERIFY_RESIZE"),
    (Vm::Shelved, "shelved", "SHELVED"),
    (Vm::ShelvedOffloaded, "shelved_offloaded", "SHELVED_OFFLOADED"),
    (Vm::Error, "error", "ERROR"),
    (Vm::SoftDeleted, "soft-delete", "SOFT_DELETED"),
    (Vm::Deleted, "deleted", "DELETED"),
];

/// The statuses that only a task makes: the task begins with this, in one of these states.
const TASKS: &[(&str, &[Vm], &str)] = &[
    ("rebooting_hard", &[Vm::Active], "HARD_REBOOT"),
    ("reboot_started_hard", &[Vm::Active], "HARD_REBOOT"),
    ("reboot", &[Vm::Active], "REBOOT"),
    ("rebuild", &[Vm::Active, Vm::Stopped, Vm::Error], "REBUILD"),
    ("resize_reverting", &[Vm::Resized], "REVERT_RESIZE"),
    ("resize_", &[Vm::Active, Vm::Stopped], "RESIZE"),
    ("migrating", &[Vm::Active, Vm::Paused], "MIGRATING"),
    ("updating_password", &[Vm::Active], "PASSWORD"),
];

/// Every status that a list can be filtered by.
pub(super) fn is_status(word: &str) -> bool {
    const MORE: &[&str] = &["UNKNOWN"];
    let word = word.to_ascii_uppercase();
    WORDS.iter().any(|(_, _, s)| *s == word)
        || TASKS.iter().any(|(_, _, s)| *s == word)
        || MORE.contains(&word.as_str())
}

impl Vm {
    pub(super) fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(vm, ..)| *vm == self)
            .map_or("error", |(_, word, _)| word)
    }

    pub(super) fn status(self, task: Option<&str>) -> &'static str {
        let by_task = task.and_then(|task| {
            TASKS
                .iter()
                .find(|(prefix, states, _)| task.starts_with(prefix) && states.contains(&self))
        });
        match by_task {
            Some((_, _, status)) => status,
            None => WORDS
                .iter()
                .find(|(vm, ..)| *vm == self)
                .map_or("ERROR", |(_, _, status)| status),
        }
    }
}

/// A size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flavor {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) ram: i64,
    pub(super) vcpus: i64,
    pub(super) disk: i64,
}

/// An address on a network.
#[derive(Clone, Debug)]
pub(super) struct Nic {
    pub(super) network_id: String,
    pub(super) network: String,
    pub(super) address: String,
    pub(super) mac: String,
    pub(super) port: String,
    /// The names of its port's security groups.
    pub(super) groups: BTreeSet<String>,
}

/// What Nova says about a failure.
#[derive(Clone, Debug)]
pub(super) struct ServerFault {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) created: Timestamp,
}

/// One accepted request, as `os-instance-actions` lists it.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) request: String,
    pub(super) name: &'static str,
    pub(super) user: String,
    pub(super) project: String,
    pub(super) start: Timestamp,
    pub(super) finish: Option<Timestamp>,
    pub(super) failed: bool,
}

/// Who locked a server, and why.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) reason: Option<String>,
    pub(super) by_admin: bool,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) project: String,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) description: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: BTreeSet<String>,
    pub(super) flavor: Flavor,
    pub(super) old: Option<Before>,
    pub(super) image: String,
    pub(super) networks: Vec<String>,
    pub(super) nics: Vec<Nic>,
    /// The ids of its volumes.
    pub(super) volumes: BTreeSet<String>,
    /// The names of its security groups.
    pub(super) security_groups: BTreeSet<String>,
    pub(super) key_name: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) config_drive: bool,
    pub(super) vm: Vm,
    pub(super) task: Option<&'static str>,
    pub(super) power: u8,
    pub(super) host: Option<String>,
    pub(super) next_host: Option<String>,
    pub(super) created: Timestamp,
    pub(super) created_at: Instant,
    pub(super) updated: Timestamp,
    pub(super) launched: Option<Timestamp>,
    pub(super) terminated: Option<Timestamp>,
    /// When it stopped being shown.
    pub(super) gone_at: Option<Instant>,
    /// What it was before it was DELETED: a list that lags still says so.
    pub(super) before_end: Option<(Vm, Option<&'static str>, u8)>,
    pub(super) lock: Option<Lock>,
    pub(super) fault: Option<ServerFault>,
    pub(super) actions: Vec<Action>,
    /// The id of the group that it was made in.
    pub(super) group: Option<String>,
    /// A delete was accepted and has not failed.
    pub(super) deleting: bool,
    /// A confirmation was accepted: nothing shows it.
    pub(super) confirming: bool,
}

/// What a resize can go back to.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) flavor: Flavor,
    pub(super) host: Option<String>,
    pub(super) vm: Vm,
}

impl Server {
    pub(super) fn status(&self) -> &'static str {
        self.vm.status(self.task)
    }

    /// The uid that its maker marked it with: in the tag `evenkeel-<uid>`, or in metadata.
    pub(super) fn uid(&self) -> Option<&str> {
        let tag = self.tags.iter().find_map(|tag| tag.strip_prefix("evenkeel-"));
        tag.or_else(|| {
            let key = |k: &str| k.starts_with("evenkeel") && k.ends_with("uid");
            self.metadata
                .iter()
                .find(|(k, _)| key(k))
                .map(|(_, v)| v.as_str())
        })
    }

    /// The security groups of its ports; of one without ports those that it was asked to be made with.
    pub(super) fn groups(&self) -> BTreeSet<String> {
        match self.nics.is_empty() {
            true => self.security_groups.clone(),
            false => self.nics.iter().flat_map(|n| n.groups.iter().cloned()).collect(),
        }
    }

    pub(super) fn view(&self) -> ServerView {
        ServerView {
            id: self.id.clone(),
            name: self.name.clone(),
            status: self.status().into(),
            vm_state: self.vm.word().into(),
            task_state: self.task.map(Into::into),
            power_state: self.power,
            flavor: self.flavor.name.clone(),
            image: self.image.clone(),
            asked: self.actions.iter().map(|a| a.name).collect(),
            host: self.host.clone(),
            metadata: self.metadata.clone(),
            tags: self.tags.iter().cloned().collect(),
            uid: self.uid().map(Into::into),
            hostname: self.hostname.clone(),
            security_groups: self.groups().into_iter().collect(),
            port_groups: self
                .nics
                .iter()
                .map(|n| n.groups.iter().cloned().collect())
                .collect(),
            networks: self
                .nics
                .iter()
                .map(|n| (n.port.clone(), n.network.clone()))
                .collect(),
            addresses: self.nics.iter().map(|n| n.address.clone()).collect(),
            volumes: self.volumes.iter().cloned().collect(),
            locked: self.lock.is_some(),
            fault: self.fault.as_ref().map(|f| f.message.clone()),
            gone: self.gone_at.is_some(),
        }
    }
}

/// A server as a test sees it, past all faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerView {
    /// Nova's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Nova's status.
    pub status: String,
    /// Nova's `vm_state`.
    pub vm_state: String,
    /// Nova's `task_state`.
    pub task_state: Option<String>,
    /// 0 none, 1 running, 3 paused, 4 shut down, 6 crashed, 7 suspended.
    pub power_state: u8,
    /// The flavor's name.
    pub flavor: String,
    /// The image's id; empty where the root disk is a volume.
    pub image: String,
    /// What was asked of it, in the words of `os-instance-actions`, the newest last.
    pub asked: Vec<&'static str>,
    /// The host.
    pub host: Option<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// The host name of its guest.
    pub hostname: String,
    /// The names of its security groups, sorted.
    pub security_groups: Vec<String>,
    /// The security groups of each port.
    pub port_groups: Vec<Vec<String>>,
    /// Its ports and their networks' names, in the order of their coming.
    pub networks: Vec<(String, String)>,
    /// Their addresses.
    pub addresses: Vec<String>,
    /// The ids of its volumes, sorted.
    pub volumes: Vec<String>,
    /// The uid it is marked with.
    pub uid: Option<String>,
    /// Whether it is locked.
    pub locked: bool,
    /// The message of its fault.
    pub fault: Option<String>,
    /// Whether it was deleted and is no longer shown.
    pub gone: bool,
}
