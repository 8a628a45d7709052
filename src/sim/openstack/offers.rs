//! What a server can be made of, for the menu and for the page about the simulators.

use serde_json::{Value, json};

use super::world::World;

impl World {
    /// Names, each with what there is to know of it; an empty list where there is none.
    pub(super) fn offers(&self) -> Value {
        let flavor = |f: &super::server::Flavor| {
            format!("{} ({} cores, {} MiB, {} GB)", f.name, f.vcpus, f.ram, f.disk)
        };
        let images = self.images.iter().filter(|i| i.backup.is_none());
        let image = |i: &super::world::Image| match i.min_disk {
            0 => i.name.clone(),
            least => format!("{} (for a disk of {least} GB or more)", i.name),
        };
        let network = |n: &super::world::Network| {
            let project = self.accounts.project_name(&n.project);
            format!("{} (project {project}, {}.0.0/16)", n.name, n.prefix)
        };
        let floating = self.floating.iter().flatten().map(|(_, address, _)| address);
        json!({
            "sizes": self.flavors.iter().map(flavor).collect::<Vec<_>>(),
            "images": images.map(image).collect::<Vec<_>>(),
            "networks": self.networks.iter().map(network).collect::<Vec<_>>(),
            "security groups": self.security_groups.iter().map(|(_, name)| name).collect::<Vec<_>>(),
            "key pairs": self.config.key_pairs,
            "floating addresses": floating.collect::<Vec<_>>(),
            "volumes": self.cinder.iter().collect::<Vec<_>>(),
            "hosts": self.config.hosts,
        })
    }
}
