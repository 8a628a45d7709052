//! How a ProviderConfig becomes an OpenStack project.

use std::sync::Arc;

use super::OpenStack;
use crate::api::ProviderConfigSpec;
use crate::api::provider_config::CatalogInterface;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::Provider;
use crate::providers::registry::{Build, Cloud};

/// The key of the Secret with the credentials.
const KEY: &str = "clouds.yaml";

/// The line of the registry.
pub const CLOUD: Cloud = Cloud {
    name: "openstack",
    secret,
    build,
};

fn secret(spec: &ProviderConfigSpec) -> Option<&str> {
    spec.openstack.as_ref().map(|o| o.secret_ref.name.as_str())
}

fn build(from: &Build<'_>) -> Result<Arc<dyn Provider>, CloudError> {
    let Some(account) = &from.spec.openstack else {
        return Err(CloudError::new(
            ErrorClass::InvalidSpec,
            "the ProviderConfig names no OpenStack project",
        ));
    };
    let Some(clouds) = from.secret.get(KEY) else {
        let words = format!("Secret {} has no key {KEY}", account.secret_ref.name);
        return Err(CloudError::new(ErrorClass::NotFound, words));
    };
    let interface = account.interface.map(|i| match i {
        CatalogInterface::Public => "public",
        CatalogInterface::Internal => "internal",
    });
    let origin = format!("cloud {} of Secret {}", account.cloud, account.secret_ref.name);
    let project = OpenStack::new(
        clouds,
        &account.cloud,
        account.region.as_deref(),
        interface,
        from.http(),
    )
    .map_err(|e| CloudError {
        message: format!("Secret {}: {}", account.secret_ref.name, e.message),
        ..e
    })?
    .with_origin(origin);
    Ok(Arc::new(project))
}
