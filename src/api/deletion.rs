//! How a cloud server is deleted, and what becomes of what belonged to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::duration::{Duration, between};

choice! {
    /// How a server is powered off before it is deleted.
    DeletionPowerOff = SoftThenHard {
        /// The guest is asked first; past the timeout the server is deleted all the same, and where the cloud
        /// deletes only stopped servers its power is cut.
        SoftThenHard,
        /// The power is cut first.
        Hard,
        /// Deleted as it is; where the cloud deletes only stopped servers, the power is cut first.
        None,
    }
}

choice! {
    /// What becomes of the disks of a deleted server.
    DeletionDisks = Keep {
        /// They stay, and are billed.
        Keep,
        /// Those that were made for the server are deleted one by one; others stay.
        DeleteOwned,
    }
}

choice! {
    /// What becomes of the backups of a deleted server's disks.
    DeletionBackups = Keep {
        /// They stay, and are billed.
        Keep,
        /// The newest of each disk stays; the others that were made for the server are deleted.
        KeepLatest,
        /// Those that were made for the server are deleted.
        Delete,
    }
}

choice! {
    /// What becomes of the addresses of a deleted server.
    DeletionAddresses = Release {
        /// Those that were allocated for the server are given back.
        Release,
        /// They stay, and are billed.
        Keep,
    }
}

/// How the cloud server is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// How the server is powered off before it is deleted.
    #[serde(default)]
    pub power_off: DeletionPowerOff,
    /// How long the power-off may take before the server is deleted all the same, like 90s or 5m; from 1s to 24h,
    /// 60s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("deletion.timeout", "1s", "24h")))]
    pub timeout: Option<Duration>,
    /// What becomes of its disks, where the cloud keeps them.
    #[serde(default)]
    pub disks: DeletionDisks,
    /// What becomes of the backups of its disks, where the cloud keeps them.
    #[serde(default)]
    pub backups: DeletionBackups,
    /// What becomes of its addresses, where the cloud keeps them.
    #[serde(default)]
    pub addresses: DeletionAddresses,
    /// Whether it is deleted at once, without asking the guest and whatever powerOff says. Where the cloud keeps what is
    /// deleted for a while (OpenStack's deferred delete), it is told not to.
    #[serde(default)]
    pub force: bool,
}

impl Deletion {
    /// How the server is powered off first, all things considered.
    pub fn how(&self) -> DeletionPowerOff {
        if self.force {
            DeletionPowerOff::None
        } else {
            self.power_off
        }
    }
}
