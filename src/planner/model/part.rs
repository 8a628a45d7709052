//! What belongs to a server and has an id of its own: disks, backups, addresses. And what can be changed in place.

use std::collections::BTreeMap;

use super::{ObservedServer, ServerState};
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
    /// Whether it counts only when a server is made: a change is shown and never sent.
    pub fixed: bool,
    /// Where it is a set of things that others add to as well: those that its owner wishes. Only those, and the ones
    /// that were brought in for its owner before, are ever changed.
    pub items: Option<Items>,
    /// States in which the cloud takes no change of it, although it takes others.
    pub not_in: &'static [ServerState],
    /// Whether a server is made without it: it is carried out on the server once that is there.
    pub later: bool,
}

/// The things of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// What is wished for, by key (a label's key, a tag, the name of a group), with a value or none.
    pub all: BTreeMap<String, String>,
    /// What the cloud is told of a thing as it comes in, by key, in the place of its value; never compared later.
    pub how: BTreeMap<String, String>,
    /// How many the cloud takes in one call.
    pub at_once: usize,
    /// Whether a UUID is taken for a key as well; the cloud then shows the thing under another one.
    pub ids: bool,
    /// Whether the cloud gives each thing an identity of its own, which no wish knows: a key is met by a thing that
    /// fits it. It is then shown by its identity, with its words, each on a line; a key is one of them, or two with a
    /// space between, and ` #2`, ` #3` behind it for another one that is like it. A key that is
    /// `id ` and a UUID names one thing, and its identity is not shown.
    pub nameless: bool,
    /// Whether bringing a thing in is two calls to the cloud: where it is not known that both were made, the change is
    /// sent again, and finishes what is there.
    pub finishes: bool,
    /// The set whose things carry those of this one (a security group is on an interface): where it is empty none can be
    /// there, and none is missing.
    pub carried_by: Option<&'static str>,
}

impl Items {
    /// The things as one text, the same for the same things.
    pub fn text(all: &BTreeMap<String, String>) -> String {
        let bare = all.values().all(String::is_empty);
        let text = if bare {
            serde_json::to_string(&all.keys().collect::<Vec<_>>())
        } else {
            serde_json::to_string(all)
        };
        text.unwrap_or_default()
    }

    /// Whether the cloud shows the thing of this key under another one.
    pub fn hides(&self, key: &str) -> bool {
        if self.nameless {
            return key.strip_prefix("id ").is_some_and(is_uuid);
        }
        self.ids && is_uuid(key)
    }
}

/// Whether a text has the form of a UUID.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(n, c)| match n {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// A change of a set: things come in, or go out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemChange {
    /// The setting.
    pub name: &'static str,
    /// Keys and values that come in, or are given another value; or what the cloud is told of them.
    pub add: Vec<(String, String)>,
    /// Keys that go out; of things that have an identity of their own, that.
    pub remove: Vec<String>,
    /// Keys that are wished for and stay.
    pub keep: Vec<String>,
    /// What the change was decided on: keys, or identities, of what is there.
    pub seen: Vec<String>,
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
            fixed: false,
            items: None,
            not_in: &[],
            later: false,
        }
    }

    /// A set, which the cloud shows as it is.
    pub fn set(name: &'static str, items: Items) -> Self {
        Self {
            alone: true,
            verified: true,
            value: Items::text(&items.all),
            items: Some(items),
            ..Self::new(name, "")
        }
    }

    /// What a server keeps as it was made with.
    pub fn fixed(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            fixed: true,
            ..Self::new(name, value)
        }
    }

    /// Whether nothing is wished for.
    pub fn blank(&self) -> bool {
        match &self.items {
            Some(items) => items.all.is_empty(),
            None => self.fixed && self.value.is_empty(),
        }
    }
}

/// The code of a refusal after which a thing that was to come in is there all the same, half done.
pub const HALF_DONE: &str = "HalfDone";

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
