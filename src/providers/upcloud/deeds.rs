//! Deeds that only UpCloud has: a backup of one disk (chapter "Storages" of the API 1.3), and its VNC (chapter "Servers").

use http::Method;
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use super::errors::Asked;
use super::operate::fetch;
use super::session::{Request, Service, checked, parse};
use super::wire::{Server, StorageDoc};
use super::{request_id, storages};
use crate::api::server_action::{ConsoleType, ServerActionSpec};
use crate::planner::model::{Accepted, CloudError, Ended, ErrorClass, PartKind, Reading, Trace};
use crate::providers::console::done;
use crate::providers::{Done, ReadOut};

const BACKUP: &str = "upcloud /storage/{id}/backup";

fn invalid(words: impl Into<String>) -> CloudError {
    CloudError::new(ErrorClass::InvalidSpec, words)
}

/// Asks for a backup of one disk of the server; never of another one, whatever id is given.
pub(super) async fn backup(
    service: &Service,
    id: &str,
    spec: &ServerActionSpec,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let wish = spec.backup_disk.as_ref().ok_or_else(|| {
        let deed = spec.deed().map_or("deed", |d| d.as_str());
        CloudError::new(ErrorClass::Unsupported, format!("UpCloud has no {deed}"))
    })?;
    let disk = pick(&fetch(service, id).await?, wish.disk_id.as_deref())?;
    let request = Request {
        body: Some(json!({ "storage": { "title": wish.name } })),
        ..Request::change(
            Method::POST,
            format!("/storage/{}/backup", checked(&disk)?),
            BACKUP,
            send_before,
        )
    };
    let reply = service.done(request).await?;
    let made = parse::<StorageDoc>(&reply, Asked::Change, BACKUP)?.storage.uuid;
    Ok(Accepted {
        id: Some(id.to_owned()),
        // By it the end is asked for: the backup itself has the state, whatever the request is called.
        request_id: request_id(&reply).or_else(|| Some(made.clone())),
        result: Some(made),
        ..Accepted::default()
    })
}

/// The disk that is meant.
fn pick(server: &Server, wish: Option<&str>) -> Result<String, CloudError> {
    let devices = server.storage_devices.iter().flat_map(|d| d.0.iter());
    let parts = devices.filter_map(|d| storages::part_of(d, None));
    let disks: Vec<String> = parts.filter(|p| p.kind == PartKind::Disk).map(|p| p.id).collect();
    match (wish, disks.as_slice()) {
        (Some(wish), all) if all.iter().any(|d| d == wish) => Ok(wish.to_owned()),
        (None, [one]) => Ok(one.clone()),
        (Some(wish), all) => Err(invalid(format!(
            "{wish:?} is no disk of the server; it has {}",
            all.join(", ")
        ))),
        (None, []) => Err(invalid("the server has no disk")),
        (None, all) => Err(invalid(format!(
            "the server has several disks: name one in backupDisk.diskID: {}",
            all.join(", ")
        ))),
    }
}

/// What became of a backup: its own state says so.
pub(super) async fn ended(service: &Service, trace: &Trace) -> Result<Ended, CloudError> {
    let Some(backup) = &trace.result else {
        return Ok(Ended::Untold);
    };
    let storage = match storages::detail(service, backup).await {
        Ok(storage) => storage,
        Err(e) if e.class == ErrorClass::NotFound => {
            return Ok(Ended::Failed(format!("the backup {backup} is gone again")));
        }
        Err(e) => return Err(e),
    };
    Ok(match storage.state.as_deref() {
        Some("online") => Ended::Done,
        Some("error") => Ended::Failed(format!("the backup {backup} is in the state error")),
        _ => Ended::UnderWay,
    })
}

/// The way to the server's VNC, which is one of its settings.
pub(super) async fn console(service: &Service, id: &str, reading: &Reading) -> Result<Done, CloudError> {
    let wanted = reading.spec.remote_console.as_ref().map(|r| r.kind);
    let Some(ConsoleType::VNC) = wanted else {
        let words = "UpCloud has no other console than VNC";
        return Err(CloudError::new(ErrorClass::Unsupported, words));
    };
    let server = fetch(service, id).await?;
    let on = server.remote_access_enabled.as_deref() == Some("yes");
    let (Some(host), Some(port), true) = (server.remote_access_host, server.remote_access_port, on) else {
        return Err(invalid(
            "the remote access of the server is off: set spec.upcloud.remoteAccessEnabled of the Server to true",
        ));
    };
    let mut access = vec![
        ("url", SecretString::from(format!("vnc://{host}:{port}"))),
        ("host", SecretString::from(host)),
        ("port", SecretString::from(port)),
    ];
    access.extend(
        server
            .remote_access_password
            .map(|password| ("password", password)),
    );
    Ok(done(id, ReadOut::Access(access)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn server(disks: &[(&str, &str)]) -> Server {
        let device = |(id, kind): &(&str, &str)| json!({"storage": id, "type": kind, "address": "virtio:0"});
        let all: Vec<Value> = disks.iter().map(device).collect();
        serde_json::from_value(json!({"uuid": "s", "storage_devices": {"storage_device": all}})).unwrap()
    }

    #[test]
    fn only_a_disk_of_the_server_is_backed_up() {
        let one = server(&[("cd", "cdrom"), ("a", "disk")]);
        let two = server(&[("a", "disk"), ("b", "disk")]);
        assert_eq!(pick(&one, None).unwrap(), "a");
        assert_eq!(pick(&two, Some("b")).unwrap(), "b");
        for (server, wish, words) in [
            (&two, None, "name one in backupDisk.diskID: a, b"),
            (&two, Some("c"), "\"c\" is no disk of the server; it has a, b"),
            (&one, Some("cd"), "is no disk of the server"),
            (&server(&[]), None, "has no disk"),
        ] {
            let error = pick(server, wish).unwrap_err();
            assert_eq!(error.class, ErrorClass::InvalidSpec);
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
