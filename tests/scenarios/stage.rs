//! Where a scenario is played: one namespace of a cluster, one project of a cloud, and a controller between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::api::{ProviderConfig, Server};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

pub use super::cluster::*;
use super::nova::Nova;

/// A standing order to the hypervisor, for servers of one name.
#[derive(Clone, Debug)]
pub struct Order {
    /// `spawn`, `power_off`, `migrate`, ...
    pub call: &'static str,
    /// The name of the server in the cloud; `*` at the end stands for anything.
    pub server: String,
    /// How long the call takes.
    pub delay: Option<Duration>,
    /// What it fails with: kind and message.
    pub fault: Option<(&'static str, &'static str)>,
}

/// What differs between the stages.
pub trait World: Send + Sync {
    /// Replaces all orders of this stage to the hypervisor.
    fn hypervisor(&self, orders: &[Order]);

    /// Nova goes away, or comes back.
    fn outage(&self, down: bool) -> BoxFuture<'_, ()>;

    /// The text of `clouds.yaml`.
    fn clouds_yaml(&self) -> String;
}

/// A stage.
pub struct Stage {
    /// Where the objects are.
    pub cluster: Cluster,
    /// A member of the project.
    pub nova: Nova,
    /// The rest.
    pub world: Arc<dyn World>,
}

impl Deref for Stage {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Stage {
    /// A Secret and a ProviderConfig of the same name for one entry of `clouds.yaml`.
    pub async fn account(&self, name: &str, cloud: &str, clouds_yaml: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"clouds.yaml": clouds_yaml}});
        self.make::<Secret>(&secret).await;
        let config = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "ProviderConfig",
            "metadata": {"name": name}, "spec": {
                "openstack": {"secretRef": {"name": name}, "cloud": cloud},
                "requests": {"perSecond": 50, "burst": 100}}});
        self.make::<ProviderConfig>(&config).await;
    }

    /// The account that servers live in unless they say otherwise.
    pub async fn default_account(&self) {
        self.account("cloud", "demo", &self.world.clouds_yaml()).await;
    }

    /// Creates a Server: tiny, from cirros, without a network, and what `more` says of its spec.
    pub async fn create(&self, name: &str, more: Value) -> Server {
        let mut object = json!({"apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": name},
            "spec": {"providerConfigRef": {"name": "cloud"}, "size": {"name": "m1.tiny"},
                "image": {"name": "cirros"}, "powerOff": {"timeout": "5m"}}});
        merge(&mut object["spec"], more);
        self.make::<Server>(&object).await
    }

    /// The one server of an object in the cloud.
    pub async fn only(&self, object: &Server) -> Value {
        let uid = object.metadata.uid.as_deref().unwrap();
        let mut found = self.nova.of_uid(uid).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}
