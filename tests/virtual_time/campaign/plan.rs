//! What can go wrong in a scenario: every call of an undisturbed run, met by every fault that fits it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use evenkeel::sim::apiserver::{Fault, Rule, Verb, WriteRecord};
use evenkeel::sim::cloud::{FaultEffect, FaultRule, RequestRecord, Spoil};

use crate::scenarios::dice::mixed;

/// One thing that goes wrong at one place of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The nth request of this kind to the cloud, and those after it.
    Cloud {
        call: Call,
        nth: u32,
        times: u32,
        effect: FaultEffect,
    },
    /// The nth request of this kind to the API server, and those after it.
    Cluster {
        verb: Verb,
        plural: &'static str,
        status: bool,
        nth: u32,
        times: u32,
        fault: Fault,
    },
    /// The process dies there, and another one is started.
    Kill(Moment),
    /// At the nth write to the API server something becomes of the watches.
    Watch(u64, Trick),
}

/// A kind of request to a cloud: method, route, action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub method: String,
    pub route: String,
    pub action: Option<String>,
}

/// When a process dies: at the nth change in the cloud, or write to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    BeforeCall(u64),
    AfterCall(u64),
    BeforeWrite(u64),
    AfterWrite(u64),
}

/// What becomes of all watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// They end, and are opened again.
    Break,
    /// Their history is gone: everything is listed anew.
    Expire,
    /// They say nothing for 20 seconds.
    Freeze,
    /// The API server cannot be reached for 20 seconds.
    Cut,
}

/// What an undisturbed run asked for, from the wish to its end.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub requests: Vec<RequestRecord>,
    pub writes: Vec<WriteRecord>,
    pub reads: BTreeMap<(Verb, &'static str), u64>,
    pub took: Duration,
    pub end: Vec<String>,
    /// From the wish to when nothing goes wrong any more.
    pub last: Duration,
    /// From the wish to when nobody looks any more.
    pub watched: Duration,
    /// How often each condition of each object said something else.
    pub turns: BTreeMap<(String, String), usize>,
}

const fn late(delay_ms: u64, wait_ms: u64) -> FaultEffect {
    FaultEffect::LateApply { delay_ms, wait_ms }
}

const fn status(code: u16) -> FaultEffect {
    FaultEffect::Status { code, body: None }
}

const fn spoilt(how: Spoil) -> FaultEffect {
    FaultEffect::Spoilt { how, code: None }
}

/// A list that lacks the first so many, or what comes behind so many: its first pages, or its last ones.
const fn without(omit: usize, keep: Option<usize>) -> FaultEffect {
    FaultEffect::PartialList {
        omit,
        keep,
        server: None,
    }
}

/// On every request to a cloud.
const ANY: &[FaultEffect] = &[
    status(500),
    status(502),
    status(503),
    status(504),
    FaultEffect::RateLimited { retry_after: Some(7) },
    FaultEffect::RateLimited { retry_after: None },
    FaultEffect::Hang { wait_ms: 45_000 },
    FaultEffect::Reset,
    FaultEffect::Refused,
    FaultEffect::Slow { delay_ms: 20_000 },
    spoilt(Spoil::Truncated),
    spoilt(Spoil::Html),
    spoilt(Spoil::WrongType),
    spoilt(Spoil::Empty),
];
/// On requests that change something.
const CHANGES: &[FaultEffect] = &[
    FaultEffect::LostReply,
    late(2_000, 0),
    late(8_000, 100),
    late(50_000, 20_000),
];
/// On all but the login: the token has expired.
const LOGGED_IN: &[FaultEffect] = &[status(401)];
/// On reads of one thing: it seems to be gone.
const ONE: &[FaultEffect] = &[status(404)];
/// On writes to the API server.
const WRITES: &[Fault] = &[
    Fault::Conflict,
    Fault::Status(500),
    Fault::Status(503),
    Fault::Status(429),
    Fault::LostReply,
    Fault::Hang(Duration::from_secs(3)),
    Fault::Hang(Duration::from_secs(40)),
    Fault::Drop,
    Fault::Blackhole,
];
/// On reads of one object.
const READS: &[Fault] = &[
    Fault::Status(500),
    Fault::Status(403),
    Fault::Drop,
    Fault::Blackhole,
];
/// On lists of many.
const LISTS: &[FaultEffect] = &[
    FaultEffect::ListLag { age_ms: 20_000 },
    FaultEffect::StaleList { age_ms: 20_000 },
    without(1, None),
    without(0, Some(1)),
    without(1_000, None),
];
const TRICKS: &[Trick] = &[Trick::Break, Trick::Expire, Trick::Freeze, Trick::Cut];
/// Of repeated reads, how many are met: of the first ones, and of the last.
const FIRST: u32 = 10;
const LAST: u32 = 4;
/// How often in a row.
const TIMES: &[u32] = &[1, 3];

impl Call {
    pub fn of(request: &RequestRecord) -> Self {
        Self {
            method: request.method.clone(),
            route: request.route.clone(),
            action: request.action.clone(),
        }
    }

    /// Whether it asks for a token.
    pub fn logs_in(&self) -> bool {
        self.route.contains("auth/tokens")
    }

    /// Whether it may change something.
    pub fn changes(&self) -> bool {
        self.method != "GET" && !self.logs_in()
    }

    /// Whether it changes nothing, whatever its method is.
    pub fn reads(&self) -> bool {
        self.method == "GET" || self.action.as_deref() == Some("os-getConsoleOutput")
    }

    /// Whether it is the same to have it done twice.
    pub fn says_the_same_twice(&self) -> bool {
        matches!(self.action.as_deref(), Some("lock" | "unlock"))
    }

    fn effects(&self, many: &[&str]) -> Vec<&'static FaultEffect> {
        let mut all: Vec<&FaultEffect> = ANY.iter().collect();
        let listed = many.contains(&format!("{} {}", self.method, self.route).as_str());
        if self.changes() {
            all.extend(CHANGES);
        }
        if !self.logs_in() {
            all.extend(LOGGED_IN);
        }
        if listed {
            all.extend(LISTS);
        } else if self.method == "GET" && self.route.contains("/{id}") {
            all.extend(ONE);
        }
        all
    }
}

/// Every single trouble that an undisturbed run can meet; always in the same order. `many` names the lists of servers.
/// Of reads that are repeated until something has ended only the first and the last ones are met.
pub fn all(trace: &Trace, many: &[&str]) -> Vec<Trouble> {
    let mut found = Vec::new();
    let mut total: BTreeMap<Call, u32> = BTreeMap::new();
    for request in &trace.requests {
        *total.entry(Call::of(request)).or_default() += 1;
    }
    let mut seen: BTreeMap<Call, u32> = BTreeMap::new();
    for request in &trace.requests {
        let call = Call::of(request);
        let nth = seen.entry(call.clone()).or_default();
        *nth += 1;
        if !call.changes() && *nth > FIRST && *nth + LAST <= total[&call] {
            continue;
        }
        for effect in call.effects(many) {
            found.extend(TIMES.iter().map(|times| Trouble::Cloud {
                call: call.clone(),
                nth: *nth,
                times: *times,
                effect: effect.clone(),
            }));
        }
    }
    let changes = seen.iter().filter(|(call, _)| call.changes());
    let changes: u32 = changes.map(|(_, n)| n).sum();
    for n in 1..=u64::from(changes) {
        found.extend([Moment::BeforeCall(n), Moment::AfterCall(n)].map(Trouble::Kill));
    }
    let mut seen: BTreeMap<(Verb, &str, bool), u32> = BTreeMap::new();
    for (n, write) in (1..).zip(&trace.writes) {
        found.extend([Moment::BeforeWrite(n), Moment::AfterWrite(n)].map(Trouble::Kill));
        found.extend(TRICKS.iter().map(|trick| Trouble::Watch(n, *trick)));
        let (verb, plural, status) = (
            write.call.verb,
            write.call.plural,
            write.call.subresource.is_some(),
        );
        let nth = seen.entry((verb, plural, status)).or_default();
        *nth += 1;
        for (fault, times) in WRITES.iter().flat_map(|f| TIMES.iter().map(move |t| (f, t))) {
            found.push(Trouble::Cluster {
                verb,
                plural,
                status,
                nth: *nth,
                times: *times,
                fault: fault.clone(),
            });
        }
    }
    for ((verb, plural), times) in &trace.reads {
        let faults = if *verb == Verb::Get { READS } else { &[] };
        for (nth, fault) in (1..=*times as u32).flat_map(|n| faults.iter().map(move |f| (n, f))) {
            found.push(Trouble::Cluster {
                verb: *verb,
                plural,
                status: false,
                nth,
                times: 1,
                fault: fault.clone(),
            });
        }
    }
    found
}

/// The order in which plans are played if not all are: one of every kind before the second of any, and those of one kind
/// spread over the scenarios and the requests. Always the same.
pub fn spread<T>(plans: &mut Vec<T>, kind: impl Fn(&T) -> String, number: impl Fn(&T) -> u64) {
    plans.sort_by_cached_key(|plan| mixed(number(plan)));
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut nth = |plan: &T| {
        let nth = known.entry(kind(plan)).or_default();
        *nth += 1;
        *nth
    };
    let mut ranked: Vec<(usize, T)> = plans.drain(..).map(|plan| (nth(&plan), plan)).collect();
    // Stable: of one rank they stay as they were drawn.
    ranked.sort_by_key(|(rank, _)| *rank);
    plans.extend(ranked.into_iter().map(|(_, plan)| plan));
}

impl Trouble {
    /// The rule for the cloud, if it is the cloud's.
    pub fn of_cloud(&self) -> Option<FaultRule> {
        let Self::Cloud {
            call,
            nth,
            times,
            effect,
        } = self
        else {
            return None;
        };
        let rule = FaultRule::new(effect.clone()).on(&format!("{} {}", call.method, call.route));
        let rule = call.action.iter().fold(rule, |rule, action| rule.action(action));
        Some(rule.skip(nth - 1).times(*times))
    }

    /// The rule for the API server, if it is its.
    pub fn of_cluster(&self, client: &str) -> Option<Rule> {
        let Self::Cluster {
            verb,
            plural,
            status,
            nth,
            times,
            fault,
        } = self
        else {
            return None;
        };
        let rule = Rule::new(fault.clone()).client(client).verb(*verb).on(plural);
        let rule = if *status { rule.status() } else { rule.main() };
        Some(rule.nth(*nth).times(*times))
    }

    /// What goes wrong, and with which kind of request; not with which one of them.
    pub fn kind(&self) -> String {
        match self {
            Self::Cloud { call, effect, .. } => {
                let action = call.action.as_deref().unwrap_or_default();
                format!("{effect:?} on {} {} {action}", call.method, call.route)
            }
            Self::Cluster {
                verb,
                plural,
                status,
                fault,
                ..
            } => format!("{fault:?} on {verb:?} {plural} {status}"),
            Self::Kill(moment) => format!("killed {:?}", std::mem::discriminant(moment)),
            Self::Watch(_, trick) => format!("{trick:?}"),
        }
    }

    /// Whether the cloud refuses the credentials in it.
    pub const fn refuses_credentials(&self) -> bool {
        matches!(
            self,
            Self::Cloud {
                effect: FaultEffect::Status { code: 401, .. },
                ..
            }
        )
    }

    /// Whether what only one thing's own page shows may not be read in it.
    pub fn hides_details(&self) -> bool {
        matches!(self, Self::Cloud { call, .. } if call.method == "GET" && call.route.contains("/{id}"))
    }

    /// How many requests it meets at most.
    pub const fn times(&self) -> usize {
        match self {
            Self::Cloud { times, .. } | Self::Cluster { times, .. } => *times as usize,
            Self::Kill(_) | Self::Watch(..) => 1,
        }
    }

    /// Whether a list may have been wrong in it, so that what is said is not quite true for a while.
    pub const fn misleads(&self) -> bool {
        matches!(
            self,
            Self::Cloud {
                effect: FaultEffect::ListLag { .. }
                    | FaultEffect::StaleList { .. }
                    | FaultEffect::PartialList { .. },
                ..
            }
        )
    }

    /// Whether a call arrives in it after it counts as lost, which nobody who sent it can know.
    pub fn is_late(&self) -> bool {
        let effect = match self {
            Self::Cloud { effect, .. } => effect,
            _ => return false,
        };
        matches!(effect, FaultEffect::LateApply { delay_ms, .. } if *delay_ms > COUNTS_AS_LOST_MS)
    }

    /// How many requests it holds up on their way.
    pub const fn holds_up(&self) -> u32 {
        match self {
            Self::Cloud {
                effect: FaultEffect::LateApply { .. },
                times,
                ..
            } => *times,
            _ => 0,
        }
    }

    /// For how long it goes on when the request that it meets has come.
    pub fn outlives(&self) -> Duration {
        match self {
            Self::Cloud { effect, .. } => Duration::from_millis(match effect {
                FaultEffect::LateApply { delay_ms, wait_ms } => *delay_ms.max(wait_ms),
                FaultEffect::Slow { delay_ms } => *delay_ms,
                FaultEffect::Hang { wait_ms } => *wait_ms,
                FaultEffect::RateLimited { retry_after } => u64::from(retry_after.unwrap_or(1)) * 1_000,
                _ => 0,
            }),
            Self::Cluster {
                fault: Fault::Hang(time),
                ..
            } => *time,
            Self::Kill(_) => Duration::from_secs(2),
            Self::Watch(_, Trick::Freeze | Trick::Cut) => Duration::from_secs(20),
            _ => Duration::ZERO,
        }
    }

    /// When the last request came that it met, if it met one: since when the run began, of which the wall clock was `began` and
    /// the simulator's `origin`. None too where requests leave no trace: reads of the API server.
    fn met(&self, trace: &Trace, origin: Duration, began: jiff::Timestamp) -> Option<Duration> {
        match self {
            Self::Cloud { call, nth, times, .. } => {
                let of = trace.requests.iter().filter(|r| Call::of(r) == *call);
                let met = of.skip(*nth as usize - 1).take(*times as usize).last()?;
                Some(met.at.saturating_sub(origin))
            }
            Self::Cluster {
                verb,
                plural,
                status,
                nth,
                times,
                ..
            } => {
                let fits = |w: &&WriteRecord| {
                    (w.call.verb, w.call.plural, w.call.subresource.is_some()) == (*verb, *plural, *status)
                };
                let of = trace.writes.iter().filter(fits);
                let met = of.skip(*nth as usize - 1).take(*times as usize).last()?;
                Duration::try_from(met.at.duration_since(began)).ok()
            }
            Self::Kill(_) | Self::Watch(..) => None,
        }
    }
}

/// When the last of these was over, since when a run began. `marked` is that of kills and tricks, which leave no trace.
pub fn last(
    troubles: &[Trouble],
    trace: &Trace,
    origin: Duration,
    began: jiff::Timestamp,
    marked: Option<Duration>,
) -> Duration {
    let ends = troubles
        .iter()
        .filter_map(|t| Some(t.met(trace, origin, began)? + t.outlives()));
    ends.chain(marked).max().unwrap_or_default()
}

/// After so long a call counts as lost: the longest that the clocks of two controllers may differ.
const COUNTS_AS_LOST_MS: u64 = 15_000;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud {
                call,
                nth,
                times,
                effect,
            } => {
                let action = call.action.as_deref().unwrap_or_default();
                write!(
                    f,
                    "{effect:?} on request {nth} to {} {} {action}, {times} times",
                    call.method, call.route
                )
            }
            Self::Cluster {
                verb,
                plural,
                status,
                nth,
                times,
                fault,
            } => {
                let status = if *status { "/status" } else { "" };
                write!(
                    f,
                    "{fault:?} on {verb:?} {nth} of {plural}{status}, {times} times"
                )
            }
            Self::Kill(moment) => write!(f, "killed {moment:?}"),
            Self::Watch(n, trick) => write!(f, "{trick:?} at write {n}"),
        }
    }
}
