//! What users write and read: the custom resources, their conditions and reasons. Pure data.
// KubeSchema copies each struct into the body of a function, and the columns of a table repeat their keys.
#![allow(unreachable_pub, clippy::duplicated_attributes)]

pub(crate) mod applied;
pub(crate) mod choice;
pub mod clouddc;
pub mod conditions;
pub mod crds;
pub(crate) mod deletion;
pub mod duration;
pub(crate) mod hash;
pub mod keys;
pub(crate) mod openstack;
pub(crate) mod operation;
pub mod provider_config;
pub mod reasons;
pub mod reference;
pub mod server;
pub mod server_action;
pub(crate) mod server_action_status;
pub mod server_group;
pub(crate) mod server_group_status;
pub mod server_status;
pub(crate) mod server_words;
pub(crate) mod states;
pub mod upcloud;
pub(crate) mod upcloud_words;

pub use clouddc::{CloudDcAccount, CloudDcServer};
pub use conditions::{ConditionStatus, ConditionType};
pub use duration::Duration;
pub use provider_config::{ProviderConfig, ProviderConfigSpec, ProviderConfigStatus};
pub use reasons::Reason;
pub use server::{Server, ServerSpec};
pub use server_action::{ServerAction, ServerActionSpec, ServerActionStatus};
pub use server_group::{ServerGroup, ServerGroupSpec, ServerGroupStatus};
pub use server_status::ServerStatus;
pub use upcloud::{UpCloudAccount, UpCloudServer};
