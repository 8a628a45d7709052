//! Sets whose things have an identity that only the cloud knows (an interface its MAC address): a wish is met by a
//! thing that fits it. Remembered are the identities of those that are ours; nothing else is ever taken out.

use std::collections::{BTreeMap, BTreeSet};

use super::{OWN, Standing, entry, is_of, tidy};
use crate::api::server_status::AppliedStatus;
use crate::planner::model::{ItemChange, Items, ObservedServer};

/// In the place of an identity: all that is there came with the server.
pub(super) const ALL: &str = "*";
/// Before an identity that was there before something was brought in: it is not what came.
const BEFORE: &str = "!";
/// Before an identity that goes out.
const GOING: &str = "-";

type There = BTreeMap<String, String>;

/// Whether a thing of these words meets a wish.
fn fits(key: &str, words: &str) -> bool {
    let number = |tail: &str| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
    let key = match key.rsplit_once(" #") {
        Some((head, tail)) if number(tail) => head,
        _ => key,
    };
    let mut all = words.split('\n');
    all.any(|word| {
        let rest = key.strip_prefix(word);
        rest.is_some_and(|rest| {
            let also = |tail: &str| words.split('\n').any(|other| other == tail);
            rest.is_empty() || rest.strip_prefix(' ').is_some_and(also)
        })
    })
}

/// What is remembered of one set.
struct Memory<'a> {
    name: &'a str,
    own: &'a [String],
    sent: &'a [String],
}

impl<'a> Memory<'a> {
    fn of(name: &'a str, applied: &'a AppliedStatus) -> Self {
        Self {
            name,
            own: &applied.own,
            sent: &applied.sent,
        }
    }

    fn owns(&self, key: &str) -> bool {
        self.own.contains(&entry(self.name, key))
    }

    fn sent(&self, key: &str) -> bool {
        self.sent.contains(&entry(self.name, key))
    }

    /// Whether a thing was there before the step that is under way.
    fn before(&self, id: &str) -> bool {
        self.sent(&format!("{BEFORE}{id}"))
    }

    /// Whether it is being taken out.
    fn going(&self, id: &str) -> bool {
        self.sent(&format!("{GOING}{id}"))
    }

    /// What is remembered of it as long as a step is under way: what comes in, and what goes out.
    fn under_way(&self) -> impl Iterator<Item = &'a str> {
        let sent = self.sent.iter();
        let name = self.name;
        let keys = sent.filter_map(move |e| e.strip_prefix(name)?.strip_prefix('/'));
        keys.filter(|key| !key.starts_with(BEFORE))
    }

    /// Whether a thing is ours.
    fn ours(&self, id: &str) -> bool {
        self.owns(id) || (self.owns(ALL) && !self.before(id))
    }

    /// Keys, other than identities, that are remembered of it.
    fn keys(&self) -> impl Iterator<Item = &'a str> {
        let all = self.own.iter().chain(self.sent);
        let name = self.name;
        let keys = all.filter_map(move |e| e.strip_prefix(name)?.strip_prefix('/'));
        keys.map(|key| key.strip_prefix(GOING).unwrap_or(key))
    }

    /// What a step brought in whose wish is gone: it fits, and was not there before.
    fn stray(&self, items: &Items, id: &str, words: &str) -> bool {
        let words: Vec<&str> = words.split('\n').collect();
        let sent = |key: &str| self.sent(key) && !items.all.contains_key(key);
        let pair = |a: &&str, b: &&str| sent(&format!("{a} {b}"));
        !self.before(id) && words.iter().any(|a| sent(a) || words.iter().any(|b| pair(a, b)))
    }
}

/// Which thing meets which wish: ours before those of others, the closest wish first.
fn met<'a>(memory: &Memory<'_>, items: &'a Items, there: &'a There) -> BTreeMap<&'a str, &'a str> {
    let mut wishes: Vec<&String> = items.all.keys().filter(|k| !items.hides(k)).collect();
    let broad = |key: &str| there.values().filter(|words| fits(key, words)).count();
    wishes.sort_by_key(|key| broad(key));
    let mut things: Vec<(&String, &String)> = there.iter().collect();
    things.sort_by_key(|(id, _)| !memory.ours(id));
    let mut met = BTreeMap::new();
    for key in wishes {
        if let Some(at) = things.iter().position(|(_, words)| fits(key, words)) {
            met.insert(key.as_str(), things.remove(at).0.as_str());
        }
    }
    met
}

/// Whether what came in for a wish may be half done: the end of the call that brought it is not known.
fn half_done(memory: &Memory<'_>, items: &Items, key: &str) -> bool {
    items.finishes && memory.sent(key) && !items.hides(key)
}

/// Whether anything may be half done.
pub(super) fn any_half_done(name: &str, items: &Items, applied: &AppliedStatus) -> bool {
    let memory = Memory::of(name, applied);
    items.all.keys().any(|key| half_done(&memory, items, key))
}

/// The identities that a change was decided on: without those that came with an earlier try.
pub(super) fn compared(
    name: &str,
    applied: &AppliedStatus,
    there: &There,
    add: &[(String, String)],
) -> Vec<String> {
    let memory = Memory::of(name, applied);
    let again = add.iter().any(|(key, _)| memory.sent(key));
    let known = |id: &&String| !again || memory.owns(id) || memory.before(id);
    there.keys().filter(known).cloned().collect()
}

/// A set beside the wish for it.
pub(super) fn standing(name: &str, items: &Items, applied: &AppliedStatus, there: &There) -> Standing {
    let memory = Memory::of(name, applied);
    let met = met(&memory, items, there);
    let has = |key: &str| match items.hides(key) {
        true => memory.owns(key),
        false => met.contains_key(key) && !half_done(&memory, items, key),
    };
    let used: BTreeSet<&str> = met.values().copied().collect();
    let goes = |(id, words): &(&String, &String)| {
        !used.contains(id.as_str()) && (memory.ours(id) || memory.going(id) || memory.stray(items, id, words))
    };
    let hidden = memory
        .keys()
        .filter(|key| items.hides(key) && !items.all.contains_key(*key));
    let remove: BTreeSet<String> = there
        .iter()
        .filter(goes)
        .map(|(id, _)| id.clone())
        .chain(hidden.map(str::to_owned))
        .collect();
    let keys = items.all.iter();
    let shown = keys.clone().filter(|(key, _)| has(key));
    let mut shown: BTreeMap<String, String> = shown.map(|(k, v)| (k.clone(), v.clone())).collect();
    shown.extend(remove.iter().map(|id| (id.clone(), String::new())));
    Standing {
        add: keys
            .filter(|(key, _)| !has(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        remove: remove.into_iter().collect(),
        shown: Items::text(&shown),
    }
}

/// Puts identities in the place of [`ALL`].
pub(super) fn came_with(applied: &mut AppliedStatus, name: &str, there: &There) {
    let all = entry(name, ALL);
    if applied.own.contains(&all) {
        applied.own.retain(|e| *e != all);
        applied.own.extend(there.keys().map(|id| entry(name, id)));
        tidy(&mut applied.own, OWN);
    }
}

/// Before a step: what is there and not ours is remembered with it, as what it did not bring in.
pub(super) fn begin(applied: &mut AppliedStatus, change: &ItemChange, seen: &ObservedServer) -> Vec<String> {
    let mut sent: Vec<String> = change
        .add
        .iter()
        .map(|(key, _)| entry(change.name, key))
        .collect();
    let goes = |id: &String| entry(change.name, &format!("{GOING}{id}"));
    sent.extend(change.remove.iter().map(goes));
    if let Some(there) = seen.items.get(change.name) {
        came_with(applied, change.name, there);
    }
    let memory = Memory::of(change.name, applied);
    // What came with an earlier try, of which nothing is known, was not there before.
    let again = change.add.iter().any(|(key, _)| memory.sent(key));
    if change.add.is_empty() || again {
        return sent;
    }
    let there = seen.items.get(change.name).into_iter().flatten();
    let others = there.filter(|(id, _)| !memory.owns(id));
    sent.extend(others.map(|(id, _)| entry(change.name, &format!("{BEFORE}{id}"))));
    sent
}

/// Whether a step has come to its end.
pub(super) fn done(
    name: &str,
    items: &Items,
    applied: &AppliedStatus,
    seen: &ObservedServer,
    accepted: bool,
) -> bool {
    let Some(there) = seen.items.get(name) else {
        return false;
    };
    let memory = Memory::of(name, applied);
    let met = met(&memory, items, there);
    let wishes = items.all.keys().filter(|key| memory.sent(key));
    let mut wishes = wishes.map(|key| match items.hides(key) {
        true => accepted,
        false => met.contains_key(key.as_str()),
    });
    // A wish that is gone meanwhile: what came for it is there.
    let hidden_or_gone = |key: &str| {
        let hidden = items.hides(key.trim_start_matches(GOING));
        let goes = key.starts_with(GOING);
        let stray = || there.iter().any(|(id, words)| memory.stray(items, id, words));
        let wished = items
            .all
            .keys()
            .any(|k| entry(name, k) == format!("{name}/{key}"));
        if hidden {
            !accepted
        } else {
            !goes && !wished && !stray()
        }
    };
    let goes = there.keys().any(|id| memory.going(id));
    wishes.all(|met| met) && !goes && !memory.under_way().any(hidden_or_gone)
}

/// The identities that are ours when nothing is under way.
fn settle(applied: &mut AppliedStatus, name: &str, items: &Items, there: &There) {
    let memory = Memory::of(name, applied);
    let met = met(&memory, items, there);
    let came = met
        .iter()
        .filter(|(key, id)| memory.sent(key) && !memory.before(id));
    let came: BTreeSet<&str> = came.map(|(_, id)| *id).collect();
    let ours = |(id, words): &(&String, &String)| {
        memory.ours(id) || came.contains(id.as_str()) || memory.stray(items, id, words)
    };
    let ids = there.iter().filter(ours).map(|(id, _)| id.as_str());
    let hidden = memory.keys();
    let hidden = hidden.filter(|key| items.hides(key) && !memory.going(key));
    let own: Vec<String> = ids.chain(hidden).map(|key| entry(name, key)).collect();
    applied.sent.retain(|e| !is_of(name)(e));
    applied.own.retain(|e| !is_of(name)(e));
    applied.own.extend(own);
    tidy(&mut applied.own, OWN);
}

/// Remembers that a set is as wished for.
pub(super) fn fulfilled(applied: &mut AppliedStatus, name: &str, items: &Items, seen: &ObservedServer) {
    let Some(there) = seen.items.get(name) else {
        return;
    };
    let memory = Memory::of(name, applied);
    let gone = |e: &String| {
        let key = e.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        key.is_some_and(|key| !there.contains_key(key) && !items.all.contains_key(key))
    };
    // What was taken off by somebody stays ours: it may come back, and the list may be late.
    let gone: Vec<String> = applied.own.iter().filter(|e| gone(e)).cloned().collect();
    let all = memory.owns(ALL);
    settle(applied, name, items, there);
    if !all {
        applied.own.extend(gone);
        tidy(&mut applied.own, OWN);
    }
}

/// Of a server that was not made here: what it has of the wish is ours from now on.
pub(super) fn first_seen(applied: &mut AppliedStatus, name: &str, items: &Items, seen: &ObservedServer) {
    applied.own.retain(|e| *e != entry(name, ALL));
    let none = There::new();
    let there = seen.items.get(name).unwrap_or(&none);
    let ours: Vec<String> = met(&Memory::of(name, applied), items, there)
        .values()
        .map(|id| entry(name, id))
        .collect();
    applied.own.extend(ours);
    tidy(&mut applied.own, OWN);
}

/// A step is known to have come to its end; returns what is said of it.
pub(super) fn told(applied: &mut AppliedStatus, name: &str, items: &Items, seen: &ObservedServer) -> String {
    let memory = Memory::of(name, applied);
    let keys = memory
        .keys()
        .filter(|key| memory.sent(key) && !key.starts_with(BEFORE));
    let keys: BTreeSet<&str> = keys.collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let note = format!("changed in place: {name} ({})", keys.join(", "));
    let none = There::new();
    settle(applied, name, items, seen.items.get(name).unwrap_or(&none));
    note
}
