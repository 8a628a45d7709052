//! The one question about who may act.

use tokio::sync::watch;

/// Says whether this process may act on an account.
pub trait Ownership: Send + Sync {
    /// Whether it may at this very moment. Asked directly before each call that changes something.
    fn owns(&self, account: &str) -> bool;

    /// Whether it may act on anything at all, and when that changes.
    fn acting(&self) -> watch::Receiver<bool>;
}
