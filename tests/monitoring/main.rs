//! Alerts and dashboard in `deploy/monitoring/` speak of metrics, labels and reasons that exist, and each alert has
//! what whoever is woken by it needs. That they fire when they should is proven by `tests/promtool.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use evenkeel::api::Reason;
use evenkeel::observer::metrics::catalogue::{ALL, Described, LABELS};
use serde_json::Value;

/// Labels that scraping adds.
const OF_THE_TARGET: &[&str] = &["namespace", "job", "pod", "instance"];
/// Words before a bracket with labels.
const GROUPING: &[&str] = &["by", "without", "on", "ignoring"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

fn alerts() -> Vec<Value> {
    let rules = yaml("deploy/monitoring/rules.yaml");
    let groups = rules["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|g| g["rules"].as_array().unwrap().clone())
        .collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Splits a query into words, strings (with their quotes) and single signs.
fn tokens(query: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        let mut token = String::from(c);
        if c == '"' {
            for c in rest.by_ref() {
                token.push(c);
                if c == '"' {
                    break;
                }
            }
        } else if c.is_alphanumeric() || c == '_' || c == '$' {
            while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == ':') {
                token.push(c);
            }
        }
        if !token.trim().is_empty() {
            all.push(token);
        }
    }
    all
}

/// What a query says that is not so.
fn faults(query: &str) -> Vec<String> {
    let tokens = tokens(query);
    let mut found = Vec::new();
    let known = |label: &str| LABELS.iter().any(|(l, _)| *l == label) || OF_THE_TARGET.contains(&label);
    let mut metric: Option<(&Described, &str)> = None;
    for (at, token) in tokens.iter().enumerate() {
        if token.starts_with("evenkeel_") {
            metric = ALL
                .iter()
                .find(|d| d.series().contains(token))
                .map(|d| (d, token.as_str()));
            if metric.is_none() {
                found.push(format!("there is no metric {token}"));
            }
        }
        let next = tokens.get(at + 1).map(String::as_str);
        if token == "{" {
            let end = tokens[at..].iter().position(|t| t == "}").unwrap() + at;
            for matcher in tokens[at + 1..end].split(|t| t == ",").filter(|m| !m.is_empty()) {
                let (label, value) = (matcher[0].as_str(), matcher.last().unwrap().trim_matches('"'));
                let has = metric.is_some_and(|(d, series)| {
                    d.labels.contains(&label) || (label == "le" && series.ends_with("_bucket"))
                });
                if !has && !OF_THE_TARGET.contains(&label) {
                    found.push(format!("{:?} has no label {label}", metric.map(|m| m.1)));
                }
                for word in value.split('|') {
                    let exists = match label {
                        "reason" => Reason::ALL.iter().any(|r| r.as_str() == word),
                        "kind" => ["Server", "ServerGroup", "ProviderConfig"].contains(&word),
                        "ready" => ["True", "False", "Unknown"].contains(&word),
                        _ => true,
                    };
                    if !exists {
                        found.push(format!("there is no {label} {word}"));
                    }
                }
            }
        }
        if GROUPING.contains(&token.as_str()) && next == Some("(") {
            let end = tokens[at..].iter().position(|t| t == ")").unwrap() + at;
            let labels = tokens[at + 2..end].iter().filter(|t| *t != ",");
            found.extend(
                labels
                    .filter(|l| !known(l))
                    .map(|l| format!("there is no label {l}")),
            );
        }
    }
    if metric.is_none() && found.is_empty() {
        found.push("it names no metric".to_owned());
    }
    found
}

#[test]
fn a_query_of_what_does_not_exist_is_found() {
    for (query, fault) in [
        (
            "rate(evenkeel_cloud_calls[5m])",
            "there is no metric evenkeel_cloud_calls",
        ),
        ("sum by (server) (evenkeel_objects)", "there is no label server"),
        (
            "evenkeel_objects{name=\"x\"}",
            "Some(\"evenkeel_objects\") has no label name",
        ),
        (
            "evenkeel_objects{reason=~\"Idle|NoSuch\"}",
            "there is no reason NoSuch",
        ),
        (
            "evenkeel_objects{le=\"1\"}",
            "Some(\"evenkeel_objects\") has no label le",
        ),
        ("up == 0", "it names no metric"),
    ] {
        assert_eq!(faults(query), [fault], "{query}");
    }
    let good = "histogram_quantile(0.9, sum by (provider, le) (rate(evenkeel_cloud_call_duration_seconds_bucket{namespace=~\"$namespace\",le!=\"1\"}[5m]))) > 4";
    assert_eq!(faults(good), Vec::<String>::new());
}

#[test]
fn each_alert_says_what_whoever_is_woken_needs() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert, "/alert").to_owned();
        let camel = name.starts_with("Evenkeel") && name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(camel, "{name}");
        assert!(
            ["critical", "warning", "info"].contains(&text(&alert, "/labels/severity")),
            "{name}"
        );
        assert!(text(&alert, "/annotations/summary").ends_with('.'), "{name}");
        assert!(text(&alert, "/annotations/description").len() > 40, "{name}");
        let url = format!("https://evenkeel.dev/docs/runbooks/{name}");
        assert_eq!(text(&alert, "/annotations/runbook_url"), url);
        assert_eq!(faults(text(&alert, "/expr")), Vec::<String>::new(), "{name}");
        let page = read(&format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for heading in ["## What it means", "## What to look at", "## What to do"] {
            assert!(page.contains(heading), "{name}: {heading}");
        }
        assert!(names.insert(name));
    }
    assert!(names.len() > 10);
    let pages = std::fs::read_dir(path("docs/runbooks")).unwrap();
    let pages = pages.map(|e| {
        e.unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    });
    assert_eq!(pages.filter(|p| p != "README").collect::<BTreeSet<_>>(), names);
}

/// A query in a runbook is pasted by somebody in a hurry.
#[test]
fn queries_in_runbooks_name_what_exists() {
    let mut seen = 0;
    for entry in std::fs::read_dir(path("docs/runbooks")).unwrap() {
        let file = entry.unwrap().path();
        let page = std::fs::read_to_string(&file).unwrap();
        for block in page.split("```promql\n").skip(1) {
            let block = block.split("```").next().unwrap();
            for query in block.lines() {
                seen += 1;
                assert_eq!(faults(query), Vec::<String>::new(), "{}: {query}", file.display());
            }
        }
    }
    assert!(seen > 10, "only {seen} queries");
}

#[test]
fn each_alert_is_tested_to_fire_and_to_stay_quiet() {
    let tests = yaml("tests/monitoring/alerts_test.yaml");
    let tests: Vec<&Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|t| t["alert_rule_test"].as_array().unwrap())
        .collect();
    for alert in alerts() {
        let of = |fires: bool| {
            let mine = tests.iter().filter(|t| t["alertname"] == alert["alert"]);
            mine.filter(|t| t["exp_alerts"].as_array().unwrap().is_empty() != fires)
                .count()
        };
        assert!(of(true) >= 1 && of(false) >= 2, "{}", alert["alert"]);
    }
}

#[test]
fn the_dashboard_asks_for_what_exists() {
    let board: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    let mut queries = 0;
    for panel in panels.iter().filter(|p| p["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        for target in targets {
            queries += 1;
            let query = target["expr"].as_str().unwrap();
            assert_eq!(faults(query), Vec::<String>::new(), "{}: {query}", panel["title"]);
            shown.extend(tokens(query).into_iter().filter(|t| t.starts_with("evenkeel_")));
        }
    }
    assert!(queries > 20, "only {queries} queries");
    let ids: BTreeSet<i64> = panels.iter().map(|p| p["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are not unique");
    // What is measured and shown nowhere helps nobody; requests are seen by their number, calls by their length.
    let unseen = ALL
        .iter()
        .filter(|d| !d.series().iter().any(|s| shown.contains(s)));
    let unseen: Vec<_> = unseen.map(|d| d.name).collect();
    assert_eq!(unseen, ["cloud_request_duration", "list_wakes"]);
}
