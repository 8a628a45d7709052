//! `ServerGroup`: servers that are placed in view of each other.

use super::choice::choice;

choice! {
    /// How the members of a group are placed on hosts.
    PlacementPolicy = None {
        /// Anywhere.
        None,
        /// All on one host.
        Affinity,
        /// Each on a host of its own.
        AntiAffinity,
        /// On one host as far as there is room.
        SoftAffinity,
        /// Apart from each other as far as there is room.
        SoftAntiAffinity,
    }
}
