use super::*;
use crate::providers::answers::MESSAGE_LIMIT;
use ErrorClass::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: http::StatusCode::from_u16(status).unwrap(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        retry_after: None,
    }
}

/// Refusals as recorded on a real Nova.
#[test]
fn every_recorded_refusal_has_its_class() {
    use Asked::*;
    for (status, key, message, asked, class) in [
        (
            409,
            "conflictingRequest",
            "Cannot 'start' instance 1 while it is in vm_state active",
            Change,
            Busy,
        ),
        (
            409,
            "conflictingRequest",
            "Cannot 'resize' instance 1 while it is in task_state powering-off",
            Change,
            Busy,
        ),
        (409, "conflictingRequest", "Instance 1 is not ready", Change, Busy),
        (
            409,
            "conflictingRequest",
            "Instance 1 is in an invalid state for 'reboot'",
            Change,
            Busy,
        ),
        (409, "conflictingRequest", "Instance 1 is locked", Change, Locked),
        (
            409,
            "conflictingRequest",
            "Multiple possible networks found, use a Network ID.",
            Create,
            InvalidSpec,
        ),
        (
            403,
            "forbidden",
            "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.",
            Read,
            Forbidden,
        ),
        (
            403,
            "forbidden",
            "Policy doesn't allow os_compute_api:servers:create to be performed.",
            Create,
            Forbidden,
        ),
        (
            403,
            "forbidden",
            "Quota exceeded for ram: Requested 512, but already used 512 of 600 ram",
            Create,
            Quota,
        ),
        (
            403,
            "forbidden",
            "Quota exceeded, too many server groups.",
            Change,
            Quota,
        ),
        (
            403,
            "forbidden",
            "The number of defined ports: 2 is over the limit: 1",
            Create,
            Quota,
        ),
        (
            404,
            "itemNotFound",
            "Instance 1 could not be found.",
            Read,
            NotFound,
        ),
        (
            404,
            "itemNotFound",
            "Instance 1 has no mapping to a cell.",
            Change,
            NotFound,
        ),
        (404, "", "", Read, Transient),
        (
            400,
            "badRequest",
            "Flavor nope could not be found.",
            Create,
            InvalidSpec,
        ),
        (
            400,
            "badRequest",
            "Can not find requested image",
            Create,
            InvalidSpec,
        ),
        (
            400,
            "badRequest",
            "When resizing, instances must change flavor!",
            Change,
            InvalidSpec,
        ),
        (400, "badRequest", "Instance has not been resized.", Confirm, Busy),
        (
            400,
            "badRequest",
            "Instance has not been resized.",
            Change,
            InvalidSpec,
        ),
        (400, "badRequest", "marker [abc] not found", Read, Transient),
        (400, "badRequest", "No valid host was found. ", Change, Capacity),
        (
            401,
            "error",
            "The request you have made requires authentication.",
            Read,
            Unauthorized,
        ),
        (
            401,
            "error",
            "The request you have made requires authentication.",
            LogIn,
            Unauthorized,
        ),
        (
            404,
            "error",
            "Could not find Application Credential: 123.",
            LogIn,
            Unauthorized,
        ),
        (404, "error", "Not found", LogIn, Transient),
        (
            406,
            "computeFault",
            "Version 2.200 is not supported by the API.",
            Read,
            InvalidSpec,
        ),
        (413, "overLimit", "Quota exceeded for cores", Create, Quota),
        (429, "", "", Read, RateLimited),
        (500, "computeFault", "Unexpected API Error.", Create, Ambiguous),
        (500, "computeFault", "Unexpected API Error.", Change, Transient),
        (503, "", "", Create, Ambiguous),
        (503, "", "", Read, Transient),
        (501, "", "", Change, Unsupported),
    ] {
        assert_eq!(
            classify(status, key, message, asked),
            class,
            "{status} {key}: {message}"
        );
    }
}

#[test]
fn a_refusal_carries_the_words_and_the_code() {
    let body = r#"{"forbidden": {"code": 403, "message": "Quota exceeded for ram"}}"#;
    let error = refusal(&reply(403, body), Asked::Create, "Nova", &[]);
    assert_eq!(error.code.as_deref(), Some("403 forbidden"));
    assert_eq!(error.message, "Quota exceeded for ram");
    assert!(!error.maybe_applied);
    let error = refusal(
        &reply(502, "<html>Bad Gateway</html>"),
        Asked::Create,
        "Nova",
        &[],
    );
    assert_eq!(error.code.as_deref(), Some("502"));
    assert_eq!(error.message, "Nova answered 502 Bad Gateway without a reason");
    assert!(error.maybe_applied);
    assert!(!refusal(&reply(502, ""), Asked::Read, "Nova", &[]).maybe_applied);
}

#[test]
fn words_are_bounded_and_repeat_no_secret() {
    let body = serde_json::json!({"badRequest": {"message": format!("Value: s3cr3t\n{}", "é".repeat(2000))}});
    let error = refusal(&reply(400, &body.to_string()), Asked::Create, "Nova", &["s3cr3t"]);
    assert!(error.message.starts_with("Value: *** é"));
    assert_eq!(error.message.chars().count(), MESSAGE_LIMIT + 3);
}

#[test]
fn a_lost_reply_is_ambiguous_only_where_something_may_have_been_made() {
    let sent = CloudError {
        maybe_applied: true,
        ..CloudError::new(Transient, "gone")
    };
    assert_eq!(lost(sent.clone(), Asked::Create).class, Ambiguous);
    assert_eq!(lost(sent.clone(), Asked::Change).class, Transient);
    assert!(lost(sent.clone(), Asked::Change).maybe_applied);
    assert!(!lost(sent, Asked::LogIn).maybe_applied);
    let never = CloudError::new(Transient, "no route");
    assert_eq!(lost(never, Asked::Create).class, Transient);
}

#[test]
fn faults_are_judged_by_their_words() {
    assert_eq!(fault_class("No valid host was found. "), Capacity);
    assert_eq!(
        fault_class("Exceeded maximum number of retries. Exceeded max scheduling"),
        Capacity
    );
    assert_eq!(
        fault_class("Build of instance 1 aborted: disk on fire"),
        Transient
    );
}
