//! Deeds: the actions that ServerActions ask for, and how a request ended.
//! <https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action>

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::discovery::Need;
use super::errors::Asked;
use super::session::{Request, Services};
use super::wire::ImageState;
use super::{accepted, checked};
use crate::api::server_action::{ResetTo, ServerActionSpec};
use crate::api::server_status::OperationKind;
use crate::planner::model::{Accepted, CloudError, Disks, Ended, ErrorClass, Trace};
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::Reply;

/// What an action that makes an image answers (2.45).
#[derive(Deserialize)]
struct Made {
    image_id: String,
}

/// `GET /servers/{id}/os-instance-actions/{request}`.
#[derive(Deserialize)]
struct ActionDoc {
    #[serde(rename = "instanceAction")]
    action: InstanceAction,
}

#[derive(Deserialize)]
struct InstanceAction {
    /// Null, or `Error`.
    message: Option<String>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    /// `Success`, `Error`, or null while it is under way.
    result: Option<String>,
    /// What went wrong (2.84).
    details: Option<String>,
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

/// How a request ended: Nova's log of the server says so; of an image, Glance.
pub(super) async fn ended(services: &Services, id: &str, trace: &Trace) -> Result<Ended, CloudError> {
    let path = format!(
        "/servers/{}/os-instance-actions/{}",
        checked(id)?,
        checked(&trace.request_id)?
    );
    let request = Request {
        need: Need::ActionLog,
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Compute,
            path,
            "nova /servers/{id}/os-instance-actions/{request}",
        )
    };
    let said = match services.read::<ActionDoc>(request).await {
        Ok(doc) => end_of(&doc.action, trace.kind),
        // Not every action is in the log, and not every user may read it.
        Err(e) if matches!(e.class, ErrorClass::NotFound | ErrorClass::Forbidden) => Ended::Untold,
        Err(e) => return Err(e),
    };
    match (&trace.result, said) {
        // Nova calls a snapshot a success whose image is gone again.
        (Some(made), said @ (Ended::Done | Ended::Untold)) => image_state(services, made, said).await,
        (_, said) => Ok(said),
    }
}

/// Nova does these before it answers, and writes no event.
const AT_ONCE: &[OperationKind] = &[OperationKind::ResetState];

fn end_of(action: &InstanceAction, kind: OperationKind) -> Ended {
    let failed = action
        .events
        .iter()
        .find(|e| e.result.as_deref() == Some("Error"));
    if let Some(event) = failed {
        let words = event.details.clone().filter(|d| !d.trim().is_empty());
        return Ended::Failed(
            words.unwrap_or_else(|| format!("{} ended with an error, Nova does not say why", event.event)),
        );
    }
    if let Some(message) = &action.message {
        return Ended::Failed(format!("Nova's log of the server says {message:?} of it"));
    }
    if action.events.is_empty() && AT_ONCE.contains(&kind) {
        return Ended::Done;
    }
    if action.events.is_empty() || action.events.iter().any(|e| e.result.is_none()) {
        return Ended::UnderWay;
    }
    Ended::Done
}

async fn image_state(services: &Services, id: &str, said: Ended) -> Result<Ended, CloudError> {
    let request = Request {
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Image,
            format!("/images/{}", checked(id)?),
            "glance /images/{id}",
        )
    };
    match services.read::<ImageState>(request).await {
        Ok(image) => Ok(match image.status.as_str() {
            "active" => Ended::Done,
            // Nova uploads it before it calls the request done.
            "queued" if said == Ended::Done => Ended::Failed(format!(
                "Nova calls the snapshot done, but nothing was uploaded: the image {id} is queued"
            )),
            "queued" | "saving" | "uploading" | "importing" => Ended::UnderWay,
            word => Ended::Failed(format!("the image {id} is {word}")),
        }),
        // Glance has a body of its own for it.
        Err(e)
            if e.class == ErrorClass::NotFound || e.code.as_deref().is_some_and(|c| c.starts_with("404")) =>
        {
            Ok(Ended::Failed(format!(
                "the image {id} is gone again: the snapshot failed"
            )))
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(doc: Value) -> Ended {
        of_kind(doc, OperationKind::Stop)
    }

    fn of_kind(doc: Value, kind: OperationKind) -> Ended {
        let doc: ActionDoc = serde_json::from_value(json!({ "instanceAction": doc })).unwrap();
        end_of(&doc.action, kind)
    }

    #[test]
    fn the_log_says_how_a_request_ended() {
        let event = |result: Value| json!({"event": "compute_stop_instance", "result": result});
        assert_eq!(of(json!({"message": null, "events": []})), Ended::UnderWay);
        assert_eq!(of(json!({"message": null})), Ended::UnderWay);
        assert_eq!(
            of_kind(json!({"message": null}), OperationKind::ResetState),
            Ended::Done
        );
        assert_eq!(
            of(json!({"message": null, "events": [event(json!("Success")), event(Value::Null)]})),
            Ended::UnderWay
        );
        assert_eq!(
            of(json!({"message": null, "events": [event(json!("Success"))]})),
            Ended::Done
        );
        assert_eq!(
            of(json!({"message": "Error", "events": [event(json!("Success"))]})),
            Ended::Failed("Nova's log of the server says \"Error\" of it".into())
        );
        assert_eq!(
            of(json!({"message": "Error", "events": [event(json!("Error"))]})),
            Ended::Failed("compute_stop_instance ended with an error, Nova does not say why".into())
        );
        let told = json!({"event": "e", "result": "Error", "details": "no valid host"});
        assert_eq!(
            of(json!({"message": "Error", "events": [told]})),
            Ended::Failed("no valid host".into())
        );
    }
}
