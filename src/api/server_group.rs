//! `ServerGroup`: servers that are placed in view of each other, seen together and powered together.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::choice::choice;
use super::server::{DeletionPolicy, Import, ManagementPolicy, PowerWish, ProviderConfigRef};
pub use super::server_group_status::*;

choice! {
    /// How the members of a group are placed on hosts.
    PlacementPolicy = None {
        /// Anywhere.
        None,
        /// All on one host.
        Affinity,
        /// Each on a host of its own.
        AntiAffinity,
        /// On one host as far as there is room.
        SoftAffinity,
        /// Apart from each other as far as there is room.
        SoftAntiAffinity,
    }
}

impl PlacementPolicy {
    /// Whether a server is rather not made than placed otherwise.
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Affinity | Self::AntiAffinity)
    }
}

/// A placement group: which servers are placed in view of each other, and one power wish for all of them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "evenkeel.dev",
    version = "v1alpha1",
    kind = "ServerGroup",
    plural = "servergroups",
    category = "evenkeel",
    namespaced,
    status = "ServerGroupStatus",
    derive = "PartialEq",
    doc = "Servers that are placed in view of each other. A Server is a member by its spec.groupRef.",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.placement.policy"),
    printcolumn(name = "Servers", type_ = "integer", json_path = ".status.servers"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.running"),
    printcolumn(name = "Healthy", type_ = "integer", json_path = ".status.ready"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(
        name = "Placed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='PlacementSatisfied')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Desired",
        type_ = "string",
        json_path = ".spec.powerState",
        priority = 1
    ),
    printcolumn(
        name = "Stopped",
        type_ = "integer",
        json_path = ".status.stopped",
        priority = 1
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.failed",
        priority = 1
    ),
    printcolumn(
        name = "Foreign",
        type_ = "integer",
        json_path = ".status.foreign",
        priority = 1
    ),
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id", priority = 1),
    printcolumn(
        name = "Provider",
        type_ = "string",
        json_path = ".spec.providerConfigRef.name",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.providerConfigRef.name == oldSelf.providerConfigRef.name")
        .message("providerConfigRef is immutable: make a new ServerGroup on the other account"),
    validation = Rule::new("self.managementPolicy == 'Full' || has(self.__import__)")
        .message("managementPolicy PowerOnly and Observe need import.id: they never create a group"),
    validation = Rule::new("!has(self.__import__) || has(self.deletionPolicy)")
        .message("import needs deletionPolicy to be given: Delete, or Orphan to leave the group when this object goes"),
    validation = Rule::new("!has(oldSelf.__import__) || (has(self.__import__) && self.__import__ == oldSelf.__import__)")
        .message("import is immutable once set")
)]
pub struct ServerGroupSpec {
    /// The account that the group lives in, and its members. Immutable.
    pub provider_config_ref: ProviderConfigRef,
    /// How much of the group is managed. PowerOnly and Observe need import.id; the group in the cloud is then never
    /// created, changed or deleted, and under Observe powerState is not applied either.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// How members are placed.
    #[serde(default)]
    pub placement: Placement,
    /// One power wish for all members; none if absent. It goes before spec.powerState of a Server, but Running
    /// never wakes a member that itself wishes another state, and a member with Unmanaged is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerWish>,
    /// How many members may be disturbed at once.
    #[serde(default)]
    pub disruption: Disruption,
    /// The group's name in the cloud, 1 to 200 characters; the object's name if absent. Where the cloud keeps no
    /// marks on groups, a hyphen and 10 characters that belong to this object are appended.
    /// Where the cloud cannot rename a group, another name is reported as Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    pub cloud_name: Option<String>,
    /// Labels written to the group in the cloud, where it takes some: at most 32, keys of 2 to 32 characters, values
    /// of at most 255. Keys that begin with evenkeel are reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k.size() >= 2 && k.size() <= 32 && !k.startsWith('evenkeel'))")
        .message("label keys have 2 to 32 characters and do not begin with evenkeel"))]
    pub labels: Option<BTreeMap<String, String>>,
    /// An existing group of the account to take over instead of creating one. With it, deletionPolicy has to be
    /// given. Immutable once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// What becomes of the group in the cloud when this object is deleted. Absent means Delete for a group that
    /// was created here; it has to be given with import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Names a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupRef {
    /// The name of a ServerGroup in this namespace, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// How members are placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxServersPerHost) || self.policy == 'AntiAffinity'")
    .message("maxServersPerHost goes with policy AntiAffinity alone"))]
pub struct Placement {
    /// How members are placed on hosts. What the cloud does not have is reported as Unsupported; what it cannot
    /// change in place as Immutable.
    #[serde(default)]
    pub policy: PlacementPolicy,
    /// How many members may share a host, 1 to 1000; 1 if absent. With AntiAffinity only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_servers_per_host: Option<i32>,
}

/// How many members may be disturbed at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// How many members that should run may be down at once for a resize, a restart or a rebuild, 1 to 1000. A
    /// changed power wish is exempt.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_unavailable: i32,
}

const fn one() -> i32 {
    1
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            max_unavailable: one(),
        }
    }
}
