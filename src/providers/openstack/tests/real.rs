//! The life of one server on a real cloud: `EVENKEEL_CLOUDS_YAML` names a `clouds.yaml` with a cloud `demo` that has
//! flavors m1.tiny and m1.small, an image cirros and a network demo-net.

use super::*;
use crate::api::server::Size;
use crate::planner::model::{ServerState, Which};
use crate::providers::transport::Connect;
use crate::providers::transport::reqwest::{HttpConnect, install_crypto};

const PATIENCE: Duration = Duration::from_secs(120);

fn connect(yaml: &[u8], cloud: &str) -> OpenStack {
    install_crypto();
    let rules = EndpointRules { allow_insecure: true };
    let limits = Limits {
        per_second: 50,
        burst: 50,
        in_flight: 10,
    };
    let http = HttpClient::new(
        HttpConnect::new(rules).connect(None).unwrap(),
        Budget::new(limits),
        rules,
    );
    OpenStack::new(yaml, cloud, None, None, http).unwrap()
}

async fn reach(p: &OpenStack, id: &str, done: impl Fn(&ObservedServer) -> bool) -> ObservedServer {
    let mut last = String::new();
    let wait = async {
        loop {
            let server = p.get(id).await.unwrap();
            if done(&server) {
                return server;
            }
            last = format!("{server:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(server) => server,
        Err(_) => panic!("never got there: {last}"),
    }
}

async fn settle(p: &OpenStack, id: &str, state: ServerState) -> ObservedServer {
    reach(p, id, |s| s.state == state && !s.busy).await
}

#[tokio::test]
#[allow(clippy::print_stderr)]
async fn the_life_of_a_server_on_a_real_nova() {
    let Ok(path) = std::env::var("EVENKEEL_CLOUDS_YAML") else {
        eprintln!("skipped: EVENKEEL_CLOUDS_YAML names no clouds.yaml of a real cloud");
        return;
    };
    let yaml = std::fs::read(path).unwrap();
    let p = connect(&yaml, "demo");
    let account = p.account().await.unwrap();
    assert_eq!(account.name.as_deref(), Some("demo"));
    assert_eq!(
        connect(&yaml, "demo-appcred").account().await.unwrap().id,
        account.id
    );
    let wrong = String::from_utf8(yaml.clone())
        .unwrap()
        .replace("password: testbed", "password: wrong-one");
    let error = connect(wrong.as_bytes(), "demo").account().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);

    let mine = Marks {
        uid: format!("probe-{}", std::process::id()),
        ..marks()
    };
    let request = |name: &str, spec: Arc<crate::api::ServerSpec>| {
        CloudCall::Create(Box::new(CreateRequest {
            group: None,
            name: name.into(),
            spec,
            marks: mine.clone(),
            attempt: 1,
        }))
    };
    let refused = request(
        "evenkeel-probe",
        spec(json!({"openstack": {"availabilityZone": "nowhere"}})),
    );
    let error = p.call(&refused, bare()).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (ErrorClass::InvalidSpec, Some("400 badRequest"))
    );

    let whole = spec(json!({"hostname": "probe-host", "labels": {"team": "blue"},
        "openstack": {"networks": [{"name": "a", "network": "demo-net"}], "configDrive": true, "tags": ["t1"]}}));
    let user_data = SecretString::from("#!/bin/sh\n");
    let made = p
        .call(&request("evenkeel-probe", whole), with(&user_data))
        .await
        .unwrap();
    let id = made.accepted.id.unwrap();
    assert!(made.accepted.request_id.is_some());
    assert!(
        p.list()
            .await
            .unwrap()
            .iter()
            .any(|s| s.id == id && s.marks.as_ref() == Some(&mine))
    );

    let server = settle(&p, &id, ServerState::Running).await;
    assert_eq!(server.size.name.as_deref(), Some("m1.tiny"));
    assert!(server.size.id.is_some() && server.launched && server.guest_running == Some(true));
    assert_eq!(server.addresses.len(), 1);

    let act = |kind, how| CloudCall::Operate {
        id: id.clone(),
        kind,
        how,
    };
    let plain = |kind| act(kind, Operate::Plain);
    let error = p.call(&plain(OperationKind::Start), bare()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Busy, "{error}");
    // A restart whose answer is lost is found in Nova's log, by Nova's clock, and so is that there was none.
    let since = jiff::Timestamp::now();
    let lost = Trace {
        kind: OperationKind::Restart,
        request: Which::Lost {
            key: "restart-1#1".to_owned(),
            since,
        },
        result: None,
    };
    let ended = || async { p.ended(&id, &lost, jiff::Timestamp::now()).await.unwrap() };
    assert_eq!(ended().await, Ended::Absent);
    p.call(
        &act(OperationKind::Restart, restart(PowerOffMode::SoftThenHard)),
        bare(),
    )
    .await
    .unwrap();
    settle(&p, &id, ServerState::Running).await;
    assert_eq!(ended().await, Ended::Done);
    p.call(
        &act(OperationKind::Stop, Operate::Stop(StopKind::CloudEscalates, 60)),
        bare(),
    )
    .await
    .unwrap();
    assert!(
        p.get(&id).await.unwrap().busy,
        "a task is set before the answer comes"
    );
    settle(&p, &id, ServerState::Stopped).await;

    let size = |name: &str| {
        Operate::Size(Size {
            name: Some(name.into()),
            cores: None,
            memory_mib: None,
        })
    };
    let error = p
        .call(&act(OperationKind::Resize, size("m1.tiny")), bare())
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::InvalidSpec, "{error}");
    p.call(&act(OperationKind::Resize, size("m1.small")), bare())
        .await
        .unwrap();
    let waiting = settle(&p, &id, ServerState::AwaitingResizeConfirmation).await;
    assert_eq!(waiting.guest_running, Some(false));
    p.call(&plain(OperationKind::ConfirmResize), bare())
        .await
        .unwrap();
    let again = p.call(&plain(OperationKind::ConfirmResize), bare()).await;
    assert!(
        again.as_ref().is_err_and(|e| e.class == ErrorClass::Busy),
        "{again:?}"
    );
    let server = settle(&p, &id, ServerState::Stopped).await;
    assert_eq!(server.size.name.as_deref(), Some("m1.small"));

    p.call(&act(OperationKind::Unmark, Operate::Marks(mine.clone())), bare())
        .await
        .unwrap();
    let raw = p.fetch(&id).await.unwrap();
    assert_eq!(
        raw.metadata,
        BTreeMap::from([("team".to_owned(), "blue".to_owned())])
    );
    assert_eq!(raw.tags, ["t1"]);
    p.call(&act(OperationKind::Mark, Operate::Marks(mine.clone())), bare())
        .await
        .unwrap();
    let server = p.get(&id).await.unwrap();
    assert_eq!(server.marks, Some(mine.clone()));

    p.call(&plain(OperationKind::Start), bare()).await.unwrap();
    settle(&p, &id, ServerState::Running).await;
    p.call(&act(OperationKind::Resize, size("m1.tiny")), bare())
        .await
        .unwrap();
    settle(&p, &id, ServerState::AwaitingResizeConfirmation).await;
    p.call(&plain(OperationKind::RevertResize), bare()).await.unwrap();
    let server = settle(&p, &id, ServerState::Running).await;
    assert_eq!(server.size.name.as_deref(), Some("m1.small"));

    p.call(&plain(OperationKind::Delete), bare()).await.unwrap();
    let gone = async {
        while p.get(&id).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        p.get(&id).await.unwrap_err()
    };
    let error = tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(error.class, ErrorClass::NotFound, "{error}");
    let error = p.call(&plain(OperationKind::Delete), bare()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound, "{error}");
}
