//! The `evenkeel` binary.

use std::process::ExitCode;

use clap::Parser;
use evenkeel::cli::Cli;

fn main() -> ExitCode {
    // First of all: with none installed, the first TLS connection would panic.
    evenkeel::providers::transport::reqwest::install_crypto();
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel: {error}");
            ExitCode::FAILURE
        }
    }
}
