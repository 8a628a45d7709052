//! What Keystone, Nova, Glance and Neutron write, as far as it is read here. Unknown fields are ignored, and
//! what may be absent or null is optional: an old or a broken cloud must not make a list unreadable.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::providers::answers::nullable;

/// `GET /servers/{id}`.
#[derive(Debug, Deserialize)]
pub(super) struct ServerDoc {
    pub(super) server: Server,
}

/// `GET /servers/detail`: one page.
#[derive(Debug, Deserialize)]
pub(super) struct ServerPage<'a> {
    /// The text of each.
    #[serde(borrow)]
    pub(super) servers: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) servers_links: Vec<Link>,
}

/// A link to the next page.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) rel: String,
    pub(super) href: String,
}

/// A server. One in a cell that is down has little more than its id and status UNKNOWN (2.69).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) status: String,
    #[serde(default, rename = "OS-EXT-STS:vm_state")]
    pub(super) vm_state: Option<String>,
    #[serde(default, rename = "OS-EXT-STS:task_state")]
    pub(super) task_state: Option<String>,
    #[serde(default, rename = "OS-EXT-STS:power_state")]
    pub(super) power_state: Option<i64>,
    #[serde(default, rename = "OS-SRV-USG:launched_at")]
    pub(super) launched_at: Option<String>,
    #[serde(default, rename = "OS-EXT-AZ:availability_zone")]
    pub(super) zone: Option<String>,
    #[serde(default, rename = "hostId")]
    pub(super) host_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) addresses: BTreeMap<String, Vec<Address>>,
    #[serde(default)]
    pub(super) flavor: Option<FlavorCopy>,
    /// An object; the empty string for a server that was booted from a volume.
    #[serde(default)]
    pub(super) image: serde_json::Value,
    #[serde(default)]
    pub(super) locked: Option<bool>,
    #[serde(default)]
    pub(super) locked_reason: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tags: Vec<String>,
    /// Absent while it has no interface.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) security_groups: Vec<Named>,
    #[serde(
        default,
        rename = "os-extended-volumes:volumes_attached",
        deserialize_with = "nullable"
    )]
    pub(super) volumes: Vec<VolumeId>,
    /// From 2.90 on, and to administrators.
    #[serde(default, rename = "OS-EXT-SRV-ATTR:hostname")]
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) fault: Option<Fault>,
}

/// Anything that a server names.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
}

/// One address of a server.
#[derive(Debug, Deserialize)]
pub(super) struct Address {
    pub(super) addr: String,
    #[serde(default, rename = "OS-EXT-IPS:type")]
    pub(super) kind: Option<String>,
    #[serde(default, rename = "OS-EXT-IPS-MAC:mac_addr")]
    pub(super) mac: Option<String>,
}

/// `GET /servers/{id}/os-interface`.
#[derive(Debug, Deserialize)]
pub(super) struct InterfaceList {
    #[serde(rename = "interfaceAttachments")]
    pub(super) interfaces: Vec<Interface>,
}

/// `GET /v2.0/security-groups`.
#[derive(Debug, Deserialize)]
pub(super) struct SecurityGroupList {
    pub(super) security_groups: Vec<NamedGroup>,
}

/// A security group of Neutron.
#[derive(Debug, Deserialize)]
pub(super) struct NamedGroup {
    pub(super) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
}

/// An interface of a server, a port of Neutron.
#[derive(Debug, Deserialize)]
pub(super) struct Interface {
    pub(super) port_id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) net_id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) mac_addr: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) fixed_ips: Vec<FixedIp>,
}

/// A fixed address of a port.
#[derive(Debug, Deserialize)]
pub(super) struct FixedIp {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) ip_address: String,
}

/// Neutron's `GET /floatingips`.
#[derive(Debug, Deserialize)]
pub(super) struct FloatingIpList {
    pub(super) floatingips: Vec<FloatingIp>,
}

/// A floating address of the project.
#[derive(Debug, Deserialize)]
pub(super) struct FloatingIp {
    pub(super) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) floating_ip_address: String,
    #[serde(default)]
    pub(super) port_id: Option<String>,
}

/// `GET /servers/{id}/os-volume_attachments`.
#[derive(Debug, Deserialize)]
pub(super) struct VolumeList {
    #[serde(rename = "volumeAttachments")]
    pub(super) attachments: Vec<VolumeAttachment>,
}

/// A volume of a server.
#[derive(Debug, Deserialize)]
pub(super) struct VolumeAttachment {
    #[serde(default, rename = "volumeId", deserialize_with = "nullable")]
    pub(super) volume: String,
}

/// A volume as a server names it.
#[derive(Debug, Deserialize)]
pub(super) struct VolumeId {
    pub(super) id: String,
}

/// The flavor that a server was made from (2.47): a copy without an id.
#[derive(Debug, Deserialize)]
pub(super) struct FlavorCopy {
    #[serde(default)]
    pub(super) original_name: Option<String>,
    #[serde(default)]
    pub(super) vcpus: Option<i32>,
    #[serde(default)]
    pub(super) ram: Option<i64>,
}

/// Why a server is in ERROR.
#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    #[serde(default)]
    pub(super) code: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) message: String,
}

/// The reply to `POST /servers`.
#[derive(Debug, Deserialize)]
pub(super) struct CreatedDoc {
    pub(super) server: Identified,
}

/// Anything with an id, and a name perhaps.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Of an image: only an active one can be booted.
    #[serde(default)]
    pub(super) status: Option<String>,
}

/// `GET /os-server-groups`: one page.
#[derive(Debug, Deserialize)]
pub(super) struct GroupPage {
    pub(super) server_groups: Vec<Group>,
}

/// The reply to `POST /os-server-groups`.
#[derive(Debug, Deserialize)]
pub(super) struct GroupDoc {
    pub(super) server_group: Identified,
}

/// A group of servers. Before 2.64 it has `policies` and no `rules`.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) policies: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) rules: GroupRules,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) members: Vec<String>,
}

/// The rules of a group's policy.
#[derive(Debug, Default, Deserialize)]
pub(super) struct GroupRules {
    #[serde(default)]
    pub(super) max_server_per_host: Option<i32>,
}

/// `GET /flavors`: one page.
#[derive(Debug, Deserialize)]
pub(super) struct FlavorPage {
    pub(super) flavors: Vec<Identified>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) flavors_links: Vec<Link>,
}

/// `GET /v2/images`.
#[derive(Debug, Deserialize)]
pub(super) struct ImageList {
    pub(super) images: Vec<Identified>,
}

/// `GET /v2/images/{id}`.
#[derive(Debug, Deserialize)]
pub(super) struct ImageState {
    pub(super) status: String,
}

/// `GET /v2.0/networks`.
#[derive(Debug, Deserialize)]
pub(super) struct NetworkList {
    pub(super) networks: Vec<Identified>,
}

/// Nova's version document.
#[derive(Debug, Deserialize)]
pub(super) struct VersionDoc {
    pub(super) version: Version,
}

/// The microversions of an endpoint.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    /// The highest; empty where there are none.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) version: String,
    /// The lowest.
    #[serde(default, deserialize_with = "nullable")]
    pub(super) min_version: String,
}

/// The reply to `POST /v3/auth/tokens`.
#[derive(Debug, Deserialize)]
pub(super) struct TokenDoc {
    pub(super) token: TokenBody,
}

/// A token without itself: that comes in a header.
#[derive(Debug, Deserialize)]
pub(super) struct TokenBody {
    #[serde(default)]
    pub(super) expires_at: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(super) issued_at: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(super) project: Option<Identified>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) catalog: Vec<Service>,
}

/// A service of the catalog.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) endpoints: Vec<Endpoint>,
}

/// Where a service is reached.
#[derive(Debug, Deserialize)]
pub(super) struct Endpoint {
    pub(super) interface: String,
    #[serde(default)]
    pub(super) region_id: Option<String>,
    #[serde(default)]
    pub(super) region: Option<String>,
    pub(super) url: String,
}
