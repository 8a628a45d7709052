//! The settings that UpCloud changes on an existing server, under the names that its API 1.3 has for them ("Modify
//! server").

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::wire::Server;
use super::{attached, create, labels};
use crate::api::server::ServerSpec;
use crate::api::server_status::OperationKind;
use crate::api::upcloud::{
    UpCloudBootDevice, UpCloudNicModel, UpCloudRemoteAccess, UpCloudServer, UpCloudVideoModel,
};
use crate::planner::model::{ADMIN_PASSWORD, CloudError, ErrorClass, WantedAttribute};

/// The labels that our owner wishes, as one text.
pub(super) const LABELS: &str = "labels";
const TITLE: &str = "title";
const HOSTNAME: &str = "hostname";
/// Hints, not settings.
pub(super) const HOST: &str = "host";
pub(super) const AVOID_HOST: &str = "avoid_host";
/// What the page allows only while the server is stopped.
const NEEDS_STOP: &[&str] = &["remote_access_type"];

pub(super) const fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The settings of an UpCloud server that are only text, as far as they are wished: for a create and for a change.
pub(super) fn plain(own: &UpCloudServer) -> Vec<(&'static str, String)> {
    let boot_order = own.boot_order.as_ref().map(|list| {
        let words: Vec<&str> = list
            .iter()
            .map(|d| match d {
                UpCloudBootDevice::Disk => "disk",
                UpCloudBootDevice::Cdrom => "cdrom",
                UpCloudBootDevice::Network => "network",
            })
            .collect();
        words.join(",")
    });
    let nic_model = own.nic_model.map(|m| match m {
        UpCloudNicModel::E1000 => "e1000",
        UpCloudNicModel::Virtio => "virtio",
        UpCloudNicModel::Rtl8139 => "rtl8139",
    });
    let video_model = own.video_model.map(|m| match m {
        UpCloudVideoModel::Vga => "vga",
        UpCloudVideoModel::Cirrus => "cirrus",
    });
    let remote_access_type = own.remote_access_type.map(|t| match t {
        UpCloudRemoteAccess::Vnc => "vnc",
    });
    let all = [
        ("boot_order", boot_order),
        ("firewall", own.firewall.map(|f| on_off(f).to_owned())),
        ("metadata", own.metadata.map(|m| yes_no(m).to_owned())),
        ("nic_model", nic_model.map(str::to_owned)),
        (
            "remote_access_enabled",
            own.remote_access_enabled.map(|r| yes_no(r).to_owned()),
        ),
        ("remote_access_type", remote_access_type.map(str::to_owned)),
        ("simple_backup", own.simple_backup.clone()),
        ("timezone", own.timezone.clone()),
        ("video_model", video_model.map(str::to_owned)),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The whole name of a host: UpCloud takes lower case only.
pub(super) fn hostname(host: &str, own: Option<&UpCloudServer>) -> String {
    let host = host.to_ascii_lowercase();
    match own.and_then(|o| o.domain.as_deref()) {
        Some(domain) => format!("{host}.{domain}"),
        None => host,
    }
}

/// The settings of a wish that can be changed in place.
pub(super) fn wanted(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let own = spec.upcloud.as_ref();
    let title = spec.cloud_name.clone().map(|t| (TITLE, t));
    let host = spec.hostname.as_deref().map(|h| (HOSTNAME, hostname(h, own)));
    let wish = spec.labels.clone().unwrap_or_default();
    own.map(plain)
        .unwrap_or_default()
        .into_iter()
        .chain(title)
        .chain(host)
        .chain([(LABELS, labels::text(&wish))])
        .chain(
            spec.admin_password_secret_ref
                .as_ref()
                .map(|r| (ADMIN_PASSWORD, r.text())),
        )
        .map(|(name, value)| WantedAttribute {
            needs_stop: NEEDS_STOP.contains(&name),
            ..WantedAttribute::new(name, value)
        })
        .chain(attached::wanted(own))
        .collect()
}

/// Where a server is to run: said as it is started. A restart takes the host, but none to avoid.
pub(super) fn hints(kind: OperationKind, spec: &ServerSpec) -> Vec<(&'static str, String)> {
    let own = spec.upcloud.as_ref();
    let host = own.and_then(|o| o.host).map(|n| (HOST, n.to_string()));
    let avoid = own
        .and_then(|o| o.avoid_host)
        .map(|n| (AVOID_HOST, n.to_string()));
    match kind {
        OperationKind::Start => host.into_iter().chain(avoid).collect(),
        OperationKind::Restart => host.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What a server says of these settings; a list says little of them.
pub(super) fn observed(server: &Server) -> BTreeMap<String, String> {
    let own = server.labels.as_ref().map(|l| labels::own_text(&labels::read(l)));
    let all = [
        (TITLE, &server.title),
        (HOSTNAME, &server.hostname),
        (LABELS, &own),
        ("boot_order", &server.boot_order),
        ("firewall", &server.firewall),
        ("metadata", &server.metadata),
        ("nic_model", &server.nic_model),
        ("remote_access_enabled", &server.remote_access_enabled),
        ("remote_access_type", &server.remote_access_type),
        ("simple_backup", &server.simple_backup),
        ("timezone", &server.timezone),
        ("video_model", &server.video_model),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect()
}

/// The body of a change, and the labels in it if they change too.
///
/// # Errors
/// Class `InvalidSpec`: labels that are no such text, a password that the service does not take.
pub(super) fn change(
    list: &[(&'static str, String)],
    password: Option<&SecretString>,
) -> Result<(Map<String, Value>, Option<labels::Labels>), CloudError> {
    let mut body = Map::new();
    let mut wish = None;
    for (name, value) in list {
        if *name == LABELS {
            let read = serde_json::from_str(value)
                .map_err(|_| CloudError::new(ErrorClass::InvalidSpec, "the labels cannot be read"))?;
            wish = Some(read);
        } else if *name == ADMIN_PASSWORD {
            let password = password.ok_or_else(|| {
                CloudError::new(
                    ErrorClass::InvalidSpec,
                    "spec.adminPasswordSecretRef was taken away meanwhile",
                )
            })?;
            body.insert(
                "remote_access_password".to_owned(),
                create::console_password(password)?,
            );
        } else {
            body.insert((*name).to_owned(), json!(value));
        }
    }
    Ok((body, wish))
}
