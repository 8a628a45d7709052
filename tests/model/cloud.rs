//! Two neutral clouds, and what their calls do.

use evenkeel::api::server::PowerOffMode;
use evenkeel::api::server::PowerWish;
use evenkeel::api::server_status::OperationKind::{self, *};
use evenkeel::planner::model::ServerState::{self, *};
use evenkeel::planner::model::{Capabilities, ErrorClass, StopKind};

use crate::world::{Broken, Call, Law, Machine, Mark, State};

const LIVING: &[ServerState] = &[
    Provisioning,
    Running,
    Stopped,
    Starting,
    Stopping,
    Rebooting,
    Resizing,
    AwaitingResizeConfirmation,
    RevertingResize,
    Error,
    ServerState::Unknown,
];

/// Seconds that an operation may take: three ticks.
const SOON: &[(OperationKind, u32)] = &[
    (Start, 48),
    (Stop, 48),
    (Restart, 48),
    (Resize, 48),
    (ConfirmResize, 48),
    (RevertResize, 48),
    (Delete, 48),
    (DeleteFailed, 48),
    (OperationKind::Mark, 48),
    (CreateImage, 48),
];

/// Deletes in every state, resizes running servers by itself and waits for a word, as Nova does.
pub(crate) const AS_NOVA: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
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
    free_of_locks: &[],
    preconditions: &[
        (Start, &[Stopped]),
        (Stop, &[Running]),
        (Restart, &[Running, Error]),
        (Resize, &[Running, Stopped]),
        (ConfirmResize, &[AwaitingResizeConfirmation]),
        (RevertResize, &[AwaitingResizeConfirmation]),
        (CreateImage, &[Running, Stopped]),
        (Delete, LIVING),
        (DeleteFailed, LIVING),
        (OperationKind::Mark, &[Running, Stopped]),
    ],
    create_settle_seconds: 30,
    attributes: Capabilities::no_attributes,
    hints: Capabilities::no_hints,
    groups: None,
    deadlines: SOON,
};

/// The same, in one place.
pub(crate) static CONFIRMS: Capabilities = AS_NOVA;

/// Resizes and deletes only what is stopped, and confirms nothing, as UpCloud does.
pub(crate) static STOPS_FIRST: Capabilities = Capabilities {
    stop_kinds: &[StopKind::Soft, StopKind::Hard, StopKind::SoftThenHard],
    soft_stop_limit: Some(600),
    resize_stops_by_itself: false,
    resize_confirm: false,
    preconditions: &[
        (Start, &[Stopped]),
        (Stop, &[Running]),
        (Restart, &[Running]),
        (Resize, &[Stopped]),
        (CreateImage, &[Running, Stopped]),
        (Delete, &[Stopped, Error]),
        (DeleteFailed, &[Stopped, Error]),
        (OperationKind::Mark, &[Running, Stopped]),
    ],
    ..LIKE
};

const LIKE: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
    stop_kinds: &[],
    soft_stop_limit: None,
    restart_modes: PowerOffMode::ALL,
    silent_restart: false,
    hard_restart: &[],
    request_log: false,
    live_resize: false,
    resize_stops_by_itself: false,
    resize_confirm: false,
    marks_mutable: true,
    idle_costs: &[],
    comes_with: &[],
    free_of_locks: &[],
    preconditions: &[],
    create_settle_seconds: 30,
    attributes: Capabilities::no_attributes,
    hints: Capabilities::no_hints,
    groups: None,
    deadlines: SOON,
};

/// A call arrives. What the cloud answers: the number of the server that was made, or a class of refusal.
pub(crate) fn arrive(
    s: &mut State,
    can: &Capabilities,
    call: Call,
    no_room: bool,
) -> Result<Option<u8>, ErrorClass> {
    match call {
        Call::Create { uid, size } => {
            s.made += 1;
            if s.let_go & uid != 0 {
                s.broken = Some(Broken::new(
                    Law::NothingLeft,
                    "a server is made for an object that is gone",
                ));
            }
            s.cloud.push(Machine {
                mark: Mark::Of(uid),
                state: Provisioning,
                then: Some(if no_room { Error } else { Running }),
                launched: false,
                size,
                ..settled(s.made)
            });
            Ok(Some(s.made))
        }
        Call::Operate { uid, n, kind, size } => {
            let Some(at) = s.cloud.iter().position(|m| m.n == n) else {
                return Err(ErrorClass::NotFound);
            };
            let machine = &mut s.cloud[at];
            if machine.denied > 0 {
                return Err(ErrorClass::NotFound);
            }
            let deletes = matches!(kind, Delete | DeleteFailed);
            if (machine.is_busy() && !deletes) || !can.allows(kind, machine.state) {
                return Err(ErrorClass::Busy);
            }
            if kind == Resize && machine.size == size {
                return Err(ErrorClass::InvalidSpec);
            }
            if machine.mark != Mark::Of(uid) {
                s.broken = Some(Broken::new(
                    Law::NoStranger,
                    "the server of somebody else is touched",
                ));
                return Ok(None);
            }
            if machine.theirs && matches!(kind, ConfirmResize | RevertResize) {
                let how = "a resize that somebody else began is ended";
                s.broken = Some(Broken::new(Law::NoStranger, how));
                return Ok(None);
            }
            let confirms = can.resize_confirm;
            let rest = |m: &Machine| if m.guest { Running } else { Stopped };
            let (now, then) = match kind {
                Start => (Starting, Running),
                Stop => (Stopping, Stopped),
                Restart => (Rebooting, Running),
                Resize => {
                    machine.guest = machine.state == Running;
                    machine.old_size = machine.size;
                    machine.size = size;
                    machine.theirs = false;
                    let rest = rest(machine);
                    (
                        Resizing,
                        if confirms {
                            AwaitingResizeConfirmation
                        } else {
                            rest
                        },
                    )
                }
                ConfirmResize => (AwaitingResizeConfirmation, rest(machine)),
                RevertResize => {
                    machine.size = machine.old_size;
                    (RevertingResize, rest(machine))
                }
                CreateImage => {
                    machine.images += 1;
                    if machine.images > 1 {
                        s.broken = Some(Broken::new(Law::OneDeed, "a second image is made for one deed"));
                    }
                    return Ok(None);
                }
                Delete | DeleteFailed => (Deleting, Absent),
                _ => return Ok(None),
            };
            (machine.state, machine.then, machine.age) = (now, Some(then), 0);
            Ok(None)
        }
    }
}

/// A server at rest that nobody made.
pub(crate) fn settled(n: u8) -> Machine {
    Machine {
        n,
        mark: Mark::None,
        state: Running,
        then: None,
        age: 0,
        size: 1,
        old_size: 1,
        guest: false,
        launched: true,
        unlisted: 0,
        denied: 0,
        theirs: false,
        images: 0,
    }
}

/// What was under way is done.
pub(crate) fn progress(s: &mut State, at: usize) {
    let machine = &mut s.cloud[at];
    let Some(then) = machine.then.take() else {
        return;
    };
    machine.age = 0;
    machine.state = then;
    machine.launched |= then == Running;
    if then == Absent {
        s.cloud.remove(at);
    }
}
