//! Pages for people that say what the tables of the providers say: `docs/actions.md` of every deed where a cloud accepts it,
//! `docs/states.md` (generated) of every word of a cloud what it means.

use crate::api::server_action::Deed;
use crate::api::server_status::OperationKind;
use crate::planner::deeds;
use crate::planner::model::{Capabilities, ServerState};
use crate::planner::tests::{causes, reaction};
use std::fmt::Write;

/// The clouds, in the order of the columns; the second one of the page is about sections.
const COLUMNS: &[(usize, &Capabilities)] = &[
    (1, &super::openstack::CAPABILITIES),
    (3, &super::upcloud::CAPABILITIES),
    (4, &super::clouddc::CAPABILITIES),
];

fn states(can: &Capabilities, kind: OperationKind) -> Vec<&'static str> {
    let all = deeds::accepted_in(can, kind, false).iter();
    let mut all: Vec<_> = all.filter(|s| !s.is_transitional()).map(|s| s.as_str()).collect();
    all.sort_unstable();
    all
}

#[test]
fn the_page_of_deeds_says_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/actions.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut looked_at = 0;
    for deed in Deed::ALL {
        let Some(kind) = deeds::call(*deed) else {
            continue;
        };
        // Reinstall is Rebuild, from another image.
        if *deed == Deed::Reinstall {
            continue;
        }
        let begins = format!("| {deed} | ");
        let row = page.lines().find(|l| l.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("no row for {deed}"));
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for (column, can) in COLUMNS {
            let cell = cells[*column].split(';').next().unwrap();
            let mut said: Vec<&str> = cell.split(", ").filter(|w| !["-", "busy"].contains(w)).collect();
            said.sort_unstable();
            // What is done to a server that is busy and to no other.
            let busy = !deeds::accepted_in(can, kind, false).is_empty() && states(can, kind).is_empty();
            assert_eq!(cell == "busy", busy, "{deed}, column {column}");
            assert_eq!(said, states(can, kind), "{deed}, column {column}");
            looked_at += 1;
        }
        if *deed == Deed::Reboot {
            let hard = cells[1].split("Hard: ").nth(1).unwrap();
            let hard: Vec<&str> = hard.split(", ").collect();
            let can: Vec<_> = super::openstack::CAPABILITIES
                .hard_restart
                .iter()
                .map(|s| s.as_str())
                .collect();
            assert_eq!(hard, can);
        }
    }
    assert_eq!(looked_at, 3 * 16);
}

/// A cloud, where its words come from, and its table.
type Words = (&'static str, &'static str, fn() -> Vec<(String, ServerState)>);

const WORDS: &[Words] = &[
    (
        "OpenStack",
        "Nova's status and task_state (API guide, \"Server concepts\"; the task is looked at first, since most of them hide behind ACTIVE)",
        super::openstack::states::words,
    ),
    (
        "UpCloud",
        "the server's state (API 1.3, \"Server states\")",
        super::upcloud::states::words,
    ),
    (
        "CloudDC",
        "the instance's state and the status of its last operation, with those of the physical server below it",
        super::clouddc::states::words,
    ),
];

fn states_page() -> String {
    let mut page = String::from(
        "# States\n\nMade from the tables of the providers and from the planner by their tests (`make generate`); do not edit.\n\n\
         ## What is done in each state\n\n\
         A server that ran is found in it, `powerState: Running` and `driftPolicy: Enforce` are declared. Other wishes and policies: \
         [decisions.md](decisions.md).\n\n| state | it is | Ready | what it means, and what to do |\n| --- | --- | --- | --- |\n",
    );
    for state in ServerState::ALL {
        let (ready, words) = reaction(*state);
        writeln!(page, "| {state} | {} | {ready} | {words} |", state.meaning()).unwrap();
    }
    page.push_str(
        "\n## Error, by its cause\n\nWhat ended in it, the policy that decides, the calls that follow, and what is said.\n\n\
         | after | policy | calls | Ready | what it means, and what to do |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in causes() {
        writeln!(page, "| {} |", row.join(" | ")).unwrap();
    }
    for (cloud, source, words) in WORDS {
        writeln!(
            page,
            "\n## {cloud}\n\nFrom {source}. Any other word is Unknown.\n\n| the cloud says | state |\n| --- | --- |"
        )
        .unwrap();
        for (word, state) in words() {
            writeln!(page, "| {word} | {state} |").unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_states_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/states.md");
    let page = states_page();
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/states.md is out of date: make generate");
}
