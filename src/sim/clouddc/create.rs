//! Instances are made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::machines::unfit;
use super::receive::refuse;
use super::timeline::Job;
use super::world::{IMAGES, Instance, SUBNETS, VPC, World};
use crate::sim::cloud::{Answer, Reply};

/// The most pairs of metadata.
const PAIRS: usize = 10;
/// The most interfaces.
const NICS: usize = 2;

fn text<'b>(body: &'b Value, key: &str) -> Result<&'b str, Reply> {
    match &body[key] {
        Value::Null => Err(refuse(
            400,
            "iMetal.0002",
            format!("Missing required parameters: {key}"),
        )),
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(unfit(key)),
    }
}

/// A password that keeps the rules: 8 to 26 characters, three kinds of four.
pub(super) fn strong(body: &Value, key: &str) -> Result<String, Reply> {
    let password = text(body, key)?;
    let kinds = [
        password.chars().any(|c| c.is_ascii_lowercase()),
        password.chars().any(|c| c.is_ascii_uppercase()),
        password.chars().any(|c| c.is_ascii_digit()),
        password.chars().any(|c| !c.is_ascii_alphanumeric()),
    ];
    let used = kinds.iter().filter(|k| **k).count();
    if (8..=26).contains(&password.chars().count()) && used >= 3 {
        Ok(password.to_owned())
    } else {
        Err(unfit(key))
    }
}

fn metadata(body: &Value) -> Result<BTreeMap<String, String>, Reply> {
    let Some(map) = body["metadata"].as_object() else {
        return if body["metadata"].is_null() {
            Ok(BTreeMap::new())
        } else {
            Err(unfit("metadata"))
        };
    };
    let key_fits = |k: &str| {
        (1..=255).contains(&k.len())
            && k.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_: .".contains(c))
    };
    let pair = |(key, value): (&String, &Value)| {
        let value = value
            .as_str()
            .filter(|v| key_fits(key) && v.chars().count() <= 255);
        value
            .map(|v| (key.clone(), v.to_owned()))
            .ok_or_else(|| unfit("metadata"))
    };
    if map.len() > PAIRS {
        return Err(unfit("metadata"));
    }
    map.iter().map(pair).collect()
}

/// Subnet and address of every interface; an address is chosen where none is asked for.
pub(super) fn nics(
    world: &mut World,
    body: &Value,
    list: &str,
    key: &str,
) -> Result<Vec<(String, String)>, Reply> {
    if text(body, "vpc_id")? != VPC {
        return Err(unfit("vpc_id"));
    }
    let given = body[list].as_array().cloned().unwrap_or_default();
    if given.is_empty() {
        return Err(refuse(
            400,
            "iMetal.0002",
            format!("Missing required parameters: {list}"),
        ));
    }
    if given.len() > NICS {
        return Err(unfit(list));
    }
    given
        .iter()
        .map(|nic| {
            let subnet = text(nic, "subnet_id")?;
            let (_, prefix) = SUBNETS
                .iter()
                .find(|(id, _)| *id == subnet)
                .ok_or_else(|| unfit("subnet_id"))?;
            let address = match &nic[key] {
                Value::Null => {
                    let n = world.core.number();
                    format!("{prefix}.{}.{}", (n / 250) % 250, n % 250 + 2)
                }
                Value::String(a) if a.parse::<std::net::Ipv4Addr>().is_ok() => a.clone(),
                _ => return Err(unfit(key)),
            };
            Ok((subnet.to_owned(), address))
        })
        .collect()
}

fn name_fits(name: &str) -> bool {
    (1..=63).contains(&name.chars().count()) && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

impl World {
    /// `POST /instances`.
    pub(super) fn create(&mut self, body: &Value) -> Answer {
        let wanted = body["placement"]["server_id"].as_str().map(str::to_owned);
        let id = self.make(body, wanted)?;
        Ok(Reply::ok(json!({ "instance_id": id })))
    }

    /// `POST /instances/batch-create`: as many as there are ready servers, up to `max_count`.
    pub(super) fn create_several(&mut self, body: &Value) -> Answer {
        let number = |key: &str| body[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let least = number("min_count").unwrap_or(1);
        let most = number("max_count").unwrap_or(least);
        let named: Vec<String> = body["placement"]["server_id_set"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        let free: Vec<String> = if named.is_empty() { self.ready() } else { named };
        if least < 1 || most < least || free.len() < least {
            return Err(unfit("min_count"));
        }
        let mut made = Vec::new();
        for machine in free.into_iter().take(most) {
            made.push(json!({"id": self.make(body, Some(machine))?}));
        }
        Ok(Reply::ok(json!({ "instances": made })))
    }

    fn ready(&self) -> Vec<String> {
        let ready = self
            .machines
            .values()
            .filter(|m| m.manage == "ready" && m.frozen == 0 && !m.busy);
        ready.map(|m| m.id.clone()).collect()
    }

    /// Makes an instance on a physical server, or on any that is ready. Where none is, it is taken all the same and fails
    /// later.
    pub(super) fn make(&mut self, body: &Value, wanted: Option<String>) -> Result<String, Reply> {
        let name = text(body, "name")?.to_owned();
        let image = text(body, "image_id")?.to_owned();
        let password = strong(body, "password")?;
        let metadata = metadata(body)?;
        let description = body["description"].as_str().unwrap_or_default().to_owned();
        if !name_fits(&name) {
            return Err(unfit("name"));
        }
        if !IMAGES.contains(&image.as_str()) {
            return Err(unfit("image_id"));
        }
        if description.chars().count() > 255 {
            return Err(unfit("description"));
        }
        let nics = nics(self, body, "network_interfaces", "ipv4_address")?;
        let machine = match wanted {
            Some(id) => {
                self.machine(&id)?;
                if !self.ready().contains(&id) {
                    let words = format!("Physical servers state is not ready: [{id}]");
                    return Err(refuse(400, "iMetal.0101", words));
                }
                Some(id)
            }
            None => self.ready().into_iter().next(),
        };
        if let Some(machine) = machine.as_ref().and_then(|id| self.machines.get_mut(id)) {
            machine.manage = "in-use".to_owned();
        }
        let id = self.core.uuid();
        let (now, time) = (self.core.now, self.core.time());
        let instance = Instance {
            id: id.clone(),
            seq: self.core.number(),
            name,
            image,
            vpc: VPC.to_owned(),
            nics,
            password,
            metadata,
            description,
            state: "pending".to_owned(),
            operation: None,
            machine: machine.clone(),
            trouble: None,
            created: time,
            created_at: now,
            updated: time,
            launched: None,
            ended: None,
            busy: false,
        };
        let uid = instance.uid().map(str::to_owned);
        self.core.log.server_made(uid.as_deref());
        self.instances.insert(id.clone(), instance);
        self.begin(Some(&id), machine.as_deref(), Job::Install);
        Ok(id)
    }
}
