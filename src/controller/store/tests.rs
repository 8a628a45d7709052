//! What a store keeps, and what it never lets back in.

use super::*;
use crate::api::Server;
use serde_json::json;

fn server(name: &str, uid: &str, version: &str, generation: i64) -> Server {
    serde_json::from_value(json!({
        "apiVersion": "evenkeel.dev/v1alpha1", "kind": "Server",
        "metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": version,
                     "generation": generation},
        "spec": {"providerConfigRef": {"name": "c"}}
    }))
    .unwrap()
}

fn guard(s: Server) -> Shown<Server> {
    Shown(Ok(s))
}

fn version(store: &Store<Server>, name: &str) -> Option<String> {
    store
        .get(&ObjectKey::new("n", name))?
        .metadata
        .resource_version
        .clone()
}

#[test]
fn a_late_event_never_brings_back_what_we_replaced() {
    for (first, second, third) in [("5", "7", "9"), ("a", "b", "c")] {
        let store = Store::new([None]);
        store.event(None, Event::Apply(guard(server("s", "u", first, 1))));
        store.put(server("s", "u", second, 1));
        store.put(server("s", "u", third, 1));
        for late in [first, second, third] {
            assert_eq!(
                store.event(None, Event::Apply(guard(server("s", "u", late, 1)))),
                vec![],
                "{late}"
            );
            assert_eq!(version(&store, "s").as_deref(), Some(third));
        }
    }
}

#[test]
fn tells_a_changed_wish_from_other_changes() {
    let store = Store::new([None]);
    let what = |event| {
        store
            .event(None, event)
            .into_iter()
            .map(|c| c.what)
            .collect::<Vec<_>>()
    };
    assert_eq!(what(Event::Apply(guard(server("s", "u", "1", 1)))), [What::Wish]);
    assert_eq!(what(Event::Apply(guard(server("s", "u", "2", 1)))), [What::Other]);
    assert_eq!(what(Event::Apply(guard(server("s", "u", "3", 2)))), [What::Wish]);
    assert_eq!(what(Event::Apply(guard(server("s", "v", "4", 1)))), [What::Wish]);
    assert!(!store.lives("u") && store.lives("v"));
    assert_eq!(what(Event::Delete(guard(server("s", "u", "5", 1)))), []);
    assert_eq!(what(Event::Delete(guard(server("s", "v", "5", 1)))), [What::Gone]);
    assert!(!store.lives("v"));
}

#[test]
fn a_list_replaces_its_scope_and_an_unreadable_object_stalls_nothing() {
    let (a, b) = (Some("n".to_owned()), Some("m".to_owned()));
    let store: Store<Server> = Store::new([a, b]);
    let done = |scope: &str| store.event(Some(scope), Event::InitDone);
    store.event(Some("n"), Event::Init);
    store.event(Some("n"), Event::InitApply(guard(server("s", "u", "1", 1))));
    let bad: Shown<Server> = serde_json::from_value(json!({
        "metadata": {"name": "bad", "namespace": "n", "uid": "w", "resourceVersion": "2"}, "spec": {"size": 7}
    }))
    .unwrap();
    let changes = store.event(Some("n"), Event::InitApply(bad));
    assert!(matches!(changes[0].what, What::Unreadable(_)));
    done("n");
    assert!(!*store.synced().borrow() && store.not_ready().len() == 1);
    store.event(Some("m"), Event::Init);
    assert_eq!(done("m"), vec![], "another namespace's objects stay");
    assert!(*store.synced().borrow() && store.lives("u") && store.lives("w"));
    store.event(Some("n"), Event::Init);
    assert_eq!(done("n").len(), 2);
    assert!(store.all().is_empty());
}

/// A definition that an older installation lacks keeps nothing else from being served.
#[test]
fn a_kind_that_cannot_be_listed_is_waited_for_unless_it_is_optional() {
    let store: Store<Server> = Store::new([None]);
    store.trouble(None, Some("not installed".into()));
    assert!(!*store.synced().borrow() && store.not_ready().len() == 1);
    let store: Store<Server> = Store::optional([None]);
    assert!(!*store.synced().borrow(), "it is tried first");
    store.trouble(None, Some("not installed".into()));
    assert!(*store.synced().borrow() && store.not_ready().is_empty());
    assert_eq!(store.troubled().len(), 1, "and said");
}

#[test]
fn what_we_know_to_be_gone_does_not_come_back() {
    let store = Store::new([None]);
    let key = ObjectKey::new("n", "s");
    store.event(None, Event::Apply(guard(server("s", "u", "1", 1))));
    store.gone(&key, "u");
    store.event(None, Event::Apply(guard(server("s", "u", "2", 1))));
    assert!(store.get(&key).is_none() && !store.lives("u"));
    store.event(None, Event::Apply(guard(server("s", "v", "3", 1))));
    assert!(store.get(&key).is_some());
}
