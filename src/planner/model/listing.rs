//! A whole account as one complete list showed it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::bounds::is_id;
use super::{ObservedGroup, ObservedServer};

/// A whole account as one complete list showed it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// When the list was asked for: everything done before is in it, as far as the cloud is consistent.
    pub asked_at: Option<Timestamp>,
    /// Counts the lists of this process, from 1.
    pub sequence: u64,
    /// Every server, by id.
    pub servers: BTreeMap<String, Arc<ObservedServer>>,
    /// The ids of the servers that carry the uid of an object in their marks, sorted.
    pub by_uid: HashMap<String, Vec<String>>,
    /// The ids of the servers that carry an (installation, object) in their marks, sorted.
    pub by_object: HashMap<(String, String), Vec<String>>,
    /// Whether it has servers that the cloud could not describe: one of them may be anybody's.
    pub unreadable: bool,
    /// Every group, by id; none where no object asks for groups, or the cloud would not tell.
    pub groups: Option<BTreeMap<String, Arc<ObservedGroup>>>,
    /// The cloud's words where it lists servers and refuses to list groups.
    pub groups_refused: Option<String>,
}

impl Listing {
    /// A list of these servers.
    pub fn new(asked_at: impl Into<Option<Timestamp>>, sequence: u64, servers: Vec<ObservedServer>) -> Self {
        Self::indexed(asked_at.into(), sequence, servers, Arc::new)
    }

    /// The list after this one. What did not change stays the very same allocation.
    #[must_use]
    pub fn next(&self, asked_at: Timestamp, servers: Vec<ObservedServer>) -> Self {
        let keep = |new: ObservedServer| match self.servers.get(&new.id) {
            Some(old) if **old == new => Arc::clone(old),
            _ => Arc::new(new),
        };
        Self::indexed(Some(asked_at), self.sequence + 1, servers, keep)
    }

    /// The same list with the groups that were asked for after it.
    #[must_use]
    pub fn with_groups(mut self, groups: Vec<ObservedGroup>) -> Self {
        let readable = groups.iter().all(|g| is_id(&g.id));
        let groups = groups.into_iter().map(|g| (g.id.clone(), Arc::new(g))).collect();
        self.groups = readable.then_some(groups);
        self
    }

    /// A group by its id.
    pub fn group(&self, id: &str) -> Option<&Arc<ObservedGroup>> {
        self.groups.as_ref()?.get(id)
    }

    /// Every server that carries the uid of an object.
    pub fn of_uid(&self, uid: &str) -> Vec<&Arc<ObservedServer>> {
        self.pick(self.by_uid.get(uid))
    }

    /// Every server that carries the name of an object (`namespace/name`) of an installation.
    pub fn of_object(&self, installation: &str, object: &str) -> Vec<&Arc<ObservedServer>> {
        self.pick(self.by_object.get(&(installation.to_owned(), object.to_owned())))
    }

    fn pick(&self, ids: Option<&Vec<String>>) -> Vec<&Arc<ObservedServer>> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.servers.get(id))
            .collect()
    }

    fn indexed(
        asked_at: Option<Timestamp>,
        sequence: u64,
        listed: Vec<ObservedServer>,
        keep: impl Fn(ObservedServer) -> Arc<ObservedServer>,
    ) -> Self {
        let mut servers = BTreeMap::new();
        // One without an id may be anybody's as well.
        let mut unreadable = false;
        for server in listed {
            match server.fit() {
                Some(server) => {
                    unreadable |= server.unreadable;
                    servers.insert(server.id.clone(), keep(server));
                }
                None => unreadable = true,
            }
        }
        let (mut by_uid, mut by_object) = (HashMap::new(), HashMap::new());
        for (id, marks) in servers.iter().filter_map(|(id, s)| Some((id, s.marks.as_ref()?))) {
            by_uid
                .entry(marks.uid.clone())
                .or_insert_with(Vec::new)
                .push(id.clone());
            let object = (marks.installation.clone(), marks.object.clone());
            by_object.entry(object).or_insert_with(Vec::new).push(id.clone());
        }
        Self {
            asked_at,
            sequence,
            servers,
            by_uid,
            by_object,
            unreadable,
            groups: None,
            groups_refused: None,
        }
    }
}
