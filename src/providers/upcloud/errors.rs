//! What UpCloud's refusals mean: one table, of the codes in the chapter "Servers" of its API 1.3 and of those that
//! its own clients know. The code counts before the status: 403 is quota, ownership or a fault of the spec, and one
//! 400 only says that the server must be stopped first.

use serde_json::Value;

use crate::planner::model::{CloudError, ErrorClass};
pub(super) use crate::providers::answers::{Asked, bounded, lost, refused, unreadable, without};
use crate::providers::transport::client::Reply;

/// One row: this code, on such a request, is that. A star stands for any beginning or any end.
struct Row {
    code: &'static str,
    asked: Option<Asked>,
    class: ErrorClass,
}

const fn row(code: &'static str, class: ErrorClass) -> Row {
    Row {
        code,
        asked: None,
        class,
    }
}

const fn on(asked: Asked, code: &'static str, class: ErrorClass) -> Row {
    Row {
        code,
        asked: Some(asked),
        class,
    }
}

/// The first row that fits counts.
const CODES: &[Row] = {
    use ErrorClass::*;
    &[
        // Another task runs, or just ended; also of storages.
        row("*_STATE_ILLEGAL", Busy),
        row("UNABLE_TO_CANCEL", Busy),
        // Hot resize, one of them with status 400.
        row("HOT_RESIZE_*", NeedsStop),
        row("NO_AVAILABLE_MEMORY_SLOTS", NeedsStop),
        row("FAILED_TO_ADD_MEMORY", NeedsStop),
        // Too many creates at once.
        row("SERVER_CREATING_LIMIT_REACHED", RateLimited),
        row("*RATE_LIMIT*", RateLimited),
        // No room.
        row("*_RESOURCES_UNAVAILABLE", Capacity),
        row("SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA", Capacity),
        row("STRICT_ANTI_AFFINITY_NOT_MET", Capacity),
        // A storage of ours that is still attached, or part of another call.
        on(Asked::Create, "STORAGE_IN_USE", InvalidSpec),
        row("STORAGE_IN_USE", Busy),
        // Limits of a thing, not of the account.
        row("LABEL_LIMIT_REACHED", InvalidSpec),
        row("STORAGE_DEVICE_LIMIT_REACHED", InvalidSpec),
        // Limits of the account.
        row("INSUFFICIENT_CREDITS", Quota),
        row("TRIAL_*", Quota),
        row("WINDOWS_NOT_AVAILABLE", Quota),
        row("*_LIMIT_REACHED", Quota),
        // Whose it is, and who may.
        row("AUTHENTICATION_FAILED", Unauthorized),
        row("HOST_FORBIDDEN", InvalidSpec),
        on(Asked::Create, "STORAGE_FORBIDDEN", InvalidSpec),
        row("*_FORBIDDEN", Forbidden),
        // What the spec names and does not exist. All else that does not exist is the thing itself.
        row("HOST_NOT_FOUND", InvalidSpec),
        row("ZONE_NOT_FOUND", InvalidSpec),
        on(Asked::Create, "*_NOT_FOUND", InvalidSpec),
        row("*_NOT_FOUND", NotFound),
        // Somebody else's group has it: it must leave that first.
        row("ALREADY_IN_SERVER_GROUP", Transient),
        // Faults of the spec with status 403 or 409.
        row("PLAN_CORE_NUMBER_ILLEGAL", InvalidSpec),
        row("PLAN_MEMORY_AMOUNT_ILLEGAL", InvalidSpec),
        row("INVALID_USERNAME", InvalidSpec),
        row("MULTIPLE_TEMPLATES", InvalidSpec),
        row("ZONE_MISMATCH", InvalidSpec),
        row("PUBLIC_STORAGE_ATTACH", InvalidSpec),
        row("STORAGE_TYPE_ILLEGAL", InvalidSpec),
        row("STORAGE_ATTACHED_AS_*", InvalidSpec),
        row("DEVICE_ADDRESS_IN_USE", InvalidSpec),
        row("CDROM_DEVICE_IN_USE", InvalidSpec),
        row("TOO_MANY_BOOT_DISKS", InvalidSpec),
        row("BACKUP_RULE_CONFLICT", InvalidSpec),
        row("CAN_NOT_CREATE_PASSWORD_*", InvalidSpec),
        row("METADATA_DISABLED_ON_CLOUD-INIT", InvalidSpec),
        row("MS_LMA_REQUIRED", InvalidSpec),
        row("NO_STORAGES_ATTACHED", InvalidSpec),
        // Faults of the spec with status 400.
        row("*_INVALID", InvalidSpec),
        row("*_MISSING", InvalidSpec),
        row("INVALID_LABEL_*", InvalidSpec),
        row("DUPLICATE_LABEL_KEYS", InvalidSpec),
        row("CORE_MEMORY_UNSUPPORTED", InvalidSpec),
    ]
};

/// Lowest status, highest status, and what they mean where no code says it. The first row that fits counts.
const STATUSES: &[(u16, u16, Option<Asked>, ErrorClass)] = {
    use ErrorClass::*;
    &[
        (401, 401, None, Unauthorized),
        (402, 402, None, Quota),
        (403, 403, None, Forbidden),
        // Only the cloud's own code means that something is gone: a proxy answers 404 too.
        (404, 404, None, Transient),
        (405, 405, None, Unsupported),
        (408, 409, None, Transient),
        (425, 425, None, Transient),
        (429, 429, None, RateLimited),
        (400, 499, None, InvalidSpec),
        (501, 501, None, Unsupported),
        // A server may exist all the same.
        (500, 599, Some(Asked::Create), Ambiguous),
    ]
};

fn fits(pattern: &str, code: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => code.contains(rest.trim_end_matches('*')),
        (Some(end), None) => code.ends_with(end),
        (None, Some(start)) => code.starts_with(start),
        (None, None) => code == pattern,
    }
}

/// The row of a code.
pub(super) fn known(code: &str, asked: Asked) -> Option<ErrorClass> {
    CODES
        .iter()
        .find(|r| r.asked.is_none_or(|a| a == asked) && fits(r.code, code))
        .map(|r| r.class)
}

/// The class of a refusal.
fn classify(status: u16, code: &str, asked: Asked) -> ErrorClass {
    // A fault of the service is none of the request's, whatever it is called; nothing reads as gone after it.
    let by_code = (status < 500).then(|| known(code, asked)).flatten();
    by_code.unwrap_or_else(|| {
        STATUSES
            .iter()
            .find(|(from, to, on, _)| (*from..=*to).contains(&status) && on.is_none_or(|a| a == asked))
            .map_or(ErrorClass::Transient, |(.., class)| *class)
    })
}

/// The longest code that is kept, in characters.
const CODE_LIMIT: usize = 64;

/// The code and the words of an error body, in either of the two forms: `{"error": {"error_code", "error_message"}}`,
/// or a problem document whose type ends in `#ERROR_` and the code.
fn words_of(body: &[u8]) -> (String, String) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return (String::new(), String::new());
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(error) = value.get("error") {
        return (text(error.get("error_code")), text(error.get("error_message")));
    }
    let kind = text(value.get("type"));
    let code = kind.rsplit('#').next().unwrap_or_default();
    let code = code.strip_prefix("ERROR_").unwrap_or(code);
    let invalid = value.get("invalid_params").and_then(Value::as_array);
    let faults = invalid
        .into_iter()
        .flatten()
        .map(|p| format!("{}: {}", text(p.get("name")), text(p.get("reason"))));
    let words: Vec<String> = [text(value.get("title"))].into_iter().chain(faults).collect();
    (code.to_owned(), words.join("; "))
}

/// A refusal in our words. `hide` are secrets that went with the request: a cloud may repeat what it refuses.
pub(super) fn refusal(reply: &Reply, asked: Asked, hide: &[&str]) -> CloudError {
    let status = reply.status.as_u16();
    let (code, words) = words_of(&reply.body);
    let class = classify(status, &code, asked);
    let message = match words.trim() {
        "" => format!("UpCloud answered {} without a reason", reply.status),
        words => bounded(&without(words, hide)),
    };
    let code = match code.as_str() {
        "" => status.to_string(),
        code => format!("{status} {}", code.chars().take(CODE_LIMIT).collect::<String>()),
    };
    CloudError {
        class,
        code: Some(code),
        message,
        retry_after: reply.retry_after,
        maybe_applied: !refused(reply.status) && asked.changes(),
    }
}

/// Whether a refusal carries this code.
pub(super) fn has_code(error: &CloudError, code: &str) -> bool {
    error
        .code
        .as_deref()
        .and_then(|c| c.split(' ').nth(1))
        .is_some_and(|c| c == code)
}
