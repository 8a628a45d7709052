//! Power states, from each to each.

use serde_json::json;

use super::stage::Stage;

/// A state that can be wished for, and how Nova calls it.
const STATES: [(&str, &[&str]); 5] = [
    ("Running", &["ACTIVE"]),
    ("Stopped", &["SHUTOFF"]),
    ("Paused", &["PAUSED"]),
    ("Suspended", &["SUSPENDED"]),
    // Off its host at once, or a little later.
    ("Shelved", &["SHELVED", "SHELVED_OFFLOADED"]),
];

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
    for at in tour {
        let (state, words) = STATES[at];
        s.edit(&name, json!({"powerState": state})).await;
        let server = s.ready_in(&name, state).await;
        let real = s.only(&server).await;
        let word = real["status"].as_str().unwrap();
        assert!(words.contains(&word), "{state}: {word}");
    }
    s.remove(&name).await;
}
