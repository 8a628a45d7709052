use super::catalogue::{ALL, LABELS, Type};
use super::*;

/// The families that a fresh process shows, as `name type unit help`.
fn shown(metrics: &Metrics) -> Vec<String> {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let said = |kind: &str, family: &str| {
        let start = format!("# {kind} {family} ");
        let line = text.lines().find(|l| l.starts_with(&start));
        line.map(|l| l[start.len()..].to_owned()).unwrap_or_default()
    };
    let families = text.lines().filter_map(|l| l.strip_prefix("# TYPE "));
    let families = families.filter_map(|l| l.split(' ').next());
    let mut all: Vec<String> = families
        .map(|f| format!("{f} {} {} {}", said("TYPE", f), said("UNIT", f), said("HELP", f)))
        .collect();
    all.sort();
    all
}

/// One series of each metric that has labels: one without series is not shown.
fn filled() -> Metrics {
    let metrics = Metrics::default();
    let (kind, result, operation) = ("Server", "rest", "Stop");
    let reason = "PowerDrift";
    drop(metrics.reconcile.get_or_create(&KindEnded { kind, result }));
    drop(metrics.reconcile_duration.get_or_create(&Kind { kind }));
    drop(metrics.status_writes.get_or_create(&KindEnded { kind, result }));
    drop(metrics.events_lost.get_or_create(&Ended { result }));
    drop(metrics.watch_restarts.get_or_create(&Kind { kind }));
    drop(metrics.time_to_ready.get_or_create(&Kind { kind }));
    let ended = OperationEnded {
        kind,
        operation,
        result,
    };
    drop(metrics.operations.get_or_create(&ended));
    let drift = KindReason { kind, reason };
    drop(metrics.drift_detected.get_or_create(&drift));
    drop(metrics.drift_corrected.get_or_create(&Kind { kind }));
    let cloud = metrics.of_cloud("somewhere");
    cloud.call("List", "ok", Duration::ZERO);
    cloud.request(&Method::GET, "/servers", Got::Status(200), Duration::ZERO);
    cloud.waited(Priority::Background, Duration::ZERO);
    metrics
}

#[test]
fn what_is_shown_is_what_the_catalogue_says() {
    let mut said: Vec<String> = ALL
        .iter()
        .map(|d| {
            let kind = match d.kind {
                Type::Counter => "counter",
                Type::Gauge => "gauge",
                Type::Histogram => "histogram",
                Type::Info => "info",
            };
            let unit = if d.seconds { "seconds" } else { "" };
            format!("{} {kind} {unit} {}.", d.family(), d.help)
        })
        .collect();
    said.sort();
    assert_eq!(shown(&filled()), said);
}

#[test]
fn names_keep_the_conventions() {
    for d in ALL {
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(d.name.chars().all(plain), "{}", d.name);
        for ending in ["_total", "_seconds", "_info", "_count", "_sum", "_bucket", "_ms"] {
            assert!(
                !d.name.ends_with(ending),
                "{}: {ending} is added by itself",
                d.name
            );
        }
        let time = ["duration", "wait", "age", "time_to", "oldest"];
        let is_time = time.iter().any(|t| d.name.contains(t));
        assert_eq!(is_time, d.seconds, "{}: times are in seconds", d.name);
        assert!(!d.help.is_empty() && !d.help.ends_with('.'), "{}", d.name);
        for label in d.labels {
            assert!(LABELS.iter().any(|(l, _)| l == label), "{}: {label}", d.name);
        }
    }
    // What would make a series for each server has no label that could hold it.
    for (label, _) in LABELS {
        for word in [
            "uid",
            "id",
            "name",
            "server",
            "object",
            "namespace",
            "message",
            "url",
        ] {
            assert_ne!(*label, word);
        }
    }
}

#[test]
fn what_is_asked_of_a_cloud_is_counted_under_its_name() {
    let metrics = Metrics::default();
    let cloud = metrics.of_cloud("somewhere");
    cloud.call("List", "ok", Duration::from_secs(2));
    cloud.request(
        &Method::GET,
        "/servers/{id}",
        Got::Status(404),
        Duration::from_secs(1),
    );
    cloud.request(&Method::GET, "/servers/{id}", Got::Status(777), Duration::ZERO);
    let lost = Got::Lost(Stage::Timeout);
    cloud.request(&Method::POST, "/servers", lost, Duration::from_secs(30));
    cloud.waited(Priority::High, Duration::from_secs(3));
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "evenkeel_cloud_calls_total{provider=\"somewhere\",operation=\"List\",result=\"ok\"} 1",
        "evenkeel_cloud_call_duration_seconds_sum{provider=\"somewhere\",operation=\"List\"} 2.0",
        "evenkeel_cloud_requests_total{provider=\"somewhere\",method=\"GET\",route=\"/servers/{id}\",code=\"4xx\"} 1",
        "evenkeel_cloud_requests_total{provider=\"somewhere\",method=\"GET\",route=\"/servers/{id}\",code=\"other\"} 1",
        "evenkeel_cloud_requests_total{provider=\"somewhere\",method=\"POST\",route=\"/servers\",code=\"timeout\"} 1",
        "evenkeel_cloud_request_duration_seconds_sum{provider=\"somewhere\",method=\"POST\"} 30.0",
        "evenkeel_request_budget_wait_seconds_sum{provider=\"somewhere\",priority=\"high\"} 3.0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
}
