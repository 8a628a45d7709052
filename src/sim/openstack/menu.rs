//! The menu below `/_sim/`: look at the cloud, make it fail, touch its servers.

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{FaultRule, HypervisorOrder};
use super::wire::{Ask, Reply};
use super::{NoSuchServer, OpenStackSim, Outage};

/// What can be ordered by `POST /_sim/faults`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Orders {
    #[serde(default)]
    faults: Vec<FaultRule>,
    #[serde(default)]
    hypervisor: Vec<HypervisorOrder>,
    /// `refused`, `unavailable` or `none`.
    outage: Option<String>,
    #[serde(default)]
    expire_tokens: bool,
}

const USAGE: &str = "GET /_sim/state, GET|DELETE /_sim/requests, GET|POST|DELETE /_sim/faults, \
    POST /_sim/servers/{id or name}/{stop|start|pause|unpause|resize|delete|create|error|lock|unlock|shutdown|power}";

fn bad(text: impl std::fmt::Display) -> Reply {
    Reply::new(400, json!({"error": text.to_string(), "usage": USAGE}))
}

pub(super) fn answer(sim: &OpenStackSim, request: &Request<Bytes>) -> Reply {
    let ask = Ask::new(request.clone(), String::new());
    let path: Vec<&str> = ask.path.iter().skip(1).map(String::as_str).collect();
    match (ask.method.as_str(), path.as_slice()) {
        ("GET", ["state"]) => Reply::ok(json!({
            "servers": sim.live_servers(), "highWater": sim.high_water(), "faults": sim.faults(),
        })),
        ("GET", ["requests"]) => {
            let mut body = json!({"total": sim.requests().len(), "counts": sim.counts()});
            if ask.query("all").is_some() {
                body["requests"] = json!(sim.requests());
            }
            Reply::ok(body)
        }
        ("DELETE", ["requests"]) => {
            sim.reset_requests();
            Reply::empty(204)
        }
        ("GET", ["faults"]) => Reply::ok(json!({"faults": sim.faults()})),
        ("POST", ["faults"]) => orders(sim, &ask),
        ("DELETE", ["faults"]) => {
            sim.clear_faults();
            Reply::empty(204)
        }
        ("POST", ["servers", key, deed]) => touch(sim, key, deed, &ask.json()),
        _ => bad("no such thing"),
    }
}

/// One fault, or several with orders to the hypervisor. All or nothing.
fn orders(sim: &OpenStackSim, ask: &Ask) -> Reply {
    let body = ask.json();
    let orders = if body.get("effect").is_some() {
        serde_json::from_value::<FaultRule>(body).map(|rule| Orders {
            faults: vec![rule],
            hypervisor: Vec::new(),
            outage: None,
            expire_tokens: false,
        })
    } else {
        serde_json::from_value::<Orders>(body)
    };
    let orders = match orders {
        Ok(orders) => orders,
        Err(error) => return bad(error),
    };
    match orders.outage.as_deref() {
        None => {}
        Some("none") => sim.outage(None),
        Some("refused") => sim.outage(Some(Outage::Refused)),
        Some("unavailable") => sim.outage(Some(Outage::Unavailable)),
        Some(_) => return bad("outage is refused, unavailable or none"),
    }
    orders.faults.into_iter().for_each(|rule| sim.inject(rule));
    orders.hypervisor.into_iter().for_each(|order| sim.order(order));
    if orders.expire_tokens {
        sim.expire_tokens();
    }
    Reply::ok(json!({"faults": sim.faults()}))
}

fn touch(sim: &OpenStackSim, key: &str, deed: &str, body: &Value) -> Reply {
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
        _ => return bad(format!("no such deed: {deed}")),
    };
    match done {
        Ok(()) => Reply::ok(json!({"server": sim.server(key)})),
        Err(NoSuchServer(key, why)) => Reply::new(409, json!({"error": why, "server": key})),
    }
}
