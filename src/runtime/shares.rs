//! What a replica knows of who acts on what: asked before each call, and answered by the monotonic clock.

use std::collections::BTreeMap;
use std::sync::Mutex;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::rendezvous::Places;
use crate::observer::sync::lock;

/// Whose the accounts are, as one replica sees it.
///
/// Each replica keeps a record that others can read: that it lives, and by which places it reckons what is its own. It acts on
/// an account only if its own record said so before it read the others', and none of those that live claimed the account then:
/// of two that want the same account, the one that wrote later reads what the other wrote, and waits. And it takes its claim
/// back in the record only when it acts no more. So two act on one account no longer than two leaders by one lease would.
#[derive(Default)]
pub struct Shares {
    state: Mutex<State>,
    acting: watch::Sender<bool>,
    changes: watch::Sender<u64>,
    yielded: Notify,
    /// How many share, to be shown.
    sharing: Gauge,
}

/// One moment of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Our own place.
    pub(super) place: u8,
    /// The places that should count from now on.
    pub(super) wish: Places,
    /// Those that our record says.
    pub(super) recorded: Places,
    /// Those that were sent to our record last; the same unless no answer came.
    pub(super) sent: Places,
    /// The others who live and claimed something before us that our record claims too.
    pub(super) rivals: Vec<Rival>,
}

/// Another replica whose record was there before ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rival {
    place: u8,
    rounds: Vec<Round>,
}

/// The time in which our record says one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Round {
    /// What it said before.
    before: Places,
    /// All that the other's record has said in it.
    says: Vec<Places>,
}

impl Rival {
    /// Whether an account is its, although our record gives it to us at this place: it claims it all the time, and we had it not
    /// before it came.
    fn holds(&self, account: &str, ours: u8) -> bool {
        self.rounds.iter().fold(false, |held, round| {
            let claims = |says: &Places| says.owner(account) == Some(self.place);
            round.says.iter().all(claims) && (held || round.before.owner(account) != Some(ours))
        })
    }
}

/// Who is a rival, as one look after the other tells.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    all: BTreeMap<u8, Rival>,
    /// What our record said at the last look.
    recorded: Option<Places>,
}

impl Rivals {
    /// What a look has shown that followed the write of our record: what that says, and what those say who live. One that claims
    /// something only since an earlier look has read our record and waits for us.
    pub(super) fn look(&mut self, place: u8, recorded: Places, living: &[(u8, Places)]) -> Vec<Rival> {
        let before = self.recorded.replace(recorded);
        let anew = before != Some(recorded);
        self.all.retain(|other, _| living.iter().any(|(p, _)| p == other));
        for (other, says) in living {
            if anew {
                let rival = self.all.entry(*other).or_default();
                rival.place = *other;
                rival.rounds.push(Round {
                    before: before.unwrap_or_default(),
                    says: vec![*says],
                });
            } else if let Some(round) = self.all.get_mut(other).and_then(|r| r.rounds.last_mut())
                && round.says.last() != Some(says)
            {
                round.says.push(*says);
            }
            // Two that reckon with each other never claim the same.
            if says.has(place) && recorded.has(*other) {
                self.all.remove(other);
            }
        }
        self.all.values().cloned().collect()
    }

    /// Nothing is ours any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[derive(Default)]
struct State {
    view: View,
    /// Until when all of that holds; none if we have no place.
    until: Option<Instant>,
    /// The change up to which nothing is under way of what has left.
    yielded: u64,
}

impl State {
    /// Whether our record gives us the account, and it is no rival's.
    fn keeps(&self, account: &str) -> bool {
        let view = &self.view;
        let ours = |places: Places| places.owner(account) == Some(view.place);
        self.until.is_some_and(|until| Instant::now() < until)
            && ours(view.recorded)
            && ours(view.sent)
            && !view.rivals.iter().any(|rival| rival.holds(account, view.place))
    }
}

impl Shares {
    /// Nothing is ours yet. How many replicas share is shown there.
    pub fn new(sharing: Gauge) -> Self {
        Self {
            sharing,
            ..Self::default()
        }
    }

    /// Whether something may be begun on an account at this moment. A process that slept through its deadline hears no.
    pub fn owns(&self, account: &str) -> bool {
        let state = lock(&self.state);
        state.view.wish.owner(account) == Some(state.view.place) && state.keeps(account)
    }

    /// Whether what is under way on an account may be brought to its end: it is ours, or was until a moment ago and nobody
    /// else's yet.
    pub fn keeps(&self, account: &str) -> bool {
        lock(&self.state).keeps(account)
    }

    /// Changes when a place is had or lost.
    pub fn acting(&self) -> watch::Receiver<bool> {
        self.acting.subscribe()
    }

    /// Changes when accounts may have come or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Nothing is under way any more of what had left when [`Shares::changes`] said this.
    pub fn yielded(&self, change: u64) {
        let mut state = lock(&self.state);
        state.yielded = state.yielded.max(change);
        drop(state);
        self.yielded.notify_one();
    }

    /// Until when what is ours is ours.
    pub(super) fn until(&self) -> Option<Instant> {
        lock(&self.state).until
    }

    /// Waits until somebody calls [`Shares::yielded`].
    pub(super) async fn somebody_yielded(&self) {
        self.yielded.notified().await;
    }

    /// The places to record next: new ones only when nothing is under way of what they take from us.
    pub(super) fn to_record(&self) -> Places {
        let (state, change) = (lock(&self.state), *self.changes.borrow());
        let view = &state.view;
        if view.sent != view.recorded {
            // Whether it came through is not known: nothing else is said before that is.
            return view.sent;
        }
        if state.yielded >= change {
            view.wish
        } else {
            view.recorded
        }
    }

    /// Whether our record is to be written because it says something else than it should, and may.
    pub(super) fn should_record(&self) -> bool {
        let next = self.to_record();
        let state = lock(&self.state);
        state.until.is_some() && next != state.view.recorded
    }

    /// Places are sent to our record.
    pub(super) fn sending(&self, places: Places) {
        lock(&self.state).view.sent = places;
    }

    /// How everything is, and until when that holds.
    pub(super) fn set(&self, view: View, until: Instant) {
        let mut state = lock(&self.state);
        let new = state.until.is_none() || state.view != view;
        self.sharing.set(i64::from(view.wish.count()));
        (state.view, state.until) = (view, Some(until));
        drop(state);
        if new {
            self.changes.send_modify(|change| *change += 1);
        }
        self.acting
            .send_if_modified(|acting| !std::mem::replace(acting, true));
    }

    /// Nothing is ours any more; whether anything was.
    pub(super) fn clear(&self) -> bool {
        let mut state = lock(&self.state);
        let had = state.until.take().is_some();
        state.view = View::default();
        drop(state);
        self.sharing.set(0);
        self.acting
            .send_if_modified(|acting| std::mem::replace(acting, false));
        had
    }
}
