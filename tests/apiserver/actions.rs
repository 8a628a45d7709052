//! Deeds that make no sense are refused when they are handed in.

use serde_json::{Value, json};

use crate::cases::{at_create, at_update};

fn base() -> Value {
    json!({"serverRef": {"name": "web"}})
}

#[test]
#[rustfmt::skip] // One case a line.
fn a_backup_keeps_at_least_itself() {
    let of = |rotation: Value| json!({"createBackup": {"name": "b", "type": "daily", "rotation": rotation}});
    at_create("actions-backup", "ServerAction", &base(), &[
        ("the least rotation", of(json!(1)), ""),
        ("the most", of(json!(1000)), ""),
        ("a rotation of 0, with which Nova would delete all of them", of(json!(0)), "spec.createBackup.rotation in body should be greater than or equal to 1"),
        ("less than none", of(json!(-1)), "should be greater than or equal to 1"),
        ("more than the most", of(json!(1001)), "should be less than or equal to 1000"),
        ("no rotation", json!({"createBackup": {"name": "b", "type": "daily"}}), "spec.createBackup.rotation: Required value"),
    ]);
}

/// The least that each deed takes.
const DEEDS: &[(&str, &str)] = &[
    ("reboot", "{}"),
    ("resize", "{}"),
    ("confirmResize", "{}"),
    ("revertResize", "{}"),
    ("createImage", r#"{"name": "a"}"#),
    ("createBackup", r#"{"name": "a", "type": "daily", "rotation": 1}"#),
    ("rebuild", r#"{"image": {"name": "cirros"}}"#),
    ("reinstall", "{}"),
    ("changePassword", r#"{"secretRef": {"name": "s", "key": "k"}}"#),
    ("crashDump", "{}"),
    ("coldMigrate", "{}"),
    ("liveMigrate", "{}"),
    ("evacuate", r#"{"hostFenced": true}"#),
    ("resetState", r#"{"to": "Active"}"#),
    ("consoleOutput", "{}"),
    ("remoteConsole", r#"{"type": "VNC"}"#),
    ("cancel", "{}"),
    ("backupDisk", r#"{"name": "a"}"#),
];

/// What would be made again, and with it the deed, once a repository is applied after the object went.
const NEVER_AGAIN: &[&str] = &[
    "createBackup",
    "rebuild",
    "reinstall",
    "changePassword",
    "backupDisk",
];

#[test]
fn each_deed_is_taken_alone_and_only_what_may_be_done_again_goes_by_itself() {
    let ttl = "ttlAfterFinished cannot be given with";
    let mut cases = Vec::new();
    for (deed, least) in DEEDS {
        let least: Value = serde_json::from_str(least).unwrap();
        let ends = if NEVER_AGAIN.contains(deed) { ttl } else { "" };
        cases.push((*deed, json!({*deed: least}), ""));
        cases.push((*deed, json!({*deed: least, "ttlAfterFinished": "1h"}), ends));
    }
    at_create("actions-each", "ServerAction", &base(), &cases);
}

#[test]
#[rustfmt::skip] // One case a line.
fn what_is_no_deed_is_refused_in_words() {
    let one = "exactly one deed has to be given: reboot, resize, confirmResize";
    at_create("actions-words", "ServerAction", &base(), &[
        ("none", json!({}), one),
        ("two", json!({"reboot": {}, "crashDump": {}}), one),
        ("a host that nobody says is off", json!({"evacuate": {"hostFenced": false}}), "evacuate needs hostFenced: true"),
        ("a host of which nothing is said", json!({"evacuate": {}}), "spec.evacuate.hostFenced: Required value"),
        ("an image by name and id", json!({"rebuild": {"image": {"name": "a", "id": "b"}}}), "an image has either a name or an id"),
        ("no image", json!({"rebuild": {}}), "spec.rebuild.image: Required value"),
        ("a password that is nowhere", json!({"changePassword": {}}), "spec.changePassword.secretRef: Required value"),
        ("a state that is none", json!({"resetState": {"to": "Stopped"}}), "Unsupported value: \"Stopped\""),
        ("a deadline that is too short", json!({"reboot": {}, "deadline": "59s"}), "deadline must be between 1m and 168h"),
    ]);
}

#[test]
#[rustfmt::skip] // One case a line.
fn a_deed_is_not_changed() {
    let fixed = "a ServerAction is done once and cannot be changed: make another one, with another name";
    at_update("actions-fixed", "ServerAction", &base(), &[
        ("nothing", json!({"reboot": {"mode": "Hard"}}), json!({"reboot": {"mode": "Hard"}}), ""),
        ("its argument", json!({"reboot": {"mode": "Hard"}}), json!({"reboot": {"mode": "Soft"}}), fixed),
        ("the deed", json!({"reboot": {}}), json!({"crashDump": {}}), fixed),
        ("the server", json!({"reboot": {}}), json!({"reboot": {}, "serverRef": {"name": "other"}}), fixed),
        ("its deadline", json!({"reboot": {}}), json!({"reboot": {}, "deadline": "2h"}), fixed),
    ]);
}
