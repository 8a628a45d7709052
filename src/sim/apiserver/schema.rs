//! What the API server does with the schema of a custom resource: pruning, defaulting, simple validation.
//!
//! CEL rules and patterns are not evaluated here; those are tested on a real API server.

use serde_json::Value;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// Prunes unknown fields and needless nulls, then fills in defaults. `root` objects keep their metadata.
pub(super) fn shape(schema: &Value, object: &mut Value) {
    prune(schema, object, true);
    default(schema, object);
}

fn prune(schema: &Value, value: &mut Value, root: bool) {
    match value {
        Value::Object(map) => {
            let properties = schema["properties"].as_object();
            let additional = &schema["additionalProperties"];
            let keep_all = schema[PRESERVE] == Value::Bool(true) || !additional.is_null();
            let envelope = |k: &str| root && matches!(k, "apiVersion" | "kind" | "metadata");
            map.retain(|k, v| {
                if envelope(k) {
                    return true;
                }
                let Some(sub) = properties.and_then(|p| p.get(k)) else {
                    return keep_all;
                };
                !(v.is_null() && sub["nullable"] != Value::Bool(true) && sub["default"].is_null())
            });
            for (k, v) in map.iter_mut().filter(|(k, _)| !envelope(k)) {
                prune(properties.and_then(|p| p.get(k)).unwrap_or(additional), v, false);
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            items.iter_mut().for_each(|v| prune(&schema["items"], v, false));
        }
        _ => {}
    }
}

fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (k, sub) in schema["properties"].as_object().into_iter().flatten() {
                let missing = map
                    .get(k)
                    .is_none_or(|v| v.is_null() && sub["nullable"] != Value::Bool(true));
                if missing && !sub["default"].is_null() {
                    map.insert(k.clone(), sub["default"].clone());
                }
                if let Some(v) = map.get_mut(k) {
                    default(sub, v);
                }
            }
            let additional = &schema["additionalProperties"];
            if additional.is_object() {
                map.values_mut().for_each(|v| default(additional, v));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| default(&schema["items"], v)),
        _ => {}
    }
}

/// Types, required fields, enums and bounds. Each finding is `path: what is wrong`.
pub(crate) fn validate(schema: &Value, value: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    check(schema, value, "", &mut findings);
    findings
}

fn check(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    let mut say = |what: String| out.push(format!("{}: {what}", path.trim_start_matches('.')));
    let typed = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    if !typed {
        say(format!(
            "Invalid value: {value}: must be of type {}",
            schema["type"]
        ));
        return;
    }
    if schema["enum"].as_array().is_some_and(|e| !e.contains(value)) {
        say(format!("Unsupported value: {value}"));
    }
    for (bound, size, low) in [
        ("minLength", value.as_str().map(|s| s.chars().count()), true),
        ("maxLength", value.as_str().map(|s| s.chars().count()), false),
        ("minItems", value.as_array().map(Vec::len), true),
        ("maxItems", value.as_array().map(Vec::len), false),
        (
            "maxProperties",
            value.as_object().map(serde_json::Map::len),
            false,
        ),
    ] {
        let (Some(limit), Some(size)) = (schema[bound].as_u64(), size) else {
            continue;
        };
        if if low {
            (size as u64) < limit
        } else {
            size as u64 > limit
        } {
            say(format!("Invalid value: has {size}, {bound} is {limit}"));
        }
    }
    if let Some(n) = value.as_f64() {
        let below = schema["minimum"].as_f64().is_some_and(|m| n < m);
        let above = schema["maximum"].as_f64().is_some_and(|m| n > m);
        if below || above {
            say(format!("Invalid value: {value}: out of bounds"));
        }
    }
    for field in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.is_object() && value.get(field).is_none() {
            say(format!("{field}: Required value"));
        }
    }
    match value {
        Value::Object(map) => {
            for (k, v) in map {
                let sub = schema["properties"]
                    .get(k)
                    .unwrap_or(&schema["additionalProperties"]);
                check(sub, v, &format!("{path}.{k}"), out);
            }
        }
        Value::Array(items) => {
            for (i, v) in items.iter().enumerate() {
                check(&schema["items"], v, &format!("{path}[{i}]"), out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "properties": {
                "mode": {"type": "string", "enum": ["A", "B"], "default": "A"},
                "deep": {"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 3, "maximum": 9}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "list": {"type": "array", "maxItems": 1, "items": {"type": "object", "required": ["name"],
                    "properties": {"name": {"type": "string"}, "x": {"type": "string", "default": "y"}}}},
                "note": {"type": "string"}
            }},
            "status": {"type": "object", "default": {"seen": -1}, "properties": {"seen": {"type": "integer"}}}
        }})
    }

    #[test]
    fn prunes_then_defaults_recursively() {
        let mut object = json!({"apiVersion": "v1", "kind": "K", "metadata": {"odd": 1}, "spec": {
            "unknown": true, "labels": {"any": "kept"}, "note": null, "mode": null, "list": [{"name": "a", "z": 1}]}});
        shape(&schema(), &mut object);
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"odd": 1}, "status": {"seen": -1}, "spec": {
                "labels": {"any": "kept"}, "mode": "A", "deep": {"n": 3}, "list": [{"name": "a", "x": "y"}]}})
        );
        assert_eq!(validate(&schema(), &object), Vec::<String>::new());
    }

    #[test]
    fn findings_name_their_path() {
        let object = json!({"spec": {"mode": "C", "deep": {"n": 10}, "list": [{}, {"name": 1}]}});
        let mut findings = validate(&schema(), &object);
        findings.sort();
        assert_eq!(findings.len(), 5, "{findings:#?}");
        assert!(
            findings
                .iter()
                .any(|f| f.starts_with("spec.list[0]: name: Required"))
        );
        assert!(findings.iter().any(|f| f.starts_with("spec.deep.n: ")));
    }
}
