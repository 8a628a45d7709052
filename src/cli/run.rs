//! `evenkeel run`: the controller.

use std::net::SocketAddr;

use clap::Args;

use super::CliError;
use super::scope::Scope;
use crate::runtime::logging::{self, LogFormat};
use crate::runtime::{self, Options};

/// Access to the cluster is found as every client finds it: KUBECONFIG, else the pod's own account.
/// RUST_LOG sets what is logged.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    scope: Scope,
    /// The id of this installation, as after a disaster; made and kept in a ConfigMap if absent. It is in the
    /// marks of every server: another id makes this controller a stranger to them.
    #[arg(long, env = "EVENKEEL_INSTALLATION_ID", value_name = "ID", value_parser = installation_id)]
    installation_id: Option<String>,
    /// Allows cloud endpoints that are plain http or addresses of this machine: for demos and tests.
    #[arg(long, env = "EVENKEEL_ALLOW_INSECURE_ENDPOINTS")]
    allow_insecure_endpoints: bool,
    /// Allows ServerActions with consoleOutput: what a guest wrote on its console, secrets included, goes into a ConfigMap of
    /// their namespace. Needs the right to create configmaps there.
    #[arg(long, env = "EVENKEEL_CONSOLE_OUTPUT")]
    console_output: bool,
    /// All replicas act, each on its share of the accounts, instead of one leader. Needs the right to list leases and to
    /// update those called evenkeel-replica-0 to evenkeel-replica-15.
    #[arg(long, env = "EVENKEEL_SHARE_ACCOUNTS")]
    share_accounts: bool,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(
        long,
        env = "EVENKEEL_ADMIN_ADDRESS",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    admin_address: SocketAddr,
    /// Where /debug/state?kind=Server&namespace=..&name=.. shows why the planner does what it does for one object;
    /// a loopback address, as 127.0.0.1:6060. Nowhere if absent.
    #[arg(long, env = "EVENKEEL_DEBUG_ADDRESS", value_name = "ADDRESS:PORT")]
    debug_address: Option<SocketAddr>,
    /// The form of log lines.
    #[arg(long, env = "EVENKEEL_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

impl RunArgs {
    /// Runs the controller until a signal ends it.
    ///
    /// # Errors
    /// It cannot begin.
    pub fn run(self) -> Result<(), CliError> {
        logging::install(self.log_format);
        let (namespaces, lease_namespace) = self.scope.named();
        let options = Options {
            namespaces,
            lease_namespace,
            installation_id: self.installation_id,
            allow_insecure_endpoints: self.allow_insecure_endpoints,
            console_output: self.console_output,
            share_accounts: self.share_accounts,
            admin_address: self.admin_address,
            debug_address: self.debug_address,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(CliError::Runtime)?;
        let result = runtime.block_on(runtime::run(options));
        // What still runs then is a watch or a request that nobody waits for.
        runtime.shutdown_background();
        Ok(result?)
    }
}

/// An id goes into tags and labels of clouds: it is short and plain.
fn installation_id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if (1..=63).contains(&text.len()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 63 letters, digits, dashes, dots or underscores".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser;

    #[test]
    fn reads_its_arguments() {
        let good = [
            "--namespace=a",
            "--namespace=b",
            "--installation-id=prod-1",
            "--admin-address=127.0.0.1:0",
            "--debug-address=127.0.0.1:6060",
            "--console-output",
            "--share-accounts",
        ];
        assert!(Cli::try_parse_from(["evenkeel", "run"].into_iter().chain(good)).is_ok());
        for bad in [
            "--installation-id=a b",
            "--installation-id=",
            "--admin-address=here",
            "--debug-address=6060",
            "--log-format=xml",
        ] {
            assert!(Cli::try_parse_from(["evenkeel", "run", bad]).is_err(), "{bad}");
        }
    }
}
