//! The fault campaign: every call of every scenario met by every fault, one at a time; then several at once by seed.
//!
//! A run that fails is printed as `provider/scenario/numbers`: the numbers are those of its troubles in the list that the
//! undisturbed run gives. `CAMPAIGN=... cargo test --features sim --test virtual_time -- campaign::replay` plays it again.

mod act;
mod arrival;
mod deeds;
mod eyes;
mod judge;
mod plan;
mod run;
mod sown;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use evenkeel::sim::apiserver::ApiServer;

use act::Act;
use plan::{Trace, Trouble};
use run::{Manner, play};
pub use run::{caught, paused};

use crate::matrix::{Fresh, PROVIDERS};
use crate::scenarios::dice::mixed;

/// How many single faults are played for each provider unless all are asked for.
const SINGLE: usize = 3_000;
/// How many seeds are played for each provider.
const SEEDS: u64 = 60;
/// So many failures are enough to see what is wrong.
const ENOUGH: usize = 8;

/// A scenario on a provider, its undisturbed run and what can go wrong in it.
struct Case {
    provider: &'static str,
    fresh: Fresh,
    act: Act,
    trace: Trace,
    troubles: Vec<Trouble>,
}

impl Case {
    fn new(provider: &'static str, fresh: Fresh, act: Act) -> Result<Self, String> {
        let trace = play(fresh, act, &[], None, Manner::default())
            .map_err(|words| format!("{provider}/{act:?} undisturbed: {words}"))?;
        let troubles = plan::all(&trace, lists(provider));
        Ok(Self {
            provider,
            fresh,
            act,
            trace,
            troubles,
        })
    }

    /// Plays it with some of its troubles; what was wrong, and how to play it again.
    fn play(&self, numbers: &[usize], manner: Manner) -> Option<String> {
        let troubles: Vec<Trouble> = numbers.iter().map(|n| self.troubles[*n].clone()).collect();
        let words = play(self.fresh, self.act, &troubles, Some(&self.trace), manner).err()?;
        let named: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Some(format!(
            "CAMPAIGN={}/{:?}/{}{}\n    {}\n    {}",
            self.provider,
            self.act,
            numbers.join("+"),
            manner.name(),
            named.join("; "),
            words.lines().take(12).collect::<Vec<_>>().join("\n    ")
        ))
    }
}

/// The lists of servers, and of what they are read with, which can be old or lack something.
fn lists(provider: &str) -> &'static [&'static str] {
    let of = |(name, all): &(&str, &'static [&'static str])| (*name == provider).then_some(*all);
    LISTS.iter().find_map(of).unwrap_or_default()
}

const LISTS: &[(&str, &[&str])] = &[
    ("openstack", &["GET /servers/detail", "GET /os-server-groups"]),
    ("upcloud", &["GET /server", "GET /server-group"]),
    ("clouddc", &["GET /instances", "GET /physicalservers"]),
];

/// All clouds, or the one that is asked for.
fn clouds() -> impl Iterator<Item = &'static (&'static str, Fresh)> {
    let only = std::env::var("CAMPAIGN_CLOUD").ok();
    let wanted = move |(name, _): &&(&str, Fresh)| only.as_deref().is_none_or(|o| o == *name);
    PROVIDERS.iter().filter(wanted)
}

fn cases(provider: &'static str, fresh: Fresh) -> Vec<Case> {
    let runtime = paused();
    let fits = |act: &&Act| runtime.block_on(async { act.fits(&*fresh(&ApiServer::new().unwrap())) });
    let (cases, failed): (Vec<_>, Vec<_>) = Act::ALL
        .iter()
        .filter(fits)
        .map(|act| Case::new(provider, fresh, *act))
        .partition(Result::is_ok);
    none(&failed.into_iter().filter_map(Result::err).collect::<Vec<_>>());
    cases.into_iter().flatten().collect()
}

/// Plays all of these on as many threads as there are cores; the failures.
pub fn play_all(jobs: usize, job: impl Fn(usize) -> Option<String> + Sync) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= jobs || failed.lock().unwrap().len() >= ENOUGH {
                        return;
                    }
                    if let Some(words) = job(n) {
                        failed.lock().unwrap().push(words);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// Shows all failures of a campaign together.
fn none(failed: &[String]) {
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

pub fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn one_fault_at_a_time() {
    let wanted = number("CAMPAIGN_PLANS", SINGLE);
    let only = std::env::var("CAMPAIGN_KIND");
    let manner = std::env::var("CAMPAIGN_MANNER").unwrap_or_default();
    let mut failed = Vec::new();
    for (provider, fresh) in clouds() {
        let began = Instant::now();
        let cases = cases(provider, *fresh);
        let mut plans: Vec<(&Case, usize)> = cases
            .iter()
            .flat_map(|case| (0..case.troubles.len()).map(move |n| (case, n)))
            .collect();
        let all = plans.len();
        let kind = |(case, n): &(&Case, usize)| case.troubles[*n].kind();
        if let Ok(word) = &only {
            plans.retain(|plan| kind(plan).contains(word));
        }
        let kinds = plans.iter().map(kind).collect::<BTreeSet<_>>().len();
        plan::spread(&mut plans, kind, |(case, n)| {
            *n as u64 ^ ((case.act as u64) << 32)
        });
        plans.truncate(wanted);
        let met = plans.iter().map(kind).collect::<BTreeSet<_>>().len();
        let acts = plans
            .iter()
            .map(|(case, _)| case.act as u64)
            .collect::<BTreeSet<_>>()
            .len();
        assert!(
            plans.len() < kinds || only.is_ok() || (met, acts) == (kinds, cases.len()),
            "{provider}: {met} of {kinds} kinds in {acts} of {} scenarios",
            cases.len()
        );
        failed.extend(play_all(plans.len(), |job| {
            let (case, n) = plans[job];
            case.play(&[n], Manner::named(&format!("/{manner}")))
        }));
        println!(
            "{provider}: {} scenarios, {} of {all} single faults, {met} kinds of fault on a kind of request, in {:.0?}",
            cases.len(),
            plans.len(),
            began.elapsed()
        );
    }
    none(&failed);
}

/// Several faults in one run, drawn by seed. What fails is made smaller: a fault that is not needed is left out.
#[test]
fn several_faults_by_seed() {
    let (first, seeds) = (
        number("CAMPAIGN_SEED", 1) as u64,
        number("CAMPAIGN_SEEDS", SEEDS as usize) as u64,
    );
    let mut failed = Vec::new();
    for (provider, fresh) in clouds() {
        let began = Instant::now();
        let cases = cases(provider, *fresh);
        failed.extend(play_all(seeds as usize, |job| {
            let seed = first + job as u64;
            let case = &cases[(mixed(seed) % cases.len() as u64) as usize];
            let count = 2 + mixed(seed ^ 0xfa17) % 4;
            let draw = |n: u64| (mixed(seed ^ (n << 40)) % case.troubles.len() as u64) as usize;
            let mut numbers: Vec<usize> = (1..=count).map(draw).collect();
            let manner = Manner::drawn(mixed(seed ^ 0x0a77));
            let mut words = case.play(&numbers, manner)?;
            let mut n = 0;
            while n < numbers.len() && numbers.len() > 1 {
                let mut fewer = numbers.clone();
                fewer.remove(n);
                match case.play(&fewer, manner) {
                    Some(still) => (numbers, words) = (fewer, still),
                    None => n += 1,
                }
            }
            Some(format!("seed {seed}: {words}"))
        }));
        println!(
            "{provider}: {seeds} seeds from {first} in {:.0?}",
            began.elapsed()
        );
    }
    none(&failed);
}

/// The same end with a controller that was just started, and with two that both act; and a whole day of rest.
#[test]
fn one_that_was_just_started_two_that_both_act_and_one_for_a_day_come_to_the_same_end() {
    let manners = [
        Manner {
            restart: true,
            ..Manner::default()
        },
        Manner {
            rival: true,
            ..Manner::default()
        },
        Manner {
            day: true,
            ..Manner::default()
        },
    ];
    let mut failed = Vec::new();
    for (provider, fresh) in clouds() {
        let began = Instant::now();
        let cases = cases(provider, *fresh);
        failed.extend(play_all(cases.len() * manners.len(), |job| {
            cases[job / manners.len()].play(&[], manners[job % manners.len()])
        }));
        println!("{provider}: other manners in {:.0?}", began.elapsed());
    }
    none(&failed);
}

/// Plays one run again, by the name under which it was printed.
#[test]
fn replay() {
    let Ok(name) = std::env::var("CAMPAIGN") else {
        return;
    };
    let mut parts = name.split('/');
    let (provider, act) = (parts.next().unwrap(), parts.next().unwrap());
    let (provider, fresh) = PROVIDERS.iter().find(|(name, _)| *name == provider).unwrap();
    let act = Act::ALL.iter().find(|a| format!("{a:?}") == act).unwrap();
    let case = Case::new(provider, *fresh, *act).unwrap_or_else(|words| panic!("{words}"));
    let numbers = parts
        .next()
        .unwrap_or_default()
        .split('+')
        .filter(|n| !n.is_empty());
    let numbers: Vec<usize> = numbers.map(|n| n.parse().unwrap()).collect();
    if let Some(words) = case.play(&numbers, Manner::named(&name)) {
        panic!("{words}");
    }
}
