//! What CloudDC changes on an existing instance: the administrator's password (`PUT /instances/password`, at once; it
//! counts from the next start on) and the network (`PUT /instances/{id}/ip`, which takes its time). Both while it is
//! stopped, and each in a call of its own.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::create;
use super::errors::invalid;
use super::states::Awaited;
use super::wire::Instance;
use crate::api::server::ServerSpec;
use crate::planner::model::{ADMIN_PASSWORD, CloudError, ErrorClass, WantedAttribute};

/// The VPC and, for each interface, the subnet and its address.
const NETWORK: &str = "network";
/// Stands for an address that the cloud chooses.
const ANY: &str = "*";

/// A network as one text: `<vpc> <subnet>=<address> <subnet>=<address>`.
fn text<'n>(vpc: &str, interfaces: impl Iterator<Item = (&'n str, &'n str)>) -> String {
    interfaces.fold(vpc.to_owned(), |text, (subnet, address)| {
        format!("{text} {subnet}={address}")
    })
}

/// The settings of a wish that can be changed in place.
pub(super) fn wanted(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let password = spec
        .admin_password_secret_ref
        .as_ref()
        .map(|reference| WantedAttribute {
            needs_stop: true,
            alone: true,
            ..WantedAttribute::new(ADMIN_PASSWORD, reference.text())
        });
    let network = spec.cloud_dc.as_ref().map(|own| {
        let interfaces = own.network_interfaces.iter();
        let interfaces = interfaces.map(|i| (i.subnet_id.as_str(), i.ipv4_address.as_deref().unwrap_or(ANY)));
        WantedAttribute {
            needs_stop: true,
            alone: true,
            verified: true,
            ..WantedAttribute::new(NETWORK, text(&own.vpc_id, interfaces))
        }
    });
    network.into_iter().chain(password).collect()
}

/// What an instance says of these settings: of a password nothing.
pub(super) fn observed(instance: &Instance) -> BTreeMap<String, String> {
    let interfaces = instance.network_interfaces.iter();
    let whole: Option<Vec<(&str, &str)>> = interfaces
        .map(|i| Some((i.subnet_id.as_deref()?, i.ipv4_address.as_deref()?)))
        .collect();
    // An interface without an address is one that is still being made.
    match (&instance.vpc_id, whole) {
        (Some(vpc), Some(interfaces)) if !interfaces.is_empty() => {
            BTreeMap::from([(NETWORK.to_owned(), text(vpc, interfaces.into_iter()))])
        }
        _ => BTreeMap::new(),
    }
}

/// One change as it is sent.
pub(super) struct Change {
    pub(super) path: String,
    pub(super) route: &'static str,
    pub(super) body: Value,
    /// What may not show for a while; none for what is done at once.
    pub(super) awaited: Option<Awaited>,
}

/// The one call that a change is.
///
/// # Errors
/// Class `Unsupported`: several settings at once, or an unknown one; `InvalidSpec`: a password that is not allowed.
pub(super) fn change(
    id: &str,
    list: &[(&'static str, String)],
    password: Option<&SecretString>,
) -> Result<Change, CloudError> {
    match list {
        [(name, _)] if *name == ADMIN_PASSWORD => Ok(Change {
            path: "/instances/password".to_owned(),
            route: "clouddc /instances/password",
            body: json!({
                "new_password": create::checked(password)?.expose_secret(),
                "instance_id_set": [id],
            }),
            awaited: None,
        }),
        [(name, network)] if *name == NETWORK => Ok(Change {
            path: format!("/instances/{id}/ip"),
            route: "clouddc /instances/{id}/ip",
            body: body(network)?,
            awaited: Some(Awaited::ModifyIp),
        }),
        _ => {
            let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
            let words = format!("CloudDC changes no such settings: {}", names.join(", "));
            Err(CloudError::new(ErrorClass::Unsupported, words))
        }
    }
}

fn body(network: &str) -> Result<Value, CloudError> {
    let unreadable = || invalid(format!("{network:?} is no network"));
    let mut words = network.split(' ');
    let vpc = words.next().ok_or_else(unreadable)?;
    let nics: Option<Vec<Value>> = words
        .map(|word| {
            let (subnet, address) = word.split_once('=')?;
            Some(match address {
                ANY => json!({ "subnet_id": subnet }),
                address => json!({ "subnet_id": subnet, "ip_address": address }),
            })
        })
        .collect();
    let nics = nics.filter(|n| !n.is_empty()).ok_or_else(unreadable)?;
    Ok(json!({ "vpc_id": vpc, "nics": nics }))
}
