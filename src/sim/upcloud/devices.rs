//! The block `storage_devices` of a creation: what is checked, and the storages that come of it.

use std::time::Duration;

use serde_json::Value;

use super::config::FOREIGN_STORAGE;
use super::errors::{Refusal, because, refused};
use super::fields::{labels, number, text, uuid, word};
use super::model::{Device, Labels, Storage};
use super::world::{Effect, PLANS, World};

/// How one logs in.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) keys: usize,
    pub(super) password: Option<bool>,
}

impl Login {
    /// Keys take the place of a password, except on Windows, which has no use for them.
    pub(super) fn creates_password(&self, windows: bool) -> bool {
        self.password.unwrap_or(self.keys == 0 || windows)
    }
}

/// One checked block.
#[derive(Clone, Debug)]
struct Wanted {
    /// The storage that is cloned or attached; none if one is created.
    source: Option<String>,
    attach: bool,
    title: String,
    /// Size of what is cloned, and in the end.
    size: (u64, u64),
    tier: &'static str,
    cdrom: bool,
    boot: bool,
    address: String,
    labels: Labels,
    zone: String,
    part_of_plan: bool,
    license: f64,
}

/// All checked blocks.
#[derive(Clone, Debug)]
pub(super) struct Disks {
    wanted: Vec<Wanted>,
    /// One of them is a template of Windows.
    pub(super) windows: bool,
}

impl Disks {
    /// What is new of a tier, in GB.
    pub(super) fn gigabytes(&self, tier: &str) -> u64 {
        let new = self.wanted.iter().filter(|w| !w.attach && w.tier == tier);
        new.map(|w| w.size.1).sum()
    }
}

/// The next address of a bus, or the one that is asked for.
pub(super) fn address(wanted: &Value, taken: &[String]) -> Result<String, Refusal> {
    let bus = match wanted {
        Value::Null => "virtio",
        value => value.as_str().unwrap_or("-"),
    };
    let places: Vec<String> = match bus.split(':').next() {
        Some("virtio") => (0..16).map(|n| format!("virtio:{n}")).collect(),
        Some("scsi") => (0..16).map(|n| format!("scsi:0:{n}")).collect(),
        Some("ide") => (0..4).map(|n| format!("ide:{}:{}", n / 2, n % 2)).collect(),
        _ => return Err(refused("STORAGE_DEVICE_INVALID")),
    };
    if bus.contains(':') {
        if !places.iter().any(|p| p == bus) {
            return Err(refused("STORAGE_DEVICE_INVALID"));
        }
        return match taken.iter().any(|t| t == bus) {
            true => Err(refused("DEVICE_ADDRESS_IN_USE")),
            false => Ok(bus.into()),
        };
    }
    let free = places.into_iter().find(|p| !taken.contains(p));
    free.ok_or(refused("DEVICE_ADDRESS_IN_USE"))
}

impl World {
    /// A storage that the account may use.
    pub(super) fn storage(&self, id: &str) -> Result<&Storage, Refusal> {
        uuid(id, "STORAGE_INVALID")?;
        if id == FOREIGN_STORAGE {
            return Err(refused("STORAGE_FORBIDDEN"));
        }
        self.storages.get(id).ok_or(refused("STORAGE_NOT_FOUND"))
    }

    pub(super) fn check_devices(
        &self,
        body: &Value,
        zone: &str,
        login: &Login,
        metadata: bool,
    ) -> Result<Disks, Refusal> {
        let blocks = &body["storage_devices"];
        if !blocks.is_object() {
            return Err(refused("STORAGE_DEVICES_INVALID"));
        }
        let blocks = match &blocks["storage_device"] {
            Value::Null => return Err(refused("STORAGE_DEVICE_MISSING")),
            Value::Array(list) if list.is_empty() => return Err(refused("STORAGE_DEVICE_MISSING")),
            Value::Array(list) => list,
            _ => return Err(refused("STORAGE_DEVICES_INVALID")),
        };
        if blocks.len() > 16 {
            return Err(refused("STORAGE_DEVICE_LIMIT_REACHED"));
        }
        let plan_size = PLANS.iter().find(|(name, ..)| body["plan"] == *name).map(|p| p.3);
        let mut disks = Disks {
            wanted: Vec::new(),
            windows: false,
        };
        let mut templates: Vec<&Storage> = Vec::new();
        for block in blocks {
            let taken: Vec<String> = disks.wanted.iter().map(|w| w.address.clone()).collect();
            let mut wanted = self.check_device(block, zone, &taken)?;
            if let Some(source) = wanted.source.as_ref().and_then(|id| self.storages.get(id)) {
                if source.kind == "template" {
                    templates.push(source);
                }
                if wanted.attach
                    && disks
                        .wanted
                        .iter()
                        .any(|w| w.attach && w.source.as_ref() == Some(&source.id))
                {
                    return Err(refused("STORAGE_IN_USE"));
                }
            }
            if wanted.cdrom && disks.wanted.iter().any(|w| w.cdrom) {
                return Err(refused("CDROM_DEVICE_IN_USE"));
            }
            let first = disks.wanted.iter().all(|w| w.cdrom) && !wanted.cdrom;
            wanted.part_of_plan = first && plan_size.is_some_and(|most| wanted.size.1 <= most);
            disks.wanted.push(wanted);
        }
        if disks.wanted.iter().filter(|w| w.boot).count() > 1 {
            return Err(refused("TOO_MANY_BOOT_DISKS"));
        }
        let template = match templates.as_slice() {
            [] => return Ok(disks),
            [template] => template,
            _ => return Err(refused("MULTIPLE_TEMPLATES")),
        };
        disks.windows = template.license > 0.0;
        if disks.windows && self.config.limits.trial_servers.is_some() {
            return Err(refused("WINDOWS_NOT_AVAILABLE"));
        }
        if template.template == Some("cloud-init") {
            if !metadata {
                return Err(refused("METADATA_DISABLED_ON_CLOUD-INIT"));
            }
            if login.keys == 0 {
                return Err(because(
                    "CAN_NOT_CREATE_PASSWORD_FOR_THE_SELECTED_DISTRIBUTION",
                    "The selected distribution has SSH keys as its only login.",
                ));
            }
        }
        Ok(disks)
    }

    fn check_device(&self, block: &Value, zone: &str, taken: &[String]) -> Result<Wanted, Refusal> {
        if !block.is_object() {
            return Err(refused("STORAGE_DEVICE_INVALID"));
        }
        if block["action"].is_null() {
            return Err(refused("ACTION_MISSING"));
        }
        let action = word(&block["action"], &["create", "clone", "attach"], "ACTION_INVALID")?;
        let cdrom = word(&block["type"], &["disk", "cdrom"], "TYPE_INVALID")? == "cdrom";
        let boot = match &block["boot_disk"] {
            Value::Null => false,
            value => {
                number(value)
                    .filter(|n| *n < 2)
                    .ok_or(refused("STORAGE_DEVICE_INVALID"))?
                    == 1
            }
        };
        let size = match &block["size"] {
            Value::Null => None,
            value => Some(
                number(value)
                    .filter(|n| (10..=4096).contains(n))
                    .ok_or(refused("SIZE_INVALID"))?,
            ),
        };
        let mut wanted = Wanted {
            source: None,
            attach: action == "attach",
            title: String::new(),
            size: (0, 0),
            tier: word(&block["tier"], &["hdd", "maxiops", "standard"], "TIER_INVALID")?,
            cdrom,
            boot,
            address: address(&block["address"], taken)?,
            labels: labels(&block["labels"])?.unwrap_or_default(),
            zone: zone.into(),
            part_of_plan: false,
            license: 0.0,
        };
        if action == "create" {
            let size = size.ok_or(refused("SIZE_MISSING"))?;
            wanted.size = (size, size);
        } else {
            if block["storage"].is_null() {
                return Err(refused("STORAGE_MISSING"));
            }
            let id = block["storage"].as_str().unwrap_or_default();
            let source = self.storage(id)?;
            if source.state != "online" {
                return Err(refused("STORAGE_STATE_ILLEGAL"));
            }
            if !source.public && source.zone != zone {
                return Err(refused("ZONE_MISMATCH"));
            }
            wanted.source = Some(source.id.clone());
            wanted.license = source.license;
            if action == "attach" {
                self.check_attach(source, cdrom)?;
                wanted.title = source.title.clone();
                wanted.size = (source.size, source.size);
                wanted.tier = source.tier;
                return Ok(wanted);
            }
            if source.kind == "cdrom" {
                return Err(refused("STORAGE_TYPE_ILLEGAL"));
            }
            let least = source.size;
            let size = size.unwrap_or(least);
            if size < least {
                return Err(refused("SIZE_INVALID"));
            }
            wanted.size = (least, size);
        }
        if block["title"].is_null() {
            return Err(refused("STORAGE_TITLE_MISSING"));
        }
        wanted.title = text(&block["title"], "STORAGE_TITLE_INVALID")?;
        Ok(wanted)
    }

    /// Whether a storage can be attached as what it is to be.
    pub(super) fn check_attach(&self, storage: &Storage, cdrom: bool) -> Result<(), Refusal> {
        if cdrom != (storage.kind == "cdrom") || storage.kind == "template" {
            return Err(refused("STORAGE_TYPE_ILLEGAL"));
        }
        if storage.public && !cdrom {
            return Err(refused("PUBLIC_STORAGE_ATTACH"));
        }
        if !cdrom && !self.attached(&storage.id).is_empty() {
            return Err(because(
                "STORAGE_STATE_ILLEGAL",
                "The storage is attached to a server.",
            ));
        }
        Ok(())
    }

    /// Makes what was checked; new storages are whole after this time.
    pub(super) fn make_devices(&mut self, disks: &Disks, time: Duration) -> Vec<Device> {
        let mut devices = Vec::new();
        for wanted in &disks.wanted {
            let storage = match (&wanted.source, wanted.attach) {
                (Some(source), true) => source.clone(),
                _ => self.make_storage(wanted, time),
            };
            devices.push(Device {
                storage,
                address: wanted.address.clone(),
                cdrom: wanted.cdrom,
                boot: wanted.boot,
                part_of_plan: wanted.part_of_plan,
            });
        }
        devices
    }

    fn make_storage(&mut self, wanted: &Wanted, time: Duration) -> String {
        let id = self.id("01");
        let storage = Storage {
            id: id.clone(),
            title: wanted.title.clone(),
            kind: "normal",
            public: false,
            size: wanted.size.0,
            tier: wanted.tier,
            zone: wanted.zone.clone(),
            state: "maintenance",
            labels: wanted.labels.clone(),
            created: self.core.time(),
            origin: None,
            template: None,
            license: wanted.license,
        };
        self.storages.insert(id.clone(), storage);
        self.schedule(time.mul_f64(0.8), "", Effect::Whole(id.clone(), wanted.size.1));
        id
    }
}
