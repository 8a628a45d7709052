//! What OpenStack's refusals mean: one table. The words are Nova's own; some differences are in nothing but the words.

use serde_json::Value;

use crate::planner::model::{CloudError, ErrorClass};
pub(super) use crate::providers::answers::{Asked, bounded, lost, refused, unreadable, without};
use crate::providers::transport::client::Reply;

/// One row: such a status, with this key and these words, on such a request, is that.
struct Row {
    /// The lowest and the highest HTTP status.
    status: (u16, u16),
    /// The key of Nova's body, or empty for any.
    key: &'static str,
    /// A part of the message in lower case, or empty for any.
    words: &'static str,
    /// What was asked; none for anything.
    asked: Option<Asked>,
    class: ErrorClass,
}

const fn row(status: u16, key: &'static str, words: &'static str, class: ErrorClass) -> Row {
    Row {
        status: (status, status),
        key,
        words,
        asked: None,
        class,
    }
}

const fn on(asked: Asked, status: u16, words: &'static str, class: ErrorClass) -> Row {
    Row {
        status: (status, status),
        key: "",
        words,
        asked: Some(asked),
        class,
    }
}

const fn span(from: u16, to: u16, words: &'static str, asked: Option<Asked>, class: ErrorClass) -> Row {
    Row {
        status: (from, to),
        key: "",
        words,
        asked,
        class,
    }
}

/// The first row that fits counts.
const TABLE: &[Row] = {
    use ErrorClass::*;
    &[
        // Keystone says 404 of an application credential that does not exist.
        on(
            Asked::LogIn,
            404,
            "could not find application credential",
            Unauthorized,
        ),
        row(401, "", "", Unauthorized),
        // Quota and policy are both 403 forbidden; old clouds say 413 of a quota.
        row(403, "", "policy doesn't allow", Forbidden),
        row(403, "", "quota", Quota),
        row(403, "", "is over the limit", Quota),
        row(403, "", "maximum number of", Quota),
        row(403, "", "", Forbidden),
        row(413, "", "quota", Quota),
        row(413, "", "", RateLimited),
        row(429, "", "", RateLimited),
        // Only Nova's own word for it means that a server is gone: a proxy answers 404 too.
        row(404, "itemNotFound", "", NotFound),
        row(404, "", "", Transient),
        // 409: locked, a task under way, the wrong state, or a conflict of another kind.
        row(409, "", "is locked", Locked),
        row(409, "", "task_state", Busy),
        row(409, "", "vm_state", Busy),
        // A name that several security groups have.
        row(409, "", "to be more specific", InvalidSpec),
        row(409, "", "is not ready", Busy),
        row(409, "", "in an invalid state", Busy),
        on(Asked::Create, 409, "", InvalidSpec),
        row(409, "", "", Busy),
        // A second confirmation while the first is under way.
        on(Asked::Confirm, 400, "has not been resized", Busy),
        // The last server of a page was deleted before the next page was asked for.
        on(Asked::Read, 400, "marker", Transient),
        span(400, 599, "no valid host", None, Capacity),
        span(400, 499, "not enough hosts available", None, Capacity),
        row(400, "", "quota exceeded", Quota),
        row(408, "", "", Transient),
        row(425, "", "", Transient),
        span(400, 499, "", None, InvalidSpec),
        row(501, "", "", Unsupported),
        // A service that this cloud does not have (volumes without Cinder): Nova looks for it before it does anything.
        on(Asked::Change, 500, "catalog.endpointnotfound", Unsupported),
        // A server may exist all the same.
        span(500, 599, "", Some(Asked::Create), Ambiguous),
        span(500, 599, "", None, Transient),
    ]
};

/// The key and the words of an error body: Nova's `{"key": {"message"}}`, Neutron's `{"NeutronError": {"message"}}`,
/// Keystone's `{"error": {"message"}}`; anything else has no key.
fn words_of(body: &[u8]) -> (String, String) {
    if let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(body)
        && let Some((key, inner)) = map.iter().next()
    {
        let message = inner.get("message").and_then(Value::as_str);
        return (key.clone(), message.unwrap_or_default().to_owned());
    }
    (String::new(), String::new())
}

/// The class of a refusal.
fn classify(status: u16, key: &str, message: &str, asked: Asked) -> ErrorClass {
    let message = message.to_lowercase();
    TABLE
        .iter()
        .find(|r| {
            (r.status.0..=r.status.1).contains(&status)
                && (r.key.is_empty() || r.key == key)
                && message.contains(r.words)
                && r.asked.is_none_or(|a| a == asked)
        })
        .map_or(ErrorClass::Transient, |r| r.class)
}

/// A refusal in our words. `hide` are secrets that went with the request: a cloud may repeat what it refuses.
pub(super) fn refusal(reply: &Reply, asked: Asked, service: &str, hide: &[&str]) -> CloudError {
    let status = reply.status.as_u16();
    let (key, message) = words_of(&reply.body);
    let class = classify(status, &key, &message, asked);
    let message = match message.trim() {
        "" => format!("{service} answered {} without a reason", reply.status),
        words => bounded(&without(words, hide)),
    };
    let code = if key.is_empty() {
        status.to_string()
    } else {
        format!("{status} {}", short(&key))
    };
    CloudError {
        class,
        code: Some(code),
        message,
        retry_after: reply.retry_after,
        maybe_applied: !refused(reply.status) && asked.changes() && class != ErrorClass::Unsupported,
    }
}

fn short(key: &str) -> String {
    key.chars().take(48).collect()
}

/// What a fault of a server means, by its words.
pub(super) fn fault_class(message: &str) -> ErrorClass {
    let message = message.to_lowercase();
    const WORDS: &[(&str, ErrorClass)] = &[
        ("no valid host", ErrorClass::Capacity),
        ("exceeded maximum number of retries", ErrorClass::Capacity),
        ("not enough hosts available", ErrorClass::Capacity),
        ("quota exceeded", ErrorClass::Quota),
        ("is over the limit", ErrorClass::Quota),
    ];
    WORDS
        .iter()
        .find(|(words, _)| message.contains(words))
        .map_or(ErrorClass::Transient, |(_, class)| *class)
}

#[cfg(test)]
mod tests;
