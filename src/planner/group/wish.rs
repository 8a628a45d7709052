//! A group beside what its owner wishes of it: what differs, what can be changed of that, and by which call.

use super::draft::GroupDraft;
use super::{Verdict, create};
use crate::api::Reason;
use crate::api::server_group::{APPLIED_LABELS, PlacementPolicy};
use crate::planner::model::{CreateGroup, GroupCapabilities, GroupChange, ObservedGroup};

/// What is wished of a group that exists.
pub(super) struct Wish {
    wanted: CreateGroup,
    gone: Vec<String>,
}

impl Wish {
    pub(super) fn of(d: &GroupDraft<'_>, can: &GroupCapabilities, seen: &ObservedGroup) -> Self {
        let mut wanted = create::wanted(d, can);
        let gone = d.status.applied_labels.iter();
        let gone = gone
            .filter(|k| !wanted.labels.contains_key(*k))
            .cloned()
            .collect();
        // A group that was taken over keeps its name unless another one is asked for; that one is meant as it stands.
        if d.spec.import.is_some() && !can.labels_mutable {
            let other = d.spec.cloud_name.clone().filter(|_| wanted.name != seen.name);
            wanted.name = other.unwrap_or_else(|| seen.name.clone());
        } else if d.spec.import.is_some() && d.spec.cloud_name.is_none() {
            wanted.name.clone_from(&seen.name);
        }
        Self { wanted, gone }
    }

    /// The call that makes it so.
    pub(super) fn change(&self) -> GroupChange {
        GroupChange::Modify {
            wanted: Box::new(self.wanted.clone()),
            gone: self.gone.clone(),
        }
    }

    /// The keys of the labels that are its owner's.
    pub(super) fn keys(&self) -> Vec<String> {
        self.wanted.labels.keys().cloned().collect()
    }

    /// Those, and the ones that are on their way out: a change whose reply is lost still has them to take off.
    pub(super) fn touched(&self) -> Vec<String> {
        let all = self.wanted.labels.keys().chain(&self.gone);
        all.take(APPLIED_LABELS).cloned().collect()
    }

    fn labelled(&self, seen: &ObservedGroup) -> bool {
        let set = |(key, value): (&String, &String)| seen.labels.get(key) == Some(value);
        self.wanted.labels.iter().all(set) && !self.gone.iter().any(|k| seen.labels.contains_key(k))
    }

    fn placed(&self, can: &GroupCapabilities, seen: &ObservedGroup) -> bool {
        let policy = self.wanted.policy;
        seen.policy == Some(policy)
            && (!can.max_per_host
                || per_host(policy, self.wanted.max_per_host) == per_host(policy, seen.max_per_host))
    }

    /// What differs and can be changed.
    pub(super) fn difference(&self, can: &GroupCapabilities, seen: &ObservedGroup) -> Option<&'static str> {
        let marked = !can.marks || seen.marks.as_ref() == Some(&self.wanted.marks);
        if !self.placed(can, seen) && can.policy_mutable {
            Some("another placement is declared")
        } else if can.labels_mutable && !(self.labelled(seen) && self.wanted.name == seen.name && marked) {
            Some("another name, label or mark is declared")
        } else {
            None
        }
    }

    /// What differs and cannot be changed.
    pub(super) fn immutable(
        &self,
        d: &GroupDraft<'_>,
        can: &GroupCapabilities,
        seen: &ObservedGroup,
    ) -> Option<Verdict> {
        let wanted = &self.wanted;
        let text = if !self.placed(can, seen) && !can.policy_mutable {
            let of = |policy: &str, most: Option<i32>| match most {
                Some(n) => format!("{policy} with {n} on a host"),
                None => policy.to_owned(),
            };
            let have = seen.policy.map_or(seen.raw_policy.as_str(), |p| p.as_str());
            format!(
                "placement {} is declared, the group has {}, and this cloud cannot change it: set it back, or make a \
                 new ServerGroup and new Servers in it",
                of(wanted.policy.as_str(), wanted.max_per_host),
                of(have, seen.max_per_host)
            )
        } else if !can.labels_mutable && wanted.name != seen.name {
            let name = d.spec.cloud_name.as_deref().unwrap_or(d.name());
            format!(
                "the cloudName {name:?} is declared, the group is named {:?}, and this cloud cannot rename it: set \
                 spec.cloudName back, or make a new ServerGroup",
                seen.name
            )
        } else if !can.labels_mutable && can.marks && !self.labelled(seen) {
            "other labels are declared, and this cloud cannot change those of a group: set them back"
                .to_owned()
        } else {
            return None;
        };
        Some(Verdict::Stalled(Reason::Immutable, text))
    }
}

/// How many may share a host, said in one way.
fn per_host(policy: PlacementPolicy, most: Option<i32>) -> Option<i32> {
    (policy == PlacementPolicy::AntiAffinity).then(|| most.unwrap_or(1))
}
