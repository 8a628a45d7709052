//! The create protocol: a server is asked for once, by the process whose record was accepted, and an answer
//! that was lost is waited out and looked for. Never by name.

use std::sync::Arc;

use jiff::Timestamp;

use super::bugs::{self, Bug};
use super::draft::{Draft, Verdict, later};
use super::memory::{AttemptWatch, Outcome};
use super::model::{CloudCall, CreateRequest, ErrorClass, Marks, ServerState};
use super::{AccountFacts, Step, account, credentials, group, power, present, quota, settings, twins};
use crate::api::conditions::to_seconds;
use crate::api::server::{ManagementPolicy, OnCreateError};
use crate::api::server_status::{CreateAttempt, ImageStatus, OperationKind, PowerStatus, RestartStatus};
use crate::api::{Reason, keys};

/// Seconds between the two looks that close an attempt whose answer was lost.
pub(super) const BETWEEN_LOOKS: i64 = 5;
/// Seconds that an object waits for its turn before its status says so.
const QUIET_TURN: i64 = 30;

/// Takes in what became of this process's create call. The id is saved before anything else is decided.
pub(super) fn absorb(d: &mut Draft<'_>) -> Verdict {
    let Some(attempt) = d.status.create_attempt.clone() else {
        return Verdict::Keep;
    };
    if attempt.holder != d.input.process {
        return Verdict::Keep;
    }
    match d.outcome(&key(attempt.n)).cloned() {
        Some(Outcome::Accepted(_, accepted)) => {
            let Some(id) = accepted.id else {
                return Verdict::Keep;
            };
            record(d, &id);
            let power = d.status.power.get_or_insert_with(PowerStatus::default);
            power.observed = Some(ServerState::Provisioning.as_str().to_owned());
            power.last_transition_time = Some(to_seconds(d.input.now));
            d.status.failure = None;
            // A cloud without room accepts, and fails later: the next wait is the longer one all the same.
            d.memory.backoff = d
                .memory
                .backoff
                .take()
                .filter(|b| b.class == ErrorClass::Capacity);
            d.event(
                false,
                Reason::Created,
                "Create",
                format!("created server {id}, attempt {}", attempt.n),
            );
            creating(d)
        }
        Some(Outcome::Refused(_, error)) if error.maybe_applied && !bugs::has(Bug::RetryTheCreate) => {
            d.failed(ErrorClass::Ambiguous, error.code.as_deref(), &error.message, None);
            d.memory.sent = None;
            Verdict::Keep
        }
        Some(Outcome::Refused(_, error)) => {
            d.status.create_attempt = None;
            d.memory.sent = None;
            d.failed(
                error.class,
                error.code.as_deref(),
                &error.message,
                error.retry_after,
            );
            // However often it is tried, it is told once.
            if d.status.failure != d.old.failure {
                let note = format!("attempt {}: {}", attempt.n, error.message);
                d.event(true, Reason::Refused, "Create", note);
            }
            refused(d)
        }
        Some(Outcome::InFlight) | None => Verdict::Keep,
    }
}

/// Writes down a server as ours.
pub(super) fn record(d: &mut Draft<'_>, id: &str) {
    d.status.id = Some(id.to_owned());
    d.status.create_attempt = None;
    // The attempt wrote down what it was made from; the wish may be another by now.
    if d.import().is_some() || d.status.create_attempts.is_none() {
        record_wish(d);
    }
}

/// Writes down what a server is made from, or what is wished for at first sight.
fn record_wish(d: &mut Draft<'_>) {
    let image = d.spec.image.as_ref().map(|i| i.text());
    d.status.image = Some(ImageStatus {
        requested: image,
        ..ImageStatus::default()
    });
    d.status.size_requested = d.spec.size.as_ref().map(|s| s.text());
    d.status.restart = Some(RestartStatus {
        token: d
            .spec
            .restart
            .as_ref()
            .map(|r| r.token.clone())
            .unwrap_or_default(),
        outcome: "Recorded".to_owned(),
        at: to_seconds(d.now()),
        message: None,
    });
}

/// Nothing is recorded: find what an earlier attempt made, or make one.
pub(super) fn plan(d: &mut Draft<'_>, facts: &AccountFacts) -> Verdict {
    d.show_wish();
    let mine = d.marked(facts);
    match mine.as_slice() {
        [] => {}
        [one] => {
            let id = one.id.clone();
            record(d, &id);
            d.recovered();
            d.event(
                false,
                Reason::Adopted,
                "Create",
                format!("found server {id} by the mark of this object"),
            );
            credentials::found(d, &id);
            return present::plan(d, facts, &id);
        }
        _ => return twins::ambiguous(&twins::others(d, facts)),
    }
    if let Some(attempt) = d.status.create_attempt.clone()
        && (attempt.holder == d.input.process || !bugs::has(Bug::ForgetTheAttempt))
    {
        return match open_attempt(d, facts, &attempt) {
            Some(verdict) => verdict,
            None => {
                d.again(d.now());
                refused(d)
            }
        };
    }
    let object = d.object();
    let previous: Vec<_> = facts
        .listing
        .of_object(d.input.installation, &object)
        .into_iter()
        .filter(|s| s.state != ServerState::Absent && s.marks.as_ref().is_some_and(|m| m.uid != d.uid()))
        .map(|s| s.id.clone())
        .collect();
    if !previous.is_empty() && d.annotation(keys::CREATE_ANYWAY) != Some(d.uid()) {
        let ids = previous.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        return Verdict::Stalled(
            Reason::PreviousIncarnation,
            format!(
                "an earlier object named {object} made server {ids}: take it over with spec.import.id, or allow a new one \
                 with the annotation {}: {}",
                keys::CREATE_ANYWAY,
                d.uid()
            ),
        );
    }
    ask(d, facts)
}

/// Asks for a server, if nothing speaks against it.
fn ask(d: &mut Draft<'_>, facts: &AccountFacts) -> Verdict {
    if d.spec.management_policy != ManagementPolicy::Full {
        return Verdict::Stalled(
            Reason::InvalidSpec,
            "a server is created only with managementPolicy Full".to_owned(),
        );
    }
    // A cloud that resizes nothing has no sizes: a machine is as large as it is.
    let sizes = facts.capabilities.has(OperationKind::Resize);
    if !sizes && d.spec.size.is_some() {
        let text = "this cloud has no sizes: leave spec.size out".to_owned();
        return Verdict::Stalled(Reason::Unsupported, text);
    }
    if (sizes && d.spec.size.is_none()) || !d.spec.has_source() {
        let text = if sizes {
            "size and image are"
        } else {
            "an image is"
        };
        return Verdict::Stalled(Reason::InvalidSpec, format!("{text} needed to create a server"));
    }
    if let Some(verdict) = power::unsupported(d, facts.capabilities) {
        return verdict;
    }
    if let Some(reason) = d.gagged(facts) {
        return account::held(d, reason, "no server was created yet");
    }
    // Another process has given up an attempt of which this one does not know the end yet.
    if d.in_flight() {
        d.busy = true;
        return quietly(d);
    }
    if held_by_policy(d) {
        return refused(d);
    }
    if d.backing_off() {
        return refused(d);
    }
    // A list that was asked for before the object was first seen without an attempt proves nothing.
    let since = d.memory.first_seen.unwrap_or(d.now());
    if facts.blind() {
        d.again(d.after(30));
        let text = "the cloud's list has a hole in it; nothing is made until it is whole again";
        return Verdict::Reconciling(Reason::WaitingForObservation, text.to_owned());
    }
    if facts.listing.asked_at.is_none_or(|t| t <= since) || stale(d, facts) {
        d.list_after = Some(if stale(d, facts) { d.now() } else { since });
        return quietly(d);
    }
    if let Some(verdict) = quota::turn(d, facts.quota.as_ref()) {
        return verdict;
    }
    if !facts.creates_free {
        d.again(d.after(1));
        return if d.now() < later(since, QUIET_TURN) || d.status.failure.is_some() {
            quietly(d)
        } else {
            Verdict::Reconciling(
                Reason::Creating,
                "waits for its turn: maxCreatesInFlight is reached".to_owned(),
            )
        };
    }
    d.status.group = match group::member::before_create(d, facts) {
        Ok(group) => group,
        Err(verdict) => return verdict,
    };
    d.before_call();
    let n = d.status.create_attempts.unwrap_or(0).saturating_add(1);
    let settle = i64::from(facts.capabilities.create_settle_seconds);
    d.status.create_attempts = Some(n);
    d.status.account = Some(facts.account.clone());
    settings::made(d, facts);
    d.status.create_attempt = Some(CreateAttempt {
        n,
        holder: d.input.process.to_owned(),
        started_at: to_seconds(d.now()),
        deadline: to_seconds(d.after(settle)),
    });
    record_wish(d);
    let meta = &d.input.server.metadata;
    let request = CreateRequest {
        group: d.status.group.as_ref().and_then(|g| g.id.clone()),
        name: d
            .spec
            .cloud_name
            .clone()
            .or_else(|| meta.name.clone())
            .unwrap_or_default(),
        spec: Arc::new(d.spec.clone()),
        marks: marks(d),
        attempt: n,
    };
    d.memory.sent = None;
    d.memory.attempt = None;
    d.step = Step::Call {
        key: key(n),
        call: CloudCall::Create(Box::new(request)),
    };
    d.busy = true;
    d.takes.create = true;
    if d.status.failure.is_some() {
        refused(d)
    } else {
        creating(d)
    }
}

/// A short wait that is not worth a write.
fn quietly(d: &mut Draft<'_>) -> Verdict {
    if d.status.failure.is_some() {
        return refused(d);
    }
    d.status.power = d.old.power.clone();
    Verdict::Keep
}

/// Waits out an attempt whose answer is not known. `None`: it is closed, nothing came of it.
pub(super) fn open_attempt(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    attempt: &CreateAttempt,
) -> Option<Verdict> {
    d.busy = true;
    d.takes.create = true;
    let own = attempt.holder == d.input.process;
    if own && d.in_flight() {
        return Some(if d.status.failure.is_some() {
            refused(d)
        } else {
            creating(d)
        });
    }
    let waiting = || {
        Some(Verdict::Reconciling(
            Reason::WaitingForAttempt,
            format!(
                "attempt {} to create a server had no answer; it is waited out and looked for",
                attempt.n
            ),
        ))
    };
    // Another process's deadline runs on this process's own clock, from when it was first seen here.
    let key = format!("{}@{}", attempt.n, attempt.holder);
    let now = d.now();
    let watch = match d.memory.attempt.take().filter(|w| w.key == key) {
        Some(watch) => watch,
        None => AttemptWatch {
            key,
            first_seen: now,
            first_empty: None,
        },
    };
    let span = attempt
        .deadline
        .as_second()
        .saturating_sub(attempt.started_at.as_second())
        .max(0);
    let expiry = if own {
        later(attempt.deadline, 1)
    } else {
        later(watch.first_seen, span.saturating_add(1))
    };
    // A list with a hole in it proves nothing.
    let asked = facts.listing.asked_at.filter(|_| !facts.blind());
    d.memory.attempt = Some(watch.clone());
    if now < expiry {
        d.again(expiry);
        return waiting();
    }
    let Some(asked) = asked.filter(|t| *t > expiry) else {
        d.list_after = Some(expiry);
        return waiting();
    };
    let enough = bugs::has(Bug::SkipTheSecondLook).then_some(Timestamp::MIN);
    match watch.first_empty.or(enough) {
        None => {
            d.memory.attempt = Some(AttemptWatch {
                first_empty: Some(asked),
                ..watch
            });
            d.again(later(asked, BETWEEN_LOOKS));
            waiting()
        }
        Some(first) if asked >= later(first, BETWEEN_LOOKS) => {
            d.status.create_attempt = None;
            d.memory.attempt = None;
            d.memory.dealt_with();
            d.takes.create = false;
            d.delay(ErrorClass::Transient, None);
            None
        }
        Some(first) => {
            let second = later(first, BETWEEN_LOOKS);
            if now >= second {
                d.list_after = Some(second);
            } else {
                d.again(second);
            }
            waiting()
        }
    }
}

/// What makes our servers findable.
pub(super) fn marks(d: &Draft<'_>) -> Marks {
    Marks {
        uid: d.uid().to_owned(),
        installation: d.input.installation.to_owned(),
        object: d.object(),
    }
}

/// Names the create call of an attempt.
pub(super) fn key(n: i32) -> String {
    format!("create-{n}")
}

pub(super) fn creating(d: &Draft<'_>) -> Verdict {
    let name = d
        .spec
        .cloud_name
        .as_deref()
        .or(d.input.server.metadata.name.as_deref())
        .unwrap_or_default();
    Verdict::Reconciling(Reason::Creating, format!("server {name:?} is being created"))
}

/// Whether the last failure is held by `onCreateError: Hold`.
pub(super) fn held_by_policy(d: &Draft<'_>) -> bool {
    let room = [ErrorClass::Quota.as_str(), ErrorClass::Capacity.as_str()];
    d.spec.on_create_error == OnCreateError::Hold
        && d.status
            .failure
            .as_ref()
            .is_some_and(|f| room.contains(&f.class.as_str()))
}

/// What is said while a creation that failed waits for its next try.
pub(super) fn refused(d: &Draft<'_>) -> Verdict {
    let Some(failure) = &d.status.failure else {
        return creating(d);
    };
    let words = &failure.message;
    if held_by_policy(d) {
        return Verdict::Stalled(
            Reason::CreateHeld,
            format!("{words} (held by onCreateError: Hold)"),
        );
    }
    let again = format!("{words} {}", d.next_try());
    let stalled = |reason| Draft::stalled(reason, words);
    if failure.code.as_deref() == Some(Reason::SecretRefused.as_str()) {
        return stalled(Reason::SecretRefused);
    }
    match ErrorClass::ALL.iter().find(|c| c.as_str() == failure.class) {
        Some(ErrorClass::Quota) => stalled(Reason::QuotaExceeded),
        Some(ErrorClass::InvalidSpec | ErrorClass::Unsupported) => stalled(Reason::InvalidSpec),
        Some(ErrorClass::Forbidden) => stalled(Reason::Forbidden),
        Some(ErrorClass::Capacity) => Verdict::Reconciling(Reason::NoCapacity, again),
        Some(ErrorClass::RateLimited) => Verdict::Reconciling(Reason::RateLimited, again),
        _ => Verdict::Reconciling(Reason::CreateFailed, again),
    }
}

/// Whether the last list is too old to act on.
pub(super) fn stale(d: &Draft<'_>, facts: &AccountFacts) -> bool {
    facts
        .listing
        .asked_at
        .is_none_or(|t| later(t, super::present::FRESH) < d.now())
}
