//! Time. It moves in ticks, and it is always the same moment: when a tick passes, every time in the state becomes older by
//! that much. What is older than the planner looks back is equally old. So there are finitely many states.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use evenkeel::planner::memory::{Memory, Outcome};

/// Seconds of a tick: longer than a call may wait to be sent (5), than the planner waits between two looks (5, 10) and for
/// a call that was lost (15); half of the time that a create may take to have an effect (30).
pub(crate) const TICK: i64 = 16;
/// What happened so many seconds ago happened long ago. The planner looks back 60 seconds at most.
pub(crate) const LONG: i64 = 4 * TICK;

const BASE: i64 = 1_800_000_000;

/// The moment at which a process plans. Their clocks differ by a thousandth, so that no two records are the same.
pub(crate) fn now(process: usize) -> Timestamp {
    Timestamp::from_millisecond(BASE * 1000 + i64::try_from(process).unwrap_or(0)).expect("a time")
}

/// One tick older; long ago if it is that old.
fn older(t: Timestamp) -> Timestamp {
    let t = t - SignedDuration::from_secs(TICK);
    t.max(now(0) - SignedDuration::from_secs(LONG))
}

/// Milliseconds since the moment of planning.
pub(crate) fn offset(t: Timestamp) -> i32 {
    i32::try_from(t.as_millisecond() - BASE * 1000).expect("a time near now")
}

pub(crate) fn at(offset: i32) -> Timestamp {
    Timestamp::from_millisecond(BASE * 1000 + i64::from(offset)).expect("a time")
}

/// One tick older.
pub(crate) fn older_offset(ms: i32) -> i32 {
    offset(older(at(ms)))
}

/// What tells when something was said, and is compared with nothing.
const TOLD: &[&str] = &[
    "firstAt",
    "firstSettledTime",
    "finishedAt",
    "creationTimestamp",
    "deletionTimestamp",
];

/// Names of the parts of a status in which times are told only.
fn told(path: &[&str]) -> bool {
    let last = path.last().copied().unwrap_or_default();
    TOLD.contains(&last)
        || (last == "lastTransitionTime" && path.contains(&"conditions"))
        || (last == "startedAt" && path.contains(&"actions"))
}

/// Makes times that are only told the same, whenever they were.
pub(crate) fn level(value: &mut Value) {
    walk(value, &mut Vec::new(), &|path, text| {
        told(path)
            .then(|| text.parse::<Timestamp>().ok())
            .flatten()
            .map(|_| now(0).to_string())
    });
}

/// Makes a status one tick older.
pub(crate) fn age(value: &mut Value) {
    let attempt = value.get("createAttempt").cloned();
    walk(value, &mut Vec::new(), &|path, text| {
        if told(path) {
            return None;
        }
        if path == ["operation", "id"] {
            return Some(age_name(text));
        }
        Some(age_text(text))
    });
    // How long an attempt was given is not shortened by its being old.
    if let (Some(old), Some(new)) = (attempt, value.get_mut("createAttempt")) {
        let time = |v: &Value, key: &str| v[key].as_str().and_then(|t| t.parse::<Timestamp>().ok());
        let span = time(&old, "deadline")
            .zip(time(&old, "startedAt"))
            .map(|(d, s)| d.duration_since(s));
        if let (Some(span), Some(start)) = (span, time(new, "startedAt")) {
            new["deadline"] = Value::String((start + span).to_string());
        }
    }
}

fn walk<'v>(value: &mut Value, path: &mut Vec<&'v str>, change: &dyn Fn(&[&str], &str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = change(path, text) {
                *text = new;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| walk(v, path, change)),
        Value::Object(all) => {
            for (key, v) in all.iter_mut() {
                let mut inner: Vec<&str> = path.to_vec();
                inner.push(key);
                walk(v, &mut inner, change);
            }
        }
        _ => {}
    }
}

/// Every time in a text one tick older.
fn age_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("202") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find('Z').map_or(0, |z| z + 1);
        match from.get(..end).and_then(|t| t.parse::<Timestamp>().ok()) {
            Some(t) => {
                out.push_str(&older(t).to_string());
                rest = &from[end..];
            }
            None => {
                out.push_str(&from[..3]);
                rest = &from[3..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `stop-<time>`, and `stop-<time>#2`: the time one tick older.
fn age_name(name: &str) -> String {
    let (id, attempt) = name.split_once('#').map_or((name, None), |(i, a)| (i, Some(a)));
    let aged = id.rsplit_once('-').and_then(|(kind, hex)| {
        let ms = i64::from_str_radix(hex, 16).ok().filter(|ms| *ms > 1000 * 1000)?;
        let t = older(Timestamp::from_millisecond(ms).ok()?);
        Some(format!("{kind}-{:x}", t.as_millisecond()))
    });
    let id = aged.unwrap_or_else(|| id.to_owned());
    attempt.map_or(id.clone(), |a| format!("{id}#{a}"))
}

/// The key of a call one tick older.
pub(crate) fn age_key(key: &str) -> String {
    age_name(key)
}

/// Makes what a process remembers one tick older. Every field is named, so that none is forgotten.
pub(crate) fn age_memory(memory: &mut Memory) {
    let Memory {
        first_seen,
        deleting_since,
        sent,
        look,
        gone,
        going: _,
        attempt,
        backoff,
        deed,
        failed_id: _,
        corrections,
        doubt,
        generation: _,
        stopping_until,
        rewritten_at,
    } = memory;
    let some = |t: &mut Option<Timestamp>| *t = t.map(older);
    some(first_seen);
    some(deleting_since);
    some(stopping_until);
    some(rewritten_at);
    if let Some(sent) = sent {
        sent.key = age_name(&sent.key);
        match &mut sent.outcome {
            Outcome::Accepted(at, _) | Outcome::Refused(at, _) => *at = older(*at),
            Outcome::InFlight => {}
        }
    }
    if let Some(look) = look {
        look.asked_at = older(look.asked_at);
    }
    if let Some(gone) = gone {
        gone.at = older(gone.at);
    }
    if let Some(attempt) = attempt {
        attempt.first_seen = older(attempt.first_seen);
        some(&mut attempt.first_empty);
    }
    for backoff in [backoff, deed].into_iter().flatten() {
        backoff.until = older(backoff.until);
    }
    corrections.iter_mut().for_each(|t| *t = older(*t));
    if let Some(doubt) = doubt {
        doubt.since = older(doubt.since);
    }
}

/// Makes equal what no decision tells apart: waits that are over, and how often a refusal was waited out after the third
/// time.
pub(crate) fn level_memory(memory: &mut Memory) {
    for backoff in [&mut memory.backoff, &mut memory.deed].into_iter().flatten() {
        if backoff.until <= now(0) {
            backoff.until = now(0) - SignedDuration::from_secs(LONG);
        }
        backoff.count = backoff.count.min(3);
    }
}
