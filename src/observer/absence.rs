//! Many servers that vanish at once are more likely a hole in the list than so many deletions.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::planner::model::{Listing, ObservedServer, ServerState};

/// So many must vanish at once to be suspicious.
const AT_LEAST: usize = 5;
/// And so many of a hundred.
const PERCENT: usize = 20;
/// A hole that stays for so long is believed.
const BELIEVED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether the absences of the last lists are to be believed.
#[derive(Debug, Default)]
pub(crate) struct Absence(Option<Suspicion>);

#[derive(Debug)]
struct Suspicion {
    since: Timestamp,
    missing: BTreeSet<String>,
    of: usize,
}

impl Absence {
    /// Whether nobody should believe that a server is gone because lists do not have it.
    pub(crate) const fn suspicious(&self) -> bool {
        self.0.is_some()
    }

    /// Judges the step from one list to the next. `ours` are the servers of this installation, `expected` says
    /// which of them we are deleting.
    pub(crate) fn judge(
        &mut self,
        previous: &Listing,
        next: &Listing,
        now: Timestamp,
        ours: impl Fn(&ObservedServer) -> bool,
        expected: impl Fn(&ObservedServer) -> bool,
    ) {
        // A server that is going is no hole when it has gone.
        let going = [
            ServerState::Absent,
            ServerState::Deleting,
            ServerState::SoftDeleted,
        ];
        let before: Vec<_> = previous
            .servers
            .values()
            .filter(|s| ours(s) && !going.contains(&s.state))
            .collect();
        let vanished: BTreeSet<String> = before
            .iter()
            .filter(|s| !next.servers.contains_key(&s.id) && !expected(s))
            .map(|s| s.id.clone())
            .collect();
        if let Some(open) = &mut self.0 {
            open.missing.extend(vanished);
            open.missing.retain(|id| !next.servers.contains_key(id));
            let healed = !alarming(open.missing.len(), open.of);
            if healed || now.duration_since(open.since) >= BELIEVED_AFTER {
                self.0 = None;
            }
        } else if alarming(vanished.len(), before.len()) {
            self.0 = Some(Suspicion {
                since: now,
                missing: vanished,
                of: before.len(),
            });
        }
    }
}

const fn alarming(missing: usize, of: usize) -> bool {
    missing >= AT_LEAST && missing * 100 >= of * PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::tests::server;

    fn listing(n: std::ops::Range<usize>) -> Listing {
        Listing::new(
            Timestamp::UNIX_EPOCH,
            1,
            n.map(|i| server(&format!("s{i:03}"), "ACTIVE")).collect(),
        )
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn a_large_hole_is_believed_after_ten_minutes_and_forgotten_when_it_closes() {
        let (full, hole) = (listing(0..20), listing(6..20));
        let mut absence = Absence::default();
        absence.judge(&full, &hole, at(0), |_| true, |_| false);
        assert!(absence.suspicious());
        absence.judge(&hole, &hole, at(9), |_| true, |_| false);
        assert!(absence.suspicious());
        absence.judge(&hole, &hole, at(10), |_| true, |_| false);
        assert!(!absence.suspicious());
        absence.judge(&full, &hole, at(20), |_| true, |_| false);
        absence.judge(&hole, &full, at(21), |_| true, |_| false);
        assert!(!absence.suspicious());
    }

    #[test]
    fn few_or_expected_or_foreign_absences_are_believed() {
        let full = listing(0..20);
        for (next, ours, expected) in [
            (listing(4..20), true, false),
            (listing(6..20), true, true),
            (listing(6..20), false, false),
        ] {
            let mut absence = Absence::default();
            absence.judge(&full, &next, at(0), |_| ours, |_| expected);
            assert!(!absence.suspicious());
        }
        let (many, fewer) = (listing(0..100), listing(19..100));
        let mut absence = Absence::default();
        absence.judge(&many, &fewer, at(0), |_| true, |_| false);
        assert!(!absence.suspicious(), "19 of 100");
        absence.judge(&many, &listing(20..100), at(0), |_| true, |_| false);
        assert!(absence.suspicious(), "20 of 100");
    }
}
