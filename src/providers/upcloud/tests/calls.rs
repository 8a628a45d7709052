//! What is sent for each operation on a server.

use super::*;
use crate::api::server::Size;
use crate::planner::model::ADMIN_PASSWORD;

fn restart(mode: PowerOffMode, seconds: u32) -> Operate {
    Operate::Restart {
        mode,
        seconds,
        hints: Vec::new(),
    }
}

fn plan(name: &str) -> Operate {
    Operate::Size(Size {
        name: Some(name.into()),
        cores: None,
        memory_mib: None,
    })
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_one_request_as_the_page_has_it() {
    use OperationKind as Kind;
    let custom = Operate::Size(Size {
        name: None,
        cores: Some(8),
        memory_mib: Some(16384),
    });
    let settings = Operate::Attributes(vec![("firewall", "off".into()), ("title", "New".into())]);
    let part = |kind, id: &str| Operate::PartMarks(kind, id.to_owned(), marks());
    let stop = |kind, seconds| Operate::Stop(kind, seconds);
    let server = format!("/1.3/server/{ID}");
    let cases: Vec<(Kind, Operate, String, Value)> = vec![
        (
            Kind::Start,
            Operate::Plain,
            format!("POST {server}/start"),
            json!({"server": {"start_type": "async"}}),
        ),
        (
            Kind::Start,
            Operate::Attributes(vec![("host", "8055964291".into()), ("avoid_host", "7".into())]),
            format!("POST {server}/start"),
            json!({"server": {"start_type": "async", "host": 8055964291_i64, "avoid_host": 7}}),
        ),
        (
            Kind::Stop,
            stop(StopKind::Soft, 60),
            format!("POST {server}/stop"),
            json!({"stop_server": {"stop_type": "soft"}}),
        ),
        (
            Kind::Stop,
            stop(StopKind::SoftThenHard, 60),
            format!("POST {server}/stop"),
            json!({"stop_server": {"stop_type": "soft", "timeout": "60"}}),
        ),
        (
            Kind::Stop,
            stop(StopKind::SoftThenHard, 86400),
            format!("POST {server}/stop"),
            json!({"stop_server": {"stop_type": "soft", "timeout": "600"}}),
        ),
        (
            Kind::Stop,
            stop(StopKind::SoftThenHard, 0),
            format!("POST {server}/stop"),
            json!({"stop_server": {"stop_type": "soft", "timeout": "1"}}),
        ),
        (
            Kind::Stop,
            stop(StopKind::Hard, 60),
            format!("POST {server}/stop"),
            json!({"stop_server": {"stop_type": "hard"}}),
        ),
        (
            Kind::Restart,
            restart(PowerOffMode::Soft, 60),
            format!("POST {server}/restart"),
            json!({"restart_server": {"stop_type": "soft", "timeout": "60", "timeout_action": "ignore"}}),
        ),
        (
            Kind::Restart,
            restart(PowerOffMode::SoftThenHard, 9000),
            format!("POST {server}/restart"),
            json!({"restart_server": {"stop_type": "soft", "timeout": "600", "timeout_action": "destroy"}}),
        ),
        (
            Kind::Restart,
            restart(PowerOffMode::Hard, 0),
            format!("POST {server}/restart"),
            json!({"restart_server": {"stop_type": "hard"}}),
        ),
        (
            Kind::Restart,
            Operate::Restart {
                mode: PowerOffMode::Hard,
                seconds: 0,
                hints: vec![("host", "8055964291".into())],
            },
            format!("POST {server}/restart"),
            json!({"restart_server": {"stop_type": "hard", "host": 8055964291_i64}}),
        ),
        (
            Kind::Resize,
            custom,
            format!("PUT {server}"),
            json!({"server": {"plan": "custom", "core_number": "8", "memory_amount": "16384"}}),
        ),
        (
            Kind::Resize,
            plan("4xCPU-8GB"),
            format!("PUT {server}"),
            json!({"server": {"plan": "4xCPU-8GB"}}),
        ),
        (
            Kind::Modify,
            settings,
            format!("PUT {server}"),
            json!({"server": {"firewall": "off", "title": "New"}}),
        ),
        (
            Kind::Cancel,
            Operate::Plain,
            format!("POST {server}/cancel"),
            Value::Null,
        ),
        (
            Kind::Delete,
            Operate::Plain,
            format!("DELETE {server}?storages=0&backups=keep"),
            Value::Null,
        ),
        (
            Kind::DeleteFailed,
            Operate::Plain,
            format!("DELETE {server}?storages=0&backups=keep"),
            Value::Null,
        ),
        (
            Kind::DeletePart,
            part(PartKind::Address, "94.237.0.207"),
            "DELETE /1.3/ip_address/94.237.0.207".into(),
            Value::Null,
        ),
    ];
    for (kind, how, line, body) in cases {
        let fake = Fake::plain();
        let done = provider(&fake).call(&operate(kind, how), bare()).await.unwrap();
        assert_eq!(done.accepted.id.as_deref(), Some(ID));
        assert_eq!(fake.lines(), std::slice::from_ref(&line), "{kind}");
        let seen = fake.last("");
        assert_eq!(seen.body, body, "{line}");
        assert_eq!(seen.bytes == 0, body.is_null(), "{line}");
        assert_eq!(seen.headers["authorization"], "Bearer ucat_planted");
        assert_eq!(seen.headers["accept"], "application/json");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_has_not_is_not_sent() {
    use OperationKind as Kind;
    let cases = [
        (Kind::ConfirmResize, Operate::Plain, ErrorClass::Unsupported),
        (Kind::Unpause, Operate::Plain, ErrorClass::Unsupported),
        (Kind::Retry, Operate::Plain, ErrorClass::Unsupported),
        (Kind::Stop, Operate::Plain, ErrorClass::Unsupported),
        (
            Kind::Stop,
            Operate::Stop(StopKind::CloudEscalates, 60),
            ErrorClass::Unsupported,
        ),
        (
            Kind::Start,
            Operate::Attributes(vec![("host", "x".into())]),
            ErrorClass::InvalidSpec,
        ),
        (
            Kind::Start,
            Operate::Attributes(vec![("zone", "1".into())]),
            ErrorClass::InvalidSpec,
        ),
        (
            Kind::Restart,
            Operate::Restart {
                mode: PowerOffMode::Hard,
                seconds: 0,
                hints: vec![("avoid_host", "7".into())],
            },
            ErrorClass::InvalidSpec,
        ),
        (
            Kind::UnmarkPart,
            Operate::PartMarks(PartKind::Backup, ID.into(), marks()),
            ErrorClass::Unsupported,
        ),
        (
            Kind::UnmarkPart,
            Operate::PartMarks(PartKind::Disk, "../server/x".into(), marks()),
            ErrorClass::InvalidSpec,
        ),
        (
            Kind::DeletePart,
            Operate::PartMarks(PartKind::Disk, "../server/x".into(), marks()),
            ErrorClass::InvalidSpec,
        ),
        (
            Kind::DeletePart,
            Operate::PartMarks(PartKind::Address, "1.2.3.4?x=1".into(), marks()),
            ErrorClass::InvalidSpec,
        ),
    ];
    for (kind, how, class) in cases {
        let fake = Fake::plain();
        let error = provider(&fake)
            .call(&operate(kind, how), bare())
            .await
            .unwrap_err();
        assert_eq!(error.class, class, "{kind}: {error}");
        assert!(fake.lines().is_empty(), "{kind}");
    }
    let fake = Fake::plain();
    let call = CloudCall::Operate {
        id: "x/../y".into(),
        kind: Kind::Delete,
        how: Operate::Plain,
    };
    assert!(provider(&fake).call(&call, bare()).await.is_err());
    assert!(fake.lines().is_empty());
}

#[test]
fn a_host_is_named_for_a_start_and_one_to_avoid_for_no_restart() {
    let hints = |kind, own: Value| (CAPABILITIES.hints)(kind, &spec(json!({"upcloud": own})));
    let both = json!({"host": 8055964291_i64, "avoidHost": 7});
    let host = ("host", "8055964291".to_owned());
    let start = hints(OperationKind::Start, both.clone());
    assert_eq!(start, [host.clone(), ("avoid_host", "7".to_owned())]);
    assert_eq!(hints(OperationKind::Restart, both.clone()), [host]);
    for (kind, own) in [(OperationKind::Stop, both), (OperationKind::Start, json!({}))] {
        assert!(hints(kind, own).is_empty(), "{kind}");
    }
}

/// A server with foreign labels, labels of its owner, marks and a label of the service.
fn labelled(state: &str) -> Value {
    let label = |k: &str, v: &str| json!({"key": k, "value": v});
    json!({"server": {"uuid": ID, "state": state, "labels": {"label": [
        label("env", "prod"), label("_service", "x"), label("team", "blue"), label("evenkeelkeys", "team"),
        label("evenkeeluid", "u-1"), label("evenkeelinstallation", "i-1"), label("evenkeelobject", "ns/web-1")]}}})
}

async fn relabelled(call: CloudCall) -> (Vec<String>, BTreeMap<String, String>) {
    let fake = Fake::new(|seen, _| seen.line.starts_with("GET").then(|| ok(labelled("started"))));
    provider(&fake).call(&call, bare()).await.unwrap();
    let body = fake.last("PUT").body["server"].clone();
    let list = body["labels"]["label"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    (
        body.as_object().unwrap().keys().cloned().collect(),
        list.iter()
            .map(|l| (text(&l["key"]), text(&l["value"])))
            .collect(),
    )
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn changed_labels_keep_everybody_elses_and_the_marks() {
    let ours = [
        ("evenkeeluid", "u-1"),
        ("evenkeelinstallation", "i-1"),
        ("evenkeelobject", "ns/web-1"),
        ("env", "prod"),
    ];
    let how = Operate::Attributes(vec![
        ("labels", r#"{"tier":"1"}"#.into()),
        ("timezone", "UTC".into()),
    ]);
    let (keys, labels) = relabelled(operate(OperationKind::Modify, how)).await;
    assert_eq!(keys, ["labels", "timezone"]);
    let mut expected = pairs(&ours);
    expected.extend(pairs(&[("tier", "1"), ("evenkeelkeys", "tier")]));
    assert_eq!(labels, expected);

    let other = Marks {
        uid: "u-2".into(),
        ..marks()
    };
    let (keys, labels) = relabelled(operate(OperationKind::Mark, Operate::Marks(other))).await;
    assert_eq!(keys, ["labels"]);
    let mut expected = pairs(&ours);
    expected.extend(pairs(&[
        ("evenkeeluid", "u-2"),
        ("team", "blue"),
        ("evenkeelkeys", "team"),
    ]));
    assert_eq!(labels, expected);

    let (_, labels) = relabelled(operate(OperationKind::Unmark, Operate::Marks(marks()))).await;
    assert_eq!(labels, pairs(&[("env", "prod"), ("team", "blue")]));
}

#[tokio::test(start_paused = true)]
async fn another_objects_marks_are_not_taken_off() {
    let fake = Fake::new(|seen, _| seen.line.starts_with("GET").then(|| ok(labelled("started"))));
    let other = Marks {
        uid: "u-2".into(),
        ..marks()
    };
    let call = operate(OperationKind::Unmark, Operate::Marks(other));
    provider(&fake).call(&call, bare()).await.unwrap();
    assert!(!fake.changed());
}

#[tokio::test(start_paused = true)]
async fn labels_that_were_not_told_are_not_overwritten() {
    let fake = Fake::new(|seen, _| {
        seen.line
            .starts_with("GET")
            .then(|| ok(json!({"server": {"uuid": ID, "state": "started"}})))
    });
    let call = operate(OperationKind::Mark, Operate::Marks(marks()));
    let error = provider(&fake).call(&call, bare()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(!fake.changed());
}

#[tokio::test(start_paused = true)]
async fn a_resize_that_the_running_server_refuses_needs_a_stop() {
    let resize = || operate(OperationKind::Resize, plan("1xCPU-1GB"));
    for (status, code) in [
        (409, "HOT_RESIZE_NOT_ENABLED"),
        (409, "HOT_RESIZE_UNAVAILABLE"),
        (409, "NO_AVAILABLE_MEMORY_SLOTS"),
        (400, "FAILED_TO_ADD_MEMORY"),
    ] {
        let fake = Fake::always(refuse(status, code, "shut it down"));
        let error = provider(&fake).call(&resize(), bare()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::NeedsStop, "{code}");
        assert_eq!(error.message, "shut it down");
        assert_eq!(fake.lines().len(), 1);
    }
    // A smaller size is refused by state: what it means depends on the state.
    for (state, class) in [
        ("started", ErrorClass::NeedsStop),
        ("maintenance", ErrorClass::Busy),
        ("stopped", ErrorClass::Busy),
    ] {
        let fake = Fake::new(move |seen, _| match seen.line.starts_with("GET") {
            true => Some(ok(labelled(state))),
            false => Some(refuse(409, "SERVER_STATE_ILLEGAL", "wrong state")),
        });
        let error = provider(&fake).call(&resize(), bare()).await.unwrap_err();
        assert_eq!(error.class, class, "{state}");
        assert_eq!(error.code.as_deref(), Some("409 SERVER_STATE_ILLEGAL"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_proxy_is_no_reply_to_a_change() {
    use OperationKind as Kind;
    for (kind, how) in [
        (Kind::Start, Operate::Plain),
        (Kind::Stop, Operate::Stop(StopKind::Hard, 1)),
        (Kind::Restart, restart(PowerOffMode::Hard, 1)),
        (Kind::Resize, plan("1xCPU-1GB")),
        (Kind::Cancel, Operate::Plain),
        (Kind::Delete, Operate::Plain),
    ] {
        let fake = Fake::always(raw(200, "<html>Welcome</html>"));
        let error = provider(&fake)
            .call(&operate(kind, how), bare())
            .await
            .unwrap_err();
        assert_eq!(
            (error.class, error.maybe_applied),
            (ErrorClass::Transient, true),
            "{kind}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_password_of_the_console_goes_along_with_a_change() {
    let fake = Fake::new(|seen, _| {
        let echo = format!("cannot take {}", seen.body);
        let echoes = seen.body.to_string().contains("aabbccdd");
        echoes.then(|| refuse(400, "VNC_PASSWORD_INVALID", &echo))
    });
    let how = || {
        let list = vec![
            ("title", "New".to_owned()),
            (ADMIN_PASSWORD, "secret/key".to_owned()),
        ];
        operate(OperationKind::Modify, Operate::Attributes(list))
    };
    let with = |password| CallWith {
        admin_password: Some(password),
        ..bare()
    };
    let (good, echoed, long) = ("aabbccde".into(), "aabbccdd".into(), "aabbccddee".into());
    provider(&fake).call(&how(), with(&good)).await.unwrap();
    assert_eq!(
        fake.last("PUT").body,
        json!({"server": {"title": "New", "remote_access_password": "aabbccde"}})
    );
    let error = provider(&fake).call(&how(), with(&echoed)).await.unwrap_err();
    assert!(!format!("{error:?}").contains("aabbccdd"), "{error:?}");
    for refused in [
        provider(&fake).call(&how(), with(&long)).await,
        provider(&fake).call(&how(), bare()).await,
    ] {
        assert_eq!(refused.unwrap_err().class, ErrorClass::InvalidSpec);
    }
    assert_eq!(fake.lines().iter().filter(|l| l.starts_with("PUT")).count(), 2);
}
