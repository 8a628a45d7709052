//! Credentials of the simulated account, ready to be applied.

use super::config::{PASSWORD, TOKEN, USER};

/// Names are quoted: `n` and `1` would be no strings in YAML.
fn objects(secret: &str, base_url: &str, name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name:?}\n  namespace: {namespace:?}\nstringData:\n\
         {secret}  endpoint: {base_url:?}\n---\napiVersion: evenkeel.dev/v1alpha1\nkind: ProviderConfig\nmetadata:\n  \
         name: {name:?}\n  namespace: {namespace:?}\nspec:\n  upcloud:\n    secretRef:\n      name: {name:?}\n    zone: fi-hel1\n"
    )
}

/// A `Secret` with a token and a `ProviderConfig` of the same name.
pub fn manifests(base_url: &str, name: &str, namespace: &str) -> String {
    objects(&format!("  token: {TOKEN:?}\n"), base_url, name, namespace)
}

/// The same with a user name and a password.
pub fn password_manifests(base_url: &str, name: &str, namespace: &str) -> String {
    let secret = format!("  username: {USER:?}\n  password: {PASSWORD:?}\n");
    objects(&secret, base_url, name, namespace)
}
