//! `Server.spec`: one cloud server as its owner wishes it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use super::deletion::*;
use super::duration::{Duration, between};
pub use super::openstack::*;
pub use super::server_group::GroupRef;
use super::server_status::ServerStatus;
pub use super::server_words::*;
pub use super::states::{Lock, Rescue};
use super::{CloudDcServer, UpCloudServer, clouddc};

/// One cloud server: what it is, which power state it should be in, and how disruptive changes may be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "evenkeel.dev",
    version = "v1alpha1",
    kind = "Server",
    plural = "servers",
    selectable = ".spec.groupRef.name",
    category = "evenkeel",
    namespaced,
    status = "ServerStatus",
    derive = "PartialEq",
    doc = "A cloud server kept in the state that its spec declares.",
    printcolumn(name = "Desired", type_ = "string", json_path = ".status.power.desired"),
    printcolumn(name = "Power", type_ = "string", json_path = ".status.power.observed"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".status.addresses[0].address"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "DesiredFrom",
        type_ = "string",
        json_path = ".status.power.desiredFrom",
        priority = 1
    ),
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id", priority = 1),
    printcolumn(
        name = "Provider",
        type_ = "string",
        json_path = ".spec.providerConfigRef.name",
        priority = 1
    ),
    printcolumn(
        name = "Group",
        type_ = "string",
        json_path = ".spec.groupRef.name",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.providerConfigRef.name == oldSelf.providerConfigRef.name")
        .message("providerConfigRef is immutable: make a new Server on the other account"),
    validation = Rule::new("self.managementPolicy == 'Full' || has(self.__import__)")
        .message("managementPolicy PowerOnly and Observe need import.id: they never create a server"),
    validation = Rule::new("self.managementPolicy != 'Full' || has(self.__import__) || ((has(self.size) || has(self.cloudDC)) && (has(self.image) || (has(self.upcloud) && has(self.upcloud.disks))))")
        .message("size and image are needed to create a server (cloudDC: no size; upcloud: disks may replace the image); give both, or import.id to take over an existing one"),
    validation = Rule::new("!has(self.__import__) || self.managementPolicy == 'Observe' || has(self.powerState)")
        .message("import needs powerState to be given (Unmanaged leaves the power as it is)"),
    validation = Rule::new("!has(self.__import__) || has(self.deletionPolicy)")
        .message("import needs deletionPolicy to be given: Delete, or Orphan to leave the server when this object goes"),
    validation = Rule::new("self.managementPolicy == 'Full' || !has(self.deletionPolicy) || self.deletionPolicy == 'Orphan'")
        .message("managementPolicy PowerOnly and Observe never delete a server: deletionPolicy must be Orphan"),
    validation = Rule::new("self.managementPolicy == 'Full' || (!has(self.locked) && !has(self.rescue))")
        .message("managementPolicy PowerOnly and Observe lock and rescue no server: leave locked and rescue out"),
    validation = Rule::new("!has(oldSelf.__import__) || (has(self.__import__) && self.__import__ == oldSelf.__import__)")
        .message("import is immutable once set"),
    validation = Rule::new("self.onMissing != 'Recreate' || (self.managementPolicy == 'Full' && (has(self.size) || has(self.cloudDC)) && (has(self.image) || (has(self.upcloud) && has(self.upcloud.disks))))")
        .message("onMissing: Recreate needs managementPolicy Full, and size and image as for a creation: the server would have to be created again"),
    validation = Rule::new("[has(self.openstack), has(self.upcloud), has(self.cloudDC)].filter(x, x).size() <= 1")
        .message("at most one of openstack, upcloud and cloudDC can be given: the one of the ProviderConfig's cloud"),
    validation = Rule::new("!has(self.upcloud) || !has(self.upcloud.loginUser) || !has(self.upcloud.loginUser.createPassword) || !self.upcloud.loginUser.createPassword || !has(self.sshKeys)")
        .message("upcloud.loginUser.createPassword cannot be true with sshKeys: a user has keys or a password"),
    validation = clouddc::creation(),
    validation = clouddc::lacking(),
    validation = Rule::new("self.resize.confirm == 'AfterSoak' ? has(self.resize.soak) : !has(self.resize.soak)")
        .message("resize.soak is given with confirm: AfterSoak, and only then"),
    validation = Rule::new("!has(self.deletion) || !has(self.deletion.powerOff) || self.deletion.powerOff != 'None' || !has(self.deletion.timeout)")
        .message("deletion.timeout has no meaning with deletion.powerOff: None")
)]
pub struct ServerSpec {
    /// The account that the server lives in. Immutable.
    pub provider_config_ref: ProviderConfigRef,
    /// How much of the server's life is managed. PowerOnly and Observe need import.id, and deleting the object
    /// then leaves the server alone.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// The power state that the server is kept in. Absent means Running for a server that was created here.
    /// It has to be given with import. A state that the cloud does not have is reported as Unsupported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerWish>,
    /// How the server is powered off when spec.powerState or a resize asks for it.
    #[serde(default)]
    pub power_off: PowerOff,
    /// What a change that was made outside of this object gets.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// Restarts the server once for each new token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// The size: a name of the cloud's catalog (flavor, plan), or cores and memory where the cloud has free
    /// sizes. Needed to create a server. A changed text is a resize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// When and how a changed size is carried out.
    #[serde(default)]
    pub resize: ResizePolicy,
    /// The image that the server is created from. Needed to create a server. What a later change gets is said by
    /// rebuild.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// What a changed image gets; as if given empty, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuild>,
    /// The server's name in the cloud, 1 to 255 characters; the object's name if absent. It never identifies a
    /// server. OpenStack and UpCloud change it in place, where openstack or upcloud is given, if only as {}; elsewhere
    /// it is immutable once a server is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^\S(.*\S)?$"))]
    pub cloud_name: Option<String>,
    /// The host name that the guest is given, at most 63 letters, digits and hyphens; the cloud makes one if
    /// absent. OpenStack (from microversion 2.90 on) and UpCloud change it in place, where openstack or upcloud is
    /// given, if only as {}; elsewhere it is immutable once a server is asked for. An older Nova refuses it, which is
    /// said (SettingsRefused, InvalidSpec), and does not show it, so that that of an imported server is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    pub hostname: Option<String>,
    /// Labels (metadata in OpenStack) written to the cloud server: at most 64, keys of 1 to 200 characters, values
    /// of at most 255. Keys that begin with evenkeel are reserved; OpenStack's have letters, digits, spaces and -_:. only. OpenStack and UpCloud change them in place,
    /// where openstack or upcloud is given, if only as {}: labels that others added stay, and so do their values; elsewhere
    /// they are immutable once a server is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 255}))]
    #[x_kube(validation = Rule::new("self.all(k, k.size() >= 1 && k.size() <= 200 && !k.startsWith('evenkeel'))")
        .message("label keys have 1 to 200 characters and do not begin with evenkeel"))]
    pub labels: Option<BTreeMap<String, String>>,
    /// A Secret of this namespace, labelled evenkeel.dev/allow: user-data, whose key is handed to the guest
    /// when the server is created. On OpenStack a later change is shown as not applied (SettingsSynced), and nothing
    /// is done; elsewhere it is immutable once a server is asked for. What is compared is the name and the key: a
    /// Secret is read for a creation alone, and other contents under the same name are not noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data_secret_ref: Option<SecretKeyRef>,
    /// Public SSH keys for the guest's login user, at most 32, each as in authorized_keys; for clouds that take
    /// keys when they create a server. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 8192)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ssh_keys: Option<Vec<String>>,
    /// A Secret of this namespace, labelled evenkeel.dev/allow: password, whose key is the administrator's
    /// password, where the cloud takes one. The password is set when the server is created, and again when this
    /// names another Secret or key, where the cloud can; that the Secret's content changed is not seen. Immutable
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_password_secret_ref: Option<SecretKeyRef>,
    /// The name of a Secret of this namespace that is made, owned by this object, for the user name and password
    /// that the cloud tells once when it creates a server, and where it makes a new one (OpenStack) when it installs it
    /// anew or rescues it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub credentials_secret_name: Option<String>,
    /// Keeps the server locked in the cloud, where the cloud has locks: nobody but administrators can then stop, change
    /// or delete it past this object. The lock is taken off for a step of ours and put back afterwards, and taken off
    /// for good when this is dropped. A lock by somebody else is shown and never taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Lock>,
    /// Keeps the server in rescue mode, where the cloud has that: its own system is stopped, and a rescue system runs
    /// with its disk attached. Meanwhile powerState, size and image are held. When this is dropped the server leaves
    /// rescue mode, and runs; powerState is then pursued. A rescue by somebody else is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<Rescue>,
    /// The ServerGroup of this namespace that the server is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_ref: Option<GroupRef>,
    /// What only OpenStack has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStackServer>,
    /// What only UpCloud has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcloud: Option<UpCloudServer>,
    /// What only Huawei CloudDC has.
    #[serde(default, rename = "cloudDC", skip_serializing_if = "Option::is_none")]
    pub cloud_dc: Option<CloudDcServer>,
    /// An existing server of the account to take over instead of creating one. With it, powerState and
    /// deletionPolicy have to be given. Immutable once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// What happens when our own creation ended in an error state without ever having run.
    #[serde(default)]
    pub on_create_error: OnCreateError,
    /// What happens to a server that ran and is now in an error state.
    #[serde(default)]
    pub on_error: OnError,
    /// What happens when the cloud says that a server once seen is gone.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// What becomes of the cloud server when this object is deleted. Absent means Delete for a server that was
    /// created here; it has to be given with import, and can only be Orphan with PowerOnly and Observe. Orphan takes our marks
    /// off where the cloud changes them: OpenStack does so of a server that is running, stopped, paused or suspended, not of one
    /// that is shelved, in rescue mode or in an error; CloudDC never does. A server that keeps them is named in an event: take them
    /// off in the cloud before a new object of this name is made, or that one is PreviousIncarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// While true, deletion of this object is blocked and touches nothing, power included.
    #[serde(default)]
    pub deletion_protection: bool,
    /// How the cloud server is deleted; as if given empty, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// Names an object that says which account is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderConfigRef {
    /// The kind of the object; ProviderConfig if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ProviderConfigKind>,
    /// The name of a ProviderConfig in this namespace, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// How a server is powered off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerOff {
    /// How the guest is stopped. What the cloud cannot do is reported as Unsupported.
    #[serde(default)]
    pub mode: PowerOffMode,
    /// How long a stop may take before it counts as failed, like 90s, 5m or 1h30m; from 1s to 24h.
    #[serde(default = "five_minutes")]
    #[schemars(extend("x-kubernetes-validations" = between("powerOff.timeout", "1s", "24h")))]
    pub timeout: Duration,
}

const fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

impl Default for PowerOff {
    fn default() -> Self {
        Self {
            mode: PowerOffMode::default(),
            timeout: five_minutes(),
        }
    }
}

/// What a changed image gets. An existing server is only ever rebuilt because the text of spec.image changed: not
/// because a name means another image now, and not because the server was just taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rebuild {
    /// When the server is installed anew from a changed image. It is stopped for it where the cloud asks for that,
    /// and brought back to its power state afterwards.
    #[serde(default)]
    pub when: RebuildWhen,
    /// Whether an image is also installed on a server whose root disk is a volume, by when or by a ServerAction: THE VOLUME
    /// IS ERASED. Without it such a server is left as it is (Unsupported). OpenStack can do it from Nova's 2.93 on.
    #[serde(default)]
    pub include_root_volume: bool,
    /// Whether the ephemeral disk of the size is kept, by when or by a ServerAction. OpenStack's bare metal (Ironic) can do
    /// that; other hypervisors of Nova put the server into an error instead, and CloudDC is not asked.
    #[serde(default)]
    pub preserve_ephemeral: bool,
}

/// One restart for each new token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Any text of 1 to 128 characters; a token that differs from status.restart.token restarts the server once. A token that is
    /// first seen with an existing server, by an import or a status that was lost, is recorded, not acted on. In rescue mode, and while somebody else keeps the server
    /// paused, suspended, shelved or rescued, it waits; of a server that is not to run it is passed over, with a warning.
    #[schemars(length(min = 1, max = 128))]
    pub token: String,
    /// How the guest is restarted.
    #[serde(default)]
    pub mode: PowerOffMode,
    /// The restart is not begun before this time (RFC 3339, like 2026-12-24T18:00:00Z); at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub not_before: Option<jiff::Timestamp>,
}

/// A size by name, or by its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) ? !has(self.cores) && !has(self.memoryMiB) : has(self.cores) && has(self.memoryMiB)")
    .message("a size is either a name, or cores and memoryMiB together"))]
pub struct Size {
    /// The name or id in the cloud's catalog (flavor, plan), 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Virtual cores, 1 to 4096; given together with memoryMiB, where the cloud has free sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub cores: Option<i32>,
    /// Memory in MiB, 1 to 268435456; given together with cores.
    #[serde(default, rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 268435456))]
    pub memory_mib: Option<i64>,
}

impl Size {
    /// The size as one word: its name, or `<cores>x<MiB>`.
    pub fn text(&self) -> String {
        match (&self.name, self.cores, self.memory_mib) {
            (Some(name), ..) => name.clone(),
            (None, cores, memory) => format!("{}x{}", cores.unwrap_or(0), memory.unwrap_or(0)),
        }
    }
}

/// When and how a changed size is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResizePolicy {
    /// When a changed size is carried out.
    #[serde(default)]
    pub when: ResizeWhen,
    /// Who confirms the resize where the cloud asks for it.
    #[serde(default)]
    pub confirm: ResizeConfirm,
    /// How long the resized server is watched before it is confirmed, like 10m or 24h; from 1s to 168h. Given
    /// with confirm: AfterSoak, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = between("resize.soak", "1s", "168h")))]
    pub soak: Option<Duration>,
    /// What follows a resize that failed.
    #[serde(default)]
    pub on_failure: ResizeOnFailure,
}

/// An image by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.id)").message("an image has either a name or an id"))]
pub struct Image {
    /// The image's name, 1 to 255 characters; refused when it is not unique in the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// The cloud's id of the image, 1 to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
}

impl Image {
    /// The image as one word: its name, or `id:<id>`.
    pub fn text(&self) -> String {
        match (&self.name, &self.id) {
            (Some(name), _) => name.clone(),
            (None, id) => format!("id:{}", id.as_deref().unwrap_or_default()),
        }
    }
}

/// A key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name, at most 253 characters.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key in the Secret's data, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl SecretKeyRef {
    /// The reference as one word: the Secret's name and the key.
    pub fn text(&self) -> String {
        format!("{}/{}", self.name, self.key)
    }
}

/// An existing server to take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The cloud's id of the server, 1 to 128 characters.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9._:-]+$"))]
    pub id: String,
}
