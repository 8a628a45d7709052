//! What must hold of every plan, whatever it was made from.

use super::world::World;
use crate::api::ConditionType;
use crate::api::conditions;
use crate::api::server::ManagementPolicy;
use crate::api::server_status::OperationKind;
use crate::planner::draft::later;
use crate::planner::memory::Look;
use crate::planner::model::*;
use crate::planner::{Plan, Step, transitions};

use ServerState::*;

impl World {
    /// What must hold of every plan.
    pub(super) fn check(&self, made: &Plan, listing: &Listing) {
        if let Step::Call {
            call: CloudCall::Operate { id, kind, how },
            ..
        } = &made.step
            && *kind != OperationKind::DeletePart
        {
            let seen = self.known(id, listing);
            let state = seen.state;
            let policy = self.server.spec.management_policy;
            let power = transitions::is_power(*kind)
                || matches!(
                    kind,
                    OperationKind::Restart | OperationKind::Mark | OperationKind::Unlock
                );
            assert!(
                policy == ManagementPolicy::Full || (policy == ManagementPolicy::PowerOnly && power),
                "{kind} under {policy}"
            );
            let protects =
                self.server.metadata.deletion_timestamp.is_some() && self.server.spec.deletion_protection;
            assert!(!protects, "{kind} on a protected server");
            assert!(self.accepts(*kind, how, state), "{kind} was sent in {state}");
            // Our lock may stand in the way of a deed for it.
            let opens = *kind == OperationKind::Unlock && state == Rebooting && !self.actions.is_empty();
            assert!(
                !seen.busy || opens || super::cloud::takes_busy(*kind, state),
                "{kind} was sent to a busy server"
            );
            assert!(
                state != Unknown || self.server.metadata.deletion_timestamp.is_some(),
                "acted on an unknown state"
            );
            if *kind == OperationKind::Delete {
                assert!(
                    self.server.metadata.deletion_timestamp.is_some(),
                    "deleted without being asked"
                );
            }
            let locked = seen
                .locked
                .as_deref()
                .is_some_and(|words| !words.ends_with("[evenkeel uid-1]"));
            assert!(
                !locked || super::locking::free(*kind) && *kind != OperationKind::Unlock,
                "{kind} under a lock of somebody else"
            );
            let foreign = seen.marks.as_ref().is_some_and(|m| m.uid != "uid-1");
            assert!(
                !foreign || self.server.spec.import.is_some(),
                "{kind} on a stranger"
            );
            assert!(made.status.operation.is_some(), "a call without its record");
            assert_ne!(
                Some(&made.status),
                self.server.status.as_ref(),
                "a call without a write before it"
            );
        }
        if matches!(made.step, Step::Call { .. }) {
            let paused = self.server.metadata.annotations.as_ref();
            let paused = paused.and_then(|a| a.get(crate::api::keys::PAUSED));
            assert!(paused.is_none_or(|v| v == "false"), "a call while paused");
            assert!(!self.suspended, "a call while suspended");
        }
        let under_way = conditions::get(&made.status.conditions, ConditionType::Reconciling)
            .is_some_and(|c| c.status == "True");
        let woken =
            made.busy || made.again_at.is_some() || made.list_after.is_some() || made.step != Step::Wait;
        assert!(
            !under_way || woken || self.down_since.is_some(),
            "under way, and nobody looks again"
        );
        for c in &made.status.conditions {
            assert!(
                !c.reason.is_empty() && !c.message.is_empty(),
                "{} says nothing",
                c.type_
            );
        }
        let truth = |kind| conditions::get(&made.status.conditions, kind).is_some_and(|c| c.status == "True");
        assert!(!(truth(ConditionType::Ready) && truth(ConditionType::Stalled)));
        assert!(!(truth(ConditionType::Reconciling) && truth(ConditionType::Stalled)));
    }

    /// A server as the plan had to believe it.
    fn known(&self, id: &str, listing: &Listing) -> ObservedServer {
        let look = self.memory.look.as_ref();
        let look = look.filter(|l| l.id == id);
        // Lists hide what was deleted and is kept.
        let kept = |l: &&Look| {
            let state = l.found.as_ref().map(|s| s.state);
            state == Some(ServerState::SoftDeleted) && later(l.asked_at, 5) >= self.now
        };
        let newer = |l: &&Look| Some(l.asked_at) > listing.asked_at;
        let hidden = !listing.servers.contains_key(id);
        match look.filter(|l| newer(l) || hidden && kept(l)) {
            Some(look) => look.found.as_deref(),
            None => listing.servers.get(id).map(|s| &**s),
        }
        .cloned()
        .expect("a call on a server that nobody knows")
    }
}
