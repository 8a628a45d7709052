//! `docs/reference.md`, written from the types: every field, rule, condition and reason.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::conditions::ConditionType;
use super::crds::{self, CrdError};
use super::keys;
use super::reasons::Reason;

const HEAD: &str = "\
# Reference

Every field, rule, annotation, condition and reason of the API `evenkeel.dev/v1alpha1`. This page is written from the
code by `make generate`; change the code, not the page.

In paths `[]` stands for an item of a list and `{}` for a value of a map. A field with `*` is required
where the object that holds it is given. Durations are written as hours, minutes and seconds: `90s`, `5m`, `1h30m`.

";

/// Annotations and labels that people set: where, the key, its value, what it does.
const KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "Server",
        keys::PAUSED,
        "`true`",
        "Nothing is written to the cloud for this object; it is still observed.",
    ),
    (
        "Server",
        keys::RECONCILE_REQUESTED_AT,
        "any new text",
        "Asks for a fresh look now. Echoed in `status.lastHandledReconcileAt`.",
    ),
    (
        "Server",
        keys::RETRY,
        "any new text",
        "Forgets a failed size, flapping and the waiting time after errors. Echoed in `status.lastHandledRetry`.",
    ),
    (
        "Server",
        keys::ABANDON,
        "the cloud's id of the server; the object's own `metadata.uid` while an attempt to create one is open",
        "Lets a deletion go on without the cloud. The server is left as it is; an event names it.",
    ),
    (
        "Server",
        keys::CREATE_ANYWAY,
        "the object's own `metadata.uid`",
        "Creates a server although one of an earlier object with this name exists.",
    ),
    (
        "ServerAction",
        keys::TAKEN,
        "written by the controller",
        "The uid of the Server that took the deed up. An object that comes back from a backup with it is not carried out again.",
    ),
    (
        "Secret (label)",
        keys::ALLOW,
        "`user-data` or `password`",
        "Which use by a Server the Secret's owner allows. Without it the Secret is refused.",
    ),
];

/// The whole page.
///
/// # Errors
/// When a definition cannot be derived; a fault of the types in this crate.
pub fn render() -> Result<String, CrdError> {
    let mut page = HEAD.to_owned();
    for (_, crd) in crds::all()? {
        kind(&mut page, &crd)?;
    }
    heading(&mut page, 2, "Annotations and labels");
    table(
        &mut page,
        &["on", "key", "value", "what it does"],
        KEYS.iter()
            .map(|(on, key, value, text)| vec![(*on).into(), code(key), (*value).into(), (*text).into()]),
    );
    heading(&mut page, 2, "Conditions");
    table(
        &mut page,
        &["type", "what it says when True"],
        ConditionType::ALL
            .iter()
            .map(|c| vec![code(c.as_str()), c.meaning().into()]),
    );
    heading(&mut page, 2, "Reasons");
    page.push_str("Of conditions and of events. The message beside a reason has the details and the cloud's own words.\n\n");
    table(
        &mut page,
        &["reason", "what it means", "what to do"],
        Reason::ALL.iter().map(|r| {
            let advice = if r.advice().is_empty() {
                "Nothing."
            } else {
                r.advice()
            };
            vec![code(r.as_str()), r.meaning().into(), advice.into()]
        }),
    );
    Ok(page.trim_end().to_owned() + "\n")
}

fn kind(page: &mut String, crd: &CustomResourceDefinition) -> Result<(), CrdError> {
    heading(page, 2, &crd.spec.names.kind);
    for version in &crd.spec.versions {
        let schema = serde_json::to_value(
            version
                .schema
                .as_ref()
                .and_then(|s| s.open_api_v3_schema.as_ref()),
        )?;
        let _ = writeln!(page, "{}\n", text(&schema, "description"));
        for (part, title) in [("spec", "Spec"), ("status", "Status")] {
            let root = &schema["properties"][part];
            let (mut rows, mut rules) = (Vec::new(), Vec::new());
            if part == "spec" {
                rules.extend(list(&schema, "x-kubernetes-validations").map(|rule| {
                    let at = text(rule, "fieldPath").trim_start_matches('.');
                    rule_row(at, rule)
                }));
            }
            walk(part, root, &mut rows, &mut rules);
            heading(
                page,
                3,
                &format!("{} {}", crd.spec.names.kind, title.to_lowercase()),
            );
            table(page, &["field", "type", "default", "bounds", "description"], rows);
            if !rules.is_empty() {
                heading(page, 3, &format!("{} rules", crd.spec.names.kind));
                page.push_str("Checked by the API server when an object is created or changed.\n\n");
                table(page, &["at", "what it says", "rule"], rules);
            }
        }
        heading(page, 3, &format!("{} columns", crd.spec.names.kind));
        table(
            page,
            &["column", "from", "shown"],
            version.additional_printer_columns.iter().flatten().map(|c| {
                let shown = if c.priority.unwrap_or(0) > 0 {
                    "with `-o wide`"
                } else {
                    "always"
                };
                vec![c.name.clone(), code(&c.json_path), shown.into()]
            }),
        );
    }
    Ok(())
}

fn rule_row(path: &str, rule: &Value) -> Vec<String> {
    vec![code(path), text(rule, "message").into(), code(text(rule, "rule"))]
}

/// Collects the fields below `path`, and the rules at it and below it.
fn walk(path: &str, schema: &Value, rows: &mut Vec<Vec<String>>, rules: &mut Vec<Vec<String>>) {
    for rule in list(schema, "x-kubernetes-validations") {
        rules.push(rule_row(path, rule));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let required = list(schema, "required").any(|r| r == name.as_str());
        rows.push(vec![
            code(&path) + if required { " *" } else { "" },
            type_of(field),
            field
                .get("default")
                .map_or(String::new(), |d| code(&d.to_string())),
            bounds(field).join(", "),
            text(field, "description").into(),
        ]);
        walk(&path, field, rows, rules);
    }
    for (inner, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(inner) {
            walk(&format!("{path}{mark}"), inner, rows, rules);
        }
    }
}

fn type_of(schema: &Value) -> String {
    match (
        text(schema, "type"),
        schema.get("items"),
        schema.get("additionalProperties"),
    ) {
        ("array", Some(items), _) => format!("list of {}", type_of(items)),
        (_, _, Some(values)) => format!("map of {}", type_of(values)),
        ("string", ..) if text(schema, "format") == "date-time" => "time (RFC 3339)".into(),
        (other, ..) => other.into(),
    }
}

/// The bounds of a field, and of its items when it is a list or a map of plain values.
fn bounds(schema: &Value) -> Vec<String> {
    const RANGES: &[(&str, &str, &str)] = &[
        ("minLength", "maxLength", " characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " keys"),
    ];
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let mut found: Vec<String> = RANGES
        .iter()
        .filter_map(|(least, most, unit)| match (number(least), number(most)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
            (Some(least), None) => Some(format!("at least {least}{unit}")),
            (None, Some(most)) => Some(format!("at most {most}{unit}")),
            (None, None) => None,
        })
        .collect();
    if schema.get("pattern").is_some() {
        found.push(code(text(schema, "pattern")));
    }
    let words: Vec<String> = list(schema, "enum")
        .filter_map(|w| w.as_str().map(code))
        .collect();
    if !words.is_empty() {
        found.push(format!("one of {}", words.join(" ")));
    }
    let keys: Vec<String> = list(schema, "x-kubernetes-list-map-keys")
        .filter_map(|k| k.as_str().map(code))
        .collect();
    if !keys.is_empty() {
        found.push(format!("unique by {}", keys.join(" ")));
    }
    for inner in ["items", "additionalProperties"] {
        let each = schema.get(inner).map(bounds).unwrap_or_default();
        if !each.is_empty() {
            found.push(format!("each {}", each.join(", ")));
        }
    }
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn heading(page: &mut String, level: usize, title: &str) {
    let _ = writeln!(page, "{} {title}\n", "#".repeat(level));
}

fn table(page: &mut String, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let _ = writeln!(page, "| {} |", columns.join(" | "));
    let _ = writeln!(page, "|{}", " --- |".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push('\n');
}

/// A cell of a table: one line, its bars not taken for borders.
fn escaped(cell: &str) -> String {
    cell.trim()
        .replace('|', "\\|")
        .replace("\n\n", "<br>")
        .replace("\n- ", "<br>• ")
        .replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_reason_condition_and_key() {
        let page = render().unwrap();
        let cell = |word: &str| page.contains(&format!("| `{word}` |"));
        assert!(Reason::ALL.iter().all(|r| cell(r.as_str())));
        assert!(ConditionType::ALL.iter().all(|c| cell(c.as_str())));
        assert!(KEYS.iter().all(|(_, key, ..)| cell(key)));
    }

    #[test]
    fn shows_type_default_bounds_and_rules_of_a_field() {
        let page = render().unwrap();
        let row = page
            .lines()
            .find(|l| l.starts_with("| `spec.powerOff.timeout` |"))
            .unwrap();
        assert!(
            row.contains("| string | `\"5m\"` | at most 16 characters"),
            "{row}"
        );
        assert!(page.contains("| `spec.powerOff.timeout` | powerOff.timeout must be between 1s and 24h |"));
        assert!(page.contains("| `spec.openstack.networks[].name` * |"));
        assert!(page.contains("one of `Full` `PowerOnly` `Observe`"));
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(escaped("a || b\n- c\n\nd\ne"), "a \\|\\| b<br>• c<br>d e");
    }
}
