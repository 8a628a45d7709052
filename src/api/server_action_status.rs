//! `ServerAction.status`, and what a Server remembers of the deeds that were done to it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::server_action::Deed;

choice! {
    /// How far a deed is.
    DeedOutcome {
        /// It waits; nothing was sent.
        Waiting,
        /// It is recorded, and the cloud is asked for it.
        Running,
        /// It was done.
        Succeeded,
        /// It was not done, or the cloud says that it failed.
        Failed,
        /// Whether it was done cannot be known. It is not tried again.
        Unknown,
    }
}

impl DeedOutcome {
    /// Whether nothing more becomes of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Unknown)
    }
}

/// What a Server remembers of one ServerAction. It is written before the cloud is called: this, and not the
/// ServerAction, says what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionRecord {
    /// The name of the ServerAction.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// A hash of the deed and its arguments: an object of the same name and deed is not carried out again.
    #[schemars(length(max = 16))]
    pub spec_hash: String,
    /// What is done.
    pub deed: Deed,
    /// How far it is.
    pub outcome: DeedOutcome,
    /// Why, in one word of the list of reasons.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The same in a sentence, with the cloud's words.
    #[schemars(length(max = 256))]
    pub message: String,
    /// What came of it: the cloud's id of an image or a backup, the name of the ConfigMap or Secret that was written. Of a resize: the
    /// size that was let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub result: Option<String>,
    /// The cloud's id of the request, by which its operators find it.
    #[serde(default, rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
    /// When the cloud was asked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When it was over (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
}

/// What became of a deed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerActionStatus {
    /// The generation of the spec that this speaks of; -1 in a fresh object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<Deed>,
    /// What came of it: the cloud's id of an image or a backup; the name of the ConfigMap or Secret that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub result: Option<String>,
    /// When the cloud was asked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When it was over (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
    /// What is going on: Complete, Failed, and in the words of kstatus Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
