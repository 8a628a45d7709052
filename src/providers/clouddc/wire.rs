//! What CloudDC and the identity service write, as far as it is read here: the page "Querying the Instance Status" of
//! 2026-06-08 and the models of the vendor's SDK 3.1.219. Unknown fields are ignored, and what may be absent or null
//! is optional: documentation of this service changed three times in fifteen months.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::providers::answers::nullable;

/// Reads a map, or the list of maps that older models have in its place. Values that are no text are left out.
fn pairs<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let maps = match Option::<Value>::deserialize(d)? {
        Some(Value::Object(map)) => vec![map],
        Some(Value::Array(list)) => list.into_iter().filter_map(|v| v.as_object().cloned()).collect(),
        _ => Vec::new(),
    };
    let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
    Ok(maps.into_iter().flatten().filter_map(text).collect())
}

/// Reads a number that may be written as text; none for anything else.
fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Ok(match Option::<Value>::deserialize(d)? {
        Some(Value::Number(n)) => n.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Reads a text; none for anything else: an enum of a later version may be an object.
fn word<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(d)? {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    })
}

/// `GET /instances`: one page.
#[derive(Debug, Deserialize)]
pub(super) struct InstancePage {
    pub(super) instances: Vec<Instance>,
    #[serde(default)]
    pub(super) page_info: Option<PageInfo>,
    #[serde(default, deserialize_with = "number")]
    pub(super) count: Option<i64>,
}

/// `GET /physicalservers`: one page.
#[derive(Debug, Deserialize)]
pub(super) struct ServerPage {
    pub(super) servers: Vec<PhysicalServer>,
    #[serde(default)]
    pub(super) page_info: Option<PageInfo>,
    #[serde(default, deserialize_with = "number")]
    pub(super) count: Option<i64>,
}

/// Where the next page begins.
#[derive(Debug, Deserialize)]
pub(super) struct PageInfo {
    #[serde(default, deserialize_with = "word")]
    pub(super) next_marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) current_count: Option<i64>,
}

/// An instance: an operating system on a physical server.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "word")]
    pub(super) state: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) operation_state: Option<String>,
    #[serde(default, deserialize_with = "pairs")]
    pub(super) metadata: BTreeMap<String, String>,
    /// The physical server; absent before one is chosen.
    #[serde(default, deserialize_with = "word")]
    pub(super) server_id: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) vpc_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) network_interfaces: Vec<NetworkInterface>,
    #[serde(default)]
    pub(super) image: Option<Image>,
    #[serde(default, deserialize_with = "word")]
    pub(super) launched_at: Option<String>,
    #[serde(default)]
    pub(super) error: Option<ErrorStatus>,
}

/// An interface of the guest.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NetworkInterface {
    #[serde(default, deserialize_with = "word")]
    pub(super) subnet_id: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) ipv4_address: Option<String>,
}

/// The image that an instance was installed from.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Image {
    #[serde(default, deserialize_with = "word")]
    pub(super) id: Option<String>,
}

/// `GET /instances/{id}/status`. `operation_state` and `error` are missing in the page's own example.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
    #[serde(default, deserialize_with = "word")]
    pub(super) operation_state: Option<String>,
    #[serde(default)]
    pub(super) error: Option<ErrorStatus>,
}

/// What went wrong. It stands beside any state: errors of power on `stopped` and `running`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ErrorStatus {
    #[serde(default, deserialize_with = "word")]
    pub(super) error_code: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) error_msg: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) error_type: Option<String>,
}

impl ErrorStatus {
    /// Whether it says nothing at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.error_code.is_none() && self.error_msg.is_none() && self.error_type.is_none()
    }
}

/// A physical server: where power is seen and switched.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PhysicalServer {
    pub(super) id: String,
    #[serde(default, deserialize_with = "word")]
    pub(super) manage_state: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) power_state: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) operation_state: Option<String>,
    /// 0 to 7; what they mean is not documented, but for 0.
    #[serde(default, deserialize_with = "number")]
    pub(super) frozen_state: Option<i64>,
    #[serde(default)]
    pub(super) location: Option<Location>,
}

/// Where a server stands.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Location {
    #[serde(default, deserialize_with = "word")]
    pub(super) dc: Option<String>,
}

/// The reply to `POST /instances`.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) instance_id: String,
}

/// The reply to the calls that act on several things at once: those on which they act.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Taken {
    #[serde(default, alias = "physical_servers", deserialize_with = "nullable")]
    pub(super) instances: Vec<Identified>,
}

/// Anything with an id.
#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) id: String,
}

/// The reply to `POST /v3/auth/tokens`; the token itself comes in a header.
#[derive(Debug, Deserialize)]
pub(super) struct TokenDoc {
    pub(super) token: TokenBody,
}

/// A token without itself.
#[derive(Debug, Deserialize)]
pub(super) struct TokenBody {
    #[serde(default)]
    pub(super) expires_at: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(super) issued_at: Option<jiff::Timestamp>,
    #[serde(default)]
    pub(super) project: Option<Project>,
}

/// The project that a token is for.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) id: String,
    #[serde(default, deserialize_with = "word")]
    pub(super) name: Option<String>,
}
