//! What is going to happen to servers, and how it happens when its time has come.
//!
//! Nothing runs in the background: an accepted request writes its steps into the agenda, and whoever looks at
//! the world first carries out what is due. So the same requests at the same moments give the same states.

use std::time::Duration;

use tokio::time::Instant;

use super::server::{Before, Flavor, Nic, ServerFault, Vm};
use super::world::World;
use crate::sim::cloud::{Ask, serve_late};

pub(super) const RUNNING: u8 = 1;
pub(super) const SHUTDOWN: u8 = 4;

/// One step of one accepted request.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) server: String,
    /// The request that it belongs to.
    pub(super) request: String,
    pub(super) effect: Effect,
}

/// What a step changes.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Task(Option<&'static str>),
    State(Vm, Option<&'static str>, u8),
    /// A host is chosen for a new server, or the request ends in ERROR.
    Place,
    /// A host is chosen for another flavor, or the request ends as if it had not been made.
    PlaceResize(Flavor),
    /// Ports and addresses are made.
    Network,
    Launched,
    /// The server leaves its host.
    Unplace,
    /// The host that was chosen is taken.
    Moved,
    /// The flavor and host that were chosen for a resize are taken.
    Adopt(Flavor),
    /// The flavor and host from before a resize are taken back.
    Restore,
    /// What a resize could go back to is forgotten.
    Forget,
    /// ERROR with this code and message.
    Fail(u16, String),
    /// The same, and the server never had a host.
    FailUnplaced(String),
    /// The request is done; whether it failed.
    Finish {
        failed: bool,
    },
    /// An image is complete; of a backup, only so many of its type are kept.
    ImageDone(String, Option<u64>),
    /// The guest is off and its host knows: DELETED.
    Terminate,
    /// It is no longer shown.
    Gone,
    /// A port leaves the server.
    Detach(String),
    /// A volume comes to the server, or leaves it.
    Attach(String),
    DetachVolume(String),
    /// A request that was held up on its way arrives.
    Late(Box<Ask>),
}

/// Writes the steps of one request, one after the other in time.
pub(super) struct Track<'w> {
    world: &'w mut World,
    server: String,
    request: String,
    at: Instant,
}

impl<'w> Track<'w> {
    pub(super) fn new(world: &'w mut World, server: &str, request: &str) -> Self {
        let at = world.core.now;
        Self {
            world,
            server: server.into(),
            request: request.into(),
            at,
        }
    }

    pub(super) fn wait(&mut self, time: Duration) -> &mut Self {
        self.at += time;
        self
    }

    /// Waits until a moment, if it is still to come.
    pub(super) fn until(&mut self, at: Option<Instant>) -> &mut Self {
        self.at = self.at.max(at.unwrap_or(self.at));
        self
    }

    pub(super) fn hop(&mut self) -> &mut Self {
        self.wait(self.world.config.timings.hop)
    }

    /// Waits for a call of the hypervisor; what it fails with.
    pub(super) fn call(&mut self, call: &str) -> Option<(String, String)> {
        let server = self.world.servers.get(&self.server)?;
        let (time, fault) = (
            self.world.call_time(server, call),
            self.world.call_fault(server, call),
        );
        self.wait(time);
        fault
    }

    pub(super) fn step(&mut self, effect: Effect) -> &mut Self {
        let entry = Entry {
            server: self.server.clone(),
            request: self.request.clone(),
            effect,
        };
        self.world.schedule(self.at, entry);
        self
    }

    pub(super) fn done(&mut self) {
        self.step(Effect::Finish { failed: false });
    }

    /// ERROR, first with the task still set, as Nova writes it.
    pub(super) fn fail(&mut self, code: u16, message: String) {
        self.step(Effect::Fail(code, message));
        self.wait(Duration::from_millis(100))
            .step(Effect::Task(None))
            .step(Effect::Finish { failed: true });
    }
}

impl World {
    pub(super) fn schedule(&mut self, at: Instant, entry: Entry) {
        let n = self.core.number();
        self.agenda.insert((at, n), entry);
    }

    /// When the last thing that is planned for a server happens.
    pub(super) fn last_step(&self, server: &str) -> Option<Instant> {
        self.agenda
            .iter()
            .rev()
            .find(|(_, e)| e.server == server)
            .map(|((at, _), _)| *at)
    }

    /// Carries out everything that is due.
    pub(super) fn carry_out_due(&mut self, to: Instant) {
        while let Some(first) = self.agenda.first_entry() {
            if first.key().0 > to {
                break;
            }
            let ((at, _), entry) = first.remove_entry();
            self.core.now = self.core.now.max(at);
            if let Effect::Late(ask) = entry.effect {
                serve_late(self, &ask);
            } else {
                self.apply(&entry);
            }
        }
        self.core.now = self.core.now.max(to);
    }

    fn cancel(&mut self, request: &str) {
        self.agenda.retain(|_, e| e.request != request);
    }

    /// What was still to set a server's state comes to nothing: something else takes its place.
    pub(super) fn supersede(&mut self, server: &str) {
        let sets = |e: &&Entry| e.server == server && matches!(e.effect, Effect::Task(_) | Effect::State(..));
        let gone: Vec<String> = self
            .agenda
            .values()
            .filter(sets)
            .map(|e| e.request.clone())
            .collect();
        gone.iter().for_each(|request| self.cancel(request));
    }

    fn apply(&mut self, entry: &Entry) {
        let (now, time) = (self.core.now, self.core.time());
        let Some(mut server) = self.servers.get(&entry.server).cloned() else {
            return;
        };
        server.updated = time;
        match &entry.effect {
            Effect::Task(task) => server.task = *task,
            Effect::State(vm, task, power) => {
                (server.vm, server.task, server.power) = (*vm, *task, *power);
                if *vm != Vm::Error {
                    server.fault = None;
                }
            }
            Effect::Place => {
                server.task = None;
                server.host = self.choose_host(&server, &server.flavor, None);
                if server.host.is_none() {
                    self.cancel(&entry.request);
                    let message = "No valid host was found. There are not enough hosts available.".to_owned();
                    let server_id = server.id.clone();
                    self.servers.insert(server_id.clone(), server);
                    let mut track = Track::new(self, &server_id, &entry.request);
                    track
                        .step(Effect::FailUnplaced(message))
                        .step(Effect::Finish { failed: true });
                    return;
                }
            }
            Effect::PlaceResize(flavor) => {
                server.next_host = self.choose_host(&server, flavor, server.host.as_deref());
                if server.next_host.is_none() {
                    self.cancel(&entry.request);
                    server.task = None;
                    finish(&mut server.actions, &entry.request, true, time);
                }
            }
            Effect::Network => {
                for id in server.networks.clone() {
                    let Some(network) = self.networks.iter().find(|n| n.id == id).cloned() else {
                        continue;
                    };
                    let groups = server.security_groups.clone();
                    let nic = Nic {
                        groups,
                        ..self.new_nic(network, None)
                    };
                    self.made_ports.insert(nic.port.clone());
                    server.nics.push(nic);
                }
            }
            Effect::Launched => server.launched = Some(time),
            Effect::Unplace => server.host = None,
            Effect::Adopt(flavor) => {
                let vm = server.vm;
                let flavor = std::mem::replace(&mut server.flavor, flavor.clone());
                let next = server.next_host.take();
                let host = std::mem::replace(&mut server.host, next);
                server.old = Some(Before { flavor, host, vm });
            }
            Effect::Restore => {
                if let Some(before) = server.old.take() {
                    (server.flavor, server.host) = (before.flavor, before.host);
                }
            }
            Effect::Forget => {
                server.old = None;
                server.confirming = false;
            }
            Effect::Fail(code, message) => {
                server.vm = Vm::Error;
                server.confirming = false;
                server.deleting = false;
                server.fault = Some(ServerFault {
                    code: *code,
                    message: message.clone(),
                    created: time,
                });
            }
            Effect::FailUnplaced(message) => {
                (server.vm, server.task, server.power, server.host) = (Vm::Error, None, 0, None);
                server.nics.clear();
                server.fault = Some(ServerFault {
                    code: 500,
                    message: message.clone(),
                    created: time,
                });
            }
            Effect::Finish { failed } => finish(&mut server.actions, &entry.request, *failed, time),
            Effect::ImageDone(id, rotation) => {
                let mut backup = None;
                if let Some(image) = self.images.iter_mut().find(|i| i.id == *id) {
                    image.status = "active";
                    backup.clone_from(&image.backup);
                }
                if let (Some(_), Some(keep)) = (&backup, rotation) {
                    let all = self.images.iter().filter(|i| i.backup == backup).count();
                    let mut surplus = all.saturating_sub(usize::try_from(*keep).unwrap_or(usize::MAX));
                    self.images.retain(|i| {
                        let drops = surplus > 0 && i.backup == backup;
                        surplus -= usize::from(drops);
                        !drops
                    });
                }
            }
            Effect::Moved => {
                server.host = server.next_host.take();
            }
            Effect::Terminate => {
                server.before_end = Some((server.vm, server.task, server.power));
                (server.vm, server.task, server.power) = (Vm::Deleted, None, 0);
                (server.host, server.terminated, server.confirming) = (None, Some(time), false);
                self.agenda
                    .retain(|_, e| e.server != entry.server || e.request == entry.request);
            }
            Effect::Gone => {
                server.gone_at = Some(now);
                self.core.log.server_gone(server.uid());
            }
            Effect::Detach(port) => {
                if let Some(at) = server.nics.iter().position(|n| n.port == *port) {
                    self.free(server.nics.remove(at));
                }
            }
            Effect::Attach(volume) => {
                server.volumes.insert(volume.clone());
            }
            Effect::DetachVolume(volume) => {
                server.volumes.remove(volume);
            }
            Effect::Late(_) => {}
        }
        self.servers.insert(server.id.clone(), server);
    }
}

fn finish(actions: &mut [super::server::Action], request: &str, failed: bool, at: jiff::Timestamp) {
    if let Some(action) = actions.iter_mut().find(|a| a.request == request) {
        (action.finish, action.failed) = (Some(at), failed);
    }
}
