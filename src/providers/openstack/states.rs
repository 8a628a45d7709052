//! Nova's states in neutral words: one table.
//!
//! Nova computes `status` from (vm_state, task_state) and hides most tasks behind it (`nova/api/openstack/common.py`):
//! ACTIVE with `powering-off` still says ACTIVE. So the task is looked at first.

use super::wire::Server;
use crate::planner::model::ServerState;

/// One row: in this status, with this task, a server is that.
struct Row {
    /// Nova's status, or `*`.
    status: &'static str,
    /// Nova's task_state, `-` for none, or `*`.
    task: &'static str,
    state: ServerState,
}

const fn row(status: &'static str, task: &'static str, state: ServerState) -> Row {
    Row { status, task, state }
}

/// The first row that fits counts; none means Unknown.
///
/// Sources: <https://docs.openstack.org/api-guide/compute/server_concepts.html> (statuses),
/// `nova/objects/fields.py` `InstanceTaskState` (tasks).
const TABLE: &[Row] = {
    use ServerState::*;
    &[
        // Gone, whatever is written beside it.
        row("DELETED", "*", Absent),
        // A down cell: nothing else in the entry is to be believed.
        row("UNKNOWN", "*", Unknown),
        // Deletion.
        row("*", "deleting", Deleting),
        row("*", "soft-deleting", Deleting),
        row("*", "restoring", Maintenance),
        // Creation; the same words are used when a server is unshelved.
        row("BUILD", "scheduling", Provisioning),
        row("BUILD", "networking", Provisioning),
        row("BUILD", "block_device_mapping", Provisioning),
        row("BUILD", "spawning", Provisioning),
        row("*", "scheduling", Maintenance),
        row("*", "networking", Maintenance),
        row("*", "block_device_mapping", Maintenance),
        row("*", "spawning", Maintenance),
        // Power.
        row("*", "powering-on", Starting),
        row("*", "powering-off", Stopping),
        row("*", "rebooting", Rebooting),
        row("*", "reboot_pending", Rebooting),
        row("*", "reboot_started", Rebooting),
        row("*", "rebooting_hard", Rebooting),
        row("*", "reboot_pending_hard", Rebooting),
        row("*", "reboot_started_hard", Rebooting),
        row("*", "pausing", Maintenance),
        row("*", "unpausing", Maintenance),
        row("*", "suspending", Maintenance),
        row("*", "resuming", Maintenance),
        // Size.
        row("*", "resize_prep", Resizing),
        row("*", "resize_migrating", Resizing),
        row("*", "resize_migrated", Resizing),
        row("*", "resize_finish", Resizing),
        row("*", "resize_confirming", Resizing),
        row("*", "resize_reverting", RevertingResize),
        // Disk.
        row("*", "rebuilding", Rebuilding),
        row("*", "rebuild_block_device_mapping", Rebuilding),
        row("*", "rebuild_spawning", Rebuilding),
        row("*", "image_snapshot", Maintenance),
        row("*", "image_snapshot_pending", Maintenance),
        row("*", "image_pending_upload", Maintenance),
        row("*", "image_uploading", Maintenance),
        row("*", "image_backup", Maintenance),
        // The rest.
        row("*", "updating_password", SettingPassword),
        row("*", "rescuing", Maintenance),
        row("*", "unrescuing", Maintenance),
        row("*", "migrating", Maintenance),
        row("*", "shelving", Maintenance),
        row("*", "shelving_image_pending_upload", Maintenance),
        row("*", "shelving_image_uploading", Maintenance),
        row("*", "shelving_offloading", Maintenance),
        row("*", "unshelving", Maintenance),
        // No task: the status speaks. BUILD without a task is between two tasks, not finished.
        row("ACTIVE", "-", Running),
        row("BUILD", "-", Provisioning),
        row("ERROR", "-", Error),
        row("HARD_REBOOT", "-", Rebooting),
        row("MIGRATING", "-", Maintenance),
        row("PASSWORD", "-", SettingPassword),
        row("PAUSED", "-", Paused),
        row("REBOOT", "-", Rebooting),
        row("REBUILD", "-", Rebuilding),
        row("RESCUE", "-", Rescued),
        row("RESIZE", "-", Resizing),
        row("REVERT_RESIZE", "-", RevertingResize),
        row("SHELVED", "-", Shelved),
        row("SHELVED_OFFLOADED", "-", Shelved),
        row("SHUTOFF", "-", Stopped),
        row("SOFT_DELETED", "-", SoftDeleted),
        row("SUSPENDED", "-", Suspended),
        row("VERIFY_RESIZE", "-", AwaitingResizeConfirmation),
        // Words of the API guide and of other implementations for the same.
        row("BUILDING", "-", Provisioning),
        row("RESCUED", "-", Rescued),
        row("RESIZED", "-", Resizing),
        row("STOPPED", "-", Stopped),
    ]
};

/// The table as a page shows it: Nova's words, and what they mean.
#[cfg(test)]
pub(in crate::providers) fn words() -> Vec<(String, ServerState)> {
    let word = |r: &Row| match (r.status, r.task) {
        ("*", task) => format!("any status, task `{task}`"),
        (status, "*") => format!("`{status}`, whatever the task"),
        (status, "-") => format!("`{status}`"),
        (status, task) => format!("`{status}`, task `{task}`"),
    };
    TABLE.iter().map(|r| (word(r), r.state)).collect()
}

fn fits(pattern: &str, word: &str) -> bool {
    pattern == "*" || pattern == word
}

/// The neutral state, and whether the cloud is busy with the server: then it accepts nothing but a delete.
pub(super) fn state_of(status: &str, task: Option<&str>) -> (ServerState, bool) {
    let task = task.filter(|t| !t.is_empty());
    let state = TABLE
        .iter()
        .find(|r| fits(r.status, status) && fits(r.task, task.unwrap_or("-")))
        .map_or(ServerState::Unknown, |r| r.state);
    (
        state,
        state != ServerState::Absent && (task.is_some() || state.is_transitional()),
    )
}

/// The state in Nova's words: `STATUS/vm_state/task_state/power_state`, `-` for what is absent.
pub(super) fn raw(server: &Server) -> String {
    let power = server.power_state.map(|p| p.to_string());
    let word = |w: Option<&str>| {
        w.filter(|w| !w.is_empty())
            .unwrap_or("-")
            .chars()
            .take(48)
            .collect::<String>()
    };
    [
        word(Some(&server.status)),
        word(server.vm_state.as_deref()),
        word(server.task_state.as_deref()),
        word(power.as_deref()),
    ]
    .join("/")
}

/// Whether the guest runs, by Nova's power_state (`nova/objects/fields.py` `InstancePowerState`); none where it says
/// NOSTATE or something new.
pub(super) const fn guest_running(power_state: Option<i64>) -> Option<bool> {
    match power_state {
        Some(1) => Some(true),
        // PAUSED, SHUTDOWN, CRASHED, SUSPENDED
        Some(3 | 4 | 6 | 7) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServerState::*;

    #[test]
    fn every_word_of_the_api_guide_has_its_state() {
        for (word, expected) in [
            ("ACTIVE", Running),
            ("BUILDING", Provisioning),
            ("DELETED", Absent),
            ("ERROR", Error),
            ("HARD_REBOOT", Rebooting),
            ("PASSWORD", SettingPassword),
            ("PAUSED", Paused),
            ("REBOOT", Rebooting),
            ("REBUILD", Rebuilding),
            ("RESCUED", Rescued),
            ("RESIZED", Resizing),
            ("REVERT_RESIZE", RevertingResize),
            ("SOFT_DELETED", SoftDeleted),
            ("STOPPED", Stopped),
            ("SUSPENDED", Suspended),
            ("UNKNOWN", Unknown),
            ("VERIFY_RESIZE", AwaitingResizeConfirmation),
        ] {
            assert_eq!(state_of(word, None).0, expected, "{word}");
        }
    }

    /// (status, task) as seen on a real Nova, and what each means.
    #[test]
    fn every_state_seen_on_the_wire_has_its_meaning() {
        for (status, task, state, busy) in [
            ("BUILD", Some("scheduling"), Provisioning, true),
            ("BUILD", None, Provisioning, true),
            ("BUILD", Some("deleting"), Deleting, true),
            ("ACTIVE", None, Running, false),
            ("ACTIVE", Some(""), Running, false),
            ("ACTIVE", Some("powering-off"), Stopping, true),
            ("SHUTOFF", None, Stopped, false),
            ("SHUTOFF", Some("powering-on"), Starting, true),
            ("SHUTOFF", Some("rebooting_hard"), Rebooting, true),
            ("REBOOT", Some("reboot_started"), Rebooting, true),
            ("HARD_REBOOT", Some("reboot_started_hard"), Rebooting, true),
            ("PAUSED", Some("unpausing"), Maintenance, true),
            ("RESCUE", None, Rescued, false),
            ("SHELVED_OFFLOADED", Some("spawning"), Maintenance, true),
            ("SHELVED_OFFLOADED", None, Shelved, false),
            ("RESIZE", Some("resize_finish"), Resizing, true),
            ("VERIFY_RESIZE", None, AwaitingResizeConfirmation, false),
            ("REVERT_RESIZE", Some("resize_reverting"), RevertingResize, true),
            ("ERROR", Some("resize_migrating"), Resizing, true),
            ("ERROR", Some("deleting"), Deleting, true),
            ("ERROR", None, Error, false),
            ("ACTIVE", Some("image_snapshot"), Maintenance, true),
            ("MIGRATING", Some("migrating"), Maintenance, true),
            ("DELETED", None, Absent, false),
            ("SOFT_DELETED", Some("restoring"), Maintenance, true),
        ] {
            assert_eq!(state_of(status, task), (state, busy), "{status}/{task:?}");
        }
    }

    #[test]
    fn new_words_are_unknown() {
        assert_eq!(state_of("HIBERNATED", None), (Unknown, false));
        assert_eq!(state_of("ACTIVE", Some("levitating")), (Unknown, true));
        assert_eq!(state_of("", None), (Unknown, false));
        assert_eq!(state_of("UNKNOWN", Some("powering-off")).0, Unknown);
    }

    #[test]
    fn every_task_means_busy_and_every_row_can_be_reached() {
        for (n, row) in TABLE.iter().enumerate() {
            let status = if row.status == "*" { "ANY" } else { row.status };
            let task = (row.task != "-" && row.task != "*").then_some(row.task);
            let first = TABLE
                .iter()
                .position(|r| fits(r.status, status) && fits(r.task, task.unwrap_or("-")));
            assert_eq!(first, Some(n), "{}/{}", row.status, row.task);
            if task.is_some() {
                assert!(state_of(status, task).1, "{}/{}", row.status, row.task);
            }
        }
    }

    #[test]
    fn the_raw_state_is_one_line() {
        let mut server = Server {
            status: "ACTIVE".into(),
            vm_state: Some("active".into()),
            task_state: Some("powering-off".into()),
            power_state: Some(1),
            ..Server::default()
        };
        assert_eq!(raw(&server), "ACTIVE/active/powering-off/1");
        server.task_state = None;
        server.power_state = None;
        assert_eq!(raw(&server), "ACTIVE/active/-/-");
    }
}
