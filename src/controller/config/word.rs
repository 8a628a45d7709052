//! Whose word stands on a ProviderConfig where two processes see its account differently. Pure.
//!
//! A lease keeps that to moments, but not every installation has one, and who lost it may not have noticed. Each of them would put
//! its own word back as soon as it reads the other's, as fast as the API server takes it. So what another process said
//! stands for a while, and is contradicted only by who has still seen something else then: conditions turn once in
//! [`STANDS`] seconds at most. Nobody waits to change its own word, or to speak of a spec that nobody has spoken of yet.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::conditions::{self, ConditionType};
use crate::api::{ProviderConfig, ProviderConfigStatus, Reason};
use crate::planner::{STANDS, later};

/// What this process and others have said of one account.
#[derive(Debug, Default)]
pub(super) struct Word {
    /// What this process said last.
    own: Option<Vec<Condition>>,
    /// What it tried to say since, and does not know to have said.
    tried: Option<Vec<Condition>>,
    /// What another one said, and since when.
    others: Option<(Vec<Condition>, Timestamp)>,
}

impl Word {
    /// Takes out of `planned` what contradicts another process too soon; when it may be said.
    pub(super) fn hold(
        &mut self,
        config: &ProviderConfig,
        planned: &mut ProviderConfigStatus,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let recorded = config.status.as_ref()?;
        let said = &recorded.conditions;
        if [&self.own, &self.tried]
            .into_iter()
            .flatten()
            .any(|own| own == said)
        {
            self.others = None;
            return None;
        }
        let since = match &self.others {
            Some((others, since)) if others == said => *since,
            others => {
                // What stood there when this process began was said when it says so.
                let before = self.own.is_none() && self.tried.is_none() && others.is_none();
                let turned = said.iter().map(|c| c.last_transition_time.0).max();
                let since = turned.filter(|_| before).map_or(now, |t| t.min(now));
                self.others = Some((said.clone(), since));
                since
            }
        };
        let due = later(since, STANDS);
        // Who only begins has seen nothing yet.
        let begins = conditions::get(said, ConditionType::Ready)
            .is_none_or(|ready| ready.reason == Reason::Connecting.as_str());
        let unspoken = begins || recorded.observed_generation != config.metadata.generation;
        if unspoken || planned.conditions == *said || due <= now {
            return None;
        }
        planned.conditions.clone_from(said);
        Some(due)
    }

    /// This is about to be written. Counts may be written beside the word of another one, which is not taken over by that.
    pub(super) fn tries(&mut self, status: &ProviderConfigStatus) {
        let others = self.others.as_ref().map(|(said, _)| said);
        self.tried = Some(&status.conditions).filter(|c| Some(*c) != others).cloned();
    }

    /// What was tried last was written.
    pub(super) fn said(&mut self) {
        self.own = self.tried.take().or(self.own.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::ConditionStatus;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What stands on the API server, and what two processes make of it.
    struct Two {
        config: ProviderConfig,
        words: [Word; 2],
        turns: usize,
    }

    impl Two {
        fn new() -> Self {
            let config = json!({
                "apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig",
                "metadata": {"name": "p", "generation": 1},
                "spec": {"openstack": {"cloud": "demo", "secretRef": {"name": "s"}}}
            });
            Self {
                config: serde_json::from_value(config).unwrap(),
                words: [Word::default(), Word::default()],
                turns: 0,
            }
        }

        fn ready(&self) -> Option<bool> {
            let all = &self.config.status.as_ref()?.conditions;
            Some(conditions::get(all, ConditionType::Ready)?.status == "True")
        }

        /// One of them has this to say; when it may, if it may not yet. `answered`: whether it hears that it was written.
        fn says(&mut self, who: usize, valid: bool, now: i64, answered: bool) -> Option<i64> {
            let mut planned = self.config.status.clone().unwrap_or_default();
            planned.observed_generation = self.config.metadata.generation;
            let (status, reason) = if valid {
                (ConditionStatus::True, Reason::Reachable)
            } else {
                (ConditionStatus::False, Reason::CredentialsInvalid)
            };
            let all = &mut planned.conditions;
            let kind = ConditionType::Ready;
            conditions::set(all, kind, status, reason, reason.meaning(), None, at(now));
            let due = self.words[who].hold(&self.config, &mut planned, at(now));
            if self.config.status.as_ref() != Some(&planned) {
                let before = self.ready();
                self.words[who].tries(&planned);
                self.config.status = Some(planned);
                self.turns += usize::from(self.ready() != before);
                if answered {
                    self.words[who].said();
                }
            }
            due.map(Timestamp::as_second)
        }
    }

    #[test]
    fn its_own_word_is_changed_at_once_also_where_the_answer_to_the_write_was_lost() {
        for answered in [true, false] {
            let mut alone = Two::new();
            for (now, valid) in [(0, true), (1, false), (2, true)] {
                assert_eq!(alone.says(0, valid, now, answered), None);
                assert_eq!(alone.ready(), Some(valid), "at {now}");
            }
        }
    }

    #[test]
    fn two_that_see_different_things_turn_a_condition_once_in_a_while() {
        let mut two = Two::new();
        for now in 0..=300 {
            two.says(0, true, now, true);
            two.says(1, false, now, true);
        }
        // Each hears of the other one's word a second later.
        assert_eq!(two.turns, 300 / (STANDS as usize + 1) + 1);
    }

    #[test]
    fn what_another_one_said_stands_for_a_while_and_is_then_contradicted() {
        let mut two = Two::new();
        two.says(0, true, 0, true);
        assert_eq!(two.says(1, false, 10, true), Some(STANDS));
        assert_eq!(two.says(1, false, STANDS - 1, true), Some(STANDS));
        assert_eq!(two.ready(), Some(true));
        assert_eq!(two.says(1, false, STANDS, true), None);
        assert_eq!(two.ready(), Some(false));
        assert_eq!(two.says(0, true, STANDS + 1, true), Some(2 * STANDS + 1));
        assert_eq!(two.says(1, true, STANDS + 2, true), None, "its own word");
        assert_eq!(two.ready(), Some(true));
    }

    #[test]
    fn counts_beside_the_word_of_another_one_do_not_make_it_ones_own() {
        let mut two = Two::new();
        two.says(0, true, 0, true);
        two.says(1, false, 10, true);
        let stands = two.config.status.clone().unwrap();
        two.words[1].tries(&stands);
        two.words[1].said();
        assert_eq!(two.says(1, false, 11, true), Some(STANDS));
    }

    #[test]
    fn that_another_one_begins_is_no_word() {
        let mut two = Two::new();
        two.says(0, true, 0, true);
        let status = two.config.status.as_mut().unwrap();
        Reason::Connecting
            .as_str()
            .clone_into(&mut status.conditions[0].reason);
        assert_eq!(two.says(1, false, 1, true), None);
        assert_eq!(two.ready(), Some(false));
    }

    #[test]
    fn who_begins_says_at_once_what_contradicts_an_old_word_or_one_of_another_spec() {
        let mut two = Two::new();
        two.says(0, false, 0, true);
        assert_eq!(two.says(1, true, 1000, true), None, "said long ago");
        assert_eq!(two.ready(), Some(true));

        let mut two = Two::new();
        two.says(0, false, 0, true);
        two.config.metadata.generation = Some(2);
        assert_eq!(two.says(1, true, 1, true), None);
        assert_eq!(two.ready(), Some(true), "nobody had spoken of this spec");
    }
}
