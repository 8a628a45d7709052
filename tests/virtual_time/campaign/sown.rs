//! Oracles prove nothing unless they find what is there: bugs of the planner are sown, and each has to be found by the oracle that it
//! breaks, in an undisturbed run.

use evenkeel::planner::bugs::{self, Bug};

use super::act::Act;
use super::run::{Manner, play};
use crate::matrix::PROVIDERS;

/// A bug, where it shows, and what says so.
const SOWN: &[(Bug, &str, Act, &str)] = &[
    (Bug::CreateBeforeTheFinalizer, "openstack", Act::Create, "O2: "),
    (Bug::LetGoTooEarly, "openstack", Act::Delete, "O2: "),
    (Bug::AdoptByName, "openstack", Act::CreateStopped, "O3: "),
    (Bug::AdoptByName, "upcloud", Act::Create, "O3: "),
];

#[test]
fn each_sown_bug_is_found_by_its_oracle() {
    let mut missed = Vec::new();
    for (bug, provider, act, oracle) in SOWN {
        let (_, fresh) = PROVIDERS.iter().find(|(name, _)| name == provider).unwrap();
        let run = || play(*fresh, *act, &[], None, Manner::default());
        assert!(run().is_ok(), "{provider}/{act:?} without a bug");
        match bugs::sown(Some(*bug), run) {
            Err(words) if words.contains(oracle) => println!("{bug:?} on {provider}: {words}"),
            Err(words) => missed.push(format!("{bug:?} on {provider} instead of {oracle}: {words}")),
            Ok(_) => missed.push(format!("{bug:?} on {provider}: nothing")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
