//! Who may act on an account. One question, asked here alone: one leader may act on all of them, or the replicas share them.

use std::sync::Arc;

use tokio::sync::watch;

use super::lease::Claim;
use super::shares::Shares;
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

    fn shares(&self) -> bool {
        false
    }

    fn acting(&self) -> watch::Receiver<bool> {
        self.0.held()
    }
}

/// Every replica with a place owns the accounts that fall to it.
pub struct BySharing(Arc<Shares>);

impl BySharing {
    /// Ownership by these shares.
    pub const fn new(shares: Arc<Shares>) -> Self {
        Self(shares)
    }
}

impl Ownership for BySharing {
    fn owns(&self, account: &str) -> bool {
        self.0.owns(account)
    }

    fn keeps(&self, account: &str) -> bool {
        self.0.keeps(account)
    }

    fn acting(&self) -> watch::Receiver<bool> {
        self.0.acting()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }

    fn yielded(&self, change: u64) {
        self.0.yielded(change);
    }
}
