//! What calls do to groups, and to the servers in them.

use evenkeel::api::server_status::OperationKind;
use evenkeel::planner::model::ServerState::{Absent, Deleting, Provisioning, Running};
use evenkeel::planner::model::{CloudCall, CreateGroup, ErrorClass, GroupChange, ObservedGroup};

use super::mind::{Mind, number};
use super::world::{Group, State, Wrong};
use crate::cloud::settled;
use crate::laws;
use crate::world::{Machine, Mark};

/// A call arrives. What the cloud answers: the id of what was made, or a class of refusal.
pub(crate) fn arrive(
    s: &mut State,
    mind: &Mind,
    about: usize,
    call: &CloudCall,
) -> Result<Option<String>, ErrorClass> {
    match call {
        CloudCall::CreateGroup(wanted) => {
            made(s, about);
            let shape = mind.keep_shape(shape(mind, wanted));
            s.groups.push(Group {
                n: s.made,
                ours: true,
                shape,
                members: Vec::new(),
            });
            Ok(Some(format!("g{}", s.made)))
        }
        CloudCall::Create(request) => {
            let group = request.group.as_deref().map(number);
            let at = group.map(|n| s.groups.iter().position(|g| g.n == n));
            if at == Some(None) {
                return Err(ErrorClass::InvalidSpec);
            }
            made(s, about);
            if let Some(Some(at)) = at {
                touch(s, at);
                s.groups[at].members.push(s.made);
            }
            s.servers.push(Machine {
                mark: Mark::Of(about as u8),
                state: Provisioning,
                then: Some(Running),
                launched: false,
                ..settled(s.made)
            });
            Ok(Some(format!("s{}", s.made)))
        }
        CloudCall::ChangeGroup { id, change } => {
            let n = number(id);
            let at = s
                .groups
                .iter()
                .position(|g| g.n == n)
                .ok_or(ErrorClass::NotFound)?;
            touch(s, at);
            match change {
                GroupChange::Modify { wanted, .. } => {
                    s.groups[at].shape = mind.keep_shape(shape(mind, wanted));
                }
                GroupChange::Unmark => {
                    let mut seen = (*mind.shape(s.groups[at].shape)).clone();
                    seen.marks = None;
                    s.groups[at].shape = mind.keep_shape(seen);
                }
                GroupChange::Add { server } => {
                    let server = number(server);
                    if !s.servers.iter().any(|m| m.n == server) {
                        return Err(ErrorClass::NotFound);
                    }
                    let members = &mut s.groups[at].members;
                    members.retain(|m| *m != server);
                    members.push(server);
                    members.sort_unstable();
                }
                GroupChange::Remove { server } => {
                    let server = number(server);
                    s.groups[at].members.retain(|m| *m != server);
                }
                GroupChange::Delete => drop(s.groups.remove(at)),
            }
            Ok(None)
        }
        CloudCall::Operate { id, kind, .. } => {
            let n = number(id);
            let machine = s.servers.iter_mut().find(|m| m.n == n);
            let machine = machine.ok_or(ErrorClass::NotFound)?;
            if machine.mark != Mark::Of(about as u8) {
                s.broken = Some(Wrong {
                    law: laws::NO_STRANGER,
                    how: "the server of somebody else is touched",
                });
                return Ok(None);
            }
            if matches!(kind, OperationKind::Delete | OperationKind::DeleteFailed) {
                (machine.state, machine.then, machine.age) = (Deleting, Some(Absent), 0);
            }
            Ok(None)
        }
    }
}

/// Something more is made for an object.
fn made(s: &mut State, about: usize) {
    s.made += 1;
    if s.let_go & (1 << about) != 0 {
        s.broken = Some(Wrong {
            law: laws::NOTHING_LEFT,
            how: "something is made for an object that is gone",
        });
    }
}

fn touch(s: &mut State, at: usize) {
    if !s.groups[at].ours {
        s.broken = Some(Wrong {
            law: laws::NO_STRANGER,
            how: "the group of somebody else is touched",
        });
    }
}

/// What a cloud shows of a group that was asked for.
fn shape(mind: &Mind, wanted: &CreateGroup) -> ObservedGroup {
    let marked = mind.can.groups.is_some_and(|can| can.marks);
    ObservedGroup {
        name: wanted.name.clone(),
        policy: Some(wanted.policy),
        raw_policy: wanted.policy.as_str().to_owned(),
        max_per_host: wanted.max_per_host,
        labels: wanted.labels.clone(),
        marks: marked.then(|| wanted.marks.clone()),
        ..ObservedGroup::default()
    }
}

/// What was under way with a server is done.
pub(crate) fn progress(s: &mut State, at: usize) {
    let machine = &mut s.servers[at];
    let Some(then) = machine.then.take() else {
        return;
    };
    machine.age = 0;
    machine.state = then;
    machine.launched |= then == Running;
    if then == Absent {
        let n = machine.n;
        s.servers.remove(at);
        s.groups.iter_mut().for_each(|g| g.members.retain(|m| *m != n));
    }
}
