//! A server's interfaces, attached and detached after it was made. A list of servers shows each with its MAC address,
//! the network's name and its addresses; Nova makes the ports, and deletes those that it made when they are detached.
//! <https://docs.openstack.org/api-ref/compute/#port-interfaces-servers-os-interface>

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::catalog::Catalog;
use super::errors::Asked;
use super::session::{Request, Services};
use super::settings::{is_thing, wrong_thing};
use super::{accepted, checked, floating, port_groups, wire};
use crate::api::server::{OpenStackNetwork, OpenStackServer};
use crate::planner::model::{
    Accepted, CloudError, ErrorClass, ItemChange, Items, ObservedServer, ServerState, WantedAttribute,
    is_uuid,
};
use crate::providers::answers::invalid;
use crate::providers::transport::budget::Priority;

pub(super) const NETWORKS: &str = "networks";
/// Before the id of a port that is named: the whole is short enough to be remembered as it is.
const PORT: &str = "id ";

/// An address as everybody writes it.
fn plain(address: &str) -> String {
    address
        .parse::<IpAddr>()
        .map_or_else(|_| address.to_owned(), |ip| ip.to_string())
}

/// What an entry is recognised by.
fn key(entry: &OpenStackNetwork) -> String {
    match (&entry.port, &entry.network, &entry.fixed_ip) {
        (Some(port), ..) => format!("{PORT}{port}"),
        (None, Some(network), Some(address)) => format!("{network} {}", plain(address)),
        (None, network, _) => network.clone().unwrap_or_default(),
    }
}

/// The interfaces of a wish. Nova changes them of one that is active, paused or stopped alone (`nova/compute/api.py`
/// `attach_interface`).
pub(super) fn wanted(own: Option<&OpenStackServer>) -> WantedAttribute {
    let mut all = BTreeMap::new();
    for entry in own.and_then(|o| o.networks.as_ref()).into_iter().flatten() {
        let key = key(entry);
        let free = |n: &usize| *n < 2 || !all.contains_key(&format!("{key} #{n}"));
        let key = match (2..).find(free) {
            Some(n) if all.contains_key(&key) => format!("{key} #{n}"),
            _ => key,
        };
        all.insert(key, String::new());
    }
    // Nova puts the ports that it makes for an existing server into the project's default group.
    let groups = own
        .and_then(|o| o.security_groups.as_ref())
        .filter(|g| !g.is_empty());
    let how = groups.map(|groups| {
        let text = json!(groups).to_string();
        let named = all.keys().filter(|key| !key.starts_with(PORT));
        named.map(|key| (key.clone(), text.clone())).collect()
    });
    let items = Items {
        all,
        at_once: 1,
        nameless: true,
        finishes: how.is_some(),
        how: how.unwrap_or_default(),
        ..Items::default()
    };
    WantedAttribute {
        not_in: &[ServerState::Suspended, ServerState::Shelved],
        ..WantedAttribute::set(NETWORKS, items)
    }
}

/// The interfaces that a server shows: by MAC address the network's name, then the addresses. None if it does not tell.
pub(super) fn shown(server: &wire::Server) -> Option<(String, BTreeMap<String, String>)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (network, addresses) in &server.addresses {
        for address in addresses.iter().filter(|a| a.kind.as_deref() != Some("floating")) {
            let mac = address.mac.as_ref()?.to_lowercase();
            let words = all.entry(mac).or_insert_with(|| network.clone());
            *words = format!("{words}\n{}", plain(&address.addr));
        }
    }
    Some((NETWORKS.to_owned(), all))
}

/// The sets in which networks are named.
const NAMED: [&str; 2] = [NETWORKS, floating::ADDRESSES];

/// The names of the networks that servers have interfaces or floating addresses in.
pub(super) fn networks<'a>(servers: impl Iterator<Item = &'a ObservedServer>) -> BTreeSet<String> {
    servers
        .flat_map(|s| NAMED.iter().filter_map(|set| s.items.get(*set)))
        .flat_map(BTreeMap::values)
        .map(|words| network(words).to_owned())
        .collect()
}

/// Adds the ids of the networks to a server that was just read. Where they cannot be read nothing is said of its interfaces.
/// Whether all that belongs there is there.
pub(super) fn with_ids(server: &mut Arc<ObservedServer>, ids: Option<&HashMap<String, Vec<String>>>) -> bool {
    let named = |set: &str| NAMED.contains(&set);
    if !server
        .items
        .iter()
        .any(|(set, all)| named(set) && !all.is_empty())
    {
        return true;
    }
    let items = Arc::make_mut(&mut Arc::make_mut(server).items);
    let Some(ids) = ids else {
        items.retain(|set, all| !named(set) || all.is_empty());
        return false;
    };
    let mut whole = true;
    let all = items.iter_mut().filter(|(set, _)| named(set));
    for words in all.flat_map(|(_, all)| all.values_mut()) {
        let found = ids.get(network(words));
        whole &= found.is_some();
        *words = found
            .into_iter()
            .flatten()
            .fold(words.clone(), |words, id| format!("{words}\n{id}"));
    }
    whole
}

/// The network of an interface or address: the first of its words.
fn network(words: &str) -> &str {
    words.split('\n').next().unwrap_or_default()
}

pub(super) async fn read(services: &Services, id: &str) -> Result<Vec<wire::Interface>, CloudError> {
    let request = Request {
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Compute,
            format!("/servers/{id}/os-interface"),
            "nova /servers/{id}/os-interface",
        )
    };
    Ok(services.read::<wire::InterfaceList>(request).await?.interfaces)
}

/// What an interface is made from.
struct Wish {
    network: String,
    address: Option<String>,
}

impl Wish {
    fn of(key: &str) -> Self {
        let number = |tail: &str| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
        let key = match key.rsplit_once(" #") {
            Some((head, tail)) if number(tail) => head,
            _ => key,
        };
        match key.rsplit_once(' ') {
            Some((network, address)) if address.parse::<IpAddr>().is_ok() => Self {
                network: network.to_owned(),
                address: Some(address.to_owned()),
            },
            _ => Self {
                network: key.to_owned(),
                address: None,
            },
        }
    }
}

/// Attaches or detaches. What an earlier call of which nothing is known did already is not done again.
pub(super) async fn change(
    services: &Services,
    catalog: &Catalog,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let mut last = Accepted::so_already(checked(id)?);
    let there = read(services, id).await?;
    for (key, groups) in &change.add {
        let found = missing(services, catalog, key, change, &there).await?;
        // What does not exist is refused before anything is attached.
        let groups = port_groups::ids(services, groups).await?;
        let mut port = match &found {
            Found::There(port) => Some(port.clone()),
            Found::Missing(_) => None,
        };
        if let Found::Missing(body) = found {
            let request = Request {
                body: Some(json!({ "interfaceAttachment": body })),
                asked: Asked::Change,
                ..Request::change(
                    Method::POST,
                    format!("/servers/{id}/os-interface"),
                    "nova /servers/{id}/os-interface",
                    send_before,
                )
            };
            match services.send(request).await {
                Ok(reply) => {
                    last = accepted(id, &reply);
                    port = port_groups::attached(&reply);
                }
                Err(error) => {
                    catalog.forget();
                    return Err(wrong_thing(error, id));
                }
            }
        }
        if let Some(groups) = groups {
            port_groups::put(services, port.as_deref(), &groups, send_before).await?;
        }
    }
    for key in &change.remove {
        let Some(port) = port_of(key, change, &there)? else {
            continue;
        };
        let request = Request::change(
            Method::DELETE,
            format!("/servers/{id}/os-interface/{}", checked(port)?),
            "nova /servers/{id}/os-interface/{port}",
            send_before,
        );
        match services.send(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) if is_thing(&error, id) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(last)
}

/// What a wish for an interface needs.
enum Found {
    /// Nothing: this port is there.
    There(String),
    /// An attachment with this body.
    Missing(Value),
}

/// The body of an attachment, unless it is there.
async fn missing(
    services: &Services,
    catalog: &Catalog,
    key: &str,
    change: &ItemChange,
    there: &[wire::Interface],
) -> Result<Found, CloudError> {
    if let Some(port) = key.strip_prefix(PORT).filter(|port| is_uuid(port)) {
        let attached = there.iter().any(|i| i.port_id == port);
        return Ok(match attached {
            true => Found::There(port.to_owned()),
            false => Found::Missing(json!({ "port_id": port })),
        });
    }
    let wish = Wish::of(key);
    if is_uuid(&wish.network) && !catalog.knows_network(services, &wish.network).await {
        if catalog.has_network(&wish.network) {
            let words = "the networks of the project were read anew; it is compared again";
            return Err(CloudError::new(ErrorClass::Transient, words));
        }
        return Err(invalid(format!(
            "there is no network {:?} among those of this project",
            wish.network
        )));
    }
    let network = catalog.network(services, &wish.network).await?;
    // What the wish was compared with does not meet it; what came since does.
    let fits = |i: &&wire::Interface| {
        let at = |address: &String| i.fixed_ips.iter().any(|f| plain(&f.ip_address) == *address);
        i.net_id == network
            && wish.address.as_ref().is_none_or(at)
            && !change.seen.contains(&i.mac_addr.to_lowercase())
    };
    if let Some(interface) = there.iter().find(fits) {
        return Ok(Found::There(interface.port_id.clone()));
    }
    let mut body = json!({ "net_id": network });
    if let Some(address) = &wish.address {
        body["fixed_ips"] = json!([{ "ip_address": address }]);
    }
    Ok(Found::Missing(body))
}

/// The port that goes; none if it is gone.
fn port_of<'a>(
    key: &'a str,
    change: &ItemChange,
    there: &'a [wire::Interface],
) -> Result<Option<&'a str>, CloudError> {
    if let Some(port) = key.strip_prefix(PORT) {
        return Ok(there.iter().any(|i| i.port_id == port).then_some(port));
    }
    let Some(interface) = there.iter().find(|i| i.mac_addr.to_lowercase() == key) else {
        return Ok(None);
    };
    let port = interface.port_id.as_str();
    if change.keep.contains(&format!("{PORT}{port}")) {
        return Err(invalid(format!(
            "interface {key} is port {port}, which is declared as well: which one is to be detached cannot be told, \
             detach it by hand"
        )));
    }
    Ok(Some(port))
}
