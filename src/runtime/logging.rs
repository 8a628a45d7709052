//! Logs on standard error, for people or for machines.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    // A second call changes nothing.
    let _ = subscriber(format, filter, std::io::stderr).try_init();
    if let Some(error) = refused {
        tracing::warn!(error, "RUST_LOG cannot be read; the usual filter is used");
    }
}

/// The filter of a process that is told nothing else.
pub fn usual() -> EnvFilter {
    EnvFilter::new(DEFAULT)
}

/// What writes log lines. As JSON each line has `timestamp`, `level`, `target`, `message` and the fields of the event;
/// within the turn of an object `span` has its kind, name, uid and generation, and the turn's `trace_id`.
pub fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    }
}
