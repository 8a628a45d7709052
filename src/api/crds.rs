//! The custom resource definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{ProviderConfig, Server};

/// Why a definition cannot be printed; a fault of the types in this crate, never of a user.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The schema is no JSON.
    #[error("schema: {0}")]
    Json(#[from] serde_json::Error),
    /// It cannot be written as YAML.
    #[error("yaml: {0}")]
    Yaml(String),
}

/// Every definition, with the name of its file.
pub fn all() -> Result<Vec<(&'static str, CustomResourceDefinition)>, CrdError> {
    Ok(vec![
        ("evenkeel.dev_servers.yaml", finish(Server::crd())?),
        (
            "evenkeel.dev_providerconfigs.yaml",
            finish(ProviderConfig::crd())?,
        ),
    ])
}

/// A definition as YAML.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    serde_saphyr::to_string(crd).map_err(|e| CrdError::Yaml(e.to_string()))
}

/// What the derived schema cannot say: an object that nobody looked at yet is not "done" (kstatus), and an
/// absent optional field is absent, never null (`has()` in CEL is true for null).
fn finish(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let mut value = serde_json::to_value(crd)?;
    tidy(&mut value);
    if let Some(status) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status") {
        status["default"] = json!({"observedGeneration": -1});
    }
    Ok(serde_json::from_value(value)?)
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                map.remove("nullable");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
