//! What a test does to the cluster without a client: no latency, no faults, no line in the write log.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

use super::ApiServer;
use super::error::ApiError;
use super::merge::PatchKind;
use super::resources::Resource;
use super::store::{self, Key, Preconditions, Store, Written};

/// A condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("{what} was not seen within {within:?}; the last that was seen: {last}")]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// For how long, in virtual time.
    pub within: Duration,
    /// The object, or the objects, at the end.
    pub last: String,
}

/// Where one object is: its plural name, its namespace (empty for a cluster-wide one) and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The resource's plural name, as `servers`.
    pub plural: &'a str,
    /// The namespace; empty for a cluster-wide object.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
}

impl<'a> From<(&'a str, &'a str, &'a str)> for Place<'a> {
    fn from((plural, namespace, name): (&'a str, &'a str, &'a str)) -> Self {
        Self {
            plural,
            namespace,
            name,
        }
    }
}

impl ApiServer {
    fn direct<T>(
        &self,
        place: Place<'_>,
        status: bool,
        go: impl FnOnce(&mut Store, &store::Place<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let resource = Resource::by_plural(place.plural)?;
        let namespace = place.namespace;
        let at = store::Place {
            resource,
            namespace,
            status,
            dry_run: false,
            now: self.now(),
            at: Instant::now(),
        };
        let result = go(&mut self.state().store, &at);
        self.wake();
        result
    }

    /// Creates the object or merges it into the one that exists, as an apply does. The namespace is `default` if absent.
    pub fn apply(&self, object: &Value) -> Result<Value, ApiError> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let resource = Resource::by_kind(&text(&object["apiVersion"]), &text(&object["kind"]))?;
        let name = text(&object["metadata"]["name"]);
        let namespace = match object["metadata"]["namespace"].as_str() {
            _ if !resource.namespaced => "",
            Some(namespace) => namespace,
            None => "default",
        };
        let place = Place {
            plural: resource.plural,
            namespace,
            name: &name,
        };
        self.direct(place, false, |store, at| {
            store.patch(at, &name, PatchKind::Apply, object)
        })
        .map(value)
    }

    /// Applies every document of a YAML text, in its order.
    pub fn apply_yaml(&self, text: &str) -> Result<Vec<Value>, ApiError> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|e| ApiError::new(400, e.to_string()))?;
        documents
            .iter()
            .filter(|d| !d.is_null())
            .map(|d| self.apply(d))
            .collect()
    }

    /// Changes an object by hand; its status cannot be changed here. Obeys the rules of a PUT.
    pub fn edit<'a>(
        &self,
        place: impl Into<Place<'a>>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, ApiError> {
        let place = place.into();
        self.direct(place, false, |store, at| {
            let mut object = current(store, at, place.name)?;
            change(&mut object);
            store.update(at, place.name, object, true)
        })
        .map(value)
    }

    /// Changes the status of an object by hand.
    pub fn edit_status<'a>(
        &self,
        place: impl Into<Place<'a>>,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, ApiError> {
        let place = place.into();
        self.direct(place, true, |store, at| {
            let mut object = current(store, at, place.name)?;
            change(&mut object["status"]);
            store.update(at, place.name, object, true)
        })
        .map(value)
    }

    /// Deletes as `kubectl delete` does: an object with finalizers stays until they are gone.
    pub fn delete<'a>(&self, place: impl Into<Place<'a>>) -> Result<(), ApiError> {
        let place = place.into();
        self.direct(place, false, |store, at| {
            store.delete(at, place.name, &Preconditions::default())
        })
        .map(drop)
    }

    /// Deletes and strips the finalizers: the object is gone at once, whoever still wanted to clean up.
    pub fn force_delete<'a>(&self, place: impl Into<Place<'a>>) -> Result<(), ApiError> {
        let place = place.into();
        self.delete(place)?;
        if self.get(place).is_some() {
            self.edit(place, |object| object["metadata"]["finalizers"] = json!([]))?;
        }
        Ok(())
    }

    /// One object, if it exists.
    pub fn get<'a>(&self, place: impl Into<Place<'a>>) -> Option<Value> {
        let place = place.into();
        let plural = Resource::by_plural(place.plural).ok()?.plural;
        let key = Key {
            plural,
            namespace: place.namespace.to_owned(),
            name: place.name.to_owned(),
        };
        self.state().store.get(&key).map(|o| (**o).clone())
    }

    /// One object as its type, if it exists and can be read as such.
    pub fn read<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: kube::Resource<DynamicType = ()> + DeserializeOwned,
    {
        let plural = K::plural(&());
        serde_json::from_value(self.get((plural.as_ref(), namespace, name))?).ok()
    }

    /// Every object of a resource, in all namespaces.
    pub fn list(&self, plural: &str) -> Vec<Value> {
        self.state()
            .store
            .list(plural, "")
            .map(|(_, o)| (**o).clone())
            .collect()
    }

    /// The same, not copied: for who looks at every step.
    pub fn shared(&self, plural: &str) -> Vec<Arc<Value>> {
        let state = self.state();
        let all = state.store.list(plural, "");
        all.map(|(_, o)| Arc::clone(o)).collect()
    }

    /// Waits until one object is as `wanted` says (`None`: it does not exist), and gives it.
    pub async fn wait_for<'a>(
        &self,
        place: impl Into<Place<'a>>,
        within: Duration,
        mut wanted: impl FnMut(Option<&Value>) -> bool,
    ) -> Result<Option<Value>, TimedOut> {
        let place = place.into();
        let mut found = None;
        let done = self
            .wait_until(&format!("{place:?} as wanted"), within, |server| {
                found = server.get(place);
                wanted(found.as_ref())
            })
            .await;
        match done {
            Ok(()) => Ok(found),
            Err(error) => Err(TimedOut {
                last: found.map_or_else(|| "absent".to_owned(), |v| format!("{v:#}")),
                ..error
            }),
        }
    }

    /// Waits until something holds of the cluster. It is asked again after each change, never by the clock.
    pub async fn wait_until(
        &self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<(), TimedOut> {
        let mut signal = self.inner.signal.subscribe();
        let waiting = async {
            loop {
                signal.borrow_and_update();
                // The sender lives as long as the server: waiting cannot fail.
                if holds(self) || signal.changed().await.is_err() {
                    return;
                }
            }
        };
        match timeout(within, waiting).await {
            Ok(()) => Ok(()),
            Err(_) => Err(TimedOut {
                what: what.to_owned(),
                within,
                last: "-".to_owned(),
            }),
        }
    }
}

fn current(store: &Store, at: &store::Place<'_>, name: &str) -> Result<Value, ApiError> {
    let object = store
        .get(&at.key(name))
        .ok_or_else(|| ApiError::not_found(at.resource, name))?;
    Ok((**object).clone())
}

fn value(written: Written) -> Value {
    Arc::unwrap_or_clone(written.object)
}
