//! Who may act on an account. One question, asked here alone; today one leader may act on all of them.

use std::sync::Arc;

use tokio::sync::watch;

use super::lease::Claim;
use crate::controller::ownership::Ownership;

/// Whoever holds the lease owns every account.
pub struct ByLease(Arc<Claim>);

impl ByLease {
    /// Ownership by this claim.
    pub const fn new(claim: Arc<Claim>) -> Self {
        Self(claim)
    }
}

impl Ownership for ByLease {
    fn owns(&self, _account: &str) -> bool {
        self.0.holds()
    }

    fn acting(&self) -> watch::Receiver<bool> {
        self.0.held()
    }
}
