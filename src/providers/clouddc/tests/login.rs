//! Credentials: what is sent with them, and that wrong ones are not tried again and again.

use futures::future::join_all;

use super::*;

const LOGIN: &str = "POST /v3/auth/tokens";

fn bad_signature() -> Option<Answer> {
    refuse(
        401,
        "APIGW.0301",
        "Incorrect IAM authentication information: verify aksk signature fail",
    )
}

#[tokio::test(start_paused = true)]
async fn a_key_signs_what_is_sent() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    p.list().await.unwrap();
    let seen = fake.last("GET /v1/p1/instances");
    let names: Vec<&str> = seen.headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["authorization", "x-project-id", "x-sdk-date"]);
    let signature = &seen.headers["authorization"];
    let date = &seen.headers["x-sdk-date"];
    assert_eq!(date.len(), 16);
    let signed = sign::Signed {
        method: "GET",
        path: "/v1/p1/instances",
        query: &[("limit", "1000")],
        headers: vec![
            ("host", "clouddc.cn-east-3.myhuaweicloud.com"),
            ("x-project-id", "p1"),
            ("x-sdk-date", date),
        ],
        body: b"",
    };
    assert_eq!(
        *signature,
        sign::authorization(&signed, date, "AK1", &SECRET.into())
    );
    assert!(signature.contains("SignedHeaders=host;x-project-id;x-sdk-date, "));

    p.call(&operate(OperationKind::Stop, Operate::Plain), bare())
        .await
        .unwrap();
    let seen = fake.last("PUT");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(
        seen.headers["authorization"].contains("SignedHeaders=content-type;host;x-project-id;x-sdk-date, ")
    );
    assert!(!format!("{seen:?}").contains(SECRET));
}

#[tokio::test(start_paused = true)]
async fn a_temporary_key_brings_its_token() {
    let fake = Fake::new(|_, _| None);
    let mut data = keys();
    data.insert("securityToken".into(), b"planted-security-token\n".to_vec());
    data.insert("endpoint".into(), b"https://dc.example:8443/".to_vec());
    built(&fake, &data).unwrap().list().await.unwrap();
    let seen = fake.last("GET /v1/p1/instances");
    assert!(
        seen.url.starts_with("https://dc.example:8443/v1/p1/"),
        "{}",
        seen.url
    );
    assert_eq!(seen.headers["x-security-token"], "planted-security-token");
    let names = "SignedHeaders=host;x-project-id;x-sdk-date;x-security-token, ";
    assert!(seen.headers["authorization"].contains(names));
}

#[tokio::test(start_paused = true)]
async fn the_account_is_known_when_its_key_was_taken() {
    let fake = Fake::new(|_, _| None);
    let p = provider(&fake);
    for _ in 0..3 {
        let account = p.account().await.unwrap();
        assert_eq!((account.id.as_str(), account.name), ("p1", None));
        assert_eq!(account.key, "https://clouddc.cn-east-3.myhuaweicloud.com p1");
    }
    assert_eq!(fake.lines(), ["GET /v1/p1/instances?limit=10"]);
}

/// More than five bad signatures in a row lock the key for everybody who uses it.
#[tokio::test(start_paused = true)]
async fn a_wrong_key_stops_at_once() {
    let fake = Fake::slow(Duration::from_millis(100), |_, _| bad_signature());
    let p = provider(&fake);
    let all = join_all((0..20).map(|_| p.list())).await;
    for result in all {
        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unauthorized);
        assert!(error.message.contains("verify aksk signature fail"));
    }
    assert_eq!(fake.lines().len(), 1, "one bad signature for twenty questions");
    let password = SecretString::from(ADMIN);
    assert!(p.call(&create(|_| {}), with(&password)).await.is_err());
    assert!(p.account().await.is_err());
    assert_eq!(fake.lines().len(), 1);
    // And slowly afterwards: the key may be unlocked, or made again.
    let mut tries = Vec::new();
    for minute in 0..(6 * 60) {
        let before = fake.lines().len();
        assert!(p.list().await.is_err());
        if fake.lines().len() > before {
            tries.push(minute);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(tries.len(), 8, "{tries:?}");
    assert!(tries[0] >= 4, "{tries:?}");
    assert!(provider(&fake).list().await.is_err());
    assert_eq!(fake.lines().len(), 10, "a new provider tries at once");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_turns_bad_is_not_locked_by_what_is_under_way() {
    let bad = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = Arc::clone(&bad);
    let fake = Fake::slow(Duration::from_millis(100), move |_, _| {
        now.load(std::sync::atomic::Ordering::Relaxed)
            .then(bad_signature)
            .flatten()
    });
    let p = provider(&fake);
    p.list().await.unwrap();
    bad.store(true, std::sync::atomic::Ordering::Relaxed);
    let before = fake.lines().len();
    assert!(
        join_all((0..50).map(|_| p.get("s-1")))
            .await
            .iter()
            .all(Result::is_err)
    );
    let sent = fake.lines().len() - before;
    assert!(sent <= 4, "{sent} bad signatures");
    // Good again: the next try is taken, and with it everything else.
    bad.store(false, std::sync::atomic::Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert!(
        join_all((0..10).map(|_| p.list()))
            .await
            .iter()
            .all(Result::is_ok)
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_said_in_the_clouds_words() {
    let words = "The request time differs from the server time by more than 15 minutes";
    let fake = Fake::new(move |_, _| refuse(401, "APIGW.0301", words));
    let error = provider(&fake).list().await.unwrap_err();
    assert_eq!(
        (error.class, error.message.as_str()),
        (ErrorClass::Unauthorized, words)
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_logs_in_once_and_the_token_goes_along() {
    let fake = Fake::slow(Duration::from_millis(50), |_, _| None);
    let p = built(&fake, &user()).unwrap();
    assert!(
        join_all((0..20).map(|_| p.list()))
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(fake.count(LOGIN), 1);
    let login = fake.last(LOGIN);
    assert_eq!(
        login.url,
        "https://iam.cn-east-3.myhuaweicloud.com/v3/auth/tokens"
    );
    assert_eq!(
        login.body,
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
            {"name": "u", "password": USER_PASSWORD, "domain": {"name": "d"}}}},
            "scope": {"project": {"id": "p1"}}}})
    );
    let seen = fake.last("GET /v1/p1/instances");
    assert_eq!(seen.headers["x-auth-token"], format!("{TOKEN}-0"));
    assert!(!seen.headers.contains_key("authorization"));
    let account = p.account().await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_deref()),
        ("p1", Some("cn-east-3"))
    );
    // Renewed before it ends, 24 hours later.
    tokio::time::advance(Duration::from_secs(24 * 3600 - 2300)).await;
    p.list().await.unwrap();
    assert_eq!(fake.count(LOGIN), 2);
    assert_eq!(
        fake.last("GET /v1/p1/instances").headers["x-auth-token"],
        format!("{TOKEN}-1")
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_renewed_once_and_the_request_sent_again() {
    let fake = Fake::new(|seen, _| {
        let old = seen
            .headers
            .get("x-auth-token")
            .is_some_and(|t| t.ends_with("-0"));
        old.then(|| refuse(401, "APIGW.0301", "The token must be updated"))
            .flatten()
    });
    let p = built(&fake, &user()).unwrap();
    let password = SecretString::from(ADMIN);
    p.call(&create(|_| {}), with(&password)).await.unwrap();
    assert_eq!((fake.count(LOGIN), fake.count("POST /v1/p1/instances")), (2, 2));

    let fake = Fake::new(|seen, _| {
        (seen.line != LOGIN)
            .then(|| refuse(401, "APIGW.0301", "no"))
            .flatten()
    });
    let p = built(&fake, &user()).unwrap();
    for _ in 0..10 {
        assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Unauthorized);
    }
    assert_eq!((fake.count(LOGIN), fake.count("GET")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once() {
    let fake = Fake::new(|seen, _| {
        let said = json!({"error": {"code": 401, "message": format!("wrong {USER_PASSWORD}"), "title": "x"}});
        (seen.line == LOGIN).then_some(Ok((401, said)))
    });
    let p = built(&fake, &user()).unwrap();
    for _ in 0..10 {
        let error = p.list().await.unwrap_err();
        assert_eq!(
            (error.class, error.message.as_str()),
            (ErrorClass::Unauthorized, "wrong ***")
        );
    }
    assert_eq!(fake.lines(), [LOGIN]);
}

#[tokio::test(start_paused = true)]
async fn while_the_identity_service_is_away_the_old_token_is_used() {
    let fake = Fake::new(|seen, n| (seen.line == LOGIN && n > 0).then(|| lost(Stage::Connect)));
    let p = built(&fake, &user()).unwrap();
    p.list().await.unwrap();
    tokio::time::advance(Duration::from_secs(24 * 3600 - 2000)).await;
    p.list().await.unwrap();
    p.list().await.unwrap();
    assert_eq!(
        fake.count(LOGIN),
        2,
        "a failed renewal is not tried at every call"
    );
    tokio::time::advance(Duration::from_secs(2000)).await;
    assert_eq!(p.list().await.unwrap_err().class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_another_project_is_refused() {
    let fake = Fake::new(|seen, _| {
        let other = json!({"token": {"project": {"id": "p2"}}});
        (seen.line == LOGIN).then_some(Ok((201, other)))
    });
    let error = built(&fake, &user()).unwrap().list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::InvalidSpec);
    assert!(error.message.contains("p2"));
}

#[test]
fn secrets_that_cannot_be_used_say_which_key() {
    let fake = Fake::new(|_, _| None);
    for (data, class, words) in [
        (secret(&[]), ErrorClass::NotFound, "no key accessKey"),
        (
            secret(&[("accessKey", "a")]),
            ErrorClass::NotFound,
            "no key secretKey",
        ),
        (
            secret(&[("username", "u"), ("password", "p")]),
            ErrorClass::NotFound,
            "no key domain",
        ),
        (
            secret(&[("accessKey", "a"), ("secretKey", "b\u{7}")]),
            ErrorClass::InvalidSpec,
            "secretKey",
        ),
        (
            secret(&[
                ("accessKey", "a"),
                ("secretKey", "b"),
                ("endpoint", "http://plain.example"),
            ]),
            ErrorClass::InvalidSpec,
            "not https",
        ),
        (
            secret(&[
                ("accessKey", "a"),
                ("secretKey", "b"),
                ("endpoint", "https://169.254.169.254"),
            ]),
            ErrorClass::InvalidSpec,
            "link-local",
        ),
        (
            secret(&[
                ("username", "u"),
                ("password", "p"),
                ("domain", "d"),
                ("iamEndpoint", "https://localhost"),
            ]),
            ErrorClass::InvalidSpec,
            "iamEndpoint",
        ),
    ] {
        let error = built(&fake, &data).err().unwrap();
        assert_eq!(error.class, class, "{words}");
        assert!(error.message.contains(words), "{}", error.message);
    }
}
