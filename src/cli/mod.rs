//! The commands.

pub mod crds;
pub mod run;

use clap::{Parser, Subcommand};

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
    /// Prints the custom resource definitions as YAML.
    Crds(crds::CrdsArgs),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The controller cannot run.
    #[error(transparent)]
    Run(#[from] crate::runtime::RunError),
    /// The definitions cannot be printed.
    #[error(transparent)]
    Crds(#[from] crds::PrintError),
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
        match self.command {
            Command::Run(args) => args.run(),
            Command::Crds(args) => Ok(args.run()?),
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
