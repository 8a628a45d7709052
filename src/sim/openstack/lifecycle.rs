//! The way of each long operation through Nova, step by step.

use std::time::Duration;

use super::server::{Flavor, Vm};
use super::timeline::{Effect, RUNNING, SHUTDOWN, Track};
use super::world::World;

use Effect::{
    Adopt, FailUnplaced, Finish, Forget, Launched, Moved, Network, Place, PlaceResize, Restore, State, Task,
    Unplace,
};

impl World {
    /// From BUILD to ACTIVE, or to ERROR.
    pub(super) fn plan_build(&mut self, id: &str, request: &str) {
        let network = self.config.timings.network;
        let tries = match self.servers.get(id).and_then(|s| self.call_fault(s, "spawn")) {
            Some((kind, _)) if kind != "abort" && kind != "vanish" => 3,
            _ => 1,
        };
        let mut track = Track::new(self, id, request);
        for attempt in 1..=tries {
            track.hop().step(Place);
            track.hop().step(Task(Some("networking")));
            track.wait(network);
            if attempt == 1 {
                track.step(Network);
            }
            track.step(Task(Some("block_device_mapping")));
            track.hop().step(Task(Some("spawning")));
            match track.call("spawn") {
                Some((kind, message)) if kind == "abort" => {
                    let text = format!("Build of instance {id} aborted: {message}");
                    track.step(FailUnplaced(text)).step(Finish { failed: true });
                    return;
                }
                Some((kind, _)) if kind != "vanish" && attempt < tries => {
                    track.step(Task(Some("scheduling"))).step(Unplace);
                }
                Some((kind, message)) if kind != "vanish" => {
                    let text = format!(
                        "Exceeded maximum number of retries. Exceeded max scheduling attempts 3 for instance \
                         {id}. Last exception: {message}"
                    );
                    track.step(FailUnplaced(text)).step(Finish { failed: true });
                    return;
                }
                _ => track.step(Launched).step(State(Vm::Active, None, RUNNING)).done(),
            }
        }
    }

    /// The request is accepted at any time; what is under way goes on and writes in between.
    pub(super) fn plan_delete(&mut self, id: &str, request: &str) {
        let network = self.config.timings.network;
        let shown = self.config.timings.deleted_shown;
        let last = self.last_step(id);
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.deleting = true;
        let unscheduled = server.vm == Vm::Building && server.host.is_none();
        let unplaced = server.host.is_none();
        if !unscheduled {
            server.task = Some("deleting");
        }
        let mut track = Track::new(self, id, request);
        if unscheduled {
            track.hop().hop().wait(network);
        } else if !unplaced {
            track.until(last).hop();
            if let Some((_, message)) = track.call("destroy") {
                return track.fail(500, message);
            }
        }
        track
            .step(Effect::Terminate)
            .step(Finish { failed: false })
            .wait(shown)
            .step(Effect::Gone);
    }

    /// Powered off and kept; deleted in earnest after the time that the cloud keeps it.
    pub(super) fn plan_soft_delete(&mut self, id: &str, request: &str, reclaim: Duration) {
        let shown = self.config.timings.deleted_shown;
        let last = self.last_step(id);
        if let Some(server) = self.servers.get_mut(id) {
            server.task = Some("soft-deleting");
            // What could be reverted is confirmed first.
            server.old = None;
        }
        let mut track = Track::new(self, id, request);
        track.until(last).hop();
        if track.call("power_off").is_some() {
            track.step(Task(None)).step(Finish { failed: true });
            return;
        }
        track
            .step(State(Vm::SoftDeleted, None, SHUTDOWN))
            .step(Finish { failed: false })
            .wait(reclaim)
            .step(Effect::Terminate)
            .wait(shown)
            .step(Effect::Gone);
    }

    /// Of a server that is kept after its deletion: the day on which it goes is struck out.
    pub(super) fn keep_no_longer(&mut self, id: &str) {
        if self.servers.get(id).is_some_and(|s| s.vm == Vm::SoftDeleted) {
            self.agenda.retain(|_, e| e.server != id);
        }
    }

    /// From RESIZE to VERIFY_RESIZE, or back without a word, or to ERROR.
    pub(super) fn plan_resize(&mut self, id: &str, request: &str, flavor: &Flavor) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let stopped = server.vm == Vm::Stopped;
        let (vm, power) = if stopped {
            (Vm::Stopped, SHUTDOWN)
        } else {
            (Vm::Active, RUNNING)
        };
        let mut track = Track::new(self, id, request);
        track.hop().hop().step(PlaceResize(flavor.clone()));
        track.hop().hop().step(State(vm, Some("resize_migrating"), power));
        if let Some((_, message)) = track.call("migrate") {
            return track.fail(500, message);
        }
        track.step(Task(Some("resize_migrated")));
        track
            .hop()
            .hop()
            .step(Adopt(flavor.clone()))
            .step(Task(Some("resize_finish")));
        if let Some((_, message)) = track.call("finish_migration") {
            return track.fail(500, message);
        }
        track.step(State(Vm::Resized, None, power)).done();
    }

    /// Nothing shows until it is done.
    pub(super) fn plan_confirm(&mut self, id: &str, request: &str) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.confirming = true;
        let vm = if server.power == SHUTDOWN {
            Vm::Stopped
        } else {
            Vm::Active
        };
        let power = server.power;
        let mut track = Track::new(self, id, request);
        track.hop();
        match track.call("confirm_migration") {
            Some((_, message)) => track.fail(500, message),
            None => track.step(Forget).step(State(vm, None, power)).done(),
        }
    }

    pub(super) fn plan_revert(&mut self, id: &str, request: &str) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let stopped = server.old.as_ref().is_some_and(|b| b.vm == Vm::Stopped);
        let (vm, power) = if stopped {
            (Vm::Stopped, SHUTDOWN)
        } else {
            (Vm::Active, RUNNING)
        };
        let mut track = Track::new(self, id, request);
        track.hop();
        track.call("destroy");
        track.hop();
        match track.call("revert_migration") {
            Some((_, message)) => track.fail(500, message),
            None => track.step(Restore).step(State(vm, None, power)).done(),
        }
    }

    /// A new root disk. A stopped server runs for a moment before it is stopped again.
    pub(super) fn plan_rebuild(&mut self, id: &str, request: &str) {
        let stopped = self.servers.get(id).is_some_and(|s| s.vm == Vm::Stopped);
        let mut track = Track::new(self, id, request);
        track.hop();
        if let Some((_, message)) = track.call("destroy") {
            return track.fail(500, message);
        }
        track.step(Task(Some("rebuild_block_device_mapping")));
        track.hop().step(Task(Some("rebuild_spawning")));
        if let Some((_, message)) = track.call("spawn") {
            return track.fail(500, message);
        }
        if stopped {
            track.step(State(Vm::Active, Some("powering-off"), RUNNING));
            track.call("power_off");
            track.step(State(Vm::Stopped, None, SHUTDOWN)).done();
        } else {
            track.step(State(Vm::Active, None, RUNNING)).done();
        }
    }

    /// To an image, then off the host.
    pub(super) fn plan_shelve(&mut self, id: &str, request: &str) {
        let mut track = Track::new(self, id, request);
        track.hop();
        if track
            .call("power_off")
            .or_else(|| track.call("snapshot"))
            .is_some()
        {
            track.step(Task(None)).step(Finish { failed: true });
            return;
        }
        track.step(State(Vm::Shelved, Some("shelving_offloading"), SHUTDOWN));
        track.hop();
        track.call("destroy");
        track
            .step(Unplace)
            .step(State(Vm::ShelvedOffloaded, None, SHUTDOWN))
            .done();
    }

    /// Something inside of the guest.
    pub(super) fn plan_inside(&mut self, id: &str, request: &str, call: &str) {
        let mut track = Track::new(self, id, request);
        track.hop();
        let failed = track.call(call).is_some();
        track.step(Task(None)).step(Finish { failed });
    }

    /// To another host while the guest runs.
    pub(super) fn plan_live_migration(&mut self, id: &str, request: &str) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let (vm, power, flavor) = (server.vm, server.power, server.flavor.clone());
        let mut track = Track::new(self, id, request);
        track.hop().step(PlaceResize(flavor)).hop();
        if track.call("live_migration").is_some() {
            track.step(Task(None)).step(Finish { failed: true });
            return;
        }
        track.step(Moved).step(State(vm, None, power)).done();
    }

    /// Made anew on another host.
    pub(super) fn plan_evacuation(&mut self, id: &str, request: &str) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let stopped = server.vm == Vm::Stopped;
        let flavor = server.flavor.clone();
        let mut track = Track::new(self, id, request);
        track.hop().step(PlaceResize(flavor)).hop();
        track.step(Moved).step(Task(Some("rebuild_spawning")));
        if let Some((_, message)) = track.call("spawn") {
            return track.fail(500, message);
        }
        let (vm, power) = if stopped {
            (Vm::Stopped, SHUTDOWN)
        } else {
            (Vm::Active, RUNNING)
        };
        track.step(State(vm, None, power)).done();
    }

    pub(super) fn plan_unshelve(&mut self, id: &str, request: &str) {
        let Some(server) = self.servers.get(id).cloned() else {
            return;
        };
        let host = self.choose_host(&server, &server.flavor, None);
        let mut track = Track::new(self, id, request);
        track.hop();
        if host.is_none() {
            track.step(Task(None)).step(Finish { failed: true });
            return;
        }
        track.step(Place).step(Task(Some("spawning")));
        if track.call("spawn").is_some() {
            track.step(Unplace).step(Task(None)).step(Finish { failed: true });
            return;
        }
        track.step(State(Vm::Active, None, RUNNING)).done();
    }
}
