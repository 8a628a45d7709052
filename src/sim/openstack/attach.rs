//! Interfaces and volumes that come to a server and leave it after it was made.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::actions::{check_lock, wrong_state};
use super::nova::Call;
use super::server::{Nic, Server, Vm};
use super::timeline::{Effect, Track};
use super::wire::nova_error;
use super::world::{Network, World};
use super::{NoSuchServer, OpenStackSim};
use crate::sim::cloud::{Answer, Reply};

/// Where Nova changes interfaces (`nova/compute/api.py` `attach_interface`, `detach_interface`), and volumes
/// (`attach_volume`, `detach_volume`).
const INTERFACES: &[Vm] = &[Vm::Active, Vm::Paused, Vm::Stopped];
const VOLUMES: &[Vm] = &[
    Vm::Active,
    Vm::Paused,
    Vm::Stopped,
    Vm::Resized,
    Vm::SoftDeleted,
    Vm::Shelved,
    Vm::ShelvedOffloaded,
];

fn check(server: &Server, call: &Call<'_>, name: &str, from: &[Vm]) -> Result<(), Reply> {
    check_lock(server, call.who)?;
    if !from.contains(&server.vm) {
        return Err(wrong_state(server, name, "vm_state", server.vm.word()));
    }
    match server.task {
        Some(task) => Err(wrong_state(server, name, "task_state", task)),
        None => Ok(()),
    }
}

fn body(nic: &Nic) -> Value {
    json!({"port_id": nic.port, "net_id": nic.network_id, "mac_addr": nic.mac, "port_state": "ACTIVE",
        "fixed_ips": [{"ip_address": nic.address, "subnet_id": nic.network_id}]})
}

impl World {
    /// A port on a network.
    pub(super) fn new_nic(&mut self, network: Network, address: Option<&str>) -> Nic {
        let n = self.core.number();
        let (a, b) = ((n / 250) % 250, n % 250 + 2);
        let free = format!("{}.{a}.{b}", network.prefix);
        Nic {
            network_id: network.id,
            network: network.name,
            address: address.map_or(free, str::to_owned),
            mac: format!(
                "fa:16:3e:{:02x}:{:02x}:{:02x}",
                (n >> 16) & 255,
                (n >> 8) & 255,
                n & 255
            ),
            port: self.core.uuid(),
            groups: BTreeSet::from(["default".to_owned()]),
        }
    }

    fn the(&mut self, id: &str) -> Result<&mut Server, Reply> {
        let found = self.servers.get_mut(id);
        found.ok_or_else(|| nova_error(404, format!("Instance {id} could not be found.")))
    }

    /// `os-interface`.
    pub(super) fn interfaces(&mut self, call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
        match (&call.ask.method, rest) {
            (&Method::GET, []) => {
                let all: Vec<Value> = self.the(id)?.nics.iter().map(body).collect();
                Ok(Reply::ok(json!({ "interfaceAttachments": all })))
            }
            (&Method::POST, []) => self.attach_interface(call, id),
            (&Method::DELETE, [port]) => {
                let server = self.the(id)?;
                check(server, call, "detach_interface", INTERFACES)?;
                let gone = Effect::Detach((*port).to_owned());
                self.later(call, id, "detach_interface", gone);
                Ok(Reply::empty(202))
            }
            _ => Err(nova_error(405, "The method is not allowed for this resource.")),
        }
    }

    fn attach_interface(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let wanted = &call.ask.json()["interfaceAttachment"];
        let address = wanted["fixed_ips"][0]["ip_address"].as_str();
        check(self.the(id)?, call, "attach_interface", INTERFACES)?;
        let nic = if let Some(port) = wanted["port_id"].as_str() {
            if self.live().any(|s| s.nics.iter().any(|n| n.port == port)) {
                return Err(nova_error(400, format!("Port {port} is still in use.")));
            }
            let at = self.free_ports.iter().position(|n| n.port == port);
            let at = at.ok_or_else(|| nova_error(404, format!("Port id {port} could not be found.")))?;
            self.free_ports.remove(at)
        } else {
            let wanted = wanted["net_id"].as_str().unwrap_or_default();
            let own = |n: &&Network| n.id == wanted && (n.project == call.who.project || call.who.admin);
            let network = self.networks.iter().find(own).cloned();
            let text = || nova_error(400, format!("Network {wanted} could not be found."));
            let network = network.ok_or_else(text)?;
            let taken = |n: &Nic| n.network_id == network.id && Some(n.address.as_str()) == address;
            if let Some(address) = address
                && self.live().any(|s| s.nics.iter().any(taken))
            {
                let text = format!("Fixed IP address {address} is already in use on instance {id}.");
                return Err(nova_error(400, text));
            }
            let nic = self.new_nic(network, address);
            self.made_ports.insert(nic.port.clone());
            nic
        };
        let reply = json!({ "interfaceAttachment": body(&nic) });
        self.the(id)?.nics.push(nic);
        self.record(id, "attach_interface", call.who, &call.ask.id);
        Track::new(self, id, &call.ask.id).hop().done();
        Ok(Reply::ok(reply))
    }

    fn later(&mut self, call: &Call<'_>, id: &str, name: &'static str, effect: Effect) {
        self.record(id, name, call.who, &call.ask.id);
        Track::new(self, id, &call.ask.id).hop().hop().step(effect).done();
    }

    /// A port has left its server; one that Nova made is deleted.
    pub(super) fn free(&mut self, nic: Nic) {
        for (_, _, port) in self.floating.iter_mut().flatten() {
            if port.as_ref() == Some(&nic.port) {
                *port = None;
            }
        }
        if !self.made_ports.remove(&nic.port) {
            self.free_ports.push(nic);
        }
    }

    /// `os-volume_attachments`.
    pub(super) fn volumes(&mut self, call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
        let shown = |volume: &String| {
            json!({"id": volume, "volumeId": volume, "serverId": id, "device": "/dev/vdb",
                "delete_on_termination": false, "tag": null})
        };
        let unknown = |volume: &str| nova_error(404, format!("Volume {volume} could not be found."));
        match (&call.ask.method, rest) {
            (&Method::GET, []) => {
                let all: Vec<Value> = self.the(id)?.volumes.iter().map(shown).collect();
                Ok(Reply::ok(json!({ "volumeAttachments": all })))
            }
            (&Method::POST, []) => {
                let body = call.ask.json();
                let volume = body["volumeAttachment"]["volumeId"].as_str().unwrap_or_default();
                check(self.the(id)?, call, "attach_volume", VOLUMES)?;
                if !self.cinder.contains(volume) {
                    return Err(unknown(volume));
                }
                if self.live().any(|s| s.volumes.contains(volume)) {
                    let text = format!(
                        "Invalid volume: volume {volume} status must be available or downloading to reserve, but the \
                         current status is in-use."
                    );
                    return Err(nova_error(400, text));
                }
                let volume = volume.to_owned();
                self.later(call, id, "attach_volume", Effect::Attach(volume.clone()));
                Ok(Reply::ok(json!({ "volumeAttachment": shown(&volume) })))
            }
            (&Method::DELETE, [volume]) => {
                let server = self.the(id)?;
                check(server, call, "detach_volume", VOLUMES)?;
                if !server.volumes.contains(*volume) {
                    let text = format!("Instance {id} is not attached to volume {volume}.");
                    return Err(nova_error(404, text));
                }
                let gone = Effect::DetachVolume((*volume).to_owned());
                self.later(call, id, "detach_volume", gone);
                Ok(Reply::empty(202))
            }
            _ => Err(nova_error(405, "The method is not allowed for this resource.")),
        }
    }

    /// The volumes that a new server asks for beside its root disk.
    pub(super) fn wanted_volumes(&self, wanted: Option<&Value>) -> Result<Vec<String>, Reply> {
        let all = wanted.and_then(Value::as_array).into_iter().flatten();
        all.filter(|m| m["source_type"] == "volume")
            .map(|m| {
                let id = m["uuid"].as_str().unwrap_or_default();
                let free = self.cinder.contains(id) && !self.live().any(|s| s.volumes.contains(id));
                let text = format!("Block Device Mapping is Invalid: failed to get volume {id}.");
                free.then(|| id.to_owned()).ok_or_else(|| nova_error(400, text))
            })
            .collect()
    }
}

impl OpenStackSim {
    /// Somebody makes a network in the project `demo`; its id.
    pub fn add_network(&self, name: &str) -> String {
        let mut world = self.world();
        let id = world.core.uuid();
        let project = world.accounts.project_id("demo");
        world.networks.push(Network {
            id: id.clone(),
            name: name.to_owned(),
            project,
            prefix: "10.2",
        });
        id
    }

    /// Somebody makes a port on a network; its id.
    pub fn add_port(&self, network: &str) -> Option<String> {
        let mut world = self.world();
        let network = world.networks.iter().find(|n| n.name == network).cloned()?;
        let nic = world.new_nic(network, None);
        let id = nic.port.clone();
        world.free_ports.push(nic);
        Some(id)
    }

    /// Somebody allocates a floating address; from then on there is an L3 service.
    pub fn add_floating(&self, address: &str) {
        let mut world = self.world();
        let id = world.core.uuid();
        let all = world.floating.get_or_insert_default();
        all.push((id, address.to_owned(), None));
    }

    /// The port that has a floating address.
    pub fn floating_port(&self, address: &str) -> Option<String> {
        let world = self.world();
        let mut all = world.floating.iter().flatten();
        all.find(|(_, known, _)| known == address)?.2.clone()
    }

    /// Somebody puts a floating address on a port.
    pub fn oob_floating(&self, address: &str, port: &str) {
        let mut world = self.world();
        for (_, known, at) in world.floating.iter_mut().flatten() {
            if known == address {
                *at = Some(port.to_owned());
            }
        }
    }

    /// Somebody makes a volume; its id.
    pub fn add_volume(&self) -> String {
        let mut world = self.world();
        let id = world.core.uuid();
        world.cinder.insert(id.clone());
        id
    }

    /// Somebody attaches an interface on a network to a server; its port.
    ///
    /// # Errors
    /// There is no such server, or no such network.
    pub fn oob_attach(&self, key: &str, network: &str) -> Result<String, NoSuchServer> {
        let mut world = self.world();
        let none = || NoSuchServer(key.to_owned(), format!("or no network {network}"));
        let found = world.networks.iter().find(|n| n.name == network).cloned();
        let nic = world.new_nic(found.ok_or_else(none)?, None);
        let id = world.find(key).ok_or_else(none)?;
        let port = nic.port.clone();
        world.made_ports.insert(port.clone());
        world.the(&id).map_err(|_| none())?.nics.push(nic);
        Ok(port)
    }

    /// Somebody detaches a port, whatever server has it.
    pub fn oob_detach(&self, port: &str) {
        let mut world = self.world();
        for server in world.servers.values_mut() {
            server.nics.retain(|n| n.port != port);
        }
    }

    /// Somebody attaches a volume to a server.
    ///
    /// # Errors
    /// There is no such server.
    pub fn oob_attach_volume(&self, key: &str, volume: &str) -> Result<(), NoSuchServer> {
        let mut world = self.world();
        let none = || NoSuchServer(key.to_owned(), "unknown".to_owned());
        let id = world.find(key).ok_or_else(none)?;
        world
            .the(&id)
            .map_err(|_| none())?
            .volumes
            .insert(volume.to_owned());
        Ok(())
    }
}
