//! What UpCloud writes, as far as it is read here (API 1.3, chapters Servers, Storages and Account). Lenient: the
//! vendor's page and the real service differ in places. Numbers come as numbers or as text, lists come in a wrapper
//! (`{"label": []}`) or bare (the page's reply to a stop has bare `ip_addresses`; labels of storages are always
//! bare), and what may be absent or null is optional. Unknown fields, such as the page's `plart_of_plan`, are ignored.

use secrecy::SecretString;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A list that may be absent, null, bare or in a wrapper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::Null => Ok(Self::default()),
            value => Ok(Self(items(value, false).map_err(D::Error::custom)?)),
        }
    }
}

/// A list that must be there: what is absent or null never reads as "nothing".
#[derive(Debug)]
pub(super) struct All<T>(pub(super) Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for All<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        Ok(Self(items(value, true).map_err(D::Error::custom)?))
    }
}

fn items<T: DeserializeOwned>(value: Value, strict: bool) -> Result<Vec<T>, serde_json::Error> {
    let list = match value {
        Value::Array(list) => Some(list),
        Value::Object(map) => {
            let nothing = !strict && map.values().all(Value::is_null);
            let inner = map.into_values().find_map(|v| match v {
                Value::Array(list) => Some(list),
                _ => None,
            });
            inner.or(nothing.then(Vec::new))
        }
        _ => None,
    };
    list.ok_or_else(|| serde_json::Error::custom("no list"))?
        .into_iter()
        .map(serde_json::from_value)
        .collect()
}

/// Text, whether it was written as text, a number or a truth value; nothing for null.
fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if yes { "yes" } else { "no" }.to_owned()),
        _ => None,
    })
}

/// A whole number, whether it was written as a number or as text; nothing for anything else.
fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    })
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SecretString>, D::Error> {
    Ok(text(d)?.filter(|t| !t.is_empty()).map(SecretString::from))
}

/// Tells what is null (the default) from what is absent (nothing).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// A reply with one server.
#[derive(Debug, Deserialize)]
pub(super) struct ServerDoc {
    pub(super) server: Server,
}

/// `GET /server`.
#[derive(Debug, Deserialize)]
pub(super) struct ServerList {
    pub(super) servers: All<Server>,
}

/// A server: whole, or as an item of a list, which lacks addresses, disks and most settings.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Server {
    pub(super) uuid: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) state: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) title: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) hostname: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) zone: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) plan: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) core_number: Option<i64>,
    /// In MiB.
    #[serde(default, deserialize_with = "number")]
    pub(super) memory_amount: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) labels: Option<Many<Label>>,
    /// In percent; only while the server is being created.
    #[serde(default, deserialize_with = "text")]
    pub(super) progress: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) host: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) server_group: Option<String>,
    /// There in every reply that is whole.
    #[serde(default, deserialize_with = "present")]
    pub(super) storage_devices: Option<Many<Device>>,
    #[serde(default)]
    pub(super) networking: Option<Networking>,
    #[serde(default)]
    pub(super) ip_addresses: Many<IpAddress>,
    #[serde(default, deserialize_with = "text")]
    pub(super) boot_order: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) firewall: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) metadata: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) nic_model: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) video_model: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) timezone: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) simple_backup: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) remote_access_enabled: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) remote_access_type: Option<String>,
    /// Where its VNC is; there while the remote access is on.
    #[serde(default, deserialize_with = "text")]
    pub(super) remote_access_host: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) remote_access_port: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) remote_access_password: Option<SecretString>,
    /// Told once, in the reply to a create.
    #[serde(default, deserialize_with = "secret")]
    pub(super) password: Option<SecretString>,
    #[serde(default, deserialize_with = "text")]
    pub(super) username: Option<String>,
}

/// A label of a server, a group or a storage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Label {
    pub(super) key: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) value: Option<String>,
}

/// A storage as it is attached to a server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Device {
    pub(super) storage: String,
    /// Its bus, and its place on it.
    #[serde(default, deserialize_with = "text")]
    pub(super) address: Option<String>,
    /// `disk` or `cdrom`.
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) storage_title: Option<String>,
    /// Left out by older replies.
    #[serde(default, deserialize_with = "present")]
    pub(super) labels: Option<Many<Label>>,
}

/// The interfaces of a server.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Networking {
    #[serde(default)]
    pub(super) interfaces: Many<Interface>,
}

/// One interface.
#[derive(Debug, Deserialize)]
pub(super) struct Interface {
    /// By which it is deleted.
    #[serde(default, deserialize_with = "number")]
    pub(super) index: Option<i64>,
    #[serde(default, deserialize_with = "text")]
    pub(super) mac: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) network: Option<String>,
    #[serde(default)]
    pub(super) ip_addresses: Many<IpAddress>,
}

/// One address: of an interface, or of a server.
#[derive(Debug, Deserialize)]
pub(super) struct IpAddress {
    #[serde(default, deserialize_with = "text")]
    pub(super) address: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) family: Option<String>,
    /// `public` or `utility`; said of the addresses of a server.
    #[serde(default, deserialize_with = "text")]
    pub(super) access: Option<String>,
    /// `yes` of an address that outlives the server.
    #[serde(default, deserialize_with = "text")]
    pub(super) floating: Option<String>,
    /// `keep` of an address that outlives the server; in newer replies.
    #[serde(default, deserialize_with = "text")]
    pub(super) release_policy: Option<String>,
}

/// `GET /ip_address/{address}`.
#[derive(Debug, Deserialize)]
pub(super) struct AddressDoc {
    pub(super) ip_address: AccountAddress,
}

/// An address of the account.
#[derive(Debug, Deserialize)]
pub(super) struct AccountAddress {
    #[serde(default, deserialize_with = "text")]
    pub(super) floating: Option<String>,
    /// The server that has it.
    #[serde(default, deserialize_with = "text")]
    pub(super) server: Option<String>,
    /// The interface that it leads to.
    #[serde(default, deserialize_with = "text")]
    pub(super) mac: Option<String>,
}

/// `GET /storage/{uuid}`.
#[derive(Debug, Deserialize)]
pub(super) struct StorageDoc {
    pub(super) storage: Storage,
}

/// `GET /storage/template` and its kin.
#[derive(Debug, Deserialize)]
pub(super) struct StorageList {
    pub(super) storages: All<Storage>,
}

/// A storage: whole, or as an item of a list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Storage {
    pub(super) uuid: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) title: Option<String>,
    /// `online` where it can be used.
    #[serde(default, deserialize_with = "text")]
    pub(super) state: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(default, deserialize_with = "text")]
    pub(super) created: Option<String>,
    /// None of a public one, which is in every zone.
    #[serde(default, deserialize_with = "text")]
    pub(super) zone: Option<String>,
    /// Of a backup: the storage that it was made of.
    #[serde(default, deserialize_with = "text")]
    pub(super) origin: Option<String>,
    /// `cloud-init` or `native`; of templates, in newer replies.
    #[serde(default, deserialize_with = "text")]
    pub(super) template_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) labels: Option<Many<Label>>,
    #[serde(default)]
    pub(super) backups: Many<String>,
    /// Those that it is attached to.
    #[serde(default)]
    pub(super) servers: Many<String>,
}

/// A reply with one group.
#[derive(Debug, Deserialize)]
pub(super) struct GroupDoc {
    pub(super) server_group: Group,
}

/// `GET /server-group`.
#[derive(Debug, Deserialize)]
pub(super) struct GroupList {
    pub(super) server_groups: All<Group>,
}

/// A group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) uuid: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) title: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) anti_affinity: Option<String>,
    /// Null where the policy is `no`.
    #[serde(default)]
    pub(super) anti_affinity_status: Many<Placed>,
    #[serde(default, deserialize_with = "present")]
    pub(super) labels: Option<Many<Label>>,
    #[serde(default)]
    pub(super) servers: Many<String>,
}

/// How one member of a group is placed.
#[derive(Debug, Deserialize)]
pub(super) struct Placed {
    pub(super) uuid: String,
    /// `met` or `unmet`.
    #[serde(default, deserialize_with = "text")]
    pub(super) status: Option<String>,
}

/// `GET /account`.
#[derive(Debug, Deserialize)]
pub(super) struct AccountDoc {
    pub(super) account: AccountBody,
}

/// Whose credentials these are.
#[derive(Debug, Deserialize)]
pub(super) struct AccountBody {
    pub(super) username: String,
}
