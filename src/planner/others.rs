//! What two processes that both act on one object leave to each other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Where two processes see an account differently, what one of them said of it stands for so many seconds before the other
/// contradicts it. A lease keeps that to moments, but not every installation has one, and who lost it may not have noticed.
pub(crate) const STANDS: i64 = 60;

/// Leaves the words of conditions that say the same as before in other words; whether there are any. Two processes that act
/// on one object each have words of their own, as when they try again, and would write them by turns.
pub(super) fn keep_words(old: &[Condition], new: &mut [Condition]) -> bool {
    let mut kept = false;
    for condition in new {
        let same = |o: &&Condition| {
            (&o.type_, &o.status, &o.reason) == (&condition.type_, &condition.status, &condition.reason)
                && o.observed_generation == condition.observed_generation
                && o.message != condition.message
        };
        if let Some(old) = old.iter().find(same) {
            condition.message.clone_from(&old.message);
            kept = true;
        }
    }
    kept
}
