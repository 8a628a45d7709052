//! What must be true of a run when it has ended: in itself, and in comparison with the undisturbed run.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::registry::Registry;
use serde_json::Value;

use super::act::Act;
use super::eyes::Eyes;
use super::plan::{Call, Trace, Trouble};
use super::run::Manner;
use crate::matrix::field::Field;
use crate::tap::Traffic;
use evenkeel::observer::metrics::Metrics;
use evenkeel::sim::cloud::FaultEffect;

/// How long a fault may delay what an undisturbed run does at once: the longest deadline of an operation and the longest
/// pause between two tries, some times over.
const DELAY: Duration = Duration::from_secs(45 * 60);
/// The same where the cloud refused the credentials: it is asked again seldom, since some lock a key that is wrong.
const REFUSED: Duration = Duration::from_secs(90 * 60);
/// How many changes more than an undisturbed run a disturbed one may ask for.
const MORE_CHANGES: usize = 10;
/// How many requests a second may be asked while something is under way, and how many more.
const READS_A_SECOND: f64 = 4.0;
const MORE_READS: f64 = 60.0;

/// How many changes more than the undisturbed run are asked for when nothing goes wrong any more.
const MORE_AT_LAST: usize = 2;
/// How often more than in the undisturbed run a condition may say something else, for each request that meets a fault: that it failed,
/// that it is tried again, that this is under way, and what came of it.
const MORE_TURNS: usize = 4;
/// Two that both act may see different things for a while. What one of them said stands so long before the other contradicts it.
const WORD: Duration = Duration::from_secs(60);
/// How often one change of one server is asked for within [`WINDOW`].
const AT_ONCE: usize = 12;
const WINDOW: Duration = Duration::from_secs(10);
/// How long a request may be under way in peace.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// How often each kind of change was carried out.
fn changes(trace: &Trace) -> BTreeMap<Call, usize> {
    let mut all = BTreeMap::new();
    for request in trace.requests.iter().filter(|r| r.applied) {
        let call = Call::of(request);
        if call.changes() && !call.reads() {
            *all.entry(call).or_default() += 1;
        }
    }
    all
}

/// What must be true of a run that has ended, and of it in comparison with the undisturbed one.
pub fn judge(
    f: &Field,
    act: Act,
    troubles: &[Trouble],
    trace: &Trace,
    reference: Option<&Trace>,
    manner: Manner,
) {
    let mut left: Vec<String> = f.servers().into_iter().map(|s| s.power).collect();
    left.sort();
    assert_eq!(left, act.leaves(&*f.cloud), "what is left of {act:?}");
    let Some(reference) = reference else {
        return;
    };
    assert_eq!(
        trace.end, reference.end,
        "the end is another one than that of an undisturbed run"
    );
    after_the_last(trace, reference, troubles);
    steady(trace, reference, troubles, manner);
    paced(trace, troubles, manner);
    let late = trace.took.saturating_sub(reference.took);
    let most = if troubles.iter().any(Trouble::refuses_credentials) {
        REFUSED
    } else {
        DELAY
    };
    assert!(
        late < most,
        "it took {:?} instead of {:?}",
        trace.took,
        reference.took
    );
    let asked = |t: &Trace| t.requests.iter().filter(|r| Call::of(r).changes()).count();
    let (now, then) = (asked(trace), asked(reference));
    let asked_for: Vec<String> = trace
        .requests
        .iter()
        .filter(|r| Call::of(r).changes())
        .map(|r| format!("{:?} {} {:?}", r.at, r.key(), r.status))
        .collect();
    assert!(
        now <= then + MORE_CHANGES,
        "{now} changes were asked for instead of {then}: {asked_for:#?}"
    );
    let reads = (trace.requests.len() - now) as f64;
    let controllers = if manner.rival { 2.0 } else { 1.0 };
    let most = controllers * (trace.took.as_secs_f64() * READS_A_SECOND + MORE_READS);
    assert!(reads <= most, "{reads} reads in {:?}", trace.took);
    let (now, then) = (changes(trace), changes(reference));
    // A list that goes back in time shows a lock that was taken off, and the other way round.
    let old_lists: usize = troubles.iter().filter(|t| t.misleads()).map(Trouble::times).sum();
    // What arrives after it counts as lost is put back.
    let late: usize = troubles.iter().filter(|t| t.is_late()).map(Trouble::times).sum();
    for (call, n) in &now {
        let again = if call.says_the_same_twice() { old_lists } else { 0 };
        let most = then.get(call).copied().unwrap_or_default().max(act.may_ask()) + again + late;
        assert!(
            *n <= most,
            "{} {} {:?} was carried out {n} times instead of {most}: {now:#?}",
            call.method,
            call.route,
            call.action
        );
    }
}

/// O4: what is asked for, and how long it takes, when nothing goes wrong any more.
pub fn after_the_last(trace: &Trace, reference: &Trace, troubles: &[Trouble]) {
    let asked = |t: &Trace, from: Duration| {
        let first = t.requests.first().map_or(Duration::ZERO, |r| r.at);
        let all = t.requests.iter();
        all.filter(|r| Call::of(r).changes() && r.at.saturating_sub(first) > from)
            .count()
    };
    let (now, then) = (asked(trace, trace.last), asked(reference, Duration::ZERO));
    if std::env::var_os("CAMPAIGN_FIGURES").is_some() {
        let more = |key: &(String, String)| {
            let of = |t: &Trace| t.turns.get(key).copied().unwrap_or_default() as i64;
            of(trace) - of(reference)
        };
        let turns = trace.turns.keys().max_by_key(|key| more(key));
        println!(
            "FIGURES changes {now} of {then}, {:.0?} after the last instead of {:.0?}, turns {:?} {turns:?}, {troubles:?}",
            trace.took.saturating_sub(trace.last),
            reference.took,
            turns.map(more),
        );
    }
    assert!(
        now <= then + MORE_AT_LAST,
        "O4: {now} changes instead of {then} were asked for when nothing went wrong any more"
    );
}

/// O9: no condition of an object turns to and fro without a cause. That two controllers that both act see different things is one.
pub fn steady(trace: &Trace, reference: &Trace, troubles: &[Trouble], manner: Manner) {
    let met = troubles.iter().map(Trouble::times).sum::<usize>().max(1);
    let quarrels = if manner.rival {
        trace.watched.as_secs() / WORD.as_secs()
    } else {
        0
    };
    for (of, now) in &trace.turns {
        let then = reference.turns.get(of).copied().unwrap_or_default();
        let most = then + MORE_TURNS * met + quarrels as usize;
        assert!(
            *now <= most,
            "O9: {of:?} said something else {now} times, and {then} times undisturbed"
        );
    }
}

/// O11: a pause that the cloud asked for is kept, and nothing is asked for in a hot loop.
pub fn paced(trace: &Trace, troubles: &[Trouble], manner: Manner) {
    if manner.rival {
        return;
    }
    // A record does not tell which refusal asked for a pause: only where each one did.
    let pauses: Vec<bool> = troubles
        .iter()
        .filter_map(|t| match t {
            Trouble::Cloud {
                effect: FaultEffect::RateLimited { retry_after },
                ..
            } => Some(retry_after.is_some()),
            _ => None,
        })
        .collect();
    let ordered = !pauses.is_empty() && pauses.iter().all(|asked| *asked);
    let killed = troubles.iter().any(|t| matches!(t, Trouble::Kill(_)));
    for request in trace
        .requests
        .iter()
        .filter(|r| ordered && !killed && r.status == Some(429))
    {
        let (from, to) = (request.at + UNDER_WAY, request.at + Duration::from_secs(7));
        let early = trace.requests.iter().find(|r| r.at > from && r.at < to);
        assert!(
            early.is_none(),
            "O11: {early:?} within the pause that {request:?} asked for"
        );
    }
    let mut asked: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
    for request in trace.requests.iter().filter(|r| Call::of(r).changes()) {
        let of = (Call::of(request), request.server.clone());
        asked.entry(of).or_default().push(request.at);
    }
    for (call, times) in asked {
        let hot = times.windows(AT_ONCE + 1).find(|w| w[AT_ONCE] - w[0] < WINDOW);
        assert!(
            hot.is_none(),
            "O11: {call:?} is asked for in a hot loop: {times:?}"
        );
    }
}

fn requests(metrics: &Metrics) -> u64 {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let of = |line: &&str| line.starts_with("evenkeel_cloud_requests_total{");
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    text.lines().filter(of).map(value).sum()
}

/// O13: each controller counts what left it, and the cloud saw as much since `before`.
pub fn counted(f: &Field, before: &BTreeMap<String, Traffic>, seen: usize, troubles: &[Trouble]) {
    let after = f.tap.traffic();
    for (process, metrics) in f.metrics() {
        let traffic = after.get(process).copied().unwrap_or_default();
        let counted = requests(metrics);
        assert!(
            (traffic.ended..=traffic.sent).contains(&counted),
            "O13: {process} counts {counted} requests of {traffic:?}"
        );
    }
    let total = |of: fn(&Traffic) -> u64| {
        let sum = |all: &BTreeMap<String, Traffic>| all.values().map(of).sum::<u64>();
        sum(&after) - sum(before)
    };
    let (sent, ended, under_way) = (
        total(|t| t.sent),
        total(|t| t.ended),
        before.values().map(|t| t.sent - t.ended).sum::<u64>(),
    );
    // The cloud notes what is held up when it arrives.
    let held = troubles.iter().map(|t| u64::from(t.holds_up())).sum::<u64>();
    let under_way = under_way + held;
    assert!(
        (ended.saturating_sub(under_way)..=sent + under_way).contains(&(seen as u64)),
        "O13: the cloud saw {seen} requests, {sent} were sent and {ended} ended"
    );
}

/// O13: who needs a person is told of in an event too. Events may be lost with the process and with the API server.
pub fn told(f: &Field, eyes: &Eyes, troubles: &[Trouble]) {
    if troubles.iter().any(|t| !matches!(t, Trouble::Cloud { .. })) {
        return;
    }
    let events = f.api.list("events");
    for (object, reason) in eyes.stalled() {
        let says = |e: &&Value| {
            let word = |pointer: &str| e.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let about = format!("{} {}", word("/regarding/kind"), word("/regarding/name"));
            // What becomes of a deed is told of its Server.
            let named = word("/note").starts_with(&format!("{object}:"));
            word("/reason") == reason && (about == object || named)
        };
        let said = events.iter().filter(says).count();
        assert!(
            said > 0,
            "O13: {object} was Stalled/{reason}, and no event says so: {events:#?}"
        );
    }
}
