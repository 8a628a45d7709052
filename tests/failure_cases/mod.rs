//! Every case in which other controllers of servers have failed has a test that plays it here, or a reason why it cannot
//! happen: `cases.txt` names them, and `docs/failure-cases.md` is made from that.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{ROOT, has_test, read};

/// How many cases there are.
const CASES: usize = 90;

/// A case.
struct Case<'a> {
    number: usize,
    what: &'a str,
    /// What a naive controller does; none where it does not apply.
    naive: Option<&'a str>,
    /// The tests that play it, or the reason why none does.
    rest: Vec<&'a str>,
}

/// A heading with its cases.
type Chapter<'a> = (&'a str, Vec<Case<'a>>);

/// Paragraphs: a heading, or a number with what happens, what a naive controller does, and the tests.
fn chapters(text: &str) -> Vec<Chapter<'_>> {
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    for paragraph in text.split("\n\n").filter(|p| !p.starts_with("# ")) {
        let mut lines = paragraph.lines().map(str::trim);
        let first = lines.next().unwrap_or_default();
        if let Some(heading) = first.strip_prefix("## ") {
            chapters.push((heading, Vec::new()));
            continue;
        }
        let (number, what) = first.split_once(". ").unwrap_or_else(|| panic!("{first}"));
        let second = lines.next().unwrap_or_else(|| panic!("{first} says nothing"));
        let reason = second.strip_prefix("does not apply: ");
        let case = Case {
            number: number.parse().unwrap_or_else(|e| panic!("{first}: {e}")),
            what,
            naive: reason.is_none().then_some(second),
            rest: reason.into_iter().chain(lines).collect(),
        };
        chapters.last_mut().expect("a heading comes first").1.push(case);
    }
    chapters
}

/// `docs/failure-cases.md`, as it should be.
fn page(chapters: &[Chapter<'_>]) -> String {
    let all: Vec<&Case<'_>> = chapters.iter().flat_map(|(_, cases)| cases).collect();
    let played = all.iter().filter(|c| c.naive.is_some()).count();
    let mut page = format!(
        "# Cases in which other controllers have failed\n\nMade from `tests/failure_cases/cases.txt` by its test (`make \
         generate`); do not edit.\n\nWhat goes wrong with servers that a controller keeps, what a naive one makes of it, \
         and the test that fails if Evenkeel did the same. {played} of {} cases are played; the others cannot happen here, \
         and say why.\n",
        all.len()
    );
    for (heading, cases) in chapters {
        write!(
            page,
            "\n## {heading}\n\n| | what happens | a naive controller | played by |\n| --- | --- | --- | --- |\n"
        )
        .unwrap();
        for case in cases {
            let rest: Vec<_> = case.rest.iter().map(|t| format!("`{t}`")).collect();
            let (naive, rest) = match case.naive {
                Some(naive) => (naive, rest.join(", ")),
                None => ("-", format!("**Does not apply**: {}", case.rest.join(" "))),
            };
            writeln!(page, "| {} | {} | {naive} | {rest} |", case.number, case.what).unwrap();
        }
    }
    page
}

#[test]
fn every_failure_case_is_played_or_has_a_reason() {
    let text = read("tests/failure_cases/cases.txt");
    let chapters = chapters(&text);
    let mut numbers = Vec::new();
    let mut tests = BTreeSet::new();
    for case in chapters.iter().flat_map(|(_, cases)| cases) {
        numbers.push(case.number);
        assert!(
            !case.what.is_empty() && !case.rest.is_empty(),
            "case {}",
            case.number
        );
        if case.naive.is_none() {
            continue;
        }
        for test in &case.rest {
            let (file, name) = test
                .split_once(": ")
                .unwrap_or_else(|| panic!("case {}: {test} names no test", case.number));
            assert!(
                has_test(file, name),
                "case {}: {file} has no test {name}",
                case.number
            );
            tests.insert(*test);
        }
    }
    assert_eq!(
        numbers,
        (1..=CASES).collect::<Vec<_>>(),
        "each number once, in order"
    );
    assert!(tests.len() > 100, "only {} tests are named", tests.len());
}

#[test]
fn the_page_of_failure_cases_is_up_to_date() {
    let text = read("tests/failure_cases/cases.txt");
    let page = page(&chapters(&text));
    let path = format!("{ROOT}/docs/failure-cases.md");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/failure-cases.md is out of date: make generate"
    );
}
