//! To which replica an account falls. Pure.

use std::fmt;

use crate::observer::sync::{Jitter, hash};

/// So many replicas share the accounts at once, each in a place of its own; more of them wait for one.
pub const PLACES: u8 = 16;

/// Some of the places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places(u16);

impl Places {
    /// These, and one more.
    #[must_use]
    pub const fn with(self, place: u8) -> Self {
        debug_assert!(place < PLACES, "there is no such place");
        Self(self.0 | 1 << place)
    }

    /// Whether a place is among them.
    pub const fn has(self, place: u8) -> bool {
        place < PLACES && self.0 & (1 << place) != 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..PLACES).filter(move |place| self.has(*place))
    }

    /// How many there are.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Those of a text as [`fmt::Display`] writes it; words that name no place are passed over.
    pub fn read(text: &str) -> Self {
        let named = text.split(',').filter_map(|word| word.trim().parse().ok());
        named
            .filter(|place| *place < PLACES)
            .fold(Self::default(), Self::with)
    }

    /// Whose an account is while these places are held: the one whose number is the highest beside it, so that a place that
    /// comes or goes takes or leaves only what is its own. None if no place is held.
    pub fn owner(self, account: &str) -> Option<u8> {
        let account = hash(account);
        self.iter().max_by_key(|place| (weight(account, *place), *place))
    }
}

/// What a place weighs for an account. It must never change: replicas of two versions reckon by it at the same time.
fn weight(account: u64, place: u8) -> u64 {
    let place = u64::from(place) + 1;
    Jitter::new(account ^ place.wrapping_mul(0xD6E8_FEB8_6659_FD93)).number()
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.iter().map(|place| place.to_string()).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(n: u8) -> Places {
        (0..n).fold(Places::default(), Places::with)
    }

    fn accounts() -> impl Iterator<Item = String> {
        // As OpenStack names projects, UpCloud its users, and tests what they like.
        let ids = (0_u64..1000).map(|n| match n % 3 {
            0 => format!(
                "{:016x}{:016x}",
                Jitter::new(n).number(),
                Jitter::new(n + 5000).number()
            ),
            1 => format!("user-{n}"),
            _ => format!("{n}"),
        });
        ids.collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_thousand_accounts_are_spread_within_a_fifth() {
        for places in [
            first(2),
            first(3),
            first(5),
            first(16),
            Places::read("1,7,9"),
            Places::read("2,3,4,11,15"),
        ] {
            let mut shares = [0_u32; PLACES as usize];
            accounts().for_each(|a| shares[usize::from(places.owner(&a).unwrap())] += 1);
            let even = 1000.0 / f64::from(places.count());
            let most = if places.count() > 5 { 0.5 } else { 0.2 };
            for place in places.iter() {
                let share = f64::from(shares[usize::from(place)]);
                assert!((share - even).abs() <= even * most, "{places}: {shares:?}");
            }
            assert_eq!(shares.iter().sum::<u32>(), 1000);
        }
    }

    #[test]
    fn a_place_that_comes_or_goes_moves_its_share_alone() {
        for n in 1..PLACES {
            let (before, after) = (first(n), first(n + 1));
            let mut moved = 0;
            for account in accounts() {
                let (old, new) = (before.owner(&account), after.owner(&account));
                assert!(new == old || new == Some(n), "{account}: {old:?} to {new:?}");
                moved += u32::from(new != old);
            }
            let share = 1000.0 / f64::from(n + 1);
            assert!(
                (f64::from(moved) - share).abs() <= share * 0.5,
                "{moved} of {share}"
            );
        }
        assert_eq!(Places::default().owner("x"), None);
    }

    /// Two whose views differ think both that an account is theirs only where one of them does not see the other.
    #[test]
    fn two_that_see_each_other_never_both_own() {
        let views: Vec<Places> = (1_u16..64).map(Places).collect();
        for a in &views {
            for b in &views {
                for account in ["one", "two", "three"] {
                    let (x, y) = (a.owner(account).unwrap(), b.owner(account).unwrap());
                    let see = |view: &Places, place: u8| view.iter().any(|p| p == place);
                    assert!(x == y || !see(a, y) || !see(b, x), "{a} and {b}: {account}");
                }
            }
        }
    }

    #[test]
    fn what_falls_where_never_changes() {
        let owners: Vec<u8> = (0..12)
            .map(|n| first(5).owner(&format!("account-{n}")).unwrap())
            .collect();
        assert_eq!(owners, OWNERS);
    }

    /// As every version that was ever released reckons.
    const OWNERS: [u8; 12] = [3, 0, 3, 4, 2, 3, 3, 1, 0, 4, 0, 0];

    #[test]
    fn places_are_written_and_read() {
        let places = Places::default().with(0).with(3).with(15);
        assert_eq!(places.to_string(), "0,3,15");
        assert_eq!(Places::read("0,3,15"), places);
        assert_eq!(
            Places::read(" 3 ,x,16,-1,,15,0"),
            places,
            "what is no place is passed over"
        );
        assert_eq!(
            (Places::read(""), Places::default().to_string().as_str()),
            (Places::default(), "")
        );
    }
}
