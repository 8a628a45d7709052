//! What is going to happen, and how it happens when its time has come. Nothing runs in the background: whoever looks at
//! the world first carries out what is due.

use std::time::Duration;

use tokio::time::Instant;

use super::world::{Trouble, World};
use crate::sim::cloud::{Ask, serve_late};

/// Work on one instance or physical server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Install,
    /// With another image it is a change of the system.
    Reinstall {
        image: String,
        password: String,
    },
    PowerOn,
    PowerOff,
    Reboot,
    Delete,
    ModifyIp(Vec<(String, String)>),
}

/// A row of what is known of a job: its name in standing orders, the beginning of its `operation_state`, and the type of
/// its errors.
const JOBS: &[(&str, &str, &str)] = &[
    ("install", "install", "create_instance_error"),
    ("reinstall", "reinstall", "reinstall_error"),
    ("power_on", "power-on", "power_on_error"),
    ("power_off", "power-off", "power_off_error"),
    ("reboot", "reboot", "reboot_failed_error"),
    ("delete", "uninstall", "delete_instance_error"),
    ("modify_ip", "modify-ip", "modify_ip_error"),
];

impl Job {
    fn row(&self) -> &'static (&'static str, &'static str, &'static str) {
        let at = match self {
            Self::Install => 0,
            Self::Reinstall { .. } => 1,
            Self::PowerOn => 2,
            Self::PowerOff => 3,
            Self::Reboot => 4,
            Self::Delete => 5,
            Self::ModifyIp(_) => 6,
        };
        &JOBS[at]
    }

    /// Whether it is work on the physical server alone.
    fn switches(&self) -> bool {
        matches!(self, Self::PowerOn | Self::PowerOff | Self::Reboot)
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A job shows for the first time.
    Begins(Job),
    /// A rebooting instance is seen as stopped.
    Stops,
    /// A job ends, well or not.
    Ends(Job),
    /// A deleted instance is no longer shown.
    Gone,
    /// A request that was held up on its way arrives.
    Late(Box<Ask>),
}

/// A step of one instance or physical server; either may be absent.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) instance: Option<String>,
    pub(super) machine: Option<String>,
    pub(super) effect: Effect,
}

impl World {
    pub(super) fn schedule(&mut self, at: Instant, entry: Entry) {
        let n = self.core.number();
        self.agenda.insert((at, n), entry);
    }

    /// Takes a job on: it shows after a while, and ends after its time.
    pub(super) fn begin(&mut self, instance: Option<&str>, machine: Option<&str>, job: Job) {
        let t = &self.config.timings;
        let usual = match &job {
            Job::Install | Job::Reinstall { .. } => t.install,
            Job::PowerOn | Job::PowerOff => t.power,
            Job::Reboot => t.reboot,
            Job::Delete => t.delete,
            Job::ModifyIp(_) => t.modify_ip,
        };
        let name = instance
            .and_then(|id| self.instances.get(id))
            .map(|i| i.name.clone());
        let (id, name) = (instance.or(machine).unwrap_or_default(), name.unwrap_or_default());
        let takes = self
            .core
            .faults
            .ordered_delay(job.row().0, id, &name)
            .unwrap_or(usual);
        let shows = self.core.now + t.visible;
        for busy in [
            instance
                .and_then(|id| self.instances.get_mut(id))
                .map(|i| &mut i.busy),
            machine
                .and_then(|id| self.machines.get_mut(id))
                .map(|m| &mut m.busy),
        ]
        .into_iter()
        .flatten()
        {
            *busy = true;
        }
        let entry = |effect| Entry {
            instance: instance.map(str::to_owned),
            machine: machine.map(str::to_owned),
            effect,
        };
        let stops = job == Job::Reboot && self.config.quirks.reboot_stops;
        let steps = [
            (shows, Some(Effect::Begins(job.clone()))),
            (shows + takes / 4, stops.then_some(Effect::Stops)),
            (shows + takes, Some(Effect::Ends(job))),
        ];
        for (at, effect) in steps {
            if let Some(effect) = effect {
                self.schedule(at, entry(effect));
            }
        }
    }

    /// What is planned for an instance does not happen; neither it nor its physical server is worked on any more.
    pub(super) fn give_up(&mut self, instance: &str) {
        self.agenda.retain(|_, e| e.instance.as_deref() != Some(instance));
        let Some(known) = self.instances.get_mut(instance) else {
            return;
        };
        known.busy = false;
        if let Some(machine) = known.machine.as_ref().and_then(|m| self.machines.get_mut(m)) {
            machine.busy = false;
        }
    }

    /// Carries out everything that is due.
    pub(super) fn carry_out_due(&mut self, to: Instant) {
        while let Some(first) = self.agenda.first_entry() {
            if first.key().0 > to {
                break;
            }
            let ((at, _), entry) = first.remove_entry();
            self.core.now = self.core.now.max(at);
            match entry.effect {
                Effect::Late(ask) => serve_late(self, &ask),
                ref effect => self.apply(&entry, effect),
            }
        }
        self.core.now = self.core.now.max(to);
    }

    fn apply(&mut self, entry: &Entry, effect: &Effect) {
        let id = entry.instance.as_deref().unwrap_or_default();
        match effect {
            Effect::Begins(job) => self.shows(entry, job),
            Effect::Stops => {
                if let Some(instance) = self.instances.get_mut(id) {
                    instance.state = "stopped".to_owned();
                }
            }
            Effect::Ends(job) => self.ends(entry, job),
            Effect::Gone => drop(self.instances.remove(id)),
            Effect::Late(_) => {}
        }
        let time = self.core.time();
        if let Some(instance) = self.instances.get_mut(id) {
            instance.updated = time;
        }
    }

    fn word(&self, entry: &Entry, job: &Job, end: &str) -> String {
        let instance = entry.instance.as_ref().and_then(|id| self.instances.get(id));
        let kind = match job {
            Job::Reinstall { image, .. } if instance.is_some_and(|i| i.image != *image) => "switch-install",
            other => other.row().1,
        };
        format!("{kind}-{end}")
    }

    fn shows(&mut self, entry: &Entry, job: &Job) {
        let word = self.word(entry, job, "processing");
        let machine = entry.machine.as_ref().and_then(|id| self.machines.get_mut(id));
        let instance = entry.instance.as_ref().and_then(|id| self.instances.get_mut(id));
        if job.switches() {
            if let Some(machine) = machine {
                machine.switching = Some(word);
                machine.trouble = None;
            }
            return;
        }
        let Some(instance) = instance else { return };
        instance.operation = Some(word);
        instance.trouble = None;
        match job {
            Job::Reinstall { .. } => instance.state = self.config.quirks.while_reinstalling.to_owned(),
            Job::Delete => instance.state = "shutting-down".to_owned(),
            _ => {}
        }
    }

    fn ends(&mut self, entry: &Entry, job: &Job) {
        let id = entry.instance.clone().unwrap_or_default();
        let name = self
            .instances
            .get(&id)
            .map(|i| i.name.clone())
            .unwrap_or_default();
        let key = if id.is_empty() {
            entry.machine.clone().unwrap_or_default()
        } else {
            id.clone()
        };
        let fault = self.core.faults.ordered_fault(job.row().0, &key, &name);
        let homeless = *job == Job::Install && entry.machine.is_none();
        let message = match fault {
            Some((_, text)) if text.is_empty() => Some(format!("{} was ordered to fail", job.row().0)),
            Some((_, text)) => Some(text),
            None => homeless.then(|| "no available physical server is ready".to_owned()),
        };
        let end = if message.is_some() { "failed" } else { "succeed" };
        let word = self.word(entry, job, end);
        if let Some(machine) = entry.machine.as_ref().and_then(|id| self.machines.get_mut(id)) {
            machine.busy = false;
        }
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.busy = false;
            if !job.switches() {
                instance.operation = Some(word.clone());
            }
        }
        if job.switches()
            && let Some(machine) = entry.machine.as_ref().and_then(|id| self.machines.get_mut(id))
        {
            machine.switching = Some(word);
        }
        match message {
            Some(message) => self.failed(entry, job, message),
            None => self.done(entry, job),
        }
    }

    fn failed(&mut self, entry: &Entry, job: &Job, message: String) {
        let typed = job.switches() || self.config.quirks.error_types;
        let trouble = Trouble {
            code: "iMetal.0299",
            message,
            kind: typed.then_some(job.row().2),
        };
        let stays = self.config.quirks.failed_stays_stopped && matches!(job, Job::Reinstall { .. });
        if job.switches()
            && let Some(machine) = entry.machine.as_ref().and_then(|id| self.machines.get_mut(id))
        {
            machine.trouble = Some(trouble.clone());
        }
        let on = entry
            .machine
            .as_ref()
            .and_then(|id| self.machines.get(id))
            .is_some_and(|m| m.on);
        let error = self.config.quirks.error_word.to_owned();
        let Some(instance) = entry.instance.as_ref().and_then(|id| self.instances.get_mut(id)) else {
            return;
        };
        instance.trouble = Some(trouble);
        instance.state = match job {
            Job::Reboot => if on { "running" } else { "stopped" }.to_owned(),
            Job::PowerOn | Job::PowerOff | Job::ModifyIp(_) => return,
            Job::Reinstall { .. } if stays => "stopped".to_owned(),
            _ => error,
        };
    }

    fn done(&mut self, entry: &Entry, job: &Job) {
        let (now, time) = (self.core.now, self.core.time());
        let power = match job {
            Job::Install | Job::Reinstall { .. } | Job::PowerOn | Job::Reboot => Some(true),
            Job::PowerOff | Job::Delete => Some(false),
            Job::ModifyIp(_) => None,
        };
        if let Some(machine) = entry.machine.as_ref().and_then(|id| self.machines.get_mut(id)) {
            machine.on = power.unwrap_or(machine.on);
            if *job == Job::Delete && machine.manage == "in-use" {
                machine.manage = "ready".to_owned();
                machine.switching = None;
            }
        }
        let Some(id) = &entry.instance else { return };
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.trouble = None;
        match job {
            Job::Install | Job::Reinstall { .. } => {
                instance.state = "running".to_owned();
                instance.launched = Some(time);
                if let Job::Reinstall { image, password } = job {
                    (instance.image, instance.password) = (image.clone(), password.clone());
                }
            }
            Job::PowerOn | Job::Reboot => instance.state = "running".to_owned(),
            Job::PowerOff => instance.state = "stopped".to_owned(),
            Job::ModifyIp(nics) => instance.nics.clone_from(nics),
            Job::Delete => {
                instance.state = "terminated".to_owned();
                instance.ended = Some(now);
                let uid = instance.uid().map(str::to_owned);
                self.core.log.server_gone(uid.as_deref());
                let shown: Duration = self.config.timings.terminated_shown;
                let gone = Entry {
                    instance: Some(id.clone()),
                    machine: None,
                    effect: Effect::Gone,
                };
                self.schedule(now + shown, gone);
            }
        }
    }
}
