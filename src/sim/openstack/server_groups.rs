//! `/os-server-groups`: groups, their members, and what they mean for the choice of a host.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::nova::Call;
use super::server::{Flavor, Server, Vm};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::{Answer, Reply};

/// From this minor version on a group has one policy and its rules.
const ONE_POLICY: u16 = 64;
const POLICIES: &[&str] = &["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"];

/// A group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) most: Option<i64>,
    pub(super) project: String,
    pub(super) user: String,
}

/// A group as a test sees it, past all faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Nova's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its policy in Nova's words.
    pub policy: String,
    /// `max_server_per_host`.
    pub most: Option<i64>,
    /// The ids of the members that exist, in the order of their making.
    pub members: Vec<String>,
}

fn not_found(id: &str) -> Reply {
    nova_error(404, format!("Instance group {id} could not be found."))
}

impl World {
    fn members(&self, group: &str) -> Vec<&Server> {
        let mut all: Vec<_> = self
            .live()
            .filter(|s| s.group.as_deref() == Some(group) && s.vm != Vm::SoftDeleted)
            .collect();
        all.sort_by_key(|s| s.seq);
        all
    }

    pub(super) fn group_views(&self) -> Vec<GroupView> {
        let view = |g: &Group| GroupView {
            id: g.id.clone(),
            name: g.name.clone(),
            policy: g.policy.clone(),
            most: g.most,
            members: self.members(&g.id).iter().map(|s| s.id.clone()).collect(),
        };
        self.groups.iter().map(view).collect()
    }

    fn group_body(&self, group: &Group, minor: u16) -> Value {
        let members: Vec<&str> = self.members(&group.id).iter().map(|s| s.id.as_str()).collect();
        let mut body = json!({"id": group.id, "name": group.name, "members": members,
            "project_id": group.project, "user_id": group.user});
        if minor >= ONE_POLICY {
            let rules = group.most.map(|n| json!({"max_server_per_host": n}));
            body["policy"] = json!(group.policy);
            body["rules"] = rules.unwrap_or_else(|| json!({}));
        } else {
            body["policies"] = json!([group.policy]);
            body["metadata"] = json!({});
        }
        body
    }

    /// Everything below `/os-server-groups`.
    pub(super) fn server_groups(&mut self, call: &Call<'_>, rest: &[&str]) -> Answer {
        let minor = call.version.minor;
        let of = |g: &&Group| g.project == call.who.project;
        match (call.ask.method.as_str(), rest) {
            ("GET", []) => {
                let number = |key: &str| call.ask.query(key).and_then(|n| n.parse::<usize>().ok());
                let limit = number("limit").unwrap_or(usize::MAX).min(self.config.page_limit);
                let page = call
                    .lists
                    .shown(self.groups.iter().filter(of))
                    .skip(number("offset").unwrap_or(0))
                    .take(limit);
                let bodies: Vec<Value> = page.map(|g| self.group_body(g, minor)).collect();
                Ok(Reply::ok(json!({ "server_groups": bodies })))
            }
            ("GET", [id]) => match self.groups.iter().filter(of).find(|g| g.id == *id) {
                Some(group) => Ok(Reply::ok(json!({"server_group": self.group_body(group, minor)}))),
                None => Err(not_found(id)),
            },
            ("DELETE", [id]) => {
                let before = self.groups.len();
                self.groups
                    .retain(|g| g.id != *id || g.project != call.who.project);
                if self.groups.len() == before {
                    return Err(not_found(id));
                }
                Ok(Reply::new(204, Value::Null))
            }
            ("POST", []) => self.make_group(call),
            _ => Err(nova_error(404, "The resource could not be found.")),
        }
    }

    fn make_group(&mut self, call: &Call<'_>) -> Answer {
        let body = call.ask.json();
        let wanted = &body["server_group"];
        let old = call.version.minor < ONE_POLICY;
        let policy = if old {
            &wanted["policies"][0]
        } else {
            &wanted["policy"]
        };
        let invalid = |field: &str, value: &Value, why: &str| {
            let text = format!("Invalid input for field/attribute {field}. Value: {value}. {why}");
            nova_error(400, text)
        };
        let Some(name) = wanted["name"]
            .as_str()
            .filter(|n| !n.trim().is_empty() && n.len() <= 255)
        else {
            return Err(invalid("name", &wanted["name"], "is not a valid name"));
        };
        let Some(policy) = policy.as_str().filter(|p| POLICIES.contains(p)) else {
            return Err(invalid(
                "policy",
                policy,
                &format!("{policy} is not one of {POLICIES:?}"),
            ));
        };
        let most = wanted["rules"]["max_server_per_host"].as_i64();
        if most.is_some() && policy != "anti-affinity" {
            let text = "Only anti-affinity policy supports rules.";
            return Err(nova_error(400, text));
        }
        if most.is_some_and(|n| n < 1) {
            return Err(invalid(
                "max_server_per_host",
                &wanted["rules"],
                "is less than the minimum of 1",
            ));
        }
        let mine = self
            .groups
            .iter()
            .filter(|g| g.project == call.who.project)
            .count();
        let limit = self.config.quota.groups;
        if limit >= 0 && i64::try_from(mine).unwrap_or(i64::MAX) >= limit {
            return Err(nova_error(403, "Quota exceeded, too many server groups."));
        }
        let group = Group {
            id: self.core.uuid(),
            name: name.to_owned(),
            policy: policy.to_owned(),
            most,
            project: call.who.project.clone(),
            user: call.who.user.clone(),
        };
        let body = self.group_body(&group, call.version.minor);
        self.groups.push(group);
        Ok(Reply::ok(json!({ "server_group": body })))
    }

    /// The group that a new server is to join.
    pub(super) fn hinted_group(&self, call: &Call<'_>, hints: &Value) -> Result<Option<String>, Reply> {
        let Some(id) = hints.get("group").and_then(Value::as_str) else {
            return Ok(None);
        };
        let known = |g: &&Group| g.id == id && g.project == call.who.project;
        if self.groups.iter().find(known).is_none() {
            let text = format!("Instance group {id} could not be found.");
            return Err(nova_error(400, text));
        }
        let limit = self.config.quota.group_members;
        if limit >= 0 && i64::try_from(self.members(id).len()).unwrap_or(i64::MAX) >= limit {
            return Err(nova_error(403, "Quota exceeded, too many servers in group"));
        }
        Ok(Some(id.to_owned()))
    }

    /// A host with room for a flavor that the server's group allows: the best by its group, then the emptiest. `but`
    /// only if it is the only one there is.
    pub(super) fn choose_host(&self, server: &Server, flavor: &Flavor, but: Option<&str>) -> Option<String> {
        let mut used: BTreeMap<String, (i64, i64)> = (1..=self.config.hosts)
            .map(|n| (format!("compute{n}"), (0, 0)))
            .collect();
        let many = used.len() > 1;
        for server in self.live() {
            if let Some(entry) = server.host.as_ref().and_then(|host| used.get_mut(host)) {
                entry.0 += server.flavor.vcpus;
                entry.1 += server.flavor.ram;
            }
        }
        let group = self.groups.iter().find(|g| server.group.as_ref() == Some(&g.id));
        let policy = group.map_or("", |g| g.policy.as_str());
        let most = group.and_then(|g| g.most).unwrap_or(1);
        let others: Vec<&str> = group
            .map(|g| self.members(&g.id))
            .unwrap_or_default()
            .into_iter()
            .filter(|s| s.id != server.id)
            .filter_map(|s| s.host.as_deref())
            .collect();
        let on =
            |host: &str| i64::try_from(others.iter().filter(|h| **h == host).count()).unwrap_or(i64::MAX);
        let allowed = |host: &str| match policy {
            "affinity" => others.is_empty() || on(host) > 0,
            "anti-affinity" => on(host) < most,
            _ => true,
        };
        let fits = |(host, (cores, ram)): &(String, (i64, i64))| {
            cores + flavor.vcpus <= self.config.host_cores
                && ram + flavor.ram <= self.config.host_memory
                && !(many && Some(host.as_str()) == but)
                && allowed(host)
        };
        let rank = |host: &str| match policy {
            "soft-affinity" => -on(host),
            "soft-anti-affinity" => on(host),
            _ => 0,
        };
        used.into_iter()
            .filter(fits)
            .min_by_key(|(host, (_, ram))| (rank(host), *ram))
            .map(|(host, _)| host)
    }
}
