//! An account whose quota is used up is asked by one creation after the other, and not by each for itself.

use jiff::Timestamp;

use super::create;
use super::draft::{Draft, Verdict};
use super::model::ErrorClass;
use crate::api::Reason;

/// What an object is told that may not ask now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaShut {
    /// What the cloud said when it refused a creation for the account's quota.
    pub words: String,
    /// When the object may try to get a turn again.
    pub until: Timestamp,
}

/// What is said while another one's turn is waited for.
pub(super) fn turn(d: &mut Draft<'_>, shut: Option<&QuotaShut>) -> Option<Verdict> {
    let shut = shut?;
    d.awaits_quota = true;
    d.again(shut.until);
    let own = d.status.failure.as_ref();
    Some(if own.is_some_and(|f| f.class == ErrorClass::Quota.as_str()) {
        create::refused(d)
    } else {
        Draft::stalled(Reason::QuotaExceeded, &shut.words)
    })
}
