//! The body of `POST /server` (section "Create server" of the API 1.3). What can be seen to be wrong is refused
//! before anything is sent.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::attributes::{self, yes_no};
use super::convert::CUSTOM;
use super::session::{Service, checked};
use super::storages::{Template, Templates};
use super::{interfaces, labels};
use crate::api::Reason;
use crate::api::server::{ServerSpec, Size};
use crate::api::upcloud::{UpCloudDisk, UpCloudDiskAction, UpCloudServer, UpCloudTier};
use crate::planner::model::{CloudError, CreateRequest};
use crate::providers::CallWith;
use crate::providers::answers::invalid;

/// The longest host name and title, in characters.
const HOSTNAME_LIMIT: usize = 128;
const TITLE_LIMIT: usize = 255;
/// The most storages of a server, CD-ROM included.
const DEVICES: usize = 16;
/// The length of a password of the remote console.
const CONSOLE_PASSWORD: usize = 8;

/// A size as the service takes it: a plan, or cores and memory.
pub(super) fn size_of(size: &Size) -> Result<Vec<(&'static str, Value)>, CloudError> {
    match (&size.name, size.cores, size.memory_mib) {
        (Some(plan), ..) => Ok(vec![("plan", json!(plan))]),
        (None, Some(cores), Some(memory)) => Ok(vec![
            ("plan", json!(CUSTOM)),
            ("core_number", json!(cores.to_string())),
            ("memory_amount", json!(memory.to_string())),
        ]),
        _ => Err(invalid("spec.size has neither a name nor cores and memoryMiB")),
    }
}

/// The whole body.
pub(super) async fn body(
    service: &Service,
    templates: &Templates,
    zone: Option<&str>,
    request: &CreateRequest,
    with: &CallWith<'_>,
) -> Result<Value, CloudError> {
    let spec = &*request.spec;
    let own = spec.upcloud.clone().unwrap_or_default();
    let zone = own
        .zone
        .as_deref()
        .or(zone)
        .ok_or_else(|| invalid("spec.upcloud.zone is needed, or the zone of the ProviderConfig"))?;
    let size = spec
        .size
        .as_ref()
        .ok_or_else(|| invalid("spec.size is needed to create"))?;
    if spec.image.is_some() {
        can_be_opened(spec, &own, None)?;
    }
    // Only now the cloud is asked.
    let template = match &spec.image {
        Some(image) => Some(templates.find(service, image, zone).await?),
        None => None,
    };
    if let Some(template) = &template {
        can_be_opened(spec, &own, Some(template))?;
    }
    let mut marks = labels::of_marks(&request.marks, Some(request.attempt));
    let devices = devices(request, &own, template.as_ref(), &marks)?;
    marks.extend(labels::wished(&spec.labels.clone().unwrap_or_default())?);
    let mut server = json!({
        "zone": zone,
        "title": cut(&request.name, TITLE_LIMIT),
        "hostname": hostname(spec, &request.name)?,
        "labels": { "label": labels::written(&marks) },
        "storage_devices": { "storage_device": devices },
        "networking": { "interfaces": { "interface": interfaces::made(own.interfaces.as_deref())? } },
        // The default is mail.
        "password_delivery": "none",
    });
    for (key, value) in size_of(size)? {
        server[key] = value;
    }
    for (key, value) in attributes::plain(&own) {
        server[key] = json!(value);
    }
    if template.as_ref().is_some_and(|t| t.cloud_init) && own.metadata.is_none() {
        server["metadata"] = json!(yes_no(true));
    }
    let optional = [
        ("login_user", login_user(spec, &own)),
        ("user_data", with.user_data.map(|u| json!(u.expose_secret()))),
        (
            "remote_access_password",
            with.admin_password.map(console_password).transpose()?,
        ),
        ("server_group", request.group.as_ref().map(|g| json!(g))),
        ("avoid_host", own.avoid_host.map(|h| json!(h))),
        ("host", own.host.map(|h| json!(h))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            server[key] = value;
        }
    }
    Ok(json!({ "server": server }))
}

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// The host name: what the spec says, or the server's name as far as it can be one.
fn hostname(spec: &ServerSpec, name: &str) -> Result<String, CloudError> {
    let own = spec.upcloud.as_ref();
    let whole = match &spec.hostname {
        Some(host) => attributes::hostname(host, own),
        None => {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
            let host: String = name.chars().map(plain).take(63).collect();
            let host = host.trim_matches('-');
            attributes::hostname(if host.is_empty() { "server" } else { host }, own)
        }
    };
    if whole.len() > HOSTNAME_LIMIT {
        return Err(invalid(format!("host name {whole} has more than 128 characters")));
    }
    Ok(whole)
}

fn has_keys(spec: &ServerSpec) -> bool {
    spec.ssh_keys.as_ref().is_some_and(|k| !k.is_empty())
}

fn asked_password(own: &UpCloudServer) -> Option<bool> {
    own.login_user.as_ref().and_then(|u| u.create_password)
}

/// Whether anybody could log in to a server from a template: with a key, or with the password that is told once.
fn can_be_opened(
    spec: &ServerSpec,
    own: &UpCloudServer,
    template: Option<&Template>,
) -> Result<(), CloudError> {
    let (keys, password) = (has_keys(spec), asked_password(own));
    let secret = spec.credentials_secret_name.is_some();
    if keys && password == Some(true) {
        return Err(invalid(
            "upcloud.loginUser.createPassword cannot be true with sshKeys",
        ));
    }
    if !keys && !secret {
        return Err(invalid(
            "nobody could log in: give sshKeys, or credentialsSecretName for the password that is told once",
        ));
    }
    if !keys && password == Some(false) {
        return Err(invalid(
            "nobody could log in: upcloud.loginUser.createPassword is false and there are no sshKeys",
        ));
    }
    let Some(template) = template.filter(|t| t.cloud_init) else {
        return Ok(());
    };
    if !keys {
        let words = format!(
            "template {} is configured by cloud-init and takes no password: give sshKeys",
            template.id
        );
        return Err(invalid(words));
    }
    if own.metadata == Some(false) {
        let words = format!(
            "template {} is configured by cloud-init: upcloud.metadata cannot be false",
            template.id
        );
        return Err(invalid(words));
    }
    Ok(())
}

/// Nothing without a template, keys or a wish: the clone of a server has its own users.
fn login_user(spec: &ServerSpec, own: &UpCloudServer) -> Option<Value> {
    if spec.image.is_none() && !has_keys(spec) && own.login_user.is_none() {
        return None;
    }
    let keys = has_keys(spec);
    let password = asked_password(own).unwrap_or(!keys);
    let mut user = json!({ "create_password": yes_no(password) });
    if let Some(name) = own.login_user.as_ref().and_then(|u| u.username.as_deref()) {
        user["username"] = json!(name);
    }
    if keys {
        user["ssh_keys"] = json!({ "ssh_key": spec.ssh_keys });
    }
    Some(user)
}

pub(super) fn console_password(password: &SecretString) -> Result<Value, CloudError> {
    let text = password.expose_secret();
    if text.len() != CONSOLE_PASSWORD || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        let words =
            "the password of adminPasswordSecretRef is the remote console's in UpCloud: 8 letters and digits";
        return Err(CloudError {
            code: Some(Reason::SecretRefused.as_str().to_owned()),
            ..invalid(words)
        });
    }
    Ok(json!(text))
}

/// The storages, the template's first unless the spec places it itself.
fn devices(
    request: &CreateRequest,
    own: &UpCloudServer,
    template: Option<&Template>,
    marks: &labels::Labels,
) -> Result<Vec<Value>, CloudError> {
    let disks = own.disks.as_deref().unwrap_or_default();
    let of_template = |d: &UpCloudDisk| d.action == UpCloudDiskAction::Clone && d.storage.is_none();
    let mut all = Vec::new();
    if let Some(template) = template
        && !disks.iter().any(of_template)
    {
        all.push(json!({
            "action": "clone",
            "storage": template.id,
            "title": cut(&request.name, TITLE_LIMIT),
            "labels": labels::written(marks),
        }));
    }
    for disk in disks {
        all.push(device(disk, &request.name, template, marks)?);
    }
    if let Some(cdrom) = &own.cdrom {
        let mut device = json!({ "action": "attach", "storage": checked(&cdrom.storage)?, "type": "cdrom" });
        if let Some(address) = &cdrom.address {
            device["address"] = json!(address);
        }
        all.push(device);
    }
    match all.len() {
        0 => Err(invalid(
            "a server needs a disk: give spec.image or spec.upcloud.disks",
        )),
        n if n > DEVICES => Err(invalid(format!("{n} storages are more than {DEVICES}"))),
        _ => Ok(all),
    }
}

fn device(
    disk: &UpCloudDisk,
    server: &str,
    template: Option<&Template>,
    marks: &labels::Labels,
) -> Result<Value, CloudError> {
    let wrong = |words: &str| invalid(format!("disk {:?} {words}", disk.name));
    let storage = disk.storage.as_deref().map(checked).transpose()?;
    let mut device = match (disk.action, storage) {
        (UpCloudDiskAction::Create, None) if disk.size.is_some() => json!({ "action": "create" }),
        (UpCloudDiskAction::Create, None) => return Err(wrong("needs a size")),
        (UpCloudDiskAction::Create, Some(_)) => return Err(wrong("is created and has no storage")),
        (UpCloudDiskAction::Clone, Some(id)) => json!({ "action": "clone", "storage": id }),
        (UpCloudDiskAction::Clone, None) => match template {
            Some(template) => json!({ "action": "clone", "storage": template.id }),
            None => return Err(wrong("is a clone: give its storage, or spec.image")),
        },
        (UpCloudDiskAction::Attach, Some(id)) => json!({ "action": "attach", "storage": id }),
        (UpCloudDiskAction::Attach, None) => return Err(wrong("is attached: give its storage")),
    };
    // An attached storage keeps its own.
    if disk.action != UpCloudDiskAction::Attach {
        let title = || format!("{server} {}", disk.name);
        device["title"] = json!(cut(&disk.title.clone().unwrap_or_else(title), TITLE_LIMIT));
        let mut all = marks.clone();
        all.extend(labels::wished(&disk.labels.clone().unwrap_or_default())?);
        device["labels"] = labels::written(&all);
        if let Some(size) = disk.size {
            device["size"] = json!(size);
        }
        if let Some(tier) = disk.tier {
            device["tier"] = json!(match tier {
                UpCloudTier::MaxIops => "maxiops",
                UpCloudTier::Standard => "standard",
                UpCloudTier::Hdd => "hdd",
            });
        }
    }
    if let Some(address) = &disk.address {
        device["address"] = json!(address);
    }
    if let Some(boot) = disk.boot_disk {
        device["boot_disk"] = json!(if boot { "1" } else { "0" });
    }
    Ok(device)
}
