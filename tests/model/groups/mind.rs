//! What a controller thinks of a group and of its members: the production's `plan_group` and `plan`.

use std::sync::Arc;

use serde_json::{Value, json};

use evenkeel::api::conditions::{self, ConditionType};
use evenkeel::api::server_status::OperationKind;
use evenkeel::api::{Server, ServerGroup, keys};
use evenkeel::planner::bugs::{self, Bug};
use evenkeel::planner::group::{GroupInput, GroupView, plan_group};
use evenkeel::planner::memory::{Memory, Outcome, Sent, Told};
use evenkeel::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, ErrorClass, GroupChange, GroupMember, Listing, Marks,
    ObservedGroup, ObservedServer,
};
use evenkeel::planner::{AccountFacts, AccountView, Input, Step, plan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::world::{GROUP, Group, State, Wrong};
use crate::clock;
use crate::laws;
use crate::mind::{INSTALLATION, observed};
use crate::tables::{Memo, Table};
use crate::world::{Machine, Mark};

/// An object in one version.
pub(crate) enum Object {
    Group(Box<ServerGroup>),
    Server(Box<Server>),
}

impl Object {
    pub(crate) fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Group(g) => &g.metadata,
            Self::Server(s) => &s.metadata,
        }
    }

    pub(crate) fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Group(g) => &mut g.metadata,
            Self::Server(s) => &mut s.metadata,
        }
    }

    fn copy(&self) -> Self {
        match self {
            Self::Group(g) => Self::Group(g.clone()),
            Self::Server(s) => Self::Server(s.clone()),
        }
    }

    pub(crate) fn deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    pub(crate) fn finalizer(&self) -> &'static str {
        match self {
            Self::Group(_) => keys::GROUP_FINALIZER,
            Self::Server(_) => keys::FINALIZER,
        }
    }

    pub(crate) fn has_finalizer(&self) -> bool {
        self.meta()
            .finalizers
            .iter()
            .flatten()
            .any(|f| f == self.finalizer())
    }

    /// Whether it is a member that names the group.
    pub(crate) fn names_the_group(&self) -> bool {
        matches!(self, Self::Server(s) if s.spec.group_ref.is_some())
    }

    /// Whether it has something in the cloud, or may still get it.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Group(g) => g
                .status
                .as_ref()
                .is_some_and(|s| s.id.is_some() || s.create_attempt.is_some()),
            Self::Server(s) => s
                .status
                .as_ref()
                .is_some_and(|s| s.id.is_some() || s.create_attempt.is_some()),
        }
    }

    /// The `Ready` condition: status, reason and message.
    pub(crate) fn ready(&self) -> (String, String, String) {
        let all = match self {
            Self::Group(g) => g.status.as_ref().map(|s| &s.conditions),
            Self::Server(s) => s.status.as_ref().map(|s| &s.conditions),
        };
        let ready = all.and_then(|all| conditions::get(all, ConditionType::Ready));
        ready.map_or_else(Default::default, |c| {
            (c.status.clone(), c.reason.clone(), c.message.clone())
        })
    }

    /// Whether the last wish was looked at.
    pub(crate) fn current(&self) -> bool {
        let seen = match self {
            Self::Group(g) => g.status.as_ref().and_then(|s| s.observed_generation),
            Self::Server(s) => s.status.as_ref().and_then(|s| s.observed_generation),
        };
        seen == self.meta().generation
    }
}

/// A list, as a process got it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    asked: i32,
    servers: Vec<Machine>,
    groups: Vec<Group>,
}

/// What a plan says, in the model's words.
#[derive(Clone)]
pub(crate) struct Thought {
    pub(crate) object: u32,
    pub(crate) writes: bool,
    pub(crate) memory: u32,
    pub(crate) does: Does,
    pub(crate) says: Arc<str>,
    pub(crate) broken: Option<Wrong>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Nothing,
    AddFinalizer,
    RemoveFinalizer,
    Look(u8),
    /// A key and a call.
    Call(u32, u32),
}

/// What a process hears of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    UnderWay,
    Accepted(Option<String>),
    Refused(ErrorClass),
    Lost,
}

type Question = (usize, Vec<Option<u32>>, u32, u32, usize, u8);

/// Everything that was ever thought.
pub(crate) struct Mind {
    pub(crate) can: &'static Capabilities,
    bug: Option<Bug>,
    objects: Table<Object>,
    memories: Table<Memory>,
    lists: Table<Listing>,
    listed: Memo<Seen, u32>,
    keys: Table<String>,
    calls: Table<CloudCall>,
    shapes: Table<ObservedGroup>,
    thoughts: Memo<Question, Thought>,
    older_objects: Memo<u32, u32>,
    older_memories: Memo<u32, u32>,
    heard: Memo<(u32, usize, u32, Reply), u32>,
    looked: Memo<(u32, usize, u8, Option<Machine>), u32>,
}

impl Mind {
    pub(crate) fn new(can: &'static Capabilities, bug: Option<Bug>) -> Self {
        Self {
            can,
            bug,
            objects: Table::new(),
            memories: Table::new(),
            lists: Table::new(),
            listed: Memo::new(),
            keys: Table::new(),
            calls: Table::new(),
            shapes: Table::new(),
            thoughts: Memo::new(),
            older_objects: Memo::new(),
            older_memories: Memo::new(),
            heard: Memo::new(),
            looked: Memo::new(),
        }
    }

    pub(crate) fn plans(&self) -> usize {
        self.thoughts.len()
    }

    pub(crate) fn object(&self, number: u32) -> Arc<Object> {
        self.objects.get(number)
    }

    pub(crate) fn call(&self, number: u32) -> Arc<CloudCall> {
        self.calls.get(number)
    }

    pub(crate) fn shape(&self, number: u32) -> Arc<ObservedGroup> {
        self.shapes.get(number)
    }

    pub(crate) fn keep_shape(&self, shape: ObservedGroup) -> u32 {
        self.shapes.put(format!("{shape:?}"), shape)
    }

    /// An object that the user has just made.
    pub(crate) fn new_object(&self, n: usize) -> u32 {
        let status = json!({"observedGeneration": -1});
        let api = "evenkeel.dev/v1alpha1";
        let object = if n == GROUP {
            let group = json!({
                "apiVersion": api, "kind": "ServerGroup", "status": status,
                "metadata": {"name": "g", "namespace": "ns", "uid": "uid-0", "generation": 1},
                "spec": {"providerConfigRef": {"name": "p"}, "placement": {"policy": "SoftAntiAffinity"}}
            });
            Object::Group(Box::new(serde_json::from_value(group).expect("a ServerGroup")))
        } else {
            let server = json!({
                "apiVersion": api, "kind": "Server", "status": status,
                "metadata": {"name": format!("m{n}"), "namespace": "ns", "uid": format!("uid-{n}"), "generation": 1},
                "spec": {
                    "providerConfigRef": {"name": "p"}, "powerState": "Running", "groupRef": {"name": "g"},
                    "size": {"name": "size-1"}, "image": {"name": "debian"}
                }
            });
            Object::Server(Box::new(serde_json::from_value(server).expect("a Server")))
        };
        self.keep_object(object)
    }

    /// Another version of an object.
    pub(crate) fn edit(&self, number: u32, change: impl FnOnce(&mut Object)) -> u32 {
        let mut object = self.objects.get(number).copy();
        change(&mut object);
        self.keep_object(object)
    }

    fn keep_object(&self, object: Object) -> u32 {
        self.restated(object, clock::level)
    }

    /// The object with what becomes of its status.
    fn restated(&self, mut object: Object, change: impl Fn(&mut Value)) -> u32 {
        let told = match &mut object {
            Object::Group(g) => {
                let mut status = serde_json::to_value(&g.status).expect("JSON");
                change(&mut status);
                g.status = serde_json::from_value(status.clone()).expect("a status");
                status
            }
            Object::Server(s) => {
                let mut status = serde_json::to_value(&s.status).expect("JSON");
                change(&mut status);
                s.status = serde_json::from_value(status.clone()).expect("a status");
                status
            }
        };
        let meta = object.meta();
        let name = format!(
            "{:?} {:?} {:?} {:?} {} {told}",
            meta.uid,
            meta.generation,
            meta.deletion_timestamp,
            meta.finalizers,
            object.names_the_group()
        );
        self.objects.put(name, object)
    }

    pub(crate) fn older_object(&self, number: u32) -> u32 {
        self.older_objects.get(number, |n| {
            self.restated(self.objects.get(*n).copy(), |status| {
                clock::age(status);
                clock::level(status);
            })
        })
    }

    pub(crate) fn keep_memory(&self, mut memory: Memory) -> u32 {
        clock::level_memory(&mut memory);
        self.memories.put(format!("{memory:?}"), memory)
    }

    pub(crate) fn older_memory(&self, number: u32) -> u32 {
        self.older_memories.get(number, |n| {
            let mut memory = (*self.memories.get(*n)).clone();
            clock::age_memory(&mut memory);
            self.keep_memory(memory)
        })
    }

    /// A key of a call that was recorded a tick earlier than it seemed.
    pub(crate) fn older_key(&self, number: u32) -> u32 {
        let key = clock::age_key(&self.keys.get(number));
        self.keys.put(key.clone(), key)
    }

    /// What a process lists now.
    fn list(&self, s: &State, p: usize) -> u32 {
        let seen = Seen {
            asked: clock::offset(clock::now(p)),
            servers: s.servers.iter().map(|m| Machine { age: 0, ..*m }).collect(),
            groups: s.groups.clone(),
        };
        self.listed.get(seen, |seen| {
            self.lists.put(format!("{seen:?}"), self.listing(seen))
        })
    }

    fn listing(&self, seen: &Seen) -> Listing {
        let servers = seen.servers.iter().map(server).collect();
        let groups = seen.groups.iter().map(|g| ObservedGroup {
            id: format!("g{}", g.n),
            members: g
                .members
                .iter()
                .map(|n| GroupMember {
                    id: format!("s{n}"),
                    met: Some(true),
                })
                .collect(),
            ..(*self.shapes.get(g.shape)).clone()
        });
        Listing::new(clock::at(seen.asked), 1, servers).with_groups(groups.collect())
    }

    /// A process hears of its call.
    pub(crate) fn hear(&self, memory: u32, p: usize, key: u32, reply: Reply) -> u32 {
        self.heard.get((memory, p, key, reply), |(_, _, _, reply)| {
            let now = clock::now(p);
            let refused = |class, maybe_applied| {
                let error = CloudError {
                    maybe_applied,
                    ..CloudError::new(class, "no")
                };
                Outcome::Refused(now, error)
            };
            let outcome = match reply {
                Reply::UnderWay => Outcome::InFlight,
                Reply::Accepted(id) => Outcome::Accepted(
                    now,
                    Accepted {
                        id: id.clone(),
                        ..Accepted::default()
                    },
                ),
                Reply::Refused(class) => refused(*class, false),
                Reply::Lost => refused(ErrorClass::Ambiguous, true),
            };
            let sent = Sent {
                key: (*self.keys.get(key)).clone(),
                outcome,
                told: Told::Nothing,
            };
            let mut memory = (*self.memories.get(memory)).clone();
            if *reply == Reply::UnderWay {
                memory.sent = Some(sent);
            } else {
                memory.hear(sent);
            }
            self.keep_memory(memory)
        })
    }

    /// A process sees what the cloud says of one server.
    pub(crate) fn look(&self, memory: u32, p: usize, n: u8, found: Option<Machine>) -> u32 {
        self.looked.get((memory, p, n, found), |_| {
            let answer = found.as_ref().map(|m| Arc::new(server(m)));
            let answer = answer.ok_or_else(|| CloudError::new(ErrorClass::NotFound, "no such server"));
            let mut memory = (*self.memories.get(memory)).clone();
            memory.see(format!("s{n}"), clock::now(p), answer, None);
            self.keep_memory(memory)
        })
    }

    /// What a process makes of an object that it knows.
    pub(crate) fn think(&self, s: &State, p: usize, about: usize) -> Option<Thought> {
        let process = &s.processes[p];
        let view = process.views[about];
        view.object?;
        // A group looks at its members, a member at itself and its group.
        let known = (0..process.views.len()).map(|n| {
            let needed = about == GROUP || n == about || n == GROUP;
            process.views[n].object.filter(|_| needed)
        });
        let question = (
            about,
            known.collect(),
            view.memory,
            self.list(s, p),
            p,
            process.born,
        );
        Some(self.thoughts.get(question, |question| self.ask(question)))
    }

    fn ask(&self, (about, known, memory, list, p, born): &Question) -> Thought {
        let objects: Vec<Option<Arc<Object>>> =
            known.iter().map(|n| n.map(|n| self.objects.get(n))).collect();
        let own = known[*about].expect("an object");
        let object = self.objects.get(own);
        let memory = self.memories.get(*memory);
        let facts = AccountFacts {
            account: "project".to_owned(),
            capabilities: self.can,
            suspended: false,
            listing: self.lists.get(*list),
            outage: None,
            mass_absence: false,
            creates_free: true,
            disruptions_free: true,
            quota: None,
        };
        let process = format!("{}{born}", ["a", "b"][*p]);
        let uids: Vec<String> = objects
            .iter()
            .flatten()
            .filter_map(|o| o.meta().uid.clone())
            .collect();
        let lives = |uid: &str| uids.iter().any(|u| u == uid);
        let now = clock::now(*p);
        let (new, memory, step) = match &*object {
            Object::Group(group) => {
                let members: Vec<Arc<Server>> = objects
                    .iter()
                    .flatten()
                    .filter_map(|o| match &**o {
                        Object::Server(s) => Some(Arc::new((**s).clone())),
                        Object::Group(_) => None,
                    })
                    .collect();
                let input = GroupInput {
                    group,
                    account: AccountView::Usable(&facts),
                    memory: &memory,
                    members: &members,
                    claimed: &|_| None,
                    process: &process,
                    leaving: false,
                    installation: INSTALLATION,
                    lives: &lives,
                    now,
                    seed: 7,
                };
                let made = bugs::sown(self.bug, || plan_group(&input));
                let new = ServerGroup {
                    status: Some(made.status),
                    ..(**group).clone()
                };
                (Object::Group(Box::new(new)), made.memory, made.step)
            }
            Object::Server(server) => {
                let group = objects[GROUP].as_deref().and_then(|o| match o {
                    Object::Group(g) => Some(&**g),
                    Object::Server(_) => None,
                });
                let input = Input {
                    server,
                    account: AccountView::Usable(&facts),
                    group: server.spec.group_ref.is_some().then_some(GroupView {
                        object: group,
                        creates_free: true,
                        disruptions_free: &|| true,
                    }),
                    actions: &[],
                    memory: &memory,
                    process: &process,
                    leaving: false,
                    installation: INSTALLATION,
                    lives: &lives,
                    claimed: &|_| None,
                    now,
                    seed: 7,
                };
                let made = bugs::sown(self.bug, || plan(&input));
                let new = Server {
                    status: Some(made.status),
                    ..(**server).clone()
                };
                (Object::Server(Box::new(new)), made.memory, made.step)
            }
        };
        let broken = judge(&object, &objects, &step);
        let does = match step {
            Step::Wait => Does::Nothing,
            Step::AddFinalizer => Does::AddFinalizer,
            Step::RemoveFinalizer => Does::RemoveFinalizer,
            Step::Look { id, .. } => Does::Look(number(&id)),
            Step::Call { key, call } => Does::Call(
                self.keys.put(key.clone(), key),
                self.calls.put(format!("{call:?}"), call),
            ),
        };
        let (_, reason, message) = new.ready();
        let kept = self.keep_object(new);
        Thought {
            object: kept,
            writes: kept != own,
            memory: self.keep_memory(memory),
            does,
            says: format!("{reason}: {message}").into(),
            broken,
        }
    }
}

/// What must hold of every call at the moment at which it is planned, by what the process knows.
fn judge(object: &Object, objects: &[Option<Arc<Object>>], step: &Step) -> Option<Wrong> {
    let Step::Call { call, .. } = step else {
        return None;
    };
    let wrong = |law, how| Some(Wrong { law, how });
    let vanishes = !object.has_finalizer() || object.deleting();
    match call {
        CloudCall::CreateGroup(_) | CloudCall::Create(_) if vanishes => wrong(
            laws::PRECONDITION,
            "something is made for an object that may vanish",
        ),
        CloudCall::Create(request) if object.names_the_group() && request.group.is_none() => {
            wrong(laws::PRECONDITION, "a member is made outside its group")
        }
        CloudCall::Operate {
            kind: OperationKind::Delete,
            ..
        } if !object.deleting() => wrong(laws::DELETES, "a server is deleted that is wished for"),
        CloudCall::ChangeGroup {
            change: GroupChange::Delete,
            ..
        } => {
            let members = objects.iter().flatten();
            let mut members = members.filter(|o| o.names_the_group() && o.exists());
            if !object.deleting() {
                wrong(laws::DELETES, "a group is deleted that is wished for")
            } else if members.next().is_some() {
                wrong(laws::MEMBERS_FIRST, "a group is deleted that has members")
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The number in an id.
pub(crate) fn number(id: &str) -> u8 {
    id.get(1..)
        .and_then(|n| n.parse().ok())
        .expect("an id of the model")
}

/// A server as the cloud shows it.
fn server(m: &Machine) -> ObservedServer {
    let whose = match m.mark {
        Mark::Of(n) => Some(n),
        _ => None,
    };
    ObservedServer {
        name: whose.map_or("theirs".to_owned(), |n| format!("m{n}")),
        marks: whose.map(|n| Marks {
            uid: format!("uid-{n}"),
            installation: INSTALLATION.to_owned(),
            object: format!("ns/m{n}"),
        }),
        ..observed(m)
    }
}
