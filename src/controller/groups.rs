//! Groups and their members: who is told of whom, and what a Server's plan sees of its group.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shell;
use super::limits::Limits;
use super::queue::Urgency;
use super::store::{Change, What};
use crate::api::conditions::ConditionStatus;
use crate::api::server::ResizeWhen;
use crate::api::server_group::ServerGroup;
use crate::api::server_status::{OperationKind, ServerStatus};
use crate::api::{ConditionType, Server, conditions};
use crate::observer::ObjectKey;
use crate::planner::group::GroupView;
use crate::planner::model::ServerState;
use crate::planner::{Plan, Takes};

/// What happens to many members at once is counted once.
const TOGETHER: Duration = Duration::from_millis(250);

/// The group that a Server names.
pub(super) fn group_of(namespace: &str, server: &Server) -> Option<ObjectKey> {
    let name = &server.spec.group_ref.as_ref()?.name;
    Some(ObjectKey::of_group(namespace, name.clone()))
}

/// Whether a Server names a group, or was placed in it.
fn belongs(server: &Server, group: &str) -> bool {
    let placed = || server.status.as_ref()?.group.as_ref();
    server.spec.group_ref.as_ref().is_some_and(|g| g.name == group)
        || placed().is_some_and(|g| g.name == group)
}

/// The groups of a ProviderConfig.
pub(super) fn of_config(shell: &Shell, config: &ObjectKey) -> Vec<ObjectKey> {
    let all = shell.groups.in_namespace(&config.namespace).into_iter();
    all.filter(|(_, g)| g.spec.provider_config_ref.name == config.name)
        .map(|(key, _)| key)
        .collect()
}

/// Whether a group of a ProviderConfig is being deleted.
pub(super) fn any_deleted(shell: &Shell, config: &ObjectKey) -> bool {
    let all = of_config(shell, config).into_iter();
    let mut all = all.filter_map(|key| shell.groups.get(&key));
    all.any(|g| g.metadata.deletion_timestamp.is_some())
}

/// The Servers that belong to a group, by name.
pub(super) fn members(shell: &Shell, group: &ObjectKey) -> Vec<(ObjectKey, Arc<Server>)> {
    let of_group = |server: &Server| belongs(server, &group.name);
    shell.servers.in_namespace_where(&group.namespace, of_group)
}

/// Something about a group is new for its members.
pub(super) fn wake_members(shell: &Shell, group: &ObjectKey) {
    for (key, _) in members(shell, group) {
        shell.queue.wake(&key, Urgency::Background);
    }
}

/// Every group of a namespace counts its members anew.
pub(super) fn wake_all(shell: &Shell, namespace: &str) {
    for (key, _) in shell.groups.in_namespace(namespace) {
        shell.queue.wake_at(&key, Instant::now() + TOGETHER);
    }
}

/// What a group shows of a member, or waits for.
fn shown(server: &Server) -> impl PartialEq + use<> {
    let status = server.status.as_ref();
    let word = |kind| {
        let condition = conditions::get(&status?.conditions, kind)?;
        Some(condition.status.clone())
    };
    (
        status.and_then(|s| s.power.as_ref()?.observed.clone()),
        status.and_then(|s| s.id.clone()),
        status.is_some_and(|s| s.create_attempt.is_some()),
        status.and_then(|s| s.group.clone()),
        word(ConditionType::Ready),
        word(ConditionType::Stalled),
    )
}

/// A Server's status was written: its groups are told, if it says something that they show.
pub(super) fn tell(shell: &Shell, key: &ObjectKey, before: &Server, after: &Server) {
    let placed = |s: &Server| {
        let group = s.status.as_ref()?.group.as_ref()?;
        Some(ObjectKey::of_group(key.namespace.clone(), group.name.clone()))
    };
    let groups = [group_of(&key.namespace, after), placed(before), placed(after)];
    if groups.iter().all(Option::is_none) || shown(before) == shown(after) {
        return;
    }
    for group in groups.into_iter().flatten() {
        if shell.groups.get(&group).is_some() {
            shell.queue.wake_at(&group, Instant::now() + TOGETHER);
        }
    }
}

/// The watch has shown something new of a group.
pub(super) fn changed(shell: &Shell, change: Change) {
    let key = change.key;
    match change.what {
        What::Wish => {
            shell.queue.wake(&key, Urgency::User);
            wake_members(shell, &key);
        }
        What::Other => {
            shell.queue.wake(&key, Urgency::Background);
            wake_members(shell, &key);
        }
        What::Gone => {
            shell.forget(&key, &change.uid, None);
            wake_members(shell, &key);
        }
        What::Unreadable(words) => {
            tracing::warn!(object = %key, error = %words, "a ServerGroup cannot be read and is left alone");
            shell.events.unreadable::<ServerGroup>(key, change.uid, &words);
        }
    }
}

/// The group of a Server, as one plan of it sees it.
pub(super) struct Sight {
    key: ObjectKey,
    object: Option<Arc<ServerGroup>>,
    creates_free: bool,
    most: usize,
    /// The other members that have taken a place, or are down.
    down: Vec<ObjectKey>,
}

impl Sight {
    /// Looks at the group that a Server names.
    pub(super) fn of(
        shell: &Shell,
        key: &ObjectKey,
        uid: &str,
        server: &Server,
        limits: &Limits,
    ) -> Option<Self> {
        let group = group_of(&key.namespace, server)?;
        let object = shell.groups.get(&group);
        let spec = object.as_ref().map(|g| &g.spec);
        let strict = spec.is_some_and(|s| s.placement.policy.is_strict());
        let creates = if strict { 1 } else { i32::MAX };
        let (free, _) = limits.free(&group, uid, creates, i32::MAX);
        let unborn = server.status.as_ref().is_none_or(|s| s.id.is_none());
        // A place is given back when the id is known; the server has no host yet until it is built.
        let made = strict && unborn && members(shell, &group).iter().any(|(k, s)| k != key && is_made(s));
        let creates_free = free && !made;
        let most = spec.map_or(1, |s| s.disruption.max_unavailable);
        let disturbed = |other: &Server| {
            let uid = other.metadata.uid.as_deref().unwrap_or_default();
            limits.takes(&group, uid).disruption || other.status.as_ref().is_some_and(is_down)
        };
        // Asked for only where somebody may want to be disturbed: a look at each member has its price.
        let wants = server.spec.restart.is_some()
            || unsized_yet(server)
            || unset_yet(server)
            || uninstalled_yet(server);
        let down = if wants {
            let others = members(shell, &group).into_iter();
            let others = others.filter(|(k, s)| k != key && disturbed(s));
            others.map(|(k, _)| k).collect()
        } else {
            Vec::new()
        };
        Some(Self {
            key: group,
            object,
            creates_free,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            down,
        })
    }

    /// Whether one more member may be disturbed.
    pub(super) fn disruptions_free(&self) -> bool {
        self.down.len() < self.most
    }

    /// What the planner gets.
    pub(super) fn view<'a>(&'a self, disruptions_free: &'a dyn Fn() -> bool) -> GroupView<'a> {
        GroupView {
            object: self.object.as_deref(),
            creates_free: self.creates_free,
            disruptions_free,
        }
    }
}

/// Whether another size is wished for than the one that was carried out.
fn unsized_yet(server: &Server) -> bool {
    let wanted = server.spec.size.as_ref().map(|s| s.text());
    let have = server.status.as_ref().and_then(|s| s.size_requested.clone());
    wanted.is_some() && wanted != have
}

/// Whether another image is wished for than the one that was installed.
fn uninstalled_yet(server: &Server) -> bool {
    let wanted = server.spec.image.as_ref().map(|i| i.text());
    let have = server
        .status
        .as_ref()
        .and_then(|s| s.image.as_ref()?.requested.clone());
    server.spec.rebuild.is_some() && have.is_some() && wanted != have
}

/// Whether settings may be wished for that were not carried out yet.
fn unset_yet(server: &Server) -> bool {
    let status = server.status.as_ref();
    let synced = status.and_then(|s| conditions::get(&s.conditions, ConditionType::SettingsSynced));
    server.spec.resize.when == ResizeWhen::StopIfNeeded
        && (status.and_then(|s| s.observed_generation) != server.metadata.generation
            || synced.is_some_and(|c| c.status == ConditionStatus::False.as_str()))
}

/// Whether a server is being made.
fn is_made(server: &Server) -> bool {
    let Some(status) = &server.status else {
        return false;
    };
    let power = status.power.as_ref().and_then(|p| p.observed.as_deref());
    let building = status.id.is_some() && power == Some(ServerState::Provisioning.as_str());
    status.create_attempt.is_some() || building
}

/// Whether a server that should run does not.
fn is_down(status: &ServerStatus) -> bool {
    let running = Some(ServerState::Running.as_str());
    let power = status.power.as_ref();
    let resizes = status
        .resize
        .as_ref()
        .is_some_and(|r| r.restore_to.is_some() && status.operation.is_some());
    // One that should run is stopped only to be started again.
    let stops = status
        .operation
        .as_ref()
        .is_some_and(|o| o.kind == OperationKind::Stop || o.kind.disrupts());
    status.id.is_some()
        && power.is_some_and(|p| {
            p.desired.as_deref() == running && (resizes || stops || p.observed.as_deref() != running)
        })
}

/// Records what a member takes of its group; whom a place that became free lets go on.
pub(super) fn record(
    limits: &mut Limits,
    sight: Option<Sight>,
    uid: &str,
    key: &ObjectKey,
    plan: &Plan,
) -> Vec<ObjectKey> {
    let mut woken = limits.leave_groups(uid, key, sight.as_ref().map(|s| &s.key));
    if let Some(sight) = sight {
        let unsettled = plan.busy || plan.again_at.is_some();
        let missed = Takes {
            create: !sight.creates_free && plan.status.id.is_none() && !plan.takes.create,
            disruption: !sight.disruptions_free() && unsettled && !plan.takes.disruption,
        };
        woken.extend(limits.record(&sight.key, uid, key, plan.takes, missed));
    }
    woken
}
