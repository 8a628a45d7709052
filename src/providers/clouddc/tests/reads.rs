//! Lists and single instances.

use super::*;
use crate::api::server::PowerOffMode;

fn page(ids: &[&str], next: Option<&str>, count: usize) -> Option<Answer> {
    let instances: Vec<Value> = ids.iter().map(|id| instance(id, "running")).collect();
    Some(Ok((
        200,
        json!({"instances": instances, "count": count,
            "page_info": {"next_marker": next, "previous_marker": null, "current_count": ids.len()}}),
    )))
}

#[tokio::test(start_paused = true)]
async fn both_lists_are_read_to_their_ends_and_joined() {
    let fake = Fake::new(|seen, _| {
        let servers = |ids: &[(&str, &str)], next: Value| {
            let servers: Vec<Value> = ids.iter().map(|(id, p)| machine(id, p)).collect();
            Some(Ok((
                200,
                json!({"servers": servers, "count": 3, "page_info": {"next_marker": next}}),
            )))
        };
        match seen.line.as_str() {
            "GET /v1/p1/instances?limit=1000" => page(&["a", "b"], Some("b c"), 3),
            "GET /v1/p1/instances?limit=1000&marker=b%20c" => page(&["c"], None, 3),
            "GET /v1/p1/physicalservers?limit=1000" => {
                servers(&[("srv-a", "on"), ("srv-b", "off")], json!("x"))
            }
            "GET /v1/p1/physicalservers?limit=1000&marker=x" => servers(&[("other", "on")], json!("")),
            "GET /v1/p1/physicalservers/srv-c" => refuse(404, "iMetal.0100", "not found"),
            _ => None,
        }
    });
    let list = provider(&fake).list().await.unwrap();
    let seen: Vec<_> = list.iter().map(|s| (s.id.as_str(), s.guest_running)).collect();
    assert_eq!(seen, [("a", Some(true)), ("b", Some(false)), ("c", None)]);
    // That of the third is in no list, and not to be had by its id either.
    assert_eq!(fake.lines().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_may_lack_something_is_an_error() {
    type Page = fn() -> Option<Answer>;
    let second: Vec<Page> = vec![
        || Some(Ok((503, Value::Null))),
        || Some(lost(Stage::Sent)),
        || Some(lost(Stage::Timeout)),
        || Some(Ok((200, json!("<html>")))),
        || Some(Ok((200, json!({"instances": null})))),
        || Some(Ok((200, json!({"servers": []})))),
        || Some(Ok((200, json!({"instances": [{"name": "no id"}]})))),
        || Some(Ok((200, json!({"instances": [{"id": ""}]})))),
        || Some(Ok((200, json!({"instances": "many"})))),
        || refuse(400, "iMetal.0001", "marker"),
        || refuse(404, "iMetal.0200", "gone"),
        || refuse(429, "APIGW.0308", "too fast"),
        // In a circle, on after nothing, too short, miscounted.
        || page(&["c"], Some("b"), 3),
        || page(&[], Some("x"), 3),
        || page(&["c"], None, 4),
        || {
            Some(Ok((
                200,
                json!({"instances": [], "page_info": {"current_count": 1}}),
            )))
        },
    ];
    for (n, answer) in second.into_iter().enumerate() {
        let fake = Fake::new(move |seen, _| match seen.line.as_str() {
            "GET /v1/p1/instances?limit=1000" => page(&["a", "b"], Some("b"), 3),
            "GET /v1/p1/instances?limit=1000&marker=b" => answer(),
            _ => None,
        });
        let error = provider(&fake).list().await.unwrap_err();
        assert!(!error.maybe_applied, "{n}");
    }
    // The second list is as necessary as the first.
    let fake = Fake::new(|seen, _| {
        seen.line
            .contains("physicalservers")
            .then_some(Ok((500, Value::Null)))
    });
    assert_eq!(
        provider(&fake).list().await.unwrap_err().class,
        ErrorClass::Transient
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_terminated_is_not_listed_and_what_is_unknown_is() {
    let fake = Fake::new(|seen, _| {
        let body = json!({"instances": [instance("a", "terminated"), instance("b", "hibernated"), instance("c", "error")]});
        if seen.line.contains("/physicalservers/") {
            return refuse(404, "iMetal.0100", "not found");
        }
        seen.line.contains("instances?").then_some(Ok((200, body)))
    });
    let list = provider(&fake).list().await.unwrap();
    let seen: Vec<_> = list.iter().map(|s| (s.id.as_str(), s.state)).collect();
    assert_eq!(seen, [("b", ServerState::Unknown), ("c", ServerState::Error)]);
}

#[tokio::test(start_paused = true)]
async fn one_instance_is_the_list_its_status_and_its_server() {
    let fake = Fake::new(|seen, _| {
        let status = json!({"state": "stopped", "operation_state": "reinstall-processing"});
        seen.line.ends_with("/status").then_some(Ok((200, status)))
    });
    let seen = provider(&fake).get("s-1").await.unwrap();
    assert_eq!(
        (seen.state, seen.raw.as_str()),
        (
            ServerState::Rebuilding,
            "stopped/reinstall-processing/on/-/in-use"
        )
    );
    assert_eq!(
        fake.lines(),
        [
            "GET /v1/p1/instances?instance_id=s-1",
            "GET /v1/p1/instances/s-1/status",
            "GET /v1/p1/physicalservers/srv-s-1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_gone_when_the_service_says_so() {
    let none = || Some(Ok((200, json!({"instances": [], "count": 0}))));
    for (status, listed, class) in [
        (
            refuse(404, "iMetal.0200", "not found"),
            false,
            ErrorClass::NotFound,
        ),
        (
            refuse(404, "iMetal.0200", "not found"),
            true,
            ErrorClass::NotFound,
        ),
        (
            Some(Ok((200, json!({"state": "terminated"})))),
            false,
            ErrorClass::NotFound,
        ),
        (
            Some(Ok((200, json!({"state": "teminated"})))),
            true,
            ErrorClass::NotFound,
        ),
        // The list lags behind: it is not gone.
        (
            Some(Ok((200, json!({"state": "pending"})))),
            false,
            ErrorClass::Transient,
        ),
        (
            refuse(404, "APIGW.0101", "no such API"),
            false,
            ErrorClass::Transient,
        ),
        (
            Some(Ok((404, json!("<html>not found</html>")))),
            false,
            ErrorClass::Transient,
        ),
        (Some(Ok((200, json!({"state": {}})))), true, ErrorClass::Transient),
        (Some(Ok((500, Value::Null))), false, ErrorClass::Transient),
        (Some(lost(Stage::Timeout)), false, ErrorClass::Transient),
    ] {
        let status = Mutex::new(status);
        let fake = Fake::new(move |seen, _| {
            if seen.line.ends_with("/status") {
                return status.lock().unwrap().take();
            }
            (!listed && seen.line.contains("instance_id="))
                .then(none)
                .flatten()
        });
        assert_eq!(provider(&fake).get("s-1").await.unwrap_err().class, class);
    }
    let fake = Fake::new(|_, _| None);
    for id in ["", "a/b", "..", "a?b", "ü"] {
        assert_eq!(
            provider(&fake).get(id).await.unwrap_err().class,
            ErrorClass::InvalidSpec,
            "{id}"
        );
    }
    assert!(fake.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanished_leaves_its_instance() {
    let fake = Fake::new(|seen, _| {
        seen.line
            .contains("/physicalservers/")
            .then(|| refuse(404, "iMetal.0100", "not found"))
            .flatten()
    });
    let seen = provider(&fake).get("s-1").await.unwrap();
    assert_eq!((seen.state, seen.guest_running), (ServerState::Running, None));
}

/// The list of servers lacks some: what an instance does can only be told from the words of its own.
#[tokio::test(start_paused = true)]
async fn a_server_that_its_list_lacks_is_asked_for() {
    let rebooting = |id: &str| {
        let mut server = machine(id, "on");
        server["operation_state"] = json!("reboot-processing");
        Some(Ok((200, server)))
    };
    let account = move |size: usize, known: fn(&str) -> bool| {
        Fake::new(move |seen, _| {
            let ids: Vec<String> = (0..size).map(|n| format!("i{n}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            match seen.line.trim_start_matches("GET /v1/p1/") {
                "instances?limit=1000" => page(&ids, None, size),
                "physicalservers?limit=1000" => Some(Ok((200, json!({"servers": [], "count": 0})))),
                line => {
                    let id = line.strip_prefix("physicalservers/")?;
                    if known(id) {
                        rebooting(id)
                    } else {
                        refuse(404, "iMetal.0100", "not found")
                    }
                }
            }
        })
    };
    let fake = account(2, |id| id == "srv-i0");
    let states: Vec<_> = provider(&fake)
        .list()
        .await
        .unwrap()
        .iter()
        .map(|s| s.state)
        .collect();
    assert_eq!(states, [ServerState::Rebooting, ServerState::Running]);
    assert_eq!(fake.lines().len(), 4);

    let fake = account(21, |_| true);
    let error = provider(&fake).list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("lacks those of 21 instances"), "{error}");
    assert_eq!(fake.lines().len(), 22);

    let fake = account(21, |_| false);
    assert_eq!(provider(&fake).list().await.unwrap().len(), 21, "they are gone");
}

/// The state lags behind the call that was accepted.
#[tokio::test(start_paused = true)]
async fn a_power_call_shows_before_the_cloud_shows_it() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    let state = || async { p.list().await.unwrap()[0].state };
    for (kind, how, shown) in [
        (OperationKind::Stop, Operate::Plain, ServerState::Stopping),
        (
            OperationKind::Restart,
            Operate::Restart {
                mode: PowerOffMode::SoftThenHard,
                seconds: 60,
                hints: Vec::new(),
            },
            ServerState::Rebooting,
        ),
    ] {
        assert_eq!(state().await, ServerState::Running);
        p.call(&operate(kind, how), bare()).await.unwrap();
        assert_eq!(state().await, shown);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(state().await, ServerState::Running, "nothing came of it");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_settled_account_cost_their_pages_alone() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    for _ in 0..50 {
        p.list().await.unwrap();
        tokio::time::advance(Duration::from_secs(15)).await;
    }
    assert_eq!(fake.lines().len(), 100);
}
