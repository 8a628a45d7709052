//! Server groups.

use serde_json::{Value, json};

use super::errors::{Answer, Refusal, because, refused};
use super::fields::{fits, labels, text, word};
use super::model::Group;
use super::show;
use super::world::World;
use crate::sim::cloud::{Ask, ListFaults, Reply, names};

/// The first one is what a group has that says nothing.
const POLICIES: &[&str] = &["no", "yes", "strict"];

impl World {
    /// What a member's host has to say of it.
    pub(super) fn met(&self, group: &Group, member: &str) -> &'static str {
        let host = |id: &str| self.servers.get(id).and_then(super::model::Server::placed);
        let mine = host(member);
        let shared = group
            .members
            .iter()
            .any(|other| other != member && mine.is_some() && host(other) == mine);
        if shared { "unmet" } else { "met" }
    }

    fn group_body(&self, group: &Group) -> Value {
        let status: Vec<Value> = group
            .members
            .iter()
            .map(|m| json!({"uuid": m, "status": self.met(group, m)}))
            .collect();
        let status = if group.policy == "no" {
            Value::Null
        } else {
            json!(status)
        };
        json!({
            "anti_affinity": group.policy, "anti_affinity_status": status, "labels": show::labels(&group.labels),
            "servers": {"server": group.members}, "title": group.title, "uuid": group.id,
        })
    }

    /// `/server-group` and below.
    pub(super) fn group_call(&mut self, ask: &Ask, path: &[&str], faults: &ListFaults) -> Answer {
        match (ask.method.as_str(), path) {
            ("GET", []) => Ok(self.group_list(ask, faults)),
            ("POST", []) => self.group_create(&ask.json()["server_group"]),
            ("GET", [id]) => {
                let group = self.group(id)?;
                Ok(Reply::ok(json!({"server_group": self.group_body(group)})))
            }
            ("PATCH", [id]) => self.group_modify(id, &ask.json()["server_group"]),
            ("DELETE", [id]) => {
                let id = self.group_id(id)?;
                self.groups.remove(&id);
                Ok(Reply::empty(204))
            }
            ("GET", [id, "servers"]) => {
                Ok(Reply::ok(json!({"servers": {"server": self.group(id)?.members}})))
            }
            ("POST", [id, "servers"]) => {
                self.group_add(id, ask.json()["server"]["uuid"].as_str().unwrap_or_default())
            }
            ("DELETE", [id, "servers", server]) => self.group_remove(id, server),
            _ => Err(refused("METHOD_NOT_ALLOWED")),
        }
    }

    fn group(&self, id: &str) -> Result<&Group, Refusal> {
        let id = self.group_id(id)?;
        self.groups.get(&id).ok_or(refused("GROUP_NOT_FOUND"))
    }

    fn group_list(&self, ask: &Ask, faults: &ListFaults) -> Reply {
        let hidden = |g: &Group| faults.hidden.iter().any(|p| names(p, &g.id, &g.title));
        let mut groups: Vec<&Group> = self
            .groups
            .values()
            .filter(|g| !hidden(g) && fits(&g.labels, &ask.query))
            .collect();
        groups.sort_by_key(|g| g.seq);
        let groups: Vec<Value> = faults
            .shown(groups.into_iter())
            .map(|g| self.group_body(g))
            .collect();
        Reply::ok(json!({"server_groups": {"server_group": groups}}))
    }

    /// The servers that a request names; each exists and is in no other group.
    fn members(&self, body: &Value, group: &str) -> Result<Vec<String>, Refusal> {
        let list = match &body["servers"] {
            Value::Object(map) => map.get("server").and_then(Value::as_array),
            value => value.as_array(),
        };
        let list = list.ok_or(because(
            "REQUEST_INVALID",
            "servers are an object with the list server",
        ))?;
        let mut members: Vec<String> = Vec::new();
        for id in list {
            let server = self.server(id.as_str().unwrap_or_default())?;
            if let Some(other) = self.group_of(&server.id).filter(|g| g.id != group) {
                return Err(taken(&server.id, &other.id));
            }
            if !members.contains(&server.id) {
                members.push(server.id.clone());
            }
        }
        Ok(members)
    }

    fn check_strict(&self, group: &Group) -> Result<(), Refusal> {
        let unmet = group.members.iter().any(|m| self.met(group, m) == "unmet");
        match group.policy == "strict" && unmet {
            true => Err(refused("STRICT_ANTI_AFFINITY_NOT_MET")),
            false => Ok(()),
        }
    }

    fn group_create(&mut self, body: &Value) -> Answer {
        if !body.is_object() {
            return Err(because("REQUEST_INVALID", "The server_group block is missing."));
        }
        let mut group = Group {
            id: self.id("0b"),
            seq: self.core.number(),
            title: match &body["title"] {
                Value::Null => String::new(),
                title => text(title, "TITLE_INVALID")?,
            },
            policy: word(&body["anti_affinity"], POLICIES, "REQUEST_INVALID")?,
            labels: labels(&body["labels"])?.unwrap_or_default(),
            members: Vec::new(),
        };
        if !body["servers"].is_null() {
            group.members = self.members(body, &group.id)?;
        }
        self.check_strict(&group)?;
        let body = self.group_body(&group);
        self.groups.insert(group.id.clone(), group);
        Ok(Reply::ok(json!({"server_group": body})))
    }

    /// Lists that are given replace those that were; what is absent stays.
    fn group_modify(&mut self, id: &str, body: &Value) -> Answer {
        let mut group = self.group(id)?.clone();
        if !body.is_object() {
            return Err(because("REQUEST_INVALID", "The server_group block is missing."));
        }
        if !body["title"].is_null() {
            group.title = text(&body["title"], "TITLE_INVALID")?;
        }
        if !body["anti_affinity"].is_null() {
            group.policy = word(&body["anti_affinity"], POLICIES, "REQUEST_INVALID")?;
        }
        if let Some(labels) = labels(&body["labels"])? {
            group.labels = labels;
        }
        if !body["servers"].is_null() {
            group.members = self.members(body, id)?;
        }
        self.check_strict(&group)?;
        let body = self.group_body(&group);
        self.groups.insert(id.into(), group);
        Ok(Reply::ok(json!({"server_group": body})))
    }

    pub(super) fn group_add(&mut self, id: &str, server: &str) -> Answer {
        let mut group = self.group(id)?.clone();
        let server = self.server(server)?.id.clone();
        if let Some(other) = self.group_of(&server) {
            return Err(taken(&server, &other.id));
        }
        group.members.push(server);
        self.check_strict(&group)?;
        self.groups.insert(id.into(), group);
        Ok(Reply::empty(204))
    }

    fn group_remove(&mut self, id: &str, server: &str) -> Answer {
        let mut group = self.group(id)?.clone();
        let server = self.server(server)?.id.clone();
        let before = group.members.len();
        group.members.retain(|m| *m != server);
        if group.members.len() == before {
            return Err(refused("SERVER_NOT_FOUND"));
        }
        self.groups.insert(id.into(), group);
        Ok(Reply::empty(204))
    }
}

fn taken(server: &str, group: &str) -> Refusal {
    because(
        "ALREADY_IN_SERVER_GROUP",
        format!("The server {server} is already in the server group {group}."),
    )
}
