//! Every state and every policy, as tables that can be read: `docs/decisions.md` is made from them.

use std::fmt::Write;

use serde_json::json;

use super::world::{Fate, World, marks};
use crate::api::{ConditionType as C, Reason, keys};
use crate::planner::draft::later;
use crate::planner::model::{ErrorClass, ServerState as S};
use crate::planner::{Step, model::CloudCall};

/// What the next plan does with a settled server, in a few words.
fn decision(world: &mut World) -> String {
    world.tick();
    let call = world.calls.last().cloned().unwrap_or_else(|| "-".to_owned());
    world.calls.clear();
    call
}

fn found(state: S, spec: serde_json::Value) -> World {
    let mut w = World::settled(spec);
    w.the().seen.state = state;
    w.the().seen.raw = state.as_str().to_uppercase();
    w.the().seen.busy = state.is_transitional();
    w
}

/// `docs/decisions.md`, as it should be.
fn page() -> String {
    format!(
        "# What is decided\n\nMade from the planner itself by its tests (`make generate`); do not edit.\n\n\
         ## What is found, what is wished for, what is called\n\n\
         A settled OpenStack-like server, `driftPolicy: EnforceAll`, its wish just changed. `-`: no call, or no such \
         condition.\n\n{}\n\
         ## What the policies make of a difference\n\n{}\n\
         ## What is said where nothing can be compared or done\n\n\
         A settled server of which size and power were as declared; a minute later.\n\n{}",
        state_by_wish(),
        policy_by_difference(),
        nothing_to_compare()
    )
}

#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/decisions.md");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page(), "docs/decisions.md is out of date: make generate");
}

#[test]
fn the_tables_are_as_reviewed() {
    insta::assert_snapshot!("state_by_wish", state_by_wish());
    insta::assert_snapshot!("policy_by_difference", policy_by_difference());
    insta::assert_snapshot!("nothing_to_compare", nothing_to_compare());
}

/// What is said of a server that ran, and is found in a state, while Running is declared (`driftPolicy: Enforce`): the reason,
/// and what a person can do.
pub(crate) fn reaction(state: S) -> (String, String) {
    if state == S::Absent {
        let mut w = World::settled(json!({}));
        w.cloud.clear();
        w.run(60);
        return said(&w);
    }
    let mut w = found(state, json!({}));
    w.run(2);
    said(&w)
}

pub(super) fn said(w: &World) -> (String, String) {
    let ready = w.condition(C::Ready);
    let word = ready.split('/').nth(1).unwrap_or_default();
    let reason = Reason::ALL.iter().find(|r| r.as_str() == word).unwrap();
    (
        ready,
        format!("{} {}", reason.meaning(), reason.advice())
            .trim()
            .to_owned(),
    )
}

fn state_by_wish() -> String {
    let mut table = String::from(
        "| found | wish | next call | Ready | Reconciling | Stalled |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for wish in ["Running", "Stopped", "Unmanaged", "Paused"] {
        for state in S::ALL.iter().filter(|s| **s != S::Absent) {
            let mut w = found(*state, json!({"driftPolicy": "EnforceAll"}));
            w.edit(json!({"powerState": wish}));
            let call = decision(&mut w);
            writeln!(
                table,
                "| {state} | {wish} | {call} | {} | {} | {} |",
                w.condition(C::Ready),
                w.condition(C::Reconciling),
                w.condition(C::Stalled)
            )
            .unwrap();
        }
    }
    table
}

fn policy_by_difference() -> String {
    let mut table = String::from(
        "| policy | difference | next call | Ready | Reconciling | Stalled | PowerSynced | SizeSynced | DriftDetected |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut row = |policy: &str, difference: &str, mut w: World| {
        let call = decision(&mut w);
        let kinds = [
            C::Ready,
            C::Reconciling,
            C::Stalled,
            C::PowerSynced,
            C::SizeSynced,
            C::DriftDetected,
        ];
        let said: Vec<_> = kinds.iter().map(|c| w.condition(*c)).collect();
        assert!(
            !said[0].starts_with('-') && !w.message().is_empty(),
            "{policy} {difference} says nothing"
        );
        writeln!(
            table,
            "| {policy} | {difference} | {call} | {} |",
            said.join(" | ")
        )
        .unwrap();
    };
    for policy in ["Enforce", "EnforceAll", "RespectStop", "Observe"] {
        for state in [
            S::Running,
            S::Stopped,
            S::Paused,
            S::Suspended,
            S::Shelved,
            S::Rescued,
        ] {
            let spec = json!({"driftPolicy": policy});
            row(
                &format!("driftPolicy {policy}"),
                &format!("found {state}, wish Running"),
                found(state, spec),
            );
        }
    }
    for when in ["WhenStopped", "StopIfNeeded", "Manual"] {
        for power in ["Running", "Stopped"] {
            let mut w = World::settled(json!({"resize": {"when": when}, "powerState": power}));
            w.until(60, "settled", |w| w.ready() == "True/AsDeclared");
            w.calls.clear();
            w.edit(json!({"size": {"name": "large"}}));
            row(
                &format!("resize.when {when}"),
                &format!("size differs, {power}"),
                w,
            );
        }
    }
    let mut w = World::settled(json!({}));
    w.the().seen.size.name = Some("other".into());
    row("-", "size changed from outside", w);
    let mut w = World::settled(json!({}));
    w.edit(json!({"image": {"name": "new"}}));
    row("-", "spec.image changed", w);
    for policy in ["Hold", "HardReboot"] {
        row(
            &format!("onError {policy}"),
            "found Error after it ran",
            found(S::Error, json!({"onError": policy})),
        );
    }
    for policy in ["Full", "PowerOnly", "Observe"] {
        let mut w = World::new(
            json!({"import": {"id": "x"}, "managementPolicy": policy, "powerState": "Running",
            "deletionPolicy": "Orphan"}),
        );
        w.put("x", S::Running, None);
        w.until(60, "taken over", |w| w.ready().starts_with("True"));
        w.run(5);
        w.calls.clear();
        w.the().seen.state = S::Stopped;
        row(
            &format!("managementPolicy {policy}"),
            "found Stopped, wish Running",
            w,
        );
    }
    table
}

/// What befalls a settled server.
type Blow = fn(&mut World);

const BLOWS: &[(&str, Blow)] = &[
    ("the server is gone", |w| w.cloud.clear()),
    ("found Error", |w| w.the().seen.state = S::Error),
    ("found Unknown", |w| w.the().seen.state = S::Unknown),
    ("found SoftDeleted", |w| w.the().seen.state = S::SoftDeleted),
    ("busy in the cloud", |w| {
        w.the().seen.state = S::Maintenance;
        w.the().seen.busy = true;
    }),
    ("paused, a wish differs", |w| {
        w.annotate(keys::PAUSED, "true");
        w.edit(json!({"powerState": "Stopped"}));
    }),
    ("suspended, a wish differs", |w| {
        w.suspended = true;
        w.edit(json!({"powerState": "Stopped"}));
    }),
    ("locked in the cloud, a wish differs", |w| {
        w.the().seen.locked = Some("audit".into());
        w.edit(json!({"powerState": "Stopped"}));
    }),
    ("a stop is refused as Forbidden", |w| {
        w.fates.push(("Stop", Fate::Refuse(ErrorClass::Forbidden)));
        w.edit(json!({"powerState": "Stopped"}));
    }),
    ("the mark of another installation", |w| {
        w.the().seen.marks = marks("x", "other", "ns/web");
    }),
    ("the account is another one", |w| w.account = "project-2".into()),
    ("the ProviderConfig is gone", |w| {
        w.unusable = Some((Reason::ProviderConfigNotFound, "there is none"));
    }),
    ("the credentials are refused", |w| {
        w.unusable = Some((Reason::CredentialsInvalid, "401"));
        w.now = later(w.now, 300);
    }),
    ("the cloud is away for 5 minutes", |w| {
        w.unusable = Some((Reason::Unreachable, "no route"));
        w.now = later(w.now, 300);
    }),
];

fn nothing_to_compare() -> String {
    let mut table = String::from(
        "| what happens | call | Ready | Reconciling | Stalled | PowerSynced | SizeSynced | DeletionBlocked | warned of |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut row = |what: &str, mut w: World| {
        w.told.clear();
        w.run(60);
        let kinds = [
            C::Ready,
            C::Reconciling,
            C::Stalled,
            C::PowerSynced,
            C::SizeSynced,
            C::DeletionBlocked,
        ];
        let said: Vec<_> = kinds.iter().map(|c| w.condition(*c)).collect();
        let warned: Vec<_> = w
            .told
            .iter()
            .filter(|e| e.warning)
            .map(|e| e.reason.as_str())
            .collect();
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let (calls, warned) = (or_none(w.calls.join(", ")), or_none(warned.join(", ")));
        writeln!(table, "| {what} | {calls} | {} | {warned} |", said.join(" | ")).unwrap();
    };
    for (what, blow) in BLOWS {
        let mut w = World::settled(json!({}));
        blow(&mut w);
        row(what, w);
    }
    for (what, blow) in BLOWS {
        let mut w = World::settled(json!({}));
        w.delete();
        blow(&mut w);
        w.fates.clear();
        if !w.gone {
            let what = what.trim_end_matches(", a wish differs");
            let over = [
                "the server is gone",
                "found SoftDeleted",
                "a stop is refused as Forbidden",
            ];
            if !over.contains(&what) {
                row(&format!("deleted; {what}"), w);
            }
        }
    }
    let mut w = World::settled(json!({"deletionProtection": true}));
    w.delete();
    row("deleted; deletionProtection", w);
    let mut w = World::settled(json!({"deletion": {"powerOff": "None"}}));
    w.fates.push(("Delete", Fate::Refuse(ErrorClass::Forbidden)));
    w.delete();
    row("deleted; the delete is refused as Forbidden", w);
    table
}

#[test]
fn a_call_always_follows_its_record() {
    let mut w = World::settled(json!({}));
    w.edit(json!({"powerState": "Stopped"}));
    let made = w.plan();
    let Step::Call {
        key,
        call: CloudCall::Operate { kind, .. },
    } = &made.step
    else {
        panic!("no call")
    };
    let record = made.status.operation.as_ref().unwrap();
    assert_eq!(
        (&record.kind, key),
        (kind, &crate::planner::draft::key_of(record))
    );
}
