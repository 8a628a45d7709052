//! The world of a group at one moment: the objects, two controllers, the wire, the cloud's groups and servers.

use std::sync::Arc;

use evenkeel::api::server_group::PlacementPolicy;
use evenkeel::planner::model::{Capabilities, GroupCapabilities};

use crate::cloud;
use crate::world::{Left, Machine};

/// The ServerGroup among the objects; those after it are its members.
pub(crate) const GROUP: usize = 0;

/// A state of the model. Objects, memories, keys, calls and shapes are numbers into [`super::mind::Mind`]'s tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The objects in the API server: the group, then its members; none where there is none.
    pub(crate) objects: Vec<Option<u32>>,
    /// The controllers, without a lease: all act all the time.
    pub(crate) processes: Vec<Process>,
    /// Calls that were sent and have not arrived.
    pub(crate) wire: Vec<Message>,
    /// The groups of the account.
    pub(crate) groups: Vec<Group>,
    /// The servers of the account. The mark of a member's is its number among the objects.
    pub(crate) servers: Vec<Machine>,
    /// So many servers and groups were made in all.
    pub(crate) made: u8,
    /// What may still go wrong, and what people may still do.
    pub(crate) left: Left,
    /// Objects that our finalizer let go, one bit for each.
    pub(crate) let_go: u8,
    /// The law that was broken, and how; nothing happens after that.
    pub(crate) broken: Option<Wrong>,
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// How often it was started again; its name changes with every start.
    pub(crate) born: u8,
    /// What it knows of each object.
    pub(crate) views: Vec<View>,
}

/// What a controller knows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// The object as it knows it.
    pub(crate) object: Option<u32>,
    /// Whether that is the version in the API server.
    pub(crate) fresh: bool,
    /// What it remembers.
    pub(crate) memory: u32,
}

/// A call on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    /// Who waits for the reply; nobody after a crash or a timeout.
    pub(crate) from: Option<u8>,
    /// The object that it is for.
    pub(crate) about: u8,
    pub(crate) key: u32,
    pub(crate) call: u32,
    /// Ticks since it was sent.
    pub(crate) age: u8,
}

/// A group in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Group {
    /// Its id is `g<n>`.
    pub(crate) n: u8,
    /// Whether a call of ours made it.
    pub(crate) ours: bool,
    /// Name, marks and policy, as the cloud shows them.
    pub(crate) shape: u32,
    /// The servers in it, by number.
    pub(crate) members: Vec<u8>,
}

/// A law that was broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    pub(crate) law: &'static str,
    pub(crate) how: &'static str,
}

/// What is explored.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) can: &'static Capabilities,
    pub(crate) members: usize,
    pub(crate) controllers: usize,
    /// Begins with the group and its members at rest; else with objects that were just made.
    pub(crate) settled: bool,
    /// A group of the same name that somebody made by hand.
    pub(crate) stranger: bool,
    pub(crate) left: Left,
    /// Of so many states one is followed to rest; none: 0.
    pub(crate) calm_one_in: u64,
}

impl Bounds {
    pub(crate) fn words(&self) -> String {
        let from = if self.settled { "at rest" } else { "just made" };
        let left = self.left.words();
        let left = if left.is_empty() {
            "nothing goes wrong".to_owned()
        } else {
            format!("at most {left}")
        };
        format!(
            "a group; members {}, controllers {}, {from}; {left}",
            self.members, self.controllers
        )
    }
}

/// Nothing of a group is changed once it is made, and it carries no mark: as Nova's.
static FIXED: GroupCapabilities = GroupCapabilities {
    policies: &[PlacementPolicy::SoftAntiAffinity],
    without_policy: false,
    policy_mutable: false,
    members_mutable: false,
    labels_mutable: false,
    marks: false,
    max_per_host: true,
    members_max: None,
    create_settle_seconds: 30,
};

/// Everything can be changed, and it carries marks: as UpCloud's.
static MUTABLE: GroupCapabilities = GroupCapabilities {
    without_policy: true,
    policy_mutable: true,
    members_mutable: true,
    labels_mutable: true,
    marks: true,
    max_per_host: false,
    policies: &[PlacementPolicy::SoftAntiAffinity],
    members_max: None,
    create_settle_seconds: 30,
};

const fn with(groups: &'static GroupCapabilities) -> Capabilities {
    Capabilities {
        groups: Some(groups),
        ..cloud::AS_NOVA
    }
}

pub(crate) static KEEPS: Capabilities = with(&FIXED);
pub(crate) static CHANGES: Capabilities = with(&MUTABLE);

/// The model.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) mind: Arc<super::mind::Mind>,
    pub(crate) calm: Arc<crate::calm::Calm>,
    pub(crate) first: State,
}
