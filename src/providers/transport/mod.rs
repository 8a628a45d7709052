//! The one place where bytes leave for a cloud.

pub mod budget;
pub mod budgets;
pub mod client;
pub mod endpoint;
pub mod reply;
pub mod reqwest;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

/// Sends one HTTP request and reads its whole reply. Production uses reqwest, tests the simulators.
pub trait Transport: Send + Sync {
    /// Sends it. The caller sets the deadline.
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// Why no reply came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportError {
    /// How far the request got.
    pub stage: Stage,
    /// What happened; never a secret.
    pub message: String,
}

/// How far a request got before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No connection: the cloud never saw it.
    Connect,
    /// It may have been received.
    Sent,
    /// The deadline passed; it may have been received.
    Timeout,
    /// The reply is larger than allowed, or no HTTP.
    Reply,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TransportError {}

/// Makes a transport for an account: with its certificate authorities (PEM), if it has its own.
pub trait Connect: Send + Sync {
    /// Makes it; an unreadable PEM is an error with words.
    fn connect(&self, ca_pem: Option<&[u8]>) -> Result<std::sync::Arc<dyn Transport>, TransportError>;
}
