//! Times in a status that no clock of ours can have written: nobody waits for a day because another machine was a day
//! ahead.

use jiff::Timestamp;

use super::draft::Draft;
use crate::api::conditions::to_seconds;

/// So many seconds may two clocks differ.
const SKEW: i64 = 60;

/// Moves an open operation that began in the future to now, with the time that it has; and what else is counted from.
pub(super) fn tame(d: &mut Draft<'_>) {
    let (latest, now) = (d.after(SKEW), to_seconds(d.now()));
    if let Some(power) = &mut d.status.power
        && power.last_transition_time.is_some_and(|t| t > latest)
    {
        power.last_transition_time = Some(now);
    }
    let ahead = |o: &&mut crate::api::server_status::Operation| o.started_at > latest;
    if let Some(op) = d.status.operation.as_mut().filter(ahead) {
        let too_far = op.started_at.duration_since(now);
        let back = |t: Timestamp| t.checked_sub(too_far).unwrap_or(now);
        op.started_at = now;
        op.deadline = back(op.deadline);
        op.escalate_at = op.escalate_at.map(back);
        op.accepted_at = op.accepted_at.map(back);
    }
}
