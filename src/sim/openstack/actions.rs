//! `POST /servers/{id}/action`: which action is accepted in which state, and what it starts.

use std::time::Duration;

use serde_json::{Value, json};

use super::action_table::{
    ADMINS, ANY_TASK, Course, HARD_FROM, HARD_TASKS, HOST_DOWN, ROWS, Row, check_arguments,
};
use super::keystone::Who;
use super::nova::Microversion;
use super::server::{Action, Lock, Server, Vm};
use super::timeline::{Effect, RUNNING, SHUTDOWN, Track};
use super::wire::nova_error;
use super::world::{Image, World};
use crate::sim::cloud::{Answer, Reply};

use Vm::{Active, Error, Stopped};

/// The refusal of a call that the state forbids.
pub(super) fn wrong_state(server: &Server, name: &str, what: &str, word: &str) -> Reply {
    nova_error(
        409,
        format!(
            "Cannot '{name}' instance {} while it is in {what} {word}",
            server.id
        ),
    )
}

/// What `nova/compute/api.py` has no `check_instance_lock` for.
const FREE_OF_LOCKS: &[&str] = &["createImage", "createBackup", "evacuate"];

/// A lock binds everybody but administrators, its own maker too.
pub(super) fn check_lock(server: &Server, who: &Who) -> Result<(), Reply> {
    if server.lock.is_some() && !who.admin {
        return Err(nova_error(409, format!("Instance {} is locked", server.id)));
    }
    Ok(())
}

fn check_state(server: &Server, row: &Row, hard: bool) -> Result<(), Reply> {
    let from = if hard { HARD_FROM } else { row.from };
    if row.key == "os-stop" && server.host.is_none() && server.vm != Vm::Building {
        return Err(nova_error(409, format!("Instance {} is not ready", server.id)));
    }
    if !from.contains(&server.vm) {
        return Err(wrong_state(server, row.name, "vm_state", server.vm.word()));
    }
    let taken = |task| ANY_TASK.contains(&row.key) || hard && HARD_TASKS.contains(&task);
    if let Some(task) = server.task.filter(|task| !taken(task)) {
        return Err(wrong_state(server, row.name, "task_state", task));
    }
    if server.launched.is_none() {
        let text = format!("Instance {} is in an invalid state for '{}'", server.id, row.name);
        return Err(nova_error(409, text));
    }
    Ok(())
}

/// What is refused of a server in the right state.
fn check_kind(server: &Server, row: &Row) -> Result<(), Reply> {
    let text = match row.key {
        "evacuate" if !server.metadata.contains_key(HOST_DOWN) => {
            let host = server.host.as_deref().unwrap_or_default();
            format!("Compute service of {host} is still in use.")
        }
        "createBackup" if server.image.is_empty() => {
            "Backup is not supported for volume-backed instances.".to_owned()
        }
        _ => return Ok(()),
    };
    Err(nova_error(400, text))
}

impl World {
    /// Carries out one action: the refusal, or what Nova answers when it accepts.
    pub(super) fn act(
        &mut self,
        id: &str,
        body: &Value,
        who: &Who,
        version: Microversion,
        request: &str,
    ) -> Answer {
        let Some((key, args)) = body
            .as_object()
            .filter(|o| o.len() == 1)
            .and_then(|o| o.iter().next())
        else {
            return Err(nova_error(400, "There is no such action: "));
        };
        match key.as_str() {
            "lock" | "unlock" => return self.lock_action(id, key == "lock", args, who, request),
            "os-resetState" => return self.reset_state(id, args, who),
            "os-getConsoleOutput" => return self.console_output(id, args),
            "forceDelete" => return self.force_delete(id, who, request),
            "addSecurityGroup" | "removeSecurityGroup" => {
                return self.change_security_groups(id, key == "addSecurityGroup", args);
            }
            _ => {}
        }
        let Some(row) = ROWS.iter().find(|row| row.key == key) else {
            return Err(nova_error(400, format!("There is no such action: {key}")));
        };
        let Some(server) = self.servers.get(id) else {
            return Err(nova_error(
                404,
                format!("Instance {id} has no mapping to a cell."),
            ));
        };
        let hard = match (row.key, args.get("type").and_then(Value::as_str)) {
            ("reboot", Some(kind)) if kind.eq_ignore_ascii_case("hard") => true,
            ("reboot", Some(kind)) if kind.eq_ignore_ascii_case("soft") => false,
            ("reboot", _) => {
                let text = format!(
                    "Invalid input for field/attribute reboot. Value: {args}. 'type' is a required property"
                );
                return Err(nova_error(400, text));
            }
            _ => false,
        };
        if let Some((_, policy)) = ADMINS.iter().find(|a| a.0 == row.key && !who.admin) {
            let text = format!("Policy doesn't allow os_compute_api:{policy} to be performed.");
            return Err(nova_error(403, text));
        }
        check_arguments(row.key, args)?;
        if row.key == "rescue" {
            self.check_rescue(server, args, version)?;
        }
        if !FREE_OF_LOCKS.contains(&row.key) {
            check_lock(server, who)?;
        }
        if server.confirming && matches!(row.key, "confirmResize" | "revertResize") {
            return Err(nova_error(400, "Instance has not been resized."));
        }
        check_state(server, row, hard)?;
        check_kind(server, row)?;
        if row.key == "restore" {
            let (project, flavor) = (server.project.clone(), server.flavor.clone());
            self.check_quota(&project, 1, flavor.vcpus, flavor.ram)?;
        }
        let flavor = match row.key {
            "resize" => Some(self.check_resize(id, args, who)?),
            _ => None,
        };
        let image = match row.key {
            "rebuild" => Some(self.check_rebuild(id, args, version)?),
            _ => None,
        };
        if server.task.is_some() {
            self.supersede(id);
        }
        self.record(id, row.name, who, request);
        let was = match self.servers.get_mut(id) {
            Some(server) => {
                let was = (server.vm, server.power);
                // Nova writes the new image down when it accepts the call.
                server.image = image.unwrap_or_else(|| std::mem::take(&mut server.image));
                if !row.task.is_empty() {
                    server.task = Some(if hard { "rebooting_hard" } else { row.task });
                }
                was
            }
            None => return Err(nova_error(404, format!("Instance {id} could not be found."))),
        };
        match row.course {
            Course::Simple(call, vm, power) => self.plan_simple(id, request, call, (vm, power), None),
            Course::Fatal(call, vm, power, code) => {
                self.plan_simple(id, request, call, (vm, power), Some(code))
            }
            Course::Restore => {
                self.keep_no_longer(id);
                self.plan_simple(id, request, "power_on", (Active, RUNNING), None);
            }
            Course::Reboot => self.plan_reboot(id, request, hard, was),
            Course::Resize => {
                if let Some(flavor) = flavor {
                    self.plan_resize(id, request, &flavor);
                }
            }
            Course::Confirm => self.plan_confirm(id, request),
            Course::Revert => self.plan_revert(id, request),
            Course::Rebuild => self.plan_rebuild(id, request),
            Course::Shelve => self.plan_shelve(id, request),
            Course::Unshelve => self.plan_unshelve(id, request),
            Course::Snapshot => return Ok(self.plan_snapshot(id, request, args, version)),
            Course::Inside(call) => self.plan_inside(id, request, call),
            Course::Migrate => {
                if let Some(flavor) = self.servers.get(id).map(|s| s.flavor.clone()) {
                    self.plan_resize(id, request, &flavor);
                }
            }
            Course::LiveMigrate => self.plan_live_migration(id, request),
            Course::Evacuate => self.plan_evacuation(id, request),
        }
        let password = self.core.hex();
        Ok(match row.key {
            "rescue" | "evacuate" => Reply::ok(json!({"adminPass": &password[..12]})),
            "rebuild" => self.servers.get(id).map_or_else(
                || Reply::empty(202),
                |server| {
                    let mut body = self.show(server, version, who.admin, true, "");
                    body["adminPass"] = json!(&password[..12]);
                    Reply::new(202, json!({"server": body}))
                },
            ),
            _ => Reply::empty(row.status),
        })
    }

    /// The image that a rescue names, and whether the root disk can be rescued.
    fn check_rescue(&self, server: &Server, args: &Value, version: Microversion) -> Result<(), Reply> {
        if server.image.is_empty() && version.minor < 87 {
            let text = format!(
                "Instance {} cannot be rescued: Cannot rescue a volume-backed instance",
                server.id
            );
            return Err(nova_error(400, text));
        }
        match args.get("rescue_image_ref").and_then(Value::as_str) {
            Some(image) if !self.images.iter().any(|i| i.id == image) => Err(nova_error(
                400,
                format!("Requested rescue image '{image}' is not supported"),
            )),
            _ => Ok(()),
        }
    }

    /// The image that a rebuild names.
    fn check_rebuild(&self, id: &str, args: &Value, version: Microversion) -> Result<String, Reply> {
        let image = args.get("imageRef").and_then(Value::as_str).unwrap_or_default();
        if !self.images.iter().any(|i| i.id == image) {
            return Err(nova_error(400, "Cannot find image for rebuild"));
        }
        if let Some(server) = self.servers.get(id).filter(|s| !s.image.is_empty()) {
            self.check_fits(image, &server.flavor)?;
            return Ok(image.to_owned());
        }
        if version.minor < 93 {
            let text = format!(
                "Image {image} is unacceptable: Unable to rebuild with a different image for a volume-backed server."
            );
            return Err(nova_error(400, text));
        }
        // It still shows no image.
        Ok(String::new())
    }

    /// Writes down who asked for what.
    pub(super) fn record(&mut self, id: &str, name: &'static str, who: &Who, request: &str) {
        let start = self.core.time();
        if let Some(server) = self.servers.get_mut(id) {
            server.updated = start;
            server.actions.push(Action {
                request: request.into(),
                name,
                user: who.user.clone(),
                project: who.project.clone(),
                start,
                finish: None,
                failed: false,
            });
        }
    }

    fn plan_simple(&mut self, id: &str, request: &str, call: &str, to: (Vm, u8), fatal: Option<u16>) {
        let mut track = Track::new(self, id, request);
        track.hop();
        match (track.call(call), fatal) {
            (Some((kind, _)), _) if kind == "vanish" => track.step(Effect::State(to.0, None, 0)).done(),
            (Some((_, message)), Some(400)) => {
                track.fail(
                    400,
                    format!("Instance {id} cannot be rescued: Driver Error: {message}"),
                );
            }
            (Some((_, message)), Some(code)) => track.fail(code, message),
            (Some(_), None) => {
                track
                    .step(Effect::Task(None))
                    .step(Effect::Finish { failed: true });
            }
            (None, _) => track.step(Effect::State(to.0, None, to.1)).done(),
        }
    }

    fn plan_reboot(&mut self, id: &str, request: &str, hard: bool, was: (Vm, u8)) {
        let started = if hard {
            "reboot_started_hard"
        } else {
            "reboot_started"
        };
        let mut track = Track::new(self, id, request);
        track.hop().step(Effect::Task(Some(started)));
        match track.call("reboot") {
            Some((kind, _)) if kind == "vanish" => track.step(Effect::State(Active, None, 0)).done(),
            // A guest that still runs hides the failure completely.
            Some(_) if was.1 == RUNNING => track.step(Effect::Task(None)).done(),
            Some((_, message)) => track.fail(500, message),
            None => track.step(Effect::State(Active, None, RUNNING)).done(),
        }
    }

    fn plan_snapshot(&mut self, id: &str, request: &str, args: &Value, version: Microversion) -> Reply {
        let image = self.core.uuid();
        let name = args
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("snapshot")
            .to_owned();
        let project = self.servers.get(id).map(|s| s.project.clone());
        self.images.push(Image {
            id: image.clone(),
            name,
            status: "saving",
            project,
            min_disk: 0,
            backup: args
                .get("backup_type")
                .and_then(Value::as_str)
                .map(|kind| (id.to_owned(), kind.to_owned())),
        });
        let rotation = args.get("rotation").and_then(Value::as_u64);
        let mut track = Track::new(self, id, request);
        track.hop();
        let failed = track.call("snapshot").is_some();
        track.step(Effect::Task(None));
        if failed {
            self.images.retain(|i| i.id != image);
        } else {
            track.step(Effect::ImageDone(image.clone(), rotation)).done();
        }
        if version.minor >= 45 {
            Reply::new(202, json!({"image_id": image}))
        } else {
            Reply::empty(202).with("Location", format!("/image/v2/images/{image}"))
        }
    }

    fn check_resize(&self, id: &str, args: &Value, who: &Who) -> Result<super::server::Flavor, Reply> {
        let Some(wanted) = args.get("flavorRef").and_then(flavor_ref) else {
            let text = format!(
                "Invalid input for field/attribute resize. Value: {args}. 'flavorRef' is a required property"
            );
            return Err(nova_error(400, text));
        };
        let Some(flavor) = self.flavor(&wanted) else {
            return Err(nova_error(400, format!("Flavor {wanted} could not be found.")));
        };
        let Some(server) = self.servers.get(id) else {
            return Err(nova_error(404, format!("Instance {id} could not be found.")));
        };
        if server.flavor.id == flavor.id {
            return Err(nova_error(400, "When resizing, instances must change flavor!"));
        }
        let more = |new: i64, old: i64| (new - old).max(0);
        let (cores, ram) = (
            more(flavor.vcpus, server.flavor.vcpus),
            more(flavor.ram, server.flavor.ram),
        );
        self.check_quota(&who.project, 0, cores, ram)?;
        Ok(flavor.clone())
    }

    fn lock_action(&mut self, id: &str, lock: bool, args: &Value, who: &Who, request: &str) -> Answer {
        let Some(server) = self.servers.get_mut(id) else {
            return Err(nova_error(
                404,
                format!("Instance {id} has no mapping to a cell."),
            ));
        };
        // `nova/compute/api.py` `lock`: whoever owns the server changes no lock that is there.
        let owner = server.project == who.project;
        if lock && owner && server.lock.is_some() {
            return Ok(Reply::empty(202));
        }
        if lock {
            // Without words the old ones stay.
            let told = args.get("locked_reason").and_then(Value::as_str);
            let told = told.filter(|words| !words.is_empty()).map(Into::into);
            let reason = told.or_else(|| server.lock.take().and_then(|l| l.reason));
            server.lock = Some(Lock {
                reason,
                by_admin: !owner,
            });
        } else {
            if server.lock.as_ref().is_some_and(|l| l.by_admin) && !who.admin {
                let text = "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.";
                return Err(nova_error(403, text));
            }
            server.lock = None;
        }
        self.record(id, if lock { "lock" } else { "unlock" }, who, request);
        Ok(Reply::empty(202))
    }

    fn reset_state(&mut self, id: &str, args: &Value, who: &Who) -> Answer {
        if !who.admin {
            let text = "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.";
            return Err(nova_error(403, text));
        }
        let vm = match args.get("state").and_then(Value::as_str) {
            Some("active") => Active,
            Some("error") => Error,
            other => {
                let text = format!(
                    "Invalid input for field/attribute state. Value: {}. ",
                    other.unwrap_or("None")
                );
                return Err(nova_error(400, text));
            }
        };
        let Some(server) = self.servers.get_mut(id) else {
            return Err(nova_error(404, format!("Instance {id} could not be found.")));
        };
        (server.vm, server.task, server.fault) = (vm, None, None);
        Ok(Reply::empty(202))
    }

    /// A guest that shut itself down: Nova sees it when it next looks.
    pub(super) fn plan_guest_shutdown(&mut self, id: &str, request: &str, after: Duration) {
        let mut track = Track::new(self, id, request);
        track.wait(after).step(Effect::Task(Some("powering-off")));
        track.hop().step(Effect::State(Stopped, None, SHUTDOWN)).done();
    }
}

/// A flavor is named by its id, or by a link that ends in it.
pub(super) fn flavor_ref(value: &Value) -> Option<String> {
    let text = value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_i64().map(|n| n.to_string()))?;
    Some(text.rsplit('/').next().unwrap_or_default().to_owned())
}
