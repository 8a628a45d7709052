//! What every provider does with an answer: reads it leniently, keeps its words short and free of secrets, and
//! tells a call that was lost from one that was refused.

use serde::{Deserialize, Deserializer};

use crate::api::conditions::clean;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::transport::client::Reply;

/// What was asked, as far as it changes what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something is read.
    Read,
    /// A server or a group is created.
    Create,
    /// A resize is confirmed.
    Confirm,
    /// Anything else that changes something.
    Change,
    /// A log-in.
    LogIn,
}

impl Asked {
    /// Whether it changes something in the cloud.
    pub(super) const fn changes(self) -> bool {
        !matches!(self, Self::Read | Self::LogIn)
    }
}

/// What the pages of one list may have together, in bytes.
const LIST_LIMIT: usize = 32 << 20;

/// Adds up the pages of a list: one without an end would fill the memory that all accounts share.
#[derive(Default)]
pub(super) struct Pages(usize);

impl Pages {
    /// Counts a page.
    ///
    /// # Errors
    /// The list is too long by now.
    pub(super) fn add(&mut self, reply: &Reply) -> Result<(), CloudError> {
        self.0 = self.0.saturating_add(reply.body.len());
        if self.0 > LIST_LIMIT {
            let words = format!("a list of the cloud is longer than {} MiB", LIST_LIMIT >> 20);
            return Err(CloudError::new(ErrorClass::Transient, words));
        }
        Ok(())
    }
}

/// The longest message that is kept, in characters.
pub(super) const MESSAGE_LIMIT: usize = 512;

/// Text on one line, bounded, and without what a terminal or a log would act on.
pub(super) fn bounded(text: &str) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_LIMIT) {
        None => line,
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
    }
}

/// The text without the secrets that went with the request: a cloud may repeat what it refuses.
pub(super) fn without(text: &str, hide: &[&str]) -> String {
    // A short secret would match by chance; where it is so short it is no secret.
    hide.iter()
        .filter(|s| s.len() >= 4)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// Whether a status says for certain that nothing was done: the fault is the request's. Any other may come from somebody on
/// the way, after the cloud has acted.
pub(super) fn refused(status: http::StatusCode) -> bool {
    status.is_client_error()
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
pub(super) fn unreadable(service: &str, what: &str, asked: Asked, why: &serde_json::Error) -> CloudError {
    // The words of serde_json can hold parts of the body: only the place is told.
    let place = format!("line {} column {}", why.line(), why.column());
    let error = CloudError {
        maybe_applied: true,
        ..CloudError::new(
            ErrorClass::Transient,
            format!("{service}'s {what} cannot be read ({place})"),
        )
    };
    lost(error, asked)
}

/// A request that is not made, or a credential that is not used, because of what is asked for.
pub(super) fn invalid(words: impl Into<String>) -> CloudError {
    CloudError::new(ErrorClass::InvalidSpec, words)
}

/// For wire types: reads `null` as the default.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A redirect, or a status that nobody knows, can come from somebody on the way back.
    #[test]
    fn only_a_fault_of_the_request_is_certainly_a_refusal() {
        let refused = |code| refused(http::StatusCode::from_u16(code).unwrap());
        assert!([400, 401, 403, 404, 409, 413, 429].into_iter().all(refused));
        assert!(![204, 302, 304, 307, 500, 502, 599, 999].into_iter().any(refused));
    }

    #[test]
    fn a_list_without_an_end_is_given_up() {
        let page = Reply {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: vec![b' '; 8 << 20].into(),
            retry_after: None,
        };
        let mut pages = Pages::default();
        for _ in 0..4 {
            pages.add(&page).unwrap();
        }
        let error = pages.add(&page).unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(
            !error.maybe_applied && error.message.contains("32 MiB"),
            "{error}"
        );
    }
}
