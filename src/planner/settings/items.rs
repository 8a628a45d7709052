//! Settings that are sets to which others add as well: what they brought in survives, and only what was brought in for
//! our owner is ever taken out.

pub(super) mod nameless;

use std::collections::{BTreeMap, BTreeSet};

use super::{LENGTH, text, wanted};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::hash::hash;
use crate::api::server_status::{AppliedStatus, Operation};
use crate::planner::draft::{Draft, key_of, later};
use crate::planner::memory::Outcome;
use crate::planner::model::{
    Capabilities, CloudError, ErrorClass, ItemChange, Items, ObservedServer, WantedAttribute,
};
use crate::planner::operation::{Progress, close, lost_after, saying, timeout};
use crate::planner::{AccountFacts, details};

/// So many things go out in one call at most: each is a request of its own.
const OUT: usize = 8;
/// Characters of a key that are remembered.
const KEY: usize = 40;
/// So many keys of all sets are remembered, of what is ours and of what is under way.
const OWN: usize = 256;
const SENT: usize = 64;

/// A set beside the wish for it. What is neither wished for nor ours is not looked at.
pub(super) struct Standing {
    /// What is there, as one text.
    pub(super) shown: String,
    /// What is to come in.
    add: Vec<(String, String)>,
    /// What is to go out.
    remove: Vec<String>,
}

impl Standing {
    pub(super) fn fits(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

pub(super) fn standing(
    name: &str,
    items: &Items,
    applied: &AppliedStatus,
    seen: &ObservedServer,
) -> Standing {
    let none = BTreeMap::new();
    let there = seen.items.get(name).unwrap_or(&none);
    if items.nameless {
        return nameless::standing(name, items, applied, there);
    }
    let own = |key: &str| applied.own.contains(&entry(name, key));
    let ours = |key: &str| own(key) || applied.sent.contains(&entry(name, key));
    // Under which name the cloud shows it is not known: it is believed to be there once it was brought in.
    let has = |key: &str| match there.get(key) {
        None if items.hides(key) && own(key) => items.all.get(key),
        found => found,
    };
    let add = items.all.iter().filter(|(key, value)| has(key) != Some(value));
    let hidden = applied.own.iter().chain(&applied.sent);
    let hidden = hidden.filter_map(|e| e.strip_prefix(name)?.strip_prefix('/'));
    let hidden = hidden.filter(|key| items.hides(key));
    let remove: BTreeSet<&str> = there
        .keys()
        .map(String::as_str)
        .filter(|key| ours(key))
        .chain(hidden)
        .filter(|key| !items.all.contains_key(*key))
        .collect();
    let looked_at = there.keys().filter(|key| ours(key)).chain(items.all.keys());
    let shown = looked_at
        .filter_map(|key| Some((key.clone(), has(key)?.clone())))
        .collect();
    Standing {
        add: add.map(|(k, v)| (k.clone(), v.clone())).collect(),
        remove: remove.into_iter().map(str::to_owned).collect(),
        shown: Items::text(&shown),
    }
}

/// A key as it is remembered.
fn entry(name: &str, key: &str) -> String {
    if key.chars().count() <= KEY {
        return format!("{name}/{key}");
    }
    format!("{name}/{}#{:016x}", bounded(key, KEY - 17), hash(key))
}

fn is_of(name: &str) -> impl Fn(&String) -> bool + '_ {
    move |entry| entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
}

fn tidy(list: &mut Vec<String>, most: usize) {
    list.sort();
    list.dedup();
    list.truncate(most);
}

/// Remembers that a set is as wished for.
pub(super) fn fulfilled(applied: &mut AppliedStatus, wish: &WantedAttribute, seen: &ObservedServer) {
    let Some(items) = &wish.items else {
        return;
    };
    if items.nameless {
        return nameless::fulfilled(applied, wish.name, items, seen);
    }
    applied.sent.retain(|e| !is_of(wish.name)(e));
    applied.own.retain(|e| !is_of(wish.name)(e));
    applied
        .own
        .extend(items.all.keys().map(|key| entry(wish.name, key)));
    tidy(&mut applied.own, OWN);
}

/// Remembers that a server is made with a set.
pub(super) fn made(applied: &mut AppliedStatus, wish: &WantedAttribute) {
    let items = wish.items.iter();
    let keys = items.flat_map(|i| i.all.keys().filter(|key| !i.nameless || i.hides(key)));
    applied.own.extend(keys.map(|key| entry(wish.name, key)));
    if wish.items.as_ref().is_some_and(|i| i.nameless) {
        applied.own.push(entry(wish.name, nameless::ALL));
    }
    tidy(&mut applied.own, OWN);
}

/// Remembers that all is ours that a server gets without a wish.
pub(super) fn come_with(applied: &mut AppliedStatus, can: &Capabilities) {
    let all = can.comes_with.iter().map(|set| entry(set, nameless::ALL));
    applied.own.extend(all);
    tidy(&mut applied.own, OWN);
}

/// Whether something that a server got without a wish is not known by its identity yet.
pub(super) fn unnamed(d: &Draft<'_>, can: &Capabilities) -> bool {
    let all = |set: &&str| entry(set, nameless::ALL);
    let own = d.status.applied.as_ref().map(|a| &a.own);
    own.is_some_and(|own| can.comes_with.iter().any(|set| own.contains(&all(set))))
}

/// What a server got without a wish is known by its identity as soon as the cloud tells it: what others bring in later is
/// theirs.
pub(super) fn came_with(applied: &mut AppliedStatus, can: &Capabilities, seen: &ObservedServer) {
    for set in can.comes_with {
        if let Some(there) = seen.items.get(*set) {
            nameless::came_with(applied, set, there);
        }
    }
}

/// Of a server that was not made here: what it has of the wish is ours from now on, the rest was never brought in.
pub(super) fn first_seen(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer) {
    let wanted = wanted(d, facts);
    let Some(applied) = &mut d.status.applied else {
        return;
    };
    for wish in wanted {
        let there = seen.items.get(wish.name);
        if let Some(items) = wish.items.as_ref().filter(|i| i.nameless) {
            nameless::first_seen(applied, wish.name, items, seen);
            continue;
        }
        let lacks = |(key, value): (&String, &String)| {
            (there.and_then(|t| t.get(key)) != Some(value)).then(|| entry(wish.name, key))
        };
        let lacking: Vec<String> = wish.items.iter().flat_map(|i| &i.all).filter_map(lacks).collect();
        applied.own.retain(|e| !lacking.contains(e));
    }
}

/// The next step towards a set: what comes in goes before what goes out.
pub(super) fn step(
    wish: &WantedAttribute,
    applied: &AppliedStatus,
    seen: &ObservedServer,
) -> Option<ItemChange> {
    let items = wish.items.as_ref()?;
    let mut standing = standing(wish.name, items, applied, seen);
    let at_once = items.at_once.max(1);
    if standing.add.is_empty() {
        standing.remove.truncate(at_once.min(OUT));
    } else {
        standing.add.truncate(at_once);
        standing.remove.clear();
    }
    for (key, value) in &mut standing.add {
        if let Some(how) = items.how.get(key) {
            value.clone_from(how);
        }
    }
    let none = BTreeMap::new();
    let there = seen.items.get(wish.name).unwrap_or(&none);
    let compared = match items.nameless {
        true => nameless::compared(wish.name, applied, there, &standing.add),
        false => there.keys().cloned().collect(),
    };
    Some(ItemChange {
        name: wish.name,
        add: standing.add,
        remove: standing.remove,
        keep: items.all.keys().cloned().collect(),
        seen: compared,
    })
}

/// What is written down before a step is sent. What an earlier call may have brought in can still turn up.
pub(super) fn record(
    applied: &mut AppliedStatus,
    wish: &WantedAttribute,
    change: &ItemChange,
    seen: &ObservedServer,
) {
    let keys = change.add.iter().map(|(key, _)| key).chain(&change.remove);
    let mut sent: Vec<String> = if wish.items.as_ref().is_some_and(|i| i.nameless) {
        nameless::begin(applied, change, seen)
    } else {
        keys.map(|key| entry(change.name, key)).collect()
    };
    sent.append(&mut applied.sent);
    tidy(&mut sent, SENT);
    applied.sent = sent;
}

/// A refusal for good: what was to come in did not.
pub(super) fn refused(d: &mut Draft<'_>, op: &Operation) {
    let name = op.argument.clone().unwrap_or_default();
    if let Some(applied) = &mut d.status.applied {
        applied.sent.retain(|e| !is_of(&name)(e));
    }
}

/// How a step ended; none where the operation is no such step.
pub(super) fn ended(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
    accepted: bool,
) -> Option<Progress> {
    let name = op.argument.clone()?;
    let wish = wanted(d, facts).into_iter().find(|w| w.name == name)?;
    let items = wish.items.as_ref()?;
    let listed = seen.detailed;
    let since = match d.outcome(&key_of(op)) {
        Some(Outcome::Accepted(at, _)) => *at,
        _ => later(op.started_at, lost_after(d, facts, op)),
    };
    let Some(seen) = &details::things(d, seen, Some(since)) else {
        details::ask(d, &seen.id);
        let overdue = d.now() >= op.deadline;
        return Some(Progress::Open(if overdue {
            timeout(op)
        } else {
            saying(d, op.kind)
        }));
    };
    let applied = d.status.applied.as_ref()?;
    let none = BTreeMap::new();
    let there = seen.items.get(&name).unwrap_or(&none);
    let of_step = |key: &str| applied.sent.contains(&entry(&name, key));
    // What comes in is there with its value; what goes out is not there.
    let open = |key: &str| there.get(key) != items.all.get(key) && !(items.hides(key) && accepted);
    let keys: BTreeSet<&String> = items
        .all
        .keys()
        .chain(there.keys())
        .filter(|k| of_step(k))
        .collect();
    // Of what the cloud shows under another name nothing but its answer tells.
    let mut sent = applied
        .sent
        .iter()
        .filter_map(|e| e.strip_prefix(&name)?.strip_prefix('/'));
    let untold = !accepted && sent.any(|key| items.hides(key));
    let done = if items.nameless {
        nameless::done(&name, items, applied, seen, accepted)
    } else {
        !untold && !keys.iter().any(|key| open(key))
    };
    if accepted && !done && d.now() < op.deadline {
        d.again(op.deadline);
        if !listed {
            details::ask(d, &seen.id);
        }
        return Some(Progress::Open(saying(d, op.kind)));
    }
    let known = applied.settings.iter().find(|s| s.name == name);
    // A wish that changed meanwhile is compared anew, whatever the cloud did.
    if accepted && !done && known.is_some_and(|k| k.text.as_deref() == Some(&text(&wish.value))) {
        let words = format!("the cloud took the change of {name}, and does not show it");
        let error = CloudError::new(ErrorClass::InvalidSpec, words);
        super::refused(d, op, &error);
        return Some(close(d));
    }
    let told = accepted || (done && !(items.nameless && nameless::any_half_done(&name, items, applied)));
    let applied = d.status.applied.as_mut()?;
    if told && items.nameless {
        let note = nameless::told(applied, &name, items, seen);
        d.event(false, Reason::Modified, "Modify", bounded(&note, LENGTH));
    } else if told {
        let (sent, others) = std::mem::take(&mut applied.sent)
            .into_iter()
            .partition(is_of(&name));
        let told: Vec<String> = sent;
        let words: Vec<&str> = told
            .iter()
            .filter_map(|e| e.split_once('/').map(|(_, key)| key))
            .collect();
        let note = format!(
            "changed in place: {name} ({})",
            bounded(&words.join(", "), LENGTH)
        );
        applied.sent = others;
        applied.own.extend(told);
        let left: Vec<String> = items
            .all
            .keys()
            .chain(there.keys())
            .map(|k| entry(&name, k))
            .collect();
        applied.own.retain(|e| !is_of(&name)(e) || left.contains(e));
        tidy(&mut applied.own, OWN);
        d.event(false, Reason::Modified, "Modify", note);
    }
    // What is left of the wish is seen when it is compared.
    let settings = d.status.applied.iter_mut().flat_map(|a| &mut a.settings);
    settings.filter(|s| s.name == name).for_each(|s| s.text = None);
    Some(close(d))
}
