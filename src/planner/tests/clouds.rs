//! Two more neutral clouds: one that deletes only stopped servers, resizes hot and lists little; and bare metal,
//! which changes next to nothing and offers to try its steps again.

use std::sync::Arc;

use super::world::World;
use crate::api::server::{PowerOffMode, PowerWish, ServerSpec};
use crate::api::server_status::{AddressStatus, OperationKind};
use crate::planner::memory::Told;
use crate::planner::model::*;

use ServerState::*;

/// Stops first, changes settings, keeps disks.
pub(super) static STOPPED_ONLY: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
    stop_kinds: &[StopKind::Soft, StopKind::Hard, StopKind::SoftThenHard],
    soft_stop_limit: Some(600),
    restart_modes: PowerOffMode::ALL,
    silent_restart: true,
    hard_restart: &[],
    request_log: false,
    live_resize: true,
    resize_stops_by_itself: false,
    resize_confirm: false,
    marks_mutable: true,
    idle_costs: &[],
    comes_with: &[],
    free_of_locks: &[],
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running]),
        (OperationKind::Restart, &[Running]),
        (OperationKind::Resize, &[Running, Stopped]),
        (OperationKind::Modify, &[Running, Stopped]),
        (OperationKind::Cancel, &[Provisioning]),
        (OperationKind::Delete, &[Stopped]),
        (OperationKind::DeleteFailed, &[Stopped]),
        (OperationKind::DeletePart, &[Absent]),
        (OperationKind::Mark, &[Running, Stopped]),
        (OperationKind::Unmark, &[Running, Stopped]),
        (OperationKind::UnmarkPart, &[Running, Stopped]),
    ],
    create_settle_seconds: 30,
    attributes,
    hints,
    groups: None,
    deadlines: &[],
};

/// Neither sizes nor marks can be changed; an image, a network and a password are, while it is stopped.
pub(super) static METAL: Capabilities = Capabilities {
    power_states: &[PowerWish::Running, PowerWish::Stopped],
    stop_kinds: &[StopKind::CloudEscalates],
    soft_stop_limit: None,
    restart_modes: &[PowerOffMode::SoftThenHard],
    silent_restart: false,
    hard_restart: &[],
    request_log: false,
    live_resize: false,
    resize_stops_by_itself: false,
    resize_confirm: false,
    marks_mutable: false,
    idle_costs: &[],
    comes_with: &[],
    free_of_locks: &[],
    preconditions: &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running]),
        (OperationKind::Restart, &[Running]),
        (OperationKind::Retry, &[Error]),
        (OperationKind::Rebuild, &[Stopped, Error]),
        (OperationKind::Modify, &[Stopped, Error]),
        (OperationKind::Delete, &[Stopped, Error]),
        (OperationKind::DeleteFailed, &[Stopped, Error]),
    ],
    create_settle_seconds: 30,
    attributes: on_metal,
    hints: Capabilities::no_hints,
    groups: None,
    deadlines: &[],
};

/// A title that is changed at any time, and a host name that wants a stop.
fn attributes(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let title = spec
        .cloud_name
        .clone()
        .map(|value| WantedAttribute::new("title", value));
    let host = spec.hostname.clone().map(|value| WantedAttribute {
        needs_stop: true,
        ..WantedAttribute::new("hostname", value)
    });
    title.into_iter().chain(host).collect()
}

/// Each in a call of its own; the network (here the cloud's name) is shown, a password never.
fn on_metal(spec: &ServerSpec) -> Vec<WantedAttribute> {
    let network = spec.cloud_name.clone().map(|value| WantedAttribute {
        needs_stop: true,
        alone: true,
        verified: true,
        ..WantedAttribute::new("network", value)
    });
    let password = spec.admin_password_secret_ref.as_ref().map(|r| WantedAttribute {
        needs_stop: true,
        alone: true,
        ..WantedAttribute::new(ADMIN_PASSWORD, r.text())
    });
    network.into_iter().chain(password).collect()
}

/// A label that says where a server is to run, heeded by starts and restarts.
fn hints(kind: OperationKind, spec: &ServerSpec) -> Vec<(&'static str, String)> {
    let heeds = matches!(kind, OperationKind::Start | OperationKind::Restart);
    let place = spec.labels.as_ref().and_then(|l| l.get("place"));
    place
        .filter(|_| heeds)
        .map(|p| ("place", p.clone()))
        .into_iter()
        .collect()
}

/// What else a cloud does, and what it heard.
#[derive(Default)]
pub(super) struct Knobs {
    /// Its lists leave out addresses, settings and parts.
    pub(super) sparse: bool,
    /// How often it was asked for one server.
    pub(super) looks: usize,
    /// Every stop, restart of a size, change of settings and deletion of a part, in short words.
    pub(super) hows: Vec<String>,
    /// What became of what the next creation tells.
    pub(super) told: Told,
    /// As many servers are taken down as may be at once.
    pub(super) full: bool,
    /// Whether the last plan was for a server that is taken down for a change.
    pub(super) takes_place: bool,
    /// A restarted guest goes down only after so many seconds; until then nothing shows.
    pub(super) goes_down_after: Option<i64>,
    /// What the log of requests says of every request, if not that it was done.
    pub(super) log: Option<Ended>,
    /// Whether the log of requests cannot be asked.
    pub(super) log_is_away: bool,
    /// What was done to servers, by kind.
    pub(super) applied: Vec<OperationKind>,
    /// So many requests were accepted.
    pub(super) requests: u32,
    /// Another object that comes first, should no mark say whose the server is.
    pub(super) claimed: Option<String>,
    /// It keeps what is deleted for a while, and its lists hide that.
    pub(super) keeps: bool,
    /// A list from before, which the next plans go by.
    pub(super) old: Option<Arc<Listing>>,
}

impl Knobs {
    pub(super) fn listed(&self, seen: &ObservedServer) -> ObservedServer {
        if !self.sparse {
            return seen.clone();
        }
        ObservedServer {
            detailed: false,
            attributes: Default::default(),
            addresses: Vec::new(),
            parts: Vec::new(),
            items: Arc::default(),
            image_id: None,
            ..seen.clone()
        }
    }

    /// The id of a request that was accepted, and of the image that it makes.
    pub(super) fn requested(&mut self, call: &CloudCall) -> (Option<String>, Option<String>) {
        let CloudCall::Operate { kind, .. } = call else {
            return (None, None);
        };
        self.requests += 1;
        let makes = matches!(kind, OperationKind::CreateImage | OperationKind::CreateBackup);
        let image = makes.then(|| format!("image-{}", self.requests));
        (Some(format!("req-{}", self.requests)), image)
    }

    /// What the log says of a request: one whose id is not known is there if anything of its kind was done.
    pub(super) fn logged(&self, trace: &Trace) -> Ended {
        let there = match &trace.request {
            Which::Accepted(_) => true,
            Which::Lost { .. } => self.applied.contains(&trace.kind),
        };
        match &self.log {
            _ if !there => Ended::Absent,
            Some(said) => said.clone(),
            None => Ended::Done,
        }
    }

    pub(super) fn heard(&mut self, call: &CloudCall) {
        let CloudCall::Operate { how, .. } = call else {
            return;
        };
        self.hows.push(match how {
            Operate::Stop(kind, seconds) => format!("{kind} {seconds}"),
            Operate::Size(size) => size.text(),
            Operate::Image(image, disks) => {
                let volume = if disks.volume { " on a volume" } else { "" };
                let kept = if disks.keep_ephemeral {
                    " beside what is kept"
                } else {
                    ""
                };
                format!("{}{volume}{kept}", image.text())
            }
            Operate::Attributes(all) => {
                let all: Vec<_> = all.iter().map(|(k, v)| format!("{k}={v}")).collect();
                all.join(" ")
            }
            Operate::Items(change) => {
                let come = change.add.iter().map(|(key, value)| format!("+{key}={value}"));
                let go = change.remove.iter().map(|key| format!("-{key}"));
                format!("{}:{}", change.name, come.chain(go).collect::<String>())
            }
            Operate::Force => "by force".to_owned(),
            Operate::Lock(words) => words.clone(),
            Operate::Rescue(image) => image.as_ref().map_or("own".to_owned(), |i| i.text()),
            Operate::PartMarks(kind, id, _) => format!("{kind} {id}"),
            Operate::Restart { hints, .. } if !hints.is_empty() => format!("{hints:?}"),
            _ => return,
        });
    }
}

pub(super) fn modify(seen: &mut ObservedServer, how: &Operate) {
    if let Operate::Items(change) = how {
        let set = Arc::make_mut(&mut seen.items)
            .entry(change.name.to_owned())
            .or_default();
        if change.name == "nics" {
            // The cloud gives each an identity, and shows no port by its id.
            for (key, _) in change.add.iter().filter(|(key, _)| !key.starts_with("id ")) {
                let ids = (set.len()..).map(|n| format!("new-{n}"));
                let id = ids
                    .into_iter()
                    .find(|id| !set.contains_key(id))
                    .unwrap_or_default();
                let key = key.split(" #").next().unwrap_or_default();
                set.insert(id, key.replace(' ', "\n") + "\n10.9.9.9");
            }
            set.retain(|id, _| !change.remove.contains(id));
            return;
        }
        set.extend(change.add.iter().cloned());
        set.retain(|key, _| !change.remove.contains(key));
    }
    if let Operate::Attributes(all) = how {
        for (name, value) in all.iter().filter(|(name, _)| *name != ADMIN_PASSWORD) {
            seen.attributes.insert((*name).to_owned(), value.clone());
        }
    }
}

/// A change, or its failure, of which the old value stays.
pub(super) fn modified(
    seen: &mut ObservedServer,
    how: &Operate,
    breaks: bool,
) -> Option<(ServerState, ServerState)> {
    seen.failed_step = breaks.then_some(FailedStep::Settings);
    if breaks {
        return Some((Maintenance, Error));
    }
    modify(seen, how);
    (seen.state == Error).then_some((Maintenance, Stopped))
}

/// The image that no host takes: its installation does not begin, and the one from before is shown again.
pub(super) const NO_HOST: &str = "needs-a-trait";

pub(super) fn installed(
    seen: &mut ObservedServer,
    how: &Operate,
    breaks: bool,
    told: bool,
) -> (ServerState, ServerState) {
    seen.failed_step = told.then_some(FailedStep::Reinstall);
    if let Operate::Image(image, Disks { volume: false, .. }) = how
        && !(breaks && image.name.as_deref() == Some(NO_HOST))
    {
        seen.image_id = image
            .id
            .clone()
            .or_else(|| image.name.as_ref().map(|n| format!("id of {n}")));
    }
    (Rebuilding, Running)
}

/// A mark is taken off one part.
pub(super) fn unmark_part(seen: &mut ObservedServer, how: &Operate) {
    if let Operate::PartMarks(kind, id, marks) = how {
        let mine = seen.marks.as_ref().is_some_and(|m| m.uid == marks.uid);
        let part = seen.parts.iter_mut().find(|p| p.kind == *kind && p.id == *id);
        part.into_iter().filter(|_| mine).for_each(|p| p.ours = false);
    }
}

pub(super) fn retried(seen: &ObservedServer) -> (ServerState, ServerState) {
    match seen.failed_step {
        Some(FailedStep::Delete) => (Deleting, Absent),
        _ => (Provisioning, Running),
    }
}

/// An object on one of these clouds; one without sizes is not asked for any.
pub(super) fn on(can: &'static Capabilities, mut spec: serde_json::Value) -> World {
    if !can.has(OperationKind::Resize) && spec.get("size").is_none() {
        spec["size"] = serde_json::Value::Null;
    }
    let mut w = World::new(spec);
    w.can = can;
    w
}

/// A server at rest on one of these clouds.
pub(super) fn settled(can: &'static Capabilities, spec: serde_json::Value) -> World {
    let mut w = on(can, spec);
    w.until(60, "created", |w| w.ready().starts_with("True"));
    w.run(5);
    forget(&mut w);
    w
}

pub(super) fn forget(w: &mut World) {
    w.calls.clear();
    w.knobs.hows.clear();
    w.knobs.looks = 0;
    w.writes.clear();
    w.events.clear();
}

/// The calls, without what a cloud's way of stopping adds to their names.
pub(super) fn calls(w: &World) -> Vec<&str> {
    let name = |c: &'_ String| c.find('/').unwrap_or(c.len());
    w.calls.iter().map(|c| &c[..name(c)]).collect()
}

pub(super) fn address(text: &str) -> AddressStatus {
    AddressStatus {
        kind: "public".to_owned(),
        address: text.to_owned(),
        network: None,
    }
}

pub(super) fn part(kind: PartKind, id: &str, ours: bool) -> Part {
    Part {
        kind,
        id: id.to_owned(),
        name: format!("name of {id}"),
        ours,
        made_at: None,
        of: None,
    }
}
