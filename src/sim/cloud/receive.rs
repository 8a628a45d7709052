//! How a request comes in: through the faults, to its service, into the log.

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::SimCloud;
use super::faults::{FaultEffect, ListFaults, Route};
use super::log::RequestRecord;
use super::spoil::spoil;
use super::wire::{Ask, Reply};

/// Why no reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimIo {
    /// There was no connection: the request was not seen.
    Refused,
    /// The connection broke: the request may have been carried out.
    Reset,
}

/// What the client gets, and after which time.
pub(super) struct Outcome {
    pub(super) wait: Duration,
    pub(super) result: Result<Reply, SimIo>,
}

pub(super) fn receive(cloud: &mut impl SimCloud, request: Request<Bytes>) -> Outcome {
    let ask = Ask::new(request, cloud.request_id());
    let route = cloud.route(&ask);
    let (wire, lists) = cloud.core_mut().faults.meet(&route);
    let ms = Duration::from_millis;
    let (wait, result) = match wire {
        None => (Duration::ZERO, Ok(carry_out(cloud, &ask, &route, &lists, true))),
        Some(FaultEffect::Slow { delay_ms }) => {
            (ms(delay_ms), Ok(carry_out(cloud, &ask, &route, &lists, true)))
        }
        Some(FaultEffect::Spoilt { how, code }) => {
            let reply = carry_out(cloud, &ask, &route, &lists, true);
            (Duration::ZERO, Ok(spoil(reply, how, code)))
        }
        Some(FaultEffect::LostReply) => {
            carry_out(cloud, &ask, &route, &lists, false);
            (Duration::ZERO, Err(SimIo::Reset))
        }
        Some(FaultEffect::LateApply { delay_ms, wait_ms }) => {
            let at = cloud.core().now + ms(delay_ms);
            cloud.hold(at, ask);
            (ms(wait_ms), Err(SimIo::Reset))
        }
        Some(effect) => {
            let (wait, result) = refuse(cloud, &effect, &ask);
            let status = result.as_ref().ok().map(|r: &Reply| r.status);
            note(cloud, &ask, &route, status, None, false, result.is_ok());
            (wait, result)
        }
    };
    let blocked = result.as_ref().map_or(Duration::ZERO, |reply| reply.wait);
    Outcome {
        wait: wait + blocked,
        result,
    }
}

/// A request that was held up arrives; nobody waits for the reply.
pub fn serve_late(cloud: &mut impl SimCloud, ask: &Ask) {
    let route = cloud.route(ask);
    carry_out(cloud, ask, &route, &ListFaults::default(), false);
}

fn refuse(cloud: &impl SimCloud, effect: &FaultEffect, ask: &Ask) -> (Duration, Result<Reply, SimIo>) {
    match effect {
        FaultEffect::Status { code, body } => {
            let reply = match body {
                Some(body) => Reply::new(*code, body.clone()),
                None => cloud.refusal(ask, *code),
            };
            (Duration::ZERO, Ok(reply))
        }
        FaultEffect::RateLimited { retry_after } => {
            let mut reply = cloud.refusal(ask, 429);
            if let Some(seconds) = retry_after {
                reply = reply.with("Retry-After", seconds.to_string());
            }
            (Duration::ZERO, Ok(reply))
        }
        FaultEffect::Hang { wait_ms } => (Duration::from_millis(*wait_ms), Err(SimIo::Reset)),
        FaultEffect::Refused => (Duration::ZERO, Err(SimIo::Refused)),
        _ => (Duration::ZERO, Err(SimIo::Reset)),
    }
}

fn carry_out(
    cloud: &mut impl SimCloud,
    ask: &Ask,
    route: &Route,
    lists: &ListFaults,
    answered: bool,
) -> Reply {
    let mut reply = cloud.answer(ask, lists);
    if cloud.reads(route) {
        let core = cloud.core_mut();
        reply = core.faults.aged(ask, core.now, lists, reply);
    }
    let made = cloud.made(route, &reply);
    let applied = !cloud.reads(route) && reply.status < 400;
    note(cloud, ask, route, Some(reply.status), made, applied, answered);
    reply
}

fn note(
    cloud: &mut impl SimCloud,
    ask: &Ask,
    route: &Route,
    status: Option<u16>,
    made: Option<String>,
    applied: bool,
    answered: bool,
) {
    let project = cloud.account(ask);
    let core = cloud.core_mut();
    let at = core.now.duration_since(core.start);
    core.log.requests.push(RequestRecord {
        at,
        method: route.method.clone(),
        route: route.template.clone(),
        action: route.action.clone(),
        project,
        server: made.or_else(|| route.server.clone()),
        status,
        applied,
        answered,
    });
}
