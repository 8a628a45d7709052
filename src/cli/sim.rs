//! `evenkeel sim`: a simulated cloud on a port.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;

use crate::sim::clouddc::{self, CloudDcSim};
use crate::sim::openstack::{OpenStackSim, SimConfig, manifests};

/// Runs a simulated cloud over HTTP until it is interrupted.
#[derive(Args, Debug)]
pub struct SimArgs {
    #[command(subcommand)]
    cloud: Cloud,
}

#[derive(Subcommand, Debug)]
enum Cloud {
    /// Keystone, Nova, and what a server needs of Glance and Neutron.
    Openstack(OpenStackArgs),
    /// Huawei CloudDC, and what it needs of the identity service.
    Clouddc(CloudDcArgs),
}

#[derive(Args, Debug)]
struct CloudDcArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The name of the printed Secret and ProviderConfig.
    #[arg(long, default_value = "sim")]
    name: String,
    /// Their namespace.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// How long an installation takes, in milliseconds; power and the rest take a quarter of it.
    #[arg(long, default_value_t = 20_000)]
    install_ms: u64,
    /// How many physical servers there are.
    #[arg(long, default_value_t = 8)]
    machines: usize,
}

#[derive(Args, Debug)]
struct OpenStackArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The name of the printed Secret and ProviderConfig.
    #[arg(long, default_value = "sim")]
    name: String,
    /// Their namespace.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// How long a call of the hypervisor takes, in milliseconds.
    #[arg(long, default_value_t = 1200)]
    call_ms: u64,
    /// How long a token lives, in seconds.
    #[arg(long, default_value_t = 3600)]
    token_ttl: u64,
    /// The most servers on one page of a list.
    #[arg(long, default_value_t = 1000)]
    page_limit: usize,
}

/// Why a simulator stopped.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The output cannot be written, or the listener broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Listens, prints the address as a comment and the manifests as YAML, and answers until Ctrl-C.
pub async fn run(args: SimArgs) -> Result<(), SimError> {
    match args.cloud {
        Cloud::Openstack(args) => openstack(args).await,
        Cloud::Clouddc(args) => clouddc(args).await,
    }
}

async fn clouddc(args: CloudDcArgs) -> Result<(), SimError> {
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|e| SimError::Listen(args.listen, e))?;
    let base = format!("http://{}", listener.local_addr()?);
    let install = Duration::from_millis(args.install_ms);
    let sim = CloudDcSim::new(clouddc::SimConfig {
        timings: clouddc::Timings {
            install,
            ..clouddc::Timings::quick(install / 4)
        },
        machines: args.machines,
        ..clouddc::SimConfig::default()
    });
    {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "# simulated CloudDC: {base}/v1/{}, faults and state: {base}/_sim/state",
            clouddc::PROJECT
        )?;
        write!(out, "{}", clouddc::manifests(&base, &args.name, &args.namespace))?;
        out.flush()?;
    }
    tokio::select! {
        served = sim.serve(listener) => Ok(served?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn openstack(args: OpenStackArgs) -> Result<(), SimError> {
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|e| SimError::Listen(args.listen, e))?;
    let base = format!("http://{}", listener.local_addr()?);
    let mut config = SimConfig::default();
    config.timings.call = Duration::from_millis(args.call_ms);
    config.token_ttl = Duration::from_secs(args.token_ttl);
    config.page_limit = args.page_limit.max(1);
    let sim = OpenStackSim::new(config);
    {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "# simulated OpenStack: {base}/identity/v3, faults and state: {base}/_sim/state"
        )?;
        write!(out, "{}", manifests(&base, &args.name, &args.namespace))?;
        out.flush()?;
    }
    tokio::select! {
        served = sim.serve(listener) => Ok(served?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
