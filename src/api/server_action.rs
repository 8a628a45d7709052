//! `ServerAction`: one deed, done once to one server, like a Job.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::choice::choice;
use super::duration::{Duration, between};
use super::hash::hash;
use super::server::{Image, PowerOffMode, SecretKeyRef};
pub use super::server_action_status::*;

choice! {
    /// The deeds that a ServerAction can name.
    Deed {
        /// Restarts the guest.
        Reboot,
        /// Carries out the pending change of spec.size now, whatever resize.when says.
        Resize,
        /// Accepts a new size, or a migration, that the cloud waits for a word on.
        ConfirmResize,
        /// Goes back to the old size, or to the old host.
        RevertResize,
        /// Makes an image of the server.
        CreateImage,
        /// Makes a backup image, and deletes the oldest ones beyond its rotation.
        CreateBackup,
        /// Installs the server anew from an image; its root disk is erased.
        Rebuild,
        /// Installs the server anew from the image that it was made from; its root disk is erased.
        Reinstall,
        /// Sets the administrator's password.
        ChangePassword,
        /// Makes the guest write a crash dump.
        CrashDump,
        /// Moves the server to another host; it is down meanwhile.
        ColdMigrate,
        /// Moves the running server to another host.
        LiveMigrate,
        /// Makes the server anew on another host, after its own has failed.
        Evacuate,
        /// Sets the state that the cloud shows; the server itself is not touched.
        ResetState,
        /// Reads what the guest wrote on its console, into a ConfigMap.
        ConsoleOutput,
        /// Opens a console, and writes its address into a Secret.
        RemoteConsole,
        /// Asks the cloud to cancel what it is doing to the server.
        Cancel,
        /// Makes a backup of one disk.
        BackupDisk,
    }
}

choice! {
    /// The protocols of a console.
    ConsoleType = VNC {
        /// A screen and a keyboard: VNC, in a browser.
        VNC,
        /// A screen and a keyboard: SPICE, in a browser.
        SPICE,
        /// The serial port, over a web socket.
        Serial,
        /// A screen and a keyboard of a Windows host: RDP, in a browser.
        RDP,
    }
}

choice! {
    /// A state that an administrator can make the cloud show.
    ResetTo = Active {
        /// The server works.
        Active,
        /// The server is broken.
        Error,
    }
}

/// One deed, done once to one server. What was done is never done again: not after a crash, and not because an
/// object of the same name and spec is made again.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "evenkeel.dev",
    version = "v1alpha1",
    kind = "ServerAction",
    plural = "serveractions",
    category = "evenkeel",
    namespaced,
    status = "ServerActionStatus",
    derive = "PartialEq",
    doc = "One deed, done once to one cloud server, like a Job.",
    selectable = ".spec.serverRef.name",
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.serverRef.name"),
    printcolumn(name = "Deed", type_ = "string", json_path = ".status.deed"),
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Complete')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Started",
        type_ = "date",
        json_path = ".status.startedAt",
        priority = 1
    ),
    printcolumn(
        name = "Finished",
        type_ = "date",
        json_path = ".status.finishedAt",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("a ServerAction is done once and cannot be changed: make another one, with another name"),
    validation = Rule::new("[has(self.reboot), has(self.resize), has(self.confirmResize), has(self.revertResize), has(self.createImage), has(self.createBackup), has(self.rebuild), has(self.reinstall), has(self.changePassword), has(self.crashDump), has(self.coldMigrate), has(self.liveMigrate), has(self.evacuate), has(self.resetState), has(self.consoleOutput), has(self.remoteConsole), has(self.cancel), has(self.backupDisk)].filter(x, x).size() == 1")
        .message("exactly one deed has to be given: reboot, resize, confirmResize, revertResize, createImage, createBackup, rebuild, reinstall, changePassword, crashDump, coldMigrate, liveMigrate, evacuate, resetState, consoleOutput, remoteConsole, cancel or backupDisk"),
    validation = Rule::new("!has(self.ttlAfterFinished) || !(has(self.rebuild) || has(self.reinstall) || has(self.changePassword) || has(self.createBackup) || has(self.backupDisk))")
        .message("ttlAfterFinished cannot be given with rebuild, reinstall, changePassword, createBackup and backupDisk: what is applied from a repository would be made again, and with it the deed")
)]
pub struct ServerActionSpec {
    /// The Server that it is done to.
    pub server_ref: ServerRef,
    /// Restarts the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Reboot>,
    /// Carries out the pending change of spec.size now, with a stop where the cloud needs one, whatever resize.when of the
    /// Server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<NoArguments>,
    /// Accepts the new size that the cloud waits for a word on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_resize: Option<NoArguments>,
    /// Goes back to the size before the one that the cloud waits for a word on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_resize: Option<NoArguments>,
    /// Makes an image of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_image: Option<CreateImage>,
    /// Makes a backup image, and deletes the oldest ones beyond its rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_backup: Option<CreateBackup>,
    /// Installs the server anew from an image. THE ROOT DISK IS ERASED, on OpenStack also the ephemeral and swap disks of the
    /// size; attached volumes stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildFrom>,
    /// Installs the server anew from the image of its spec. THE ROOT DISK IS ERASED, on OpenStack also the ephemeral and
    /// swap disks of the size; attached volumes stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reinstall: Option<NoArguments>,
    /// Sets the administrator's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_password: Option<ChangePassword>,
    /// Makes the guest write a crash dump, where its image is made for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_dump: Option<NoArguments>,
    /// Moves the server to another host, with a stop; it is confirmed as spec.resize.confirm of the Server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_migrate: Option<NoArguments>,
    /// Moves the running server to another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_migrate: Option<NoArguments>,
    /// Makes the server anew on another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evacuate: Option<Evacuate>,
    /// Sets the state that the cloud shows, after somebody has looked at the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_state: Option<ResetState>,
    /// Reads what the guest wrote on its console, into a ConfigMap that belongs to this object; `status.result` names it. It
    /// is as the guest wrote it, with what secrets it wrote: only where the controller is allowed to (--console-output).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console_output: Option<ConsoleOutput>,
    /// Opens a console and writes its address into a Secret that belongs to this object; `status.result` names it. Who has
    /// the address has the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_console: Option<RemoteConsole>,
    /// Asks the cloud to cancel what it is doing to the server, an operation of ours only once it is beyond its deadline. What is
    /// left is as the cloud leaves it, and what the Server wishes is wished still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<NoArguments>,
    /// Makes a backup of one disk; `status.result` is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_disk: Option<BackupDisk>,
    /// How long the whole may take, waiting included, like 10m or 24h; from 1m to 168h.
    #[serde(default = "one_hour")]
    #[schemars(extend("x-kubernetes-validations" = between("deadline", "1m", "168h")))]
    pub deadline: Duration,
    /// How long after its end the object is deleted, like 24h; from 1s to 8760h. Never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("ttlAfterFinished", "1s", "8760h")))]
    pub ttl_after_finished: Option<Duration>,
}

const fn one_hour() -> Duration {
    Duration::from_mins(60)
}

/// Names a Server of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerRef {
    /// Its name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Its uid, if only that very object is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub uid: Option<String>,
}

/// A deed that needs to be told nothing: written as {}.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoArguments {}

/// How the guest is restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reboot {
    /// How the guest is restarted.
    #[serde(default)]
    pub mode: PowerOffMode,
}

/// An image to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateImage {
    /// The name of the image, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Metadata of the image: at most 64, keys of 1 to 255 characters, values of at most 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k.size() >= 1 && k.size() <= 255)")
        .message("metadata keys have 1 to 255 characters"))]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A backup to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateBackup {
    /// The name of the backup image, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// What kind of backup it is: backups of one type are counted together. 1 to 63 characters, like daily or weekly.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// How many backups of this type are kept, the new one included; from 1 to 1000. The older ones are deleted.
    #[schemars(range(min = 1, max = 1000))]
    pub rotation: i32,
}

/// An image to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RebuildFrom {
    /// The image to install. Where rebuild.when of the Server is OnImageChange it has to be the one of its spec.
    pub image: Image,
}

/// A password to set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangePassword {
    /// A Secret of this namespace, labelled evenkeel.dev/allow: password, whose key is the new password.
    pub secret_ref: SecretKeyRef,
}

/// What has to be true before a server is made anew on another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evacuate {
    /// That the failed host is certainly off, or cut off from disks and network. Two copies of the server would run
    /// otherwise, and write to the same disks. Has to be true.
    #[x_kube(validation = Rule::new("self")
        .message("evacuate needs hostFenced: true: make sure first that the failed host is off, or two copies of the server write to the same disks"))]
    pub host_fenced: bool,
}

/// A state to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetState {
    /// The state that the cloud is to show.
    #[serde(default)]
    pub to: ResetTo,
}

/// Which part of a console's text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleOutput {
    /// So many lines, the last ones; from 1 to 10000. As many as the cloud keeps, if absent. At most the last 262144 bytes
    /// are written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub lines: Option<i32>,
}

/// A console to open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteConsole {
    /// Its protocol.
    #[serde(rename = "type", default)]
    pub kind: ConsoleType,
    /// The Secret that is made, at most 253 characters; named by the object and the beginning of its uid, if absent. One of
    /// somebody else is not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub secret_name: Option<String>,
}

/// A backup of a disk to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupDisk {
    /// The name of the backup, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The cloud's id of the disk, at most 64 characters; it has to be one of the server. May be left out where the server has one
    /// disk.
    #[serde(default, rename = "diskID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub disk_id: Option<String>,
}

/// What says to whom and until when, and not what is done.
const AROUND: &[&str] = &["serverRef", "deadline", "ttlAfterFinished"];

impl ServerActionSpec {
    /// The deed that it names; none in an object that was never validated.
    pub fn deed(&self) -> Option<Deed> {
        let all = [
            (self.reboot.is_some(), Deed::Reboot),
            (self.resize.is_some(), Deed::Resize),
            (self.confirm_resize.is_some(), Deed::ConfirmResize),
            (self.revert_resize.is_some(), Deed::RevertResize),
            (self.create_image.is_some(), Deed::CreateImage),
            (self.create_backup.is_some(), Deed::CreateBackup),
            (self.rebuild.is_some(), Deed::Rebuild),
            (self.reinstall.is_some(), Deed::Reinstall),
            (self.change_password.is_some(), Deed::ChangePassword),
            (self.crash_dump.is_some(), Deed::CrashDump),
            (self.cold_migrate.is_some(), Deed::ColdMigrate),
            (self.live_migrate.is_some(), Deed::LiveMigrate),
            (self.evacuate.is_some(), Deed::Evacuate),
            (self.reset_state.is_some(), Deed::ResetState),
            (self.console_output.is_some(), Deed::ConsoleOutput),
            (self.remote_console.is_some(), Deed::RemoteConsole),
            (self.cancel.is_some(), Deed::Cancel),
            (self.backup_disk.is_some(), Deed::BackupDisk),
        ];
        let mut named = all.into_iter().filter(|(given, _)| *given);
        named.next().map(|(_, deed)| deed)
    }

    /// A short text that is the same for the same deed with the same arguments, and another one for another.
    pub fn hash(&self) -> String {
        // A spec of strings, numbers and maps is always JSON.
        let mut deed = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = deed.as_object_mut() {
            fields.retain(|key, _| !AROUND.contains(&key.as_str()));
        }
        let text = deed.to_string();
        format!("{:016x}", hash(&text))
    }
}
