//! How a request finds its place: who asks, and for what.

use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::USER;
use super::errors::{Answer, Refusal, code_of, refused};
use super::out_of_band::{DEEDS, touch};
use super::show::{networks, plans, sizes, zones};
use super::world::{Effect, Entry, World};
use crate::sim::cloud::{Ask, Core, ListFaults, Reply, Route, Sim, SimCloud};

/// The words of paths that are not identifiers.
const WORDS: &[&str] = &[
    "account",
    "attach",
    "backup",
    "cancel",
    "cdrom",
    "detach",
    "favorite",
    "interface",
    "ip_address",
    "network",
    "networking",
    "normal",
    "plan",
    "private",
    "public",
    "relocate",
    "restart",
    "server",
    "server-group",
    "server_size",
    "servers",
    "start",
    "stop",
    "storage",
    "template",
    "zone",
];
/// The version of the API, the first segment of every path.
const VERSION: &str = "1.3";
const DEPTH: usize = 6;

impl World {
    fn authentic(&self, ask: &Ask) -> bool {
        let basic = ByteString(format!("{USER}:{}", self.password).into_bytes());
        let basic = serde_json::to_value(basic).unwrap_or_default();
        match ask.header("authorization").and_then(|h| h.split_once(' ')) {
            Some(("Bearer", token)) => token == self.token,
            Some(("Basic", credential)) => basic == credential,
            _ => false,
        }
    }

    fn serve(&mut self, ask: &Ask, lists: &ListFaults) -> Answer {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        let [VERSION, path @ ..] = path.as_slice() else {
            return Err(refused("NOT_FOUND"));
        };
        if !self.authentic(ask) {
            return Err(refused("AUTHENTICATION_FAILED"));
        }
        if self.read_only && ask.method != http::Method::GET {
            return Err(refused("ACTION_FORBIDDEN"));
        }
        let json_body = serde_json::from_slice::<Value>(&ask.body);
        if !ask.body.is_empty() && !json_body.is_ok_and(|body| body.is_object()) {
            return Err(super::errors::because(
                "REQUEST_INVALID",
                "The body is no JSON object.",
            ));
        }
        match (ask.method.as_str(), path) {
            ("GET", ["account"]) => Ok(Reply::ok(World::account(self))),
            ("GET", ["plan"]) => Ok(Reply::ok(plans())),
            ("GET", ["server_size"]) => Ok(Reply::ok(sizes())),
            ("GET", ["zone"]) => Ok(Reply::ok(zones())),
            ("GET", ["network"]) => Ok(Reply::ok(networks())),
            ("GET", ["server"]) => self.list(ask, lists),
            ("POST", ["server"]) => self.create(ask),
            ("GET", ["server", id]) => self.server(id).map(|s| Reply::ok(self.detail(&s.id))),
            ("PUT", ["server", id]) => self.modify(id, ask),
            ("DELETE", ["server", id]) => self.delete(id, ask),
            ("POST", ["server", id, "start"]) => self.start(id, ask),
            ("POST", ["server", id, "stop"]) => self.stop(id, ask),
            ("POST", ["server", id, "restart"]) => self.restart(id, ask),
            ("POST", ["server", id, "cancel"]) => self.cancel(id),
            ("POST", ["server", id, "relocate"]) => self.relocate(id, ask),
            ("POST", ["server", id, "storage", "attach"]) => self.attach(id, ask),
            ("POST", ["server", id, "storage", "detach"]) => self.detach(id, ask),
            ("GET", ["server", id, "networking"]) => {
                let mut body = self.server(id).map(|s| self.detail(&s.id))?;
                Ok(Reply::ok(
                    json!({"networking": body["server"]["networking"].take()}),
                ))
            }
            ("POST", ["server", id, "networking", "interface"]) => self.add_interface(id, ask),
            ("DELETE", ["server", id, "networking", "interface", index]) => self.remove_interface(id, index),
            (_, ["storage", rest @ ..]) => self.storage_call(ask, rest),
            (_, ["ip_address", rest @ ..]) => self.addresses(ask, rest),
            (_, ["server-group", rest @ ..]) => self.group_call(ask, rest, lists),
            (
                _,
                [
                    "server" | "account" | "plan" | "zone" | "server_size" | "network",
                    ..,
                ],
            ) => Err(refused("METHOD_NOT_ALLOWED")),
            _ => Err(refused("NOT_FOUND")),
        }
    }

    fn refuse(&self, refusal: &Refusal, status: u16, ask: &Ask) -> Reply {
        refusal.reply(status, self.config.choices.problem_bodies, &ask.id)
    }
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

    fn request_id(&mut self) -> String {
        self.core.uuid()
    }

    /// Routes are below the version: `/server/{id}/stop`; what follows in braces is an identifier.
    fn route(&self, ask: &Ask) -> Route {
        let path: Vec<&str> = ask.path.iter().skip(1).map(String::as_str).collect();
        let id = path
            .iter()
            .find(|part| !WORDS.contains(part))
            .map(|id| (*id).to_owned());
        let title = |id: &String| {
            let server = self.servers.get(id).map(|s| s.title.clone());
            server.or_else(|| self.groups.get(id).map(|g| g.title.clone()))
        };
        Route {
            method: ask.method.to_string(),
            template: Route::template(&path, WORDS, DEPTH),
            action: None,
            name: id.as_ref().and_then(title),
            server: id,
        }
    }

    fn answer(&mut self, ask: &Ask, lists: &ListFaults) -> Reply {
        let reply = match self.serve(ask, lists) {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(&refusal, super::errors::status(refusal.code), ask),
        };
        reply.with("Upcloud-Cid", ask.id.clone())
    }

    fn refusal(&self, ask: &Ask, status: u16) -> Reply {
        self.refuse(&refused(code_of(status)), status, ask)
    }

    fn account(&self, ask: &Ask) -> Option<String> {
        self.authentic(ask).then(|| USER.to_owned())
    }

    fn made(&self, route: &Route, reply: &Reply) -> Option<String> {
        let key = match (route.method.as_str(), route.template.as_str()) {
            ("POST", "/server") => "server",
            ("POST", "/server-group") => "server_group",
            ("POST", "/storage") => "storage",
            _ => return None,
        };
        reply.body.as_ref()?[key]["uuid"].as_str().map(Into::into)
    }

    fn hold(&mut self, at: Instant, ask: Ask) {
        let entry = Entry {
            server: String::new(),
            effect: Effect::Late(Box::new(ask)),
        };
        self.at(at, entry);
    }

    fn inventory(&self) -> Value {
        json!({
            "servers": self.server_views(), "storages": self.storage_views(), "groups": self.group_views(),
            "offers": self.offers(),
        })
    }

    fn deed(sim: &Sim<Self>, path: &[&str], body: &Value) -> Option<Reply> {
        touch(sim, path, body)
    }
}
