//! What this process remembers of each object, and the replies that have not been planned on yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::explain::Planned;
use crate::api::{Server, ServerGroup};
use crate::observer::ObjectKey;
use crate::observer::sync::lock;
use crate::planner::later;
use crate::planner::memory::{Memory, Outcome, Sent, Told};
use crate::planner::model::{CloudError, Ended, ObservedServer};

/// After so many plans in a row that want another one at once nobody believes any more that this ends.
const RESTLESS: u32 = 16;

/// Something that came back from a cloud.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The outcome of a call.
    Sent(Sent),
    /// The answer to a look at one server.
    Looked {
        /// Its id.
        id: String,
        /// When it was asked.
        asked_at: Timestamp,
        /// The answer.
        answer: Result<Arc<ObservedServer>, CloudError>,
        /// A request, and how it ended.
        ended: Option<(String, Ended)>,
    },
}

/// An object as a turn left it.
#[derive(Clone, Debug)]
pub(super) enum Left {
    Server(Arc<Server>),
    Group(Arc<ServerGroup>),
}

impl Left {
    fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server(a), Self::Server(b)) => Arc::ptr_eq(a, b) || a.status == b.status,
            (Self::Group(a), Self::Group(b)) => Arc::ptr_eq(a, b) || a.status == b.status,
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
struct Object {
    key: Option<ObjectKey>,
    memory: Memory,
    inbox: Vec<Reply>,
    calling: bool,
    /// A call was made whose outcome no status says yet.
    unsaved: bool,
    looking: bool,
    failures: u32,
    planned: Option<Planned>,
    left: Option<Left>,
    /// How many plans in a row wanted another one at once.
    restless: u32,
}

/// What is remembered of an object, to be shown.
pub(super) struct Peek {
    pub(super) planned: Option<Planned>,
    pub(super) memory: Memory,
    pub(super) calling: bool,
    pub(super) looking: bool,
    pub(super) replies: usize,
    pub(super) failures: u32,
}

/// Every object, by uid.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<HashMap<String, Object>>);

impl Objects {
    /// The memory to plan with: what is remembered, and every reply that came since.
    pub(crate) fn open(&self, uid: &str, key: &ObjectKey) -> Memory {
        let mut all = lock(&self.0);
        let object = all.entry(uid.to_owned()).or_default();
        object.key.get_or_insert_with(|| key.clone());
        for reply in std::mem::take(&mut object.inbox) {
            absorb(&mut object.memory, reply);
        }
        object.memory.clone()
    }

    /// Compares the object with the one that the last turn left: a status that differs was written by somebody else.
    pub(super) fn read(&self, uid: &str, found: Left, now: Timestamp) {
        let mut all = lock(&self.0);
        let Some(object) = all.get_mut(uid) else {
            return;
        };
        if object.left.as_ref().is_some_and(|l| !l.says_the_same(&found)) {
            object.memory.rewritten_at = Some(now);
            object.left = Some(found);
        }
    }

    /// Remembers in what shape a turn left the object.
    pub(super) fn leave(&self, uid: &str, left: Left) {
        if let Some(object) = lock(&self.0).get_mut(uid) {
            object.left = Some(left);
        }
    }

    /// Remembers what a plan says.
    pub(super) fn store(&self, uid: &str, memory: Memory, planned: Planned) {
        if let Some(object) = lock(&self.0).get_mut(uid) {
            object.memory = memory;
            object.planned = Some(planned);
            object.unsaved &= object.calling || !object.inbox.is_empty();
        }
    }

    /// When the next plan is due after one of `now` that wants it `again`. One at once is nothing odd; one after the other
    /// would go on for ever, and leave no time for anything else: from then on one each second.
    pub(super) fn due(&self, uid: &str, again: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let mut all = lock(&self.0);
        let Some(object) = all.get_mut(uid) else {
            return again;
        };
        let at_once = again.is_some_and(|at| at <= now);
        object.restless = if at_once {
            object.restless.saturating_add(1)
        } else {
            0
        };
        if object.restless == RESTLESS {
            let key = object.key.as_ref().map(ToString::to_string);
            tracing::error!(
                object = key,
                "every plan wants another one at once: there is one each second now"
            );
        }
        again
            .filter(|_| object.restless < RESTLESS)
            .or_else(|| again.map(|_| later(now, 1)))
    }

    /// What is remembered, without taking replies in.
    pub(super) fn peek(&self, uid: &str) -> Option<Peek> {
        let all = lock(&self.0);
        let object = all.get(uid)?;
        Some(Peek {
            planned: object.planned.clone(),
            memory: object.memory.clone(),
            calling: object.calling,
            looking: object.looking,
            replies: object.inbox.len(),
            failures: object.failures,
        })
    }

    /// Whether a call for the object is under way.
    pub(crate) fn calling(&self, uid: &str) -> bool {
        lock(&self.0).get(uid).is_some_and(|o| o.calling)
    }

    /// Begins a call; false if one is under way already.
    pub(crate) fn begin_call(&self, uid: &str, key: &str) -> bool {
        let mut all = lock(&self.0);
        let Some(object) = all.get_mut(uid).filter(|o| !o.calling) else {
            return false;
        };
        (object.calling, object.unsaved) = (true, true);
        object.memory.sent = Some(Sent {
            key: key.to_owned(),
            outcome: Outcome::InFlight,
            told: Told::Nothing,
        });
        true
    }

    /// Begins a look; false if one is under way already.
    pub(crate) fn begin_look(&self, uid: &str) -> bool {
        let mut all = lock(&self.0);
        let Some(object) = all.get_mut(uid).filter(|o| !o.looking) else {
            return false;
        };
        object.looking = true;
        true
    }

    /// Hands in a reply; false if nobody remembers the object.
    pub(crate) fn deliver(&self, uid: &str, reply: Reply) -> bool {
        let mut all = lock(&self.0);
        let Some(object) = all.get_mut(uid) else {
            return false;
        };
        match &reply {
            Reply::Sent(_) => object.calling = false,
            Reply::Looked { .. } => object.looking = false,
        }
        object.inbox.push(reply);
        true
    }

    /// Objects with replies that were not planned on.
    pub(crate) fn undelivered(&self) -> Vec<ObjectKey> {
        let all = lock(&self.0);
        let mut keys: Vec<_> = all
            .values()
            .filter(|o| !o.inbox.is_empty())
            .filter_map(|o| o.key.clone())
            .collect();
        keys.sort();
        keys
    }

    /// Whether a call was made for it whose outcome is not saved yet.
    pub(super) fn unsaved(&self, uid: &str) -> bool {
        lock(&self.0).get(uid).is_some_and(|o| o.unsaved)
    }

    /// All that are so.
    pub(super) fn unsaved_keys(&self) -> Vec<ObjectKey> {
        let all = lock(&self.0);
        let unsaved = all.values().filter(|o| o.unsaved);
        unsaved.filter_map(|o| o.key.clone()).collect()
    }

    /// Whether anything is remembered of it.
    pub(super) fn knows(&self, uid: &str) -> bool {
        lock(&self.0).contains_key(uid)
    }

    /// Every object of which something is remembered, by uid.
    pub(super) fn known(&self) -> Vec<(String, ObjectKey)> {
        let all = lock(&self.0);
        let named = |(uid, o): (&String, &Object)| Some((uid.clone(), o.key.clone()?));
        all.iter().filter_map(named).collect()
    }

    /// Counts a failed reconcile; how many in a row there were.
    pub(crate) fn failed(&self, uid: &str) -> u32 {
        let mut all = lock(&self.0);
        let object = all.entry(uid.to_owned()).or_default();
        object.failures = object.failures.saturating_add(1);
        object.failures
    }

    /// A reconcile went well.
    pub(crate) fn succeeded(&self, uid: &str) {
        if let Some(object) = lock(&self.0).get_mut(uid) {
            object.failures = 0;
        }
    }

    /// Forgets an object.
    pub(crate) fn forget(&self, uid: &str) {
        lock(&self.0).remove(uid);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}

fn absorb(memory: &mut Memory, reply: Reply) {
    match reply {
        Reply::Sent(sent) => memory.hear(sent),
        Reply::Looked {
            id,
            asked_at,
            answer,
            ended,
        } => memory.see(id, asked_at, answer, ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::model::{Accepted, ErrorClass};

    fn looked(id: &str, answer: Result<Arc<ObservedServer>, CloudError>) -> Reply {
        Reply::Looked {
            id: id.into(),
            asked_at: Timestamp::UNIX_EPOCH,
            answer,
            ended: None,
        }
    }

    fn none() -> Result<Arc<ObservedServer>, CloudError> {
        Err(CloudError::new(ErrorClass::NotFound, "no such server"))
    }

    #[test]
    fn absences_count_only_in_a_row_and_of_one_server() {
        let there = Arc::new(crate::observer::tests::server("a", "ACTIVE"));
        let mut memory = Memory::default();
        let mut absences = |reply| {
            absorb(&mut memory, reply);
            memory
                .look
                .as_ref()
                .map(|l| (l.absences, l.found.is_some(), l.error.is_some()))
                .unwrap()
        };
        assert_eq!(absences(looked("a", none())), (1, false, false));
        assert_eq!(absences(looked("a", none())), (2, false, false));
        assert_eq!(
            absences(looked("a", Err(CloudError::new(ErrorClass::Transient, "503")))),
            (0, false, true)
        );
        assert_eq!(absences(looked("a", none())), (1, false, false));
        assert_eq!(absences(looked("a", Ok(there))), (0, true, false));
        assert_eq!(absences(looked("a", none())), (1, false, false));
        assert_eq!(absences(looked("b", none())), (1, false, false));
    }

    #[test]
    fn one_call_at_a_time_and_its_reply_finds_it() {
        let objects = Objects::default();
        let key = ObjectKey::new("n", "s");
        objects.open("u", &key);
        assert!(objects.begin_call("u", "create-1") && !objects.begin_call("u", "create-2"));
        assert_eq!(objects.open("u", &key).sent.unwrap().outcome, Outcome::InFlight);
        let outcome = Outcome::Accepted(Timestamp::UNIX_EPOCH, Accepted::default());
        let sent = Sent {
            key: "create-1".into(),
            outcome,
            told: Told::Kept,
        };
        assert!(objects.deliver("u", Reply::Sent(sent.clone())));
        assert_eq!(objects.undelivered(), vec![key.clone()]);
        assert_eq!(objects.open("u", &key).sent, Some(sent.clone()));
        assert!(objects.undelivered().is_empty() && !objects.calling("u"));
        objects.forget("u");
        assert!(
            !objects.deliver("u", Reply::Sent(sent)),
            "the reply of a deleted object is dropped"
        );
    }

    #[test]
    fn a_status_that_somebody_else_wrote_is_noticed() {
        let objects = Objects::default();
        let key = ObjectKey::new("n", "s");
        let server = |status: Option<&str>, label: &str| {
            Arc::new(
                serde_json::from_value::<Server>(serde_json::json!({
                    "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
                    "metadata": {"name": "s", "labels": {"l": label}},
                    "spec": {"providerConfigRef": {"name": "c"}, "size": {"name": "s"}, "image": {"name": "i"}},
                    "status": status.map(|id| serde_json::json!({"id": id})),
                }))
                .unwrap(),
            )
        };
        let found = |server: &Arc<Server>, second| {
            objects.read(
                "u",
                Left::Server(Arc::clone(server)),
                Timestamp::from_second(second).unwrap(),
            );
            objects.open("u", &key).rewritten_at.map(Timestamp::as_second)
        };
        assert_eq!(found(&server(Some("a"), "1"), 1), None, "nothing was left yet");
        objects.leave("u", Left::Server(server(Some("a"), "1")));
        assert_eq!(
            found(&server(Some("a"), "2"), 2),
            None,
            "only a label is another one"
        );
        assert_eq!(found(&server(Some("b"), "2"), 3), Some(3));
        assert_eq!(found(&server(Some("b"), "2"), 4), Some(3), "seen before");
    }

    #[test]
    fn who_wants_another_plan_at_once_for_ever_gets_one_each_second() {
        let objects = Objects::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        objects.open("u", &ObjectKey::new("n", "s"));
        let due = |again: Option<i64>| {
            let due = objects.due("u", again.map(at), at(100));
            due.map(Timestamp::as_second)
        };
        let restless = || (0..RESTLESS + 2).map(|_| due(Some(90))).collect::<Vec<_>>();
        let wanted: Vec<_> = (1..=RESTLESS + 2)
            .map(|n| Some(if n < RESTLESS { 90 } else { 101 }))
            .collect();
        assert_eq!(restless(), wanted);
        assert_eq!(due(Some(130)), Some(130), "what is due later is due then");
        assert_eq!(restless(), wanted, "and is a rest");
        assert_eq!(due(None), None);
        assert_eq!(objects.due("unknown", Some(at(1)), at(100)), Some(at(1)));
    }

    #[test]
    fn a_stray_reply_does_not_overwrite_another_call() {
        let mut memory = Memory {
            sent: Some(Sent {
                key: "b".into(),
                outcome: Outcome::InFlight,
                told: Told::Nothing,
            }),
            ..Memory::default()
        };
        let error = CloudError::new(ErrorClass::Transient, "late");
        let late = Sent {
            key: "a".into(),
            outcome: Outcome::Refused(Timestamp::UNIX_EPOCH, error),
            told: Told::Nothing,
        };
        absorb(&mut memory, Reply::Sent(late));
        assert_eq!(memory.sent.unwrap().outcome, Outcome::InFlight);
    }
}
