//! What belongs to a server and has an id of its own: disks, backups, addresses. And what can be changed in place.

use super::ObservedServer;
use crate::api::choice::choice;
use crate::api::server_status::OperationKind;
pub use crate::api::server_status::PartKind;

/// One thing that is attached to a server, or was made from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The cloud's id.
    pub id: String,
    /// The cloud's name for it; shown only.
    pub name: String,
    /// Whether it carries our mark, or came with our own create call: only then may we delete it.
    pub ours: bool,
    /// When it was made, where that matters and the cloud tells (backups).
    pub made_at: Option<jiff::Timestamp>,
    /// The cloud's id of the disk that it is a backup of.
    pub of: Option<String>,
}

/// A setting that can be changed on an existing server, as its owner wishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAttribute {
    /// The cloud's word for it; the key in [`ObservedServer::attributes`](super::ObservedServer::attributes).
    pub name: &'static str,
    /// The value in the cloud's words.
    pub value: String,
    /// Whether the cloud changes it only while the server is stopped.
    pub needs_stop: bool,
    /// Whether the cloud takes it in a call of its own, with nothing else.
    pub alone: bool,
    /// Whether the cloud shows it in the very same words: what it shows then says whether a change was made. A `*` in
    /// a word of the value stands for what the cloud chooses itself.
    pub verified: bool,
}

impl WantedAttribute {
    /// A setting that is changed at any time, together with others.
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            needs_stop: false,
            alone: false,
            verified: false,
        }
    }
}

/// The setting that stands for the administrator's password. Its value is the text of
/// `spec.adminPasswordSecretRef`; the password itself goes along with the call and is recorded nowhere.
pub const ADMIN_PASSWORD: &str = "adminPassword";

impl ObservedServer {
    /// The cloud's words for the failure of an operation of this kind, where it reports one.
    pub fn failure_of(&self, kind: OperationKind) -> Option<&str> {
        let step = match kind {
            OperationKind::Start => FailedStep::Start,
            OperationKind::Stop => FailedStep::Stop,
            OperationKind::Restart => FailedStep::Restart,
            _ => return None,
        };
        let fault = self.fault.as_ref().map(|f| f.message.as_str());
        (self.failed_step == Some(step)).then(|| fault.unwrap_or("it gives no cause"))
    }
}

choice! {
    /// The step that failed last: the one in which a cloud gave up on a server, where it offers to try that step again;
    /// or a power operation without effect on a server that is in no error state.
    FailedStep {
        /// Its provisioning.
        Create,
        /// The installation of its operating system anew.
        Reinstall,
        /// Its deletion.
        Delete,
        /// A change of its settings; other values may be tried.
        Settings,
        /// It was to be powered on.
        Start,
        /// It was to be powered off.
        Stop,
        /// It was to be restarted.
        Restart,
        /// Any other step.
        Other,
    }
}
