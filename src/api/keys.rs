//! Names that other programs see: the API group, the finalizer, annotations and labels.

/// The API group of every kind.
pub const GROUP: &str = "evenkeel.dev";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
/// Keeps a `Server` until its cloud server is confirmed gone.
pub const FINALIZER: &str = "evenkeel.dev/cloud-server";
/// Keeps a `ServerGroup` until its group in the cloud is confirmed gone.
pub const GROUP_FINALIZER: &str = "evenkeel.dev/cloud-group";
/// Keeps a `ServerAction` until it is known what became of it.
pub const ACTION_FINALIZER: &str = "evenkeel.dev/deed";
/// On a `ServerAction`: the uid of the Server that took it up. One that carries it and nothing else of that was restored from
/// a backup, and is not carried out again.
pub const TAKEN: &str = "evenkeel.dev/taken-by";
/// Present with any value but `"false"`: read only; nothing is written to the cloud for this object.
pub const PAUSED: &str = "evenkeel.dev/paused";
/// A new token asks for a fresh look now; echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "evenkeel.dev/reconcile-requested-at";
/// A new token forgets a failed size, flapping and backoff.
pub const RETRY: &str = "evenkeel.dev/retry";
/// The cloud id of a server to give up, or the object's own uid while one may still be made: the finalizer goes without the
/// cloud.
pub const ABANDON: &str = "evenkeel.dev/abandon";
/// The object's own uid: create although a server of a previous incarnation exists.
pub const CREATE_ANYWAY: &str = "evenkeel.dev/create-anyway";
/// On a Secret: which use by a `Server` its owner allows (`user-data` or `password`).
pub const ALLOW: &str = "evenkeel.dev/allow";
/// On a Lease: a replica's place among those that share the accounts.
pub const REPLICA: &str = "evenkeel.dev/replica";
/// On the same Lease: the places by which its holder reckons which accounts are its own.
pub const PLACES: &str = "evenkeel.dev/places";
/// The field manager of every write.
pub const FIELD_MANAGER: &str = "evenkeel";
