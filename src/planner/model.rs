//! The vocabulary between planner and providers: what a cloud reports, what it can do, what it is asked.

pub mod bounds;
mod call;
mod capabilities;
mod group;
mod listing;
mod part;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::choice::choice;
use crate::api::server::PowerWish;
use crate::api::server_status::AddressStatus;

pub use call::{Accepted, CloudCall, CreateRequest, Disks, Operate, Reading};
pub use capabilities::{Capabilities, Cost, IdleCost, StopKind};
pub use group::{CreateGroup, GroupCapabilities, GroupChange, GroupMember, ObservedGroup};
pub use listing::{Listing, each_once};
pub use part::{
    ADMIN_PASSWORD, FailedStep, HALF_DONE, ItemChange, Items, Part, PartKind, WantedAttribute, is_uuid,
};
pub use trace::{Ended, Trace, Which};

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
    /// Settings that are sets: by name of the setting, everything that is in it, whoever brought it in, by key. Servers
    /// that are alike in it may share it.
    pub items: Arc<BTreeMap<String, BTreeMap<String, String>>>,
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
