//! What a guest wrote on its console, and the way to it. Neither is in Nova's log of a server.

use serde_json::{Value, json};

use super::server::{Server, Vm};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::{Answer, Reply};

/// The order on a server, in its metadata: so many lines were written.
const LINES: &str = "fake.console.lines";
/// The consoles that this cloud has, and what their addresses look like.
const TYPES: &[(&str, &str, &str)] = &[
    (
        "vnc",
        "novnc",
        "https://console.sim/vnc_auto.html?path=%3Ftoken%3D",
    ),
    ("serial", "serial", "wss://console.sim/serial/?token="),
];
/// Every console that Nova knows.
const KNOWN: &[&str] = &["novnc", "xvpvnc", "spice-html5", "rdp-html5", "serial", "webmks"];

impl World {
    /// `os-getConsoleOutput`.
    pub(super) fn console_output(&self, id: &str, args: &Value) -> Answer {
        let length = match &args["length"] {
            Value::Null => None,
            Value::Number(n) => n.as_i64(),
            Value::String(s) => Some(s.parse().map_err(|_| refused("length", &args["length"]))?),
            other => return Err(refused("length", other)),
        };
        let server = self.on_a_host(id)?;
        let lines = server
            .metadata
            .get(LINES)
            .and_then(|n| n.parse().ok())
            .unwrap_or(3usize);
        let text = |n: usize| format!("[{n}] {} says \u{1b}[1mhello\u{1b}[0m\r\n", server.name);
        let skipped = length
            .and_then(|l| usize::try_from(l).ok())
            .map_or(0, |l| lines.saturating_sub(l));
        let output: String = (skipped..lines).map(text).collect();
        Ok(Reply::ok(json!({"output": output})))
    }

    /// `POST /servers/{id}/remote-consoles`.
    pub(super) fn remote_console(&mut self, id: &str, body: &Value) -> Answer {
        let wanted = &body["remote_console"];
        let (protocol, kind) = (&wanted["protocol"], &wanted["type"]);
        let Some(kind) = kind.as_str().filter(|k| KNOWN.contains(k)) else {
            return Err(refused("type", kind));
        };
        // Nova has it no more, and refuses it without a word of its own.
        if kind == "rdp-html5" {
            let text = "The server could not comply with the request since it is either malformed or otherwise incorrect.";
            return Err(nova_error(400, text));
        }
        self.on_a_host(id)?;
        let Some((protocol, kind, url)) = TYPES
            .iter()
            .find(|t| Some(t.0) == protocol.as_str() && t.1 == kind)
        else {
            return Err(nova_error(400, format!("Unavailable console type {kind}.")));
        };
        let token = self.core.hex();
        let console = json!({"protocol": protocol, "type": kind, "url": format!("{url}{token}")});
        Ok(Reply::ok(json!({"remote_console": console})))
    }

    fn on_a_host(&self, id: &str) -> Result<&Server, Reply> {
        let Some(server) = self.servers.get(id) else {
            return Err(nova_error(404, format!("Instance {id} could not be found.")));
        };
        if server.vm == Vm::ShelvedOffloaded || server.host.is_none() {
            return Err(nova_error(409, format!("Instance {id} is not ready")));
        }
        Ok(server)
    }
}

fn refused(field: &str, value: &Value) -> Reply {
    let text = format!("Invalid input for field/attribute {field}. Value: {value}. ");
    nova_error(400, text)
}
