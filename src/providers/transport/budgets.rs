//! One request budget for each account, however many ProviderConfigs speak for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::{Budget, Limits};

/// The budgets of all accounts in use, by the identity that requests are counted against.
#[derive(Debug, Default)]
pub struct Budgets {
    accounts: Mutex<HashMap<String, Account>>,
}

#[derive(Debug)]
struct Account {
    budget: Arc<Budget>,
    /// What each of its members allows.
    limits: BTreeMap<u64, Limits>,
    next: u64,
}

/// A part in the budget of one account; given up when dropped.
#[derive(Debug)]
pub struct Share {
    budgets: Arc<Budgets>,
    account: String,
    number: u64,
    budget: Arc<Budget>,
}

impl Budgets {
    /// Joins those who speak for an account. The strictest of their limits holds for all.
    pub fn join(self: &Arc<Self>, account: &str, limits: Limits) -> Share {
        let mut accounts = self.lock();
        let known = accounts.entry(account.to_owned()).or_insert_with(|| Account {
            budget: Budget::new(limits),
            limits: BTreeMap::new(),
            next: 0,
        });
        let number = known.next;
        known.next += 1;
        known.limits.insert(number, limits);
        known.apply();
        let budget = Arc::clone(&known.budget);
        drop(accounts);
        Share {
            budgets: Arc::clone(self),
            account: account.to_owned(),
            number,
            budget,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        // The map is whole at every point where a panic could leave it.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn apply(&self) {
        let strictest = self.limits.values().copied().reduce(|a, b| Limits {
            per_second: a.per_second.min(b.per_second),
            burst: a.burst.min(b.burst),
            in_flight: a.in_flight.min(b.in_flight),
        });
        if let Some(limits) = strictest {
            self.budget.set_limits(limits);
        }
    }
}

impl Share {
    /// The budget of the account.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Whose it is.
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut accounts = self.budgets.lock();
        if let Some(known) = accounts.get_mut(&self.account) {
            known.limits.remove(&self.number);
            if known.limits.is_empty() {
                accounts.remove(&self.account);
            } else {
                known.apply();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::providers::transport::budget::Priority;

    fn limits(per_second: u32, burst: u32) -> Limits {
        Limits {
            per_second,
            burst,
            in_flight: 100,
        }
    }

    async fn takes(shares: &[&Share], n: usize) -> Duration {
        let start = Instant::now();
        for i in 0..n {
            drop(shares[i % shares.len()].budget().acquire(Priority::High).await);
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_members_of_an_account_share_one_budget_and_the_strictest_limits_hold() {
        let budgets = Arc::new(Budgets::default());
        let all: Vec<Share> = (0..50).map(|_| budgets.join("a", limits(10, 10))).collect();
        let shares: Vec<&Share> = all.iter().collect();
        let took = takes(&shares, 110).await;
        assert!(
            took >= Duration::from_secs(10) && took < Duration::from_secs(11),
            "{took:?}"
        );
        let other = budgets.join("b", limits(10, 10));
        assert_eq!(
            takes(&[&other], 10).await,
            Duration::ZERO,
            "another account has its own"
        );

        let strict = budgets.join("a", limits(1, 1));
        tokio::time::advance(Duration::from_secs(60)).await;
        let took = takes(&shares, 11).await;
        assert!(
            took >= Duration::from_secs(10) && took < Duration::from_secs(11),
            "{took:?}"
        );
        drop(strict);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(
            takes(&shares, 10).await,
            Duration::ZERO,
            "the strict one has left"
        );
        drop((all, other));
        assert!(budgets.lock().is_empty());
    }
}
