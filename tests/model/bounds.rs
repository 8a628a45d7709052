//! The worlds that are explored, and how far.

use serde_json::json;

use crate::cloud;
use crate::steps::Bounds;
use crate::world::Left;

impl Bounds {
    /// Its bounds in words.
    pub(crate) fn words(&self) -> String {
        let from = if self.settled {
            "a server at rest"
        } else {
            "a new object"
        };
        let depth = self
            .depth
            .map_or(String::new(), |d| format!(", up to {d} steps deep"));
        let left = self.left.words();
        let left = if left.is_empty() {
            "nothing goes wrong".to_owned()
        } else {
            format!("at most {left}")
        };
        format!("from {from}; {left}{depth}")
    }
}

/// Nothing goes wrong.
pub(crate) const NONE: Left = Left {
    crashes: 0,
    timeouts: 0,
    refusals: 0,
    no_room: 0,
    old_lists: 0,
    slow: 0,
    pauses: 0,
    lost_writes: 0,
    lags: 0,
    denials: 0,
    outside: 0,
    edits: 0,
    deletes: 0,
    forces: 0,
    recreations: 0,
    deeds: 0,
};

/// A world in which a cloud resizes as Nova does, and nothing is said but what is needed.
pub(crate) fn world(name: &'static str, settled: bool, left: Left) -> Bounds {
    Bounds {
        name,
        can: &cloud::CONFIRMS,
        spec: json!({}),
        settled,
        strangers: false,
        left,
        calm_one_in: 1,
        depth: None,
    }
}

fn create(name: &'static str, left: Left) -> Bounds {
    world(name, false, left)
}

fn life(name: &'static str, left: Left) -> Bounds {
    world(name, true, left)
}

/// A cloud that resizes and deletes only what is stopped.
fn stops_first(bounds: Bounds) -> Bounds {
    Bounds {
        can: &cloud::STOPS_FIRST,
        spec: json!({"resize": {"when": "StopIfNeeded"}, "powerOff": {"timeout": "32s"}}),
        ..bounds
    }
}

fn with(spec: serde_json::Value, bounds: Bounds) -> Bounds {
    Bounds { spec, ..bounds }
}

fn if_needed() -> serde_json::Value {
    json!({"resize": {"when": "StopIfNeeded"}})
}

fn makes_anew() -> serde_json::Value {
    json!({"onMissing": "Recreate"})
}

/// What is explored before a change lands: every state within the bounds, a third of them followed to rest.
fn standing() -> Vec<Bounds> {
    let all = vec![
        Bounds {
            strangers: true,
            ..create("create-crash", Left { crashes: 1, ..NONE })
        },
        create(
            "create-timeout",
            Left {
                timeouts: 1,
                refusals: 1,
                ..NONE
            },
        ),
        create(
            "create-lag",
            Left {
                lags: 1,
                lost_writes: 1,
                ..NONE
            },
        ),
        create(
            "create-pause",
            Left {
                pauses: 1,
                old_lists: 1,
                ..NONE
            },
        ),
        create(
            "create-lost-write",
            Left {
                lost_writes: 1,
                slow: 1,
                ..NONE
            },
        ),
        life("power-edits", Left { edits: 2, ..NONE }),
        life(
            "power-crash",
            Left {
                edits: 1,
                crashes: 1,
                ..NONE
            },
        ),
        life(
            "power-timeout",
            Left {
                edits: 1,
                timeouts: 1,
                ..NONE
            },
        ),
        life(
            "power-outside",
            Left {
                outside: 1,
                lost_writes: 1,
                ..NONE
            },
        ),
        with(
            if_needed(),
            life(
                "resize",
                Left {
                    edits: 1,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ),
        stops_first(life("resize-stops-first", Left { edits: 1, ..NONE })),
        with(
            makes_anew(),
            life(
                "recreate",
                Left {
                    denials: 1,
                    lost_writes: 1,
                    ..NONE
                },
            ),
        ),
        life(
            "delete",
            Left {
                deletes: 1,
                crashes: 1,
                ..NONE
            },
        ),
        life(
            "delete-denied",
            Left {
                deletes: 1,
                denials: 1,
                ..NONE
            },
        ),
        stops_first(life("delete-stops-first", Left { deletes: 1, ..NONE })),
        life(
            "force",
            Left {
                deletes: 1,
                forces: 1,
                recreations: 1,
                ..NONE
            },
        ),
        life(
            "deed",
            Left {
                deeds: 1,
                timeouts: 1,
                ..NONE
            },
        ),
    ];
    let often = |bounds| Bounds {
        calm_one_in: 3,
        ..bounds
    };
    all.into_iter().map(often).collect()
}

/// Larger ones.
fn large() -> Vec<Bounds> {
    let all = vec![
        create(
            "create-crash-timeout",
            Left {
                crashes: 1,
                timeouts: 1,
                ..NONE
            },
        ),
        create(
            "create-crash-lag",
            Left {
                crashes: 1,
                lags: 1,
                ..NONE
            },
        ),
        create("create-no-room", Left { no_room: 1, ..NONE }),
        create("create-two-timeouts", Left { timeouts: 2, ..NONE }),
        create(
            "create-delete",
            Left {
                deletes: 1,
                timeouts: 1,
                ..NONE
            },
        ),
        life(
            "power-outside-edit",
            Left {
                edits: 1,
                outside: 1,
                ..NONE
            },
        ),
        life(
            "power-outside-crash",
            Left {
                edits: 1,
                outside: 1,
                crashes: 1,
                ..NONE
            },
        ),
        with(
            if_needed(),
            life(
                "resize-edits",
                Left {
                    edits: 2,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ),
        stops_first(life(
            "resize-stops-first-refusal",
            Left {
                edits: 1,
                refusals: 1,
                ..NONE
            },
        )),
        stops_first(life(
            "resize-stops-first-pause",
            Left {
                edits: 1,
                pauses: 1,
                ..NONE
            },
        )),
        stops_first(life(
            "resize-stops-first-edits",
            Left {
                edits: 2,
                timeouts: 1,
                ..NONE
            },
        )),
        with(
            makes_anew(),
            life(
                "recreate-timeout",
                Left {
                    denials: 1,
                    outside: 1,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ),
        life(
            "delete-timeout",
            Left {
                deletes: 1,
                timeouts: 1,
                ..NONE
            },
        ),
        life(
            "delete-denied-crash",
            Left {
                deletes: 1,
                denials: 1,
                crashes: 1,
                ..NONE
            },
        ),
        stops_first(life(
            "delete-stops-first-crash",
            Left {
                deletes: 1,
                crashes: 1,
                ..NONE
            },
        )),
        life(
            "force-timeout",
            Left {
                deletes: 2,
                forces: 1,
                recreations: 1,
                timeouts: 1,
                ..NONE
            },
        ),
        life(
            "deed-edit",
            Left {
                deeds: 1,
                edits: 1,
                timeouts: 1,
                crashes: 1,
                ..NONE
            },
        ),
    ];
    let seldom = |bounds| Bounds {
        calm_one_in: 8,
        ..bounds
    };
    all.into_iter().map(seldom).collect()
}

pub(crate) fn worlds(large_too: bool) -> Vec<Bounds> {
    let mut all = standing();
    if large_too {
        all.extend(large());
    }
    all
}
