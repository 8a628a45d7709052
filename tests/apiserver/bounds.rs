//! Every bound of the schemas, broken one by one.

use serde_json::{Value, json};

use crate::cases::{full_account, full_server, object, send};
use crate::support::kube::cluster;

/// For every bound in the schema an object that breaks it, and it alone: (path, spec).
fn breaches(path: &[&str], schema: &Value, base: &Value, found: &mut Vec<(String, Value)>) {
    let mut add = |value: Value| {
        // The path may lead through the first item of a list.
        let spec = path.iter().rev().fold(value, |inner, step| match *step {
            "[]" => json!([inner]),
            name => json!({ name: inner }),
        });
        found.push((path.join(".").replace(".[]", "[0]"), placed(base, &spec)));
    };
    let number = |key: &str| schema.get(key).and_then(Value::as_f64).map(|n| n as i64);
    if let Some(n) = number("maxLength").filter(|_| schema.get("x-kubernetes-validations").is_none()) {
        add(json!("a".repeat(n as usize + 1)));
    }
    if number("minLength").is_some() {
        add(json!(""));
    }
    if let Some(n) = number("minimum") {
        add(json!(n - 1));
    }
    if let Some(n) = number("maximum") {
        add(json!(n + 1));
    }
    if schema.get("pattern").is_some() {
        add(json!(" ,"));
    }
    if schema.get("enum").is_some() {
        add(json!("Nonsense"));
    }
    if let Some(n) = number("maxItems") {
        let objects = schema["items"]["type"] == "object";
        add((0..=n)
            .map(|i| {
                if objects {
                    json!({"name": format!("n{i}")})
                } else {
                    json!(format!("t{i}"))
                }
            })
            .collect());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        breaches(&[path, &[name.as_str()]].concat(), field, base, found);
    }
    if let Some(items) = schema.get("items") {
        breaches(&[path, &["[]"]].concat(), items, base, found);
    }
}

/// Like `merged`, but into the first item of lists of objects.
fn placed(base: &Value, patch: &Value) -> Value {
    match (base, patch) {
        (Value::Array(old), Value::Array(new)) if new.len() == 1 && new[0].is_object() => {
            json!([old.first().map_or(new[0].clone(), |first| placed(first, &new[0]))])
        }
        (Value::Object(old), Value::Object(new)) => {
            let mut out = old.clone();
            for (key, value) in new {
                let before = old.get(key).unwrap_or(&Value::Null);
                out.insert(key.clone(), placed(before, value));
            }
            Value::Object(out)
        }
        _ => patch.clone(),
    }
}

#[test]
fn every_bound_of_every_field_holds_and_names_its_field() {
    let ns = cluster().namespace("bounds");
    for (kind, base, least) in [
        ("Server", full_server(), 60),
        ("ProviderConfig", full_account(), 20),
    ] {
        let crds = evenkeel::api::crds::all().unwrap();
        let (_, crd) = crds.iter().find(|(_, c)| c.spec.names.kind == kind).unwrap();
        let schema = serde_json::to_value(crd).unwrap();
        let spec = schema
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
            .unwrap();
        let mut found = Vec::new();
        breaches(&[], spec, &base, &mut found);
        assert!(found.len() >= least, "only {} bounds of {kind}", found.len());
        let names: Vec<String> = (0..found.len())
            .map(|i| format!("{}-{i}", kind.to_lowercase()))
            .collect();
        let objects: Vec<Value> = names
            .iter()
            .zip(&found)
            .map(|(n, (_, spec))| object(kind, n, spec))
            .collect();
        let said = send(&ns, &["create", "--dry-run=server"], &objects);
        let quiet: Vec<_> = names
            .iter()
            .zip(&found)
            .filter(|(name, (path, _))| {
                !said[*name]
                    .as_ref()
                    .is_some_and(|t| t.contains(&format!("spec.{path}")))
            })
            .map(|(name, (path, _))| format!("{path}: {:?}", said[name]))
            .collect();
        assert!(quiet.is_empty(), "{}", quiet.join("\n"));
    }
}
