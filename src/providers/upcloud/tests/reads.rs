//! Lists, single servers, whose account it is.

use super::*;
use crate::planner::model::ServerState;

#[tokio::test(start_paused = true)]
async fn a_list_is_one_request_for_everything() {
    let fake = Fake::new(|_, _| Some(ok(page::reply("List servers"))));
    let list = provider(&fake).list().await.unwrap();
    assert_eq!(fake.lines(), ["GET /1.3/server"], "filtered by nothing");
    let [fi, uk] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!((fi.state, fi.raw.as_str()), (ServerState::Running, "started"));
    assert_eq!((uk.state, uk.raw.as_str()), (ServerState::Stopped, "stopped"));
    assert_eq!(fi.id, "00798b85-efdc-41ca-8021-f6ef457b8531");
    assert_eq!(fi.provider_id, "upcloud:////00798b85-efdc-41ca-8021-f6ef457b8531");
    assert_eq!(fi.name, "Helsinki server");
    assert_eq!(fi.zone.as_deref(), Some("fi-hel1"));
    assert_eq!(fi.size.name.as_deref(), Some("1xCPU-2GB"));
    assert_eq!((fi.size.cores, fi.size.memory_mib), (Some(1), Some(2048)));
    assert_eq!((uk.size.name.as_deref(), uk.size.memory_mib), (None, Some(512)));
    assert!(
        list.iter()
            .all(|s| !s.detailed && !s.unreadable && s.marks.is_none() && s.parts.is_empty())
    );
    assert_eq!(fi.attributes["hostname"], "fi.example.com");
    assert_eq!(fi.attributes.get("firewall"), None, "a list does not tell it");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_list_never_reads_as_nothing() {
    let bad = [
        raw(200, ""),
        raw(200, "<html>Welcome</html>"),
        raw(200, "{\"servers\": {\"server\": [{\"uuid\": \"1\""),
        raw(200, "\u{1f}\u{8b}gzip"),
        raw(204, ""),
        ok(json!([])),
        ok(json!({})),
        ok(json!({"servers": null})),
        ok(json!({"servers": {}})),
        ok(json!({"servers": {"server": null}})),
        ok(json!({"servers": {"server": {}}})),
        ok(json!({"servers": "none"})),
        ok(json!({"servers": {"server": [{"title": "no uuid"}]}})),
        ok(json!({"servers": {"server": [null]}})),
        ok(json!({"server": {"uuid": "1"}})),
        raw(302, ""),
        raw(404, "<html>"),
        refuse(404, "NOT_FOUND", "no such page"),
        raw(500, ""),
        raw(503, "<html>"),
        lost(Stage::Connect),
        lost(Stage::Sent),
        lost(Stage::Timeout),
        lost(Stage::Reply),
    ];
    for reply in bad {
        let fake = Fake::always(reply.clone());
        let error = provider(&fake).list().await.unwrap_err();
        assert!(!error.maybe_applied, "{reply:?}");
        let clear = [ErrorClass::Transient, ErrorClass::NotFound];
        assert!(clear.contains(&error.class), "{reply:?}: {error:?}");
    }
    let empty = Fake::always(ok(json!({"servers": {"server": []}})));
    assert_eq!(provider(&empty).list().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_cut_is_read_to_its_end() {
    let page = |ids: std::ops::Range<usize>, total: &str| {
        let list: Vec<Value> = ids
            .map(|n| json!({"uuid": format!("id-{n}"), "state": "started", "labels": {"label": []}}))
            .collect();
        let mut reply = answer(200, json!({"servers": {"server": list}}));
        reply.headers.push(("upcloud-total-count", total.to_owned()));
        Some(Ok(reply))
    };
    let fake = Fake::new(move |seen, _| match seen.line.as_str() {
        "GET /1.3/server" => page(0..100, "150"),
        "GET /1.3/server?limit=100&offset=100" => page(90..150, "150"),
        _ => None,
    });
    assert_eq!(provider(&fake).list().await.unwrap().len(), 150);
    let fake = Fake::new(move |_, _| page(0..100, "150"));
    let error = provider(&fake).list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(fake.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_labels_were_not_told_is_nobodys() {
    let list = json!({"servers": {"server": [
        {"uuid": "1", "state": "started"}, {"uuid": "2", "state": "started", "labels": null},
        {"uuid": "3", "state": "hibernated", "labels": []}, {"uuid": "4", "labels": {"label": null}}]}});
    let fake = Fake::always(ok(list));
    let list = provider(&fake).list().await.unwrap();
    let unreadable: Vec<bool> = list.iter().map(|s| s.unreadable).collect();
    assert_eq!(unreadable, [true, false, false, false]);
    assert_eq!(
        (list[2].state, list[2].raw.as_str()),
        (ServerState::Unknown, "hibernated")
    );
    assert_eq!((list[3].state, list[3].raw.as_str()), (ServerState::Unknown, ""));
}

#[tokio::test(start_paused = true)]
async fn a_server_says_everything_when_it_is_asked_for() {
    let fake = Fake::plain();
    let server = provider(&fake).get(ID).await.unwrap();
    assert_eq!(fake.lines(), [format!("GET /1.3/server/{ID}")]);
    assert!(server.detailed && server.launched && !server.busy);
    assert_eq!(server.state, ServerState::Running);
    assert_eq!(server.host.as_deref(), Some("7653311107"));
    assert_eq!(
        server.group_id.as_deref(),
        Some("0b3d85b4-b3be-46ca-a1e2-3b5d40d60fb1")
    );
    let addresses: Vec<(&str, &str)> = server
        .addresses
        .iter()
        .map(|a| (a.kind.as_str(), a.address.as_str()))
        .collect();
    assert_eq!(
        addresses,
        [
            ("public", "94.237.0.207"),
            ("public", "xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx"),
            ("utility", "10.6.3.95")
        ]
    );
    let wanted = [
        ("boot_order", "disk"),
        ("firewall", "on"),
        ("hostname", "server1.example.com"),
        ("labels", "{}"),
        ("nic_model", "virtio"),
        ("remote_access_enabled", "yes"),
        ("remote_access_type", "vnc"),
        ("simple_backup", "0100,dailies"),
        ("timezone", "UTC"),
        ("title", "server1.example.com"),
        ("video_model", "cirrus"),
    ];
    let attributes: Vec<(&str, &str)> = server
        .attributes
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(attributes, wanted);
}

#[test]
fn what_is_wished_and_what_is_seen_have_the_same_names_and_words() {
    let spec = spec(
        json!({"cloudName": "server1.example.com", "hostname": "Server1", "labels": {"b": "2", "a": "1"},
        "upcloud": {"domain": "example.com", "firewall": true, "metadata": true, "timezone": "UTC",
            "bootOrder": ["Disk", "Cdrom"], "simpleBackup": "0100,dailies", "nicModel": "Virtio",
            "videoModel": "Cirrus", "remoteAccessEnabled": true, "remoteAccessType": "Vnc"}}),
    );
    let label = |k: &str, v: &str| json!({"key": k, "value": v});
    let server: wire::Server = serde_json::from_value(json!({"uuid": ID, "state": "started",
        "title": "server1.example.com", "hostname": "server1.example.com", "firewall": "on", "metadata": "yes",
        "timezone": "UTC", "boot_order": "disk,cdrom", "simple_backup": "0100,dailies", "nic_model": "virtio",
        "video_model": "cirrus", "remote_access_enabled": "yes", "remote_access_type": "vnc",
        "labels": {"label": [label("a", "1"), label("evenkeelkeys", "a,b"), label("x", "y"), label("b", "2")]}}))
    .unwrap();
    let seen = observed(server).attributes;
    let texts = |spec: &crate::api::ServerSpec| {
        let mut all = (CAPABILITIES.attributes)(spec);
        all.retain(|a| a.items.is_none());
        all
    };
    let wanted = texts(&spec);
    assert_eq!(wanted.len(), 12);
    for attribute in &wanted {
        assert_eq!(
            seen.get(attribute.name),
            Some(&attribute.value),
            "{}",
            attribute.name
        );
        assert_eq!(attribute.needs_stop, attribute.name == "remote_access_type");
    }
    assert_eq!(seen.len(), 12);
    let bare = texts(&self::spec(json!({})));
    assert_eq!(
        bare.len(),
        1,
        "only the labels are compared, so that removed ones go: {bare:?}"
    );
    assert_eq!((bare[0].name, bare[0].value.as_str()), ("labels", "{}"));
}

#[tokio::test(start_paused = true)]
async fn gone_is_only_what_the_service_says_is_gone() {
    let of = |reply: Result2| async move { provider(&Fake::always(reply)).get(ID).await.unwrap_err().class };
    assert_eq!(
        of(refuse(404, "SERVER_NOT_FOUND", "no such server")).await,
        ErrorClass::NotFound
    );
    let problem = json!({"type": "https://developers.upcloud.com/1.3/errors#ERROR_RESOURCE_NOT_FOUND", "title": "gone", "status": 404});
    assert_eq!(of(Ok(answer(404, problem))).await, ErrorClass::NotFound);
    for reply in [
        raw(404, ""),
        raw(404, "<html>"),
        raw(404, "null"),
        refuse(503, "SERVER_NOT_FOUND", ""),
    ] {
        assert_eq!(of(reply).await, ErrorClass::Transient);
    }
    assert_eq!(
        of(refuse(403, "SERVER_FORBIDDEN", "not yours")).await,
        ErrorClass::Forbidden
    );
    assert_eq!(
        of(refuse(400, "SERVER_INVALID", "no uuid")).await,
        ErrorClass::InvalidSpec
    );
    assert_eq!(of(raw(200, "{\"server\": {\"uu")).await, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn the_account_is_asked_for_once() {
    let fake = Fake::plain();
    let p = provider(&fake);
    let account = p.account().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_deref()),
        ("ops", Some("ops"))
    );
    assert_eq!(account.key, "https://api.upcloud.com/1.3 ops");
    p.account().await.unwrap();
    assert_eq!(fake.lines(), ["GET /1.3/account"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_left_alone_for_a_while() {
    let fake = Fake::new(|_, before| {
        (before < 1).then(|| refuse(401, "AUTHENTICATION_FAILED", "token ucat_planted is wrong"))
    });
    let p = provider(&fake);
    let error = p.account().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(!error.message.contains(TOKEN), "{error}");
    for _ in 0..10 {
        assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Unauthorized);
        let call = create(json!({}));
        assert_eq!(
            p.call(&call, bare()).await.unwrap_err().class,
            ErrorClass::Unauthorized
        );
    }
    assert_eq!(fake.lines().len(), 1, "nothing else is sent");
    tokio::time::advance(Duration::from_secs(61)).await;
    p.account().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_withdrawn_takes_the_account_with_it() {
    let fake = Fake::new(|seen, before| {
        (seen.line == "GET /1.3/server" && before == 0).then(|| raw(401, "<html>who are you</html>"))
    });
    let p = provider(&fake);
    p.account().await.unwrap();
    assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Unauthorized);
    assert_eq!(p.account().await.unwrap_err().class, ErrorClass::Unauthorized);
    tokio::time::advance(Duration::from_secs(61)).await;
    p.account().await.unwrap();
    assert_eq!(fake.lines().iter().filter(|l| l.ends_with("/account")).count(), 2);
}
