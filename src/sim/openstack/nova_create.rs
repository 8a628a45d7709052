//! `POST /servers`: what is refused at once, and what is accepted and only then fails.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::actions::flavor_ref;
use super::nova::Call;
use super::nova_change::no_security_group;
use super::server::{Action, Flavor, Server, Vm};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::{Answer, Reply};

/// The keys of a body, and the minor version that first allows them.
const KEYS: &[(&str, u16)] = &[
    ("name", 1),
    ("flavorRef", 1),
    ("imageRef", 1),
    ("networks", 1),
    ("metadata", 1),
    ("key_name", 1),
    ("user_data", 1),
    ("availability_zone", 1),
    ("config_drive", 1),
    ("security_groups", 1),
    ("adminPass", 1),
    ("accessIPv4", 1),
    ("accessIPv6", 1),
    ("personality", 1),
    ("min_count", 1),
    ("max_count", 1),
    ("block_device_mapping", 1),
    ("block_device_mapping_v2", 1),
    ("OS-DCF:diskConfig", 1),
    ("return_reservation_id", 1),
    ("os:scheduler_hints", 1),
    ("description", 19),
    ("tags", 52),
    ("trusted_image_certificates", 63),
    ("host", 74),
    ("hypervisor_hostname", 74),
    ("hostname", 90),
];

fn invalid(field: &str, value: &Value, why: &str) -> Reply {
    nova_error(
        400,
        format!("Invalid input for field/attribute {field}. Value: {value}. {why}"),
    )
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(i, c)| {
            if matches!(i, 8 | 13 | 18 | 23) {
                c == '-'
            } else {
                c.is_ascii_hexdigit()
            }
        })
}

/// What a key of metadata is made of, as Nova's schema says.
fn is_metadata_key(key: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    !key.is_empty() && key.chars().all(letter)
}

/// Text values for text keys, neither longer than 255 characters.
pub(super) fn metadata_of(field: &str, value: &Value) -> Result<BTreeMap<String, String>, Reply> {
    let Some(object) = value.as_object() else {
        return Err(invalid(field, value, &format!("{value} is not of type 'object'")));
    };
    if let Some(key) = object.keys().find(|key| !is_metadata_key(key)) {
        let why = format!("'{key}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'");
        return Err(invalid(field, value, &why));
    }
    object
        .iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) if text.chars().count() <= 255 && key.chars().count() <= 255 => {
                Ok((key.clone(), text.to_owned()))
            }
            Some(text) => Err(invalid(key, value, &format!("'{text}' is too long"))),
            None => Err(invalid(key, value, &format!("{value} is not of type 'string'"))),
        })
        .collect()
}

/// A tag: at most 60 characters, no slash and no comma.
pub(super) fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.chars().count() <= 60 && !tag.contains(['/', ','])
}

impl World {
    /// Whether the root disk of a flavor is large enough for an image (`nova/exception.py` `FlavorDiskSmallerThanMinDisk`).
    pub(super) fn check_fits(&self, image: &str, flavor: &Flavor) -> Result<(), Reply> {
        const GIB: i64 = 1 << 30;
        let needs = self
            .images
            .iter()
            .find(|i| i.id == image)
            .map_or(0, |i| i.min_disk);
        if flavor.disk == 0 || flavor.disk >= needs {
            return Ok(());
        }
        let text = format!(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {} bytes, \
             minimum size is {} bytes.",
            flavor.disk * GIB,
            needs * GIB
        );
        Err(nova_error(400, text))
    }

    pub(super) fn create(&mut self, call: &Call<'_>) -> Answer {
        let body = call.ask.json();
        let hints = &body["os:scheduler_hints"];
        let Some(wanted) = body["server"].as_object() else {
            return Err(invalid("root", &body, "'server' is a required property"));
        };
        self.check_schema(call, wanted)?;
        let Some(name) = wanted["name"].as_str() else {
            return Err(invalid("name", &wanted["name"], "is not of type 'string'"));
        };
        let metadata = wanted
            .get("metadata")
            .map(|m| metadata_of("metadata", m))
            .transpose()?
            .unwrap_or_default();
        let flavor_id = wanted.get("flavorRef").and_then(flavor_ref).unwrap_or_default();
        let Some(flavor) = self.flavor(&flavor_id).cloned() else {
            return Err(nova_error(400, format!("Flavor {flavor_id} could not be found.")));
        };
        let image = wanted
            .get("imageRef")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if !image.is_empty() && !self.images.iter().any(|i| i.id == image) {
            return Err(nova_error(400, "Can not find requested image"));
        }
        self.check_fits(&image, &flavor)?;
        if image.is_empty() && !wanted.contains_key("block_device_mapping_v2") {
            return Err(nova_error(400, "Invalid imageRef provided."));
        }
        let text = |key: &str| wanted.get(key).and_then(Value::as_str).map(str::to_owned);
        let key_name = text("key_name");
        if key_name
            .as_ref()
            .is_some_and(|k| !self.config.key_pairs.contains(k))
        {
            return Err(nova_error(400, "Invalid key_name provided."));
        }
        let zone = text("availability_zone");
        if zone.as_deref().is_some_and(|z| z != "nova") {
            return Err(nova_error(
                400,
                "The requested availability zone is not available",
            ));
        }
        let groups = wanted
            .get("security_groups")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut security_groups = BTreeSet::new();
        for group in groups.iter().filter_map(|g| g["name"].as_str()) {
            let found = self.security_group(group);
            security_groups.insert(found.ok_or_else(|| nova_error(400, no_security_group(group)))?);
        }
        if security_groups.is_empty() {
            security_groups.insert("default".to_owned());
        }
        let group = self.hinted_group(call, hints)?;
        let volumes = self.wanted_volumes(wanted.get("block_device_mapping_v2"))?;
        let networks = self.wanted_networks(call, wanted.get("networks"))?;
        let count = wanted
            .get("min_count")
            .and_then(Value::as_i64)
            .unwrap_or(1)
            .clamp(1, 100);
        self.check_quota(&call.who.project, count, flavor.vcpus * count, flavor.ram * count)?;
        let tags = wanted.get("tags").and_then(Value::as_array);
        let template = Server {
            id: String::new(),
            seq: 0,
            project: call.who.project.clone(),
            user: call.who.user.clone(),
            name: name.into(),
            hostname: text("hostname").unwrap_or_else(|| hostname(name)),
            description: text("description").or_else(|| (call.version.minor < 19).then(|| name.into())),
            metadata,
            tags: tags
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect(),
            flavor,
            old: None,
            image,
            networks,
            nics: Vec::new(),
            volumes: volumes.into_iter().collect(),
            security_groups,
            key_name,
            zone,
            config_drive: matches!(wanted.get("config_drive"), Some(Value::Bool(true)))
                || text("config_drive").is_some_and(|t| t.eq_ignore_ascii_case("true")),
            vm: Vm::Building,
            task: Some("scheduling"),
            power: 0,
            host: None,
            next_host: None,
            created: self.core.time(),
            created_at: self.core.now,
            updated: self.core.time(),
            launched: None,
            terminated: None,
            gone_at: None,
            before_end: None,
            lock: None,
            fault: None,
            actions: Vec::new(),
            group,
            deleting: false,
            confirming: false,
        };
        let mut first = String::new();
        for n in 1..=count {
            let mut server = template.clone();
            if count > 1 {
                server.name = format!("{name}-{n}");
            }
            let request = if n == 1 {
                call.ask.id.clone()
            } else {
                format!("{}-{n}", call.ask.id)
            };
            let id = self.add_server(server, &request);
            if n == 1 {
                first = id;
            }
        }
        let href = format!("{}/compute/v2.1/servers/{first}", call.ask.base);
        let password = text("adminPass").unwrap_or_else(|| self.core.hex()[..12].to_owned());
        let body = json!({"server": {
            "id": first, "adminPass": password, "OS-DCF:diskConfig": "MANUAL",
            "security_groups": [{"name": "default"}],
            "links": [{"rel": "self", "href": href},
                      {"rel": "bookmark", "href": format!("{}/compute/servers/{first}", call.ask.base)}],
        }});
        Ok(Reply::new(202, body).with("Location", href))
    }

    /// Puts a server into the world and lets it be built.
    pub(super) fn add_server(&mut self, mut server: Server, request: &str) -> String {
        server.id = self.core.uuid();
        server.seq = self.core.number();
        server.actions.push(Action {
            request: request.into(),
            name: "create",
            user: server.user.clone(),
            project: server.project.clone(),
            start: server.created,
            finish: None,
            failed: false,
        });
        self.core.log.server_made(server.uid());
        let id = server.id.clone();
        self.servers.insert(id.clone(), server);
        self.plan_build(&id, request);
        id
    }

    fn check_schema(&self, call: &Call<'_>, wanted: &Map<String, Value>) -> Result<(), Reply> {
        let whole = Value::Object(wanted.clone());
        for (key, _) in wanted {
            if !KEYS
                .iter()
                .any(|(k, since)| k == key && *since <= call.version.minor)
            {
                let why = format!("Additional properties are not allowed ('{key}' was unexpected)");
                return Err(invalid("server", &whole, &why));
            }
        }
        for key in ["name", "flavorRef"] {
            if !wanted.contains_key(key) {
                return Err(invalid(
                    "server",
                    &whole,
                    &format!("'{key}' is a required property"),
                ));
            }
        }
        if call.version.minor >= 37 && !wanted.contains_key("networks") {
            return Err(invalid("server", &whole, "'networks' is a required property"));
        }
        let name = wanted["name"].as_str().unwrap_or_default();
        if name.trim().is_empty() || name.chars().count() > 255 {
            let why = if name.trim().is_empty() {
                "is too short"
            } else {
                "is too long"
            };
            return Err(invalid("name", &wanted["name"], &format!("'{name}' {why}")));
        }
        if let Some(image) = wanted.get("imageRef").and_then(Value::as_str)
            && !image.is_empty()
            && !is_uuid(image)
        {
            return Err(nova_error(
                400,
                format!(
                    "Invalid input for field/attribute imageRef. Value: {image}. '{image}' is not valid under any \
                     of the given schemas"
                ),
            ));
        }
        let tags = wanted
            .get("tags")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        match tags.iter().find(|t| !t.as_str().is_some_and(is_tag)) {
            Some(tag) => Err(invalid(
                "tags",
                tag,
                &format!("{tag} does not match '^[^,/]*$' or is too long"),
            )),
            None if tags.len() > 50 => Err(invalid("tags", &json!(tags.len()), "is too long")),
            None => Ok(()),
        }
    }

    /// The ids of the networks; by default the first one of the project.
    fn wanted_networks(&self, call: &Call<'_>, wanted: Option<&Value>) -> Result<Vec<String>, Reply> {
        let own = |id: &str| {
            self.networks
                .iter()
                .any(|n| n.id == id && (n.project == call.who.project || call.who.admin))
        };
        let auto = || {
            let first = self.networks.iter().find(|n| n.project == call.who.project);
            first.map(|n| n.id.clone()).into_iter().collect()
        };
        match wanted {
            None => Ok(auto()),
            Some(Value::String(word)) if word == "auto" => Ok(auto()),
            Some(Value::String(word)) if word == "none" => Ok(Vec::new()),
            Some(Value::Array(list)) if list.is_empty() => Ok(auto()),
            Some(Value::Array(list)) => list
                .iter()
                .map(|entry| match (entry["uuid"].as_str(), entry["port"].as_str()) {
                    (Some(id), _) if own(id) => Ok(id.to_owned()),
                    (Some(id), _) => Err(nova_error(400, format!("Network {id} could not be found."))),
                    (None, Some(port)) => Err(nova_error(400, format!("Port {port} could not be found."))),
                    _ => Err(invalid(
                        "networks",
                        entry,
                        "is not valid under any of the given schemas",
                    )),
                })
                .collect(),
            Some(other) => Err(invalid(
                "networks",
                other,
                "is not valid under any of the given schemas",
            )),
        }
    }
}

/// The host name that Nova makes of a name.
fn hostname(name: &str) -> String {
    let kept = |c: char| {
        if matches!(c, ' ' | '_' | '.') {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    };
    let text: String = name
        .chars()
        .map(kept)
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    text.trim_matches('-').chars().take(63).collect()
}
