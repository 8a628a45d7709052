//! The rules of writing: resourceVersion, what a subresource may touch, generation, finalizers.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::error::ApiError;
use super::merge::PatchKind;
use super::resources::Resource;
use super::schema;
use super::store::{Place, Preconditions, Store, Written, seconds, str_at, uid};

/// The metadata that only the server writes.
const SERVER_OWNED: &[&str] = &[
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "name",
    "namespace",
    "generateName",
    "selfLink",
];

impl Store {
    pub(super) fn create(&mut self, place: &Place<'_>, mut object: Value) -> Result<Written, ApiError> {
        let resource = place.resource;
        check_envelope(place, &mut object)?;
        if str_at(&object, "resourceVersion").is_some() {
            return Err(ApiError::new(
                400,
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let name = match (str_at(&object, "name"), str_at(&object, "generateName")) {
            (Some(name), _) => name.to_owned(),
            (None, Some(prefix)) => {
                self.names += 1;
                format!("{prefix}{:05x}", self.names)
            }
            (None, None) => {
                return Err(ApiError::invalid(
                    resource,
                    "",
                    "metadata.name: Required value: name or generateName is required",
                ));
            }
        };
        let key = place.key(&name);
        if self.objects.contains_key(&key) {
            return Err(ApiError::exists(resource, &name));
        }
        if resource.has_status
            && let Value::Object(map) = &mut object
        {
            map.remove("status");
        }
        self.uids += 1;
        let meta = &mut object["metadata"];
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
        ] {
            remove(meta, field);
        }
        meta["name"] = json!(name);
        meta["uid"] = json!(uid(self.uids));
        meta["creationTimestamp"] = json!(seconds(place.now));
        if resource.namespaced {
            meta["namespace"] = json!(place.namespace);
        }
        if resource.has_generation {
            meta["generation"] = json!(1);
        }
        self.finish(resource, &name, &mut object)?;
        let object = self.commit(place, key, None, object, false);
        Ok(Written {
            object,
            changed: true,
            created: true,
            removed: false,
        })
    }

    /// A PUT (`blind` as the resource allows) or what a patch made of the current object.
    pub(super) fn update(
        &mut self,
        place: &Place<'_>,
        name: &str,
        mut new: Value,
        blind: bool,
    ) -> Result<Written, ApiError> {
        let resource = place.resource;
        let key = place.key(name);
        let old = self
            .objects
            .get(&key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        check_envelope(place, &mut new)?;
        if str_at(&new, "name").is_some_and(|n| n != name) {
            return Err(ApiError::new(
                400,
                "the name of the object does not match the name on the URL",
            ));
        }
        match str_at(&new, "resourceVersion") {
            Some(version) if Some(version) != str_at(&old, "resourceVersion") => {
                return Err(ApiError::conflict(resource, name));
            }
            None if !blind => {
                return Err(ApiError::invalid(
                    resource,
                    name,
                    "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update",
                ));
            }
            _ => {}
        }
        if let (Some(want), Some(have)) = (str_at(&new, "uid"), str_at(&old, "uid"))
            && want != have
        {
            return Err(ApiError::precondition(resource, name, "UID", want, have));
        }
        let mut object = if place.status {
            let mut object = (*old).clone();
            set(&mut object, "status", new.get("status").cloned());
            object
        } else {
            if resource.has_status {
                set(&mut new, "status", old.get("status").cloned());
            }
            for field in SERVER_OWNED {
                set(&mut new["metadata"], field, old["metadata"].get(*field).cloned());
            }
            remove(&mut new["metadata"], "managedFields");
            new
        };
        self.finish(resource, name, &mut object)?;
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        if deleting && finalizers(&object).any(|f| !finalizers(&old).any(|o| o == f)) {
            return Err(ApiError::invalid(
                resource,
                name,
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted",
            ));
        }
        if resource.has_generation && !same_spec(&old, &object) {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        }
        if object == *old {
            return Ok(Written {
                object: old,
                changed: false,
                created: false,
                removed: false,
            });
        }
        let removed = deleting && finalizers(&object).next().is_none();
        let object = self.commit(place, key, Some(old), object, removed);
        Ok(Written {
            object,
            changed: true,
            created: false,
            removed,
        })
    }

    pub(super) fn patch(
        &mut self,
        place: &Place<'_>,
        name: &str,
        kind: PatchKind,
        patch: &Value,
    ) -> Result<Written, ApiError> {
        let Some(old) = self.objects.get(&place.key(name)).cloned() else {
            if kind != PatchKind::Apply || place.status {
                return Err(ApiError::not_found(place.resource, name));
            }
            // An apply that names a version or uid means an object that exists.
            if str_at(patch, "resourceVersion").is_some() || str_at(patch, "uid").is_some() {
                return Err(ApiError::conflict(place.resource, name));
            }
            let mut object = patch.clone();
            object["metadata"]["name"] = json!(name);
            return self.create(place, object);
        };
        let schema = self.schemas.get(place.resource.plural).unwrap_or(&Value::Null);
        let new = kind.patch(schema, &old, patch)?;
        self.update(place, name, new, true)
    }

    pub(super) fn delete(
        &mut self,
        place: &Place<'_>,
        name: &str,
        only: &Preconditions,
    ) -> Result<Written, ApiError> {
        let resource = place.resource;
        let key = place.key(name);
        let old = self
            .objects
            .get(&key)
            .cloned()
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        for (what, want, field) in [
            ("UID", &only.uid, "uid"),
            ("ResourceVersion", &only.resource_version, "resourceVersion"),
        ] {
            let have = str_at(&old, field).unwrap_or_default();
            if let Some(want) = want
                && want != have
            {
                return Err(ApiError::precondition(resource, name, what, want, have));
            }
        }
        if finalizers(&old).next().is_none() {
            let last = (*old).clone();
            let object = self.commit(place, key, Some(old), last, true);
            return Ok(Written {
                object,
                changed: true,
                created: false,
                removed: true,
            });
        }
        if !old["metadata"]["deletionTimestamp"].is_null() {
            return Ok(Written {
                object: old,
                changed: false,
                created: false,
                removed: false,
            });
        }
        let mut object = (*old).clone();
        object["metadata"]["deletionTimestamp"] = json!(seconds(place.now));
        object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = json!(generation + 1);
        }
        let object = self.commit(place, key, Some(old), object, false);
        Ok(Written {
            object,
            changed: true,
            created: false,
            removed: false,
        })
    }

    /// Shape, then validate, as every write ends.
    fn finish(&self, resource: &Resource, name: &str, object: &mut Value) -> Result<(), ApiError> {
        if resource.kind == "Secret" {
            super::secret::take_string_data(object);
        }
        if finalizers(object).next().is_none() {
            remove(&mut object["metadata"], "finalizers");
        }
        let Some(schema) = self.schemas.get(resource.plural) else {
            return Ok(());
        };
        schema::shape(schema, object);
        let findings = schema::validate(schema, object);
        if findings.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(resource, name, &findings.join(", ")))
        }
    }
}

/// The envelope must agree with the path; an absent `apiVersion` or `kind` is filled in.
fn check_envelope(place: &Place<'_>, object: &mut Value) -> Result<(), ApiError> {
    let resource = place.resource;
    if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
        return Err(ApiError::new(400, "the body is not an object with metadata"));
    }
    for (field, want) in [
        ("kind", resource.kind.to_owned()),
        ("apiVersion", resource.api_version()),
    ] {
        match object[field].as_str() {
            None => object[field] = json!(want),
            Some(have) if have == want => {}
            Some(have) => {
                return Err(ApiError::new(
                    400,
                    format!("{field} in the data ({have}) does not match the expected {want}"),
                ));
            }
        }
    }
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    match str_at(object, "namespace") {
        Some(ns) if ns != place.namespace => Err(ApiError::new(
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => Ok(()),
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten()
}

/// Whether everything but metadata and status is equal.
fn same_spec(a: &Value, b: &Value) -> bool {
    let spec = |v: &Value| -> Option<BTreeMap<String, Value>> {
        let rest = v
            .as_object()?
            .iter()
            .filter(|(k, _)| *k != "metadata" && *k != "status");
        Some(rest.map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    spec(a) == spec(b)
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    match value {
        Some(value) => object[field] = value,
        None => remove(object, field),
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Value::Object(map) = object {
        map.remove(field);
    }
}
