//! The menu below `/_sim/`: look at the cloud, make it fail, touch what is in it.

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::json;

use super::faults::{FaultRule, HypervisorOrder};
use super::wire::{Ask, Reply};
use super::{Outage, Sim, SimCloud};

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

const USAGE: &str = "GET /_sim/state, GET|DELETE /_sim/requests, GET|POST|DELETE /_sim/faults";

fn bad<C: SimCloud>(text: impl std::fmt::Display) -> Reply {
    let usage = format!("{USAGE}, {}", C::DEEDS);
    Reply::new(400, json!({"error": text.to_string(), "usage": usage}))
}

pub(super) fn answer<C: SimCloud>(sim: &Sim<C>, request: &Request<Bytes>) -> Reply {
    let ask = Ask::new(request.clone(), String::new());
    let path: Vec<&str> = ask.path.iter().skip(1).map(String::as_str).collect();
    match (ask.method.as_str(), path.as_slice()) {
        ("GET", ["state"]) => {
            let mut state = sim.world().inventory();
            state["highWater"] = json!(sim.high_water());
            state["faults"] = json!(sim.faults());
            Reply::ok(state)
        }
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
        ("POST", path) => C::deed(sim, path, &ask.json()).unwrap_or_else(|| bad::<C>("no such thing")),
        _ => bad::<C>("no such thing"),
    }
}

/// One fault, or several with orders to the hypervisor. All or nothing.
fn orders<C: SimCloud>(sim: &Sim<C>, ask: &Ask) -> Reply {
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
        Err(error) => return bad::<C>(error),
    };
    match orders.outage.as_deref() {
        None => {}
        Some("none") => sim.outage(None),
        Some("refused") => sim.outage(Some(Outage::Refused)),
        Some("unavailable") => sim.outage(Some(Outage::Unavailable)),
        Some(_) => return bad::<C>("outage is refused, unavailable or none"),
    }
    orders.faults.into_iter().for_each(|rule| sim.inject(rule));
    orders.hypervisor.into_iter().for_each(|order| sim.order(order));
    if orders.expire_tokens {
        sim.expire_tokens();
    }
    Reply::ok(json!({"faults": sim.faults()}))
}
