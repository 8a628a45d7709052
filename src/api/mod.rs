//! What users write and read: the custom resources, their conditions and reasons. Pure data.

pub(crate) mod choice;
pub mod conditions;
pub mod crds;
pub mod duration;
pub mod keys;
#[allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct into the body of a function"
)]
pub mod provider_config;
pub mod reasons;
pub mod reference;
#[allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct into the body of a function"
)]
pub mod server;
#[allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct into the body of a function"
)]
pub mod server_status;
pub(crate) mod server_words;

pub use conditions::{ConditionStatus, ConditionType};
pub use duration::Duration;
pub use provider_config::{ProviderConfig, ProviderConfigSpec, ProviderConfigStatus};
pub use reasons::Reason;
pub use server::{Server, ServerSpec};
pub use server_status::ServerStatus;
