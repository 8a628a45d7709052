//! Floating addresses of the project, put on an interface of a server and taken off it through Neutron; Nova's two
//! actions for it are deprecated. An address that another server has is never taken from it, and none is released.
//! <https://docs.openstack.org/api-ref/network/v2/#floating-ips-floatingips>

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::catalog::{Catalog, query};
use super::session::{Request, Services};
use super::{accepted, interfaces, wire};
use crate::api::server::OpenStackServer;
use crate::planner::model::{Accepted, CloudError, ErrorClass, ItemChange, Items, WantedAttribute};
use crate::providers::answers::invalid;
use crate::providers::transport::budget::Priority;

pub(super) const ADDRESSES: &str = "floatingIPs";
const LIST: &str = "neutron /v2.0/floatingips";

/// The addresses of a wish, each with the network that it leads to.
pub(super) fn wanted(own: Option<&OpenStackServer>) -> WantedAttribute {
    let all = own.and_then(|o| o.networks.as_ref()).into_iter().flatten();
    let pairs = all.filter_map(|n| Some((n.floating_ip.as_ref()?, n.network.as_ref()?)));
    let items = Items {
        all: pairs
            .map(|(address, network)| (format!("{address} {network}"), String::new()))
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

/// Those that a server shows: each with itself, and its network's name.
pub(super) fn shown(server: &wire::Server) -> (String, BTreeMap<String, String>) {
    let mut all = BTreeMap::new();
    for (network, addresses) in &server.addresses {
        for address in addresses.iter().filter(|a| a.kind.as_deref() == Some("floating")) {
            all.insert(address.addr.clone(), format!("{network}\n{}", address.addr));
        }
    }
    (ADDRESSES.to_owned(), all)
}

/// The floating address of the project.
async fn find(services: &Services, address: &str) -> Result<Option<wire::FloatingIp>, CloudError> {
    let request = Request {
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Network,
            query("/floatingips", &[("floating_ip_address", address)]),
            LIST,
        )
    };
    let list = services.read::<wire::FloatingIpList>(request).await;
    let mut all = list.map_err(|e| no_router(e, address))?.floatingips;
    all.retain(|f| f.floating_ip_address == address);
    Ok(all.pop())
}

/// A Neutron without routers has no such list at all.
fn no_router(error: CloudError, address: &str) -> CloudError {
    if error.code.as_deref().is_some_and(|code| code.starts_with("404")) {
        let words = format!(
            "floating address {address}: this cloud's Neutron has no floating addresses ({})",
            error.message
        );
        return CloudError {
            message: words,
            class: ErrorClass::Unsupported,
            ..error
        };
    }
    error
}

/// Puts addresses on, or takes them off. What is so already is left.
pub(super) async fn change(
    services: &Services,
    catalog: &Catalog,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let mut last = Accepted::so_already(id);
    let there = interfaces::read(services, id).await?;
    let has = |port: &Option<String>| {
        let port = port.as_deref().filter(|p| !p.is_empty());
        port.map(|port| there.iter().any(|i| i.port_id == port))
    };
    for (key, _) in &change.add {
        let (address, network) = key.split_once(' ').unwrap_or((key.as_str(), ""));
        let Some(found) = find(services, address).await? else {
            return Err(invalid(format!(
                "floating address {address} is not one of this project: allocate it first"
            )));
        };
        if has(&found.port_id) == Some(false) {
            return Err(invalid(format!(
                "floating address {address} is in use by another port: it is not taken from it"
            )));
        }
        let network = catalog.network(services, network).await?;
        let on: Vec<_> = there.iter().filter(|i| i.net_id == network).collect();
        if on.iter().any(|i| found.port_id.as_ref() == Some(&i.port_id)) {
            continue;
        }
        // The interface may be still to come, or not yet told.
        let Some(port) = on.first() else {
            let words = format!("floating address {address}: the server has no interface on its network yet");
            return Err(CloudError::new(ErrorClass::Busy, words));
        };
        let reply = lead(services, &found.id, json!(port.port_id), send_before).await?;
        last = accepted(id, &reply);
    }
    for address in &change.remove {
        let Some(found) = find(services, address).await? else {
            continue;
        };
        if has(&found.port_id) == Some(true) {
            let reply = lead(services, &found.id, Value::Null, send_before).await?;
            last = accepted(id, &reply);
        }
    }
    Ok(last)
}

async fn lead(
    services: &Services,
    id: &str,
    port: Value,
    send_before: Instant,
) -> Result<crate::providers::transport::client::Reply, CloudError> {
    let request = Request {
        service: ServiceKind::Network,
        body: Some(json!({"floatingip": {"port_id": port}})),
        ..Request::change(
            Method::PUT,
            format!("/floatingips/{}", super::checked(id)?),
            "neutron /v2.0/floatingips/{id}",
            send_before,
        )
    };
    // Gone meanwhile: the server is not.
    services.send(request).await.map_err(|e| match e.class {
        ErrorClass::NotFound => invalid(e.message),
        _ => e,
    })
}
