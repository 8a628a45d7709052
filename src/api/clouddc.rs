//! What only Huawei CloudDC has: of a server, and of an account.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider_config::SecretRef;

/// What only Huawei CloudDC has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudDcServer {}

/// A Huawei CloudDC project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudDcAccount {
    /// A Secret of this namespace with the keys accessKey and secretKey, and optionally the key endpoint.
    pub secret_ref: SecretRef,
    /// The id of the project, 1 to 64 characters.
    #[serde(rename = "projectID")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub project_id: String,
    /// The region, like cn-north-4, 1 to 64 characters.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: String,
}
