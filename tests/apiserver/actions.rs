//! Deeds that make no sense are refused when they are handed in.

use serde_json::{Value, json};

use crate::cases::at_create;

#[test]
#[rustfmt::skip] // One case a line.
fn a_backup_keeps_at_least_itself() {
    let of = |rotation: Value| json!({"createBackup": {"name": "b", "type": "daily", "rotation": rotation}});
    at_create("actions-backup", "ServerAction", &json!({"serverRef": {"name": "web"}}), &[
        ("the least rotation", of(json!(1)), ""),
        ("the most", of(json!(1000)), ""),
        ("a rotation of 0, with which Nova would delete all of them", of(json!(0)), "spec.createBackup.rotation in body should be greater than or equal to 1"),
        ("less than none", of(json!(-1)), "should be greater than or equal to 1"),
        ("more than the most", of(json!(1001)), "should be less than or equal to 1000"),
        ("no rotation", json!({"createBackup": {"name": "b", "type": "daily"}}), "spec.createBackup.rotation: Required value"),
    ]);
}
