//! Start, stop, restart, cancel, relocate and delete.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::FOREIGN_SERVER;
use super::errors::{Answer, Refusal, because, refused};
use super::fields::{number, uuid, word};
use super::model::{Server, State};
use super::world::{Effect, World, ZONES};
use crate::sim::cloud::{Ask, Reply};

const STRICT: &str = "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA";
/// The longest that a soft stop waits, in seconds.
const LONGEST: u64 = 600;

/// A body that may be absent.
fn block(ask: &Ask, name: &str) -> Result<Value, Refusal> {
    if ask.body.is_empty() {
        return Ok(Value::Null);
    }
    match ask.json() {
        Value::Object(mut map) => Ok(map.remove(name).unwrap_or(Value::Null)),
        _ => Err(because("REQUEST_INVALID", "The body is no JSON object.")),
    }
}

/// Type of a stop, and the timeout of a soft one. The service was seen to take any timeout with a hard stop.
fn stop_type(body: &Value) -> Result<(bool, Option<Duration>), Refusal> {
    let hard = word(&body["stop_type"], &["soft", "hard"], "STOP_TYPE_INVALID")? == "hard";
    let timeout = match &body["timeout"] {
        Value::Null => None,
        value => Some(number(value).ok_or(refused("TIMEOUT_INVALID"))?),
    };
    if !hard && timeout.is_some_and(|t| !(1..=LONGEST).contains(&t)) {
        return Err(refused("TIMEOUT_INVALID"));
    }
    Ok((hard, timeout.map(Duration::from_secs)))
}

impl World {
    /// A server of the account.
    pub(super) fn server(&self, id: &str) -> Result<&Server, Refusal> {
        uuid(id, "SERVER_INVALID")?;
        if id == FOREIGN_SERVER {
            return Err(refused("SERVER_FORBIDDEN"));
        }
        let server = self.servers.get(id).filter(|s| s.gone_at.is_none());
        server.ok_or_else(|| because("SERVER_NOT_FOUND", format!("The server {id} does not exist.")))
    }

    /// A server in one of these states.
    pub(super) fn server_in(&self, id: &str, states: &[State]) -> Result<&Server, Refusal> {
        let server = self.server(id)?;
        match states.contains(&server.state) {
            true => Ok(server),
            false => Err(because(
                "SERVER_STATE_ILLEGAL",
                format!("The server {id} is in an illegal state: {}.", server.state.word()),
            )),
        }
    }

    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(id) {
            change(server);
        }
    }

    pub(super) fn start(&mut self, id: &str, ask: &Ask) -> Answer {
        let body = block(ask, "server")?;
        let sync = word(&body["start_type"], &["sync", "async"], "REQUEST_INVALID")? == "sync";
        let server = self.server_in(id, &[State::Stopped])?.clone();
        if server.devices.is_empty() {
            return Err(refused("NO_STORAGES_ATTACHED"));
        }
        self.check_credits()?;
        let wish = self.host_wish(&body)?;
        let code = match self.config.choices.strict_code_on_start {
            true => STRICT,
            false => "SERVER_RESOURCES_UNAVAILABLE",
        };
        let host = self.place(&server, self.group_of(id), &wish, code)?;
        let (time, fails) = self.ordered("start", id, self.config.timings.start);
        self.change(id, |s| (s.state, s.host) = (State::Maintenance, Some(host)));
        self.schedule(
            time,
            id,
            Effect::State(if fails { State::Error } else { State::Started }),
        );
        let mut body = self.detail(id);
        if !sync {
            return Ok(Reply::ok(body));
        }
        // What a caller who waits is told is what is true by then.
        body["server"]["state"] = json!(if fails { "error" } else { "started" });
        body["server"]["host"] = json!(host);
        Ok(Reply::ok(body).after(time))
    }

    pub(super) fn stop(&mut self, id: &str, ask: &Ask) -> Answer {
        let (hard, timeout) = stop_type(&block(ask, "stop_server")?)?;
        let server = self.server_in(id, &[State::Started])?.clone();
        // A hard stop ends a soft one early; two of a kind are one too many.
        if server.stopping && !hard && !self.config.choices.stop_again {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        let (quick, fails) = self.ordered("stop", id, self.config.timings.stop);
        let (guest, _) = self.ordered("guest", id, self.config.timings.guest);
        let heeds = !server.deaf;
        let end = match (hard, timeout) {
            (true, _) => Some(quick),
            (false, Some(timeout)) if heeds => Some(guest.min(timeout + quick)),
            (false, Some(timeout)) => Some(timeout + quick),
            (false, None) => heeds.then_some(guest),
        };
        if let Some(time) = end {
            self.forget(id);
            // A signal alone is no operation of the service's own: a second stop is not in its way.
            self.change(id, |s| s.stopping = hard || timeout.is_some());
            let state = if fails { State::Error } else { State::Stopped };
            self.schedule(time, id, Effect::State(state));
        }
        let mut body = self.detail(id);
        if self.config.choices.bare_addresses_on_stop {
            body["server"]["ip_addresses"] = body["server"]["ip_addresses"]["ip_address"].take();
        }
        Ok(Reply::ok(body))
    }

    pub(super) fn restart(&mut self, id: &str, ask: &Ask) -> Answer {
        let body = block(ask, "restart_server")?;
        let (hard, timeout) = stop_type(&body)?;
        let action = word(
            &body["timeout_action"],
            &["ignore", "destroy"],
            "TIMEOUT_ACTION_INVALID",
        )?;
        if !hard && timeout.is_none() {
            return Err(refused("TIMEOUT_MISSING"));
        }
        let wish = self.host_wish(&body)?;
        let server = self.server_in(id, &[State::Started])?.clone();
        if server.stopping {
            return Err(refused("SERVER_STATE_ILLEGAL"));
        }
        let (guest, _) = self.ordered("guest", id, self.config.timings.guest);
        let (quick, _) = self.ordered("stop", id, self.config.timings.stop);
        let (boot, fails) = self.ordered("restart", id, self.config.timings.restart);
        let heeds = !server.deaf && timeout.is_none_or(|t| guest <= t);
        let down = match (hard, heeds) {
            (true, _) => quick,
            (false, true) => guest,
            (false, false) => timeout.unwrap_or_default(),
        };
        if hard || heeds || action == "destroy" {
            if wish.only.is_some() {
                self.change(id, |s| s.host = wish.only);
            }
            self.schedule(down, id, Effect::State(State::Maintenance));
            let state = if fails { State::Error } else { State::Started };
            self.schedule(down + boot, id, Effect::State(state));
        }
        Ok(Reply::ok(self.detail(id)))
    }

    pub(super) fn cancel(&mut self, id: &str) -> Answer {
        let server = self.server_in(id, &[State::Maintenance])?;
        if !server.creating {
            return Err(refused("UNABLE_TO_CANCEL"));
        }
        let effect = match self.config.choices.cancelled_is_gone {
            true => Effect::Gone,
            false => Effect::State(State::Stopped),
        };
        self.forget(id);
        self.schedule(Duration::ZERO, id, effect);
        self.carry_out_due(self.core.now);
        Ok(Reply::empty(204))
    }

    /// To another zone; the body is not wrapped.
    pub(super) fn relocate(&mut self, id: &str, ask: &Ask) -> Answer {
        self.server_in(id, &[State::Stopped])?;
        let zone = ask.json()["zone"].as_str().unwrap_or_default().to_owned();
        if !ZONES.iter().any(|(known, _)| *known == zone) {
            return Err(refused("ZONE_NOT_FOUND"));
        }
        let disks: Vec<String> = self
            .server(id)?
            .devices
            .iter()
            .map(|d| d.storage.clone())
            .collect();
        for storage in self
            .storages
            .values_mut()
            .filter(|s| !s.public && disks.contains(&s.id))
        {
            storage.zone.clone_from(&zone);
        }
        self.change(id, |s| s.zone = zone);
        Ok(Reply::ok(self.detail(id)))
    }

    pub(super) fn delete(&mut self, id: &str, ask: &Ask) -> Answer {
        let storages = match ask.query("storages").unwrap_or("0") {
            "0" | "false" => false,
            "1" | "true" => true,
            _ => return Err(refused("STORAGE_DELETION_POLICY_INVALID")),
        };
        let backups = ask.query("backups").unwrap_or("keep").to_owned();
        if !matches!(backups.as_str(), "keep" | "keep_latest" | "delete") {
            return Err(refused("BACKUP_DELETION_POLICY_INVALID"));
        }
        let server = self.server_in(id, &[State::Stopped])?.clone();
        if !storages && backups != "keep" {
            return Err(because("REQUEST_INVALID", "Backups go only with their storages."));
        }
        let disks: Vec<String> = server.devices.into_iter().map(|d| d.storage).collect();
        let busy = |id: &String| self.storages.get(id).is_some_and(|s| s.state != "online");
        if disks.iter().any(busy) {
            return Err(refused("STORAGE_STATE_ILLEGAL"));
        }
        if storages {
            for disk in &disks {
                if self.storages.get(disk).is_some_and(|s| !s.public) {
                    self.drop_storage(disk, &backups);
                }
            }
        }
        self.end(id);
        Ok(Reply::empty(204))
    }

    /// The server is gone, now.
    pub(super) fn end(&mut self, id: &str) {
        self.schedule(Duration::ZERO, id, Effect::Gone);
        self.carry_out_due(self.core.now);
    }
}
