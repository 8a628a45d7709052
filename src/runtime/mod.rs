//! The process around the controller: clients, lease, installation, admin endpoint, signals.

pub mod admin;
pub mod clients;
pub mod clock;
pub mod doctor;
pub mod installation;
pub mod lease;
pub mod logging;
pub mod membership;
pub mod ownership;
pub mod rendezvous;
pub mod shares;
pub mod shutdown;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::controller::ownership::Ownership;
use crate::controller::{self, Context, Readiness};
use crate::observer::metrics::Metrics;
use crate::observer::sync::hash;
use crate::providers::registry::{self, CLOUDS};
use clock::Clock;
use lease::{Claim, KubeRecord};
use membership::KubeRecords;
use ownership::{ByLease, BySharing};
use shares::Shares;

/// The name of the lease.
const LEASE: &str = "evenkeel-controller";
/// How often a first step that failed is repeated.
const PATIENCE: Duration = Duration::from_secs(5);
/// Giving the lease back may take so long.
const RELEASE: Duration = Duration::from_secs(6);
/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The namespace of lease and installation where nothing says another one.
const NAMESPACE: &str = "evenkeel-system";

/// What the process is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces that are served; all if empty.
    pub namespaces: Vec<String>,
    /// Where the lease and the installation's name are kept; the pod's own namespace if none.
    pub lease_namespace: Option<String>,
    /// The installation's name, instead of the one that is kept.
    pub installation_id: Option<String>,
    /// Whether endpoints may be plain http or addresses of this machine.
    pub allow_insecure_endpoints: bool,
    /// Whether what guests write on their consoles may be written into ConfigMaps.
    pub console_output: bool,
    /// Whether all replicas act, each on its share of the accounts, instead of one leader.
    pub share_accounts: bool,
    /// Where the admin endpoint listens.
    pub admin_address: SocketAddr,
    /// Where it is shown what the planner thinks of an object; only on a loopback address.
    pub debug_address: Option<SocketAddr>,
}

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to a cluster.
    #[error(transparent)]
    Client(#[from] clients::ClientError),
    /// The admin or the debug endpoint cannot listen.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// What the planner thinks is shown to nobody but who is on this machine.
    #[error("--debug-address has to be a loopback address, as 127.0.0.1:6060, and not {0}")]
    DebugNotLoopback(SocketAddr),
    /// Signals cannot be listened to.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// Runs the controller until a signal ends it.
///
/// # Errors
/// It cannot even begin; everything later is tried again and again.
pub async fn run(options: Options) -> Result<(), RunError> {
    if let Some(address) = options.debug_address.filter(|a| !a.ip().is_loopback()) {
        return Err(RunError::DebugNotLoopback(address));
    }
    let shutdown = shutdown::on_signals().map_err(RunError::Signals)?;
    let clients = clients::clients().await?;
    let namespace = options.lease_namespace.clone().unwrap_or_else(own_namespace);
    let clock = Clock::system();
    let process = format!("{}-{}", host(), &installation::random_id()[..8]);
    let (metrics, readiness) = (Metrics::default(), Arc::new(Readiness::default()));
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let admin = admin::Admin::new(registry, Arc::clone(&readiness));
    let serving = admin.serve(options.admin_address).await;
    let (address, _serving) = serving.map_err(|e| RunError::Listen(options.admin_address, e))?;
    let mut _debugging = None;
    if let Some(address) = options.debug_address {
        let serving = admin::listen(address, admin.debug_router()).await;
        let (address, server) = serving.map_err(|e| RunError::Listen(address, e))?;
        tracing::info!(%address, "the debug endpoint is served");
        _debugging = Some(server);
    }
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, process, %address, lease_namespace = namespace, "evenkeel begins");

    let Some(installation) = installation_name(&options, &clients, &namespace, &readiness, &shutdown).await
    else {
        return Ok(());
    };
    tracing::info!(installation, "this installation");
    let stop = CancellationToken::new();
    let (ownership, election) = election(
        options.share_accounts,
        clients.requests.clone(),
        &namespace,
        process.clone(),
        &metrics,
        stop.clone(),
    );
    let election = stand(Arc::clone(&readiness), stop.clone(), election);
    let mut election = AbortOnDropHandle::new(tokio::spawn(election));

    let context = Context {
        watch_client: clients.watches,
        client: clients.requests,
        namespaces: options.namespaces,
        connect: registry::connect(options.allow_insecure_endpoints),
        clouds: CLOUDS,
        allow_insecure_endpoints: options.allow_insecure_endpoints,
        console_output: options.console_output,
        clock,
        seed: hash(&process),
        process,
        installation,
        ownership,
        metrics,
        readiness,
    };
    controller::run(context, shutdown).await;
    stop.cancel();
    if timeout(RELEASE, &mut election).await.is_err() {
        tracing::warn!("the lease is left to run out");
    }
    tracing::info!("evenkeel ends");
    Ok(())
}

/// Who may act, and what keeps that up.
fn election(
    share: bool,
    client: Client,
    namespace: &str,
    process: String,
    metrics: &Metrics,
    stop: CancellationToken,
) -> (Arc<dyn Ownership>, BoxFuture<'static, ()>) {
    let clock = Clock::system();
    if share {
        let shares = Arc::new(Shares::new(metrics.sharing_replicas.clone()));
        let records = Arc::new(KubeRecords::new(client, namespace));
        let joining = membership::join(records, process, clock, Arc::clone(&shares), stop);
        return (Arc::new(BySharing::new(shares)), Box::pin(joining));
    }
    let claim = Arc::new(Claim::default());
    let record = Arc::new(KubeRecord::new(client, namespace, LEASE));
    let electing = lease::elect(record, process, clock, Arc::clone(&claim), stop);
    (Arc::new(ByLease::new(claim)), Box::pin(electing))
}

/// The installation's name; none if the process was told to go before it was known.
async fn installation_name(
    options: &Options,
    clients: &clients::Clients,
    namespace: &str,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> Option<String> {
    if let Some(given) = &options.installation_id {
        // The flag counts, whatever is kept and whether it can be kept.
        match installation::given(clients.requests.clone(), namespace, given).await {
            Ok(kept) if kept == *given => {}
            Ok(kept) => tracing::warn!(
                given,
                kept,
                namespace,
                "the id that is given is not the one that the ConfigMap {} keeps: without the flag the next process is a \
                 stranger to the servers; write the right one into it",
                installation::CONFIG_MAP
            ),
            Err(error) => tracing::warn!(%error, namespace, "the id that is given is not kept"),
        }
        return Some(given.clone());
    }
    let known = async {
        loop {
            let found = installation::installation(clients.requests.clone(), namespace, &options.namespaces);
            match found.await {
                Ok(name) => return name,
                Err(error) => {
                    tracing::warn!(%error, namespace, "the installation's name is not known yet");
                    let words = error.to_string();
                    readiness.ask(move || vec![words.clone()]);
                }
            }
            sleep(PATIENCE).await;
        }
    };
    shutdown.run_until_cancelled(known).await
}

/// Stands for leader as soon as every object was listed: one that cannot list would keep the lease from others.
async fn stand(readiness: Arc<Readiness>, stop: CancellationToken, election: impl Future<Output = ()>) {
    if stop.run_until_cancelled(readiness.synced()).await.is_some() {
        election.await;
    }
}

fn own_namespace() -> String {
    let env = std::env::var("POD_NAMESPACE").ok();
    let file = || std::fs::read_to_string(NAMESPACE_FILE).ok();
    let found = env
        .or_else(file)
        .map(|n| n.trim().to_owned())
        .filter(|n| !n.is_empty());
    found.unwrap_or_else(|| NAMESPACE.to_owned())
}

/// A short name for where this process runs.
fn host() -> String {
    let name = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default();
    let fit: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(48)
        .collect();
    if fit.is_empty() {
        "evenkeel".to_owned()
    } else {
        fit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test(start_paused = true)]
    async fn nobody_stands_for_leader_before_everything_was_listed() {
        let (readiness, stop) = (Arc::new(Readiness::default()), CancellationToken::new());
        let stood = Arc::new(AtomicBool::new(false));
        let election = || {
            let stood = Arc::clone(&stood);
            async move { stood.store(true, Ordering::SeqCst) }
        };
        let waiting = stand(Arc::clone(&readiness), stop.clone(), election());
        assert!(timeout(Duration::from_secs(3600), waiting).await.is_err());
        // One that is told to go before that ends without the lease.
        let gone = CancellationToken::new();
        gone.cancel();
        stand(Arc::clone(&readiness), gone, election()).await;
        assert!(!stood.load(Ordering::SeqCst));
        readiness.set_synced();
        stand(readiness, stop, election()).await;
        assert!(stood.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn what_the_planner_thinks_is_not_shown_beyond_this_machine() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:127.0.0.1]:0"] {
            let options = Options {
                namespaces: vec![],
                lease_namespace: None,
                installation_id: None,
                allow_insecure_endpoints: false,
                console_output: false,
                share_accounts: false,
                admin_address: "127.0.0.1:0".parse().unwrap(),
                debug_address: Some(address.parse().unwrap()),
            };
            let error = run(options).await.unwrap_err();
            assert!(
                matches!(error, RunError::DebugNotLoopback(_)),
                "{address}: {error}"
            );
        }
    }
}
