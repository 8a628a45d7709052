//! The deeds that are asked for in the campaign: for each what it says, and what the cloud has to be able to do.

use evenkeel::api::server_status::OperationKind;
use evenkeel::planner::model::ServerState;
use serde_json::{Value, json};

use super::act::Act;
use crate::matrix::clouds::Cloud;

/// A deed of a ServerAction.
struct Deed {
    act: Act,
    kind: OperationKind,
    says: fn() -> Value,
    /// What the Server says besides.
    spec: fn() -> Value,
}

fn nothing() -> Value {
    json!({})
}

const DEEDS: &[Deed] = &[
    Deed {
        act: Act::Deed,
        kind: OperationKind::Restart,
        says: || json!({"reboot": {"mode": "SoftThenHard"}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedImage,
        kind: OperationKind::CreateImage,
        says: || json!({"createImage": {"name": "before"}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedBackup,
        kind: OperationKind::CreateBackup,
        says: || json!({"createBackup": {"name": "nightly", "type": "daily", "rotation": 1}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedBackupDisk,
        kind: OperationKind::BackupDisk,
        says: || json!({"backupDisk": {"name": "nightly"}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedPassword,
        kind: OperationKind::ChangePassword,
        says: || json!({"changePassword": {"secretRef": {"name": "cloud-admin", "key": "password"}}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedReinstall,
        kind: OperationKind::Rebuild,
        says: || json!({"reinstall": {}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedMigrate,
        kind: OperationKind::ColdMigrate,
        says: || json!({"coldMigrate": {}}),
        spec: nothing,
    },
    Deed {
        act: Act::DeedResize,
        kind: OperationKind::Resize,
        says: || json!({"resize": {}}),
        spec: || json!({"resize": {"when": "Manual"}}),
    },
    Deed {
        act: Act::DeedConsole,
        kind: OperationKind::ConsoleOutput,
        says: || json!({"consoleOutput": {"lines": 50}}),
        spec: nothing,
    },
];

impl Act {
    fn asked(self) -> Option<&'static Deed> {
        DEEDS.iter().find(|d| d.act == self)
    }

    /// What the ServerAction of it says, if there is one.
    pub fn deed(self) -> Option<Value> {
        self.asked().map(|d| (d.says)())
    }

    /// What its Server says besides.
    pub fn deed_spec(self) -> Value {
        self.asked().map_or_else(nothing, |d| (d.spec)())
    }

    /// Whether a cloud can do its deed.
    pub fn can_be_asked(self, cloud: &dyn Cloud) -> bool {
        self.asked().is_some_and(|d| cloud.capabilities().has(d.kind))
    }

    /// Whether a cloud does its deed only to what is stopped.
    pub fn deed_needs_a_stop(self, cloud: &dyn Cloud) -> bool {
        let can = cloud.capabilities();
        // A resize brings its own stop along.
        let kind = self
            .asked()
            .map(|d| d.kind)
            .filter(|kind| *kind != OperationKind::Resize);
        kind.is_some_and(|kind| !can.allows(kind, ServerState::Running))
    }
}
