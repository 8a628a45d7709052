//! The alerts in the real promtool: they fire when they should and stay quiet when they should. `make test` provisions
//! promtool (tests/env/promtool.sh).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const RULES: &str = "deploy/monitoring/rules.yaml";
const TESTS: &str = "tests/monitoring/alerts_test.yaml";

fn promtool(arguments: &[&str]) -> Output {
    let path = std::env::var_os("EVENKEEL_PROMTOOL").map(PathBuf::from);
    let path = path.filter(|p| p.is_file()).unwrap_or_else(|| {
        panic!(
            "these tests need promtool: run `make test`, or first \
             eval \"export $(tests/env/provision.sh promtool)\""
        )
    });
    Command::new(path)
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}")
}

#[test]
fn the_rules_are_sound_and_fire_when_they_should() {
    for arguments in [["check", "rules", RULES], ["test", "rules", TESTS]] {
        let output = promtool(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
}

/// The tests are no use if they pass whatever an alert says: each alert is broken in turn, once so that it never
/// fires and once so that it always does.
#[test]
fn a_broken_alert_is_noticed() {
    let rules = std::fs::read_to_string(Path::new(ROOT).join(RULES)).unwrap();
    let tests = std::fs::read_to_string(Path::new(ROOT).join(TESTS)).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (file, test) = (
        scratch.path().join("rules.yaml"),
        scratch.path().join("test.yaml"),
    );
    let here = tests.replace("../../deploy/monitoring/rules.yaml", file.to_str().unwrap());
    assert_ne!(here, tests);
    std::fs::write(&test, here).unwrap();
    let starts: Vec<usize> = rules.match_indices("- alert: ").map(|(at, _)| at).collect();
    assert!(starts.len() > 10);
    for start in starts {
        let name = rules[start..].lines().next().unwrap();
        let from = start + rules[start..].find("        expr:").unwrap();
        // What follows the expression begins at the same depth as it does.
        let length = rules[from + 1..]
            .match_indices("\n        ")
            .find(|(at, _)| rules.as_bytes()[from + 1 + at + 9].is_ascii_alphabetic());
        let to = from + 1 + length.unwrap().0;
        for broken in ["vector(1) == 2", "vector(1)"] {
            let changed = format!("{}        expr: {broken}{}", &rules[..from], &rules[to..]);
            std::fs::write(&file, changed).unwrap();
            let output = promtool(&["test", "rules", test.to_str().unwrap()]);
            let words = said(&output);
            assert!(
                !output.status.success(),
                "{name} as {broken} goes unnoticed: {words}"
            );
            assert!(words.contains(name.trim_start_matches("- alert: ")), "{words}");
        }
    }
}
