//! What somebody else does, past the controller and not in the log of requests; and its menu.

use serde_json::{Value, json};

use super::UpCloudSim;
use super::errors::{Answer, Refusal};
use super::model::{Floating, Server, State};
use super::world::{Effect, World};
use crate::sim::cloud::{Ask, Reply};

pub(super) const DEEDS: &str = "POST /_sim/servers/{id or title}/{stop|start|delete|create|resize|error|maintenance|\
    repair|retitle|labels|vanish|deaf}, POST /_sim/storages/{id}/{backup|delete}, POST /_sim/hosts/{n}";

/// There is no such thing, or the service refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0}, or the service refused: {1}")]
pub struct NoSuchThing(pub String, pub String);

type Deed = Result<(), NoSuchThing>;

/// A request that nobody sees.
fn ask(body: &Value, query: &str) -> Ask {
    let bytes = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = http::Request::post(format!("http://localhost/?{query}")).body(bytes.into());
    Ask::new(request.unwrap_or_default(), String::new())
}

impl UpCloudSim {
    fn deed_to(&self, key: &str, deed: impl FnOnce(&mut World, &str) -> Answer) -> Deed {
        let mut world = self.world();
        let Some(id) = world.find(key) else {
            return Err(NoSuchThing(key.into(), "unknown".into()));
        };
        let done = deed(&mut world, &id).map(|_| ());
        done.map_err(|refusal: Refusal| NoSuchThing(key.into(), refusal.code.into()))
    }

    fn change_server(&self, key: &str, change: impl FnOnce(&mut Server)) -> Deed {
        self.deed_to(key, |world, id| {
            world.change(id, change);
            Ok(Reply::empty(204))
        })
    }

    /// Somebody pulls the plug.
    pub fn oob_stop(&self, key: &str) -> Deed {
        let body = json!({"stop_server": {"stop_type": "hard"}});
        self.deed_to(key, |world, id| world.stop(id, &ask(&body, "")))
    }

    /// Somebody starts it.
    pub fn oob_start(&self, key: &str) -> Deed {
        let body = json!({"server": {"start_type": "async"}});
        self.deed_to(key, |world, id| world.start(id, &ask(&body, "")))
    }

    /// Somebody deletes it in whatever state it is; its storages stay.
    pub fn oob_delete(&self, key: &str) -> Deed {
        self.deed_to(key, |world, id| {
            world.end(id);
            Ok(Reply::empty(204))
        })
    }

    /// Somebody adds it to a group.
    pub fn oob_join(&self, key: &str, group: &str) -> Deed {
        self.deed_to(key, |world, id| world.group_add(group, id))
    }

    /// Somebody gives it another plan; a running one has to grow.
    pub fn oob_resize(&self, key: &str, plan: &str) -> Deed {
        let body = json!({"server": {"plan": plan}});
        self.deed_to(key, |world, id| world.modify(id, &ask(&body, "")))
    }

    /// Somebody makes a server by hand; its id. The title is also the hostname.
    pub fn oob_create(&self, title: &str) -> Result<String, NoSuchThing> {
        let address = json!({"ip_address": [{"family": "IPv4"}]});
        let body = json!({"server": {
            "zone": "fi-hel1", "title": title, "hostname": title, "plan": "1xCPU-1GB", "password_delivery": "none",
            "storage_devices": {"storage_device": [{"action": "create", "size": 10, "title": title, "tier": "maxiops"}]},
            "networking": {"interfaces": {"interface": [{"type": "utility", "ip_addresses": address}]}}}});
        let made = self.world().create(&ask(&body, ""));
        let reply = made.map_err(|refusal| NoSuchThing(title.into(), refusal.code.into()))?;
        let id = reply.body.as_ref().and_then(|b| b["server"]["uuid"].as_str());
        Ok(id.unwrap_or_default().to_owned())
    }

    /// It falls into `error` and stays there until [`UpCloudSim::repair`].
    pub fn set_error(&self, key: &str) -> Deed {
        self.deed_to(key, |world, id| {
            world.forget(id);
            world.change(id, |s| {
                (s.state, s.stopping, s.creating) = (State::Error, false, false)
            });
            Ok(Reply::empty(204))
        })
    }

    /// Work of the platform on it begins, and ends after so many seconds in the state of before.
    pub fn oob_maintenance(&self, key: &str, seconds: u64) -> Deed {
        self.deed_to(key, |world, id| {
            let before = world.server(id)?.state;
            world.change(id, |s| s.state = State::Maintenance);
            world.schedule(std::time::Duration::from_secs(seconds), id, Effect::State(before));
            Ok(Reply::empty(204))
        })
    }

    /// It leaves `error` or `maintenance`: running or not.
    pub fn repair(&self, key: &str, running: bool) -> Deed {
        let state = if running { State::Started } else { State::Stopped };
        self.deed_to(key, |world, id| {
            world.forget(id);
            world.schedule(std::time::Duration::ZERO, id, Effect::State(state));
            world.carry_out_due(world.core.now);
            Ok(Reply::empty(204))
        })
    }

    /// Somebody gives it another title.
    pub fn oob_retitle(&self, key: &str, title: &str) -> Deed {
        self.change_server(key, |s| s.title = title.into())
    }

    /// Somebody takes all labels off it, ours too.
    pub fn oob_labels_off(&self, key: &str) -> Deed {
        self.change_server(key, |s| s.labels.clear())
    }

    /// Somebody puts a label on it.
    pub fn oob_label(&self, key: &str, label: &str, value: &str) -> Deed {
        self.change_server(key, |s| {
            s.labels.retain(|(k, _)| k != label);
            s.labels.push((label.into(), value.into()));
        })
    }

    /// Somebody puts a tag on it.
    pub fn oob_tag(&self, key: &str, tag: &str) -> Deed {
        self.change_server(key, |s| s.tags.push(tag.into()))
    }

    /// Its guest ignores the signal to shut down, or heeds it again.
    pub fn set_deaf(&self, key: &str, deaf: bool) -> Deed {
        self.change_server(key, |s| s.deaf = deaf)
    }

    /// It moves to this host while it runs.
    pub fn oob_move(&self, key: &str, host: u64) -> Deed {
        self.change_server(key, |s| s.host = Some(host))
    }

    /// Somebody backs a storage up; the id of the backup.
    pub fn oob_backup(&self, storage: &str) -> Result<String, NoSuchThing> {
        let made = self.world().storage_backup(storage, &Value::Null);
        let reply = made.map_err(|refusal| NoSuchThing(storage.into(), refusal.code.into()))?;
        let id = reply.body.as_ref().and_then(|b| b["storage"]["uuid"].as_str());
        Ok(id.unwrap_or_default().to_owned())
    }

    /// An empty storage of the account, in a zone; its id.
    pub fn add_storage(&self, zone: &str) -> String {
        let storage = json!({"zone": zone, "size": 10, "title": "spare", "tier": "maxiops"});
        let made = self.world().storage_create(&storage).ok();
        let body = made.and_then(|reply| reply.body).unwrap_or_default();
        body["storage"]["uuid"].as_str().unwrap_or_default().to_owned()
    }

    /// Somebody attaches a storage.
    pub fn oob_attach(&self, key: &str, storage: &str) -> Deed {
        let body = json!({"storage_device": {"type": "disk", "storage": storage}});
        self.deed_to(key, |world, id| world.attach(id, &ask(&body, "")))
    }

    /// Somebody adds an interface on this network to it, in whatever state it is; its MAC address.
    pub fn oob_interface(&self, key: &str, network: &str) -> Result<String, NoSuchThing> {
        let addresses = json!({"ip_address": [{"family": "IPv4"}]});
        let nic = json!({"interface": {"type": "private", "network": network, "ip_addresses": addresses}});
        let mut mac = String::new();
        self.deed_to(key, |world, id| {
            let as_it_was = std::mem::replace(&mut world.config.choices.hot_interfaces, true);
            let made = world.add_interface(id, &ask(&nic, ""));
            world.config.choices.hot_interfaces = as_it_was;
            let reply = made?;
            let body = reply.body.as_ref();
            mac = body
                .and_then(|b| b["interface"]["mac"].as_str())
                .unwrap_or_default()
                .to_owned();
            Ok(reply)
        })?;
        Ok(mac)
    }

    /// A floating address of the account, in a zone, that leads nowhere.
    pub fn add_floating(&self, address: &str, zone: &str) {
        let floating = Floating {
            zone: zone.to_owned(),
            mac: None,
        };
        self.world().floating.insert(address.to_owned(), floating);
    }

    /// Somebody leads a floating address to this interface.
    pub fn oob_floating(&self, address: &str, mac: &str) {
        if let Some(floating) = self.world().floating.get_mut(address) {
            floating.mac = Some(mac.to_owned());
        }
    }

    /// The MAC address of the interface that a floating address leads to.
    pub fn floating_mac(&self, address: &str) -> Option<String> {
        self.world().floating.get(address).and_then(|f| f.mac.clone())
    }

    /// The MAC addresses of a server's interfaces, each with the id of its network.
    pub fn macs(&self, key: &str) -> Vec<(String, String)> {
        let world = self.world();
        let server = world.find(key).and_then(|id| world.servers.get(&id));
        let nics = server.iter().flat_map(|s| &s.nics);
        nics.map(|n| (n.mac.clone(), n.network.clone())).collect()
    }

    /// A storage is gone, attached or not.
    pub fn oob_delete_storage(&self, storage: &str) {
        let mut world = self.world();
        world.storages.remove(storage);
        for server in world.servers.values_mut() {
            server.devices.retain(|d| d.storage != storage);
        }
    }
}

/// A deed of the menu; none if there is no such one.
pub(super) fn touch(sim: &UpCloudSim, path: &[&str], body: &Value) -> Option<Reply> {
    let text = |field: &str, or: &str| body[field].as_str().unwrap_or(or).to_owned();
    let done = match path {
        ["hosts", n] => {
            sim.set_hosts(n.parse().ok()?);
            return Some(Reply::empty(204));
        }
        ["storages", id, "backup"] => sim.oob_backup(id).map(|_| ()),
        ["storages", id, "delete"] => {
            sim.oob_delete_storage(id);
            return Some(Reply::empty(204));
        }
        ["servers", key, deed] => match *deed {
            "stop" => sim.oob_stop(key),
            "start" => sim.oob_start(key),
            "delete" | "vanish" => sim.oob_delete(key),
            "create" => sim.oob_create(key).map(|_| ()),
            "resize" => sim.oob_resize(key, &text("plan", "2xCPU-4GB")),
            "error" => sim.set_error(key),
            "maintenance" => sim.oob_maintenance(key, body["seconds"].as_u64().unwrap_or(30)),
            "repair" => sim.repair(key, body["running"].as_bool().unwrap_or(true)),
            "retitle" => sim.oob_retitle(key, &text("title", "another title")),
            "labels" => sim.oob_labels_off(key),
            "deaf" => sim.set_deaf(key, body["deaf"].as_bool().unwrap_or(true)),
            _ => return None,
        },
        _ => return None,
    };
    Some(match (done, path) {
        (Ok(()), ["servers", key, _]) => Reply::ok(json!({"server": sim.server(key)})),
        (Ok(()), _) => Reply::empty(204),
        (Err(NoSuchThing(key, why)), _) => Reply::new(409, json!({"error": why, "server": key})),
    })
}
