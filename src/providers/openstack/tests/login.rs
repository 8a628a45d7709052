//! Tokens: how many are asked for, when, and what is done when they are refused.

use super::*;
use futures::future::join_all;

const LOGIN: &str = "POST /v3/auth/tokens";

fn unauthorized() -> Option<Answer> {
    refuse(401, "error", "The request you have made requires authentication.")
}

#[tokio::test(start_paused = true)]
async fn twenty_calls_at_once_make_one_log_in() {
    let fake = Fake::with(3600, Duration::from_millis(100), |_, _| None);
    let p = provider(&fake);
    let all = join_all((0..20).map(|_| p.list())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.count(LOGIN), 1);
    assert_eq!(fake.count("GET /v2.1/servers/detail"), 20);
    assert_eq!(fake.lines().iter().filter(|l| *l == "GET /v2.1/").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn twenty_calls_that_meet_a_401_make_one_log_in_and_all_succeed() {
    let first = format!("{TOKEN}-0");
    let fake = Fake::with(3600, Duration::from_millis(100), move |seen, _| {
        (seen.token == first && seen.line.contains("/servers/"))
            .then(unauthorized)
            .flatten()
    });
    let p = provider(&fake);
    p.account().await.unwrap();
    assert_eq!(fake.count(LOGIN), 1);
    let all = join_all((0..20).map(|_| p.list())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.count(LOGIN), 2);
    assert_eq!(fake.last("GET /v2.1/servers/detail").token, format!("{TOKEN}-1"));
}

#[tokio::test(start_paused = true)]
async fn a_write_is_sent_again_after_a_401_and_only_then() {
    let first = format!("{TOKEN}-0");
    let fake = Fake::new(move |seen, _| match seen.line.as_str() {
        "POST /v2.1/servers" if seen.token == first => unauthorized(),
        _ => None,
    });
    let p = provider(&fake);
    let accepted = p.call(&create(json!({})), bare()).await.unwrap();
    assert_eq!(accepted.accepted.id.as_deref(), Some("new-1"));
    assert_eq!(fake.count("POST /v2.1/servers"), 2);

    let fake = Fake::new(|seen, _| (seen.line == "POST /v2.1/servers").then(|| lost(Stage::Sent)));
    let error = provider(&fake)
        .call(&create(json!({})), bare())
        .await
        .unwrap_err();
    assert_eq!((error.class, error.maybe_applied), (ErrorClass::Ambiguous, true));
    assert_eq!(fake.count("POST /v2.1/servers"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires() {
    for (life, renewed_after) in [(3600, 3300), (100, 80)] {
        let fake = Fake::with(life, Duration::ZERO, |_, _| None);
        let p = provider(&fake);
        p.list().await.unwrap();
        tokio::time::advance(Duration::from_secs(renewed_after - 2)).await;
        p.list().await.unwrap();
        assert_eq!(fake.count(LOGIN), 1, "{life}");
        tokio::time::advance(Duration::from_secs(3)).await;
        p.list().await.unwrap();
        assert_eq!(fake.count(LOGIN), 2, "{life}");
        assert_eq!(fake.last("GET /v2.1/servers").token, format!("{TOKEN}-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn while_keystone_is_away_the_old_token_is_used_to_its_end() {
    let fake = Fake::new(|seen, n| (seen.line == LOGIN && n > 0).then(|| lost(Stage::Connect)));
    let p = provider(&fake);
    p.list().await.unwrap();
    tokio::time::advance(Duration::from_secs(3400)).await;
    p.list().await.unwrap();
    p.list().await.unwrap();
    assert_eq!(
        fake.count(LOGIN),
        2,
        "a failed renewal is not tried at every call"
    );
    tokio::time::advance(Duration::from_secs(300)).await;
    let error = p.list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_answered_from_memory_for_a_minute() {
    for (status, message) in [
        (401, "requires authentication."),
        (404, "Could not find Application Credential: 5."),
    ] {
        let fake = Fake::new(move |seen, _| {
            (seen.line == LOGIN)
                .then(|| refuse(status, "error", message))
                .flatten()
        });
        let p = provider(&fake);
        for _ in 0..30 {
            assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Unauthorized);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(fake.count(LOGIN), 1);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(p.list().await.is_err());
        assert_eq!(fake.count(LOGIN), 2);
        assert!(provider(&fake).list().await.is_err());
        assert_eq!(fake.count(LOGIN), 3, "a new provider tries at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_every_token_is_not_asked_hot() {
    let fake = Fake::new(|seen, _| {
        (seen.line == "GET /v2.1/servers/detail")
            .then(unauthorized)
            .flatten()
    });
    let p = provider(&fake);
    for _ in 0..5 {
        assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Unauthorized);
    }
    assert_eq!(fake.count(LOGIN), 2);
    assert_eq!(fake.count("GET /v2.1/servers/detail"), 2);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(p.list().await.is_err());
    assert_eq!(fake.count(LOGIN), 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_beside_nova_that_refuses_tokens_does_not_blind_the_account() {
    let fake = Fake::new(|seen, _| {
        seen.line
            .starts_with("GET /v2.0/networks")
            .then(unauthorized)
            .flatten()
    });
    let p = provider(&fake);
    let call = create(json!({"openstack": {"networks": [{"name": "a", "network": "demo-net"}]}}));
    assert_eq!(
        p.call(&call, bare()).await.unwrap_err().class,
        ErrorClass::Transient
    );
    assert!(p.list().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_failed_log_in_share_its_failure() {
    let fake = Fake::with(3600, Duration::from_secs(1), |seen, _| {
        (seen.line == LOGIN).then_some(Ok((503, Value::Null)))
    });
    let p = provider(&fake);
    let all = join_all((0..20).map(|_| p.list())).await;
    assert!(
        all.iter()
            .all(|r| r.as_ref().is_err_and(|e| e.class == ErrorClass::Transient))
    );
    assert_eq!(fake.count(LOGIN), 1);
    assert!(p.list().await.is_err());
    assert_eq!(fake.count(LOGIN), 2, "the next call tries again");
}

#[tokio::test(start_paused = true)]
async fn a_log_in_that_is_given_up_leaves_the_way_free() {
    let fake = Fake::with(3600, Duration::from_secs(1), |_, _| None);
    let p = provider(&fake);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), p.list())
            .await
            .is_err()
    );
    assert!(p.list().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_log_in_and_the_account() {
    let fake = Fake::new(|_, _| None);
    let account = provider(&fake).account().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_deref()),
        ("p1/R1", Some("demo"))
    );
    assert_eq!(account.key, "https://cloud.example:5000/v3 p1 R1 public");
    assert_eq!(
        fake.last(LOGIN).body,
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": "demo", "domain": {"id": "default"}, "password": PASSWORD}}},
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}}}})
    );
}

#[tokio::test(start_paused = true)]
async fn catalogs_that_cannot_be_used_are_refused_with_words() {
    let document = |change: fn(&mut Value)| {
        let mut document = token_document(3600, 0);
        change(&mut document["token"]);
        document
    };
    for (document, words) in [
        (
            document(|t| t["catalog"] = json!([])),
            "no public endpoint of a compute service",
        ),
        (
            document(|t| t["catalog"][0]["endpoints"][1]["region_id"] = json!("R2")),
            r#"in region "R1""#,
        ),
        (
            document(|t| t["catalog"][0]["endpoints"][1]["url"] = json!("https://169.254.169.254/")),
            "link-local",
        ),
        (
            document(|t| t["catalog"][0]["endpoints"][1]["url"] = json!("http://cloud.example/")),
            "not https",
        ),
        (document(|t| t["project"] = Value::Null), "for no project"),
    ] {
        let fake = Fake::new(move |seen, _| (seen.line == LOGIN).then(|| Ok((201, document.clone()))));
        let error = provider(&fake).list().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::InvalidSpec);
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(fake.lines().len(), 1, "nothing else was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn several_regions_need_a_choice() {
    let fake = Fake::new(|seen, _| {
        let mut document = token_document(3600, 0);
        document["token"]["catalog"][0]["endpoints"][0] =
            json!({"interface": "public", "region_id": "R2", "url": "https://two.example/v2.1"});
        (seen.line == LOGIN).then_some(Ok((201, document)))
    });
    let http = HttpClient::new(
        fake.clone(),
        Budget::new(Limits {
            per_second: 100,
            burst: 100,
            in_flight: 10,
        }),
        EndpointRules::default(),
    );
    let text = yaml().replace("region_name: R1,", "");
    let unnamed = OpenStack::new(text.as_bytes(), "demo", None, None, http.clone()).unwrap();
    assert!(unnamed.account().await.unwrap_err().message.contains("R1, R2"));
    let named = OpenStack::new(text.as_bytes(), "demo", Some("R2"), None, http).unwrap();
    // Neither knows the servers of the other.
    assert_eq!(named.account().await.unwrap().id, "p1/R2");
}

#[tokio::test(start_paused = true)]
async fn the_only_region_is_part_of_the_account_whether_it_is_named_or_not() {
    let text = yaml().replace("region_name: R1,", "");
    for (has, id) in [(true, "p1/R1"), (false, "p1")] {
        let fake = Fake::new(move |seen, _| {
            let mut document = token_document(3600, 0);
            for service in document["token"]["catalog"].as_array_mut().unwrap() {
                for endpoint in service["endpoints"].as_array_mut().into_iter().flatten() {
                    endpoint["region_id"] = if has { json!("R1") } else { Value::Null };
                }
            }
            (seen.line == LOGIN).then_some(Ok((201, document)))
        });
        let limits = Limits {
            per_second: 100,
            burst: 100,
            in_flight: 10,
        };
        let http = HttpClient::new(fake, Budget::new(limits), EndpointRules::default());
        let unnamed = OpenStack::new(text.as_bytes(), "demo", None, None, http).unwrap();
        assert_eq!(unnamed.account().await.unwrap().id, id);
    }
}
