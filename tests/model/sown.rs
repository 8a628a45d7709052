//! Bugs that are sown, each of which has to be found: where, by which law, and with which story.

use evenkeel::planner::bugs::Bug;
use serde_json::json;

use crate::bounds::{self, NONE};
use crate::laws;
use crate::steps::{Bounds, ShellBug};
use crate::world::Left;

/// One bug, the smallest world that shows it, and the law that it breaks.
pub(crate) struct Sown {
    pub(crate) bug: Option<Bug>,
    pub(crate) shell: Option<ShellBug>,
    pub(crate) bounds: Bounds,
    pub(crate) law: &'static str,
}

impl Sown {
    pub(crate) fn name(&self) -> String {
        match (self.bug, self.shell) {
            (Some(bug), _) => bug.as_str().to_owned(),
            (_, shell) => shell.map_or(String::new(), |s| format!("{s:?}")),
        }
    }

    pub(crate) fn meaning(&self) -> &'static str {
        match (self.bug, self.shell) {
            (Some(bug), _) => bug.meaning(),
            (_, shell) => shell.map_or("", ShellBug::meaning),
        }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Sown> {
    let planner = |bug, bounds, law| Sown {
        bug: Some(bug),
        shell: None,
        bounds,
        law,
    };
    let shell = |bug, bounds, law| Sown {
        bug: None,
        shell: Some(bug),
        bounds,
        law,
    };
    let world = |settled, left| Bounds {
        calm_one_in: 0,
        ..bounds::world("", settled, left)
    };
    let new = |left| world(false, left);
    let old = |left| world(true, left);
    let strangers = |left| Bounds {
        strangers: true,
        ..new(left)
    };
    let recreates = |left| Bounds {
        spec: json!({"onMissing": "Recreate"}),
        ..old(left)
    };
    vec![
        shell(ShellBug::DropTheCas, new(NONE), laws::ONE_SERVER),
        shell(ShellBug::CallBeforeTheRecord, new(NONE), laws::ONE_SERVER),
        shell(
            ShellBug::SendLate,
            new(Left { pauses: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        shell(
            ShellBug::RepeatTheCreate,
            new(Left { timeouts: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        planner(Bug::AdoptByName, strangers(NONE), laws::NO_STRANGER),
        planner(
            Bug::DeleteByName,
            strangers(Left {
                timeouts: 1,
                deletes: 1,
                ..NONE
            }),
            laws::NO_STRANGER,
        ),
        planner(
            Bug::TrustOneEmptyList,
            recreates(Left { denials: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        planner(
            Bug::TrustTheRecord,
            old(Left {
                deletes: 1,
                denials: 1,
                ..NONE
            }),
            laws::NOTHING_LEFT,
        ),
        planner(
            Bug::RetryTheCreate,
            new(Left { timeouts: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        planner(
            Bug::ForgetTheAttempt,
            new(Left { crashes: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        planner(
            Bug::SkipTheSecondLook,
            new(Left { timeouts: 1, ..NONE }),
            laws::ONE_SERVER,
        ),
        planner(
            Bug::LetGoDuringAnAttempt,
            new(Left {
                timeouts: 1,
                deletes: 1,
                ..NONE
            }),
            laws::NOTHING_LEFT,
        ),
        planner(
            Bug::LetGoTooEarly,
            old(Left { deletes: 1, ..NONE }),
            laws::NOTHING_LEFT,
        ),
        planner(Bug::CreateBeforeTheFinalizer, new(NONE), laws::PRECONDITION),
        planner(
            Bug::ConfirmAnothersResize,
            old(Left { outside: 1, ..NONE }),
            laws::NO_STRANGER,
        ),
        planner(
            Bug::StartTheStopped,
            old(Left {
                edits: 1,
                outside: 1,
                ..NONE
            }),
            laws::STAYS_STOPPED,
        ),
        planner(
            Bug::ActOnTheUnknown,
            old(Left { outside: 1, ..NONE }),
            laws::PRECONDITION,
        ),
        planner(
            Bug::DoADeedTwice,
            old(Left {
                deeds: 1,
                timeouts: 1,
                ..NONE
            }),
            laws::ONE_DEED,
        ),
        planner(
            Bug::NeverTryAgain,
            Bounds {
                calm_one_in: 1,
                ..old(Left {
                    edits: 1,
                    refusals: 1,
                    ..NONE
                })
            },
            laws::COMES_TO_REST,
        ),
    ]
}
