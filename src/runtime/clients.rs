//! The two ways to the Kubernetes API.

use std::time::Duration;

use kube::{Client, Config};

/// One request may go without a byte of its answer for so long.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection may take so long to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the Kubernetes API cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no usable configuration.
    #[error("no access to a cluster: {0}")]
    Config(#[from] Box<kube::config::InferConfigError>),
    /// The configuration cannot be used.
    #[error("no access to a cluster: {0}")]
    Client(#[from] kube::Error),
}

/// Clients of one cluster.
pub struct Clients {
    /// For watches: they are silent for long times, and the library watches over them.
    pub watches: Client,
    /// For everything else. It gives up on a silent server, and never repeats a request by itself.
    pub requests: Client,
    /// The namespace of the configuration, where it says one.
    pub namespace: String,
}

/// Clients as every program has them: `KUBECONFIG`, else the pod's own account.
///
/// # Errors
/// There is no configuration, or it cannot be used.
pub async fn clients() -> Result<Clients, ClientError> {
    let mut config = Config::infer().await.map_err(Box::new)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let namespace = config.default_namespace.clone();
    let mut impatient = config.clone();
    impatient.read_timeout = Some(READ_TIMEOUT);
    impatient.reset_reader_on_write = true;
    impatient.default_retry = false;
    Ok(Clients {
        watches: Client::try_from(config)?,
        requests: Client::try_from(impatient)?,
        namespace,
    })
}
