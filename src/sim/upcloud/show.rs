//! How things are shown: servers in lists and alone, the catalog.

use std::time::Duration;

use serde_json::{Value, json};

use super::errors::Answer;
use super::fields::fits;
use super::model::{Labels, Nic, Server, State};
use super::world::{MOST_CORES, MOST_MEMORY, NETWORKS, PLANS, World, ZONES};
use crate::sim::cloud::{Ask, ListFaults, Reply, names};

/// Labels of servers and groups; those of storages are a bare list.
pub(super) fn labels(labels: &Labels) -> Value {
    json!({"label": bare_labels(labels)})
}

/// Labels without a wrapper.
pub(super) fn bare_labels(labels: &Labels) -> Vec<Value> {
    labels
        .iter()
        .map(|(k, v)| json!({"key": k, "value": v}))
        .collect()
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// An interface, with the floating addresses that lead to it.
pub(super) fn interface(nic: &Nic, floating: &[String]) -> Value {
    let own = nic.addresses.iter().map(
        |a| json!({"address": a.address, "dhcp_provided": yes(a.dhcp), "family": a.family, "floating": "no"}),
    );
    let floating = floating
        .iter()
        .map(|a| json!({"address": a, "dhcp_provided": "no", "family": "IPv4", "floating": "yes"}));
    let addresses: Vec<Value> = own.chain(floating).collect();
    json!({
        "index": nic.index, "type": nic.kind, "network": nic.network, "mac": nic.mac,
        "bootable": yes(nic.bootable), "source_ip_filtering": yes(nic.filtering),
        "ip_addresses": {"ip_address": addresses},
    })
}

impl World {
    fn license(&self, server: &Server) -> f64 {
        let storages = server
            .devices
            .iter()
            .filter_map(|d| self.storages.get(&d.storage));
        storages.map(|s| s.license).sum()
    }

    /// What a list has of a server.
    fn item(&self, server: &Server) -> Value {
        let license = self.license(server);
        let license = if license > 0.0 { json!(license) } else { json!(0) };
        let mut body = json!({
            "core_number": server.cores.to_string(), "created": server.created.as_second(),
            "hostname": server.hostname, "labels": labels(&server.labels), "license": license,
            "memory_amount": server.memory.to_string(), "plan": server.plan, "plan_ipv4_bytes": "0",
            "plan_ipv6_bytes": "0", "server_group": self.group_of(&server.id).map(|g| g.id.clone()),
            "simple_backup": server.words.get("simple_backup"), "state": server.state.word(),
            "tags": {"tag": server.tags}, "title": server.title, "uuid": server.id, "zone": server.zone,
        });
        if let Some(host) = server
            .host
            .filter(|_| !server.creating && server.state != State::Stopped)
        {
            body["host"] = json!(host);
        }
        body
    }

    /// Everything about a server.
    pub(super) fn detail(&self, id: &str) -> Value {
        let Some(server) = self.servers.get(id) else {
            return Value::Null;
        };
        let mut body = self.item(server);
        for (name, value) in &server.words {
            body[*name] = json!(value);
        }
        if server
            .words
            .get("remote_access_enabled")
            .is_some_and(|w| w == "yes")
        {
            body["remote_access_host"] = json!(format!("{}.vnc.upcloud.com", server.zone));
            body["remote_access_port"] = json!("3000");
        }
        if let Some(progress) = server.progress {
            body["progress"] = json!(progress.to_string());
        }
        let addresses: Vec<Value> = server
            .nics
            .iter()
            .flat_map(|n| {
                n.addresses
                    .iter()
                    .map(|a| json!({"access": n.kind, "address": a.address, "family": a.family}))
            })
            .collect();
        body["ip_addresses"] = json!({"ip_address": addresses});
        let nics = server.nics.iter();
        let interfaces: Vec<Value> = nics
            .map(|nic| interface(nic, &self.floating_on(&nic.mac)))
            .collect();
        body["networking"] = json!({"interfaces": {"interface": interfaces}});
        body["storage_devices"] = json!({"storage_device": self.devices(server)});
        body["devices"] = json!({"device": []});
        json!({"server": body})
    }

    fn devices(&self, server: &Server) -> Vec<Value> {
        let device = |d: &super::model::Device| {
            let storage = self.storages.get(&d.storage)?;
            let mut body = json!({
                "address": d.address, "boot_disk": if d.boot { "1" } else { "0" }, "labels": bare_labels(&storage.labels),
                "storage": d.storage, "storage_encrypted": "no", "storage_size": storage.size,
                "storage_tier": storage.tier, "storage_title": storage.title,
                "type": if d.cdrom { "cdrom" } else { "disk" },
            });
            if server.plan != "custom" && !d.cdrom {
                body["part_of_plan"] = json!(yes(d.part_of_plan));
            }
            Some(body)
        };
        server.devices.iter().filter_map(device).collect()
    }

    /// `GET /server`.
    pub(super) fn list(&self, ask: &Ask, faults: &ListFaults) -> Answer {
        let lag = faults.lag.unwrap_or(Duration::ZERO);
        let then = self.core.now.checked_sub(lag).unwrap_or(self.core.start);
        let seen = |s: &&Server| {
            let there = s.created_at <= then && s.gone_at.is_none_or(|gone| gone > then);
            let hidden = faults
                .hidden
                .iter()
                .chain(&faults.down)
                .any(|p| names(p, &s.id, &s.title));
            there && !hidden && fits(&s.labels, &ask.query)
        };
        let mut servers: Vec<&Server> = self.servers.values().filter(seen).collect();
        servers.sort_by_key(|s| s.seq);
        let mut servers: Vec<Value> = faults.shown(servers.into_iter()).map(|s| self.item(s)).collect();
        let Some(most) = self.config.choices.page_limit else {
            return Ok(Reply::ok(json!({"servers": {"server": servers}})));
        };
        let asked = |name: &str| ask.query(name).and_then(|n| n.parse::<usize>().ok());
        let total = servers.len();
        servers.drain(..asked("offset").unwrap_or(0).min(total));
        servers.truncate(asked("limit").unwrap_or(most).min(most));
        let reply = Reply::ok(json!({"servers": {"server": servers}}));
        Ok(reply.with("Upcloud-Total-Count", total.to_string()))
    }

    pub(super) fn account(&self) -> Value {
        let limits = self.config.limits;
        json!({"account": {
            "credits": if limits.no_credits { 0.0 } else { 10_000.5 }, "username": super::config::USER,
            "resource_limits": {
                "cores": limits.cores.unwrap_or(1000), "memory": limits.memory.unwrap_or(4_194_304),
                "public_ipv4": limits.addresses.unwrap_or(1000), "public_ipv6": limits.addresses.unwrap_or(1000),
                "storage_hdd": limits.hdd.unwrap_or(102_400), "storage_maxiops": limits.maxiops.unwrap_or(102_400),
                "storage_ssd": 102_400, "networks": 100, "detached_floating_ips": 10, "network_peerings": 10,
            },
        }})
    }
}

/// `GET /plan`: numbers.
pub(super) fn plans() -> Value {
    let plan = |&(name, cores, memory, size): &(&str, u64, u64, u64)| {
        json!({"name": name, "core_number": cores, "memory_amount": memory, "storage_size": size,
               "storage_tier": "maxiops", "public_traffic_out": 1024})
    };
    json!({"plans": {"plan": PLANS.iter().map(plan).collect::<Vec<_>>()}})
}

/// `GET /server_size`: strings.
pub(super) fn sizes() -> Value {
    let sizes: Vec<Value> = (1..=MOST_CORES)
        .flat_map(|cores| {
            (1..=MOST_MEMORY / 1024)
                .map(move |gib| json!({"core_number": cores.to_string(), "memory_amount": (gib * 1024).to_string()}))
        })
        .collect();
    json!({"server_sizes": {"server_size": sizes}})
}

/// `GET /zone`.
pub(super) fn zones() -> Value {
    let zone =
        |(id, description): &(&str, &str)| json!({"id": id, "description": description, "public": "yes"});
    json!({"zones": {"zone": ZONES.iter().map(zone).collect::<Vec<_>>()}})
}

/// `GET /network`.
pub(super) fn networks() -> Value {
    let network = |&(id, name, kind, zone, prefix): &(&str, &str, &str, &str, &str)| {
        json!({"uuid": id, "name": name, "type": kind, "zone": zone, "labels": [],
               "ip_networks": {"ip_network": [{"address": format!("{prefix}.0/24"), "dhcp": "yes", "family": "IPv4"}]}})
    };
    json!({"networks": {"network": NETWORKS.iter().map(network).collect::<Vec<_>>()}})
}
