//! Which resources are served, and how a path names one.

use crate::api::keys;

use super::error::ApiError;

/// One served resource: a line of [`RESOURCES`].
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The only served version.
    pub version: &'static str,
    /// The name in paths. Unique over all groups here.
    pub plural: &'static str,
    /// The kind of one object.
    pub kind: &'static str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `/status` exists and the main resource leaves the status alone.
    pub has_status: bool,
    /// Whether the server counts `metadata.generation`: custom resources only, of those served here.
    pub has_generation: bool,
    /// Whether a PUT without a resourceVersion is taken: the core group only, of those served here.
    pub blind_put: bool,
}

const fn custom(plural: &'static str, kind: &'static str) -> Resource {
    Resource {
        group: keys::GROUP,
        version: keys::VERSION,
        plural,
        kind,
        namespaced: true,
        has_status: true,
        has_generation: true,
        blind_put: false,
    }
}

const fn builtin(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    has_status: bool,
) -> Resource {
    Resource {
        group,
        version: "v1",
        plural,
        kind,
        namespaced,
        has_status,
        has_generation: false,
        blind_put: group.is_empty(),
    }
}

/// Everything that is served.
pub const RESOURCES: &[Resource] = &[
    custom("servers", "Server"),
    custom("providerconfigs", "ProviderConfig"),
    custom("servergroups", "ServerGroup"),
    custom("serveractions", "ServerAction"),
    builtin("", "secrets", "Secret", true, false),
    builtin("", "configmaps", "ConfigMap", true, false),
    builtin("", "namespaces", "Namespace", false, true),
    builtin("", "serviceaccounts", "ServiceAccount", true, false),
    builtin("coordination.k8s.io", "leases", "Lease", true, false),
    builtin("events.k8s.io", "events", "Event", true, false),
    builtin(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        false,
        true,
    ),
];

impl Resource {
    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// By plural name.
    pub fn by_plural(plural: &str) -> Result<&'static Self, ApiError> {
        RESOURCES
            .iter()
            .find(|r| r.plural == plural)
            .ok_or_else(|| ApiError::no_such_path(plural))
    }

    /// By the `apiVersion` and `kind` of an object.
    pub fn by_kind(api_version: &str, kind: &str) -> Result<&'static Self, ApiError> {
        RESOURCES
            .iter()
            .find(|r| r.kind == kind && r.api_version() == api_version)
            .ok_or_else(|| ApiError::no_such_path(&format!("{api_version} {kind}")))
    }
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    /// Empty: all namespaces, or a resource without.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Target {
    /// Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let unknown = || ApiError::no_such_path(path);
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(unknown()),
        };
        // `namespaces/NAME` is an object of its own; with more behind it, it is where something lives.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, tail @ ..] if !tail.is_empty() && !matches!(tail, ["status"]) => {
                (*namespace, tail)
            }
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, sub] => (*plural, Some(*name), Some(*sub)),
            _ => return Err(unknown()),
        };
        let resource = RESOURCES
            .iter()
            .find(|r| r.group == group && r.version == version && r.plural == plural)
            .ok_or_else(unknown)?;
        let wrong_scope = (!namespace.is_empty() && !resource.namespaced)
            || (namespace.is_empty() && resource.namespaced && name.is_some());
        let known_sub = subresource.is_none_or(|s| s == "status" && resource.has_status);
        if wrong_scope || !known_sub {
            return Err(unknown());
        }
        Ok(Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}
