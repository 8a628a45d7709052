//! The vocabulary between planner and providers: what a cloud reports, what it can do, what it is asked.

mod group;
mod listing;
mod part;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::choice::choice;
use crate::api::server::{PowerOffMode, PowerWish, ServerSpec};
use crate::api::server_action::{Deed, ServerActionSpec};
use crate::api::server_status::{AddressStatus, OperationKind};

pub use group::{CreateGroup, GroupCapabilities, GroupChange, GroupMember, ObservedGroup};
pub use listing::Listing;
pub use part::{ADMIN_PASSWORD, FailedStep, Part, PartKind, WantedAttribute};
pub use trace::{Ended, Trace};

choice! {
    /// What a server is, in words that fit every cloud.
    ServerState {
        /// It does not exist, or no more.
        Absent,
        /// It is being made.
        Provisioning,
        /// The guest runs.
        Running,
        /// It is powered off.
        Stopped,
        /// Frozen in memory.
        Paused,
        /// Its memory is on disk.
        Suspended,
        /// Off its host.
        Shelved,
        /// A rescue system runs in its place.
        Rescued,
        /// It is being powered on.
        Starting,
        /// It is being powered off.
        Stopping,
        /// It is being restarted.
        Rebooting,
        /// Its size is being changed.
        Resizing,
        /// The cloud waits for the new size to be confirmed.
        AwaitingResizeConfirmation,
        /// It goes back to its old size.
        RevertingResize,
        /// Its disk is being made anew.
        Rebuilding,
        /// Its password is being set.
        SettingPassword,
        /// The cloud is busy with it: migrating, snapshotting, pausing.
        Maintenance,
        /// The cloud gave up on it.
        Error,
        /// It is being deleted.
        Deleting,
        /// Deleted, but it can still be brought back.
        SoftDeleted,
        /// A word that is not known; see the raw state. Never acted on.
        Unknown,
    }
}

impl ServerState {
    /// Whether the cloud is about to leave this state by itself.
    pub const fn is_transitional(self) -> bool {
        matches!(
            self,
            Self::Provisioning
                | Self::Starting
                | Self::Stopping
                | Self::Rebooting
                | Self::Resizing
                | Self::RevertingResize
                | Self::Rebuilding
                | Self::SettingPassword
                | Self::Maintenance
                | Self::Deleting
        )
    }

    /// The state that fulfils a wish; none for `Unmanaged`.
    pub const fn of_wish(wish: PowerWish) -> Option<Self> {
        match wish {
            PowerWish::Running => Some(Self::Running),
            PowerWish::Stopped => Some(Self::Stopped),
            PowerWish::Paused => Some(Self::Paused),
            PowerWish::Suspended => Some(Self::Suspended),
            PowerWish::Shelved => Some(Self::Shelved),
            PowerWish::Unmanaged => None,
        }
    }
}

/// What the create call writes into a server so that it can be found again. Names never identify.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// The uid of the object.
    pub uid: String,
    /// The installation of this controller.
    pub installation: String,
    /// `namespace/name` of the object.
    pub object: String,
}

/// A size as a cloud reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObservedSize {
    /// The name in the catalog.
    pub name: Option<String>,
    /// The id in the catalog.
    pub id: Option<String>,
    /// Virtual cores.
    pub cores: Option<i32>,
    /// Memory in MiB.
    pub memory_mib: Option<i64>,
}

/// The cloud's own account of what went wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Whether the cloud had no room, judged by its words.
    pub class: ErrorClass,
    /// Its code.
    pub code: Option<String>,
    /// Its words.
    pub message: String,
}

/// One server as a cloud reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObservedServer {
    /// The cloud's id.
    pub id: String,
    /// The cloud's name for it; shown, never used to identify.
    pub name: String,
    /// The id in the form of the cloud's node provider (`openstack:///<id>`).
    pub provider_id: String,
    /// The state in neutral words.
    pub state: ServerState,
    /// The state in the cloud's own words.
    pub raw: String,
    /// Whether the guest runs, where `state` does not say it (`AwaitingResizeConfirmation`).
    pub guest_running: Option<bool>,
    /// Whether the cloud is busy with it: no call is accepted until it is done.
    pub busy: bool,
    /// Whether it ever ran.
    pub launched: bool,
    /// Its size.
    pub size: ObservedSize,
    /// The id of its image.
    pub image_id: Option<String>,
    /// Its addresses, sorted.
    pub addresses: Vec<AddressStatus>,
    /// The zone.
    pub zone: Option<String>,
    /// An opaque word for the host.
    pub host: Option<String>,
    /// Whether the cloud could not describe it, its marks least of all (a Nova cell that is down).
    pub unreadable: bool,
    /// Whether it is locked, and why.
    pub locked: Option<String>,
    /// Our marks, or those of another installation.
    pub marks: Option<Marks>,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The step that failed last, where the cloud says so.
    pub failed_step: Option<FailedStep>,
    /// Whether everything is here. Some clouds leave addresses and disks out of their lists; one `get` has them.
    pub detailed: bool,
    /// Settings that can be changed in place, in the cloud's words.
    pub attributes: BTreeMap<String, String>,
    /// Its disks, backups and addresses, where they have ids of their own. Sorted.
    pub parts: Vec<Part>,
    /// The cloud's id of its group, where a server says so itself.
    pub group_id: Option<String>,
}

choice! {
    /// What kind of refusal an answer is. One table per provider maps its answers to these.
    ErrorClass {
        /// The server is in another state or has a task; not a failure.
        Busy,
        /// It must be stopped for this.
        NeedsStop,
        /// A passing fault: 5xx, a broken connection.
        Transient,
        /// Asked too much.
        RateLimited,
        /// No room in the cloud.
        Capacity,
        /// The account's quota is used up.
        Quota,
        /// The credentials are refused.
        Unauthorized,
        /// The credentials may not do this.
        Forbidden,
        /// The request itself is refused.
        InvalidSpec,
        /// The server is locked.
        Locked,
        /// The reply was lost: it may have been done.
        Ambiguous,
        /// No such thing.
        NotFound,
        /// The cloud has no such operation.
        Unsupported,
    }
}

choice! {
    /// The ways in which a cloud can power off.
    StopKind {
        /// The guest is asked, for as long as it takes.
        Soft,
        /// The power is cut.
        Hard,
        /// The cloud does one after the other within a given time.
        SoftThenHard,
        /// The guest is asked, and the cloud cuts the power after a time of its own.
        CloudEscalates,
    }
}

/// What a cloud can do. Data, read beside the vendor's page.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The power states that can be wished for.
    pub power_states: &'static [PowerWish],
    /// The ways to power off.
    pub stop_kinds: &'static [StopKind],
    /// The longest time in seconds that the cloud itself gives a guest in `SoftThenHard`; any, if absent. A longer
    /// one is kept by the planner's own clock.
    pub soft_stop_limit: Option<u32>,
    /// The ways to restart.
    pub restart_modes: &'static [PowerOffMode],
    /// Whether a restart shows nothing at first: the server reads `Running` until its guest goes down.
    pub silent_restart: bool,
    /// The states in which a hard restart is accepted, where they are others than those of a restart; else none.
    pub hard_restart: &'static [ServerState],
    /// Whether the cloud keeps a log by which the end of a request is found out (see [`Trace`]).
    pub request_log: bool,
    /// Whether the size of a running guest can be changed without stopping it.
    pub live_resize: bool,
    /// Whether the cloud stops and starts the guest by itself when a running server is resized.
    pub resize_stops_by_itself: bool,
    /// Whether a resize waits to be confirmed.
    pub resize_confirm: bool,
    /// Whether marks can be changed after creation.
    pub marks_mutable: bool,
    /// Whether a stopped server is still billed: `Full`, `Partial`, `Unknown`.
    pub stopped_cost: &'static str,
    /// Which call is accepted in which state. A call that has no row is never sent.
    pub preconditions: &'static [(OperationKind, &'static [ServerState])],
    /// How long a create call may still take effect after it was sent, in seconds.
    pub create_settle_seconds: u32,
    /// The settings of a wish that this cloud can change on an existing server; none if it can change nothing.
    pub attributes: fn(&ServerSpec) -> Vec<WantedAttribute>,
    /// Where a wish says that a server is to run, for an operation that places it (a start, a restart): names and
    /// values in the cloud's words. A hint counts from the next such operation on; it is no setting of the server.
    pub hints: fn(OperationKind, &ServerSpec) -> Vec<(&'static str, String)>,
    /// What it can do with groups, if it has any.
    pub groups: Option<&'static GroupCapabilities>,
    /// How long an operation of each kind may take, in seconds.
    pub deadlines: &'static [(OperationKind, u32)],
}

impl Capabilities {
    /// For [`Self::attributes`] of a cloud that can change nothing in place.
    pub const fn no_attributes(_: &ServerSpec) -> Vec<WantedAttribute> {
        Vec::new()
    }

    /// For [`Self::hints`] of a cloud that places servers by itself.
    pub const fn no_hints(_: OperationKind, _: &ServerSpec) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether the cloud accepts a call in a state.
    pub fn allows(&self, kind: OperationKind, state: ServerState) -> bool {
        self.preconditions
            .iter()
            .any(|(k, states)| *k == kind && states.contains(&state))
    }

    /// Whether there is such an operation at all.
    pub fn has(&self, kind: OperationKind) -> bool {
        self.preconditions.iter().any(|(k, _)| *k == kind)
    }

    /// How long an operation may take, in seconds.
    pub fn deadline(&self, kind: OperationKind) -> u32 {
        self.deadlines
            .iter()
            .find(|(k, _)| *k == kind)
            .map_or(600, |(_, s)| *s)
    }
}

/// Everything a provider needs to create one server.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRequest {
    /// The name in the cloud.
    pub name: String,
    /// The wish, neutral fields and the cloud's own.
    pub spec: Arc<ServerSpec>,
    /// What makes it findable. Written by the create call itself.
    pub marks: Marks,
    /// The number of the attempt; written beside the marks.
    pub attempt: i32,
    /// The cloud's id of the group that it is made in.
    pub group: Option<String>,
}

/// One call that changes something in a cloud.
#[derive(Clone, Debug, PartialEq)]
pub enum CloudCall {
    /// Creates a server.
    Create(Box<CreateRequest>),
    /// Changes an existing one.
    Operate {
        /// The cloud's id.
        id: String,
        /// What is done.
        kind: OperationKind,
        /// How.
        how: Operate,
    },
    /// Creates a group.
    CreateGroup(Box<CreateGroup>),
    /// Changes an existing group.
    ChangeGroup {
        /// The cloud's id.
        id: String,
        /// How.
        change: GroupChange,
    },
}

impl CloudCall {
    /// Whether the administrator's password goes along with it, where the spec names one.
    pub fn takes_admin_password(&self) -> bool {
        match self {
            Self::Create(_) => true,
            Self::Operate { kind, how, .. } => match how {
                Operate::Attributes(all) => all.iter().any(|(name, _)| *name == ADMIN_PASSWORD),
                // A system that is installed, or installed anew, is given its password.
                _ => matches!(
                    kind,
                    OperationKind::Rebuild | OperationKind::Retry | OperationKind::ChangePassword
                ),
            },
            Self::CreateGroup(_) | Self::ChangeGroup { .. } => false,
        }
    }
}

/// The arguments of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operate {
    /// Needs none.
    Plain,
    /// A stop of this kind, which may take so many seconds.
    Stop(StopKind, u32),
    /// A restart.
    Restart {
        /// By asking the guest, or by pulling the plug, or one after the other.
        mode: PowerOffMode,
        /// How many seconds a guest that is asked is given.
        seconds: u32,
        /// Where it is to run afterwards: names and values in the cloud's words.
        hints: Vec<(&'static str, String)>,
    },
    /// A size: name or id, or cores and memory.
    Size(crate::api::server::Size),
    /// An image to install.
    Image(crate::api::server::Image),
    /// Marks to write.
    Marks(Marks),
    /// Settings to change, or hints for a start: names and values in the cloud's words.
    Attributes(Vec<(&'static str, String)>),
    /// What a ServerAction says.
    Deed(Box<ServerActionSpec>),
    /// A part to delete: its kind and id.
    Part(PartKind, String),
    /// A part, by its kind and id, that these marks are taken off.
    PartMarks(PartKind, String, Marks),
}

impl std::fmt::Display for Operate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Stop(kind, _) => kind.fmt(f),
            Self::Restart { mode, .. } => mode.fmt(f),
            Self::Size(size) => f.write_str(&size.text()),
            Self::Image(image) => f.write_str(&image.text()),
            Self::Marks(_) => f.write_str("marks"),
            Self::Attributes(_) => f.write_str("settings"),
            Self::Deed(spec) => f.write_str(spec.deed().map_or("deed", Deed::as_str)),
            Self::Part(kind, _) | Self::PartMarks(kind, ..) => kind.fmt(f),
        }
    }
}

/// What a cloud answered to a call that it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The id of the server; always there after a create.
    pub id: Option<String>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// The id of what it makes beside the server: an image.
    pub result: Option<String>,
}

/// A refusal, in a cloud's own words and in ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CloudError {
    /// Its class.
    pub class: ErrorClass,
    /// The cloud's code.
    pub code: Option<String>,
    /// The cloud's words; never a secret.
    pub message: String,
    /// When the cloud wants to be asked again, in seconds.
    pub retry_after: Option<u32>,
    /// Whether the call may have reached the cloud although it failed.
    pub maybe_applied: bool,
}

impl CloudError {
    /// An error of a class, with words.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
            retry_after: None,
            maybe_applied: false,
        }
    }
}
