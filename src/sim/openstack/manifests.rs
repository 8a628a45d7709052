//! Credentials of the simulated cloud, ready to be applied.

use super::keystone::PASSWORD;

/// A `clouds.yaml` with the cloud `demo`, and `admin`, `alt` and `quota` for their projects.
pub fn clouds_yaml(base_url: &str) -> String {
    let mut text = String::from("clouds:\n");
    for name in ["demo", "admin", "alt", "quota"] {
        text += &format!(
            "  {name}:\n    auth:\n      auth_url: {base_url}/identity/v3\n      username: {name}\n      \
             password: {PASSWORD}\n      project_name: {name}\n      user_domain_name: Default\n      \
             project_domain_name: Default\n    region_name: RegionOne\n    identity_api_version: 3\n"
        );
    }
    text
}

/// Names are quoted: `n` and `1` would be no strings in YAML.
fn objects(clouds: &str, cloud: &str, name: &str, namespace: &str) -> String {
    let indented: String = clouds.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name:?}\n  namespace: {namespace:?}\nstringData:\n  \
         clouds.yaml: |\n{indented}---\napiVersion: evenkeel.dev/v1alpha1\nkind: ProviderConfig\nmetadata:\n  \
         name: {name:?}\n  namespace: {namespace:?}\nspec:\n  openstack:\n    secretRef:\n      name: {name:?}\n    \
         cloud: {cloud:?}\n"
    )
}

/// A `Secret` and a `ProviderConfig` of the same name for the project `demo`.
pub fn manifests(base_url: &str, name: &str, namespace: &str) -> String {
    objects(&clouds_yaml(base_url), "demo", name, namespace)
}

/// The same with an application credential instead of a password.
pub fn app_credential_manifests(base_url: &str, credential_id: &str, name: &str, namespace: &str) -> String {
    let clouds = format!(
        "clouds:\n  demo:\n    auth_type: v3applicationcredential\n    auth:\n      auth_url: \
         {base_url}/identity/v3\n      application_credential_id: {credential_id}\n      \
         application_credential_secret: {PASSWORD}\n    region_name: RegionOne\n"
    );
    objects(&clouds, "demo", name, namespace)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{app_credential_manifests, manifests};

    #[test]
    fn manifests_are_yaml_with_yaml_inside() {
        for text in [
            manifests("http://a:1", "n", "ns"),
            app_credential_manifests("http://a:1", "id", "n", "ns"),
        ] {
            let (secret, config) = text.split_once("---\n").unwrap();
            let secret: Value = serde_saphyr::from_str(secret).unwrap();
            let config: Value = serde_saphyr::from_str(config).unwrap();
            let clouds: Value =
                serde_saphyr::from_str(secret["stringData"]["clouds.yaml"].as_str().unwrap()).unwrap();
            let spec: crate::api::provider_config::ProviderConfigSpec =
                serde_json::from_value(config["spec"].clone()).unwrap();
            let account = spec.openstack.unwrap();
            assert_eq!(account.secret_ref.name, secret["metadata"]["name"]);
            assert_eq!(
                clouds["clouds"][&account.cloud]["auth"]["auth_url"],
                "http://a:1/identity/v3"
            );
        }
    }
}
