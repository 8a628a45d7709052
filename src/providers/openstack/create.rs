//! The body of `POST /servers`. <https://docs.openstack.org/api-ref/compute/#create-server>

use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::catalog::Catalog;
use super::convert::{ATTEMPT, metadata_of, tag};
use super::discovery::Need;
use super::session::Services;
use crate::api::server::{Image, OpenStackNetwork, OpenStackVolume, Size};
use crate::planner::model::{CloudError, CreateRequest};
use crate::providers::answers::invalid;

/// The longest user data that Nova takes, in bytes after base64.
const USER_DATA_LIMIT: usize = 65535;

/// A flavor's id for a size.
pub(super) async fn flavor_of(
    services: &Services,
    catalog: &Catalog,
    size: &Size,
) -> Result<String, CloudError> {
    match &size.name {
        Some(name) => catalog.flavor(services, name).await,
        None => Err(invalid("OpenStack has no free sizes: give size.name, a flavor")),
    }
}

/// An image's id.
pub(super) async fn image_of(
    services: &Services,
    catalog: &Catalog,
    image: &Image,
) -> Result<String, CloudError> {
    match (&image.id, &image.name) {
        (Some(id), _) => Ok(id.clone()),
        (None, Some(name)) => catalog.image(services, name).await,
        (None, None) => Err(invalid("spec.image has neither a name nor an id")),
    }
}

/// User data as Nova takes it.
pub(super) fn encoded(user_data: &SecretString) -> Result<SecretString, CloudError> {
    let bytes = ByteString(user_data.expose_secret().as_bytes().to_vec());
    let text = match serde_json::to_value(&bytes) {
        Ok(Value::String(text)) => text,
        _ => return Err(invalid("the user data cannot be encoded")),
    };
    if text.len() > USER_DATA_LIMIT {
        return Err(invalid(format!(
            "the user data has {} bytes; Nova takes {} at most",
            bytes.0.len(),
            USER_DATA_LIMIT / 4 * 3
        )));
    }
    Ok(SecretString::from(text))
}

/// The whole body, every name looked up, and what it needs of the cloud.
pub(super) async fn body(
    services: &Services,
    catalog: &Catalog,
    request: &CreateRequest,
    user_data: Option<&SecretString>,
) -> Result<(Value, Need), CloudError> {
    let spec = &request.spec;
    let size = spec
        .size
        .as_ref()
        .ok_or_else(|| invalid("spec.size is needed to create"))?;
    let image = spec
        .image
        .as_ref()
        .ok_or_else(|| invalid("spec.image is needed to create"))?;
    let image = image_of(services, catalog, image).await?;
    let own = spec.openstack.clone().unwrap_or_default();
    let mut metadata = spec.labels.clone().unwrap_or_default();
    metadata.extend(metadata_of(&request.marks));
    metadata.insert(ATTEMPT.to_owned(), request.attempt.to_string());
    let mut tags = own.tags.unwrap_or_default();
    tags.push(tag(&request.marks.uid));

    let mut server = json!({
        "name": request.name,
        "flavorRef": flavor_of(services, catalog, size).await?,
        "imageRef": &image,
        "networks": networks(services, catalog, own.networks.as_deref().unwrap_or_default()).await?,
        "metadata": metadata,
        "tags": tags,
    });
    let volumes = disks(&image, own.volumes.as_deref().unwrap_or_default());
    let groups = own
        .security_groups
        .map(|names| names.iter().map(|n| json!({ "name": n })).collect::<Vec<_>>());
    let optional = [
        ("key_name", own.key_name.map(Value::from)),
        ("availability_zone", own.availability_zone.map(Value::from)),
        ("config_drive", own.config_drive.map(Value::from)),
        ("security_groups", groups.map(Value::from)),
        ("block_device_mapping_v2", volumes),
        ("hostname", spec.hostname.clone().map(Value::from)),
        ("user_data", user_data.map(|u| Value::from(u.expose_secret()))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            server[key] = value;
        }
    }
    let need = if spec.hostname.is_some() {
        Need::Hostname
    } else {
        Need::Servers
    };
    let mut body = json!({ "server": server });
    if let Some(group) = &request.group {
        body["os:scheduler_hints"] = json!({ "group": group });
    }
    Ok((body, need))
}

/// The root disk, made from the image as without this, and the volumes beside it.
fn disks(image: &str, volumes: &[OpenStackVolume]) -> Option<Value> {
    let root = json!({"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "local",
        "delete_on_termination": true});
    let more = volumes.iter().map(|v| {
        json!({"boot_index": -1, "uuid": v.volume, "source_type": "volume", "destination_type": "volume",
            "delete_on_termination": false})
    });
    (!volumes.is_empty()).then(|| std::iter::once(root).chain(more).collect())
}

async fn networks(
    services: &Services,
    catalog: &Catalog,
    list: &[OpenStackNetwork],
) -> Result<Value, CloudError> {
    if list.is_empty() {
        return Ok(json!("none"));
    }
    let mut entries = Vec::new();
    for interface in list {
        entries.push(match (&interface.port, &interface.network) {
            (Some(port), _) => json!({ "port": port }),
            (None, Some(network)) => {
                let mut entry = json!({ "uuid": catalog.network(services, network).await? });
                if let Some(address) = &interface.fixed_ip {
                    entry["fixed_ip"] = json!(address);
                }
                entry
            }
            (None, None) => {
                return Err(invalid(format!(
                    "interface {:?} names no network",
                    interface.name
                )));
            }
        });
    }
    Ok(Value::from(entries))
}
