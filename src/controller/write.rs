//! Writes to the Kubernetes API: each with the resourceVersion that was read, so that a stale writer loses.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Shell;
use super::reconcile::{Error, Next, REQUEST};
use super::store::Store;
use crate::api::keys;
use crate::observer::ObjectKey;
use crate::observer::metrics::labels::KindEnded;

/// A kind whose objects are written.
pub(super) trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
{
}

/// What became of a write.
pub(super) enum Written<K> {
    Yes(Box<K>),
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
    let api: Api<K> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
    let answer = timeout(REQUEST, api.get_opt(&key.name)).await;
    let mut object = answer.map_err(|_| Error::Timeout)??;
    if let Some(object) = &mut object {
        object.meta_mut().managed_fields = None;
    }
    Ok(object)
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

/// Writes the status that `wanted` has.
pub(super) async fn status<K: Kind>(shell: &Shell, key: &ObjectKey, wanted: &K) -> Result<Written<K>, Error> {
    let api: Api<K> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
    let params = PostParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let answer = timeout(REQUEST, api.replace_status(&key.name, &params, wanted)).await;
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
    let api: Api<K> = Api::namespaced(shell.ctx.client.clone(), &key.namespace);
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

fn written<K: Kind>(answer: Result<K, kube::Error>) -> Result<Written<K>, Error> {
    match answer {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            Ok(Written::Yes(Box::new(object)))
        }
        Err(kube::Error::Api(s)) if s.is_conflict() => Ok(Written::Conflict),
        Err(kube::Error::Api(s)) if s.is_not_found() => Ok(Written::Gone),
        Err(error) => Err(error.into()),
    }
}
