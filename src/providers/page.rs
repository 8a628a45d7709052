//! `docs/actions.md` says of every deed where a cloud accepts it: what the tables of the providers say.

use crate::api::server_action::Deed;
use crate::api::server_status::OperationKind;
use crate::planner::deeds;
use crate::planner::model::Capabilities;

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
            let mut said: Vec<&str> = cell.split(", ").filter(|w| *w != "-").collect();
            said.sort_unstable();
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
    assert_eq!(looked_at, 3 * 12);
}
