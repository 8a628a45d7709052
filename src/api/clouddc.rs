//! What only Huawei CloudDC has: of a server, and of an account.

use kube::KubeSchema;
use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider_config::SecretRef;

/// What a created instance needs: no system is installed without a password.
pub(super) fn creation() -> Rule {
    Rule::new("!has(self.cloudDC) || has(self.__import__) || has(self.adminPasswordSecretRef)").message(
        "cloudDC needs adminPasswordSecretRef to create a server: it installs no system without a password",
    )
}

/// What an instance cannot be given, and how many labels it has beside ours.
pub(super) fn lacking() -> Rule {
    Rule::new(
        "!has(self.cloudDC) || has(self.__import__) || !(has(self.size) || has(self.userDataSecretRef) || has(self.sshKeys) \
         || has(self.credentialsSecretName) || (has(self.labels) && self.labels.size() > 5))",
    )
    .message(
        "a server in cloudDC has no size, userDataSecretRef, sshKeys and credentialsSecretName, and at most 5 labels",
    )
}

/// What only Huawei CloudDC has: an instance is an operating system on one physical server. It takes its image by
/// image.id and has no size; cloudName, at most 63 characters, is its host name. On an existing instance the network
/// (vpcID, networkInterfaces) is changed while it is stopped; serverID and description stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudDcServer {
    /// The id of the VPC that all interfaces are in, 1 to 64 characters.
    #[serde(rename = "vpcID")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub vpc_id: String,
    /// The interfaces of the guest, 1 or 2, each with a name of its own; the first is the primary one.
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub network_interfaces: Vec<CloudDcInterface>,
    /// The id of the physical server to install on, 1 to 64 characters; any idle one of the project if absent. Two
    /// objects that name the same one contend for it.
    #[serde(default, rename = "serverID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub server_id: Option<String>,
    /// A description, at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub description: Option<String>,
}

/// One interface of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudDcInterface {
    /// A local name for this entry, 1 to 63 characters, by which several managers of the list tell entries apart;
    /// the cloud never sees it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The id of a subnet of the VPC, 1 to 64 characters.
    #[serde(rename = "subnetID")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub subnet_id: String,
    /// An IPv4 address of that subnet; the cloud chooses one if absent.
    #[serde(default, rename = "ipv4Address", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15))]
    #[x_kube(validation = Rule::new("isIP(self) && ip(self).family() == 4").message("ipv4Address must be an IPv4 address"))]
    pub ipv4_address: Option<String>,
}

/// A Huawei CloudDC project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudDcAccount {
    /// A Secret of this namespace with the keys accessKey and secretKey (and securityToken, if they are temporary),
    /// or with username, password and domain; and optionally with endpoint and iamEndpoint, if they are not those
    /// of the region.
    pub secret_ref: SecretRef,
    /// The id of the project, 1 to 64 characters.
    #[serde(rename = "projectID")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub project_id: String,
    /// The region, like cn-north-4, 1 to 64 characters.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: String,
}
