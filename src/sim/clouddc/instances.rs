//! Instances: lists, and what can be done to those that exist.

use serde_json::{Value, json};

use super::create::{nics, strong};
use super::machines::{page, show_trouble, texts, unfit};
use super::receive::{conflict, refuse};
use super::timeline::Job;
use super::world::{IMAGES, Instance, World};
use crate::sim::cloud::{Answer, Ask, ListFaults, Reply, names};

/// The most that a reinstallation or a deletion acts on.
const REINSTALLED: usize = 10;
const DELETED: usize = 50;

/// The operations after whose failure the provisioning of an instance may be tried again.
const PROVISIONING: &[&str] = &["install-failed", "reinstall-failed", "switch-install-failed"];

fn taken(ids: &[String]) -> Value {
    let list: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    json!({ "instances": list })
}

impl World {
    fn show(&self, i: &Instance) -> Value {
        let nics: Vec<Value> = i
            .nics
            .iter()
            .map(|(subnet, address)| json!({"subnet_id": subnet, "ipv4_address": address}))
            .collect();
        let mut shown = json!({
            "id": i.id, "name": i.name, "vpc_id": i.vpc, "network_interfaces": nics, "tags": [],
            "image": {"id": i.image, "name": i.image.trim_start_matches("image-"), "os_type": "Linux"},
            "description": i.description, "state": i.state, "metadata": i.metadata, "user_data": "",
            "server_id": i.machine, "created_at": i.created.to_string(), "updated_at": i.updated.to_string(),
            "launched_at": i.launched.map(|t| t.to_string()),
        });
        self.show_work(i, &mut shown);
        shown
    }

    fn show_work(&self, i: &Instance, shown: &mut Value) {
        if let Some(operation) = i.operation.as_ref().filter(|_| self.config.quirks.operations) {
            shown["operation_state"] = json!(operation);
        }
        if let Some(trouble) = &i.trouble {
            shown["error"] = show_trouble(trouble);
        }
    }

    pub(super) fn list_instances(&self, ask: &Ask, lists: &ListFaults) -> Answer {
        let csv = |key: &str| {
            ask.query(key)
                .map(|t| t.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let (ids, servers) = (csv("instance_id"), csv("server_id"));
        if ids.is_some() && servers.is_some() {
            return Err(unfit("instance_id and server_id cannot be used together"));
        }
        if [&ids, &servers].into_iter().flatten().any(|l| l.len() > 100) {
            return Err(unfit("instance_id"));
        }
        if ask.query("limit").is_some_and(|l| l.parse::<u32>().is_err()) {
            return Err(unfit("limit"));
        }
        let as_of = lists.lag.and_then(|age| self.core.now.checked_sub(age));
        let hidden = |i: &Instance| lists.hidden.iter().any(|p| names(p, &i.id, &i.name));
        let mut shown: Vec<&Instance> = self
            .instances
            .values()
            .filter(|i| ids.as_ref().is_none_or(|l| l.contains(&i.id)))
            .filter(|i| {
                let on = i.machine.as_ref();
                servers.as_ref().is_none_or(|l| on.is_some_and(|m| l.contains(m)))
            })
            .filter(|i| ask.query("instance_state").is_none_or(|s| s == i.state))
            .filter(|i| as_of.is_none_or(|t| i.created_at <= t) && !hidden(i))
            .collect();
        shown.sort_by_key(|i| i.seq);
        let items = lists
            .shown(shown.into_iter())
            .map(|i| (i.id.clone(), self.show(i)))
            .collect();
        Ok(page(items, ask, self.config.page_limit, "instances"))
    }

    pub(super) fn status(&self, id: &str) -> Answer {
        let instance = self.instances.get(id).ok_or_else(|| unknown(id))?;
        let mut shown = json!({"state": instance.state});
        self.show_work(instance, &mut shown);
        Ok(Reply::ok(shown))
    }

    /// An instance that exists and is not being worked on.
    fn idle(&self, id: &str) -> Result<&Instance, Reply> {
        let instance = self.instances.get(id).filter(|i| i.ended.is_none());
        let instance = instance.ok_or_else(|| unknown(id))?;
        let machine = instance.machine.as_ref().and_then(|m| self.machines.get(m));
        if instance.busy || machine.is_some_and(|m| m.busy) {
            return Err(conflict(format!("Instance {id} has an operation in progress")));
        }
        Ok(instance)
    }

    fn in_error(&self, instance: &Instance) -> bool {
        instance.state == self.config.quirks.error_word
    }

    fn may(&self, instance: &Instance, allowed: bool) -> Result<(), Reply> {
        if allowed {
            return Ok(());
        }
        Err(conflict(format!(
            "The state {} of instance {} does not allow this operation",
            instance.state, instance.id
        )))
    }

    /// `DELETE /instances/{id}`.
    pub(super) fn delete(&mut self, id: &str) -> Result<(), Reply> {
        self.may_delete(id)?;
        self.start_delete(id);
        Ok(())
    }

    fn may_delete(&self, id: &str) -> Result<(), Reply> {
        let pending = self
            .instances
            .get(id)
            .filter(|i| i.ended.is_none() && i.state == "pending");
        let instance = match pending {
            Some(pending) => pending,
            None => self.idle(id)?,
        };
        let settled = match instance.state.as_str() {
            "pending" | "stopped" => true,
            "running" => self.config.quirks.delete_running,
            _ => self.in_error(instance),
        };
        self.may(instance, settled)
    }

    /// Somebody deletes it; whatever was under way is given up.
    pub(super) fn start_delete(&mut self, id: &str) {
        self.give_up(id);
        let machine = self.instances.get(id).and_then(|i| i.machine.clone());
        self.begin(Some(id), machine.as_deref(), Job::Delete);
    }

    /// `POST /instances/batch-delete`: all or none.
    pub(super) fn delete_several(&mut self, body: &Value) -> Answer {
        let ids = texts(body, "instance_id_set")?;
        if ids.len() > DELETED {
            return Err(unfit("instance_id_set"));
        }
        for id in &ids {
            self.may_delete(id)?;
        }
        ids.iter().for_each(|id| self.start_delete(id));
        Ok(Reply::new(202, taken(&ids)))
    }

    /// `PUT /instances/reinstall`: all or none.
    pub(super) fn reinstall(&mut self, body: &Value) -> Answer {
        let ids = texts(body, "instance_id_set")?;
        if ids.len() > REINSTALLED {
            return Err(unfit("instance_id_set"));
        }
        let password = strong(body, "password")?;
        let image = match &body["image_id"] {
            Value::Null => None,
            Value::String(id) if IMAGES.contains(&id.as_str()) => Some(id.clone()),
            _ => return Err(unfit("image_id")),
        };
        for id in &ids {
            let instance = self.idle(id)?;
            let operation = instance.operation.as_deref().unwrap_or_default();
            let again = self.in_error(instance) && PROVISIONING.contains(&operation);
            let fits = again || self.config.quirks.reinstall.takes(&instance.state);
            self.may(instance, fits && instance.machine.is_some())?;
        }
        for id in &ids {
            let Some(instance) = self.instances.get(id) else {
                continue;
            };
            let machine = instance.machine.clone();
            let job = Job::Reinstall {
                image: image.clone().unwrap_or_else(|| instance.image.clone()),
                password: password.clone(),
            };
            self.begin(Some(id), machine.as_deref(), job);
        }
        Ok(Reply::ok(taken(&ids)))
    }

    /// `PUT /instances/password`: at once, all or none.
    pub(super) fn change_password(&mut self, body: &Value) -> Answer {
        let ids = texts(body, "instance_id_set")?;
        // Weak ones are taken here without a word.
        let password = body["new_password"]
            .as_str()
            .ok_or_else(|| unfit("new_password"))?;
        for id in &ids {
            let instance = self.idle(id)?;
            self.may(instance, self.config.quirks.password.takes(&instance.state))?;
        }
        for id in &ids {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.password = password.to_owned();
            }
        }
        Ok(Reply::ok(taken(&ids)))
    }

    /// `PUT /instances/{id}/ip`.
    pub(super) fn modify_ip(&mut self, id: &str, body: &Value) -> Answer {
        let instance = self.idle(id)?;
        let machine = instance.machine.clone();
        self.may(instance, self.config.quirks.modify_ip.takes(&instance.state))?;
        let nics = nics(self, body, "nics", "ip_address")?;
        self.begin(Some(id), machine.as_deref(), Job::ModifyIp(nics));
        Ok(Reply::empty(200))
    }
}

fn unknown(id: &str) -> Reply {
    refuse(404, "iMetal.0200", format!("Instance {id} not found"))
}
