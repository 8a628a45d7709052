//! The plan of a group while it is being made.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{GroupInput, GroupPlan, Verdict};
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded};
use crate::api::server::{ManagementPolicy, PowerWish};
use crate::api::server_group::{ServerGroupSpec, ServerGroupStatus};
use crate::api::{Reason, Server, keys};
use crate::planner::account::{
    AT_ONCE, HUMAN, SHOWN_AFTER, WRONG_NAME, changed_meanwhile, needs_person, other_than,
};
use crate::planner::draft::{brakes, later, note_failure};
use crate::planner::finish::turned_bad;
use crate::planner::memory::{Memory, Outcome};
use crate::planner::model::{CloudError, ErrorClass, GroupCapabilities, Marks};
use crate::planner::others::keep_words;
use crate::planner::{AccountFacts, EventDraft, Step};

/// The longest part of a name in the cloud that people choose, in characters.
const NAME: usize = 240;

/// The plan while it is being made.
pub(super) struct GroupDraft<'a> {
    pub(super) input: &'a GroupInput<'a>,
    pub(super) spec: &'a ServerGroupSpec,
    pub(super) old: ServerGroupStatus,
    pub(super) status: ServerGroupStatus,
    pub(super) memory: Memory,
    pub(super) step: Step,
    pub(super) events: Vec<EventDraft>,
    pub(super) again_at: Option<Timestamp>,
    pub(super) list_after: Option<Timestamp>,
    pub(super) busy: bool,
    pub(super) lists_groups: bool,
    /// The status before the record of a call that is not made, since this process is leaving.
    pub(super) unopened: Option<ServerGroupStatus>,
}

impl<'a> GroupDraft<'a> {
    pub(super) fn new(input: &'a GroupInput<'a>) -> Self {
        let old = input.group.status.clone().unwrap_or_default();
        let mut memory = input.memory.clone();
        memory.first_seen.get_or_insert(input.now);
        Self {
            input,
            spec: &input.group.spec,
            status: old.clone(),
            old,
            memory,
            step: Step::Wait,
            events: Vec::new(),
            again_at: None,
            list_after: None,
            busy: false,
            lists_groups: true,
            unopened: None,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.input.now
    }

    pub(super) fn uid(&self) -> &'a str {
        self.input.group.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &'a str {
        self.input.group.metadata.name.as_deref().unwrap_or_default()
    }

    /// `namespace/name`.
    pub(super) fn object(&self) -> String {
        let namespace = self.input.group.metadata.namespace.as_deref();
        format!("{}/{}", namespace.unwrap_or_default(), self.name())
    }

    pub(super) fn marks(&self) -> Marks {
        Marks {
            uid: self.uid().to_owned(),
            installation: self.input.installation.to_owned(),
            object: self.object(),
        }
    }

    /// The name in the cloud. Without marks it alone identifies: then the uid is in it.
    pub(super) fn cloud_name(&self, can: &GroupCapabilities) -> String {
        let chosen = self.spec.cloud_name.as_deref().unwrap_or(self.name());
        if can.marks {
            return bounded(chosen, NAME);
        }
        let chosen: String = chosen.chars().take(NAME).collect();
        chosen + &self.suffix()
    }

    /// What belongs to this object alone in a name.
    pub(super) fn suffix(&self) -> String {
        let digest = Sha256::digest(self.uid().as_bytes());
        let hash: String = digest.iter().take(5).map(|b| format!("{b:02x}")).collect();
        format!("-{hash}")
    }

    /// The Servers that name this group and live in its account.
    pub(super) fn members(&self) -> impl Iterator<Item = &'a Server> + use<'a> {
        let (name, config) = (self.name(), &self.spec.provider_config_ref.name);
        let all = self.input.members.iter().map(AsRef::as_ref);
        all.filter(move |s: &&Server| {
            s.spec.group_ref.as_ref().is_some_and(|g| g.name == name)
                && s.spec.provider_config_ref.name == *config
        })
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        let all = self.input.group.metadata.annotations.as_ref()?;
        all.get(key).map(String::as_str)
    }

    pub(super) fn deleting(&self) -> bool {
        self.input.group.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn has_finalizer(&self) -> bool {
        let mut all = self.input.group.metadata.finalizers.iter().flatten();
        all.any(|f| f == keys::GROUP_FINALIZER)
    }

    fn paused(&self) -> bool {
        brakes(self.annotation(keys::PAUSED))
    }

    /// Why nothing may be written to the cloud, if so.
    pub(super) fn gagged(&self, facts: &AccountFacts) -> Option<Reason> {
        if self.spec.management_policy != ManagementPolicy::Full {
            Some(Reason::Observing)
        } else if self.paused() {
            Some(Reason::Paused)
        } else if facts.suspended {
            Some(Reason::Suspended)
        } else {
            None
        }
    }

    /// What is said of a difference that may not be acted on because writes are off.
    pub(super) fn held(&self, reason: Reason, what: &str) -> Verdict {
        if reason == Reason::Observing {
            return Verdict::Ready(reason, format!("{what}; managementPolicy leaves it so"));
        }
        Verdict::Held(reason, format!("{what}; {}", reason.meaning()))
    }

    pub(super) fn after(&self, seconds: i64) -> Timestamp {
        later(self.now(), seconds)
    }

    pub(super) fn again(&mut self, at: Timestamp) {
        self.again_at = Some(self.again_at.map_or(at, |t| t.min(at)));
    }

    pub(super) fn event(&mut self, warning: bool, reason: Reason, action: &'static str, note: &str) {
        self.events.push(EventDraft {
            warning,
            reason,
            action,
            note: bounded(note, 1000),
        });
    }

    /// The outcome of the call with this key, if this process made it.
    pub(super) fn outcome(&self, key: &str) -> Option<&Outcome> {
        self.memory.outcome(key)
    }

    /// Whether any call of this process is still on the wire.
    pub(super) fn in_flight(&self) -> bool {
        self.memory.in_flight()
    }

    /// Records a refusal: its words in status, its class in the backoff.
    pub(super) fn failed(&mut self, error: &CloudError) {
        let (code, now) = (error.code.as_deref(), self.input.now);
        note_failure(&mut self.status.failure, error.class, code, &error.message, now);
        self.delay(error.class, error.retry_after);
    }

    /// Waits before the next try, longer each time.
    pub(super) fn delay(&mut self, class: ErrorClass, retry_after: Option<u32>) {
        let (now, seed) = (self.input.now, self.input.seed);
        self.memory.delay(class, retry_after, now, seed);
    }

    /// Whether the next try must wait; asks to be planned again then.
    pub(super) fn backing_off(&mut self) -> bool {
        let until = self.memory.waits_until(self.now());
        if let Some(until) = until {
            self.again(until);
        }
        until.is_some()
    }

    pub(super) fn recovered(&mut self) {
        self.status.failure = None;
        self.memory.backoff = None;
    }

    /// What is said of the last refusal.
    pub(super) fn refused(&self) -> Option<Verdict> {
        let failure = self.status.failure.as_ref()?;
        let text = format!("{} (tried again by itself)", failure.message);
        let class = ErrorClass::ALL.iter().find(|c| c.as_str() == failure.class);
        Some(match class {
            Some(ErrorClass::Quota) => Verdict::Stalled(Reason::QuotaExceeded, text),
            Some(ErrorClass::InvalidSpec | ErrorClass::Unsupported) => {
                Verdict::Stalled(Reason::InvalidSpec, text)
            }
            Some(ErrorClass::Forbidden) => Verdict::Stalled(Reason::Forbidden, text),
            Some(ErrorClass::RateLimited) => Verdict::Reconciling(Reason::RateLimited, text),
            _ if self.status.id.is_none() => Verdict::Reconciling(Reason::CreateFailed, text),
            _ => Verdict::Reconciling(Reason::Recovering, text),
        })
    }

    /// Whether another process has written the status since the last list was asked for: it may have seen something newer.
    /// To contradict it would begin a quarrel that lasts until one of both lists again. Asks for a newer list then.
    pub(super) fn contradicts(&mut self, facts: &AccountFacts) -> bool {
        let at = self.memory.rewritten_at;
        let contradicts = at.filter(|at| facts.listing.asked_at <= Some(*at));
        self.list_after = contradicts.or(self.list_after);
        contradicts.is_some()
    }

    /// Whether the last list is too old to act on; then asks for another.
    pub(super) fn stale(&mut self, facts: &AccountFacts) -> bool {
        let fresh = crate::planner::present::FRESH;
        let stale = facts
            .listing
            .asked_at
            .is_none_or(|t| later(t, fresh) < self.now());
        if stale {
            self.list_after = Some(self.now());
        }
        stale
    }

    /// A changed spec or a new token forgets what went wrong before; a new power wish is told.
    pub(super) fn acknowledge(&mut self) {
        let generation = self.input.group.metadata.generation;
        let known = self.old.observed_generation.filter(|g| *g >= 0);
        if known.is_some() && known != generation {
            self.status.failure = None;
        }
        if self.memory.generation.is_some() && self.memory.generation != generation {
            self.memory.backoff = None;
        }
        self.memory.generation = generation;
        if let Some(token) = self.annotation(keys::RETRY).map(|t| bounded(t, 128))
            && self.status.last_handled_retry.as_ref() != Some(&token)
        {
            self.status.last_handled_retry = Some(token);
            self.recovered();
        }
        if let Some(token) = self
            .annotation(keys::RECONCILE_REQUESTED_AT)
            .map(|t| bounded(t, 128))
            && self.status.last_handled_reconcile_at.as_ref() != Some(&token)
        {
            self.status.last_handled_reconcile_at = Some(token);
            self.list_after = Some(self.now());
        }
        let wish = self.spec.power_state;
        let most = self.spec.disruption.max_unavailable;
        let count = self.members().count();
        let down = wish.is_some_and(|w| !matches!(w, PowerWish::Running | PowerWish::Unmanaged));
        let told = self.status.power_state.as_deref() == wish.map(PowerWish::as_str);
        if !told && down && i64::try_from(count).unwrap_or(i64::MAX) > i64::from(most) {
            let wish = wish.map_or("", PowerWish::as_str);
            let text = format!(
                "powerState {wish} goes to all {count} members at once: disruption.maxUnavailable ({most}) does not \
                 hold back a power wish"
            );
            self.event(false, Reason::PowerWishExempt, "Power", &text);
        }
        self.status.power_state = wish.map(|w| w.as_str().to_owned());
    }

    /// The account cannot be asked.
    pub(super) fn unusable(
        &mut self,
        reason: Reason,
        message: &str,
        since: Timestamp,
        absorbed: Verdict,
    ) -> Verdict {
        if reason == Reason::Connecting {
            return absorbed;
        }
        self.busy = self.status.operation.is_some() || self.status.create_attempt.is_some();
        let told = self.input.group.metadata.generation == self.old.observed_generation;
        if let Some(until) = self.memory.yields(self.now()).filter(|_| told) {
            self.again(until);
            return absorbed;
        }
        if self.deleting() {
            let text = format!("the group in the cloud is left until the account can be asked: {message}");
            self.condition(
                ConditionType::DeletionBlocked,
                ConditionStatus::True,
                reason,
                &text,
            );
            return Verdict::Unknown(reason, text);
        }
        let config = &self.spec.provider_config_ref.name;
        let mut text = match reason {
            // Its words name it.
            Reason::ProviderConfigNotFound => message.to_owned(),
            _ => format!("ProviderConfig {config}: {message}"),
        };
        if needs_person(reason) {
            text = format!("{}. {}", text.trim_end_matches('.'), reason.advice());
        }
        let unborn = self.status.id.is_none() && self.status.create_attempt.is_none();
        if unborn && reason == Reason::ProviderConfigNotFound {
            text += WRONG_NAME;
            // Applied together, the two may come in any order.
            let late = later(since, SHOWN_AFTER);
            let stalled = conditions::get(&self.old.conditions, ConditionType::Stalled);
            let said = stalled.is_some_and(|c| c.status == "True" && c.reason == reason.as_str());
            if self.now() < late && !said {
                self.again(late);
                return Verdict::Reconciling(reason, text);
            }
            return Verdict::Stalled(reason, text);
        }
        if conditions::get(&self.old.conditions, ConditionType::Ready).is_none() {
            return if HUMAN.contains(&reason) {
                Verdict::Stalled(reason, text)
            } else {
                Verdict::Reconciling(reason, text)
            };
        }
        let grace = if AT_ONCE.contains(&reason) { 0 } else { SHOWN_AFTER };
        let shown_at = later(since, grace);
        if self.now() < shown_at {
            self.again(shown_at);
            if self.input.group.metadata.generation == self.old.observed_generation {
                return absorbed;
            }
            return changed_meanwhile(&text);
        }
        Verdict::Unknown(reason, text)
    }

    /// Whether the credentials now speak for another account than the one that the group was made in.
    pub(super) fn another_account(&mut self, facts: &AccountFacts) -> Option<Verdict> {
        let made_in = other_than(&mut self.status.account, &facts.account)?;
        let text = format!(
            "the group was made in account {made_in}, and ProviderConfig {} now speaks for account {}: put the old \
             credentials back",
            self.spec.provider_config_ref.name, facts.account
        );
        let reason = Reason::AccountChanged;
        if self.deleting() {
            self.condition(
                ConditionType::DeletionBlocked,
                ConditionStatus::True,
                reason,
                &text,
            );
        }
        Some(Verdict::Stalled(reason, text))
    }

    /// Says that writes are switched off, while they are.
    pub(super) fn show_pause(&mut self, facts: &AccountFacts) {
        match self.gagged(facts).filter(|r| *r != Reason::Observing) {
            Some(reason) => {
                let text = reason.meaning();
                self.condition(ConditionType::Paused, ConditionStatus::True, reason, text);
            }
            None => conditions::remove(&mut self.status.conditions, ConditionType::Paused),
        }
    }

    pub(super) fn condition(
        &mut self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        text: &str,
    ) {
        let generation = self.input.group.metadata.generation;
        let all = &mut self.status.conditions;
        conditions::set(all, kind, status, reason, text, generation, self.input.now);
    }

    /// Finishes: writes the verdict into the conditions.
    pub(super) fn finish(mut self, verdict: Verdict) -> GroupPlan {
        use ConditionStatus::{False, True, Unknown};
        let said = match verdict {
            Verdict::Ready(r, m) => Some((True, False, False, r, m)),
            Verdict::Reconciling(r, m) => Some((False, True, False, r, m)),
            Verdict::Stalled(r, m) => Some((False, False, True, r, m)),
            Verdict::Held(r, m) => Some((False, False, False, r, m)),
            Verdict::Unknown(r, m) if needs_person(r) => Some((Unknown, False, True, r, m)),
            Verdict::Unknown(r, m) => Some((Unknown, False, False, r, m)),
            Verdict::Keep => None,
        };
        if let Some((ready, reconciling, stalled, reason, message)) = said {
            self.status.observed_generation = self.input.group.metadata.generation;
            let (idle, calm) = (Reason::Idle, Reason::NotStalled);
            let of = |holds: ConditionStatus, other: Reason| match holds {
                True => (reason, message.clone()),
                _ => (other, other.meaning().to_owned()),
            };
            let (r, m) = of(reconciling, idle);
            let (s, n) = of(stalled, calm);
            self.condition(ConditionType::Ready, ready, reason, &message);
            self.condition(ConditionType::Reconciling, reconciling, r, &m);
            self.condition(ConditionType::Stalled, stalled, s, &n);
        }
        if let Some(until) = self.memory.yields(self.now())
            && keep_words(&self.old.conditions, &mut self.status.conditions)
        {
            self.again(until);
        }
        for (reason, action, note) in turned_bad(&self.old.conditions, &self.status.conditions) {
            let said = self.events.iter().any(|e| e.warning && e.reason == reason);
            if !said {
                self.event(true, reason, action, &note);
            }
        }
        if let Some(status) = self.unopened.take() {
            (self.status, self.step) = (status, Step::Wait);
        }
        GroupPlan {
            status: self.status,
            memory: self.memory,
            step: self.step,
            events: self.events,
            again_at: self.again_at,
            list_after: self.list_after,
            busy: self.busy,
            lists_groups: self.lists_groups,
        }
    }
}
