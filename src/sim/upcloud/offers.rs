//! What a server can be made of, for the menu and for the page about the simulators.

use serde_json::{Value, json};

use super::world::{MOST_CORES, MOST_MEMORY, NETWORKS, PLANS, World, ZONES};

impl World {
    /// Names, each with what there is to know of it; an empty list where there is none.
    pub(super) fn offers(&self) -> Value {
        let plans = PLANS.iter().map(|(name, ..)| (*name).to_owned());
        let free = format!("cores and memoryMiB up to {MOST_CORES} and {MOST_MEMORY}");
        let zones = ZONES.iter().map(|(id, _)| *id);
        let networks = NETWORKS.iter().map(|(id, name, kind, zone, prefix)| match *kind {
            "private" => format!("{name} (private, {zone}, {prefix}.0/24, {id})"),
            kind => format!("{name} ({kind})"),
        });
        let titles = |kind: &str| {
            let public = self.storages.values().filter(|s| s.public && s.kind == kind);
            public.map(|s| s.title.clone()).collect::<Vec<_>>()
        };
        json!({
            "sizes": plans.chain([free]).collect::<Vec<_>>(),
            "images": titles("template"),
            "installation media": titles("cdrom"),
            "networks": networks.collect::<Vec<_>>(),
            "zones": zones.collect::<Vec<_>>(),
            "floating addresses": self.floating.keys().collect::<Vec<_>>(),
            "hosts in each zone": self.config.hosts,
        })
    }
}
