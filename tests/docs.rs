//! What documents promise exists: tests that the threat model names, and files that pages link to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

#[path = "failure_cases/mod.rs"]
mod failure_cases;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whether a file has a test, or a scenario, of this name.
fn has_test(file: &str, name: &str) -> bool {
    let text = &read(file);
    let lines: Vec<&str> = text.lines().collect();
    let function = lines.iter().position(|l| {
        let line = l.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.starts_with(&format!("fn {name}("))
    });
    let Some(at) = function else {
        // A row of a table of moments.
        return text.contains(&format!("(\"{name}\", moment("));
    };
    let marked = lines[at.saturating_sub(3)..at]
        .iter()
        .any(|l| l.contains("test]") || l.contains("test("));
    // Scenarios are played by name on two stages.
    let played = file.starts_with("tests/") && text.matches(name).count() > 1;
    let row = read("tests/virtual_time/matrix/mod.rs").contains(&format!("    {name}: "));
    marked || played || row || read("tests/scenarios/mod.rs").contains(&format!("::{name},"))
}

/// `file: name` in backticks.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter_map(|c| c.split_once(".rs: ")).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let page = read("docs/security.md")
        + &read("docs/availability.md")
        + &read("docs/scale.md")
        + &read("docs/conventions.md");
    let mut seen = BTreeSet::new();
    for (file, name) in named_tests(&page) {
        let file = format!("{file}.rs");
        assert!(has_test(&file, name), "{file} has no test {name}");
        seen.insert((file, name));
    }
    assert!(seen.len() > 35, "only {} tests are named", seen.len());
    assert!(
        !has_test("src/api/conditions.rs", "bounded"),
        "a function is no test"
    );
    assert!(!has_test("src/api/conditions.rs", "no_such_test"));
}

#[test]
fn every_threat_has_a_test_or_says_that_it_is_not_prevented() {
    let page = read("docs/security.md");
    let rows = page
        .lines()
        .filter(|l| l.starts_with("| ") && !l.starts_with("| ---") && !l.starts_with("| threat"));
    let mut count = 0;
    for row in rows {
        count += 1;
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let tests = named_tests(cells.get(2).unwrap_or(&""));
        assert!(!tests.is_empty() || row.contains("**Not prevented**"), "{row}");
    }
    assert!(count > 20, "only {count} threats");
    for section in [
        "## A tenant",
        "## A cloud endpoint",
        "## A controller",
        "## Malicious names",
    ] {
        assert!(page.contains(section), "{section}");
    }
}

#[test]
fn every_convention_has_a_test_or_a_reason() {
    let page = read("docs/conventions.md");
    let row = |l: &&str| l.starts_with("| ") && !l.starts_with("| |") && !l.starts_with("| ---");
    let mut kinds = BTreeSet::new();
    for row in page.lines().filter(row) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let id = cells[0];
        assert!(
            cells.len() >= 3 && id.len() >= 2,
            "a row of id, convention, way and test: {row}"
        );
        kinds.insert((id[..1].to_owned(), id[1..].parse::<u32>().unwrap()));
        let tests = named_tests(cells.last().unwrap());
        assert!(!tests.is_empty() || row.contains("**Not done**"), "{row}");
    }
    // None is left out.
    for (letter, last) in [
        ("G", 8),
        ("A", 9),
        ("F", 2),
        ("K", 2),
        ("H", 9),
        ("C", 14),
        ("M", 7),
        ("L", 3),
        ("S", 17),
    ] {
        for n in 1..=last {
            assert!(kinds.contains(&(letter.to_owned(), n)), "{letter}{n} is missing");
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = vec!["SECURITY.md".to_owned()];
    for folder in ["docs", "docs/runbooks"] {
        for entry in std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            pages.extend(name.ends_with(".md").then(|| format!("{folder}/{name}")));
        }
    }
    assert!(pages.len() > 15);
    for page in pages {
        let text = read(&page);
        let folder = Path::new(&page).parent().unwrap();
        // What is in backticks is code.
        let text: String = text.split('`').step_by(2).collect();
        let links = text.split("](").skip(1).filter_map(|l| l.split(')').next());
        for link in links.filter(|l| !l.contains("://") && !l.starts_with('#')) {
            let file = link.split('#').next().unwrap();
            assert!(Path::new(ROOT).join(folder).join(file).exists(), "{page}: {link}");
        }
    }
}
