//! What became of a request, where a cloud keeps a log of them.

use jiff::Timestamp;

use crate::api::server_status::OperationKind;

/// A request whose end is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What was asked for.
    pub kind: OperationKind,
    /// Which request it was.
    pub request: Which,
    /// The id of what it makes beside the server.
    pub result: Option<String>,
}

/// How a request is found in a cloud's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The cloud accepted it under this id.
    Accepted(String),
    /// Its answer was lost, and its id with it: it is looked for by its kind and its time.
    Lost {
        /// The key of the call.
        key: String,
        /// When it was recorded, by our clock: it was not sent before.
        since: Timestamp,
    },
}

impl Trace {
    /// What the answer is known by.
    pub fn key(&self) -> &str {
        match &self.request {
            Which::Accepted(id) => id,
            Which::Lost { key, .. } => key,
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has not.
    UnderWay,
    /// It was done.
    Done,
    /// It failed, in the cloud's words.
    Failed(String),
    /// The cloud has taken no such request until now.
    Absent,
    /// The cloud's log does not say.
    Untold,
}
