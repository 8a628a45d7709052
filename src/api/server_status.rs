//! `Server.status`: what was seen and what is being done. Also the controller's write-ahead memory.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::applied::*;
use super::choice::choice;
pub use super::operation::*;
pub use super::server_action_status::ActionRecord;
pub use super::states::*;

/// What is known about the server, and what is being done to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// The generation of the spec that this status speaks of; -1 before the controller first saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The cloud's id of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// The cloud's id of the account that the server was made in, of OpenStack project/region. In another one nothing is asked, made or believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub account: Option<String>,
    /// The id in the form that the cloud's node provider uses.
    #[serde(default, rename = "providerID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub provider_id: Option<String>,
    /// Servers that this object had before and that are confirmed gone, newest last, at most 10.
    #[serde(default, rename = "previousIDs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 128)))]
    pub previous_ids: Vec<String>,
    /// The power state: wished and seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerStatus>,
    /// The size that the cloud reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub size: Option<String>,
    /// The text of spec.size that was carried out last; another text is a resize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub size_requested: Option<String>,
    /// The image that was asked for and the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageStatus>,
    /// The addresses of the server, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub addresses: Vec<AddressStatus>,
    /// The zone and an opaque word for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementStatus>,
    /// The group that the server was placed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupStatus>,
    /// The operation in progress. It is recorded before the cloud is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The open attempt to create a server. While it is open nobody else creates one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempt: Option<CreateAttempt>,
    /// How many attempts to create a server were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempts: Option<i32>,
    /// The restart token that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartStatus>,
    /// The resize in progress, or the last one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizeStatus>,
    /// The lock on the server, ours or somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockStatus>,
    /// The rescue that spec.rescue asked for, or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<RescueStatus>,
    /// The power wish that a stop from outside overruled (driftPolicy RespectStop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub respected_wish: Option<String>,
    /// The cloud's last refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What was carried out, so that only what changes is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedStatus>,
    /// The change of power state after which the server was last asked for its details, where lists lack them
    /// (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub details_of: Option<Timestamp>,
    /// What belongs to the server and may outlive it, at most 64, as it was last looked at: after a creation, a start or
    /// an import, and before the server is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub parts: Vec<PartStatus>,
    /// The ServerActions of this server, newest last: the 20 that ended last, and the one whose turn it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["uid".into()]))]
    pub actions: Vec<ActionRecord>,
    /// The last handled value of the annotation evenkeel.dev/reconcile-requested-at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_reconcile_at: Option<String>,
    /// The last handled value of the annotation evenkeel.dev/retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_retry: Option<String>,
    /// What is going on, in the words of Kubernetes: Ready, Reconciling, Stalled and more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The power state: wished and seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerStatus {
    /// The state in neutral words, as the cloud reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub observed: Option<String>,
    /// The state in the cloud's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub raw: Option<String>,
    /// The state that is wanted, all layers considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub desired: Option<String>,
    /// The state, neither Running nor Stopped, that this object brought about itself, or that was there when its wish
    /// changed: it is led out of it for another wish. Any other such state came from outside, and driftPolicy says
    /// what it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub ours: Option<String>,
    /// The layer that decided: Spec, Default, Group, Rescue, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub desired_from: Option<String>,
    /// When the observed state changed last (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_transition_time: Option<Timestamp>,
    /// When this server was seen running or stopped for the first time (RFC 3339): from then on it is no failed
    /// creation, whatever becomes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub first_settled_time: Option<Timestamp>,
}

/// The image that was asked for and the one in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// The text of spec.image that the server was made from, or was rebuilt from last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub requested: Option<String>,
    /// The cloud's id of the image in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// The text of an image that the cloud refused to install; it is not tried again until spec.image or the
    /// annotation evenkeel.dev/retry changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub refused: Option<String>,
    /// The text of an image whose installation ended in an error: what was on the root disk is lost. The next image that
    /// is declared is installed over it, also the one from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub failed: Option<String>,
}

/// One address of the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressStatus {
    /// The cloud's word for the kind of address: fixed, floating, ...
    #[serde(rename = "type")]
    #[schemars(length(max = 32))]
    pub kind: String,
    /// The address.
    #[schemars(length(max = 64))]
    pub address: String,
    /// The name of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub network: Option<String>,
}

/// Where the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// The availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub zone: Option<String>,
    /// An opaque word for the host: equal words mean the same host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub host: Option<String>,
}

/// The group that a server was placed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// The name of the ServerGroup.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The cloud's id of the group; absent where its policy needs no group in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
}

/// An open attempt to create a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateAttempt {
    /// Its number, from 1.
    pub n: i32,
    /// The process that may send the call.
    #[schemars(length(max = 64))]
    pub holder: String,
    /// When it was recorded (RFC 3339); the call followed at once or never.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// Until then a server may still appear (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub deadline: Timestamp,
}

/// The restart that was handled last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartStatus {
    /// Its token; absent when none was given yet as the server was recorded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub token: String,
    /// Recorded (seen first, not acted on), Restarting, Retrying (the cloud did not take it), Stopping (it is started afterwards), Done, Unverified, NotApplicable or Failed.
    #[schemars(length(max = 32))]
    pub outcome: String,
    /// When it was recorded (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// What the cloud says of a restart that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

choice! {
    /// How far a resize is.
    ResizePhase {
        /// The cloud does it only while the server is stopped.
        NeedsStop,
        /// The server is being stopped for it.
        Stopping,
        /// The cloud was asked.
        Requested,
        /// The cloud waits for a confirmation.
        AwaitingConfirmation,
        /// It is being confirmed.
        Confirming,
        /// It is being reverted.
        Reverting,
        /// The power is being put back.
        Restoring,
        /// It failed.
        Failed,
    }
}

/// A resize.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResizeStatus {
    /// The size before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub from: Option<String>,
    /// The size wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub to: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ResizePhase>,
    /// The power state to go back to afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub restore_to: Option<String>,
    /// When the cloud began to wait for a confirmation (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub awaiting_since: Option<Timestamp>,
    /// A size that could not be reached; it is not tried again until spec.size or the annotation
    /// evenkeel.dev/retry changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub failed_size: Option<String>,
}

/// The cloud's last refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The error class, in neutral words.
    #[schemars(length(max = 32))]
    pub class: String,
    /// The cloud's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub code: Option<String>,
    /// The cloud's words, at most 1024 characters.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When it was first seen (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
}
