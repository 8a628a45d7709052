//! How a request finds its service.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::auth::{PROJECT, unauthorized};
use super::menu::{DEEDS, touch};
use super::timeline::{Effect, Entry};
use super::world::World;
use crate::sim::cloud::{Answer, Ask, Core, ListFaults, Reply, Route, Sim, SimCloud};

/// The words of paths that are not identifiers.
const WORDS: &[&str] = &[
    "instances",
    "status",
    "batch-create",
    "batch-delete",
    "reinstall",
    "password",
    "ip",
    "physicalservers",
    "power-state",
    "remote-console-address",
    "v3",
    "auth",
    "tokens",
    "projects",
];
const DEPTH: usize = 3;

/// A refusal of the service itself.
pub(super) fn refuse(status: u16, code: &str, message: impl Into<String>) -> Reply {
    Reply::new(status, json!({"error_code": code, "error_msg": message.into()}))
}

/// A call that the state of an instance does not allow. The codes from 0201 on are not known; they are all 400.
pub(super) fn conflict(message: impl Into<String>) -> Reply {
    refuse(400, "iMetal.0203", message)
}

impl SimCloud for World {
    const DEEDS: &'static str = DEEDS;

    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn latency(&self) -> Duration {
        self.config.timings.latency
    }

    fn settle(&mut self, to: Instant) {
        self.carry_out_due(to);
    }

    fn route(&self, ask: &Ask) -> Route {
        let whole: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        let path = match whole.as_slice() {
            ["v1", _project, rest @ ..] => rest,
            all => all,
        };
        let body = ask.json();
        let server = match path {
            ["instances", word, ..] if WORDS.contains(word) => {
                body["instance_id_set"][0].as_str().map(str::to_owned)
            }
            ["instances", id, ..] => Some((*id).to_owned()),
            ["physicalservers", "power-state"] => {
                let machine = body["server_id_set"][0].as_str().unwrap_or_default();
                self.on_machine(machine).map(|i| i.id.clone())
            }
            _ => None,
        };
        Route {
            method: ask.method.to_string(),
            template: Route::template(path, WORDS, DEPTH),
            action: body["action"].as_str().map(str::to_owned),
            name: server
                .as_ref()
                .and_then(|id| self.instances.get(id))
                .map(|i| i.name.clone()),
            server,
        }
    }

    fn answer(&mut self, ask: &Ask, lists: &ListFaults) -> Reply {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        let answer = match (ask.method.as_str(), path.as_slice()) {
            ("POST", ["v3", "auth", "tokens"]) => self.log_in(ask),
            ("GET", ["v3", "projects"]) => self.projects(ask),
            (method, ["v1", project, rest @ ..]) => self
                .admit(ask)
                .and_then(|()| self.service(ask, method, project, rest, lists)),
            _ => Err(no_such_api()),
        };
        let reply = answer.unwrap_or_else(|refusal| refusal);
        reply.with("X-Request-Id", ask.id.clone())
    }

    fn refusal(&self, _: &Ask, status: u16) -> Reply {
        match status {
            401 => unauthorized("verify aksk signature fail"),
            429 if self.config.quirks.json_429 => {
                refuse(429, "APIGW.0308", "The throttling threshold has been reached")
            }
            429 => Reply {
                raw: Some(Box::new(("text/plain", Bytes::from_static(b"too many requests")))),
                ..Reply::empty(429)
            },
            500 => refuse(500, "iMetal.0099", "Internal server error"),
            status => refuse(status, "APIGW.0110", "The backend is not available"),
        }
    }

    fn account(&self, ask: &Ask) -> Option<String> {
        let project = ask.path.get(1).filter(|_| ask.path[0] == "v1");
        project.cloned()
    }

    fn made(&self, route: &Route, reply: &Reply) -> Option<String> {
        let body = reply.body.as_ref().filter(|_| route.template == "/instances")?;
        body["instance_id"].as_str().map(str::to_owned)
    }

    fn reads(&self, route: &Route) -> bool {
        matches!(route.method.as_str(), "GET" | "HEAD") || route.template == "/v3/auth/tokens"
    }

    fn hold(&mut self, at: Instant, ask: Ask) {
        let entry = Entry {
            instance: None,
            machine: None,
            effect: Effect::Late(Box::new(ask)),
        };
        self.schedule(at, entry);
    }

    fn inventory(&self) -> Value {
        let machines: Vec<Value> = self.machines.values().map(|m| self.show_machine(m)).collect();
        let instances: Vec<_> = self.live().into_iter().map(|i| self.view(i)).collect();
        json!({
            "instances": instances, "physicalServers": machines, "keyLocks": self.accounts.locks,
            "offers": self.offers(),
        })
    }

    fn deed(sim: &Sim<Self>, path: &[&str], body: &Value) -> Option<Reply> {
        match path {
            ["instances", key, deed] => touch(sim, key, deed, body),
            _ => None,
        }
    }

    fn expire_tokens(&mut self) {
        self.accounts.forget_tokens();
    }
}

/// What the gateway says of paths that it does not know.
fn no_such_api() -> Reply {
    refuse(
        404,
        "APIGW.0101",
        "The API does not exist or has not been published in the environment",
    )
}

impl World {
    fn service(
        &mut self,
        ask: &Ask,
        method: &str,
        project: &str,
        path: &[&str],
        lists: &ListFaults,
    ) -> Answer {
        if project != PROJECT {
            return Err(refuse(403, "iMetal.0004", "Insufficient permissions"));
        }
        let body = ask.json();
        match (method, path) {
            ("GET", ["instances"]) => self.list_instances(ask, lists),
            ("POST", ["instances"]) => self.create(&body),
            ("POST", ["instances", "batch-create"]) => self.create_several(&body),
            ("POST", ["instances", "batch-delete"]) => self.delete_several(&body),
            ("PUT", ["instances", "reinstall"]) => self.reinstall(&body),
            ("PUT", ["instances", "password"]) => self.change_password(&body),
            ("PUT", ["instances", id, "ip"]) => self.modify_ip(id, &body),
            ("GET", ["instances", id, "status"]) => self.status(id),
            ("DELETE", ["instances", id]) => self.delete(id).map(|()| Reply::empty(200)),
            ("GET", ["physicalservers"]) => self.list_machines(ask, lists),
            ("PUT", ["physicalservers", "power-state"]) => self.change_power(&body),
            ("GET", ["physicalservers", id]) => self.machine(id).map(|m| Reply::ok(self.show_machine(m))),
            ("GET", ["physicalservers", id, "remote-console-address"]) => {
                let url = format!("{}/console/{}", ask.base, self.machine(id)?.id);
                Ok(Reply::ok(json!({ "url": url })))
            }
            _ => Err(no_such_api()),
        }
    }
}
