//! Credentials of the simulated cloud, ready to be applied.

use super::auth::{ACCESS_KEY, PROJECT, REGION, SECRET_KEY, USER, USER_PASSWORD};

/// The data of a Secret with the access key.
pub fn key_secret(base_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("accessKey", ACCESS_KEY.to_owned()),
        ("secretKey", SECRET_KEY.to_owned()),
        ("endpoint", base_url.to_owned()),
    ]
}

/// The data of a Secret with a user of the identity service.
pub fn user_secret(base_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("username", USER.to_owned()),
        ("password", USER_PASSWORD.to_owned()),
        ("domain", USER.to_owned()),
        ("endpoint", base_url.to_owned()),
        ("iamEndpoint", base_url.to_owned()),
    ]
}

/// A `Secret` and a `ProviderConfig` of the same name. Names are quoted: `n` and `1` would be no strings in YAML.
pub fn manifests(base_url: &str, name: &str, namespace: &str) -> String {
    let data: String = key_secret(base_url)
        .iter()
        .map(|(key, value)| format!("  {key}: {value:?}\n"))
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name:?}\n  namespace: {namespace:?}\nstringData:\n{data}---\n\
         apiVersion: evenkeel.dev/v1alpha1\nkind: ProviderConfig\nmetadata:\n  name: {name:?}\n  namespace: \
         {namespace:?}\nspec:\n  cloudDC:\n    secretRef:\n      name: {name:?}\n    projectID: {PROJECT:?}\n    region: \
         {REGION:?}\n"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn manifests_are_yaml() {
        let text = super::manifests("http://a:1", "n", "ns");
        let (secret, config) = text.split_once("---\n").unwrap();
        let secret: Value = serde_saphyr::from_str(secret).unwrap();
        let config: Value = serde_saphyr::from_str(config).unwrap();
        let spec: crate::api::provider_config::ProviderConfigSpec =
            serde_json::from_value(config["spec"].clone()).unwrap();
        let account = spec.cloud_dc.unwrap();
        assert_eq!(account.secret_ref.name, secret["metadata"]["name"]);
        assert_eq!(account.project_id, super::PROJECT);
        assert_eq!(secret["stringData"]["endpoint"], "http://a:1");
    }
}
