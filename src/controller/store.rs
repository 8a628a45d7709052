//! The objects of one kind as they were last seen or written by us, whichever is newer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use kube::Resource;
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::shown::Shown;
use crate::observer::sync::lock;
use crate::observer::{ObjectKey, ObjectKind};

/// How many resourceVersions of one object are remembered as superseded.
const REMEMBERED: usize = 8;

/// What a watch has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The object.
    pub(crate) key: ObjectKey,
    /// Its uid.
    pub(crate) uid: String,
    /// What happened to it.
    pub(crate) what: What,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It is new, or its wish or metadata changed.
    Wish,
    /// Something else in it changed, by somebody else.
    Other,
    /// It is gone.
    Gone,
    /// It cannot be read.
    Unreadable(String),
}

/// The objects of one kind.
pub(crate) struct Store<K> {
    inner: Mutex<Inner<K>>,
    synced: watch::Sender<bool>,
}

struct Inner<K> {
    objects: BTreeMap<ObjectKey, Entry<K>>,
    uids: HashMap<String, ObjectKey>,
    /// Scopes (a namespace, or none for all) whose first list is still missing.
    pending: BTreeSet<Option<String>>,
    /// What the list in progress of a scope has shown.
    listing: HashMap<Option<String>, BTreeSet<ObjectKey>>,
    trouble: BTreeMap<Option<String>, String>,
    /// Nothing waits for it.
    optional: bool,
}

struct Entry<K> {
    uid: String,
    version: String,
    /// None while it cannot be read: it lives all the same.
    object: Option<Arc<K>>,
    /// Versions that a newer one replaced; a late event must not bring them back.
    superseded: VecDeque<String>,
    /// We know that it is gone although the watch has not said so yet.
    gone: bool,
}

impl<K: Resource<DynamicType = ()> + Clone> Store<K> {
    /// An empty store that is synced when every scope was listed.
    pub(crate) fn new(scopes: impl IntoIterator<Item = Option<String>>) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            uids: HashMap::new(),
            pending: scopes.into_iter().collect(),
            listing: HashMap::new(),
            trouble: BTreeMap::new(),
            optional: false,
        };
        Self {
            inner: Mutex::new(inner),
            synced: watch::channel(false).0,
        }
    }

    /// A store that nobody waits for: where its objects cannot be listed, there are none.
    pub(crate) fn optional(scopes: impl IntoIterator<Item = Option<String>>) -> Self {
        let store = Self::new(scopes);
        lock(&store.inner).optional = true;
        store
    }

    /// Whether everything was listed once.
    pub(crate) fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// The object as we know it; none if it is gone or cannot be read.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        lock(&self.inner)
            .objects
            .get(key)
            .filter(|e| !e.gone)?
            .object
            .clone()
    }

    /// Whether an object with this uid lives.
    pub(crate) fn lives(&self, uid: &str) -> bool {
        let inner = lock(&self.inner);
        let entry = inner.uids.get(uid).and_then(|key| inner.objects.get(key));
        entry.is_some_and(|e| e.uid == uid && !e.gone)
    }

    /// Every readable object.
    pub(crate) fn all(&self) -> Vec<(ObjectKey, Arc<K>)> {
        self.matching(|_| true)
    }

    /// The same, without their keys.
    pub(crate) fn objects(&self) -> Vec<Arc<K>> {
        let inner = lock(&self.inner);
        let living = inner.objects.values().filter(|e| !e.gone);
        living.filter_map(|e| e.object.clone()).collect()
    }

    /// Every readable object that is so. Asked for each of them under the lock: it has to be quick.
    pub(crate) fn matching(&self, wanted: impl Fn(&K) -> bool) -> Vec<(ObjectKey, Arc<K>)> {
        let inner = lock(&self.inner);
        let living = inner.objects.iter().filter(|(_, e)| !e.gone);
        let readable = living.filter_map(|(k, e)| Some((k, e.object.as_ref()?)));
        readable
            .filter(|(_, object)| wanted(object))
            .map(|(k, object)| (k.clone(), Arc::clone(object)))
            .collect()
    }

    /// Every readable object of a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<(ObjectKey, Arc<K>)> {
        self.in_namespace_where(namespace, |_| true)
    }

    /// Whether there is such an object, readable or not.
    pub(crate) fn exists(&self, key: &ObjectKey) -> bool {
        lock(&self.inner).objects.get(key).is_some_and(|e| !e.gone)
    }

    /// The readable objects of a namespace that are so.
    pub(crate) fn in_namespace_where(
        &self,
        namespace: &str,
        is: impl Fn(&K) -> bool,
    ) -> Vec<(ObjectKey, Arc<K>)> {
        let inner = lock(&self.inner);
        let from = inner.objects.range(ObjectKey::new(namespace, "")..);
        from.take_while(|(k, _)| k.namespace == namespace)
            .filter(|(_, e)| !e.gone)
            .filter_map(|(k, e)| Some((k, e.object.as_ref().filter(|o| is(o))?)))
            .map(|(k, o)| (k.clone(), Arc::clone(o)))
            .collect()
    }

    /// Takes in what one of our own reads or writes returned. It never goes back in time.
    pub(crate) fn put(&self, object: impl Into<Arc<K>>) {
        let object = object.into();
        let Some((key, uid)) = identity(&*object) else {
            return;
        };
        lock(&self.inner).offer(&key, &uid, Ok(object));
    }

    /// We know that this object is gone.
    pub(crate) fn gone(&self, key: &ObjectKey, uid: &str) {
        if let Some(entry) = lock(&self.inner).objects.get_mut(key).filter(|e| e.uid == uid) {
            entry.gone = true;
        }
    }

    /// Notes what keeps the watch of a scope from working, or that it works.
    pub(crate) fn trouble(&self, scope: Option<&str>, words: Option<String>) {
        let mut inner = lock(&self.inner);
        let scope = scope.map(str::to_owned);
        if inner.optional && words.is_some() {
            inner.pending.remove(&scope);
            if inner.pending.is_empty() {
                self.synced.send_replace(true);
            }
        }
        match words {
            Some(words) => inner.trouble.insert(scope, words),
            None => inner.trouble.remove(&scope),
        };
    }

    /// What keeps the watches from being ready; empty when they are.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        let words = |scope| inner.trouble.get(scope).map_or("not listed yet", String::as_str);
        let waiting = inner.pending.iter();
        waiting.map(|s| said::<K>(s.as_deref(), words(s))).collect()
    }

    /// Which watches have failed since they last showed something, though they listed everything once.
    pub(crate) fn troubled(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        let listed = inner.trouble.iter().filter(|(s, _)| !inner.pending.contains(*s));
        listed.map(|(s, words)| said::<K>(s.as_deref(), words)).collect()
    }

    /// Takes in one event of the watch of a scope.
    pub(crate) fn event(&self, scope: Option<&str>, event: Event<Shown<K>>) -> Vec<Change> {
        let scope = scope.map(str::to_owned);
        let mut inner = lock(&self.inner);
        // A list that begins may fail yet.
        if !matches!(event, Event::Init) {
            inner.trouble.remove(&scope);
        }
        match event {
            Event::Apply(guard) => inner
                .apply(guard)
                .map(|(_, change)| change)
                .into_iter()
                .flatten()
                .collect(),
            Event::Delete(guard) => inner.delete(&guard).into_iter().collect(),
            Event::Init => {
                inner.listing.insert(scope, BTreeSet::new());
                vec![]
            }
            Event::InitApply(guard) => {
                let Some((key, change)) = inner.apply(guard) else {
                    return vec![];
                };
                inner.listing.entry(scope).or_default().insert(key);
                change.into_iter().collect()
            }
            Event::InitDone => {
                let listed = inner.listing.remove(&scope).unwrap_or_default();
                let gone = inner.keep_only(scope.as_deref(), &listed);
                inner.pending.remove(&scope);
                if inner.pending.is_empty() {
                    self.synced.send_replace(true);
                }
                gone
            }
        }
    }
}

fn said<K: Resource<DynamicType = ()>>(scope: Option<&str>, words: &str) -> String {
    let place = scope.map_or_else(|| "all namespaces".to_owned(), |n| format!("namespace {n}"));
    format!("{} in {place}: {words}", K::plural(&()))
}

impl<K: Resource<DynamicType = ()> + Clone> Inner<K> {
    fn apply(&mut self, guard: Shown<K>) -> Option<(ObjectKey, Option<Change>)> {
        let (key, uid) = identity(&guard)?;
        let offered = match guard.0 {
            Ok(object) => self.offer(&key, &uid, Ok(Arc::new(object))),
            Err(bad) => self.offer(
                &key,
                &uid,
                Err((bad.metadata.resource_version.unwrap_or_default(), bad.error)),
            ),
        };
        let change = offered.map(|what| Change {
            key: key.clone(),
            uid,
            what,
        });
        Some((key, change))
    }

    fn offer(&mut self, key: &ObjectKey, uid: &str, new: Result<Arc<K>, (String, String)>) -> Option<What> {
        let version = match &new {
            Ok(object) => object.meta().resource_version.clone().unwrap_or_default(),
            Err((version, _)) => version.clone(),
        };
        let (mut superseded, mut old) = (VecDeque::new(), None);
        if let Some(entry) = self.objects.get_mut(key).filter(|e| e.uid == uid) {
            if entry.gone || !entry.is_older_than(&version) {
                return None;
            }
            superseded = std::mem::take(&mut entry.superseded);
            superseded.push_back(std::mem::take(&mut entry.version));
            if superseded.len() > REMEMBERED {
                superseded.pop_front();
            }
            old = entry.object.take();
        } else if let Some(former) = self.objects.get(key) {
            self.uids.remove(&former.uid);
        }
        let (object, what) = match new {
            Ok(object) => {
                let what = if old.is_some_and(|old| same_wish(&*old, &*object)) {
                    What::Other
                } else {
                    What::Wish
                };
                (Some(object), what)
            }
            Err((_, words)) => (None, What::Unreadable(words)),
        };
        self.uids.insert(uid.to_owned(), key.clone());
        let entry = Entry {
            uid: uid.to_owned(),
            version,
            object,
            superseded,
            gone: false,
        };
        self.objects.insert(key.clone(), entry);
        Some(what)
    }

    fn delete(&mut self, guard: &Shown<K>) -> Option<Change> {
        let (key, uid) = identity(guard)?;
        self.objects.get(&key).filter(|e| e.uid == uid)?;
        self.objects.remove(&key);
        self.uids.remove(&uid);
        Some(Change {
            key,
            uid,
            what: What::Gone,
        })
    }

    fn keep_only(&mut self, scope: Option<&str>, listed: &BTreeSet<ObjectKey>) -> Vec<Change> {
        let in_scope = |key: &ObjectKey| scope.is_none_or(|n| n == key.namespace);
        let gone: Vec<ObjectKey> = self
            .objects
            .keys()
            .filter(|k| in_scope(k) && !listed.contains(k))
            .cloned()
            .collect();
        let mut changes = Vec::with_capacity(gone.len());
        for key in gone {
            if let Some(entry) = self.objects.remove(&key) {
                self.uids.remove(&entry.uid);
                changes.push(Change {
                    key,
                    uid: entry.uid,
                    what: What::Gone,
                });
            }
        }
        changes
    }
}

impl<K> Entry<K> {
    fn is_older_than(&self, version: &str) -> bool {
        if version == self.version || self.superseded.iter().any(|v| v == version) {
            return false;
        }
        // Versions are numbers that grow on every API server there is; where they are not, what we replaced
        // ourselves is known above.
        match (version.parse::<u64>(), self.version.parse::<u64>()) {
            (Ok(new), Ok(old)) => new > old,
            _ => true,
        }
    }
}

fn identity<K: Resource<DynamicType = ()>>(object: &K) -> Option<(ObjectKey, String)> {
    let meta = object.meta();
    let key = ObjectKey {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone()?,
        object: kind_of::<K>(),
    };
    Some((key, meta.uid.clone()?))
}

fn kind_of<K: Resource<DynamicType = ()>>() -> ObjectKind {
    match &*K::kind(&()) {
        "ServerGroup" => ObjectKind::ServerGroup,
        "ServerAction" => ObjectKind::ServerAction,
        _ => ObjectKind::Server,
    }
}

/// Whether two versions differ in nothing that a user writes.
fn same_wish<K: Resource>(a: &K, b: &K) -> bool {
    let (a, b) = (a.meta(), b.meta());
    a.generation == b.generation
        && a.annotations == b.annotations
        && a.labels == b.labels
        && a.finalizers == b.finalizers
        && a.deletion_timestamp == b.deletion_timestamp
}

#[cfg(test)]
mod tests;
