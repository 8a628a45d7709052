//! The deeds of the menu: somebody touches servers.

use serde_json::{Value, json};

use super::{NoSuchServer, OpenStackSim};
use crate::sim::cloud::Reply;

pub(super) const DEEDS: &str = "POST /_sim/servers/{id or name}/{stop|start|reboot|pause|unpause|suspend|resume|shelve|unshelve|\
    rescue|unrescue|resize|confirmResize|revertResize|delete|create|error|lock|unlock|shutdown|power}, \
    POST /_sim/addresses/{address}, POST /_sim/volumes";

/// Deeds that Nova does without being told more: their action, as Nova calls it.
const PLAIN: &[(&str, &str)] = &[
    ("stop", "os-stop"),
    ("start", "os-start"),
    ("pause", "pause"),
    ("unpause", "unpause"),
    ("suspend", "suspend"),
    ("resume", "resume"),
    ("shelve", "shelve"),
    ("unshelve", "unshelve"),
    ("rescue", "rescue"),
    ("unrescue", "unrescue"),
    ("confirmResize", "confirmResize"),
    ("revertResize", "revertResize"),
    ("unlock", "unlock"),
];

/// Something new in the project: a floating address, or a volume; none if there is no such thing.
pub(super) fn add(sim: &OpenStackSim, path: &[&str]) -> Option<Reply> {
    match path {
        ["addresses", address] => {
            sim.add_floating(address);
            Some(Reply::ok(json!({"address": address})))
        }
        ["volumes"] => Some(Reply::ok(json!({"volume": sim.add_volume()}))),
        _ => None,
    }
}

/// A deed to the server with this id or name; none if there is no such deed.
pub(super) fn touch(sim: &OpenStackSim, key: &str, deed: &str, body: &Value) -> Option<Reply> {
    let text = |field: &str, or: &str| body[field].as_str().unwrap_or(or).to_owned();
    let plain = PLAIN.iter().find(|row| row.0 == deed).map(|row| row.1);
    let done = match (deed, plain) {
        (_, Some(action)) => sim.oob_action(key, action, &Value::Null),
        ("reboot", _) => sim.oob_action(key, "reboot", &json!({"type": text("type", "HARD")})),
        ("resize", _) => sim.oob_resize(key, &text("flavor", "m1.small")),
        ("delete", _) => sim.oob_delete(key),
        ("create", _) => sim.oob_create(key).map(|_| ()),
        ("error", _) => sim.set_error(key, &text("message", "ordered to fail")),
        ("lock", _) => sim.oob_lock(key, &text("reason", "")),
        ("shutdown", _) => sim.guest_shutdown(key),
        ("power", _) => sim.set_power(
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
