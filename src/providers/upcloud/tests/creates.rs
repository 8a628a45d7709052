//! What a create sends, and what is refused before anything is sent.

use super::*;

async fn sent(value: Value) -> Value {
    let fake = Fake::plain();
    let call = create(value);
    provider(&fake).call(&call, bare()).await.unwrap();
    fake.last("POST /1.3/server").body["server"].clone()
}

const NET: &str = "03b5b0a0-ad4c-4817-9632-dafdb3ace5d9";
const DISK: &str = "0169b4f8-051c-4a86-9484-f5b798249949";

/// A create with every field of the spec.
pub(super) fn everything() -> CloudCall {
    let CloudCall::Create(mut request) = create(json!({
        "size": {"cores": 4, "memoryMiB": 8192}, "hostname": "Web-1", "labels": {"team": "blue"},
        "sshKeys": ["ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"],
        "upcloud": {"zone": "uk-lon1", "domain": "example.com", "firewall": true, "metadata": true,
            "timezone": "Europe/Helsinki", "bootOrder": ["Disk", "Network"], "simpleBackup": "0430,monthlies",
            "nicModel": "Virtio", "videoModel": "Vga", "remoteAccessEnabled": true, "remoteAccessType": "Vnc",
            "avoidHost": 7653311107_i64, "host": 8055964291_i64, "loginUser": {"username": "ops"},
            "disks": [
                {"name": "data", "action": "Create", "size": 20, "tier": "MaxIops", "address": "virtio:1", "labels": {"use": "db"}},
                {"name": "root", "action": "Clone", "size": 50, "tier": "Hdd", "title": "system", "bootDisk": true},
                {"name": "copy", "action": "Clone", "storage": DISK},
                {"name": "old", "action": "Attach", "storage": DISK, "bootDisk": false}],
            "cdrom": {"storage": "01000000-0000-4000-8000-000020010301", "address": "ide:1:0"},
            "interfaces": [
                {"name": "a", "type": "Public", "addresses": [{"name": "6", "family": "IPv6"}], "bootable": true},
                {"name": "b", "type": "Utility"},
                {"name": "c", "type": "Private", "network": NET, "index": 4, "sourceIPFiltering": false, "addresses": [
                    {"name": "1", "address": "10.0.0.50", "dhcpProvided": true}, {"name": "2", "address": "10.0.0.60"}]}]}}))
    else {
        unreachable!()
    };
    request.group = Some("0b3d85b4-b3be-46ca-a1e2-3b5d40d60fb1".into());
    CloudCall::Create(request)
}

#[tokio::test(start_paused = true)]
async fn everything_is_said_in_one_request() {
    let fake = Fake::plain();
    let (user_data, console) = (SecretString::from("#!/bin/sh\n"), SecretString::from("aabbccdd"));
    let with = CallWith {
        user_data: Some(&user_data),
        admin_password: Some(&console),
        ..bare()
    };
    let done = provider(&fake).call(&everything(), with).await.unwrap();
    assert_eq!(done.accepted.id.as_deref(), Some(ID));
    assert_eq!(done.accepted.request_id.as_deref(), Some("cid-7"));

    let seen = fake.last("POST");
    assert_eq!(seen.line, "POST /1.3/server");
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    assert_eq!(header("authorization"), Some("Bearer ucat_planted"));
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("content-type"), Some("application/json"));
    let mut labels = mark_labels();
    let mut use_db = labels.clone();
    labels.push(json!({"key": "evenkeelkeys", "value": "team"}));
    labels.push(json!({"key": "team", "value": "blue"}));
    use_db.push(json!({"key": "evenkeelkeys", "value": "use"}));
    use_db.push(json!({"key": "use", "value": "db"}));
    let by_key = |v: &Value| v["key"].as_str().unwrap().to_owned();
    labels.sort_by_key(by_key);
    use_db.sort_by_key(by_key);
    let marked = Value::from(mark_labels());
    let mut server = json!({
        "zone": "uk-lon1", "title": "web-1", "hostname": "web-1.example.com", "plan": "custom",
        "core_number": "4", "memory_amount": "8192", "labels": {"label": labels},
        "firewall": "on", "metadata": "yes", "timezone": "Europe/Helsinki", "boot_order": "disk,network",
        "simple_backup": "0430,monthlies", "nic_model": "virtio", "video_model": "vga",
        "remote_access_enabled": "yes", "remote_access_type": "vnc", "remote_access_password": "aabbccdd",
        "avoid_host": 7653311107_i64, "host": 8055964291_i64, "password_delivery": "none",
        "server_group": "0b3d85b4-b3be-46ca-a1e2-3b5d40d60fb1", "user_data": "#!/bin/sh\n"});
    server["login_user"] = json!({"username": "ops", "create_password": "no",
        "ssh_keys": {"ssh_key": ["ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"]}});
    server["storage_devices"] = json!({"storage_device": [
        {"action": "create", "title": "web-1 data", "size": 20, "tier": "maxiops", "address": "virtio:1", "labels": use_db},
        {"action": "clone", "storage": DEBIAN, "title": "system", "size": 50, "tier": "hdd", "boot_disk": "1", "labels": marked},
        {"action": "clone", "storage": DISK, "title": "web-1 copy", "labels": marked},
        {"action": "attach", "storage": DISK, "boot_disk": "0"},
        {"action": "attach", "storage": "01000000-0000-4000-8000-000020010301", "type": "cdrom", "address": "ide:1:0"}]});
    server["networking"] = json!({"interfaces": {"interface": [
        {"type": "public", "bootable": "yes", "ip_addresses": {"ip_address": [{"family": "IPv6"}]}},
        {"type": "utility", "ip_addresses": {"ip_address": [{"family": "IPv4"}]}},
        {"type": "private", "network": NET, "index": 4, "source_ip_filtering": "no", "ip_addresses": {"ip_address": [
            {"family": "IPv4", "address": "10.0.0.50", "dhcp_provided": "yes"},
            {"family": "IPv4", "address": "10.0.0.60"}]}}]}});
    assert_eq!(seen.body["server"], server);
}

#[tokio::test(start_paused = true)]
async fn a_plain_create_has_what_the_service_demands() {
    let server = sent(json!({})).await;
    let family = |f: &str| json!({"ip_address": [{"family": f}]});
    assert_eq!(
        server,
        json!({"zone": "fi-hel1", "title": "web-1", "hostname": "web-1", "plan": "2xCPU-4GB",
            "labels": {"label": mark_labels()}, "password_delivery": "none",
            "login_user": {"create_password": "no", "ssh_keys": {"ssh_key": ["ssh-ed25519 AAAA a"]}},
            "storage_devices": {"storage_device": [{"action": "clone", "storage": DEBIAN, "title": "web-1", "labels": mark_labels()}]},
            "networking": {"interfaces": {"interface": [
                {"type": "public", "ip_addresses": family("IPv4")},
                {"type": "utility", "ip_addresses": family("IPv4")},
                {"type": "public", "ip_addresses": family("IPv6")}]}}})
    );
}

#[tokio::test(start_paused = true)]
async fn templates_with_cloud_init_get_the_metadata_service() {
    let server = sent(json!({"image": {"name": "Ubuntu"}})).await;
    assert_eq!(server["metadata"], "yes");
    let server = sent(json!({"image": {"id": UBUNTU}})).await;
    assert_eq!(server["metadata"], "yes");
    let server = sent(json!({"image": {"id": "0169b4f8-051c-4a86-9484-f5b798249949"}})).await;
    assert_eq!(server.get("metadata"), None);
    let server = sent(json!({"image": {"name": "Local"}})).await;
    assert_eq!(server["storage_devices"]["storage_device"][0]["storage"], "01-c");
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_password_is_made_and_told_once() {
    let fake = Fake::plain();
    let call = create(
        json!({"sshKeys": null, "credentialsSecretName": "web-1-login", "upcloud": {"loginUser": {"username": "ops"}}}),
    );
    let done = provider(&fake).call(&call, bare()).await.unwrap();
    let user = fake.last("POST").body["server"]["login_user"].clone();
    assert_eq!(user, json!({"create_password": "yes", "username": "ops"}));
    let told = done.credentials.unwrap();
    assert_eq!(told.password.expose_secret(), "aabbccdd");
    assert_eq!(told.username.as_deref(), Some("ops"));
    assert!(!format!("{told:?}").contains("aabbccdd"));
}

#[tokio::test(start_paused = true)]
async fn the_name_in_the_reply_counts_and_a_reply_without_a_password_has_none() {
    let fake = Fake::new(|seen, _| {
        let body = json!({"server": {"uuid": ID, "state": "maintenance", "progress": "0", "username": "admin", "password": "once"}});
        (seen.line == "POST /1.3/server").then(|| Ok(answer(202, body)))
    });
    let done = provider(&fake).call(&create(json!({})), bare()).await.unwrap();
    assert_eq!(done.credentials.unwrap().username.as_deref(), Some("admin"));
    let fake = Fake::new(|seen, _| {
        (seen.line == "POST /1.3/server").then(|| Ok(answer(202, json!({"server": {"uuid": ID}}))))
    });
    let done = provider(&fake).call(&create(json!({})), bare()).await.unwrap();
    assert!(done.credentials.is_none());
}

#[tokio::test(start_paused = true)]
async fn clones_and_servers_from_scratch_need_no_image_and_no_login() {
    let disk = "0169b4f8-051c-4a86-9484-f5b798249949";
    let server = sent(json!({"image": null, "sshKeys": null,
        "upcloud": {"disks": [{"name": "root", "action": "Clone", "storage": disk}]}}))
    .await;
    assert_eq!(server.get("login_user"), None);
    assert_eq!(
        server["storage_devices"]["storage_device"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let disk = "0169b4f8-051c-4a86-9484-f5b798249949";
    let sixteen: Vec<Value> = (0..16)
        .map(|n| json!({"name": n.to_string(), "action": "Create", "size": 10}))
        .collect();
    let cases = [
        ("nobody could log in", json!({"sshKeys": null})),
        ("nobody could log in", json!({"sshKeys": []})),
        (
            "nobody could log in",
            json!({"sshKeys": null, "credentialsSecretName": "s", "upcloud": {"loginUser": {"createPassword": false}}}),
        ),
        (
            "cannot be true with sshKeys",
            json!({"upcloud": {"loginUser": {"createPassword": true}}}),
        ),
        (
            "takes no password",
            json!({"image": {"name": "Ubuntu"}, "sshKeys": null, "credentialsSecretName": "s"}),
        ),
        (
            "metadata cannot be false",
            json!({"image": {"name": "Ubuntu"}, "upcloud": {"metadata": false}}),
        ),
        ("no template", json!({"image": {"name": "Windows"}})),
        ("no template", json!({"image": {"name": "Half"}})),
        ("2 templates", json!({"image": {"name": "Twice"}})),
        ("no id", json!({"image": {"id": "../account"}})),
        ("needs a disk", json!({"image": null})),
        (
            "is a clone",
            json!({"image": null, "upcloud": {"disks": [{"name": "a", "action": "Clone"}]}}),
        ),
        (
            "needs a size",
            json!({"upcloud": {"disks": [{"name": "a", "action": "Create"}]}}),
        ),
        (
            "has no storage",
            json!({"upcloud": {"disks": [{"name": "a", "action": "Create", "size": 10, "storage": disk}]}}),
        ),
        (
            "give its storage",
            json!({"upcloud": {"disks": [{"name": "a", "action": "Attach"}]}}),
        ),
        ("17 storages", json!({"upcloud": {"disks": sixteen}})),
        (
            "needs its network",
            json!({"upcloud": {"interfaces": [{"name": "a", "type": "Private"}]}}),
        ),
        (
            "only on a Private",
            json!({"upcloud": {"interfaces": [{"name": "a", "type": "Public", "sourceIPFiltering": false}]}}),
        ),
        ("label keys", json!({"labels": {"app.kubernetes.io/name": "x"}})),
        (
            "128 characters",
            json!({"hostname": "h".repeat(63), "upcloud": {"domain": format!("{0}.{0}", "d".repeat(40))}}),
        ),
        ("spec.size", json!({"size": null})),
        ("cores and memoryMiB", json!({"size": {"cores": 2}})),
    ];
    for (words, value) in cases {
        let fake = Fake::plain();
        let error = provider(&fake)
            .call(&create(value.clone()), bare())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::InvalidSpec, "{value}: {error}");
        assert!(error.message.contains(words), "{value}: {error}");
        assert!(!fake.changed() && !error.maybe_applied, "{value}");
        if words.contains("nobody") {
            assert!(fake.lines().is_empty(), "{value}: nothing at all is asked");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_and_a_password_of_the_console_are_checked() {
    let fake = Fake::plain();
    let mut provider = provider(&fake);
    let long = SecretString::from("planted-too-long");
    let with = CallWith {
        admin_password: Some(&long),
        ..bare()
    };
    let error = provider.call(&create(json!({})), with).await.unwrap_err();
    assert!(
        error.message.contains("8 letters") && !error.message.contains("planted"),
        "{error}"
    );
    provider.zone = None;
    let error = provider.call(&create(json!({})), bare()).await.unwrap_err();
    assert!(error.message.contains("zone"), "{error}");
    assert!(!fake.changed());
}

#[tokio::test(start_paused = true)]
async fn templates_are_asked_for_once_and_again_after_a_refusal() {
    let fake = Fake::new(|seen, before| {
        (seen.line == "POST /1.3/server" && before == 1)
            .then(|| refuse(404, "STORAGE_NOT_FOUND", "The storage is gone"))
    });
    let p = provider(&fake);
    let templates = || {
        fake.lines()
            .iter()
            .filter(|l| l.ends_with("/storage/template"))
            .count()
    };
    let call = create(json!({}));
    p.call(&call, bare()).await.unwrap();
    assert_eq!(
        p.call(&call, bare()).await.unwrap_err().class,
        ErrorClass::InvalidSpec
    );
    assert_eq!(templates(), 1);
    p.call(&call, bare()).await.unwrap();
    assert_eq!(templates(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_reply_says_nothing_may_have_been_done() {
    let replies = [
        lost(Stage::Sent),
        lost(Stage::Timeout),
        lost(Stage::Reply),
        refuse(500, "INTERNAL_ERROR", "sorry"),
        raw(502, "<html>Bad Gateway</html>"),
        raw(503, ""),
        raw(202, "<html>"),
        raw(202, "{\"server\": {\"uuid\": \"00c7"),
        raw(202, ""),
        ok(json!({"servers": []})),
        ok(json!({"server": {"uuid": null}})),
        raw(202, "\u{1f}\u{8b}gzip"),
    ];
    for reply in replies {
        let fake = Fake::new({
            let reply = reply.clone();
            move |seen, _| seen.line.starts_with("POST").then(|| reply.clone())
        });
        let error = provider(&fake)
            .call(&create(json!({})), bare())
            .await
            .unwrap_err();
        assert_eq!(
            (error.class, error.maybe_applied),
            (ErrorClass::Ambiguous, true),
            "{reply:?}"
        );
        assert_eq!(
            fake.lines().iter().filter(|l| l.starts_with("POST")).count(),
            1,
            "sent once"
        );
    }
    let fake = Fake::new(|seen, _| seen.line.starts_with("POST").then(|| lost(Stage::Connect)));
    let error = provider(&fake)
        .call(&create(json!({})), bare())
        .await
        .unwrap_err();
    assert_eq!((error.class, error.maybe_applied), (ErrorClass::Transient, false));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_not_sent() {
    let fake = Fake::plain();
    let p = provider(&fake);
    let with = CallWith::nothing(tokio::time::Instant::now());
    let error = p.call(&create(json!({})), with).await.unwrap_err();
    assert!(!error.maybe_applied && !fake.changed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_secret_shows_in_a_refusal() {
    let fake = Fake::new(|seen, _| {
        let said = format!("{} {}", seen.headers["authorization"], seen.body);
        seen.line
            .starts_with("POST")
            .then(|| refuse(400, "USER_DATA_INVALID", &said))
    });
    let (user_data, console) = (
        SecretString::from("planted-user-data"),
        SecretString::from("planted8"),
    );
    let with = CallWith {
        user_data: Some(&user_data),
        admin_password: Some(&console),
        ..bare()
    };
    let error = provider(&fake).call(&create(json!({})), with).await.unwrap_err();
    assert!(
        error.message.contains("***") && !error.message.contains("planted"),
        "{error}"
    );
}
