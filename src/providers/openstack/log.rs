//! Nova's log of a server: how a request ended, also one whose answer was lost.
//! <https://docs.openstack.org/api-ref/compute/#servers-actions-servers-os-instance-actions>

use http::header::DATE;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use super::auth::ServiceKind;
use super::checked;
use super::discovery::Need;
use super::errors::unreadable;
use super::session::{Request, Services};
use super::wire::ImageState;
use crate::api::server_status::OperationKind;
use crate::planner::model::{CloudError, Ended, ErrorClass, Trace, Which};
use crate::providers::transport::budget::Priority;
use crate::providers::transport::client::Reply;

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

/// `GET /servers/{id}/os-instance-actions`, the newest first.
#[derive(Deserialize)]
struct ActionList {
    #[serde(rename = "instanceActions")]
    actions: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    action: String,
    request_id: String,
    /// UTC, without a zone.
    start_time: DateTime,
}

/// The words of requests that can be looked for without their id.
const WORDS: &[(OperationKind, &str)] = &[(OperationKind::Restart, "reboot")];
/// So many entries of a log are read.
const MOST: usize = 100;
/// Seconds before the record of a request in which no other one of its kind may lie: our clock may have been put back
/// meanwhile, and a request is not called absent because it looks older than its record.
const NEIGHBOURS: i64 = 600;
/// Seconds by which the clocks of Nova's services may differ among themselves, with what is lost in whole seconds.
const SKEW: i64 = 5;

/// The id of a request that was sent since so long ago, or what is to be said of it. Nova's times are compared with Nova's
/// own clock, which its answer tells.
async fn find(
    services: &Services,
    id: &str,
    kind: OperationKind,
    age: SignedDuration,
) -> Result<Result<String, Ended>, CloudError> {
    let Some((_, word)) = WORDS.iter().find(|row| row.0 == kind) else {
        return Ok(Err(Ended::Untold));
    };
    let began = Instant::now();
    let request = Request {
        need: Need::ActionLog,
        priority: Priority::High,
        ..Request::get(
            ServiceKind::Compute,
            format!("/servers/{}/os-instance-actions?limit={MOST}", checked(id)?),
            "nova /servers/{id}/os-instance-actions",
        )
    };
    let asked = request.asked;
    let reply = match services.send(request).await {
        Ok(reply) => reply,
        Err(e) if matches!(e.class, ErrorClass::NotFound | ErrorClass::Forbidden) => {
            return Ok(Err(Ended::Untold));
        }
        Err(e) => return Err(e),
    };
    let list: ActionList =
        serde_json::from_slice(&reply.body).map_err(|e| unreadable("Nova", "log", asked, &e))?;
    let waited = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
    let since = now_of(&reply).and_then(|now| now.checked_sub(age.saturating_add(waited)).ok());
    Ok(since.map_or(Err(Ended::Untold), |since| the_one(&list, word, since)))
}

/// What time it is in the cloud.
fn now_of(reply: &Reply) -> Option<Timestamp> {
    let date = reply.header(DATE.as_str())?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}

/// The only entry of its kind since then. Where several could be meant, nobody can tell which one it is.
fn the_one(list: &ActionList, word: &str, since: Timestamp) -> Result<String, Ended> {
    let at = |entry: &Listed| TimeZone::UTC.to_timestamp(entry.start_time).ok();
    let after = |seconds: i64| {
        let from = since.checked_sub(SignedDuration::from_secs(seconds)).ok();
        move |entry: &&Listed| at(entry) >= from
    };
    // What is older was cut off.
    let whole = list.actions.len() < MOST || !list.actions.iter().all(|e| after(NEIGHBOURS)(&e));
    let mut near = list
        .actions
        .iter()
        .filter(|e| e.action == word)
        .filter(after(NEIGHBOURS));
    match (near.next(), near.next()) {
        (None, _) if whole => Err(Ended::Absent),
        (Some(entry), None) if whole && after(SKEW)(&entry) => Ok(entry.request_id.clone()),
        _ => Err(Ended::Untold),
    }
}

/// How a request ended: Nova's log of the server says so; of an image, Glance. `asked_at`: now, by our clock.
pub(super) async fn ended(
    services: &Services,
    id: &str,
    trace: &Trace,
    asked_at: Timestamp,
) -> Result<Ended, CloudError> {
    let found;
    let request = match &trace.request {
        Which::Accepted(request) => request,
        Which::Lost { since, .. } => {
            found = match find(services, id, trace.kind, asked_at.duration_since(*since)).await? {
                Ok(request) => request,
                Err(ended) => return Ok(ended),
            };
            &found
        }
    };
    let path = format!(
        "/servers/{}/os-instance-actions/{}",
        checked(id)?,
        checked(request)?
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
    use serde_json::{Value, json};

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

    /// What is made of a log with reboots so many seconds after the record of one that is looked for.
    fn found(starts: &[i64], others: usize) -> Result<String, Ended> {
        let since: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let entry = |action: &str, second: i64| {
            let at = since.checked_add(SignedDuration::from_secs(second)).unwrap();
            json!({"action": action, "request_id": format!("req-{second}"), "user_id": "u", "message": null,
                "start_time": at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()})
        };
        let more = (0..others).map(|_| entry("stop", 30));
        let all: Vec<Value> = starts.iter().map(|s| entry("reboot", *s)).chain(more).collect();
        let list: ActionList = serde_json::from_value(json!({ "instanceActions": all })).unwrap();
        the_one(&list, "reboot", since)
    }

    #[test]
    fn a_request_is_found_by_its_kind_and_its_time_where_only_one_can_be_meant() {
        let it = |n: &str| Ok(format!("req-{n}"));
        for (starts, expected) in [
            (&[][..], Err(Ended::Absent)),
            (&[0], it("0")),
            (&[90], it("90")),
            (&[-4], it("-4")),
            // Before its record: another one, or a clock that was put back.
            (&[-30], Err(Ended::Untold)),
            (&[-590], Err(Ended::Untold)),
            (&[-601], Err(Ended::Absent)),
            (&[7, -601], it("7")),
            (&[7, -30], Err(Ended::Untold)),
            (&[90, 7], Err(Ended::Untold)),
        ] {
            assert_eq!(found(starts, 3), expected, "{starts:?}");
        }
        // Of a log that was cut off too early nothing is known.
        assert_eq!(found(&[], MOST), Err(Ended::Untold));
        assert_eq!(found(&[7], MOST), Err(Ended::Untold));
        assert_eq!(found(&[7, -601], MOST), it("7"));
    }
}
