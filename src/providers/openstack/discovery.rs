//! Which microversion of Nova is spoken: one is chosen per call, never above what the cloud has.
//! <https://docs.openstack.org/nova/latest/reference/api-microversion-history.html>

use std::fmt;

use super::wire::Version;
use crate::planner::model::{CloudError, ErrorClass};

/// A microversion of Nova.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Microversion(pub(super) u16, pub(super) u16);

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Reading servers, acting on them, creating them.
    Servers,
    /// Showing them, with their host names where that can be had.
    Shown,
    /// Creating one with a host name of its own.
    Hostname,
    /// Rescuing one, also one whose root disk is a volume.
    Rescue,
    /// Installing an image on a root disk that is a volume.
    Reimage,
    /// Locking one with a reason.
    Lock,
    /// Reading and making groups of servers.
    Groups,
    /// Reading what became of a request.
    ActionLog,
}

/// The lowest microversion that will do, the one that is best, and what the floor is for.
const TABLE: &[(Need, Microversion, Microversion, &str)] = &[
    // 2.69 lists servers of a broken cell instead of leaving them out; tags at create (2.52), flavor names (2.47) and
    // locks (2.9) are older. 2.73 adds locked_reason; 2.79 is the last change of Train.
    (
        Need::Servers,
        Microversion(2, 69),
        Microversion(2, 79),
        "complete lists of servers",
    ),
    // Of what a server shows nothing but the host name changes between 2.79 and 2.90.
    (
        Need::Shown,
        Microversion(2, 69),
        Microversion(2, 90),
        "complete lists of servers",
    ),
    (
        Need::Hostname,
        Microversion(2, 90),
        Microversion(2, 90),
        "spec.hostname",
    ),
    // Below 2.87 Nova rescues no server whose root disk is a volume.
    (
        Need::Rescue,
        Microversion(2, 69),
        Microversion(2, 87),
        "spec.rescue",
    ),
    // Below 2.93 Nova refuses another image, and with the same one the volume keeps what is on it.
    (
        Need::Reimage,
        Microversion(2, 93),
        Microversion(2, 93),
        "spec.rebuild.includeRootVolume",
    ),
    // The reason says whose lock it is.
    (
        Need::Lock,
        Microversion(2, 73),
        Microversion(2, 79),
        "spec.locked",
    ),
    // 2.64 gives a group one policy and its rules; nothing changed since.
    (
        Need::Groups,
        Microversion(2, 64),
        Microversion(2, 79),
        "groups of servers",
    ),
    // 2.84 tells the owner what went wrong.
    (
        Need::ActionLog,
        Microversion(2, 69),
        Microversion(2, 84),
        "the log of a server",
    ),
];

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: Microversion,
    pub(super) max: Microversion,
}

fn parse(text: &str) -> Option<Microversion> {
    let (major, minor) = text.split_once('.')?;
    Some(Microversion(major.parse().ok()?, minor.parse().ok()?))
}

impl Range {
    /// What a version document says; a Nova without microversions is 2.1 at most.
    pub(super) fn of(document: &Version) -> Self {
        let oldest = Microversion(2, 1);
        Self {
            min: parse(&document.min_version).unwrap_or(oldest),
            max: parse(&document.version).unwrap_or(oldest),
        }
    }

    /// The microversion for a call.
    ///
    /// # Errors
    /// Class `InvalidSpec`: the cloud is too old, or so new that it dropped it.
    pub(super) fn choose(self, need: Need) -> Result<Microversion, CloudError> {
        let refused = |words| Err(CloudError::new(ErrorClass::InvalidSpec, words));
        let Some((_, floor, best, what)) = TABLE.iter().find(|(n, ..)| *n == need) else {
            return refused("no microversion is known for this call".to_owned());
        };
        if self.max < *floor {
            return refused(format!(
                "this Nova speaks microversion {} at most; {what} needs {floor}",
                self.max
            ));
        }
        let chosen = self.max.min(self.min.max(*best));
        Ok(chosen)
    }
}

/// The root of Nova's API, whose version document it is: without a project's id at the end.
pub(super) fn root(endpoint: &str) -> &str {
    match endpoint.rsplit_once('/') {
        Some((root, last))
            if !last.starts_with('v') && root.rsplit('/').next().is_some_and(|s| s.starts_with("v2")) =>
        {
            root
        }
        _ => endpoint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: &str, max: &str) -> Range {
        Range::of(&Version {
            version: max.into(),
            min_version: min.into(),
        })
    }

    #[test]
    fn never_above_the_cloud_and_never_below_the_floor() {
        for (max, servers, shown, hostname) in [
            ("2.104", Some("2.79"), Some("2.90"), Some("2.90")),
            ("2.90", Some("2.79"), Some("2.90"), Some("2.90")),
            ("2.89", Some("2.79"), Some("2.89"), None),
            ("2.79", Some("2.79"), Some("2.79"), None),
            ("2.72", Some("2.72"), Some("2.72"), None),
            ("2.69", Some("2.69"), Some("2.69"), None),
            ("2.68", None, None, None),
            ("", None, None, None),
        ] {
            let text = |need| range("2.1", max).choose(need).ok().map(|v| v.to_string());
            assert_eq!(text(Need::Servers).as_deref(), servers, "{max}");
            assert_eq!(text(Need::Shown).as_deref(), shown, "{max}");
            assert_eq!(text(Need::Hostname).as_deref(), hostname, "{max}");
        }
        assert_eq!(
            range("2.100", "2.120").choose(Need::Servers).unwrap(),
            Microversion(2, 100)
        );
        let error = range("2.1", "2.53").choose(Need::Servers).unwrap_err();
        assert_eq!(
            error.message,
            "this Nova speaks microversion 2.53 at most; complete lists of servers needs 2.69"
        );
    }

    #[test]
    fn the_root_has_no_project() {
        for (endpoint, expected) in [
            ("https://h/v2.1", "https://h/v2.1"),
            ("https://h/compute/v2.1", "https://h/compute/v2.1"),
            ("https://h/v2.1/55cfefd5fb61", "https://h/v2.1"),
            ("https://h:8774", "https://h:8774"),
        ] {
            assert_eq!(root(endpoint), expected);
        }
    }
}
