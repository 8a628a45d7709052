//! How a ProviderConfig becomes an UpCloud account.

use std::sync::Arc;

use super::UpCloud;
use crate::api::ProviderConfigSpec;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::Provider;
use crate::providers::registry::{Build, Cloud};

/// The line of the registry.
pub const CLOUD: Cloud = Cloud {
    name: "upcloud",
    secret,
    build,
};

fn secret(spec: &ProviderConfigSpec) -> Option<&str> {
    spec.upcloud.as_ref().map(|u| u.secret_ref.name.as_str())
}

fn build(from: &Build<'_>) -> Result<Arc<dyn Provider>, CloudError> {
    let Some(account) = &from.spec.upcloud else {
        return Err(CloudError::new(
            ErrorClass::InvalidSpec,
            "the ProviderConfig names no UpCloud account",
        ));
    };
    Ok(Arc::new(UpCloud::new(
        from.secret,
        account.zone.as_deref(),
        from.http(),
    )?))
}
