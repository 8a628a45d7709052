//! The table of states against the mapping written down a second time, over all combinations of words.

use super::*;
use ServerState::*;

/// The six states of the page of 2026-06-08, those of its earlier editions, and what nobody knows.
const INSTANCE: &[&str] = &[
    "pending",
    "running",
    "stopped",
    "shutting-down",
    "terminated",
    "error",
    "stopping",
    "reinstalling",
    "switch-installing",
    "modifyIping",
    "teminated",
    "failed",
    "hibernated",
    "",
];
/// The fifteen of the page, and what nobody knows.
const OPERATION: &[&str] = &[
    "install-processing",
    "install-succeed",
    "install-failed",
    "reinstall-processing",
    "reinstall-succeed",
    "reinstall-failed",
    "switch-install-processing",
    "switch-install-succeed",
    "switch-install-failed",
    "modify-ip-processing",
    "modify-ip-succeed",
    "modify-ip-failed",
    "uninstall-processing",
    "uninstall-succeed",
    "uninstall-failed",
    "",
    "polishing",
];
const SWITCHING: &[&str] = &[
    "power-on-processing",
    "power-on-succeed",
    "power-on-failed",
    "power-off-processing",
    "power-off-succeed",
    "power-off-failed",
    "reboot-processing",
    "reboot-succeed",
    "reboot-failed",
    "",
    "warming-up",
];
const MANAGE: &[&str] = &[
    "onboard",
    "os-ready",
    "ready",
    "in-use",
    "maintain",
    "offboarding",
    "frozen",
    "delivering",
    "received",
    "",
    "lent",
];
const PENDING: &[Option<Awaited>] = &[
    None,
    Some(Awaited::On),
    Some(Awaited::Off),
    Some(Awaited::Reboot),
    Some(Awaited::Reinstall),
    Some(Awaited::ModifyIp),
];

/// The mapping, in the words of a person.
fn expected(w: &Words<'_>) -> ServerState {
    let (i, o, p) = (w.instance, w.operation, w.switching);
    if i == "terminated" || i == "teminated" {
        return Absent;
    }
    if i == "shutting-down" || o == "uninstall-processing" {
        return Deleting;
    }
    let again = o == "reinstall-processing" || o == "switch-install-processing";
    if again || i == "reinstalling" || i == "switch-installing" {
        return Rebuilding;
    }
    if w.pending == Some(Awaited::Reinstall) {
        return Rebuilding;
    }
    if i == "pending" || o == "install-processing" {
        return Provisioning;
    }
    let settled = i == "running" || i == "stopped";
    if p == "reboot-processing" || (settled && w.pending == Some(Awaited::Reboot)) {
        return Rebooting;
    }
    if p == "power-on-processing" || (i == "stopped" && w.pending == Some(Awaited::On)) {
        return Starting;
    }
    if p == "power-off-processing" || i == "stopping" || (i == "running" && w.pending == Some(Awaited::Off)) {
        return Stopping;
    }
    let away = w.manage == "maintain" || w.manage == "offboarding" || w.manage == "frozen" || w.frozen != 0;
    if away || o == "modify-ip-processing" || i == "modifyIping" || w.pending == Some(Awaited::ModifyIp) {
        return Maintenance;
    }
    match i {
        "error" | "failed" => Error,
        "stopped" if o == "modify-ip-failed" => Stopped,
        "stopped" if o.ends_with("-failed") => Error,
        "running" => Running,
        "stopped" => Stopped,
        _ => Unknown,
    }
}

#[test]
fn the_table_is_the_mapping_over_all_words() {
    let mut seen = std::collections::BTreeSet::new();
    for instance in INSTANCE {
        for operation in OPERATION {
            for switching in SWITCHING {
                for manage in MANAGE {
                    for frozen in [0, 1, 7] {
                        for pending in PENDING {
                            let words = Words {
                                instance,
                                operation,
                                power: "on",
                                switching,
                                manage,
                                frozen,
                                pending: *pending,
                            };
                            let state = state_of(&words);
                            assert_eq!(state, expected(&words), "{words:?}");
                            seen.insert(state);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}

/// Every arrow of the page's diagram: what is seen before, while and after.
#[test]
fn every_arrow_of_the_diagram_has_its_states() {
    let at = |instance, operation, switching| {
        state_of(&Words {
            instance,
            operation,
            switching,
            manage: "in-use",
            ..Words::default()
        })
    };
    for (arrow, before, meanwhile, after) in [
        (
            "CreateInstance",
            at("pending", "", ""),
            at("pending", "install-processing", ""),
            at("running", "install-succeed", ""),
        ),
        (
            "CreateInstance Failed",
            at("pending", "", ""),
            at("pending", "install-processing", ""),
            at("error", "install-failed", ""),
        ),
        (
            "PowerOff",
            at("running", "install-succeed", ""),
            at("running", "install-succeed", "power-off-processing"),
            at("stopped", "install-succeed", "power-off-succeed"),
        ),
        (
            "PowerReboot",
            at("running", "", ""),
            at("stopped", "", "reboot-processing"),
            at("running", "", "reboot-succeed"),
        ),
        (
            "PowerOn",
            at("stopped", "", ""),
            at("stopped", "", "power-on-processing"),
            at("running", "", "power-on-succeed"),
        ),
        (
            "Provision Succeed",
            at("stopped", "install-succeed", ""),
            at("stopped", "reinstall-processing", ""),
            at("running", "reinstall-succeed", ""),
        ),
        (
            "Provision Failed",
            at("stopped", "", ""),
            at("stopped", "switch-install-processing", ""),
            at("error", "switch-install-failed", ""),
        ),
        (
            "ChangePassword",
            at("stopped", "", ""),
            at("stopped", "", ""),
            at("stopped", "", ""),
        ),
        (
            "Retry Provision Succeed",
            at("error", "reinstall-failed", ""),
            at("error", "reinstall-processing", ""),
            at("running", "reinstall-succeed", ""),
        ),
        (
            "DeleteInstance Succeed",
            at("stopped", "", ""),
            at("shutting-down", "uninstall-processing", ""),
            at("terminated", "uninstall-succeed", ""),
        ),
        (
            "DeleteInstance Failed",
            at("pending", "", ""),
            at("shutting-down", "", ""),
            at("error", "uninstall-failed", ""),
        ),
        (
            "Retry DeleteInstance",
            at("error", "uninstall-failed", ""),
            at("error", "uninstall-processing", ""),
            at("terminated", "", ""),
        ),
    ] {
        let expected = match arrow {
            "CreateInstance" => [Provisioning, Provisioning, Running],
            "CreateInstance Failed" => [Provisioning, Provisioning, Error],
            "PowerOff" => [Running, Stopping, Stopped],
            "PowerReboot" => [Running, Rebooting, Running],
            "PowerOn" => [Stopped, Starting, Running],
            "Provision Succeed" => [Stopped, Rebuilding, Running],
            "Provision Failed" => [Stopped, Rebuilding, Error],
            "ChangePassword" => [Stopped, Stopped, Stopped],
            "Retry Provision Succeed" => [Error, Rebuilding, Running],
            "DeleteInstance Succeed" => [Stopped, Deleting, Absent],
            "DeleteInstance Failed" => [Provisioning, Deleting, Error],
            _ => [Error, Deleting, Absent],
        };
        assert_eq!([before, meanwhile, after], expected, "{arrow}");
    }
}

#[test]
fn the_step_that_failed_is_told_by_the_error_and_then_by_the_operation() {
    let error = |kind: &str| ErrorStatus {
        error_type: (!kind.is_empty()).then(|| kind.to_owned()),
        ..ErrorStatus::default()
    };
    for (kind, operation, step) in [
        ("create_instance_error", "", FailedStep::Create),
        ("create_instance_error", "reinstall-failed", FailedStep::Create),
        ("", "install-failed", FailedStep::Create),
        ("power_on_error", "install-failed", FailedStep::Create),
        ("reinstall_error", "", FailedStep::Reinstall),
        ("", "reinstall-failed", FailedStep::Reinstall),
        ("", "switch-install-failed", FailedStep::Reinstall),
        ("delete_instance_error", "install-failed", FailedStep::Delete),
        ("", "uninstall-failed", FailedStep::Delete),
        ("", "modify-ip-failed", FailedStep::Settings),
        ("modify_ip_error", "install-failed", FailedStep::Settings),
        ("verify_server_error", "", FailedStep::Other),
        ("delete_server_error", "uninstall-failed", FailedStep::Other),
        ("power_off_error", "", FailedStep::Other),
        ("reboot_failed_error", "install-succeed", FailedStep::Other),
        ("", "", FailedStep::Other),
        ("of tomorrow", "of tomorrow", FailedStep::Other),
    ] {
        assert_eq!(
            failed_step(operation, Some(&error(kind))),
            step,
            "{kind} {operation}"
        );
    }
    assert_eq!(failed_step("reinstall-failed", None), FailedStep::Reinstall);
}

#[test]
fn the_raw_state_says_all_words() {
    let words = Words {
        instance: "stopped",
        operation: "reinstall-failed",
        power: "off",
        manage: "in-use",
        frozen: 2,
        ..Words::default()
    };
    assert_eq!(
        raw(&words),
        "stopped/reinstall-failed/off/-/in-use/frozen_state 2"
    );
    let long = "x".repeat(1000);
    let words = Words {
        instance: &long,
        operation: &long,
        power: &long,
        switching: &long,
        manage: &long,
        ..Words::default()
    };
    assert!(raw(&words).len() <= 256);
    assert_eq!(raw(&Words::default()), "-/-/-/-/-");
}
