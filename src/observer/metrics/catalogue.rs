//! Every metric: its name, type, unit, labels and meaning. The registry, `docs/metrics.md`, and the checks of
//! alerts and dashboards are all made from this table.

use prometheus_client::registry::Unit;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows; its series end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Its series end in `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Always 1; what it says is in its labels. Its series ends in `_info`.
    Info,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its name without the prefix, the unit and the ending that its type adds.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Type,
    /// Whether it is in seconds.
    pub seconds: bool,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence without its full stop.
    pub help: &'static str,
}

/// The prefix of every metric.
pub const PREFIX: &str = "evenkeel";

/// Every label, and what its values are taken from. None of them grows with the number of servers.
pub const LABELS: &[(&str, &str)] = &[
    (
        "kind",
        "`Server`, `ServerGroup`, `ServerAction` or `ProviderConfig`",
    ),
    ("result", "one of a few words, listed with the metric"),
    ("provider", "a cloud that this program can speak to"),
    (
        "operation",
        "what was asked of a cloud: `List`, `Get`, `Account`, `Create`, `CreateGroup`, `ChangeGroup`, or \
         a kind of `status.operation`",
    ),
    ("method", "the HTTP method"),
    ("route", "the shape of a URL, without ids and names"),
    (
        "code",
        "`2xx`, `4xx`, ...; without a reply how far the request got: `connect`, `lost`, `timeout`, `reply`",
    ),
    (
        "priority",
        "`high` (writes, and what somebody waits for) or `background`",
    ),
    (
        "ready",
        "the status of the Ready condition: `True`, `False`, `Unknown`",
    ),
    (
        "reason",
        "a reason of the [reference](reference.md); `None` before the first plan, `Other` for a word that is none",
    ),
    (
        "state",
        "a power state as `status.power.observed` has it; `None` before the first look",
    ),
    (
        "config_namespace",
        "the namespace of a ProviderConfig (`namespace` itself is the scraped pod's)",
    ),
    ("config", "the name of a ProviderConfig"),
    ("le", "the upper bound of a bucket"),
    ("version", "the version of this program"),
];

macro_rules! catalogue {
    ($($kind:ident $name:literal $($seconds:ident)? [$($label:literal),*] $help:literal;)+) => {
        /// Every metric, in the order of the page.
        pub const ALL: &[Described] = &[$(Described {
            name: $name,
            kind: Type::$kind,
            seconds: catalogue!(@ $($seconds)?),
            labels: &[$($label),*],
            help: $help,
        }),+];
    };
    (@ seconds) => { true };
    (@) => { false };
}

catalogue! {
    Info "build" ["version"] "What was built";
    Gauge "leader" [] "1 while this process holds the lease and acts, else 0; with --share-accounts each that has a place";
    Gauge "sharing_replicas" [] "How many replicas share the accounts, as this one sees it; 0 without --share-accounts, or without a place";
    Counter "reconcile" ["kind", "result"]
        "Turns of objects by how they ended: rest, step, conflict, not-owned, gone, error, panic";
    Histogram "reconcile_duration" seconds ["kind"] "How long a turn took; no turn waits for a cloud";
    Gauge "queue_depth" [] "Objects whose turn has come and that wait for a worker";
    Histogram "queue_wait" seconds [] "How long objects whose turn had come waited for a worker";
    Counter "status_writes" ["kind", "result"] "Writes of a status by how they ended: ok, conflict, gone, error";
    Counter "events_lost" ["result"] "Events that were not published, by why: full, many, error";
    Counter "watch_restarts" ["kind"] "Watches of the Kubernetes API that broke and were begun anew";
    Counter "cloud_calls" ["provider", "operation", "result"]
        "What was asked of clouds, by how it ended: ok, or the class of the error";
    Histogram "cloud_call_duration" seconds ["provider", "operation"]
        "How long a cloud took for what was asked, all its requests and waits for the budget included";
    Counter "cloud_requests" ["provider", "method", "route", "code"] "HTTP requests to clouds";
    Histogram "cloud_request_duration" seconds ["provider", "method"]
        "How long an HTTP request took, from when it was sent to the end of its reply";
    Histogram "request_budget_wait" seconds ["provider", "priority"]
        "How long requests waited for the account's request budget before they were sent";
    Counter "list_wakes" [] "Objects that a list of their account gave a turn";
    Gauge "observation_age" seconds ["config_namespace", "config"]
        "How old the last complete list of the account is; from when it was first tried, if there was none. At most 500 \
         ProviderConfigs, the oldest lists first";
    Gauge "objects" ["kind", "ready", "reason"] "Objects by status and reason of their Ready condition";
    Gauge "objects_stalled" ["kind", "reason"] "Objects that wait for a person, by the reason of their Stalled condition";
    Gauge "servers_power" ["state"] "Servers by the power state that was observed";
    Gauge "oldest_not_ready" seconds ["kind", "reason"]
        "For how long the object that has waited longest has not been Ready, by the reason that it gives now";
    Histogram "time_to_ready" seconds ["kind"]
        "How long objects that became Ready had not been so before: since their creation, or since they were no longer";
    Counter "operations" ["kind", "operation", "result"]
        "Operations on objects: started, and by how they ended: done, or failed if a failure is recorded then";
    Counter "drift_detected" ["kind", "reason"] "Changes from outside that were found";
    Counter "drift_corrected" ["kind"] "Changes from outside that were put back";
}

impl Described {
    /// The one of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|d| d.name == name)
    }

    /// Its unit, as the registry takes it.
    pub fn unit(&self) -> Option<Unit> {
        self.seconds.then_some(Unit::Seconds)
    }

    /// The name with prefix and unit.
    pub fn family(&self) -> String {
        let unit = if self.seconds { "_seconds" } else { "" };
        format!("{PREFIX}_{}{unit}", self.name)
    }

    /// The names of its series, as queries use them.
    pub fn series(&self) -> Vec<String> {
        let family = self.family();
        let endings: &[&str] = match self.kind {
            Type::Counter => &["_total"],
            Type::Gauge => &[""],
            Type::Histogram => &["_bucket", "_sum", "_count"],
            Type::Info => &["_info"],
        };
        endings.iter().map(|e| format!("{family}{e}")).collect()
    }
}
