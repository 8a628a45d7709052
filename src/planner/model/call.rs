//! What a cloud is asked to do, and what it answers when it accepts.

use std::sync::Arc;

use crate::api::server::{PowerOffMode, ServerSpec};
use crate::api::server_action::{Deed, ServerActionSpec};
use crate::api::server_status::OperationKind;

use super::{ADMIN_PASSWORD, CreateGroup, GroupChange, ItemChange, Marks, PartKind, StopKind};

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

impl OperationKind {
    /// Whether it changes nothing: what the cloud answers is what was asked for.
    pub const fn reads(self) -> bool {
        matches!(self, Self::ConsoleOutput | Self::RemoteConsole)
    }
}

/// The arguments of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operate {
    /// Needs none.
    Plain,
    /// A deletion at once, where the cloud would keep the server for a while.
    Force,
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
    /// An image to install, and on which disks.
    Image(crate::api::server::Image, Disks),
    /// A rescue, with this image or with the cloud's own choice.
    Rescue(Option<crate::api::server::Image>),
    /// A lock, with the words that it carries.
    Lock(String),
    /// Marks to write.
    Marks(Marks),
    /// Settings to change, or hints for a start: names and values in the cloud's words.
    Attributes(Vec<(&'static str, String)>),
    /// Things that come into a set, or go out of it.
    Items(ItemChange),
    /// What a ServerAction says.
    Deed(Box<ServerActionSpec>),
    /// What a ServerAction wants to read.
    Read(Box<Reading>),
    /// A part, by its kind and id, that carries these marks: they are taken off it, or it is deleted. One that does not
    /// carry them by now is left alone.
    PartMarks(PartKind, String, Marks),
}

/// Which disks an installation is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disks {
    /// The root disk is a volume, which is erased.
    pub volume: bool,
    /// The ephemeral disk of the size is kept.
    pub keep_ephemeral: bool,
}

/// Something that is read for a ServerAction, and written into an object that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it says.
    pub spec: ServerActionSpec,
    /// Its name.
    pub action: String,
    /// Its uid.
    pub uid: String,
}

impl std::fmt::Display for Operate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Force => f.write_str("by force"),
            Self::Stop(kind, _) => kind.fmt(f),
            Self::Restart { mode, .. } => mode.fmt(f),
            Self::Size(size) => f.write_str(&size.text()),
            Self::Image(image, _) => f.write_str(&image.text()),
            Self::Rescue(_) => f.write_str("rescue"),
            Self::Lock(_) => f.write_str("a lock"),
            Self::Marks(_) => f.write_str("marks"),
            Self::Attributes(_) | Self::Items(_) => f.write_str("settings"),
            Self::Deed(spec) => f.write_str(spec.deed().map_or("deed", Deed::as_str)),
            Self::Read(reading) => f.write_str(reading.spec.deed().map_or("deed", Deed::as_str)),
            Self::PartMarks(kind, ..) => kind.fmt(f),
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
    /// Nothing was done: what was to be deleted does not carry our marks any more.
    pub spared: bool,
}

impl Accepted {
    /// The answer about a server where nothing had to be changed.
    pub fn so_already(id: &str) -> Self {
        Self {
            id: Some(id.to_owned()),
            ..Self::default()
        }
    }

    /// The answer where something of a server was not deleted, since it is not ours any more.
    pub fn spared(id: &str) -> Self {
        Self {
            spared: true,
            ..Self::so_already(id)
        }
    }
}
