//! The clouds, translated into the planner's words. No policy lives here.

mod answers;
pub mod clouddc;
mod console;
pub mod openstack;
#[cfg(test)]
mod page;
pub mod registry;
pub mod transport;
pub mod upcloud;

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::planner::model::{
    Accepted, Capabilities, CloudCall, CloudError, Ended, ObservedGroup, ObservedServer, Trace,
};

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

/// What goes along with a call.
#[derive(Clone, Copy, Debug)]
pub struct CallWith<'a> {
    /// Until when it may be sent: what it rests on would be too old afterwards. A provider hands it to its
    /// transport, which knows when bytes leave.
    pub send_before: Instant,
    /// The user data of a new server.
    pub user_data: Option<&'a SecretString>,
    /// The password of the administrator of a new server.
    pub admin_password: Option<&'a SecretString>,
}

impl CallWith<'_> {
    /// Nothing goes along.
    pub const fn nothing(send_before: Instant) -> Self {
        Self {
            send_before,
            user_data: None,
            admin_password: None,
        }
    }
}

/// What a cloud answered to a call that it accepted.
#[derive(Debug, Default)]
pub struct Done {
    /// What the planner may know.
    pub accepted: Accepted,
    /// What is told once and never again.
    pub credentials: Option<Credentials>,
    /// What was asked for, of a call that reads.
    pub read: Option<ReadOut>,
}

/// What was read for a ServerAction. It goes into an object of its own and nowhere else.
#[derive(Debug)]
pub enum ReadOut {
    /// What a guest wrote.
    Text(SecretString),
    /// What opens a console: the keys of a Secret and their values.
    Access(Vec<(&'static str, SecretString)>),
}

impl From<Accepted> for Done {
    fn from(accepted: Accepted) -> Self {
        Self {
            accepted,
            credentials: None,
            read: None,
        }
    }
}

/// What opens a new server.
#[derive(Debug)]
pub struct Credentials {
    /// The user, if the cloud names one.
    pub username: Option<String>,
    /// The password.
    pub password: SecretString,
}

/// One cloud account, spoken to in the planner's words.
pub trait Provider: Send + Sync {
    /// What this cloud can do.
    fn capabilities(&self) -> &'static Capabilities;

    /// Logs in and says whose account it is. Cheap when already logged in.
    fn account(&self) -> BoxFuture<'_, Result<Account, CloudError>>;

    /// Every server of the account. Complete, or an error: a failed page is never an empty list. What did not change may
    /// be the very same allocation as in the list before.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Arc<ObservedServer>>, CloudError>>;

    /// One server by id; class `NotFound` when the cloud says that it does not exist.
    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ObservedServer, CloudError>>;

    /// One call that changes something. Never repeated in here, except after a 401 that proves that nothing
    /// was done.
    fn call<'a>(&'a self, call: &'a CloudCall, with: CallWith<'a>)
    -> BoxFuture<'a, Result<Done, CloudError>>;

    /// How a request ended that was made for the server with this id. `asked_at`: now, by the clock that requests are
    /// recorded by. Not asked where [`Capabilities::tells_the_end_of`] is false.
    fn ended<'a>(
        &'a self,
        _id: &'a str,
        _trace: &'a Trace,
        _asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<Ended, CloudError>> {
        Box::pin(std::future::ready(Ok(Ended::Untold)))
    }

    /// Every group of the account. Complete, or an error. Not asked where [`Capabilities::groups`] is none.
    fn list_groups(&self) -> BoxFuture<'_, Result<Vec<ObservedGroup>, CloudError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
