//! What changes a server without an action: its name, its end, its metadata and tags.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::actions::{check_lock, wrong_state};
use super::keystone::Who;
use super::nova::Call;
use super::nova_create::{is_tag, metadata_of};
use super::server::{Server, Vm};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::{Answer, Reply};

/// What is said of a security group that does not exist.
pub(super) fn no_security_group(text: &str) -> String {
    format!("Unable to find security_group with name or id '{text}'")
}

/// Where metadata and tags can be changed.
const CHANGEABLE: &[Vm] = &[Vm::Active, Vm::Paused, Vm::Suspended, Vm::Stopped];

fn changeable(server: &Server, what: &str) -> Result<(), Reply> {
    if CHANGEABLE.contains(&server.vm) {
        return Ok(());
    }
    Err(wrong_state(server, what, "vm_state", server.vm.word()))
}

impl World {
    fn server_mut(&mut self, id: &str) -> Result<&mut Server, Reply> {
        self.servers
            .get_mut(id)
            .ok_or_else(|| nova_error(404, format!("Instance {id} could not be found.")))
    }

    /// A new name, description or host name; allowed in every state.
    pub(super) fn update(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let body = call.ask.json();
        let time = self.core.time();
        let server = self.server_mut(id)?;
        if let Some(name) = body["server"]["name"].as_str() {
            server.name = name.into();
        }
        if let Some(text) = body["server"]["description"]
            .as_str()
            .filter(|_| call.version.minor >= 19)
        {
            server.description = Some(text.into());
        }
        if let Some(host) = body["server"].get("hostname") {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
            match host.as_str() {
                Some(_) if call.version.minor < 90 => {
                    let text = "Additional properties are not allowed ('hostname' was unexpected)";
                    return Err(nova_error(400, text));
                }
                Some(host) if !host.is_empty() && host.len() <= 63 && host.chars().all(letter) => {
                    server.hostname = host.into();
                }
                _ => {
                    let text = format!("Invalid input for field/attribute hostname. Value: {host}.");
                    return Err(nova_error(400, text));
                }
            }
        }
        server.updated = time;
        let server = server.clone();
        Ok(Reply::ok(
            json!({"server": self.show(&server, call.version, call.who.admin, true, &call.ask.base)}),
        ))
    }

    /// A security group on every interface of a server, or off them.
    pub(super) fn change_security_groups(&mut self, id: &str, add: bool, args: &Value) -> Answer {
        let wanted = args["name"].as_str().unwrap_or_default();
        let found = self.security_group(wanted);
        let group = found.ok_or_else(|| nova_error(404, no_security_group(wanted)))?;
        let time = self.core.time();
        let server = self.server_mut(id)?;
        if server.nics.is_empty() {
            let text = format!("instance_id {id} could not be found as device id on any ports");
            return Err(nova_error(404, text));
        }
        if !add && !server.groups().contains(&group) {
            let text = format!("Security group {wanted} not associated with the instance {id}");
            return Err(nova_error(404, text));
        }
        for nic in &mut server.nics {
            match add {
                true => nic.groups.insert(group.clone()),
                false => nic.groups.remove(&group),
            };
        }
        server.updated = time;
        Ok(Reply::empty(202))
    }

    /// Accepted in every state but a locked one, also a second time.
    pub(super) fn delete(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let soft = self.config.reclaim;
        let server = self.server_mut(id)?;
        check_lock(server, call.who)?;
        let again = server.deleting || server.vm == Vm::Deleted || server.task == Some("soft-deleting");
        // What never ran, or is on no host, cannot be restored.
        let soft = soft.filter(|_| server.launched.is_some() && server.host.is_some());
        if !again {
            self.record(id, "delete", call.who, &call.ask.id);
            self.keep_no_longer(id);
            match soft {
                Some(reclaim) => self.plan_soft_delete(id, &call.ask.id, reclaim),
                None => self.plan_delete(id, &call.ask.id),
            }
        }
        Ok(Reply::empty(204))
    }

    /// `forceDelete`: at once, in every state but a locked one, also one that was deleted and is kept.
    pub(super) fn force_delete(&mut self, id: &str, who: &Who, request: &str) -> Answer {
        let server = self.server_mut(id)?;
        check_lock(server, who)?;
        if !server.deleting && server.vm != Vm::Deleted {
            self.record(id, "delete", who, request);
            self.keep_no_longer(id);
            self.plan_delete(id, request);
        }
        Ok(Reply::empty(202))
    }

    /// `metadata` and `metadata/{key}`.
    pub(super) fn metadata(&mut self, call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
        let method = call.ask.method.as_str();
        let body = call.ask.json();
        let time = self.core.time();
        let server = self.server_mut(id)?;
        if method != "GET" {
            check_lock(server, call.who)?;
        }
        let missing = || nova_error(404, "Metadata item was not found");
        let check = |server: &Server| {
            changeable(
                server,
                if method == "DELETE" {
                    "delete metadata"
                } else {
                    "update metadata"
                },
            )
        };
        let reply = match (method, rest) {
            ("GET", []) => return Ok(Reply::ok(json!({"metadata": server.metadata}))),
            ("GET", [key]) => {
                let value = server.metadata.get(*key).ok_or_else(missing)?;
                return Ok(Reply::ok(json!({"meta": {*key: value}})));
            }
            ("POST" | "PUT", []) => {
                let new: BTreeMap<String, String> = metadata_of("metadata", &body["metadata"])?;
                check(server)?;
                if method == "PUT" {
                    server.metadata.clear();
                }
                server.metadata.extend(new);
                Reply::ok(json!({"metadata": server.metadata}))
            }
            ("PUT", [key]) => {
                let new = metadata_of("meta", &body["meta"])?;
                let Some(value) = new.get(*key) else {
                    return Err(nova_error(400, "Request body and URI mismatch"));
                };
                check(server)?;
                server.metadata.insert((*key).into(), value.clone());
                Reply::ok(json!({"meta": {*key: value}}))
            }
            ("DELETE", [key]) => {
                if !server.metadata.contains_key(*key) {
                    return Err(missing());
                }
                check(server)?;
                server.metadata.remove(*key);
                Reply::empty(204)
            }
            _ => return Err(nova_error(405, "The method is not allowed for this resource.")),
        };
        server.updated = time;
        Ok(reply)
    }

    /// `tags` and `tags/{tag}`.
    pub(super) fn tags(&mut self, call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
        let body = call.ask.json();
        let time = self.core.time();
        let server = self.server_mut(id)?;
        let missing = |tag: &str| nova_error(404, format!("Server {id} has no tag '{tag}'"));
        let invalid = |tag: &str| {
            nova_error(
                400,
                format!("Invalid input for field/attribute tag. Value: {tag}. "),
            )
        };
        let reply = match (call.ask.method.as_str(), rest) {
            ("GET", []) => return Ok(Reply::ok(json!({"tags": server.tags}))),
            ("GET", [tag]) if server.tags.contains(*tag) => return Ok(Reply::empty(204)),
            ("GET", [tag]) => return Err(missing(tag)),
            ("PUT", []) => {
                let new = body["tags"].as_array().cloned().unwrap_or_default();
                if let Some(bad) = new.iter().find(|t| !t.as_str().is_some_and(is_tag)) {
                    return Err(invalid(&bad.to_string()));
                }
                changeable(server, "update tags")?;
                server.tags = new.iter().filter_map(Value::as_str).map(Into::into).collect();
                Reply::ok(json!({"tags": server.tags}))
            }
            ("PUT", [tag]) => {
                if !is_tag(tag) {
                    return Err(invalid(tag));
                }
                changeable(server, "update tag")?;
                let status = if server.tags.insert((*tag).into()) {
                    201
                } else {
                    204
                };
                Reply::empty(status)
            }
            ("DELETE", []) => {
                changeable(server, "delete tags")?;
                server.tags.clear();
                Reply::empty(204)
            }
            ("DELETE", [tag]) => {
                changeable(server, "delete tag")?;
                if !server.tags.remove(*tag) {
                    return Err(missing(tag));
                }
                Reply::empty(204)
            }
            _ => return Err(nova_error(405, "The method is not allowed for this resource.")),
        };
        server.updated = time;
        Ok(reply)
    }
}
