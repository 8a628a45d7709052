//! The commands.

pub mod crds;
pub mod docs;
pub mod doctor;
pub mod run;
pub mod scope;
#[cfg(feature = "sim")]
pub mod sim;

use clap::{Parser, Subcommand};

use crate::providers::transport::reqwest::install_crypto;

/// Keeps cloud servers in the state that their Kubernetes manifests declare.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller.
    Run(run::RunArgs),
    /// Checks whether the cluster has what the controller needs.
    Doctor(doctor::DoctorArgs),
    /// Prints the custom resource definitions as YAML.
    Crds(crds::CrdsArgs),
    /// Prints the reference of fields, conditions and reasons as Markdown.
    #[command(hide = true)]
    Docs,
    /// Runs a simulated cloud, for demos and tests.
    #[cfg(feature = "sim")]
    Sim(sim::SimArgs),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The controller cannot run.
    #[error(transparent)]
    Run(#[from] crate::runtime::RunError),
    /// The cluster is not fit.
    #[error(transparent)]
    Doctor(#[from] doctor::DoctorError),
    /// The definitions cannot be printed.
    #[error(transparent)]
    Crds(#[from] crds::PrintError),
    /// The reference cannot be printed.
    #[error("the reference: {0}")]
    Docs(#[from] docs::DocsError),
    /// The simulator ended.
    #[cfg(feature = "sim")]
    #[error(transparent)]
    Sim(#[from] sim::SimError),
    /// There is no runtime to run in.
    #[error("the process cannot begin: {0}")]
    Runtime(std::io::Error),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// In words for people.
    pub fn execute(self) -> Result<(), CliError> {
        // First of all: with none installed, the first TLS connection would panic.
        install_crypto();
        match self.command {
            Command::Run(args) => args.run(),
            Command::Doctor(args) => {
                let runtime = tokio::runtime::Runtime::new().map_err(CliError::Runtime)?;
                Ok(runtime.block_on(args.run())?)
            }
            Command::Crds(args) => Ok(args.run()?),
            Command::Docs => Ok(docs::print()?),
            #[cfg(feature = "sim")]
            Command::Sim(args) => {
                let runtime = tokio::runtime::Runtime::new().map_err(CliError::Runtime)?;
                Ok(runtime.block_on(sim::run(args))?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
