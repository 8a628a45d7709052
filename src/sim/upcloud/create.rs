//! `POST /server`: everything that is checked, and the server that comes of it.

use serde_json::{Value, json};

use super::devices::{Disks, Login};
use super::errors::{Answer, Refusal, because, refused};
use super::fields::{hostname, labels, number, text, uuid, word, words};
use super::model::{Server, State};
use super::world::{Effect, MOST_CORES, MOST_MEMORY, PLANS, World, ZONES};
use crate::sim::cloud::{Ask, Reply};

/// Names that systems keep for themselves.
const RESERVED: &[&str] = &["admin", "bin", "daemon", "nobody", "sys", "www-data"];
const REQUIRED: &[(&str, &str)] = &[
    ("zone", "ZONE_MISSING"),
    ("title", "SERVER_TITLE_MISSING"),
    ("hostname", "HOSTNAME_MISSING"),
    ("storage_devices", "STORAGE_DEVICES_MISSING"),
];
/// What a server has where a request says nothing: as the service was seen to fill it in.
const DEFAULTS: &[(&str, &str)] = &[
    ("boot_order", "disk"),
    ("firewall", "off"),
    ("metadata", "no"),
    ("nic_model", "virtio"),
    ("simple_backup", "no"),
    ("timezone", "UTC"),
    ("video_model", "cirrus"),
    ("remote_access_type", "vnc"),
    ("remote_access_enabled", "no"),
];
/// How far a creation is, at which part of its time.
const PROGRESS: &[(f64, Option<u8>)] = &[(0.3, Some(85)), (0.6, Some(95)), (0.8, None)];

/// Plan, cores and memory of a request; what it leaves out is as before.
pub(super) fn size(body: &Value, before: (&str, u64, u64)) -> Result<(String, u64, u64), Refusal> {
    let read = |name: &str, code| match &body[name] {
        Value::Null => Ok(None),
        value => number(value).filter(|n| *n > 0).map(Some).ok_or(refused(code)),
    };
    let cores = read("core_number", "CORE_NUMBER_INVALID")?;
    let memory = read("memory_amount", "MEMORY_AMOUNT_INVALID")?;
    let plan = match &body["plan"] {
        Value::Null => before.0,
        Value::String(plan) => plan,
        _ => return Err(refused("PLAN_INVALID")),
    };
    if plan != "custom" {
        let known = PLANS.iter().find(|(name, ..)| *name == plan);
        let &(_, c, m, _) =
            known.ok_or_else(|| because("PLAN_INVALID", format!("There is no plan {plan}.")))?;
        if cores.is_some_and(|cores| cores != c) {
            return Err(refused("PLAN_CORE_NUMBER_ILLEGAL"));
        }
        if memory.is_some_and(|memory| memory != m) {
            return Err(refused("PLAN_MEMORY_AMOUNT_ILLEGAL"));
        }
        return Ok((plan.into(), c, m));
    }
    let (cores, memory) = (cores.unwrap_or(before.1), memory.unwrap_or(before.2));
    if cores > MOST_CORES || memory > MOST_MEMORY || !memory.is_multiple_of(1024) {
        return Err(refused("CORE_MEMORY_UNSUPPORTED"));
    }
    Ok((plan.into(), cores, memory))
}

impl World {
    pub(super) fn create(&mut self, ask: &Ask) -> Answer {
        let body = ask.json();
        let body = &body["server"];
        if !body.is_object() {
            return Err(because("REQUEST_INVALID", "The server block is missing."));
        }
        if let Some((_, code)) = REQUIRED.iter().find(|(name, _)| body[*name].is_null()) {
            return Err(refused(code));
        }
        let zone = text(&body["zone"], "ZONE_INVALID")?;
        if !ZONES.iter().any(|(id, _)| *id == zone) {
            return Err(refused("ZONE_NOT_FOUND"));
        }
        let (title, hostname) = (
            text(&body["title"], "SERVER_TITLE_INVALID")?,
            hostname(&body["hostname"])?,
        );
        let (plan, cores, memory) = size(body, ("custom", 1, 1024))?;
        word(
            &body["password_delivery"],
            &["email", "none", "sms"],
            "PASSWORD_DELIVERY_INVALID",
        )?;
        if !body["user_data"].is_null() && !body["user_data"].is_string() {
            return Err(refused("USER_DATA_INVALID"));
        }
        let mut attributes: std::collections::BTreeMap<&'static str, String> = DEFAULTS
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        attributes.extend(words(body)?);
        let login = login(&body["login_user"])?;
        let labels = labels(&body["labels"])?.unwrap_or_default();
        let wish = self.host_wish(body)?;
        let group = match &body["server_group"] {
            Value::Null => None,
            value => Some(self.group_id(value.as_str().unwrap_or_default())?),
        };
        let disks = self.check_devices(body, &zone, &login, attributes["metadata"] == "yes")?;
        let nics = self.check_interfaces(body, &zone)?;
        self.check_credits()?;
        self.check_limits(cores, memory, &disks, &nics)?;

        let id = self.id("00");
        attributes
            .entry("remote_access_password")
            .or_insert_with(|| self.core.hex().get(..8).unwrap_or_default().to_owned());
        let mut server = Server {
            id: id.clone(),
            seq: self.core.number(),
            title,
            hostname,
            zone,
            plan,
            cores,
            memory,
            labels,
            tags: Vec::new(),
            state: State::Maintenance,
            progress: Some(0),
            host: None,
            devices: Vec::new(),
            nics: Vec::new(),
            words: attributes,
            created: self.core.time(),
            created_at: self.core.now,
            gone_at: None,
            stopping: false,
            creating: true,
            deaf: self.config.choices.deaf_guests,
        };
        let group = group.and_then(|id| self.groups.get(&id).cloned());
        let strict = "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA";
        server.host = Some(self.place(&server, group.as_ref(), &wish, strict)?);
        server.nics = self.make_interfaces(&nics);
        let (time, fails) = self.ordered("create", &id, self.config.timings.create);
        let titled = self
            .core
            .faults
            .ordered_delay("create", &id, &server.title)
            .unwrap_or(time);
        let fails = fails
            || self
                .core
                .faults
                .ordered_fault("create", &id, &server.title)
                .is_some();
        server.devices = self.make_devices(&disks, titled);
        if let Some(group) = group.and_then(|g| self.groups.get_mut(&g.id)) {
            group.members.push(id.clone());
        }
        self.core.log.server_made(server.uid());
        self.servers.insert(id.clone(), server);
        for (part, progress) in PROGRESS {
            self.schedule(titled.mul_f64(*part), &id, Effect::Progress(*progress));
        }
        let end = if fails { State::Error } else { State::Started };
        self.schedule(titled, &id, Effect::State(end));

        let mut reply = self.detail(&id);
        reply["server"]["username"] = json!(login.username);
        if login.creates_password(disks.windows) {
            let password = self.core.hex();
            reply["server"]["password"] = json!(password.get(..16));
        }
        Ok(Reply::new(202, reply))
    }

    fn check_limits(
        &self,
        cores: u64,
        memory: u64,
        disks: &Disks,
        nics: &[super::interfaces::WantedNic],
    ) -> Result<(), Refusal> {
        let limits = self.config.limits;
        let creating = self.live().filter(|s| s.creating).count();
        if limits.creating.is_some_and(|most| creating >= most) {
            return Err(refused("SERVER_CREATING_LIMIT_REACHED"));
        }
        if limits
            .trial_servers
            .is_some_and(|most| self.live().count() >= most)
        {
            return Err(refused("TRIAL_SERVER_LIMIT_REACHED"));
        }
        self.check_size(cores, memory)?;
        for (tier, limit, code) in [
            ("maxiops", limits.maxiops, "MAXIOPS_STORAGE_LIMIT_REACHED"),
            ("hdd", limits.hdd, "HDD_STORAGE_LIMIT_REACHED"),
        ] {
            let own = self.storages.values().filter(|s| !s.public && s.tier == tier);
            let used: u64 = own.map(|s| s.size).sum();
            let more = disks.gigabytes(tier);
            if more > 0 && limit.is_some_and(|limit| used + more > limit) {
                return Err(refused(code));
            }
        }
        let public = |s: &Server| {
            s.nics
                .iter()
                .filter(|n| n.kind == "public")
                .map(|n| n.addresses.len())
                .sum::<usize>()
        };
        let used: usize = self.live().map(public).sum();
        let more: usize = nics
            .iter()
            .filter(|n| n.kind == "public")
            .map(|n| n.addresses.len())
            .sum();
        if more > 0 && limits.addresses.is_some_and(|limit| used + more > limit) {
            return Err(refused("SERVER_IP_LIMIT_REACHED"));
        }
        Ok(())
    }

    /// The id of an existing group.
    pub(super) fn group_id(&self, id: &str) -> Result<String, Refusal> {
        uuid(id, "GROUP_INVALID")?;
        if id == super::config::FOREIGN_GROUP {
            return Err(refused("GROUP_FORBIDDEN"));
        }
        match self.groups.contains_key(id) {
            true => Ok(id.into()),
            false => Err(refused("GROUP_NOT_FOUND")),
        }
    }
}

fn login(block: &Value) -> Result<Login, Refusal> {
    let username = block["username"].as_str().unwrap_or("root").to_owned();
    if RESERVED.contains(&username.as_str()) {
        return Err(refused("INVALID_USERNAME"));
    }
    let keys = match &block["ssh_keys"] {
        Value::Null => 0,
        keys => keys["ssh_key"].as_array().map_or(0, Vec::len),
    };
    let password = match block["create_password"].as_str() {
        None if block["create_password"].is_null() => None,
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => return Err(refused("CREATE_PASSWORD_INVALID")),
    };
    if keys > 0 && password == Some(true) {
        return Err(refused("CREATE_PASSWORD_INVALID"));
    }
    Ok(Login {
        username,
        keys,
        password,
    })
}
