//! What operators see: metrics that mean what they say, logs that are silent at rest, and what the planner thinks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel::api::{ConditionType, ProviderConfig};
use evenkeel::observer::ObjectKey;
use evenkeel::observer::metrics::Metrics;
use evenkeel::observer::metrics::catalogue::{self, Type};
use evenkeel::sim::openstack::{FaultEffect, FaultRule, SimConfig};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::logs::Log;
use crate::scenarios::groups;
use crate::scenarios::stage::{id_of, words};
use crate::world::{NAMESPACE, PLANTED, Process, Virtual};

/// What nothing in these scenarios makes happen: an event that could not be published, a watch that broke.
const RARE: &[&str] = &["events_lost", "watch_restarts"];

fn scrape(metrics: &Metrics) -> String {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

/// Every series: its name, its labels, its value.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            let labels = labels.split_terminator("\",").map(|pair| {
                let (label, value) = pair.split_once("=\"").unwrap();
                (label.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (name.to_owned(), labels.collect(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of all series of this name whose labels are these, and perhaps more.
fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let all = samples(text).into_iter();
    let fits = all.filter(|(n, has, _)| {
        n == name
            && labels
                .iter()
                .all(|(l, v)| has.get(*l).map(String::as_str) == Some(*v))
    });
    fits.map(|(_, _, value)| value).sum()
}

/// One server's life with everything that can be counted in it.
async fn a_life() -> (Virtual, Process) {
    let world = Virtual::empty();
    let s = world.stage().await;
    let process = world.start();
    let limited = FaultEffect::RateLimited { retry_after: Some(2) };
    world
        .sim
        .inject(FaultRule::new(limited).on("POST /servers").times(1));
    groups::make(&s, "pack", json!({"placement": {"policy": "SoftAntiAffinity"}})).await;
    groups::ready(&s, "pack").await;
    groups::member(&s, "web", "pack", json!({})).await;
    let server = s.ready("web").await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    s.ready_in("web", "Stopped").await;
    // Somebody else starts it; it is stopped again.
    let seen = s.wait("web", "the drift is seen", |x| {
        words(x, ConditionType::DriftDetected).contains("Running")
            || evenkeel::api::conditions::get(
                &x.status.as_ref().unwrap().conditions,
                ConditionType::DriftDetected,
            )
            .is_some_and(|c| c.status == "True")
    });
    tokio::join!(seen, s.nova.plain(id_of(&server), "os-start"));
    s.ready_in("web", "Stopped").await;
    // What will never fit waits for a person.
    s.create("huge", json!({"size": {"name": "no-such-size"}})).await;
    s.reason("huge", ConditionType::Stalled, "True", "InvalidSpec")
        .await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    (world, process)
}

#[tokio::test(start_paused = true)]
async fn every_series_is_in_the_catalogue_and_the_other_way_round() {
    let (_world, process) = a_life().await;
    let text = scrape(&process.metrics);
    let mut shown = BTreeSet::new();
    for (name, labels, _) in samples(&text) {
        let described = catalogue::ALL.iter().find(|d| d.series().contains(&name));
        let described = described.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        shown.insert(described.name);
        let wanted: BTreeSet<&str> = described
            .labels
            .iter()
            .copied()
            .chain((described.kind == Type::Histogram && name.ends_with("_bucket")).then_some("le"))
            .collect();
        let has: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
        assert_eq!(has, wanted, "{name}");
        for (label, value) in &labels {
            assert!(!value.is_empty(), "{name}: {label} is empty");
            let chosen = ["config", "config_namespace"].contains(&label.as_str());
            let private = ["web", "huge", "pack", NAMESPACE, "no-such-size"];
            assert!(
                chosen || !private.contains(&value.as_str()),
                "{name}: {label}={value}"
            );
        }
        let head = |kind: &str| text.contains(&format!("# {kind} {} ", described.family()));
        assert!(head("HELP") && head("TYPE"), "{name}");
        assert_eq!(head("UNIT"), described.seconds, "{name}");
    }
    let silent = catalogue::ALL
        .iter()
        .map(|d| d.name)
        .filter(|n| !shown.contains(n));
    assert_eq!(silent.collect::<Vec<_>>(), RARE);
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn the_numbers_are_those_of_what_happened() {
    let (world, process) = a_life().await;
    let text = scrape(&process.metrics);
    let count = |name: &str, labels: &[(&str, &str)]| sum(&text, &format!("evenkeel_{name}"), labels);
    let server = ("kind", "Server");
    for (operation, result, number) in [
        ("Create", "started", 2.0),
        ("Create", "done", 1.0),
        ("Stop", "started", 2.0),
        ("Stop", "done", 2.0),
        ("Start", "started", 0.0),
    ] {
        let labels = [server, ("operation", operation), ("result", result)];
        let counted = count("operations_total", &labels);
        // An attempt whose call was refused before it did anything may be counted once more.
        let most = if operation == "Create" { 9.0 } else { number };
        assert!((number..=most).contains(&counted), "{labels:?}: {counted}");
    }
    assert_eq!(count("drift_detected_total", &[server]), 1.0);
    assert_eq!(count("drift_corrected_total", &[server]), 1.0);
    assert!(count("time_to_ready_seconds_count", &[server]) >= 2.0);
    assert_eq!(
        count("time_to_ready_seconds_count", &[("kind", "ServerGroup")]),
        1.0
    );
    assert_eq!(count("objects", &[server]), 2.0);
    assert_eq!(count("objects", &[server, ("ready", "True")]), 1.0);
    assert_eq!(
        count("objects", &[("kind", "ProviderConfig"), ("ready", "True")]),
        1.0
    );
    let stuck = [server, ("reason", "InvalidSpec")];
    assert_eq!(count("objects_stalled", &stuck), 1.0);
    let age = count("oldest_not_ready_seconds", &stuck);
    assert!((99.0..=200.0).contains(&age), "{age}");
    assert_eq!(count("servers_power", &[("state", "Stopped")]), 1.0);
    let openstack = evenkeel::providers::registry::CLOUDS[0].name;
    let cloud = ("provider", openstack);
    let limited = [cloud, ("operation", "Create"), ("result", "RateLimited")];
    assert_eq!(count("cloud_calls_total", &limited), 1.0);
    let asked: u32 = world.sim.counts().values().map(|n| *n as u32).sum();
    let counted = count("cloud_requests_total", &[cloud]);
    assert!(
        counted > 10.0 && counted <= f64::from(asked),
        "{counted} of {asked}"
    );
    assert_eq!(count("cloud_request_duration_seconds_count", &[cloud]), counted);
    let config = [("config_namespace", NAMESPACE), ("config", "cloud")];
    let age = |text: &str| sum(text, "evenkeel_observation_age_seconds", &config);
    assert!(age(&text) < 20.0, "{}", age(&text));
    // Nova goes away: the age grows.
    world.sim.outage(Some(evenkeel::sim::openstack::Outage::Refused));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let text = scrape(&process.metrics);
    assert!((590.0..=625.0).contains(&age(&text)), "{}", age(&text));
    assert!(sum(&text, "evenkeel_cloud_requests_total", &[("code", "connect")]) > 5.0);
    // A deletion that took its object along is done too.
    world.sim.outage(None);
    let s = world.stage_again();
    s.remove("web").await;
    // It is gone before the controller has heard so.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let text = scrape(&process.metrics);
    let deleted = [server, ("operation", "Delete"), ("result", "done")];
    assert_eq!(sum(&text, "evenkeel_operations_total", &deleted), 1.0);
    assert_eq!(sum(&text, "evenkeel_objects", &[server]), 1.0);
}

/// What does not act shows no objects: a sum over the replicas would count them twice.
#[tokio::test(start_paused = true)]
async fn only_who_acts_shows_objects() {
    struct Nobody(watch::Sender<bool>);
    impl evenkeel::controller::ownership::Ownership for Nobody {
        fn owns(&self, _: &str) -> bool {
            false
        }
        fn acting(&self) -> watch::Receiver<bool> {
            self.0.subscribe()
        }
    }
    let world = Virtual::empty();
    let s = world.stage().await;
    let standby = world.start_with(std::sync::Arc::new(Nobody(watch::Sender::new(false))));
    let process = world.start();
    s.create("web", json!({})).await;
    s.ready("web").await;
    let names = |p: &Process| -> BTreeSet<String> {
        samples(&scrape(&p.metrics))
            .into_iter()
            .map(|(n, _, _)| n)
            .collect()
    };
    for name in [
        "evenkeel_objects",
        "evenkeel_observation_age_seconds",
        "evenkeel_servers_power",
    ] {
        assert!(
            names(&process).contains(name) && !names(&standby).contains(name),
            "{name}"
        );
    }
    assert!(names(&standby).contains("evenkeel_build_info"));
}

async fn series_with(servers: usize) -> BTreeSet<String> {
    let world = Virtual::with(SimConfig::default(), tracing::Level::WARN);
    let s = world.stage().await;
    let more = json!({"spec": {"maxCreatesInFlight": 500, "requests": {"perSecond": 500, "burst": 500}}});
    s.patch::<ProviderConfig>("cloud", more).await;
    let process = world.start();
    for i in 0..servers {
        s.create(&format!("web-{i}"), json!({})).await;
    }
    for i in 0..servers {
        s.ready(&format!("web-{i}")).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let text = scrape(&process.metrics);
    let keys = samples(&text)
        .into_iter()
        .map(|(name, labels, _)| format!("{name}{labels:?}"));
    keys.collect()
}

#[tokio::test(start_paused = true)]
async fn ten_times_the_servers_make_no_more_series() {
    let (few, many) = (series_with(10).await, series_with(100).await);
    let more: Vec<_> = many.difference(&few).collect();
    // How turns end under load differs: a conflict, a wait for a look. That set is closed.
    assert!(
        more.iter()
            .all(|m| m.contains("result") || m.contains("operation")),
        "{more:#?}"
    );
    assert!(more.len() <= 24, "{more:#?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_logged_while_nothing_happens() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let log = Log::json(None);
    let process = world.start();
    for (name, power) in [("a", "Running"), ("b", "Stopped")] {
        s.create(name, json!({"powerState": power})).await;
        s.ready_in(name, power).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = log.text();
    assert!(before.contains("acting"), "the log is read: {before}");
    tokio::time::sleep(Duration::from_secs(6 * 3600)).await;
    assert_eq!(log.text(), before);
    drop(process);
}

/// Every line as JSON.
fn lines(log: &Log) -> Vec<Value> {
    let text = log.text();
    let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
    text.lines().map(parse).collect()
}

#[tokio::test(start_paused = true)]
async fn each_line_names_its_turn_and_its_object() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let log = Log::json(Some("evenkeel=debug"));
    let _process = world.start();
    let server = s.create("web", json!({})).await;
    s.ready("web").await;
    s.edit("web", json!({"powerState": "Stopped"})).await;
    let server = s
        .ready_in("web", "Stopped")
        .await
        .metadata
        .uid
        .or(server.metadata.uid);
    let lines = lines(&log);
    let mut turns = BTreeSet::new();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        let span = &line["span"];
        if span["name"] != "reconcile" {
            continue;
        }
        assert_eq!(span["object"], format!("{NAMESPACE}/web"), "{line}");
        assert_eq!(
            (&span["kind"], span["uid"].as_str()),
            (&json!("Server"), server.as_deref()),
            "{line}"
        );
        assert!(
            span["generation"].as_i64().is_some_and(|g| (1..=2).contains(&g)),
            "{line}"
        );
        let id = span["trace_id"].as_str().unwrap();
        assert!(
            id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()),
            "{line}"
        );
        turns.insert(id.to_owned());
    }
    assert!(turns.len() >= 2, "{turns:?}");
    // A request to the cloud names the turn that it is made for, and so does its answer.
    let of = |target: &str, wanted: &dyn Fn(&Value) -> bool| {
        let found = lines
            .iter()
            .filter(|l| l["target"].as_str().unwrap().ends_with(target));
        let found: Vec<_> = found
            .filter(|l| wanted(l))
            .map(|l| l["span"]["trace_id"].clone())
            .collect();
        assert_eq!(found.len(), 1, "{target}: {lines:#?}");
        assert!(found[0].is_string(), "{target}");
        found[0].clone()
    };
    let asked = of("transport::client", &|l| {
        l["method"] == "POST" && l["route"].as_str().is_some_and(|r| r.ends_with(" /servers"))
    });
    let answered = of("controller::call", &|l| l["operation"] == "Create");
    assert_eq!(asked, answered);
}

/// What a cloud says must not write lines of its own, nor speak to a terminal.
const NASTY: &str = "no\u{1b}[31m\u{1b}]0;title\u{7} room\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n\u{202e}gnp\u{0}.\u{9b}2J";

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(all) => all.iter().for_each(|v| strings(v, found)),
        Value::Object(all) => all.values().for_each(|v| strings(v, found)),
        _ => {}
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[tokio::test(start_paused = true)]
async fn what_a_cloud_says_forges_nothing() {
    for json_log in [true, false] {
        let world = Virtual::empty();
        let s = world.stage().await;
        let body = json!({"badRequest": {"code": 400, "message": NASTY}});
        let effect = FaultEffect::Status {
            code: 400,
            body: Some(body),
        };
        world
            .sim
            .inject(FaultRule::new(effect).on("POST /servers").times(3));
        let log = if json_log {
            Log::json(Some("trace"))
        } else {
            Log::capture(tracing::Level::TRACE)
        };
        let _process = world.start();
        s.create("web", json!({})).await;
        let said = s.wait("web", "the refusal", |x| {
            words(x, ConditionType::Ready).contains("room")
        });
        let said = words(&said.await, ConditionType::Ready).to_owned();
        assert!(
            said.contains("no [31m ]0;title room {\"level\"") || said.contains("room {"),
            "{said:?}"
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        let plurals = ["servers", "providerconfigs", "events"];
        let all: Vec<Value> = plurals.iter().flat_map(|p| world.api.list(p)).collect();
        let (all, mut texts) = (Value::from(all), Vec::new());
        strings(&all, &mut texts);
        assert!(texts.iter().any(|t| t.contains("forged")), "the words are shown");
        let bad: Vec<_> = texts.iter().filter(|t| t.contains(is_unsafe)).collect();
        assert!(bad.is_empty(), "{bad:?}");
        let text = log.text();
        let ours = text.lines().filter(|l| l.contains("the cloud refused"));
        let ours: Vec<&str> = ours.collect();
        assert!(!ours.is_empty());
        assert!(
            ours.iter()
                .all(|l| l.contains("forged") && !l.contains(is_unsafe)),
            "{ours:?}"
        );
        assert!(
            !text.lines().any(|l| l.starts_with("{\"level\":\"ERROR\"")),
            "a line was forged"
        );
        if json_log {
            lines(&log);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_planner_thinks_is_shown_without_secrets() {
    let world = Virtual::empty();
    let s = world.stage().await;
    let process = world.start();
    let quoted = json!({"conflictingRequest": {"code": 503, "message": format!("planted words {PLANTED}")}});
    let effect = FaultEffect::Status {
        code: 503,
        body: Some(quoted),
    };
    world.sim.inject(FaultRule::new(effect).on("POST /servers"));
    let server = s.create("web", json!({})).await;
    let explain = |name: &str| process.readiness.explain(&ObjectKey::new(NAMESPACE, name));
    assert_eq!(explain("none"), None);
    let backing_off = async {
        loop {
            let said = explain("web").unwrap();
            if said["last"]["memory"]["sent"]["outcome"] == "Refused"
                || !said["last"]["memory"]["backoff"].is_null()
            {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(600), backing_off)
        .await
        .unwrap();
    assert_eq!(said["object"]["uid"].as_str(), server.metadata.uid.as_deref());
    assert_eq!(
        (&said["acting"], &said["account"]["state"]),
        (&json!(true), &json!("Usable"))
    );
    assert!(
        said["account"]["observationAgeSeconds"].as_f64().unwrap() < 60.0,
        "{said:#}"
    );
    assert!(
        said["verdict"]["Ready"].as_str().unwrap().starts_with("False/"),
        "{said:#}"
    );
    for field in ["at", "step", "busy", "takes"] {
        assert!(!said["last"]["plan"][field].is_null(), "{field}: {said:#}");
    }
    let text = said.to_string();
    for secret in [PLANTED, "planted words"]
        .map(str::to_owned)
        .into_iter()
        .chain(world.tap.secrets())
    {
        assert!(!text.contains(&secret), "{said:#}");
    }
    world.sim.clear_faults();
    s.ready("web").await;
    let rest = async {
        loop {
            let said = explain("web").unwrap();
            let last = &said["last"];
            if last["plan"]["step"] == "Wait"
                && last["plan"]["busy"] == false
                && last["memory"]["sent"].is_null()
            {
                return said;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(600), rest)
        .await
        .unwrap();
    assert_eq!(said["verdict"]["Ready"], "True/AsDeclared", "{said:#}");
}
