//! The name of this installation, which goes into the marks of every server. Made once and kept.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::api::{Server, ServerGroup, keys};

/// The ConfigMap that holds it.
pub const CONFIG_MAP: &str = "evenkeel-installation";
const KEY: &str = "id";

/// Why the name of the installation is not known.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The ConfigMap cannot be read or made.
    #[error("the ConfigMap {CONFIG_MAP}: {0}")]
    Kube(#[from] kube::Error),
    /// It holds no name.
    #[error(
        "the ConfigMap {CONFIG_MAP} has no key {KEY}: put the installation's id back, or delete the ConfigMap \
             if no server was ever created"
    )]
    Empty,
    /// There is none, and yet something was made in a cloud: a new name would make strangers of it.
    #[error(
        "the ConfigMap {CONFIG_MAP} is gone, and {0} is already in a cloud under the id that it held: put it back, or \
             give that id by --installation-id (a server's own metadata or labels show it); only if nothing that any object \
             names is left, make the ConfigMap with a new {KEY}"
    )]
    Lost(String),
}

/// How many objects are asked for at a time.
const PAGE: u32 = 500;

/// Reads the name, or makes one where none of the objects in the served namespaces (all, if there are none) was made under
/// another. Of two processes that make it at once, one wins and both use it.
///
/// # Errors
/// The ConfigMap cannot be used, or is gone although it was once there.
pub async fn installation(
    client: Client,
    namespace: &str,
    served: &[String],
) -> Result<String, InstallationError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    if let Some(known) = api.get_opt(CONFIG_MAP).await? {
        return read(known);
    }
    for kind in [
        ApiResource::erase::<Server>(&()),
        ApiResource::erase::<ServerGroup>(&()),
    ] {
        let apis: Vec<Api<DynamicObject>> = if served.is_empty() {
            vec![Api::all_with(client.clone(), &kind)]
        } else {
            let one = |namespace: &String| Api::namespaced_with(client.clone(), namespace, &kind);
            served.iter().map(one).collect()
        };
        for api in apis {
            if let Some(found) = made(&api, &kind.kind).await? {
                return Err(InstallationError::Lost(found));
            }
        }
    }
    keep(&api, random_id()).await
}

/// Keeps a name that was given, where none is kept yet; the one that is kept.
///
/// # Errors
/// The ConfigMap cannot be used.
pub async fn given(client: Client, namespace: &str, id: &str) -> Result<String, InstallationError> {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    match api.get_opt(CONFIG_MAP).await? {
        Some(known) => read(known),
        None => keep(&api, id.to_owned()).await,
    }
}

/// Makes the ConfigMap; of two processes that make it at once, one wins.
async fn keep(api: &Api<ConfigMap>, id: String) -> Result<String, InstallationError> {
    let made = ConfigMap {
        metadata: ObjectMeta {
            name: Some(CONFIG_MAP.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), id)])),
        ..ConfigMap::default()
    };
    let params = PostParams {
        field_manager: Some(keys::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, &made).await {
        Ok(created) => read(created),
        Err(kube::Error::Api(s)) if s.is_already_exists() => read(api.get(CONFIG_MAP).await?),
        Err(error) => Err(error.into()),
    }
}

/// An object that stands for something in a cloud, or may: an id is recorded, or a creation was begun.
async fn made(api: &Api<DynamicObject>, kind: &str) -> Result<Option<String>, kube::Error> {
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list(&params).await {
            // The definitions are not there yet, and so no object is.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(None),
            page => page?,
        };
        let known = |object: &&DynamicObject| {
            let status = &object.data["status"];
            status["id"].is_string() || status["createAttempt"].is_object()
        };
        if let Some(object) = page.items.iter().find(known) {
            let meta = &object.metadata;
            let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
            return Ok(Some(format!(
                "the {kind} {}/{}",
                namespace.unwrap_or_default(),
                name.unwrap_or_default()
            )));
        }
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params.continue_token = Some(next),
            None => return Ok(None),
        }
    }
}

fn read(map: ConfigMap) -> Result<String, InstallationError> {
    let id = map
        .data
        .unwrap_or_default()
        .remove(KEY)
        .map(|id| id.trim().to_owned());
    id.filter(|id| !id.is_empty()).ok_or(InstallationError::Empty)
}

/// A name that nobody else has: 24 hexadecimal digits of the system's randomness. No secret.
pub fn random_id() -> String {
    // Every RandomState is keyed by the system's random numbers.
    let word = |n: u32| RandomState::new().hash_one((n, std::process::id()));
    format!("{:016x}{:08x}", word(1), word(2) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_a_fixed_form() {
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 24 && id.chars().all(|c| c.is_ascii_hexdigit()))
        );
    }

    /// A cluster with the Servers `shop/web-0` up to 600 of them, the last with this status.
    #[cfg(feature = "sim")]
    async fn cluster(status: serde_json::Value) -> crate::sim::apiserver::ApiServer {
        let cluster = crate::sim::apiserver::ApiServer::new().unwrap();
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client("c"), "shop", &ApiResource::erase::<Server>(&()));
        for n in 0..=600 {
            let object: DynamicObject = serde_json::from_value(serde_json::json!({
                "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server", "metadata": {"name": format!("web-{n:03}")},
                "spec": {"providerConfigRef": {"name": "helsinki"}, "size": {"name": "s"}, "image": {"name": "i"}},
            }))
            .unwrap();
            let mut made = api.create(&PostParams::default(), &object).await.unwrap();
            if n == 600 {
                made.data["status"] = status.clone();
                api.replace_status("web-600", &PostParams::default(), &made)
                    .await
                    .unwrap();
            }
        }
        cluster
    }

    #[cfg(feature = "sim")]
    #[tokio::test(start_paused = true)]
    async fn a_lost_config_map_is_never_replaced_while_an_object_stands_for_a_server() {
        for status in [
            serde_json::json!({"observedGeneration": 1, "id": "4a1b"}),
            serde_json::json!({"observedGeneration": 1, "createAttempt":
                {"n": 1, "holder": "p", "startedAt": "2026-01-01T00:00:00Z", "deadline": "2026-01-01T00:05:00Z"}}),
        ] {
            let cluster = cluster(status).await;
            let client = cluster.client("c");
            let error = installation(client.clone(), "own", &[]).await.unwrap_err();
            assert!(
                error.to_string().contains("the Server shop/web-600 is already"),
                "{error}"
            );
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "own");
            assert!(maps.get_opt(CONFIG_MAP).await.unwrap().is_none());
            // It is not asked about what is not served.
            installation(client, "own", &["stall".to_owned()]).await.unwrap();
        }
    }

    #[cfg(feature = "sim")]
    #[tokio::test(start_paused = true)]
    async fn a_name_is_made_once_while_nothing_was_made() {
        let cluster = cluster(serde_json::json!({"observedGeneration": 1})).await;
        let made = installation(cluster.client("c"), "own", &[]).await.unwrap();
        assert_eq!(made.len(), 24);
        assert_eq!(installation(cluster.client("c"), "own", &[]).await.unwrap(), made);
    }

    #[cfg(feature = "sim")]
    #[tokio::test(start_paused = true)]
    async fn an_id_that_is_given_is_kept_and_never_replaced() {
        let cluster = crate::sim::apiserver::ApiServer::new().unwrap();
        let client = || cluster.client("c");
        assert_eq!(given(client(), "own", "former").await.unwrap(), "former");
        assert_eq!(installation(client(), "own", &[]).await.unwrap(), "former");
        assert_eq!(given(client(), "own", "other").await.unwrap(), "former");
    }

    #[test]
    fn an_emptied_config_map_is_an_error_and_no_new_installation() {
        let with = |id: &str| ConfigMap {
            data: Some(BTreeMap::from([(KEY.to_owned(), id.to_owned())])),
            ..ConfigMap::default()
        };
        assert_eq!(read(with(" abc\n")).unwrap(), "abc");
        assert!(matches!(read(with(" ")), Err(InstallationError::Empty)));
        assert!(matches!(
            read(ConfigMap::default()),
            Err(InstallationError::Empty)
        ));
    }
}
