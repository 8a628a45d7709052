//! What the server refuses, in the words of the real one.

use serde_json::{Value, json};

use super::resources::Resource;

/// A refusal: what becomes a `Status` object on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason (`NotFound`, `Conflict`, ...).
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The reason that the real server gives with a code.
const REASONS: &[(u16, &str)] = &[
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (405, "MethodNotAllowed"),
    (409, "Conflict"),
    (410, "Expired"),
    (415, "UnsupportedMediaType"),
    (422, "Invalid"),
    (429, "TooManyRequests"),
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (504, "Timeout"),
];

impl ApiError {
    /// A refusal with the reason that belongs to its code.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let reason = REASONS
            .iter()
            .find(|(c, _)| *c == code)
            .map_or("Unknown", |(_, r)| *r);
        Self {
            code,
            reason,
            message: message.into(),
        }
    }

    fn qualified(resource: &Resource) -> String {
        if resource.group.is_empty() {
            resource.plural.to_owned()
        } else {
            format!("{}.{}", resource.plural, resource.group)
        }
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        Self::new(
            404,
            format!("the server could not find the requested resource: {path}"),
        )
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, format!("{} \"{name}\" not found", Self::qualified(resource)))
    }

    pub(super) fn exists(resource: &Resource, name: &str) -> Self {
        Self {
            code: 409,
            reason: "AlreadyExists",
            message: format!("{} \"{name}\" already exists", Self::qualified(resource)),
        }
    }

    pub(super) fn conflict(resource: &Resource, name: &str) -> Self {
        Self::new(
            409,
            format!(
                "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply \
                 your changes to the latest version and try again",
                Self::qualified(resource)
            ),
        )
    }

    pub(super) fn precondition(resource: &Resource, name: &str, what: &str, want: &str, have: &str) -> Self {
        Self::new(
            409,
            format!(
                "Operation cannot be fulfilled on {} \"{name}\": Precondition failed: {what} in precondition: \
                 {want}, {what} in object meta: {have}",
                Self::qualified(resource)
            ),
        )
    }

    pub(super) fn invalid(resource: &Resource, name: &str, what: &str) -> Self {
        Self::new(
            422,
            format!(
                "{}.{} \"{name}\" is invalid: {what}",
                resource.kind, resource.group
            ),
        )
    }

    pub(super) fn expired() -> Self {
        Self::new(
            410,
            "The resourceVersion for the provided watch or list is too old.",
        )
    }

    /// As the wire has it.
    pub(super) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if self.code == 429 {
            status["details"] = json!({"retryAfterSeconds": 1});
        }
        status
    }
}
