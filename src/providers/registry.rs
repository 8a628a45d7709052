//! Which cloud a ProviderConfig names. A new cloud is one line in [`CLOUDS`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Provider;
use super::transport::budget::{Budget, Limits};
use super::transport::budgets::Budgets;
use super::transport::client::{HttpClient, Recorder};
use super::transport::endpoint::EndpointRules;
use super::transport::reqwest::HttpConnect;
use super::transport::{Connect, Transport};
use crate::api::ProviderConfigSpec;
use crate::planner::model::{CloudError, ErrorClass};

/// What a provider is made of.
pub struct Build<'a> {
    /// The whole spec: the cloud's own part, and how much may be asked.
    pub spec: &'a ProviderConfigSpec,
    /// The contents of the Secret with the credentials.
    pub secret: &'a BTreeMap<String, Vec<u8>>,
    /// The way out, with the account's own certificate authorities.
    pub transport: Arc<dyn Transport>,
    /// Where its requests are counted.
    pub recorder: Arc<dyn Recorder>,
    /// The request budgets of all accounts.
    pub budgets: &'a Arc<Budgets>,
    /// Whether endpoints may be plain http or addresses of this machine.
    pub allow_insecure_endpoints: bool,
}

impl Build<'_> {
    /// The way to the cloud, within the budget of its account and under the rules for endpoints.
    pub fn http(&self) -> HttpClient {
        let rules = EndpointRules {
            allow_insecure: self.allow_insecure_endpoints,
        };
        let limits = Limits::of(&self.spec.requests);
        HttpClient::new(Arc::clone(&self.transport), Budget::new(limits), rules)
            .with_budgets(Arc::clone(self.budgets), limits)
            .with_recorder(Arc::clone(&self.recorder))
    }
}

/// Makes a provider. Errors: class `NotFound` for a key that the Secret lacks, `Unauthorized` for credentials
/// that cannot be used, `InvalidSpec` for a refused endpoint or any other setting.
pub type BuildFn = fn(&Build<'_>) -> Result<Arc<dyn Provider>, CloudError>;

/// One cloud.
pub struct Cloud {
    /// Its name, for logs.
    pub name: &'static str,
    /// The name of the Secret with its credentials, if a ProviderConfig is of this cloud.
    pub secret: fn(&ProviderConfigSpec) -> Option<&str>,
    /// Makes its provider.
    pub build: BuildFn,
}

/// Every cloud.
pub const CLOUDS: &[Cloud] = &[
    super::openstack::CLOUD,
    super::upcloud::CLOUD,
    super::clouddc::CLOUD,
];

/// The cloud that a ProviderConfig names.
///
/// # Errors
/// It names none that is known here.
pub fn cloud_of<'a>(clouds: &'a [Cloud], spec: &ProviderConfigSpec) -> Result<&'a Cloud, CloudError> {
    clouds.iter().find(|c| (c.secret)(spec).is_some()).ok_or_else(|| {
        CloudError::new(
            ErrorClass::Unsupported,
            "the ProviderConfig names no cloud that is known",
        )
    })
}

/// The way out that production uses: HTTPS, with the endpoint rules.
pub fn connect(allow_insecure_endpoints: bool) -> Arc<dyn Connect> {
    Arc::new(HttpConnect::new(EndpointRules {
        allow_insecure: allow_insecure_endpoints,
    }))
}
