//! How a request ended, asked of a cloud that keeps a log of them.

use jiff::Timestamp;

use super::Step;
use super::draft::{Draft, later};
use super::memory::Look;
use super::model::{Ended, ObservedServer, Trace};
use crate::api::server_status::Operation;

/// The least and the most seconds between two questions.
const ASK_AGAIN: i64 = 2;
const ASK_SELDOM: i64 = 30;

/// What the cloud's log says of the request, once it was asked after the server had come to rest. That there is none counts
/// only where that was asked for later than `settled`: until then it may still arrive.
pub(super) fn told(
    d: &mut Draft<'_>,
    op: &Operation,
    seen: &ObservedServer,
    trace: Trace,
    settled: Timestamp,
) -> Option<Ended> {
    let look = d.memory.look.as_ref().filter(|l| l.id == seen.id);
    let of = |l: &Look| l.ended.as_ref().filter(|(key, _)| key == trace.key()).cloned();
    let answer = look.and_then(of).map(|(_, ended)| ended);
    // A long one is asked for seldom, and so is one that could not be asked for.
    let age = d.now().duration_since(op.started_at).as_secs();
    let pace = (age / 10).clamp(ASK_AGAIN, ASK_SELDOM);
    let mut next = look.map(|l| later(l.asked_at, pace));
    match answer {
        Some(Ended::Absent) if look.is_some_and(|l| l.asked_at <= settled) => {
            next = next.max(Some(later(settled, 1)));
        }
        Some(Ended::UnderWay) | None => {}
        answer => return answer,
    }
    if let Some(next) = next.filter(|next| *next > d.now()) {
        d.again(next);
        return Some(Ended::UnderWay);
    }
    d.step = Step::Look {
        id: seen.id.clone(),
        trace: Some(trace),
    };
    None
}
