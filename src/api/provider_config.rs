//! `ProviderConfig`: which account, how much it may be asked, and whether it can be reached.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::duration::{Duration, between};
use super::{CloudDcAccount, UpCloudAccount};

/// Which account servers live in, and how much it may be asked.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "evenkeel.dev",
    version = "v1alpha1",
    kind = "ProviderConfig",
    plural = "providerconfigs",
    category = "evenkeel",
    namespaced,
    status = "ProviderConfigStatus",
    derive = "PartialEq",
    doc = "A cloud account: where its credentials are, how much it may be asked, whether it can be reached.",
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
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.name"),
    printcolumn(name = "Managed", type_ = "integer", json_path = ".status.servers.managed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.openstack), has(self.upcloud), has(self.cloudDC)].filter(x, x).size() == 1")
    .message("a ProviderConfig names its cloud: give exactly one of openstack, upcloud and cloudDC"))]
pub struct ProviderConfigSpec {
    /// An OpenStack project: which credentials open it, and where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStackAccount>,
    /// An UpCloud account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcloud: Option<UpCloudAccount>,
    /// A Huawei CloudDC project.
    #[serde(default, rename = "cloudDC", skip_serializing_if = "Option::is_none")]
    pub cloud_dc: Option<CloudDcAccount>,
    /// A Secret of this namespace whose key ca.crt holds the certificate authorities (PEM) that the cloud's
    /// endpoints are checked against, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// How much the account may be asked, all its servers together. ProviderConfigs of the same account, in
    /// whichever namespaces, share one budget: the smallest number that any of them gives holds for all.
    #[serde(default)]
    pub requests: Requests,
    /// How often the account is looked at.
    #[serde(default)]
    pub observe: Observe,
    /// How many servers of the account may be stopped, resized or restarted at once, 1 to 1000; a power wish does
    /// not count.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent_disruptions: i32,
    /// How many servers of the account may be in creation at once, 1 to 1000.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_creates_in_flight: i32,
    /// While true the account is observed and nothing is changed in it.
    #[serde(default)]
    pub suspend: bool,
}

const fn ten() -> i32 {
    10
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// An OpenStack project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackAccount {
    /// A Secret of this namespace whose key clouds.yaml holds the credentials, in the format of the OpenStack
    /// clients.
    pub secret_ref: SecretRef,
    /// The entry under clouds in clouds.yaml to use, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub cloud: String,
    /// The region of the service catalog, at most 255 characters; if absent the entry's region_name, or the only
    /// region that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub region: Option<String>,
    /// Which endpoints of the service catalog are used; if absent the entry's interface, or Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<CatalogInterface>,
}

choice! {
    /// The endpoints of a service catalog.
    CatalogInterface = Public {
        /// For everybody.
        Public,
        /// For hosts inside of the cloud.
        Internal,
    }
}

/// How much an account may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// Requests per second in the long run, 1 to 1000.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_second: i32,
    /// Requests that may be made at once after a quiet time, 1 to 10000.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 10000))]
    pub burst: i32,
    /// Requests that may be under way at the same time, 1 to 1000.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    pub in_flight: i32,
}

const fn twenty() -> i32 {
    20
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            per_second: ten(),
            burst: twenty(),
            in_flight: ten(),
        }
    }
}

/// How often an account is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.busyInterval) <= duration(self.interval)")
    .message("observe.busyInterval must not be longer than observe.interval"))]
pub struct Observe {
    /// The time between two lists of the account while nothing is under way, like 15s or 1m30s; from 1s to 1h.
    #[serde(default = "fifteen_seconds")]
    #[schemars(extend("x-kubernetes-validations" = between("observe.interval", "1s", "1h")))]
    pub interval: Duration,
    /// The time between two lists of the account while something is under way, like 1s; from 1s to 1h, and not
    /// longer than interval.
    #[serde(default = "one_second")]
    #[schemars(extend("x-kubernetes-validations" = between("observe.busyInterval", "1s", "1h")))]
    pub busy_interval: Duration,
}

const fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            interval: fifteen_seconds(),
            busy_interval: one_second(),
        }
    }
}

/// What is known about an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderConfigStatus {
    /// The generation of the spec that this status speaks of; -1 before the controller first saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The account, pinned when it was first reached. Credentials of another one are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountStatus>,
    /// What the cloud can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<CapabilitiesStatus>,
    /// How many servers there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<ServerCounts>,
    /// What is known, in the words of Kubernetes: Ready, Reachable, CredentialsValid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// An account as the cloud names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The cloud's id; of OpenStack project/region.
    #[schemars(length(max = 128))]
    pub id: String,
    /// The account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub name: Option<String>,
}

/// What the cloud can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilitiesStatus {
    /// The power states that can be wished for in spec.powerState of a Server.
    #[schemars(length(max = 8), inner(length(max = 16)))]
    pub power_states: Vec<String>,
    /// The ways to stop: Soft, Hard, SoftThenHard, CloudEscalates.
    #[schemars(length(max = 8), inner(length(max = 32)))]
    pub stop_kinds: Vec<String>,
    /// Whether a running guest can be resized without being stopped.
    pub live_resize: bool,
    /// Whether a stopped server is still billed: Full, Partial, Unknown.
    #[schemars(length(max = 16))]
    pub stopped_cost: String,
    /// What a server that stands still goes on costing, by its state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["state".into()]))]
    pub idle_costs: Vec<IdleCostStatus>,
    /// Whether a changed image can be installed on an existing server (spec.rebuild of a Server).
    #[serde(default)]
    pub rebuild: bool,
    /// What the cloud can do with a ServerGroup; absent where it has no groups: then only placement.policy None is
    /// possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupCapabilitiesStatus>,
}

/// What a server that stands still in one state goes on costing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdleCostStatus {
    /// The state, in the words of status.power.observed of a Server.
    #[schemars(length(max = 32))]
    pub state: String,
    /// How much of the price is still to be paid: Full, Partial, Unknown.
    #[schemars(length(max = 16))]
    pub cost: String,
    /// For what.
    #[schemars(length(max = 256))]
    pub holds: String,
}

/// What the cloud can do with groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCapabilitiesStatus {
    /// The words that spec.placement.policy of a ServerGroup can have.
    #[schemars(length(max = 8), inner(length(max = 32)))]
    pub policies: Vec<String>,
    /// Whether the policy of an existing group can be changed.
    pub policy_mutable: bool,
    /// Whether servers join and leave an existing group; else they are placed only when they are created.
    pub members_mutable: bool,
    /// Whether spec.placement.maxServersPerHost can be given.
    pub max_servers_per_host: bool,
}

/// How many servers there are in the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerCounts {
    /// Servers that carry a mark of this installation.
    pub managed: i32,
    /// All other servers: they are seen, and left alone.
    pub foreign: i32,
}
