//! What only UpCloud has: of a server, and of an account.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider_config::SecretRef;

/// What only UpCloud has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpCloudServer {
    /// The zone, like fi-hel1, at most 64 characters; that of the ProviderConfig if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub zone: Option<String>,
}

/// An UpCloud account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpCloudAccount {
    /// A Secret of this namespace with the key token, or the keys username and password; and optionally the key
    /// endpoint.
    pub secret_ref: SecretRef,
    /// The zone of servers that name none, like fi-hel1, at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub zone: Option<String>,
}
