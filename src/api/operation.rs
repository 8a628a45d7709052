//! What is being done to a server: the record that comes before every call.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choice::choice;

choice! {
    /// What an operation does.
    OperationKind {
        /// Powers the server on.
        Start,
        /// Powers it off.
        Stop,
        /// Restarts it.
        Restart,
        /// Changes its size.
        Resize,
        /// Accepts the new size.
        ConfirmResize,
        /// Goes back to the old size.
        RevertResize,
        /// Freezes the guest in memory.
        Pause,
        /// Resumes a frozen guest.
        Unpause,
        /// Writes the guest's memory to disk and frees it.
        Suspend,
        /// Resumes a guest from disk.
        Resume,
        /// Takes it off its host; its disks are kept.
        Shelve,
        /// Takes it back onto a host.
        Unshelve,
        /// Enters rescue mode: a rescue system runs in its place.
        Rescue,
        /// Leaves rescue mode.
        Unrescue,
        /// Locks it against everybody but administrators.
        Lock,
        /// Takes a lock of ours off.
        Unlock,
        /// Installs it anew from an image; its root disk is erased.
        Rebuild,
        /// Brings back a server that was deleted and that the cloud still keeps.
        Restore,
        /// Deletes it.
        Delete,
        /// Deletes a server that our own creation left in an error.
        DeleteFailed,
        /// Writes our marks.
        Mark,
        /// Takes our marks off.
        Unmark,
        /// Changes settings in place.
        Modify,
        /// Asks the cloud to cancel what it is doing to the server.
        Cancel,
        /// Asks the cloud to try the step again in which it gave up.
        Retry,
        /// Deletes a disk, a backup or an address that belonged to the server.
        DeletePart,
        /// Takes our marks off a disk.
        UnmarkPart,
        /// Makes an image of it.
        CreateImage,
        /// Makes a backup image, and deletes the oldest ones.
        CreateBackup,
        /// Sets the administrator's password.
        ChangePassword,
        /// Makes the guest write a crash dump.
        CrashDump,
        /// Moves it to another host, with a stop.
        ColdMigrate,
        /// Moves it to another host while it runs.
        LiveMigrate,
        /// Makes it anew on another host.
        Evacuate,
        /// Sets the state that the cloud shows.
        ResetState,
        /// Reads what the guest wrote on its console.
        ConsoleOutput,
        /// Opens a console.
        RemoteConsole,
        /// Makes a backup of a disk.
        BackupDisk,
    } else
    /// What another version of the controller recorded, and this one does not know.
    Unknown
}

impl OperationKind {
    /// Whether it takes a running guest down for a while.
    pub const fn disrupts(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::Resize
                | Self::Rebuild
                | Self::ColdMigrate
                | Self::Evacuate
                | Self::CrashDump
        )
    }
}

/// The operation in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Names this one operation.
    #[schemars(length(max = 64))]
    pub id: String,
    /// What it does.
    pub kind: OperationKind,
    /// When it was recorded (RFC 3339); the call followed at once.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When it is done harder (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub escalate_at: Option<Timestamp>,
    /// When it counts as failed (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub deadline: Timestamp,
    /// How often the cloud was asked, this time included.
    pub attempt: i32,
    /// The power state to go back to afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub restore_to: Option<String>,
    /// What was asked for, in one word: a size, a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub argument: Option<String>,
    /// The uid of the ServerAction that it is done for.
    #[serde(default, rename = "actionUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub action_uid: Option<String>,
    /// When the cloud accepted it (RFC 3339), of a deed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub accepted_at: Option<Timestamp>,
    /// The cloud's id of the request that it accepted: by it the end is found out.
    #[serde(default, rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
}
