//! What CloudDC's refusals mean: one table. The codes are those of
//! <https://support.huaweicloud.com/intl/en-us/api-clouddc/ErrorCode.html>; its part on instances (iMetal.02xx) is not
//! known whole, and there is no 409: what conflicts with a state is a 400.

use serde_json::Value;

use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::transport::client::Reply;

/// What was asked, as far as it changes what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something is read.
    Read,
    /// An instance is created.
    Create,
    /// Anything else that changes something.
    Change,
    /// A log-in.
    LogIn,
}

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

/// The longest message that is kept, in characters.
const MESSAGE_LIMIT: usize = 512;
/// The longest code that is kept, in characters.
const CODE_LIMIT: usize = 48;

/// Text on one line and bounded.
pub(super) fn bounded(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_LIMIT) {
        None => line,
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
    }
}

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
        maybe_applied: status >= 500 && matches!(asked, Asked::Create | Asked::Change),
    }
}

/// The text without the secrets.
fn without(text: &str, hide: &[&str]) -> String {
    // A short secret would match by chance; where it is so short it is no secret.
    hide.iter()
        .filter(|s| s.len() >= 4)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// An error of the transport, on such a request: a create whose reply was lost is ambiguous.
pub(super) fn lost(error: CloudError, asked: Asked) -> CloudError {
    match (asked, error.maybe_applied) {
        (Asked::Create, true) => CloudError {
            class: ErrorClass::Ambiguous,
            ..error
        },
        (Asked::Read | Asked::LogIn, _) => CloudError {
            maybe_applied: false,
            ..error
        },
        _ => error,
    }
}

/// A reply that cannot be read although its status is fine. Something may have been done.
pub(super) fn unreadable(what: &str, asked: Asked, why: &serde_json::Error) -> CloudError {
    // The words of serde_json can hold parts of the body: only the place is told.
    let place = format!("line {} column {}", why.line(), why.column());
    let error = CloudError {
        maybe_applied: true,
        ..CloudError::new(
            ErrorClass::Transient,
            format!("CloudDC's {what} cannot be read ({place})"),
        )
    };
    lost(error, asked)
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

/// A request that is not made because of what is asked for.
pub(super) fn invalid(words: impl Into<String>) -> CloudError {
    CloudError::new(ErrorClass::InvalidSpec, words)
}

#[cfg(test)]
#[path = "tests/errors.rs"]
mod tests;
