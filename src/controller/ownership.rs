//! The one question about who may act.

use tokio::sync::watch;

/// Says whether this process may act on an account.
///
/// An account is named as `status.account.id` of its ProviderConfigs has it; one that says nothing yet stands for itself, as
/// `namespace/name`.
pub trait Ownership: Send + Sync {
    /// Whether it may begin something at this very moment.
    fn owns(&self, account: &str) -> bool;

    /// Whether accounts are told apart at all: if not, each is answered as any other is at that moment.
    fn shares(&self) -> bool {
        true
    }

    /// Whether it may still end what it has begun: an account that is about to leave is nobody else's yet. Asked directly
    /// before each call that changes something.
    fn keeps(&self, account: &str) -> bool {
        self.owns(account)
    }

    /// Whether it may act on anything at all, and when that changes.
    fn acting(&self) -> watch::Receiver<bool>;

    /// Changes when accounts may have come or gone while it goes on acting; never, where all of them come and go at once.
    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    /// Of what had left when [`Ownership::changes`] said this, nothing is under way any more.
    fn yielded(&self, _change: u64) {}
}
