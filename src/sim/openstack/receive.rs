//! How a request comes in: through the faults, to its service, into the log.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tokio::time::Instant;

use super::faults::{FaultEffect, ListFaults, Route};
use super::log::RequestRecord;
use super::timeline::{Effect, Entry};
use super::wire::{Ask, Reply, keystone_error, nova_error};
use super::world::World;

/// Why no reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimIo {
    /// There was no connection: the request was not seen.
    Refused,
    /// The connection broke: the request may have been carried out.
    Reset,
}

/// What the client gets, and after which time.
pub(super) struct Outcome {
    pub(super) wait: Duration,
    pub(super) result: Result<Reply, SimIo>,
}

/// The words of paths that are not identifiers.
const WORDS: &[&str] = &[
    "servers",
    "detail",
    "action",
    "metadata",
    "tags",
    "flavors",
    "os-instance-actions",
    "os-keypairs",
    "os-server-groups",
    "v2",
    "v3",
    "v2.0",
    "v2.1",
    "auth",
    "tokens",
    "catalog",
    "images",
    "networks",
    "ports",
    "extensions",
    "os-extra_specs",
    "os-security-groups",
    "os-volume_attachments",
];

impl World {
    pub(super) fn receive(&mut self, request: Request<Bytes>) -> Outcome {
        self.settle(Instant::now());
        let id = format!("req-{}", self.uuid());
        let ask = Ask::new(request, id);
        let route = self.route(&ask);
        let (wire, lists) = self.faults.meet(&route);
        let ms = Duration::from_millis;
        let (wait, result) = match wire {
            None => (Duration::ZERO, Ok(self.carry_out(&ask, &route, &lists, true))),
            Some(FaultEffect::Slow { delay_ms }) => {
                (ms(delay_ms), Ok(self.carry_out(&ask, &route, &lists, true)))
            }
            Some(FaultEffect::LostReply) => {
                self.carry_out(&ask, &route, &lists, false);
                (Duration::ZERO, Err(SimIo::Reset))
            }
            Some(FaultEffect::LateApply { delay_ms, wait_ms }) => {
                let at = self.now + ms(delay_ms);
                let entry = Entry {
                    server: String::new(),
                    request: ask.id.clone(),
                    effect: Effect::Late(Box::new(ask)),
                };
                self.schedule(at, entry);
                (ms(wait_ms), Err(SimIo::Reset))
            }
            Some(effect) => {
                let (wait, result) = self.refuse(&effect, &ask);
                let status = result.as_ref().ok().map(|r: &Reply| r.status);
                self.note(&ask, &route, status, None, false, result.is_ok());
                (wait, result)
            }
        };
        Outcome { wait, result }
    }

    /// A request that was held up arrives; nobody waits for the reply.
    pub(super) fn serve(&mut self, ask: &Ask) {
        let route = self.route(ask);
        self.carry_out(ask, &route, &ListFaults::default(), false);
    }

    fn refuse(&self, effect: &FaultEffect, ask: &Ask) -> (Duration, Result<Reply, SimIo>) {
        let nova = ask.path.first().is_some_and(|p| p == "compute");
        let error = |code: u16, text: &str| match nova {
            true => nova_error(code, text),
            false => keystone_error(code, "Error", text),
        };
        match effect {
            FaultEffect::Status { code, body } => {
                let reply = match body {
                    Some(body) => Reply::new(*code, body.clone()),
                    None if *code == 401 => super::wire::unauthorized(&ask.base),
                    None => error(
                        *code,
                        "The server is currently unavailable. Please try again at a later time.",
                    ),
                };
                (Duration::ZERO, Ok(reply))
            }
            FaultEffect::RateLimited { retry_after } => {
                let mut reply = error(429, "This request was rate-limited.");
                if let Some(seconds) = retry_after {
                    reply = reply.with("Retry-After", seconds.to_string());
                }
                (Duration::ZERO, Ok(reply))
            }
            FaultEffect::Hang { wait_ms } => (Duration::from_millis(*wait_ms), Err(SimIo::Reset)),
            FaultEffect::Refused => (Duration::ZERO, Err(SimIo::Refused)),
            _ => (Duration::ZERO, Err(SimIo::Reset)),
        }
    }

    fn carry_out(&mut self, ask: &Ask, route: &Route, lists: &ListFaults, answered: bool) -> Reply {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        let answer = match path.as_slice() {
            ["identity", rest @ ..] => self.keystone(ask, rest),
            ["compute", rest @ ..] => self.nova(ask, rest, lists),
            ["image", rest @ ..] => self.glance(ask, rest),
            ["network", rest @ ..] => self.neutron(ask, rest),
            _ => Err(keystone_error(
                404,
                "Not Found",
                "no such service: identity, compute, image, network",
            )),
        };
        let reply = answer.unwrap_or_else(|refusal| refusal);
        let new = reply.body.as_ref().filter(|_| route.template == "/servers");
        let new = new.and_then(|b| b["server"]["id"].as_str()).map(Into::into);
        let reads = matches!(ask.method.as_str(), "GET" | "HEAD") || route.template == "/v3/auth/tokens";
        let applied = !reads && reply.status < 400;
        self.note(ask, route, Some(reply.status), new, applied, answered);
        reply
    }

    fn note(
        &mut self,
        ask: &Ask,
        route: &Route,
        status: Option<u16>,
        new: Option<String>,
        applied: bool,
        answered: bool,
    ) {
        let who = self
            .accounts
            .who(ask.header("x-auth-token").unwrap_or_default(), self.now);
        self.log.requests.push(RequestRecord {
            at: self.now.duration_since(self.start),
            method: route.method.clone(),
            route: route.template.clone(),
            action: route.action.clone(),
            project: who.map(|w| w.project),
            server: new.or_else(|| route.server.clone()),
            status,
            applied,
            answered,
        });
    }

    fn route(&self, ask: &Ask) -> Route {
        let mut path: Vec<&str> = ask.path.iter().skip(1).map(String::as_str).collect();
        if path.first() == Some(&"v2.1") {
            path.remove(0);
        }
        let server = match path.as_slice() {
            ["servers", "detail", ..] => None,
            ["servers", id, ..] => Some((*id).to_owned()),
            _ => None,
        };
        let parts: Vec<&str> = path
            .iter()
            .enumerate()
            .map(|(i, part)| {
                if i < 4 && WORDS.contains(part) {
                    part
                } else {
                    "{id}"
                }
            })
            .collect();
        let action = (path.get(2) == Some(&"action"))
            .then(|| ask.json())
            .and_then(|body| match body {
                Value::Object(map) => map.keys().next().cloned(),
                _ => None,
            });
        Route {
            method: ask.method.to_string(),
            template: format!("/{}", parts.join("/")),
            action,
            name: server
                .as_ref()
                .and_then(|id| self.servers.get(id))
                .map(|s| s.name.clone()),
            server,
        }
    }
}
