//! Lists, single servers, versions.

use super::*;
use crate::planner::model::ServerState;

fn page(servers: &[&str], next: Option<&str>) -> Option<Answer> {
    let servers: Vec<Value> = servers.iter().map(|id| server(id, "ACTIVE")).collect();
    let links = next.map(|m| {
        vec![json!({"rel": "next", "href": format!("http://elsewhere/v2.1/servers/detail?marker={m}")})]
    });
    Some(Ok((200, json!({"servers": servers, "servers_links": links}))))
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_to_its_end() {
    let fake = Fake::new(|seen, _| match seen.line.as_str() {
        "GET /v2.1/servers/detail" => page(&["a", "b"], Some("b")),
        "GET /v2.1/servers/detail?marker=b" => page(&["c", "d"], Some("d")),
        "GET /v2.1/servers/detail?marker=d" => page(&[], None),
        _ => None,
    });
    let list = provider(&fake).list().await.unwrap();
    let ids: Vec<_> = list.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert!(
        list.iter().all(|s| s.size.id.as_deref() == Some("1")),
        "flavors have their ids"
    );
    assert_eq!(fake.last("GET /v2.1/servers/detail").version, "compute 2.90");
}

#[tokio::test(start_paused = true)]
async fn a_list_with_a_failed_page_is_an_error() {
    let second: Vec<fn() -> Option<Answer>> = vec![
        || Some(Ok((503, Value::Null))),
        || Some(lost(Stage::Sent)),
        || Some(lost(Stage::Timeout)),
        || Some(Ok((200, json!({"servers": null})))),
        || Some(Ok((200, json!({"servers": [{"name": "no id"}]})))),
        || Some(Ok((200, json!("not what was asked")))),
        || refuse(400, "badRequest", "marker [b] not found"),
        || refuse(404, "itemNotFound", "gone"),
        || page(&["a", "b"], Some("b")),
        || page(&[], Some("x")),
        || {
            Some(Ok((
                200,
                json!({"servers": [], "servers_links": [{"rel": "next", "href": "?limit=1"}]}),
            )))
        },
    ];
    for answer in second {
        let fake = Fake::new(move |seen, _| match seen.line.as_str() {
            "GET /v2.1/servers/detail" => page(&["a", "b"], Some("b")),
            "GET /v2.1/servers/detail?marker=b" => answer(),
            "GET /v2.1/servers/detail?marker=x" => page(&["z"], None),
            _ => None,
        });
        let error = provider(&fake).list().await.unwrap_err();
        assert!(!error.maybe_applied);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_a_broken_cell_is_listed_as_unknown() {
    let fake = Fake::new(|seen, _| {
        let body = json!({"servers": [server("a", "ACTIVE"), {"id": "b", "status": "UNKNOWN", "tenant_id": "p1", "links": []}]});
        (seen.line == "GET /v2.1/servers/detail").then_some(Ok((200, body)))
    });
    let list = provider(&fake).list().await.unwrap();
    let states: Vec<_> = list.iter().map(|s| (s.id.as_str(), s.state)).collect();
    assert_eq!(states, [("a", ServerState::Running), ("b", ServerState::Unknown)]);
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_settled_account_cost_their_pages_alone() {
    let fake = Fake::new(|seen, _| {
        (seen.line == "GET /v2.1/servers/detail")
            .then(|| page(&["a"], None))
            .flatten()
    });
    let p = provider(&fake);
    for _ in 0..200 {
        p.list().await.unwrap();
        tokio::time::advance(Duration::from_secs(15)).await;
    }
    assert_eq!(
        fake.lines().len(),
        203,
        "one log-in, one version document, one list of flavors"
    );
}

#[tokio::test(start_paused = true)]
async fn only_novas_own_word_means_that_a_server_is_gone() {
    for (answer, class) in [
        (
            refuse(404, "itemNotFound", "Instance s-1 could not be found."),
            ErrorClass::NotFound,
        ),
        (
            Some(Ok((404, json!("404 page not found")))),
            ErrorClass::Transient,
        ),
        (Some(Ok((404, Value::Null))), ErrorClass::Transient),
        (Some(Ok((200, json!({})))), ErrorClass::Transient),
    ] {
        let answer = Mutex::new(answer);
        let fake = Fake::new(move |seen, _| {
            (seen.line == "GET /v2.1/servers/s-1")
                .then(|| answer.lock().unwrap().take())
                .flatten()
        });
        assert_eq!(provider(&fake).get("s-1").await.unwrap_err().class, class);
    }
    let fake = Fake::new(|_, _| None);
    for id in ["", ".", "..", "a/b", "detail?all_tenants=1", "ü"] {
        assert_eq!(
            provider(&fake).get(id).await.unwrap_err().class,
            ErrorClass::InvalidSpec,
            "{id}"
        );
    }
    assert!(fake.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_cloud_is_asked_in_a_version_that_it_speaks() {
    for (max, sent) in [("2.72", Some("compute 2.72")), ("2.60", None)] {
        let fake = Fake::new(move |seen, _| {
            let document = json!({"version": {"version": max, "min_version": "2.1"}});
            (seen.line == "GET /v2.1/").then_some(Ok((200, document)))
        });
        let result = provider(&fake).list().await;
        match sent {
            Some(version) => assert_eq!(fake.last("GET /v2.1/servers").version, version),
            None => assert!(result.unwrap_err().message.contains("needs 2.69")),
        }
        // A host name needs 2.90: refused before anything is created.
        let call = create(json!({"hostname": "web"}));
        assert_eq!(
            provider(&fake).call(&call, bare()).await.unwrap_err().class,
            ErrorClass::InvalidSpec
        );
        assert_eq!(fake.count("POST /v2.1/servers"), 0);
    }
}
