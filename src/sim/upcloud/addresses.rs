//! `/ip_address`: the addresses of servers, and the floating ones of the account.

use serde_json::{Value, json};

use super::errors::{Answer, because, refused};
use super::model::{Floating, Nic, Server};
use super::world::{World, ZONES};
use crate::sim::cloud::{Ask, Reply};

fn pointer(address: &str) -> String {
    format!("{}.v4.upcloud.host", address.replace(['.', ':'], "-"))
}

impl World {
    /// The interface with this MAC address, and its server.
    fn nic(&self, mac: &str) -> Option<(&Server, &Nic)> {
        self.live()
            .find_map(|s| Some((s, s.nics.iter().find(|n| n.mac == mac)?)))
    }

    /// The floating addresses that lead to an interface.
    pub(super) fn floating_on(&self, mac: &str) -> Vec<String> {
        let here = self
            .floating
            .iter()
            .filter(|(_, f)| f.mac.as_deref() == Some(mac));
        here.map(|(address, _)| address.clone()).collect()
    }

    fn floating_body(&self, address: &str, floating: &Floating) -> Value {
        let mut body = json!({"access": "public", "address": address, "family": "IPv4", "floating": "yes",
            "ptr_record": pointer(address), "zone": floating.zone});
        if let Some((server, nic)) = floating.mac.as_deref().and_then(|mac| self.nic(mac)) {
            body["mac"] = json!(nic.mac);
            body["server"] = json!(server.id);
        }
        body
    }

    /// A floating address leads to an interface of its zone, or nowhere.
    fn lead(&mut self, address: &str, mac: &Value) -> Answer {
        let floating = self
            .floating
            .get(address)
            .ok_or(refused("IP_ADDRESS_NOT_FOUND"))?;
        let mut new = floating.clone();
        match mac {
            Value::Null => new.mac = None,
            mac => {
                let mac = mac.as_str().unwrap_or_default();
                let (server, nic) = self.nic(mac).ok_or(refused("INTERFACE_NOT_FOUND"))?;
                if server.zone != new.zone {
                    return Err(refused("ZONE_MISMATCH"));
                }
                if !nic.addresses.iter().any(|a| a.family == "IPv4") {
                    return Err(because("REQUEST_INVALID", "The interface has no IPv4 address."));
                }
                new.mac = Some(mac.to_owned());
            }
        }
        let body = self.floating_body(address, &new);
        self.floating.insert(address.to_owned(), new);
        Ok(Reply::new(202, json!({"ip_address": body})))
    }

    /// A floating address of the account.
    fn make_floating(&mut self, body: &Value) -> Answer {
        let mac = body["mac"].as_str();
        let of_mac = mac.and_then(|mac| self.nic(mac)).map(|(s, _)| s.zone.clone());
        let zone = of_mac
            .or_else(|| body["zone"].as_str().map(Into::into))
            .unwrap_or_default();
        if !ZONES.iter().any(|(known, _)| *known == zone) {
            return Err(refused("ZONE_NOT_FOUND"));
        }
        let n = self.core.number();
        let address = format!("203.0.113.{}", n % 250 + 2);
        let floating = Floating {
            zone,
            mac: mac.map(Into::into),
        };
        let body = self.floating_body(&address, &floating);
        self.floating.insert(address, floating);
        Ok(Reply::new(201, json!({"ip_address": body})))
    }

    /// `/ip_address` and below.
    pub(super) fn addresses(&mut self, ask: &Ask, path: &[&str]) -> Answer {
        let shown = |server: &Server, nic: &Nic, address: &super::model::Address| {
            json!({"access": nic.kind, "address": address.address, "family": address.family, "mac": nic.mac,
                   "ptr_record": pointer(&address.address), "server": server.id, "zone": server.zone,
                   "part_of_plan": "no", "floating": "no"})
        };
        let fixed = self.live().flat_map(|s| {
            let nics = s.nics.iter();
            nics.flat_map(move |n| n.addresses.iter().map(move |a| shown(s, n, a)))
        });
        let floating = self.floating.iter().map(|(a, f)| self.floating_body(a, f));
        let all: Vec<Value> = fixed.chain(floating).collect();
        let body = ask.json();
        let body = &body["ip_address"];
        match (ask.method.as_str(), path) {
            ("GET", []) => Ok(Reply::ok(json!({"ip_addresses": {"ip_address": all}}))),
            ("POST", []) if body["floating"] == "yes" => self.make_floating(body),
            ("GET", [address]) => match all.into_iter().find(|a| a["address"] == *address) {
                Some(body) => Ok(Reply::ok(json!({"ip_address": body}))),
                None => Err(refused("IP_ADDRESS_NOT_FOUND")),
            },
            ("PATCH", [address]) if body.get("mac").is_some() => self.lead(address, &body["mac"]),
            ("DELETE", [address]) => {
                if !all.iter().any(|a| a["address"] == *address) {
                    return Err(refused("IP_ADDRESS_NOT_FOUND"));
                }
                self.floating.remove(*address);
                for nic in self.servers.values_mut().flat_map(|s| s.nics.iter_mut()) {
                    nic.addresses.retain(|a| a.address != *address);
                }
                Ok(Reply::empty(204))
            }
            _ => Err(refused("METHOD_NOT_ALLOWED")),
        }
    }
}
