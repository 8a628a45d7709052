//! UpCloud's server in the planner's words.

use std::sync::Arc;

use super::labels::{self, Labels};
use super::states::state_of;
use super::wire::{IpAddress, Server};
use super::{attached, attributes, storages};
use crate::api::server_status::AddressStatus;
use crate::planner::model::{ObservedServer, ObservedSize, Part, PartKind, ServerState};

/// How many addresses of a server are shown.
const ADDRESSES: usize = 32;
/// The plan of a server with a free size.
pub(super) const CUSTOM: &str = "custom";

fn present(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

/// The id in the form of the vendor's node provider: its regions and zones are empty.
fn provider_id(uuid: &str) -> String {
    format!("upcloud:////{uuid}")
}

/// UpCloud's server in the planner's words. Backups are not in it.
pub(super) fn observed(server: Server) -> ObservedServer {
    let (state, busy) = state_of(&server);
    let labels: Labels = server.labels.as_ref().map(labels::read).unwrap_or_default();
    let marks = labels::marks_of(&labels);
    let mut parts: Vec<Part> = server
        .storage_devices
        .iter()
        .flat_map(|d| d.0.iter())
        .filter_map(|d| storages::part_of(d, marks.as_ref()))
        .chain(outliving(&server))
        .collect();
    parts.sort();
    ObservedServer {
        provider_id: provider_id(&server.uuid),
        attributes: attributes::observed(&server),
        items: Arc::new(attached::shown(&server)),
        addresses: addresses(&server),
        name: server.title.unwrap_or_default(),
        raw: server.state.unwrap_or_default(),
        guest_running: match state {
            ServerState::Running => Some(true),
            ServerState::Stopped => Some(false),
            _ => None,
        },
        busy,
        // A new server starts by itself. One in `error` is there with its disks, whatever it did before: it comes back
        // when the platform is repaired, and is never taken for a creation that failed.
        launched: state != ServerState::Provisioning,
        size: ObservedSize {
            id: None,
            name: present(server.plan).filter(|p| p != CUSTOM),
            cores: server.core_number.and_then(|n| i32::try_from(n).ok()),
            memory_mib: server.memory_amount,
        },
        image_id: None,
        zone: present(server.zone),
        host: present(server.host),
        // Whose it is cannot be known without its labels.
        unreadable: server.labels.is_none(),
        locked: None,
        marks,
        fault: None,
        failed_step: None,
        detailed: server.storage_devices.is_some(),
        parts,
        group_id: present(server.server_group),
        state,
        id: server.uuid,
    }
}

fn interfaces(server: &Server) -> impl Iterator<Item = (&str, Option<&str>, &IpAddress)> {
    let all = server.networking.iter().flat_map(|n| n.interfaces.0.iter());
    all.flat_map(|i| {
        let kind = i.kind.as_deref().unwrap_or("public");
        i.ip_addresses
            .0
            .iter()
            .map(move |a| (kind, i.network.as_deref(), a))
    })
}

fn addresses(server: &Server) -> Vec<AddressStatus> {
    let status = |kind: &str, network: Option<&str>, a: &IpAddress| {
        Some(AddressStatus {
            kind: kind.to_owned(),
            address: present(a.address.clone())?,
            network: network.map(str::to_owned),
        })
    };
    let mut all: Vec<AddressStatus> = interfaces(server)
        .filter_map(|(kind, network, a)| status(kind, network, a))
        .collect();
    if all.is_empty() {
        let flat = server.ip_addresses.0.iter();
        all = flat
            .filter_map(|a| status(a.access.as_deref().unwrap_or("public"), None, a))
            .collect();
    }
    all.sort();
    all.dedup();
    all.truncate(ADDRESSES);
    all
}

/// Addresses that the cloud keeps when the server goes. None of them is ours: we never allocate one.
fn outliving(server: &Server) -> impl Iterator<Item = Part> {
    let kept =
        |a: &IpAddress| a.floating.as_deref() == Some("yes") || a.release_policy.as_deref() == Some("keep");
    interfaces(server)
        .filter(move |(_, _, a)| kept(a))
        .filter_map(|(_, _, a)| present(a.address.clone()))
        .map(|address| Part {
            kind: PartKind::Address,
            name: address.clone(),
            id: address,
            ours: false,
            made_at: None,
            of: None,
        })
}
