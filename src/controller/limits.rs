//! How many objects of a ProviderConfig may create or disrupt at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::observer::{ObjectKey, ObjectKind};
use crate::planner::Takes;

/// So many waiting objects are woken for each place that becomes free.
const WOKEN: usize = 2;

/// The places that are taken, and who was refused one.
#[derive(Debug, Default)]
pub(crate) struct Limits(HashMap<ObjectKey, Config>);

#[derive(Debug, Default)]
struct Config {
    takes: HashMap<String, Takes>,
    creates: i32,
    disruptions: i32,
    refused: BTreeMap<ObjectKey, Takes>,
}

impl Limits {
    /// Whether there is room for one more create, and one more disruption, beside what others take.
    pub(crate) fn free(&self, config: &ObjectKey, uid: &str, creates: i32, disruptions: i32) -> (bool, bool) {
        let Some(state) = self.0.get(config) else {
            return (creates > 0, disruptions > 0);
        };
        let own = state.takes.get(uid).copied().unwrap_or_default();
        (
            state.creates - i32::from(own.create) < creates,
            state.disruptions - i32::from(own.disruption) < disruptions,
        )
    }

    /// Records what an object takes from now on, and what it would have liked to be free. Returns who may
    /// take a place that became free.
    pub(crate) fn record(
        &mut self,
        config: &ObjectKey,
        uid: &str,
        object: &ObjectKey,
        takes: Takes,
        missed: Takes,
    ) -> Vec<ObjectKey> {
        let state = self.0.entry(config.clone()).or_default();
        let before = state.takes.get(uid).copied().unwrap_or_default();
        state.creates += i32::from(takes.create) - i32::from(before.create);
        state.disruptions += i32::from(takes.disruption) - i32::from(before.disruption);
        if takes == Takes::default() {
            state.takes.remove(uid);
        } else {
            state.takes.insert(uid.to_owned(), takes);
        }
        if missed == Takes::default() {
            state.refused.remove(object);
        } else {
            state.refused.insert(object.clone(), missed);
        }
        let mut woken = BTreeSet::new();
        if before.create && !takes.create {
            woken.extend(state.waiting(|t| t.create));
        }
        if before.disruption && !takes.disruption {
            woken.extend(state.waiting(|t| t.disruption));
        }
        woken.into_iter().collect()
    }

    /// What an object takes.
    pub(crate) fn takes(&self, config: &ObjectKey, uid: &str) -> Takes {
        let state = self.0.get(config);
        state.and_then(|s| s.takes.get(uid)).copied().unwrap_or_default()
    }

    /// An object takes nothing of any group but this one; who may take a place that became free.
    pub(crate) fn leave_groups(
        &mut self,
        uid: &str,
        object: &ObjectKey,
        but: Option<&ObjectKey>,
    ) -> Vec<ObjectKey> {
        let left = self.0.iter().filter(|(key, state)| {
            key.object == ObjectKind::ServerGroup
                && but != Some(*key)
                && (state.takes.contains_key(uid) || state.refused.contains_key(object))
        });
        let left: Vec<ObjectKey> = left.map(|(key, _)| key.clone()).collect();
        let gone = |c: &ObjectKey| self.record(c, uid, object, Takes::default(), Takes::default());
        left.iter().flat_map(gone).collect()
    }

    /// An object is gone; `config` is its ProviderConfig where that is known.
    pub(crate) fn forget(
        &mut self,
        config: Option<&ObjectKey>,
        uid: &str,
        object: &ObjectKey,
    ) -> Vec<ObjectKey> {
        let concerned = |(c, s): &(&ObjectKey, &Config)| {
            config.is_none_or(|config| config == *c)
                && (s.takes.contains_key(uid) || s.refused.contains_key(object))
        };
        let configs: Vec<ObjectKey> = self.0.iter().filter(concerned).map(|(c, _)| c.clone()).collect();
        let gone = |c: &ObjectKey| self.record(c, uid, object, Takes::default(), Takes::default());
        configs.iter().flat_map(gone).collect()
    }
}

impl Config {
    fn waiting(&self, of: impl Fn(&Takes) -> bool) -> Vec<ObjectKey> {
        self.refused
            .iter()
            .filter(|(_, t)| of(t))
            .take(WOKEN)
            .map(|(k, _)| k.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: Takes = Takes {
        create: true,
        disruption: false,
    };
    const NONE: Takes = Takes {
        create: false,
        disruption: false,
    };

    #[test]
    fn counts_others_and_wakes_who_waits() {
        let config = ObjectKey::new("n", "c");
        let key = |n: &str| ObjectKey::new("n", n);
        let mut limits = Limits::default();
        assert_eq!(limits.free(&config, "a", 1, 1), (true, true));
        assert!(limits.record(&config, "a", &key("a"), CREATE, NONE).is_empty());
        assert_eq!(
            limits.free(&config, "a", 1, 1),
            (true, true),
            "its own place is its own"
        );
        assert_eq!(limits.free(&config, "b", 1, 1), (false, true));
        for name in ["b", "c", "d"] {
            limits.record(&config, name, &key(name), NONE, CREATE);
        }
        assert_eq!(
            limits.record(&config, "a", &key("a"), NONE, NONE),
            [key("b"), key("c")]
        );
        assert_eq!(limits.free(&config, "b", 1, 1), (true, true));
        limits.record(&config, "b", &key("b"), CREATE, NONE);
        assert_eq!(limits.forget(Some(&config), "b", &key("b")), [key("c"), key("d")]);
    }
}
