//! What refusals mean. The codes are those of the vendor's page, every one of them.

use super::errors::{Asked, has_code, known, refusal};
use super::*;

const ERRORS: &str = include_str!("../../../../tests/fixtures/upcloud/page-errors.json");

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: http::StatusCode::from_u16(status).unwrap(),
        headers: http::HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        retry_after: None,
    }
}

fn asked(section: &str) -> Asked {
    match section {
        s if s.contains("Install") || s.contains("Create") => Asked::Create,
        s if s.contains("List") || s.contains("Show") => Asked::Read,
        _ => Asked::Change,
    }
}

#[test]
fn every_code_of_the_page_has_a_row() {
    let rows: Vec<Value> = serde_json::from_str(ERRORS).unwrap();
    assert_eq!(rows.len(), 227);
    for row in rows {
        let (code, section) = (row["code"].as_str().unwrap(), row["section"].as_str().unwrap());
        let class = known(code, asked(section));
        assert!(class.is_some(), "{section}: {code}");
        // A refusal with such a code says that nothing was done.
        let body = json!({"error": {"error_code": code, "error_message": "why"}}).to_string();
        let status = u16::try_from(row["status"].as_u64().unwrap()).unwrap();
        let error = refusal(&reply(status, &body), asked(section), &[]);
        assert_eq!(Some(error.class), class, "{section}: {code}");
        assert!(!error.maybe_applied && error.message == "why" && has_code(&error, code));
    }
}

#[test]
fn classes_are_those_that_the_planner_can_act_on() {
    use ErrorClass::*;
    let cases = [
        (Asked::Change, 409, "SERVER_STATE_ILLEGAL", Busy),
        (Asked::Change, 409, "STORAGE_STATE_ILLEGAL", Busy),
        (Asked::Change, 409, "UNABLE_TO_CANCEL", Busy),
        (Asked::Create, 409, "STORAGE_STATE_ILLEGAL", Busy),
        (Asked::Create, 409, "SERVER_CREATING_LIMIT_REACHED", RateLimited),
        (Asked::Create, 409, "SERVER_RESOURCES_UNAVAILABLE", Capacity),
        (
            Asked::Create,
            409,
            "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA",
            Capacity,
        ),
        (Asked::Change, 409, "STRICT_ANTI_AFFINITY_NOT_MET", Capacity),
        (Asked::Create, 409, "IP_ADDRESS_RESOURCES_UNAVAILABLE", Capacity),
        (Asked::Create, 402, "INSUFFICIENT_CREDITS", Quota),
        (Asked::Create, 403, "TRIAL_PLAN", Quota),
        (Asked::Create, 403, "SERVER_CORE_LIMIT_REACHED", Quota),
        (Asked::Create, 403, "PLAN_CORE_NUMBER_ILLEGAL", InvalidSpec),
        (Asked::Create, 403, "HOST_FORBIDDEN", InvalidSpec),
        (Asked::Change, 403, "SERVER_FORBIDDEN", Forbidden),
        (Asked::Read, 403, "ACTION_FORBIDDEN", Forbidden),
        (Asked::Read, 401, "AUTHENTICATION_FAILED", Unauthorized),
        (Asked::Create, 404, "STORAGE_NOT_FOUND", InvalidSpec),
        (Asked::Create, 404, "ZONE_NOT_FOUND", InvalidSpec),
        (Asked::Change, 404, "HOST_NOT_FOUND", InvalidSpec),
        (Asked::Change, 404, "SERVER_NOT_FOUND", NotFound),
        (Asked::Change, 404, "GROUP_NOT_FOUND", NotFound),
        (Asked::Create, 409, "LABEL_LIMIT_REACHED", InvalidSpec),
        (Asked::Create, 409, "METADATA_DISABLED_ON_CLOUD-INIT", InvalidSpec),
        (Asked::Change, 400, "FAILED_TO_ADD_MEMORY", NeedsStop),
        (Asked::Change, 409, "HOT_RESIZE_NOT_ENABLED", NeedsStop),
        // No code that is known: by status.
        (Asked::Change, 400, "BRAND_NEW", InvalidSpec),
        (Asked::Change, 403, "BRAND_NEW", Forbidden),
        (Asked::Change, 409, "BRAND_NEW", Transient),
        (Asked::Create, 409, "BRAND_NEW", Transient),
        (Asked::Change, 404, "", Transient),
        (Asked::Change, 429, "", RateLimited),
        (Asked::Change, 405, "", Unsupported),
        (Asked::Change, 503, "SERVER_STATE_ILLEGAL", Transient),
        (Asked::Create, 500, "SERVER_NOT_FOUND", Ambiguous),
    ];
    for (asked, status, code, class) in cases {
        let body = json!({"error": {"error_code": code, "error_message": "why"}}).to_string();
        let error = refusal(&reply(status, &body), asked, &[]);
        assert_eq!(error.class, class, "{asked:?} {status} {code}");
        assert_eq!(error.maybe_applied, status >= 500, "{status} {code}");
    }
}

#[test]
fn a_problem_document_is_read_too() {
    let body = json!({"type": "https://developers.upcloud.com/1.3/errors#ERROR_SERVER_NOT_FOUND", "title": "Not there",
        "status": 404, "correlation_id": "c", "invalid_params": [{"name": "uuid", "reason": "is odd"}]});
    let error = refusal(&reply(404, &body.to_string()), Asked::Change, &[]);
    assert_eq!(error.class, ErrorClass::NotFound);
    assert_eq!(error.code.as_deref(), Some("404 SERVER_NOT_FOUND"));
    assert_eq!(error.message, "Not there; uuid: is odd");
}

#[test]
fn what_is_no_json_goes_by_its_status_and_is_bounded() {
    for body in [
        "<html><body>Bad</body></html>",
        "",
        "null",
        "[]",
        "{\"error\":\"text\"}",
        "\u{1f}\u{8b}",
    ] {
        let error = refusal(&reply(502, body), Asked::Change, &[]);
        assert_eq!(
            (error.class, error.maybe_applied),
            (ErrorClass::Transient, true),
            "{body}"
        );
        assert_eq!(error.message, "UpCloud answered 502 Bad Gateway without a reason");
        assert_eq!(error.code.as_deref(), Some("502"));
    }
    let body =
        json!({"error": {"error_code": "C".repeat(5000), "error_message": "x\n".repeat(5000)}}).to_string();
    let error = refusal(&reply(400, &body), Asked::Change, &[]);
    assert!(error.message.len() < 600 && error.code.unwrap().len() < 100);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_cloud_asks_for_is_kept() {
    let fake = Fake::new(|_, before| {
        let mut slow = answer(
            429,
            json!({"error": {"error_code": "TOO_MANY", "error_message": "slower"}}),
        );
        slow.headers.push(("retry-after", "17".into()));
        (before == 0).then_some(Ok(slow))
    });
    let p = provider(&fake);
    let began = tokio::time::Instant::now();
    let error = p.account().await.unwrap_err();
    assert_eq!(
        (error.class, error.retry_after),
        (ErrorClass::RateLimited, Some(17))
    );
    p.account().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(17));
}
