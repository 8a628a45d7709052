//! Lists of which some entries come and go on an existing server, and others are what it was made from.

use serde_json::{Value, json};

use super::FREE;

/// The rules on the whole object. Without optionals, as the others.
pub(super) fn rules() -> impl Iterator<Item = Value> {
    let made = |object: &str| {
        format!(
            "(has({object}.spec.upcloud) && has({object}.spec.upcloud.disks) ? \
             {object}.spec.upcloud.disks.filter(d, d.action != 'Attach') : [])"
        )
    };
    let disk = same(&["address", "bootDisk"]);
    let interface = same(&[
        "type",
        "network",
        "index",
        "addresses",
        "sourceIPFiltering",
        "bootable",
    ]);
    [
        (
            "disks",
            format!("{} == {}", made("self"), made("oldSelf")),
            "upcloud.disks with action Create or Clone are immutable once a server exists or is being created: they are \
             made with it, in their order; those with action Attach can be added and taken out",
        ),
        (
            "disks",
            kept("disks", &format!("o.action != 'Attach' || n.action != 'Attach' || !has(o.storage) || !has(n.storage) || \
                           o.storage != n.storage || ({disk})")),
            "address and bootDisk of a disk are immutable while it is attached: take the entry out, then add it again",
        ),
        (
            "interfaces",
            kept("interfaces", &format!("o.name != n.name || ({interface})")),
            "an entry of upcloud.interfaces is immutable but for its floatingIP once a server exists or is being \
             created: take it out and add another one under another name",
        ),
    ]
    .into_iter()
    .map(|(field, rule, message)| {
        json!({
            "rule": format!("{FREE} || {rule}"),
            "message": message,
            "fieldPath": format!(".spec.upcloud.{field}"),
        })
    })
}

/// What holds of every entry beside every one that was there.
fn kept(list: &str, holds: &str) -> String {
    let given = |object: &str| format!("!has({object}.spec.upcloud) || !has({object}.spec.upcloud.{list})");
    format!(
        "{} || {} || self.spec.upcloud.{list}.all(n, oldSelf.spec.upcloud.{list}.all(o, {holds}))",
        given("self"),
        given("oldSelf")
    )
}

/// Fields of the entries `n` and `o` are the same, given or not.
fn same(fields: &[&str]) -> String {
    let one = |f: &&str| format!("has(n.{f}) == has(o.{f}) && (!has(n.{f}) || n.{f} == o.{f})");
    fields.iter().map(one).collect::<Vec<_>>().join(" && ")
}
