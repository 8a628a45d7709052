//! Groups of servers, in words that fit every cloud.

use std::collections::BTreeMap;

use super::Marks;
use crate::api::server_group::PlacementPolicy;

/// What a cloud can do with groups. Data, read beside the vendor's page.
#[derive(Clone, Debug)]
pub struct GroupCapabilities {
    /// The policies that it knows. One that is not here is Unsupported.
    pub policies: &'static [PlacementPolicy],
    /// Whether a group without a policy is a thing in the cloud. Where it is not, such a group makes nothing.
    pub without_policy: bool,
    /// Whether the policy of a group can be changed.
    pub policy_mutable: bool,
    /// Whether servers can join and leave later; else only when they are created.
    pub members_mutable: bool,
    /// Whether name and labels of a group can be changed, and so marks be written.
    pub labels_mutable: bool,
    /// Whether a group carries marks. Where it does not, it is found by its exact name.
    pub marks: bool,
    /// Whether the members on one host can be limited.
    pub max_per_host: bool,
    /// The most members that a group takes, where there is a limit that the cloud does not answer for itself.
    pub members_max: Option<usize>,
    /// How long a create call may still take effect after it was sent, in seconds.
    pub create_settle_seconds: u32,
}

/// One group as a cloud reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObservedGroup {
    /// The cloud's id.
    pub id: String,
    /// The cloud's name for it.
    pub name: String,
    /// Its policy; none for a word that is not known.
    pub policy: Option<PlacementPolicy>,
    /// Its policy in the cloud's own words.
    pub raw_policy: String,
    /// How many members may be on one host.
    pub max_per_host: Option<i32>,
    /// Its labels, our marks left out.
    pub labels: BTreeMap<String, String>,
    /// Our marks, or those of another installation.
    pub marks: Option<Marks>,
    /// Its members, sorted by id.
    pub members: Vec<GroupMember>,
}

/// A member of a group as a cloud reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupMember {
    /// The cloud's id of the server.
    pub id: String,
    /// Whether it is placed as the policy says, where the cloud tells.
    pub met: Option<bool>,
}

/// Everything a provider needs to create one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateGroup {
    /// The name in the cloud.
    pub name: String,
    /// How members are placed.
    pub policy: PlacementPolicy,
    /// How many members may be on one host.
    pub max_per_host: Option<i32>,
    /// The labels that its owner wishes.
    pub labels: BTreeMap<String, String>,
    /// What makes it findable, where the cloud has a place for it.
    pub marks: Marks,
}

/// A change of an existing group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Name, policy and marks become these, and these labels are set; members and everybody else's labels stay.
    Modify {
        /// The group as its owner wishes it, with the labels that are his.
        wanted: Box<CreateGroup>,
        /// The keys of labels that were his and are no longer wished for.
        gone: Vec<String>,
    },
    /// Our marks go.
    Unmark,
    /// A server joins.
    Add {
        /// The cloud's id of the server.
        server: String,
    },
    /// A server leaves.
    Remove {
        /// The cloud's id of the server.
        server: String,
    },
    /// The group goes; its members stay.
    Delete,
}
