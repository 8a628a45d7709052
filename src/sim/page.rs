//! What the simulated clouds have and what their menus can, in `docs/simulators.md`: made from what they are.

use std::fmt::Write;

use serde_json::Value;

use super::cloud::{Sim, SimCloud};
use super::{clouddc, openstack, upcloud};

const BEGIN: &str =
    "<!-- Made from the simulators by their tests (`make generate`); do not edit between these lines. -->\n";
const END: &str = "<!-- The end of what is made. -->\n";

/// In one cell: a list of names, a number, or that there is none.
fn cell(value: &Value) -> String {
    match value {
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => {
            let names: Vec<_> = all.iter().filter_map(Value::as_str).collect();
            assert_eq!(names.len(), all.len(), "{all:?}");
            names.join("; ")
        }
        other => other.to_string(),
    }
}

fn rows<C: SimCloud>(page: &mut String, title: &str, sim: &Sim<C>) {
    let offers = sim.world().inventory()["offers"].clone();
    let offers = offers.as_object().unwrap();
    assert!(offers.len() > 2, "{title}");
    for (what, value) in offers {
        writeln!(page, "| {title} | {what} | {} |", cell(value)).unwrap();
    }
}

fn made() -> String {
    let mut page = String::from(
        "\nBy default, and so in `make demo`:\n\n| cloud | what | there is |\n| --- | --- | --- |\n",
    );
    rows(
        &mut page,
        "OpenStack",
        &openstack::OpenStackSim::new(Default::default()),
    );
    rows(
        &mut page,
        "UpCloud",
        &upcloud::UpCloudSim::new(Default::default()),
    );
    rows(
        &mut page,
        "CloudDC",
        &clouddc::CloudDcSim::new(Default::default()),
    );
    page.push_str("\nThe deeds of the menus:\n\n| cloud | deeds |\n| --- | --- |\n");
    for (title, deeds) in [
        ("OpenStack", openstack::World::DEEDS),
        ("UpCloud", upcloud::World::DEEDS),
        ("CloudDC", clouddc::World::DEEDS),
    ] {
        let all: Vec<_> = deeds
            .split(", ")
            .map(|d| format!("`{}`", d.replace('|', "\\|")))
            .collect();
        writeln!(page, "| {title} | {} |", all.join(", ")).unwrap();
    }
    page.push('\n');
    page
}

#[tokio::test(start_paused = true)]
async fn the_page_says_what_is_in_the_clouds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/simulators.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", made());
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "docs/simulators.md is out of date: make generate");
}
