//! `evenkeel doctor`: whether the cluster has what the controller needs.

use std::io::{self, Write};

use clap::Args;

use super::scope::Scope;
use crate::runtime::{clients, doctor};

/// Asks the cluster whether it serves the definitions, and allows what the controller does. Changes nothing.
/// Access to the cluster is found as `run` finds it.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    scope: Scope,
    /// The name of a Secret; may be given several times. With it, only the rights on Secrets of these names are asked for;
    /// on all of them if absent.
    #[arg(
        long = "secret",
        env = "EVENKEEL_SECRETS",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    secrets: Vec<String>,
    /// Asks also for what `run --console-output` does.
    #[arg(long, env = "EVENKEEL_CONSOLE_OUTPUT")]
    console_output: bool,
    /// Asks also for what `run --share-accounts` does.
    #[arg(long, env = "EVENKEEL_SHARE_ACCOUNTS")]
    share_accounts: bool,
}

/// Why the cluster is not fit, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// There is no way to a cluster.
    #[error(transparent)]
    Client(#[from] clients::ClientError),
    /// The answers cannot be printed.
    #[error("standard output: {0}")]
    Write(#[from] io::Error),
    /// Something is missing; it was printed.
    #[error("{0} of {1} checks failed")]
    Unfit(usize, usize),
}

impl DoctorArgs {
    /// Asks, and prints one line for each answer.
    ///
    /// # Errors
    /// The controller could not work here.
    pub async fn run(self) -> Result<(), DoctorError> {
        let (served, own) = self.scope.named();
        // An empty variable names none.
        let secrets: Vec<String> = self.secrets.into_iter().filter(|n| !n.is_empty()).collect();
        let found = doctor::examine(&served, own, &secrets, self.console_output, self.share_accounts).await?;
        let mut out = io::stdout().lock();
        for finding in &found {
            writeln!(
                out,
                "{} {}",
                if finding.good { "ok  " } else { "FAIL" },
                finding.words
            )?;
        }
        match found.iter().filter(|f| !f.good).count() {
            0 => Ok(()),
            failed => Err(DoctorError::Unfit(failed, found.len())),
        }
    }
}
