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

/// A step that a wish of the spec leads to, the seed's section on it, and what has to be true first, in our words.
type Wish = (OperationKind, &'static str, &'static str);

/// The sections are those of Nova's page "Servers, run an action" unless they say otherwise.
const WISHES: &[Wish] = &[
    (
        OperationKind::Start,
        "Start Server",
        "it is stopped; not locked by somebody else",
    ),
    (
        OperationKind::Stop,
        "Stop Server",
        "it runs, or is in an error; not locked by somebody else",
    ),
    (
        OperationKind::Restart,
        "Reboot Server",
        "Soft: it runs. Hard: also stopped, paused, suspended or in an error; of a ServerAction also in the middle of a reboot (`REBOOT`, `HARD_REBOOT`). Not locked by somebody else",
    ),
    (
        OperationKind::Pause,
        "Pause Server",
        "none given; Nova takes it of one that runs",
    ),
    (
        OperationKind::Unpause,
        "Unpause Server",
        "none given; it is paused",
    ),
    (
        OperationKind::Suspend,
        "Suspend Server",
        "none given; Nova takes it of one that runs",
    ),
    (
        OperationKind::Resume,
        "Resume Suspended Server",
        "none given; it is suspended",
    ),
    (
        OperationKind::Shelve,
        "\"Servers - run an administrative action\", Shelve Server",
        "it runs, is stopped, paused or suspended; not locked by somebody else",
    ),
    (
        OperationKind::Unshelve,
        "\"Servers - run an administrative action\", Unshelve Server",
        "it is shelved, off its host or still on it",
    ),
    (
        OperationKind::Rescue,
        "Rescue Server",
        "none given; Nova takes it of one that runs, is stopped or in an error; a root disk that is a volume from 2.87 on",
    ),
    (
        OperationKind::Unrescue,
        "Unrescue Server",
        "it exists, and is in rescue mode",
    ),
    (
        OperationKind::Lock,
        "Lock Server",
        "none; not sent while a task is set",
    ),
    (
        OperationKind::Unlock,
        "Unlock Server",
        "none; only of a lock of ours, and not sent while a task is set, but for a hard reboot",
    ),
    (
        OperationKind::Resize,
        "Resize Server",
        "it runs or is stopped; not locked by somebody else",
    ),
    (
        OperationKind::ConfirmResize,
        "Confirm Resized Server",
        "it waits for the confirmation of a resize of ours; not locked by somebody else",
    ),
    (
        OperationKind::RevertResize,
        "Revert Resized Server",
        "the same, and `OS-EXT-STS:vm_state` is `resized`",
    ),
    (
        OperationKind::Rebuild,
        "Rebuild Server",
        "it runs, is stopped or in an error; a root disk that is a volume only with `rebuild.includeRootVolume` (2.93)",
    ),
    (
        OperationKind::Modify,
        "\"Servers\", Update Server; Add and Remove Security Group; metadata, tags",
        "none given for groups; Nova changes metadata and tags of one that runs, is stopped, paused or suspended, interfaces of one that runs, is stopped or paused, volumes of one that runs, is stopped, paused or shelved",
    ),
    (
        OperationKind::Restore,
        "the overview (\"before deferred cleanup\"); Restore Soft-Deleted Instance",
        "it was deleted, and the cloud still keeps it",
    ),
    (
        OperationKind::Delete,
        "\"Servers\", Delete Server; the overview (force-delete)",
        "none; not locked by somebody else",
    ),
];

/// Of a cloud, where it accepts a step; what is passing is left out, since nothing is sent then but a deletion.
fn accepted(can: &Capabilities, kind: OperationKind) -> String {
    let row = can.preconditions.iter().find(|row| row.0 == kind);
    let lasting = |s: &&ServerState| !s.is_transitional() && **s != ServerState::Unknown;
    let states = row.map_or(&[][..], |row| row.1).iter().filter(lasting);
    let mut words: Vec<&str> = states.map(|s| s.as_str()).collect();
    if kind == OperationKind::Restart && !can.hard_restart.is_empty() {
        let hard: Vec<&str> = can.hard_restart.iter().map(|s| s.as_str()).collect();
        return format!("Running; Hard: {}", hard.join(", "));
    }
    words.sort_unstable();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    }
}

fn wishes(page: &mut String) {
    page.push_str(
        "\n## Where the clouds accept the steps of a wish\n\nWhat a wish of the spec leads to, where Nova's page \"Servers, run an action\" \
         speaks of it, and what it wants to be true first, in our words. A step is sent in the states of its row and in no other, and never while \
         the cloud is busy with the server (but for a deletion, and for the deeds that are for that). Deeds: [actions.md](actions.md#where-the-clouds-accept-them).\n\n\
         | step | section | what has to be true | OpenStack | UpCloud | CloudDC |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (kind, section, words) in WISHES {
        let clouds: Vec<String> = COLUMNS.iter().map(|(_, can)| accepted(can, *kind)).collect();
        writeln!(page, "| {kind} | {section} | {words} | {} |", clouds.join(" | ")).unwrap();
    }
    page.push_str(
        "\n## What a server that stands still goes on costing\n\nNo cloud tells prices here: what it keeps for the server is what is known. The same words \
         are in the message of `Ready`, and in `status.capabilities` of the ProviderConfig.\n\n| cloud | state | of the price | for what |\n\
         | --- | --- | --- | --- |\n",
    );
    for ((cloud, ..), (_, can)) in WORDS.iter().zip(COLUMNS) {
        for c in can.idle_costs {
            writeln!(page, "| {cloud} | {} | {} | {} |", c.state, c.cost, c.holds).unwrap();
        }
    }
}

/// The seed's own words (seed 002, "Preconditions"): the statuses that it names for an action.
const SEED: &[(OperationKind, &[ServerState])] = {
    use ServerState::*;
    &[
        (OperationKind::Start, &[Stopped]),
        (OperationKind::Stop, &[Running, Error]),
        (OperationKind::Resize, &[Running, Stopped]),
        (OperationKind::ConfirmResize, &[AwaitingResizeConfirmation]),
        (OperationKind::RevertResize, &[AwaitingResizeConfirmation]),
        (OperationKind::Rebuild, &[Running, Stopped, Error]),
        (OperationKind::Unrescue, &[Rescued]),
        (OperationKind::CreateImage, &[Running, Stopped, Suspended, Paused]),
    ]
};

/// Every action in every state, for those whose precondition the seed gives.
#[test]
fn what_nova_is_asked_is_asked_exactly_where_the_seed_allows_it() {
    let can = &super::openstack::CAPABILITIES;
    for (kind, allowed) in SEED {
        for state in ServerState::ALL {
            assert_eq!(
                can.allows(*kind, *state),
                allowed.contains(state),
                "{kind} in {state}"
            );
        }
    }
    // The reboot has two, and of a hard one HARD_REBOOT and REBOOT are among them.
    use ServerState::*;
    for state in ServerState::ALL {
        let soft = deeds::accepted_in(can, OperationKind::Restart, false).contains(state);
        assert_eq!(soft, *state == Running, "a soft reboot in {state}");
        let hard = deeds::accepted_in(can, OperationKind::Restart, true).contains(state);
        assert_eq!(
            hard,
            [Running, Error, Rebooting, Paused, Stopped, Suspended].contains(state),
            "a hard reboot in {state}"
        );
    }
}

#[test]
fn every_step_of_a_wish_is_on_the_page() {
    let deed = |kind: &OperationKind| Deed::ALL.iter().any(|d| deeds::call(*d) == Some(*kind));
    let own = [
        OperationKind::Mark,
        OperationKind::Unmark,
        OperationKind::DeleteFailed,
    ];
    for kind in OperationKind::ALL
        .iter()
        .filter(|k| super::openstack::CAPABILITIES.has(**k))
    {
        let shown = WISHES.iter().filter(|w| w.0 == *kind).count();
        assert!(
            shown == 1 || (shown == 0 && (deed(kind) || own.contains(kind))),
            "{kind}: {shown}"
        );
    }
}

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
    wishes(&mut page);
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
