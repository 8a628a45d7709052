//! `evenkeel crds`: the custom resource definitions.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::api::crds::{self, CrdError};

/// Prints the custom resource definitions, or writes them into files.
#[derive(Args, Debug)]
pub struct CrdsArgs {
    /// Writes one file for each into this directory instead.
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// Why they cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// They cannot be made.
    #[error(transparent)]
    Crd(#[from] CrdError),
    /// They cannot be written.
    #[error("{0}: {1}")]
    Write(String, io::Error),
}

impl CrdsArgs {
    /// Prints them.
    ///
    /// # Errors
    /// They cannot be made or written.
    pub fn run(self) -> Result<(), PrintError> {
        let mut out = io::stdout().lock();
        for (name, crd) in crds::all()? {
            let text = crds::to_yaml(&crd)?;
            match &self.output {
                Some(directory) => {
                    let path = directory.join(name);
                    std::fs::write(&path, text)
                        .map_err(|e| PrintError::Write(path.display().to_string(), e))?;
                }
                None => write!(out, "---\n{}\n", text.trim_end())
                    .map_err(|e| PrintError::Write("standard output".to_owned(), e))?,
            }
        }
        Ok(())
    }
}
