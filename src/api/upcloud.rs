//! What only UpCloud has: of a server, and of an account. The attributes are those of the chapter "Servers" of the
//! vendor's API 1.3.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider_config::SecretRef;
pub use super::upcloud_words::*;

/// What only UpCloud has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.disks) || self.disks.filter(d, has(d.bootDisk) && d.bootDisk).size() <= 1")
    .message("at most one of upcloud.disks can be the bootDisk"))]
#[x_kube(validation = Rule::new("!has(self.disks) || self.disks.filter(d, d.action == 'Clone' && !has(d.storage)).size() <= 1")
    .message("at most one of upcloud.disks can be a Clone without storage: it is the copy of spec.image"))]
#[x_kube(validation = Rule::new("!has(self.host) || !has(self.avoidHost) || self.host != self.avoidHost")
    .message("upcloud.host and upcloud.avoidHost contradict each other"))]
pub struct UpCloudServer {
    /// The zone, like fi-hel1, at most 64 characters; that of the ProviderConfig if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    pub zone: Option<String>,
    /// A domain of at most 64 characters that is put behind the host name: web-1 becomes web-1.example.com. None
    /// if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
    )]
    pub domain: Option<String>,
    /// The disks, at most 15 beside the one of spec.image. If spec.image is given and no entry is a Clone without
    /// storage, its copy is the first disk. Entries with action Create or Clone are made with the server and are
    /// immutable from then on. Those with action Attach are changed in place, one after the other: what is added is
    /// attached, what is taken out is detached (never deleted); storages that others attached stay. The guest must have
    /// unmounted what is detached. Where the cloud wants the server stopped for it (a disk on the bus ide), that is
    /// done as resize.when says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub disks: Option<Vec<UpCloudDisk>>,
    /// A CD-ROM that is in the drive of a new server; none if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdrom: Option<UpCloudCdrom>,
    /// The network interfaces, 1 to 10; if absent when the server is made a public one with IPv4, a utility one and a
    /// public one with IPv6, as the vendor's own tools have it. Changed in place, one after the other: what is added is
    /// attached, what is taken out is detached; interfaces that others attached stay, and so do all while the list is
    /// absent. Once a list is declared, those that the server was made with and that it does not have are detached. Where the cloud wants the server stopped for it, that is done as resize.when says. An entry is immutable
    /// but for its floatingIP: take it out and add another one under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub interfaces: Option<Vec<UpCloudInterface>>,
    /// The guest's login user, for servers from a Linux template. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_user: Option<UpCloudLoginUser>,
    /// Whether the cloud's firewall rules apply; the cloud's default if absent (its page says on, it was seen to be
    /// off). Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<bool>,
    /// Whether the guest can ask the metadata service; if absent, true for new servers from a template that needs
    /// it (cloud-init), else the cloud's default. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<bool>,
    /// The time zone of the guest's clock, like Europe/Helsinki, at most 64 characters; UTC if absent. Can be
    /// changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub timezone: Option<String>,
    /// The devices to boot from, the first one first, at most 3; the disk if absent. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(validation = Rule::new("self.all(a, self.filter(b, b == a).size() == 1)")
        .message("upcloud.bootOrder names each device once"))]
    pub boot_order: Option<Vec<UpCloudBootDevice>>,
    /// The daily time in UTC as HHMM and the plan of simple backups, like 0430,dailies (daily, dailies, weeklies
    /// or monthlies), or no for none; the account's default if absent. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 14),
        regex(pattern = r"^(no|([01][0-9]|2[0-3])[0-5][0-9],(daily|dailies|weeklies|monthlies))$")
    )]
    pub simple_backup: Option<String>,
    /// The model of the network interfaces; Virtio if absent. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic_model: Option<UpCloudNicModel>,
    /// The model of the graphics card; the cloud's default if absent. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_model: Option<UpCloudVideoModel>,
    /// Whether the remote console can be reached; false if absent. Its password is that of
    /// spec.adminPasswordSecretRef (8 letters and digits) on a new server, or a random one. Can be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_access_enabled: Option<bool>,
    /// The protocol of the remote console; Vnc if absent. Can be changed later, while the server is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_access_type: Option<UpCloudRemoteAccess>,
    /// The number of a host that the server is not created or started on; any if absent. Can be changed later, and
    /// counts from the next start on; a restart does not heed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991i64))]
    pub avoid_host: Option<i64>,
    /// The number of the host that the server is created, started or restarted on, in a private cloud; any if absent.
    /// Can be changed later, and counts from the next start or restart on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991i64))]
    pub host: Option<i64>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.action == 'Create' ? has(self.size) && !has(self.storage) : true")
    .message("a disk with action Create needs size and has no storage"))]
#[x_kube(validation = Rule::new("self.action == 'Attach' ? has(self.storage) && !has(self.size) && !has(self.tier) && !has(self.title) && !has(self.labels) : true")
    .message("a disk with action Attach needs storage, and has no size, tier, title or labels: it keeps its own"))]
pub struct UpCloudDisk {
    /// A local name for this entry, 1 to 63 characters, by which several managers of the list tell entries apart;
    /// the cloud sees it only in the default title.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Where the disk comes from.
    pub action: UpCloudDiskAction,
    /// The id of the storage to clone or attach; a Clone without it is the copy of spec.image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36), regex(pattern = r"^[0-9a-f-]+$"))]
    pub storage: Option<String>,
    /// The size in GB, 10 to 4096 (the vendor's page says 1024); that of the original for a Clone if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 4096))]
    pub size: Option<i32>,
    /// The class of storage; Hdd if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<UpCloudTier>,
    /// The disk's name in the cloud, 1 to 255 characters; the server's name and this entry's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub title: Option<String>,
    /// The address on a bus, like virtio:0 or scsi:0:1, or only the bus; the next free one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 3, max = 9),
        regex(pattern = r"^(ide(:[01]:[01])?|scsi(:0:(1[0-5]|[0-9]))?|virtio(:(1[0-5]|[0-9]))?)$")
    )]
    pub address: Option<String>,
    /// Whether the server boots from it, unless bootOrder says otherwise; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_disk: Option<bool>,
    /// Labels of the disk: at most 32, keys of 1 to 32 letters, digits, hyphens and underscores that do not begin
    /// with an underscore or with evenkeel, values of at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k.size() >= 1 && k.size() <= 32 && !k.startsWith('_') && !k.startsWith('evenkeel'))")
        .message("label keys have 1 to 32 characters and do not begin with _ or evenkeel"))]
    pub labels: Option<BTreeMap<String, String>>,
}

/// The CD-ROM of a new server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpCloudCdrom {
    /// The id of a storage of type cdrom.
    #[schemars(length(min = 36, max = 36), regex(pattern = r"^[0-9a-f-]+$"))]
    pub storage: String,
    /// The address on a bus, like ide:1:0, or only the bus; the next free one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 3, max = 9),
        regex(pattern = r"^(ide(:[01]:[01])?|scsi(:0:(1[0-5]|[0-9]))?|virtio(:(1[0-5]|[0-9]))?)$")
    )]
    pub address: Option<String>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'Private' || has(self.network)")
    .message("a Private interface needs the id of its network"))]
#[x_kube(validation = Rule::new("!has(self.sourceIPFiltering) || self.sourceIPFiltering || self.type == 'Private'")
    .message("sourceIPFiltering can be false only on a Private interface"))]
#[x_kube(validation = Rule::new("!has(self.addresses) || self.type == 'Public' || self.addresses.all(a, !has(a.family) || a.family != 'IPv6')")
    .message("IPv6 addresses are had only on a Public interface"))]
#[x_kube(validation = Rule::new("!has(self.addresses) || self.addresses.filter(a, has(a.dhcpProvided) && a.dhcpProvided).size() <= 1")
    .message("at most one address of an interface can be dhcpProvided"))]
pub struct UpCloudInterface {
    /// A local name for this entry, 1 to 63 characters, by which several managers of the list tell entries apart;
    /// the cloud never sees it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The kind of network.
    #[serde(rename = "type")]
    pub kind: UpCloudNetworkType,
    /// The id of the network; needed for Private, and for the others only with special rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36), regex(pattern = r"^[0-9a-f-]+$"))]
    pub network: Option<String>,
    /// The number of the interface in the guest, 1 to 10; its place in this list if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub index: Option<i32>,
    /// The addresses, 1 to 32; one IPv4 address that the cloud chooses if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub addresses: Option<Vec<UpCloudAddress>>,
    /// A floating IPv4 address of the account, made there before; it leads to this entry's interface. Changed in place,
    /// also when the server is made. One that another server has is not taken from it; it stays in the account when it
    /// is taken out or the server goes.
    #[serde(default, rename = "floatingIP", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15))]
    #[x_kube(validation = Rule::new("isIP(self)").message("floatingIP must be an IPv4 address"))]
    pub floating_ip: Option<String>,
    /// Whether the guest can send only from its own addresses; true if absent.
    #[serde(
        default,
        rename = "sourceIPFiltering",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_ip_filtering: Option<bool>,
    /// Whether the guest may boot through the interface; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootable: Option<bool>,
}

/// One address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.address) || (ip(self.address).family() == 6) == (has(self.family) && self.family == 'IPv6')")
    .message("address is of another family than family says (IPv4 if absent)"))]
pub struct UpCloudAddress {
    /// A local name for this entry, 1 to 63 characters, by which several managers of the list tell entries apart;
    /// the cloud never sees it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The family; IPv4 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<UpCloudAddressFamily>,
    /// An address of the network; the next free one if absent. On interfaces that are not Private it needs special
    /// rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    #[x_kube(validation = Rule::new("isIP(self)").message("address must be an IPv4 or IPv6 address"))]
    pub address: Option<String>,
    /// Whether DHCP offers this one; true for the first address of the interface if absent.
    #[serde(default, rename = "dhcpProvided", skip_serializing_if = "Option::is_none")]
    pub dhcp_provided: Option<bool>,
}

/// The guest's login user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpCloudLoginUser {
    /// The user's name, 1 to 32 characters; root if absent. Another one may use sudo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z_][a-z0-9_-]*$"))]
    pub username: Option<String>,
    /// Whether the cloud makes a password for the user, which is told once and goes into the Secret of
    /// spec.credentialsSecretName; if absent, true without spec.sshKeys and false with them. Not possible with
    /// spec.sshKeys, nor on templates with cloud-init.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_password: Option<bool>,
}

/// An UpCloud account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpCloudAccount {
    /// A Secret of this namespace with the key token, or the keys username and password; and optionally the key
    /// endpoint (https://api.upcloud.com if absent).
    pub secret_ref: SecretRef,
    /// The zone of servers that name none, like fi-hel1, at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub zone: Option<String>,
}

impl super::ServerSpec {
    /// Whether it says what the disks of a new server are made of: an image, or disks of their own.
    pub fn has_source(&self) -> bool {
        let disks = |u: &UpCloudServer| u.disks.as_ref().is_some_and(|d| !d.is_empty());
        self.image.is_some() || self.upcloud.as_ref().is_some_and(disks)
    }
}
