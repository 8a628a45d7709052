//! `Server.spec.openstack`: what only OpenStack has.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What only OpenStack has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackServer {
    /// The availability zone, 1 to 255 characters; the cloud's default if absent. Immutable once a server is asked
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub availability_zone: Option<String>,
    /// The name of a key pair of the credential's user, 1 to 255 characters; none if absent. A server
    /// keeps the one that it was made with: a later change is shown as not applied (SettingsSynced).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub key_name: Option<String>,
    /// The networks in the order of the guest's interfaces, at most 16; absent or empty means none. Changed in place,
    /// one interface after the other, while the server is running, paused or stopped: what is added is attached, and
    /// put into securityGroups right after (a port that is named keeps its own groups), and what is taken out is
    /// detached; interfaces that others attached stay.
    /// An entry that is changed is another interface: the new one comes before the old one goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub networks: Option<Vec<OpenStackNetwork>>,
    /// Volumes of Cinder beside the root disk, at most 16; they outlive the server. Changed in place, one after the
    /// other: what is added is attached, what is taken out is detached; volumes that others attached stay. Without
    /// further steps the guest has them as unmounted disks, and must have unmounted what is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Option<Vec<OpenStackVolume>>,
    /// Names or ids of security groups, at most 32, for interfaces that name a network; the account's default
    /// group if absent when the server is made. Changed in place, one group after the other, on all its interfaces:
    /// groups that others added stay, and a group that is no longer named is taken off. While the server has no interface
    /// there is nothing to put them on: none is missed then, and a change waits (SettingsSynced, NotApplied).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub security_groups: Option<Vec<String>>,
    /// Whether the guest gets a config drive; the cloud's default if absent. Immutable once a server is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<bool>,
    /// Tags, at most 49 of at most 60 characters, without comma and slash. Those that begin with evenkeel are
    /// reserved. Changed in place: tags that others added stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 49),
        inner(length(min = 1, max = 60), regex(pattern = r"^[^,/]+$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(t, !t.startsWith('evenkeel'))")
        .message("tags that begin with evenkeel are reserved"))]
    pub tags: Option<Vec<String>>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackVolume {
    /// A local name for this entry, 1 to 63 characters; the key of the list, which the cloud never sees.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The id of an existing volume, a UUID in lower case. Names of volumes are not unique, and not taken.
    #[schemars(
        length(max = 36),
        regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    )]
    pub volume: String,
}

/// One interface of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.network) != has(self.port)")
    .message("an interface names either a network or a port"))]
#[x_kube(validation = Rule::new("!has(self.fixedIP) || has(self.network)")
    .message("fixedIP goes with network; a port has its address already"))]
#[x_kube(validation = Rule::new("!has(self.floatingIP) || has(self.network)")
    .message("floatingIP goes with network; give a port its floating address in the cloud"))]
pub struct OpenStackNetwork {
    /// A local name for this entry, 1 to 63 characters; the key of the list, which the cloud never sees.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The network's name or id, 1 to 255 characters; a name must be unique in the account. Either this or port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub network: Option<String>,
    /// A fixed IPv4 or IPv6 address on that network; the cloud chooses one if absent.
    #[serde(default, rename = "fixedIP", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    #[x_kube(validation = Rule::new("isIP(self)").message("fixedIP must be an IPv4 or IPv6 address"))]
    pub fixed_ip: Option<String>,
    /// A floating IPv4 address of the project, allocated there before; it leads to this entry's interface. Changed in
    /// place, also when the server is made, through Neutron. One that another port has is not taken from it; it stays
    /// allocated when it is taken out or the server goes.
    #[serde(default, rename = "floatingIP", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15))]
    #[x_kube(validation = Rule::new("isIP(self)").message("floatingIP must be an IPv4 address"))]
    pub floating_ip: Option<String>,
    /// The id of an existing port, 1 to 64 characters. Either this or network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub port: Option<String>,
}
