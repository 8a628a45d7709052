//! What is sent for each call, and that nothing secret shows.

use super::*;
use crate::api::server::PowerOffMode;
use crate::api::server::Size;

#[tokio::test(start_paused = true)]
async fn a_create_says_everything_in_one_request() {
    let fake = Fake::new(|_, _| None);
    let call = create(|s| {
        s["labels"] = json!({"team": "blue"});
        s["cloudDC"] = json!({"vpcID": "v-1", "serverID": "srv-9", "description": "front",
            "networkInterfaces": [{"name": "a", "subnetID": "sn-1", "ipv4Address": "10.0.0.9"}, {"name": "b", "subnetID": "sn-2"}]});
    });
    let password = SecretString::from(ADMIN);
    let done = provider(&fake).call(&call, with(&password)).await.unwrap();
    assert_eq!(
        (done.accepted.id.as_deref(), done.accepted.request_id.as_deref()),
        (Some("new-1"), Some("req-7"))
    );
    assert!(done.credentials.is_none());
    assert_eq!(fake.lines(), ["POST /v1/p1/instances"]);
    let seen = fake.last("POST");
    assert_eq!(
        seen.url,
        "https://clouddc.cn-east-3.myhuaweicloud.com/v1/p1/instances"
    );
    assert_eq!(
        seen.body,
        json!({"name": "web-1", "image_id": "im-1", "vpc_id": "v-1", "password": ADMIN, "description": "front",
            "network_interfaces": [{"subnet_id": "sn-1", "ipv4_address": "10.0.0.9"}, {"subnet_id": "sn-2"}],
            "placement": {"server_id": "srv-9"},
            "metadata": {"team": "blue", "evenkeel-uid": "u-1", "evenkeel-installation": "i-1",
                "evenkeel-object": "ns/web-1", "evenkeel-attempt": "2"}})
    );
}

#[tokio::test(start_paused = true)]
async fn a_plain_create_leaves_the_rest_to_the_cloud() {
    let fake = Fake::new(|_, _| None);
    let password = SecretString::from(ADMIN);
    provider(&fake)
        .call(&create(|_| {}), with(&password))
        .await
        .unwrap();
    let body = fake.last("POST").body;
    assert!(body.get("placement").is_none() && body.get("description").is_none());
    assert_eq!(body["network_interfaces"], json!([{"subnet_id": "sn-1"}]));
}

#[tokio::test(start_paused = true)]
async fn what_a_machine_cannot_be_given_is_refused_before_anything_is_sent() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    let password = SecretString::from(ADMIN);
    let secret = json!({"name": "s", "key": "k"});
    type Change = Box<dyn FnOnce(&mut Value)>;
    let cases: Vec<(Change, ErrorClass, &str)> = vec![
        (
            Box::new(|s| s["size"] = json!({"name": "large"})),
            ErrorClass::Unsupported,
            "no size",
        ),
        (
            Box::new({
                let secret = secret.clone();
                move |s| s["userDataSecretRef"] = secret
            }),
            ErrorClass::Unsupported,
            "userData",
        ),
        (
            Box::new(|s| s["sshKeys"] = json!(["ssh-ed25519 A"])),
            ErrorClass::Unsupported,
            "sshKeys",
        ),
        (
            Box::new(|s| s["credentialsSecretName"] = json!("x")),
            ErrorClass::Unsupported,
            "credentials",
        ),
        (
            Box::new(|s| s["image"] = json!({"name": "ubuntu"})),
            ErrorClass::InvalidSpec,
            "image.id",
        ),
        (
            Box::new(|s| drop(s.as_object_mut().unwrap().remove("cloudDC"))),
            ErrorClass::InvalidSpec,
            "spec.cloudDC",
        ),
        (
            Box::new(|s| s["hostname"] = json!("other")),
            ErrorClass::InvalidSpec,
            "host name",
        ),
        (
            Box::new(|s| {
                s["labels"] = json!({"a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": ""});
            }),
            ErrorClass::InvalidSpec,
            "10 labels",
        ),
    ];
    for (change, class, words) in cases {
        let error = p.call(&create(change), with(&password)).await.unwrap_err();
        assert_eq!(error.class, class, "{words}");
        assert!(error.message.contains(words), "{}", error.message);
        assert!(!error.maybe_applied);
    }
    assert!(fake.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_and_passwords_keep_the_clouds_rules() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    let password = SecretString::from(ADMIN);
    for (name, fits) in [
        ("web-1.a_B", true),
        ("名字", true),
        ("", false),
        ("a b", false),
        (&*"x".repeat(64), false),
    ] {
        let CloudCall::Create(mut request) = create(|_| {}) else {
            unreachable!()
        };
        request.name = name.to_owned();
        let result = p.call(&CloudCall::Create(request), with(&password)).await;
        assert_eq!(result.is_ok(), fits, "{name}");
    }
    let sent = fake.lines().len();
    for weak in [
        "Short-1",
        "alllowercase1",
        "ALL-UPPER-ONLY",
        "aB3aB3aB3aB3aB3aB3aB3aB3aB3",
        "",
    ] {
        let error = p.call(&create(|_| {}), with(&weak.into())).await.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("SecretRefused"), "{weak}");
        assert!(weak.is_empty() || !error.message.contains(weak));
    }
    let error = p.call(&create(|_| {}), bare()).await.unwrap_err();
    assert!(
        error.message.contains("adminPasswordSecretRef"),
        "{}",
        error.message
    );
    assert_eq!(fake.lines().len(), sent, "nothing more was sent");
}

#[tokio::test(start_paused = true)]
async fn every_operation_has_its_request() {
    use OperationKind::*;
    let power = |action: &str| json!({"action": action, "server_id_set": ["srv-s-1"]});
    let stop = Operate::Stop(StopKind::CloudEscalates, 60);
    let put = "PUT /v1/p1/physicalservers/power-state";
    for (kind, how, line, body) in [
        (Start, Operate::Plain, put, power("power on")),
        (Stop, stop, put, power("power off")),
        (Stop, Operate::Plain, put, power("power off")),
        (
            Restart,
            Operate::Restart {
                mode: PowerOffMode::SoftThenHard,
                seconds: 60,
                hints: Vec::new(),
            },
            put,
            power("rebooting"),
        ),
        (Delete, Operate::Plain, "DELETE /v1/p1/instances/s-1", Value::Null),
        (
            DeleteFailed,
            Operate::Plain,
            "DELETE /v1/p1/instances/s-1",
            Value::Null,
        ),
    ] {
        let fake = Fake::new(|_, _| None);
        let done = provider(&fake)
            .call(&operate(kind, how.clone()), bare())
            .await
            .unwrap();
        assert_eq!(done.accepted.id.as_deref(), Some("s-1"));
        let seen = fake.seen.lock().unwrap().last().unwrap().clone();
        assert_eq!((seen.line.as_str(), seen.body), (line, body), "{kind}");
        let asks = usize::from(line == put);
        assert_eq!(
            fake.lines().len(),
            1 + asks,
            "{kind}: the server is asked for once"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_does_not_have_is_not_sent() {
    use OperationKind::*;
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    let size = Size {
        name: Some("x".into()),
        cores: None,
        memory_mib: None,
    };
    for (kind, how) in [
        (Stop, Operate::Stop(StopKind::Hard, 60)),
        (Stop, Operate::Stop(StopKind::Soft, 60)),
        (
            Restart,
            Operate::Restart {
                mode: PowerOffMode::Hard,
                seconds: 60,
                hints: Vec::new(),
            },
        ),
        (Resize, Operate::Size(size)),
        (ConfirmResize, Operate::Plain),
        (Mark, Operate::Marks(Marks::default())),
        (Unmark, Operate::Plain),
        (Modify, Operate::Attributes(vec![("a", "b".into())])),
        (Cancel, Operate::Plain),
        (Unpause, Operate::Plain),
    ] {
        let error = p.call(&operate(kind, how), bare()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unsupported, "{kind}");
    }
    assert!(fake.lines().is_empty());
}

/// The server of an instance is that of the last list, as long as that is young.
#[tokio::test(start_paused = true)]
async fn a_power_call_acts_on_the_server_that_the_instance_is_on() {
    let fake = Fake::new(|seen, _| {
        let moved = || json!({"instances": [{"id": "s-1", "state": "stopped", "server_id": "srv-2"}]});
        match seen.line.as_str() {
            "GET /v1/p1/instances?instance_id=s-1" => Some(Ok((200, moved()))),
            "PUT /v1/p1/physicalservers/power-state" => Some(Ok((200, json!({})))),
            _ => None,
        }
    });
    let p = provider(&fake);
    p.list().await.unwrap();
    let start = operate(OperationKind::Start, Operate::Plain);
    p.call(&start, bare()).await.unwrap();
    assert_eq!(fake.last("PUT").body["server_id_set"], json!(["srv-s-1"]));
    tokio::time::advance(Duration::from_secs(15)).await;
    p.call(&start, bare()).await.unwrap();
    assert_eq!(fake.last("PUT").body["server_id_set"], json!(["srv-2"]));
}

#[tokio::test(start_paused = true)]
async fn a_power_call_needs_an_instance_with_a_server() {
    for (instances, class) in [
        (json!([]), ErrorClass::NotFound),
        (
            json!([{"id": "s-1", "state": "terminated", "server_id": "srv-1"}]),
            ErrorClass::NotFound,
        ),
        (json!([{"id": "s-1", "state": "pending"}]), ErrorClass::Busy),
        (
            json!([{"id": "another", "server_id": "srv-1"}]),
            ErrorClass::NotFound,
        ),
    ] {
        let fake = Fake::new(move |seen, _| {
            seen.line
                .starts_with("GET")
                .then(|| Ok((200, json!({"instances": instances}))))
        });
        let call = operate(OperationKind::Stop, Operate::Plain);
        let error = provider(&fake).call(&call, bare()).await.unwrap_err();
        assert_eq!(error.class, class);
        assert_eq!(fake.count("PUT"), 0);
    }
    let fake = Fake::new(|seen, _| {
        let others = json!({"physical_servers": [{"id": "srv-other"}]});
        seen.line.starts_with("PUT").then_some(Ok((200, others)))
    });
    let call = operate(OperationKind::Stop, Operate::Plain);
    let error = provider(&fake).call(&call, bare()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Busy, "taken, but not for this one");
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_the_step_again_that_failed() {
    let password = SecretString::from(ADMIN);
    for (state, operation, kind, expected) in [
        (
            "error",
            "install-failed",
            "create_instance_error",
            Ok("PUT /v1/p1/instances/reinstall"),
        ),
        (
            "error",
            "reinstall-failed",
            "",
            Ok("PUT /v1/p1/instances/reinstall"),
        ),
        (
            "stopped",
            "switch-install-failed",
            "",
            Ok("PUT /v1/p1/instances/reinstall"),
        ),
        (
            "error",
            "uninstall-failed",
            "delete_instance_error",
            Ok("DELETE /v1/p1/instances/s-1"),
        ),
        (
            "error",
            "modify-ip-failed",
            "modify_ip_error",
            Err(ErrorClass::Unsupported),
        ),
        ("error", "", "", Err(ErrorClass::Unsupported)),
        ("running", "reinstall-failed", "", Err(ErrorClass::Busy)),
        ("terminated", "", "", Err(ErrorClass::NotFound)),
    ] {
        let fake = Fake::new(move |seen, _| {
            let status = json!({"state": state, "operation_state": operation,
                "error": {"error_code": "x", "error_msg": "y", "error_type": kind}});
            seen.line.ends_with("/status").then_some(Ok((200, status)))
        });
        let retry = operate(OperationKind::Retry, Operate::Plain);
        let result = provider(&fake).call(&retry, with(&password)).await;
        let changes: Vec<String> = fake
            .lines()
            .into_iter()
            .filter(|l| !l.starts_with("GET"))
            .collect();
        match expected {
            Ok(line) => {
                result.unwrap();
                assert_eq!(changes, [line], "{state} {operation}");
            }
            Err(class) => {
                assert_eq!(result.unwrap_err().class, class, "{state} {operation}");
                assert!(changes.is_empty(), "{changes:?}");
            }
        }
        if changes.iter().any(|l| l.starts_with("PUT")) {
            let body = json!({"password": ADMIN, "instance_id_set": ["s-1"]});
            assert_eq!(fake.last("PUT").body, body);
        }
    }
    let fake = Fake::new(|seen, _| {
        let status = json!({"state": "error", "operation_state": "reinstall-failed"});
        seen.line.ends_with("/status").then_some(Ok((200, status)))
    });
    let retry = operate(OperationKind::Retry, Operate::Plain);
    let error = provider(&fake).call(&retry, bare()).await.unwrap_err();
    assert!(error.message.contains("adminPasswordSecretRef"));
    assert_eq!(fake.count("PUT"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_broken_answer_to_a_create_is_ambiguous() {
    let password = SecretString::from(ADMIN);
    let answers: Vec<(fn() -> Answer, ErrorClass)> = vec![
        (|| lost(Stage::Sent), ErrorClass::Ambiguous),
        (|| lost(Stage::Timeout), ErrorClass::Ambiguous),
        (|| lost(Stage::Reply), ErrorClass::Ambiguous),
        (|| lost(Stage::Connect), ErrorClass::Transient),
        (|| Ok((503, json!("<html>"))), ErrorClass::Ambiguous),
        (|| Ok((200, json!("<html>"))), ErrorClass::Ambiguous),
        (|| Ok((200, json!({"instance_id": 5}))), ErrorClass::Ambiguous),
        (|| Ok((200, Value::Null)), ErrorClass::Ambiguous),
    ];
    for (answer, class) in answers {
        let fake = Fake::new(move |_, _| Some(answer()));
        let error = provider(&fake)
            .call(&create(|_| {}), with(&password))
            .await
            .unwrap_err();
        assert_eq!(error.class, class);
        assert_eq!(error.maybe_applied, class == ErrorClass::Ambiguous);
        assert_eq!(fake.lines().len(), 1, "a create is never sent twice");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_an_error() {
    let fake = Fake::new(|seen, _| {
        let said = format!("{} {:?} {}", seen.body, seen.headers, SECRET);
        Some(Ok((400, json!({"error_code": "iMetal.0001", "error_msg": said}))))
    });
    let password = SecretString::from(ADMIN);
    let error = provider(&fake)
        .call(&create(|_| {}), with(&password))
        .await
        .unwrap_err();
    let all = format!("{error:?}");
    assert!(!all.contains(ADMIN) && !all.contains(SECRET), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_late_is_not_sent() {
    let fake = Fake::slow(Duration::from_secs(3), |_, _| None);
    let p = provider(&fake);
    let call = operate(OperationKind::Stop, Operate::Plain);
    let with = CallWith::nothing(Instant::now() + Duration::from_secs(2));
    let error = p.call(&call, with).await.unwrap_err();
    assert_eq!((error.class, error.maybe_applied), (ErrorClass::Transient, false));
    assert_eq!(fake.count("PUT"), 0);
}

#[tokio::test(start_paused = true)]
async fn groups_are_not_there() {
    let fake = Fake::new(|_, _| None);
    let change = crate::planner::model::GroupChange::Delete;
    let call = CloudCall::ChangeGroup {
        id: "g".into(),
        change,
    };
    let error = provider(&fake).call(&call, bare()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unsupported);
    assert!(fake.lines().is_empty());
}
