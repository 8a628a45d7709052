//! States of a server beside its power that are wished for: a lock, and rescue mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::server::Image;

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

/// Rescue mode: a rescue system runs in place of the server, with the server's disk attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rescue {
    /// The image of the rescue system; the image of the server, or what the cloud has for it, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

choice! {
    /// How a rescue stands.
    RescueState {
        /// The cloud was asked for it.
        Entering,
        /// The rescue system runs.
        Active,
        /// The cloud refused it, or it failed; it is not tried again by itself.
        Refused,
        /// The server was in rescue mode already, by somebody else.
        Found,
    }
}

/// The rescue of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescueStatus {
    /// How it stands.
    pub state: RescueState,
    /// The text of spec.rescue.image that was asked for; absent for the cloud's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub image: Option<String>,
    /// The cloud's words for a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
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
