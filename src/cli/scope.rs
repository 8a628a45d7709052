//! What part of a cluster a command speaks of.

use clap::Args;

/// The namespaces that are served, and the one of the controller itself.
#[derive(Args, Debug)]
pub struct Scope {
    /// A namespace to serve; may be given several times. All namespaces if absent.
    #[arg(
        long = "namespace",
        env = "EVENKEEL_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    namespaces: Vec<String>,
    /// Where the lease and the installation's id are kept: the pod's own namespace, or evenkeel-system.
    #[arg(long, env = "EVENKEEL_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
}

impl Scope {
    /// The namespaces that are served (all if empty), and the controller's own. An empty variable is none.
    pub fn named(self) -> (Vec<String>, Option<String>) {
        let named = |name: &String| !name.is_empty();
        (
            self.namespaces.into_iter().filter(named).collect(),
            self.lease_namespace.filter(named),
        )
    }
}
