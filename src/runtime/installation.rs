//! The name of this installation, which goes into the marks of every server. Made once and kept.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::api::keys;

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
}

/// Reads the name, or makes one. Of two processes that make it at once, one wins and both use it.
///
/// # Errors
/// The ConfigMap cannot be used.
pub async fn installation(client: Client, namespace: &str) -> Result<String, InstallationError> {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    if let Some(known) = api.get_opt(CONFIG_MAP).await? {
        return read(known);
    }
    let made = ConfigMap {
        metadata: ObjectMeta {
            name: Some(CONFIG_MAP.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), random_id())])),
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
