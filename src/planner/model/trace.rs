//! What became of a request that a cloud accepted, where it keeps a log of them.

use crate::api::server_status::OperationKind;

/// A request whose end is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What was asked for.
    pub kind: OperationKind,
    /// The cloud's id of the request.
    pub request_id: String,
    /// The id of what it makes beside the server.
    pub result: Option<String>,
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
    /// The cloud's log does not say.
    Untold,
}
