//! What CloudDC's refusals mean: one table. The codes are those of
//! <https://support.huaweicloud.com/intl/en-us/api-clouddc/ErrorCode.html>; its part on instances (iMetal.02xx) is not
//! known whole, and there is no 409: what conflicts with a state is a 400.

use serde_json::Value;

use crate::planner::model::{CloudError, ErrorClass};
pub(super) use crate::providers::answers::{Asked, bounded, invalid, lost, refused, unreadable, without};
use crate::providers::transport::client::Reply;

/// One row: such a status, with a code that begins so, on such a request, is that.
struct Row {
    /// The lowest and the highest HTTP status.
    status: (u16, u16),
    /// The beginning of the code, or empty for any.
    code: &'static str,
    /// What was asked; none for anything.
    asked: Option<Asked>,
    class: ErrorClass,
}

const fn row(status: u16, code: &'static str, class: ErrorClass) -> Row {
    span(status, status, code, None, class)
}

const fn on(asked: Asked, status: u16, code: &'static str, class: ErrorClass) -> Row {
    span(status, status, code, Some(asked), class)
}

const fn span(from: u16, to: u16, code: &'static str, asked: Option<Asked>, class: ErrorClass) -> Row {
    Row {
        status: (from, to),
        code,
        asked,
        class,
    }
}

/// The first row that fits counts.
const TABLE: &[Row] = {
    use ErrorClass::*;
    &[
        // iMetal.0003, and the gateway's 0301: a bad signature or token, a locked key, a clock that is off.
        row(401, "", Unauthorized),
        row(403, "", Forbidden),
        // iMetal.0005, the gateway's 0308, and bodies that are no JSON.
        row(429, "", RateLimited),
        // The server that a new instance is to be placed on; of an instance that exists: its server vanished.
        on(Asked::Create, 404, "iMetal.0100", InvalidSpec),
        row(404, "iMetal.0100", NotFound),
        row(404, "iMetal.0200", NotFound),
        // Only the service's own word for it means that something is gone: gateways answer 404 too.
        row(404, "", Transient),
        // Not ready: the vendor says to try later, although it is a 400.
        on(Asked::Create, 400, "iMetal.0101", Capacity),
        row(400, "iMetal.0101", Busy),
        row(400, "iMetal.00", InvalidSpec),
        row(400, "iMetal.01", InvalidSpec),
        // Whatever it is, the instance does not take it now: look again, try again, slower each time.
        on(Asked::Create, 400, "iMetal.02", Transient),
        on(Asked::Change, 400, "iMetal.02", Busy),
        row(408, "", Transient),
        row(425, "", Transient),
        span(400, 499, "", None, InvalidSpec),
        row(501, "", Unsupported),
        // An instance may exist all the same.
        span(500, 599, "", Some(Asked::Create), Ambiguous),
        span(500, 599, "", None, Transient),
    ]
};

/// The longest code that is kept, in characters.
const CODE_LIMIT: usize = 48;

/// The code and the words of an error body: the service's and the gateway's `{"error_code", "error_msg"}`, or the
/// identity service's `{"error": {"code", "message"}}`. Bodies of a 429 need not be JSON.
fn words_of(body: &[u8]) -> (String, String) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return (String::new(), String::new());
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let inner = value.get("error").filter(|e| e.is_object()).unwrap_or(&value);
    let first = |keys: [&str; 2]| {
        keys.iter()
            .filter_map(|k| inner.get(k))
            .map(text)
            .find(|t| !t.is_empty())
            .unwrap_or_default()
    };
    (first(["error_code", "code"]), first(["error_msg", "message"]))
}

/// The class of a refusal.
fn classify(status: u16, code: &str, asked: Asked) -> ErrorClass {
    TABLE
        .iter()
        .find(|r| {
            (r.status.0..=r.status.1).contains(&status)
                && code.starts_with(r.code)
                && r.asked.is_none_or(|a| a == asked)
        })
        .map_or(ErrorClass::Transient, |r| r.class)
}

/// A refusal in our words. `hide` are secrets that went with the request: a cloud may repeat what it refuses.
pub(super) fn refusal(reply: &Reply, asked: Asked, service: &str, hide: &[&str]) -> CloudError {
    let status = reply.status.as_u16();
    let (code, message) = words_of(&reply.body);
    let message = match message.trim() {
        "" => format!("{service} answered {} without a reason", reply.status),
        words => bounded(&without(words, hide)),
    };
    let short: String = without(&code, hide).chars().take(CODE_LIMIT).collect();
    CloudError {
        class: classify(status, &code, asked),
        code: Some(format!("{status} {short}").trim_end().to_owned()),
        message,
        retry_after: reply.retry_after,
        maybe_applied: !refused(reply.status) && asked.changes(),
    }
}

/// What a fault of an instance means, by its words. No code for a lack of room is known.
pub(super) fn fault_class(message: &str) -> ErrorClass {
    const WORDS: &[(&str, ErrorClass)] = &[
        ("quota", ErrorClass::Quota),
        ("no available", ErrorClass::Capacity),
        ("no idle", ErrorClass::Capacity),
        ("not enough", ErrorClass::Capacity),
        ("insufficient", ErrorClass::Capacity),
    ];
    let message = message.to_lowercase();
    WORDS
        .iter()
        .find(|(words, _)| message.contains(words))
        .map_or(ErrorClass::Transient, |(_, class)| *class)
}

#[cfg(test)]
#[path = "tests/errors.rs"]
mod tests;
