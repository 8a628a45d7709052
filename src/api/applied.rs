//! What `Server.status` remembers of settings that were carried out, and of what belongs to a server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;

choice! {
    /// Kinds of things that outlive a server in some clouds.
    PartKind {
        /// A disk.
        Disk,
        /// A backup of a disk.
        Backup,
        /// An address that was allocated.
        Address,
    }
}

/// Something that belongs to the server and may outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartStatus {
    /// What it is.
    pub kind: PartKind,
    /// The cloud's id of it.
    #[schemars(length(max = 128))]
    pub id: String,
    /// The cloud's name for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub name: String,
    /// Whether it was made for this server; nothing else is ever deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// Whether it is the newest backup of its disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
}

/// What was carried out on an existing server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedStatus {
    /// Settings that the cloud changes in place, at most 24.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<SettingStatus>,
    /// Of sets to which others add as well (labels, tags, security groups): what was brought in for this object, as
    /// setting/key; of a long key its beginning and a hash. At most 256. Nothing else is ever taken out of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub own: Vec<String>,
    /// Of the same, in the same words: what a call that is under way, or of which nothing is known, brings in or takes
    /// out. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    pub sent: Vec<String>,
}

/// One setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingStatus {
    /// The cloud's word for it.
    #[schemars(length(max = 64))]
    pub name: String,
    /// The text that was carried out last; absent while that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub text: Option<String>,
    /// What the cloud showed of it since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub shown: Option<String>,
    /// What it was changed to from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub drift: Option<String>,
    /// A text that the cloud refused; it is not tried again until it, or the annotation evenkeel.dev/retry, changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub refused: Option<String>,
    /// What the cloud said as it refused that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// Whether the cloud changes it only while the server is stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_stop: bool,
}
