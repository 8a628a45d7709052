//! How the services refuse.

use serde_json::json;

use crate::sim::cloud::Reply;

/// Nova's error body: the kind, then code and message.
pub(super) fn nova_error(status: u16, message: impl Into<String>) -> Reply {
    let kind = match status {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    Reply::new(
        status,
        json!({ kind: { "code": status, "message": message.into() } }),
    )
}

/// Keystone's error body, which its token middleware also uses in front of the other services.
pub(super) fn keystone_error(status: u16, title: &str, message: &str) -> Reply {
    Reply::new(
        status,
        json!({"error": {"code": status, "title": title, "message": message}}),
    )
}

/// The one refusal for every credential that does not hold.
pub(super) fn unauthorized(base: &str) -> Reply {
    keystone_error(
        401,
        "Unauthorized",
        "The request you have made requires authentication.",
    )
    .with("WWW-Authenticate", format!("Keystone uri=\"{base}/identity\""))
}
