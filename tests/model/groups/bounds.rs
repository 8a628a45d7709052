//! The worlds of groups that are explored, and the bugs that are sown in them.

use evenkeel::planner::bugs::Bug;
use evenkeel::planner::model::Capabilities;

use super::world::{Bounds, CHANGES, KEEPS};
use crate::bounds::NONE;
use crate::laws;
use crate::world::Left;

fn world(name: &'static str, can: &'static Capabilities, settled: bool, left: Left) -> Bounds {
    Bounds {
        name,
        can,
        members: 1,
        controllers: 1,
        settled,
        stranger: false,
        left,
        calm_one_in: 5,
    }
}

/// The group alone, under two controllers that both act.
fn alone(bounds: Bounds) -> Bounds {
    Bounds {
        members: 0,
        controllers: 2,
        ..bounds
    }
}

/// What is explored before a change lands; with `large`, more of it.
pub(crate) fn worlds(large: bool) -> Vec<Bounds> {
    let timeout = Left { timeouts: 1, ..NONE };
    let crash = Left { crashes: 1, ..NONE };
    let delete = Left { deletes: 2, ..NONE };
    let mut all = vec![
        alone(Bounds {
            stranger: true,
            ..world("group-alone-timeout", &KEEPS, false, timeout)
        }),
        alone(world("group-alone-marked", &CHANGES, false, timeout)),
        alone(world(
            "group-alone-delete",
            &KEEPS,
            true,
            Left { crashes: 1, ..delete },
        )),
        world("group-create-timeout", &KEEPS, false, timeout),
        world("group-create-crash", &CHANGES, false, crash),
        world("group-delete", &KEEPS, true, delete),
        world("group-delete-changes", &CHANGES, true, delete),
        world("group-move", &CHANGES, true, Left { edits: 2, ..NONE }),
        world(
            "group-gone",
            &CHANGES,
            true,
            Left {
                outside: 1,
                edits: 1,
                ..NONE
            },
        ),
    ];
    let two = |bounds| Bounds { members: 2, ..bounds };
    all.extend([
        two(world("group-members-create", &CHANGES, false, NONE)),
        two(world("group-members-delete", &KEEPS, true, delete)),
    ]);
    if large {
        let both = |bounds| Bounds {
            controllers: 2,
            ..bounds
        };
        all.extend([
            two(world("group-members-create-timeout", &KEEPS, false, timeout)),
            two(world(
                "group-members-delete-crash",
                &CHANGES,
                true,
                Left { crashes: 1, ..delete },
            )),
            both(world("group-both-create", &CHANGES, false, NONE)),
            both(world("group-both-delete", &KEEPS, true, delete)),
            both(world(
                "group-both-move",
                &CHANGES,
                true,
                Left { edits: 2, ..NONE },
            )),
            both(world("group-both-create-timeout", &KEEPS, false, timeout)),
            both(world(
                "group-both-delete-crash",
                &CHANGES,
                true,
                Left { crashes: 1, ..delete },
            )),
            world(
                "group-create-delete-timeout",
                &CHANGES,
                false,
                Left {
                    deletes: 2,
                    timeouts: 1,
                    ..NONE
                },
            ),
            world("group-delete-crash", &KEEPS, true, Left { crashes: 1, ..delete }),
            world(
                "group-move-timeout",
                &CHANGES,
                true,
                Left {
                    edits: 2,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ]);
    }
    all
}

/// A bug, the smallest world that shows it, and the law that it breaks.
pub(crate) struct Sown {
    pub(crate) bug: Bug,
    pub(crate) bounds: Bounds,
    pub(crate) law: &'static str,
}

/// All of them.
pub(crate) fn sown() -> Vec<Sown> {
    let one = |bug, bounds, law| Sown {
        bug,
        bounds: Bounds {
            calm_one_in: 0,
            ..bounds
        },
        law,
    };
    let timeout = Left { timeouts: 1, ..NONE };
    vec![
        one(
            Bug::RetryTheGroup,
            alone(world("", &KEEPS, false, timeout)),
            laws::ONE_GROUP,
        ),
        one(
            Bug::AdoptTheGroupByName,
            alone(Bounds {
                stranger: true,
                ..world("", &CHANGES, false, NONE)
            }),
            laws::NO_STRANGER,
        ),
        one(
            Bug::DeleteTheGroupFirst,
            world("", &KEEPS, true, Left { deletes: 1, ..NONE }),
            laws::MEMBERS_FIRST,
        ),
        one(
            Bug::LetTheGroupGoTooEarly,
            alone(world("", &KEEPS, true, Left { deletes: 1, ..NONE })),
            laws::NOTHING_LEFT,
        ),
    ]
}
