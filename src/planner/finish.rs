//! The end of a plan: its verdict, written into the conditions, and what turned bad, told once.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::draft::{Draft, Verdict};
use super::model::ServerState;
use super::others::keep_words;
use super::{Plan, Step, Takes, account};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionStatus, ConditionType};

/// What is compared only while the server can be judged.
const COMPARED: &[ConditionType] = &[
    ConditionType::PowerSynced,
    ConditionType::SizeSynced,
    ConditionType::SettingsSynced,
];

/// Conditions that are told as an event when they turn true, and its action.
const TOLD: &[(ConditionType, &str)] = &[
    (ConditionType::DeletionBlocked, "Delete"),
    (ConditionType::Stalled, "Reconcile"),
];

/// How much a verdict says against a server: of several the one that says the most is told.
const fn gravity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Keep => 0,
        Verdict::Ready(..) => 1,
        Verdict::Reconciling(..) => 2,
        Verdict::Held(..) => 3,
        Verdict::Unknown(..) => 4,
        Verdict::Stalled(..) => 5,
    }
}

impl Draft<'_> {
    /// What a size, an image, a setting has to say when power has nothing. Of two that weigh the same the first is kept.
    pub(super) fn aside(&mut self, verdict: Verdict) {
        let known = self.size_verdict.as_ref().map_or(0, gravity);
        if gravity(&verdict) > known {
            self.size_verdict = Some(verdict);
        }
    }

    /// Finishes: writes the verdict into the conditions.
    pub(super) fn finish(mut self, verdict: Verdict) -> Plan {
        use ConditionStatus::{False, True, Unknown};
        let nothing = (Reason::NotStalled, Reason::NotStalled.meaning().to_owned());
        let (ready, reconciling, stalled, reason, message) = match verdict {
            Verdict::Ready(r, m) => (True, False, False, r, m),
            Verdict::Reconciling(r, m) => (False, True, False, r, m),
            Verdict::Stalled(r, m) => (False, False, True, r, m),
            Verdict::Held(r, m) => (False, False, False, r, m),
            Verdict::Unknown(r, m) if account::needs_person(r) => (Unknown, False, True, r, m),
            Verdict::Unknown(r, m) => (Unknown, False, False, r, m),
            Verdict::Keep => return self.into_plan(),
        };
        self.status.observed_generation = self.input.server.metadata.generation;
        let drifts = std::mem::take(&mut self.drifts);
        match drifts.first().map(|(reason, _)| *reason) {
            // The first one gives the reason; none is kept back.
            Some(r) => {
                let mut all: Vec<String> = drifts.into_iter().map(|(_, text)| text).collect();
                all.dedup();
                self.condition(ConditionType::DriftDetected, True, r, &all.join("; "));
            }
            None if self.compared && self.was(ConditionType::DriftDetected).is_some() => {
                let none = Reason::NoDrift;
                self.condition(ConditionType::DriftDetected, False, none, none.meaning());
            }
            None => {}
        }
        let message = if message.is_empty() {
            reason.meaning().to_owned()
        } else {
            message
        };
        let held = ready == False && reconciling == False;
        // A server that may be gone is asked for by its id.
        let unknown = ready == Unknown || (reconciling == True && reason == Reason::Missing);
        if unknown || held || self.broken || self.deleting() {
            self.cloud_over(reason, &message, unknown);
        }
        self.condition(ConditionType::Ready, ready, reason, &message);
        let (r, m) = if reconciling == True {
            (reason, message.as_str())
        } else {
            (Reason::Idle, Reason::Idle.meaning())
        };
        self.condition(ConditionType::Reconciling, reconciling, r, m);
        // What is held on purpose waits for whoever turned the switch: its reason is given.
        let (r, m) = if stalled == True || held {
            (reason, message)
        } else {
            nothing
        };
        self.condition(ConditionType::Stalled, stalled, r, &m);
        self.tell();
        self.into_plan()
    }

    /// What was as declared when it was compared last, and was not compared now, is not known; what differed then
    /// still counts as different. Both with the reason why nobody compares.
    fn cloud_over(&mut self, reason: Reason, message: &str, unknown: bool) {
        let observed = self.status.power.as_ref().and_then(|p| p.observed.as_deref());
        let gone = self.broken || observed == Some(ServerState::Absent.as_str());
        for kind in COMPARED.iter().copied() {
            let said = self.said.contains(&kind);
            let status = match conditions::get(&self.status.conditions, kind) {
                None => continue,
                // Of what is broken or gone nothing is as declared, whatever an operation has to say of one aspect.
                Some(c) if said && !(gone && c.status == ConditionStatus::True.as_str()) => continue,
                // An operation that is refused says nothing of the settings.
                Some(_) if kind == ConditionType::SettingsSynced && !gone && !unknown => continue,
                Some(c) if c.status == ConditionStatus::False.as_str() => ConditionStatus::False,
                Some(_) => ConditionStatus::Unknown,
            };
            self.condition(kind, status, reason, message);
        }
    }

    /// One warning for what needs a person from now on; none beside an event that says it already.
    fn tell(&mut self) {
        for (reason, action, note) in turned_bad(&self.old.conditions, &self.status.conditions) {
            let said = self.events.iter().any(|e| e.warning && e.reason == reason);
            if !said {
                self.event(true, reason, action, note);
            }
        }
    }

    fn into_plan(mut self) -> Plan {
        if let Some(until) = self.memory.yields(self.now())
            && keep_words(&self.old.conditions, &mut self.status.conditions)
        {
            self.again(until);
        }
        if let Some((status, told)) = self.unopened.take() {
            self.status = status;
            self.events.truncate(told);
            (self.step, self.takes) = (Step::Wait, Takes::default());
        }
        Plan {
            status: self.status,
            memory: self.memory,
            step: self.step,
            events: self.events,
            again_at: self.again_at,
            list_after: self.list_after,
            busy: self.busy,
            takes: self.takes,
            awaits_quota: self.awaits_quota,
        }
    }
}

/// What needs a person from now on, and did not before for the same reason: the reason, the action, the words.
pub(super) fn turned_bad(old: &[Condition], new: &[Condition]) -> Vec<(Reason, &'static str, String)> {
    let holds = |all: &[Condition], kind| {
        conditions::get(all, kind)
            .filter(|c| c.status == ConditionStatus::True.as_str())
            .cloned()
    };
    let turned = |(kind, action): &(ConditionType, &'static str)| {
        let now = holds(new, *kind)?;
        let before = holds(old, *kind).is_some_and(|c| c.reason == now.reason);
        let reason = Reason::ALL.iter().find(|r| r.as_str() == now.reason)?;
        (!before).then_some((*reason, *action, now.message))
    };
    TOLD.iter().filter_map(turned).collect()
}
