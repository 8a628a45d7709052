//! What a scenario needs of a cloud, past the controller.

pub mod clouddc;
pub mod openstack;
pub mod upcloud;

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::planner::model::Capabilities;
use evenkeel::providers::transport::Connect;
use evenkeel::sim::openstack::{FaultEffect, FaultRule, RequestRecord};
use serde_json::Value;

/// A server as the cloud itself has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The cloud's id.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// The uid in our marks.
    pub uid: Option<String>,
    /// `Running`, `Stopped`, or the cloud's word.
    pub power: String,
    /// Its size there.
    pub size: String,
    /// All that only its owner may change.
    pub essence: String,
}

/// A group as the cloud itself has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenGroup {
    /// The cloud's id.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// Its policy in the cloud's word.
    pub policy: String,
    /// The labels that are not our marks.
    pub labels: BTreeMap<String, String>,
    /// The uid in our marks, where it carries some.
    pub uid: Option<String>,
    /// The ids of its members.
    pub members: Vec<String>,
}

/// How a creation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It is carried out and the reply is lost.
    LostReply,
    /// The connection breaks, and the request is carried out some seconds later.
    LateApply,
    /// 503, and nothing is done.
    Unavailable,
}

impl Mishap {
    fn effect(self) -> FaultEffect {
        match self {
            Self::LostReply => FaultEffect::LostReply,
            Self::LateApply => FaultEffect::LateApply {
                delay_ms: 12_000,
                wait_ms: 2_000,
            },
            Self::Unavailable => FaultEffect::Status {
                code: 503,
                body: None,
            },
        }
    }
}

/// How long a stop hangs, in milliseconds.
const HANGS_MS: u64 = 3_000_000;

/// A cloud's word for running or stopped, or another one.
fn power(word: &str) -> &str {
    match word {
        "ACTIVE" | "started" | "running" => "Running",
        "SHUTOFF" | "stopped" => "Stopped",
        other => other,
    }
}

/// One simulated cloud.
pub trait Cloud: Send + Sync {
    /// Its name in the registry.
    fn name(&self) -> &'static str;
    /// The way there.
    fn connect(&self) -> Arc<dyn Connect>;
    /// What it can do.
    fn capabilities(&self) -> &'static Capabilities;
    /// The cloud's part of a ProviderConfig's spec, with the Secret of this name.
    fn account(&self, secret: &str) -> Value;
    /// The data of a Secret with credentials: the good ones, or wrong ones.
    fn secret(&self, good: bool) -> Value;
    /// What the spec of a smallest server has of size, image and the cloud's own.
    fn spec(&self) -> Value;
    /// Two sizes, the smaller one first: that of `spec`.
    fn sizes(&self) -> Option<(&'static str, &'static str)>;
    /// A part of a spec that the cloud refuses, and a word that its refusal names.
    fn refused(&self) -> (Value, &'static str);
    /// Every server that exists.
    fn servers(&self) -> Vec<Seen>;
    /// The server that a request which changes something speaks of, if it is there.
    fn target(&self, path: &str, body: &str) -> Option<Seen> {
        let named = |s: &Seen| path.contains(&s.id) || body.contains(&s.id);
        self.servers().into_iter().find(named)
    }
    /// All but servers that carries our mark: what it is, and the uid in it.
    fn marked(&self) -> Vec<(String, String)> {
        let marked = |g: SeenGroup| Some((format!("group {}", g.id), g.uid?));
        self.groups().into_iter().filter_map(marked).collect()
    }
    /// The most servers that ever existed at once, by the uid in their marks.
    fn high_water(&self) -> BTreeMap<String, usize>;
    /// Somebody stops it.
    fn stop(&self, id: &str);
    /// Somebody starts it.
    fn start(&self, id: &str);
    /// Somebody deletes it.
    fn delete(&self, id: &str);
    /// Somebody makes a server by hand; its id.
    fn by_hand(&self, name: &str) -> String;
    /// Nobody answers, or everybody again.
    fn outage(&self, down: bool);
    /// Requests meet a fault from now on.
    fn inject(&self, rule: FaultRule);
    /// They meet none any more.
    fn clear_faults(&self);
    /// There is no room for new servers, or there is again.
    fn no_room(&self, full: bool);
    /// The next creation goes wrong.
    fn next_create(&self, mishap: Mishap);
    /// What takes a quarter of an hour takes minutes from now on, for worlds that are made by the thousand.
    fn hurry(&self) {}
    /// Stops never end, or end again.
    fn stops_hang(&self, hang: bool);
    /// Every request since the last reset, by method and route.
    fn counts(&self) -> BTreeMap<String, usize>;
    /// Every request since the last reset.
    fn requests(&self) -> Vec<RequestRecord>;
    /// Forgets the requests.
    fn reset_requests(&self);
    /// The routes that a settled account may ask for.
    fn at_rest(&self) -> &'static [&'static str];
    /// What must be seen nowhere.
    fn planted(&self) -> Vec<String>;
    /// A part of a spec for which the cloud tells a password, if it ever does.
    fn tells(&self) -> Option<Value> {
        None
    }
    /// A part of a spec that names another image.
    fn other_image(&self) -> Value;
    /// The id of the image that a server runs, where the cloud installs another one on it.
    fn image_of(&self, _id: &str) -> Option<String> {
        None
    }
    /// How often the cloud was asked to install an image on this server.
    fn installations(&self, _id: &str) -> usize {
        0
    }
    /// The administrator's password of a server, as it was set last.
    fn password_of(&self, _id: &str) -> Option<String> {
        None
    }
    /// A password that the cloud takes, and another one.
    fn passwords(&self) -> (&'static str, &'static str) {
        ("", "")
    }
    /// A label of a server there.
    fn label_of(&self, _id: &str, _key: &str) -> Option<String> {
        None
    }
    /// Somebody puts a label on a server.
    fn label(&self, _id: &str, _key: &str, _value: &str) {
        unreachable!("of clouds whose labels change");
    }
    /// The next change of a label goes wrong.
    fn next_label(&self, _mishap: Mishap) {
        unreachable!("of clouds whose labels change");
    }
    /// The wished network of a server, and another one, as parts of a spec; if it can be changed.
    fn other_network(&self) -> Option<(Value, Value)> {
        None
    }
    /// The next installations of an image, or changes of a network, fail.
    fn changes_fail(&self, _fail: bool) {
        unreachable!("of clouds that have such changes");
    }
    /// A part of a spec that keeps a server off a host, if that can be said.
    fn avoid(&self, _host: &str) -> Option<Value> {
        None
    }
    /// How many disks carry our mark.
    fn marked_disks(&self) -> usize {
        0
    }
    /// Every group.
    fn groups(&self) -> Vec<SeenGroup> {
        Vec::new()
    }
    /// The next creation of a group goes wrong.
    fn next_group(&self, _mishap: Mishap) {
        unreachable!("of clouds that have groups");
    }
    /// So many hosts take new servers.
    fn hosts(&self, _hosts: usize) {
        unreachable!("of clouds that have groups");
    }
    /// What the cloud says where a strict group leaves no host.
    fn crowded(&self) -> &'static str {
        unreachable!("of clouds that have groups");
    }
    /// Somebody's own server is a member of a group.
    fn join(&self, _server: &str, _group: &str) {
        unreachable!("of clouds that have groups");
    }
    /// How many disks there are, attached or not.
    fn disks(&self) -> usize {
        0
    }
    /// The provisioning of servers fails, or works again.
    fn provisioning_fails(&self, _fails: bool) {
        unreachable!("of clouds that try it again");
    }
    /// The cloud takes no request to try a step again.
    fn refuse_to_try_again(&self) {
        unreachable!("of clouds that try it again");
    }
}
