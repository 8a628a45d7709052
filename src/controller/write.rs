//! Writes to the Kubernetes API: each with the resourceVersion that was read, so that a stale writer loses.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::core::object::HasStatus;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Shell;
use super::reconcile::{Error, Next, REQUEST};
use super::shown::Shown;
use super::store::Store;
use crate::api::keys;
use crate::observer::ObjectKey;
use crate::observer::metrics::labels::KindEnded;

/// A kind whose objects are written.
pub(super) trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + 'static
{
}

/// What became of a write.
pub(super) enum Written<K> {
    Yes(Arc<K>),
    Conflict,
    Gone,
}

/// Whether a status says anything else than the recorded one.
pub(super) fn differs<S: Serialize + PartialEq>(recorded: Option<&S>, planned: &S) -> bool {
    // Most plans say what is recorded. What differs only in a form that is not written is no difference either.
    if recorded == Some(planned) {
        return false;
    }
    let recorded = recorded.map(serde_json::to_value).transpose().ok().flatten();
    recorded != serde_json::to_value(planned).ok()
}

/// The object as it is now, without what nobody here reads; none if it does not exist.
pub(super) async fn read<K: Kind>(shell: &Shell, key: &ObjectKey) -> Result<Option<K>, Error> {
    let api: Api<Shown<K>> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
    let answer = timeout(REQUEST, api.get_opt(&key.name)).await;
    let object = answer.map_err(|_| Error::Timeout)??;
    Ok(object.map(Shown::whole).transpose()?)
}

/// The object as it is now, for the next round.
pub(super) async fn refresh<K: Kind>(
    shell: &Shell,
    store: &Store<K>,
    key: &ObjectKey,
    uid: &str,
) -> Result<Next, Error> {
    match read::<K>(shell, key).await? {
        Some(fresh) if fresh.meta().uid.as_deref() == Some(uid) => store.put(fresh),
        // Gone, or another object of that name: the watch tells the rest.
        _ => store.gone(key, uid),
    }
    Ok(Next::Round)
}

/// What a write of a status says: the server takes the rest of the object from what it has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOf<'a, S> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    metadata: Which<'a>,
    status: &'a S,
}

/// The object, as it was read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Which<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: Option<&'a str>,
    resource_version: Option<&'a str>,
}

/// Writes the status of an object that was read.
pub(super) async fn status<K: Kind + HasStatus>(
    shell: &Shell,
    key: &ObjectKey,
    object: &K,
    wanted: &K::Status,
) -> Result<Written<K>, Error>
where
    K::Status: Serialize,
{
    let meta = object.meta();
    let body = StatusOf {
        api_version: K::api_version(&()),
        kind: K::kind(&()),
        metadata: Which {
            name: &key.name,
            namespace: &key.namespace,
            uid: meta.uid.as_deref(),
            resource_version: meta.resource_version.as_deref(),
        },
        status: wanted,
    };
    let params = PostParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let body = serde_json::to_vec(&body).map_err(kube::Error::SerdeError)?;
    let path = Request::new(K::url_path(&(), Some(&key.namespace)));
    let request = path.replace_subresource("status", &key.name, &params, body);
    let request = request.map_err(kube::Error::BuildRequest)?;
    let answer = timeout(REQUEST, shell.ctx.client.request::<Shown<K>>(request)).await;
    let written = answer.map_err(|_| Error::Timeout).and_then(written);
    let result = match &written {
        Ok(Written::Yes(_)) => "ok",
        Ok(Written::Conflict) => "conflict",
        Ok(Written::Gone) => "gone",
        Err(_) => "error",
    };
    shell
        .ctx
        .metrics
        .status_writes
        .get_or_create(&KindEnded {
            kind: key.kind(),
            result,
        })
        .inc();
    written
}

/// Replaces the finalizers of an object.
pub(super) async fn finalizers<K: Kind>(
    shell: &Shell,
    key: &ObjectKey,
    object: &K,
    finalizers: Vec<String>,
) -> Result<Written<K>, Error> {
    metadata(shell, key, object, json!({"finalizers": finalizers})).await
}

/// Replaces lists in the metadata of an object.
pub(super) async fn metadata<K: Kind>(
    shell: &Shell,
    key: &ObjectKey,
    object: &K,
    mut patch: Value,
) -> Result<Written<K>, Error> {
    let api: Api<Shown<K>> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
    let meta = object.meta();
    patch["uid"] = json!(meta.uid);
    patch["resourceVersion"] = json!(meta.resource_version);
    let patch = json!({ "metadata": patch });
    let params = PatchParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let answer = timeout(REQUEST, api.patch(&key.name, &params, &Patch::Merge(&patch))).await;
    answer.map_err(|_| Error::Timeout).and_then(written)
}

fn written<K: Kind>(answer: Result<Shown<K>, kube::Error>) -> Result<Written<K>, Error> {
    match answer.and_then(Shown::whole) {
        Ok(object) => Ok(Written::Yes(Arc::new(object))),
        Err(kube::Error::Api(s)) if s.is_conflict() => Ok(Written::Conflict),
        Err(kube::Error::Api(s)) if s.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error.into()),
    }
}
