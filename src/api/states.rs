//! States of a server beside its power that are wished for: a lock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;

/// A lock that the server is kept under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Why, 1 to 180 characters; written into the cloud beside a mark that says whose lock it is.
    #[schemars(length(min = 1, max = 180))]
    pub reason: String,
}

choice! {
    /// How a lock stands.
    LockState {
        /// The server is locked.
        Held,
        /// Ours, taken off for a step of ours; it is put back afterwards.
        Opened,
        /// Ours, and somebody else has taken it off.
        Removed,
    }
}

/// The lock on a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockStatus {
    /// Whether it was put there for spec.locked. Any other lock is respected: it is never taken off, and nothing is done
    /// to the server that it forbids.
    pub ours: bool,
    /// How it stands.
    pub state: LockState,
    /// The reason that the cloud shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 255))]
    pub reason: String,
}
