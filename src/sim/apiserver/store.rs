//! The objects and their history.

use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

use super::error::ApiError;
use super::resources::Resource;

/// An object as it was at one resourceVersion.
pub(super) type Object = Arc<Value>;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) plural: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One change in the history.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) at: Instant,
    pub(super) key: Key,
    pub(super) old: Option<Object>,
    /// As it is now; when deleted, as it was last, with the resourceVersion of the deletion.
    pub(super) object: Object,
    pub(super) deleted: bool,
}

/// What is written where, and when.
pub(super) struct Place<'a> {
    pub(super) resource: &'static Resource,
    pub(super) namespace: &'a str,
    pub(super) status: bool,
    pub(super) dry_run: bool,
    pub(super) now: Timestamp,
    pub(super) at: Instant,
}

impl Place<'_> {
    pub(super) fn key(&self, name: &str) -> Key {
        Key {
            plural: self.resource.plural,
            namespace: self.namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What a write did.
pub(super) struct Written {
    pub(super) object: Object,
    pub(super) changed: bool,
    pub(super) created: bool,
    /// The object is gone now.
    pub(super) removed: bool,
}

/// The conditions of a delete.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
}

#[derive(Clone)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<Key, Object>,
    history: Vec<Change>,
    version: u64,
    compacted: u64,
    pub(super) uids: u64,
    pub(super) names: u64,
    /// The schemas of our own definitions, by plural name; clones share them.
    pub(super) schemas: Arc<BTreeMap<&'static str, Value>>,
}

impl Store {
    /// Without any object.
    pub(super) fn empty() -> Self {
        Self {
            objects: BTreeMap::new(),
            history: Vec::new(),
            // A young cluster has some history already; 0 and 1 have meanings of their own.
            version: 100,
            compacted: 0,
            uids: 0,
            names: 0,
            schemas: Arc::default(),
        }
    }

    /// Puts definitions into an empty store, established long ago: no watch tells of them. They are no CRDs of ours to
    /// default or prune.
    pub(super) fn install(&mut self, definitions: Vec<Value>, now: Timestamp) {
        let mut schemas = BTreeMap::new();
        for mut definition in definitions {
            let spec = &definition["spec"];
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            let plural = text(&spec["names"]["plural"]);
            let name = text(&definition["metadata"]["name"]);
            if let Ok(resource) = Resource::by_plural(&plural) {
                let schema = spec["versions"][0]["schema"]["openAPIV3Schema"].clone();
                schemas.insert(resource.plural, schema);
            }
            self.version += 1;
            self.uids += 1;
            definition["status"] = json!({"conditions": [{"type": "Established", "status": "True",
                "reason": "InitialNamesAccepted", "message": "", "lastTransitionTime": seconds(now)}],
                "acceptedNames": spec["names"], "storedVersions": [spec["versions"][0]["name"]]});
            let meta = &mut definition["metadata"];
            meta["uid"] = json!(uid(self.uids));
            meta["creationTimestamp"] = json!(seconds(now));
            meta["resourceVersion"] = json!(self.version.to_string());
            let key = Key {
                plural: "customresourcedefinitions",
                namespace: String::new(),
                name,
            };
            self.objects.insert(key, Arc::new(definition));
        }
        self.schemas = Arc::new(schemas);
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets the history: whoever asks for what was before must list again.
    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// The objects of a resource, in one namespace or (empty) all, in the order of their keys.
    pub(super) fn list<'a>(
        &'a self,
        plural: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Object)> {
        self.objects
            .iter()
            .filter(move |(k, _)| k.plural == plural && (namespace.is_empty() || k.namespace == namespace))
    }

    /// As [`Self::list`], but as it was at a version that is still in the history.
    pub(super) fn list_at(
        &self,
        version: u64,
        plural: &str,
        namespace: &str,
    ) -> Result<BTreeMap<Key, Object>, ApiError> {
        if version < self.compacted || version > self.version {
            return Err(ApiError::expired());
        }
        let mut objects: BTreeMap<Key, Object> = self
            .list(plural, namespace)
            .map(|(k, o)| (k.clone(), Arc::clone(o)))
            .collect();
        let undone = self.since(version).iter().rev();
        for change in undone
            .filter(|c| c.key.plural == plural && (namespace.is_empty() || c.key.namespace == namespace))
        {
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), Arc::clone(old)),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// The changes after a version, oldest first.
    pub(super) fn since(&self, version: u64) -> &[Change] {
        &self.history[self.history.partition_point(|c| c.version <= version)..]
    }

    pub(super) fn commit(
        &mut self,
        place: &Place<'_>,
        key: Key,
        old: Option<Object>,
        mut object: Value,
        deleted: bool,
    ) -> Object {
        if place.dry_run {
            return Arc::new(object);
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        if deleted {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key.clone(), Arc::clone(&object));
        }
        let change = Change {
            version: self.version,
            at: place.at,
            key,
            old,
            object: Arc::clone(&object),
            deleted,
        };
        self.history.push(change);
        object
    }
}

/// The nth uid.
pub(super) fn uid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// A non-empty string of the metadata.
pub(super) fn str_at<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get(field)?
        .as_str()
        .filter(|s| !s.is_empty())
}

/// RFC 3339 with whole seconds, as the metadata has it.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
