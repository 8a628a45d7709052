//! The deeds of the menu: somebody touches instances.

use serde_json::{Value, json};

use super::{CloudDcSim, NoSuchInstance};
use crate::sim::cloud::Reply;

pub(super) const DEEDS: &str =
    "POST /_sim/instances/{id or name}/{stop|start|reboot|delete|create|reinstall|error|manage|state}";

/// A deed to the instance with this id or name; none if there is no such deed.
pub(super) fn touch(sim: &CloudDcSim, key: &str, deed: &str, body: &Value) -> Option<Reply> {
    let text = |field: &str, or: &str| body[field].as_str().unwrap_or(or).to_owned();
    let done = match deed {
        "stop" => sim.oob_stop(key),
        "start" => sim.oob_start(key),
        "reboot" => sim.oob_reboot(key),
        "delete" => sim.oob_delete(key),
        "create" => sim.oob_create(key).map(|_| ()),
        "reinstall" => sim.oob_reinstall(key),
        "error" => sim.set_error(
            key,
            &text("operation", "reinstall-failed"),
            None,
            &text("message", "ordered to fail"),
        ),
        "manage" => {
            let frozen = body["frozen"].as_i64().unwrap_or(0);
            sim.set_manage(key, &text("manage", "in-use"), frozen)
        }
        "state" => sim.set_state(key, &text("state", "running")),
        _ => return None,
    };
    Some(match done {
        Ok(()) => Reply::ok(json!({"instance": sim.instance(key)})),
        Err(NoSuchInstance(key, why)) => Reply::new(409, json!({"error": why, "instance": key})),
    })
}
