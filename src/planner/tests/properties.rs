//! Random wishes, faults and strangers. `World::plan` checks on each plan that no precondition is broken, that
//! nothing is called without its record, and that every condition says something.

use proptest::prelude::*;
use serde_json::json;

use super::world::{Fate, World};
use crate::planner::Step;
use crate::planner::model::{ErrorClass, ServerState as S};

#[derive(Clone, Debug)]
enum Deed {
    Power(&'static str),
    Size(&'static str),
    Restart(u8),
    Outside(S),
    Vanish,
    Fate(&'static str, Fate),
    Crash,
    CrashAfterRecord,
    Outage(i64),
    Delete,
    Run(i64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        prop::sample::select(ErrorClass::ALL).prop_map(Fate::Refuse),
        Just(Fate::LoseReply),
        Just(Fate::LoseRequest),
        Just(Fate::ApplyLate),
        Just(Fate::NoEffect),
        Just(Fate::Break),
    ]
}

fn call() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Create",
        "Start",
        "Stop",
        "Restart",
        "Resize",
        "ConfirmResize",
        "RevertResize",
        "Delete",
        "DeleteFailed",
    ])
}

fn deed() -> impl Strategy<Value = Deed> {
    let settled = vec![
        S::Running,
        S::Stopped,
        S::Paused,
        S::Suspended,
        S::Shelved,
        S::Rescued,
        S::Error,
        S::Unknown,
        S::Maintenance,
    ];
    prop_oneof![
        3 => prop::sample::select(vec!["Running", "Stopped", "Unmanaged"]).prop_map(Deed::Power),
        2 => prop::sample::select(vec!["small", "large", "huge"]).prop_map(Deed::Size),
        1 => any::<u8>().prop_map(Deed::Restart),
        2 => prop::sample::select(settled).prop_map(Deed::Outside),
        1 => Just(Deed::Vanish),
        3 => (call(), fate()).prop_map(|(c, f)| Deed::Fate(c, f)),
        1 => Just(Deed::Crash),
        1 => Just(Deed::CrashAfterRecord),
        1 => (1i64..400).prop_map(Deed::Outage),
        1 => Just(Deed::Delete),
        6 => (1i64..40).prop_map(Deed::Run),
    ]
}

fn spec() -> impl Strategy<Value = serde_json::Value> {
    (
        prop::sample::select(vec!["Enforce", "EnforceAll", "RespectStop", "Observe"]),
        prop::sample::select(vec!["WhenStopped", "StopIfNeeded", "Manual"]),
        prop::sample::select(vec!["Auto", "Manual"]),
        prop::sample::select(vec!["Revert", "Hold"]),
        prop::sample::select(vec!["Retry", "Hold"]),
        prop::sample::select(vec!["Fail", "Recreate"]),
    )
        .prop_map(|(drift, when, confirm, failure, create, missing)| {
            json!({"driftPolicy": drift, "resize": {"when": when, "confirm": confirm, "onFailure": failure},
                "onCreateError": create, "onMissing": missing, "onError": "HardReboot"})
        })
}

fn carry_out(w: &mut World, deed: &Deed) {
    match deed {
        Deed::Power(p) => w.edit(json!({"powerState": p})),
        Deed::Size(s) => w.edit(json!({"size": {"name": s}})),
        Deed::Restart(t) => w.edit(json!({"restart": {"token": format!("t{t}")}})),
        Deed::Outside(state) => {
            if let Some(fake) = w.cloud.values_mut().next() {
                fake.seen.state = *state;
                fake.seen.busy = state.is_transitional();
                fake.until = state
                    .is_transitional()
                    .then(|| (super::world::time(100_000), S::Running));
            }
        }
        Deed::Vanish => w.cloud.clear(),
        Deed::Fate(call, fate) => w.fates.push((call, fate.clone())),
        Deed::Crash => w.restart_process(),
        Deed::CrashAfterRecord => {
            if !w.gone {
                let made = w.plan();
                if matches!(made.step, Step::Call { .. }) {
                    w.server.status = Some(made.status);
                }
                w.restart_process();
            }
        }
        Deed::Outage(seconds) => {
            w.down_since = Some(w.now);
            w.run(*seconds);
            w.down_since = None;
        }
        Deed::Delete => w.delete(),
        Deed::Run(seconds) => w.run(*seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Whatever happens: never two servers, and when the world leaves us alone status comes to rest.
    #[test]
    fn never_two_and_always_at_rest_in_the_end(spec in spec(), deeds in prop::collection::vec(deed(), 1..25)) {
        let mut w = World::new(spec);
        for deed in &deeds {
            carry_out(&mut w, deed);
        }
        w.fates.clear();
        prop_assert!(w.most_alive <= 1, "two servers at once");
        // A server that the world left in passage settles after all.
        for fake in w.cloud.values_mut() {
            if fake.until.is_some_and(|(t, _)| t > w.now) && fake.seen.state == S::Maintenance {
                fake.until = Some((w.now, S::Running));
            }
        }
        w.run(3700);
        prop_assert!(w.most_alive <= 1, "two servers at once");
        if w.server.metadata.deletion_timestamp.is_some() {
            prop_assert!(w.gone && w.cloud.is_empty(), "the deletion never ended: {}", w.message());
            return Ok(());
        }
        let (status, calls) = (w.server.status.clone(), w.calls.len());
        w.run(100);
        let quiet = status == w.server.status && calls == w.calls.len();
        prop_assert!(quiet, "still at it after an hour: {} {:?}", w.ready(), &w.calls[calls..]);
        let status = w.server.status.as_ref().expect("a status");
        prop_assert_eq!(status.observed_generation, w.server.metadata.generation);
        prop_assert!(status.operation.is_none() || w.ready().starts_with("False"), "Ready with an open operation");
    }
}
