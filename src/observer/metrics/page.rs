//! `docs/metrics.md`, written from the catalogue.

use std::fmt::Write as _;

use super::catalogue::{ALL, LABELS, Type};

const HEAD: &str = "\
# Metrics

What `/metrics` on the admin address shows, as OpenMetrics text. This page is written from the code by `make generate`;
change the code, not the page. Alerts and a dashboard on these metrics are in `deploy/monitoring/`, what to do about each
alert is in `docs/runbooks/`.

Names begin with `evenkeel_`, times are in seconds, counters end in `_total`. What is said of objects and accounts
(`objects`, `objects_stalled`, `servers_power`, `oldest_not_ready`, `observation_age`) is shown by the process that acts
alone, so that a sum over the replicas counts nothing twice; it is read from the watched objects at each scrape and
cannot drift away from them.

";

const CARDINALITY: &str = "\
## Why the number of series is bounded

No label holds a name or a UID of a Server, an id or a text of a cloud: ten thousand servers make as many series as ten.
Reasons, states, operations, routes and error classes are closed sets in the code. The one label that people choose is
the ProviderConfig of `evenkeel_observation_age_seconds`: who is paged must know which account cannot be seen, and there
are as many ProviderConfigs as somebody has credentials for. They are shown by ProviderConfig and not by account, since a
tenant knows the one and not the other; several of one account show the same age. At most 500 are shown, those with the
oldest lists, so that a tenant who makes thousands of them cannot fill the monitoring.
";

/// The whole page.
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n");
    for d in ALL {
        let kind = match d.kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
            Type::Info => "info",
        };
        let ending = match d.kind {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::Histogram => "",
        };
        let labels: Vec<String> = d.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}{ending}` | {kind} | {} | {}. |",
            d.family(),
            labels.join(", "),
            d.help
        );
    }
    page.push_str("\n## Labels\n\n| label | values |\n| --- | --- |\n");
    for (label, values) in LABELS {
        let _ = writeln!(page, "| `{label}` | {values} |");
    }
    page.push('\n');
    page.push_str(CARDINALITY);
    page
}
