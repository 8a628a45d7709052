//! Servers that outlive their object, or go without it: whose their disks are then.

use serde_json::json;

use super::clouds::{STOPPED_ONLY, calls, on, part, settled};
use super::world::{Fate, World};
use crate::api::ConditionType as C;
use crate::api::Reason;
use crate::api::server_status::OperationKind;
use crate::planner::model::{Capabilities, ErrorClass, Part, PartKind, ServerState as S};

fn disks() -> Vec<Part> {
    vec![
        part(PartKind::Disk, "d1", true),
        part(PartKind::Disk, "d2", true),
        part(PartKind::Disk, "theirs", false),
        part(PartKind::Backup, "b1", true),
        part(PartKind::Address, "floating", false),
    ]
}

fn orphan(sparse: bool) -> World {
    let spec = json!({"deletionPolicy": "Orphan", "deletion": {"disks": "DeleteOwned", "backups": "Delete"}});
    let mut w = settled(&STOPPED_ONLY, spec);
    w.knobs.sparse = sparse;
    w.the().seen.parts = disks();
    w
}

fn marked(w: &mut World) -> Vec<String> {
    let parts = w.the().seen.parts.iter();
    parts
        .filter(|p| p.ours && p.kind == PartKind::Disk)
        .map(|p| p.id.clone())
        .collect()
}

#[test]
fn an_orphan_s_disks_lose_their_marks_before_it_does() {
    for sparse in [false, true] {
        let mut w = orphan(sparse);
        w.delete();
        w.until(120, "let go", |w| w.gone);
        assert_eq!(calls(&w), ["UnmarkPart", "UnmarkPart", "Unmark"]);
        assert_eq!(w.knobs.hows, ["Disk d1", "Disk d2"]);
        assert!(marked(&mut w).is_empty() && w.the().seen.marks.is_none());
        assert_eq!(w.state(), S::Running);
        assert_eq!(w.told_of(Reason::Orphaned).len(), 1);
        assert!(w.told_of(Reason::PartDeleted).is_empty());
        assert!(w.knobs.looks <= 1, "{}", w.knobs.looks);
    }
}

#[test]
fn a_crash_or_a_fault_between_two_disks_leaves_none_with_a_mark() {
    for fate in [
        Fate::Refuse(ErrorClass::Busy),
        Fate::Refuse(ErrorClass::Transient),
        Fate::Refuse(ErrorClass::NotFound),
        Fate::LoseRequest,
        Fate::LoseReply,
    ] {
        for crash in [false, true] {
            let mut w = orphan(true);
            w.fates.push(("UnmarkPart", fate.clone()));
            w.delete();
            if crash {
                w.until(60, "begun", |w| !w.calls.is_empty());
                w.restart_process();
            }
            w.until(400, "let go", |w| w.gone);
            let left = if matches!(fate, Fate::Refuse(ErrorClass::NotFound)) && !crash {
                1
            } else {
                0
            };
            assert_eq!(marked(&mut w).len(), left, "{fate:?} {crash}");
            assert!(w.the().seen.marks.is_none());
        }
    }
}

#[test]
fn a_disk_that_keeps_its_mark_holds_the_object_and_says_so() {
    let mut w = orphan(false);
    for _ in 0..50 {
        w.fates.push(("UnmarkPart", Fate::Refuse(ErrorClass::Forbidden)));
    }
    w.delete();
    w.run(200);
    assert!(!w.gone);
    assert_eq!(w.condition(C::DeletionBlocked), "True/Recovering");
    let words = w.message_of(C::DeletionBlocked);
    assert!(words.contains("disk d1 keeps the mark"), "{words}");
    w.fates.clear();
    w.until(1000, "let go", |w| w.gone);
}

#[test]
fn a_server_that_vanishes_while_it_is_let_go_has_nothing_deleted() {
    let mut w = orphan(false);
    w.fates.push(("UnmarkPart", Fate::Refuse(ErrorClass::Busy)));
    w.delete();
    w.until(60, "begun", |w| !w.calls.is_empty());
    w.cloud.clear();
    w.until(300, "gone", |w| w.gone);
    assert_eq!(calls(&w), ["UnmarkPart"]);
    assert_eq!(w.told_of(Reason::PartsKept).len(), 1);
}

#[test]
fn what_a_server_had_that_vanished_is_named_and_never_deleted() {
    for policy in ["Recreate", "Fail"] {
        let spec = json!({"onMissing": policy, "deletion": {"disks": "DeleteOwned", "backups": "Delete"}});
        let mut w = on(&STOPPED_ONLY, spec);
        w.knobs.sparse = true;
        w.until(30, "asked", |w| !w.calls.is_empty());
        w.the().seen.parts = disks();
        w.until(60, "ready", |w| w.ready() == "True/AsDeclared");
        assert_eq!(
            w.server.status.as_ref().unwrap().parts.len(),
            5,
            "remembered from the first look"
        );
        w.cloud.clear();
        w.until(120, "missed", |w| w.events.contains(&"Missing".to_owned()));
        w.run(60);
        let told = w.told_of(Reason::PartsKept);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].0 && told[0].1.contains("disk d1") && told[0].1.contains("id-1"),
            "{told:?}"
        );
        if policy == "Recreate" {
            assert_eq!(calls(&w), ["Create", "Create"]);
            assert!(
                w.server
                    .status
                    .as_ref()
                    .unwrap()
                    .parts
                    .iter()
                    .all(|p| p.id != "d1")
            );
        } else {
            w.delete();
            w.until(120, "gone", |w| w.gone);
            assert_eq!(calls(&w), ["Create"], "nothing is certainly ours any more");
        }
    }
}

/// The same cloud, deleting what failed.
static FORGIVING: Capabilities = Capabilities {
    preconditions: &[
        (OperationKind::Start, &[S::Stopped]),
        (OperationKind::Stop, &[S::Running]),
        (OperationKind::Resize, &[S::Running, S::Stopped]),
        (OperationKind::Delete, &[S::Stopped, S::Error]),
        (OperationKind::DeleteFailed, &[S::Stopped, S::Error]),
        (OperationKind::DeletePart, &[S::Absent]),
    ],
    marks_mutable: false,
    ..STOPPED_ONLY
};

#[test]
fn what_a_failed_creation_leaves_is_named() {
    for sparse in [false, true] {
        let mut w = on(&FORGIVING, json!({}));
        w.knobs.sparse = sparse;
        w.fates.push(("Create", Fate::Break));
        w.until(30, "asked", |w| !w.calls.is_empty());
        w.the().seen.parts = vec![part(PartKind::Disk, "d1", true)];
        w.until(300, "made anew", |w| w.ready() == "True/AsDeclared");
        assert_eq!(calls(&w), ["Create", "DeleteFailed", "Create"]);
        let told = w.told_of(Reason::PartsKept);
        assert!(told.len() == 1 && told[0].1.contains("disk d1"), "{told:?}");
    }
}

#[test]
fn a_server_that_never_ran_for_us_has_addresses_after_one_look() {
    let mut w = on(&STOPPED_ONLY, json!({"powerState": "Stopped"}));
    w.knobs.sparse = true;
    w.until(30, "asked", |w| !w.calls.is_empty());
    w.the().seen.addresses = vec![super::clouds::address("10.0.0.1")];
    w.until(120, "stopped", |w| w.ready() == "True/AsDeclared");
    w.run(120);
    assert_eq!(w.server.status.as_ref().unwrap().addresses.len(), 1);
    assert_eq!(w.knobs.looks, 1);
    // A start may change them; a stop changes nothing.
    w.edit(json!({"powerState": "Running"}));
    w.until(60, "runs", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Running
    });
    w.edit(json!({"powerState": "Stopped"}));
    w.until(60, "stopped", |w| {
        w.ready() == "True/AsDeclared" && w.state() == S::Stopped
    });
    w.run(600);
    assert_eq!(w.knobs.looks, 2);
}
