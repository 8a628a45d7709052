//! Condition types, and how a condition is set so that it changes only when it says something new.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::choice::choice;
use super::reasons::Reason;

choice! {
    /// The condition types in use.
    ConditionType {
        /// The server is as declared, as far as the policies allow.
        Ready,
        /// Something is under way.
        Reconciling,
        /// A person is needed.
        Stalled,
        /// A deed was done.
        Complete,
        /// A deed was not done, failed, or cannot be known to have been done.
        Failed,
        /// The power state is as declared.
        PowerSynced,
        /// The size is as declared.
        SizeSynced,
        /// The settings that the cloud changes in place are as declared.
        SettingsSynced,
        /// What the cloud told once, as it created the server, is in its Secret.
        CredentialsStored,
        /// Something was changed from outside.
        DriftDetected,
        /// Writes to the cloud are switched off.
        Paused,
        /// Every member of a group is placed as its policy says.
        PlacementSatisfied,
        /// The deletion cannot go on.
        DeletionBlocked,
        /// The account can be asked.
        ProviderReachable,
        /// The account answered.
        Reachable,
        /// The credentials are accepted.
        CredentialsValid,
    }
}

choice! {
    /// The status of a condition.
    ConditionStatus {
        /// It holds.
        True,
        /// It does not.
        False,
        /// Nobody can say.
        Unknown,
    }
}

/// The longest message that is written, in characters.
pub const MAX_MESSAGE: usize = 1024;

/// A text without what a terminal or a log would act on: control characters, and with them escape sequences and line
/// breaks, become spaces; characters that are not seen, or that turn the direction of writing, vanish.
pub fn clean(text: &str) -> Cow<'_, str> {
    let unseen = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if !text.contains(|c: char| c.is_control() || unseen(c)) {
        return Cow::Borrowed(text);
    }
    let seen = text.chars().filter(|c| !unseen(*c));
    seen.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Cuts a text to at most `max` characters, and says so.
pub fn bounded(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Sets a condition. `lastTransitionTime` moves only when the status changes; an equal condition stays as it is.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let mut new = Condition {
        type_: kind.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: bounded(&clean(message), MAX_MESSAGE),
        observed_generation: generation,
        last_transition_time: Time(to_seconds(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, kind: ConditionType) {
    conditions.retain(|c| c.type_ != kind.as_str());
}

/// Finds a condition.
pub fn get(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == kind.as_str())
}

/// A time without its fraction: what Kubernetes keeps of times in conditions.
pub fn to_seconds(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cleaned_acts_on_nothing() {
        assert!(matches!(
            clean("No valid host: größe 5 €, 「x」"),
            Cow::Borrowed(_)
        ));
        assert_eq!(
            clean("a\u{1b}[31mb\r\nc\td\u{0}\u{7f}\u{9b}2J"),
            "a [31mb  c d   2J"
        );
        assert_eq!(clean("in\u{202e}vo\u{200b}ice\u{2028}\u{feff}"), "invoice");
    }

    #[test]
    fn a_condition_is_cleaned_and_bounded() {
        let mut all = Vec::new();
        let long = format!("\u{1b}[2J\n{}", "x".repeat(5000));
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        set(
            &mut all,
            kind,
            status,
            Reason::Idle,
            &long,
            None,
            Timestamp::UNIX_EPOCH,
        );
        let message = &get(&all, kind).unwrap().message;
        assert_eq!(message.chars().count(), MAX_MESSAGE);
        assert!(message.starts_with(" [2J x"), "{message}");
    }

    #[test]
    fn the_time_of_a_transition_moves_with_the_status_alone() {
        let (mut all, kind) = (Vec::new(), ConditionType::Ready);
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut say = |status, reason, text, seconds| {
            set(&mut all, kind, status, reason, text, Some(seconds), at(seconds));
            get(&all, kind).unwrap().last_transition_time.0
        };
        assert_eq!(say(ConditionStatus::False, Reason::Creating, "a", 1), at(1));
        assert_eq!(say(ConditionStatus::False, Reason::Starting, "b", 2), at(1));
        assert_eq!(say(ConditionStatus::True, Reason::AsDeclared, "c", 3), at(3));
        assert_eq!(say(ConditionStatus::True, Reason::AsDeclared, "c", 4), at(3));
    }
}
