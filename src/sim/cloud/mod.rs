//! What every simulated cloud has: faults, a log of requests, ways in, and the menu below `/_sim/`.
//!
//! A cloud is a state that implements [`SimCloud`]; [`Sim`] puts it behind one function, [`Sim::handle`],
//! reached in process ([`Transport`], [`Lines`]) or over HTTP ([`Sim::serve`]).
//!
//! Time is tokio's: paused in tests, the machine's on a port. Nothing runs in the background; what is due is
//! carried out before each look.
//!
//! [`Transport`]: crate::providers::transport::Transport

mod core;
mod faults;
mod http_server;
mod in_process;
mod log;
mod menu;
mod receive;
mod spoil;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use tokio::time::Instant;

pub use self::core::Core;
pub use faults::{FaultEffect, FaultRule, Faults, HypervisorOrder, ListFaults, Route, names};
pub use in_process::Lines;
pub use log::{Log, RequestRecord};
pub use receive::{SimIo, serve_late};
pub use spoil::Spoil;
pub use wire::{Answer, Ask, Reply, decode, encode};

/// The state of a simulated cloud. It stands still between requests: whoever looks settles it to now first.
pub trait SimCloud: Debug + Send + Sized + 'static {
    /// The deeds of its menu, for the usage text.
    const DEEDS: &'static str;

    /// What it shares with every simulated cloud.
    fn core(&self) -> &Core;

    /// The same, to be changed.
    fn core_mut(&mut self) -> &mut Core;

    /// From request to reply, in process.
    fn latency(&self) -> Duration;

    /// Carries out everything that is due at this moment, and comes to it.
    fn settle(&mut self, to: Instant);

    /// The id that a request is given.
    fn request_id(&mut self) -> String {
        format!("req-{}", self.core_mut().uuid())
    }

    /// Which request it is.
    fn route(&self, ask: &Ask) -> Route;

    /// Carries it out.
    fn answer(&mut self, ask: &Ask, lists: &ListFaults) -> Reply;

    /// A refusal with this status, in the cloud's manner.
    fn refusal(&self, ask: &Ask, status: u16) -> Reply;

    /// The account that asks; none for strangers.
    fn account(&self, ask: &Ask) -> Option<String>;

    /// The id of what a reply says was made.
    fn made(&self, route: &Route, reply: &Reply) -> Option<String>;

    /// Whether such a request changes nothing.
    fn reads(&self, route: &Route) -> bool {
        matches!(route.method.as_str(), "GET" | "HEAD")
    }

    /// Holds a request until this moment, and then gives it to [`serve_late`].
    fn hold(&mut self, at: Instant, ask: Ask);

    /// What lives in it, for the menu.
    fn inventory(&self) -> Value;

    /// A deed of the menu: `POST /_sim/<path>`. None if there is no such thing.
    fn deed(sim: &Sim<Self>, path: &[&str], body: &Value) -> Option<Reply>;

    /// Credentials that were given out for a time are refused from now on.
    fn expire_tokens(&mut self) {}
}

/// How a cloud that is down shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Nobody answers.
    Refused,
    /// Every service answers 503.
    Unavailable,
}

/// A simulated cloud.
#[derive(Debug)]
pub struct Sim<C> {
    cloud: Mutex<C>,
}

impl<C: SimCloud> Sim<C> {
    pub(in crate::sim) fn over(cloud: C) -> Arc<Self> {
        Arc::new(Self {
            cloud: Mutex::new(cloud),
        })
    }

    /// The state, settled to now.
    pub(in crate::sim) fn world(&self) -> MutexGuard<'_, C> {
        let mut cloud = self.cloud.lock().unwrap_or_else(PoisonError::into_inner);
        cloud.settle(Instant::now());
        cloud
    }

    /// One request to any of the services, or to the menu.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SimIo> {
        if request.uri().path().starts_with("/_sim/") {
            return Ok(menu::answer(self, &request).into_response());
        }
        let outcome = receive::receive(&mut *self.world(), request);
        if !outcome.wait.is_zero() {
            tokio::time::sleep(outcome.wait).await;
        }
        outcome.result.map(Reply::into_response)
    }

    /// Adds a fault.
    pub fn inject(&self, rule: FaultRule) {
        self.world().core_mut().faults.add(rule);
    }

    /// Takes all faults and standing orders away.
    pub fn clear_faults(&self) {
        self.world().core_mut().faults.clear();
    }

    /// The faults that were added, also those that are used up.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.world().core().faults.rules()
    }

    /// Adds a standing order to the hypervisor; the latest one that matches holds.
    pub fn order(&self, order: HypervisorOrder) {
        self.world().core_mut().faults.orders.push(order);
    }

    /// Takes all services down, or up again.
    pub fn outage(&self, outage: Option<Outage>) {
        let down = |o| match o {
            Outage::Refused => FaultEffect::Refused,
            Outage::Unavailable => FaultEffect::Status {
                code: 503,
                body: None,
            },
        };
        let is_outage = |rule: &FaultRule| {
            [Outage::Refused, Outage::Unavailable]
                .map(down)
                .contains(&rule.effect)
        };
        let mut world = self.world();
        let faults = &mut world.core_mut().faults;
        faults.retain(|rule| !(is_outage(rule) && rule.route.is_none() && rule.count.is_none()));
        if let Some(outage) = outage {
            faults.add(FaultRule::new(down(outage)));
        }
    }

    /// Credentials that were given out for a time are refused from now on.
    pub fn expire_tokens(&self) {
        self.world().expire_tokens();
    }

    /// Every request since the start or the last reset.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world().core().log.requests.clone()
    }

    /// How often each was asked: method, route and action (`POST /servers/{id}/action os-stop`).
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.world().core().log.counts()
    }

    /// Forgets the requests; what servers there were at most stays.
    pub fn reset_requests(&self) {
        self.world().core_mut().log.requests.clear();
    }

    /// The most servers that ever existed at the same time, by the uid that they are marked with.
    pub fn high_water(&self) -> BTreeMap<String, usize> {
        self.world().core().log.high_water()
    }
}
