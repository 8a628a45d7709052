//! `evenkeel docs`: the reference page, made from the types.

use std::io::{self, Write};

use crate::api::crds::CrdError;
use crate::api::reference;

/// Why the reference cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum DocsError {
    /// The definitions that it is made from cannot be made.
    #[error(transparent)]
    Crd(#[from] CrdError),
    /// It cannot be written.
    #[error("standard output: {0}")]
    Write(#[from] io::Error),
}

/// Prints it to standard output, as Markdown.
///
/// # Errors
/// It cannot be made or written.
pub fn print() -> Result<(), DocsError> {
    Ok(io::stdout().lock().write_all(reference::render()?.as_bytes())?)
}
