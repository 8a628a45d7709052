//! Interfaces and addresses.

use serde_json::{Value, json};

use super::errors::{Answer, Refusal, because, refused};
use super::fields::{uuid, word};
use super::model::{Address, Nic, State};
use super::world::{NETWORKS, World};
use crate::sim::cloud::{Ask, Reply};

/// An interface that was checked.
#[derive(Clone, Debug)]
pub(super) struct WantedNic {
    pub(super) kind: &'static str,
    network: Option<String>,
    index: u64,
    filtering: bool,
    bootable: bool,
    /// Family, the address that is asked for, and whether it is the one of DHCP.
    pub(super) addresses: Vec<(&'static str, Option<String>, bool)>,
}

const FAMILY: &str = "IP_ADDRESS_INVALID";

fn check_nic(block: &Value, position: u64, zone: &str) -> Result<WantedNic, Refusal> {
    let invalid = |text: &str| because("REQUEST_INVALID", format!("interface {position}: {text}"));
    if !block["type"].is_string() {
        return Err(invalid("type is missing"));
    }
    let kind = word(
        &block["type"],
        &["public", "utility", "private"],
        "REQUEST_INVALID",
    )?;
    let network = match &block["network"] {
        Value::Null if kind == "private" => return Err(invalid("a private interface needs a network")),
        Value::Null => None,
        _ if kind != "private" => return Err(invalid("only a private interface can choose its network")),
        value => Some(value.as_str().unwrap_or_default().to_owned()),
    };
    if let Some(id) = &network {
        uuid(id, "REQUEST_INVALID")?;
        let known = NETWORKS.iter().find(|n| n.0 == id && n.2 == "private");
        let known = known.ok_or(refused("NETWORK_NOT_FOUND"))?;
        if known.3 != zone {
            return Err(refused("ZONE_MISMATCH"));
        }
    }
    let filtering = word(&block["source_ip_filtering"], &["yes", "no"], "REQUEST_INVALID")? == "yes";
    if !filtering && kind != "private" {
        return Err(invalid("source IP filtering cannot be disabled on it"));
    }
    let index = match &block["index"] {
        Value::Null => position,
        value => value
            .as_u64()
            .filter(|n| *n > 0)
            .ok_or_else(|| invalid("index is no positive number"))?,
    };
    let list = block["ip_addresses"]["ip_address"].as_array();
    let list = list
        .filter(|l| !l.is_empty())
        .ok_or_else(|| invalid("ip_addresses are missing"))?;
    let any_dhcp = list.iter().any(|a| a["dhcp_provided"] == "yes");
    let mut addresses = Vec::new();
    for (n, address) in list.iter().enumerate() {
        let family = word(&address["family"], &["IPv4", "IPv6"], FAMILY)?;
        if family == "IPv6" && kind != "public" {
            return Err(refused(FAMILY));
        }
        let fixed = address["address"].as_str().map(String::from);
        if fixed.is_some() && kind != "private" {
            return Err(invalid("only a private interface can choose its address"));
        }
        let dhcp = match word(&address["dhcp_provided"], &["", "yes", "no"], FAMILY)? {
            "" => n == 0 && !any_dhcp,
            said => said == "yes",
        };
        addresses.push((family, fixed, dhcp));
    }
    Ok(WantedNic {
        kind,
        network,
        index,
        filtering,
        bootable: word(&block["bootable"], &["no", "yes"], "REQUEST_INVALID")? == "yes",
        addresses,
    })
}

impl World {
    pub(super) fn check_interfaces(&self, body: &Value, zone: &str) -> Result<Vec<WantedNic>, Refusal> {
        let default = json!([
            {"type": "public", "ip_addresses": {"ip_address": [{"family": "IPv4"}]}},
            {"type": "utility", "ip_addresses": {"ip_address": [{"family": "IPv4"}]}},
        ]);
        let given = &body["networking"]["interfaces"]["interface"];
        let list = match given.as_array().filter(|l| !l.is_empty()) {
            Some(list) => list.as_slice(),
            None if self.config.choices.default_interfaces => {
                default.as_array().map(Vec::as_slice).unwrap_or_default()
            }
            None => {
                return Err(because(
                    "REQUEST_INVALID",
                    "The required attribute interfaces is missing.",
                ));
            }
        };
        if list.len() > 10 {
            return Err(because("REQUEST_INVALID", "There are more than 10 interfaces."));
        }
        let nics: Result<Vec<WantedNic>, Refusal> = list
            .iter()
            .zip(1..)
            .map(|(block, n)| check_nic(block, n, zone))
            .collect();
        let nics = nics?;
        let mut indices: Vec<u64> = nics.iter().map(|n| n.index).collect();
        indices.sort_unstable();
        indices.dedup();
        match indices.len() == nics.len() {
            true => Ok(nics),
            false => Err(because("REQUEST_INVALID", "Two interfaces have the same index.")),
        }
    }

    pub(super) fn make_interfaces(&mut self, wanted: &[WantedNic]) -> Vec<Nic> {
        let mut nics: Vec<Nic> = wanted.iter().map(|w| self.make_interface(w)).collect();
        nics.sort_by_key(|n| n.index);
        nics
    }

    fn make_interface(&mut self, wanted: &WantedNic) -> Nic {
        let known = |n: &&(&str, &str, &str, &str, &str)| match &wanted.network {
            Some(id) => n.0 == id,
            None => n.2 == wanted.kind,
        };
        let &(network, _, _, _, prefix) = NETWORKS.iter().find(known).unwrap_or(&NETWORKS[0]);
        let addresses = wanted.addresses.iter().map(|(family, fixed, dhcp)| {
            let n = self.core.number();
            let next = match (*family, prefix.split('.').count()) {
                ("IPv6", _) => format!(
                    "2a04:3540:1000:310:{:x}:{:x}:{:x}:1",
                    n / 65_536,
                    n % 65_536,
                    n % 7919
                ),
                (_, 3) => format!("{prefix}.{}", n % 250 + 2),
                _ => format!("{prefix}.{}.{}", (n / 250) % 250, n % 250 + 2),
            };
            Address {
                address: fixed.clone().unwrap_or(next),
                family,
                dhcp: *dhcp,
            }
        });
        let addresses = addresses.collect();
        let n = self.core.number();
        Nic {
            index: wanted.index,
            kind: wanted.kind,
            network: network.into(),
            mac: format!(
                "ee:1b:db:{:02x}:{:02x}:{:02x}",
                (n >> 16) & 255,
                (n >> 8) & 255,
                n & 255
            ),
            filtering: wanted.filtering,
            bootable: wanted.bootable,
            addresses,
        }
    }

    const fn interface_states(&self) -> &'static [State] {
        match self.config.choices.hot_interfaces {
            true => &[State::Stopped, State::Started],
            false => &[State::Stopped],
        }
    }

    /// `POST /server/{uuid}/networking/interface`.
    pub(super) fn add_interface(&mut self, id: &str, ask: &Ask) -> Answer {
        let server = self.server_in(id, self.interface_states())?.clone();
        let next = (1..)
            .find(|n| server.nics.iter().all(|nic| nic.index != *n))
            .unwrap_or(1);
        let wanted = check_nic(&ask.json()["interface"], next, &server.zone)?;
        if server.nics.iter().any(|nic| nic.index == wanted.index) || server.nics.len() >= 10 {
            return Err(because(
                "REQUEST_INVALID",
                "The index is taken, or there are 10 interfaces.",
            ));
        }
        let nic = self.make_interface(&wanted);
        let body = json!({"interface": super::show::interface(&nic, &[])});
        if let Some(server) = self.servers.get_mut(id) {
            server.nics.push(nic);
            server.nics.sort_by_key(|n| n.index);
        }
        Ok(Reply::new(201, body))
    }

    /// `DELETE /server/{uuid}/networking/interface/{index}`.
    pub(super) fn remove_interface(&mut self, id: &str, index: &str) -> Answer {
        self.server_in(id, self.interface_states())?;
        let server = self.servers.get_mut(id).ok_or(refused("SERVER_NOT_FOUND"))?;
        let before = server.nics.len();
        server.nics.retain(|n| n.index.to_string() != index);
        match server.nics.len() < before {
            true => Ok(Reply::empty(204)),
            false => Err(refused("INTERFACE_NOT_FOUND")),
        }
    }
}
