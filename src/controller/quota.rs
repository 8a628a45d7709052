//! Accounts whose quota is used up: who asks next whether it still is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::Shell;
use super::call::Asker;
use super::queue::Urgency;
use crate::api::Server;
use crate::observer::ObjectKey;
use crate::observer::sync::lock;
use crate::planner::model::{CloudError, ErrorClass};
use crate::planner::quota::QuotaShut;
use crate::planner::{backoff, later};

/// Whoever was given the turn and says nothing for so many seconds has lost it.
const TURN: i64 = 150;
/// Whoever has to let another one go first comes again after so many seconds.
const AFTER: i64 = 30;
/// An account that takes so many at once is open again.
const OPEN: usize = 8;

/// An object as its wish was when it asked: a changed wish has not asked yet.
type Asked = (String, Option<i64>);

/// The accounts that refused a creation for their quota, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Quotas(HashMap<String, Shut>);

/// One that did.
#[derive(Debug)]
struct Shut {
    /// What it said first: the same words for all, so that no status changes with each try.
    words: String,
    /// How often it refused in a row.
    count: u32,
    /// Nobody asks before.
    next: Timestamp,
    /// So many may ask at once: more with each one that is made.
    width: usize,
    /// Who asks, and until when that counts.
    asking: BTreeMap<String, Timestamp>,
    /// Who was refused since all had their turn.
    refused: BTreeSet<Asked>,
    /// Who waits.
    waiting: BTreeMap<Asked, ObjectKey>,
}

impl Shut {
    fn admits(&self, object: &Asked, now: Timestamp) -> bool {
        if self.asking.get(&object.0).is_some_and(|until| *until > now) {
            return true;
        }
        let asking = self.asking.values().filter(|until| **until > now);
        let others_first =
            self.refused.contains(object) && self.waiting.keys().any(|w| !self.refused.contains(w));
        asking.count() < self.width && self.next <= now && !others_first
    }

    /// Who is woken when there may be room: those that would be admitted.
    fn first(&self) -> Vec<ObjectKey> {
        let all = |asked: bool| {
            let some = self.waiting.iter();
            some.filter(move |(w, _)| self.refused.contains(*w) == asked)
        };
        let first = all(false).chain(all(true)).take(self.width);
        first.map(|(_, key)| key.clone()).collect()
    }
}

impl Quotas {
    /// What stands in the way of a creation for that object.
    pub(crate) fn shut(&self, account: &str, object: &Asked, now: Timestamp) -> Option<QuotaShut> {
        let shut = self.0.get(account).filter(|s| !s.admits(object, now))?;
        Some(QuotaShut {
            words: shut.words.clone(),
            until: if shut.next > now {
                shut.next
            } else {
                later(now, AFTER)
            },
        })
    }

    /// An object has been planned: it is going to ask, or waits for its turn, or wants nothing.
    pub(crate) fn record(
        &mut self,
        account: &str,
        object: Asked,
        key: &ObjectKey,
        asks: bool,
        waits: bool,
        now: Timestamp,
    ) {
        let Some(shut) = self.0.get_mut(account) else {
            return;
        };
        shut.waiting.retain(|w, _| w.0 != object.0);
        if asks {
            shut.asking.insert(object.0, later(now, TURN));
        } else if waits {
            shut.waiting.insert(object, key.clone());
        }
    }

    /// A creation was answered. Who may ask now.
    pub(crate) fn answered(
        &mut self,
        account: &str,
        object: Asked,
        error: Option<&CloudError>,
        now: Timestamp,
        seed: u64,
    ) -> Vec<ObjectKey> {
        let Some(error) = error else {
            let Some(shut) = self.0.get_mut(account) else {
                return Vec::new();
            };
            shut.asking.remove(&object.0);
            shut.width *= 2;
            (shut.count, shut.next) = (0, now);
            let woken = shut.first();
            if shut.width >= OPEN {
                self.0.remove(account);
            }
            return woken;
        };
        if error.class != ErrorClass::Quota {
            if let Some(shut) = self.0.get_mut(account) {
                shut.asking.remove(&object.0);
            }
            return Vec::new();
        }
        let shut = self.0.entry(account.to_owned()).or_insert_with(|| Shut {
            words: error.message.clone(),
            count: 0,
            next: now,
            width: 1,
            asking: BTreeMap::new(),
            refused: BTreeSet::new(),
            waiting: BTreeMap::new(),
        });
        // Those that were on their way when it was shut say nothing new.
        if shut.asking.remove(&object.0).is_some() || shut.count == 0 {
            shut.count = shut.count.saturating_add(1);
            let wait = backoff::seconds(ErrorClass::Quota, shut.count, error.retry_after, seed);
            shut.next = later(now, wait);
        }
        shut.width = 1;
        shut.refused.insert(object);
        if !shut.waiting.is_empty() && shut.waiting.keys().all(|w| shut.refused.contains(w)) {
            shut.refused.clear();
        }
        Vec::new()
    }

    /// A server of the account is gone: there may be room. Who may ask now.
    pub(crate) fn freed(&mut self, account: &str, now: Timestamp) -> Vec<ObjectKey> {
        let Some(shut) = self.0.get_mut(account) else {
            return Vec::new();
        };
        (shut.count, shut.next) = (0, now);
        shut.first()
    }

    /// An account has left this process.
    pub(super) fn leave(&mut self, account: &str) {
        self.0.remove(account);
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, uid: &str) {
        for shut in self.0.values_mut() {
            shut.asking.remove(uid);
            shut.refused.retain(|o| o.0 != uid);
            shut.waiting.retain(|o, _| o.0 != uid);
        }
    }
}

/// An object as its wish is now.
pub(super) fn asked(uid: &str, server: &Server) -> Asked {
    (uid.to_owned(), server.metadata.generation)
}

/// A creation was answered.
pub(super) fn answered(shell: &Shell, asker: &Asker, error: Option<&CloudError>, now: Timestamp) {
    let server = shell.servers.get(&asker.key);
    let object = (asker.uid.clone(), server.and_then(|s| s.metadata.generation));
    let woken = lock(&shell.quotas).answered(&asker.account, object, error, now, shell.ctx.seed);
    wake(shell, woken);
}

/// A server of the account is gone.
pub(super) fn freed(shell: &Shell, account: &str) {
    let now = shell.ctx.clock.now();
    let woken = lock(&shell.quotas).freed(account, now);
    wake(shell, woken);
}

fn wake(shell: &Shell, woken: Vec<ObjectKey>) {
    for key in woken {
        shell.queue.wake(&key, Urgency::Background);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "a";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn object(n: usize) -> (Asked, ObjectKey) {
        (
            (format!("u{n}"), Some(1)),
            ObjectKey::new("n", format!("web-{n}")),
        )
    }

    fn refusal() -> CloudError {
        CloudError::new(ErrorClass::Quota, "no more")
    }

    /// So many objects that want a server, at a time: who is let through.
    fn turn(q: &mut Quotas, n: usize, now: Timestamp) -> Vec<usize> {
        let mut through = Vec::new();
        for i in 0..n {
            let (object, key) = object(i);
            let asks = q.shut(ACCOUNT, &object, now).is_none();
            through.extend(asks.then_some(i));
            q.record(ACCOUNT, object, &key, asks, !asks, now);
        }
        through
    }

    fn refused(q: &mut Quotas, n: usize, now: Timestamp) {
        assert!(
            q.answered(ACCOUNT, object(n).0, Some(&refusal()), now, 0)
                .is_empty()
        );
    }

    #[test]
    fn one_asks_for_all_and_everybody_once_before_anybody_twice() {
        let mut q = Quotas::default();
        assert_eq!(
            turn(&mut q, 5, at(0)),
            [0, 1, 2, 3, 4],
            "nobody knows of anything yet"
        );
        // All that were on their way are refused: that is one refusal.
        for n in 0..3 {
            refused(&mut q, n, at(1));
        }
        assert!(turn(&mut q, 5, at(20)).is_empty());
        let mut order = Vec::new();
        let (mut now, mut waits) = (at(20), Vec::new());
        while order.len() < 10 {
            let through = turn(&mut q, 5, now);
            assert!(through.len() <= 1, "{through:?} at once");
            if let Some(n) = through.first() {
                refused(&mut q, *n, now);
                order.push(*n);
                waits.push(now);
            }
            now = later(now, 5);
        }
        for five in order.chunks(5) {
            let mut five = five.to_vec();
            five.sort_unstable();
            assert_eq!(five, [0, 1, 2, 3, 4], "{order:?}");
        }
        assert_eq!(order[..2], [3, 4], "who never asked goes first");
        let last = waits[9].duration_since(waits[8]).as_secs();
        assert!((300..=400).contains(&last), "{last} s in the end");
    }

    #[test]
    fn room_is_taken_by_one_then_by_ever_more() {
        let mut q = Quotas::default();
        turn(&mut q, 30, at(0));
        refused(&mut q, 0, at(1));
        assert!(turn(&mut q, 30, at(2)).is_empty());
        assert_eq!(q.freed(ACCOUNT, at(3)), [object(1).1], "who may ask is woken");
        let (mut asking, mut widths) = (turn(&mut q, 30, at(3)), Vec::new());
        while q.0.contains_key(ACCOUNT) {
            widths.push(asking.len());
            for n in asking {
                assert!(q.answered(ACCOUNT, object(n).0, None, at(4), 0).len() <= OPEN);
            }
            asking = turn(&mut q, 30, at(4));
        }
        assert_eq!(widths, [1, 2]);
        assert_eq!(asking.len(), 30);
    }

    #[test]
    fn who_falls_silent_or_goes_holds_nobody_up() {
        for goes in [false, true] {
            let mut q = Quotas::default();
            turn(&mut q, 3, at(0));
            refused(&mut q, 0, at(0));
            assert!(turn(&mut q, 3, at(10)).is_empty());
            assert_eq!(turn(&mut q, 3, at(60)), [1]);
            assert!(
                turn(&mut q, 3, at(61)).iter().all(|n| *n == 1),
                "its own turn is its own"
            );
            if goes {
                q.forget("u1");
            } else {
                assert!(q.shut(ACCOUNT, &object(2).0, at(60 + TURN - 1)).is_some());
            }
            assert!(q.shut(ACCOUNT, &object(2).0, at(61 + TURN)).is_none(), "{goes}");
        }
    }

    #[test]
    fn a_changed_wish_has_not_asked_yet() {
        let mut q = Quotas::default();
        turn(&mut q, 2, at(0));
        for n in 0..2 {
            refused(&mut q, n, at(0));
        }
        let (key, changed) = (object(1).1, ("u1".to_owned(), Some(2)));
        q.record(ACCOUNT, changed.clone(), &key, false, true, at(10));
        assert!(q.shut(ACCOUNT, &object(0).0, at(100)).is_some());
        assert!(q.shut(ACCOUNT, &changed, at(100)).is_none());
    }
}
