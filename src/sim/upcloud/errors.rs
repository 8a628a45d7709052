//! The refusals of the service: one table of codes with their status.

use serde_json::json;

use crate::sim::cloud::Reply;

/// Every code of the chapter "Servers", those of other chapters that its operations lead to, and `REQUEST_INVALID`.
pub(super) const CODES: &[(u16, &[&str])] = &[
    (
        400,
        &[
            "ACTION_INVALID",
            "ACTION_MISSING",
            "BACKUP_DELETION_POLICY_INVALID",
            "BOOT_ORDER_INVALID",
            "CORE_MEMORY_UNSUPPORTED",
            "CORE_NUMBER_INVALID",
            "CREATE_PASSWORD_INVALID",
            "DUPLICATE_LABEL_KEYS",
            "FAILED_TO_ADD_MEMORY",
            "FIREWALL_INVALID",
            "GROUP_INVALID",
            "HOSTNAME_INVALID",
            "HOSTNAME_MISSING",
            "INVALID_LABEL_KEY",
            "INVALID_LABEL_VALUE",
            "IP_ADDRESS_INVALID",
            "MEMORY_AMOUNT_INVALID",
            "NIC_MODEL_INVALID",
            "PASSWORD_DELIVERY_INVALID",
            "PLAN_INVALID",
            "REQUEST_INVALID",
            "SERVER_INVALID",
            "SERVER_TITLE_INVALID",
            "SERVER_TITLE_MISSING",
            "SIMPLE_BACKUP_INVALID",
            "SIZE_INVALID",
            "SIZE_MISSING",
            "STOP_TYPE_INVALID",
            "STORAGE_DELETION_POLICY_INVALID",
            "STORAGE_DEVICES_INVALID",
            "STORAGE_DEVICES_MISSING",
            "STORAGE_DEVICE_INVALID",
            "STORAGE_DEVICE_MISSING",
            "STORAGE_INVALID",
            "STORAGE_MISSING",
            "STORAGE_TITLE_INVALID",
            "STORAGE_TITLE_MISSING",
            "TIER_INVALID",
            "TIMEOUT_ACTION_INVALID",
            "TIMEOUT_INVALID",
            "TIMEOUT_MISSING",
            "TIMEZONE_INVALID",
            "TITLE_INVALID",
            "TYPE_INVALID",
            "USER_DATA_INVALID",
            "VIDEO_MODEL_INVALID",
            "VNC_INVALID",
            "VNC_PASSWORD_INVALID",
            "ZONE_INVALID",
            "ZONE_MISSING",
        ],
    ),
    (401, &["AUTHENTICATION_FAILED"]),
    (402, &["INSUFFICIENT_CREDITS"]),
    (
        403,
        &[
            "ACTION_FORBIDDEN",
            "DETACHED_FLOATING_IP_LIMIT_REACHED",
            "GROUP_FORBIDDEN",
            "HDD_STORAGE_LIMIT_REACHED",
            "HOST_FORBIDDEN",
            "MAXIOPS_STORAGE_LIMIT_REACHED",
            "NETWORK_LIMIT_REACHED",
            "NETWORK_PEERING_LIMIT_REACHED",
            "PLAN_CORE_NUMBER_ILLEGAL",
            "PLAN_MEMORY_AMOUNT_ILLEGAL",
            "SERVER_CORE_LIMIT_REACHED",
            "SERVER_FORBIDDEN",
            "SERVER_IP_LIMIT_REACHED",
            "SERVER_MEMORY_LIMIT_REACHED",
            "SSD_STORAGE_LIMIT_REACHED",
            "STORAGE_FORBIDDEN",
            "TRIAL_CORE_LIMIT_REACHED",
            "TRIAL_DETACHED_FLOATING_IP_LIMIT_REACHED",
            "TRIAL_IP_LIMIT_REACHED",
            "TRIAL_MEMORY_LIMIT_REACHED",
            "TRIAL_NETWORK_LIMIT_REACHED",
            "TRIAL_PLAN",
            "TRIAL_SERVER_LIMIT_REACHED",
            "TRIAL_STORAGE_LIMIT_REACHED",
            "TRIAL_STORAGE_SIZE_LIMIT_REACHED",
        ],
    ),
    (
        404,
        &[
            "GROUP_NOT_FOUND",
            "HOST_NOT_FOUND",
            "INTERFACE_NOT_FOUND",
            "IP_ADDRESS_NOT_FOUND",
            "NETWORK_NOT_FOUND",
            "NOT_FOUND",
            "SERVER_NOT_FOUND",
            "STORAGE_NOT_FOUND",
            "ZONE_NOT_FOUND",
        ],
    ),
    (405, &["METHOD_NOT_ALLOWED"]),
    (
        409,
        &[
            "ALREADY_IN_SERVER_GROUP",
            "BACKUP_RULE_CONFLICT",
            "CAN_NOT_CREATE_PASSWORD_FOR_THE_SELECTED_DISTRIBUTION",
            "CDROM_DEVICE_IN_USE",
            "DEVICE_ADDRESS_IN_USE",
            "HOT_RESIZE_NOT_ENABLED",
            "HOT_RESIZE_UNAVAILABLE",
            "INVALID_USERNAME",
            "IP_ADDRESS_RESOURCES_UNAVAILABLE",
            "LABEL_LIMIT_REACHED",
            "METADATA_DISABLED_ON_CLOUD-INIT",
            "MS_LMA_REQUIRED",
            "MULTIPLE_TEMPLATES",
            "NO_AVAILABLE_MEMORY_SLOTS",
            "NO_STORAGES_ATTACHED",
            "PUBLIC_STORAGE_ATTACH",
            "SERVER_CREATING_LIMIT_REACHED",
            "SERVER_RESOURCES_UNAVAILABLE",
            "SERVER_RESOURCES_UNAVAILABLE_FOR_STRICT_AA",
            "SERVER_STATE_ILLEGAL",
            "STORAGE_ATTACHED_AS_CDROM",
            "STORAGE_ATTACHED_AS_DISK",
            "STORAGE_DEVICE_LIMIT_REACHED",
            "STORAGE_IN_USE",
            "STORAGE_RESOURCES_UNAVAILABLE",
            "STORAGE_STATE_ILLEGAL",
            "STORAGE_TYPE_ILLEGAL",
            "STRICT_ANTI_AFFINITY_NOT_MET",
            "TOO_MANY_BOOT_DISKS",
            "UNABLE_TO_CANCEL",
            "WINDOWS_NOT_AVAILABLE",
            "ZONE_MISMATCH",
        ],
    ),
    (429, &["RATE_LIMIT_EXCEEDED"]),
    (500, &["SERVICE_ERROR"]),
    (503, &["SERVICE_UNAVAILABLE"]),
];

/// A refusal: its code, and more words than the code has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) more: String,
}

/// An answer or a refusal.
pub(super) type Answer = Result<Reply, Refusal>;

/// A refusal with the words of its code.
pub(super) const fn refused(code: &'static str) -> Refusal {
    Refusal {
        code,
        more: String::new(),
    }
}

/// A refusal with words of its own.
pub(super) fn because(code: &'static str, more: impl Into<String>) -> Refusal {
    Refusal {
        code,
        more: more.into(),
    }
}

/// The status of a code.
pub(super) fn status(code: &str) -> u16 {
    CODES
        .iter()
        .find(|(_, codes)| codes.contains(&code))
        .map_or(500, |(status, _)| *status)
}

/// The code that stands for a status where nothing better is known.
pub(super) fn code_of(status: u16) -> &'static str {
    match status {
        400 => "REQUEST_INVALID",
        404 => "NOT_FOUND",
        409 => "SERVER_STATE_ILLEGAL",
        504 | 502 => "SERVICE_UNAVAILABLE",
        _ => CODES
            .iter()
            .find(|(s, _)| *s == status)
            .and_then(|(_, codes)| codes.first())
            .copied()
            .unwrap_or("SERVICE_ERROR"),
    }
}

impl Refusal {
    pub(super) fn message(&self) -> String {
        if self.more.is_empty() {
            let words = self.code.to_lowercase().replace('_', " ");
            format!("The request was refused: {words}.")
        } else {
            self.more.clone()
        }
    }

    /// One of the two bodies that the service has for refusals.
    pub(super) fn reply(&self, status: u16, problem: bool, correlation: &str) -> Reply {
        if problem {
            let kind = format!("https://developers.upcloud.com/1.3/errors#ERROR_{}", self.code);
            let body = json!({"type": kind, "title": self.message(), "status": status, "correlation_id": correlation});
            return Reply::new(status, body).with("Content-Type", "application/problem+json");
        }
        Reply::new(
            status,
            json!({"error": {"error_code": self.code, "error_message": self.message()}}),
        )
    }
}
