//! One watch: it fills a store and says what changed.

use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::de::DeserializeOwned;

use super::shown::Shown;
use super::store::{Change, Store};
use crate::observer::metrics::labels::Kind;

/// Watches one kind in one namespace, or in all of them. Never ends.
pub(crate) async fn watch<K>(
    client: Client,
    scope: Option<String>,
    store: Arc<Store<K>>,
    changed: impl Fn(Change),
    restarts: Family<Kind, Counter>,
) where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<Shown<K>> = match &scope {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = stream.next().await {
        match item {
            Ok(event) => store
                .event(scope.as_deref(), event)
                .into_iter()
                .for_each(&changed),
            Err(error) => {
                let words = trouble::<K>(&error);
                tracing::warn!(kind = %K::kind(&()), error = %words, "a watch failed and is tried again");
                // A kind of this crate is never made up while it runs.
                let kind = match K::kind(&()) {
                    std::borrow::Cow::Borrowed(kind) => kind,
                    std::borrow::Cow::Owned(_) => "",
                };
                restarts.get_or_create(&Kind { kind }).inc();
                store.trouble(scope.as_deref(), Some(words));
            }
        }
    }
}

fn trouble<K: Resource<DynamicType = ()>>(error: &watcher::Error) -> String {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(s)) => s,
        watcher::Error::WatchStartFailed(kube::Error::Api(s)) => s,
        other => return other.to_string(),
    };
    let name = format!("{}.{}", K::plural(&()), K::group(&()));
    if status.is_not_found() {
        format!("the custom resource definition {name} is not installed")
    } else {
        format!("{name}: {}", status.message)
    }
}

/// What is watched: each of these namespaces once, or all.
pub(crate) fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() {
        return vec![None];
    }
    let mut scopes: Vec<_> = namespaces.iter().cloned().map(Some).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}
