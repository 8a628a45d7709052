//! Every refusal that is documented, and those that are not.

use bytes::Bytes;
use serde_json::json;

use super::*;
use ErrorClass::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: http::StatusCode::from_u16(status).unwrap(),
        headers: http::HeaderMap::new(),
        body: Bytes::from(body.to_owned()),
        retry_after: None,
    }
}

fn class(status: u16, code: &str, asked: Asked) -> ErrorClass {
    let body = json!({"error_code": code, "error_msg": "words", "request_id": "r"}).to_string();
    refusal(&reply(status, &body), asked, "CloudDC", &[]).class
}

#[test]
fn every_code_has_its_class() {
    for (status, code, asked, expected) in [
        (400, "iMetal.0001", Asked::Create, InvalidSpec),
        (400, "iMetal.0002", Asked::Change, InvalidSpec),
        (401, "iMetal.0003", Asked::Read, Unauthorized),
        (403, "iMetal.0004", Asked::Read, Forbidden),
        (429, "iMetal.0005", Asked::Change, RateLimited),
        (500, "iMetal.0099", Asked::Read, Transient),
        (500, "iMetal.0099", Asked::Change, Transient),
        (500, "iMetal.0099", Asked::Create, Ambiguous),
        (404, "iMetal.0100", Asked::Create, InvalidSpec),
        (404, "iMetal.0100", Asked::Change, NotFound),
        (400, "iMetal.0101", Asked::Create, Capacity),
        (400, "iMetal.0101", Asked::Change, Busy),
        (400, "iMetal.0102", Asked::Create, InvalidSpec),
        (400, "iMetal.0110", Asked::Create, InvalidSpec),
        (404, "iMetal.0200", Asked::Read, NotFound),
        (400, "iMetal.0201", Asked::Change, Busy),
        (400, "iMetal.0299", Asked::Change, Busy),
        (400, "iMetal.0201", Asked::Create, Transient),
        (400, "iMetal.0301", Asked::Change, InvalidSpec),
        (404, "APIGW.0101", Asked::Read, Transient),
        (404, "APIG.0103", Asked::Change, Transient),
        (413, "APIGW.0201", Asked::Create, InvalidSpec),
        (400, "APIGW.0201", Asked::Create, InvalidSpec),
        (401, "APIGW.0301", Asked::Create, Unauthorized),
        (429, "APIGW.0308", Asked::Create, RateLimited),
        (408, "", Asked::Change, Transient),
        (501, "", Asked::Change, Unsupported),
        (503, "", Asked::Create, Ambiguous),
        (504, "", Asked::Change, Transient),
        (302, "", Asked::Change, Transient),
    ] {
        assert_eq!(class(status, code, asked), expected, "{status} {code} {asked:?}");
    }
}

#[test]
fn bodies_of_every_kind_are_read() {
    for (status, body, code, message) in [
        (
            400,
            r#"{"error_code":"iMetal.0001","error_msg":"bad name"}"#,
            "400 iMetal.0001",
            "bad name",
        ),
        (
            401,
            r#"{"error":{"code":401,"message":"wrong password","title":"Unauthorized"}}"#,
            "401 401",
            "wrong password",
        ),
        (
            429,
            "slow down",
            "429",
            "CloudDC answered 429 Too Many Requests without a reason",
        ),
        (
            502,
            "<html>bad gateway</html>",
            "502",
            "CloudDC answered 502 Bad Gateway without a reason",
        ),
        (
            500,
            "",
            "500",
            "CloudDC answered 500 Internal Server Error without a reason",
        ),
        (
            400,
            "[1,2]",
            "400",
            "CloudDC answered 400 Bad Request without a reason",
        ),
    ] {
        let error = refusal(&reply(status, body), Asked::Read, "CloudDC", &[]);
        assert_eq!(
            (error.code.as_deref(), error.message.as_str()),
            (Some(code), message)
        );
    }
}

#[test]
fn a_repeated_secret_is_hidden_and_long_words_are_cut() {
    let body = json!({"error_code": "x hunter22", "error_msg": format!("hunter22 {}", "y ".repeat(2000))});
    let error = refusal(
        &reply(400, &body.to_string()),
        Asked::Create,
        "CloudDC",
        &["hunter22", ""],
    );
    assert!(error.message.starts_with("*** y"), "{}", error.message);
    assert!(!format!("{error:?}").contains("hunter22"));
    assert!(error.message.len() < 600);
}

#[test]
fn only_what_may_have_been_done_says_so() {
    for (status, asked, maybe) in [
        (500, Asked::Create, true),
        (500, Asked::Change, true),
        (500, Asked::Read, false),
        (500, Asked::LogIn, false),
        (400, Asked::Create, false),
        (429, Asked::Create, false),
        (401, Asked::Create, false),
    ] {
        let error = refusal(&reply(status, "{}"), asked, "CloudDC", &[]);
        assert_eq!(error.maybe_applied, maybe, "{status} {asked:?}");
    }
}

#[test]
fn faults_are_judged_by_their_words() {
    assert_eq!(fault_class("no available physical server is ready"), Capacity);
    assert_eq!(fault_class("Insufficient resources"), Capacity);
    assert_eq!(fault_class("the quota is used up"), Quota);
    assert_eq!(fault_class("PXE boot timed out"), Transient);
}
