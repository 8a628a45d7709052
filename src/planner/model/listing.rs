//! A whole account as one complete list showed it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
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
    index: Arc<Index>,
    /// Every group, by id; none where no object asks for groups, or the cloud would not tell.
    pub groups: Option<BTreeMap<String, Arc<ObservedGroup>>>,
    /// The cloud's words where it lists servers and refuses to list groups.
    pub groups_refused: Option<String>,
}

/// The servers of a list, and where to find them. Lists that show the same share it.
#[derive(Debug, Default)]
pub struct Index {
    /// Every server, by id.
    pub servers: BTreeMap<String, Arc<ObservedServer>>,
    /// Those with marks, by the uid in them, then by id. A pointer each: a map would keep every uid twice.
    by_uid: Vec<Arc<ObservedServer>>,
    /// Those with marks, by the installation and the object in them, then by id.
    by_object: Vec<Arc<ObservedServer>>,
    /// Whether it has servers that the cloud could not describe: one of them may be anybody's.
    pub unreadable: bool,
}

impl Deref for Listing {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl Listing {
    /// A list of these servers.
    pub fn new(asked_at: impl Into<Option<Timestamp>>, sequence: u64, servers: Vec<ObservedServer>) -> Self {
        let (servers, unreadable) = fit(servers.into_iter().map(Arc::new), |_| None);
        Self::indexed(asked_at.into(), sequence, servers, unreadable)
    }

    /// The list after this one. What did not change stays the very same allocation, the whole of it too.
    #[must_use]
    pub fn next(&self, asked_at: Timestamp, mut servers: Vec<Arc<ObservedServer>>) -> Self {
        each_once(&mut servers, |s| &s.id);
        let mut same = 0;
        let listed = servers.len();
        let (servers, unreadable) = fit(servers, |new| {
            let old = self.servers.get(&new.id).filter(|old| *old == new)?;
            same += 1;
            Some(Arc::clone(old))
        });
        let sequence = self.sequence + 1;
        if same == listed && same == self.servers.len() {
            return Self {
                asked_at: Some(asked_at),
                sequence,
                index: Arc::clone(&self.index),
                groups: None,
                groups_refused: None,
            };
        }
        Self::indexed(Some(asked_at), sequence, servers, unreadable)
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

    /// Every server that carries the uid of an object, by id.
    pub fn of_uid(&self, uid: &str) -> Vec<&Arc<ObservedServer>> {
        equal(&self.by_uid, |s| uid_of(s).cmp(&Some(uid)))
    }

    /// Every server that carries the name of an object (`namespace/name`) of an installation, by id.
    pub fn of_object(&self, installation: &str, object: &str) -> Vec<&Arc<ObservedServer>> {
        equal(&self.by_object, |s| {
            object_of(s).cmp(&Some((installation, object)))
        })
    }

    fn indexed(
        asked_at: Option<Timestamp>,
        sequence: u64,
        servers: Vec<Arc<ObservedServer>>,
        unreadable: bool,
    ) -> Self {
        let servers: BTreeMap<String, Arc<ObservedServer>> =
            servers.into_iter().map(|s| (s.id.clone(), s)).collect();
        let marked: Vec<Arc<ObservedServer>> =
            servers.values().filter(|s| s.marks.is_some()).cloned().collect();
        let (mut by_uid, mut by_object) = (marked.clone(), marked);
        // They stay in the order of their ids where they are alike.
        by_uid.sort_by(|a, b| uid_of(a).cmp(&uid_of(b)));
        by_object.sort_by(|a, b| object_of(a).cmp(&object_of(b)));
        let index = Index {
            servers,
            by_uid,
            by_object,
            unreadable,
        };
        Self {
            asked_at,
            sequence,
            index: Arc::new(index),
            groups: None,
            groups_refused: None,
        }
    }
}

/// Sorts by id, and keeps of each what was told last.
pub fn each_once<T>(all: &mut Vec<T>, id: impl Fn(&T) -> &str) {
    all.sort_by(|a, b| id(a).cmp(id(b)));
    all.dedup_by(|later, earlier| {
        let same = id(later) == id(earlier);
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

fn uid_of(server: &Arc<ObservedServer>) -> Option<&str> {
    Some(&server.marks.as_ref()?.uid)
}

fn object_of(server: &Arc<ObservedServer>) -> Option<(&str, &str)> {
    let marks = server.marks.as_ref()?;
    Some((&marks.installation, &marks.object))
}

/// Those of sorted servers that are equal to what is looked for.
fn equal(
    sorted: &[Arc<ObservedServer>],
    order: impl Fn(&Arc<ObservedServer>) -> Ordering,
) -> Vec<&Arc<ObservedServer>> {
    let from = sorted.partition_point(|s| order(s).is_lt());
    sorted[from..].iter().take_while(|s| order(s).is_eq()).collect()
}

/// The servers as they can be written down, those that are known as they are known; and whether one could not be read: one
/// without an id may be anybody's.
fn fit(
    listed: impl IntoIterator<Item = Arc<ObservedServer>>,
    mut known: impl FnMut(&Arc<ObservedServer>) -> Option<Arc<ObservedServer>>,
) -> (Vec<Arc<ObservedServer>>, bool) {
    let mut unreadable = false;
    let mut servers = Vec::new();
    for new in listed {
        let server = known(&new).or_else(|| ObservedServer::fit(new));
        unreadable |= server.as_ref().is_none_or(|s| s.unreadable);
        servers.extend(server);
    }
    (servers, unreadable)
}
