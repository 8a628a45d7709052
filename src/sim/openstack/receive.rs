//! How a request finds its service.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::menu::{DEEDS, add, touch};
use super::timeline::{Effect, Entry};
use super::wire::{keystone_error, nova_error, unauthorized};
use super::world::World;
use crate::sim::cloud::{Ask, Core, ListFaults, Reply, Route, Sim, SimCloud};

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
    "subnets",
    "floatingips",
    "ports",
    "extensions",
    "os-extra_specs",
    "os-security-groups",
    "security-groups",
    "os-volume_attachments",
    "os-interface",
];
/// So many segments may be words: names after them are the client's.
const DEPTH: usize = 4;

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
        let mut path: Vec<&str> = ask.path.iter().skip(1).map(String::as_str).collect();
        if path.first() == Some(&"v2.1") {
            path.remove(0);
        }
        let server = match path.as_slice() {
            ["servers", "detail", ..] => None,
            ["servers", id, ..] => Some((*id).to_owned()),
            _ => None,
        };
        let action = (path.get(2) == Some(&"action"))
            .then(|| ask.json())
            .and_then(|body| match body {
                Value::Object(map) => map.keys().next().cloned(),
                _ => None,
            });
        Route {
            method: ask.method.to_string(),
            template: Route::template(&path, WORDS, DEPTH),
            action,
            name: server
                .as_ref()
                .and_then(|id| self.servers.get(id))
                .map(|s| s.name.clone()),
            server,
        }
    }

    fn answer(&mut self, ask: &Ask, lists: &ListFaults) -> Reply {
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
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn refusal(&self, ask: &Ask, status: u16) -> Reply {
        let text = match status {
            429 => "This request was rate-limited.",
            _ => "The server is currently unavailable. Please try again at a later time.",
        };
        let nova = ask.path.first().is_some_and(|p| p == "compute");
        match status {
            401 => unauthorized(&ask.base),
            _ if nova => nova_error(status, text),
            _ => keystone_error(status, "Error", text),
        }
    }

    fn account(&self, ask: &Ask) -> Option<String> {
        let token = ask.header("x-auth-token").unwrap_or_default();
        self.accounts.who(token, self.core.now).map(|who| who.project)
    }

    fn made(&self, route: &Route, reply: &Reply) -> Option<String> {
        let body = reply.body.as_ref().filter(|_| route.template == "/servers")?;
        body["server"]["id"].as_str().map(Into::into)
    }

    fn reads(&self, route: &Route) -> bool {
        matches!(route.method.as_str(), "GET" | "HEAD") || route.template == "/v3/auth/tokens"
    }

    fn hold(&mut self, at: Instant, ask: Ask) {
        let entry = Entry {
            server: String::new(),
            request: ask.id.clone(),
            effect: Effect::Late(Box::new(ask)),
        };
        self.schedule(at, entry);
    }

    fn inventory(&self) -> Value {
        json!({"servers": self.live_views(), "offers": self.offers()})
    }

    fn deed(sim: &Sim<Self>, path: &[&str], body: &Value) -> Option<Reply> {
        match path {
            ["servers", key, deed] => touch(sim, key, deed, body),
            path => add(sim, path),
        }
    }

    fn expire_tokens(&mut self) {
        self.accounts.forget_tokens();
    }
}
