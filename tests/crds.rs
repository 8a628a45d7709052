//! What is written from the code and kept in the repository: definitions, reference, the page of metrics, alerts.
//! `make generate` (GENERATE=1 for this test) writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use evenkeel::api::{crds, reference};
use evenkeel::observer::metrics;
use serde_json::Value;

/// Client-side `kubectl apply` keeps a copy of the object in an annotation, and those end at 256 KiB in all.
const MAX_BYTES: usize = 200 * 1024;

/// Every file that is written from the types.
fn generated() -> Vec<(String, String)> {
    let mut files = vec![
        ("docs/reference.md".to_owned(), reference::render().unwrap()),
        ("docs/metrics.md".to_owned(), metrics::page::render()),
        (
            "deploy/components/monitoring/alerts.yaml".to_owned(),
            prometheus_rule(),
        ),
        ("charts/evenkeel/files/alerts.yaml".to_owned(), rules()),
    ];
    for (name, crd) in crds::all().unwrap() {
        let text = crds::to_yaml(&crd).unwrap();
        for folder in ["crds", "charts/evenkeel/files/crds"] {
            files.push((format!("{folder}/{name}"), text.clone()));
        }
    }
    files
}

/// The alerts as Prometheus reads them, for the chart.
fn rules() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring/rules.yaml");
    let rules = std::fs::read_to_string(source).unwrap();
    let lines = rules.lines().filter(|l| !l.starts_with('#'));
    lines.map(|l| format!("{l}\n")).collect()
}

/// The same as an object of the Prometheus operator, for kustomize.
fn prometheus_rule() -> String {
    let head = "# Made from deploy/monitoring/rules.yaml by `make generate`; change that file.\n\
        apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: evenkeel\n  \
        namespace: evenkeel-system\nspec:\n";
    let body = rules()
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    format!("{head}{body}")
}

#[test]
fn the_rules_of_the_operator_are_those_of_prometheus() {
    let rule: Value = serde_saphyr::from_str(&prometheus_rule()).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring/rules.yaml");
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(source).unwrap()).unwrap();
    assert_eq!(rule["spec"], rules);
    assert!(rules["groups"][0]["rules"].as_array().unwrap().len() > 10);
}

/// A secret is named, never written into an object: everybody who may read objects would see it.
#[test]
fn no_field_holds_a_secret() {
    const WORDS: &[&str] = &[
        "password",
        "token",
        "secret",
        "credential",
        "accesskey",
        "privatekey",
        "apikey",
        "userdata",
    ];
    let found = faults(|path, schema, _| {
        let field = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let suspicious = WORDS.iter().any(|w| field.contains(w));
        let text = schema["type"] == "string" && schema.get("enum").is_none();
        (suspicious && text && !path.contains("conditions[]")).then_some("a text that may be a secret")
    });
    let named = [
        // Names of Secrets, and what marks a wish to restart or to look again: neither opens anything.
        "Server.spec.credentialsSecretName",
        "ServerAction.spec.remoteConsole.secretName",
        "Server.spec.restart.token",
        "Server.status.restart.token",
    ];
    let odd: Vec<_> = found
        .iter()
        .filter(|f| !named.iter().any(|path| f.starts_with(&format!("{path}:"))))
        .collect();
    assert_eq!(odd, Vec::<&String>::new());
    assert_eq!(
        found.len(),
        named.len(),
        "what is named here is looked at: {found:?}"
    );
}

#[test]
fn the_repository_holds_what_the_types_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for (path, text) in generated() {
        let full = root.join(&path);
        if std::env::var_os("GENERATE").is_some() {
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(&full, &text).unwrap();
        }
        if std::fs::read_to_string(&full).ok().as_deref() != Some(&text) {
            stale.push(path);
        }
    }
    assert!(
        stale.is_empty(),
        "run `make generate`, these differ from the code: {stale:?}"
    );
}

/// Every schema below a definition, with its path.
fn schemas(path: &str, schema: &Value, in_list_map: bool, visit: &mut dyn FnMut(&str, &Value, bool)) {
    visit(path, schema, in_list_map);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        schemas(&format!("{path}.{name}"), field, in_list_map, visit);
    }
    let map = schema.get("x-kubernetes-list-map-keys").is_some();
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            schemas(&format!("{path}{mark}"), inner, in_list_map || map, visit);
        }
    }
}

/// Runs `fault` on every schema of every kind and collects what it says.
fn faults(fault: impl Fn(&str, &Value, bool) -> Option<&'static str>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = 0;
    for (_, crd) in crds::all().unwrap() {
        let value = serde_json::to_value(&crd).unwrap();
        let root = value.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
        schemas(
            &crd.spec.names.kind,
            root,
            false,
            &mut |path, schema, in_list_map| {
                seen += 1;
                if let Some(text) = fault(path, schema, in_list_map) {
                    found.push(format!("{path}: {text}"));
                }
            },
        );
    }
    assert!(seen > 100, "only {seen} schemas were looked at");
    found
}

#[test]
fn each_definition_is_small_enough_for_client_side_apply() {
    for (name, crd) in crds::all().unwrap() {
        let size = serde_json::to_vec(&crd).unwrap().len();
        assert!(size < MAX_BYTES, "{name} has {size} bytes");
    }
}

#[test]
fn every_field_has_a_description_on_one_line_per_thought() {
    let found = faults(|path, schema, _| {
        let text = schema["description"].as_str().unwrap_or_default();
        let plain = path.ends_with("[]") || path.ends_with("{}");
        match text {
            "" if !plain => Some("no description"),
            _ if path.contains("conditions") => None,
            _ if text.lines().skip(1).any(|l| !l.starts_with("- ")) => Some("a line break within a sentence"),
            _ => None,
        }
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_word_of_every_enum_is_explained() {
    let found = faults(|_, schema, _| {
        let words = schema["enum"].as_array()?;
        let text = schema["description"].as_str().unwrap_or_default();
        let all = words
            .iter()
            .all(|w| text.contains(&format!("\n- {}: ", w.as_str().unwrap_or("?"))));
        (!all).then_some("a word is not explained")
    });
    // The conditions are Kubernetes' own type.
    let found: Vec<_> = found
        .into_iter()
        .filter(|f| !f.contains("conditions[].status"))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_rule_has_optionals_whose_cost_the_api_server_cannot_bound() {
    let found = faults(|_, schema, _| {
        let rules = schema["x-kubernetes-validations"].as_array()?;
        let with = |r: &Value| r["rule"].as_str().unwrap_or_default().contains(".?");
        rules.iter().any(with).then_some("a rule with .?")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn where_a_server_runs_can_be_said_anew_for_its_next_start() {
    let all = crds::all().unwrap();
    let server = serde_json::to_value(&all[0].1).unwrap();
    let schema = &server["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let rules = schema["x-kubernetes-validations"].as_array().unwrap();
    let fixed = |field: &str| {
        let says = |r: &Value| {
            r["rule"]
                .as_str()
                .unwrap()
                .contains(&format!("== oldSelf.spec.{field})"))
        };
        rules.iter().any(says)
    };
    assert!(fixed("upcloud.zone"));
    for field in ["upcloud", "upcloud.host", "upcloud.avoidHost"] {
        assert!(!fixed(field), "{field}");
    }
}

#[test]
fn absent_is_never_null() {
    let found = faults(|_, schema, _| schema.get("nullable").map(|_| "nullable"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn items_of_list_maps_have_no_defaults() {
    let found = faults(|_, schema, inside| (inside && schema.get("default").is_some()).then_some("default"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_list_of_objects_in_a_spec_is_a_map_keyed_by_name() {
    let found = faults(|path, schema, _| {
        let objects = schema["items"]["type"] == "object";
        let keyed = schema["x-kubernetes-list-map-keys"] == serde_json::json!(["name"]);
        (objects && !keyed && path.contains(".spec")).then_some("no list-map by name")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_string_list_map_and_number_is_bounded() {
    let found = faults(|path, schema, _| {
        let has = |key: &str| schema.get(key).is_some();
        // The condition's own fields are Kubernetes' type; counts and generations in status are ours to write.
        if path.contains("conditions[]") {
            return None;
        }
        match schema["type"].as_str()? {
            "string" if !has("maxLength") && !has("enum") && !has("format") => Some("no maxLength"),
            "array" if !has("maxItems") => Some("no maxItems"),
            "object" if has("additionalProperties") && !has("maxProperties") => Some("no maxProperties"),
            "integer" if path.contains(".spec") && !(has("minimum") && has("maximum")) => {
                Some("no minimum and maximum")
            }
            _ => None,
        }
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn integers_have_formats_that_the_api_server_knows() {
    let found = faults(|_, schema, _| match schema["format"].as_str() {
        Some("int32" | "int64" | "date-time") | None => None,
        Some(_) => Some("unknown format"),
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_fresh_object_is_not_done() {
    for (_, crd) in crds::all().unwrap() {
        let value = serde_json::to_value(&crd).unwrap();
        let status = value
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status")
            .unwrap();
        assert_eq!(status["default"], serde_json::json!({"observedGeneration": -1}));
    }
}

/// The most bytes that a value of a schema can have as JSON, each character escaped (`\\u0000`).
fn most_bytes(schema: &Value) -> usize {
    let most = |key: &str| schema[key].as_u64().map(|n| usize::try_from(n).unwrap());
    match schema["type"].as_str().unwrap_or("object") {
        "string" => most("maxLength").unwrap_or(64) * 6 + 2,
        "array" => most("maxItems").unwrap() * (most_bytes(&schema["items"]) + 1),
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let named = fields.map(|(name, field)| name.len() + 4 + most_bytes(field));
            let any = schema.get("additionalProperties").map(|value| {
                // Keys are labels or the like: a schema cannot bound them.
                most("maxProperties").unwrap() * (6 * 256 + 4 + most_bytes(value))
            });
            named.chain(any).sum::<usize>() + 2
        }
        _ => 24,
    }
}

#[test]
fn no_status_can_reach_the_size_that_etcd_refuses() {
    for (name, crd) in crds::all().unwrap() {
        let value = serde_json::to_value(&crd).unwrap();
        let status = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        let most = most_bytes(status);
        assert!(
            (1_000..1_000_000).contains(&most),
            "{name}: a status of {most} bytes is possible"
        );
    }
}
