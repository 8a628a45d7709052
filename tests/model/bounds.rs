//! The worlds that are explored, and how far.

use serde_json::json;

use crate::cloud;
use crate::steps::Bounds;
use crate::world::Left;

impl Bounds {
    /// Its bounds in words.
    pub(crate) fn words(&self) -> String {
        let from = if self.settled { "a server at rest" } else { "a new object" };
        let depth = self.depth.map_or(String::new(), |d| format!(", up to {d} steps deep"));
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

/// What is explored before a change lands: every state within the bounds.
pub(crate) fn standing() -> Vec<Bounds> {
    vec![
        Bounds {
            strangers: true,
            ..create("create-crash", Left { crashes: 1, lags: 1, ..NONE })
        },
        create("create-timeout", Left { timeouts: 1, refusals: 1, ..NONE }),
        create("create-pause", Left { pauses: 1, old_lists: 1, ..NONE }),
        create("create-lost-write", Left { lost_writes: 1, slow: 1, ..NONE }),
        create("create-no-room", Left { no_room: 1, ..NONE }),
        life("power-edits", Left { edits: 2, ..NONE }),
        life("power-crash", Left { edits: 1, crashes: 1, ..NONE }),
        life("power-timeout", Left { edits: 1, timeouts: 1, ..NONE }),
        life("power-outside", Left { edits: 1, outside: 1, ..NONE }),
        Bounds {
            spec: json!({"resize": {"when": "StopIfNeeded"}}),
            ..life("resize", Left { edits: 1, timeouts: 1, pauses: 1, ..NONE })
        },
        Bounds {
            can: &cloud::STOPS_FIRST,
            spec: json!({"resize": {"when": "StopIfNeeded"}, "powerOff": {"timeout": "32s"}}),
            ..life("resize-stops-first", Left { edits: 1, timeouts: 1, ..NONE })
        },
        Bounds {
            spec: json!({"onMissing": "Recreate"}),
            ..life("recreate", Left { denials: 1, ..NONE })
        },
        life("delete", Left { deletes: 1, timeouts: 1, ..NONE }),
        Bounds {
            can: &cloud::STOPS_FIRST,
            ..life("delete-stops-first", Left { deletes: 1, crashes: 1, ..NONE })
        },
        life("force", Left { deletes: 1, forces: 1, recreations: 1, ..NONE }),
        life("deed", Left { deeds: 1, timeouts: 1, crashes: 1, edits: 1, ..NONE }),
    ]
}

/// Larger ones, for an hour.
pub(crate) fn large() -> Vec<Bounds> {
    vec![
        create("create-crash-timeout", Left { crashes: 1, timeouts: 1, ..NONE }),
        create("create-two-timeouts", Left { timeouts: 2, ..NONE }),
        create("create-pause-timeout", Left { pauses: 1, timeouts: 1, ..NONE }),
        create("create-delete", Left { deletes: 1, timeouts: 1, ..NONE }),
        create("create-no-room-timeout", Left { no_room: 1, timeouts: 1, ..NONE }),
        Bounds {
            spec: json!({"onMissing": "Recreate"}),
            ..life("recreate-outside", Left { denials: 1, outside: 1, ..NONE })
        },
        Bounds {
            spec: json!({"resize": {"when": "StopIfNeeded"}}),
            ..life("resize-edits", Left { edits: 2, timeouts: 1, ..NONE })
        },
        life("power-outside-crash", Left { edits: 1, outside: 1, crashes: 1, ..NONE }),
        life("delete-force-recreate", Left { deletes: 2, forces: 1, recreations: 1, timeouts: 1, ..NONE }),
        life("deed-edits", Left { deeds: 1, edits: 2, timeouts: 1, crashes: 1, ..NONE }),
    ]
}

pub(crate) fn worlds(large_too: bool) -> Vec<Bounds> {
    let mut all = standing();
    if large_too {
        all.extend(large());
    }
    all
}
