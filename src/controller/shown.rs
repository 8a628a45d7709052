//! Objects as the API server shows them: one that cannot be read does not spoil the list that it is in, and what nobody
//! here reads is not even decoded.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object, or why it cannot be read. It has no `managedFields`: they are often half of it.
#[derive(Clone, Debug)]
pub(crate) struct Shown<K>(pub(crate) Result<K, Unreadable>);

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// What is wrong with it.
    pub(crate) error: String,
    /// Its metadata can always be read.
    pub(crate) metadata: ObjectMeta,
}

impl<K> Shown<K> {
    /// The object, where nothing can be done without it.
    pub(crate) fn whole(self) -> Result<K, kube::Error> {
        let unreadable = |bad: Unreadable| kube::Error::SerdeError(serde_json::Error::custom(bad.error));
        self.0.map_err(unreadable)
    }
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    metadata: Option<Managed<'a>>,
}

#[derive(Deserialize)]
struct Managed<'a> {
    #[serde(borrow, rename = "managedFields")]
    fields: Option<&'a RawValue>,
}

/// The text of an object without its `managedFields`.
fn lean(text: &str) -> Cow<'_, str> {
    let outer = serde_json::from_str::<Outer<'_>>(text).ok();
    let Some(fields) = outer.and_then(|o| o.metadata?.fields).map(RawValue::get) else {
        return Cow::Borrowed(text);
    };
    // It is a part of the text.
    let Some(at) = (fields.as_ptr() as usize).checked_sub(text.as_ptr() as usize) else {
        return Cow::Borrowed(text);
    };
    match (text.get(..at), text.get(at + fields.len()..)) {
        (Some(head), Some(tail)) => Cow::Owned([head, "null", tail].concat()),
        _ => Cow::Borrowed(text),
    }
}

impl<'de, K: DeserializeOwned + Resource> Deserialize<'de> for Shown<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Straight from the text, also in an event of a watch: the server writes its type before its object.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = lean(raw.get());
        match serde_json::from_str(&text) {
            Ok(object) => Ok(Self(Ok(object))),
            Err(error) => {
                let bare: PartialObjectMeta<K> = serde_json::from_str(&text).map_err(D::Error::custom)?;
                Ok(Self(Err(Unreadable {
                    error: error.to_string(),
                    metadata: bare.metadata,
                })))
            }
        }
    }
}

impl<K: Resource> Resource for Shown<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|bad| &bad.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|bad| &mut bad.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Server;
    use kube::core::{ObjectList, WatchEvent};

    const GOOD: &str = r#"{"apiVersion":"evenkeel.dev/v1alpha1","kind":"Server","metadata":{"name":"a","uid":"u",
        "managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{"f:size":{}}}}],"generation":3},
        "spec":{"providerConfigRef":{"name":"c"},"size":{"name":"s"},"image":{"name":"managedFields"}}}"#;
    const BAD: &str = r#"{"metadata":{"name":"b","uid":"v","resourceVersion":"7"},"spec":{"size":7}}"#;

    #[test]
    fn one_that_cannot_be_read_spoils_no_list_and_nothing_is_kept_of_managed_fields() {
        let text = format!(r#"{{"kind":"ServerList","metadata":{{}},"items":[{BAD},{GOOD}]}}"#);
        let list: ObjectList<Shown<Server>> = serde_json::from_str(&text).unwrap();
        let (bad, good) = (&list.items[0], &list.items[1]);
        assert!(
            bad.0
                .as_ref()
                .unwrap_err()
                .error
                .contains("invalid type: integer `7`")
        );
        assert_eq!(bad.meta().resource_version.as_deref(), Some("7"));
        assert!(
            bad.clone()
                .whole()
                .unwrap_err()
                .to_string()
                .contains("integer `7`")
        );
        let good = good.0.as_ref().unwrap();
        assert_eq!(
            (&good.metadata.managed_fields, good.metadata.generation),
            (&None, Some(3))
        );
        let image = good.spec.image.as_ref().unwrap();
        assert_eq!(image.text(), "managedFields");
    }

    #[test]
    fn an_event_of_a_watch_shows_one_too() {
        let event = format!(r#"{{"type":"MODIFIED","object":{GOOD}}}"#);
        let WatchEvent::Modified(shown) = serde_json::from_str::<WatchEvent<Shown<Server>>>(&event).unwrap()
        else {
            panic!("{event}");
        };
        assert_eq!(shown.meta().managed_fields, None);
        assert_eq!(shown.whole().unwrap().metadata.name.as_deref(), Some("a"));
        serde_json::from_str::<Shown<Server>>(r#"{"metadata":7}"#).unwrap_err();
    }
}
