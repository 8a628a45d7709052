//! The neutral cloud: what its calls do, and what they meet.

use std::sync::Arc;

use super::world::{Fate, World};
use crate::api::server::{PowerOffMode, PowerWish};
use crate::api::server_status::OperationKind;
use crate::planner::draft::later;
use crate::planner::memory::{Look, Outcome};
use crate::planner::model::*;

use ServerState::*;

pub(super) const MARKABLE: &[ServerState] = &[Running, Stopped, Paused, Suspended];
pub(super) const LIVING: &[ServerState] = &[
    Provisioning,
    Running,
    Stopped,
    Paused,
    Suspended,
    Shelved,
    Rescued,
    Starting,
    Stopping,
    Rebooting,
    Resizing,
    AwaitingResizeConfirmation,
    RevertingResize,
    Rebuilding,
    SettingPassword,
    Maintenance,
    Error,
    Deleting,
    SoftDeleted,
    Unknown,
];

/// A cloud like Nova, in neutral words.
pub(super) static CAPABILITIES: Capabilities = NOVA_LIKE;

/// A cloud that resizes only stopped servers, and stops in every way.
pub(super) static PLAIN: Capabilities = Capabilities {
    stop_kinds: &[StopKind::Soft, StopKind::Hard, StopKind::SoftThenHard],
    soft_stop_limit: Some(600),
    preconditions: STOPPED_TO_RESIZE,
    ..PLAIN_LIKE
};

/// A cloud that leaves it to its users to cut the power, and deletes only stopped servers.
pub(super) static BARE: Capabilities = Capabilities {
    stop_kinds: &[StopKind::Soft, StopKind::Hard],
    soft_stop_limit: None,
    preconditions: STOPPED_TO_DELETE,
    ..PLAIN_LIKE
};

const PLAIN_LIKE: Capabilities = Capabilities {
    resize_stops_by_itself: false,
    resize_confirm: false,
    ..NOVA_LIKE
};

const STOPPED_TO_RESIZE: &[(OperationKind, &[ServerState])] = &[
    (OperationKind::Start, &[Stopped]),
    (OperationKind::Stop, &[Running]),
    (OperationKind::Resize, &[Stopped]),
    (OperationKind::Delete, LIVING),
    (OperationKind::DeleteFailed, LIVING),
];

const STOPPED_TO_DELETE: &[(OperationKind, &[ServerState])] = &[
    (OperationKind::Start, &[Stopped]),
    (OperationKind::Stop, &[Running]),
    (OperationKind::Resize, &[Stopped]),
    (OperationKind::Delete, &[Stopped, Error, Unknown]),
    (OperationKind::DeleteFailed, &[Stopped, Error, Unknown]),
];

pub(super) const NOVA_LIKE: Capabilities = Capabilities {
    power_states: &[
        PowerWish::Running,
        PowerWish::Stopped,
        PowerWish::Paused,
        PowerWish::Suspended,
        PowerWish::Shelved,
    ],
    stop_kinds: &[StopKind::CloudEscalates],
    soft_stop_limit: None,
    restart_modes: PowerOffMode::ALL,
    silent_restart: false,
    hard_restart: &[],
    request_log: false,
    live_resize: false,
    resize_stops_by_itself: true,
    resize_confirm: true,
    marks_mutable: true,
    idle_costs: &[],
    comes_with: &[],
    free_of_locks: super::locking::FREE,
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running, Error]),
        (OperationKind::Restart, &[Running, Error]),
        (OperationKind::Resize, &[Running, Stopped]),
        (OperationKind::Rebuild, &[Running, Stopped, Error]),
        (OperationKind::ConfirmResize, &[AwaitingResizeConfirmation]),
        (OperationKind::RevertResize, &[AwaitingResizeConfirmation]),
        (OperationKind::Pause, &[Running]),
        (OperationKind::Unpause, &[Paused]),
        (OperationKind::Suspend, &[Running]),
        (OperationKind::Resume, &[Suspended]),
        (OperationKind::Shelve, &[Running, Stopped, Paused, Suspended]),
        (OperationKind::Unshelve, &[Shelved]),
        (OperationKind::Unrescue, &[Rescued]),
        (OperationKind::Rescue, &[Running, Stopped, Error]),
        (OperationKind::Lock, LIVING),
        (OperationKind::Unlock, LIVING),
        (OperationKind::Restore, &[SoftDeleted]),
        (OperationKind::Delete, LIVING),
        (OperationKind::DeleteFailed, LIVING),
        (OperationKind::Mark, MARKABLE),
        (OperationKind::Unmark, MARKABLE),
    ],
    create_settle_seconds: 30,
    attributes: Capabilities::no_attributes,
    hints: Capabilities::no_hints,
    groups: None,
    deadlines: &[],
};

/// A cloud of machines: no sizes, and marks that stay as they were made.
pub(super) static MACHINES: Capabilities = Capabilities {
    marks_mutable: false,
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running]),
        (OperationKind::Restart, &[Running]),
        (OperationKind::Delete, &[Stopped, Error, Provisioning]),
        (OperationKind::DeleteFailed, &[Stopped, Error, Provisioning]),
        (OperationKind::Retry, &[Error]),
    ],
    deadlines: &[(OperationKind::Retry, 3600)],
    ..NOVA_LIKE
};

impl World {
    pub(super) fn look(&mut self, id: &str, trace: Option<Trace>) {
        self.knobs.looks += 1;
        let ended = trace.filter(|_| !self.knobs.log_is_away);
        let ended = ended.map(|t| (t.key().to_owned(), self.knobs.logged(&t)));
        let found = self.cloud.get(id).map(|f| Arc::new(f.seen.clone()));
        let before = self
            .memory
            .look
            .as_ref()
            .filter(|l| l.id == id)
            .map_or(0, |l| l.absences);
        let absences = if found.is_some() { 0 } else { before + 1 };
        self.memory.look = Some(Look {
            id: id.into(),
            asked_at: self.now,
            found,
            absences,
            error: None,
            ended,
        });
    }

    pub(super) fn call(&mut self, call: &CloudCall) -> Outcome {
        let word = match call {
            CloudCall::Create(_) => "Create",
            CloudCall::Operate { kind, .. } => kind.as_str(),
            CloudCall::CreateGroup(_) => "CreateGroup",
            CloudCall::ChangeGroup { .. } => "ChangeGroup",
        };
        self.calls.push(match call {
            CloudCall::Operate {
                how: Operate::Stop(kind, _),
                ..
            } if *kind != StopKind::CloudEscalates => format!("{word}/{kind}"),
            _ => word.to_owned(),
        });
        self.knobs.heard(call);
        let fate = self
            .fates
            .iter()
            .position(|(w, _)| *w == word)
            .map(|i| self.fates.remove(i).1);
        let lost = |class, maybe_applied| {
            Outcome::Refused(
                self.now,
                CloudError {
                    maybe_applied,
                    ..CloudError::new(class, format!("{class} for {word}"))
                },
            )
        };
        let (refused, lost_reply) = (
            lost(ErrorClass::Transient, true),
            lost(ErrorClass::Ambiguous, true),
        );
        match &fate {
            Some(Fate::Refuse(class)) => return lost(*class, false),
            Some(Fate::RefuseSecret) => {
                let words = CloudError::new(ErrorClass::InvalidSpec, "the Secret does not exist");
                let code = Some(crate::api::Reason::SecretRefused.to_string());
                return Outcome::Refused(self.now, CloudError { code, ..words });
            }
            Some(Fate::RefuseOff) => {
                let words = CloudError::new(ErrorClass::Forbidden, "switched off");
                let code = Some(crate::api::Reason::SwitchedOff.to_string());
                return Outcome::Refused(self.now, CloudError { code, ..words });
            }
            Some(Fate::LoseRequest) => return refused,
            Some(Fate::ApplyLate) => {
                self.late.push((later(self.now, 20), call.clone()));
                return lost_reply;
            }
            Some(Fate::Spare) => return Outcome::Accepted(self.now, Accepted::spared("id-1")),
            Some(Fate::Ignore) if !asks_guest(call) => {}
            Some(Fate::NoEffect | Fate::Ignore) => return Outcome::Accepted(self.now, Accepted::default()),
            _ => {}
        }
        if let Some(refusal) = self.judge(call) {
            return Outcome::Refused(self.now, refusal);
        }
        let id = self.apply(call, matches!(fate, Some(Fate::Break)));
        let (request, result) = self.knobs.requested(call);
        if matches!(fate, Some(Fate::LoseReply)) {
            return lost_reply;
        }
        Outcome::Accepted(
            self.now,
            Accepted {
                id,
                request_id: request,
                result,
                spared: false,
            },
        )
    }

    /// The cloud's own view, which may be newer than the list that a plan rests on.
    fn judge(&self, call: &CloudCall) -> Option<CloudError> {
        let CloudCall::Operate { id, kind, how } = call else {
            return None;
        };
        match self.cloud.get(id) {
            // It outlives the server.
            _ if *kind == OperationKind::DeletePart => None,
            None => Some(CloudError::new(ErrorClass::NotFound, "no such server")),
            Some(f) if f.seen.locked.is_some() && !super::locking::free(*kind) => {
                Some(CloudError::new(ErrorClass::Locked, "it is locked"))
            }
            Some(f)
                if (f.seen.busy && !takes_busy(*kind, f.seen.state) && *kind != OperationKind::Unlock)
                    || !self.accepts(*kind, how, f.seen.state) =>
            {
                Some(CloudError::new(
                    ErrorClass::Busy,
                    format!("not in {}", f.seen.state),
                ))
            }
            Some(_) => None,
        }
    }

    /// Whether the cloud accepts a call in a state.
    pub(super) fn accepts(&self, kind: OperationKind, how: &Operate, state: ServerState) -> bool {
        let hard = matches!(how, Operate::Restart { mode, .. } if *mode == PowerOffMode::Hard);
        self.can.allows(kind, state) || (hard && self.can.hard_restart.contains(&state))
    }

    /// A call that was under way for long: the cloud judges it by the state of that moment.
    pub(super) fn arrive(&mut self, call: &CloudCall) {
        if let CloudCall::Operate { id, kind, .. } = call
            && !self
                .cloud
                .get(id)
                .is_some_and(|f| !f.seen.busy && self.can.allows(*kind, f.seen.state))
        {
            return;
        }
        self.apply(call, false);
    }

    fn apply(&mut self, call: &CloudCall, breaks: bool) -> Option<String> {
        let done = later(self.now, 3);
        match call {
            CloudCall::Create(request) => {
                self.made += 1;
                let id = format!("id-{}", self.made);
                self.put(&id, Provisioning, Some(request.marks.clone()));
                let fake = self.cloud.get_mut(&id).unwrap();
                fake.seen.busy = true;
                fake.seen.launched = false;
                fake.seen.size.name = request.spec.size.as_ref().map(|s| s.text());
                fake.until = Some((done, if breaks { Error } else { Running }));
                if breaks {
                    let message = "No valid host was found.".to_owned();
                    fake.seen.fault = Some(Fault {
                        class: ErrorClass::Capacity,
                        code: None,
                        message,
                    });
                }
                Some(id)
            }
            CloudCall::Operate {
                kind: OperationKind::DeletePart,
                ..
            } => None,
            CloudCall::Operate { id, kind, how } => {
                let confirms = self.can.resize_confirm;
                self.knobs.applied.push(*kind);
                let fake = self.cloud.get_mut(id).unwrap();
                let before = fake.seen.state;
                if let (OperationKind::Restart, Some(seconds)) = (kind, self.knobs.goes_down_after) {
                    fake.until = Some((later(self.now, seconds), Maintenance));
                    fake.then = Some((5, Running));
                    return None;
                }
                let (now, then) = match kind {
                    OperationKind::Start => (Starting, Running),
                    OperationKind::Stop => (Stopping, Stopped),
                    OperationKind::Restart => (Rebooting, Running),
                    OperationKind::Pause => (Maintenance, Paused),
                    OperationKind::Suspend => (Maintenance, Suspended),
                    OperationKind::Shelve => (Maintenance, Shelved),
                    OperationKind::Rescue => (Maintenance, Rescued),
                    OperationKind::Unpause
                    | OperationKind::Resume
                    | OperationKind::Unshelve
                    | OperationKind::Restore
                    | OperationKind::Unrescue => (Maintenance, Running),
                    OperationKind::Resize => {
                        fake.old_size = fake.seen.size.name.clone();
                        if let Operate::Size(size) = how {
                            fake.seen.size.name = Some(size.text());
                        }
                        fake.seen.guest_running = Some(before == Running);
                        (
                            Resizing,
                            if confirms {
                                AwaitingResizeConfirmation
                            } else {
                                before
                            },
                        )
                    }
                    OperationKind::ConfirmResize => {
                        let running = fake.seen.guest_running == Some(true);
                        (
                            AwaitingResizeConfirmation,
                            if running { Running } else { Stopped },
                        )
                    }
                    OperationKind::RevertResize => {
                        fake.seen.size.name = fake.old_size.clone();
                        (
                            RevertingResize,
                            if fake.seen.guest_running == Some(true) {
                                Running
                            } else {
                                Stopped
                            },
                        )
                    }
                    OperationKind::Delete if self.knobs.keeps && *how != Operate::Force => {
                        (Deleting, SoftDeleted)
                    }
                    OperationKind::Delete | OperationKind::DeleteFailed => (Deleting, Absent),
                    OperationKind::Mark => {
                        if let Operate::Marks(marks) = how {
                            fake.seen.marks = Some(marks.clone());
                        }
                        return None;
                    }
                    OperationKind::Unmark => {
                        fake.seen.marks = None;
                        return None;
                    }
                    OperationKind::Lock | OperationKind::Unlock => {
                        fake.seen.locked = match how {
                            // Whoever was first has the lock.
                            Operate::Lock(words) => fake.seen.locked.take().or(Some(words.clone())),
                            _ => None,
                        };
                        return None;
                    }
                    OperationKind::Modify => super::clouds::modified(&mut fake.seen, how, breaks)?,
                    OperationKind::Rebuild => {
                        let told = breaks && self.can.has(OperationKind::Retry);
                        super::clouds::installed(&mut fake.seen, how, breaks, told)
                    }
                    OperationKind::UnmarkPart => {
                        super::clouds::unmark_part(&mut fake.seen, how);
                        return None;
                    }
                    OperationKind::Cancel => (Maintenance, Stopped),
                    OperationKind::Retry => super::clouds::retried(&fake.seen),
                    OperationKind::DeletePart => return None,
                    kind if kind.reads() => return None,
                    kind => super::deeds::done(&mut fake.seen, *kind, how),
                };
                fake.seen.state = now;
                fake.seen.busy = now != AwaitingResizeConfirmation;
                fake.until = Some((done, if breaks { Error } else { then }));
                None
            }
            CloudCall::CreateGroup(_) | CloudCall::ChangeGroup { .. } => None,
        }
    }
}

/// Whether a call is for a server that is busy as well, in a passing state.
pub(super) fn takes_busy(kind: OperationKind, state: ServerState) -> bool {
    use OperationKind::{Cancel, Delete, DeleteFailed, Evacuate, ResetState, Restart};
    matches!(kind, Delete | DeleteFailed | Cancel | ResetState)
        || (matches!(kind, Restart | Evacuate) && state.is_transitional())
}

/// Whether a call only asks the guest.
fn asks_guest(call: &CloudCall) -> bool {
    matches!(
        call,
        CloudCall::Operate {
            how: Operate::Stop(StopKind::Soft, _),
            ..
        }
    )
}
