//! Everything that is logged in a test, down to the last trace of the libraries.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel::runtime::logging::{self, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log of one test. Tests run on one thread each, and so does everything in them.
pub struct Log {
    text: Buffer,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Takes what this thread logs from now on, down to a level.
    pub fn capture(level: tracing::Level) -> Self {
        let text = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(text.clone())
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Takes what a process writes that is told to log as JSON; `None` is the usual filter.
    pub fn json(filter: Option<&str>) -> Self {
        let text = Buffer::default();
        let filter = filter.map_or_else(logging::usual, EnvFilter::new);
        let subscriber = logging::subscriber(LogFormat::Json, filter, text.clone());
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// What was logged.
    pub fn text(&self) -> String {
        let all = self.text.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all).into_owned()
    }
}
