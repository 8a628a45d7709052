//! What its group means for a Server: where it is placed, what its power should be, and when its turn is.

use super::Verdict;
use crate::api::conditions::{self, ConditionStatus, ConditionType};
use crate::api::server::{ManagementPolicy, PowerWish};
use crate::api::server_group::{PlacementPolicy, ServerGroup};
use crate::api::server_status::GroupStatus;
use crate::api::{Reason, keys};
use crate::planner::draft::Draft;
use crate::planner::model::ServerState;
use crate::planner::{AccountFacts, power};

/// The group that a Server names, as one plan sees it.
#[derive(Clone, Copy)]
pub struct GroupView<'a> {
    /// The object; none if there is none.
    pub object: Option<&'a ServerGroup>,
    /// Whether a strict group leaves room for one more creation now.
    pub creates_free: bool,
    /// Whether `disruption.maxUnavailable` leaves room for one more.
    pub disruptions_free: &'a dyn Fn() -> bool,
}

/// The group, if it is in the account of the server.
fn own<'a>(d: &Draft<'a>) -> Option<&'a ServerGroup> {
    let group = d.input.group?.object?;
    let same = group.spec.provider_config_ref.name == d.spec.provider_config_ref.name;
    same.then_some(group)
}

/// The layer `group` of effective power: the wish for all members, as far as it counts for this one.
pub(in crate::planner) fn layer(d: &Draft<'_>, own_wish: PowerWish) -> Option<PowerWish> {
    let group = own(d)?;
    let wish = group.spec.power_state?;
    let managed =
        group.spec.management_policy != ManagementPolicy::Observe && own_wish != PowerWish::Unmanaged;
    // Running wakes nobody who is down by his own wish.
    let woken = wish == PowerWish::Running && own_wish != PowerWish::Running;
    (managed && !woken && wish != own_wish).then_some(wish)
}

/// The name of the group that the spec names.
fn name<'a>(d: &Draft<'a>) -> Option<&'a str> {
    d.spec.group_ref.as_ref().map(|g| g.name.as_str())
}

/// Whether a group object stands for a group in the cloud.
fn is_in_cloud(group: &ServerGroup, facts: &AccountFacts) -> bool {
    let policy = group.spec.placement.policy;
    facts
        .capabilities
        .groups
        .is_some_and(|can| can.without_policy || policy != PlacementPolicy::None)
        || group.status.as_ref().is_some_and(|s| s.id.is_some())
}

fn mismatch(d: &Draft<'_>, group: &ServerGroup) -> Option<Verdict> {
    let (theirs, ours) = (
        &group.spec.provider_config_ref.name,
        &d.spec.provider_config_ref.name,
    );
    (theirs != ours).then(|| {
        Verdict::Stalled(
            Reason::GroupProviderMismatch,
            format!(
                "ServerGroup {} lives in ProviderConfig {theirs}, this server in {ours}",
                name(d).unwrap_or_default()
            ),
        )
    })
}

fn waiting(d: &mut Draft<'_>, why: &str) -> Verdict {
    // A change of the group wakes its members; this is for the rest.
    d.again(d.after(60));
    let name = name(d).unwrap_or_default();
    Verdict::Reconciling(Reason::WaitingForGroup, format!("ServerGroup {name} {why}"))
}

/// Why a group cannot be used yet, if so.
fn not_ready(d: &mut Draft<'_>, group: &ServerGroup) -> Option<Verdict> {
    let finalizer = |f: &String| f == keys::GROUP_FINALIZER;
    if group.metadata.deletion_timestamp.is_some() {
        return Some(waiting(d, "is being deleted"));
    }
    let status = group.status.as_ref();
    let current = status.is_some_and(|s| s.observed_generation == group.metadata.generation)
        && group.metadata.finalizers.iter().flatten().any(finalizer);
    let ready = status.and_then(|s| conditions::get(&s.conditions, ConditionType::Ready));
    match ready.filter(|_| current) {
        Some(c) if c.status == ConditionStatus::True.as_str() => None,
        Some(c) => Some(waiting(d, &format!("is not ready: {}", c.message))),
        None => Some(waiting(d, "is not ready yet")),
    }
}

/// Before a server is created: the cloud's id of the group that it is made in, once that is ready and it is this
/// server's turn.
pub(in crate::planner) fn before_create(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
) -> Result<Option<GroupStatus>, Verdict> {
    let Some(name) = name(d) else {
        return Ok(None);
    };
    let Some(view) = d.input.group else {
        return Err(waiting(d, "does not exist"));
    };
    let Some(group) = view.object else {
        return Err(waiting(d, "does not exist"));
    };
    if let Some(verdict) = mismatch(d, group) {
        return Err(verdict);
    }
    if let Some(verdict) = not_ready(d, group) {
        return Err(verdict);
    }
    let id = group.status.as_ref().and_then(|s| s.id.clone());
    if is_in_cloud(group, facts) && id.is_none() {
        return Err(waiting(d, "is not made yet"));
    }
    if !view.creates_free {
        d.again(d.after(1));
        let text = "makes its members one at a time: this one waits for its turn";
        return Err(waiting(d, text));
    }
    let name = name.to_owned();
    Ok(Some(GroupStatus { name, id }))
}

/// Of a server that exists: notes the group that it is in; what is said where that is not the one it names.
pub(in crate::planner) fn settle(d: &mut Draft<'_>, facts: &AccountFacts, id: &str) -> Option<Verdict> {
    let can = facts.capabilities.groups;
    let movable = can.is_some_and(|can| can.members_mutable);
    let holds = |group: &str| {
        let seen = facts.listing.group(group)?;
        Some(seen.members.iter().any(|m| m.id == id))
    };
    let placed = d.status.group.clone();
    let placed_in = placed.as_ref().and_then(|g| g.id.as_deref());
    let Some(name) = name(d) else {
        return match placed_in {
            Some(group) if !movable => Some(immutable(d, &format!("was made in group {group}"))),
            Some(group) if holds(group) == Some(true) => Some(Verdict::Reconciling(
                Reason::WaitingForGroup,
                format!("the server leaves group {group}"),
            )),
            Some(group) if facts.listing.groups.is_none() && holds(group).is_none() => None,
            _ => {
                d.status.group = None;
                None
            }
        };
    };
    let Some(group) = d.input.group.and_then(|v| v.object) else {
        let known = placed.is_some_and(|g| g.name == name);
        return (!known).then(|| waiting(d, "does not exist"));
    };
    if let Some(verdict) = mismatch(d, group) {
        return Some(verdict);
    }
    let target = group.status.as_ref().and_then(|s| s.id.clone());
    if !is_in_cloud(group, facts) {
        if let Some(group) = placed_in.filter(|_| !movable) {
            return Some(immutable(d, &format!("was made in group {group}")));
        }
        d.status.group = Some(GroupStatus {
            name: name.to_owned(),
            id: None,
        });
        return None;
    }
    let Some(target) = target else {
        return Some(waiting(d, "is not made yet"));
    };
    let here = holds(&target);
    let joined = here == Some(true) || (!movable && placed_in == Some(target.as_str()));
    if joined {
        d.status.group = Some(GroupStatus {
            name: name.to_owned(),
            id: Some(target),
        });
        return None;
    }
    match (here, placed_in) {
        // The groups were not listed yet.
        (None, _) if facts.listing.groups.is_none() => None,
        _ if movable => Some(not_ready(d, group).unwrap_or_else(|| waiting(d, "takes the server in"))),
        (_, Some(old)) => Some(immutable(d, &format!("was made in group {old}, not in {target}"))),
        (_, None) => Some(immutable(d, &format!("was not made in group {target}"))),
    }
}

fn immutable(d: &Draft<'_>, how: &str) -> Verdict {
    let back = d
        .status
        .group
        .as_ref()
        .map_or("take spec.groupRef away".to_owned(), |g| {
            format!("set spec.groupRef back to {}", g.name)
        });
    Verdict::Stalled(
        Reason::Immutable,
        format!(
            "the server {how}, and this cloud places servers only when it makes them: {back}, or make a new Server"
        ),
    )
}

/// Before a member that should run is taken down for a while: why it has to wait, if so.
pub(in crate::planner) fn turn(d: &mut Draft<'_>) -> Option<Verdict> {
    let group = own(d)?;
    let view = d.input.group?;
    let runs = ServerState::of_wish(power::wish(d).0) == Some(ServerState::Running);
    if !runs || (view.disruptions_free)() {
        return None;
    }
    d.again(d.after(5));
    let most = group.spec.disruption.max_unavailable;
    Some(waiting(
        d,
        &format!(
            "lets {most} of its members be down at once (disruption.maxUnavailable): this one waits for its turn"
        ),
    ))
}
