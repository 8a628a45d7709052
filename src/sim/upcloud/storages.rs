//! Storages: lists, one, its changes, backups, and attaching to servers.

use serde_json::{Value, json};

use super::devices::address;
use super::errors::{Answer, Refusal, because, refused};
use super::fields::{fits, labels, number, text, word};
use super::model::{Device, State, Storage};
use super::show::bare_labels;
use super::world::{Effect, World, ZONES};
use crate::sim::cloud::{Ask, Reply};

/// What a list of storages can be narrowed to.
const LISTS: &[&str] = &[
    "public", "private", "normal", "backup", "cdrom", "template", "favorite",
];

impl World {
    fn storage_item(storage: &Storage) -> Value {
        let mut body = json!({
            "access": if storage.public { "public" } else { "private" }, "created": storage.created.to_string(),
            "labels": bare_labels(&storage.labels), "license": storage.license, "size": storage.size,
            "state": storage.state, "tier": storage.tier, "title": storage.title, "type": storage.kind,
            "uuid": storage.id, "zone": storage.zone,
        });
        if storage.license == 0.0 {
            body["license"] = json!(0);
        }
        if let Some(body) = body.as_object_mut().filter(|_| storage.kind == "backup") {
            // Backups are on no tier.
            body.remove("tier");
        }
        if let Some(kind) = storage.template {
            body["template_type"] = json!(kind);
        }
        if let Some(origin) = &storage.origin {
            body["origin"] = json!(origin);
        }
        body
    }

    pub(super) fn storage_detail(&self, storage: &Storage) -> Value {
        let mut body = Self::storage_item(storage);
        body["servers"] = json!({"server": self.attached(&storage.id)});
        if storage.kind == "normal" {
            let backups = self
                .storages
                .values()
                .filter(|s| s.origin.as_deref() == Some(&storage.id));
            body["backups"] = json!({"backup": backups.map(|s| s.id.clone()).collect::<Vec<_>>()});
            body["backup_rule"] = json!({});
            body["encrypted"] = json!("no");
        }
        json!({"storage": body})
    }

    /// `/storage` and below.
    pub(super) fn storage_call(&mut self, ask: &Ask, path: &[&str]) -> Answer {
        match (ask.method.as_str(), path) {
            ("GET", []) => Ok(self.storage_list(ask, None)),
            ("GET", [kind]) if LISTS.contains(kind) => Ok(self.storage_list(ask, Some(kind))),
            ("GET", [id]) => Ok(Reply::ok(self.storage_detail(self.storage(id)?))),
            ("POST", []) => self.storage_create(&ask.json()["storage"]),
            ("PUT", [id]) => self.storage_modify(id, &ask.json()["storage"]),
            ("DELETE", [id]) => self.storage_delete(id, ask),
            ("POST", [id, "backup"]) => self.storage_backup(id, &ask.json()["storage"]),
            _ => Err(refused("METHOD_NOT_ALLOWED")),
        }
    }

    fn storage_list(&self, ask: &Ask, kind: Option<&str>) -> Reply {
        let seen = |s: &&Storage| match kind {
            None => true,
            Some("public") => s.public,
            Some("private") => !s.public,
            Some(kind) => s.kind == kind,
        };
        let all = self
            .storages
            .values()
            .filter(seen)
            .filter(|s| fits(&s.labels, &ask.query));
        let list: Vec<Value> = all.map(Self::storage_item).collect();
        Reply::ok(json!({"storages": {"storage": list}}))
    }

    /// A storage of our own that is not busy.
    fn own_storage(&self, id: &str) -> Result<&Storage, Refusal> {
        let storage = self.storage(id)?;
        if storage.public {
            return Err(refused("STORAGE_FORBIDDEN"));
        }
        match storage.state {
            "online" => Ok(storage),
            state => Err(because(
                "STORAGE_STATE_ILLEGAL",
                format!("The storage {id} is in the state {state}."),
            )),
        }
    }

    pub(super) fn storage_create(&mut self, body: &Value) -> Answer {
        let zone = text(&body["zone"], "ZONE_INVALID")?;
        if !ZONES.iter().any(|(known, _)| *known == zone) {
            return Err(refused("ZONE_NOT_FOUND"));
        }
        let size = number(&body["size"])
            .filter(|n| (10..=4096).contains(n))
            .ok_or(refused("SIZE_INVALID"))?;
        let title = text(&body["title"], "TITLE_INVALID")?;
        let tier = word(&body["tier"], &["hdd", "maxiops", "standard"], "TIER_INVALID")?;
        let labels = labels(&body["labels"])?.unwrap_or_default();
        let storage = Storage {
            id: self.id("01"),
            title,
            kind: "normal",
            public: false,
            size,
            tier,
            zone,
            state: "online",
            labels,
            created: self.core.time(),
            origin: None,
            template: None,
            license: 0.0,
        };
        let body = self.storage_detail(&storage);
        self.storages.insert(storage.id.clone(), storage);
        Ok(Reply::new(201, body))
    }

    fn storage_modify(&mut self, id: &str, body: &Value) -> Answer {
        let mut new = self.own_storage(id)?.clone();
        if !body["title"].is_null() {
            new.title = text(&body["title"], "TITLE_INVALID")?;
        }
        if !body["size"].is_null() {
            let size = number(&body["size"]).filter(|n| (new.size..=4096).contains(n));
            new.size = size.ok_or(refused("SIZE_INVALID"))?;
            let running = |id: &String| self.servers.get(id).is_some_and(|s| s.state != State::Stopped);
            if self.attached(id).iter().any(running) {
                return Err(refused("SERVER_STATE_ILLEGAL"));
            }
        }
        if let Some(labels) = labels(&body["labels"])? {
            new.labels = labels;
        }
        let body = self.storage_detail(&new);
        self.storages.insert(id.into(), new);
        Ok(Reply::new(202, body))
    }

    fn storage_delete(&mut self, id: &str, ask: &Ask) -> Answer {
        let backups = ask.query("backups").unwrap_or("keep").to_owned();
        if !matches!(backups.as_str(), "keep" | "keep_latest" | "delete") {
            return Err(refused("BACKUP_DELETION_POLICY_INVALID"));
        }
        self.own_storage(id)?;
        if !self.attached(id).is_empty() {
            return Err(because(
                "STORAGE_STATE_ILLEGAL",
                "The storage is attached to a server.",
            ));
        }
        self.drop_storage(id, &backups);
        Ok(Reply::empty(204))
    }

    /// The storage is gone, and its backups as the policy says.
    pub(super) fn drop_storage(&mut self, id: &str, backups: &str) {
        self.storages.remove(id);
        if backups == "keep" {
            return;
        }
        let mut of_it: Vec<(jiff::Timestamp, String)> = self
            .storages
            .values()
            .filter(|s| s.origin.as_deref() == Some(id))
            .map(|s| (s.created, s.id.clone()))
            .collect();
        of_it.sort_unstable();
        if backups == "keep_latest" {
            of_it.pop();
        }
        for (_, backup) in of_it {
            self.storages.remove(&backup);
        }
    }

    /// Makes a backup of a storage.
    pub(super) fn storage_backup(&mut self, id: &str, body: &Value) -> Answer {
        let origin = self.own_storage(id)?.clone();
        let backup = Storage {
            id: self.id("01"),
            title: body["title"].as_str().unwrap_or("On demand backup").into(),
            kind: "backup",
            state: "maintenance",
            labels: Vec::new(),
            created: self.core.time(),
            origin: Some(origin.id.clone()),
            ..origin
        };
        let effect = Effect::Whole(backup.id.clone(), backup.size);
        self.schedule(self.config.timings.storage, "", effect);
        let mut body = self.storage_detail(&backup);
        body["storage"]["progress"] = json!("0");
        self.storages.insert(backup.id.clone(), backup);
        Ok(Reply::new(201, body))
    }

    /// `POST /server/{uuid}/storage/attach`.
    pub(super) fn attach(&mut self, id: &str, ask: &Ask) -> Answer {
        let body = ask.json();
        let block = &body["storage_device"];
        let server = self.server_in(id, &[State::Stopped, State::Started])?;
        let taken: Vec<String> = server.devices.iter().map(|d| d.address.clone()).collect();
        let address = address(&block["address"], &taken)?;
        if server.state == State::Started && address.starts_with("ide") {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        let zone = server.zone.clone();
        let cdrom = word(&block["type"], &["disk", "cdrom"], "TYPE_INVALID")? == "cdrom";
        let storage = self
            .storage(block["storage"].as_str().unwrap_or_default())?
            .clone();
        self.check_attach(&storage, cdrom)?;
        if !storage.public && storage.zone != zone {
            return Err(refused("ZONE_MISMATCH"));
        }
        let device = Device {
            storage: storage.id,
            address,
            cdrom,
            boot: block["boot_disk"] == "1",
            part_of_plan: false,
        };
        self.change(id, |s| s.devices.push(device));
        Ok(Reply::ok(self.detail(id)))
    }

    /// `POST /server/{uuid}/storage/detach`, by address or by storage.
    pub(super) fn detach(&mut self, id: &str, ask: &Ask) -> Answer {
        let body = ask.json();
        let block = &body["storage_device"];
        let server = self.server_in(id, &[State::Stopped, State::Started])?;
        let named =
            |d: &Device| block["address"] == d.address.as_str() || block["storage"] == d.storage.as_str();
        let address = server
            .devices
            .iter()
            .find(|d| named(d))
            .map(|d| d.address.clone());
        let address = address.ok_or(refused("STORAGE_NOT_FOUND"))?;
        if server.state == State::Started && address.starts_with("ide") {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        self.change(id, |s| s.devices.retain(|d| d.address != address));
        Ok(Reply::ok(self.detail(id)))
    }
}
