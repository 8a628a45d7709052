//! Settings that are sets to which others add as well: what they brought in survives, and only what was brought in for
//! our owner is ever taken out.

use std::collections::{BTreeMap, BTreeSet};

use super::{LENGTH, text, wanted};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server_status::{Operation, SettingStatus};
use crate::planner::AccountFacts;
use crate::planner::draft::Draft;
use crate::planner::model::{CloudError, ErrorClass, ItemChange, Items, ObservedServer, WantedAttribute};
use crate::planner::operation::{Progress, close, saying};

/// So many things go out in one call at most: each is a request of its own.
const OUT: usize = 8;
/// So many keys are remembered.
const MOST: usize = 128;

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
    known: Option<&SettingStatus>,
    seen: &ObservedServer,
) -> Standing {
    let none = BTreeMap::new();
    let there = seen.items.get(name).unwrap_or(&none);
    let own = |key: &str| known.is_some_and(|k| k.own.iter().any(|o| o == key));
    // Under which name the cloud shows it is not known: it is believed to be there once it was brought in.
    let has = |key: &str| match there.get(key) {
        None if items.hides(key) && own(key) => items.all.get(key),
        found => found,
    };
    let ours: BTreeSet<&String> = known
        .into_iter()
        .flat_map(|k| k.own.iter().chain(&k.sent))
        .collect();
    let add = items.all.iter().filter(|(key, value)| has(key) != Some(value));
    let remove = ours
        .iter()
        .filter(|key| !items.all.contains_key(**key) && (items.hides(key) || there.contains_key(**key)));
    let looked_at: BTreeSet<&String> = items.all.keys().chain(ours.iter().copied()).collect();
    let shown = looked_at
        .into_iter()
        .filter_map(|key| Some((key.clone(), has(key)?.clone())))
        .collect();
    Standing {
        add: add.map(|(k, v)| (k.clone(), v.clone())).collect(),
        remove: remove.map(|key| (*key).clone()).collect(),
        shown: Items::text(&shown),
    }
}

/// The keys of a wish, as they are remembered.
pub(super) fn keys(wish: &WantedAttribute) -> Vec<String> {
    let items = wish.items.iter().flat_map(|i| i.all.keys().cloned());
    items.take(MOST).collect()
}

/// Of a server that was not made here: what it has of the wish is ours from now on, the rest was never brought in.
pub(super) fn first_seen(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer) {
    let wanted = wanted(d, facts);
    for known in d.status.applied.iter_mut().flat_map(|a| &mut a.settings) {
        let wish = wanted.iter().find(|w| w.name == known.name);
        let Some(items) = wish.and_then(|w| w.items.as_ref()) else {
            continue;
        };
        let there = seen.items.get(&known.name);
        known
            .own
            .retain(|key| items.all.get(key) == there.and_then(|t| t.get(key)));
    }
}

/// The next step towards a set: what comes in goes before what goes out.
pub(super) fn step(
    wish: &WantedAttribute,
    known: Option<&SettingStatus>,
    seen: &ObservedServer,
) -> Option<ItemChange> {
    let items = wish.items.as_ref()?;
    let mut standing = standing(wish.name, items, known, seen);
    let at_once = items.at_once.max(1);
    if standing.add.is_empty() {
        standing.remove.truncate(at_once.min(OUT));
    } else {
        standing.add.truncate(at_once);
        standing.remove.clear();
    }
    Some(ItemChange {
        name: wish.name,
        add: standing.add,
        remove: standing.remove,
    })
}

/// What is written down before a step is sent.
pub(super) fn record(known: &mut SettingStatus, wish: &WantedAttribute, change: &ItemChange) {
    let keys = change.add.iter().map(|(key, _)| key).chain(&change.remove);
    let mut sent: Vec<String> = keys.cloned().collect();
    // What an earlier call may have brought in can still turn up.
    sent.extend(std::mem::take(&mut known.sent));
    sent.sort();
    sent.dedup();
    sent.truncate(MOST);
    *known = SettingStatus {
        name: known.name.clone(),
        text: Some(text(&wish.value)),
        own: std::mem::take(&mut known.own),
        sent,
        ..SettingStatus::default()
    };
}

/// A refusal for good: what was to come in did not.
pub(super) fn refused(known: &mut SettingStatus) {
    known.sent.clear();
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
    let settings = &d.status.applied.as_ref()?.settings;
    let known = settings.iter().find(|s| s.name == name)?.clone();
    let there = seen.items.get(&name);
    let reached = |key: &String| {
        let shown = there.and_then(|t| t.get(key));
        items.hides(key) && accepted || shown == items.all.get(key)
    };
    let done = known.sent.iter().all(reached);
    if accepted && !done && d.now() < op.deadline {
        d.again(op.deadline);
        return Some(Progress::Open(saying(d, op.kind)));
    }
    // A wish that changed meanwhile is compared anew, whatever the cloud did.
    if accepted && !done && known.text.as_deref() == Some(&text(&wish.value)) {
        let words = format!("the cloud took the change of {name}, and does not show it");
        let error = CloudError::new(ErrorClass::InvalidSpec, words);
        super::refused(d, op, &error);
        return Some(close(d));
    }
    let told = accepted || done;
    let keys = known.sent.join(", ");
    let settings = d.status.applied.iter_mut().flat_map(|a| &mut a.settings);
    for known in settings.filter(|s| s.name == name) {
        if told {
            let mut own = std::mem::take(&mut known.own);
            own.extend(std::mem::take(&mut known.sent));
            own.retain(|key| items.all.contains_key(key) || there.is_some_and(|t| t.contains_key(key)));
            own.sort();
            own.dedup();
            own.truncate(MOST);
            known.own = own;
        }
        // What is left is seen when it is compared.
        known.text = None;
    }
    if told {
        let note = format!("changed in place: {name} ({})", bounded(&keys, LENGTH));
        d.event(false, Reason::Modified, "Modify", note);
    }
    Some(close(d))
}
