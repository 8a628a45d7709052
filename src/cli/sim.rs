//! `evenkeel sim`: a simulated cloud on a port.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::sim::{clouddc, openstack, upcloud};

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
    /// An UpCloud account.
    Upcloud(UpCloudArgs),
    /// Huawei CloudDC, and what it needs of the identity service.
    Clouddc(CloudDcArgs),
}

/// What every simulator is told.
#[derive(Args, Debug)]
struct Common {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The name of the printed Secret and ProviderConfig.
    #[arg(long, default_value = "sim")]
    name: String,
    /// Their namespace.
    #[arg(long, default_value = "default")]
    namespace: String,
}

#[derive(Args, Debug)]
struct OpenStackArgs {
    #[command(flatten)]
    common: Common,
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

#[derive(Args, Debug)]
struct UpCloudArgs {
    #[command(flatten)]
    common: Common,
    /// How long the creation of a server takes, in milliseconds; everything else is in proportion to it.
    #[arg(long, default_value_t = 6000)]
    create_ms: u64,
    /// How many hosts each zone has.
    #[arg(long, default_value_t = 3)]
    hosts: usize,
}

#[derive(Args, Debug)]
struct CloudDcArgs {
    #[command(flatten)]
    common: Common,
    /// How long an installation takes, in milliseconds; power and the rest take a quarter of it.
    #[arg(long, default_value_t = 20_000)]
    install_ms: u64,
    /// How many physical servers there are.
    #[arg(long, default_value_t = 8)]
    machines: usize,
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

/// A simulator that is ready to answer.
struct Ready {
    /// The cloud's name, and where its API begins.
    title: &'static str,
    entry: &'static str,
    /// Prints the manifests for an address, a name and a namespace.
    manifests: fn(&str, &str, &str) -> String,
    serve: Box<dyn FnOnce(TcpListener) -> BoxFuture<'static, std::io::Result<()>> + Send>,
}

/// One entry for each cloud.
fn ready(cloud: Cloud) -> (Common, Ready) {
    match cloud {
        Cloud::Openstack(args) => {
            let mut config = openstack::SimConfig::default();
            config.timings.call = Duration::from_millis(args.call_ms);
            config.token_ttl = Duration::from_secs(args.token_ttl);
            config.page_limit = args.page_limit.max(1);
            let sim = openstack::OpenStackSim::new(config);
            let ready = Ready {
                title: "OpenStack",
                entry: "/identity/v3",
                manifests: openstack::manifests,
                serve: Box::new(|listener| sim.serve(listener).boxed()),
            };
            (args.common, ready)
        }
        Cloud::Upcloud(args) => {
            let sim = upcloud::UpCloudSim::new(upcloud::SimConfig {
                timings: upcloud::Timings::with_create(Duration::from_millis(args.create_ms)),
                hosts: args.hosts,
                ..Default::default()
            });
            let ready = Ready {
                title: "UpCloud",
                entry: "/1.3",
                manifests: upcloud::manifests,
                serve: Box::new(|listener| sim.serve(listener).boxed()),
            };
            (args.common, ready)
        }
        Cloud::Clouddc(args) => {
            let install = Duration::from_millis(args.install_ms);
            let sim = clouddc::CloudDcSim::new(clouddc::SimConfig {
                timings: clouddc::Timings {
                    install,
                    ..clouddc::Timings::quick(install / 4)
                },
                machines: args.machines,
                ..Default::default()
            });
            let ready = Ready {
                title: "CloudDC",
                entry: "/v1",
                manifests: clouddc::manifests,
                serve: Box::new(|listener| sim.serve(listener).boxed()),
            };
            (args.common, ready)
        }
    }
}

/// Listens, prints the address as a comment and the manifests as YAML, and answers until Ctrl-C.
pub async fn run(args: SimArgs) -> Result<(), SimError> {
    let (common, cloud) = ready(args.cloud);
    let listener = TcpListener::bind(common.listen)
        .await
        .map_err(|e| SimError::Listen(common.listen, e))?;
    let base = format!("http://{}", listener.local_addr()?);
    {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "# simulated {}: {base}{}, faults and state: {base}/_sim/state",
            cloud.title, cloud.entry
        )?;
        write!(
            out,
            "{}",
            (cloud.manifests)(&base, &common.name, &common.namespace)
        )?;
        out.flush()?;
    }
    tokio::select! {
        served = (cloud.serve)(listener) => Ok(served?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
