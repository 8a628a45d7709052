//! Floating addresses of the account, led to an interface of a server and away from it (chapter "IP addresses" of the
//! API 1.3). One that another server has is never taken from it, and none is released.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::attached::{accepted, is_thing};
use super::interfaces::{network, plain};
use super::operate::fetch;
use super::session::{Request, Service, checked};
use super::wire;
use crate::api::upcloud::UpCloudServer;
use crate::planner::model::{Accepted, CloudError, ErrorClass, ItemChange, Items, WantedAttribute};
use crate::providers::answers::invalid;

pub(super) const ADDRESSES: &str = "floatingIPs";
const ROUTE: &str = "upcloud /ip_address/{address}";

/// The addresses of a wish, each with the network that it leads to.
pub(super) fn wanted(own: Option<&UpCloudServer>) -> WantedAttribute {
    let all = own.and_then(|o| o.interfaces.as_ref()).into_iter().flatten();
    let pairs = all.filter_map(|i| Some((i.floating_ip.as_deref()?, network(i))));
    let items = Items {
        all: pairs
            .map(|(address, network)| (format!("{} {network}", plain(address)), String::new()))
            .collect(),
        at_once: 1,
        nameless: true,
        ..Items::default()
    };
    WantedAttribute {
        later: true,
        ..WantedAttribute::set(ADDRESSES, items)
    }
}

fn is_floating(address: &wire::IpAddress) -> bool {
    address.floating.as_deref() == Some("yes")
}

fn on(interface: &wire::Interface, network: &str) -> bool {
    [&interface.kind, &interface.network]
        .into_iter()
        .flatten()
        .any(|word| word == network)
}

/// Those that a server shows: each with itself, and kind and network of its interface.
pub(super) fn shown(server: &wire::Server) -> Option<(String, BTreeMap<String, String>)> {
    let mut all = BTreeMap::new();
    for interface in &server.networking.as_ref()?.interfaces.0 {
        let floating = interface.ip_addresses.0.iter().filter(|a| is_floating(a));
        for address in floating.filter_map(|a| a.address.as_deref()).map(plain) {
            let words = [
                Some(&address),
                interface.kind.as_ref(),
                interface.network.as_ref(),
            ];
            let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
            all.insert(address.clone(), words.join("\n"));
        }
    }
    Some((ADDRESSES.to_owned(), all))
}

/// The address of the account; none if it has no such one.
async fn find(service: &Service, address: &str) -> Result<Option<wire::AccountAddress>, CloudError> {
    let request = Request::look(path(address)?, ROUTE);
    match service.read::<wire::AddressDoc>(request).await {
        Ok(found) => Ok(Some(found.ip_address)),
        Err(error) if is_thing(&error) => Ok(None),
        Err(error) if error.class == ErrorClass::Forbidden => Ok(None),
        Err(error) => Err(error),
    }
}

fn path(address: &str) -> Result<String, CloudError> {
    match address.parse::<std::net::IpAddr>() {
        Ok(ip) => Ok(format!("/ip_address/{ip}")),
        Err(_) => Err(invalid(format!("{address:?} is no address"))),
    }
}

/// Leads addresses to the server, or away. What is so already is left.
pub(super) async fn change(
    service: &Service,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let mut last = Accepted::so_already(id);
    let server = fetch(service, checked(id)?).await?;
    let there = &server
        .networking
        .as_ref()
        .map(|n| n.interfaces.0.as_slice())
        .unwrap_or_default();
    for (key, _) in &change.add {
        let (address, network) = key.split_once(' ').unwrap_or((key.as_str(), ""));
        let found = find(service, address)
            .await?
            .filter(|f| f.floating.as_deref() == Some("yes"));
        let Some(found) = found else {
            return Err(invalid(format!(
                "floating address {address} is not one of this account: make it first"
            )));
        };
        if let Some(other) = found.server.as_ref().filter(|other| *other != id) {
            return Err(invalid(format!(
                "floating address {address} is in use by server {other}: it is not taken from it"
            )));
        }
        let four = |i: &&&wire::Interface| {
            let mut own = i.ip_addresses.0.iter().filter(|a| !is_floating(a));
            own.any(|a| a.family.as_deref() == Some("IPv4"))
        };
        let on: Vec<&wire::Interface> = there.iter().filter(|i| on(i, network)).collect();
        let leads = |i: &&wire::Interface| found.mac.is_some() && i.mac == found.mac;
        if on.iter().any(leads) {
            continue;
        }
        // The interface may be still to come.
        let Some(mac) = on.iter().find(four).and_then(|i| i.mac.as_ref()) else {
            let words = format!(
                "floating address {address}: the server has no interface with IPv4 on its network yet"
            );
            return Err(CloudError::new(ErrorClass::Busy, words));
        };
        let reply = lead(service, address, json!(mac), send_before).await?;
        last = accepted(id, &reply);
    }
    for address in &change.remove {
        let found = find(service, address).await?;
        if found.is_some_and(|f| f.server.as_deref() == Some(id)) {
            let reply = lead(service, address, Value::Null, send_before).await?;
            last = accepted(id, &reply);
        }
    }
    Ok(last)
}

async fn lead(
    service: &Service,
    address: &str,
    mac: Value,
    send_before: Instant,
) -> Result<crate::providers::transport::client::Reply, CloudError> {
    let request = Request {
        body: Some(json!({ "ip_address": { "mac": mac } })),
        ..Request::change(Method::PATCH, path(address)?, ROUTE, send_before)
    };
    // Gone meanwhile: the server is not.
    service.done(request).await.map_err(|e| match e.class {
        ErrorClass::NotFound => invalid(e.message),
        _ => e,
    })
}
