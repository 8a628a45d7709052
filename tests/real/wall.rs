//! The wall clock of controllers alone, which libfaketime sets: an operator's hand, or NTP after a long time.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A wall clock that some processes have in common, and nobody else. The monotonic clock goes on as it is: no kernel
/// steps that one.
pub struct Wall {
    library: PathBuf,
    /// What libfaketime adds, in its own words.
    offset: PathBuf,
}

impl Wall {
    /// A clock that is right, kept in a directory.
    pub fn right(directory: &Path) -> Self {
        let library = std::env::var_os("EVENKEEL_FAKETIME").map(PathBuf::from);
        let library = library.filter(|l| l.is_file()).unwrap_or_else(|| {
            panic!(
                "clock steps need libfaketime: run `make soak`, or first \
                 eval \"export $(tests/env/provision.sh faketime)\""
            )
        });
        let wall = Self {
            library,
            offset: directory.join("wall-clock"),
        };
        wall.step(0);
        wall
    }

    /// From now on it is so many seconds ahead of the machine's, or behind it.
    pub fn step(&self, ahead: i64) {
        let beside = self.offset.with_extension("new");
        std::fs::write(&beside, format!("{ahead:+}\n")).unwrap();
        std::fs::rename(&beside, &self.offset).unwrap();
    }

    /// The environment of a process that has it.
    pub fn environment(&self) -> [(&'static str, OsString); 5] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.offset.clone().into()),
            // It is looked at again after so many seconds.
            ("FAKETIME_CACHE_DURATION", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}
