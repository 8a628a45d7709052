//! Physical servers: lists, and power.

use serde_json::{Value, json};

use super::receive::{conflict, refuse};
use super::timeline::Job;
use super::world::{Machine, Trouble, World};
use crate::sim::cloud::{Answer, Ask, ListFaults, Reply};

/// The most that one call acts on.
const AT_ONCE: usize = 50;

/// The actions of a call, in the service's words.
const ACTIONS: &[(&str, Job)] = &[
    ("power on", Job::PowerOn),
    ("power off", Job::PowerOff),
    ("rebooting", Job::Reboot),
];

/// The error of a status.
pub(super) fn show_trouble(trouble: &Trouble) -> Value {
    let mut error = json!({"error_code": trouble.code, "error_msg": trouble.message});
    if let Some(kind) = trouble.kind {
        error["error_type"] = json!(kind);
    }
    error
}

/// The texts of a list in a body.
pub(super) fn texts(body: &Value, key: &str) -> Result<Vec<String>, Reply> {
    let missing = || refuse(400, "iMetal.0002", format!("Missing required parameters: {key}"));
    let list = body[key]
        .as_array()
        .filter(|l| !l.is_empty())
        .ok_or_else(missing)?;
    list.iter()
        .map(|v| v.as_str().map(str::to_owned).ok_or_else(missing))
        .collect()
}

/// A refusal of a value.
pub(super) fn unfit(what: &str) -> Reply {
    refuse(
        400,
        "iMetal.0001",
        format!("A request parameter contains invalid or unsupported value: {what}"),
    )
}

/// One page: what comes after the marker, how many there are in all, and where the next page begins.
pub(super) fn page(items: Vec<(String, Value)>, ask: &Ask, most: usize, key: &str) -> Reply {
    let count = items.len();
    let limit = ask.query("limit").and_then(|l| l.parse::<usize>().ok());
    let limit = limit.unwrap_or(most).clamp(1, most);
    let after = ask.query("marker").filter(|m| !m.is_empty());
    let from = after.and_then(|marker| items.iter().position(|(id, _)| id == marker));
    let from = from.map_or(0, |at| at + 1);
    let rest = items.get(from..).unwrap_or_default();
    let shown = &rest[..rest.len().min(limit)];
    let next = (rest.len() > limit).then(|| shown.last().map(|(id, _)| id.clone()));
    let entries: Vec<&Value> = shown.iter().map(|(_, v)| v).collect();
    Reply::ok(json!({
        key: entries, "count": count,
        "page_info": {"next_marker": next.flatten(), "previous_marker": after, "current_count": shown.len()},
    }))
}

impl World {
    /// A physical server by id.
    pub(super) fn machine(&self, id: &str) -> Result<&Machine, Reply> {
        let unknown = || {
            refuse(
                404,
                "iMetal.0100",
                format!("Physical servers ID not found: [{id}]"),
            )
        };
        self.machines.get(id).ok_or_else(unknown)
    }

    pub(super) fn show_machine(&self, m: &Machine) -> Value {
        let mut shown = json!({
            "id": m.id, "name": m.name, "project_id": super::auth::PROJECT, "domain_id": "d1",
            "manage_state": m.manage, "frozen_state": m.frozen, "power_state": if m.on { "on" } else { "off" },
            "health_state": m.health, "onboard_time": "2025-06-01T00:00:00Z",
            "location": {"dc": "dc-1", "rack": m.rack, "unit": m.unit},
            "hardware_attributes": {"sn": format!("SN-{}", m.id), "manufacturer": "Simulated", "model": "S1"},
            "tags": [],
        });
        if let Some(switching) = &m.switching {
            shown["operation_state"] = json!(switching);
        }
        if let Some(trouble) = &m.trouble {
            shown["error"] = show_trouble(trouble);
        }
        shown
    }

    pub(super) fn list_machines(&self, ask: &Ask, lists: &ListFaults) -> Answer {
        let wanted = ask.query("manage_state");
        let fit = |m: &&Machine| wanted.is_none_or(|w| w == m.manage);
        let items = lists
            .shown(self.machines.values().filter(fit))
            .map(|m| (m.id.clone(), self.show_machine(m)))
            .collect();
        Ok(page(items, ask, self.config.page_limit, "servers"))
    }

    /// `PUT /physicalservers/power-state`: all or none.
    pub(super) fn change_power(&mut self, body: &Value) -> Answer {
        let ids = texts(body, "server_id_set")?;
        let action = body["action"].as_str().unwrap_or_default();
        let job = ACTIONS
            .iter()
            .find(|(word, _)| *word == action)
            .map(|(_, job)| job.clone())
            .ok_or_else(|| unfit("action"))?;
        if ids.len() > AT_ONCE {
            return Err(unfit("server_id_set"));
        }
        for id in &ids {
            self.may_switch(id, &job)?;
        }
        for id in &ids {
            let on = self.machines.get(id).is_some_and(|m| m.on);
            // What is so already needs no work.
            if job == Job::Reboot || on != (job == Job::PowerOn) {
                let instance = self.on_machine(id).map(|i| i.id.clone());
                self.begin(instance.as_deref(), Some(id), job.clone());
            }
        }
        let taken: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        Ok(Reply::ok(json!({ "physical_servers": taken })))
    }

    fn may_switch(&self, id: &str, job: &Job) -> Result<(), Reply> {
        let machine = self.machine(id)?;
        let instance = self.on_machine(id);
        if matches!(machine.manage.as_str(), "maintain" | "offboarding" | "onboard") || machine.frozen != 0 {
            return Err(conflict(format!(
                "The state of physical server {id} does not allow this operation"
            )));
        }
        let working = machine.busy || instance.is_some_and(|i| i.busy);
        let settled = instance.is_none_or(|i| matches!(i.state.as_str(), "running" | "stopped"));
        if working || !settled || (*job == Job::Reboot && !machine.on) {
            return Err(conflict(
                "The state of the instance does not allow this operation",
            ));
        }
        Ok(())
    }
}
