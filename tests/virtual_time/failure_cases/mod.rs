//! Cases in which other controllers of servers have failed, played on the whole controller: `tests/failure_cases`
//! names them all, and the tests that play them.

mod groups;
mod kubernetes;
mod made;
mod neighbours;
mod power;
mod refused;
mod seen;

use evenkeel::api::Server;
use evenkeel::sim::openstack::{FaultEffect, FaultRule};
use serde_json::Value;

use crate::world::Virtual;

/// How often Nova was asked for this since the last reset, taken or not.
fn asked(world: &Virtual, key: &str) -> usize {
    world.sim.counts().get(key).copied().unwrap_or_default()
}

/// Every status of an object that controllers wrote, the oldest first.
fn statuses(world: &Virtual, name: &str) -> Vec<Server> {
    let of = |object: &Value| object["kind"] == "Server" && object["metadata"]["name"] == name;
    let written = world.written();
    let objects = written.iter().filter_map(|w| w.object.as_deref());
    let servers = objects.filter(|o| of(o));
    servers
        .map(|o| serde_json::from_value(o.clone()).unwrap())
        .collect()
}

fn refusal(code: u16, name: &str, message: &str) -> FaultEffect {
    let body = serde_json::json!({name: {"code": code, "message": message}});
    FaultEffect::Status {
        code,
        body: Some(body),
    }
}

const ACTION: &str = "POST /servers/{id}/action";
const LIST: &str = "GET /servers/detail";

/// On this action of any server.
fn on_action(effect: FaultEffect, action: &str) -> FaultRule {
    FaultRule::new(effect).on(ACTION).action(action)
}
