//! What was read for a ServerAction: into an object that belongs to it. Nothing of it is logged or put into a status.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::Shell;
use super::call::Asker;
use super::credentials::{Target, Unwritten, bytes, owner, put};
use crate::api::server_status::OperationKind;
use crate::api::{Reason, ServerAction, keys};
use crate::planner::model::{CloudError, ErrorClass, Reading};
use crate::providers::ReadOut;

/// Writing a ConfigMap may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many bytes of a console are written down, the last ones.
const MOST: usize = 256 * 1024;
/// The key of the console's text.
const OUTPUT: &str = "output";
/// The key that is there, and `true`, where the beginning is missing.
const TRUNCATED: &str = "truncated";
/// Characters of the name of a ServerAction in that of what it makes.
const NAME: usize = 100;

/// Whether it may be read at all.
///
/// # Errors
/// The installation does not do that.
pub(super) fn allowed(shell: &Shell, kind: OperationKind) -> Result<(), CloudError> {
    if kind != OperationKind::ConsoleOutput || shell.ctx.console_output {
        return Ok(());
    }
    Err(switched_off(
        "consoleOutput is switched off: a console may hold secrets, and whoever reads ConfigMaps would read them. The chart's \
         value consoleOutput.enabled switches it on (--console-output, and the right to create configmaps)",
    ))
}

fn switched_off(words: impl Into<String>) -> CloudError {
    CloudError {
        code: Some(Reason::SwitchedOff.as_str().to_owned()),
        ..CloudError::new(ErrorClass::Forbidden, words)
    }
}

/// Writes it down; the name of the object.
///
/// # Errors
/// It could not be written, and what was read is thrown away.
pub(super) async fn keep(
    shell: &Shell,
    asker: &Asker,
    reading: &Reading,
    read: &ReadOut,
) -> Result<String, CloudError> {
    match read {
        ReadOut::Text(text) => config_map(shell, asker, reading, text).await,
        ReadOut::Access(parts) => secret(shell, asker, reading, parts).await,
    }
}

/// A name that only this one ServerAction has.
fn derived(reading: &Reading) -> String {
    let name: String = reading.action.chars().take(NAME).collect();
    let uid: String = reading.uid.chars().take(8).collect();
    format!("{}-{uid}", name.trim_end_matches(['-', '.']))
}

async fn config_map(
    shell: &Shell,
    asker: &Asker,
    reading: &Reading,
    text: &SecretString,
) -> Result<String, CloudError> {
    let name = derived(reading);
    let (text, truncated) = printable(text.expose_secret());
    let mut data = BTreeMap::from([(OUTPUT.to_owned(), text)]);
    if truncated {
        data.insert(TRUNCATED.to_owned(), "true".to_owned());
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: Some(vec![owner::<ServerAction>(&reading.action, &reading.uid)]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    };
    let api: Api<ConfigMap> = Api::namespaced(shell.ctx.client.clone(), &asker.key.namespace);
    let params = PostParams {
        dry_run: false,
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
    };
    match timeout(PATIENCE, api.create(&params, &map)).await {
        Ok(Ok(_)) => Ok(name),
        // The uid is in its name: it was made by an earlier try whose answer was lost.
        Ok(Err(kube::Error::Api(s))) if s.code == 409 => Ok(name),
        Ok(Err(kube::Error::Api(s))) if s.code == 403 => Err(switched_off(format!(
            "consoleOutput: the controller may not create the ConfigMap {name}: {}",
            s.message
        ))),
        Ok(Err(error)) => Err(unwritten(&format!("the ConfigMap {name}"), &error.to_string())),
        Err(_) => Err(unwritten(&format!("the ConfigMap {name}"), "no answer in time")),
    }
}

async fn secret(
    shell: &Shell,
    asker: &Asker,
    reading: &Reading,
    parts: &[(&'static str, SecretString)],
) -> Result<String, CloudError> {
    let named = reading
        .spec
        .remote_console
        .as_ref()
        .and_then(|r| r.secret_name.clone());
    let name = named.unwrap_or_else(|| derived(reading));
    let target = Target {
        namespace: &asker.key.namespace,
        name: &name,
        owner: owner::<ServerAction>(&reading.action, &reading.uid),
    };
    let data = parts
        .iter()
        .map(|(key, value)| ((*key).to_owned(), bytes(value.expose_secret())));
    let error = match put(shell, &target, data.collect(), false).await {
        Ok(()) => return Ok(name),
        Err(error) => error,
    };
    Err(match &error {
        Unwritten::Foreign(_) => CloudError::new(
            ErrorClass::InvalidSpec,
            format!("{error}: name another one in remoteConsole.secretName"),
        ),
        Unwritten::Refused(kube::Error::Api(s)) if s.code == 403 => switched_off(format!(
            "remoteConsole: the controller may not write the Secret {name}; grant create and update of secrets \
             (rbac.writeSecrets): {}",
            s.message
        )),
        Unwritten::Refused(_) | Unwritten::Silent => {
            unwritten(&format!("the Secret {name}"), &error.to_string())
        }
    })
}

/// It is read again later.
fn unwritten(what: &str, why: &str) -> CloudError {
    CloudError::new(ErrorClass::Transient, format!("{what} is not written: {why}"))
}

/// The end of a console's text, without what a terminal obeys; and whether the beginning is missing.
fn printable(text: &str) -> (String, bool) {
    let harmless = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let clean: String = text.chars().filter(harmless).collect();
    if clean.len() <= MOST {
        return (clean, false);
    }
    let mut from = clean.len() - MOST;
    while !clean.is_char_boundary(from) {
        from += 1;
    }
    // From the beginning of a line, where there is one.
    let rest = &clean[from..];
    let rest = rest.split_once('\n').map_or(rest, |(_, whole)| whole);
    (rest.to_owned(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_bounded_in_bytes_and_obeyed_by_no_terminal() {
        assert_eq!(
            printable("a\r\n\u{1b}[2Jb\t\u{0}\u{9b}c\u{7f}\n"),
            ("a\n[2Jb\tc\n".to_owned(), false)
        );
        let long = "zeile für zeile ✓\n".repeat(40_000);
        let (kept, truncated) = printable(&long);
        assert!(truncated && kept.len() <= MOST && kept.len() > MOST - 64);
        assert!(
            kept.starts_with("zeile") && kept.ends_with("✓\n"),
            "whole lines, the last ones"
        );
        let one = "✓".repeat(MOST);
        let (kept, truncated) = printable(&one);
        assert!(truncated && kept.len() <= MOST && kept.len() > MOST - 4);
    }

    #[test]
    fn what_is_made_has_a_name_of_its_own() {
        let of = |action: &str| {
            derived(&Reading {
                spec: serde_json::from_value(serde_json::json!({"serverRef": {"name": "web"}})).unwrap(),
                action: action.to_owned(),
                uid: "0a1b2c3d-1111-2222-3333-444444444444".to_owned(),
            })
        };
        assert_eq!(of("boot-log"), "boot-log-0a1b2c3d");
        assert_eq!(
            of(&format!("{}.{}", "a".repeat(99), "b".repeat(150))),
            format!("{}-0a1b2c3d", "a".repeat(99))
        );
    }
}
