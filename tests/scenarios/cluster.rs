//! One namespace of a cluster, as its users see it.

use std::time::Duration;

use evenkeel::api::conditions;
use evenkeel::api::{ConditionType, Server};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

/// One namespace of a cluster.
pub struct Cluster {
    /// An administrator of the cluster.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
    /// How long something may take.
    pub patience: Duration,
}

impl Cluster {
    /// The objects of a kind.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A name that no other stage on the same cloud uses.
    pub fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.namespace)
    }

    /// Creates any object.
    pub async fn make<K>(&self, object: &Value) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object.clone()).unwrap();
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    /// Edits a Server's spec.
    pub async fn edit(&self, name: &str, spec: Value) -> Server {
        self.patch::<Server>(name, json!({ "spec": spec })).await
    }

    /// Edits any object.
    pub async fn patch<K>(&self, name: &str, patch: Value) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let params = PatchParams::default();
        self.api::<K>()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    }

    /// Reads a Server.
    pub async fn get(&self, name: &str) -> Server {
        self.api::<Server>().get(name).await.unwrap()
    }

    /// Asks for the deletion of a Server.
    pub async fn delete(&self, name: &str) {
        self.api::<Server>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Deletes a Server and waits until it is gone.
    pub async fn remove(&self, name: &str) {
        self.delete(name).await;
        self.gone(name).await;
    }

    /// Makes a Server go without its server in the cloud, as nobody should.
    pub async fn force_delete(&self, name: &str) {
        // A paused object is left alone by the controller, which would take the server along.
        let pause = json!({"metadata": {"annotations": {"evenkeel.dev/paused": "true"}}});
        self.patch::<Server>(name, pause).await;
        self.wait(name, "Paused", |x| {
            condition(x, ConditionType::Paused).is_some_and(|c| c.status == "True")
        })
        .await;
        self.delete(name).await;
        self.patch::<Server>(name, json!({"metadata": {"finalizers": null}}))
            .await;
        self.gone(name).await;
    }

    /// Waits until a Server is gone.
    pub async fn gone(&self, name: &str) {
        let waiting = await_condition(self.api::<Server>(), name, |o: Option<&Server>| o.is_none());
        if timeout(self.patience, waiting).await.is_err() {
            panic!(
                "{name} is still there: {:#}",
                serde_json::to_value(self.get(name).await).unwrap()
            );
        }
    }

    /// Waits until a Server is as wanted.
    pub async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&Server) -> bool) -> Server {
        self.wait_for::<Server>(name, what, wanted).await
    }

    /// Waits until any object is as wanted.
    pub async fn wait_for<K>(&self, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let waiting = await_condition(self.api::<K>(), name, |o: Option<&K>| o.is_some_and(&wanted));
        match timeout(self.patience, waiting).await {
            Ok(Ok(Some(object))) => object,
            Ok(other) => panic!("{name}: {what}: {other:?}"),
            Err(_) => {
                let last = self.api::<K>().get_opt(name).await;
                let last = serde_json::to_value(last.ok().flatten()).unwrap();
                panic!(
                    "{name}: not seen within {:?}: {what}; the last was {last:#}",
                    self.patience
                )
            }
        }
    }

    /// Waits until a Server is Ready at its present generation.
    pub async fn ready(&self, name: &str) -> Server {
        self.wait(name, "Ready", ready).await
    }

    /// Waits until a Server is Ready with this power state.
    pub async fn ready_in(&self, name: &str, power: &str) -> Server {
        self.wait(name, &format!("Ready and {power}"), |s| {
            ready(s) && power_of(s) == power
        })
        .await
    }

    /// Waits for a condition with this status and reason at the present generation.
    pub async fn reason(&self, name: &str, kind: ConditionType, status: &str, reason: &str) -> Server {
        self.wait(name, &format!("{kind}={status}/{reason}"), |s| {
            current(s) && condition(s, kind).is_some_and(|c| c.status == status && c.reason == reason)
        })
        .await
    }
}

/// Merges an object into another, as `kubectl patch` does.
pub fn merge(into: &mut Value, from: Value) {
    match from {
        Value::Object(fields) if into.is_object() => {
            for (key, value) in fields {
                merge(&mut into[&key], value);
            }
        }
        Value::Null => {}
        other => *into = other,
    }
}

/// A condition of a Server.
pub fn condition(server: &Server, kind: ConditionType) -> Option<&Condition> {
    conditions::get(&server.status.as_ref()?.conditions, kind)
}

/// A condition's message.
pub fn words(server: &Server, kind: ConditionType) -> &str {
    condition(server, kind).map_or("", |c| c.message.as_str())
}

/// Whether the status speaks of the present spec.
pub fn current(server: &Server) -> bool {
    let seen = server.status.as_ref().and_then(|s| s.observed_generation);
    seen == server.metadata.generation
}

/// Whether it is Ready, and that of the present spec.
pub fn ready(server: &Server) -> bool {
    current(server) && condition(server, ConditionType::Ready).is_some_and(|c| c.status == "True")
}

/// The power state that was seen.
pub fn power_of(server: &Server) -> &str {
    let power = server.status.as_ref().and_then(|s| s.power.as_ref());
    power.and_then(|p| p.observed.as_deref()).unwrap_or_default()
}

/// The cloud's id.
pub fn id_of(server: &Server) -> &str {
    server
        .status
        .as_ref()
        .and_then(|s| s.id.as_deref())
        .unwrap_or_default()
}
