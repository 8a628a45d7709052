//! The release binary as a process: what it is told, what it costs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A controller that runs. It ends with this value.
pub struct Controller {
    child: Child,
    admin: u16,
    /// When it was started.
    pub started: Instant,
}

/// The binary that is measured.
pub fn binary() -> PathBuf {
    std::env::var_os("BINARY").map_or_else(|| PathBuf::from("target/release/evenkeel"), PathBuf::from)
}

/// What is said to a controller that belongs to a kubeconfig.
pub fn start(kubeconfig: &Path, log: &Path, more: &[&str]) -> Controller {
    let admin = free_port();
    let out = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log");
    let started = Instant::now();
    let child = Command::new(binary())
        .args(["run", "--allow-insecure-endpoints", "--lease-namespace=bench"])
        .arg(format!("--admin-address=127.0.0.1:{admin}"))
        .args(more)
        .env("KUBECONFIG", kubeconfig)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a log"))
        .stderr(out)
        .spawn()
        .expect("BINARY is the controller");
    Controller {
        child,
        admin,
        started,
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

impl Controller {
    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// A line of `/proc/PID/status` in KiB.
    fn status_kib(&self, name: &str) -> f64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        number.unwrap_or(f64::NAN)
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> f64 {
        self.status_kib("VmRSS")
    }

    /// The most resident memory since [`Controller::reset_peak`], in KiB.
    pub fn peak_kib(&self) -> f64 {
        self.status_kib("VmHWM")
    }

    /// From now on the peak is counted anew.
    pub fn reset_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("clear_refs");
    }

    /// The processor time that it has had, in seconds.
    pub fn cpu(&self) -> f64 {
        // utime and stime.
        seconds(&self.proc("stat"), [11, 12])
    }

    /// The sum of a metric over all its labels that contain a text; none while it does not answer.
    pub async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let text = get(self.admin, "/metrics").await?;
        let lines = text.lines().filter(|l| l.starts_with(name) && l.contains(labels));
        Some(
            lines
                .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
                .sum(),
        )
    }

    /// Waits until it says that it is ready; how long that took from its start.
    pub async fn ready(&self) -> Duration {
        while get(self.admin, "/readyz").await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.started.elapsed()
    }

    /// Sends a signal, as `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([format!("-{signal}"), pid]).status();
        assert!(sent.is_ok_and(|s| s.success()), "kill -{signal}");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // One that is gone already is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sum of two times in a `/proc/PID/stat`, by their places behind the name; hundredths of a second on every Linux.
pub fn seconds(stat: &str, places: [usize; 2]) -> f64 {
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = places.map(|n| fields.get(n).and_then(|f| f.parse::<f64>().ok()));
    ticks.map(|t| t.unwrap_or(f64::NAN)).iter().sum::<f64>() / 100.0
}

/// The body of a page that was answered with 200.
async fn get(port: u16, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    text.starts_with("HTTP/1.1 200").then_some(text)
}
