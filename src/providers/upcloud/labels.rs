//! Labels: our marks among them, those that our owner wishes, and everybody else's. A change of labels replaces the
//! whole list, so that the others' are written again with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::wire::{Label, Many};
use crate::planner::model::{CloudError, ErrorClass, Marks};

/// The label of the object's uid. Keys of ours have 2 to 32 lower-case letters and digits: every variant of the rules
/// for keys allows them, of servers, of groups and of the vendor's tools.
pub(super) const UID: &str = "evenkeeluid";
const INSTALLATION: &str = "evenkeelinstallation";
const OBJECT: &str = "evenkeelobject";
/// The rest of it: a value has at most 255 characters, two Kubernetes names can have more.
const OBJECT_REST: &str = "evenkeelobjectrest";
const ATTEMPT: &str = "evenkeelattempt";
/// Which keys were written for our owner, so that one that is no longer wished can be told from everybody else's.
/// Numbered from the second on.
const KEYS: &str = "evenkeelkeys";
/// Every key that begins so is ours.
const OURS: &str = "evenkeel";

const VALUE_LIMIT: usize = 255;
const KEY_LIMIT: usize = 32;

/// Labels by key.
pub(super) type Labels = BTreeMap<String, String>;

/// Labels as the cloud wrote them.
pub(super) fn read(labels: &Many<Label>) -> Labels {
    let pair = |l: &Label| (l.key.clone(), l.value.clone().unwrap_or_default());
    labels.0.iter().map(pair).collect()
}

/// Labels as the cloud takes them.
pub(super) fn written(labels: &Labels) -> Value {
    let all = labels
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }));
    Value::Array(all.collect())
}

/// Marks as labels.
pub(super) fn of_marks(marks: &Marks, attempt: Option<i32>) -> Labels {
    let mut object = marks.object.chars();
    let head: String = object.by_ref().take(VALUE_LIMIT).collect();
    let rest: String = object.collect();
    let mut all = Labels::from([
        (UID.to_owned(), marks.uid.clone()),
        (INSTALLATION.to_owned(), marks.installation.clone()),
        (OBJECT.to_owned(), head),
    ]);
    if !rest.is_empty() {
        all.insert(OBJECT_REST.to_owned(), rest);
    }
    if let Some(attempt) = attempt {
        all.insert(ATTEMPT.to_owned(), attempt.to_string());
    }
    all
}

/// The marks among labels; none without a uid.
pub(super) fn marks_of(labels: &Labels) -> Option<Marks> {
    let text = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let uid = text(UID);
    (!uid.is_empty()).then(|| Marks {
        uid,
        installation: text(INSTALLATION),
        object: text(OBJECT) + &text(OBJECT_REST),
    })
}

/// Whether a key is one of ours.
fn is_ours(key: &str) -> bool {
    key.starts_with(OURS)
}

/// The keys that were written for our owner.
fn own_keys(labels: &Labels) -> Vec<&str> {
    labels
        .iter()
        .filter(|(key, _)| key.starts_with(KEYS))
        .flat_map(|(_, value)| value.split(','))
        .filter(|key| !key.is_empty())
        .collect()
}

/// The labels that were written for our owner, as one canonical text.
pub(super) fn own_text(labels: &Labels) -> String {
    let own: Labels = own_keys(labels)
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), labels.get(key)?.clone())))
        .collect();
    text(&own)
}

/// Labels as one canonical text.
pub(super) fn text(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}

/// Labels without ours and without the service's own, which begin with an underscore.
pub(super) fn visible(labels: &Labels) -> Labels {
    let shown = |key: &str| !is_ours(key) && !key.starts_with('_');
    labels
        .iter()
        .filter(|(key, _)| shown(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The labels that our owner wishes, and the list of their keys.
///
/// # Errors
/// Class `InvalidSpec`: UpCloud takes no such key or value, or not so many.
pub(super) fn wished(wish: &Labels) -> Result<Labels, CloudError> {
    let invalid = |words: String| Err(CloudError::new(ErrorClass::InvalidSpec, words));
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (key, value) in wish {
        if key.is_empty() || key.len() > KEY_LIMIT || key.starts_with('_') || !key.chars().all(letter) {
            return invalid(format!(
                "label {key:?}: UpCloud's label keys have 1 to 32 letters, digits, - and _, and do not begin with _"
            ));
        }
        if is_ours(key) {
            return invalid(format!(
                "label {key:?}: keys that begin with evenkeel are reserved"
            ));
        }
        if value.chars().count() > VALUE_LIMIT {
            return invalid(format!("label {key:?}: a value has at most 255 characters"));
        }
    }
    let mut lists = vec![String::new()];
    for key in wish.keys() {
        match lists.last_mut() {
            Some(last) if last.is_empty() => last.push_str(key),
            Some(last) if last.len() + 1 + key.len() <= VALUE_LIMIT => {
                last.push(',');
                last.push_str(key);
            }
            _ => lists.push(key.clone()),
        }
    }
    let numbered = |n: usize| {
        if n == 0 {
            KEYS.to_owned()
        } else {
            format!("{KEYS}{n}")
        }
    };
    let lists = lists.into_iter().enumerate().filter(|(_, list)| !list.is_empty());
    let lists = lists.map(|(n, list)| (numbered(n), list));
    Ok(wish.clone().into_iter().chain(lists).collect())
}

/// The whole list with what our owner wishes now: everybody else's labels and our marks stay.
pub(super) fn with_wish(labels: &Labels, wish: &Labels) -> Result<Labels, CloudError> {
    let old = own_keys(labels);
    let stays = |key: &str| !old.contains(&key) && !key.starts_with(KEYS) && !key.starts_with('_');
    let mut all: Labels = labels
        .iter()
        .filter(|(key, _)| stays(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    all.extend(wished(wish)?);
    Ok(all)
}

/// The whole list with these marks in place of any others of ours.
pub(super) fn with_marks(labels: &Labels, marks: &Marks) -> Labels {
    let mut all = without(labels, |key| is_ours(key) && !key.starts_with(KEYS));
    all.extend(of_marks(marks, None));
    all
}

/// The whole list without anything of ours; the labels that our owner wished stay.
pub(super) fn without_marks(labels: &Labels) -> Labels {
    without(labels, is_ours)
}

fn without(labels: &Labels, goes: impl Fn(&str) -> bool) -> Labels {
    // The service's own cannot be written.
    labels
        .iter()
        .filter(|(key, _)| !goes(key) && !key.starts_with('_'))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn marks_survive_labels_whatever_their_length() {
        for name in ["web".to_owned(), "x".repeat(253)] {
            let marks = Marks {
                uid: "u".into(),
                installation: "i".into(),
                object: format!("{}/{name}", "n".repeat(63)),
            };
            let all = of_marks(&marks, Some(3));
            assert!(all.values().all(|v| v.len() <= VALUE_LIMIT));
            let plain = |k: &String| k.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            assert!(
                all.keys().all(|k| plain(k) && (2..=32).contains(&k.len())),
                "{all:?}"
            );
            assert_eq!(marks_of(&all), Some(marks));
        }
    }

    #[test]
    fn own_labels_come_and_go_and_everybody_elses_stay() {
        let marks = of_marks(
            &Marks {
                uid: "u".into(),
                ..Marks::default()
            },
            Some(1),
        );
        let mut there = labels(&[("env", "prod"), ("_service", "x")]);
        there.extend(marks.clone());
        let first = with_wish(&there, &labels(&[("team", "blue"), ("tier", "1")])).unwrap();
        assert_eq!(own_text(&first), r#"{"team":"blue","tier":"1"}"#);
        let second = with_wish(&first, &labels(&[("team", "red")])).unwrap();
        assert_eq!(own_text(&second), r#"{"team":"red"}"#);
        assert_eq!(second.get("env").map(String::as_str), Some("prod"));
        assert!(!second.contains_key("tier") && !second.contains_key("_service"));
        assert!(marks.iter().all(|(k, v)| second.get(k) == Some(v)));
        let last = with_wish(&second, &Labels::new()).unwrap();
        assert_eq!(own_text(&last), "{}");
        assert!(!last.keys().any(|k| k.starts_with(KEYS)));
        assert_eq!(
            without_marks(&second),
            labels(&[("env", "prod"), ("team", "red")])
        );
    }

    #[test]
    fn many_keys_are_listed_in_several_labels() {
        let many: Labels = (0..64).map(|n| (format!("{n:032}"), n.to_string())).collect();
        let all = wished(&many).unwrap();
        assert!(all.values().all(|v| v.len() <= VALUE_LIMIT));
        assert_eq!(own_text(&all), text(&many));
    }

    #[test]
    fn what_the_cloud_takes_not_is_refused_before_it_is_sent() {
        for (key, value) in [
            ("app.kubernetes.io/name", "x".to_owned()),
            ("_private", "x".to_owned()),
            ("", "x".to_owned()),
            ("evenkeeluid", "x".to_owned()),
            ("long", "x".repeat(256)),
        ] {
            let error = wished(&labels(&[(key, &value)])).unwrap_err();
            assert_eq!(error.class, ErrorClass::InvalidSpec, "{key}");
        }
        assert!(wished(&labels(&[("managedBy", "x"), ("a-b_c", "")])).is_ok());
    }
}
