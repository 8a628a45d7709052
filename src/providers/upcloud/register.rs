//! How a ProviderConfig becomes an UpCloud account.

use std::sync::Arc;

use super::UpCloud;
use crate::api::ProviderConfigSpec;
use crate::planner::model::{CloudError, ErrorClass};
use crate::providers::Provider;
use crate::providers::registry::{Build, Cloud};
use crate::providers::transport::budget::{Budget, Limits};
use crate::providers::transport::client::HttpClient;
use crate::providers::transport::endpoint::EndpointRules;

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
    let rules = EndpointRules {
        allow_insecure: from.allow_insecure_endpoints,
    };
    let limits = Limits::of(&from.spec.requests);
    let http = HttpClient::new(Arc::clone(&from.transport), Budget::new(limits), rules)
        .with_budgets(Arc::clone(from.budgets), limits)
        .with_recorder(Arc::clone(&from.recorder));
    Ok(Arc::new(UpCloud::new(
        from.secret,
        account.zone.as_deref(),
        http,
    )?))
}
