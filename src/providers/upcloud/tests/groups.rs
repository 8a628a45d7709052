//! Server groups.

use super::*;
use crate::api::server_group::PlacementPolicy;
use crate::planner::model::{CreateGroup, GroupChange, GroupMember};

const GROUP: &str = "0b3d85b4-b3be-46ca-a1e2-3b5d30d60ab0";

fn group(policy: PlacementPolicy) -> CreateGroup {
    CreateGroup {
        name: "web".into(),
        policy,
        max_per_host: None,
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        marks: marks(),
    }
}

fn change(change: GroupChange) -> CloudCall {
    CloudCall::ChangeGroup {
        id: GROUP.into(),
        change,
    }
}

fn labels(with: &[(&str, &str)]) -> Value {
    let mut all = BTreeMap::from([
        ("evenkeelinstallation", "i-1"),
        ("evenkeelobject", "ns/web-1"),
        ("evenkeeluid", "u-1"),
    ]);
    all.extend(with.iter().copied());
    let list: Vec<Value> = all.iter().map(|(k, v)| json!({"key": k, "value": v})).collect();
    json!({"label": list})
}

fn made() -> Value {
    json!({"server_group": {"uuid": GROUP, "title": "web", "anti_affinity": "strict", "anti_affinity_status": [],
        "servers": {"server": []}, "labels": labels(&[("team", "blue"), ("evenkeelkeys", "team"), ("env", "prod"), ("_s", "x")])}})
}

#[tokio::test(start_paused = true)]
async fn the_list_of_the_page_is_read() {
    let fake = Fake::always(ok(page::reply("List all server groups")));
    let list = provider(&fake).list_groups().await.unwrap();
    assert_eq!(fake.lines(), ["GET /1.3/server-group"]);
    let [first, second] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(
        (first.name.as_str(), first.raw_policy.as_str()),
        ("nameserver group", "yes")
    );
    assert_eq!(first.policy, Some(PlacementPolicy::SoftAntiAffinity));
    assert_eq!(second.policy, Some(PlacementPolicy::None));
    assert_eq!(
        first.labels,
        BTreeMap::from([("foo".to_owned(), "bar".to_owned())])
    );
    // On the page the status names other servers than the members.
    assert_eq!(first.members.len(), 2);
    assert!(first.members.iter().all(|m| m.met.is_none()));
    assert_eq!(second.members[0].met, None);
}

#[tokio::test(start_paused = true)]
async fn members_are_met_or_not() {
    let body = json!({"server_groups": {"server_group": [{"uuid": GROUP, "anti_affinity": "strictest", "labels": {"label": []},
        "servers": {"server": ["s-2", "s-1", "s-3", "s-4"]}, "anti_affinity_status": [
            {"uuid": "s-1", "status": "met"}, {"uuid": "s-2", "status": "unmet"}, {"uuid": "s-3", "status": "who knows"}]}]}});
    let list = provider(&Fake::always(ok(body))).list_groups().await.unwrap();
    let member = |id: &str, met| GroupMember { id: id.into(), met };
    assert_eq!(
        list[0].members,
        [
            member("s-1", Some(true)),
            member("s-2", Some(false)),
            member("s-3", None),
            member("s-4", None)
        ]
    );
    assert_eq!((list[0].policy, list[0].raw_policy.as_str()), (None, "strictest"));
}

#[tokio::test(start_paused = true)]
async fn no_list_is_an_error() {
    for reply in [
        raw(200, ""),
        ok(json!({"server_groups": null})),
        ok(json!({})),
        raw(500, ""),
    ] {
        assert!(provider(&Fake::always(reply)).list_groups().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_created_with_its_marks() {
    for (policy, word) in [
        (PlacementPolicy::AntiAffinity, "strict"),
        (PlacementPolicy::SoftAntiAffinity, "yes"),
        (PlacementPolicy::None, "no"),
    ] {
        let fake = Fake::always(ok(made()));
        let call = CloudCall::CreateGroup(Box::new(group(policy)));
        let done = provider(&fake).call(&call, bare()).await.unwrap();
        assert_eq!(done.accepted.id.as_deref(), Some(GROUP));
        assert_eq!(fake.lines(), ["POST /1.3/server-group"]);
        assert_eq!(
            fake.last("POST").body,
            json!({"server_group": {"title": "web", "anti_affinity": word,
                "labels": labels(&[("team", "blue"), ("evenkeelkeys", "team")])}})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_a_body_is_made_good_by_a_look() {
    // The page shows no body of the reply.
    let listed = |group: Value| json!({"server_groups": {"server_group": [group["server_group"]]}});
    let call = CloudCall::CreateGroup(Box::new(group(PlacementPolicy::AntiAffinity)));
    let fake = Fake::new(move |seen, _| match seen.line.starts_with("GET") {
        true => Some(ok(listed(made()))),
        false => Some(empty(200)),
    });
    let done = provider(&fake).call(&call, bare()).await.unwrap();
    assert_eq!(done.accepted.id.as_deref(), Some(GROUP));
    for (reply, list) in [
        (empty(200), ok(json!({"server_groups": {"server_group": []}}))),
        (empty(200), raw(500, "")),
        (raw(200, "<html>"), ok(json!({}))),
        (raw(502, ""), ok(json!({}))),
        (lost(Stage::Timeout), ok(json!({}))),
    ] {
        let fake = Fake::new(move |seen, _| {
            Some(if seen.line.starts_with("GET") {
                list.clone()
            } else {
                reply.clone()
            })
        });
        let error = provider(&fake).call(&call, bare()).await.unwrap_err();
        assert_eq!((error.class, error.maybe_applied), (ErrorClass::Ambiguous, true));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_has_not_is_unsupported() {
    let limited = CreateGroup {
        max_per_host: Some(1),
        ..group(PlacementPolicy::AntiAffinity)
    };
    for wish in [
        group(PlacementPolicy::Affinity),
        group(PlacementPolicy::SoftAffinity),
        limited,
    ] {
        let fake = Fake::plain();
        let p = provider(&fake);
        let calls = [
            CloudCall::CreateGroup(Box::new(wish.clone())),
            change(GroupChange::Modify {
                wanted: Box::new(wish),
                gone: vec![],
            }),
        ];
        for call in calls {
            assert_eq!(
                p.call(&call, bare()).await.unwrap_err().class,
                ErrorClass::Unsupported
            );
        }
        assert!(fake.lines().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn changes_leave_members_and_other_peoples_labels_alone() {
    let mut there = made();
    let list = there["server_group"]["labels"]["label"].as_array_mut().unwrap();
    list.push(json!({"key": "old", "value": "x"}));
    let fake = Fake::always(ok(there));
    let mut wish = group(PlacementPolicy::None);
    wish.labels = BTreeMap::from([("tier".to_owned(), "1".to_owned())]);
    let call = change(GroupChange::Modify {
        wanted: Box::new(wish),
        gone: vec!["old".to_owned()],
    });
    provider(&fake).call(&call, bare()).await.unwrap();
    let path = format!("/1.3/server-group/{GROUP}");
    assert_eq!(fake.lines(), [format!("GET {path}"), format!("PATCH {path}")]);
    assert_eq!(
        fake.last("PATCH").body,
        json!({"server_group": {"title": "web", "anti_affinity": "no",
            "labels": labels(&[("env", "prod"), ("tier", "1"), ("evenkeelkeys", "tier")])}})
    );
    let fake = Fake::always(ok(made()));
    provider(&fake)
        .call(&change(GroupChange::Unmark), bare())
        .await
        .unwrap();
    assert_eq!(
        fake.last("PATCH").body,
        json!({"server_group": {"labels": {"label": [{"key": "env", "value": "prod"}, {"key": "team", "value": "blue"}]}}})
    );
}

#[tokio::test(start_paused = true)]
async fn members_come_and_go_one_by_one() {
    let path = format!("/1.3/server-group/{GROUP}");
    let cases = [
        (
            GroupChange::Add { server: ID.into() },
            format!("POST {path}/servers"),
            json!({"server": {"uuid": ID}}),
        ),
        (
            GroupChange::Remove { server: ID.into() },
            format!("DELETE {path}/servers/{ID}"),
            Value::Null,
        ),
        (GroupChange::Delete, format!("DELETE {path}"), Value::Null),
    ];
    for (what, line, body) in cases {
        let fake = Fake::always(empty(204));
        let done = provider(&fake).call(&change(what), bare()).await.unwrap();
        assert_eq!(done.accepted.id.as_deref(), Some(GROUP));
        assert_eq!(fake.lines(), [line]);
        assert_eq!(fake.last("").body, body);
    }
    for (code, status, class) in [
        ("GROUP_NOT_FOUND", 404, ErrorClass::NotFound),
        ("ALREADY_IN_SERVER_GROUP", 409, ErrorClass::Transient),
        ("STRICT_ANTI_AFFINITY_NOT_MET", 409, ErrorClass::Capacity),
    ] {
        let fake = Fake::always(refuse(status, code, "no"));
        let call = change(GroupChange::Add { server: ID.into() });
        assert_eq!(
            provider(&fake).call(&call, bare()).await.unwrap_err().class,
            class,
            "{code}"
        );
    }
}
