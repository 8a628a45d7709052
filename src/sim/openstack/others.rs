//! Glance and Neutron, as far as a server needs them.

use serde_json::{Value, json};

use super::keystone::Who;
use super::server::Server;
use super::wire::unauthorized;
use super::world::{Image, Network, World};
use crate::sim::cloud::{Answer, Ask, Reply};

impl World {
    fn asker(&self, ask: &Ask) -> Result<Who, Reply> {
        let token = ask.header("x-auth-token").unwrap_or_default();
        self.accounts
            .who(token, self.core.now)
            .ok_or_else(|| unauthorized(&ask.base))
    }

    /// Everything below `/image`.
    pub(super) fn glance(&self, ask: &Ask, path: &[&str]) -> Answer {
        if path.is_empty() {
            let href = format!("{}/image/v2/", ask.base);
            let version =
                json!({"id": "v2.16", "status": "CURRENT", "links": [{"rel": "self", "href": href}]});
            return Ok(Reply::new(300, json!({"versions": [version]})));
        }
        let who = self.asker(ask)?;
        let seen = |i: &&Image| i.project.as_ref().is_none_or(|p| *p == who.project);
        match (ask.method.as_str(), path) {
            ("GET", ["v2", "images"]) => {
                let ids = ask
                    .query("id")
                    .map(|ids| ids.strip_prefix("in:").unwrap_or(ids).to_owned());
                let wanted = |i: &&Image| {
                    ask.query("name").is_none_or(|n| n == i.name)
                        && ids.as_ref().is_none_or(|ids| ids.split(',').any(|id| id == i.id))
                };
                let mut images: Vec<&Image> = self.images.iter().filter(seen).filter(wanted).collect();
                if let Some(marker) = ask.query("marker") {
                    let at = images
                        .iter()
                        .position(|i| i.id == marker)
                        .map_or(images.len(), |at| at + 1);
                    images.drain(..at);
                }
                let bodies: Vec<Value> = images.into_iter().map(image_body).collect();
                Ok(Reply::ok(
                    json!({"images": bodies, "first": "/v2/images", "schema": "/v2/schemas/images"}),
                ))
            }
            ("GET", ["v2", "images", id]) => match self.images.iter().filter(seen).find(|i| i.id == *id) {
                Some(image) => Ok(Reply::ok(image_body(image))),
                None => Err(Reply::new(
                    404,
                    json!({"message": format!("No image found with ID {id}"),
                                                   "code": "404 Not Found", "title": "Not Found"}),
                )),
            },
            _ => Err(Reply::new(
                404,
                json!({"message": "The resource could not be found.",
                                            "code": "404 Not Found", "title": "Not Found"}),
            )),
        }
    }

    /// Everything below `/network`.
    pub(super) fn neutron(&mut self, ask: &Ask, path: &[&str]) -> Answer {
        if path.is_empty() {
            let href = format!("{}/network/v2.0/", ask.base);
            let version =
                json!({"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]});
            return Ok(Reply::ok(json!({"versions": [version]})));
        }
        let who = self.asker(ask)?;
        let own = |n: &&Network| n.project == who.project || who.admin;
        let wanted = |n: &&Network| {
            ask.query("name").is_none_or(|name| n.name == name) && ask.query("id").is_none_or(|id| n.id == id)
        };
        let missing = |kind: &str, text: String| {
            Reply::new(
                404,
                json!({"NeutronError": {"type": kind, "message": text, "detail": ""}}),
            )
        };
        match (ask.method.as_str(), path) {
            ("GET", ["v2.0", "networks"]) => {
                let bodies: Vec<Value> = self
                    .networks
                    .iter()
                    .filter(own)
                    .filter(wanted)
                    .map(network_body)
                    .collect();
                Ok(Reply::ok(json!({"networks": bodies})))
            }
            ("GET", ["v2.0", "networks", id]) => match self.networks.iter().filter(own).find(|n| n.id == *id)
            {
                Some(network) => Ok(Reply::ok(json!({"network": network_body(network)}))),
                None => Err(missing(
                    "NetworkNotFound",
                    format!("Network {id} could not be found."),
                )),
            },
            ("GET", ["v2.0", "ports"]) => {
                let device = ask.query("device_id");
                let mine =
                    |s: &&Server| (s.project == who.project || who.admin) && device.is_none_or(|d| d == s.id);
                let bodies: Vec<Value> = self.live().filter(mine).flat_map(ports).collect();
                Ok(Reply::ok(json!({"ports": bodies})))
            }
            ("PUT", ["v2.0", "ports", id]) => {
                let groups = ask.json()["port"]["security_groups"].clone();
                self.regroup(id, &groups).ok_or_else(|| {
                    missing(
                        "PortNotFound",
                        format!("Port {id}, or one of the groups, could not be found."),
                    )
                })
            }
            ("GET", ["v2.0", "security-groups"]) => {
                let all = self.security_groups.iter();
                let all = all.filter(|(_, name)| ask.query("name").is_none_or(|wanted| wanted == name));
                let all: Vec<Value> = all.map(|(id, name)| json!({"id": id, "name": name})).collect();
                Ok(Reply::ok(json!({ "security_groups": all })))
            }
            ("GET", ["v2.0", "floatingips"]) if self.floating.is_some() => {
                let all = self.floating.iter().flatten();
                let wanted = ask.query("floating_ip_address");
                let all = all.filter(|(_, address, _)| wanted.is_none_or(|w| w == address));
                let all: Vec<Value> = all.map(floating_body).collect();
                Ok(Reply::ok(json!({ "floatingips": all })))
            }
            ("PUT", ["v2.0", "floatingips", id]) if self.floating.is_some() => {
                let port = ask.json()["floatingip"]["port_id"].as_str().map(str::to_owned);
                let mut all = self.floating.iter_mut().flatten();
                let text = || {
                    missing(
                        "FloatingIPNotFound",
                        format!("Floating IP {id} could not be found"),
                    )
                };
                let found = all.find(|(known, ..)| known == id).ok_or_else(text)?;
                found.2 = port;
                Ok(Reply::ok(json!({"floatingip": floating_body(found)})))
            }
            ("POST", ["v2.0", "networks"]) => {
                let name = ask.json()["network"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let network = Network {
                    id: self.core.uuid(),
                    name,
                    project: who.project,
                    prefix: "10.2",
                };
                let body = network_body(&network);
                self.networks.push(network);
                Ok(Reply::new(201, json!({ "network": body })))
            }
            ("POST", ["v2.0", "subnets"]) => Ok(Reply::new(
                201,
                json!({"subnet": {"id": self.core.uuid(), "network_id": ask.json()["subnet"]["network_id"]}}),
            )),
            ("DELETE", ["v2.0", "networks", id]) => {
                if self.live().any(|s| s.nics.iter().any(|n| n.network_id == *id)) {
                    let text = format!(
                        "Unable to complete operation on network {id}. There are one or more ports still in use on the network."
                    );
                    return Err(Reply::new(
                        409,
                        json!({"NeutronError": {"type": "NetworkInUse", "message": text, "detail": ""}}),
                    ));
                }
                self.networks.retain(|n| n.id != *id);
                Ok(Reply::empty(204))
            }
            ("POST", ["v2.0", "security-groups"]) => {
                let name = ask.json()["security_group"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let id = self.core.uuid();
                self.security_groups.push((id.clone(), name.clone()));
                Ok(Reply::new(
                    201,
                    json!({"security_group": {"id": id, "name": name}}),
                ))
            }
            ("DELETE", ["v2.0", "security-groups", id]) => {
                let name = self.security_group(id).unwrap_or_default();
                if self.live().any(|s| s.groups().contains(&name)) {
                    let text = format!("Security Group {id} in use.");
                    return Err(Reply::new(
                        409,
                        json!({"NeutronError": {"type": "SecurityGroupInUse", "message": text, "detail": ""}}),
                    ));
                }
                self.security_groups.retain(|(known, _)| known != id);
                Ok(Reply::empty(204))
            }
            ("GET", ["v2.0", "extensions"]) => Ok(Reply::ok(json!({"extensions": []}))),
            _ => Err(missing("HTTPNotFound", "The resource could not be found.".into())),
        }
    }
}

impl World {
    /// A port is put into these groups, and into no other.
    fn regroup(&mut self, port: &str, groups: &Value) -> Option<Reply> {
        let ids = groups.as_array()?.iter().filter_map(Value::as_str);
        let names: Option<_> = ids.map(|id| self.security_group(id)).collect();
        let names = names?;
        let mut nics = self.servers.values_mut().flat_map(|s| &mut s.nics);
        let nic = nics.find(|n| n.port == port)?;
        nic.groups = names;
        Some(Reply::ok(
            json!({"port": {"id": port, "security_groups": groups}}),
        ))
    }
}

fn ports(server: &Server) -> Vec<Value> {
    let body = |nic: &super::server::Nic| {
        json!({"id": nic.port, "device_id": server.id, "network_id": nic.network_id, "mac_address": nic.mac,
               "status": "ACTIVE", "fixed_ips": [{"ip_address": nic.address}]})
    };
    server.nics.iter().map(body).collect()
}

fn floating_body((id, address, port): &(String, String, Option<String>)) -> Value {
    json!({"id": id, "floating_ip_address": address, "port_id": port, "status": if port.is_some() { "ACTIVE" } else { "DOWN" }})
}

fn image_body(image: &Image) -> Value {
    json!({
        "id": image.id, "name": image.name, "status": image.status, "owner": image.project, "tags": [],
        "visibility": if image.project.is_none() { "public" } else { "private" },
        "size": 65536, "min_disk": image.min_disk, "min_ram": 0, "disk_format": "raw", "container_format": "bare",
        "protected": false, "self": format!("/v2/images/{}", image.id), "schema": "/v2/schemas/image",
    })
}

fn network_body(network: &Network) -> Value {
    json!({
        "id": network.id, "name": network.name, "project_id": network.project, "tenant_id": network.project,
        "status": "ACTIVE", "admin_state_up": true, "shared": false, "router:external": false, "subnets": [],
    })
}
