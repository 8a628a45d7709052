//! What is done to one server: start, stop, restart, change, cancel, delete (chapter "Servers" of the API 1.3).

use http::Method;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::attributes::{AVOID_HOST, HOST};
use super::errors::has_code;
use super::labels::{self, Labels};
use super::session::{Request, Service, checked, parse};
use super::wire::{Server, ServerDoc};
use super::{attached, attributes, create, request_id, storages};
use crate::api::server::PowerOffMode;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Accepted, CloudError, ErrorClass, Marks, Operate, PartKind, StopKind};
use crate::providers::CallWith;
use crate::providers::transport::client::Reply;

/// The longest time in seconds that the service gives a guest.
pub(super) const TIMEOUT_LIMIT: u32 = 600;

const ROUTE: &str = "upcloud /server/{id}";

/// One server by its id, as the service tells it.
pub(super) async fn fetch(service: &Service, id: &str) -> Result<Server, CloudError> {
    let request = Request::look(format!("/server/{}", checked(id)?), ROUTE);
    Ok(service.read::<ServerDoc>(request).await?.server)
}

/// One call to a server.
pub(super) async fn operate(
    service: &Service,
    id: &str,
    kind: OperationKind,
    how: &Operate,
    with: CallWith<'_>,
) -> Result<Accepted, CloudError> {
    use OperationKind as Kind;
    let send_before = with.send_before;
    let path = format!("/server/{}", checked(id)?);
    let post = |verb: &str, route, body| Request {
        body,
        ..Request::change(Method::POST, format!("{path}/{verb}"), route, send_before)
    };
    let request = match (kind, how) {
        (Kind::Start, Operate::Plain) => post("start", "upcloud /server/{id}/start", Some(start(&[])?)),
        (Kind::Start, Operate::Attributes(hints)) => {
            post("start", "upcloud /server/{id}/start", Some(start(hints)?))
        }
        (Kind::Stop, Operate::Stop(stop, seconds)) => post(
            "stop",
            "upcloud /server/{id}/stop",
            Some(stopping(*stop, *seconds)?),
        ),
        (Kind::Restart, Operate::Restart { mode, seconds, hints }) => post(
            "restart",
            "upcloud /server/{id}/restart",
            Some(restarting(*mode, *seconds, hints)?),
        ),
        (Kind::Resize, Operate::Size(size)) => {
            let body = create::size_of(size)?
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect();
            return resize(service, id, put(&path, body, send_before)).await;
        }
        (Kind::Modify, Operate::Attributes(list)) => {
            let (mut body, wish) = attributes::change(list, with.admin_password)?;
            if let Some(wish) = wish {
                let all = labels::with_wish(&labels_of(&fetch(service, id).await?)?, &wish)?;
                body.insert(attributes::LABELS.to_owned(), wrapped(&all));
            }
            Request {
                hide: with.admin_password.iter().map(|p| p.expose_secret()).collect(),
                ..put(&path, body, send_before)
            }
        }
        (Kind::Modify, Operate::Items(change)) => {
            return attached::change(service, id, change, send_before).await;
        }
        (Kind::Mark, Operate::Marks(marks)) => {
            let all = labels::with_marks(&labels_of(&fetch(service, id).await?)?, marks);
            relabel(&path, &all, send_before)
        }
        (Kind::Unmark, Operate::Marks(_) | Operate::Plain) => {
            let there = labels_of(&fetch(service, id).await?)?;
            if !is_of(&there, how) {
                return Ok(Accepted::so_already(id));
            }
            relabel(&path, &labels::without_marks(&there), send_before)
        }
        (Kind::Cancel, Operate::Plain) => post("cancel", "upcloud /server/{id}/cancel", None),
        // Never with its storages: those with our mark follow one by one, by their ids.
        (Kind::Delete | Kind::DeleteFailed, Operate::Plain) => Request::change(
            Method::DELETE,
            format!("{path}?storages=0&backups=keep"),
            ROUTE,
            send_before,
        ),
        (Kind::DeletePart, Operate::PartMarks(part, part_id, marks)) => {
            let (path, route) = storages::path_of(*part, part_id)?;
            // Whoever took our mark off it meanwhile wants to keep it.
            if !storages::carries_still(service, *part, part_id, marks).await? {
                return Ok(Accepted::spared(id));
            }
            Request::change(Method::DELETE, path, route, send_before)
        }
        (Kind::UnmarkPart, Operate::PartMarks(PartKind::Disk, disk, marks)) => {
            return match storages::unmark(service, disk, marks, send_before).await? {
                Some(reply) => Ok(accepted(id, &reply)),
                None => Ok(Accepted::so_already(id)),
            };
        }
        (kind, how) => {
            return Err(CloudError::new(
                ErrorClass::Unsupported,
                format!("UpCloud has no {kind} of this kind: {}", how),
            ));
        }
    };
    Ok(accepted(id, &service.done(request).await?))
}

pub(super) fn accepted(id: &str, reply: &Reply) -> Accepted {
    Accepted {
        id: Some(id.to_owned()),
        request_id: request_id(reply),
        ..Accepted::default()
    }
}

/// By default the service answers when the server runs; nobody waits for that here.
fn start(hints: &[(&'static str, String)]) -> Result<Value, CloudError> {
    let mut body = json!({ "start_type": "async" });
    place(&mut body, hints, &[HOST, AVOID_HOST])?;
    Ok(json!({ "server": body }))
}

/// The hosts of hints, by their numbers.
fn place(body: &mut Value, hints: &[(&'static str, String)], known: &[&str]) -> Result<(), CloudError> {
    for (name, value) in hints {
        let host = value.parse::<i64>().ok().filter(|_| known.contains(name));
        let words = || format!("{name} {value:?} is no hint that UpCloud takes here");
        let host = host.ok_or_else(|| CloudError::new(ErrorClass::InvalidSpec, words()))?;
        body[*name] = json!(host);
    }
    Ok(())
}

fn seconds(wish: u32) -> String {
    wish.clamp(1, TIMEOUT_LIMIT).to_string()
}

/// A guest that is only asked gets no timeout: past it the service would cut the power.
fn stopping(kind: StopKind, wish: u32) -> Result<Value, CloudError> {
    let body = match kind {
        StopKind::Soft => json!({ "stop_type": "soft" }),
        StopKind::Hard => json!({ "stop_type": "hard" }),
        StopKind::SoftThenHard => json!({ "stop_type": "soft", "timeout": seconds(wish) }),
        StopKind::CloudEscalates => {
            return Err(CloudError::new(
                ErrorClass::Unsupported,
                "UpCloud has no stop that it cuts off after a time of its own",
            ));
        }
    };
    Ok(json!({ "stop_server": body }))
}

/// Past the timeout the service leaves the guest running unless it is told to cut the power.
fn restarting(mode: PowerOffMode, wish: u32, hints: &[(&'static str, String)]) -> Result<Value, CloudError> {
    let soft =
        |action: &str| json!({ "stop_type": "soft", "timeout": seconds(wish), "timeout_action": action });
    let mut body = match mode {
        PowerOffMode::Soft => soft("ignore"),
        PowerOffMode::Hard => json!({ "stop_type": "hard" }),
        PowerOffMode::SoftThenHard => soft("destroy"),
    };
    place(&mut body, hints, &[HOST])?;
    Ok(json!({ "restart_server": body }))
}

fn put(path: &str, server: Map<String, Value>, send_before: Instant) -> Request<'static> {
    Request {
        body: Some(json!({ "server": server })),
        ..Request::change(Method::PUT, path, ROUTE, send_before)
    }
}

fn wrapped(all: &Labels) -> Value {
    json!({ "label": labels::written(all) })
}

fn relabel(path: &str, all: &Labels, send_before: Instant) -> Request<'static> {
    let body = Map::from_iter([(attributes::LABELS.to_owned(), wrapped(all))]);
    put(path, body, send_before)
}

fn labels_of(server: &Server) -> Result<Labels, CloudError> {
    let labels = server.labels.as_ref().map(labels::read);
    // Written back without them, they would be lost.
    labels.ok_or_else(|| CloudError::new(ErrorClass::Transient, "UpCloud did not tell the server's labels"))
}

/// Whether the server carries marks that are to go: those of this object, or any.
fn is_of(there: &Labels, how: &Operate) -> bool {
    let marks: Option<&Marks> = match how {
        Operate::Marks(marks) => Some(marks),
        _ => None,
    };
    labels::marks_of(there).is_some_and(|m| marks.is_none_or(|ours| ours.uid == m.uid))
}

/// A change of the size. A running server is only grown, as far as its host has room: what is refused for its state
/// while it runs needs a stop.
async fn resize(service: &Service, id: &str, request: Request<'_>) -> Result<Accepted, CloudError> {
    let (asked, route) = (request.asked, request.route);
    match service.send(request).await {
        Ok(reply) => {
            let _made: ServerDoc = parse(&reply, asked, route)?;
            Ok(accepted(id, &reply))
        }
        Err(error) if has_code(&error, "SERVER_STATE_ILLEGAL") => match fetch(service, id).await {
            Ok(server) if server.state.as_deref() == Some("started") => Err(CloudError {
                class: ErrorClass::NeedsStop,
                ..error
            }),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}
