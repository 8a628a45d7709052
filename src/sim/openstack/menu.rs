//! The deeds of the menu: somebody touches servers.

use serde_json::{Value, json};

use super::{NoSuchServer, OpenStackSim};
use crate::sim::cloud::Reply;

pub(super) const DEEDS: &str = "POST /_sim/servers/{id or name}/{stop|start|pause|unpause|resize|delete|create|error|\
    lock|unlock|shutdown|power}";

/// A deed to the server with this id or name; none if there is no such deed.
pub(super) fn touch(sim: &OpenStackSim, key: &str, deed: &str, body: &Value) -> Option<Reply> {
    let text = |field: &str, or: &str| body[field].as_str().unwrap_or(or).to_owned();
    let done = match deed {
        "stop" => sim.oob_stop(key),
        "start" => sim.oob_start(key),
        "pause" => sim.oob_pause(key),
        "unpause" => sim.oob_action(key, "unpause", &Value::Null),
        "resize" => sim.oob_resize(key, &text("flavor", "m1.small")),
        "delete" => sim.oob_delete(key),
        "create" => sim.oob_create(key).map(|_| ()),
        "error" => sim.set_error(key, &text("message", "ordered to fail")),
        "lock" => sim.oob_lock(key, &text("reason", "")),
        "unlock" => sim.oob_unlock(key),
        "shutdown" => sim.guest_shutdown(key),
        "power" => sim.set_power(
            key,
            body["power"]
                .as_u64()
                .and_then(|p| u8::try_from(p).ok())
                .unwrap_or(0),
        ),
        _ => return None,
    };
    Some(match done {
        Ok(()) => Reply::ok(json!({"server": sim.server(key)})),
        Err(NoSuchServer(key, why)) => Reply::new(409, json!({"error": why, "server": key})),
    })
}
