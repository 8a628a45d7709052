//! The plan while it is being made: the status to write, beside the status that was read.

use jiff::{SignedDuration, Timestamp};

use super::memory::{Memory, Outcome};
use super::model::{CloudCall, ErrorClass, ObservedServer, Operate, ServerState};
use super::{AccountFacts, EventDraft, Input, Step, Takes, details, power};
use crate::api::conditions::{self, ConditionStatus, ConditionType, bounded};
use crate::api::server::{ManagementPolicy, PowerWish, ServerSpec};
use crate::api::server_status::{Failure, Operation, OperationKind, PowerStatus};
use crate::api::{Reason, ServerStatus, keys};

/// Seconds after which a Secret that was refused is read again at the latest.
pub(super) const SECRET_WAIT: i64 = 60;
/// What is said of a refusal that is not waited out by a person.
const BY_ITSELF: &str = "(tried again by itself)";

/// What is said about the whole object. `Keep` says nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As declared, as far as policy allows.
    Ready(Reason, String),
    /// Under way.
    Reconciling(Reason, String),
    /// A person is needed.
    Stalled(Reason, String),
    /// Different, and held so by a switch that somebody turned on purpose.
    Held(Reason, String),
    /// Nobody can say.
    Unknown(Reason, String),
    /// The conditions stay as they are.
    Keep,
}

impl Verdict {
    /// Its reason and its words, where it has some.
    pub(super) fn words(&self) -> Option<(Reason, String)> {
        match self {
            Self::Ready(r, m)
            | Self::Reconciling(r, m)
            | Self::Stalled(r, m)
            | Self::Held(r, m)
            | Self::Unknown(r, m) => Some((*r, m.clone())),
            Self::Keep => None,
        }
    }
}

/// The plan while it is being made.
pub(super) struct Draft<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) spec: &'a ServerSpec,
    pub(super) old: ServerStatus,
    pub(super) status: ServerStatus,
    pub(super) memory: Memory,
    pub(super) step: Step,
    pub(super) events: Vec<EventDraft>,
    pub(super) again_at: Option<Timestamp>,
    pub(super) list_after: Option<Timestamp>,
    pub(super) busy: bool,
    pub(super) takes: Takes,
    pub(super) awaits_quota: bool,
    /// What was changed from outside, in the order of finding.
    pub(super) drifts: Vec<(Reason, String)>,
    /// Whether everything was compared, so that no finding means no drift.
    pub(super) compared: bool,
    /// What the size has to say when power has nothing.
    pub(super) size_verdict: Option<Verdict>,
    /// Whether the server is in a state in which nothing can be compared.
    pub(super) broken: bool,
    /// The conditions that this plan has spoken of.
    pub(super) said: Vec<ConditionType>,
    /// The status before the record of a call that is not made, since this process is leaving; and so many events.
    pub(super) unopened: Option<(ServerStatus, usize)>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let old = input.server.status.clone().unwrap_or_default();
        let mut memory = input.memory.clone();
        memory.first_seen.get_or_insert(input.now);
        Self {
            input,
            spec: &input.server.spec,
            status: old.clone(),
            old,
            memory,
            step: Step::Wait,
            events: Vec::new(),
            again_at: None,
            list_after: None,
            busy: false,
            takes: Takes::default(),
            awaits_quota: false,
            drifts: Vec::new(),
            compared: false,
            size_verdict: None,
            broken: false,
            said: Vec::new(),
            unopened: None,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.input.now
    }

    pub(super) fn uid(&self) -> &'a str {
        self.input.server.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `namespace/name`.
    pub(super) fn object(&self) -> String {
        let meta = &self.input.server.metadata;
        format!(
            "{}/{}",
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        )
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.input
            .server
            .metadata
            .annotations
            .as_ref()?
            .get(key)
            .map(String::as_str)
    }

    pub(super) fn deleting(&self) -> bool {
        self.input.server.metadata.deletion_timestamp.is_some()
    }

    pub(super) fn has_finalizer(&self) -> bool {
        self.input
            .server
            .metadata
            .finalizers
            .iter()
            .flatten()
            .any(|f| f == keys::FINALIZER)
    }

    /// Whether the annotation stops all writes.
    pub(super) fn paused(&self) -> bool {
        brakes(self.annotation(keys::PAUSED))
    }

    /// Why nothing may be written to the cloud, if so.
    pub(super) fn gagged(&self, facts: &AccountFacts) -> Option<Reason> {
        if self.spec.management_policy == ManagementPolicy::Observe {
            Some(Reason::Observing)
        } else if self.paused() {
            Some(Reason::Paused)
        } else if facts.suspended {
            Some(Reason::Suspended)
        } else {
            None
        }
    }

    /// The time in so many seconds.
    pub(super) fn after(&self, seconds: i64) -> Timestamp {
        later(self.now(), seconds)
    }

    pub(super) fn again(&mut self, at: Timestamp) {
        self.again_at = Some(self.again_at.map_or(at, |t| t.min(at)));
    }

    pub(super) fn event(
        &mut self,
        warning: bool,
        reason: Reason,
        action: &'static str,
        note: impl Into<String>,
    ) {
        self.events.push(EventDraft {
            warning,
            reason,
            action,
            note: bounded(&note.into(), 1000),
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
    pub(super) fn failed(
        &mut self,
        class: ErrorClass,
        code: Option<&str>,
        message: &str,
        retry_after: Option<u32>,
    ) {
        note_failure(&mut self.status.failure, class, code, message, self.input.now);
        self.delay(class, retry_after);
        if code == Some(Reason::SecretRefused.as_str())
            && let Some(backoff) = &mut self.memory.backoff
        {
            // Nobody says when a Secret is corrected, and it costs the cloud nothing to read it again.
            backoff.until = backoff.until.min(later(self.input.now, SECRET_WAIT));
        }
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

    /// When a refusal is tried again, in words that stay the same until it is.
    pub(super) fn next_try(&self) -> String {
        self.memory.backoff.as_ref().map_or_else(
            || BY_ITSELF.to_owned(),
            |b| format!("(tried again by itself at {})", conditions::to_seconds(b.until)),
        )
    }

    /// The same for what needs a person: words that stay the same for as long as nobody does anything.
    pub(super) fn stalled(reason: Reason, words: &str) -> Verdict {
        Verdict::Stalled(reason, format!("{words} {BY_ITSELF}"))
    }

    /// Everything went well: forgets the refusal.
    pub(super) fn recovered(&mut self) {
        self.status.failure = None;
        self.memory.backoff = None;
    }

    /// Keeps the status as it is before the record of a call, where no call is made any more.
    pub(super) fn before_call(&mut self) {
        if self.input.leaving {
            self.unopened = Some((self.status.clone(), self.events.len()));
        }
    }

    /// Opens an operation: its record, and the call that follows it.
    pub(super) fn operate(
        &mut self,
        id: &str,
        kind: OperationKind,
        how: Operate,
        seconds: i64,
        argument: Option<String>,
    ) {
        self.before_call();
        let previous = self
            .status
            .operation
            .take()
            .filter(|o| o.kind == kind && o.argument == argument);
        let attempt = previous.as_ref().map_or(1, |o| o.attempt.saturating_add(1));
        let operation = Operation {
            id: previous.as_ref().map_or_else(
                || {
                    format!(
                        "{}-{:x}",
                        kind.as_str().to_lowercase(),
                        self.now().as_millisecond()
                    )
                },
                |o| o.id.clone(),
            ),
            kind,
            started_at: conditions::to_seconds(self.now()),
            escalate_at: previous.as_ref().and_then(|o| o.escalate_at),
            deadline: previous
                .as_ref()
                .map_or_else(|| conditions::to_seconds(self.after(seconds)), |o| o.deadline),
            attempt,
            restore_to: previous.as_ref().and_then(|o| o.restore_to.clone()),
            argument,
            action_uid: None,
            accepted_at: None,
            request_id: None,
        };
        let key = key_of(&operation);
        self.status.operation = Some(operation);
        self.memory.sent = None;
        self.takes.disruption |= kind.disrupts();
        self.busy = true;
        self.step = Step::Call {
            key,
            call: CloudCall::Operate {
                id: id.to_owned(),
                kind,
                how,
            },
        };
    }

    /// Writes what the cloud reports, but not each flicker of a transition.
    pub(super) fn show(&mut self, seen: &ObservedServer) {
        let word = seen.state.as_str();
        let power = self.status.power.get_or_insert_with(PowerStatus::default);
        if power.observed.as_deref() != Some(word) {
            power.observed = Some(word.to_owned());
            power.last_transition_time = Some(conditions::to_seconds(self.input.now));
            power.raw = Some(bounded(&seen.raw, 256));
        } else if !seen.busy && !seen.state.is_transitional() {
            power.raw = Some(bounded(&seen.raw, 256));
        }
        if seen.busy || seen.state.is_transitional() {
            return;
        }
        if matches!(seen.state, ServerState::Running | ServerState::Stopped) {
            let now = conditions::to_seconds(self.input.now);
            power.first_settled_time.get_or_insert(now);
        }
        self.status.provider_id = Some(seen.provider_id.clone());
        self.status.size = seen
            .size
            .name
            .clone()
            .or_else(|| seen.size.id.clone())
            .or_else(|| Some(format!("{}x{}", seen.size.cores?, seen.size.memory_mib?)));
        details::write(&mut self.status, seen);
    }

    /// Writes the effective power wish and where it comes from.
    pub(super) fn show_wish(&mut self) -> PowerWish {
        let (wish, _) = power::wish(self);
        let (name, from) = power::declared(self);
        let power = self.status.power.get_or_insert_with(PowerStatus::default);
        let new = power::changes(power, name);
        power.desired = Some(name.to_owned());
        power.desired_from = Some(from.to_owned());
        if new && self.was(ConditionType::PowerSynced).is_some() {
            // That the old wish was fulfilled says nothing of the new one.
            let text = format!("{name} is declared now and was not compared yet");
            let waits = Reason::WaitingForObservation;
            self.condition(ConditionType::PowerSynced, ConditionStatus::False, waits, &text);
            self.said.clear();
        }
        wish
    }

    pub(super) fn condition(
        &mut self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: &str,
    ) {
        let generation = self.input.server.metadata.generation;
        self.said.push(kind);
        conditions::set(
            &mut self.status.conditions,
            kind,
            status,
            reason,
            message,
            generation,
            self.input.now,
        );
    }

    /// Whether a condition was `True` in the status that was read.
    pub(super) fn was(&self, kind: ConditionType) -> Option<ConditionStatus> {
        let condition = conditions::get(&self.old.conditions, kind)?;
        ConditionStatus::ALL
            .iter()
            .copied()
            .find(|s| s.as_str() == condition.status)
    }
}

/// Writes a refusal down. The same words again are the same failure.
pub(super) fn note_failure(
    known: &mut Option<Failure>,
    class: ErrorClass,
    code: Option<&str>,
    message: &str,
    now: Timestamp,
) {
    let message = bounded(message, conditions::MAX_MESSAGE - 100);
    let same = |f: &Failure| f.class == class.as_str() && f.message == message;
    if !known.as_ref().is_some_and(same) {
        *known = Some(Failure {
            class: class.as_str().to_owned(),
            code: code.map(|c| bounded(c, 64)),
            message,
            first_at: conditions::to_seconds(now),
        });
    }
}

/// Whether an annotation stops all writes. A brake fails safe: only its absence and `false` let it go.
pub(super) fn brakes(annotation: Option<&str>) -> bool {
    annotation.is_some_and(|v| v != "false")
}

/// Names one request of an operation.
pub(super) fn key_of(operation: &Operation) -> String {
    format!("{}#{}", operation.id, operation.attempt)
}

/// A time so many seconds later; the end of time where there is none.
pub(crate) fn later(t: Timestamp, seconds: i64) -> Timestamp {
    t.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// How a state is spoken of in a sentence.
pub(super) fn words(seen: &ObservedServer) -> String {
    match seen.state {
        ServerState::Unknown => format!("{:?}", seen.raw),
        state => format!("{state} ({})", seen.raw),
    }
}

/// What is said of an operation of which nothing came, in the cloud's words where it has some.
pub(super) fn without_effect(kind: OperationKind, seen: &ObservedServer) -> String {
    match seen.failure_of(kind) {
        Some(fault) => format!("{kind} failed in the cloud: {fault}"),
        None => format!(
            "the cloud ended {kind} without effect; it still reports {}",
            words(seen)
        ),
    }
}
