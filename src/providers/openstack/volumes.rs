//! Volumes of Cinder, attached to a server and detached from it after it was made. A server shows their ids.
//! <https://docs.openstack.org/api-ref/compute/#servers-with-volume-attachments-servers-os-volume-attachments>

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::session::{Request, Services};
use super::settings::{is_thing, wrong_thing};
use super::{accepted, checked, wire};
use crate::api::server::OpenStackServer;
use crate::planner::model::{Accepted, CloudError, ItemChange, Items, ServerState, WantedAttribute};
use crate::providers::transport::budget::Priority;

pub(super) const VOLUMES: &str = "volumes";

/// The volumes of a wish, by id. Nova changes them of a shelved server too, off its host or still on it, and of no suspended
/// one (`nova/compute/api.py` `attach_volume`, `detach_volume`).
pub(super) fn wanted(own: Option<&OpenStackServer>) -> WantedAttribute {
    let all = own.and_then(|o| o.volumes.as_ref()).into_iter().flatten();
    let items = Items {
        all: all.map(|v| (v.volume.clone(), String::new())).collect(),
        at_once: 1,
        ..Items::default()
    };
    WantedAttribute {
        not_in: &[ServerState::Suspended],
        ..WantedAttribute::set(VOLUMES, items)
    }
}

/// Those that a server shows.
pub(super) fn attached(server: &wire::Server) -> BTreeMap<String, String> {
    let all = server.volumes.iter();
    all.map(|v| (v.id.clone(), String::new())).collect()
}

/// Attaches or detaches. What is so already is left.
pub(super) async fn change(
    services: &Services,
    id: &str,
    change: &ItemChange,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let path = format!("/servers/{}/os-volume_attachments", checked(id)?);
    let route = "nova /servers/{id}/os-volume_attachments";
    let request = Request {
        priority: Priority::High,
        ..Request::get(ServiceKind::Compute, path.clone(), route)
    };
    let there: wire::VolumeList = services.read(request).await?;
    let has = |volume: &str| there.attachments.iter().any(|a| a.volume == volume);
    let mut last = Accepted::so_already(id);
    for (volume, _) in change.add.iter().filter(|(volume, _)| !has(volume)) {
        let request = Request {
            body: Some(json!({ "volumeAttachment": { "volumeId": volume } })),
            ..Request::change(Method::POST, path.clone(), route, send_before)
        };
        match services.send(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) => return Err(wrong_thing(error, id)),
        }
    }
    for volume in change.remove.iter().filter(|volume| has(volume)) {
        let path = format!("{path}/{}", checked(volume)?);
        let route = "nova /servers/{id}/os-volume_attachments/{volume}";
        let request = Request::change(Method::DELETE, path, route, send_before);
        match services.send(request).await {
            Ok(reply) => last = accepted(id, &reply),
            Err(error) if is_thing(&error, id) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(last)
}
