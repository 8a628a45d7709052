//! What a cloud can do. Each provider declares it as data.

use crate::api::choice::choice;
use crate::api::server::{PowerOffMode, PowerWish, ServerSpec};
use crate::api::server_status::OperationKind;

use super::{GroupCapabilities, ServerState, WantedAttribute};

choice! {
    /// The ways in which a cloud can power off.
    StopKind {
        /// The guest is asked, for as long as it takes.
        Soft,
        /// The power is cut.
        Hard,
        /// The cloud does one after the other within a given time.
        SoftThenHard,
        /// The guest is asked, and the cloud cuts the power after a time of its own.
        CloudEscalates,
    }
}

choice! {
    /// How much of the price of a server that runs is still to be paid.
    Cost {
        /// All of it.
        Full,
        /// A part of it.
        Partial,
        /// The cloud does not tell: its operator, a price list or a contract says it.
        Unknown,
    }
}

/// What a server in a state in which its guest does not run goes on costing.
#[derive(Clone, Copy, Debug)]
pub struct IdleCost {
    /// The state.
    pub state: ServerState,
    /// How much.
    pub cost: Cost,
    /// For what, in words that follow a sentence.
    pub holds: &'static str,
}

/// What a cloud can do. Data, read beside the vendor's page.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The power states that can be wished for.
    pub power_states: &'static [PowerWish],
    /// The ways to power off.
    pub stop_kinds: &'static [StopKind],
    /// The longest time in seconds that the cloud itself gives a guest in `SoftThenHard`; any, if absent. A longer
    /// one is kept by the planner's own clock.
    pub soft_stop_limit: Option<u32>,
    /// The ways to restart.
    pub restart_modes: &'static [PowerOffMode],
    /// Whether a restart shows nothing at first: the server reads `Running` until its guest goes down.
    pub silent_restart: bool,
    /// The states in which a hard restart is accepted, where they are others than those of a restart; else none.
    pub hard_restart: &'static [ServerState],
    /// Whether the cloud keeps a log by which the end of a request is found out (see [`Trace`]).
    pub request_log: bool,
    /// Whether the size of a running guest can be changed without stopping it.
    pub live_resize: bool,
    /// Whether the cloud stops and starts the guest by itself when a running server is resized.
    pub resize_stops_by_itself: bool,
    /// Whether a resize waits to be confirmed.
    pub resize_confirm: bool,
    /// Whether marks can be changed after creation.
    pub marks_mutable: bool,
    /// What a server that stands still goes on costing, by its state.
    pub idle_costs: &'static [IdleCost],
    /// The sets of nameless things of which a server gets some even where the wish names none: what a server is made with
    /// belongs to the wish that made it, and goes when a wish is declared that has no place for it.
    pub comes_with: &'static [&'static str],
    /// The calls that a lock does not forbid.
    pub free_of_locks: &'static [OperationKind],
    /// Which call is accepted in which state. A call that has no row is never sent.
    pub preconditions: &'static [(OperationKind, &'static [ServerState])],
    /// How long a create call may still take effect after it was sent, in seconds.
    pub create_settle_seconds: u32,
    /// The settings of a wish that this cloud can change on an existing server; none if it can change nothing.
    pub attributes: fn(&ServerSpec) -> Vec<WantedAttribute>,
    /// Where a wish says that a server is to run, for an operation that places it (a start, a restart): names and
    /// values in the cloud's words. A hint counts from the next such operation on; it is no setting of the server.
    pub hints: fn(OperationKind, &ServerSpec) -> Vec<(&'static str, String)>,
    /// What it can do with groups, if it has any.
    pub groups: Option<&'static GroupCapabilities>,
    /// How long an operation of each kind may take, in seconds.
    pub deadlines: &'static [(OperationKind, u32)],
}

impl Capabilities {
    /// For [`Self::attributes`] of a cloud that can change nothing in place.
    pub const fn no_attributes(_: &ServerSpec) -> Vec<WantedAttribute> {
        Vec::new()
    }

    /// For [`Self::hints`] of a cloud that places servers by itself.
    pub const fn no_hints(_: OperationKind, _: &ServerSpec) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What a server in a state goes on costing, where it is known that it stands still in it.
    pub fn idle_cost(&self, state: ServerState) -> Option<&'static IdleCost> {
        self.idle_costs.iter().find(|c| c.state == state)
    }

    /// What a stopped server goes on costing.
    pub fn stopped_cost(&self) -> Cost {
        self.idle_cost(ServerState::Stopped)
            .map_or(Cost::Unknown, |c| c.cost)
    }

    /// Whether the cloud accepts a call in a state.
    pub fn allows(&self, kind: OperationKind, state: ServerState) -> bool {
        self.preconditions
            .iter()
            .any(|(k, states)| *k == kind && states.contains(&state))
    }

    /// Whether it can be asked how a request of this kind ended: by its log, or by what it made (see [`Trace`](super::Trace)).
    pub fn tells_the_end_of(&self, kind: OperationKind) -> bool {
        self.request_log || kind == OperationKind::BackupDisk
    }

    /// Whether there is such an operation at all.
    pub fn has(&self, kind: OperationKind) -> bool {
        self.preconditions.iter().any(|(k, _)| *k == kind)
    }

    /// How long an operation may take, in seconds.
    pub fn deadline(&self, kind: OperationKind) -> u32 {
        self.deadlines
            .iter()
            .find(|(k, _)| *k == kind)
            .map_or(600, |(_, s)| *s)
    }
}
