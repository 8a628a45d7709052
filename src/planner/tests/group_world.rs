//! One group, its members, and two neutral clouds: one where nothing of a group can be changed and no mark is kept,
//! one where everything can. Stepped second by second.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cloud::CAPABILITIES;
use super::world::time;
use crate::api::server_group::{PlacementPolicy, ServerGroup};
use crate::api::{ConditionType, Reason, Server, conditions, keys};
use crate::planner::draft::later;
use crate::planner::group::{GroupInput, plan_group};
use crate::planner::memory::{Memory, Outcome, Sent, Told};
use crate::planner::model::*;
use crate::planner::{AccountFacts, AccountView, Step};

const POLICIES: &[PlacementPolicy] = &[PlacementPolicy::AntiAffinity, PlacementPolicy::SoftAntiAffinity];

pub(super) static FIXED: GroupCapabilities = GroupCapabilities {
    policies: POLICIES,
    without_policy: false,
    policy_mutable: false,
    members_mutable: false,
    labels_mutable: false,
    marks: false,
    max_per_host: true,
    members_max: None,
    create_settle_seconds: 60,
};

pub(super) static MUTABLE: GroupCapabilities = GroupCapabilities {
    without_policy: true,
    policy_mutable: true,
    members_mutable: true,
    labels_mutable: true,
    marks: true,
    max_per_host: false,
    ..FIXED
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Refuse(ErrorClass),
    LoseReply,
    ApplyLate,
    LoseRequest,
}

pub(super) struct World {
    pub(super) group: ServerGroup,
    pub(super) members: Vec<Server>,
    pub(super) cloud: BTreeMap<String, ObservedGroup>,
    pub(super) memory: Memory,
    pub(super) now: Timestamp,
    pub(super) can: &'static GroupCapabilities,
    pub(super) fates: Vec<Fate>,
    pub(super) calls: Vec<String>,
    pub(super) process: u32,
    pub(super) made: u32,
    pub(super) most: usize,
    pub(super) late: Vec<(Timestamp, CloudCall)>,
    pub(super) gone: bool,
    /// Servers of which the cloud shows no host.
    pub(super) unplaced: Vec<String>,
    /// Servers of ours in the cloud that are none of the group's.
    pub(super) by_hand: Vec<String>,
    /// Servers that the cloud lets join no group.
    pub(super) refuses: Vec<String>,
    /// Why the account cannot be asked, and since when.
    pub(super) unusable: Option<(Reason, Timestamp)>,
    /// What people were told.
    pub(super) told: Vec<Reason>,
}

impl World {
    pub(super) fn new(can: &'static GroupCapabilities, spec: Value) -> Self {
        let mut full = json!({"providerConfigRef": {"name": "p"}});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        let group = serde_json::from_value(json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerGroup", "spec": full,
            "metadata": {"name": "web", "namespace": "ns", "uid": "uid-g", "generation": 1},
            "status": {"observedGeneration": -1}
        }));
        Self {
            group: group.unwrap(),
            members: Vec::new(),
            cloud: BTreeMap::new(),
            memory: Memory::default(),
            now: time(0),
            can,
            fates: Vec::new(),
            calls: Vec::new(),
            process: 1,
            made: 0,
            most: 0,
            late: Vec::new(),
            gone: false,
            unplaced: Vec::new(),
            by_hand: Vec::new(),
            refuses: Vec::new(),
            unusable: None,
            told: Vec::new(),
        }
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut crate::api::ServerGroupSpec)) {
        change(&mut self.group.spec);
        *self.group.metadata.generation.as_mut().unwrap() += 1;
    }

    pub(super) fn member(&mut self, name: &str, group: &str) {
        let server = json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}")},
            "spec": {"providerConfigRef": {"name": "p"}, "groupRef": {"name": group}},
            "status": {"id": format!("srv-{name}"), "power": {"observed": "Running"}}
        });
        self.members.retain(|s| s.metadata.name.as_deref() != Some(name));
        self.members.push(serde_json::from_value(server).unwrap());
    }

    /// What is observed of a member's power.
    pub(super) fn power(&mut self, name: &str, state: &str) {
        let of = |s: &&mut Server| s.metadata.name.as_deref() == Some(name);
        let status = self.members.iter_mut().find(of).and_then(|s| s.status.as_mut());
        status.unwrap().power.as_mut().unwrap().observed = Some(state.to_owned());
    }

    pub(super) fn delete(&mut self) {
        self.gone |= self.group.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        self.group.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now));
    }

    pub(super) fn is(&self, kind: ConditionType) -> String {
        let status = self.group.status.as_ref().unwrap();
        let current = status.observed_generation == self.group.metadata.generation;
        let condition = conditions::get(&status.conditions, kind).filter(|_| current);
        condition.map_or("-".into(), |c| format!("{}/{}", c.status, c.reason))
    }

    pub(super) fn listing(&self) -> Listing {
        let members = self.members.iter().filter_map(|s| {
            let id = s.status.as_ref().unwrap().id.clone()?;
            Some((id, s.metadata.uid.clone().unwrap()))
        });
        let by_hand = self.by_hand.iter().map(|id| (id.clone(), "uid-x".to_owned()));
        let servers = members.chain(by_hand).map(|(id, uid)| {
            let mut world = super::world::World::new(json!({}));
            let marks = super::world::marks(&uid, "inst", "ns/x");
            world.put(&id, ServerState::Running, marks);
            let mut seen = world.cloud.remove(&id).unwrap().seen;
            seen.host = Some(format!("host-of-{id}")).filter(|_| !self.unplaced.contains(&id));
            seen
        });
        Listing::new(self.now, 1, servers.collect()).with_groups(self.cloud.values().cloned().collect())
    }

    pub(super) fn apply(&mut self, call: &CloudCall) -> Result<Accepted, CloudError> {
        let none = |id: &str| CloudError::new(ErrorClass::NotFound, format!("no group {id}"));
        match call {
            CloudCall::CreateGroup(wanted) => {
                self.made += 1;
                let id = format!("grp-{}", self.made);
                let mut group = ObservedGroup {
                    id: id.clone(),
                    ..ObservedGroup::default()
                };
                modify(&mut group, wanted, self.can);
                self.cloud.insert(id.clone(), group);
                self.most = self.most.max(self.cloud.len());
                Ok(Accepted {
                    id: Some(id),
                    ..Accepted::default()
                })
            }
            CloudCall::ChangeGroup { id, change } => {
                if *change == GroupChange::Delete {
                    self.cloud.remove(id).ok_or_else(|| none(id))?;
                    return Ok(Accepted::default());
                }
                let can = self.can;
                let group = self.cloud.get_mut(id).ok_or_else(|| none(id))?;
                match change {
                    GroupChange::Modify { wanted, gone } => {
                        let mut labels = group.labels.clone();
                        labels.retain(|k, _| !gone.contains(k));
                        modify(group, wanted, can);
                        labels.extend(std::mem::take(&mut group.labels));
                        group.labels = labels;
                    }
                    GroupChange::Unmark => group.marks = None,
                    GroupChange::Add { server } => group.members.push(GroupMember {
                        id: server.clone(),
                        met: Some(true),
                    }),
                    GroupChange::Remove { server } => group.members.retain(|m| m.id != *server),
                    GroupChange::Delete => {}
                }
                Ok(Accepted::default())
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, call: &CloudCall) -> Option<String> {
        let CloudCall::ChangeGroup { change, .. } = call else {
            return None;
        };
        match change {
            GroupChange::Add { server } => self.refuses.iter().find(|s| *s == server).cloned(),
            _ => None,
        }
    }

    pub(super) fn call(&mut self, call: &CloudCall) -> Outcome {
        self.calls.push(match call {
            CloudCall::CreateGroup(_) => "Create".to_owned(),
            CloudCall::ChangeGroup { change, .. } => {
                let text = format!("{change:?}");
                text.split([' ', '(']).next().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        });
        let lost = |words: &str| {
            Outcome::Refused(
                self.now,
                CloudError {
                    maybe_applied: true,
                    ..CloudError::new(ErrorClass::Transient, words)
                },
            )
        };
        match self.fates.pop() {
            None if self.refused(call).is_some() => {
                let words = format!("no room for {}", self.refused(call).unwrap());
                Outcome::Refused(self.now, CloudError::new(ErrorClass::Capacity, words))
            }
            None => match self.apply(call) {
                Ok(accepted) => Outcome::Accepted(self.now, accepted),
                Err(error) => Outcome::Refused(self.now, error),
            },
            Some(Fate::Refuse(class)) => Outcome::Refused(self.now, CloudError::new(class, "no")),
            Some(Fate::LoseRequest) => lost("the request was lost"),
            Some(Fate::LoseReply) => {
                let outcome = lost("the reply was lost");
                let _ = self.apply(call);
                outcome
            }
            Some(Fate::ApplyLate) => {
                let outcome = lost("the reply was lost");
                self.late.push((later(self.now, 20), call.clone()));
                outcome
            }
        }
    }

    pub(super) fn tick(&mut self) {
        if self.gone {
            return;
        }
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.late = rest;
        for (_, call) in due {
            let _ = self.apply(&call);
        }
        let capabilities: &'static Capabilities = Box::leak(Box::new(Capabilities {
            groups: Some(self.can),
            ..CAPABILITIES.clone()
        }));
        let facts = AccountFacts {
            account: "project-1".into(),
            capabilities,
            suspended: false,
            listing: Arc::new(self.listing()),
            outage: None,
            mass_absence: false,
            creates_free: true,
            quota: None,
            disruptions_free: true,
        };
        let members: Vec<Arc<Server>> = self.members.iter().cloned().map(Arc::new).collect();
        let process = format!("process-{}", self.process);
        let input = GroupInput {
            group: &self.group,
            account: match self.unusable {
                None => AccountView::Usable(&facts),
                Some((reason, since)) => AccountView::Unusable {
                    reason,
                    message: "no",
                    since,
                },
            },
            memory: &self.memory,
            members: &members,
            claimed: &|_| None,
            process: &process,
            installation: "inst",
            leaving: false,
            lives: &|_| false,
            now,
            seed: 7,
        };
        let made = plan_group(&input);
        assert_eq!(made, plan_group(&input), "a plan must depend on its input alone");
        let under_way = conditions::get(&made.status.conditions, ConditionType::Reconciling);
        // Whoever waits for its account is woken by that.
        let woken = self.unusable.is_some()
            || made.busy
            || made.again_at.is_some()
            || made.list_after.is_some()
            || made.step != Step::Wait;
        assert!(
            under_way.is_none_or(|c| c.status != "True") || woken,
            "under way, and nobody looks again"
        );
        if let Step::Call { .. } = made.step {
            let record = made.status.create_attempt.is_some() || made.status.operation.is_some();
            assert!(
                record && Some(&made.status) != self.group.status.as_ref(),
                "a call without its record"
            );
        }
        self.group.status = Some(made.status);
        self.memory = made.memory;
        self.told.extend(made.events.iter().map(|e| e.reason));
        match made.step {
            Step::Wait => {}
            Step::AddFinalizer => self.group.metadata.finalizers = Some(vec![keys::GROUP_FINALIZER.into()]),
            Step::RemoveFinalizer => self.gone = true,
            Step::Call { key, call } => {
                let outcome = self.call(&call);
                self.memory.sent = Some(Sent {
                    key,
                    outcome,
                    told: Told::Nothing,
                });
            }
            Step::Look { id, .. } => panic!("looked at {id}"),
        }
        self.now = later(self.now, 1);
    }

    pub(super) fn until(&mut self, seconds: i64, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..seconds {
            if holds(self) {
                return;
            }
            self.tick();
        }
        let status = serde_json::to_string_pretty(&self.group.status).unwrap();
        panic!(
            "not within {seconds} s: {what}; calls {:?}; status {status}",
            self.calls
        );
    }

    pub(super) fn ready(&mut self) {
        self.until(400, "ready", |w| w.is(ConditionType::Ready) == "True/AsDeclared");
    }
}

pub(super) fn modify(group: &mut ObservedGroup, wanted: &CreateGroup, can: &GroupCapabilities) {
    group.name = wanted.name.clone();
    group.policy = Some(wanted.policy);
    group.raw_policy = wanted.policy.to_string();
    group.max_per_host = wanted.max_per_host;
    group.labels = wanted.labels.clone();
    group.marks = can.marks.then(|| wanted.marks.clone());
}
