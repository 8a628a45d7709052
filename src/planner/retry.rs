//! A creation that ended in an error, on a cloud that tries its steps again: a few times, before the server is
//! deleted and made anew. Trying again installs the server anew, so it is done to none that ever ran.

use super::AccountFacts;
use super::draft::Draft;
use super::model::{ErrorClass, FailedStep, ObservedServer, Operate};
use super::present;
use crate::api::server_status::OperationKind;

/// So often the cloud is asked to try again.
const TRIES: i32 = 3;

/// Asks the cloud to try the failed creation again. `false`: that is not offered, or was done often enough.
pub(super) fn step(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
    class: ErrorClass,
    fault: &str,
) -> bool {
    let kind = OperationKind::Retry;
    let tries = d
        .status
        .operation
        .as_ref()
        .filter(|o| o.kind == kind)
        .map_or(0, |o| o.attempt);
    let offered = seen.failed_step == Some(FailedStep::Create)
        && facts.capabilities.allows(kind, seen.state)
        && !seen.launched;
    if !offered || tries >= TRIES {
        return false;
    }
    if d.gagged(facts).is_some() || present::not_now(d, facts, seen, kind, "").is_some() {
        return true;
    }
    d.operate(
        id,
        kind,
        Operate::Plain,
        i64::from(facts.capabilities.deadline(kind)),
        None,
    );
    // The wait before the next try.
    d.failed(class, None, fault, None);
    true
}
