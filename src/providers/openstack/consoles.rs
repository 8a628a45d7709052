//! Consoles: what a guest wrote on one, and the way to one.
//! <https://docs.openstack.org/api-ref/compute/#show-console-output-os-getconsoleoutput-action>,
//! <https://docs.openstack.org/api-ref/compute/#create-console>

use http::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::checked;
use super::errors::Asked;
use super::session::{Request, Services};
use crate::api::server_action::ConsoleType;
use crate::api::server_status::OperationKind;
use crate::planner::model::{CloudError, ErrorClass, Reading};
use crate::providers::console::{access, done, secret};
use crate::providers::{Done, ReadOut};

/// Nova's words for a console: protocol and type.
const TYPES: &[(ConsoleType, &str, &str)] = &[
    (ConsoleType::VNC, "vnc", "novnc"),
    (ConsoleType::SPICE, "spice", "spice-html5"),
    (ConsoleType::Serial, "serial", "serial"),
    (ConsoleType::RDP, "rdp", "rdp-html5"),
];

#[derive(Deserialize)]
struct OutputDoc {
    /// Null where the hypervisor keeps none.
    #[serde(deserialize_with = "secret")]
    output: SecretString,
}

#[derive(Deserialize)]
struct ConsoleDoc {
    remote_console: Console,
}

#[derive(Deserialize)]
struct Console {
    #[serde(deserialize_with = "secret")]
    url: SecretString,
}

/// Reads what a ServerAction asks for. Nothing is changed, so that a lost answer is no riddle.
pub(super) async fn read(
    services: &Services,
    id: &str,
    kind: OperationKind,
    reading: &Reading,
    send_before: Instant,
) -> Result<Done, CloudError> {
    let id = checked(id)?;
    let (path, route, body) = match kind {
        OperationKind::ConsoleOutput => (
            format!("/servers/{id}/action"),
            "nova /servers/{id}/action",
            output_body(reading),
        ),
        OperationKind::RemoteConsole => (
            format!("/servers/{id}/remote-consoles"),
            "nova /servers/{id}/remote-consoles",
            console_body(reading)?,
        ),
        kind => {
            let words = format!("OpenStack has no {kind} to read");
            return Err(CloudError::new(ErrorClass::Unsupported, words));
        }
    };
    let request = Request {
        body: Some(body),
        asked: Asked::Read,
        ..Request::change(Method::POST, path, route, send_before)
    };
    let read = if kind == OperationKind::ConsoleOutput {
        let doc: OutputDoc = services.read(request).await?;
        ReadOut::Text(doc.output)
    } else {
        let doc: ConsoleDoc = services
            .read(request)
            .await
            .map_err(|error| explained(error, kind_of(reading)))?;
        access(doc.remote_console.url, "Nova")?
    };
    Ok(done(id, read))
}

fn output_body(reading: &Reading) -> Value {
    let lines = reading.spec.console_output.and_then(|c| c.lines);
    match lines {
        Some(lines) => json!({"os-getConsoleOutput": {"length": lines}}),
        None => json!({"os-getConsoleOutput": {}}),
    }
}

/// Nova takes the word for RDP and refuses it in words that say nothing: its consoles went with the Hyper-V driver (2024.1).
fn explained(error: CloudError, kind: ConsoleType) -> CloudError {
    if kind != ConsoleType::RDP || error.class != ErrorClass::InvalidSpec {
        return error;
    }
    let message = format!(
        "this Nova has no consoles of type RDP; ask for VNC, SPICE or Serial, whichever it is set up with ({})",
        error.message
    );
    CloudError { message, ..error }
}

fn kind_of(reading: &Reading) -> ConsoleType {
    let console = reading.spec.remote_console.as_ref();
    console.map(|r| r.kind).unwrap_or_default()
}

fn console_body(reading: &Reading) -> Result<Value, CloudError> {
    let wanted = kind_of(reading);
    let row = TYPES.iter().find(|row| row.0 == wanted);
    let Some((_, protocol, kind)) = row else {
        let words = format!("OpenStack has no console of type {wanted}");
        return Err(CloudError::new(ErrorClass::Unsupported, words));
    };
    Ok(json!({"remote_console": {"protocol": protocol, "type": kind}}))
}
