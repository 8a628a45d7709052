//! `ServerGroup.status`: what was seen of a group and its members. Also the controller's write-ahead memory.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::server_group::PlacementPolicy;
use super::server_status::{CreateAttempt, Failure};

/// The most members that a status names.
pub const MEMBERS_SHOWN: usize = 250;
/// The most keys of labels that a status remembers: those that are wished for, and those on their way out.
pub const APPLIED_LABELS: usize = 64;
/// The most foreign members that a status names.
pub const FOREIGN_SHOWN: usize = 50;

/// What is known about the group, and what is being done to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerGroupStatus {
    /// The generation of the spec that this status speaks of; -1 before the controller first saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The cloud's id of the group; none where a policy needs no group in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// The cloud's id of the account that the group was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub account: Option<String>,
    /// The group's name in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub cloud_name: Option<String>,
    /// The placement that the cloud reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<GroupPlacementStatus>,
    /// The keys of the labels that were written last, and of those that are being taken off, at most 64: of these the
    /// ones that are no longer wished for go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)))]
    pub applied_labels: Vec<String>,
    /// The field selector that finds the members: kubectl get servers --field-selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub selector: Option<String>,
    /// How many Servers name this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<i32>,
    /// How many of them run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<i32>,
    /// How many of them are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<i32>,
    /// How many of them are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// How many of them are Stalled, or in an error state in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
    /// How many members of the cloud's group are none of these Servers: other people's, or put in by hand. They are
    /// never removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<i32>,
    /// The members, by name, at most 250.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 250))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub members: Vec<GroupMemberStatus>,
    /// The cloud's ids of those members, sorted, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 128)))]
    pub foreign_members: Vec<String>,
    /// The power wish for all members that was handed on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub power_state: Option<String>,
    /// The operation in progress. It is recorded before the cloud is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<GroupOperation>,
    /// The open attempt to create the group. While it is open nobody else creates one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempt: Option<CreateAttempt>,
    /// How many attempts to create the group were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempts: Option<i32>,
    /// The cloud's last refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The last handled value of the annotation evenkeel.dev/reconcile-requested-at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_reconcile_at: Option<String>,
    /// The last handled value of the annotation evenkeel.dev/retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_retry: Option<String>,
    /// What is going on, in the words of Kubernetes: Ready, Reconciling, Stalled and more. Ready speaks of the group
    /// itself; how its members are is in the counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The placement that the cloud reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupPlacementStatus {
    /// The policy; absent for a word that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PlacementPolicy>,
    /// The policy in the cloud's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub raw: Option<String>,
    /// How many members may share a host, where the cloud says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_servers_per_host: Option<i32>,
}

choice! {
    /// Whether a member is placed as the policy says.
    MemberPlacement {
        /// It is.
        Met,
        /// It is not.
        Unmet,
        /// The cloud does not say.
        Unknown,
    }
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupMemberStatus {
    /// The name of the Server.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The cloud's id of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// Its power state, as its own status reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub power: Option<String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it is placed as the policy says; absent without a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<MemberPlacement>,
}

choice! {
    /// What an operation does to a group.
    GroupOperationKind {
        /// Changes name, policy, labels and marks.
        Modify,
        /// Takes our marks off.
        Unmark,
        /// Lets a server join.
        AddMember,
        /// Lets a server leave.
        RemoveMember,
        /// Deletes the group; its members stay.
        Delete,
    }
}

/// The operation in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupOperation {
    /// Names this one operation.
    #[schemars(length(max = 64))]
    pub id: String,
    /// What it does.
    pub kind: GroupOperationKind,
    /// When it was recorded (RFC 3339); the call followed at once.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// The cloud's id of the server that joins or leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub server: Option<String>,
}
