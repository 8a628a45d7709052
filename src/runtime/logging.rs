//! Logs on standard error, for people or for machines.

use tracing_subscriber::EnvFilter;

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT: &str = "info,kube=warn,kube_client=warn,kube_runtime=warn,hyper=warn,hyper_util=warn,tower=warn,\
                       reqwest=warn,rustls=warn";

/// Begins to log. A filter that cannot be read is replaced by the usual one, and said so.
pub fn install(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|f| !f.is_empty());
    let filter = wanted
        .as_deref()
        .map_or_else(|| EnvFilter::try_new(DEFAULT), EnvFilter::try_new);
    let refused = filter.as_ref().err().map(ToString::to_string);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT)))
        .with_writer(std::io::stderr);
    // A second call changes nothing.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = refused {
        tracing::warn!(error, "RUST_LOG cannot be read; the usual filter is used");
    }
}
