//! One turn of one object: read, plan, write the record, remember, tell, take the one step.

use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use tokio::time::Instant;

use super::accounts::{Snapshot, Usable};
use super::call::{self, Asker};
use super::explain::Planned;
use super::objects::Left;
use super::sharing::Part;
use super::write::{self, Written, differs};
use super::{Shell, accounts, actions, groups, quota, tally};
use crate::api::server_status::OperationKind;
use crate::api::{Server, keys};
use crate::observer::sync::lock;
use crate::observer::{Interest, ObjectKey};
use crate::planner::claims::Claim;
use crate::planner::model::{CloudCall, ServerState};
use crate::planner::{self, AccountView, Input, Plan, Step, Takes, same_account};

/// One request to the Kubernetes API may take so long.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);
/// So many conflicts and quick steps are dealt with in one turn.
pub(super) const ROUNDS: usize = 8;

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The Kubernetes API refused.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// It did not answer.
    #[error("the Kubernetes API did not answer within {} s", REQUEST.as_secs())]
    Timeout,
    /// Somebody else writes the object all the time.
    #[error("the object changes too often to be written")]
    Contended,
}

/// How a turn ended.
#[derive(Debug)]
pub(crate) struct End {
    /// In one word, for the metrics.
    pub(crate) outcome: &'static str,
    /// When the next turn is, at the latest.
    pub(crate) again: Option<Instant>,
}

pub(super) enum Next {
    /// The object was written or read anew: plan again.
    Round,
    End(End),
}

/// One turn of an object.
///
/// # Errors
/// The Kubernetes API could not be used; nothing was sent to a cloud.
pub(crate) async fn reconcile(shell: &Arc<Shell>, key: &ObjectKey) -> Result<End, Error> {
    for _ in 0..ROUNDS {
        let Some(server) = shell.servers.get(key) else {
            return Ok(End {
                outcome: "gone",
                again: None,
            });
        };
        if let Next::End(end) = round(shell, key, server).await? {
            return Ok(end);
        }
    }
    Err(Error::Contended)
}

/// Somebody else acts on it: nothing of it is remembered here.
pub(super) fn not_owned(shell: &Shell, key: &ObjectKey, uid: &str) -> Next {
    shell.forget(key, uid, None);
    Next::End(End {
        outcome: "not-owned",
        again: None,
    })
}

/// Reads it again, and tells whom it concerns: the watch does not show anew what is known already. It may have been written
/// by this process, which did not hear the answer.
async fn refresh(shell: &Shell, key: &ObjectKey, uid: &str, known: &Server) -> Result<Next, Error> {
    let next = write::refresh(shell, &shell.servers, key, uid).await?;
    if let Some(fresh) = shell.servers.get(key) {
        groups::tell(shell, key, known, &fresh);
        actions::tell(shell, key, known, &fresh);
    }
    Ok(next)
}

async fn round(shell: &Arc<Shell>, key: &ObjectKey, server: Arc<Server>) -> Result<Next, Error> {
    let uid = server.metadata.uid.clone().unwrap_or_default();
    let config = ObjectKey::new(
        key.namespace.clone(),
        server.spec.provider_config_ref.name.clone(),
    );
    let part = shell.part(key, &uid);
    if part == Part::Others {
        return Ok(not_owned(shell, key, &uid));
    }
    shell.look_after(&config);
    let now = shell.ctx.clock.now();
    let deleting = server.metadata.deletion_timestamp.is_some();
    let mut snapshot = shell.accounts.snapshot(&config, deleting, now);
    shell.objects.read(&uid, Left::Server(Arc::clone(&server)), now);
    let memory = shell.objects.open(&uid, key);
    // A process that is going sends nothing new, and so records nothing new; but it saves what a call brought.
    let going = shell.draining() || part == Part::Ending;
    let plan = decide(
        shell,
        key,
        &uid,
        &config,
        &server,
        &memory,
        &mut snapshot,
        now,
        going,
    );

    let calls = matches!(plan.step, Step::Call { .. });
    if calls && shell.objects.calling(&uid) {
        tracing::error!(object = %key, "a second call was planned while one is under way; it is not made");
        return Ok(Next::End(End {
            outcome: "rest",
            again: None,
        }));
    }
    let recorded = Instant::now();
    let mut current = server;
    // Before a call the record is written even where it says nothing new: the write proves that it still holds.
    if calls || differs(current.status.as_ref(), &plan.status) {
        match write::status(shell, key, &*current, &plan.status).await? {
            Written::Yes(written) => {
                shell.servers.put(Arc::clone(&written));
                tally::written(&shell.ctx.metrics, &*current, &*written, now);
                groups::tell(shell, key, &current, &written);
                actions::tell(shell, key, &current, &written);
                current = written;
            }
            Written::Conflict => return refresh(shell, key, &uid, &current).await,
            Written::Gone => return Ok(gone(shell, key, &uid, &config)),
        }
    }
    let Plan {
        memory,
        step,
        events,
        again_at,
        list_after,
        busy,
        takes,
        ..
    } = plan;
    let planned = Planned::new(now, &step, again_at, list_after, busy, takes);
    shell.objects.store(&uid, memory, planned);
    shell.objects.leave(&uid, Left::Server(Arc::clone(&current)));
    for event in events {
        tally::told(&shell.ctx.metrics, key.kind(), &event);
        shell.events.publish(current.object_ref(&()), event);
    }
    let due = shell.objects.due(&uid, again_at, now);
    let again = due.map(|t| shell.ctx.clock.instant(t));
    let usable = match snapshot {
        Snapshot::Usable(usable) => {
            shell
                .accounts
                .attend(&usable.account, &uid, interest(key, &current, busy, list_after));
            Some(*usable)
        }
        Snapshot::Unusable(_, account) => {
            // The first list is waited for, whenever it was asked for.
            let first = list_after.or(Some(jiff::Timestamp::MIN));
            match account {
                Some(account) => {
                    let interest = interest(key, &current, busy, first);
                    shell.accounts.attend(&account, &uid, interest);
                }
                None => shell.accounts.forget(&uid),
            }
            None
        }
    };
    // Told to go only now, it sends what it has just recorded: nobody else could know that it was never sent.
    let step = if going { Step::Wait } else { step };
    finish(shell, key, &uid, &config, &current, step, usable, recorded, again).await
}

#[allow(clippy::too_many_arguments)]
fn decide(
    shell: &Shell,
    key: &ObjectKey,
    uid: &str,
    config: &ObjectKey,
    server: &Server,
    memory: &planner::memory::Memory,
    snapshot: &mut Snapshot,
    now: jiff::Timestamp,
    leaving: bool,
) -> Plan {
    let lives = |uid: &str| shell.servers.lives(uid);
    let claimed = |id: &str| claimed(shell, config, uid, server, id);
    let actions = actions::of(shell, key);
    // Held over the plan, so that two objects cannot both take the last free place.
    let mut limits = lock(&shell.limits);
    let mut free = (true, true);
    if let Snapshot::Usable(usable) = snapshot {
        let accounts::Settings {
            creates, disruptions, ..
        } = usable.settings;
        free = limits.free(config, uid, creates, disruptions);
        (usable.facts.creates_free, usable.facts.disruptions_free) = free;
        usable.facts.quota = lock(&shell.quotas).shut(&usable.account, &quota::asked(uid, server), now);
    }
    let sight = groups::Sight::of(shell, key, uid, server, &limits);
    let down = || sight.as_ref().is_none_or(groups::Sight::disruptions_free);
    let account = match snapshot {
        Snapshot::Usable(usable) => AccountView::Usable(&usable.facts),
        Snapshot::Unusable(o, _) => AccountView::Unusable {
            reason: o.reason,
            message: &o.message,
            since: o.since,
        },
    };
    let plan = planner::plan(&Input {
        server,
        account,
        group: sight.as_ref().map(|s| s.view(&down)),
        actions: &actions,
        memory,
        process: &shell.ctx.process,
        installation: &shell.ctx.installation,
        leaving,
        lives: &lives,
        claimed: &claimed,
        now,
        seed: shell.ctx.seed,
    });
    let unsettled = plan.busy || plan.again_at.is_some() || plan.list_after.is_some();
    let unborn = server.status.as_ref().is_none_or(|s| s.id.is_none());
    let missed = Takes {
        create: !free.0 && unborn && !plan.takes.create,
        disruption: !free.1 && unsettled && !plan.takes.disruption,
    };
    if let Snapshot::Usable(usable) = snapshot {
        let asks = matches!(
            &plan.step,
            Step::Call {
                call: CloudCall::Create(_),
                ..
            }
        );
        let object = quota::asked(uid, server);
        lock(&shell.quotas).record(&usable.account, object, key, asks, plan.awaits_quota, now);
    }
    let mut waiting = limits.record(config, uid, key, plan.takes, missed);
    waiting.extend(groups::record(&mut limits, sight, uid, key, &plan));
    for waiting in waiting {
        shell.queue.wake(&waiting, super::queue::Urgency::Background);
    }
    plan
}

/// The object of the same account whose claim on a server comes before that of this object.
fn claimed(shell: &Shell, config: &ObjectKey, uid: &str, server: &Server, id: &str) -> Option<String> {
    let account_of = |config: &ObjectKey| match shell.accounts.state(config)?.0 {
        accounts::ConfigState::Usable { account, .. } => Some(account.id),
        accounts::ConfigState::Unusable(_) => None,
    };
    let own = Claim::of(server, id);
    let account = account_of(config)?;
    let others = shell
        .servers
        .matching(|other| other.metadata.uid.as_deref() != Some(uid) && Claim::of(other, id).is_some());
    let first = others
        .iter()
        .filter_map(|(key, other)| Some((Claim::of(other, id)?, key, other)))
        .filter(|(claim, ..)| own.is_none_or(|own| *claim < own))
        .filter(|(_, key, other)| {
            let recorded = other.status.as_ref().and_then(|s| s.account.clone());
            let config = ObjectKey::new(key.namespace.clone(), other.spec.provider_config_ref.name.clone());
            let theirs = recorded.or_else(|| account_of(&config));
            theirs.is_some_and(|theirs| same_account(&theirs, &account))
        })
        .min_by_key(|(claim, ..)| *claim)?;
    Some(first.1.to_string())
}

/// What an object wants to hear about.
pub(super) fn interest(
    key: &ObjectKey,
    server: &Server,
    busy: bool,
    list_after: Option<jiff::Timestamp>,
) -> Interest {
    let status = server.status.as_ref();
    let operation = status.and_then(|s| s.operation.as_ref()).map(|o| o.kind);
    let imported = server.spec.import.as_ref().map(|i| i.id.clone());
    let mut ids: Vec<String> = status
        .and_then(|s| s.id.clone())
        .into_iter()
        .chain(imported)
        .collect();
    ids.dedup();
    let observed = status.and_then(|s| s.power.as_ref()?.observed.as_deref());
    Interest {
        key: key.clone(),
        ids,
        // What is known to be gone is missed by nobody.
        deleting: server.metadata.deletion_timestamp.is_some()
            || observed == Some(ServerState::Absent.as_str())
            || matches!(
                operation,
                Some(OperationKind::Delete | OperationKind::DeleteFailed)
            ),
        busy,
        list_after,
        groups: false,
    }
}

#[allow(clippy::too_many_arguments)]
async fn finish(
    shell: &Arc<Shell>,
    key: &ObjectKey,
    uid: &str,
    config: &ObjectKey,
    server: &Server,
    step: Step,
    usable: Option<Usable>,
    recorded: Instant,
    again: Option<Instant>,
) -> Result<Next, Error> {
    let asker = |usable: Usable| Asker {
        key: key.clone(),
        uid: uid.to_owned(),
        config: config.clone(),
        account: usable.account,
        cloud: usable.cloud,
        provider: usable.provider,
    };
    let end = |outcome| Ok(Next::End(End { outcome, again }));
    match (step, usable) {
        (Step::Wait, _) => end("rest"),
        (Step::AddFinalizer, _) => {
            let mut finalizers = server.metadata.finalizers.clone().unwrap_or_default();
            finalizers.push(keys::FINALIZER.to_owned());
            match write::finalizers(shell, key, server, finalizers).await? {
                Written::Yes(written) => {
                    shell.servers.put(written);
                    Ok(Next::Round)
                }
                Written::Conflict => refresh(shell, key, uid, server).await,
                Written::Gone => Ok(gone(shell, key, uid, config)),
            }
        }
        (Step::RemoveFinalizer, usable) => {
            let finalizers = server.metadata.finalizers.iter().flatten();
            let rest: Vec<String> = finalizers.filter(|f| *f != keys::FINALIZER).cloned().collect();
            let last = rest.is_empty() && server.metadata.deletion_timestamp.is_some();
            match write::finalizers(shell, key, server, rest).await? {
                Written::Yes(written) => {
                    shell.servers.put(written);
                    if last {
                        tally::gone(&shell.ctx.metrics, server);
                        if let Some(usable) = usable {
                            quota::freed(shell, &usable.account);
                        }
                        Ok(gone(shell, key, uid, config))
                    } else {
                        end("step")
                    }
                }
                Written::Conflict => refresh(shell, key, uid, server).await,
                Written::Gone => Ok(gone(shell, key, uid, config)),
            }
        }
        (Step::Look { id, trace }, Some(usable)) => {
            call::look(shell, asker(usable), id, trace);
            end("step")
        }
        (Step::Call { key: name, call }, Some(usable)) => {
            call::call(shell, asker(usable), name, call, recorded);
            end("step")
        }
        (Step::Look { .. } | Step::Call { .. }, None) => {
            tracing::error!(object = %key, "a cloud was to be asked that cannot be used");
            end("rest")
        }
    }
}

fn gone(shell: &Shell, key: &ObjectKey, uid: &str, _config: &ObjectKey) -> Next {
    shell.servers.gone(key, uid);
    shell.forget(key, uid, None);
    groups::wake_all(shell, &key.namespace);
    Next::End(End {
        outcome: "gone",
        again: None,
    })
}
