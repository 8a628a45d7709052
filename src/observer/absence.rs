//! Many servers that are missing are more likely a hole in the lists than so many deletions. What is missing is
//! judged by what objects have recorded, not by the list before: a hole may be there from the first list on, or
//! grow slowly. No hole is believed because it grew old: a person believes it, server by server.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::planner::model::{Listing, ServerState};

/// So many must be missing to be suspicious.
const AT_LEAST: usize = 5;
/// And so many of a hundred.
const PERCENT: usize = 20;
/// A few that are missing for so long are not counted any more.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether the absences of the last lists are to be believed.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    /// Expected servers that a list has held, or that were recorded before the first list. Others may be too new
    /// to be listed.
    known: BTreeSet<String>,
    /// Those that lists lack, and since when.
    missing: BTreeMap<String, Timestamp>,
    /// Those whose absence is no longer counted.
    believed: BTreeSet<String>,
    suspicious: bool,
}

impl Absence {
    /// Whether nobody should believe that a server is gone because lists do not have it.
    pub(crate) const fn suspicious(&self) -> bool {
        self.suspicious
    }

    /// These servers were recorded before the first list: it should have them.
    pub(crate) fn recorded(&mut self, ids: &[String]) {
        self.known.extend(ids.iter().cloned());
    }

    /// Judges a list. `expected` are the ids that objects have recorded, but not of those that we are deleting, or whose
    /// absence is certain already.
    pub(crate) fn judge(
        &mut self,
        previous: Option<&Listing>,
        next: &Listing,
        now: Timestamp,
        expected: &BTreeSet<&str>,
    ) {
        let listed = |id: &str| next.servers.contains_key(id);
        self.known.retain(|id| expected.contains(id.as_str()));
        for id in expected.iter().filter(|id| listed(id)) {
            if !self.known.contains(*id) {
                self.known.insert((*id).to_owned());
            }
        }
        self.believed.retain(|id| self.known.contains(id) && !listed(id));
        self.missing
            .retain(|id, _| self.known.contains(id) && !listed(id));
        // A server that was going is no hole when it has gone.
        let going = [
            ServerState::Absent,
            ServerState::Deleting,
            ServerState::SoftDeleted,
        ];
        let was_going = |id: &String| {
            let before = previous.and_then(|p| p.servers.get(id));
            before.is_some_and(|s| going.contains(&s.state))
        };
        for id in self.known.iter().filter(|id| !listed(id)) {
            if was_going(id) {
                self.believed.insert(id.clone());
            } else if !self.believed.contains(id) {
                self.missing.entry(id.clone()).or_insert(now);
            }
        }
        let old = |since: &Timestamp| now.duration_since(*since) >= FORGOTTEN_AFTER;
        self.suspicious = alarming(self.missing.len(), self.known.len() - self.believed.len());
        if !self.suspicious {
            let done: Vec<String> = self
                .missing
                .iter()
                .filter(|(_, since)| old(since))
                .map(|(id, _)| id.clone())
                .collect();
            for id in done {
                self.missing.remove(&id);
                self.believed.insert(id);
            }
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

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|i| format!("s{i:03}")).collect()
    }

    fn listing(n: std::ops::Range<usize>) -> Listing {
        let servers = ids(n).iter().map(|id| server(id, "ACTIVE")).collect();
        Listing::new(Timestamp::UNIX_EPOCH, 1, servers)
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// Judges list after list, each at its minute; whether the last one is suspicious.
    fn judged(absence: &mut Absence, expected: &[String], lists: &[(i64, std::ops::Range<usize>)]) -> bool {
        let expected = expected.iter().map(String::as_str).collect();
        for (minute, range) in lists {
            absence.judge(None, &listing(range.clone()), at(*minute), &expected);
        }
        absence.suspicious()
    }

    #[test]
    fn a_large_hole_is_not_believed_however_old_it_is_and_forgotten_when_it_closes() {
        let (mut absence, all) = (Absence::default(), ids(0..20));
        assert!(judged(&mut absence, &all, &[(0, 0..20), (0, 6..20)]));
        assert!(judged(&mut absence, &all, &[(10, 6..20), (6000, 6..20)]));
        assert!(!judged(&mut absence, &all, &[(6001, 0..20)]));
    }

    #[test]
    fn what_a_person_has_believed_is_not_expected_any_more_and_makes_no_hole() {
        let (mut absence, all) = (Absence::default(), ids(0..20));
        assert!(judged(&mut absence, &all, &[(0, 0..20), (0, 6..20)]));
        assert!(judged(&mut absence, &all[1..], &[(1, 6..20)]), "five are left");
        assert!(!judged(&mut absence, &all[2..], &[(2, 6..20)]), "four");
    }

    #[test]
    fn a_hole_that_grows_slowly_is_suspected() {
        let (mut absence, all) = (Absence::default(), ids(0..20));
        let slowly = [(0, 0..20), (1, 2..20), (2, 3..20), (3, 4..20)];
        assert!(!judged(&mut absence, &all, &slowly));
        assert!(judged(&mut absence, &all, &[(4, 5..20)]), "the fifth");
        assert!(judged(&mut absence, &all, &[(13, 6..20), (22, 6..20)]));
        let (mut absence, all) = (Absence::default(), ids(0..20));
        let rarely: Vec<_> = (0..15).map(|i| (100 + 11 * i as i64, i..20)).collect();
        assert!(!judged(&mut absence, &all, &rarely), "one every eleven minutes");
    }

    #[test]
    fn a_hole_in_the_first_list_is_suspected() {
        let (mut absence, all) = (Absence::default(), ids(0..20));
        absence.recorded(&all);
        assert!(judged(&mut absence, &all, &[(0, 6..20)]));
        assert!(!judged(&mut absence, &all, &[(1, 0..20)]));
    }

    #[test]
    fn servers_that_are_new_or_that_we_delete_are_not_missed() {
        let mut absence = Absence::default();
        assert!(
            !judged(&mut absence, &ids(0..50), &[(0, 0..10)]),
            "40 are too new to be listed"
        );
        assert!(judged(&mut absence, &ids(0..50), &[(1, 0..50), (1, 0..10)]));
        assert!(
            !judged(&mut absence, &ids(0..10), &[(2, 0..10)]),
            "40 are ours to delete"
        );
    }

    #[test]
    fn few_absences_and_those_of_going_servers_are_believed() {
        let (mut absence, all) = (Absence::default(), ids(0..100));
        assert!(
            !judged(&mut absence, &all[..20], &[(0, 0..20), (1, 4..20)]),
            "four"
        );
        let mut absence = Absence::default();
        assert!(
            !judged(&mut absence, &all, &[(0, 0..100), (1, 19..100)]),
            "19 of 100"
        );
        assert!(judged(&mut absence, &all, &[(2, 20..100)]), "20 of 100");
        let mut absence = Absence::default();
        let mut going: Vec<_> = ids(0..20).iter().map(|id| server(id, "ACTIVE")).collect();
        going
            .iter_mut()
            .for_each(|server| server.state = ServerState::Deleting);
        let going = Listing::new(Timestamp::UNIX_EPOCH, 1, going);
        let expected = all[..20].iter().map(String::as_str).collect();
        absence.judge(None, &going, at(0), &expected);
        absence.judge(Some(&going), &listing(6..20), at(1), &expected);
        assert!(!absence.suspicious());
        absence.judge(Some(&listing(6..20)), &listing(6..20), at(2), &expected);
        assert!(!absence.suspicious(), "nor later");
    }
}
