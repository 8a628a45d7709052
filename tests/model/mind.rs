//! What a controller thinks: the production's `plan`, asked about what a process knows.

use std::sync::Arc;

use serde_json::{Value, json};

use evenkeel::api::conditions::{self, ConditionType};
use evenkeel::api::server_status::OperationKind;
use evenkeel::api::{Server, ServerAction, ServerStatus, keys};
use evenkeel::planner::bugs::{self, Bug};
use evenkeel::planner::memory::{Memory, Outcome, Sent, Told};
use evenkeel::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, ErrorClass, Fault, Listing, Marks, ObservedServer,
    ObservedSize, Operate, ServerState,
};
use evenkeel::planner::{AccountFacts, AccountView, Input, Step, plan};

use crate::clock;
use crate::tables::{Memo, Table};
use crate::world::{Broken, Call, Key, Law, Machine, Mark};

pub(crate) const INSTALLATION: &str = "here";

/// The object in one version.
pub(crate) struct Object {
    pub(crate) server: Server,
    pub(crate) uid: u8,
}

impl Object {
    pub(crate) fn deleting(&self) -> bool {
        self.server.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn has_finalizer(&self) -> bool {
        self.server
            .metadata
            .finalizers
            .iter()
            .flatten()
            .any(|f| f == keys::FINALIZER)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.server.spec.power_state == Some(evenkeel::api::server::PowerWish::Stopped)
    }

    /// The number of the server that it has recorded.
    pub(crate) fn id(&self) -> Option<u8> {
        let id = self.server.status.as_ref()?.id.as_deref()?;
        id.strip_prefix('s')?.parse().ok()
    }

    pub(crate) fn size(&self) -> u8 {
        size_number(self.server.spec.size.as_ref().and_then(|s| s.name.as_deref()))
    }

    /// A condition: its status, reason and message.
    pub(crate) fn condition(&self, kind: ConditionType) -> Option<(&str, &str, &str)> {
        let status = self.server.status.as_ref()?;
        let c = conditions::get(&status.conditions, kind)?;
        Some((&c.status, &c.reason, &c.message))
    }
}

fn size_number(name: Option<&str>) -> u8 {
    name.and_then(|n| n.strip_prefix("size-")?.parse().ok())
        .unwrap_or(0)
}

/// A list, as a process got it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// When it was asked for.
    pub(crate) asked: i32,
    pub(crate) machines: Vec<Machine>,
}

/// What a plan says, in the model's words.
#[derive(Clone)]
pub(crate) struct Thought {
    /// The object with the status that it wants.
    pub(crate) object: u32,
    /// Whether that is another one.
    pub(crate) writes: bool,
    pub(crate) memory: u32,
    pub(crate) does: Does,
    /// The `Ready` condition after it, in words.
    pub(crate) says: Arc<str>,
    /// A law that is broken by carrying it out.
    pub(crate) broken: Option<Broken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Nothing,
    AddFinalizer,
    RemoveFinalizer,
    Look(u8),
    Call(Key, Call),
}

/// What a process hears of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    UnderWay,
    Accepted(Option<u8>),
    Refused(ErrorClass),
    /// The reply is lost.
    Lost,
    /// It was too late to send it.
    NotSent,
}

type Question = (u32, u32, Option<u32>, u8, u8, bool);

/// Everything that was ever thought.
pub(crate) struct Mind {
    pub(crate) can: &'static Capabilities,
    pub(crate) bug: Option<Bug>,
    spec: Value,
    objects: Table<Object>,
    memories: Table<Memory>,
    lists: Table<(Seen, Arc<Listing>)>,
    thoughts: Memo<Question, Thought>,
    older_objects: Memo<u32, u32>,
    older_memories: Memo<u32, u32>,
    older_lists: Memo<u32, u32>,
    heard: Memo<(u32, u8, Key, Reply), u32>,
    looked: Memo<(u32, u8, u8, Option<Machine>), u32>,
    action: Arc<ServerAction>,
}

impl Mind {
    pub(crate) fn new(can: &'static Capabilities, spec: Value, bug: Option<Bug>) -> Self {
        let action = json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "ServerAction",
            "metadata": {
                "name": "image", "namespace": "ns", "uid": "deed-1", "finalizers": [keys::ACTION_FINALIZER],
                "creationTimestamp": clock::now(0).to_string(),
            },
            "spec": {"serverRef": {"name": "web"}, "createImage": {"name": "before-the-update"}}
        });
        Self {
            can,
            bug,
            spec,
            objects: Table::new(),
            memories: Table::new(),
            lists: Table::new(),
            thoughts: Memo::new(),
            older_objects: Memo::new(),
            older_memories: Memo::new(),
            older_lists: Memo::new(),
            heard: Memo::new(),
            looked: Memo::new(),
            action: Arc::new(serde_json::from_value(action).expect("a ServerAction")),
        }
    }

    /// How many different questions the planner was asked.
    pub(crate) fn plans(&self) -> usize {
        self.thoughts.len()
    }

    pub(crate) fn object(&self, number: u32) -> Arc<Object> {
        self.objects.get(number)
    }

    pub(crate) fn seen(&self, number: u32) -> Seen {
        self.lists.get(number).0.clone()
    }

    /// An object that the user has just made.
    pub(crate) fn new_object(&self, uid: u8) -> u32 {
        let mut server = json!({
            "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
            "metadata": {"name": "web", "namespace": "ns", "uid": format!("uid-{uid}"), "generation": 1},
            "spec": {
                "providerConfigRef": {"name": "p"}, "powerState": "Running",
                "size": {"name": "size-1"}, "image": {"name": "debian"}
            },
            "status": {"observedGeneration": -1}
        });
        for (key, value) in self.spec.as_object().into_iter().flatten() {
            server["spec"][key] = value.clone();
        }
        self.keep_object(serde_json::from_value(server).expect("a Server"), uid)
    }

    /// Another version of an object; a new generation, as for everything that a user writes into its spec.
    pub(crate) fn edit(&self, number: u32, change: impl FnOnce(&mut Server)) -> u32 {
        let old = self.objects.get(number);
        let mut server = old.server.clone();
        change(&mut server);
        self.keep_object(server, old.uid)
    }

    fn keep_object(&self, mut server: Server, uid: u8) -> u32 {
        let mut status = serde_json::to_value(&server.status).expect("JSON");
        clock::level(&mut status);
        server.status = serde_json::from_value(status.clone()).expect("a status");
        let meta = &server.metadata;
        let name = format!(
            "{uid} {:?} {:?} {:?} {:?} {:?} {status}",
            meta.generation,
            meta.deletion_timestamp,
            meta.finalizers,
            server.spec.power_state,
            server.spec.size
        );
        self.objects.put(name, Object { server, uid })
    }

    pub(crate) fn keep_memory(&self, mut memory: Memory) -> u32 {
        clock::level_memory(&mut memory);
        self.memories.put(format!("{memory:?}"), memory)
    }

    pub(crate) fn keep_list(&self, seen: Seen) -> u32 {
        let servers = seen.machines.iter().map(observed).collect();
        let listing = Listing::new(clock::at(seen.asked), 1, servers);
        self.lists.put(format!("{seen:?}"), (seen, Arc::new(listing)))
    }

    pub(crate) fn older_object(&self, number: u32) -> u32 {
        self.older_objects.get(number, |n| {
            let old = self.objects.get(*n);
            let mut server = old.server.clone();
            let mut status = serde_json::to_value(&server.status).expect("JSON");
            clock::age(&mut status);
            server.status = serde_json::from_value(status).expect("a status");
            self.keep_object(server, old.uid)
        })
    }

    pub(crate) fn older_memory(&self, number: u32) -> u32 {
        self.older_memories.get(number, |n| {
            let mut memory = (*self.memories.get(*n)).clone();
            clock::age_memory(&mut memory);
            self.keep_memory(memory)
        })
    }

    pub(crate) fn older_list(&self, number: u32) -> u32 {
        self.older_lists.get(number, |n| {
            let mut seen = self.seen(*n);
            seen.asked = clock::older_offset(seen.asked);
            self.keep_list(seen)
        })
    }

    /// A process hears of its call.
    pub(crate) fn hear(&self, memory: u32, process: usize, key: Key, reply: Reply) -> u32 {
        self.heard.get((memory, process as u8, key, reply), |_| {
            let now = clock::now(process);
            let refused = |class, maybe_applied, words: &str| {
                let error = CloudError {
                    maybe_applied,
                    ..CloudError::new(class, words)
                };
                Outcome::Refused(now, error)
            };
            let outcome = match reply {
                Reply::UnderWay => Outcome::InFlight,
                Reply::Accepted(n) => {
                    let id = n.map(|n| format!("s{n}"));
                    let accepted = Accepted {
                        id,
                        ..Accepted::default()
                    };
                    Outcome::Accepted(now, accepted)
                }
                Reply::Refused(class) => refused(class, false, "the cloud refused"),
                Reply::Lost => refused(ErrorClass::Ambiguous, true, "the reply is lost"),
                Reply::NotSent => refused(ErrorClass::Transient, false, "not sent: it was too late"),
            };
            let sent = Sent {
                key: key_text(key),
                outcome,
                told: Told::Nothing,
            };
            let mut memory = (*self.memories.get(memory)).clone();
            if reply == Reply::UnderWay {
                memory.sent = Some(sent);
            } else {
                memory.hear(sent);
            }
            self.keep_memory(memory)
        })
    }

    /// A process sees what the cloud says of one server.
    pub(crate) fn look(&self, memory: u32, process: usize, n: u8, found: Option<Machine>) -> u32 {
        self.looked.get((memory, process as u8, n, found), |_| {
            let answer = found.as_ref().map(|m| Arc::new(observed(m)));
            let none = || CloudError::new(ErrorClass::NotFound, "no such server");
            let mut memory = (*self.memories.get(memory)).clone();
            memory.see(
                format!("s{n}"),
                clock::now(process),
                answer.ok_or_else(none),
                None,
            );
            self.keep_memory(memory)
        })
    }

    /// What a process makes of what it knows.
    pub(crate) fn think(
        &self,
        view: u32,
        memory: u32,
        list: Option<u32>,
        process: usize,
        born: u8,
        asked: bool,
    ) -> Thought {
        let question = (view, memory, list, process as u8, born, asked);
        self.thoughts
            .get(question, |_| self.ask(view, memory, list, process, born, asked))
    }

    fn ask(
        &self,
        view: u32,
        memory: u32,
        list: Option<u32>,
        process: usize,
        born: u8,
        asked: bool,
    ) -> Thought {
        let object = self.objects.get(view);
        let known = self.memories.get(memory);
        let list = list.map(|n| self.lists.get(n));
        let facts = list.as_ref().map(|l| AccountFacts {
            account: "project".to_owned(),
            capabilities: self.can,
            suspended: false,
            listing: Arc::clone(&l.1),
            outage: None,
            mass_absence: false,
            creates_free: true,
            disruptions_free: true,
            quota: None,
        });
        let actions = if asked {
            vec![Arc::clone(&self.action)]
        } else {
            vec![]
        };
        let uid = format!("uid-{}", object.uid);
        let input = Input {
            server: &object.server,
            account: match &facts {
                Some(facts) => AccountView::Usable(facts),
                None => AccountView::Unusable {
                    reason: evenkeel::api::Reason::Connecting,
                    message: "not listed yet",
                    since: clock::now(process),
                },
            },
            group: None,
            actions: &actions,
            memory: &known,
            process: &format!("{}{born}", ["a", "b"][process]),
            installation: INSTALLATION,
            leaving: false,
            lives: &|other| other == uid,
            claimed: &|_| None,
            now: clock::now(process),
            seed: 7,
        };
        let made = bugs::sown(self.bug, || plan(&input));
        let does = match &made.step {
            Step::Wait => Does::Nothing,
            Step::AddFinalizer => Does::AddFinalizer,
            Step::RemoveFinalizer => Does::RemoveFinalizer,
            Step::Look { id, .. } => Does::Look(number(id)),
            Step::Call { key, call } => Does::Call(key_of(key), call_of(call, object.uid)),
        };
        let broken = self.judge(&object, &known, list.as_ref().map(|l| &*l.1), &does);
        let writes = object.server.status.as_ref() != Some(&made.status);
        let written = with_status(&object.server, made.status);
        let says = conditions::get(
            &written.status.as_ref().expect("a status").conditions,
            ConditionType::Ready,
        )
        .map_or_else(
            || "nothing yet".to_owned(),
            |c| format!("{}: {}", c.reason, c.message),
        );
        Thought {
            object: if writes {
                self.keep_object(written, object.uid)
            } else {
                view
            },
            writes,
            memory: self.keep_memory(made.memory),
            does,
            says: says.into(),
            broken,
        }
    }

    /// What must hold of every call at the moment at which it is planned.
    fn judge(&self, object: &Object, memory: &Memory, list: Option<&Listing>, does: &Does) -> Option<Broken> {
        use OperationKind::{Delete, DeleteFailed, Restart, Start};
        let Does::Call(_, call) = does else {
            return None;
        };
        let (n, kind) = match call {
            Call::Create { .. } if !object.has_finalizer() || object.deleting() => {
                let how = "a server is asked for an object that may vanish";
                return Some(Broken::new(Law::Precondition, how));
            }
            Call::Create { .. } => return None,
            Call::Operate { n, kind, .. } => (*n, *kind),
        };
        let id = format!("s{n}");
        let look = memory
            .look
            .as_ref()
            .filter(|l| l.id == id && Some(l.asked_at) > list.and_then(|l| l.asked_at));
        let seen = match look {
            Some(look) => look.found.clone(),
            None => list.and_then(|l| l.servers.get(&id).cloned()),
        };
        let Some(seen) = seen else {
            return Some(Broken::new(
                Law::Precondition,
                "a call for a server that nobody sees",
            ));
        };
        let deletes = matches!(kind, Delete | DeleteFailed);
        if kind == Delete && !object.deleting() {
            return Some(Broken::new(
                Law::DeletesWhatIsAsked,
                "a server is deleted that is wished for",
            ));
        }
        if kind == DeleteFailed && (seen.launched || seen.state != ServerState::Error) {
            return Some(Broken::new(
                Law::DeletesWhatIsAsked,
                "a server is given up that has run",
            ));
        }
        if object.stopped() && matches!(kind, Start | Restart) {
            return Some(Broken::new(
                Law::StaysStopped,
                "a server is started that is wished to be stopped",
            ));
        }
        let unknown = seen.state == ServerState::Unknown && !(deletes && object.deleting());
        if unknown || (seen.busy && !deletes) || !self.can.allows(kind, seen.state) {
            return Some(Broken::new(
                Law::Precondition,
                "a call in a state in which it is not accepted",
            ));
        }
        None
    }
}

fn with_status(server: &Server, status: ServerStatus) -> Server {
    Server {
        status: Some(status),
        ..server.clone()
    }
}

fn number(id: &str) -> u8 {
    id.strip_prefix('s')
        .and_then(|n| n.parse().ok())
        .expect("an id of the model")
}

fn call_of(call: &CloudCall, uid: u8) -> Call {
    match call {
        CloudCall::Create(request) => Call::Create {
            uid: request
                .marks
                .uid
                .strip_prefix("uid-")
                .and_then(|n| n.parse().ok())
                .expect("a uid"),
            size: size_number(request.spec.size.as_ref().and_then(|s| s.name.as_deref())),
        },
        CloudCall::Operate { id, kind, how } => Call::Operate {
            uid,
            n: number(id),
            kind: *kind,
            size: match how {
                Operate::Size(size) => size_number(size.name.as_deref()),
                _ => 0,
            },
        },
        CloudCall::CreateGroup(_) | CloudCall::ChangeGroup { .. } => {
            unreachable!("a Server changes no groups")
        }
    }
}

fn key_of(text: &str) -> Key {
    if let Some(n) = text.strip_prefix("create-") {
        return Key::Create(n.parse().expect("a number"));
    }
    let (id, attempt) = text.split_once('#').expect("an attempt");
    let (word, hex) = id.rsplit_once('-').expect("a time");
    let kind = OperationKind::ALL
        .iter()
        .find(|k| k.as_str().to_lowercase() == word)
        .expect("a kind");
    let ms = i64::from_str_radix(hex, 16).expect("a time");
    let t = jiff::Timestamp::from_millisecond(ms).expect("a time");
    Key::Operation(*kind, clock::offset(t), attempt.parse().expect("a number"))
}

fn key_text(key: Key) -> String {
    match key {
        Key::Create(n) => format!("create-{n}"),
        Key::Operation(kind, offset, attempt) => {
            let ms = clock::at(offset).as_millisecond();
            format!("{}-{ms:x}#{attempt}", kind.as_str().to_lowercase())
        }
    }
}

/// A key of a call that was recorded a tick earlier than it seemed.
pub(crate) fn older_key(key: Key) -> Key {
    key_of(&clock::age_key(&key_text(key)))
}

/// A server as the cloud shows it.
pub(crate) fn observed(m: &Machine) -> ObservedServer {
    let marks = |uid: String, installation: &str| Marks {
        uid,
        installation: installation.to_owned(),
        object: "ns/web".to_owned(),
    };
    ObservedServer {
        id: m.id(),
        name: if m.mark == Mark::Elsewhere { "db" } else { "web" }.to_owned(),
        provider_id: format!("cloud:///{}", m.id()),
        state: m.state,
        raw: m.state.as_str().to_uppercase(),
        guest_running: (m.state == ServerState::AwaitingResizeConfirmation).then_some(m.guest),
        busy: m.is_busy(),
        launched: m.launched,
        size: ObservedSize {
            name: Some(format!("size-{}", m.size)),
            ..ObservedSize::default()
        },
        image_id: Some("debian-1".to_owned()),
        addresses: Vec::new(),
        zone: None,
        host: None,
        unreadable: false,
        locked: None,
        marks: match m.mark {
            Mark::None => None,
            Mark::Of(uid) => Some(marks(format!("uid-{uid}"), INSTALLATION)),
            Mark::Elsewhere => Some(marks("uid-1".to_owned(), "elsewhere")),
        },
        fault: (m.state == ServerState::Error).then(|| Fault {
            class: ErrorClass::Capacity,
            code: None,
            message: "No valid host was found.".to_owned(),
        }),
        failed_step: None,
        detailed: true,
        attributes: std::collections::BTreeMap::new(),
        items: Default::default(),
        parts: Vec::new(),
        group_id: None,
    }
}
