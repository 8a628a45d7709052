//! A restart whose answer was lost, on a cloud with a log of requests: it is looked up, neither guessed nor repeated.

use serde_json::json;

use super::deeds::server;
use super::world::{Fate, World};
use crate::api::Reason;
use crate::planner::Step;
use crate::planner::model::{Ended, ErrorClass, Fault, ServerState as S};

fn outcome(w: &World) -> &str {
    let status = w.server.status.as_ref().unwrap();
    status.restart.as_ref().map_or("-", |r| r.outcome.as_str())
}

fn asked(fate: Option<Fate>) -> World {
    let mut w = server(json!({}));
    w.edit(json!({"restart": {"token": "1"}}));
    w.fates.extend(fate.map(|f| ("Restart", f)));
    w
}

/// How it ends, after how many calls; nothing is repeated afterwards.
fn ends(mut w: World, how: &str, calls: usize) -> World {
    w.until(1000, how, |w| outcome(w) == how);
    w.run(300);
    let restarts = w.calls.iter().filter(|c| *c == "Restart").count();
    assert_eq!((outcome(&w), restarts), (how, calls), "{:?}", w.calls);
    let done = usize::from(how == "Done");
    assert_eq!(w.told_of(Reason::Restarted).len(), done);
    assert_eq!(
        w.told_of(Reason::RestartUnverified).len(),
        usize::from(how == "Unverified")
    );
    w
}

#[test]
fn what_the_log_has_is_done_and_what_it_lacks_is_asked_for_again() {
    ends(asked(Some(Fate::LoseReply)), "Done", 1);
    ends(asked(Some(Fate::LoseRequest)), "Done", 2);
    // It arrives late: the log is asked again before its absence is believed.
    ends(asked(Some(Fate::ApplyLate)), "Done", 1);
    ends(asked(None), "Done", 1);
}

#[test]
fn a_process_that_dies_leaves_one_that_is_looked_up() {
    // Before it was sent.
    let mut w = asked(None);
    let made = w.plan();
    assert!(matches!(made.step, Step::Call { .. }));
    w.server.status = Some(made.status);
    w.restart_process();
    ends(w, "Done", 1);
    // After that, with its answer written down and without.
    for seconds in 1..8 {
        let mut w = asked(None);
        w.run(seconds);
        w.restart_process();
        ends(w, "Done", 1);
    }
    // By another process, which is told of it by the first one's record.
    let mut w = asked(None);
    w.until(20, "accepted", |w| {
        let op = w.server.status.as_ref().unwrap().operation.as_ref();
        op.is_some_and(|o| o.request_id.as_deref() == Some("req-1") && o.accepted_at.is_some())
    });
    w.restart_process();
    ends(w, "Done", 1);
}

#[test]
fn what_nobody_can_know_is_said_and_not_repeated() {
    for said in [Ended::Untold, Ended::UnderWay] {
        let mut w = asked(Some(Fate::LoseReply));
        w.knobs.log = Some(said.clone());
        let w = ends(w, "Unverified", 1);
        assert!(w.knobs.looks < 60, "{said:?}: {} looks", w.knobs.looks);
        let mut w = asked(Some(Fate::LoseReply));
        w.knobs.log_is_away = true;
        ends(w, "Unverified", 1);
    }
    // It was accepted, and the log may not be read: as without a log.
    let mut w = asked(None);
    w.knobs.log = Some(Ended::Untold);
    ends(w, "Done", 1);
}

#[test]
fn what_the_log_calls_a_failure_is_one() {
    for fate in [None, Some(Fate::LoseReply)] {
        let mut w = asked(fate);
        w.knobs.log = Some(Ended::Failed("disk on fire".to_owned()));
        let w = ends(w, "Failed", 1);
        assert_eq!(w.ready(), "False/RestartFailed");
        assert!(w.message().contains("disk on fire"), "{}", w.message());
    }
}

#[test]
fn one_that_ends_in_an_error_has_failed() {
    let mut w = asked(Some(Fate::Break));
    w.until(20, "taken", |w| w.calls == ["Restart"]);
    w.the().seen.fault = Some(Fault {
        class: ErrorClass::Transient,
        code: None,
        message: "domain not found".to_owned(),
    });
    w.until(60, "broken", |w| w.state() == S::Error);
    let w = ends(w, "Failed", 1);
    let restart = w.server.status.as_ref().unwrap().restart.clone().unwrap();
    assert!(restart.message.unwrap().contains("domain not found"));
}
