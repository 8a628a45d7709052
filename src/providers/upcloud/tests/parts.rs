//! Disks, backups and addresses: which there are, and which are ours.

use super::*;
use crate::planner::model::Part;

fn label(uid: &str) -> Value {
    json!([{"key": "evenkeeluid", "value": uid}])
}

/// A server of ours with a disk of ours, one of another object, one whose labels are not told, and a CD-ROM.
fn server() -> Value {
    json!({"server": {"uuid": ID, "state": "stopped", "labels": {"label": label("u-1")},
        "networking": {"interfaces": {"interface": [{"type": "public", "ip_addresses": {"ip_address": [
            {"address": "94.237.0.1", "floating": "no"}, {"address": "94.237.0.2", "floating": "yes"},
            {"address": "94.237.0.3", "floating": "no", "release_policy": "keep"}]}}]}},
        "storage_devices": {"storage_device": [
            {"storage": "d-ours", "storage_title": "root", "type": "disk", "labels": label("u-1")},
            {"storage": "d-other", "storage_title": "other", "type": "disk", "labels": label("u-2")},
            {"storage": "d-quiet", "storage_title": "quiet", "type": "disk"},
            {"storage": "c-1", "type": "cdrom"}]}}})
}

fn storage(id: &str, labels: Value, backups: Value) -> Result2 {
    ok(json!({"storage": {"uuid": id, "title": id, "labels": labels, "backups": {"backup": backups}}}))
}

fn script(seen: &Seen) -> Option<Result2> {
    Some(match seen.line.as_str() {
        "GET /1.3/storage/d-ours" => storage("d-ours", label("u-1"), json!(["b-2", "b-1"])),
        "GET /1.3/storage/d-quiet" => storage("d-quiet", label("u-1"), json!([])),
        "GET /1.3/storage/backup" => ok(json!({"storages": {"storage": [
            {"uuid": "b-2", "title": "young", "created": "2026-11-22T04:00:00Z"},
            {"uuid": "b-1", "title": "old", "created": "2026-11-21T04:00:00Z"},
            {"uuid": "b-9", "title": "strange", "created": "2026-11-20T04:00:00Z"}]}})),
        line if line.starts_with("GET /1.3/server/") => ok(server()),
        _ => return None,
    })
}

fn part(kind: PartKind, id: &str, name: &str, ours: bool) -> Part {
    Part {
        kind,
        id: id.into(),
        name: name.into(),
        ours,
        made_at: None,
        of: None,
    }
}

fn backup(id: &str, name: &str, made_at: &str) -> Part {
    Part {
        made_at: Some(made_at.parse().unwrap()),
        of: Some("d-ours".into()),
        ..part(PartKind::Backup, id, name, true)
    }
}

#[tokio::test(start_paused = true)]
async fn disks_with_our_mark_are_ours_and_so_are_their_backups() {
    let fake = Fake::new(|seen, _| script(seen));
    let server = provider(&fake).get(ID).await.unwrap();
    assert_eq!(
        server.parts,
        [
            part(PartKind::Disk, "d-other", "other", false),
            part(PartKind::Disk, "d-ours", "root", true),
            part(PartKind::Disk, "d-quiet", "quiet", true),
            backup("b-1", "old", "2026-11-21T04:00:00Z"),
            backup("b-2", "young", "2026-11-22T04:00:00Z"),
            part(PartKind::Address, "94.237.0.2", "94.237.0.2", false),
            part(PartKind::Address, "94.237.0.3", "94.237.0.3", false),
        ]
    );
    assert!(!fake.lines().contains(&"GET /1.3/storage/d-other".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_gone_is_left_out_and_one_that_may_not_be_seen_is_not_ours() {
    let fake = Fake::new(|seen, _| match seen.line.as_str() {
        "GET /1.3/storage/d-ours" => Some(refuse(404, "STORAGE_NOT_FOUND", "gone")),
        "GET /1.3/storage/d-quiet" => Some(refuse(403, "STORAGE_FORBIDDEN", "not yours")),
        _ => script(seen),
    });
    let server = provider(&fake).get(ID).await.unwrap();
    let disks: Vec<(&str, bool)> = server
        .parts
        .iter()
        .filter(|p| p.kind == PartKind::Disk)
        .map(|p| (p.id.as_str(), p.ours))
        .collect();
    assert_eq!(disks, [("d-other", false), ("d-quiet", false)]);
}

#[tokio::test(start_paused = true)]
async fn parts_that_cannot_be_told_are_no_answer() {
    for broken in ["/1.3/storage/d-ours", "/1.3/storage/backup"] {
        let fake = Fake::new(move |seen, _| match seen.line.ends_with(broken) {
            true => Some(raw(503, "")),
            false => script(seen),
        });
        let error = provider(&fake).get(ID).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_server_has_nothing_of_ours_and_is_asked_for_once() {
    let fake = Fake::new(|seen, _| {
        let mut body = server();
        body["server"]["labels"] = json!({"label": []});
        seen.line.starts_with("GET /1.3/server/").then(|| ok(body))
    });
    let server = provider(&fake).get(ID).await.unwrap();
    assert!(server.parts.iter().all(|p| !p.ours) && server.marks.is_none());
    assert_eq!(fake.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_gone_is_said_to_be() {
    let call = operate(
        OperationKind::DeletePart,
        Operate::PartMarks(PartKind::Disk, "d-1".into(), marks()),
    );
    for (code, class) in [
        (("STORAGE_NOT_FOUND", 404), ErrorClass::NotFound),
        (("STORAGE_STATE_ILLEGAL", 409), ErrorClass::Busy),
        (("STORAGE_FORBIDDEN", 403), ErrorClass::Forbidden),
    ] {
        let fake = Fake::always(refuse(code.1, code.0, "no"));
        assert_eq!(
            provider(&fake).call(&call, bare()).await.unwrap_err().class,
            class,
            "{code:?}"
        );
    }
}

/// What deleting a part of `u-1` comes to, and what is asked. Disk `d-1` has these labels, none if it is gone; `b-1` is a
/// backup of it.
async fn delete_part(kind: PartKind, id: &str, labels: Option<Value>) -> (Accepted, Vec<String>) {
    let backup = json!({"storage": {"uuid": "b-1", "type": "backup", "origin": "d-1", "labels": []}});
    let disk = labels.map(|labels| storage("d-1", labels, json!([])));
    let fake = Fake::new(move |seen, _| match seen.line.as_str() {
        "GET /1.3/storage/d-1" => disk
            .clone()
            .or_else(|| Some(refuse(404, "STORAGE_NOT_FOUND", "no"))),
        "GET /1.3/storage/b-1" => Some(ok(backup.clone())),
        line if line.starts_with("DELETE ") => Some(empty(204)),
        _ => None,
    });
    let how = Operate::PartMarks(kind, id.into(), marks());
    let done = provider(&fake)
        .call(&operate(OperationKind::DeletePart, how), bare())
        .await;
    (done.unwrap().accepted, fake.lines())
}

#[tokio::test(start_paused = true)]
async fn what_lost_our_mark_since_it_was_recorded_is_not_deleted() {
    let all = [
        (PartKind::Disk, "d-1", "DELETE /1.3/storage/d-1?backups=keep"),
        (PartKind::Backup, "b-1", "DELETE /1.3/storage/b-1"),
    ];
    for (kind, id, line) in all {
        let (accepted, lines) = delete_part(kind, id, Some(label("u-1"))).await;
        assert!(!accepted.spared && lines.last().unwrap() == line, "{lines:?}");
        for labels in [json!([]), label("u-2"), Value::Null] {
            let (accepted, lines) = delete_part(kind, id, Some(labels.clone())).await;
            assert!(accepted.spared, "{kind} {labels}");
            assert!(lines.iter().all(|l| l.starts_with("GET ")), "{lines:?}");
        }
    }
    // A backup of ours outlives the disk that it was made of.
    let (accepted, lines) = delete_part(PartKind::Backup, "b-1", None).await;
    assert!(
        !accepted.spared && lines.last().unwrap().starts_with("DELETE "),
        "{lines:?}"
    );
}

/// What taking the marks of `u-1` off a disk with these labels is told, and what it sends.
async fn unmark(labels: Value) -> (Result<Done, CloudError>, Vec<(String, Value)>) {
    let there = storage("d-1", labels, json!([]));
    let fake = Fake::new(move |seen, _| match seen.line.as_str() {
        "GET /1.3/storage/d-1" => Some(there.clone()),
        "PUT /1.3/storage/d-1" => Some(Ok(answer(202, json!({"storage": {"uuid": "d-1"}})))),
        _ => None,
    });
    let how = Operate::PartMarks(PartKind::Disk, "d-1".into(), marks());
    let done = provider(&fake)
        .call(&operate(OperationKind::UnmarkPart, how), bare())
        .await;
    let seen = fake.seen.lock().unwrap();
    let sent = seen.iter().map(|s| (s.line.clone(), s.body.clone())).collect();
    (done, sent)
}

#[tokio::test(start_paused = true)]
async fn a_disk_loses_our_marks_and_keeps_its_owners_labels() {
    let pair = |k: &str, v: &str| json!({"key": k, "value": v});
    let all = [
        pair("role", "data"),
        pair("evenkeelkeys", "role"),
        pair("evenkeelattempt", "1"),
        pair("evenkeelinstallation", "i-1"),
        pair("evenkeelobject", "ns/web-1"),
        pair("evenkeeluid", "u-1"),
        pair("_service", "x"),
    ];
    let (done, sent) = unmark(json!(all)).await;
    assert_eq!(done.unwrap().accepted.id.as_deref(), Some(ID));
    let lines: Vec<&str> = sent.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["GET /1.3/storage/d-1", "PUT /1.3/storage/d-1"]);
    // Labels of storages are a bare list.
    assert_eq!(sent[1].1, json!({"storage": {"labels": [pair("role", "data")]}}));
    // Done already, or somebody else's by now: nothing is changed.
    for labels in [json!([]), label("u-2"), Value::Null] {
        let (done, sent) = unmark(labels).await;
        assert!(done.is_ok() && sent.len() == 1, "{sent:?}");
    }
}
