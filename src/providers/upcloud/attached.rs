//! Storages that are attached to a server after it was made, and detached from it (chapter "Storages" of the API 1.3);
//! and what the sets of a server have in common: disks, interfaces, floating addresses.

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::errors::has_code;
pub(super) use super::operate::accepted;
use super::operate::fetch;
use super::session::{Request, Service, checked};
use super::{floating, interfaces, storages, wire};
use crate::api::upcloud::{UpCloudDisk, UpCloudDiskAction, UpCloudServer};
use crate::planner::model::{Accepted, CloudError, ErrorClass, ItemChange, Items, WantedAttribute};
use crate::providers::answers::invalid;

pub(super) const DISKS: &str = "disks";

/// The sets of a wish.
pub(super) fn wanted(own: Option<&UpCloudServer>) -> impl Iterator<Item = WantedAttribute> {
    [
        Some(disks(own)),
        interfaces::wanted(own),
        Some(floating::wanted(own)),
    ]
    .into_iter()
    .flatten()
}

/// The sets that a server shows; a list shows none of them.
pub(super) fn shown(server: &wire::Server) -> BTreeMap<String, BTreeMap<String, String>> {
    let disks = server.storage_devices.as_ref().map(|devices| {
        let disks = devices.0.iter().filter(|d| d.kind.as_deref() != Some("cdrom"));
        let all = disks.map(|d| (d.storage.clone(), String::new())).collect();
        (DISKS.to_owned(), all)
    });
    let all = [disks, interfaces::shown(server), floating::shown(server)];
    all.into_iter().flatten().collect()
}

/// Changes a set.
pub(super) async fn change(
    service: &Service,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    match change.name {
        DISKS => change_disks(service, id, change, send_before).await,
        interfaces::INTERFACES => interfaces::change(service, id, change, send_before).await,
        floating::ADDRESSES => floating::change(service, id, change, send_before).await,
        name => Err(CloudError::new(
            ErrorClass::Unsupported,
            format!("UpCloud changes no such set: {name}"),
        )),
    }
}

/// The storages of a wish that exist without the server, by id.
fn disks(own: Option<&UpCloudServer>) -> WantedAttribute {
    let all = own.and_then(|o| o.disks.as_ref()).into_iter().flatten();
    let attached = |d: &UpCloudDisk| {
        let storage = d
            .storage
            .clone()
            .filter(|_| d.action == UpCloudDiskAction::Attach)?;
        let mut body = json!({ "type": "disk", "storage": storage });
        if let Some(address) = &d.address {
            body["address"] = json!(address);
        }
        if let Some(boot) = d.boot_disk {
            body["boot_disk"] = json!(if boot { "1" } else { "0" });
        }
        Some((storage, body.to_string()))
    };
    let how: BTreeMap<String, String> = all.filter_map(attached).collect();
    let items = Items {
        all: how.keys().map(|id| (id.clone(), String::new())).collect(),
        how,
        at_once: 1,
        ..Items::default()
    };
    WantedAttribute::set(DISKS, items)
}

/// Attaches or detaches. What is so already is left, and nothing is taken from another server.
async fn change_disks(
    service: &Service,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let server = fetch(service, checked(id)?).await?;
    let there = server.storage_devices.map(|d| d.0).unwrap_or_default();
    let device = |storage: &str| there.iter().find(|d| d.storage == storage);
    let mut last = Accepted::so_already(id);
    for (storage, body) in change.add.iter().filter(|(storage, _)| device(storage).is_none()) {
        let found = storages::detail(service, storage)
            .await
            .map_err(|e| wrong_thing(of_storage(storage, e)))?;
        if let Some(other) = found.servers.0.iter().find(|other| *other != id) {
            return Err(invalid(format!(
                "storage {storage} is attached to server {other}: it is not taken from it"
            )));
        }
        let body: serde_json::Value =
            serde_json::from_str(body).map_err(|_| invalid("the disk cannot be read"))?;
        let request = Request {
            body: Some(json!({ "storage_device": body })),
            ..Request::change(
                Method::POST,
                format!("/server/{id}/storage/attach"),
                "upcloud /server/{id}/storage/attach",
                send_before,
            )
        };
        match service.done(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) => {
                let error = refused(service, id, of_storage(storage, error)).await;
                return Err(wrong_thing(error));
            }
        }
    }
    for device in change.remove.iter().filter_map(|storage| device(storage)) {
        let device = match &device.address {
            Some(address) => json!({ "address": address }),
            None => json!({ "storage": device.storage }),
        };
        let request = Request {
            body: Some(json!({ "storage_device": device })),
            ..Request::change(
                Method::POST,
                format!("/server/{id}/storage/detach"),
                "upcloud /server/{id}/storage/detach",
                send_before,
            )
        };
        match service.done(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) if is_thing(&error) => {}
            Err(error) => return Err(refused(service, id, error).await),
        }
    }
    Ok(last)
}

/// A refusal that says which storage it speaks of.
fn of_storage(storage: &str, error: CloudError) -> CloudError {
    CloudError {
        message: format!("storage {storage}: {}", error.message),
        ..error
    }
}

/// Whether something does not exist that is not the server.
pub(super) fn is_thing(error: &CloudError) -> bool {
    error.class == ErrorClass::NotFound && !has_code(error, "SERVER_NOT_FOUND")
}

/// A thing that does not exist, or is another account's, is a wrong wish; the server is there.
pub(super) fn wrong_thing(error: CloudError) -> CloudError {
    let foreign = has_code(&error, "STORAGE_FORBIDDEN") || has_code(&error, "NETWORK_FORBIDDEN");
    if is_thing(&error) || foreign {
        return CloudError {
            class: ErrorClass::InvalidSpec,
            ..error
        };
    }
    error
}

/// What is refused for the state of a server that runs needs a stop.
pub(super) async fn refused(service: &Service, id: &str, error: CloudError) -> CloudError {
    if !has_code(&error, "SERVER_STATE_ILLEGAL") {
        return error;
    }
    match fetch(service, id).await {
        Ok(server) if server.state.as_deref() == Some("started") => CloudError {
            class: ErrorClass::NeedsStop,
            ..error
        },
        _ => error,
    }
}
