//! What the objects of an account want to hear about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::planner::model::{ObservedGroup, ObservedServer};

/// What kind of object a key names: objects of different kinds may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A Server; or a ProviderConfig, which is never asked for its kind.
    Server,
    /// A ServerGroup.
    ServerGroup,
    /// A ServerAction.
    ServerAction,
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub object: ObjectKind,
}

impl ObjectKey {
    /// Names a Server, or a ProviderConfig.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            object: ObjectKind::Server,
        }
    }

    /// The kind of object that this names; a ProviderConfig is never asked.
    pub const fn kind(&self) -> &'static str {
        match self.object {
            ObjectKind::Server => "Server",
            ObjectKind::ServerGroup => "ServerGroup",
            ObjectKind::ServerAction => "ServerAction",
        }
    }

    /// Names a ServerGroup.
    pub fn of_group(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            object: ObjectKind::ServerGroup,
            ..Self::new(namespace, name)
        }
    }

    /// Names a ServerAction.
    pub fn of_action(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            object: ObjectKind::ServerAction,
            ..Self::new(namespace, name)
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What one object wants to hear about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The object.
    pub key: ObjectKey,
    /// The cloud ids that it has recorded or names.
    pub ids: Vec<String>,
    /// Its servers are being deleted by us, or are known to be gone: their absence surprises nobody.
    pub deleting: bool,
    /// Something is under way: every list is of interest.
    pub busy: bool,
    /// A list that was asked for after this time is wanted.
    pub list_after: Option<Timestamp>,
    /// The groups of the account are wanted with each list.
    pub groups: bool,
}

/// The interests of all objects of an account, by uid.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    by_uid: BTreeMap<Arc<str>, Interest>,
    by_id: HashMap<String, Vec<Arc<str>>>,
    by_object: HashMap<String, Arc<str>>,
    busy: BTreeSet<String>,
    grouping: BTreeSet<String>,
    wanting: BTreeMap<String, Timestamp>,
}

impl Interests {
    pub(crate) fn set(&mut self, uid: &str, interest: Interest) {
        // A turn that learned nothing says the same again.
        if self.by_uid.get(uid).is_some_and(|known| *known == interest) {
            return;
        }
        self.remove(uid);
        let shared: Arc<str> = uid.into();
        for id in &interest.ids {
            self.by_id
                .entry(id.clone())
                .or_default()
                .push(Arc::clone(&shared));
        }
        if interest.key.object == ObjectKind::Server {
            self.by_object
                .insert(interest.key.to_string(), Arc::clone(&shared));
        }
        if interest.groups {
            self.grouping.insert(uid.to_owned());
        }
        if interest.busy {
            self.busy.insert(uid.to_owned());
        }
        if let Some(after) = interest.list_after {
            self.wanting.insert(uid.to_owned(), after);
        }
        self.by_uid.insert(shared, interest);
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(old) = self.by_uid.remove(uid) else {
            return;
        };
        for id in &old.ids {
            if let Some(uids) = self.by_id.get_mut(id) {
                uids.retain(|u| **u != *uid);
                if uids.is_empty() {
                    self.by_id.remove(id);
                }
            }
        }
        let object = old.key.to_string();
        if self.by_object.get(&object).is_some_and(|u| **u == *uid) {
            self.by_object.remove(&object);
        }
        self.busy.remove(uid);
        self.grouping.remove(uid);
        self.wanting.remove(uid);
    }

    /// The objects that a server concerns: by its id, by the uid in its marks, by the name in its marks.
    pub(crate) fn of_server(&self, installation: &str, server: &ObservedServer) -> Vec<&ObjectKey> {
        let marks = server.marks.as_ref().filter(|m| m.installation == installation);
        let by_id = self.by_id.get(&server.id).into_iter().flatten();
        let by_mark = marks.map(|m| m.uid.as_str());
        let by_name = marks.and_then(|m| self.by_object.get(&m.object));
        by_id
            .map(|uid| &**uid)
            .chain(by_mark)
            .chain(by_name.map(|uid| &**uid))
            .filter_map(|uid| Some(&self.by_uid.get(uid)?.key))
            .collect()
    }

    /// The objects that a group concerns: by its id, by the uid in its marks; a member's, since it joined or left.
    pub(crate) fn of_group(&self, group: &ObservedGroup) -> Vec<&ObjectKey> {
        let ids = std::iter::once(&group.id).chain(group.members.iter().map(|m| &m.id));
        let by_id = ids.filter_map(|id| self.by_id.get(id)).flatten();
        by_id
            .map(|uid| &**uid)
            .chain(group.marks.as_ref().map(|m| m.uid.as_str()))
            .filter_map(|uid| Some(&self.by_uid.get(uid)?.key))
            .collect()
    }

    /// Whether anybody wants the groups.
    pub(crate) fn any_groups(&self) -> bool {
        !self.grouping.is_empty()
    }

    /// The cloud ids that are recorded, but not those of servers that we are deleting.
    pub(crate) fn expected(&self) -> BTreeSet<&str> {
        let deleting: BTreeSet<&str> = self.ids(|i| i.deleting).collect();
        self.ids(|i| !i.deleting)
            .filter(|id| !deleting.contains(id))
            .collect()
    }

    fn ids(&self, of: impl Fn(&Interest) -> bool) -> impl Iterator<Item = &str> {
        // A group's id is in no list of servers.
        let chosen = self
            .by_uid
            .values()
            .filter(move |i| i.key.object == ObjectKind::Server && of(i));
        chosen.flat_map(|i| i.ids.iter().map(String::as_str))
    }

    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.by_uid.contains_key(uid)
    }

    pub(crate) fn any_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    pub(crate) fn busy(&self) -> impl Iterator<Item = &ObjectKey> {
        self.busy
            .iter()
            .filter_map(|uid| Some(&self.by_uid.get(uid.as_str())?.key))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &ObjectKey> {
        self.by_uid.values().map(|i| &i.key)
    }

    /// The earliest time after which a list is wanted.
    pub(crate) fn earliest_want(&self) -> Option<Timestamp> {
        self.wanting.values().min().copied()
    }

    /// The latest want that is not in the future.
    pub(crate) fn latest_want(&self, now: Timestamp) -> Option<Timestamp> {
        self.wanting.values().filter(|t| **t <= now).max().copied()
    }

    /// Takes out the wants that a list which was asked for then fulfils.
    pub(crate) fn fulfil(&mut self, asked_at: Timestamp) -> Vec<ObjectKey> {
        let done: Vec<String> = self
            .wanting
            .iter()
            .filter(|(_, t)| **t < asked_at)
            .map(|(uid, _)| uid.clone())
            .collect();
        let mut keys = Vec::with_capacity(done.len());
        for uid in done {
            self.wanting.remove(&uid);
            if let Some(interest) = self.by_uid.get_mut(uid.as_str()) {
                interest.list_after = None;
                keys.push(interest.key.clone());
            }
        }
        keys
    }
}
