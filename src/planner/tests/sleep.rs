//! When the real queue would wake an object: at the time that its plan named, after the list that it asked for,
//! after every list while it is busy, and when something about it changed. Never else.

use std::sync::Arc;

use jiff::Timestamp;

use super::world::World;
use crate::planner::draft::later;
use crate::planner::model::{Listing, ObservedServer};
use crate::planner::{Plan, Step};

/// Seconds between two lists while nothing is under way.
const PACE: i64 = 15;

/// What an object waits for.
#[derive(Default)]
pub(super) struct Sleep {
    /// The last list.
    pub(super) listing: Option<Arc<Listing>>,
    again_at: Option<Timestamp>,
    list_after: Option<Timestamp>,
    busy: bool,
    /// The outcome of a step is there.
    woken: bool,
    /// What of the object and its ProviderConfig wakes it when it changes.
    seen: String,
}

fn servers(listing: Option<&Arc<Listing>>) -> Vec<&ObservedServer> {
    listing
        .iter()
        .flat_map(|l| l.servers.values())
        .map(|s| &**s)
        .collect()
}

impl World {
    /// Whether something wakes the object in this second.
    pub(super) fn awake(&mut self) -> bool {
        let Some(mut sleep) = self.sleep.take() else {
            return true;
        };
        let now = self.now;
        let asked = sleep.listing.as_ref().and_then(|l| l.asked_at);
        let pace = if sleep.busy { 1 } else { PACE };
        let due = asked.is_none_or(|t| later(t, pace) <= now);
        let wanted = sleep.list_after.is_some_and(|t| asked.is_none_or(|a| a <= t));
        let mut woken = std::mem::take(&mut sleep.woken);
        if (due || wanted) && self.down_since.is_none() {
            let new = Some(self.view());
            woken |= sleep.busy
                || sleep.list_after.is_some_and(|t| now > t)
                || servers(sleep.listing.as_ref()) != servers(new.as_ref());
            sleep.listing = new;
        }
        let meta = &self.server.metadata;
        let seen = format!(
            "{:?} {:?} {:?} {} {} {:?} {:?} {}",
            meta.generation,
            meta.annotations,
            meta.deletion_timestamp,
            self.suspended,
            self.account,
            self.unusable,
            self.down_since.is_some(),
            self.actions.len(),
        );
        woken |= seen != sleep.seen || sleep.again_at.is_some_and(|t| t <= now);
        sleep.seen = seen;
        self.sleep = Some(sleep);
        woken
    }

    /// Remembers what the plan wants to be woken for.
    pub(super) fn fall_asleep(&mut self, made: &Plan) {
        if let Some(sleep) = &mut self.sleep {
            sleep.again_at = made.again_at;
            sleep.list_after = made.list_after;
            sleep.busy = made.busy;
            sleep.woken = made.step != Step::Wait;
        }
    }

    /// A new process knows nothing, and looks at everything.
    pub(super) fn wake(&mut self) {
        if let Some(sleep) = &mut self.sleep {
            *sleep = Sleep::default();
        }
    }
}
