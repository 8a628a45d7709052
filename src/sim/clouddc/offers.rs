//! What an instance can be made of, for the menu and for the page about the simulators.

use serde_json::{Value, json};

use super::world::{IMAGES, SUBNETS, VPC, World};

impl World {
    /// Names, each with what there is to know of it.
    pub(super) fn offers(&self) -> Value {
        let subnets = SUBNETS.iter().map(|(id, prefix)| format!("{id} ({prefix}.*)"));
        json!({
            "images": IMAGES,
            "networks": [format!("{VPC} with {}", subnets.collect::<Vec<_>>().join(" and "))],
            "machines": self.machines.len(),
        })
    }
}
