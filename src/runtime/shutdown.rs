//! How the process is told to go.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal.
const FORCED: i32 = 130;

/// A token that SIGTERM or SIGINT cancels. A second signal ends the process at once.
///
/// # Errors
/// The system does not let us listen to signals.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let told = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if told.is_cancelled() {
                tracing::warn!("told twice to go: leaving at once");
                std::process::exit(FORCED);
            }
            tracing::info!("told to go: finishing what is under way");
            told.cancel();
        }
    });
    Ok(token)
}
