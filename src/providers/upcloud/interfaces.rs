//! A server's interfaces: made with it, and attached and detached later (chapter "Networks" of the API 1.3). The
//! details of a server show each with its MAC address, by which it is known here, and its index, by which it is deleted.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::attached::{accepted, is_thing, refused, wrong_thing};
use super::attributes::yes_no;
use super::operate::fetch;
use super::session::{Request, Service, checked};
use super::wire;
use crate::api::upcloud::{
    UpCloudAddress, UpCloudAddressFamily, UpCloudInterface, UpCloudNetworkType, UpCloudServer,
};
use crate::planner::model::{Accepted, CloudError, ItemChange, Items, WantedAttribute};
use crate::providers::answers::invalid;

pub(super) const INTERFACES: &str = "interfaces";

const fn kind(kind: UpCloudNetworkType) -> &'static str {
    match kind {
        UpCloudNetworkType::Public => "public",
        UpCloudNetworkType::Utility => "utility",
        UpCloudNetworkType::Private => "private",
    }
}

/// An address as everybody writes it.
pub(super) fn plain(address: &str) -> String {
    let parsed = address.parse::<std::net::IpAddr>();
    parsed.map_or_else(|_| address.to_owned(), |ip| ip.to_string())
}

/// The network of an entry: its id, or its kind.
pub(super) fn network(wish: &UpCloudInterface) -> &str {
    wish.network.as_deref().unwrap_or(kind(wish.kind))
}

/// So many addresses of each family.
fn counted(four: usize, six: usize) -> String {
    let some = |n: usize, family: &str| (n > 0).then(|| format!("{n}x{family}"));
    let words: Vec<String> = some(four, "IPv4").into_iter().chain(some(six, "IPv6")).collect();
    words.join("+")
}

/// What an entry is recognised by: its network, and its first fixed address, or how many addresses it has.
fn key(wish: &UpCloudInterface) -> String {
    let addresses = wish.addresses.as_deref().unwrap_or_default();
    let fixed = addresses.iter().find_map(|a| a.address.as_deref());
    let is_six = |a: &&UpCloudAddress| a.family == Some(UpCloudAddressFamily::IPv6);
    let six = addresses.iter().filter(is_six).count();
    let which = match fixed {
        Some(address) => plain(address),
        None if addresses.is_empty() => counted(1, 0),
        None => counted(addresses.len() - six, six),
    };
    format!("{} {which}", network(wish))
}

/// The interfaces of a wish; nothing where none are named.
///
/// An entry that makes no sense has no body, and is refused by name when it is to be attached.
pub(super) fn wanted(own: Option<&UpCloudServer>) -> Option<WantedAttribute> {
    let list = own?.interfaces.as_ref()?;
    let mut items = Items {
        at_once: 1,
        nameless: true,
        ..Items::default()
    };
    for entry in list {
        let key = key(entry);
        let free = |n: &usize| *n < 2 || !items.all.contains_key(&format!("{key} #{n}"));
        let key = match (2..).find(free) {
            Some(n) if items.all.contains_key(&key) => format!("{key} #{n}"),
            _ => key,
        };
        let body = interface(entry).map_or_else(|error| error.message, |body| body.to_string());
        items.how.insert(key.clone(), body);
        items.all.insert(key, String::new());
    }
    Some(WantedAttribute::set(INTERFACES, items))
}

/// What an interface is recognised by: kind, network, addresses, and how many of each family it has at least.
fn words(interface: &wire::Interface) -> Vec<String> {
    let own = interface.ip_addresses.0.iter();
    let own = own.filter(|a| a.floating.as_deref() != Some("yes"));
    let own: Vec<String> = own.filter_map(|a| a.address.as_deref()).map(plain).collect();
    let six = own.iter().filter(|a| a.contains(':')).count();
    let four = own.len() - six;
    let counts = (0..=four).flat_map(|a| (0..=six).map(move |b| counted(a, b)));
    let counts = counts.filter(|c| !c.is_empty());
    let heads = [&interface.kind, &interface.network]
        .into_iter()
        .flatten()
        .cloned();
    heads.chain(own.clone()).chain(counts).collect()
}

/// The interfaces that a server shows, by MAC address. None if it does not tell.
pub(super) fn shown(server: &wire::Server) -> Option<(String, BTreeMap<String, String>)> {
    let mut all = BTreeMap::new();
    for interface in &server.networking.as_ref()?.interfaces.0 {
        let mac = interface.mac.as_ref()?.to_lowercase();
        all.insert(mac, words(interface).join("\n"));
    }
    Some((INTERFACES.to_owned(), all))
}

/// Attaches or detaches. What an earlier call of which nothing is known did already is not done again.
pub(super) async fn change(
    service: &Service,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let path = format!("/server/{}/networking/interface", checked(id)?);
    let route = "upcloud /server/{id}/networking/interface";
    let server = fetch(service, id).await?;
    let there = &server
        .networking
        .as_ref()
        .map(|n| n.interfaces.0.as_slice())
        .unwrap_or_default();
    let is = |i: &&wire::Interface, mac: &str| i.mac.as_ref().is_some_and(|m| m.to_lowercase() == mac);
    let mut last = Accepted::so_already(id);
    for (key, body) in &change.add {
        let body: Value = serde_json::from_str(body).map_err(|_| invalid(body.clone()))?;
        let key = key.split(" #").next().unwrap_or_default();
        let (network, which) = key.split_once(' ').unwrap_or((key, ""));
        // What the wish was compared with does not meet it; what came since does.
        let came = there.iter().any(|i| {
            let words = words(i);
            let has = |word: &str| words.iter().any(|w| w == word);
            let before = change.seen.iter().any(|mac| is(&i, mac));
            !before && has(network) && has(which)
        });
        if came {
            continue;
        }
        let request = Request {
            body: Some(json!({ "interface": body })),
            ..Request::change(Method::POST, path.clone(), route, send_before)
        };
        match service.done(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) => return Err(wrong_thing(refused(service, id, error).await)),
        }
    }
    for mac in &change.remove {
        let Some(index) = there.iter().find(|i| is(i, mac)).and_then(|i| i.index) else {
            continue;
        };
        let path = format!("{path}/{index}");
        let route = "upcloud /server/{id}/networking/interface/{index}";
        match service
            .done(Request::change(Method::DELETE, path, route, send_before))
            .await
        {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) if is_thing(&error) => {}
            Err(error) => return Err(refused(service, id, error).await),
        }
    }
    Ok(last)
}

/// The interfaces; without a wish those that the vendor's own tools make.
pub(super) fn made(list: Option<&[UpCloudInterface]>) -> Result<Vec<Value>, CloudError> {
    let Some(list) = list.filter(|l| !l.is_empty()) else {
        let usual = [("public", "IPv4"), ("utility", "IPv4"), ("public", "IPv6")];
        let one = |(kind, family): (&str, &str)| json!({ "type": kind, "ip_addresses": { "ip_address": [{ "family": family }] } });
        return Ok(usual.into_iter().map(one).collect());
    };
    list.iter().map(interface).collect()
}

fn interface(wish: &UpCloudInterface) -> Result<Value, CloudError> {
    let private = wish.kind == UpCloudNetworkType::Private;
    if private && wish.network.is_none() {
        return Err(invalid(format!("interface {:?} needs its network", wish.name)));
    }
    if !private && wish.source_ip_filtering == Some(false) {
        return Err(invalid(format!(
            "interface {:?}: sourceIPFiltering can be false only on a Private interface",
            wish.name
        )));
    }
    let addresses: Vec<Value> = match wish.addresses.as_deref() {
        None | Some([]) => vec![json!({ "family": "IPv4" })],
        Some(list) => list.iter().map(address).collect(),
    };
    let mut interface = json!({ "type": kind(wish.kind), "ip_addresses": { "ip_address": addresses } });
    let optional = [
        ("network", wish.network.as_deref().map(|n| json!(n))),
        ("index", wish.index.map(|i| json!(i))),
        (
            "source_ip_filtering",
            wish.source_ip_filtering.map(|f| json!(yes_no(f))),
        ),
        ("bootable", wish.bootable.map(|b| json!(yes_no(b)))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            interface[key] = value;
        }
    }
    Ok(interface)
}

fn address(wish: &UpCloudAddress) -> Value {
    let mut address = json!({ "family": wish.family.unwrap_or_default().as_str() });
    if let Some(text) = &wish.address {
        address["address"] = json!(text);
    }
    if let Some(dhcp) = wish.dhcp_provided {
        address["dhcp_provided"] = json!(yes_no(dhcp));
    }
    address
}
