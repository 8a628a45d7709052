//! What is sent for each call, and that nothing secret shows.

use super::*;
use crate::api::server::Size;
use crate::planner::model::Disks;
use futures::future::join_all;

fn image(image: Value) -> Operate {
    Operate::Image(serde_json::from_value(image).unwrap(), Disks::default())
}

#[tokio::test(start_paused = true)]
async fn a_create_says_everything_in_one_request() {
    let fake = Fake::new(|_, _| None);
    let call = create(json!({
        "hostname": "host-1", "labels": {"team": "blue"},
        "openstack": {"availabilityZone": "az1", "keyName": "k", "configDrive": true, "securityGroups": ["default", "web"],
            "tags": ["t1"], "networks": [
                {"name": "a", "network": "demo-net", "fixedIP": "10.0.0.9"},
                {"name": "b", "network": "7f7b4c0e-2f7c-4c55-8f55-5a8a3a1f2b11"},
                {"name": "c", "port": "port-1"}]}}));
    let user_data = SecretString::from("#!/bin/sh\necho hi\n");
    let accepted = provider(&fake)
        .call(&call, with(&user_data))
        .await
        .unwrap()
        .accepted;
    assert_eq!(
        accepted,
        Accepted {
            id: Some("new-1".into()),
            request_id: Some("req-7".into()),
            ..Accepted::default()
        }
    );
    let seen = fake.last("POST /v2.1/servers");
    assert_eq!(seen.version, "compute 2.90");
    assert_eq!(
        seen.body,
        json!({"server": {
            "name": "web-1", "flavorRef": "1", "imageRef": "img-1", "hostname": "host-1",
            "availability_zone": "az1", "key_name": "k", "config_drive": true,
            "security_groups": [{"name": "default"}, {"name": "web"}],
            "user_data": "IyEvYmluL3NoCmVjaG8gaGkK",
            "networks": [{"uuid": "net-1", "fixed_ip": "10.0.0.9"},
                {"uuid": "7f7b4c0e-2f7c-4c55-8f55-5a8a3a1f2b11"}, {"port": "port-1"}],
            "tags": ["t1", "evenkeel-u-1"],
            "metadata": {"team": "blue", "evenkeel-uid": "u-1", "evenkeel-installation": "i-1",
                "evenkeel-object": "ns/web-1", "evenkeel-attempt": "2"}}})
    );
}

#[tokio::test(start_paused = true)]
async fn a_plain_create_has_no_networks() {
    let fake = Fake::new(|_, _| None);
    provider(&fake)
        .call(&create(json!({"image": {"id": "img-9"}})), bare())
        .await
        .unwrap();
    let seen = fake.last("POST /v2.1/servers");
    assert_eq!(seen.version, "compute 2.79");
    assert_eq!(seen.body["server"]["networks"], "none");
    assert_eq!(seen.body["server"]["imageRef"], "img-9");
    assert_eq!(fake.count("GET /v2/images"), 0, "an id is not looked up");
}

#[tokio::test(start_paused = true)]
async fn the_id_is_found_even_if_the_body_is_broken() {
    let reply = |body: &'static str, location: &'static str| Reply {
        status: http::StatusCode::ACCEPTED,
        headers: [(http::header::LOCATION, http::HeaderValue::from_static(location))]
            .into_iter()
            .collect(),
        body: Bytes::from_static(body.as_bytes()),
        retry_after: None,
    };
    assert_eq!(
        created(&reply("", "https://h/v2.1/servers/abc-1"))
            .unwrap()
            .accepted
            .id
            .as_deref(),
        Some("abc-1")
    );
    let error = created(&reply("<html>", "")).unwrap_err();
    assert_eq!((error.class, error.maybe_applied), (ErrorClass::Ambiguous, true));
}

#[tokio::test(start_paused = true)]
async fn fifty_creates_at_once_look_each_name_up_once() {
    let fake = Fake::with(3600, Duration::from_millis(200), |_, _| None);
    let p = provider(&fake);
    let call = create(json!({"openstack": {"networks": [{"name": "a", "network": "demo-net"}]}}));
    let all = join_all((0..50).map(|_| p.call(&call, bare()))).await;
    assert!(all.iter().all(Result::is_ok));
    for line in [
        "POST /v3/auth/tokens",
        "GET /v2.1/flavors",
        "GET /v2/images",
        "GET /v2.0/networks",
    ] {
        assert_eq!(fake.count(line), 1, "{line}");
    }
    tokio::time::advance(Duration::from_secs(301)).await;
    p.call(&call, bare()).await.unwrap();
    assert_eq!(fake.count("GET /v2/images"), 2, "and again after a while");
}

#[tokio::test(start_paused = true)]
async fn names_that_mean_several_things_or_nothing_are_refused() {
    let fake = Fake::new(|seen, _| {
        let two = |kind: &str| {
            Some(Ok((
                200,
                json!({kind: [{"id": "x", "name": "twice"}, {"id": "y", "name": "twice"}]}),
            )))
        };
        match seen.line.as_str() {
            "GET /v2/images?name=twice" => two("images"),
            "GET /v2.0/networks?name=twice" => two("networks"),
            "GET /v2/images?name=queued" => Some(Ok((
                200,
                json!({"images": [{"id": "x", "name": "queued", "status": "queued"}]}),
            ))),
            _ => None,
        }
    });
    let p = provider(&fake);
    for (spec, words) in [
        (json!({"image": {"name": "twice"}}), "2 active images are called"),
        (json!({"image": {"name": "queued"}}), "no active image"),
        (
            json!({"openstack": {"networks": [{"name": "a", "network": "twice"}]}}),
            "2 networks are called",
        ),
        (json!({"size": {"name": "m1.nope"}}), "no flavor \"m1.nope\""),
        (json!({"size": {"cores": 1, "memoryMiB": 512}}), "no free sizes"),
    ] {
        let error = p.call(&create(spec), bare()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::InvalidSpec);
        assert!(error.message.contains(words), "{}", error.message);
        assert!(!error.maybe_applied);
    }
    assert_eq!(fake.count("POST /v2.1/servers"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_looked_for_again_soon_and_what_is_refused_is_forgotten() {
    let fake = Fake::new(|seen, n| match seen.line.as_str() {
        "GET /v2/images?name=late" if n == 0 => Some(Ok((200, json!({"images": []})))),
        "GET /v2/images?name=late" => Some(Ok((200, json!({"images": [{"id": "l", "name": "late"}]})))),
        "POST /v2.1/servers" if n == 0 => refuse(400, "badRequest", "Can not find requested image"),
        _ => None,
    });
    let p = provider(&fake);
    let call = create(json!({"image": {"name": "late"}}));
    assert!(p.call(&call, bare()).await.is_err());
    assert!(p.call(&call, bare()).await.is_err());
    assert_eq!(fake.count("GET /v2/images"), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(p.call(&call, bare()).await.is_err(), "refused by Nova");
    assert!(p.call(&call, bare()).await.is_ok());
    assert_eq!(fake.count("GET /v2/images"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_flavor_made_since_is_found() {
    let fake = Fake::new(|seen, n| match seen.line.as_str() {
        "GET /v2.1/flavors" if n > 0 => Some(Ok((
            200,
            json!({"flavors": [{"id": "1", "name": "m1.tiny"}, {"id": "9", "name": "m1.new"}]}),
        ))),
        _ => None,
    });
    let p = provider(&fake);
    p.call(&create(json!({})), bare()).await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    p.call(&create(json!({"size": {"name": "m1.new"}})), bare())
        .await
        .unwrap();
    assert_eq!(fake.last("POST /v2.1/servers").body["server"]["flavorRef"], "9");
}

#[tokio::test(start_paused = true)]
async fn every_action_has_its_body() {
    use OperationKind::*;
    let size = Size {
        name: Some("m1.small".into()),
        cores: None,
        memory_mib: None,
    };
    const ACTION: &str = "POST /v2.1/servers/s-1/action";
    let plain = [
        (Start, "os-start"),
        (ConfirmResize, "confirmResize"),
        (RevertResize, "revertResize"),
        (Pause, "pause"),
        (Unpause, "unpause"),
        (Suspend, "suspend"),
        (Resume, "resume"),
        (Shelve, "shelve"),
        (Unshelve, "unshelve"),
        (Unrescue, "unrescue"),
        (Restore, "restore"),
    ];
    let plain = plain.map(|(kind, word)| (kind, Operate::Plain, ACTION, json!({ word: null })));
    let others = [
        (
            Stop,
            Operate::Stop(StopKind::CloudEscalates, 60),
            ACTION,
            json!({"os-stop": null}),
        ),
        (
            Restart,
            restart(PowerOffMode::SoftThenHard),
            ACTION,
            json!({"reboot": {"type": "SOFT"}}),
        ),
        (
            Restart,
            restart(PowerOffMode::Hard),
            ACTION,
            json!({"reboot": {"type": "HARD"}}),
        ),
        (
            Resize,
            Operate::Size(size),
            ACTION,
            json!({"resize": {"flavorRef": "2"}}),
        ),
        (
            Rebuild,
            image(json!({"name": "cirros"})),
            ACTION,
            json!({"rebuild": {"imageRef": "img-1"}}),
        ),
        (
            Rebuild,
            image(json!({"id": "img-7"})),
            ACTION,
            json!({"rebuild": {"imageRef": "img-7"}}),
        ),
        (
            Rebuild,
            Operate::Image(
                serde_json::from_value(json!({"id": "img-7"})).unwrap(),
                Disks {
                    volume: true,
                    keep_ephemeral: false,
                },
            ),
            ACTION,
            json!({"rebuild": {"imageRef": "img-7"}}),
        ),
        (
            Rebuild,
            Operate::Image(
                serde_json::from_value(json!({"id": "img-7"})).unwrap(),
                Disks {
                    volume: false,
                    keep_ephemeral: true,
                },
            ),
            ACTION,
            json!({"rebuild": {"imageRef": "img-7", "preserve_ephemeral": true}}),
        ),
        (Delete, Operate::Plain, "DELETE /v2.1/servers/s-1", Value::Null),
        (Delete, Operate::Force, ACTION, json!({"forceDelete": null})),
        (
            DeleteFailed,
            Operate::Plain,
            "DELETE /v2.1/servers/s-1",
            Value::Null,
        ),
    ];
    for (kind, how, line, body) in plain.into_iter().chain(others) {
        let fake = Fake::new(|seen, _| {
            seen.line
                .contains("/servers/s-1")
                .then_some(Ok((202, Value::Null)))
        });
        let accepted = provider(&fake).call(&operate(kind, how), bare()).await.unwrap();
        assert_eq!(accepted.accepted.request_id.as_deref(), Some("req-7"));
        assert_eq!(fake.lines().last().unwrap(), line, "{kind}");
        assert_eq!(fake.last(line).body, body, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nova_cannot_do_is_said_without_asking() {
    let fake = Fake::new(|_, _| None);
    for (kind, how) in [
        (OperationKind::Stop, Operate::Stop(StopKind::Hard, 1)),
        (OperationKind::Stop, Operate::Stop(StopKind::Soft, 1)),
        (OperationKind::Restart, Operate::Plain),
        (OperationKind::Start, restart(PowerOffMode::Hard)),
        (OperationKind::Mark, Operate::Plain),
    ] {
        let error = provider(&fake)
            .call(&operate(kind, how), bare())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Unsupported, "{kind}");
    }
    assert!(fake.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn marks_are_added_and_taken_off_one_by_one() {
    let fake = Fake::new(|seen, _| {
        let mut shown = server("s-1", "ACTIVE");
        shown["metadata"] = json!(metadata(&marks()));
        shown["metadata"]["evenkeel-attempt"] = json!("1");
        shown["metadata"]["theirs"] = json!("x");
        shown["tags"] = json!(["evenkeel-u-1", "evenkeel-other", "theirs"]);
        match seen.line.as_str() {
            "GET /v2.1/servers/s-1" => Some(Ok((200, json!({"server": shown})))),
            line if line.contains("/metadata") || line.contains("/tags") => Some(Ok((200, Value::Null))),
            _ => None,
        }
    });
    let p = provider(&fake);
    p.call(&operate(OperationKind::Mark, Operate::Marks(marks())), bare())
        .await
        .unwrap();
    assert_eq!(
        fake.last("POST /v2.1/servers/s-1/metadata").body,
        json!({"metadata": metadata(&marks())})
    );
    assert_eq!(fake.count("PUT /v2.1/servers/s-1/tags/evenkeel-u-1"), 1);
    p.call(&operate(OperationKind::Unmark, Operate::Marks(marks())), bare())
        .await
        .unwrap();
    let deleted: Vec<String> = fake
        .lines()
        .into_iter()
        .filter(|l| l.starts_with("DELETE"))
        .collect();
    assert_eq!(
        deleted,
        [
            "DELETE /v2.1/servers/s-1/tags/evenkeel-u-1",
            "DELETE /v2.1/servers/s-1/metadata/evenkeel-installation",
            "DELETE /v2.1/servers/s-1/metadata/evenkeel-object",
            "DELETE /v2.1/servers/s-1/metadata/evenkeel-attempt",
            "DELETE /v2.1/servers/s-1/metadata/evenkeel-uid",
        ]
    );
    let other = Marks {
        uid: "u-2".into(),
        ..marks()
    };
    p.call(&operate(OperationKind::Unmark, Operate::Marks(other)), bare())
        .await
        .unwrap();
    assert_eq!(fake.count("DELETE"), 5, "another object's mark stays");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_sent_at_once_is_not_sent_at_all() {
    // Each answer takes 3 s: once the names are looked up the plan is too old.
    let slow = Fake::with(3600, Duration::from_secs(3), |_, _| None);
    let error = provider(&slow)
        .call(&create(json!({})), bare())
        .await
        .unwrap_err();
    assert!(!error.maybe_applied);
    assert!(error.message.contains("not sent"), "{}", error.message);
    assert_eq!(slow.count("POST /v2.1/servers"), 0);
    let quick = Fake::new(|_, _| None);
    assert!(provider(&quick).call(&create(json!({})), bare()).await.is_ok());
}

/// Collects what is traced.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_ever_shown() {
    const USER_DATA: &str = "planted-user-data";
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // A place that another test's thread traced first may be remembered there as one that nobody listens to.
    provider(&Fake::new(|_, _| None)).list().await.unwrap();
    tracing::callsite::rebuild_interest_cache();

    // A cloud that repeats whatever it is sent.
    let echo = |status| {
        Fake::new(move |seen, _| {
            let words = format!("no: {} {} {}", seen.body, seen.token, seen.line);
            (seen.line.starts_with("POST"))
                .then(|| refuse(status, "badRequest", &words))
                .flatten()
        })
    };
    let mut shown = String::new();
    for status in [400, 401, 403, 500] {
        let fake = echo(status);
        let error = provider(&fake).list().await.unwrap_err();
        shown += &format!("{error} {error:?}");
    }
    let fake = Fake::new(|seen, _| {
        let words = format!("Invalid input. Value: {} {}", seen.body, seen.token);
        (seen.line == "POST /v2.1/servers")
            .then(|| refuse(400, "badRequest", &words))
            .flatten()
    });
    let p = provider(&fake);
    let error = p
        .call(&create(json!({})), with(&SecretString::from(USER_DATA)))
        .await
        .unwrap_err();
    assert!(error.message.starts_with("Invalid input. Value:"));
    shown += &format!(
        "{error} {error:?} {:?}",
        p.services.keystone.session().await.unwrap()
    );
    let traced = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(
        traced.contains("/v3/auth/tokens") && traced.contains("req-7"),
        "{traced}"
    );
    shown += &traced;
    for secret in [PASSWORD, TOKEN, USER_DATA, "cGxhbnRlZC11c2VyLWRhdGE="] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
