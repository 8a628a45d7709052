//! The label sets of the metrics. Each name is one of [`super::catalogue::LABELS`].

use prometheus_client::encoding::EncodeLabelSet;

macro_rules! labels {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
        #[allow(missing_docs, reason = "the catalogue says what each label is")]
        pub struct $name { $(pub $field: $type),+ }
    )+};
}

labels! {
    /// Of which kind.
    Kind { kind: &'static str }
    /// How something ended.
    Ended { result: &'static str }
    /// How something of a kind ended.
    KindEnded { kind: &'static str, result: &'static str }
    /// What was asked of a cloud.
    Call { provider: &'static str, operation: &'static str }
    /// What was asked of a cloud, and how it ended.
    CallEnded { provider: &'static str, operation: &'static str, result: &'static str }
    /// The kind of a request.
    Request { provider: &'static str, method: String }
    /// A request, and how it ended.
    RequestEnded { provider: &'static str, method: String, route: &'static str, code: &'static str }
    /// Who waited.
    Waiter { provider: &'static str, priority: &'static str }
    /// What is done to objects, and how it ended.
    OperationEnded { kind: &'static str, operation: &'static str, result: &'static str }
    /// Of which kind, and why.
    KindReason { kind: &'static str, reason: &'static str }
    /// Whether objects are Ready, and why.
    ReadyReason { kind: &'static str, ready: &'static str, reason: &'static str }
    /// A power state.
    Power { state: &'static str }
    /// A ProviderConfig.
    Config { config_namespace: String, config: String }
    /// What was built.
    Build { version: &'static str }
}
