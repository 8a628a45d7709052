//! One server as Nova shows it, and lists of them.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha224};

use super::nova::{Call, Microversion, micros, seconds};
use super::server::{Server, Vm, is_status};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::names;
use crate::sim::cloud::{Answer, Reply, encode};

/// The minor version that first shows a field. Below it a member does not get it.
const SINCE: &[(u16, &str)] = &[
    (9, "locked"),
    (19, "description"),
    (26, "tags"),
    (63, "trusted_image_certificates"),
    (71, "server_groups"),
    (73, "locked_reason"),
    (90, "OS-EXT-SRV-ATTR:hostname"),
    (96, "pinned_availability_zone"),
    (100, "scheduler_hints"),
];

/// The statuses with a progress.
const PROGRESS: &[&str] = &[
    "ACTIVE",
    "BUILD",
    "REBUILD",
    "RESIZE",
    "VERIFY_RESIZE",
    "MIGRATING",
];

/// What a list can be asked for; anything else is refused from 2.75 on.
const FILTERS: &[&str] = &[
    "all_tenants",
    "availability_zone",
    "changes-before",
    "changes-since",
    "config_drive",
    "created_at",
    "deleted",
    "description",
    "flavor",
    "host",
    "hostname",
    "image",
    "ip",
    "ip6",
    "key_name",
    "limit",
    "locked",
    "marker",
    "name",
    "not-tags",
    "not-tags-any",
    "power_state",
    "project_id",
    "reservation_id",
    "sort_dir",
    "sort_key",
    "status",
    "tags",
    "tags-any",
    "task_state",
    "tenant_id",
    "user_id",
    "uuid",
    "vm_state",
];

impl World {
    /// A server's body; `single` when it is asked for by id.
    pub(super) fn show(
        &self,
        s: &Server,
        version: Microversion,
        admin: bool,
        single: bool,
        base: &str,
    ) -> Value {
        let status = s.status();
        let link = |path: &str| {
            json!({"rel": if path.is_empty() { "bookmark" } else { "self" },
                                       "href": format!("{base}/compute{path}/servers/{}", s.id)})
        };
        let mut addresses = Map::new();
        for nic in &s.nics {
            let entry = addresses.entry(nic.network.clone()).or_insert_with(|| json!([]));
            if let Some(list) = entry.as_array_mut() {
                list.push(
                    json!({"addr": nic.address, "version": 4, "OS-EXT-IPS:type": "fixed",
                                 "OS-EXT-IPS-MAC:mac_addr": nic.mac}),
                );
                let floating = self.floating.iter().flatten();
                let floating = floating.filter(|(_, _, port)| port.as_ref() == Some(&nic.port));
                list.extend(floating.map(|(_, address, _)| {
                    json!({"addr": address, "version": 4, "OS-EXT-IPS:type": "floating",
                           "OS-EXT-IPS-MAC:mac_addr": nic.mac})
                }));
            }
        }
        let zone = s
            .host
            .as_ref()
            .map_or("", |_| s.zone.as_deref().unwrap_or("nova"));
        let mut body = json!({
            "id": s.id, "name": s.name, "status": status, "tenant_id": s.project, "user_id": s.user,
            "metadata": s.metadata, "hostId": host_id(s), "addresses": addresses,
            "links": [link("/v2.1"), link("")],
            "created": seconds(s.created), "updated": seconds(s.updated),
            "accessIPv4": "", "accessIPv6": "", "config_drive": if s.config_drive { "True" } else { "" },
            "key_name": s.key_name, "OS-DCF:diskConfig": "MANUAL", "OS-EXT-AZ:availability_zone": zone,
            "OS-EXT-STS:vm_state": s.vm.word(), "OS-EXT-STS:task_state": s.task,
            "OS-EXT-STS:power_state": s.power,
            "OS-SRV-USG:launched_at": s.launched.map(micros), "OS-SRV-USG:terminated_at": s.terminated.map(micros),
            "os-extended-volumes:volumes_attached": s.volumes.iter()
                .map(|v| json!({"id": v, "delete_on_termination": false})).collect::<Vec<_>>(),
            "locked": s.lock.is_some(), "locked_reason": s.lock.as_ref().and_then(|l| l.reason.clone()),
            "description": s.description, "tags": s.tags, "trusted_image_certificates": null,
            "OS-EXT-SRV-ATTR:hostname": s.hostname, "pinned_availability_zone": s.zone, "scheduler_hints": {},
        });
        body["image"] = if s.image.is_empty() {
            json!("")
        } else {
            json!({"id": s.image, "links": [{"rel": "bookmark", "href": format!("{base}/compute/images/{}", s.image)}]})
        };
        if version.minor >= 98 && !s.image.is_empty() {
            body["image"]["properties"] = json!({});
        }
        body["flavor"] = if version.minor >= 47 {
            json!({"original_name": s.flavor.name, "ram": s.flavor.ram, "vcpus": s.flavor.vcpus,
                   "disk": s.flavor.disk, "ephemeral": 0, "swap": 0, "extra_specs": {}})
        } else {
            let href = format!("{base}/compute/flavors/{}", s.flavor.id);
            json!({"id": s.flavor.id, "links": [{"rel": "bookmark", "href": href}]})
        };
        if single {
            body["server_groups"] = json!([]);
        }
        if !s.nics.is_empty() {
            body["security_groups"] = s.groups().iter().map(|g| json!({"name": g})).collect();
        }
        if PROGRESS.contains(&status) {
            body["progress"] = json!(0);
        }
        if let Some(fault) = s
            .fault
            .as_ref()
            .filter(|_| matches!(s.vm, Vm::Error | Vm::Deleted))
        {
            body["fault"] =
                json!({"code": fault.code, "created": seconds(fault.created), "message": fault.message});
            if admin && fault.code == 500 {
                body["fault"]["details"] = json!("Traceback (most recent call last): (simulated)");
            }
        }
        if admin {
            body["OS-EXT-SRV-ATTR:host"] = json!(s.host);
            body["OS-EXT-SRV-ATTR:hypervisor_hostname"] = json!(s.host);
            body["OS-EXT-SRV-ATTR:instance_name"] = json!(format!("instance-{:08x}", s.seq));
            if version.minor >= 16 {
                body["host_status"] = json!(if s.host.is_some() { "UP" } else { "" });
            }
        }
        if let Some(fields) = body.as_object_mut() {
            for (since, field) in SINCE.iter().filter(|(since, _)| version.minor < *since) {
                if !(admin && *since == 90) {
                    fields.remove(*field);
                }
            }
        }
        body
    }

    pub(super) fn get(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let Some(server) = self.servers.get(id) else {
            return Err(nova_error(404, format!("Instance {id} could not be found.")));
        };
        if call.lists.down.iter().any(|p| names(p, &server.id, &server.name)) {
            if call.version.minor < 69 {
                return Err(nova_error(
                    500,
                    "Unexpected API Error. Please report this. <class 'nova.exception.NovaException'>",
                ));
            }
            return Ok(Reply::ok(json!({"server": down(server, true)})));
        }
        Ok(Reply::ok(
            json!({"server": self.show(server, call.version, call.who.admin, true, &call.ask.base)}),
        ))
    }

    /// A page of the servers of a project, newest first.
    pub(super) fn list(&mut self, call: &Call<'_>, detail: bool) -> Answer {
        let (ask, who) = (call.ask, call.who);
        if let Some((key, _)) = ask.query.iter().find(|(k, _)| !FILTERS.contains(&k.as_str()))
            && call.version.minor >= 75
        {
            let text = format!("Additional properties are not allowed ('{key}' was unexpected)");
            return Err(nova_error(400, text));
        }
        let all = ask
            .query("all_tenants")
            .is_some_and(|v| !matches!(v, "0" | "false" | "False"));
        if all && !who.admin {
            let text = "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.";
            return Err(nova_error(403, text));
        }
        if let Some(status) = ask.query("status").filter(|s| !is_status(s)) {
            let text = if who.admin {
                format!("Invalid status value: {status}")
            } else {
                "Invalid status value".into()
            };
            return Err(nova_error(400, text));
        }
        let mut servers: Vec<&Server> = self
            .servers
            .values()
            .filter(|s| self.listed(s, call, all) && matches_filters(s, call))
            .filter(|s| !call.lists.hidden.iter().any(|p| names(p, &s.id, &s.name)))
            .collect();
        servers.sort_by_key(|s| std::cmp::Reverse(s.seq));
        let mut servers: Vec<&Server> = call.lists.shown(servers.into_iter()).collect();
        if let Some(marker) = ask.query("marker") {
            match servers.iter().position(|s| s.id == marker) {
                Some(at) => drop(servers.drain(..=at)),
                // A marker that was deleted meanwhile still says where to go on.
                None => match self
                    .servers
                    .get(marker)
                    .filter(|s| s.project == who.project || who.admin)
                {
                    Some(gone) if gone.gone_at.is_none() => servers.retain(|s| s.seq < gone.seq),
                    _ => return Err(nova_error(400, format!("marker [{marker}] not found"))),
                },
            }
        }
        let wanted = match ask.query("limit").map(str::parse::<usize>) {
            None => self.config.page_limit,
            Some(Ok(limit)) => limit.min(self.config.page_limit),
            Some(Err(_)) => return Err(nova_error(400, "Invalid input for query parameters limit.")),
        };
        let full = wanted > 0 && servers.len() >= wanted;
        servers.truncate(wanted);
        let is_down = |s: &Server| call.lists.down.iter().any(|p| names(p, &s.id, &s.name));
        let bodies: Vec<Value> = servers
            .iter()
            .filter(|s| call.version.minor >= 69 || !is_down(s))
            .map(|s| match (is_down(s), detail) {
                (true, _) => down(s, detail),
                (false, true) => {
                    let mut s = (*s).clone();
                    if let Some((vm, task, power)) = s.before_end.filter(|_| call.lists.lag.is_some()) {
                        (s.vm, s.task, s.power) = (vm, task, power);
                    }
                    self.show(&s, call.version, who.admin, false, &ask.base)
                }
                (false, false) => json!({"id": s.id, "name": s.name, "links": [
                    {"rel": "self", "href": format!("{}/compute/v2.1/servers/{}", ask.base, s.id)}]}),
            })
            .collect();
        let mut body = json!({"servers": bodies});
        if let Some(last) = servers.last().filter(|_| full) {
            let mut query: Vec<String> = ask
                .query
                .iter()
                .filter(|(k, _)| k != "marker")
                .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
                .collect();
            query.push(format!("marker={}", last.id));
            let path = if detail { "/detail" } else { "" };
            let href = format!("{}/compute/v2.1/servers{path}?{}", ask.base, query.join("&"));
            body["servers_links"] = json!([{"rel": "next", "href": href}]);
        }
        Ok(Reply::ok(body))
    }

    /// Whether a list knows of a server, given what it is behind.
    fn listed(&self, s: &Server, call: &Call<'_>, all: bool) -> bool {
        if s.project != call.who.project && !(call.who.admin && all) {
            return false;
        }
        let lag = call.lists.lag.unwrap_or_default();
        if !lag.is_zero() && self.core.now < s.created_at + lag {
            return false;
        }
        let since = call
            .ask
            .query("changes-since")
            .and_then(|t| t.parse::<jiff::Timestamp>().ok());
        let only_deleted = call.who.admin && matches!(call.ask.query("deleted"), Some("true" | "True" | "1"));
        let soft = s.vm == Vm::SoftDeleted;
        match s.gone_at {
            None if soft => only_deleted || since.is_some_and(|t| s.updated >= t),
            None => !only_deleted && since.is_none_or(|t| s.updated >= t),
            Some(gone) => only_deleted || since.is_some_and(|t| s.updated >= t) || self.core.now < gone + lag,
        }
    }
}

fn host_id(s: &Server) -> String {
    let Some(host) = &s.host else {
        return String::new();
    };
    let digest = Sha224::digest(format!("{}{host}", s.project).as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// What is still known of a server whose part of Nova does not answer.
fn down(s: &Server, detail: bool) -> Value {
    let mut body = json!({"id": s.id, "status": "UNKNOWN", "links": []});
    if detail {
        body["tenant_id"] = json!(s.project);
        body["created"] = json!(seconds(s.created));
    }
    body
}

fn matches_filters(s: &Server, call: &Call<'_>) -> bool {
    let minor = call.version.minor;
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    call.ask.query.iter().all(|(key, value)| match key.as_str() {
        "status" => s.status().eq_ignore_ascii_case(value),
        "name" => super::pattern::found(value, &s.name),
        "uuid" => s.id == *value,
        "flavor" => s.flavor.id == *value,
        "image" => s.image == *value,
        "tags" if minor >= 26 => list(value).iter().all(|t| s.tags.contains(t)),
        "tags-any" if minor >= 26 => list(value).iter().any(|t| s.tags.contains(t)),
        "not-tags" if minor >= 26 => !list(value).iter().all(|t| s.tags.contains(t)),
        "not-tags-any" if minor >= 26 => !list(value).iter().any(|t| s.tags.contains(t)),
        "locked" if minor >= 73 => s.lock.is_some() == matches!(value.as_str(), "true" | "True" | "1"),
        "vm_state" if call.who.admin => s.vm.word() == value,
        _ => true,
    })
}
