//! One turn of one group, in the order of [`super::reconcile`].

use std::sync::Arc;

use kube::Resource;
use tokio::time::Instant;

use super::accounts::{Snapshot, Usable};
use super::call::{self, Asker};
use super::explain::Planned;
use super::objects::Left;
use super::reconcile::{End, Error, Next, ROUNDS, not_owned};
use super::sharing::Part;
use super::write::{self, Written, differs};
use super::{Shell, groups, tally};
use crate::api::conditions::{self, ConditionType};
use crate::api::server_group::{GroupOperationKind, ServerGroup};
use crate::api::{Server, keys};
use crate::observer::{Interest, ObjectKey};
use crate::planner::group::{GroupInput, GroupPlan, plan_group};
use crate::planner::memory::Memory;
use crate::planner::{AccountView, Step, Takes, same_account};

/// One turn of a group.
///
/// # Errors
/// The Kubernetes API could not be used; nothing was sent to a cloud.
pub(crate) async fn reconcile(shell: &Arc<Shell>, key: &ObjectKey) -> Result<End, Error> {
    for _ in 0..ROUNDS {
        let Some(group) = shell.groups.get(key) else {
            return Ok(End {
                outcome: "gone",
                again: None,
            });
        };
        if let Next::End(end) = round(shell, key, group).await? {
            return Ok(end);
        }
    }
    Err(Error::Contended)
}

/// Reads it again, and tells its members: the watch does not show anew what is known already.
async fn refresh(shell: &Shell, key: &ObjectKey, uid: &str) -> Result<Next, Error> {
    let next = write::refresh(shell, &shell.groups, key, uid).await?;
    groups::wake_members(shell, key);
    Ok(next)
}

async fn round(shell: &Arc<Shell>, key: &ObjectKey, group: Arc<ServerGroup>) -> Result<Next, Error> {
    let uid = group.metadata.uid.clone().unwrap_or_default();
    let part = shell.part(key, &uid);
    if part == Part::Others {
        return Ok(not_owned(shell, key, &uid));
    }
    let config = ObjectKey::new(key.namespace.clone(), group.spec.provider_config_ref.name.clone());
    shell.look_after(&config);
    let deleting = group.metadata.deletion_timestamp.is_some();
    let now = shell.ctx.clock.now();
    let snapshot = shell.accounts.snapshot(&config, deleting, now);
    let rest = |outcome| Ok(Next::End(End { outcome, again: None }));
    shell.objects.read(&uid, Left::Group(Arc::clone(&group)), now);
    let memory = shell.objects.open(&uid, key);
    // As with servers: who is going records nothing new, and takes in what its calls brought.
    let going = shell.draining() || part == Part::Ending;
    let plan = decide(shell, key, &group, &memory, &snapshot, going);
    let calls = matches!(plan.step, Step::Call { .. });
    if calls && shell.objects.calling(&uid) {
        tracing::error!(object = %key, "a second call was planned while one is under way; it is not made");
        return rest("rest");
    }
    let recorded = Instant::now();
    let mut current = group;
    // Before a call the record is written even where it says nothing new: the write proves that it still holds.
    if calls || differs(current.status.as_ref(), &plan.status) {
        match write::status(shell, key, &*current, &plan.status).await? {
            Written::Yes(written) => {
                shell.groups.put(Arc::clone(&written));
                let before = std::mem::replace(&mut current, written);
                tally::written(&shell.ctx.metrics, &*before, &*current, now);
                if shown(&before) != shown(&current) {
                    groups::wake_members(shell, key);
                }
            }
            Written::Conflict => return refresh(shell, key, &uid).await,
            Written::Gone => return Ok(gone(shell, key, &uid)),
        }
    }
    let interest = interest(key, &current, &plan);
    let (step, takes) = (&plan.step, Takes::default());
    let planned = Planned::new(now, step, plan.again_at, plan.list_after, plan.busy, takes);
    shell.objects.store(&uid, plan.memory, planned);
    shell.objects.leave(&uid, Left::Group(Arc::clone(&current)));
    for event in plan.events {
        tally::told(&shell.ctx.metrics, key.kind(), &event);
        shell.events.publish(current.object_ref(&()), event);
    }
    let due = shell.objects.due(&uid, plan.again_at, now);
    let again = due.map(|t| shell.ctx.clock.instant(t));
    let usable = match snapshot {
        Snapshot::Usable(usable) => {
            shell.accounts.attend(&usable.account, &uid, interest);
            Some(*usable)
        }
        Snapshot::Unusable(_, account) => {
            match account {
                Some(account) => {
                    // The first list is waited for, whenever it was asked for.
                    let list_after = interest.list_after.or(Some(jiff::Timestamp::MIN));
                    let first = Interest {
                        list_after,
                        ..interest
                    };
                    shell.accounts.attend(&account, &uid, first);
                }
                None => shell.accounts.forget(&uid),
            }
            None
        }
    };
    let step = if going { Step::Wait } else { plan.step };
    finish(shell, key, &config, &current, step, usable, recorded, again).await
}

/// What members wait for.
fn shown(group: &ServerGroup) -> impl PartialEq + use<> {
    let status = group.status.as_ref();
    let ready = status.and_then(|s| conditions::get(&s.conditions, ConditionType::Ready));
    (
        status.and_then(|s| s.id.clone()),
        status.and_then(|s| s.observed_generation),
        ready.map(|c| (c.status.clone(), c.message.clone())),
    )
}

fn decide(
    shell: &Shell,
    key: &ObjectKey,
    group: &ServerGroup,
    memory: &Memory,
    snapshot: &Snapshot,
    leaving: bool,
) -> GroupPlan {
    let members: Vec<Arc<Server>> = groups::members(shell, key).into_iter().map(|(_, s)| s).collect();
    let lives = |uid: &str| shell.groups.lives(uid);
    let account = match snapshot {
        Snapshot::Usable(usable) => AccountView::Usable(&usable.facts),
        Snapshot::Unusable(o, _) => AccountView::Unusable {
            reason: o.reason,
            message: &o.message,
            since: o.since,
        },
    };
    let claimed = |id: &str| {
        let others = shell.groups.all().into_iter();
        let mut others = others.filter(|(k, g)| {
            let status = g.status.as_ref();
            let recorded = status.and_then(|s| s.account.as_ref());
            let same = match snapshot {
                Snapshot::Usable(usable) => recorded.is_some_and(|a| same_account(a, &usable.facts.account)),
                Snapshot::Unusable(..) => recorded.is_none(),
            };
            k != key && same && status.and_then(|s| s.id.as_deref()) == Some(id)
        });
        others.next().map(|(k, _)| k.to_string())
    };
    plan_group(&GroupInput {
        group,
        account,
        memory,
        members: &members,
        claimed: &claimed,
        process: &shell.ctx.process,
        installation: &shell.ctx.installation,
        leaving,
        lives: &lives,
        now: shell.ctx.clock.now(),
        seed: shell.ctx.seed,
    })
}

fn interest(key: &ObjectKey, group: &ServerGroup, plan: &GroupPlan) -> Interest {
    let status = group.status.as_ref();
    let operation = status.and_then(|s| s.operation.as_ref()).map(|o| o.kind);
    let id = status.and_then(|s| s.id.clone());
    let imported = group.spec.import.as_ref().map(|i| i.id.clone());
    Interest {
        key: key.clone(),
        ids: id.or(imported).into_iter().collect(),
        deleting: operation == Some(GroupOperationKind::Delete),
        busy: plan.busy,
        list_after: plan.list_after,
        groups: plan.lists_groups,
    }
}

#[allow(clippy::too_many_arguments)]
async fn finish(
    shell: &Arc<Shell>,
    key: &ObjectKey,
    config: &ObjectKey,
    group: &ServerGroup,
    step: Step,
    usable: Option<Usable>,
    recorded: Instant,
    again: Option<Instant>,
) -> Result<Next, Error> {
    let uid = group.metadata.uid.clone().unwrap_or_default();
    let end = |outcome| Ok(Next::End(End { outcome, again }));
    let finalizers = group.metadata.finalizers.iter().flatten().cloned();
    match (step, usable) {
        (Step::Wait, _) => end("rest"),
        (step @ (Step::AddFinalizer | Step::RemoveFinalizer), _) => {
            let own = keys::GROUP_FINALIZER;
            let mut wanted: Vec<String> = finalizers.filter(|f| f != own).collect();
            if step == Step::AddFinalizer {
                wanted.push(own.to_owned());
            }
            let last = wanted.is_empty() && group.metadata.deletion_timestamp.is_some();
            match write::finalizers(shell, key, group, wanted).await? {
                Written::Yes(written) => {
                    shell.groups.put(written);
                    if last {
                        tally::gone(&shell.ctx.metrics, group);
                        Ok(gone(shell, key, &uid))
                    } else if step == Step::AddFinalizer {
                        Ok(Next::Round)
                    } else {
                        end("step")
                    }
                }
                Written::Conflict => refresh(shell, key, &uid).await,
                Written::Gone => Ok(gone(shell, key, &uid)),
            }
        }
        (Step::Call { key: name, call }, Some(usable)) => {
            let asker = Asker {
                key: key.clone(),
                uid,
                config: config.clone(),
                account: usable.account,
                cloud: usable.cloud,
                provider: usable.provider,
            };
            call::call(shell, asker, name, call, recorded);
            end("step")
        }
        (Step::Look { .. } | Step::Call { .. }, _) => {
            tracing::error!(object = %key, "a cloud was to be asked that cannot be used");
            end("rest")
        }
    }
}

fn gone(shell: &Shell, key: &ObjectKey, uid: &str) -> Next {
    shell.groups.gone(key, uid);
    shell.forget(key, uid, None);
    groups::wake_members(shell, key);
    Next::End(End {
        outcome: "gone",
        again: None,
    })
}
