//! The clouds, translated into the planner's words. No policy lives here.

pub mod openstack;
pub mod registry;
pub mod transport;

use futures::future::BoxFuture;

use crate::planner::model::{Accepted, Capabilities, CloudCall, CloudError, ObservedServer};

/// The account behind a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The cloud's id of it (an OpenStack project).
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The identity that requests are counted against: endpoint and account.
    pub key: String,
}

tokio::task_local! {
    /// Until when a call may be sent: what it rests on would be too old afterwards. Set around
    /// [`Provider::call`]; a provider hands it to its transport, which knows when bytes leave.
    pub static SEND_BEFORE: tokio::time::Instant;
}

/// One cloud account, spoken to in the planner's words.
pub trait Provider: Send + Sync {
    /// What this cloud can do.
    fn capabilities(&self) -> &'static Capabilities;

    /// Logs in and says whose account it is. Cheap when already logged in.
    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>>;

    /// Every server of the account. Complete, or an error: a failed page is never an empty list.
    fn list(&self) -> BoxFuture<'_, Result<Vec<ObservedServer>, CloudError>>;

    /// One server by id; class `NotFound` when the cloud says that it does not exist.
    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>>;

    /// One call that changes something. Never repeated in here, except after a 401 that proves that nothing
    /// was done. `user_data` goes with a create.
    fn call<'a>(
        &'a self,
        call: &'a CloudCall,
        user_data: Option<&'a secrecy::SecretString>,
    ) -> BoxFuture<'a, Result<Accepted, CloudError>>;
}
