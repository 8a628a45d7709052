//! Every action: where it is accepted, what it shows at once, and what it starts.

use serde_json::Value;

use super::server::Vm;
use super::timeline::{RUNNING, SHUTDOWN};
use super::wire::nova_error;
use crate::sim::cloud::Reply;

use Vm::{Active, Error, Paused, Rescued, Resized, Shelved, ShelvedOffloaded, Stopped, Suspended};

/// What follows when an action is accepted.
#[derive(Clone, Copy)]
pub(super) enum Course {
    /// One call of the hypervisor, then this state and power; a failure leaves all as it was.
    Simple(&'static str, Vm, u8),
    /// The same, but a failure is ERROR with this code and a text before the message.
    Fatal(&'static str, Vm, u8, u16),
    /// Of a server that was deleted and is kept.
    Restore,
    Reboot,
    Resize,
    Confirm,
    Revert,
    Rebuild,
    Shelve,
    Unshelve,
    Snapshot,
    /// One call of the hypervisor, and all is as it was; a failure says so in the log alone.
    Inside(&'static str),
    /// A resize to the same size on another host.
    Migrate,
    LiveMigrate,
    Evacuate,
}

pub(super) struct Row {
    /// The key of the body.
    pub(super) key: &'static str,
    /// Nova's name of it in messages and action records.
    pub(super) name: &'static str,
    pub(super) from: &'static [Vm],
    /// Set before the answer; empty: nothing shows.
    pub(super) task: &'static str,
    pub(super) status: u16,
    pub(super) course: Course,
}

const fn row(
    key: &'static str,
    name: &'static str,
    from: &'static [Vm],
    task: &'static str,
    status: u16,
    course: Course,
) -> Row {
    Row {
        key,
        name,
        from,
        task,
        status,
        course,
    }
}

const PAUSED: u8 = 3;
const SUSPENDED: u8 = 7;

/// What has `task_state=None` in its decorator: Nova looks at no task.
pub(super) const ANY_TASK: &[&str] = &["evacuate"];

/// A reboot by pulling the plug has its own states, also while other tasks are under way.
pub(super) const HARD_FROM: &[Vm] = &[Active, Stopped, Paused, Suspended, Error];
pub(super) const HARD_TASKS: &[&str] = &[
    "rebooting",
    "reboot_pending",
    "rebooting_hard",
    "reboot_started",
    "resuming",
    "unpausing",
    "pausing",
    "suspending",
];

pub(super) const ROWS: &[Row] = &[
    row(
        "os-stop",
        "stop",
        &[Active, Error],
        "powering-off",
        202,
        Course::Simple("power_off", Stopped, SHUTDOWN),
    ),
    row(
        "os-start",
        "start",
        &[Stopped],
        "powering-on",
        202,
        Course::Simple("power_on", Active, RUNNING),
    ),
    row(
        "pause",
        "pause",
        &[Active],
        "pausing",
        202,
        Course::Simple("pause", Paused, PAUSED),
    ),
    row(
        "unpause",
        "unpause",
        &[Paused],
        "unpausing",
        202,
        Course::Simple("unpause", Active, RUNNING),
    ),
    row(
        "suspend",
        "suspend",
        &[Active],
        "suspending",
        202,
        Course::Simple("suspend", Suspended, SUSPENDED),
    ),
    row(
        "resume",
        "resume",
        &[Suspended],
        "resuming",
        202,
        Course::Simple("resume", Active, RUNNING),
    ),
    row(
        "rescue",
        "rescue",
        &[Active, Stopped, Error],
        "rescuing",
        200,
        Course::Fatal("rescue", Rescued, RUNNING, 400),
    ),
    row(
        "unrescue",
        "unrescue",
        &[Rescued],
        "unrescuing",
        202,
        Course::Fatal("unrescue", Active, RUNNING, 500),
    ),
    row(
        "shelve",
        "shelve",
        &[Active, Stopped, Paused, Suspended],
        "shelving",
        202,
        Course::Shelve,
    ),
    row(
        "unshelve",
        "unshelve",
        &[Shelved, ShelvedOffloaded],
        "unshelving",
        202,
        Course::Unshelve,
    ),
    row(
        "restore",
        "restore",
        &[Vm::SoftDeleted],
        "restoring",
        202,
        Course::Restore,
    ),
    row("reboot", "reboot", &[Active], "rebooting", 202, Course::Reboot),
    row(
        "resize",
        "resize",
        &[Active, Stopped],
        "resize_prep",
        202,
        Course::Resize,
    ),
    row(
        "confirmResize",
        "confirmResize",
        &[Resized],
        "",
        204,
        Course::Confirm,
    ),
    row(
        "revertResize",
        "revertResize",
        &[Resized],
        "resize_reverting",
        202,
        Course::Revert,
    ),
    row(
        "rebuild",
        "rebuild",
        &[Active, Stopped, Error],
        "rebuilding",
        202,
        Course::Rebuild,
    ),
    row(
        "createImage",
        "createImage",
        &[Active, Stopped, Paused, Suspended],
        "image_snapshot",
        202,
        Course::Snapshot,
    ),
    row(
        "createBackup",
        "createBackup",
        &[Active, Stopped, Paused, Suspended],
        "image_backup",
        202,
        Course::Snapshot,
    ),
    row(
        "changePassword",
        "changePassword",
        &[Active],
        "updating_password",
        202,
        Course::Inside("set_admin_password"),
    ),
    row(
        "trigger_crash_dump",
        "trigger_crash_dump",
        &[Active, Paused, Rescued, Resized, Error],
        "",
        202,
        Course::Inside("inject_nmi"),
    ),
    row(
        "migrate",
        "migrate",
        &[Active, Stopped],
        "resize_prep",
        202,
        Course::Migrate,
    ),
    row(
        "os-migrateLive",
        "live-migration",
        &[Active, Paused],
        "migrating",
        202,
        Course::LiveMigrate,
    ),
    row(
        "evacuate",
        "evacuate",
        &[Active, Stopped, Error],
        "rebuilding",
        200,
        Course::Evacuate,
    ),
];

/// What only administrators may do, and the policy that says so.
pub(super) const ADMINS: &[(&str, &str)] = &[
    ("migrate", "os-migrate-server:migrate"),
    ("os-migrateLive", "os-migrate-server:migrate_live"),
    ("evacuate", "os-evacuate"),
];

/// The order on a server, in its metadata, that makes its host count as down: only then it is evacuated.
pub(super) const HOST_DOWN: &str = "fake.host.down";

/// What the schemas of the actions refuse.
pub(super) fn check_arguments(key: &str, args: &Value) -> Result<(), Reply> {
    let refused = |field: &str, what: &str| {
        let text = format!("Invalid input for field/attribute {field}. Value: {args}. {what}");
        Err(nova_error(400, text))
    };
    match key {
        "createBackup" => {
            for field in ["name", "backup_type", "rotation"] {
                if args.get(field).is_none() {
                    return refused(key, &format!("'{field}' is a required property"));
                }
            }
            Ok(())
        }
        "createImage" if args.get("name").is_none() => refused(key, "'name' is a required property"),
        "changePassword" if args.get("adminPass").and_then(Value::as_str).is_none() => {
            refused(key, "'adminPass' is a required property")
        }
        _ => Ok(()),
    }
}
