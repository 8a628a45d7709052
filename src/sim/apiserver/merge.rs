//! The ways of patching: merge patch (RFC 7386), JSON patch (RFC 6902), and apply as a merge that knows
//! which lists are keyed. Field managers are not tracked: an apply never removes what it no longer names.

use serde_json::{Map, Value};

use super::error::ApiError;

/// How the body of a PATCH is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchKind {
    Merge,
    Json,
    Apply,
}

/// The content types and what they mean; strategic merge exists for built-in kinds only.
const CONTENT_TYPES: &[(&str, PatchKind, bool)] = &[
    ("application/merge-patch+json", PatchKind::Merge, true),
    ("application/json-patch+json", PatchKind::Json, true),
    ("application/apply-patch+yaml", PatchKind::Apply, true),
    ("application/strategic-merge-patch+json", PatchKind::Merge, false),
];

impl PatchKind {
    pub(super) fn of(content_type: &str, custom: bool) -> Result<Self, ApiError> {
        let bare = content_type.split(';').next().unwrap_or_default().trim();
        CONTENT_TYPES
            .iter()
            .find(|(name, _, for_custom)| *name == bare && (*for_custom || !custom))
            .map(|(_, kind, _)| *kind)
            .ok_or_else(|| {
                ApiError::new(
                    415,
                    format!("the body of the request was in an unknown format: {bare}"),
                )
            })
    }

    /// The object that the patch makes of `current`.
    pub(super) fn patch(self, schema: &Value, current: &Value, patch: &Value) -> Result<Value, ApiError> {
        let mut object = current.clone();
        match self {
            Self::Merge => merge(&mut object, patch),
            Self::Apply => apply(schema, &mut object, patch, ""),
            Self::Json => json_patch(&mut object, patch)?,
        }
        Ok(object)
    }
}

/// RFC 7386: null removes, objects merge, everything else replaces.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The lists of `metadata`, which no custom schema describes: `(path, key)`, an empty key for a set.
const META_LISTS: &[(&str, &str)] = &[(".metadata.finalizers", ""), (".metadata.ownerReferences", "uid")];

fn apply(schema: &Value, target: &mut Value, patch: &Value, path: &str) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                let sub = schema["properties"]
                    .get(key)
                    .unwrap_or(&schema["additionalProperties"]);
                match target.get_mut(key) {
                    Some(old) => apply(sub, old, value, &format!("{path}.{key}")),
                    None => {
                        target.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(target), Value::Array(patch)) => {
            let meta = META_LISTS
                .iter()
                .find(|(p, _)| *p == path)
                .map(|(_, key)| vec![*key]);
            let keys = meta.or_else(|| list_keys(schema));
            match keys {
                None => target.clone_from(patch),
                Some(keys) => patch.iter().for_each(|item| {
                    let same = |old: &&mut Value| match keys.as_slice() {
                        [""] => **old == *item,
                        keys => keys.iter().all(|k| old[*k] == item[*k]),
                    };
                    match target.iter_mut().find(same) {
                        Some(old) => apply(&schema["items"], old, item, ""),
                        None => target.push(item.clone()),
                    }
                }),
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn list_keys(schema: &Value) -> Option<Vec<&str>> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" => Some(vec![""]),
        "map" => Some(
            schema["x-kubernetes-list-map-keys"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .collect(),
        ),
        _ => None,
    }
}

fn json_patch(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let refuse =
        |what: &str, op: &Value| ApiError::new(422, format!("the server rejected our request: {what}: {op}"));
    for op in patch
        .as_array()
        .ok_or_else(|| refuse("no list of operations", patch))?
    {
        let path = op["path"].as_str().ok_or_else(|| refuse("no path", op))?;
        let value = op.get("value").cloned().unwrap_or(Value::Null);
        let done = match op["op"].as_str() {
            Some("test") => object.pointer(path).unwrap_or(&Value::Null) == &value,
            Some("add") => add(object, path, value),
            Some("replace") => object.pointer_mut(path).map(|v| *v = value).is_some(),
            Some("remove") => remove(object, path),
            _ => false,
        };
        if !done {
            return Err(refuse("operation cannot be applied", op));
        }
    }
    Ok(())
}

fn parent<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (head, last) = path.rsplit_once('/')?;
    Some((
        object.pointer_mut(head)?,
        last.replace("~1", "/").replace("~0", "~"),
    ))
}

fn add(object: &mut Value, path: &str, value: Value) -> bool {
    match parent(object, path) {
        Some((Value::Object(map), key)) => {
            map.insert(key, value);
            true
        }
        Some((Value::Array(items), key)) => {
            let at = if key == "-" {
                Some(items.len())
            } else {
                key.parse().ok()
            };
            let Some(at) = at.filter(|i| *i <= items.len()) else {
                return false;
            };
            items.insert(at, value);
            true
        }
        _ => false,
    }
}

fn remove(object: &mut Value, path: &str) -> bool {
    match parent(object, path) {
        Some((Value::Object(map), key)) => map.remove(&key).is_some(),
        Some((Value::Array(items), key)) => {
            let Some(at) = key.parse::<usize>().ok().filter(|i| *i < items.len()) else {
                return false;
            };
            items.remove(at);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_removes_with_null() {
        let made = PatchKind::Merge.patch(
            &Value::Null,
            &json!({"a": {"b": 1, "c": 2}, "l": [1]}),
            &json!({"a": {"b": null}, "l": [2]}),
        );
        assert_eq!(made.unwrap(), json!({"a": {"c": 2}, "l": [2]}));
    }

    #[test]
    fn apply_merges_keyed_lists() {
        let schema = json!({"properties": {"conditions": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}}});
        let old = json!({"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}], "metadata": {"finalizers": ["x"]}});
        let new =
            json!({"conditions": [{"type": "B", "status": "False"}], "metadata": {"finalizers": ["x", "y"]}});
        assert_eq!(
            PatchKind::Apply.patch(&schema, &old, &new).unwrap(),
            json!({"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}], "metadata": {"finalizers": ["x", "y"]}})
        );
    }

    #[test]
    fn json_patch_tests_before_it_changes() {
        let old = json!({"metadata": {"finalizers": ["a/b", "c"]}});
        let go = |ops: Value| PatchKind::Json.patch(&Value::Null, &old, &ops);
        let made = go(
            json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "a/b"},
                             {"op": "remove", "path": "/metadata/finalizers/0"},
                             {"op": "add", "path": "/metadata/finalizers/-", "value": "d"}]),
        );
        assert_eq!(made.unwrap(), json!({"metadata": {"finalizers": ["c", "d"]}}));
        let refused =
            go(json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "c"}])).unwrap_err();
        assert_eq!(refused.code, 422);
        assert_eq!(
            PatchKind::of("application/strategic-merge-patch+json", true)
                .unwrap_err()
                .code,
            415
        );
    }
}
