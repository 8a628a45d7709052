//! What a simulated CloudDC is made of, how fast it is, and on which side of the documentation's contradictions.

use std::time::Duration;

use jiff::Timestamp;

/// A simulated CloudDC. The same one behaves the same each time.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where the identifiers come from.
    pub seed: u64,
    /// The wall clock at the start, in what is shown; the machine's if absent.
    pub epoch: Option<Timestamp>,
    /// How long things take.
    pub timings: Timings,
    /// What the documentation leaves open or says in two ways.
    pub quirks: Quirks,
    /// How many physical servers there are.
    pub machines: usize,
    /// How long a token lives.
    pub token_ttl: Duration,
    /// The most entries on one page of a list.
    pub page_limit: usize,
    /// So many bad signatures in a row are borne; one more locks the key.
    pub bad_signatures: u32,
    /// For how long a key is locked.
    pub locked_for: Duration,
    /// How far a client's clock may be off.
    pub clock_skew: Duration,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epoch: None,
            timings: Timings::default(),
            quirks: Quirks::default(),
            machines: 8,
            token_ttl: Duration::from_secs(24 * 3600),
            page_limit: 1000,
            bad_signatures: 5,
            locked_for: Duration::from_secs(300),
            clock_skew: Duration::from_secs(900),
        }
    }
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Installing a system.
    pub install: Duration,
    /// Switching power on or off.
    pub power: Duration,
    /// A reboot; the last three quarters of it the instance may be shown as stopped.
    pub reboot: Duration,
    /// Deleting an instance.
    pub delete: Duration,
    /// Changing addresses.
    pub modify_ip: Duration,
    /// When a call that was accepted to the first sign of it.
    pub visible: Duration,
    /// How long a deleted instance is still shown as terminated.
    pub terminated_shown: Duration,
    /// When request to reply, in process.
    pub latency: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            install: Duration::from_secs(900),
            power: Duration::from_secs(60),
            reboot: Duration::from_secs(180),
            delete: Duration::from_secs(120),
            modify_ip: Duration::from_secs(30),
            visible: Duration::from_millis(500),
            terminated_shown: Duration::from_secs(60),
            latency: Duration::from_millis(5),
        }
    }
}

impl Timings {
    /// For tests on a port: everything takes this long.
    pub fn quick(time: Duration) -> Self {
        Self {
            install: time,
            power: time,
            reboot: time,
            delete: time,
            modify_ip: time,
            visible: Duration::ZERO,
            terminated_shown: time * 2,
            latency: Duration::ZERO,
        }
    }
}

/// In which states a call is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only `running`.
    Running,
    /// Only `stopped`.
    Stopped,
    /// Both.
    Either,
}

impl When {
    pub(super) fn takes(self, state: &str) -> bool {
        match self {
            Self::Running => state == "running",
            Self::Stopped => state == "stopped",
            Self::Either => matches!(state, "running" | "stopped"),
        }
    }
}

/// What the documentation leaves open or says in two ways; the default is the page of 2026-06-08.
#[derive(Clone, Debug)]
pub struct Quirks {
    /// When a system may be installed anew; from an error of its provisioning it always may.
    pub reinstall: When,
    /// What an instance is meanwhile: `stopped`, `pending` or `reinstalling`.
    pub while_reinstalling: &'static str,
    /// When the password may be changed.
    pub password: When,
    /// When the addresses may be changed.
    pub modify_ip: When,
    /// Whether an instance that is being rebooted is shown as stopped.
    pub reboot_stops: bool,
    /// Whether a running instance may be deleted.
    pub delete_running: bool,
    /// Whether `operation_state` is shown.
    pub operations: bool,
    /// Whether errors of installing and deleting have a type.
    pub error_types: bool,
    /// The word for an instance that failed: `error`, or `failed` in older editions.
    pub error_word: &'static str,
    /// Whether an instance whose reinstallation failed is left `stopped`.
    pub failed_stays_stopped: bool,
    /// Whether a 429 has a body of JSON.
    pub json_429: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            reinstall: When::Stopped,
            while_reinstalling: "stopped",
            password: When::Stopped,
            modify_ip: When::Stopped,
            reboot_stops: true,
            delete_running: false,
            operations: true,
            error_types: true,
            error_word: "error",
            failed_stays_stopped: false,
            json_429: false,
        }
    }
}
