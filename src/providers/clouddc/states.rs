//! CloudDC's states in neutral words: one table.
//!
//! An instance has a state and the status of its last operation; the physical server below it has a power state, an
//! operation of its own and a management state. Words of three generations of the vendor's documentation are here.

use super::wire::ErrorStatus;
use crate::planner::model::{FailedStep, ServerState};

/// A call of ours that was accepted and may not show yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    On,
    Off,
    Reboot,
    /// An installation anew, of the same system or of another.
    Reinstall,
    /// Another network or address.
    ModifyIp,
}

/// Everything that the cloud says of one instance; the empty word where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words<'a> {
    /// `state` of the instance.
    pub(super) instance: &'a str,
    /// `operation_state` of the instance: how its last operation stands.
    pub(super) operation: &'a str,
    /// `power_state` of its server; shown only.
    pub(super) power: &'a str,
    /// `operation_state` of its server.
    pub(super) switching: &'a str,
    /// `manage_state` of its server.
    pub(super) manage: &'a str,
    /// `frozen_state` of its server.
    pub(super) frozen: i64,
    /// What we asked for, while it may not show.
    pub(super) pending: Option<Awaited>,
}

/// One row: with these words an instance is that. An empty list fits everything; `*` begins a word that is only
/// compared at its end.
struct Row {
    instance: &'static [&'static str],
    operation: &'static [&'static str],
    switching: &'static [&'static str],
    manage: &'static [&'static str],
    frozen: bool,
    pending: Option<Awaited>,
    state: ServerState,
}

const ANY: Row = Row {
    instance: &[],
    operation: &[],
    switching: &[],
    manage: &[],
    frozen: false,
    pending: None,
    state: ServerState::Unknown,
};

const fn instance(words: &'static [&'static str], state: ServerState) -> Row {
    Row {
        instance: words,
        state,
        ..ANY
    }
}

const fn operation(words: &'static [&'static str], state: ServerState) -> Row {
    Row {
        operation: words,
        state,
        ..ANY
    }
}

const fn switching(words: &'static [&'static str], state: ServerState) -> Row {
    Row {
        switching: words,
        state,
        ..ANY
    }
}

const fn asked(call: Awaited, words: &'static [&'static str], state: ServerState) -> Row {
    Row {
        instance: words,
        pending: Some(call),
        state,
        ..ANY
    }
}

/// The first row that fits counts; none means Unknown.
const TABLE: &[Row] = {
    use ServerState::*;
    &[
        // `teminated` is how older models of the vendor's SDK write it.
        instance(&["terminated", "teminated"], Absent),
        instance(&["shutting-down"], Deleting),
        operation(&["uninstall-processing"], Deleting),
        operation(&["reinstall-processing", "switch-install-processing"], Rebuilding),
        instance(&["reinstalling", "switch-installing"], Rebuilding),
        asked(Awaited::Reinstall, &[], Rebuilding),
        instance(&["pending"], Provisioning),
        operation(&["install-processing"], Provisioning),
        // A reboot goes through `stopped`.
        switching(&["reboot-processing"], Rebooting),
        asked(Awaited::Reboot, &["running", "stopped"], Rebooting),
        switching(&["power-on-processing"], Starting),
        asked(Awaited::On, &["stopped"], Starting),
        switching(&["power-off-processing"], Stopping),
        instance(&["stopping"], Stopping),
        asked(Awaited::Off, &["running"], Stopping),
        // Under repair, going, or not paid for.
        Row {
            manage: &["maintain", "offboarding", "frozen"],
            state: Maintenance,
            ..ANY
        },
        Row {
            frozen: true,
            state: Maintenance,
            ..ANY
        },
        operation(&["modify-ip-processing"], Maintenance),
        instance(&["modifyIping"], Maintenance),
        asked(Awaited::ModifyIp, &[], Maintenance),
        instance(&["error", "failed"], Error),
        // The old network is still there.
        Row {
            instance: &["stopped"],
            operation: &["modify-ip-failed"],
            state: Stopped,
            ..ANY
        },
        // Provisioning failed and the server was left off.
        Row {
            instance: &["stopped"],
            operation: &["*-failed"],
            state: Error,
            ..ANY
        },
        instance(&["running"], Running),
        instance(&["stopped"], Stopped),
    ]
};

/// The table as a page shows it: CloudDC's words, and what they mean. The first row that fits counts.
#[cfg(test)]
pub(in crate::providers) fn words() -> Vec<(String, ServerState)> {
    let field = |name: &str, words: &[&str]| {
        let words: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
        (!words.is_empty()).then(|| format!("{name} {}", words.join(" or ")))
    };
    let row = |r: &Row| {
        let said = [
            field("state", r.instance),
            field("operation_state", r.operation),
            field("the server's operation_state", r.switching),
            field("the server's manage_state", r.manage),
            r.frozen.then(|| "frozen_state other than 0".to_owned()),
            r.pending.map(|p| format!("our own {p:?} not shown yet")),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join("; ")
    };
    TABLE.iter().map(|r| (row(r), r.state)).collect()
}

fn fits(patterns: &[&str], word: &str) -> bool {
    let one = |pattern: &&str| match pattern.strip_prefix('*') {
        Some(end) => word.ends_with(end),
        None => *pattern == word,
    };
    patterns.is_empty() || patterns.iter().any(one)
}

/// The neutral state.
pub(super) fn state_of(words: &Words<'_>) -> ServerState {
    TABLE
        .iter()
        .find(|r| {
            fits(r.instance, words.instance)
                && fits(r.operation, words.operation)
                && fits(r.switching, words.switching)
                && fits(r.manage, words.manage)
                && (!r.frozen || words.frozen != 0)
                && (r.pending.is_none() || r.pending == words.pending)
        })
        .map_or(ServerState::Unknown, |r| r.state)
}

/// The state in CloudDC's words: `state/operation_state/power_state/operation_state of the server/manage_state`, `-` for
/// what is absent.
pub(super) fn raw(words: &Words<'_>) -> String {
    let word = |w: &str| match w {
        "" => "-".to_owned(),
        w => w.chars().take(40).collect(),
    };
    let mut text = [
        words.instance,
        words.operation,
        words.power,
        words.switching,
        words.manage,
    ]
    .map(word)
    .join("/");
    if words.frozen != 0 {
        text += &format!("/frozen_state {}", words.frozen);
    }
    text
}

/// The step that failed, by the type of the error; it speaks of now.
const BY_ERROR: &[(&str, FailedStep)] = &[
    ("create_instance_error", FailedStep::Create),
    ("delete_instance_error", FailedStep::Delete),
    ("reinstall_error", FailedStep::Reinstall),
    ("modify_ip_error", FailedStep::Settings),
    ("verify_server_error", FailedStep::Other),
    ("delete_server_error", FailedStep::Other),
];

/// The step that failed, by the last operation, where the error says nothing of it: errors of power and none at all.
const BY_OPERATION: &[(&str, FailedStep)] = &[
    ("install-failed", FailedStep::Create),
    ("reinstall-failed", FailedStep::Reinstall),
    ("switch-install-failed", FailedStep::Reinstall),
    ("uninstall-failed", FailedStep::Delete),
    ("modify-ip-failed", FailedStep::Settings),
];

/// The step in which the cloud gave up on an instance in an error state; [`FailedStep::Other`] where it is not certain,
/// since trying again wipes disks.
pub(super) fn failed_step(operation: &str, error: Option<&ErrorStatus>) -> FailedStep {
    let kind = error.and_then(|e| e.error_type.as_deref()).unwrap_or_default();
    let row = |table: &[(&str, FailedStep)], word: &str| table.iter().find(|(w, _)| *w == word).map(|r| r.1);
    row(BY_ERROR, kind)
        .or_else(|| row(BY_OPERATION, operation))
        .unwrap_or(FailedStep::Other)
}

/// A power operation: the beginning of its words, the type of its error, and the step.
const POWER: &[(&str, &str, FailedStep)] = &[
    ("power-on-", "power_on_error", FailedStep::Start),
    ("power-off-", "power_off_error", FailedStep::Stop),
    ("reboot-", "reboot_failed_error", FailedStep::Restart),
];

/// The power operation that failed last on an instance that runs or stands still. The physical server's own word is
/// newer than an error that may be left over.
pub(super) fn failed_power(switching: &str, error: Option<&ErrorStatus>) -> Option<FailedStep> {
    let kind = error.and_then(|e| e.error_type.as_deref()).unwrap_or_default();
    let mut rows = POWER.iter();
    let row = rows.find(|(word, error, _)| match switching.strip_prefix(word) {
        Some(end) => end == "failed",
        None => kind == *error && !switching.ends_with("-failed"),
    });
    row.map(|r| r.2)
}

#[cfg(test)]
#[path = "tests/states.rs"]
mod tests;
