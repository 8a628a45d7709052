//! ServerActions: one turn of one, and who is told of whom. The deed itself is done by the turn of its Server.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Resource};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::queue::Urgency;
use super::reconcile::{End, Error, Next, REQUEST, ROUNDS, not_owned};
use super::sharing::Part;
use super::store::{Change, What};
use super::write::{self, Written, differs};
use super::{Shell, tally};
use crate::api::server_action::ActionRecord;
use crate::api::{Server, ServerAction, keys};
use crate::observer::ObjectKey;
use crate::planner::deeds::object::{ActionStep, is_over, plan_action};

/// When an object that somebody else has written is looked at again at the latest.
const SOON: Duration = Duration::from_secs(1);

/// The Server that a ServerAction names.
fn server_of(key: &ObjectKey, action: &ServerAction) -> ObjectKey {
    ObjectKey::new(key.namespace.clone(), action.spec.server_ref.name.clone())
}

/// The ServerActions that name a Server and have not said what became of them, in the order in which they were made.
pub(super) fn of(shell: &Shell, server: &ObjectKey) -> Vec<Arc<ServerAction>> {
    let mut all = unfinished(shell, server);
    all.sort_by_cached_key(|(key, action)| {
        let made = action.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (made, key.name.clone())
    });
    all.into_iter().map(|(_, action)| action).collect()
}

fn unfinished(shell: &Shell, server: &ObjectKey) -> Vec<(ObjectKey, Arc<ServerAction>)> {
    // What is over stays for as long as people keep it: it is passed over where it lies.
    let of = |action: &ServerAction| action.spec.server_ref.name == server.name && !is_over(action);
    shell.actions.in_namespace_where(&server.namespace, of)
}

/// The ServerActions of a Server look at it.
pub(super) fn wake_of(shell: &Shell, server: &ObjectKey) {
    for (key, _) in unfinished(shell, server) {
        shell.queue.wake(&key, Urgency::Background);
    }
}

/// What a Server remembers of deeds.
fn records(server: &Server) -> &[ActionRecord] {
    server.status.as_ref().map_or(&[], |s| &s.actions)
}

/// A Server's status was written: its ServerActions are told, if it says something of one.
pub(super) fn tell(shell: &Shell, key: &ObjectKey, before: &Server, after: &Server) {
    if records(before) != records(after) {
        wake_of(shell, key);
    }
}

/// The watch has shown something new of a ServerAction.
pub(super) fn changed(shell: &Arc<Shell>, change: Change) {
    let key = change.key;
    let action = shell.actions.get(&key);
    let concerns = action.filter(|a| !is_over(a) || a.metadata.finalizers.is_some());
    let server = concerns.map(|action| server_of(&key, &action));
    match change.what {
        What::Wish | What::Other => {
            shell.queue.wake(&key, Urgency::User);
        }
        What::Gone => {
            shell.forget(&key, &change.uid, None);
            // Its Server forgets it, and turns to the next one.
            let knows = |s: &Server| records(s).iter().any(|r| r.uid == change.uid);
            for (server, _) in shell.servers.in_namespace_where(&key.namespace, knows) {
                shell.queue.wake(&server, Urgency::Background);
            }
        }
        What::Unreadable(words) => {
            tracing::warn!(object = %key, error = %words, "a ServerAction cannot be read and is left alone");
            shell.events.unreadable::<ServerAction>(key, change.uid, &words);
        }
    }
    if let Some(server) = server {
        shell.queue.wake(&server, Urgency::User);
    }
}

/// One turn of a ServerAction.
///
/// # Errors
/// The Kubernetes API could not be used.
pub(crate) async fn reconcile(shell: &Arc<Shell>, key: &ObjectKey) -> Result<End, Error> {
    for _ in 0..ROUNDS {
        let Some(action) = shell.actions.get(key) else {
            return Ok(End {
                outcome: "gone",
                again: None,
            });
        };
        if let Next::End(end) = round(shell, key, action).await? {
            return Ok(end);
        }
    }
    Err(Error::Contended)
}

/// The Server that no watch has shown: they are watches of two kinds, and that of Servers may be the one that is behind.
async fn looked_up(shell: &Shell, server: &ObjectKey) -> Result<Option<Arc<Server>>, Error> {
    if let Some(found) = write::read::<Server>(shell, server).await? {
        shell.servers.put(found);
        shell.queue.wake(server, Urgency::Background);
    }
    Ok(shell.servers.get(server))
}

/// The owners of a ServerAction, with a Server among them.
fn owned(action: &ServerAction, name: &str, uid: &str) -> Vec<Value> {
    let known = action.metadata.owner_references.iter().flatten();
    let mut owners: Vec<_> = known.filter(|o| o.uid != uid).map(|o| json!(o)).collect();
    owners.push(json!({
        "apiVersion": Server::api_version(&()), "kind": Server::kind(&()), "name": name, "uid": uid,
    }));
    owners
}

async fn round(shell: &Arc<Shell>, key: &ObjectKey, action: Arc<ServerAction>) -> Result<Next, Error> {
    let uid = action.metadata.uid.clone().unwrap_or_default();
    if shell.part(key, &uid) == Part::Others {
        return Ok(not_owned(shell, key, &uid));
    }
    let server = server_of(key, &action);
    let now = shell.ctx.clock.now();
    let known = match shell.servers.get(&server) {
        // What is over needs its Server no more.
        None if !shell.servers.exists(&server) && !is_over(&action) => looked_up(shell, &server).await?,
        known => known,
    };
    if known.is_none() && shell.servers.exists(&server) {
        // It is there and cannot be read: nothing is said of it.
        return Ok(Next::End(End {
            outcome: "rest",
            again: None,
        }));
    }
    let plan = plan_action(&action, known.as_deref(), now);
    let mut current = action;
    if differs(current.status.as_ref(), &plan.status) {
        match write::status(shell, key, &*current, &plan.status).await? {
            Written::Yes(written) => {
                tally::written(&shell.ctx.metrics, &*current, &*written, now);
                shell.actions.put(Arc::clone(&written));
                current = written;
                // The next one has its turn.
                shell.queue.wake(&server, Urgency::Background);
                wake_of(shell, &server);
            }
            Written::Conflict => return Ok(soon()),
            Written::Gone => return Ok(gone(shell, key, &uid)),
        }
    }
    let again = plan.again_at.map(|t| shell.ctx.clock.instant(t));
    let end = |outcome| Ok(Next::End(End { outcome, again }));
    let finalizers = current.metadata.finalizers.iter().flatten().cloned();
    let mut rest: Vec<String> = finalizers.filter(|f| f != keys::ACTION_FINALIZER).collect();
    let patch = match plan.step {
        ActionStep::Wait => return end("rest"),
        ActionStep::Delete => {
            let api: Api<ServerAction> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
            let only = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(uid),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let answer = timeout(REQUEST, api.delete(&key.name, &only))
                .await
                .map_err(|_| Error::Timeout)?;
            return match answer {
                Err(kube::Error::Api(s)) if s.is_not_found() || s.is_conflict() => end("step"),
                other => other.map_err(Error::from).and_then(|_| end("step")),
            };
        }
        ActionStep::Take(name, server_uid) => {
            rest.push(keys::ACTION_FINALIZER.to_owned());
            let owners = owned(&current, &name, &server_uid);
            json!({"finalizers": rest, "ownerReferences": owners, "annotations": {keys::TAKEN: server_uid}})
        }
        ActionStep::Own(name, server_uid) => json!({"ownerReferences": owned(&current, &name, &server_uid)}),
        ActionStep::Release => json!({"finalizers": rest}),
    };
    let last = rest.is_empty() && current.metadata.deletion_timestamp.is_some();
    match write::metadata(shell, key, &*current, patch).await? {
        Written::Yes(written) => {
            shell.actions.put(written);
            if last {
                return Ok(gone(shell, key, &uid));
            }
            shell.queue.wake(&server, Urgency::User);
            Ok(Next::Round)
        }
        Written::Conflict => Ok(soon()),
        Written::Gone => Ok(gone(shell, key, &uid)),
    }
}

/// Somebody else has written it: the watch shows how it is now, and wakes it.
fn soon() -> Next {
    Next::End(End {
        outcome: "conflict",
        again: Some(Instant::now() + SOON),
    })
}

fn gone(shell: &Shell, key: &ObjectKey, uid: &str) -> Next {
    shell.actions.gone(key, uid);
    shell.forget(key, uid, None);
    Next::End(End {
        outcome: "gone",
        again: None,
    })
}
