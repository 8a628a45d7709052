//! A call that the cloud refused: whether it is tried again, by whom, and what is said until then.

use jiff::Timestamp;

use super::draft::{Draft, Verdict, later};
use super::model::{CloudError, ErrorClass, HALF_DONE, ObservedServer};
use super::operation::{Progress, close, judge, lost_after, overdue, saying};
use super::{AccountFacts, lock, rebuild, rescue, resize, restart, settings, transitions};
use crate::api::Reason;
use crate::api::server_status::{Operation, OperationKind};

/// Refusals that speak of the server, not of the account or of the way there.
const NOT_TAKEN: &[ErrorClass] = &[
    ErrorClass::Busy,
    ErrorClass::NotFound,
    ErrorClass::InvalidSpec,
    ErrorClass::Unsupported,
];

/// So many refusals in a row of a server that is at rest are no passing ones.
pub(super) const STUBBORN: u32 = 5;

/// The last call was refused.
pub(super) fn refused(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    at: Timestamp,
    asked: Timestamp,
    error: &CloudError,
) -> Progress {
    // What it brought in all the same is compared by a list that can show it.
    if error.code.as_deref() == Some(HALF_DONE) && asked <= at {
        return Progress::Open(saying(d, op.kind));
    }
    if error.maybe_applied || error.class == ErrorClass::Ambiguous {
        if asked <= at {
            return Progress::Open(saying(d, op.kind));
        }
        let traced = restart::is_traced(d, facts, op);
        let guessed = op.kind == OperationKind::Restart && !traced;
        if guessed && !seen.busy && !restart::passing(d, op, seen) {
            return restart::unverified(d, op);
        }
        return judge(d, facts, op, seen, asked > later(at, lost_after(d, facts, op)));
    }
    if op.kind == OperationKind::Resize && resize::refused(d, op, error) {
        return close(d);
    }
    if op.kind == OperationKind::Modify && settings::refused(d, op, &stubborn(d, seen, error)) {
        return close(d);
    }
    if op.kind == OperationKind::Rebuild && rebuild::refused(d, op, &stubborn(d, seen, error)) {
        return Progress::Closed;
    }
    if op.kind == OperationKind::Rescue && rescue::refused(d, &stubborn(d, seen, error)) {
        return close(d);
    }
    if op.kind == OperationKind::Start && resize::start_failed(d, op, Some(error)) {
        return close(d);
    }
    if op.kind == OperationKind::Unlock && error.class == ErrorClass::Forbidden && lock::covered(d, error) {
        return close(d);
    }
    d.memory.sent = None;
    if op.kind == OperationKind::DeleteFailed && error.class == ErrorClass::NotFound {
        super::missing::look(d, &seen.id);
        return Progress::Open(saying(d, op.kind));
    }
    if op.kind == OperationKind::Mark {
        // The server is as declared all the same: its recorded id is proof enough.
        d.delay(error.class, error.retry_after);
        d.event(true, Reason::Refused, op.kind.as_str(), error.message.clone());
        return close(d);
    }
    match error.class {
        // Somebody was faster, or a task runs: look again, it is no failure.
        ErrorClass::Busy | ErrorClass::RateLimited => d.delay(error.class, error.retry_after),
        ErrorClass::NotFound => d.delay(error.class, None),
        class => {
            d.failed(class, error.code.as_deref(), &error.message, error.retry_after);
            // However often it is tried, it is told once.
            if d.status.failure != d.old.failure {
                d.event(true, Reason::Refused, op.kind.as_str(), error.message.clone());
            }
        }
    }
    d.backing_off();
    if let Some(resize) = &mut d.status.resize
        && matches!(
            op.kind,
            OperationKind::ConfirmResize | OperationKind::RevertResize
        )
    {
        resize.phase = Some(crate::api::server_status::ResizePhase::AwaitingConfirmation);
    }
    match op.kind {
        OperationKind::Restart => restart::forget(d),
        OperationKind::Resize => resize::not_taken(d),
        OperationKind::Rescue => rescue::not_taken(d),
        _ => {}
    }
    if transitions::is_power(op.kind) {
        // The record stays open, and with it the deadline of the first try.
        d.busy = error.class == ErrorClass::Busy;
        return Progress::Open(if d.now() >= op.deadline {
            overdue(d, op)
        } else {
            saying(d, op.kind)
        });
    }
    let verdict = words(d);
    // The record of a step that is tried again counts the tries, also those that the cloud did not take.
    if !(op.kind == OperationKind::Retry && NOT_TAKEN.contains(&error.class)) {
        let _closed = close(d);
    }
    d.busy = error.class == ErrorClass::Busy;
    Progress::Open(verdict.unwrap_or_else(|| saying(d, op.kind)))
}

/// A refusal by a cloud that calls itself busy with a server that is at rest: after some in a row it is one of the wish.
fn stubborn(d: &Draft<'_>, seen: &ObservedServer, error: &CloudError) -> CloudError {
    let again = d.memory.backoff.as_ref();
    let again = again.is_some_and(|b| b.class == ErrorClass::Busy && b.count >= STUBBORN);
    let mut error = error.clone();
    if error.class == ErrorClass::Busy && again && !seen.busy {
        error.class = ErrorClass::InvalidSpec;
    }
    error
}

/// What is said of the last refusal while it is waited out.
pub(super) fn words(d: &Draft<'_>) -> Option<Verdict> {
    let failure = d.status.failure.as_ref()?;
    let text = format!("{} {}", failure.message, d.next_try());
    let stalled = |reason| Draft::stalled(reason, &failure.message);
    if failure.code.as_deref() == Some(Reason::SecretRefused.as_str()) {
        return Some(stalled(Reason::SecretRefused));
    }
    Some(
        match ErrorClass::ALL.iter().find(|c| c.as_str() == failure.class)? {
            ErrorClass::Forbidden => stalled(Reason::Forbidden),
            ErrorClass::InvalidSpec | ErrorClass::Unsupported => stalled(Reason::InvalidSpec),
            ErrorClass::Locked => Verdict::Stalled(Reason::Locked, failure.message.clone()),
            ErrorClass::Quota => stalled(Reason::QuotaExceeded),
            ErrorClass::Capacity => Verdict::Reconciling(Reason::NoCapacity, text),
            ErrorClass::RateLimited => Verdict::Reconciling(Reason::RateLimited, text),
            _ => Verdict::Reconciling(Reason::Recovering, text),
        },
    )
}
