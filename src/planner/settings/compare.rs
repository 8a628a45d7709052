//! What is wished for beside what the cloud shows, and beside what was carried out before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{carried_out, fits, items, none_wanted, remember, text, wanted};
use crate::api::Reason;
use crate::api::conditions::{self, ConditionType, bounded};
use crate::api::server_status::{AppliedStatus, SettingStatus};
use crate::planner::draft::Draft;
use crate::planner::model::{ADMIN_PASSWORD, ObservedServer, WantedAttribute};
use crate::planner::{AccountFacts, details};

/// What is said of a set of which nothing is known.
const UNTOLD: &str = "is compared once the cloud tells what is there";

/// Whether it is a set, and nothing is known of its things.
fn untold(wish: &WantedAttribute, seen: &ObservedServer) -> bool {
    let of_things = wish.items.as_ref().is_some_and(|i| i.nameless || !seen.detailed);
    of_things && !seen.items.contains_key(wish.name)
}

fn differs(wish: &WantedAttribute, drift: &str, wanted: &str) -> String {
    format!("{} is {drift:?}, {wanted:?} is declared", wish.name)
}

/// The server with the things of its sets. Those that a list leaves out are asked for where a wish waits for them; then
/// `true`.
pub(super) fn told<'s>(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &'s ObservedServer,
) -> (Cow<'s, ObservedServer>, bool) {
    if seen.detailed {
        return (Cow::Borrowed(seen), false);
    }
    let mut wanted = wanted(d, facts);
    wanted.retain(|w| untold(w, seen));
    if wanted.is_empty() {
        return (Cow::Borrowed(seen), false);
    }
    let waits = |wish: &WantedAttribute| {
        let Some(applied) = &d.status.applied else {
            return !wish.blank();
        };
        let value = Some(text(&wish.value));
        match applied.settings.iter().find(|s| s.name == wish.name) {
            Some(known) => known.text != value && known.refused != value,
            None => !wish.blank(),
        }
    };
    let waits = wanted.iter().any(waits);
    // What waits is told by what was told last; at rest only what was told lately counts.
    let told = details::things(d, seen, None).filter(|_| waits || details::fresh(d, seen));
    if let Some(whole) = told {
        return (Cow::Owned(whole), false);
    }
    if waits {
        details::ask(d, &seen.id);
    }
    (Cow::Borrowed(seen), waits)
}

/// Compares what the cloud shows with what is remembered; returns what has to be changed, and the words on what was
/// changed in vain.
pub(super) fn compare(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
) -> (Vec<WantedAttribute>, Option<String>) {
    if items::unnamed(d, facts.capabilities)
        && let (Some(told), Some(applied)) = (details::things(d, seen, None), &mut d.status.applied)
    {
        items::came_with(applied, facts.capabilities, &told);
    }
    let mut wanted = wanted(d, facts);
    let known = d.status.applied.as_ref().map(|a| a.settings.as_slice());
    // Nothing was carried out for what is not wished for.
    wanted.retain(|w| !w.blank() || known.is_some_and(|all| all.iter().any(|s| s.name == w.name)));
    if wanted.is_empty() {
        none_wanted(d, facts);
        conditions::remove(&mut d.status.conditions, ConditionType::SettingsSynced);
        return (wanted, None);
    }
    if d.status.applied.is_none() {
        if let Some(name) = wanted.iter().find(|w| untold(w, seen)).map(|w| w.name) {
            return (Vec::new(), Some(format!("{name} {UNTOLD}")));
        }
        // First seen, or taken over: recorded, not acted on.
        remember(d, facts, |_| true);
        items::first_seen(d, facts, seen);
        taken_over(d);
    }
    let retry = d.status.last_handled_retry != d.old.last_handled_retry;
    let applied = d.status.applied.get_or_insert_with(AppliedStatus::default);
    let mut old = std::mem::take(&mut applied.settings);
    let (mut settings, mut changed) = (Vec::new(), Vec::new());
    let (mut drifts, mut kept) = (Vec::new(), Vec::new());
    for wish in wanted {
        let at = old.iter().position(|s| s.name == wish.name);
        let mut known = at.map_or_else(
            || SettingStatus {
                name: wish.name.to_owned(),
                ..SettingStatus::default()
            },
            |at| old.swap_remove(at),
        );
        let wanted = text(&wish.value);
        let (is, shown) = if let Some(items) = &wish.items {
            let standing = items::standing(wish.name, items, applied, seen);
            (Some(standing.fits()), Some(text(&standing.shown)))
        } else {
            let shown = seen.attributes.get(wish.name);
            (shown.map(|shown| fits(&wish, shown)), shown.map(|v| text(v)))
        };
        if retry || known.text.as_ref() == Some(&wanted) {
            (known.refused, known.message) = (None, None);
        }
        // Nothing is known of its things: nothing is compared.
        if untold(&wish, seen) {
            if known.text.as_ref() != Some(&wanted) {
                kept.push(format!("{} is to be changed: it {UNTOLD}", wish.name));
            } else if let Some(drift) = &known.drift {
                drifts.push(differs(&wish, drift, &wanted));
            }
            settings.push(known);
            continue;
        }
        let carrier = wish.items.as_ref().and_then(|items| items.carried_by);
        let bare = carrier.filter(|set| seen.items.get(*set).is_some_and(BTreeMap::is_empty));
        if let Some(set) = bare.filter(|_| is == Some(false)) {
            if known.text.as_ref() != Some(&wanted) {
                let name = wish.name;
                kept.push(format!(
                    "{name} is to be changed: it needs {set}, and the server has none"
                ));
            }
            known.drift = None;
        } else if wish.fixed {
            if known.text.as_deref().unwrap_or_default() != wanted {
                let made = known
                    .text
                    .as_deref()
                    .filter(|t| !t.is_empty())
                    .unwrap_or("nothing");
                let now = if wanted.is_empty() { "nothing" } else { &wanted };
                kept.push(format!(
                    "{} was {made} when the server was made, and is not applied: {now}",
                    wish.name
                ));
            }
        } else if known.text.as_ref() == Some(&wanted) {
            if is == Some(true) {
                items::fulfilled(applied, &wish, seen);
            }
            if let Some(shown) = shown {
                // A cloud may write a text in its own way: only another one than at first is a change.
                let first = known.shown.get_or_insert_with(|| shown.clone());
                let differs = is == Some(false) && (wish.verified || *first != shown);
                known.drift = differs.then_some(shown);
            }
            if let Some(drift) = &known.drift {
                drifts.push(differs(&wish, drift, &wanted));
            }
        } else if is == Some(true) {
            items::fulfilled(applied, &wish, seen);
            // A set that is empty again is as if it had never been wished for.
            if wish.blank() {
                continue;
            }
            known = SettingStatus {
                shown,
                ..carried_out(&wish)
            };
        } else if known.refused.as_ref() != Some(&wanted) {
            let needs_stop = wish.needs_stop || known.needs_stop;
            changed.push(WantedAttribute { needs_stop, ..wish });
        }
        settings.push(known);
    }
    applied.settings = settings;
    if d.status.applied.as_ref().is_some_and(|a| a.settings.is_empty()) {
        conditions::remove(&mut d.status.conditions, ConditionType::SettingsSynced);
    }
    if !drifts.is_empty() {
        let text = format!("{}; set from outside, it is only shown", drifts.join("; "));
        d.drifts.push((Reason::SettingsDrift, bounded(&text, 900)));
    }
    let kept = (!kept.is_empty()).then(|| bounded(&kept.join("; "), 900));
    (changed, kept)
}

/// The texts of a server that is seen first were not written for this object: another one than what is wished for is shown,
/// as one that was changed from outside is.
fn taken_over(d: &mut Draft<'_>) {
    let settings = d.status.applied.iter_mut().flat_map(|a| &mut a.settings);
    for known in settings.filter(|s| s.shown.is_none()) {
        known.shown.clone_from(&known.text);
    }
}

/// What is said of settings that are as declared, as far as the cloud shows them.
pub(super) fn unseen(d: &Draft<'_>, facts: &AccountFacts, id: &str, seen: &ObservedServer) -> String {
    let meaning = Reason::Synced.meaning();
    // Whose lists leave things out shows them elsewhere.
    if facts.listing.servers.get(id).is_none_or(|s| !s.detailed) {
        return meaning.to_owned();
    }
    let shows = |w: &WantedAttribute| w.fixed || w.items.is_some() || w.name == ADMIN_PASSWORD;
    let wanted = wanted(d, facts);
    let unseen = wanted
        .iter()
        .filter(|w| !shows(w) && !seen.attributes.contains_key(w.name));
    match unseen.map(|w| w.name).collect::<Vec<_>>().as_slice() {
        [] => meaning.to_owned(),
        names => format!(
            "{meaning} The cloud does not show, and nobody can compare: {}.",
            names.join(", ")
        ),
    }
}
