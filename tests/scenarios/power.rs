//! Power states, from each to each.

use serde_json::json;

use super::stage::{Stage, id_of};

/// A state that can be wished for, how Nova calls it, and the actions that lead into it and out of it, as Nova's log
/// names them.
const STATES: [(&str, &[&str], &str, &str); 5] = [
    ("Running", &["ACTIVE"], "", ""),
    ("Stopped", &["SHUTOFF"], "stop", "start"),
    ("Paused", &["PAUSED"], "pause", "unpause"),
    ("Suspended", &["SUSPENDED"], "suspend", "resume"),
    // Off its host at once, or a little later.
    ("Shelved", &["SHELVED", "SHELVED_OFFLOADED"], "shelve", "unshelve"),
];
const SHELVED: usize = 4;

/// The shortest way from one to another: what is shelved may be in any of the others, all else leads through Running.
fn way(from: usize, to: usize) -> Vec<&'static str> {
    let out = if to == SHELVED { "" } else { STATES[from].3 };
    [out, STATES[to].2]
        .into_iter()
        .filter(|a| !a.is_empty())
        .collect()
}

/// A round trip over all ordered pairs.
fn tour() -> Vec<usize> {
    let pairs = (0..STATES.len()).flat_map(|i| (i + 1..STATES.len()).flat_map(move |j| [i, j]));
    pairs.chain([0]).collect()
}

pub async fn every_power_state_leads_to_every_other_one(s: &Stage) {
    let name = s.name("web");
    s.create(&name, json!({})).await;
    let tour = tour();
    let mut walked: Vec<_> = tour.windows(2).collect();
    walked.sort_unstable();
    walked.dedup();
    assert_eq!(walked.len(), 20, "every pair once");
    let (mut at, mut log) = (0, vec!["create".to_owned()]);
    for next in tour {
        let (state, words, ..) = STATES[next];
        s.edit(&name, json!({"powerState": state})).await;
        let server = s.ready_in(&name, state).await;
        let real = s.only(&server).await;
        let word = real["status"].as_str().unwrap();
        assert!(words.contains(&word), "{state}: {word}");
        // What was asked of Nova, as its own log of the server has it.
        if next != at {
            let expected = way(at, next);
            let all = s.nova.actions(id_of(&server)).await;
            let new = &all[log.len()..];
            assert_eq!(new, expected, "from {} to {state}", STATES[at].0);
            eprintln!("evidence: {} to {state}: {}", STATES[at].0, new.join(", "));
            log = all;
        }
        at = next;
    }
    s.remove(&name).await;
}
