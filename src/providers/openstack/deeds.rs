//! Deeds: the actions that ServerActions ask for.
//! <https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action>

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::discovery::Need;
use super::errors::Asked;
use super::session::{Request, Services};
use super::{accepted, checked};
use crate::api::server_action::{ResetTo, ServerActionSpec};
use crate::api::server_status::OperationKind;
use crate::planner::model::{Accepted, CloudError, Disks, ErrorClass};
use crate::providers::transport::client::Reply;

/// What an action that makes an image answers (2.45).
#[derive(Deserialize)]
struct Made {
    image_id: String,
}

/// Actions without arguments.
const PLAIN: &[(OperationKind, &str)] = &[
    (OperationKind::Start, "os-start"),
    (OperationKind::ConfirmResize, "confirmResize"),
    (OperationKind::RevertResize, "revertResize"),
    (OperationKind::Pause, "pause"),
    (OperationKind::Unpause, "unpause"),
    (OperationKind::Suspend, "suspend"),
    (OperationKind::Resume, "resume"),
    (OperationKind::Shelve, "shelve"),
    (OperationKind::Unshelve, "unshelve"),
    (OperationKind::Unrescue, "unrescue"),
    (OperationKind::Unlock, "unlock"),
    (OperationKind::Restore, "restore"),
];

/// The word of an action that has no arguments.
pub(super) fn word(kind: OperationKind) -> Option<&'static str> {
    PLAIN.iter().find(|row| row.0 == kind).map(|row| row.1)
}

/// An installation, and the version of Nova that it needs.
pub(super) fn rebuild(image: &str, disks: Disks) -> (Value, Need) {
    let mut action = json!({"imageRef": image});
    if disks.keep_ephemeral {
        action["preserve_ephemeral"] = json!(true);
    }
    let need = if disks.volume {
        Need::Reimage
    } else {
        Need::Servers
    };
    (json!({ "rebuild": action }), need)
}

/// The body of an action.
fn body(kind: OperationKind, spec: &ServerActionSpec, password: Option<&SecretString>) -> Option<Value> {
    Some(match kind {
        OperationKind::CreateImage => {
            let image = spec.create_image.as_ref()?;
            json!({"createImage": {"name": image.name, "metadata": image.metadata.clone().unwrap_or_default()}})
        }
        OperationKind::CreateBackup => {
            let backup = spec.create_backup.as_ref()?;
            json!({"createBackup": {"name": backup.name, "backup_type": backup.kind, "rotation": backup.rotation}})
        }
        OperationKind::ChangePassword => {
            json!({"changePassword": {"adminPass": password?.expose_secret()}})
        }
        OperationKind::CrashDump => json!({ "trigger_crash_dump": null }),
        OperationKind::ColdMigrate => json!({ "migrate": null }),
        // Nova chooses the host, and whether disks are copied.
        OperationKind::LiveMigrate => json!({"os-migrateLive": {"host": null, "block_migration": "auto"}}),
        OperationKind::Evacuate => json!({"evacuate": {}}),
        OperationKind::ResetState => {
            let state = match spec.reset_state.as_ref()?.to {
                ResetTo::Active => "active",
                ResetTo::Error => "error",
            };
            json!({"os-resetState": {"state": state}})
        }
        _ => return None,
    })
}

/// Asks for a deed.
pub(super) async fn call(
    services: &Services,
    id: &str,
    kind: OperationKind,
    spec: &ServerActionSpec,
    password: Option<&SecretString>,
    send_before: Instant,
) -> Result<Accepted, CloudError> {
    let body = body(kind, spec, password).ok_or_else(|| {
        let words = format!("OpenStack cannot be asked for {kind} in this way");
        CloudError::new(ErrorClass::Unsupported, words)
    })?;
    let path = format!("/servers/{}/action", checked(id)?);
    let request = Request {
        body: Some(body),
        asked: Asked::Change,
        hide: password.iter().map(|p| p.expose_secret()).collect(),
        ..Request::change(Method::POST, path, "nova /servers/{id}/action", send_before)
    };
    let reply = services.send(request).await?;
    Ok(Accepted {
        result: image(&reply),
        ..accepted(id, &reply)
    })
}

/// The id of the image that is being made: in the body, and before 2.45 at the end of `Location`.
fn image(reply: &Reply) -> Option<String> {
    let in_body = serde_json::from_slice::<Made>(&reply.body).ok();
    let in_location = || reply.header("location")?.rsplit('/').next().map(str::to_owned);
    let id = in_body.map(|made| made.image_id).or_else(in_location)?;
    checked(&id).is_ok().then_some(id)
}
